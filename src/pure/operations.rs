//! Which events end which operation, and which operations carry a context of their own (rule C12).
//!
//! Owns the one table of it; the client, the gateway and the event processor's tests read it here.
//! It knows names only: waiting and timing are somebody else's.

use std::time::Duration;

use crate::wire::calling::{Method, Operation};
use crate::wire::events::EventKind;

/// How long the end of an operation is waited for, unless somebody says otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(4 * 60);

/// How long nothing must have come for what only silence ends, unless somebody says otherwise. The
/// service does not say how long a failure may take.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(2);

/// How one knows that an operation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The HTTP answer says all there is to say.
    Answer,
    /// By an event with the operation's context; one for each participant where there are several.
    Event,
    /// Only failure has an event: it has worked when none came for a while after the answer.
    Silence,
    /// It ends other operations, whose events have their own contexts: they are collected until none
    /// came for a while.
    Gathering,
    /// By an event without any context, in the order in which the operations were asked for.
    Recording,
    /// By the end of the call.
    CallEnd,
}

impl Way {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Answer => "the answer itself",
            Self::Event => "an event with its context",
            Self::Silence => "no failure for a while after the answer",
            Self::Gathering => "the events of what it cancelled, until none came for a while",
            Self::Recording => "an event about the recording",
            Self::CallEnd => "the end of the call",
        }
    }
}

/// What an event says of the operation that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It has worked.
    Succeeded,
    /// It has not.
    Failed,
    /// It was cut off.
    Canceled,
}

impl Verdict {
    /// What an event says of an operation of its own.
    pub fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::PlayCanceled | EventKind::RecognizeCanceled => Self::Canceled,
            failed if failed.short_name().ends_with("Failed") => Self::Failed,
            _ => Self::Succeeded,
        }
    }
}

/// Declares the table: operation, whether its request has an `operationContext`, how one knows that it
/// is over, and its endings.
macro_rules! endings {
    ($($operation:ident $context:literal $way:ident [$($kind:ident),*];)*) => {
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

        /// How one knows that the operation is over.
        pub fn way(operation: Operation) -> Way {
            match operation {
                $(Operation::$operation => Way::$way,)*
            }
        }
    };
}

#[rustfmt::skip] // a table keeps its columns
endings! {
    CreateCall                     true  Event     [CallConnected, CreateCallFailed];
    AnswerCall                     true  Event     [CallConnected, AnswerFailed];
    RedirectCall                   false Answer    [];
    RejectCall                     false Answer    [];
    Connect                        true  Event     [CallConnected, ConnectFailed];
    GetCall                        false Answer    [];
    HangUpCall                     false CallEnd   [CallDisconnected];
    TerminateCall                  false CallEnd   [CallDisconnected];
    TransferToParticipant          true  Event     [CallTransferAccepted, CallTransferFailed];
    GetParticipants                false Answer    [];
    AddParticipant                 true  Event     [AddParticipantSucceeded, AddParticipantFailed];
    RemoveParticipant              true  Event     [RemoveParticipantSucceeded, RemoveParticipantFailed];
    MuteParticipants               true  Answer    [];
    CancelAddParticipant           true  Event     [CancelAddParticipantSucceeded, CancelAddParticipantFailed];
    MoveParticipants               true  Event     [MoveParticipantSucceeded, MoveParticipantFailed];
    GetParticipant                 false Answer    [];
    Play                           true  Event     [PlayCompleted, PlayFailed, PlayCanceled];
    StartTranscription             true  Event     [TranscriptionStarted, TranscriptionFailed];
    StopTranscription              true  Event     [TranscriptionStopped, TranscriptionFailed];
    UpdateTranscription            true  Event     [TranscriptionUpdated, TranscriptionFailed];
    CancelAllMediaOperations       false Gathering [PlayCanceled, RecognizeCanceled];
    Recognize                      true  Event     [RecognizeCompleted, RecognizeFailed, RecognizeCanceled];
    StartContinuousDtmfRecognition true  Answer    [];
    StopContinuousDtmfRecognition  true  Event     [ContinuousDtmfRecognitionStopped];
    SendDtmfTones                  true  Event     [SendDtmfTonesCompleted, SendDtmfTonesFailed];
    Hold                           true  Silence   [HoldFailed];
    Unhold                         true  Silence   [HoldFailed];
    StartMediaStreaming            true  Event     [MediaStreamingStarted, MediaStreamingFailed];
    StopMediaStreaming             true  Event     [MediaStreamingStopped, MediaStreamingFailed];
    StartRecording                 false Recording [RecordingStateChanged, StartRecordingFailed];
    GetRecordingProperties         false Answer    [];
    StopRecording                  false Recording [RecordingStateChanged];
    PauseRecording                 false Recording [RecordingStateChanged];
    ResumeRecording                false Recording [RecordingStateChanged];
}

/// Whether it has an outcome that somebody may wait for: it is about a call of ours, and does something.
pub fn has_outcome(operation: Operation) -> bool {
    let leaves_us = matches!(operation, Operation::RedirectCall | Operation::RejectCall);
    operation.method() != Method::Get && !leaves_us
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn c12_every_operation_ends_in_a_way_that_fits_its_events() {
        for operation in Operation::ALL.iter().copied() {
            let (kinds, label) = (endings(operation), operation.label());
            let verdicts: Vec<_> = kinds.iter().map(Verdict::of).collect();
            match way(operation) {
                Way::Answer => assert!(kinds.is_empty(), "{label}"),
                Way::Event => {
                    assert!(takes_context(operation), "{label}");
                    assert_eq!(verdicts[0], Verdict::Succeeded, "{label}");
                }
                Way::Silence => assert_eq!(verdicts, [Verdict::Failed], "{label}"),
                Way::Gathering => assert!(verdicts.iter().all(|it| *it == Verdict::Canceled)),
                Way::Recording => assert!(!takes_context(operation), "{label}"),
                Way::CallEnd => assert_eq!(kinds, [EventKind::CallDisconnected], "{label}"),
            }
        }
    }

    #[test]
    fn an_operation_that_only_reads_has_neither_context_nor_ending() {
        for op in Operation::ALL.iter().filter(|op| op.method() == Method::Get) {
            assert!(endings(*op).is_empty() && !takes_context(*op), "{}", op.label());
        }
    }
}
