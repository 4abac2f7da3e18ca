//! The ForwarderActor: posts events to the URLs of the gateway's callers, beside their calls.
//!
//! Thinks in `pure::forwarding`; posts, writes down and sets alarms. No call waits for it.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use bytes::Bytes;

use super::calls::heard_again;
use super::forwarder_telling as telling;
use crate::ports::{
    Alarm, Clock, Journal, JournalError, Line, LineKind, Messenger, Position, Tick,
};
use crate::pure::call::Heard;
use crate::pure::forwarding::{
    ForwardEffect, ForwardLimits, Forwards, Owed, Posted, QueueId, Restored,
};
use crate::pure::notes::{DeadLetter, Forward};
use crate::wire::events::CallEvent;

/// Forwards events. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder(Addr<ForwarderActor>);

/// Where the events of a delivery are to go.
pub struct ForwardTo<'a> {
    /// Who brings them.
    pub forwarder: &'a Forwarder,
    /// The URL of a caller.
    pub to: Arc<str>,
    /// The proof of their sender.
    pub authorization: Option<Arc<str>>,
}

impl ForwardTo<'_> {
    pub(super) fn owed(&self, of: Position, event: &CallEvent, since: Tick) -> Owed {
        Owed {
            of,
            call: event.call.clone(),
            kind: event.kind.short_name().into(),
            to: Arc::clone(&self.to),
            raw: Arc::clone(&event.raw),
            authorization: self.authorization.clone(),
            since,
        }
    }
}

/// What a forwarder works with.
pub struct ForwarderParts {
    /// How much, and how patiently.
    pub limits: ForwardLimits,
    /// The way to the callers.
    pub messenger: Arc<dyn Messenger>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where it writes down what became of events.
    pub journal: Arc<dyn Journal>,
}

impl Forwarder {
    /// Goes on with what was pending before a restart.
    ///
    /// # Errors
    /// [`JournalError::Unreadable`] when the events cannot be read.
    pub async fn start(parts: ForwarderParts, restored: Restored) -> Result<Self, JournalError> {
        let places: Vec<_> = restored.pending.iter().map(|(of, _)| *of).collect();
        let found = parts.journal.get(&places).await?;
        let since = parts.clock.now();
        let mut forwards = Forwards::new(parts.limits);
        for letter in restored.dead {
            forwards.remember(letter);
        }
        let mut effects = Vec::new();
        let (mut resumed, mut lost) = (0_u64, 0_u64);
        for ((_, to), record) in restored.pending.into_iter().zip(found) {
            let Some(heard) = record.and_then(heard_again) else {
                lost += 1;
                continue;
            };
            resumed += 1;
            effects.extend(forwards.owe(owed_again(&heard, to, since)));
        }
        telling::resumed(resumed, lost);
        let actor = ForwarderActor { forwards, parts, alarms: HashMap::new(), first: effects };
        Ok(Self(actor.start()))
    }

    /// Takes events. Never refuses: beyond the limit they become dead letters.
    pub fn owe(&self, owed: Vec<Owed>) {
        self.0.do_send(Owe(owed)); // bounded by the limit of what is pending
    }

    /// The events that were given up, the latest last.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.0.send(ListDead).await.unwrap_or_default()
    }

    /// Sends an event that was given up again; false when there is none.
    pub async fn redeliver(&self, of: Position) -> bool {
        self.0.send(Redeliver(of)).await.unwrap_or_default()
    }

    /// Writes down anew what a restart must know of dead letters, and says from which event on the
    /// journal is still needed.
    pub async fn needed_since(&self) -> Option<Position> {
        self.0.send(Restate).await.unwrap_or_default()
    }
}

/// Owns what is pending and what was given up.
pub struct ForwarderActor {
    forwards: Forwards,
    parts: ForwarderParts,
    /// One for each line of events that pauses.
    alarms: HashMap<QueueId, Alarm>,
    /// What is to be done at the start.
    first: Vec<ForwardEffect>,
}

