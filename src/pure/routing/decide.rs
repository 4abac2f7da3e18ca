//! The one function that decides (rules I4, I5, I7, I8, I9) and, asked again, explains (I10).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Action, Assignment, Because, Candidate, CandidateFate, ConditionName, Conditions, Explanation,
    Guard, Leg, Memory, Party, Ring, RingView, StepFate, StepView, Table, Verdict,
};
pub use crate::pure::time::Moment;
use crate::pure::time::Tick;
use crate::wire::events::EventKey;
use crate::wire::events::grid::IncomingCall;

/// A ringing call and the event that told of it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The call.
    pub call: &'a IncomingCall,
    /// Identity of the event.
    pub event: EventKey,
    /// When the event says that it happened, RFC 3339.
    pub event_time: Option<&'a str>,
    /// When we received it.
    pub received: Tick,
}

/// What is remembered between calls.
#[derive(Debug)]
pub struct Remembered {
    /// Which calls were decided (I5).
    pub memory: Memory,
    /// Which calls were sent where (I9).
    pub guard: Guard,
    /// How long a telephone rings (I4).
    pub ring_time: Duration,
}

/// What to do about a ringing call, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do.
    pub outcome: Outcome,
    /// The tree.
    pub explanation: Explanation,
}

/// What to do about a ringing call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These steps, each when the one before it failed, as long as it rings.
    Act {
        /// In order; never empty; only the last can be `ignore`.
        plan: Vec<Planned>,
        /// When the ringing ends.
        deadline: Tick,
        /// How long until then.
        left: Duration,
    },
    /// Nothing, for the reason in [`Explanation::verdict`].
    Leave {
        /// Why.
        verdict: Verdict,
        /// How long it still rings; zero when it does not, `None` when that was not asked.
        left: Option<Duration>,
    },
}

/// One step that is to be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its place in the assignment, from 0.
    pub step: usize,
    /// What is done.
    pub action: Action,
}

/// Decides about a ringing call, and remembers that it did.
pub fn decide(
    table: &Table,
    remembered: &mut Remembered,
    incoming: &Incoming<'_>,
    moment: Moment,
) -> Decision {
    let context = &incoming.call.incoming_call_context;
    if remembered.memory.repeats(moment.tick, incoming.event, context) {
        return left_alone(table, incoming, moment, Verdict::Repeated, None);
    }
    decide_remembered(table, remembered, incoming, moment)
}

/// Decides about a ringing call that is in the memory and was never decided: it was accepted just
/// before a restart.
pub fn decide_remembered(
    table: &Table,
    remembered: &Remembered,
    incoming: &Incoming<'_>,
    moment: Moment,
) -> Decision {
    let ring = Ring::of(incoming.event_time, incoming.received, moment, remembered.ring_time);
    let (deadline, left) = match ring {
        Ring::Fresh { deadline, left } => (deadline, left),
        Ring::Stale { .. } => {
            return left_alone(table, incoming, moment, Verdict::Stale, Some(ring.view()));
        }
    };
    let leg = Leg::of(incoming.call);
    let (plan, mut explanation) = judge(table, &remembered.guard, &leg, moment);
    explanation.ring = Some(ring.view());
    let outcome = match explanation.verdict {
        Verdict::Act => Outcome::Act { plan, deadline, left },
        verdict => Outcome::Leave { verdict, left: Some(left) },
    };
    Decision { outcome, explanation }
}

/// A decision for which the table need not be asked.
fn left_alone(
    table: &Table,
    incoming: &Incoming<'_>,
    moment: Moment,
    verdict: Verdict,
    ring: Option<RingView>,
) -> Decision {
    let explanation = unasked(table, &Leg::of(incoming.call), moment.wall, verdict, ring);
    let left = ring.map(|_| Duration::ZERO);
    Decision { outcome: Outcome::Leave { verdict, left }, explanation }
}

/// What would be decided if this caller rang that callee at that moment. Remembers nothing.
pub fn explain(
    table: &Table,
    guard: &Guard,
    caller: Party,
    callee: Party,
    moment: Moment,
) -> Explanation {
    judge(table, guard, &Leg::new(caller, callee), moment).1
}

