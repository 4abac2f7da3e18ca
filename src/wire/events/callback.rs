//! Mid-call callbacks: CloudEvents about one call connection.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::detail::Members;
use super::{
    BadBody, BadElement, Detail, ElementProblem, EventKind, MAX_ID_BYTES, ResultInformation,
    is_object, read_each, too_deep,
};
use crate::wire::identifiers::{CallConnectionId, CorrelationId, OperationContext, ServerCallId};

/// Identity of an event for dropping repeats: CloudEvents `source` and `id` (rule C2), in 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(pub u128);

impl EventKey {
    /// The key of a `source` and `id`. The same on every machine and in every version.
    pub fn of(source: &str, id: &str) -> Self {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, source, id).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        Self(half(1) << 64 | half(2))
    }
}

/// One mid-call event, read once at the door. `raw` keeps everything Azure sent (rule C3).
#[derive(Clone, PartialEq)]
pub struct CallEvent {
    /// Identity, for repeats.
    pub key: EventKey,
    /// The type.
    pub kind: EventKind,
    /// The application's leg that it is about.
    pub call: CallConnectionId,
    /// The call, shared by its legs.
    pub server_call: Option<ServerCallId>,
    /// Azure's log correlation.
    pub correlation: Option<CorrelationId>,
    /// The context of the request that it answers. Absent, null and empty are the same.
    pub context: Option<OperationContext>,
    /// How it went.
    pub result: Option<ResultInformation>,
    /// What only this type says.
    pub detail: Detail,
    /// The whole CloudEvent as it came, one JSON object.
    pub raw: Arc<str>,
}

impl fmt::Debug for CallEvent {
    /// Neither payload nor context: those belong to the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kind, self.call)
    }
}

impl CallEvent {
    /// `(code, subCode)` of the result, when given.
    pub fn codes(&self) -> (Option<i32>, Option<i32>) {
        self.result.as_ref().map_or((None, None), |result| (result.code, result.sub_code))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Common<'a> {
    #[serde(borrow, default)]
    call_connection_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    server_call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    operation_context: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    result_information: Option<&'a RawValue>,
}

/// Reads a posted body: an array of events, or one event alone. Bad elements are told apart from good
/// ones and cost them nothing (rule C1); at most `limit` elements are taken.
///
/// # Errors
/// [`BadBody`] when nothing at all can be read.
pub fn parse_callbacks(
    body: &[u8],
    limit: usize,
) -> Result<Vec<Result<CallEvent, BadElement>>, BadBody> {
    read_each(body, limit, CallEvent::parse)
}

impl CallEvent {
    /// Reads one CloudEvent.
    ///
    /// # Errors
    /// [`ElementProblem`] when it is not an event about a call connection.
    pub fn parse(json: &str) -> Result<Self, ElementProblem> {
        if too_deep(json) {
            return Err(ElementProblem::TooDeep);
        }
        if !is_object(json) {
            return Err(ElementProblem::NotAnEvent);
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(json).map_err(|_| ElementProblem::NotAnEvent)?;
        let id = filled(envelope.id).ok_or(ElementProblem::MissingId)?;
        let kind = filled(envelope.kind).ok_or(ElementProblem::MissingType)?;
        let source = envelope.source.ok_or(ElementProblem::MissingSource)?;
        let data = envelope.data.ok_or(ElementProblem::MissingData)?.get();
        if !is_object(data) {
            return Err(ElementProblem::MissingData);
        }
        let common: Common<'_> = serde_json::from_str(data)
            .map_err(|_| ElementProblem::MissingMember("readable ids"))?;
        let call =
            filled(common.call_connection_id).ok_or(ElementProblem::MissingCallConnectionId)?;
        let context = filled(common.operation_context);
        let texts = [Some(&id), Some(&kind), Some(&source), Some(&call), context.as_ref()];
        if texts.iter().flatten().any(|text| text.len() > MAX_ID_BYTES) {
            return Err(ElementProblem::IdTooLong);
        }

        let kind = EventKind::parse(&kind);
        Ok(Self {
            key: EventKey::of(&source, &id),
            call: CallConnectionId::new(call.as_ref()),
            server_call: id_within_limit(common.server_call_id).map(ServerCallId::new),
            correlation: id_within_limit(common.correlation_id).map(CorrelationId::new),
            context: context.map(|text| OperationContext::new(text.as_ref())),
            result: common
                .result_information
                .filter(|raw| is_object(raw.get()))
                .and_then(|raw| serde_json::from_str(raw.get()).ok()),
            detail: Self::detail(&kind, data),
            raw: json.into(),
            kind,
        })
    }

    fn detail(kind: &EventKind, data: &str) -> Detail {
        if !Detail::has_members(kind) {
            return Detail::of(kind, Members::default());
        }
        serde_json::from_str(data).map_or(Detail::Unreadable, |members| Detail::of(kind, members))
    }
}

/// Azure writes an absent text as absent, null or empty.
fn filled(text: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    text.filter(|text| !text.is_empty())
}

fn id_within_limit(text: Option<Cow<'_, str>>) -> Option<String> {
    filled(text).filter(|text| text.len() <= MAX_ID_BYTES).map(Cow::into_owned)
}
