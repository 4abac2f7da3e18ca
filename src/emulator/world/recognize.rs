//! Listening: keys, words and choices, with Azure's timers.
//!
//! Order of decisions: the prompt is played, then the initial silence begins; the first input fixes what
//! is listened for; the last timer is the pause between keys or the silence after words.

use std::time::Duration;

use serde_json::{Value, json};

use super::World;
use super::events::News;
use super::media::{OpTicket, Work};
use super::outcomes::{self, Outcome};
use super::playback::{Playback, Source};
use super::roster::{ConversationId, Seat};
use crate::wire::calling::Choice;
use crate::wire::events::EventKind;
use crate::wire::identifiers::RawId;

/// A recognition.
pub struct Listening {
    pub(super) prompt: Playback,
    menu: Menu,
    phase: Phase,
    tones: Vec<&'static str>,
    words: String,
}

/// What is listened for, and for how long.
#[derive(Clone, Debug, Default)]
pub struct Menu {
    /// Keys count.
    pub keys: bool,
    /// Words count.
    pub words: bool,
    /// One of these is chosen by key or word.
    pub choices: Option<Vec<Choice>>,
    /// Whether input stops the prompt.
    pub interrupt_prompt: bool,
    /// After the prompt.
    pub initial_silence: Duration,
    /// Between keys.
    pub inter_tone: Duration,
    /// After words.
    pub end_silence: Duration,
    /// So many keys end it.
    pub max_tones: Option<usize>,
    /// These keys end it.
    pub stop_tones: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Prompting,
    Waiting,
    Keying,
    Hearing,
}

impl Listening {
    /// A recognition that plays `prompts` first.
    pub fn new(prompts: Vec<Source>, menu: Menu) -> Self {
        let prompt = Playback::new(prompts, false);
        Self { prompt, menu, phase: Phase::Prompting, tones: Vec::new(), words: String::new() }
    }

    fn is_open(&self) -> bool {
        self.phase != Phase::Prompting || self.menu.interrupt_prompt
    }
}

impl World {
    fn listening(&mut self, ticket: &OpTicket) -> Option<&mut Listening> {
        match &mut self.op(ticket)?.work {
            Work::Recognize(listening) => Some(listening),
            Work::Play(_) | Work::SendTones(_) | Work::Hold(_) => None,
        }
    }

    /// The prompt began: phones may react when it can be interrupted.
    pub(super) fn prompt_began(&mut self, ticket: &OpTicket) {
        let open = self.listening(ticket).is_none_or(|listening| listening.is_open());
        if open {
            self.wake_phones(ticket);
        }
    }

    /// The prompt ended, or there was none: now the silence counts.
    pub(super) fn prompt_ended(&mut self, ticket: &OpTicket) {
        let Some(listening) = self.listening(ticket) else { return };
        let woken_before = listening.is_open() && !listening.prompt.is_empty();
        listening.phase = Phase::Waiting;
        let silence = listening.menu.initial_silence;
        self.set_media_timer(ticket, silence);
        if !woken_before {
            self.wake_phones(ticket);
        }
    }

    pub(super) fn listening_timer(&mut self, ticket: &OpTicket) {
        let Some(phase) = self.listening(ticket).map(|listening| listening.phase) else { return };
        match phase {
            Phase::Prompting => {
                if !self.prompt_is_broken(ticket) {
                    self.prompt_ended(ticket);
                }
            }
            Phase::Waiting => {
                let silence = News::of(EventKind::RecognizeFailed, outcomes::INITIAL_SILENCE);
                self.end_op(ticket, silence);
            }
            Phase::Keying if self.config.behaviour.inter_digit_timeout_completes => {
                self.complete_keys(ticket, outcomes::INTER_DIGIT);
            }
            Phase::Keying => {
                self.end_op(ticket, News::of(EventKind::RecognizeFailed, outcomes::INTER_DIGIT));
            }
            Phase::Hearing => self.complete_words(ticket),
        }
    }

    /// Whether a recognition takes input from somebody at this moment.
    pub(super) fn is_listened_to(&mut self, conversation: ConversationId, who: &RawId) -> bool {
        self.listeners(conversation, who)
            .into_iter()
            .any(|ticket| self.listening(&ticket).is_some_and(|listening| listening.is_open()))
    }

    /// The running recognitions of a conversation that listen to somebody.
    fn listeners(&mut self, conversation: ConversationId, who: &RawId) -> Vec<OpTicket> {
        let apps = self.conversations.get(conversation).map(|found| found.apps());
        let mut found = Vec::new();
        for call in apps.unwrap_or_default() {
            let Some(connection) = self.connections.get_mut(&call) else { continue };
            for (lane, op) in connection.media.running() {
                if matches!(op.work, Work::Recognize(_)) && op.targets.contains(who) {
                    let (call, lane) = (call.clone(), lane.clone());
                    found.push(OpTicket { call, lane, number: op.number });
                }
            }
        }
        found
    }

