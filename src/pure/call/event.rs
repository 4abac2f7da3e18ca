//! What goes into a call and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use super::operations::{Conclusion, OperationDeed};
use super::wants::{Condition, Wants};
use crate::pure::notes::Remark;
use crate::pure::time::{Position, Tick};
use crate::wire::events::{CallEvent, EventKind};
use crate::wire::identifiers::{CorrelationId, ServerCallId};

/// Names one wait, in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// Names one ongoing subscription, in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// An event that reached us: where it stands in the journal, when it came, what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Its place in the order of delivery.
    pub position: Position,
    /// When we received it, in milliseconds since 1970 (UTC).
    pub received_ms: i64,
    /// The event.
    pub event: Arc<CallEvent>,
}

/// The names of a call beside its connection id.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The call, shared by its legs.
    #[serde(rename = "serverCallId", default, skip_serializing_if = "Option::is_none")]
    pub server_call: Option<ServerCallId>,
    /// Azure's log correlation.
    #[serde(rename = "correlationId", default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<CorrelationId>,
}

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Input {
    /// Azure said something.
    Event(Heard),
    /// Azure said it before a restart, and this became of it. Nobody is told again.
    Replay(Heard, Remark),
    /// Somebody wants to be told once.
    Wait {
        /// Chosen by the asker; unique.
        id: WaiterId,
        /// What.
        wants: Wants,
        /// When it was asked: it may have been under way for a while.
        asked: Tick,
        /// For how long, from then.
        within: Duration,
        /// Whether an event that came before may answer it. Not when the asker has read on from a
        /// cursor: it knows what came before.
        from_backlog: bool,
    },
    /// The timeout of a wait is replaced; it still counts from the wait's beginning.
    Retime {
        /// Which.
        id: WaiterId,
        /// The new timeout.
        within: Duration,
    },
    /// Somebody stopped waiting.
    Cancel(WaiterId),
    /// Nobody was there to be told any more: the event goes back to where a late waiter finds it.
    Return(Heard),
    /// Somebody wants to be told every time.
    Subscribe {
        /// Chosen by the asker; unique.
        id: SubscriptionId,
        /// What.
        wants: Wants,
    },
    /// Somebody stopped listening.
    Unsubscribe(SubscriptionId),
    /// The application made or answered this call: it exists, whether or not events have come.
    Claim(Identity),
    /// Something is asked of it, or was.
    Operation {
        /// Where this stands in the journal.
        place: Position,
        /// When, in milliseconds since 1970 (UTC).
        at_ms: i64,
        /// What has become of it.
        deed: OperationDeed,
    },
    /// Azure, when asked, said that it lives.
    Verified,
    /// It is known to be over, though no event said so.
    Close(Cause),
    /// The service stops: every wait ends now.
    Shutdown,
    /// Time has passed.
    Woke,
}

impl Input {
    /// Whether it changes what must survive a restart.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Event(_)
            | Self::Replay(..)
            | Self::Claim(_)
            | Self::Operation { .. }
            | Self::Close(_) => true,
            Self::Wait { .. }
            | Self::Retime { .. }
            | Self::Cancel(_)
            | Self::Return(_)
            | Self::Subscribe { .. }
            | Self::Unsubscribe(_)
            | Self::Verified
            | Self::Shutdown
            | Self::Woke => false,
        }
    }
}

/// What should be done about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell a waiter. Its wait is over.
    Tell(WaiterId, Heard),
    /// End a wait without an event.
    End(WaiterId, WaitEnd),
    /// Tell a subscriber.
    Inform(SubscriptionId, Heard),
    /// End a subscription.
    Close(SubscriptionId, CloseReason),
    /// Note beside the event what became of it, for a later [`Input::Replay`].
    Remark(Position, Remark),
    /// Count an event.
    Count(EventKind, Fate),
    /// Count events that left the backlog untaken.
    Dropped(DropReason, usize),
    /// An operation is over.
    Concluded(Conclusion),
    /// Ask Azure whether the call still lives. Said again only after the answer, or after as long a
    /// silence once more.
    Verify,
    /// The call is over. What remains of it answers late waiters for a while.
    Over(Ending),
    /// Nothing was ever known of this call and nobody waits for it any more: forget it.
    Forget,
}

/// How a wait ends without an event.
#[derive(Clone, Debug, PartialEq)]
pub enum WaitEnd {
    /// Its time is up. The near misses say what came instead.
    TimedOut(Vec<NearMiss>),
    /// It was cancelled.
    Cancelled,
    /// The call ended first.
    CallEnded(Ending),
    /// The service stops.
    ShuttingDown,
    /// The call has as many waits as it may have.
    Refused,
}

/// How and why a call ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// What ended it.
    pub cause: Cause,
    /// `code` of the disconnect's result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// `subCode` of the disconnect's result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_code: Option<i32>,
}

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// `CallDisconnected` came.
    Disconnected,
    /// Setting it up failed and nothing more was heard.
    SetupFailed,
    /// It was silent for longer than the limit.
    Silent,
    /// Azure, when asked, knew it no more: its end was lost, or came while we were away.
    Reconciled,
}

impl Cause {
    /// A closed set for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::SetupFailed => "setup_failed",
            Self::Silent => "silent",
            Self::Reconciled => "reconciled",
        }
    }
}

/// An event that met all conditions of a wait but one (rule C16).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NearMiss {
    /// Where the event stands.
    #[serde(skip)]
    pub position: Position,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The condition that failed.
    pub failed: Condition,
}

/// Why a subscription ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The call ended.
    CallEnded,
    /// The service stops.
    ShuttingDown,
    /// The call has as many subscriptions as it may have.
    Refused,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// At least one waiter got it.
    Matched,
    /// No waiter, but at least one subscription got it.
    ToldOngoing,
    /// Nobody got it; it waits in the backlog.
    Kept,
    /// Seen before: no effect (rule C2).
    Repeated,
    /// The call had ended: no effect but a line in its record (rule C10).
    Late,
}

impl Fate {
    /// All of them, in the order of [`Fate::index`].
    pub const ALL: [Self; 5] =
        [Self::Matched, Self::ToldOngoing, Self::Kept, Self::Repeated, Self::Late];

    /// Place in [`Self::ALL`], for tables.
    pub fn index(self) -> usize {
        self as usize
    }

    /// A closed set for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::ToldOngoing => "told_ongoing",
            Self::Kept => "kept",
            Self::Repeated => "repeated",
            Self::Late => "late",
        }
    }
}

/// Why an event left the backlog untaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Its 5 s were over.
    Expired,
    /// The backlog was full.
    Full,
    /// The call ended.
    CallEnded,
}

impl DropReason {
    /// A closed set for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Full => "full",
            Self::CallEnded => "call_ended",
        }
    }
}
