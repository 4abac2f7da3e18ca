//! Rule I9 at run time: a call that was sent on is not sent round.
//!
//! When a call is redirected to one of our own numbers or identities, Azure raises a new `IncomingCall`
//! for it, and nothing in that event surely says that it is the same call. So the guard keeps *journeys*:
//! a caller, and the parties to whom this one call was sent. A ringing call belongs to a journey when it
//! carries one of its call ids, or when its callee is where a journey of this caller was last sent. In a
//! journey nobody is visited twice, and there are at most so many hops.
//!
//! A caller who hangs up and dials the same number again begins a new journey: that is no loop. Should a
//! loop run through somebody outside who strips the ids, the same caller comes to the same target again
//! and again; a few such repeats within the window are let through, no more. Hidden callers all look the
//! same, so they are not counted there.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Party;
use crate::pure::time::Tick;
use crate::wire::events::EventKey;
use crate::wire::events::grid::IncomingCall;

/// How much is remembered, and what is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// A redirect is remembered for so long.
    pub window: Duration,
    /// At most so many redirects in one journey.
    pub max_hops: usize,
    /// At most so many redirects of the same caller to the same target within the window. 1, the rule
    /// to the letter, also holds back a caller who dials again.
    pub max_repeats: usize,
    /// At most so many journeys; the oldest leave first.
    pub journeys: usize,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self { window: Duration::from_secs(60), max_hops: 5, max_repeats: 1, journeys: 20_000 }
    }
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// It leads to the party who is ringing.
    TargetIsCallee,
    /// This call has been there already.
    TargetWasVisited,
    /// This call has been sent on too often.
    TooManyHops,
    /// This caller has been sent there too often within the window.
    TooManyRepeats,
}

/// One ringing of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Who calls.
    pub caller: Party,
    /// Who rings.
    pub callee: Party,
    /// Hashes of the call's ids; none when they are not known.
    calls: SmallVec<[u128; 2]>,
}

impl Leg {
    /// A leg of which no call ids are known.
    pub fn new(caller: Party, callee: Party) -> Self {
        Self { caller, callee, calls: SmallVec::new() }
    }

    /// The leg of an incoming call.
    pub fn of(call: &IncomingCall) -> Self {
        let hash = |space: &str, id: Option<&str>| {
            id.filter(|id| !id.is_empty()).map(|id| EventKey::of(space, id).0)
        };
        let ids = [
            hash("correlationId", call.correlation_id.as_ref().map(|id| id.as_str())),
            hash("serverCallId", call.server_call_id.as_ref().map(|id| id.as_str())),
        ];
        let calls = ids.into_iter().flatten().collect();
        Self { caller: Party::of(&call.from), callee: Party::of(&call.to), calls }
    }
}

/// Where one call was sent, in order. The first is whom it rang before it was ever sent on.
#[derive(Debug)]
struct Journey {
    caller: Party,
    visited: Vec<Party>,
    calls: SmallVec<[u128; 2]>,
    latest: Tick,
}

/// The redirects of the last minute.
#[derive(Debug)]
pub struct Guard {
    limits: GuardLimits,
    begun: u64,
    journeys: HashMap<u64, Journey>,
    by_call: HashMap<u128, u64>,
    /// By caller and the party to whom the journey was last sent; the newest is the last.
    by_end: HashMap<(Party, Party), SmallVec<[u64; 1]>>,
    repeats: HashMap<(Party, Party), VecDeque<Tick>>,
    /// Every redirect, oldest first: the journey that it was part of, and its pair.
    order: VecDeque<(Tick, u64, (Party, Party))>,
}

