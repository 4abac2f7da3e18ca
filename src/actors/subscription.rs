//! One ongoing subscription, from the side of whoever listens.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::calls::Calls;
use super::messages::Ask;
use crate::ports::Position;
use crate::pure::call::{CloseReason, Heard, SubscriptionId, Wants};
use crate::wire::identifiers::CallConnectionId;

/// Why a subscription is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The call or the service closed it.
    Closed(CloseReason),
    /// It did not read fast enough, and was dropped.
    Slow,
    /// The call's state was lost to a fault of ours.
    Lost,
}

/// An ongoing subscription. Dropping it detaches it, and only it.
pub struct Subscription {
    pub(super) id: SubscriptionId,
    pub(super) call: CallConnectionId,
    pub(super) calls: Calls,
    pub(super) wants: Wants,
    pub(super) past: VecDeque<Position>,
    pub(super) missed: u64,
    pub(super) events: mpsc::Receiver<Heard>,
    pub(super) closed: Arc<OnceLock<Gone>>,
}

impl Subscription {
    /// How many events had left the timeline before the cursor could be served; 0 means no gap.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The next event, or why there will be none. Nothing is lost when the returned future is dropped
    /// before it is done.
    ///
    /// # Errors
    /// [`Gone`] when the subscription is over.
    pub async fn next(&mut self) -> Result<Heard, Gone> {
        while let Some(position) = self.past.front() {
            let read = self.calls.read(*position).await;
            self.past.pop_front();
            match read {
                Some(heard) if self.wants.passes_filter(&heard) => return Ok(heard),
                Some(_) => {}
                None => self.missed += 1,
            }
        }
        match self.events.recv().await {
            Some(heard) => Ok(heard),
            None => Err(self.closed.get().copied().unwrap_or(Gone::Lost)),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.closed.get().is_none() {
            self.calls.mention(&self.call, Ask::Detach(self.id));
        }
    }
}
