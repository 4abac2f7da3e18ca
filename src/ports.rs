//! The few traits through which the world is reached: time, the journal, Azure.
//!
//! Owns the shapes of these doors and no logic. What stands behind each of them (a real clock or a
//! hand-held one, memory or disk, Azure or the emulator) is chosen in `app`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::wire::calling::{Operation, Place, RequestModel};
use crate::wire::events::{CallEvent, EventKind};
use crate::wire::identifiers::CallConnectionId;

pub use crate::pure::time::{Position, Tick};

/// A boxed future, for ports that answer later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Time, as everybody here gets it. Nobody else reads a clock.
pub trait Clock: Send + Sync {
    /// Monotonic milliseconds since some fixed moment.
    fn now(&self) -> Tick;
    /// The calendar.
    fn wall(&self) -> Timestamp;
    /// Calls `ring` once at `at` or soon after; at once when `at` has passed. `ring` must be quick.
    /// Dropping the returned [`Alarm`] cancels it.
    fn alarm(&self, at: Tick, ring: Box<dyn FnOnce() + Send>) -> Alarm;
}

/// Names an alarm of one clock: when it rings, and its number among those of the same time.
pub type AlarmKey = (Tick, u64);

/// Where alarms are set.
pub trait Alarms: Send + Sync {
    /// Forgets an alarm; does nothing when it has rung.
    fn cancel(&self, key: AlarmKey);
}

/// An alarm that is set. Dropping it cancels it.
#[must_use = "dropping an alarm cancels it"]
pub struct Alarm {
    of: Arc<dyn Alarms>,
    key: AlarmKey,
}

impl Alarm {
    /// The alarm that is known under `key`.
    pub fn new(of: Arc<dyn Alarms>, key: AlarmKey) -> Self {
        Self { of, key }
    }

    /// When it rings.
    pub fn at(&self) -> Tick {
        self.key.0
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.of.cancel(self.key);
    }
}

/// Waits on a clock, whichever it is.
pub async fn sleep(clock: &dyn Clock, time: Duration) {
    let (ring, rung) = tokio::sync::oneshot::channel();
    let ring = Box::new(move || {
        let _nobody_waits = ring.send(());
    });
    let _alarm = clock.alarm(clock.now() + time, ring);
    let _ = rung.await;
}

/// What the journal keeps of one event.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it stands.
    pub position: Position,
    /// When we received it.
    pub received: Timestamp,
    /// Which call it is about.
    pub call: CallConnectionId,
    /// Its type.
    pub kind: EventKind,
    /// The whole CloudEvent.
    pub raw: Arc<str>,
}

/// Why the journal could not keep or give something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The store failed; nothing of the batch counts as kept.
    #[error("the journal could not be written: {0}")]
    Failed(String),
}

/// Receives the events of one batch with their positions, before any later batch gets its own: so
/// the order of positions is the order of delivery.
pub type Deliver<'a> = &'a mut dyn FnMut(Position, Arc<CallEvent>);

/// Where events are kept. In memory for `--ephemeral` and tests.
pub trait Journal: Send + Sync {
    /// Gives the events their positions, hands each to `deliver`, and answers when all of them are
    /// as safe as this journal makes them. `deliver` is called before this function returns.
    fn append(
        &self,
        received: Timestamp,
        events: Vec<Arc<CallEvent>>,
        deliver: Deliver<'_>,
    ) -> Later<'static, Result<(), JournalError>>;

    /// Up to `limit` records after `after`, in order, and the oldest position still kept.
    fn read(&self, after: Position, limit: usize) -> Later<'_, Result<Page, JournalError>>;

    /// The records at these positions; `None` for those trimmed away.
    fn get(&self, at: &[Position]) -> Later<'_, Result<Vec<Option<Record>>, JournalError>>;

    /// The newest position, and a way to wait for newer ones.
    fn newest(&self) -> watch::Receiver<Position>;

    /// Names this life of the journal: cursors from another life are refused.
    fn life(&self) -> u32;
}

