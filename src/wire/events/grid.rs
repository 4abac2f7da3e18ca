//! Event Grid deliveries, in the Event Grid schema and in CloudEvents 1.0.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{
    BadBody, BadElement, ElementProblem, EventKey, MAX_ID_BYTES, TYPE_PREFIX, is_object, read_each,
    too_deep,
};
use crate::wire::identifiers::{
    CorrelationId, Identifier, IncomingCallContext, RedactedText, ServerCallId,
};

/// `eventType` of the handshake in the Event Grid schema.
pub const VALIDATION_TYPE: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// `eventType` that tells that a subscription was removed.
pub const DELETED_TYPE: &str = "Microsoft.EventGrid.SubscriptionDeletedEvent";

/// One Event Grid event. `raw` keeps everything that was sent.
#[derive(Clone, PartialEq)]
pub struct GridEvent {
    /// Identity, for repeats: topic (or source) and id.
    pub key: EventKey,
    /// The full type, as sent.
    pub kind: String,
    /// `eventTime` or `time`, as sent (RFC 3339).
    pub time: Option<String>,
    /// What it says.
    pub news: GridNews,
    /// The whole event, one JSON object.
    pub raw: Arc<str>,
}

impl fmt::Debug for GridEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GridEvent({})", self.kind)
    }
}

/// What an Event Grid event says. Calls and recordings of the reference are typed, strangers kept.
#[derive(Clone, PartialEq)]
pub enum GridNews {
    /// A call rings and wants a decision.
    IncomingCall(Box<IncomingCall>),
    /// A VoIP call began.
    CallStarted(Box<CallNotice>),
    /// A VoIP call ended.
    CallEnded(Box<CallNotice>),
    /// Somebody joined a VoIP call.
    ParticipantAdded(Box<CallNotice>),
    /// Somebody left a VoIP call.
    ParticipantRemoved(Box<CallNotice>),
    /// A recording can be fetched.
    RecordingFileStatusUpdated(Box<RecordingFile>),
    /// The handshake that proves that this endpoint wants the events.
    Validation {
        /// To be echoed.
        code: String,
        /// To be opened by hand when echoing is not wanted.
        url: Option<String>,
    },
    /// The subscription was removed.
    SubscriptionDeleted,
    /// Any other type.
    Other,
}

impl fmt::Debug for GridNews {
    /// The type alone: a validation carries a code and a URL with which anybody could subscribe.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl GridNews {
    /// A closed set for metric labels.
    pub fn label(&self) -> &'static str {
        match self {
            Self::IncomingCall(_) => "IncomingCall",
            Self::CallStarted(_) => "CallStarted",
            Self::CallEnded(_) => "CallEnded",
            Self::ParticipantAdded(_) => "CallParticipantAdded",
            Self::ParticipantRemoved(_) => "CallParticipantRemoved",
            Self::RecordingFileStatusUpdated(_) => "RecordingFileStatusUpdated",
            Self::Validation { .. } => "SubscriptionValidation",
            Self::SubscriptionDeleted => "SubscriptionDeleted",
            Self::Other => "other",
        }
    }
}

/// `data` of `IncomingCall`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncomingCall {
    /// Who is called.
    pub to: Identifier,
    /// Who calls.
    pub from: Identifier,
    /// The call.
    #[serde(default)]
    pub server_call_id: Option<ServerCallId>,
    /// The caller's display name; empty on telephone calls.
    #[serde(default)]
    pub caller_display_name: Option<RedactedText>,
    /// The ticket for answering, redirecting or rejecting.
    pub incoming_call_context: IncomingCallContext,
    /// Headers that came with the call.
    #[serde(default, deserialize_with = "null_is_default")]
    pub custom_context: CustomContext,
    /// On whose behalf the callee is rung (Teams).
    #[serde(default)]
    pub on_behalf_of_callee: Option<Identifier>,
    /// Azure's log correlation.
    #[serde(default)]
    pub correlation_id: Option<CorrelationId>,
}

/// Headers that came with a call. Absent, null and empty are the same.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomContext {
    /// SIP headers: User-To-User and `X-MS-Custom-…`.
    #[serde(deserialize_with = "null_is_default")]
    pub sip_headers: BTreeMap<String, Option<String>>,
    /// VoIP headers, freely named.
    #[serde(deserialize_with = "null_is_default")]
    pub voip_headers: BTreeMap<String, Option<String>>,
    /// Where one official example puts the callee that is stood in for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of_callee: Option<serde_json::Value>,
}

impl fmt::Debug for CustomContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomContext({} sip, {} voip)", self.sip_headers.len(), self.voip_headers.len())
    }
}

/// `data` of `CallStarted`, `CallEnded`, `CallParticipantAdded` and `CallParticipantRemoved`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallNotice {
    /// The call.
    #[serde(default)]
    pub server_call_id: Option<ServerCallId>,
    /// Azure's log correlation.
    #[serde(default)]
    pub correlation_id: Option<CorrelationId>,
    /// Length of the call in seconds, when it has ended.
    #[serde(default)]
    pub duration_of_call: Option<f64>,
    /// Whether it has exactly two parties.
    #[serde(default)]
    pub is_two_party: Option<bool>,
    /// Whether it is a Rooms call.
    #[serde(default)]
    pub is_rooms_call: Option<bool>,
}

/// `data` of `RecordingFileStatusUpdated`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingFile {
    /// The pieces of the recording.
    #[serde(default)]
    pub recording_storage_info: Option<RecordingStorage>,
    /// Start, RFC 3339.
    #[serde(default)]
    pub recording_start_time: Option<String>,
    /// Length in milliseconds.
    #[serde(default)]
    pub recording_duration_ms: Option<i64>,
    /// Why the recording ended.
    #[serde(default)]
    pub session_end_reason: Option<String>,
}

