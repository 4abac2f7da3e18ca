//! The phones at the far end and what they do when they ring and when they hear a prompt.
//!
//! Owns the phone file (TOML) and its checks. What a phone does at which moment is the world's business.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::wire::calling::TONES;
use crate::wire::identifiers::{Identifier, RawId};

/// Phones by raw id.
#[derive(Clone, Default)]
pub struct PhoneBook(BTreeMap<RawId, Phone>);

impl fmt::Debug for PhoneBook {
    /// Not the numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneBook({})", self.0.len())
    }
}

/// What a phone does.
#[derive(Clone, Debug, PartialEq)]
pub struct Phone {
    /// When it rings.
    pub on_ring: OnRing,
    /// How long after the ring begins; ringing for ever and waiting for a hand need no time.
    pub after: Duration,
    /// What it does once it is in a call, step by step.
    pub script: Vec<Step>,
}

impl Default for Phone {
    /// Answers after a second and then listens.
    fn default() -> Self {
        Self { on_ring: OnRing::Answer, after: Duration::from_secs(1), script: Vec::new() }
    }
}

/// What a phone does when it rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnRing {
    /// Picks up.
    #[default]
    Answer,
    /// Refuses.
    Decline,
    /// Is in another call.
    Busy,
    /// Rings until the caller gives up.
    NoAnswer,
    /// Cannot be reached.
    Unreachable,
    /// Waits for somebody to use the far-end routes.
    Manual,
}

/// One step of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it waits for first; `None` goes on from the step before.
    pub on_prompt: Option<Prompt>,
    /// How long it waits then.
    pub after: Duration,
    /// What it does then.
    pub action: Action,
}

/// The prompts that a step can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Any play or recognition that the phone can hear.
    Any,
    /// A play.
    Play,
    /// A recognition that takes input from this phone.
    Recognize,
}

/// What a phone can do in a call.
#[derive(Clone, PartialEq)]
pub enum Action {
    /// Press keys, one after the other.
    Press(Vec<&'static str>),
    /// Say something.
    Say(String),
    /// Put the others on hold.
    Hold,
    /// Be back.
    Resume,
    /// Leave.
    HangUp,
    /// Nothing: only time passes.
    Wait,
}

impl fmt::Debug for Action {
    /// Neither keys nor words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Press(_) => "Press",
            Self::Say(_) => "Say",
            Self::Hold => "Hold",
            Self::Resume => "Resume",
            Self::HangUp => "HangUp",
            Self::Wait => "Wait",
        })
    }
}