/// The rules themselves: which assignment, which of its steps. Looks, and changes nothing.
fn judge(table: &Table, guard: &Guard, leg: &Leg, moment: Moment) -> (Vec<Planned>, Explanation) {
    let mut told = unasked(table, leg, moment.wall, Verdict::NoAssignment, None);
    let mut winner: Option<&Assignment> = None;
    for key in table.candidates(&leg.callee) {
        let found = table.get(&key).map(|found| &**found);
        let fate = match (found, winner) {
            (None, _) => CandidateFate::NotAssigned,
            (Some(_), Some(_)) => CandidateFate::LessSpecific,
            (Some(_), None) => CandidateFate::Won,
        };
        if fate == CandidateFate::Won {
            winner = found;
            told.winner = Some(key.clone());
        }
        let version = found.map(|found| found.version);
        told.candidates.push(Candidate { key, fate, version });
    }
    let Some(assignment) = winner else { return (Vec::new(), told) };
    let plan = plan(assignment, guard, leg, moment.tick, &mut told.steps);
    told.action = plan.first().map(|planned| planned.action.clone());
    told.verdict = verdict(&plan, &told.steps);
    (plan, told)
}

fn plan(
    assignment: &Assignment,
    guard: &Guard,
    leg: &Leg,
    now: Tick,
    told: &mut Vec<StepView>,
) -> Vec<Planned> {
    let mut plan: Vec<Planned> = Vec::new();
    for (index, step) in assignment.steps.iter().enumerate() {
        let failed = step.when.as_deref().and_then(|when| failed_condition(when, &leg.caller));
        let held = match &step.action {
            Action::Redirect { target } => guard.verdict(now, leg, target),
            Action::Answer(_) | Action::Reject { .. } | Action::Ignore => None,
        };
        let closed = plan.last().is_some_and(|last| last.action == Action::Ignore);
        let (fate, because) = match (failed, held) {
            _ if closed => (StepFate::NotReached, None),
            (Some(failed), _) => (StepFate::ConditionFailed, Some(Because::Condition(failed))),
            (None, Some(held)) => (StepFate::HeldBack, Some(Because::Held(held))),
            (None, None) if plan.is_empty() => (StepFate::Chosen, None),
            (None, None) => (StepFate::Fallback, None),
        };
        if matches!(fate, StepFate::Chosen | StepFate::Fallback) {
            plan.push(Planned { step: index, action: step.action.clone() });
        }
        told.push(StepView { index, action: step.action.clone(), fate, because });
    }
    plan
}

fn failed_condition(when: &Conditions, caller: &Party) -> Option<ConditionName> {
    let callers = when.caller.as_ref()?;
    if callers.include(caller) {
        None
    } else if caller.is_anonymous() {
        Some(ConditionName::CallerIsAnonymous)
    } else {
        Some(ConditionName::CallerNotListed)
    }
}

fn verdict(plan: &[Planned], steps: &[StepView]) -> Verdict {
    if !plan.is_empty() {
        Verdict::Act
    } else if steps.iter().any(|step| step.fate == StepFate::HeldBack) {
        Verdict::LoopPrevented
    } else {
        Verdict::NoStepFits
    }
}

/// An explanation in which the table was not asked (yet).
fn unasked(
    table: &Table,
    leg: &Leg,
    at: Timestamp,
    verdict: Verdict,
    ring: Option<RingView>,
) -> Explanation {
    Explanation {
        table_version: table.version(),
        caller: leg.caller.clone(),
        callee: leg.callee.clone(),
        at,
        ring,
        verdict,
        candidates: Vec::new(),
        winner: None,
        steps: Vec::new(),
        action: None,
    }
}

impl Ring {
    fn view(self) -> RingView {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Fresh { left, .. } => RingView { age_ms: None, left_ms: ms(left) },
            Self::Stale { age } => RingView { age_ms: Some(ms(age)), left_ms: 0 },
        }
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
