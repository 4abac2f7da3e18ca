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
#[derive(Clone, PartialEq)]
pub struct NewCall(CreateCallRequest);

impl fmt::Debug for NewCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewCall(…)")
    }
}

impl NewCall {
    /// To somebody.
    pub fn to(target: Identifier) -> Self {
        Self(CreateCallRequest { targets: Some(vec![target]), ..CreateCallRequest::default() })
    }

    /// … and to somebody else at once; all ring together.
    #[must_use]
    pub fn and(mut self, target: Identifier) -> Self {
        self.0.targets.get_or_insert_default().push(target);
        self
    }

    /// … showing this number (E.164), which telephone targets need.
    #[must_use]
    pub fn from_number(mut self, e164: impl Into<String>) -> Self {
        self.0.source_caller_id_number = Some(PhoneNumber::new(e164.into()));
        self
    }

    /// … showing this name to targets that are no telephones.
    #[must_use]
    pub fn from_name(mut self, name: impl Into<String>) -> Self {
        self.0.source_display_name = Some(name.into());
        self
    }

    /// … with prompts and recognition by the speech resource at this endpoint.
    #[must_use]
    pub fn speech(mut self, endpoint: impl Into<String>) -> Self {
        self.0.call_intelligence_options = Some(speech_at(endpoint.into()));
        self
    }

    /// … with a stream of its sound over a web socket. See [`Call::start_streaming`](super::Call).
    #[must_use]
    pub fn streaming(mut self, options: &MediaStreamingOptions) -> Self {
        self.0.media_streaming_options = serde_json::to_value(options).ok();
        self
    }

    /// … with a transcription over a web socket. See [`Call::start_transcription`](super::Call).
    #[must_use]
    pub fn transcribing(mut self, options: &TranscriptionOptions) -> Self {
        self.0.transcription_options = serde_json::to_value(options).ok();
        self
    }

    /// … with this operationContext instead of a generated one. It must be unique.
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
#[derive(Clone, PartialEq)]
pub struct Answering(AnswerCallRequest);

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering(…)")
    }
}

impl Answering {
    /// The call with this ticket.
    pub fn of(ringing: IncomingCallContext) -> Self {
        let incoming_call_context = Some(ringing);
        Self(AnswerCallRequest { incoming_call_context, ..AnswerCallRequest::default() })
    }

    /// … with prompts and recognition by the speech resource at this endpoint.
    #[must_use]
    pub fn speech(mut self, endpoint: impl Into<String>) -> Self {
        self.0.call_intelligence_options = Some(speech_at(endpoint.into()));
        self
    }

    /// … as this identity of the resource.
    #[must_use]
    pub fn answered_by(mut self, who: CommunicationUser) -> Self {
        self.0.answered_by = Some(who);
        self
    }

    /// … with this operationContext instead of a generated one. It must be unique.
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
