//! Events as Azure posts them: mid-call callbacks and Event Grid deliveries.
//!
//! Reading is liberal (unknown types and members are kept raw, optional members may be missing or
//! null), element by element, so that one bad element never costs its neighbours (rule C1).

mod callback;
mod detail;
pub mod grid;
mod kind;

pub use callback::{CallEvent, EventKey, parse_callbacks};
pub use detail::{Detail, Participant, ResultInformation, SipDiagnostics};
pub use kind::{EventKind, TYPE_PREFIX};

/// Why one element of a posted array could not be taken. The others are handled all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("element {index}: {problem}")]
pub struct BadElement {
    /// Position in the posted array, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub problem: ElementProblem,
}

/// What can be wrong with one element. `code` is stable and part of the HTTP contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElementProblem {
    /// Not a JSON object with the members of an event.
    #[error("not an event object")]
    NotAnEvent,
    /// `id` is missing or empty.
    #[error("the event has no id")]
    MissingId,
    /// `type` (or `eventType`) is missing or empty.
    #[error("the event has no type")]
    MissingType,
    /// `source` (or `topic`) is missing.
    #[error("the event has no source")]
    MissingSource,
    /// `data` is missing, null or not an object.
    #[error("the event has no data object")]
    MissingData,
    /// `data.callConnectionId` is missing or empty.
    #[error("the event's data has no callConnectionId")]
    MissingCallConnectionId,
    /// A member that the event cannot do without is missing or of the wrong type.
    #[error("the event's data lacks {0}")]
    MissingMember(&'static str),
    /// An id or context longer than any that Azure sends.
    #[error("an id of the event is longer than {MAX_ID_BYTES} bytes")]
    IdTooLong,
    /// Nested deeper than [`MAX_NESTING`].
    #[error("the event is nested deeper than {MAX_NESTING} levels")]
    TooDeep,
}

impl ElementProblem {
    /// The stable code of the problem.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAnEvent => "not_an_event",
            Self::MissingId => "missing_id",
            Self::MissingType => "missing_type",
            Self::MissingSource => "missing_source",
            Self::MissingData => "missing_data",
            Self::MissingCallConnectionId => "missing_call_connection_id",
            Self::MissingMember(_) => "missing_member",
            Self::IdTooLong => "id_too_long",
            Self::TooDeep => "too_deep",
        }
    }
}

/// Why a whole body could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Not JSON, or cut off.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the first fault, from 1.
        line: usize,
        /// Column of the first fault.
        column: usize,
    },
    /// JSON, but neither an object nor an array.
    #[error("the body must be an event or an array of events")]
    NotAnArray,
    /// More elements than the limit given.
    #[error("the body holds more than {limit} events; send fewer at a time")]
    TooMany {
        /// The limit that was exceeded.
        limit: usize,
    },
}

/// Ids longer than this are refused: Azure's longest known (a serverCallId) has about 300 bytes.
pub const MAX_ID_BYTES: usize = 4096;

/// Deepest nesting of an event that is still taken. Azure's own events have at most 7 levels.
pub const MAX_NESTING: usize = 64;

/// Reads each element of a body by itself: a bad one costs its neighbours nothing (rule C1).
fn read_each<T>(
    body: &[u8],
    limit: usize,
    read: impl Fn(&str) -> Result<T, ElementProblem>,
) -> Result<Vec<Result<T, BadElement>>, BadBody> {
    let read = |(index, element): (usize, &serde_json::value::RawValue)| {
        read(element.get()).map_err(|problem| BadElement { index, problem })
    };
    Ok(elements(body, limit)?.into_iter().enumerate().map(read).collect())
}

/// Splits a body into its elements without looking into them. A single object is an array of one.
fn elements(body: &[u8], limit: usize) -> Result<Vec<&serde_json::value::RawValue>, BadBody> {
    use serde::de::{Deserializer as _, SeqAccess, Visitor};
    use serde_json::value::RawValue;

    /// Collects at most `limit` elements, so that a hostile array cannot make us allocate.
    struct Elements {
        limit: usize,
    }
    impl<'de> Visitor<'de> for Elements {
        type Value = Result<Vec<&'de RawValue>, BadBody>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of events")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(element) = seq.next_element::<&'de RawValue>()? {
                if found.len() == self.limit {
                    while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                    return Ok(Err(BadBody::TooMany { limit: self.limit }));
                }
                found.push(element);
            }
            Ok(Ok(found))
        }
    }

    let not_json = |e: serde_json::Error| BadBody::NotJson { line: e.line(), column: e.column() };
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Ok(vec![serde_json::from_slice(body).map_err(not_json)?]),
        Some(b'[') => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let found = deserializer.deserialize_seq(Elements { limit }).map_err(not_json)?;
            deserializer.end().map_err(not_json)?;
            found
        }
        _ => {
            serde_json::from_slice::<serde::de::IgnoredAny>(body).map_err(not_json)?;
            Err(BadBody::NotAnArray)
        }
    }
}

/// Whether a JSON text is nested deeper than [`MAX_NESTING`]. Counting brackets settles nearly every
/// event; only one with many of them is walked.
fn too_deep(json: &str) -> bool {
    let openers = memchr::memchr2_iter(b'{', b'[', json.as_bytes()).take(MAX_NESTING + 1).count();
    openers > MAX_NESTING && deepest(json) > MAX_NESTING
}

fn deepest(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json.bytes() {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
    }
    deepest
}

/// serde reads a struct from an array too; an event and its data are objects.
fn is_object(json: &str) -> bool {
    json.trim_ascii_start().starts_with('{')
}
