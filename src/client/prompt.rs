//! What is played.
//!
//! Texts, names and numbers are the application's: `Debug` shows none of them.

use std::fmt;

use crate::wire::calling::{PlayOptions, PlayRequest, PlaySource};
use crate::wire::identifiers::{Identifier, OperationContext};

/// Something to play: sentences and files, in order.
///
/// ```
/// # use switchhook::client::Prompt;
/// let greeting = Prompt::file("https://prompts.example.test/jingle.wav")
///     .then(Prompt::say("Welcome to Contoso."))
///     .interrupting();
/// ```
#[derive(Clone, PartialEq)]
pub struct Prompt {
    sources: Vec<PlaySource>,
    request: PlayRequest,
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prompt({} sources)", self.sources.len())
    }
}

impl Prompt {
    /// A sentence, read out. Needs a speech resource; see [`super::NewCall::speech`].
    ///
    /// ```
    /// # use switchhook::client::Prompt;
    /// let prompt = Prompt::say("Welcome to Contoso.");
    /// ```
    pub fn say(text: impl Into<String>) -> Self {
        Self::from(PlaySource::text(text))
    }

    /// An audio file that Azure fetches: WAV (16 kHz, 16 bit, mono) or MP3.
    ///
    /// ```
    /// # use switchhook::client::Prompt;
    /// let prompt = Prompt::file("https://prompts.example.test/welcome.wav");
    /// ```
    pub fn file(uri: impl Into<String>) -> Self {
        Self::from(PlaySource::file(uri))
    }

    /// … followed by this.
    ///
    /// ```
    /// # use switchhook::client::Prompt;
    /// let prompt = Prompt::say("You are number").then(Prompt::say("three"));
    /// ```
    #[must_use]
    pub fn then(mut self, next: impl Into<Self>) -> Self {
        self.sources.extend(next.into().sources);
        self
    }

    /// … to this participant only; may be given several times.
    ///
    /// ```
    /// # use switchhook::client::Prompt;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let whisper = Prompt::say("A call from Contoso.").to(Identifier::phone("+14255550123"));
    /// ```
    #[must_use]
    pub fn to(mut self, listener: Identifier) -> Self {
        self.request.play_to.get_or_insert_default().push(listener);
        self
    }

    /// … cutting off what plays, instead of queueing behind it.
    ///
    /// ```
    /// # use switchhook::client::Prompt;
    /// let prompt = Prompt::say("It is your turn.").interrupting();
    /// ```
    #[must_use]
    pub fn interrupting(mut self) -> Self {
        self.request.interrupt_call_media_operation = Some(true);
        self
    }

    /// … again and again, until it is cancelled.
    ///
    /// ```
    /// # use switchhook::client::Prompt;
    /// let music = Prompt::file("https://prompts.example.test/music.wav").looping();
    /// ```
    #[must_use]
    pub fn looping(mut self) -> Self {
        self.request.play_options = Some(PlayOptions { r#loop: Some(true) });
        self
    }

    /// … with this operationContext instead of a generated one. It must be unique in the call.
    ///
    /// ```
    /// # use switchhook::client::Prompt;
    /// let prompt = Prompt::say("Welcome.").context("greeting");
    /// ```
    #[must_use]
    pub fn context(mut self, context: impl Into<OperationContext>) -> Self {
        self.request.operation_context = Some(context.into());
        self
    }

    pub(super) fn into_sources(self) -> Vec<PlaySource> {
        self.sources
    }
}

impl From<PlaySource> for Prompt {
    fn from(source: PlaySource) -> Self {
        // Said explicitly, because the official SDKs disagree about what its absence means.
        let request =
            PlayRequest { interrupt_call_media_operation: Some(false), ..PlayRequest::default() };
        Self { sources: vec![source], request }
    }
}

impl From<Prompt> for PlayRequest {
    fn from(prompt: Prompt) -> Self {
        Self { play_sources: Some(prompt.sources), ..prompt.request }
    }
}