/// Why a phone file was refused. Says which entry and what to change, never a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPhoneBook {
    /// Not TOML, or a key that does not exist.
    #[error("the phone file cannot be read: {0}")]
    Unreadable(String),
    /// One entry is wrong.
    #[error("phone {index}: {problem}")]
    Entry {
        /// Position in the file, from 1.
        index: usize,
        /// What to change.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    phone: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    number: Option<String>,
    raw_id: Option<String>,
    #[serde(default)]
    on_ring: OnRing,
    after_ms: Option<u64>,
    #[serde(default)]
    script: Vec<StepEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StepEntry {
    on_prompt: Option<PromptEntry>,
    #[serde(default)]
    after_ms: u64,
    press: Option<String>,
    say: Option<String>,
    #[serde(default)]
    hold: bool,
    #[serde(default)]
    resume: bool,
    #[serde(default)]
    hangup: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PromptEntry {
    Any(bool),
    Named(String),
}

impl PhoneBook {
    /// Reads a phone file.
    ///
    /// # Errors
    /// [`BadPhoneBook`] with the first thing that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, BadPhoneBook> {
        let file: File = toml::from_str(text)
            .map_err(|error| BadPhoneBook::Unreadable(error.message().to_owned()))?;
        let mut book = Self::default();
        for (index, entry) in file.phone.into_iter().enumerate() {
            let (who, phone) = entry
                .read()
                .map_err(|problem| BadPhoneBook::Entry { index: index + 1, problem })?;
            book.0.insert(who, phone);
        }
        Ok(book)
    }

    /// Puts a phone in, in place of the one that was there.
    pub fn set(&mut self, who: &Identifier, phone: Phone) {
        self.0.insert(who.raw_id().clone(), phone);
    }

    /// The phone of somebody.
    pub fn get(&self, who: &RawId) -> Option<&Phone> {
        self.0.get(who)
    }

    /// How many phones are in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Entry {
    fn read(self) -> Result<(RawId, Phone), String> {
        let who = match (self.number, self.raw_id) {
            (Some(number), None) if number.starts_with('+') => RawId::of_number(&number),
            (None, Some(raw)) if !raw.is_empty() => RawId::from(raw),
            (Some(_), None) => return Err("number must be E.164 and begin with '+'".to_owned()),
            _ => return Err("give either number or rawId".to_owned()),
        };
        let read = |(at, step): (usize, StepEntry)| {
            step.read().map_err(|problem| format!("script step {}: {problem}", at + 1))
        };
        let script = self.script.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let after = self.after_ms.map_or(Phone::default().after, Duration::from_millis);
        Ok((who, Phone { on_ring: self.on_ring, after, script }))
    }
}

impl StepEntry {
    fn read(self) -> Result<Step, String> {
        let mut given = Vec::new();
        if let Some(keys) = self.press {
            given.push(Action::Press(tones(&keys)?));
        }
        given.extend(self.say.map(Action::Say));
        let plain = [
            (self.hold, Action::Hold),
            (self.resume, Action::Resume),
            (self.hangup, Action::HangUp),
        ];
        given.extend(plain.into_iter().filter(|(wanted, _)| *wanted).map(|(_, action)| action));
        if given.len() > 1 {
            return Err("give one of press, say, hold, resume and hangup".to_owned());
        }
        let action = given.pop().unwrap_or(Action::Wait);
        let on_prompt = match self.on_prompt {
            None | Some(PromptEntry::Any(false)) => None,
            Some(PromptEntry::Any(true)) => Some(Prompt::Any),
            Some(PromptEntry::Named(name)) => Some(match name.as_str() {
                "play" => Prompt::Play,
                "recognize" => Prompt::Recognize,
                _ => return Err("onPrompt is true, \"play\" or \"recognize\"".to_owned()),
            }),
        };
        Ok(Step { on_prompt, after: Duration::from_millis(self.after_ms), action })
    }
}

/// Azure's words for keys as they are printed on a phone (`12#`).
///
/// # Errors
/// What to change, when a character is not a key.
pub fn tones(keys: &str) -> Result<Vec<&'static str>, String> {
    let key = |key: char| match key.to_ascii_lowercase() {
        '#' => Some("pound"),
        '*' => Some("asterisk"),
        digit @ '0'..='9' => TONES.get(digit as usize - '0' as usize).copied(),
        letter @ 'a'..='d' => TONES.get(10 + letter as usize - 'a' as usize).copied(),
        _ => None,
    };
    keys.chars()
        .map(key)
        .collect::<Option<Vec<_>>>()
        .filter(|tones| !tones.is_empty())
        .ok_or_else(|| "keys are 0 to 9, a to d, * and #".to_owned())
}

/// The word itself when it is one of Azure's words for keys.
pub fn tone(word: &str) -> Option<&'static str> {
    TONES.iter().find(|tone| **tone == word).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_file_is_read() {
        let book = PhoneBook::from_toml(
            r#"
            [[phone]]
            number = "+14255550123"
            onRing = "answer"
            afterMs = 500
            script = [
                { onPrompt = "recognize", press = "12#", afterMs = 100 },
                { say = "hello" },
                { hold = true },
                { afterMs = 10, resume = true },
                { afterMs = 5000, hangup = true },
            ]
            [[phone]]
            rawId = "8:acs:a_b"
            onRing = "noAnswer"
            "#,
        )
        .expect("a phone book");
        assert_eq!(book.len(), 2);
        let phone = book.get(&RawId::of_number("+14255550123")).expect("the phone");
        assert_eq!(phone.after, Duration::from_millis(500));
        assert_eq!(phone.script[0].action, Action::Press(vec!["one", "two", "pound"]));
        assert_eq!(phone.script[0].on_prompt, Some(Prompt::Recognize));
        assert_eq!(
            phone.script[2..4].iter().map(|step| &step.action).collect::<Vec<_>>(),
            [&Action::Hold, &Action::Resume]
        );
        assert_eq!(phone.script[4].action, Action::HangUp);
        let other = book.get(&RawId::new("8:acs:a_b")).expect("the other");
        assert_eq!(other.on_ring, OnRing::NoAnswer);
    }

    #[test]
    fn a_bad_phone_file_says_what_to_change() {
        #[track_caller]
        fn check(text: &str, says: &str) {
            let problem = PhoneBook::from_toml(text).expect_err("refused").to_string();
            assert!(problem.contains(says), "{problem}");
        }
        check("[[phone]]\nonRing = \"answer\"", "phone 1: give either number or rawId");
        check("[[phone]]\nnumber = \"425\"", "phone 1: number must be E.164");
        check(
            "[[phone]]\nnumber = \"+1\"\nscript = [{ press = \"x\" }]",
            "script step 1: keys are",
        );
        check("[[phone]]\nnumber = \"+1\"\nringing = 1", "unknown field");
        check(
            "[[phone]]\nnumber = \"+1\"\nscript = [{ press = \"1\", say = \"a\" }]",
            "one of press",
        );
    }
}
