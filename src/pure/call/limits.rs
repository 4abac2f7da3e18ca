//! The limits of one call. Every pile has one, and every limit has a name.

use std::time::Duration;

use crate::pure::operations::{DEFAULT_GRACE, DEFAULT_PATIENCE};

/// How much one call may hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events kept for late waiters. The oldest leaves first, and is counted.
    pub backlog_events: usize,
    /// 5 s: an event may outrun the response to its own request.
    pub backlog_age: Duration,
    /// Waits that may stand at once; one more is refused.
    pub waiters: usize,
    /// Subscriptions that may stand at once; one more is refused.
    pub subscriptions: usize,
    /// Operations whose outcome is kept. The oldest that is over leaves first; when none is over, one
    /// more is refused.
    pub operations: usize,
    /// 4 min: an operation of which nothing was heard for so long has timed out.
    pub operation_patience: Duration,
    /// 2 s: operations that only report failure have worked when none came for so long. Azure does not
    /// say how long that may take.
    pub operation_grace: Duration,
    /// Entries of the timeline. The oldest leaves first.
    pub timeline_events: usize,
    /// Identities of events remembered for dropping repeats; at least half of it at any time.
    pub remembered_events: usize,
    /// 60 s: how long an ended call answers late waiters.
    pub tombstone: Duration,
    /// 24 h: a call that says nothing for so long, and that nobody waits for, is given up.
    pub silent: Duration,
    /// 1 h: a call of which nothing was heard for so long is asked about, and again after as long.
    /// [`Duration::MAX`] means never.
    pub verify_silent: Duration,
    /// 24 h: a call that is older is asked about as if it were silent.
    pub verify_max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            backlog_events: 256,
            backlog_age: Duration::from_secs(5),
            waiters: 1024,
            subscriptions: 128,
            operations: 128,
            operation_patience: DEFAULT_PATIENCE,
            operation_grace: DEFAULT_GRACE,
            timeline_events: 1000,
            remembered_events: 8192,
            tombstone: Duration::from_secs(60),
            silent: Duration::from_secs(24 * 60 * 60),
            verify_silent: Duration::from_secs(60 * 60),
            verify_max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}
