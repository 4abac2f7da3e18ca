//! The RoutingActor: owns the number assignments and the decision for an incoming call.
//!
//! Thinks in `pure::routing`, acts through the ports, tells in `routing_telling`. Never speaks HTTP. A
//! decision is made within one message, so nobody sees half of one; what follows from it (redirecting,
//! answering, rejecting) goes on beside the mailbox, and so does the writing of assignments. The table is
//! never changed, only replaced: whoever holds the old one goes on reading it.

mod acting;
mod messages;
mod numbers;
mod recovery;
mod ringing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Context, Handler, MessageResult, Recipient};
use jiff::Timestamp;

use self::acting::Acting;
use self::numbers::WritingDesk;
use super::routing_telling as telling;
use crate::ports::{CallAutomation, Clock, Journal, NumberStore, Tick};
use crate::pure::routing::{
    Explanation, Guard, GuardLimits, Memory, MemoryLimits, Moment, RING_TIME, Recent, Records,
    Recovered, Remembered, Table, Unsettled, explain,
};
use crate::wire::identifiers::RedactedText;

pub use messages::{
    CallAnswered, ChangeError, DropNumber, Explain, GetNumber, GetTable, IncomingRang, ListChanges,
    ListNumbers, Look, MAX_CHANGES, MAX_PAGE, NeededSince, NoticeCame, NumberPage, PutNumber,
    Retire, RollBack, RolledBack, RoutingView, TooManyRing,
};
pub use recovery::{Resumed, RoutingRecovery};

pub use crate::pure::routing::{Attempt, AttemptResult, DecisionRecord, Fate, Notice};

/// How the actor behaves, and the limits of its piles.
#[derive(Clone, Debug)]
pub struct RoutingSettings {
    /// Where the events of answered calls go. Holds a secret, so it is never logged.
    pub callback_uri: RedactedText,
    /// How long a telephone rings.
    pub ring_time: Duration,
    /// The memory of decided calls.
    pub memory: MemoryLimits,
    /// The loop guard.
    pub guard: GuardLimits,
    /// Messages that may wait, and changes of assignments that may wait to be written; more are refused.
    pub mailbox: usize,
    /// Calls that may be acted on at once; more are refused.
    pub acting: usize,
    /// Decisions that are kept for people; the oldest leave first.
    pub records: usize,
    /// Number assignments that there may be; more are refused.
    pub assignments: usize,
}

impl RoutingSettings {
    /// The defaults, with the one thing that has none.
    pub fn new(callback_uri: impl Into<RedactedText>) -> Self {
        Self {
            callback_uri: callback_uri.into(),
            ring_time: RING_TIME,
            memory: MemoryLimits::default(),
            guard: GuardLimits::default(),
            mailbox: 1_024,
            acting: 1_024,
            records: 200,
            assignments: 2_000_000,
        }
    }
}

/// Owns the number assignments and the decision for an incoming call.
pub struct RoutingActor {
    settings: RoutingSettings,
    clock: Arc<dyn Clock>,
    azure: Arc<dyn CallAutomation>,
    answered: Recipient<CallAnswered>,
    journal: Arc<dyn Journal>,
    table: Arc<Table>,
    remembered: Remembered,
    acting: HashMap<u64, Acting>,
    records: Records,
    recent: Recent,
    unsettled: Vec<Unsettled>,
    desk: WritingDesk,
}

impl RoutingActor {
    /// An actor with these assignments, to be started. They are what `store` keeps. `answered` is told of
    /// every call that an assignment answers. `journal` keeps what is about to be sent, and what became
    /// of it.
    pub fn new(
        settings: RoutingSettings,
        table: Table,
        store: Arc<dyn NumberStore>,
        clock: Arc<dyn Clock>,
        azure: Arc<dyn CallAutomation>,
        answered: Recipient<CallAnswered>,
        journal: Arc<dyn Journal>,
    ) -> Self {
        Self {
            remembered: Remembered {
                memory: Memory::new(settings.memory),
                guard: Guard::new(settings.guard),
                ring_time: settings.ring_time,
            },
            records: Records::new(settings.records),
            recent: Recent::new(settings.memory),
            unsettled: Vec::new(),
            settings,
            clock,
            azure,
            answered,
            journal,
            table: Arc::new(table),
            acting: HashMap::new(),
            desk: WritingDesk::new(store),
        }
    }

    /// … that goes on where another one stopped.
    #[must_use]
    pub fn resuming(self, recovered: Recovered) -> Self {
        let Recovered { remembered, records, recent, unsettled, unreadable } = recovered;
        telling::recovered(unsettled.len(), unreadable);
        Self { remembered, records, recent, unsettled, ..self }
    }

    fn moment(&self) -> Moment {
        Moment { tick: self.clock.now(), wall: self.clock.wall() }
    }

    /// That instant on both clocks.
    fn moment_at(&self, at: Option<Timestamp>) -> Moment {
        let now = self.moment();
        let Some(at) = at else { return now };
        let ahead = at.duration_since(now.wall).as_millis();
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
        Moment { tick: Tick(now.tick.0.saturating_add_signed(ahead)), wall: at }
    }
}

impl Actor for RoutingActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.settings.mailbox);
        telling::numbers_loaded(self.table.version(), self.table.len());
        self.resume(ctx);
    }
}

impl Handler<Explain> for RoutingActor {
    type Result = MessageResult<Explain>;

    fn handle(&mut self, asked: Explain, _: &mut Self::Context) -> Self::Result {
        let moment = self.moment_at(asked.at);
        let told: Explanation =
            explain(&self.table, &self.remembered.guard, asked.caller, asked.callee, moment);
        MessageResult(told)
    }
}

impl Handler<Look> for RoutingActor {
    type Result = MessageResult<Look>;

    fn handle(&mut self, _: Look, _: &mut Self::Context) -> Self::Result {
        MessageResult(RoutingView {
            table_version: self.table.version(),
            assignments: self.table.len(),
            acting: self.acting.len(),
            remembered: self.remembered.memory.len(),
            journeys: self.remembered.guard.len(),
            decisions: self.records.newest_first(),
            writing: self.desk.waiting(),
            store_failed: self.desk.failed(),
        })
    }
}

impl Handler<Retire> for RoutingActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
