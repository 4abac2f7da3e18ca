//! Which events end which operation, and which operations carry a context of their own (rule C12).
//!
//! Owns the one table of it; the client, the gateway and the event processor's tests read it here.
//! It knows names only: waiting and timing are somebody else's.

use crate::wire::calling::Operation;
use crate::wire::events::EventKind;

/// Declares the table: operation, whether its request has an `operationContext`, and its endings.
macro_rules! endings {
    ($($operation:ident $context:literal [$($kind:ident),*];)*) => {
        /// The events of which any one ends the operation, best news first. Empty when the HTTP
        /// answer says all there is to say. For hold and unhold only failure has an event.
        pub fn endings(operation: Operation) -> &'static [EventKind] {
            match operation {
                $(Operation::$operation => {
                    const KINDS: &[EventKind] = &[$(EventKind::$kind),*];
                    KINDS
                })*
            }
        }

        /// Whether the request has an `operationContext`, which its events then carry.
        pub fn takes_context(operation: Operation) -> bool {
            match operation {
                $(Operation::$operation => $context,)*
            }
        }
    };
}

#[rustfmt::skip] // a table keeps its columns
endings! {
    CreateCall                     true  [CallConnected, CreateCallFailed];
    AnswerCall                     true  [CallConnected, AnswerFailed];
    RedirectCall                   false [];
    RejectCall                     false [];
    Connect                        true  [CallConnected, ConnectFailed];
    GetCall                        false [];
    HangUpCall                     false [CallDisconnected];
    TerminateCall                  false [CallDisconnected];
    TransferToParticipant          true  [CallTransferAccepted, CallTransferFailed];
    GetParticipants                false [];
    AddParticipant                 true  [AddParticipantSucceeded, AddParticipantFailed];
    RemoveParticipant              true  [RemoveParticipantSucceeded, RemoveParticipantFailed];
    MuteParticipants               true  [];
    CancelAddParticipant           true  [CancelAddParticipantSucceeded, CancelAddParticipantFailed];
    MoveParticipants               true  [MoveParticipantSucceeded, MoveParticipantFailed];
    GetParticipant                 false [];
    Play                           true  [PlayCompleted, PlayFailed, PlayCanceled];
    StartTranscription             true  [TranscriptionStarted, TranscriptionFailed];
    StopTranscription              true  [TranscriptionStopped, TranscriptionFailed];
    UpdateTranscription            true  [TranscriptionUpdated, TranscriptionFailed];
    CancelAllMediaOperations       false [PlayCanceled, RecognizeCanceled];
    Recognize                      true  [RecognizeCompleted, RecognizeFailed, RecognizeCanceled];
    StartContinuousDtmfRecognition true  [];
    StopContinuousDtmfRecognition  true  [ContinuousDtmfRecognitionStopped];
    SendDtmfTones                  true  [SendDtmfTonesCompleted, SendDtmfTonesFailed];
    Hold                           true  [HoldFailed];
    Unhold                         true  [HoldFailed];
    StartMediaStreaming            true  [MediaStreamingStarted, MediaStreamingFailed];
    StopMediaStreaming             true  [MediaStreamingStopped, MediaStreamingFailed];
    StartRecording                 false [RecordingStateChanged, StartRecordingFailed];
    GetRecordingProperties         false [];
    StopRecording                  false [RecordingStateChanged];
    PauseRecording                 false [RecordingStateChanged];
    ResumeRecording                false [RecordingStateChanged];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::calling::Method;

    #[test]
    fn c12_operations_know_which_events_end_them() {
        use EventKind::*;
        assert_eq!(endings(Operation::Play), [PlayCompleted, PlayFailed, PlayCanceled]);
        let recognize = [RecognizeCompleted, RecognizeFailed, RecognizeCanceled];
        assert_eq!(endings(Operation::Recognize), recognize);
        assert_eq!(endings(Operation::CancelAllMediaOperations), [PlayCanceled, RecognizeCanceled]);
        assert_eq!(endings(Operation::Hold), [HoldFailed]);
    }

    #[test]
    fn c12_every_ending_is_a_terminal_event_and_every_terminal_event_ends_something() {
        let ends_something =
            |kind: &EventKind| Operation::ALL.iter().any(|op| endings(*op).contains(kind));
        let news_only = ["ParticipantsUpdated", "PlayStarted"];
        let tones = "ContinuousDtmfRecognitionTone";
        for kind in EventKind::KNOWN {
            let name = kind.short_name();
            let is_news = news_only.contains(&name) || name.starts_with(tones);
            assert_eq!(ends_something(kind), !is_news, "{name}");
        }
    }

    #[test]
    fn an_operation_that_only_reads_has_neither_context_nor_ending() {
        for op in Operation::ALL.iter().filter(|op| op.method() == Method::Get) {
            assert!(endings(*op).is_empty() && !takes_context(*op), "{}", op.label());
        }
    }
}
