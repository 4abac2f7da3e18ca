//! What the service writes down for itself between the events: the texts of its own journal lines.
//!
//! Every text is JSON with short stable names, because files outlive versions: members may be added and
//! must then be optional, none is ever renamed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::call::{Cause, Fate, Identity};
use crate::wire::identifiers::CallConnectionId;

/// What became of an event that was heard, noted beside it: bits, so that notes add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remark(pub u8);

impl Remark {
    /// A waiter got it at once.
    pub const MATCHED: Self = Self(1);
    /// A subscription got it, and no waiter at once.
    pub const TOLD_ONGOING: Self = Self(2);
    /// A late waiter took it from the backlog.
    pub const TAKEN: Self = Self(4);

    /// Whether all of `other` was noted.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What a fate leaves to be noted.
    pub fn of(fate: Fate) -> Self {
        match fate {
            Fate::Matched => Self::MATCHED,
            Fate::ToldOngoing => Self::TOLD_ONGOING,
            Fate::Kept | Fate::Repeated | Fate::Late => Self::default(),
        }
    }

    /// The fate of an event of which this was noted.
    pub fn fate(self) -> Fate {
        if self.has(Self::MATCHED) {
            Fate::Matched
        } else if self.has(Self::TOLD_ONGOING) {
            Fate::ToldOngoing
        } else {
            Fate::Kept
        }
    }

    /// Whether a waiter has had it, so that no late one gets it again.
    pub fn was_taken(self) -> bool {
        self.has(Self::MATCHED) || self.has(Self::TAKEN)
    }

    /// Both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

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