    pub(super) fn keys_pressed(
        &mut self,
        conversation: ConversationId,
        who: &RawId,
        tones: &[&'static str],
    ) {
        if !self.is_phone(conversation, who) {
            return;
        }
        self.keys_streamed(conversation, who, tones);
        for tone in tones {
            self.record_sound(conversation, who, self.config.behaviour.tone_length);
            self.tell_watchers(conversation, who, tone);
            for ticket in self.listeners(conversation, who) {
                self.key_heard(&ticket, tone);
            }
        }
    }

    pub(super) fn words_said(&mut self, conversation: ConversationId, who: &RawId, words: &str) {
        if !self.is_phone(conversation, who) {
            return;
        }
        let characters = u32::try_from(words.chars().count()).unwrap_or(u32::MAX);
        let lasts = self.config.behaviour.speech_per_character.saturating_mul(characters);
        self.record_sound(conversation, who, lasts);
        self.words_streamed(conversation, who, words);
        for ticket in self.listeners(conversation, who) {
            self.words_heard(&ticket, words);
        }
    }

    fn is_phone(&self, conversation: ConversationId, who: &RawId) -> bool {
        let party = self.conversations.get(conversation).and_then(|found| found.party(who));
        party.is_some_and(|party| party.seat == Seat::Phone)
    }

    fn key_heard(&mut self, ticket: &OpTicket, tone: &'static str) {
        let with_stop_tone = self.config.behaviour.stop_tone_in_result;
        let Some(listening) = self.listening(ticket).filter(|listening| listening.is_open()) else {
            return;
        };
        if let Some(choices) = &listening.menu.choices {
            let chosen = choices.iter().find(|choice| choice.tone.as_deref() == Some(tone));
            let chosen = chosen.cloned();
            return self.complete_choice(ticket, chosen, None, Some(tone));
        }
        if !listening.menu.keys || listening.phase == Phase::Hearing {
            return;
        }
        listening.phase = Phase::Keying;
        let stops = listening.menu.stop_tones.contains(&tone);
        if !stops || with_stop_tone {
            listening.tones.push(tone);
        }
        let full = listening.menu.max_tones.is_some_and(|max| listening.tones.len() >= max);
        let pause = listening.menu.inter_tone;
        if stops {
            self.complete_keys(ticket, outcomes::STOP_TONE);
        } else if full {
            self.complete_keys(ticket, outcomes::MAX_TONES);
        } else {
            self.set_media_timer(ticket, pause);
        }
    }

    fn complete_keys(&mut self, ticket: &OpTicket, how: Outcome) {
        let Some(listening) = self.listening(ticket) else { return };
        let result = json!({ "tones": listening.tones });
        self.complete(ticket, how, json!({ "recognitionType": "dtmf", "dtmfResult": result }));
    }

    fn words_heard(&mut self, ticket: &OpTicket, words: &str) {
        let Some(listening) = self.listening(ticket).filter(|listening| listening.is_open()) else {
            return;
        };
        if let Some(choices) = &listening.menu.choices {
            let chosen = choices.iter().find_map(|choice| {
                let phrase = phrase_in(choice, words)?;
                Some((choice.clone(), phrase))
            });
            let (choice, phrase) = chosen.unzip();
            return self.complete_choice(ticket, choice, phrase, None);
        }
        if !listening.menu.words || listening.phase == Phase::Keying {
            return;
        }
        listening.phase = Phase::Hearing;
        if !listening.words.is_empty() {
            listening.words.push(' ');
        }
        listening.words.push_str(words);
        let silence = listening.menu.end_silence;
        self.set_media_timer(ticket, silence);
    }

    fn complete_words(&mut self, ticket: &OpTicket) {
        let confidence = self.config.behaviour.confidence;
        let Some(listening) = self.listening(ticket) else { return };
        if listening.words.trim().is_empty() {
            // Somebody made a sound that is no word.
            return self
                .end_op(ticket, News::of(EventKind::RecognizeFailed, outcomes::NOT_UNDERSTOOD));
        }
        let result = json!({ "speech": listening.words, "confidence": confidence });
        let members = json!({ "recognitionType": "speech", "speechResult": result });
        self.complete(ticket, outcomes::DONE, members);
    }

    fn complete_choice(
        &mut self,
        ticket: &OpTicket,
        choice: Option<Choice>,
        phrase: Option<String>,
        tone: Option<&str>,
    ) {
        let Some(choice) = choice else {
            let why = if tone.is_some() { outcomes::WRONG_TONE } else { outcomes::WRONG_PHRASE };
            return self.end_op(ticket, News::of(EventKind::RecognizeFailed, why));
        };
        let how =
            if tone.is_some() { outcomes::CHOICE_BY_TONE } else { outcomes::CHOICE_BY_PHRASE };
        let mut result = json!({ "label": choice.label });
        if let Some(phrase) = phrase {
            result["recognizedPhrase"] = phrase.into();
            result["confidence"] = self.config.behaviour.confidence.into();
        }
        let members = json!({ "recognitionType": "choices", "choiceResult": result });
        self.complete(ticket, how, members);
    }

    fn complete(&mut self, ticket: &OpTicket, how: Outcome, members: Value) {
        self.end_op(ticket, News::of(EventKind::RecognizeCompleted, how).with(members));
    }
}

/// The phrase of a choice that was said, whole words, whatever the case and punctuation.
fn phrase_in(choice: &Choice, said: &str) -> Option<String> {
    let plain = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>()
    };
    let said = plain(said);
    let phrases = choice.phrases.as_deref().unwrap_or_default();
    let matches = |phrase: &&String| {
        let phrase = plain(phrase);
        !phrase.is_empty() && said.windows(phrase.len()).any(|window| window == phrase)
    };
    phrases.iter().find(matches).cloned()
}
