//! What an event says beyond its ids: one variant per shape of `data`.

use serde::{Deserialize, Serialize};

use super::EventKind;
use crate::wire::identifiers::Identifier;

/// Azure's `ResultInformation`. Compare on `sub_code` first; both may be absent, and 0 is a legal code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResultInformation {
    /// HTTP- or SIP-like class of the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_code: Option<i32>,
    /// Azure's sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The SIP side, for telephone legs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_details: Option<SipDiagnostics>,
    /// The Q.850 side, for telephone legs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q850_details: Option<SipDiagnostics>,
}

/// Azure's `SipDiagnosticInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SipDiagnostics {
    /// SIP or Q.850 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One entry of a roster: Azure's `CallParticipant`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Who.
    pub identifier: Identifier,
    /// Whether the participant is muted.
    #[serde(default, deserialize_with = "null_is_false")]
    pub is_muted: bool,
    /// Whether the participant is on hold.
    #[serde(default, deserialize_with = "null_is_false")]
    pub is_on_hold: bool,
}

fn null_is_false<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or(false))
}

/// What an event says beyond its ids. Members that Azure left out are `None`; enum-like texts are kept
/// as text, because Azure's enums are open.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// Nothing beyond ids, context and result.
    Plain,
    /// `CallTransferAccepted`.
    Transfer {
        /// Who was transferred to.
        target: Option<Identifier>,
        /// Who was transferred.
        transferee: Option<Identifier>,
    },
    /// Add and remove participant, succeeded and failed.
    Participant(Option<Identifier>),
    /// `CancelAddParticipant…`: the invitation.
    Invitation(Option<String>),
    /// `MoveParticipant…`.
    Move {
        /// Who was moved.
        participant: Option<Identifier>,
        /// The call connection that the participant came from.
        from_call: Option<String>,
    },
    /// `ParticipantsUpdated`: the full roster.
    Roster {
        /// Everybody in the call.
        participants: Vec<Participant>,
        /// Orders the rosters of one call (rule C14).
        sequence_number: Option<i64>,
    },
    /// `PlayFailed` and `RecognizeFailed`: which source broke, from 0.
    FailedSource(Option<i64>),
    /// `RecognizeCompleted`.
    Recognition(Recognition),
    /// `ContinuousDtmfRecognitionToneReceived`.
    Tone {
        /// The key, as a lower-case word.
        tone: Option<crate::wire::identifiers::RedactedText>,
        /// Orders the tones of one subscription.
        sequence_id: Option<i64>,
    },
    /// Media streaming and transcription: their `…Update` member, as it came.
    Stream(Option<serde_json::Value>),
    /// `RecordingStateChanged` and `StartRecordingFailed`.
    Recording {
        /// Opaque id of the recording.
        recording_id: Option<String>,
        /// `active` or `inactive`.
        state: Option<String>,
        /// When it started, RFC 3339.
        start_date_time: Option<String>,
        /// Which product records.
        recording_kind: Option<String>,
    },
    /// The members of this known type could not be read; the raw event still holds them.
    Unreadable,
    /// The type is not known; the raw event holds everything (rule C3).
    Unknown,
}

/// What a recognise operation heard. Redacts itself: what callers key in or say is theirs.
#[derive(Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recognition {
    /// `dtmf`, `speech` or `choices`.
    pub recognition_type: Option<String>,
    /// The keys pressed, for `dtmf`.
    pub dtmf_result: Option<DtmfResult>,
    /// The choice taken, for `choices`.
    pub choice_result: Option<ChoiceResult>,
    /// The words heard, for `speech`.
    pub speech_result: Option<SpeechResult>,
}

impl std::fmt::Debug for Recognition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recognition({})", self.recognition_type.as_deref().unwrap_or("?"))
    }
}

/// Azure's `DtmfResult`.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DtmfResult {
    /// Keys as lower-case words (`zero`…`nine`, `a`…`d`, `pound`, `asterisk`).
    pub tones: Vec<String>,
}