impl Guard {
    /// Remembers nothing yet.
    pub fn new(limits: GuardLimits) -> Self {
        Self {
            limits,
            begun: 0,
            journeys: HashMap::new(),
            by_call: HashMap::new(),
            by_end: HashMap::new(),
            repeats: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Why this leg must not be redirected to that target, if it must not. Changes nothing.
    pub fn verdict(&self, now: Tick, leg: &Leg, target: &Party) -> Option<Held> {
        if *target == leg.callee {
            return Some(Held::TargetIsCallee);
        }
        if let Some(journey) = self.journey_of(now, leg).and_then(|id| self.journeys.get(&id)) {
            if journey.visited.contains(target) {
                return Some(Held::TargetWasVisited);
            }
            if journey.visited.len() > self.limits.max_hops {
                return Some(Held::TooManyHops);
            }
        }
        let times = self.repeats.get(&(leg.caller.clone(), target.clone()));
        let recent = times.into_iter().flatten().filter(|at| self.is_recent(now, **at)).count();
        (recent >= self.limits.max_repeats.max(1)).then_some(Held::TooManyRepeats)
    }

    /// This leg is being redirected to that target. Told before the request leaves, because the event
    /// of the new ringing may arrive before its answer.
    pub fn follow(&mut self, now: Tick, leg: &Leg, target: &Party) {
        self.forget(now);
        let id = self.journey_of(now, leg).unwrap_or_else(|| self.begin(leg));
        self.leave_end(id);
        let Some(journey) = self.journeys.get_mut(&id) else { return };
        if !journey.visited.contains(&leg.callee) {
            journey.visited.push(leg.callee.clone());
        }
        journey.visited.push(target.clone());
        journey.latest = now;
        for call in &leg.calls {
            self.by_call.insert(*call, id);
            if !journey.calls.contains(call) {
                journey.calls.push(*call);
            }
        }
        let pair = (leg.caller.clone(), target.clone());
        self.by_end.entry(pair.clone()).or_default().push(id);
        if !leg.caller.is_anonymous() {
            self.repeats.entry(pair.clone()).or_default().push_back(now);
        }
        self.order.push_back((now, id, pair));
    }

    /// That redirect did not happen after all.
    pub fn take_back(&mut self, leg: &Leg, target: &Party) {
        let pair = (leg.caller.clone(), target.clone());
        let Some(id) = self.by_end.get(&pair).and_then(|ids| ids.last()).copied() else { return };
        self.leave_end(id);
        if let Some(times) = self.repeats.get_mut(&pair) {
            times.pop_back();
        }
        let Some(journey) = self.journeys.get_mut(&id) else { return };
        journey.visited.pop();
        if let [_, .., end] = journey.visited.as_slice() {
            let pair = (journey.caller.clone(), end.clone());
            self.by_end.entry(pair).or_default().push(id);
        }
    }

    /// How many journeys are remembered.
    pub fn len(&self) -> usize {
        self.journeys.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.journeys.is_empty()
    }

    /// A moment before the redirect knows nothing of it: explanations may ask about the past.
    fn is_recent(&self, now: Tick, at: Tick) -> bool {
        at <= now && now.since(at) < self.limits.window
    }

    fn journey_of(&self, now: Tick, leg: &Leg) -> Option<u64> {
        let by_call = leg.calls.iter().filter_map(|call| self.by_call.get(call));
        let ends = self.by_end.get(&(leg.caller.clone(), leg.callee.clone()));
        by_call.chain(ends.into_iter().flat_map(|ids| ids.iter().rev())).copied().find(|id| {
            let journey = self.journeys.get(id);
            journey.is_some_and(|journey| self.is_recent(now, journey.latest))
        })
    }

    fn begin(&mut self, leg: &Leg) -> u64 {
        while self.journeys.len() >= self.limits.journeys.max(1) && !self.order.is_empty() {
            self.forget_oldest();
        }
        self.begun += 1;
        let journey = Journey {
            caller: leg.caller.clone(),
            visited: vec![leg.callee.clone()],
            calls: SmallVec::new(),
            latest: Tick(0),
        };
        self.journeys.insert(self.begun, journey);
        self.begun
    }

    /// Forgets where a journey ends.
    fn leave_end(&mut self, id: u64) {
        let Some(journey) = self.journeys.get(&id) else { return };
        let Some(end) = journey.visited.last() else { return };
        let pair = (journey.caller.clone(), end.clone());
        if let Some(ids) = self.by_end.get_mut(&pair) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_end.remove(&pair);
            }
        }
    }

    fn forget(&mut self, now: Tick) {
        while self.order.front().is_some_and(|(at, ..)| now.since(*at) >= self.limits.window) {
            self.forget_oldest();
        }
    }

    /// Forgets the oldest redirect, and its journey when nothing newer happened to it.
    fn forget_oldest(&mut self) {
        let Some((at, id, pair)) = self.order.pop_front() else { return };
        if let Some(times) = self.repeats.get_mut(&pair) {
            while times.front().is_some_and(|time| *time <= at) {
                times.pop_front();
            }
            if times.is_empty() {
                self.repeats.remove(&pair);
            }
        }
        if self.journeys.get(&id).is_some_and(|journey| journey.latest <= at) {
            self.leave_end(id);
            for call in self.journeys.remove(&id).into_iter().flat_map(|journey| journey.calls) {
                // The id may have moved on to a newer journey.
                if self.by_call.get(&call) == Some(&id) {
                    self.by_call.remove(&call);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
