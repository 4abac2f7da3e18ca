//! The 34 operations of the API as one table: method, path, success statuses, repeatability.

use crate::wire::identifiers::CallConnectionId;

/// The HTTP methods that the API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Everything else.
    Post,
    /// Hanging up, stopping a recording.
    Delete,
}

impl Method {
    /// As it stands in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident, $label:literal, $method:ident, $path:literal, $ok:expr, $repeatable:literal;)*) => {
        /// An operation of the API. Paths hold `{call}`, `{participant}` or `{recording}` where an id
        /// goes, percent-encoded as one segment; the action suffix keeps its literal colon.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// All of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// A name for metric labels and logs, in snake case.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The operation of that name.
            pub fn of_label(label: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|operation| operation.label() == label)
            }

            /// The HTTP method.
            pub fn method(self) -> Method {
                match self { $(Self::$name => Method::$method,)* }
            }

            /// The path with its placeholders.
            pub fn path_template(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// The statuses that mean success. The official SDKs accept exactly these.
            pub fn success(self) -> &'static [u16] {
                match self { $(Self::$name => &$ok,)* }
            }

            /// Whether the Repeatability headers go with it.
            pub fn repeatable(self) -> bool {
                match self { $(Self::$name => $repeatable,)* }
            }
        }
    };
}

impl serde::Serialize for Operation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> serde::Deserialize<'de> for Operation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom("not an operation");
        Self::of_label(&label).ok_or_else(unknown)
    }
}

operations! {
    /// Place a call.
    CreateCall, "create_call", Post, "/calling/callConnections", [201], true;
    /// Answer a ringing call.
    AnswerCall, "answer_call", Post, "/calling/callConnections:answer", [200], true;
    /// Send a ringing call elsewhere.
    RedirectCall, "redirect_call", Post, "/calling/callConnections:redirect", [204], true;
    /// Refuse a ringing call.
    RejectCall, "reject_call", Post, "/calling/callConnections:reject", [204], true;
    /// Join a running call.
    Connect, "connect", Post, "/calling/callConnections:connect", [200], true;
    /// Properties of a call connection.
    GetCall, "get_call", Get, "/calling/callConnections/{call}", [200], false;
    /// Leave the call; ends it when it has two parties.
    HangUpCall, "hang_up", Delete, "/calling/callConnections/{call}", [204], false;
    /// End the call for everyone.
    TerminateCall, "terminate_call", Post, "/calling/callConnections/{call}:terminate", [204], true;
    /// Transfer a participant.
    TransferToParticipant, "transfer", Post, "/calling/callConnections/{call}:transferToParticipant", [202], true;
    /// Page of participants.
    GetParticipants, "list_participants", Get, "/calling/callConnections/{call}/participants", [200], false;
    /// Invite a participant.
    AddParticipant, "add_participant", Post, "/calling/callConnections/{call}/participants:add", [202], true;
    /// Remove a participant.
    RemoveParticipant, "remove_participant", Post, "/calling/callConnections/{call}/participants:remove", [202], true;
    /// Mute participants.
    MuteParticipants, "mute", Post, "/calling/callConnections/{call}/participants:mute", [200], true;
    /// Withdraw an invitation.
    CancelAddParticipant, "cancel_add_participant", Post, "/calling/callConnections/{call}/participants:cancelAddParticipant", [202], true;
    /// Move participants here from another call.
    MoveParticipants, "move_participants", Post, "/calling/callConnections/{call}/participants:moveHere", [202], true;
    /// One participant.
    GetParticipant, "get_participant", Get, "/calling/callConnections/{call}/participants/{participant}", [200], false;
    /// Play to participants.
    Play, "play", Post, "/calling/callConnections/{call}:play", [202], false;
    /// Start transcription.
    StartTranscription, "start_transcription", Post, "/calling/callConnections/{call}:startTranscription", [202], false;
    /// Stop transcription.
    StopTranscription, "stop_transcription", Post, "/calling/callConnections/{call}:stopTranscription", [202], false;
    /// Change the language of a transcription.
    UpdateTranscription, "update_transcription", Post, "/calling/callConnections/{call}:updateTranscription", [202], false;
    /// Cancel what plays or listens.
    CancelAllMediaOperations, "cancel_all_media", Post, "/calling/callConnections/{call}:cancelAllMediaOperations", [202], false;
    /// Ask for keys, speech or a choice.
    Recognize, "recognize", Post, "/calling/callConnections/{call}:recognize", [202], false;
    /// Hear every key from now on.
    StartContinuousDtmfRecognition, "start_continuous_dtmf", Post, "/calling/callConnections/{call}:startContinuousDtmfRecognition", [200], false;
    /// Stop hearing keys.
    StopContinuousDtmfRecognition, "stop_continuous_dtmf", Post, "/calling/callConnections/{call}:stopContinuousDtmfRecognition", [200], false;
    /// Send keys to a participant.
    SendDtmfTones, "send_dtmf_tones", Post, "/calling/callConnections/{call}:sendDtmfTones", [202], true;
    /// Put a participant on hold.
    Hold, "hold", Post, "/calling/callConnections/{call}:hold", [200], false;
    /// Take a participant off hold.
    Unhold, "unhold", Post, "/calling/callConnections/{call}:unhold", [200], false;
    /// Start streaming audio.
    StartMediaStreaming, "start_media_streaming", Post, "/calling/callConnections/{call}:startMediaStreaming", [202], false;
    /// Stop streaming audio.
    StopMediaStreaming, "stop_media_streaming", Post, "/calling/callConnections/{call}:stopMediaStreaming", [202], false;
    /// Start recording.
    StartRecording, "start_recording", Post, "/calling/recordings", [200, 202], true;
    /// State of a recording.
    GetRecordingProperties, "get_recording", Get, "/calling/recordings/{recording}", [200], false;
    /// Stop recording.
    StopRecording, "stop_recording", Delete, "/calling/recordings/{recording}", [204], false;
    /// Pause recording.
    PauseRecording, "pause_recording", Post, "/calling/recordings/{recording}:pause", [202], false;
    /// Go on recording.
    ResumeRecording, "resume_recording", Post, "/calling/recordings/{recording}:resume", [202], false;
}

