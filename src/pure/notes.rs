//! What the service writes down for itself between the events: the texts of its own journal lines.
//!
//! Every text is JSON with short stable names, because files outlive versions: members may be added and
//! must then be optional, none is ever renamed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::call::{Cause, Identity};
use crate::wire::identifiers::CallConnectionId;

/// The application made or answered this call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claimed {
    /// Which.
    pub call: CallConnectionId,
    /// What else it is called.
    #[serde(flatten)]
    pub identity: Identity,
}

/// A call ended without an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// Which.
    pub call: CallConnectionId,
    /// Why we know.
    pub cause: Cause,
}

/// A note as the text of a journal line. Structures of texts and numbers; writing them cannot fail.
pub fn text(note: &impl Serialize) -> Arc<str> {
    serde_json::to_string(note).unwrap_or_default().into()
}

impl Claimed {
    /// As the text of a line.
    pub fn text(&self) -> Arc<str> {
        text(self)
    }
}

impl Closed {
    /// As the text of a line.
    pub fn text(&self) -> Arc<str> {
        text(self)
    }
}
