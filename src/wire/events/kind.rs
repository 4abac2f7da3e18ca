//! The names of mid-call events, as a closed enum with an open end.

use std::fmt;
use std::sync::Arc;

/// Every mid-call event type starts with this.
pub const TYPE_PREFIX: &str = "Microsoft.Communication.";

/// The full name of a type that is not known. One pointer wide: every line of every timeline has room
/// for one, and nearly none has one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeName(Arc<Box<str>>);

macro_rules! kinds {
    ($($name:ident),* $(,)?) => {
        /// A mid-call event type of API version 2026-03-12, or one that Azure ships without asking us.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind {
            $(#[doc = concat!("`Microsoft.Communication.", stringify!($name), "`")] $name,)*
            /// Any other type, by its full name.
            Unknown(TypeName),
        }

        impl EventKind {
            /// All the types that the stable API names, in the order of its reference.
            pub const KNOWN: &[Self] = &[$(Self::$name,)*];

            /// The name without Azure's prefix, if it has that.
            pub fn short_name(&self) -> &str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Unknown(name) => name.0.strip_prefix(TYPE_PREFIX).unwrap_or(&name.0),
                }
            }

            /// A closed set for metric labels: the short name, or `other`.
            pub fn label(&self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Unknown(_) => "other",
                }
            }

            /// Place in [`Self::KNOWN`], for bit sets and tables; `None` for a type that is not known.
            pub fn index(&self) -> Option<usize> {
                #[derive(Clone, Copy)]
                enum Place {
                    $($name,)*
                }
                match self {
                    $(Self::$name => Some(Place::$name as usize),)*
                    Self::Unknown(_) => None,
                }
            }

            fn known(short: &str) -> Option<Self> {
                Some(match short {
                    $(stringify!($name) => Self::$name,)*
                    _ => return None,
                })
            }
        }
    };
}

kinds!(
    CallConnected,
    CallDisconnected,
    CreateCallFailed,
    AnswerFailed,
    ConnectFailed,
    CallTransferAccepted,
    CallTransferFailed,
    AddParticipantSucceeded,
    AddParticipantFailed,
    CancelAddParticipantSucceeded,
    CancelAddParticipantFailed,
    RemoveParticipantSucceeded,
    RemoveParticipantFailed,
    MoveParticipantSucceeded,
    MoveParticipantFailed,
    ParticipantsUpdated,
    PlayStarted,
    PlayCompleted,
    PlayFailed,
    PlayCanceled,
    RecognizeCompleted,
    RecognizeFailed,
    RecognizeCanceled,
    ContinuousDtmfRecognitionToneReceived,
    ContinuousDtmfRecognitionToneFailed,
    ContinuousDtmfRecognitionStopped,
    SendDtmfTonesCompleted,
    SendDtmfTonesFailed,
    HoldFailed,
    MediaStreamingStarted,
    MediaStreamingStopped,
    MediaStreamingFailed,
    TranscriptionStarted,
    TranscriptionUpdated,
    TranscriptionStopped,
    TranscriptionFailed,
    RecordingStateChanged,
    StartRecordingFailed,
);

impl EventKind {
    /// From a full type (`Microsoft.Communication.PlayCompleted`) or a short one (`PlayCompleted`).
    /// Never fails: what is not known is kept by name.
    pub fn parse(name: &str) -> Self {
        Self::known(name.strip_prefix(TYPE_PREFIX).unwrap_or(name))
            .unwrap_or_else(|| Self::Unknown(TypeName(Arc::new(name.into()))))
    }

    /// Whether it says that setting up a call has failed. `CallDisconnected` may still follow.
    pub fn is_failure_to_connect(&self) -> bool {
        matches!(self, Self::CreateCallFailed | Self::AnswerFailed | Self::ConnectFailed)
    }

    /// The type as it stands in the `type` member.
    pub fn full_name(&self) -> String {
        match self {
            Self::Unknown(name) => name.0.to_string(),
            known => format!("{TYPE_PREFIX}{}", known.short_name()),
        }
    }
}

impl fmt::Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short_name())
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short_name())
    }
}

impl serde::Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.full_name())
    }
}

impl<'de> serde::Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer).map(|name| Self::parse(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_thirty_eight_known_types_and_each_survives_its_own_name() {
        assert_eq!(EventKind::KNOWN.len(), 38);
        for (place, kind) in EventKind::KNOWN.iter().enumerate() {
            assert_eq!(kind.index(), Some(place));
            assert_eq!(&EventKind::parse(&kind.full_name()), kind);
            assert_eq!(&EventKind::parse(kind.short_name()), kind);
        }
    }

    #[test]
    fn an_unknown_type_keeps_its_full_name() {
        let kind = EventKind::parse("Microsoft.Communication.HoldAudioStarted");
        assert_eq!(kind.full_name(), "Microsoft.Communication.HoldAudioStarted");
        assert_eq!(kind.short_name(), "HoldAudioStarted");
        assert_eq!(EventKind::parse("Contoso.Whispered").short_name(), "Contoso.Whispered");
        assert_eq!(kind.label(), "other");
    }
}