/// What stands for an id in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// No id.
    Nowhere,
    /// A call connection.
    Call(CallConnectionId),
    /// A participant of a call connection.
    Participant(CallConnectionId, crate::wire::identifiers::RawId),
    /// A recording.
    Recording(String),
}

impl Operation {
    /// The request path with ids percent-encoded, as the official SDKs encode them.
    pub fn path(self, place: &Place) -> String {
        let template = self.path_template();
        match place {
            Place::Nowhere => template.to_owned(),
            Place::Call(call) => template.replace("{call}", &segment(call.as_str())),
            Place::Participant(call, raw) => template
                .replace("{call}", &segment(call.as_str()))
                .replace("{participant}", &segment(raw.as_str())),
            Place::Recording(id) => template.replace("{recording}", &segment(id)),
        }
    }
}

/// One path segment: everything but unreserved characters is percent-encoded.
pub fn segment(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_thirty_four_operations_and_fourteen_repeatable_ones() {
        assert_eq!(Operation::ALL.len(), 34);
        assert_eq!(Operation::ALL.iter().filter(|op| op.repeatable()).count(), 14);
    }

    #[test]
    fn ids_are_encoded_as_one_segment_and_the_action_keeps_its_colon() {
        let call = CallConnectionId::new("a/b%c");
        assert_eq!(
            Operation::Play.path(&Place::Call(call.clone())),
            "/calling/callConnections/a%2Fb%25c:play"
        );
        let place = Place::Participant(call, "4:+14255551212".into());
        assert_eq!(
            Operation::GetParticipant.path(&place),
            "/calling/callConnections/a%2Fb%25c/participants/4%3A%2B14255551212"
        );
    }
}
