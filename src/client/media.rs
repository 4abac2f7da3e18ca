//! What goes on in a call beside prompts: hold, keys pressed at any time, streams, transcription.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::call::Call;
use super::cancelling::disturbance;
use super::error::{AskError, WaitError};
use super::outcomes::{HoldOutcome, StopKeysOutcome, StreamOutcome, Tones};
use super::pending::{Pending, wants_of};
use crate::acs::operations;
use crate::actors::{Gone, Subscription};
use crate::ports::{self, Clock, Later};
use crate::pure::call::{CloseReason, Wants};
use crate::pure::codes::Codes;
use crate::pure::operations::DEFAULT_GRACE;
use crate::wire::calling::{
    ContinuousDtmfRecognitionRequest, HoldRequest, Place, PlaySource, StartMediaStreamingRequest,
    StartTranscriptionRequest, StopContinuousDtmfRequest, StopMediaStreamingRequest,
    StopTranscriptionRequest, UnholdRequest, UpdateTranscriptionRequest,
};
use crate::wire::events::{Detail, EventKind};
use crate::wire::identifiers::{Identifier, OperationContext};

impl Call {
    /// Puts somebody on hold, who hears silence, or `music` again and again.
    ///
    /// ```no_run
    /// # use switchhook::client::HoldOutcome;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let caller = Identifier::phone("+14255550123");
    /// if call.hold(caller.clone(), None).await?.await? == HoldOutcome::Done {
    ///     let _back = call.unhold(caller).await?.await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn hold(
        &self,
        who: Identifier,
        music: Option<PlaySource>,
    ) -> Result<Holding, AskError> {
        let (target_participant, play_source_info) = (Some(who), music);
        let request = HoldRequest { target_participant, play_source_info, ..Default::default() };
        Ok(Holding::of(self, self.start(request).await?))
    }

    /// Takes somebody off hold.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let _back = call.unhold(Identifier::phone("+14255550123")).await?.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn unhold(&self, who: Identifier) -> Result<Holding, AskError> {
        let request = HoldRequest { target_participant: Some(who), ..Default::default() };
        Ok(Holding::of(self, self.start(UnholdRequest { inner: request }).await?))
    }

    /// Hears every key that a telephone participant presses from now on.
    ///
    /// ```no_run
    /// # use switchhook::client::Key;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut keys = call.keys_of(Identifier::phone("+14255550123")).await?;
    /// while let Some(Key::Pressed(tones)) = keys.next().await? {
    ///     println!("{} keys", tones.words().len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is listened for.
    pub async fn keys_of(&self, who: Identifier) -> Result<Keys, AskError> {
        let target_participant = Some(who);
        let mut request =
            ContinuousDtmfRecognitionRequest { target_participant, ..Default::default() };
        // Kinds of its own: nothing ends the operation itself.
        let context = wants_of(&mut request).context;
        let events = self.listen(Wants::kinds(&Keys::KINDS)).await?;
        operations::ask(&*self.inner().azure, &request, Place::Call(self.id().clone())).await?;
        Ok(Keys { events, context })
    }

    /// Stops hearing the keys of somebody.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// call.stop_keys_of(Identifier::phone("+14255550123")).await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn stop_keys_of(
        &self,
        who: Identifier,
    ) -> Result<Pending<StopKeysOutcome>, AskError> {
        let target_participant = Some(who);
        let request = ContinuousDtmfRecognitionRequest { target_participant, ..Default::default() };
        self.start(StopContinuousDtmfRequest { inner: request }).await
    }

    /// Starts the audio stream that the call was made with ([`NewCall::streaming`]).
    ///
    /// [`NewCall::streaming`]: super::NewCall::streaming
    ///
    /// ```no_run
    /// # use switchhook::client::StreamOutcome;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(call.start_streaming().await?.outcome().await?, StreamOutcome::Done);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn start_streaming(&self) -> Result<Pending<StreamOutcome>, AskError> {
        self.start(StartMediaStreamingRequest::default()).await
    }

    /// Stops the audio stream.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let _stopped = call.stop_streaming().await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn stop_streaming(&self) -> Result<Pending<StreamOutcome>, AskError> {
        self.start(StopMediaStreamingRequest::default()).await
    }

    /// Starts the transcription that the call was made with ([`NewCall::transcribing`]), in its language
    /// or in `locale`, like `en-US`.
    ///
    /// [`NewCall::transcribing`]: super::NewCall::transcribing
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let _started = call.start_transcription(Some("en-GB".into())).await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn start_transcription(
        &self,
        locale: Option<String>,
    ) -> Result<Pending<StreamOutcome>, AskError> {
        self.start(StartTranscriptionRequest { locale, ..Default::default() }).await
    }

    /// Changes the language of the transcription.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let _changed = call.transcribe_in("de-DE").await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn transcribe_in(
        &self,
        locale: impl Into<String>,
    ) -> Result<Pending<StreamOutcome>, AskError> {
        let locale = Some(locale.into());
        self.start(UpdateTranscriptionRequest { locale, ..Default::default() }).await
    }

    /// Stops the transcription.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let _stopped = call.stop_transcription().await?.outcome().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`]; then nothing is waited for.
    pub async fn stop_transcription(&self) -> Result<Pending<StreamOutcome>, AskError> {
        self.start(StopTranscriptionRequest::default()).await
    }
}

