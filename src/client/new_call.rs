//! What is needed to place or to answer a call.
//!
//! Texts, names and numbers are the application's: `Debug` shows none of them.

use std::fmt;

use crate::wire::calling::{
    AnswerCallRequest, CallIntelligenceOptions, CreateCallRequest, MediaStreamingOptions,
    TranscriptionOptions,
};
use crate::wire::identifiers::{
    CommunicationUser, Identifier, IncomingCallContext, OperationContext, PhoneNumber,
};

/// A call to be placed.
///
/// ```no_run
/// # use switchhook::client::NewCall;
/// # use switchhook::wire::identifiers::Identifier;
/// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let reminder = NewCall::to(Identifier::phone("+14255550123"))
///     .from_number("+18335550100")
///     .speech("https://ours.cognitiveservices.azure.com");
/// let call = client.create_call(reminder).await?;
/// let _up = call.connected().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct NewCall(CreateCallRequest);

impl fmt::Debug for NewCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewCall(…)")
    }
}

impl NewCall {
    /// To somebody.
    ///
    /// ```
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let new = NewCall::to(Identifier::from_raw_id("8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_1"));
    /// ```
    pub fn to(target: Identifier) -> Self {
        Self(CreateCallRequest { targets: Some(vec![target]), ..CreateCallRequest::default() })
    }

    /// … and to somebody else at once; all ring together.
    ///
    /// ```
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let new = NewCall::to(Identifier::phone("+14255550123"))
    ///     .and(Identifier::phone("+14255550124"))
    ///     .from_number("+18335550100");
    /// ```
    #[must_use]
    pub fn and(mut self, target: Identifier) -> Self {
        self.0.targets.get_or_insert_default().push(target);
        self
    }

    /// … showing this number (E.164), which telephone targets need.
    ///
    /// ```
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let new = NewCall::to(Identifier::phone("+14255550123")).from_number("+18335550100");
    /// ```
    #[must_use]
    pub fn from_number(mut self, e164: impl Into<String>) -> Self {
        self.0.source_caller_id_number = Some(PhoneNumber::new(e164.into()));
        self
    }

    /// … showing this name to targets that are no telephones.
    ///
    /// ```
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let user = Identifier::from_raw_id("8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_1");
    /// let new = NewCall::to(user).from_name("Front desk");
    /// ```
    #[must_use]
    pub fn from_name(mut self, name: impl Into<String>) -> Self {
        self.0.source_display_name = Some(name.into());
        self
    }

    /// … with prompts and recognition by the speech resource at this endpoint.
    ///
    /// ```
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let new = NewCall::to(Identifier::phone("+14255550123"))
    ///     .speech("https://ours.cognitiveservices.azure.com");
    /// ```
    #[must_use]
    pub fn speech(mut self, endpoint: impl Into<String>) -> Self {
        self.0.call_intelligence_options = Some(speech_at(endpoint.into()));
        self
    }

    /// … with a stream of its sound over a web socket. See [`Call::start_streaming`](super::Call).
    ///
    /// ```
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use switchhook::wire::calling::MediaStreamingOptions;
    /// let options = MediaStreamingOptions {
    ///     transport_url: Some("wss://ours.example.test/media".to_owned()),
    ///     transport_type: Some("websocket".to_owned()),
    ///     ..Default::default()
    /// };
    /// let new = NewCall::to(Identifier::phone("+14255550123")).streaming(&options);
    /// ```
    #[must_use]
    pub fn streaming(mut self, options: &MediaStreamingOptions) -> Self {
        self.0.media_streaming_options = serde_json::to_value(options).ok();
        self
    }

    /// … with a transcription over a web socket. See [`Call::start_transcription`](super::Call).
    ///
    /// ```
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # use switchhook::wire::calling::TranscriptionOptions;
    /// let options = TranscriptionOptions {
    ///     transport_url: Some("wss://ours.example.test/words".to_owned()),
    ///     locale: Some("en-US".to_owned()),
    ///     ..Default::default()
    /// };
    /// let new = NewCall::to(Identifier::phone("+14255550123")).transcribing(&options);
    /// ```
    #[must_use]
    pub fn transcribing(mut self, options: &TranscriptionOptions) -> Self {
        self.0.transcription_options = serde_json::to_value(options).ok();
        self
    }