impl ForwarderActor {
    fn perform(&mut self, effects: Vec<ForwardEffect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                ForwardEffect::Post(queue, owed) => self.post(queue, &owed, ctx),
                ForwardEffect::Wake(queue, at) => {
                    let me = ctx.address();
                    let ring = Box::new(move || me.do_send(Look(queue))); // one for each line
                    self.alarms.insert(queue, self.parts.clock.alarm(at, ring));
                }
                ForwardEffect::Note(note) => {
                    if let Forward::Dead(letter) = &note {
                        telling::given_up(letter);
                    }
                    self.write(vec![note]);
                }
            }
        }
        telling::standing(self.forwards.pending(), self.forwards.dead().count());
    }

    fn post(&self, queue: QueueId, owed: &Owed, ctx: &mut Context<Self>) {
        // As the call service posts them: an array, of one.
        let body = Bytes::from(format!("[{}]", owed.raw));
        let authorization = owed.authorization.as_deref();
        let posting = self.parts.messenger.post(&owed.to, body, authorization);
        let me = ctx.address();
        let told = async move {
            let posted = posting.await;
            telling::posted(posted);
            me.do_send(Came(queue, posted)); // one for each that is posted
        };
        ctx.spawn(told.into_actor(self));
    }

    /// Nobody waits for it: an event whose note is lost is forwarded a second time after a restart.
    fn write(&self, notes: Vec<Forward>) {
        let at = self.parts.clock.wall();
        let line =
            |note: Forward| Line { kind: LineKind::Forward, at, text: dated(note, at).text() };
        let lines = notes.into_iter().map(line).collect();
        let _unawaited = self.parts.journal.append(lines, &mut |_| {});
    }
}

/// An event that was read back from the journal.
fn owed_again(heard: &Heard, to: Arc<str>, since: Tick) -> Owed {
    Owed {
        of: heard.position,
        call: heard.event.call.clone(),
        kind: heard.event.kind.short_name().into(),
        to,
        raw: Arc::clone(&heard.event.raw),
        authorization: None,
        since,
    }
}

/// A dead letter says when it became one.
fn dated(note: Forward, at: jiff::Timestamp) -> Forward {
    match note {
        Forward::Dead(letter) => Forward::Dead(DeadLetter { at: letter.at.or(Some(at)), ..letter }),
        other => other,
    }
}

impl Actor for ForwarderActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let first = std::mem::take(&mut self.first);
        self.perform(first, ctx);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Owe(Vec<Owed>);

impl Handler<Owe> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, Owe(owed): Owe, ctx: &mut Self::Context) {
        for owed in owed {
            let effects = self.forwards.owe(owed);
            self.perform(effects, ctx);
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Came(QueueId, Posted);

impl Handler<Came> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, Came(queue, posted): Came, ctx: &mut Self::Context) {
        let effects = self.forwards.posted(queue, posted, self.parts.clock.now());
        self.perform(effects, ctx);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Look(QueueId);

impl Handler<Look> for ForwarderActor {
    type Result = ();

    fn handle(&mut self, Look(queue): Look, ctx: &mut Self::Context) {
        self.alarms.remove(&queue);
        let effects = self.forwards.look(queue);
        self.perform(effects, ctx);
    }
}

#[derive(Message)]
#[rtype(result = "Vec<DeadLetter>")]
struct ListDead;

impl Handler<ListDead> for ForwarderActor {
    type Result = MessageResult<ListDead>;

    fn handle(&mut self, _: ListDead, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.forwards.dead().cloned().collect())
    }
}

#[derive(Message)]
#[rtype(result = "bool")]
struct Redeliver(Position);

impl Handler<Redeliver> for ForwarderActor {
    type Result = actix::ResponseActFuture<Self, bool>;

    fn handle(&mut self, Redeliver(of): Redeliver, _: &mut Self::Context) -> Self::Result {
        use actix::ActorFutureExt;
        let journal = Arc::clone(&self.parts.journal);
        let read = async move {
            let at = [of];
            let records = journal.get(&at).await.unwrap_or_default();
            records.into_iter().next().flatten().and_then(heard_again)
        };
        Box::pin(read.into_actor(self).map(move |heard, actor, ctx| {
            // The event is read first: a letter whose event is gone stays for people to see.
            let Some(heard) = heard else { return false };
            let Some(letter) = actor.forwards.exhume(of) else { return false };
            let to: Arc<str> = letter.to.as_str().into();
            actor.write(vec![Forward::Again(letter)]);
            let since = actor.parts.clock.now();
            let effects = actor.forwards.owe(owed_again(&heard, to, since));
            actor.perform(effects, ctx);
            true
        }))
    }
}

#[derive(Message)]
#[rtype(result = "Option<Position>")]
struct Restate;

impl Handler<Restate> for ForwarderActor {
    type Result = Option<Position>;

    fn handle(&mut self, _: Restate, _: &mut Self::Context) -> Self::Result {
        let dead: Vec<_> = self.forwards.dead().cloned().map(Forward::Dead).collect();
        if !dead.is_empty() {
            self.write(dead);
        }
        self.forwards.oldest()
    }
}