/// The pieces of a recording.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingStorage {
    /// In order of `index`.
    #[serde(default)]
    pub recording_chunks: Vec<RecordingChunk>,
}

/// One piece of a recording.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingChunk {
    /// Opaque id.
    #[serde(default)]
    pub document_id: Option<String>,
    /// Position, from 0.
    #[serde(default)]
    pub index: Option<i64>,
    /// Why this piece ended.
    #[serde(default)]
    pub end_reason: Option<String>,
    /// Where the content is.
    #[serde(default)]
    pub content_location: Option<String>,
    /// Where the metadata is.
    #[serde(default)]
    pub metadata_location: Option<String>,
    /// Where it can be deleted.
    #[serde(default)]
    pub delete_location: Option<String>,
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    event_type: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    event_time: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads a delivery in either schema, single or batched; at most `limit` elements are taken.
///
/// # Errors
/// [`BadBody`] when nothing at all can be read.
pub fn parse_deliveries(
    body: &[u8],
    limit: usize,
) -> Result<Vec<Result<GridEvent, BadElement>>, BadBody> {
    read_each(body, limit, GridEvent::parse)
}

impl GridEvent {
    /// Reads one event in either schema.
    ///
    /// # Errors
    /// [`ElementProblem`] when it is not an event, or a call event lacks what its handling needs.
    pub fn parse(json: &str) -> Result<Self, ElementProblem> {
        if too_deep(json) {
            return Err(ElementProblem::TooDeep);
        }
        if !is_object(json) {
            return Err(ElementProblem::NotAnEvent);
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(json).map_err(|_| ElementProblem::NotAnEvent)?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let id = filled(envelope.id).ok_or(ElementProblem::MissingId)?;
        let kind =
            filled(envelope.event_type.or(envelope.kind)).ok_or(ElementProblem::MissingType)?;
        let source = envelope.topic.or(envelope.source).unwrap_or_default();
        let data = envelope.data.ok_or(ElementProblem::MissingData)?.get();
        if !is_object(data) {
            return Err(ElementProblem::MissingData);
        }
        if id.len().max(kind.len()).max(source.len()) > MAX_ID_BYTES {
            return Err(ElementProblem::IdTooLong);
        }
        Ok(Self {
            key: EventKey::of(&source, &id),
            time: filled(envelope.event_time.or(envelope.time)),
            news: GridNews::read(&kind, data)?,
            raw: json.into(),
            kind,
        })
    }
}

impl GridNews {
    fn read(kind: &str, data: &str) -> Result<Self, ElementProblem> {
        if kind == VALIDATION_TYPE {
            return Self::read_validation(data);
        }
        if kind == DELETED_TYPE {
            return Ok(Self::SubscriptionDeleted);
        }
        let notice = || {
            serde_json::from_str(data)
                .map(Box::new)
                .map_err(|_| ElementProblem::MissingMember("readable call members"))
        };
        Ok(match kind.strip_prefix(TYPE_PREFIX) {
            Some("IncomingCall") => Self::IncomingCall(read_incoming(data)?),
            Some("CallStarted") => Self::CallStarted(notice()?),
            Some("CallEnded") => Self::CallEnded(notice()?),
            Some("CallParticipantAdded") => Self::ParticipantAdded(notice()?),
            Some("CallParticipantRemoved") => Self::ParticipantRemoved(notice()?),
            Some("RecordingFileStatusUpdated") => serde_json::from_str(data)
                .map(|file| Self::RecordingFileStatusUpdated(Box::new(file)))
                .map_err(|_| ElementProblem::MissingMember("readable recording members"))?,
            _ => Self::Other,
        })
    }

    fn read_validation(data: &str) -> Result<Self, ElementProblem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Validation {
            #[serde(default)]
            validation_code: Option<String>,
            #[serde(default)]
            validation_url: Option<String>,
        }
        let missing = ElementProblem::MissingMember("validationCode");
        let found: Validation = serde_json::from_str(data).map_err(|_| missing)?;
        let code = found.validation_code.filter(|code| !code.is_empty()).ok_or(missing)?;
        Ok(Self::Validation { code, url: found.validation_url })
    }
}

fn read_incoming(data: &str) -> Result<Box<IncomingCall>, ElementProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Needed {
        #[serde(default)]
        to: Option<serde_json::Value>,
        #[serde(default)]
        from: Option<serde_json::Value>,
        #[serde(default)]
        incoming_call_context: Option<String>,
    }
    let needed: Needed = serde_json::from_str(data)
        .map_err(|_| ElementProblem::MissingMember("incomingCallContext"))?;
    if needed.incoming_call_context.is_none_or(|context| context.is_empty()) {
        return Err(ElementProblem::MissingMember("incomingCallContext"));
    }
    for (member, value) in [("to", needed.to), ("from", needed.from)] {
        let identifier = value.map(serde_json::from_value::<Identifier>);
        if !matches!(identifier, Some(Ok(_))) {
            return Err(ElementProblem::MissingMember(member));
        }
    }
    let mut call: IncomingCall = serde_json::from_str(data)
        .map_err(|_| ElementProblem::MissingMember("readable call members"))?;
    if call.on_behalf_of_callee.is_none() {
        let nested = call.custom_context.on_behalf_of_callee.take();
        call.on_behalf_of_callee = nested.and_then(|value| serde_json::from_value(value).ok());
    }
    Ok(Box::new(call))
}
