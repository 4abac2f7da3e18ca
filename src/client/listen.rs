//! What is listened for.
//!
//! Texts, names and numbers are the application's: `Debug` shows none of them.

use std::fmt;
use std::time::Duration;

use super::prompt::Prompt;
use crate::wire::calling::{
    Choice, DtmfOptions, RecognizeOptions, RecognizeRequest, SpeechOptions,
};
use crate::wire::identifiers::{Identifier, OperationContext};

/// Listening to one participant: for keys, for one of several choices, or for words.
///
/// ```
/// # use switchhook::client::{Listen, Prompt};
/// # use switchhook::wire::identifiers::Identifier;
/// # use std::time::Duration;
/// let pin = Listen::for_keys(Identifier::phone("+14255550123"), 4)
///     .after(Prompt::say("Your four digits, please."))
///     .first_within(Duration::from_secs(8))
///     .until("pound");
/// ```
#[derive(Clone, PartialEq)]
pub struct Listen {
    input: &'static str,
    prompt: Option<Prompt>,
    options: RecognizeOptions,
    context: Option<OperationContext>,
    interrupts: bool,
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listen({})", self.input)
    }
}

impl Listen {
    /// For up to `most` keys.
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let one_digit = Listen::for_keys(Identifier::phone("+14255550123"), 1);
    /// ```
    pub fn for_keys(who: Identifier, most: u8) -> Self {
        let keys = DtmfOptions {
            max_tones_to_collect: Some(most.into()),
            inter_tone_timeout_in_seconds: Some(2),
            ..DtmfOptions::default()
        };
        Self::to(who, "dtmf", |options| options.dtmf_options = Some(keys))
    }

    /// For one of several choices, said or keyed in.
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use switchhook::wire::calling::Choice;
    /// let choice = |label: &str, phrase: &str, key: &str| Choice {
    ///     label: Some(label.to_owned()),
    ///     phrases: Some(vec![phrase.to_owned()]),
    ///     tone: Some(key.to_owned()),
    /// };
    /// let choices = [choice("confirm", "yes", "one"), choice("cancel", "no", "two")];
    /// let listen = Listen::for_choice(Identifier::phone("+14255550123"), choices);
    /// ```
    pub fn for_choice(who: Identifier, choices: impl IntoIterator<Item = Choice>) -> Self {
        let choices = choices.into_iter().collect();
        Self::to(who, "choices", |options| options.choices = Some(choices))
    }

    /// For whatever is said, until `silence` ends it.
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use std::time::Duration;
    /// let silence = Duration::from_millis(800);
    /// let listen = Listen::for_speech(Identifier::phone("+14255550123"), silence).language("en-US");
    /// ```
    pub fn for_speech(who: Identifier, silence: Duration) -> Self {
        let silence = i64::try_from(silence.as_millis()).unwrap_or(i64::MAX);
        let speech = SpeechOptions { end_silence_timeout_in_ms: Some(silence) };
        Self::to(who, "speech", |options| options.speech_options = Some(speech))
    }

    fn to(who: Identifier, input: &'static str, set: impl FnOnce(&mut RecognizeOptions)) -> Self {
        let mut options = RecognizeOptions {
            target_participant: Some(who),
            interrupt_prompt: Some(true),
            initial_silence_timeout_in_seconds: Some(5),
            ..RecognizeOptions::default()
        };
        set(&mut options);
        Self { input, prompt: None, options, context: None, interrupts: false }
    }

    /// … after this has been played. Input stops it, unless [`Self::to_the_end`] says otherwise.
    ///
    /// ```
    /// # use switchhook::client::{Listen, Prompt};
    /// # use switchhook::wire::identifiers::Identifier;
    /// let menu = Prompt::file("https://prompts.example.test/menu.wav");
    /// let listen = Listen::for_keys(Identifier::phone("+14255550123"), 1).after(menu);
    /// ```
    #[must_use]
    pub fn after(mut self, prompt: Prompt) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// … which is played to its end whatever is pressed or said.
    ///
    /// ```
    /// # use switchhook::client::{Listen, Prompt};
    /// # use switchhook::wire::identifiers::Identifier;
    /// let terms = Prompt::say("This call is recorded. Press one to go on.");
    /// let listen = Listen::for_keys(Identifier::phone("+14255550123"), 1).after(terms).to_the_end();
    /// ```
    #[must_use]
    pub fn to_the_end(mut self) -> Self {
        self.options.interrupt_prompt = Some(false);
        self
    }

    /// … giving this long for the first key or word; whole seconds. 5 s unless given.
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use std::time::Duration;
    /// let patient = Listen::for_keys(Identifier::phone("+14255550123"), 4).first_within(Duration::from_secs(15));
    /// ```
    #[must_use]
    pub fn first_within(mut self, time: Duration) -> Self {
        self.options.initial_silence_timeout_in_seconds = Some(whole_seconds(time));
        self
    }

    /// … giving this long between two keys; whole seconds. 2 s unless given.
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use std::time::Duration;
    /// let card = Listen::for_keys(Identifier::phone("+14255550123"), 16).next_within(Duration::from_secs(6));
    /// ```
    #[must_use]
    pub fn next_within(mut self, time: Duration) -> Self {
        let keys = self.options.dtmf_options.get_or_insert_default();
        keys.inter_tone_timeout_in_seconds = Some(whole_seconds(time));
        self
    }

    /// … until this key, spelt as Azure spells it (`pound`); may be given several times.
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let account = Listen::for_keys(Identifier::phone("+14255550123"), 12).until("pound").until("asterisk");
    /// ```
    #[must_use]
    pub fn until(mut self, key: impl Into<String>) -> Self {
        let keys = self.options.dtmf_options.get_or_insert_default();
        keys.stop_tones.get_or_insert_default().push(key.into());
        self
    }

    /// … in this language (BCP-47).
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use std::time::Duration;
    /// let silence = Duration::from_secs(1);
    /// let listen = Listen::for_speech(Identifier::phone("+14255550123"), silence).language("de-DE");
    /// ```
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.options.speech_language = Some(language.into());
        self
    }

    /// … cutting off what plays, instead of queueing behind it.
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let now = Listen::for_keys(Identifier::phone("+14255550123"), 1).interrupting();
    /// ```
    #[must_use]
    pub fn interrupting(mut self) -> Self {
        self.interrupts = true;
        self
    }

    /// … with this operationContext instead of a generated one. It must be unique in the call.
    ///
    /// ```
    /// # use switchhook::client::Listen;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let listen = Listen::for_keys(Identifier::phone("+14255550123"), 1).context("menu-1");
    /// ```
    #[must_use]
    pub fn context(mut self, context: impl Into<OperationContext>) -> Self {
        self.context = Some(context.into());
        self
    }
}

fn whole_seconds(time: Duration) -> i64 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

impl From<Listen> for RecognizeRequest {
    fn from(listen: Listen) -> Self {
        let mut sources = listen.prompt.map(Prompt::into_sources).unwrap_or_default();
        // One source goes where every version of the service looks for it.
        let (one, several) = match sources.len() {
            0 => (None, None),
            1 => (sources.pop(), None),
            _ => (None, Some(sources)),
        };
        Self {
            recognize_input_type: Some(listen.input.to_owned()),
            play_prompt: one,
            play_prompts: several,
            interrupt_call_media_operation: Some(listen.interrupts),
            recognize_options: Some(listen.options),
            operation_context: listen.context,
            operation_callback_uri: None,
        }
    }
}