/// Somebody is being put on hold, or taken off it. Await it: Azure reports only failure, so it has
/// worked when none came for a while (rule C12).
///
/// ```no_run
/// # use switchhook::client::HoldOutcome;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let holding = call.hold(Identifier::phone("+14255550123"), None).await?;
/// assert_eq!(holding.await?, HoldOutcome::Done);
/// # Ok(())
/// # }
/// ```
#[must_use = "await it to hear whether it worked"]
pub struct Holding {
    failure: Pending<HoldOutcome>,
    clock: Arc<dyn Clock>,
    grace: Duration,
}

impl Holding {
    fn of(call: &Call, failure: Pending<HoldOutcome>) -> Self {
        let clock = Arc::clone(&call.inner().clock);
        Self { failure, clock, grace: DEFAULT_GRACE }
    }

    /// For how long no failure must come; 2 s unless given. Azure does not say how long it may take.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use std::time::Duration;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let holding = call.hold(Identifier::phone("+14255550123"), None).await?;
    /// let _held = holding.grace(Duration::from_millis(500)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    async fn outcome(self) -> Result<HoldOutcome, WaitError> {
        let grace = pin!(ports::sleep(&*self.clock, self.grace));
        match select(self.failure.outcome().into_future(), grace).await {
            Either::Left((failure, _)) => failure,
            Either::Right(_) => Ok(HoldOutcome::Done),
        }
    }
}

impl IntoFuture for Holding {
    type Output = Result<HoldOutcome, WaitError>;
    type IntoFuture = Later<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outcome())
    }
}

/// The keys that somebody presses, one by one. Dropping it stops listening, not the recognition: see
/// [`Call::stop_keys_of`].
///
/// ```no_run
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let mut keys = call.keys_of(Identifier::phone("+14255550123")).await?;
/// while let Some(key) = keys.next().await? {
///     println!("{key:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "keys are heard by asking for the next one"]
pub struct Keys {
    events: Subscription,
    context: Option<OperationContext>,
}

/// A key, or that none could be heard. Theirs, so it does not show in `Debug`.
///
/// ```no_run
/// # use switchhook::client::Key;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let mut keys = call.keys_of(Identifier::phone("+14255550123")).await?;
/// match keys.next().await? {
///     Some(Key::Pressed(tone)) if tone.digits() == "0" => println!("wants a human"),
///     Some(Key::Pressed(_)) => println!("goes on"),
///     Some(Key::Failed(codes)) => println!("not heard: {codes}"),
///     None => println!("hung up"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// One key.
    Pressed(Tones),
    /// Something went wrong with hearing them.
    Failed(Codes),
}

impl Keys {
    const KINDS: [EventKind; 3] = [
        EventKind::ContinuousDtmfRecognitionToneReceived,
        EventKind::ContinuousDtmfRecognitionToneFailed,
        EventKind::ContinuousDtmfRecognitionStopped,
    ];

    /// The next key; `None` when it was stopped, or the call has ended.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut keys = call.keys_of(Identifier::phone("+14255550123")).await?;
    /// let first = keys.next().await?;
    /// println!("{first:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WaitError`] when the service stops, or keys came faster than they were asked for.
    pub async fn next(&mut self) -> Result<Option<Key>, WaitError> {
        loop {
            let heard = match self.events.next().await {
                Ok(heard) => heard,
                Err(Gone::Closed(CloseReason::CallEnded)) => return Ok(None),
                Err(gone) => return Err(disturbance(gone)),
            };
            let event = &heard.event;
            match (&event.kind, &event.detail) {
                // The request to stop has a context of its own.
                (EventKind::ContinuousDtmfRecognitionStopped, _) => return Ok(None),
                _ if event.context != self.context => {}
                (_, Detail::Tone { tone: Some(tone), .. }) => {
                    return Ok(Some(Key::Pressed(Tones::one(tone.as_str()))));
                }
                _ => {
                    let (code, sub_code) = event.codes();
                    return Ok(Some(Key::Failed(Codes { code, sub_code })));
                }
            }
        }
    }
}
