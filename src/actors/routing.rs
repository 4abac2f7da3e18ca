//! The RoutingActor: owns the number assignments and the decision for an incoming call.
//!
//! Thinks in `pure::routing`, acts through the ports, tells in `routing_telling`. Never speaks HTTP. A
//! decision is made within one message, so nobody sees half of one; what follows from it (redirecting,
//! answering, rejecting) goes on beside the mailbox, and so does the writing of assignments. The table is
//! never changed, only replaced: whoever holds the old one goes on reading it.

mod acting;
mod messages;
mod numbers;
mod record;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, MessageResult, Recipient};
use jiff::Timestamp;

use self::acting::Acting;
use self::numbers::WritingDesk;
use self::record::Records;
use super::routing_telling as telling;
use crate::ports::{CallAutomation, Clock, NumberStore, Tick};
use crate::pure::routing::{
    CallIds, Explanation, Guard, GuardLimits, Incoming, Memory, MemoryLimits, Moment, Outcome,
    RING_TIME, Remembered, Table, decide, explain, ids_of_recording,
};
use crate::wire::events::grid::{GridEvent, GridNews};
use crate::wire::identifiers::RedactedText;

pub use messages::{
    CallAnswered, ChangeError, DropNumber, Explain, GetNumber, GetTable, IncomingRang, ListChanges,
    ListNumbers, Look, MAX_CHANGES, MAX_PAGE, NoticeCame, NumberPage, PutNumber, RollBack,
    RolledBack, RoutingView, TooManyRing,
};
pub use record::{Attempt, AttemptResult, DecisionRecord, Fate, Notice};

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
    table: Arc<Table>,
    remembered: Remembered,
    acting: HashMap<u64, Acting>,
    records: Records,
    desk: WritingDesk,
}

impl RoutingActor {
    /// An actor with these assignments, to be started. They are what `store` keeps. `answered` is told of
    /// every call that an assignment answers.
    pub fn new(
        settings: RoutingSettings,
        table: Table,
        store: Arc<dyn NumberStore>,
        clock: Arc<dyn Clock>,
        azure: Arc<dyn CallAutomation>,
        answered: Recipient<CallAnswered>,
    ) -> Self {
        Self {
            remembered: Remembered {
                memory: Memory::new(settings.memory),
                guard: Guard::new(settings.guard),
                ring_time: settings.ring_time,
            },
            records: Records::new(settings.records),
            settings,
            clock,
            azure,
            answered,
            table: Arc::new(table),
            acting: HashMap::new(),
            desk: WritingDesk::new(store),
        }
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
    }
}

impl Handler<IncomingRang> for RoutingActor {
    type Result = Result<u64, TooManyRing>;

    fn handle(&mut self, rang: IncomingRang, ctx: &mut Self::Context) -> Self::Result {
        // Before anything is remembered: the sender comes again, and must not be a repeat then.
        if self.acting.len() >= self.settings.acting {
            telling::too_many_ring();
            return Err(TooManyRing { limit: self.settings.acting });
        }
        let moment = self.moment();
        let incoming = Incoming {
            call: &rang.call,
            event: rang.event,
            event_time: rang.event_time.as_deref(),
            received: rang.received,
        };
        let decision = decide(&self.table, &mut self.remembered, &incoming, moment);
        let ids = CallIds::of_call(&rang.call);
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
                self.acting.insert(id, Acting::new(*rang.call, plan, deadline));
                self.try_next(id, ctx);
            }
            Outcome::Leave { verdict, .. } => {
                let fate = Fate::of_left_alone(verdict);
                if let Some(record) = self.records.get_mut(id) {
                    record.fate = Some(fate);
                }
                telling::decided(fate, &ids);
            }
        }
        Ok(id)
    }
}

impl Handler<NoticeCame> for RoutingActor {
    type Result = ();

    fn handle(&mut self, NoticeCame(event): NoticeCame, _: &mut Self::Context) {
        let Some(ids) = ids_of_notice(&event) else { return };
        let duration_of_call = match &event.news {
            GridNews::CallEnded(notice) => notice.duration_of_call,
            _ => None,
        };
        let notice = Notice { kind: event.news.label(), at: self.clock.wall(), duration_of_call };
        let joined = self.records.note(&ids, notice);
        telling::notice_came(event.news.label(), joined, &ids);
    }
}

/// The call that a notice is about; recordings name theirs in the subject only.
fn ids_of_notice(event: &GridEvent) -> Option<CallIds> {
    #[derive(serde::Deserialize)]
    struct Subject {
        subject: Option<String>,
    }
    match &event.news {
        GridNews::CallStarted(notice)
        | GridNews::CallEnded(notice)
        | GridNews::ParticipantAdded(notice)
        | GridNews::ParticipantRemoved(notice) => Some(CallIds::of_notice(notice)),
        GridNews::RecordingFileStatusUpdated(_) => {
            let read: Subject = serde_json::from_str(&event.raw).ok()?;
            ids_of_recording(&read.subject?)
        }
        GridNews::IncomingCall(_)
        | GridNews::Validation { .. }
        | GridNews::SubscriptionDeleted
        | GridNews::Other => None,
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