/// An answer of [`Journal::read`].
#[derive(Clone, Debug)]
pub struct Page {
    /// In order of position.
    pub records: Vec<Record>,
    /// The oldest position still kept; a reader that asks for older ones has missed some.
    pub oldest: Position,
}

/// One request to Azure, decided on: everything but signature and retries.
#[derive(Clone)]
pub struct Request {
    /// Which operation.
    pub operation: Operation,
    /// On what.
    pub place: Place,
    /// What stands in the query beside `api-version`, percent-encoded; empty for nothing.
    pub query: String,
    /// JSON body, empty for none.
    pub body: Vec<u8>,
    /// Fixes the Repeatability headers: a request sent again with the same value counts once.
    /// `None` lets the client make one up.
    pub repeatability: Option<Repeatability>,
    /// No attempt begins after this moment; `None` for the client's own limit.
    pub deadline: Option<Tick>,
}

impl fmt::Debug for Request {
    /// Neither body nor query: those belong to the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.operation.label(), self.place)
    }
}

impl Request {
    /// An operation on a place, with no body, no query and the client's own limits.
    pub fn new(operation: Operation, place: Place) -> Self {
        let (query, body) = (String::new(), Vec::new());
        Self { operation, place, query, body, repeatability: None, deadline: None }
    }

    /// The request that a model stands for.
    pub fn of<M: RequestModel>(model: &M, place: Place) -> Self {
        Self { body: model.body(), ..Self::new(M::OPERATION, place) }
    }
}

/// The pair of Repeatability headers, the same for every attempt of one logical request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeatability {
    /// UUID version 4.
    pub request_id: uuid::Uuid,
    /// When the first attempt was made.
    pub first_sent: Timestamp,
}

/// A successful answer of Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// One of the operation's success statuses.
    pub status: u16,
    /// JSON, or empty.
    pub body: bytes::Bytes,
}

/// Why a request to Azure failed, after all retries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Azure refused with a final answer.
    #[error("the call service refused {operation}: {status} {code}: {message}")]
    Refused {
        /// Label of the operation.
        operation: &'static str,
        /// HTTP status.
        status: u16,
        /// Azure's code (`8522`), empty when it gave none.
        code: String,
        /// Azure's sentence.
        message: String,
    },
    /// Azure answered with faults or throttling until the retries were used up.
    #[error(
        "the call service failed at {operation} with {status} {attempts} times; try again later"
    )]
    Failing {
        /// Label of the operation.
        operation: &'static str,
        /// The last status.
        status: u16,
        /// How many attempts were made.
        attempts: u32,
    },
    /// Nobody answered.
    #[error("the call service could not be reached for {operation}: {reason}")]
    Unreachable {
        /// Label of the operation.
        operation: &'static str,
        /// What the transport said; never holds a URL.
        reason: String,
    },
    /// Azure answered something that is not in the API.
    #[error("the call service answered {operation} with something unreadable: {reason}")]
    Unreadable {
        /// Label of the operation.
        operation: &'static str,
        /// What was wrong with it.
        reason: String,
    },
}

impl UpstreamError {
    /// The status that Azure gave, if it gave one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Failing { status, .. } => Some(*status),
            Self::Unreachable { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// Azure's Call Automation, or whatever stands in for it.
pub trait CallAutomation: Send + Sync {
    /// Signs and sends, retries by the vendor's rules, gives the answer or why there is none.
    fn send(&self, request: Request) -> Later<'_, Result<Answer, UpstreamError>>;
}

/// A key with which the call service signs its callbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// `kid`: names the key in a token's header.
    pub id: String,
    /// RSA modulus, base64url.
    pub modulus: String,
    /// RSA exponent, base64url.
    pub exponent: String,
}

/// The keys with which callbacks are signed, as published by the call service.
pub trait PublishedKeys: Send + Sync {
    /// Fetches them anew.
    fn fetch(&self) -> Later<'_, Result<Vec<SigningKey>, String>>;
}
