//! One wait, from the side of whoever waits.

use std::time::Duration;

use tokio::sync::oneshot;

use super::calls::{Calls, heard_again};
use super::messages::Ask;
use super::telling;
use crate::ports::Record;
use crate::pure::call::{Condition, Ending, Heard, NearMiss, WaitEnd, WaiterId, Wants};
use crate::wire::identifiers::CallConnectionId;

/// How a wait ended.
#[derive(Clone, Debug, PartialEq)]
pub enum WaitOutcome {
    /// This came.
    Told(Heard),
    /// Nothing came in time; the near misses say what came instead.
    TimedOut(Vec<NearMiss>),
    /// It was cancelled.
    Cancelled,
    /// The call ended first.
    CallEnded(Ending),
    /// The service stops.
    ShuttingDown,
    /// The call has as many waits as it may have.
    Refused,
    /// The call's state was lost to a fault of ours.
    Lost,
}

/// A wait that stands. Await its [`outcome`](Self::outcome); dropping it cancels it.
#[must_use = "dropping a wait cancels it"]
pub struct Waiting {
    pub(super) id: WaiterId,
    pub(super) call: CallConnectionId,
    pub(super) calls: Calls,
    pub(super) state: State,
    /// What it wants, when a filter is part of it: its near misses are judged with the payloads.
    pub(super) filtered: Option<Box<Wants>>,
}

pub(super) enum State {
    /// In the call's list.
    Standing(oneshot::Receiver<Result<Heard, WaitEnd>>),
    /// The past had the answer.
    Settled(Box<Heard>),
    /// Told.
    Over,
}

impl Waiting {
    /// Replaces the timeout; it counts from the wait's beginning.
    pub fn within(self, within: Duration) -> Self {
        if matches!(self.state, State::Standing(_)) {
            self.calls.mention(&self.call, Ask::Retime { id: self.id, within });
        }
        self
    }

    /// Waits until the wait ends, one way or another.
    pub async fn outcome(mut self) -> WaitOutcome {
        let ended = match &mut self.state {
            State::Standing(outcome) => outcome.await,
            State::Settled(heard) => Ok(Ok((**heard).clone())),
            State::Over => return WaitOutcome::Lost,
        };
        self.state = State::Over;
        match ended {
            Ok(Ok(heard)) => WaitOutcome::Told(heard),
            Ok(Err(WaitEnd::TimedOut(near_misses))) => {
                WaitOutcome::TimedOut(self.judge(near_misses).await)
            }
            Ok(Err(WaitEnd::Cancelled)) => WaitOutcome::Cancelled,
            Ok(Err(WaitEnd::CallEnded(ending))) => WaitOutcome::CallEnded(ending),
            Ok(Err(WaitEnd::ShuttingDown)) => WaitOutcome::ShuttingDown,
            Ok(Err(WaitEnd::Refused)) => WaitOutcome::Refused,
            Err(_) => {
                telling::wait_lost();
                WaitOutcome::Lost
            }
        }
    }

    /// An event of the wrong type or context is only a near miss if the filter would have let it
    /// pass; that needs its payload.
    async fn judge(&self, near_misses: Vec<NearMiss>) -> Vec<NearMiss> {
        let Some(wants) = &self.filtered else { return near_misses };
        let at: Vec<_> = near_misses.iter().map(|miss| miss.position).collect();
        let records = self.calls.journal().get(&at).await.unwrap_or_default();
        let passes = |record: Option<Record>| {
            record.and_then(heard_again).is_some_and(|heard| wants.passes_filter(&heard))
        };
        let judged = near_misses.into_iter().zip(records);
        let near = |(miss, record): (NearMiss, Option<Record>)| {
            (miss.failed == Condition::Filter || passes(record)).then_some(miss)
        };
        judged.filter_map(near).collect()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if matches!(self.state, State::Standing(_)) {
            self.calls.mention(&self.call, Ask::CancelWait(self.id));
        }
    }
}
