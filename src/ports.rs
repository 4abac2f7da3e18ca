//! The few traits through which the world is reached: time, the journal, Azure.
//!
//! Owns the shapes of these doors and no logic. What stands behind each of them (a real clock or a
//! hand-held one, memory or disk, Azure or the emulator) is chosen in `app`.

mod numbers;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::wire::calling::{Operation, Place, RequestModel};
use crate::wire::identifiers::CallConnectionId;

pub use crate::pure::forwarding::Posted;
pub use crate::pure::notes::Remark;
pub use crate::pure::time::{Position, Tick};
pub use numbers::{HistoryPage, ListedChange, NumberStore, NumberStoreError, Past};

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

/// What a line of the journal is about. The codes are part of the file format: never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// A mid-call event, the CloudEvent as it came.
    Heard,
    /// An Event Grid event about a ringing call, or any other about calls, as it came.
    Rang,
    /// The application made or answered a call.
    Claimed,
    /// A call ended without an event.
    Closed,
    /// A step for a ringing call is about to be sent to Azure.
    Trying,
    /// It is settled what became of a ringing call.
    Settled,
    /// About an operation that was asked for through the gateway.
    Operation,
    /// About forwarding an event to a caller of the gateway.
    Forward,
}

impl LineKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Heard,
        Self::Rang,
        Self::Claimed,
        Self::Closed,
        Self::Trying,
        Self::Settled,
        Self::Operation,
        Self::Forward,
    ];

    /// The number that stands for it in files.
    pub fn code(self) -> u8 {
        match self {
            Self::Heard => 1,
            Self::Rang => 2,
            Self::Claimed => 3,
            Self::Closed => 4,
            Self::Trying => 5,
            Self::Settled => 6,
            Self::Operation => 7,
            Self::Forward => 8,
        }
    }

    /// What a number in a file stands for.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// A closed set for metric labels and dumps.
    pub fn label(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Rang => "rang",
            Self::Claimed => "claimed",
            Self::Closed => "closed",
            Self::Trying => "trying",
            Self::Settled => "settled",
            Self::Operation => "operation",
            Self::Forward => "forward",
        }
    }
}

/// One line of the journal: something that is never forgotten once it was acknowledged.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub kind: LineKind,
    /// When it came, or was written.
    pub at: Timestamp,
    /// JSON.
    pub text: Arc<str>,
}

impl fmt::Debug for Line {
    /// Not the text: that belongs to the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kind.label(), self.at)
    }
}

/// A line where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where.
    pub position: Position,
    /// The line.
    pub line: Line,
}

/// Why the journal could not keep or give something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The store failed; nothing of the batch counts as kept, and nothing will be kept any more.
    #[error("the journal could not be written: {0}")]
    Failed(Arc<str>),
    /// More waits to be written than may wait. Nothing was taken.
    #[error("the journal has as much to write as it may; try again shortly")]
    Full,
    /// The store could not be read.
    #[error("the journal could not be read: {0}")]
    Unreadable(Arc<str>),
}

/// Told where the first of some lines stands, before any later ones get their place: so the order of
/// positions is the order in which this is called.
pub type Placed<'a> = &'a mut dyn FnMut(Position);

/// How the journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    /// The newest position that is safe.
    pub newest: Position,
    /// Up to here snapshots stand for the lines: recovery begins after it.
    pub covered: Position,
    /// Lines that were added since, roughly; a reason to make snapshots.
    pub uncovered: u64,
    /// Why nothing can be written any more.
    pub failed: Option<Arc<str>>,
}

/// The state of some calls, to be kept in place of their lines.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    /// The calls and their state, JSON.
    pub of: Vec<(CallConnectionId, String)>,
    /// Calls whose snapshot is needed no more. They are taken away before the others are kept.
    pub gone: Vec<CallConnectionId>,
    /// The last part of a round: all calls that are not in it are as they were, and everything up to
    /// this position is in some snapshot or concerns nothing that lives.
    pub covers: Option<Position>,
}

/// What is found when the journal is opened again, in this order.
#[derive(Debug)]
pub enum Found<'a> {
    /// The state of a call.
    Snapshot(&'a str, &'a str),
    /// A line that no snapshot covers, and what became of it.
    Line(Record, Remark),
}

/// Where everything is kept that must survive. In memory for `--ephemeral` and tests.
pub trait Journal: Send + Sync {
    /// Gives the lines places behind each other, says which through `placed` before it returns, and
    /// answers when all of them are as safe as this journal makes them. `placed` is not called when
    /// nothing was taken.
    fn append(
        &self,
        lines: Vec<Line>,
        placed: Placed<'_>,
    ) -> Later<'static, Result<(), JournalError>>;

    /// Notes what became of an event. Written with whatever is written next, or by itself soon.
    fn remark(&self, position: Position, remark: Remark);

    /// Keeps snapshots.
    fn keep(&self, snapshots: Snapshots) -> Later<'static, Result<(), JournalError>>;

    /// Up to `limit` lines after `after`, in order, and the oldest position still kept. Only what is
    /// safe is given.
    fn read(&self, after: Position, limit: usize) -> Later<'_, Result<Page, JournalError>>;

    /// The lines at these positions, safe or not yet; `None` for those trimmed away.
    fn get(&self, at: &[Position]) -> Later<'_, Result<Vec<Option<Record>>, JournalError>>;

    /// Everything that is needed to go on after a restart: first all snapshots, then the lines that
    /// they do not cover. For the time before anything is appended; blocks.
    ///
    /// # Errors
    /// [`JournalError::Unreadable`].
    fn recover(&self, found: &mut dyn FnMut(Found<'_>)) -> Result<(), JournalError>;

    /// How it is, and a way to wait for changes.
    fn state(&self) -> watch::Receiver<JournalState>;

    /// Names this journal: cursors from another one are refused. Survives a restart if it does.
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
    pub body: Bytes,
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

/// Somebody else's request, to be signed with our key and passed on once, as it is.
pub struct Passage {
    /// Which operation.
    pub operation: Operation,
    /// Path and query, exactly as they are to be sent.
    pub target: String,
    /// Headers beside those of the signature.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Bytes,
}

/// The parts of a body, as they come.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// An answer, whatever it says.
pub struct Passed {
    /// HTTP status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: BodyStream,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPassed {
    /// Nothing was sent.
    #[error("the call service could not be reached: {0}")]
    NotSent(String),
    /// It was sent, and the connection broke.
    #[error("the call service broke off: {0}")]
    BrokenOff(String),
    /// It was sent, and no answer came in time.
    #[error("the call service did not answer in time")]
    TimedOut,
    /// Nothing was sent, because the last requests got no answer either.
    #[error("the call service has not answered for a while; it is asked again in {} ms", .0.as_millis())]
    Resting(Duration),
    /// The target cannot be sent as it is.
    #[error("an id of the request cannot stand in a path")]
    BadTarget,
}

/// The way to Azure for requests that are not ours.
pub trait Passing: Send + Sync {
    /// Signs and sends, once.
    fn pass(&self, passage: Passage) -> Later<'_, Result<Passed, NotPassed>>;
}

/// The way to the URLs of callers.
pub trait Messenger: Send + Sync {
    /// Posts a body to a URL, once, with this `Authorization`.
    fn post(&self, url: &str, body: Bytes, authorization: Option<&str>) -> Later<'static, Posted>;
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
