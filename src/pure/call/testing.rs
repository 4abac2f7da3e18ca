//! What the tests of this folder share.

use std::sync::Arc;

use super::{Heard, Limits};
use crate::pure::time::Position;
use crate::wire::events::{CallEvent, EventKind};

pub fn limits() -> Limits {
    Limits::default()
}

/// An event as it would be read from the wire; `n` is its id and its position.
pub fn heard(n: u64, kind: EventKind, context: Option<&str>) -> Heard {
    heard_with(n, kind, context, "")
}

/// … with more members of `data` (a text that begins with a comma).
pub fn heard_with(n: u64, kind: EventKind, context: Option<&str>, members: &str) -> Heard {
    let context =
        context.map(|text| format!(r#","operationContext":"{text}""#)).unwrap_or_default();
    let json = format!(
        r#"{{"id":"{n}","source":"calling/callConnections/c","type":"{}",
            "data":{{"callConnectionId":"c","serverCallId":"s","correlationId":"k"{context}{members}}}}}"#,
        kind.full_name()
    );
    let event = CallEvent::parse(&json).expect("a good event");
    Heard { position: Position(n), received_ms: 0, event: Arc::new(event) }
}
