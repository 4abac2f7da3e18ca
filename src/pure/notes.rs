//! What the service writes down for itself between the events: the texts of its own journal lines.
//!
//! Every text is JSON with short stable names, because files outlive versions: members may be added and
//! must then be optional, none is ever renamed.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::call::{Cause, Fate, Identity, OperationDeed};
use super::forwarding::Posted;
use super::routing::{self, DecisionRecord, Planned};
use super::time::Position;
use crate::wire::identifiers::{CallConnectionId, OperationContext};

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

/// About forwarding an event to a URL of a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Forward {
    /// The event that stands so many lines before this one is to be forwarded.
    Owed {
        /// Where to.
        to: Arc<str>,
        /// How many lines before.
        back: u64,
    },
    /// It has arrived.
    Done {
        /// Which event.
        of: Position,
    },
    /// It was given up.
    Dead(DeadLetter),
    /// It is to be forwarded after all.
    Again(DeadLetter),
}

impl Forward {
    /// The text of its line.
    pub fn text(&self) -> Arc<str> {
        text(self)
    }
}

/// An event that could not be forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Which event; its place in the journal.
    pub of: Position,
    /// Of which call.
    pub call: CallConnectionId,
    /// Its type.
    pub kind: String,
    /// Where it was to go.
    pub to: String,
    /// How often that was tried.
    pub attempts: u32,
    /// Why it was given up: a word of a closed set.
    pub why: String,
    /// The receiver's last status, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl DeadLetter {
    /// … after such an attempt.
    #[must_use]
    pub fn answered(self, posted: Posted) -> Self {
        match posted {
            Posted::Answered(status) => Self { status: Some(status), ..self },
            Posted::Unanswered | Posted::Forbidden => self,
        }
    }
}

/// About an operation of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationNote {
    /// Which call.
    pub call: CallConnectionId,
    /// What.
    #[serde(flatten)]
    pub deed: OperationDeed,
}

impl OperationNote {
    /// As the text of a line.
    pub fn text(&self) -> Arc<str> {
        text(self)
    }
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

/// A step for a ringing call is about to be sent to Azure. After a restart the very same request is sent
/// again, so that Azure counts it once, and then the rest of the plan is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trying {
    /// Where the event stands that told of the ringing.
    pub rang: Position,
    /// What is left of the plan; the first of it is the step that is about to be sent.
    pub plan: Vec<Planned>,
    /// What the events of an answer carry.
    pub context: OperationContext,
    /// `Repeatability-Request-ID`.
    pub request_id: Uuid,
    /// `Repeatability-First-Sent`.
    pub first_sent: Timestamp,
    /// When the ringing ends.
    pub deadline: Timestamp,
    /// The decision, with what was tried so far; without notices, which have lines of their own.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_readable")]
    pub record: Option<DecisionRecord>,
}

/// It is settled what became of a ringing call: nothing is done about it any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// Where the event stands that told of the ringing.
    pub rang: Position,
    /// What became of it.
    pub fate: routing::Fate,
    /// The application's leg, when the call was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallConnectionId>,
    /// The decision and all that was tried; without notices, which have lines of their own.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_readable")]
    pub record: Option<DecisionRecord>,
}

/// Records are for people. One that cannot be read must not hide that a call was acted on.
fn if_readable<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DecisionRecord>, D::Error> {
    let json = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(json).ok())
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

impl Trying {
    /// As the text of a line.
    pub fn text(&self) -> Arc<str> {
        text(self)
    }
}

impl Settled {
    /// As the text of a line.
    pub fn text(&self) -> Arc<str> {
        text(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::call::NewOperation;
    use crate::pure::time::Position;
    use crate::wire::calling::Operation;

    #[test]
    fn what_becomes_of_an_operation_is_read_as_it_was_written() {
        let about = Some("rec-1".to_owned());
        let (operation, context) = (Operation::StopRecording, "mine".into());
        let what = NewOperation { operation, context, expects: 3, about, unique: true };
        for deed in [
            OperationDeed::Begun(what),
            OperationDeed::Accepted(Position(7)),
            OperationDeed::Named(Position(7), "rec-2".to_owned()),
            OperationDeed::Withdrawn(Position(7)),
        ] {
            let note = OperationNote { call: "a-call".into(), deed };
            let read: OperationNote = serde_json::from_str(&note.text()).expect("a note");
            assert_eq!(read, note);
        }
    }
}
