//! Events that a fault sends on a detour: late, twice, after the next one, or nowhere.
//!
//! Callbacks go through here before they reach the postbox, and Event Grid's events before their
//! delivery begins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::events::seven_digits;
use super::grid_delivery::GridDelivery;
use super::grid_publish::Shaped;
use super::postbox::Letter;
use super::{Due, World};
use crate::emulator::fault_config::{Fault, FaultPlace, FaultRule};
use crate::pure::time::Tick;
use crate::wire::identifiers::CallConnectionId;

/// How long an event waits for the one that is to overtake it.
const OVERTAKING_PATIENCE: Duration = Duration::from_secs(5);

/// Where events follow one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Call(CallConnectionId),
    Subscription(String),
}

/// An event on its way.
#[derive(Clone)]
pub(super) enum Parcel {
    Letter(Letter),
    Event(Arc<Shaped>),
}

/// All parcels that are not where they should be.
#[derive(Default)]
pub(super) struct Detours {
    parcels: BTreeMap<u64, (Lane, Parcel)>,
    /// Those that wait to be overtaken.
    held: BTreeMap<Lane, Vec<u64>>,
    count: u64,
}

/// What the rules do to one event.
#[derive(Default)]
struct Plan {
    dropped: bool,
    reordered: bool,
    delay: Duration,
    copies: Vec<Duration>,
    skew_ms: i64,
}

impl Plan {
    fn of(rules: &[Arc<FaultRule>]) -> Self {
        let mut plan = Self::default();
        for rule in rules {
            match rule.fault {
                Fault::Drop | Fault::LostDisconnect => plan.dropped = true,
                Fault::Reorder => plan.reordered = true,
                Fault::Delay => plan.delay += rule.delay(),
                Fault::Duplicate => plan.copies.push(rule.delay()),
                Fault::ClockSkew => plan.skew_ms = plan.skew_ms.saturating_add(rule.skew_ms()),
                // The others are of tokens and answers.
                Fault::EventBeforeResponse
                | Fault::LostResponse
                | Fault::TooManyRequests
                | Fault::ServerError
                | Fault::Slow
                | Fault::ForgedToken
                | Fault::ExpiredToken
                | Fault::WrongAudience => {}
            }
        }
        plan
    }
}

fn shifted(wall: Timestamp, ms: i64) -> Timestamp {
    wall.saturating_add(SignedDuration::from_millis(ms)).unwrap_or(wall)
}

impl World {
    /// A callback sets out.
    pub(super) fn letter_sets_out(&mut self, call: &CallConnectionId, mut letter: Letter) {
        let lane = Lane::Call(call.clone());
        let kind = letter.kind.clone();
        let about = json!({ "type": kind, "callConnectionId": call });
        let overtaking = self.detours.held.contains_key(&lane);
        let struck = self.strike(FaultPlace::Callback, &about, |rule| {
            !rule.fault.is_of_token()
                && rule.wants_kind(&kind)
                && rule.wants_call(Some(call.as_str()))
                && !(overtaking && rule.fault == Fault::Reorder)
        });
        let plan = Plan::of(&struck);
        if plan.skew_ms != 0 {
            let time = seven_digits(shifted(self.now.wall, plan.skew_ms), "+00:00");
            if let Ok(mut event) = serde_json::from_str::<Value>(&letter.event) {
                event[0]["time"] = time.into();
                letter.event = event.to_string();
            }
            letter.skew_ms = plan.skew_ms;
        }
        let soonest = letter.not_before;
        self.set_out(lane, Parcel::Letter(letter), &plan, soonest);
    }

    /// An event sets out for a subscription.
    pub(super) fn grid_event_sets_out(&mut self, name: &str, mut shaped: Arc<Shaped>) {
        let lane = Lane::Subscription(name.to_owned());
        let about = json!({ "type": shaped.kind, "subscription": name });
        let overtaking = self.detours.held.contains_key(&lane);
        let call = shaped.event["data"]["serverCallId"].as_str();
        let struck = self.strike(FaultPlace::EventGrid, &about, |rule| {
            rule.wants_type(&shaped.kind)
                && rule.wants_call(call)
                && !(overtaking && rule.fault == Fault::Reorder)
        });
        let plan = Plan::of(&struck);
        if plan.skew_ms != 0 {
            let time = seven_digits(shifted(self.now.wall, plan.skew_ms), "Z");
            let mut other = (*shaped).clone();
            for member in ["eventTime", "time"] {
                if let Some(told) = other.event.get_mut(member) {
                    *told = time.clone().into();
                }
            }
            shaped = Arc::new(other);
        }
        if plan.dropped {
            let note = GridDelivery::new(name, Arc::clone(&shaped), self.now).note("dropped");
            self.note_grid(note.because("a fault was asked for"));
        }
        self.set_out(lane, Parcel::Event(shaped), &plan, self.now.tick);
    }

    fn set_out(&mut self, lane: Lane, parcel: Parcel, plan: &Plan, soonest: Tick) {
        if plan.dropped {
            return;
        }
        if plan.reordered {
            for _ in 0..=plan.copies.len() {
                let at = soonest + OVERTAKING_PATIENCE;
                let number = self.set_aside(&lane, parcel.clone(), at);
                if let Some(number) = number {
                    self.detours.held.entry(lane.clone()).or_default().push(number);
                }
            }
            return;
        }
        let mut times = vec![plan.delay];
        times.extend(plan.copies.iter().map(|copy| plan.delay + *copy));
        for time in times {
            if !time.is_zero() {
                self.set_aside(&lane, parcel.clone(), soonest + time);
                continue;
            }
            self.hand_on(&lane, parcel.clone());
            for number in self.detours.held.remove(&lane).unwrap_or_default() {
                self.back_on_its_way(number);
            }
        }
    }

    /// Keeps a parcel until its time. When there are too many it goes on at once.
    fn set_aside(&mut self, lane: &Lane, parcel: Parcel, at: Tick) -> Option<u64> {
        if self.detours.parcels.len() >= self.config.limits.detours {
            tracing::warn!("a fault could not hold an event back: limits.detours is reached");
            self.hand_on(lane, parcel);
            return None;
        }
        self.detours.count += 1;
        let number = self.detours.count;
        self.detours.parcels.insert(number, (lane.clone(), parcel));
        self.agenda.set(at, Due::Detour(number));
        Some(number)
    }

    /// A parcel has been held up for long enough.
    pub(super) fn back_on_its_way(&mut self, number: u64) {
        let Some((lane, parcel)) = self.detours.parcels.remove(&number) else { return };
        if let Some(held) = self.detours.held.get_mut(&lane) {
            held.retain(|other| *other != number);
            if held.is_empty() {
                self.detours.held.remove(&lane);
            }
        }
        self.hand_on(&lane, parcel);
    }

    fn hand_on(&mut self, lane: &Lane, parcel: Parcel) {
        match (lane, parcel) {
            (Lane::Call(call), Parcel::Letter(letter)) => self.queue_letter(call, letter),
            (Lane::Subscription(name), Parcel::Event(shaped)) => {
                let delivery = GridDelivery::new(name, shaped, self.now);
                if self.grid.deliveries.len() >= self.config.limits.grid_events {
                    self.bury(delivery, "QueueFull");
                } else {
                    self.start_delivery(delivery);
                }
            }
            (Lane::Call(_), Parcel::Event(_)) | (Lane::Subscription(_), Parcel::Letter(_)) => {}
        }
    }
}
