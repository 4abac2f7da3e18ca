//! Models that are the whole body of an operation, and what answers them.
//!
//! Owns the tie between a request model, its operation and the model of its answer, so that nobody
//! can send one operation's body to another or read the wrong answer.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    AddParticipantRequest, AddParticipantResponse, AnswerCallRequest, CallConnectionProperties,
    CancelAddParticipantRequest, CancelAddParticipantResponse, ConnectRequest,
    ContinuousDtmfRecognitionRequest, CreateCallRequest, HoldRequest, MoveParticipantsRequest,
    MoveParticipantsResponse, MuteParticipantsRequest, Operation, OperationContextResponse,
    PlayRequest, RecognizeRequest, RecordingStateResponse, RedirectCallRequest, RejectCallRequest,
    RemoveParticipantRequest, SendDtmfTonesRequest, StartMediaStreamingRequest,
    StartRecordingRequest, StartTranscriptionRequest, StopMediaStreamingRequest,
    StopTranscriptionRequest, TransferToParticipantRequest, UpdateTranscriptionRequest,
};
use crate::wire::identifiers::OperationContext;

/// A model that is the whole body of one operation.
pub trait RequestModel: Serialize {
    /// The operation that it asks for.
    const OPERATION: Operation;
    /// What Azure answers. `Default` stands for an empty body.
    type Answer: DeserializeOwned + Default;

    /// The JSON that is sent.
    fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("models of the API have text keys and finite numbers only")
    }
}

/// A request model whose events carry the context that it gives.
pub trait WithContext: RequestModel {
    /// Where the context stands.
    fn operation_context(&mut self) -> &mut Option<OperationContext>;
}

/// The answer of operations that answer with nothing worth reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Nothing {}

/// Body of `StopContinuousDtmfRecognition`: the same model asks for its beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct StopContinuousDtmfRequest {
    /// What is sent.
    pub inner: ContinuousDtmfRecognitionRequest,
}

/// Body of `Unhold`: the same model, without `playSourceInfo`, asks for `Hold`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct UnholdRequest {
    /// What is sent.
    pub inner: HoldRequest,
}

macro_rules! requests {
    ($($model:ident asks $operation:ident gets $answer:ident $(, with $($context:tt).+)?;)*) => {
        $(
            impl RequestModel for $model {
                const OPERATION: Operation = Operation::$operation;
                type Answer = $answer;
            }
            $(
                impl WithContext for $model {
                    fn operation_context(&mut self) -> &mut Option<OperationContext> {
                        &mut self.$($context).+
                    }
                }
            )?
        )*
    };
}

requests! {
    CreateCallRequest asks CreateCall gets CallConnectionProperties, with operation_context;
    AnswerCallRequest asks AnswerCall gets CallConnectionProperties, with operation_context;
    RedirectCallRequest asks RedirectCall gets Nothing;
    RejectCallRequest asks RejectCall gets Nothing;
    TransferToParticipantRequest asks TransferToParticipant gets OperationContextResponse, with operation_context;
    AddParticipantRequest asks AddParticipant gets AddParticipantResponse, with operation_context;
    RemoveParticipantRequest asks RemoveParticipant gets OperationContextResponse, with operation_context;
    ConnectRequest asks Connect gets CallConnectionProperties, with operation_context;
    MuteParticipantsRequest asks MuteParticipants gets OperationContextResponse, with operation_context;
    CancelAddParticipantRequest asks CancelAddParticipant gets CancelAddParticipantResponse, with operation_context;
    MoveParticipantsRequest asks MoveParticipants gets MoveParticipantsResponse, with operation_context;
    StartMediaStreamingRequest asks StartMediaStreaming gets Nothing, with operation_context;
    StopMediaStreamingRequest asks StopMediaStreaming gets Nothing, with operation_context;
    StartTranscriptionRequest asks StartTranscription gets Nothing, with operation_context;
    StopTranscriptionRequest asks StopTranscription gets Nothing, with operation_context;
    UpdateTranscriptionRequest asks UpdateTranscription gets Nothing, with operation_context;
    PlayRequest asks Play gets Nothing, with operation_context;
    RecognizeRequest asks Recognize gets Nothing, with operation_context;
    StartRecordingRequest asks StartRecording gets RecordingStateResponse;
    ContinuousDtmfRecognitionRequest asks StartContinuousDtmfRecognition gets Nothing, with operation_context;
    StopContinuousDtmfRequest asks StopContinuousDtmfRecognition gets Nothing, with inner.operation_context;
    HoldRequest asks Hold gets Nothing, with operation_context;
    UnholdRequest asks Unhold gets Nothing, with inner.operation_context;
    SendDtmfTonesRequest asks SendDtmfTones gets OperationContextResponse, with operation_context;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::identifiers::Identifier;

    #[test]
    fn a_body_leaves_out_what_is_absent() {
        let request = RejectCallRequest {
            incoming_call_context: Some("ctx".into()),
            call_reject_reason: Some("busy".into()),
        };
        let wanted = r#"{"incomingCallContext":"ctx","callRejectReason":"busy"}"#;
        assert_eq!(request.body(), wanted.as_bytes());
        assert_eq!(PlayRequest::default().body(), b"{}");
    }

    #[test]
    fn a_context_goes_where_its_events_will_bring_it_back_from() {
        let mut request = TransferToParticipantRequest {
            target_participant: Some(Identifier::phone("+14255551212")),
            ..Default::default()
        };
        *request.operation_context() = Some("mine".into());
        let body: serde_json::Value = serde_json::from_slice(&request.body()).expect("JSON");
        assert_eq!(body["operationContext"], "mine");
    }
}
