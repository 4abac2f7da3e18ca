//! How a call and its operations concern each other.

use super::operations::Standing;
use super::waiters::Waiter;
use super::{
    Alive, Call, Conclusion, Diagnosis, Effect, Entry, Heard, Limits, NewOperation,
    OperationStatus, OperationView, Since, Timeline, WaiterId, Wants, near_miss,
};
use crate::pure::operations::{Way, endings, way};
use crate::pure::time::{Position, Tick};
use crate::wire::identifiers::OperationContext;

/// How many near misses are told of an operation at most: the latest.
const NEAR_MISSES: usize = 8;

/// Which operation is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The last that had this context.
    Context(OperationContext),
    /// The one that stands there in the journal.
    Place(Position),
}

impl Call {
    /// Whether one more operation may be asked for.
    pub fn has_room_for_operation(&self, limits: &Limits) -> bool {
        self.operations.as_ref().is_none_or(|them| them.has_room(limits))
    }

    pub(super) fn begin(
        &mut self,
        now: Tick,
        of: Position,
        what: NewOperation,
        at_ms: i64,
        limits: &Limits,
        effects: &mut Vec<Effect>,
    ) {
        self.stirred = now;
        let timeline = self.over.as_ref().map_or(&self.timeline, |over| over.timeline());
        let past = timeline
            .entries()
            .map(|entry| (entry.position, entry.kind.clone(), entry.context.clone()));
        let new = Standing {
            of,
            what,
            asked: now,
            asked_ms: at_ms,
            quiet: None,
            parts: Vec::new(),
            status: OperationStatus::Pending,
            ended: now,
            ambiguous: false,
            late: false,
        };
        let operations = self.operations.get_or_insert_default();
        conclude(operations.begin(new, past, limits), effects);
        if self.over.is_some() {
            conclude(operations.call_ended(now, None), effects);
        }
    }

    /// That Azure accepts something for a call is a sign of life.
    pub(super) fn accepted(
        &mut self,
        now: Tick,
        of: Position,
        limits: &Limits,
        effects: &mut Vec<Effect>,
    ) {
        if self.over.is_none() {
            self.stir(now, limits);
        }
        if let Some(operations) = &mut self.operations {
            conclude(operations.accepted(now, of), effects);
        }
    }

    pub(super) fn withdraw(&mut self, now: Tick, of: Position) {
        self.stirred = now;
        if let Some(operations) = &mut self.operations {
            operations.withdraw(of);
        }
    }

    pub(super) fn tell_operations(&mut self, now: Tick, heard: &Heard, effects: &mut Vec<Effect>) {
        if let Some(operations) = &mut self.operations {
            conclude(operations.hear(now, heard), effects);
        }
    }

    /// An operation of which nothing is heard is a reason to ask whether its call lives at all.
    pub(super) fn expire_operations(
        &mut self,
        now: Tick,
        limits: &Limits,
        effects: &mut Vec<Effect>,
    ) {
        let Some(operations) = &mut self.operations else { return };
        let over = operations.expire(now, limits);
        let doubtful = |over: &Conclusion| over.status == OperationStatus::TimedOut;
        let never_asked = limits.verify_silent == std::time::Duration::MAX;
        let ask = !never_asked && over.iter().any(doubtful);
        conclude(over, effects);
        if ask {
            self.doubt(now);
            effects.push(Effect::Verify);
        }
    }

    pub(super) fn end_operations(
        &mut self,
        now: Tick,
        terminal: Option<&Heard>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(operations) = &mut self.operations {
            let terminal = terminal.map(|heard| heard.position);
            conclude(operations.call_ended(now, terminal), effects);
        }
    }

    /// How an operation stands; `None` when there is none such.
    pub fn operation(&self, which: &Which) -> Option<OperationView> {
        let meant = |one: &&Standing| match which {
            Which::Context(context) => one.what.context == *context,
            Which::Place(of) => one.of == *of,
        };
        let one = self.operations.as_ref()?.iter().rfind(meant)?;
        Some(self.operation_view(one))
    }

    /// All of them, in the order in which they were asked for.
    pub fn operation_views(&self) -> Vec<OperationView> {
        let all = self.operations.iter().flat_map(|operations| operations.iter());
        all.map(|one| self.operation_view(one)).collect()
    }

    fn operation_view(&self, one: &Standing) -> OperationView {
        let is_pending = one.status == OperationStatus::Pending;
        let timestamp = |ms| jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        let took = i64::try_from((one.ended - one.asked).as_millis()).unwrap_or(i64::MAX);
        let ended_ms = one.asked_ms.saturating_add(took);
        let ending = self.over.as_ref().map(|over| over.ending.clone());
        let unsettled = is_pending || one.status == OperationStatus::TimedOut;
        OperationView {
            of: one.of,
            operation: one.what.operation,
            operation_context: one.what.context.clone(),
            status: one.status,
            ambiguous_context: one.ambiguous,
            late: one.late,
            asked_at: timestamp(one.asked_ms),
            ended_at: (!is_pending).then(|| timestamp(ended_ms)),
            expects: one.what.expects,
            events: one.parts.iter().map(|part| part.at).collect(),
            ending: ending.filter(|_| one.status == OperationStatus::CallEnded),
            diagnosis: unsettled.then(|| self.diagnose(one)),
        }
    }

    fn diagnose(&self, one: &Standing) -> Diagnosis {
        let timeline = self.over.as_ref().map_or(&self.timeline, |over| over.timeline());
        let near_misses = near_misses(one, timeline);
        let since = || timeline.after(one.of);
        let call = match (&self.over, self.unverified) {
            (Some(_), _) => Alive::Ended,
            (None, true) => Alive::Unverified,
            (None, false) => Alive::Alive,
        };
        let events = since().count();
        let is_pending = one.status == OperationStatus::Pending;
        let advice = Since::advice(events, !near_misses.is_empty(), call, is_pending);
        let last_event = since().last().map(|entry| entry.kind.clone());
        let diagnosis = Since { events_since: events, last_event, call, advice };
        Diagnosis { near_misses, diagnosis }
    }
}

/// Events since an operation was asked for that met all of its conditions but one.
fn near_misses(one: &Standing, timeline: &Timeline) -> Vec<super::NearMiss> {
    let mut wants = Wants::kinds(endings(one.what.operation));
    if matches!(way(one.what.operation), Way::Event | Way::Silence) {
        wants = wants.context(one.what.context.clone());
    }
    let waiter = Waiter::new(WaiterId(0), wants, one.asked, one.asked);
    let heard = |entry: &&Entry| !one.parts.iter().any(|part| part.at == entry.position);
    let near = timeline.after(one.of).filter(heard);
    let mut near: Vec<_> = near.filter_map(|entry| near_miss(&waiter, entry)).collect();
    near.drain(..near.len().saturating_sub(NEAR_MISSES));
    near
}

fn conclude(over: impl IntoIterator<Item = Conclusion>, effects: &mut Vec<Effect>) {
    effects.extend(over.into_iter().map(Effect::Concluded));
}
