//! What the routing hears: telephones that ring, and what becomes of calls later.

use actix::{Context, Handler};

use super::acting::Acting;
use super::{IncomingRang, NeededSince, NoticeCame, RoutingActor, TooManyRing, telling};
use crate::ports::Position;
use crate::pure::routing::{CallIds, Decision, Fate, Moment, Notice, Outcome, decide};
use crate::wire::events::grid::IncomingCall;

impl Handler<IncomingRang> for RoutingActor {
    type Result = Result<u64, TooManyRing>;

    fn handle(&mut self, mut rang: IncomingRang, ctx: &mut Self::Context) -> Self::Result {
        let reply = rang.reply.take();
        let taken = self.take(rang, ctx);
        if let Some(reply) = reply {
            let _nobody_waits = reply.send(taken);
        }
        taken
    }
}

impl RoutingActor {
    fn take(&mut self, rang: IncomingRang, ctx: &mut Context<Self>) -> Result<u64, TooManyRing> {
        // Before anything is remembered: the sender comes again, and must not be a repeat then.
        if self.acting.len() >= self.settings.acting {
            telling::too_many_ring();
            return Err(TooManyRing { limit: self.settings.acting });
        }
        let moment = self.moment();
        self.recent.came(moment.tick, rang.position);
        let decision = decide(&self.table, &mut self.remembered, &rang.incoming(), moment);
        Ok(self.carry_out(rang.position, *rang.call, decision, moment, ctx))
    }

    /// Opens the record of a decision and does what it says.
    pub(super) fn carry_out(
        &mut self,
        rang: Position,
        call: IncomingCall,
        decision: Decision,
        moment: Moment,
        ctx: &mut Context<Self>,
    ) -> u64 {
        let ids = CallIds::of_call(&call);
        let left = match &decision.outcome {
            Outcome::Act { left, .. } => Some(*left),
            Outcome::Leave { left, .. } => *left,
        };
        let left_ms = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        let id = self.records.open(moment.wall, ids.clone(), left_ms, decision.explanation);
        if let Some(left) = left {
            telling::ring_left(left);
        }
        match decision.outcome {
            Outcome::Act { plan, deadline, .. } => {
                self.acting.insert(id, Acting::new(rang, call, plan, deadline));
                self.try_next(id, ctx);
            }
            Outcome::Leave { verdict, .. } => {
                self.settle(rang, id, Fate::of_left_alone(verdict), &ids);
            }
        }
        id
    }
}

impl Handler<NoticeCame> for RoutingActor {
    type Result = ();

    fn handle(&mut self, came: NoticeCame, _: &mut Self::Context) {
        let moment = self.moment();
        self.recent.came(moment.tick, came.position);
        let Some((ids, notice)) = Notice::of(&came.event, moment.wall) else { return };
        let kind = notice.kind;
        let joined = self.records.note(&ids, notice, |_| true);
        telling::notice_came(kind, joined, &ids);
    }
}

impl Handler<NeededSince> for RoutingActor {
    type Result = Option<Position>;

    fn handle(&mut self, _: NeededSince, _: &mut Self::Context) -> Self::Result {
        let recent = self.recent.first(self.clock.now());
        self.acting.values().map(|acting| acting.rang).chain(recent).min()
    }
}
