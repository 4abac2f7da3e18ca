//! What the actors of one shard share: time, limits, and the count of what is pending.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use actix::Addr;

use super::registry::RegistryActor;
use super::telling::EventTelling;
use super::verifier::Doubts;
use crate::ports::{Clock, Journal};
use crate::pure::call::Limits;
use crate::pure::time::Moment;

/// What every call actor of a shard needs around it.
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where notes about events go.
    pub journal: Arc<dyn Journal>,
    /// The limits of one call.
    pub limits: Limits,
    /// Messages that may wait for one call; one more is refused.
    pub call_mailbox: usize,
    /// Messages that may wait for one shard; one more is refused.
    pub registry_mailbox: usize,
    /// Calls that may live at once, over all shards; one more is refused.
    pub max_calls: usize,
    /// How many shards there are.
    pub shards: usize,
    /// How many live now, over all shards.
    pub live: Arc<AtomicUsize>,
    /// Numbers the calls in the order in which they were opened, over all shards.
    pub opened: Arc<AtomicU64>,
    /// Asks of this shard that nobody has dealt with yet, wherever they wait.
    pub pending: AtomicUsize,
    /// Whether no new waits are taken.
    pub stopping: AtomicBool,
    /// Where calls go that are to be asked about.
    pub doubts: Arc<Doubts>,
    /// Counters of events.
    pub telling: Arc<EventTelling>,
    /// The shard itself. Here, so that a million calls need not each hold its address.
    pub registry: OnceLock<Addr<RegistryActor>>,
}

/// The most messages that a mailbox holds beside asks: an alarm and what goes on between actors.
const BESIDE: usize = 8;

impl Surroundings {
    /// The shard itself.
    pub fn registry(&self) -> &Addr<RegistryActor> {
        self.registry.get().expect("a shard knows itself before it starts its first call")
    }

    /// Now, on both clocks.
    pub fn moment(&self) -> Moment {
        Moment { tick: self.clock.now(), wall: self.clock.wall() }
    }

    /// Whether nothing can keep another ask from reaching its call: with so few pending, no mailbox
    /// can be full, and there is room for a new call even if each of them opens one. Then nobody needs
    /// to wait for the verdict, which costs a thread's wakening for every event.
    pub fn has_room(&self) -> bool {
        let pending = self.pending.load(Ordering::Relaxed);
        let live = self.live.load(Ordering::Relaxed);
        !self.stopping.load(Ordering::Relaxed)
            && pending + BESIDE < self.call_mailbox.min(self.registry_mailbox)
            && live + pending * self.shards < self.max_calls
    }
}

/// One pending ask. It counts from its making to its dropping, so that no way of getting lost, not
/// even a panic, makes the count drift.
pub struct Pending(Arc<Surroundings>);

impl Pending {
    /// One more.
    pub fn count(around: &Arc<Surroundings>) -> Self {
        around.pending.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(around))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}
