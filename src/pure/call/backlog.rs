//! Events that arrived before anyone asked for them (rule C6).
//!
//! Owns one call's backlog and its limits. Never reads a clock, never counts: it returns what it
//! dropped and lets the caller tell.

use std::collections::VecDeque;

use super::event::Heard;
use super::limits::Limits;
use super::wants::Wants;
use crate::pure::time::{Position, Tick};

#[derive(Clone, Debug)]
struct Kept {
    at: Tick,
    heard: Heard,
}

/// Boxed, because most calls most of the time have none, and an empty queue is four words.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog(Option<Box<Queue>>);

/// Oldest first.
#[derive(Clone, Debug, Default)]
struct Queue(VecDeque<Kept>);

impl Backlog {
    pub fn len(&self) -> usize {
        self.queue().map_or(0, VecDeque::len)
    }

    /// Keeps an event that arrived at `at`. True when the oldest, be it this one, had to leave for it.
    pub fn keep(&mut self, at: Tick, heard: Heard, limits: &Limits) -> bool {
        if limits.backlog_events == 0 {
            return true;
        }
        let kept = &mut self.0.get_or_insert_default().0;
        let full = kept.len() >= limits.backlog_events;
        let place =
            kept.partition_point(|other| (other.at, other.heard.position) <= (at, heard.position));
        match (full, place) {
            (true, 0) => {}
            (true, _) => {
                kept.pop_front();
                kept.insert(place - 1, Kept { at, heard });
            }
            (false, _) => kept.insert(place, Kept { at, heard }),
        }
        full
    }

    /// Drops what is older than the limit; says how many.
    pub fn expire(&mut self, now: Tick, limits: &Limits) -> usize {
        let Some(Queue(kept)) = self.0.as_deref_mut() else { return 0 };
        let old = kept.partition_point(|kept| kept.at + limits.backlog_age <= now);
        kept.drain(..old);
        self.tidy();
        old
    }

    /// Takes the oldest event that is wanted, and only that one.
    pub fn take(&mut self, wants: &Wants) -> Option<Heard> {
        let Queue(kept) = self.0.as_deref_mut()?;
        let place = kept.iter().position(|kept| wants.matches(&kept.heard))?;
        let taken = kept.remove(place).map(|kept| kept.heard);
        self.tidy();
        taken
    }

    /// The events, and when they arrived, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Tick, &Heard)> {
        self.queue().into_iter().flatten().map(|kept| (kept.at, &kept.heard))
    }

    /// Where the events stand that suit a wait in all but its filter, youngest first. To be asked when
    /// [`Backlog::take`] found nothing.
    pub fn filtered_out<'a>(&'a self, wants: &'a Wants) -> impl Iterator<Item = Position> + 'a {
        let kept = wants.filter.as_ref().and(self.queue());
        let kept = kept.into_iter().flat_map(|kept| kept.iter().rev());
        let suits =
            move |heard: &&Heard| wants.suits(&heard.event.kind, heard.event.context.as_ref());
        kept.map(|kept| &kept.heard).filter(suits).map(|heard| heard.position)
    }

    /// Takes out the event at a position; says whether there was one.
    pub fn remove(&mut self, position: Position) -> bool {
        let Some(Queue(kept)) = self.0.as_deref_mut() else { return false };
        let before = kept.len();
        kept.retain(|kept| kept.heard.position != position);
        let removed = kept.len() < before;
        self.tidy();
        removed
    }

    /// Drops everything; says how many.
    pub fn clear(&mut self) -> usize {
        self.0.take().map_or(0, |queue| queue.0.len())
    }

    /// When the oldest event leaves.
    pub fn deadline(&self, limits: &Limits) -> Option<Tick> {
        self.queue()?.front().map(|kept| kept.at + limits.backlog_age)
    }

    fn queue(&self) -> Option<&VecDeque<Kept>> {
        self.0.as_deref().map(|queue| &queue.0)
    }

    fn tidy(&mut self) {
        if self.queue().is_some_and(VecDeque::is_empty) {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{heard, limits};
    use super::*;
    use crate::wire::events::EventKind;

    #[track_caller]
    fn check(waited_ms: u64, found: bool) {
        let mut backlog = Backlog::default();
        backlog.keep(Tick(1000), heard(1, EventKind::CallConnected, None), &limits());
        backlog.expire(Tick(1000 + waited_ms), &limits());
        assert_eq!(backlog.take(&Wants::any()).is_some(), found, "after {waited_ms} ms");
    }

    #[test]
    fn c6_an_early_event_waits_five_seconds_for_its_reader() {
        check(0, true);
        check(4_999, true);
        check(5_000, false);
    }

    #[test]
    fn c15_a_full_backlog_drops_the_oldest() {
        let mut backlog = Backlog::default();
        let limits = Limits { backlog_events: 2, ..limits() };
        let dropped: Vec<_> = (1..=3)
            .map(|n| backlog.keep(Tick(n), heard(n, EventKind::PlayCompleted, None), &limits))
            .collect();
        assert_eq!(dropped, [false, false, true]);
        assert_eq!(backlog.take(&Wants::any()).map(|heard| heard.position.0), Some(2));
    }
}
