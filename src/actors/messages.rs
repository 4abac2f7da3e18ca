//! The actors' phrasebook: requests in the imperative, news in the past tense.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::Message;
use tokio::sync::{mpsc, oneshot};

use super::call::Kept;
use super::calls::{Listed, Refusal};
use super::subscription::Gone;
use super::surroundings::Pending;
use crate::pure::call::{
    Call, CallView, Cause, Heard, Identity, OperationDeed, OperationView, Phase, SubscriptionId,
    WaitEnd, WaiterId, Wants, Which,
};
use crate::pure::replay::Restored;
use crate::pure::time::{Position, Tick};
use crate::wire::identifiers::CallConnectionId;

/// How a wait ended.
pub type WaitReply = oneshot::Sender<Result<Heard, WaitEnd>>;

/// What can be asked of, or told to, one call. The registry passes it on to the right one.
pub enum Ask {
    /// News: Azure says this happened.
    Deliver(Heard),
    /// Tell me once, when such an event comes, or that it did not.
    WaitFor {
        /// Chosen by the asker; unique in this process.
        id: WaiterId,
        /// What.
        wants: Wants,
        /// When it was asked, which is before this lay in mailboxes.
        asked: Tick,
        /// For how long, from then.
        within: Duration,
        /// Only what comes after this counts.
        resume: Option<Resume>,
        /// Where to tell it.
        reply: WaitReply,
    },
    /// Replace the timeout of a wait; it counts from the wait's beginning.
    Retime {
        /// Which.
        id: WaiterId,
        /// The new timeout.
        within: Duration,
    },
    /// Stop a wait.
    CancelWait(WaiterId),
    /// Tell me every time.
    SubscribeTo {
        /// Chosen by the asker; unique in this process.
        id: SubscriptionId,
        /// What.
        wants: Wants,
        /// What was heard after this is listed in the reply.
        after: Option<Position>,
        /// Where to tell it.
        listener: Listener,
        /// What had been heard before.
        reply: oneshot::Sender<CatchUp>,
    },
    /// Stop telling.
    Detach(SubscriptionId),
    /// News: the application made or answered this call.
    Claim(Identity),
    /// News: something is asked of you, or was.
    Operate {
        /// Where this stands in the journal.
        place: Position,
        /// When, in milliseconds since 1970 (UTC).
        at_ms: i64,
        /// What has become of it.
        deed: OperationDeed,
        /// Where to tell whether there was room for it.
        stands: Option<oneshot::Sender<bool>>,
    },
    /// How does this operation stand?
    LookAtOperation {
        /// Which.
        which: Which,
        /// The answer.
        reply: oneshot::Sender<OperationLook>,
        /// Where to tell that it is over, when it is not yet. Dropped when that cannot be told.
        over: Option<oneshot::Sender<()>>,
    },
    /// News: Azure, when asked, said that it lives.
    Verified,
    /// News: it has ended, and no event will tell.
    Close(Cause),
    /// Write yourself down, if you have changed since the last time.
    WriteDown(mpsc::UnboundedSender<(CallConnectionId, String)>),
    /// A glance, for people and tests. Changes nothing.
    Look(oneshot::Sender<CallView>),
    /// End every wait: the service stops.
    ShutDown,
}

impl Ask {
    /// Whether a call that is not known yet is opened for it: early is normal (rule C11).
    pub fn opens(&self) -> bool {
        match self {
            Self::Deliver(_)
            | Self::WaitFor { .. }
            | Self::SubscribeTo { .. }
            | Self::Claim(_)
            | Self::Operate { deed: OperationDeed::Begun(_), .. } => true,
            Self::Retime { .. }
            | Self::CancelWait(_)
            | Self::Detach(_)
            | Self::Operate { .. }
            | Self::LookAtOperation { .. }
            | Self::Verified
            | Self::Close(_)
            | Self::WriteDown(_)
            | Self::Look(_)
            | Self::ShutDown => false,
        }
    }
}

impl Ask {
    /// Whether somebody would wait for its answer for long.
    pub fn waits(&self) -> bool {
        match self {
            Self::WaitFor { .. } | Self::SubscribeTo { .. } => true,
            Self::LookAtOperation { over, .. } => over.is_some(),
            _ => false,
        }
    }
}

/// How an operation stands.
pub enum OperationLook {
    /// Like this.
    Here(Box<OperationView>),
    /// The call knows of none such.
    Unknown,
    /// As many wait for operations of the call as may.
    TooMany,
}

