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
    pub fn for_keys(who: Identifier, most: u8) -> Self {
        let keys = DtmfOptions {
            max_tones_to_collect: Some(most.into()),
            inter_tone_timeout_in_seconds: Some(2),
            ..DtmfOptions::default()
        };
        Self::to(who, "dtmf", |options| options.dtmf_options = Some(keys))
    }

    /// For one of several choices, said or keyed in.
    pub fn for_choice(who: Identifier, choices: impl IntoIterator<Item = Choice>) -> Self {
        let choices = choices.into_iter().collect();
        Self::to(who, "choices", |options| options.choices = Some(choices))
    }

    /// For whatever is said, until `silence` ends it.
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
    #[must_use]
    pub fn after(mut self, prompt: Prompt) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// … which is played to its end whatever is pressed or said.
    #[must_use]
    pub fn to_the_end(mut self) -> Self {
        self.options.interrupt_prompt = Some(false);
        self
    }

    /// … giving this long for the first key or word; whole seconds. 5 s unless given.
    #[must_use]
    pub fn first_within(mut self, time: Duration) -> Self {
        self.options.initial_silence_timeout_in_seconds = Some(whole_seconds(time));
        self
    }

    /// … giving this long between two keys; whole seconds. 2 s unless given.
    #[must_use]
    pub fn next_within(mut self, time: Duration) -> Self {
        let keys = self.options.dtmf_options.get_or_insert_default();
        keys.inter_tone_timeout_in_seconds = Some(whole_seconds(time));
        self
    }

    /// … until this key, spelt as Azure spells it (`pound`); may be given several times.
    #[must_use]
    pub fn until(mut self, key: impl Into<String>) -> Self {
        let keys = self.options.dtmf_options.get_or_insert_default();
        keys.stop_tones.get_or_insert_default().push(key.into());
        self
    }

    /// … in this language (BCP-47).
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.options.speech_language = Some(language.into());
        self
    }

    /// … cutting off what plays, instead of queueing behind it.
    #[must_use]
    pub fn interrupting(mut self) -> Self {
        self.interrupts = true;
        self
    }

    /// … with this operationContext instead of a generated one. It must be unique in the call.
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
