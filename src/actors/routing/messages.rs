//! What can be said to the [`RoutingActor`](super::RoutingActor), and what it says.

use std::sync::Arc;

use actix::Message;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::ports::{HistoryPage, NumberStoreError, Position, Tick};
use crate::pure::routing::{
    DecisionRecord, Draft, Explanation, Incoming, Key, Numbered, Party, Table, WriteError,
};
use crate::wire::events::EventKey;
use crate::wire::events::grid::{GridEvent, GridNews, IncomingCall};
use crate::wire::identifiers::{
    CallConnectionId, CorrelationId, OperationContext, RawId, RedactedText, ServerCallId,
};

/// News: a telephone rings. Answered with the number of the decision, as soon as there is one; what is
/// done about it goes on afterwards.
#[derive(Debug, Message)]
#[rtype(result = "Result<u64, TooManyRing>")]
pub struct IncomingRang {
    /// The call.
    pub call: Box<IncomingCall>,
    /// Identity of the event.
    pub event: EventKey,
    /// When the event says that it happened, RFC 3339.
    pub event_time: Option<String>,
    /// When we received it.
    pub received: Tick,
    /// Where it stands in the journal.
    pub position: Position,
    /// Where the answer goes too, for senders who must not wait for room in the mailbox.
    pub reply: Option<oneshot::Sender<Result<u64, TooManyRing>>>,
}

impl IncomingRang {
    /// The news in an Event Grid event, if it is about a ringing call.
    pub fn of(event: GridEvent, received: Tick, position: Position) -> Option<Self> {
        let GridEvent { key, time, news, .. } = event;
        match news {
            GridNews::IncomingCall(call) => {
                Some(Self { call, event: key, event_time: time, received, position, reply: None })
            }
            _ => None,
        }
    }

    /// … of which the sender wants to hear over this channel.
    #[must_use]
    pub fn telling(self, reply: oneshot::Sender<Result<u64, TooManyRing>>) -> Self {
        Self { reply: Some(reply), ..self }
    }

    /// As it is decided on.
    pub(super) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            call: &self.call,
            event: self.event,
            event_time: self.event_time.as_deref(),
            received: self.received,
        }
    }
}

/// As many calls are being acted on as there may be; the sender should come again. Nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} ringing calls are being acted on, the most there may be; try again")]
pub struct TooManyRing {
    /// The limit.
    pub limit: usize,
}

/// News: any other Event Grid event about calls. It is noted on the decision for its call (rule I12).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct NoticeCame {
    /// The event.
    pub event: Arc<GridEvent>,
    /// Where it stands in the journal.
    pub position: Position,
}

/// A question: from which place on does the routing need the journal to begin anew after a restart?
/// `None` when it needs nothing. Events that reach the mailbox after this question have later places.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Position>")]
pub struct NeededSince;

/// A request: stop, and let go of the store. Calls that are being acted on are acted on after the next
/// start, should they still ring.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Retire;

/// A request: write this assignment. Answered when it is safe.
#[derive(Debug, Message)]
#[rtype(result = "Result<Numbered, ChangeError>")]
pub struct PutNumber {
    /// What it is for.
    pub key: Key,
    /// What it says.
    pub draft: Draft,
    /// The version that the writer saw, 0 for none at all; `None` writes over whatever there is.
    pub if_match: Option<u64>,
    /// Who writes.
    pub who: RedactedText,
    /// Why.
    pub why: Option<RedactedText>,
}

/// A request: take this assignment away. Answered with the table's new version when that is safe.
#[derive(Debug, Message)]
#[rtype(result = "Result<u64, ChangeError>")]
pub struct DropNumber {
    /// Which.
    pub key: Key,
    /// The version that the writer saw; `None` takes away whatever there is.
    pub if_match: Option<u64>,
    /// Who writes.
    pub who: RedactedText,
    /// Why.
    pub why: Option<RedactedText>,
}

/// A request: make all assignments what they were after that version, in one change of its own. Answered
/// when that is safe.
#[derive(Debug, Message)]
#[rtype(result = "Result<RolledBack, ChangeError>")]
pub struct RollBack {
    /// The version to go back to.
    pub to: u64,
    /// The table's version that the writer saw; `None` rolls back whatever came after.
    pub if_match: Option<u64>,
    /// Who does it.
    pub who: RedactedText,
    /// Why.
    pub why: Option<RedactedText>,
}