/// An ask on its way, counted as pending until somebody has dealt with it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Asked {
    /// What is asked.
    pub ask: Ask,
    /// Gone with the message, whatever becomes of it.
    pub pending: Pending,
}

/// Where a subscriber listens. A full channel means a slow subscriber; it is dropped.
pub struct Listener {
    /// The events.
    pub events: mpsc::Sender<Heard>,
    /// Why it ended, once it has.
    pub closed: Arc<OnceLock<Gone>>,
}

/// A wait that goes on from a cursor. If anything was heard since that may be what it wants, the wait
/// is not put up; the asker reads that first and asks again from there.
pub struct Resume {
    /// The cursor.
    pub after: Position,
    /// Where to tell what was heard since.
    pub past: oneshot::Sender<CatchUp>,
}

/// What a new subscriber has missed and can still read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// Where the events after its cursor stand, in order.
    pub positions: Vec<Position>,
    /// How many lines of the timeline have left it; some of them may have been after the cursor.
    pub missed: u64,
}

/// Request: pass this on to the call, opening it if need be.     → Registry
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route {
    /// Which call.
    pub call: CallConnectionId,
    /// What.
    pub asked: Asked,
    /// Whether it was passed on; nothing when nobody cares, or when it cannot fail.
    pub admitted: Option<oneshot::Sender<Result<(), Refusal>>>,
}

/// News: time has passed.                                        Clock → anybody
#[derive(Message)]
#[rtype(result = "()")]
pub struct Woke;

/// News: this call is over; keep what remains of it.             CallActor → Registry
#[derive(Message)]
#[rtype(result = "()")]
pub struct CallOver {
    /// Which.
    pub id: CallConnectionId,
    /// Which of its lives.
    pub incarnation: u64,
    /// What is written down of it.
    pub(super) kept: Kept,
    /// What remains.
    pub remains: Box<Call>,
}

/// News: nobody knows this call any more, or its actor died.     CallActor → Registry
#[derive(Message)]
#[rtype(result = "()")]
pub struct CallLeft {
    /// Which.
    pub id: CallConnectionId,
    /// Which of its lives.
    pub incarnation: u64,
    /// Whether a snapshot of it is kept.
    pub written: bool,
    /// Whether it died of a fault of ours.
    pub died: bool,
}

/// Request: take these calls as they were before a restart.      → Registry
#[derive(Message)]
#[rtype(result = "()")]
pub struct Restore {
    /// The calls of this shard, in the order of their opening.
    pub calls: Vec<Restored>,
    /// Calls of this shard with a snapshot that are no more.
    pub gone: Vec<CallConnectionId>,
}

/// Request: let some calls write themselves down.                → Registry
#[derive(Message)]
#[rtype(result = "Written")]
pub struct WritePage {
    /// Only calls opened after this one.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
    /// Where they send what they have written; closed when all have.
    pub page: mpsc::UnboundedSender<(CallConnectionId, String)>,
}

/// How far a [`WritePage`] came.
#[derive(Debug, Default)]
pub struct Written {
    /// The last call that was asked; `None` when there are no more.
    pub last: Option<u64>,
    /// Calls with a snapshot that are no more. Told once, with the first page.
    pub gone: Vec<CallConnectionId>,
}

/// A glance at one call by any of its ids.                       → Registry
#[derive(Message)]
#[rtype(result = "Vec<CallConnectionId>")]
pub struct FindByAnyId(pub String);

/// A page of calls in the order in which they were opened.       → Registry
#[derive(Message)]
#[rtype(result = "Vec<Listed>")]
pub struct ListCalls {
    /// Only calls opened after this one.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
    /// Only calls in this state.
    pub state: Option<Phase>,
}

/// How full the shard is.                                        → Registry
#[derive(Message)]
#[rtype(result = "ShardView")]
pub struct LookAtShard;

/// Request: end every wait of every call, take no new ones.      → Registry
#[derive(Message)]
#[rtype(result = "usize")]
pub struct StopWaiting;

/// A picture of one shard of the registry.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardView {
    /// Calls that live.
    pub live: usize,
    /// … of them connected.
    pub connected: usize,
    /// Calls that ended within the grace time.
    pub ended: usize,
    /// Entries of the index by other ids.
    pub other_ids: usize,
}