    /// … with this operationContext instead of a generated one. It must be unique.
    ///
    /// ```
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// let new = NewCall::to(Identifier::phone("+14255550123")).context("reminder 4711");
    /// ```
    #[must_use]
    pub fn context(mut self, context: impl Into<OperationContext>) -> Self {
        self.0.operation_context = Some(context.into());
        self
    }

    pub(super) fn into_request(self, callback_uri: &str) -> CreateCallRequest {
        CreateCallRequest { callback_uri: Some(callback_uri.to_owned()), ..self.0 }
    }
}

/// A ringing call to be answered.
///
/// ```no_run
/// # use switchhook::client::Answering;
/// # use switchhook::wire::identifiers::IncomingCallContext;
/// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// # let ringing = IncomingCallContext::new("from the event");
/// let call = client.answer(Answering::of(ringing)).await?;
/// let _up = call.connected().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Answering(AnswerCallRequest);

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering(…)")
    }
}

impl Answering {
    /// The call with this ticket.
    ///
    /// ```
    /// # use switchhook::client::Answering;
    /// # use switchhook::wire::identifiers::IncomingCallContext;
    /// let answering = Answering::of(IncomingCallContext::new("eyJhbGciOiJub25lIn0"));
    /// ```
    pub fn of(ringing: IncomingCallContext) -> Self {
        let incoming_call_context = Some(ringing);
        Self(AnswerCallRequest { incoming_call_context, ..AnswerCallRequest::default() })
    }

    /// … with prompts and recognition by the speech resource at this endpoint.
    ///
    /// ```
    /// # use switchhook::client::Answering;
    /// # use switchhook::wire::identifiers::IncomingCallContext;
    /// let ringing = IncomingCallContext::new("eyJhbGciOiJub25lIn0");
    /// let answering = Answering::of(ringing).speech("https://ours.cognitiveservices.azure.com");
    /// ```
    #[must_use]
    pub fn speech(mut self, endpoint: impl Into<String>) -> Self {
        self.0.call_intelligence_options = Some(speech_at(endpoint.into()));
        self
    }

    /// … as this identity of the resource.
    ///
    /// ```
    /// # use switchhook::client::Answering;
    /// # use switchhook::wire::identifiers::{CommunicationUser, IncomingCallContext};
    /// let us = CommunicationUser { id: "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_1".into() };
    /// let ringing = IncomingCallContext::new("eyJhbGciOiJub25lIn0");
    /// let answering = Answering::of(ringing).answered_by(us);
    /// ```
    #[must_use]
    pub fn answered_by(mut self, who: CommunicationUser) -> Self {
        self.0.answered_by = Some(who);
        self
    }

    /// … with this operationContext instead of a generated one. It must be unique.
    ///
    /// ```
    /// # use switchhook::client::Answering;
    /// # use switchhook::wire::identifiers::IncomingCallContext;
    /// let ringing = IncomingCallContext::new("eyJhbGciOiJub25lIn0");
    /// let answering = Answering::of(ringing).context("front desk");
    /// ```
    #[must_use]
    pub fn context(mut self, context: impl Into<OperationContext>) -> Self {
        self.0.operation_context = Some(context.into());
        self
    }

    pub(super) fn into_request(self, callback_uri: &str) -> AnswerCallRequest {
        AnswerCallRequest { callback_uri: Some(callback_uri.to_owned()), ..self.0 }
    }
}

impl From<IncomingCallContext> for Answering {
    fn from(ringing: IncomingCallContext) -> Self {
        Self::of(ringing)
    }
}

pub(super) fn speech_at(endpoint: String) -> CallIntelligenceOptions {
    CallIntelligenceOptions { cognitive_services_endpoint: Some(endpoint) }
}