/// What a [`RollBack`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// The table's new version.
    pub version: u64,
    /// The version whose assignments these are.
    pub to: u64,
    /// How many keys are different since.
    pub key_count: usize,
}

/// Why the assignments were not changed. They are in force as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The table does not take it.
    #[error(transparent)]
    Refused(#[from] WriteError),
    /// The store does not.
    #[error(transparent)]
    Store(#[from] NumberStoreError),
    /// Somebody else changed the table in between.
    #[error("the table is at version {current} now; look at its history again")]
    Moved {
        /// Its version.
        current: u64,
    },
    /// There is nothing to roll back.
    #[error("the assignments are what they were after version {to}")]
    NothingToDo {
        /// The version asked for.
        to: u64,
    },
    /// Too many changes wait for the store.
    #[error("{limit} changes wait to be written, the most that may; try again")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// A question: what was changed? Newest first.
#[derive(Debug, Message)]
#[rtype(result = "Result<HistoryPage, NumberStoreError>")]
pub struct ListChanges {
    /// Only changes before that version.
    pub before: Option<u64>,
    /// At most so many, and never more than [`MAX_CHANGES`].
    pub limit: usize,
}

/// A page of changes is never longer: each may show many keys.
pub const MAX_CHANGES: usize = 200;

/// A question: what is assigned under exactly this key?
#[derive(Debug, Message)]
#[rtype(result = "Option<Numbered>")]
pub struct GetNumber(pub Key);

/// A page of assignments is never longer: the actor has calls to decide meanwhile.
pub const MAX_PAGE: usize = 1_000;

/// A question: the assignments behind `after`, in order of key.
#[derive(Debug, Message)]
#[rtype(result = "NumberPage")]
pub struct ListNumbers {
    /// The last key of the page before.
    pub after: Option<Key>,
    /// At most so many, and never more than [`MAX_PAGE`].
    pub limit: usize,
}

/// A page of assignments.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberPage {
    /// In order of key.
    pub value: Vec<Numbered>,
    /// The table's version.
    pub version: u64,
    /// How many assignments there are in all.
    pub total: usize,
}

/// A question: the whole table as it is now. It never changes in the hands of its holder.
#[derive(Debug, Message)]
#[rtype(result = "Arc<Table>")]
pub struct GetTable;

/// A question: what would be decided? Changes nothing (rule I10).
#[derive(Debug, Message)]
#[rtype(result = "Explanation")]
pub struct Explain {
    /// Who would call.
    pub caller: Party,
    /// Who would ring.
    pub callee: Party,
    /// When; now, when absent.
    pub at: Option<Timestamp>,
}

/// A glance, for people and tests. Changes nothing.
#[derive(Debug, Message)]
#[rtype(result = "RoutingView")]
pub struct Look;

/// What a [`Look`] sees.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingView {
    /// The table's version.
    pub table_version: u64,
    /// How many assignments there are.
    pub assignments: usize,
    /// Calls whose plan is being carried out.
    pub acting: usize,
    /// Entries in the memory of decided calls.
    pub remembered: usize,
    /// Redirected calls that the loop guard follows.
    pub journeys: usize,
    /// The last decisions, newest first.
    pub decisions: Vec<DecisionRecord>,
    /// Changes of the table that wait to be written.
    pub writing: usize,
    /// Why the table cannot be changed any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_failed: Option<Arc<str>>,
}

/// News, for whoever leads calls: one was answered by an assignment.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct CallAnswered {
    /// The application's leg.
    pub call: CallConnectionId,
    /// The call.
    pub server_call: Option<ServerCallId>,
    /// Azure's log correlation.
    pub correlation: Option<CorrelationId>,
    /// Who called.
    pub from: RawId,
    /// Who was rung.
    pub to: RawId,
    /// What the events of the answer carry.
    pub operation_context: OperationContext,
    /// Number of the decision.
    pub decision: u64,
}