/// Azure's `ChoiceResult`.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChoiceResult {
    /// Label of the choice.
    pub label: Option<String>,
    /// The phrase heard; `None` when a key chose.
    pub recognized_phrase: Option<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
}

/// Azure's `SpeechResult`.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpeechResult {
    /// What was said.
    pub speech: Option<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
}

/// The members of `data` that only some types have, all optional, read in one go.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Members {
    transfer_target: Option<Identifier>,
    transferee: Option<Identifier>,
    participant: Option<Identifier>,
    invitation_id: Option<String>,
    from_call: Option<String>,
    participants: Option<Vec<Participant>>,
    sequence_number: Option<i64>,
    failed_play_source_index: Option<i64>,
    recognition_type: Option<String>,
    dtmf_result: Option<DtmfResult>,
    choice_result: Option<ChoiceResult>,
    speech_result: Option<SpeechResult>,
    tone: Option<crate::wire::identifiers::RedactedText>,
    sequence_id: Option<i64>,
    media_streaming_update: Option<serde_json::Value>,
    transcription_update: Option<serde_json::Value>,
    recording_id: Option<String>,
    state: Option<String>,
    start_date_time: Option<String>,
    recording_kind: Option<String>,
}

impl Detail {
    /// Whether events of this kind have members of their own, so that a second read is worth it.
    pub(super) fn has_members(kind: &EventKind) -> bool {
        !matches!(Self::of(kind, Members::default()), Self::Plain | Self::Unknown)
    }

    pub(super) fn of(kind: &EventKind, m: Members) -> Self {
        use EventKind::*;
        match kind {
            CallTransferAccepted => {
                Self::Transfer { target: m.transfer_target, transferee: m.transferee }
            }
            AddParticipantSucceeded
            | AddParticipantFailed
            | RemoveParticipantSucceeded
            | RemoveParticipantFailed => Self::Participant(m.participant),
            CancelAddParticipantSucceeded | CancelAddParticipantFailed => {
                Self::Invitation(m.invitation_id)
            }
            MoveParticipantSucceeded | MoveParticipantFailed => {
                Self::Move { participant: m.participant, from_call: m.from_call }
            }
            ParticipantsUpdated => Self::Roster {
                participants: m.participants.unwrap_or_default(),
                sequence_number: m.sequence_number,
            },
            PlayFailed | RecognizeFailed => Self::FailedSource(m.failed_play_source_index),
            RecognizeCompleted => Self::Recognition(Recognition {
                recognition_type: m.recognition_type,
                dtmf_result: m.dtmf_result,
                choice_result: m.choice_result,
                speech_result: m.speech_result,
            }),
            ContinuousDtmfRecognitionToneReceived => {
                Self::Tone { tone: m.tone, sequence_id: m.sequence_id }
            }
            MediaStreamingStarted | MediaStreamingStopped | MediaStreamingFailed => {
                Self::Stream(m.media_streaming_update)
            }
            TranscriptionStarted | TranscriptionUpdated | TranscriptionStopped
            | TranscriptionFailed => Self::Stream(m.transcription_update),
            RecordingStateChanged | StartRecordingFailed => Self::Recording {
                recording_id: m.recording_id,
                state: m.state,
                start_date_time: m.start_date_time,
                recording_kind: m.recording_kind,
            },
            CallConnected
            | CallDisconnected
            | CreateCallFailed
            | AnswerFailed
            | ConnectFailed
            | CallTransferFailed
            | PlayStarted
            | PlayCompleted
            | PlayCanceled
            | RecognizeCanceled
            | ContinuousDtmfRecognitionToneFailed
            | ContinuousDtmfRecognitionStopped
            | SendDtmfTonesCompleted
            | SendDtmfTonesFailed
            | HoldFailed => Self::Plain,
            Unknown(_) => Self::Unknown,
        }
    }
}
