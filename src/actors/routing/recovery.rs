//! Going on after a restart: from the journal's lines to calls that are acted on (rules I4, I5, I8).

use std::time::Duration;

use actix::Context;
use jiff::Timestamp;

use super::acting::{Acting, Trying};
use super::{RoutingActor, RoutingSettings, telling};
use crate::ports::{LineKind, Record, Repeatability, Tick};
use crate::pure::notes;
use crate::pure::routing::{
    Attempt, AttemptResult, CallIds, Fate, Moment, Outcome, Recovered, Replay, ReplayLimits,
    Unsettled, Verdict, decide_remembered,
};

/// Why the last attempt of a call failed that rings no more after a restart.
const AWAY: &str = "the service was away until it rang no more; the answer, if any, was lost";

/// Collects what the journal tells of ringing calls.
pub struct RoutingRecovery(Replay);

impl RoutingRecovery {
    /// Nothing was read yet. `now` is the present, from which past times are counted.
    pub fn new(settings: &RoutingSettings, now: Moment) -> Self {
        let limits = ReplayLimits {
            memory: settings.memory,
            guard: settings.guard,
            records: settings.records,
            ring_time: settings.ring_time,
        };
        Self(Replay::new(limits, now))
    }

    /// The next line, in the order of the journal. Lines about other things are none of ours.
    pub fn line(&mut self, record: &Record) {
        let line = &record.line;
        match line.kind {
            LineKind::Rang => self.0.rang(record.position, line.at, &line.text),
            LineKind::Trying => self.0.trying(line.at, &line.text),
            LineKind::Settled => self.0.settled(&line.text),
            LineKind::Heard
            | LineKind::Claimed
            | LineKind::Closed
            | LineKind::Operation
            | LineKind::Forward => {}
        }
    }

    /// For [`RoutingActor::resuming`].
    pub fn finish(self) -> Recovered {
        self.0.finish()
    }
}

/// How a call went on that was unsettled at a restart. A closed set, for metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resumed {
    /// Its last request was sent again.
    Resent,
    /// It was decided.
    Decided,
    /// It rang no more.
    Expired,
}

impl Resumed {
    /// The label in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Resent => "resent",
            Self::Decided => "decided",
            Self::Expired => "expired",
        }
    }
}

impl RoutingActor {
    /// Goes on with every call that was unsettled, whatever the limit of calls that are acted on: they
    /// were accepted.
    pub(super) fn resume(&mut self, ctx: &mut Context<Self>) {
        for unsettled in std::mem::take(&mut self.unsettled) {
            let ids = CallIds::of_call(&unsettled.call);
            let how = self.resume_one(unsettled, ctx);
            telling::resumed(how, &ids);
        }
    }

    fn resume_one(&mut self, mut unsettled: Unsettled, ctx: &mut Context<Self>) -> Resumed {
        match unsettled.tried.take() {
            Some(tried) => self.try_again(unsettled, tried, ctx),
            None => self.decide_now(unsettled, ctx),
        }
    }

    fn decide_now(&mut self, unsettled: Unsettled, ctx: &mut Context<Self>) -> Resumed {
        let moment = self.moment();
        let decision =
            decide_remembered(&self.table, &self.remembered, &unsettled.incoming(), moment);
        let how = match &decision.outcome {
            Outcome::Leave { verdict: Verdict::Stale, .. } => Resumed::Expired,
            Outcome::Leave { .. } | Outcome::Act { .. } => Resumed::Decided,
        };
        self.carry_out(unsettled.position, *unsettled.call, decision, moment, ctx);
        how
    }

    /// Sends the very same request again: the guard knows of it, and so may Azure.
    fn try_again(
        &mut self,
        unsettled: Unsettled,
        tried: notes::Trying,
        ctx: &mut Context<Self>,
    ) -> Resumed {
        let moment = self.moment();
        let notes::Trying { plan, context, request_id, first_sent, deadline, record, .. } = tried;
        let mut plan = plan.into_iter();
        let planned = plan.next();
        let id = match record.map(|record| record.id).filter(|id| self.records.get(*id).is_some()) {
            Some(id) => id,
            // Nobody can look at it any more, but its number must not be another's.
            None => self.records.skip(),
        };
        let left = left(deadline, moment, self.settings.ring_time);
        let (Some(planned), Some(deadline)) = (planned, left) else {
            self.last_attempt_failed(id);
            let ids = CallIds::of_call(&unsettled.call);
            self.settle(unsettled.position, id, Fate::Failed, &ids);
            return Resumed::Expired;
        };
        let acting = Acting::new(unsettled.position, *unsettled.call, plan.collect(), deadline);
        self.acting.insert(id, acting);
        let repeatability = Repeatability { request_id, first_sent };
        self.send(Trying { decision: id, planned, context, repeatability }, ctx);
        Resumed::Resent
    }

    fn last_attempt_failed(&mut self, decision: u64) {
        let record = self.records.get_mut(decision);
        if let Some(Attempt { result, .. }) = record.and_then(|record| record.attempts.last_mut()) {
            let problem = AWAY.to_owned();
            *result = AttemptResult::Failed { status: None, undone: false, problem };
        }
    }
}

/// When the ringing ends, if it has not. A calendar that was set back makes nothing ring for longer.
fn left(deadline: Timestamp, moment: Moment, ring_time: Duration) -> Option<Tick> {
    let left = Duration::try_from(deadline.duration_since(moment.wall)).ok()?.min(ring_time);
    (!left.is_zero()).then(|| moment.tick + left)
}
