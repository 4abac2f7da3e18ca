//! One call connection as an actor: think, act, set the alarm. Nothing awaits in between.

use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler};

use super::messages::{
    Ask, Asked, CallLeft, CallOver, CatchUp, Listener, Resume, Route, WaitReply, Woke,
};
use super::operating::{Polls, look_at_operation};
use super::subscription::Gone;
use super::surroundings::Surroundings;
use super::telling;
use crate::ports::{Alarm, Line, LineKind};
use crate::pure::call::{
    Call, Cause, Effect, Heard, Input, OperationDeed, SubscriptionId, WaiterId, Wants,
};
use crate::pure::notes::Closed;
use crate::pure::replay::Restored;
use crate::pure::time::Position;
use crate::wire::identifiers::CallConnectionId;

/// Who listens to a call. Boxed in the actor: most calls have nobody, and there may be a million.
#[derive(Default)]
struct Listeners(Vec<(SubscriptionId, Listener)>);

/// Owns one call's pending waiters, backlog, subscriptions, roster and timeline.
pub struct CallActor {
    id: CallConnectionId,
    incarnation: u64,
    /// `None` once the call is over and the registry keeps what remains.
    call: Option<Box<Call>>,
    replies: Vec<(WaiterId, WaitReply)>,
    listeners: Option<Box<Listeners>>,
    polls: Polls,
    alarm: Option<Alarm>,
    kept: Kept,
    around: Arc<Surroundings>,
}

/// How a call stands to what is written down of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Kept {
    /// A snapshot of it is kept.
    pub written: bool,
    /// It has changed since.
    pub changed: bool,
}

impl CallActor {
    /// Starts an actor for a call of which nothing is known yet.
    pub(super) fn open(
        id: CallConnectionId,
        incarnation: u64,
        kept: Kept,
        around: Arc<Surroundings>,
    ) -> Addr<Self> {
        Self::create(|ctx| {
            // Before it runs: the array that opens a call may hold more of its events than an actor's
            // usual mailbox.
            ctx.set_mailbox_capacity(around.call_mailbox);
            let call = Box::new(Call::open(around.clock.now()));
            Self::with(id, incarnation, call, kept, around)
        })
    }

    /// Starts an actor for a call as it was before a restart.
    pub(super) fn restore(
        restored: Restored,
        incarnation: u64,
        around: Arc<Surroundings>,
    ) -> Addr<Self> {
        let Restored { id, call, kept, changed } = restored;
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(around.call_mailbox);
            Self::with(id, incarnation, call, Kept { written: kept, changed }, around)
        })
    }

    fn with(
        id: CallConnectionId,
        incarnation: u64,
        call: Box<Call>,
        kept: Kept,
        around: Arc<Surroundings>,
    ) -> Self {
        let (call, replies) = (Some(call), Vec::new());
        let polls = Polls::default();
        Self { id, incarnation, call, replies, listeners: None, polls, alarm: None, kept, around }
    }

    fn drive(&mut self, input: Input, ctx: &mut Context<Self>) {
        let Some(call) = &mut self.call else { return };
        self.kept.changed |= input.is_lasting();
        let effects = call.step(self.around.clock.now(), input, &self.around.limits);
        let (mut ended, mut told) = (false, Told::default());
        let mut remark = None;
        for effect in effects {
            match effect {
                Effect::Tell(waiter, heard) => self.tell(waiter, heard, &mut told),
                Effect::Remark(position, what) => remark = Some((position, what)),
                Effect::Over(ending) => {
                    telling::call_ended(ending.cause);
                    self.kept.changed = true;
                    self.write_end(ending.cause);
                    ended = true;
                }
                Effect::Forget => ended = true,
                other => self.perform(other),
            }
        }
        if let Some(heard) = told.nobody() {
            self.drive(Input::Return(heard), ctx);
        } else if let Some((position, what)) = remark {
            self.around.journal.remark(position, what);
        }
        if ended { self.leave() } else { self.set_alarm(ctx) }
    }

    /// No event tells the next start that a call was given up.
    fn write_end(&self, cause: Cause) {
        if !matches!(cause, Cause::Silent | Cause::SetupFailed) {
            return;
        }
        let text = Closed { call: self.id.clone(), cause }.text();
        let line = Line { kind: LineKind::Closed, at: self.around.clock.wall(), text };
        // Nobody waits for it: should it be lost, the call is asked about after the start.
        let _unawaited = self.around.journal.append(vec![line], &mut |_| {});
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::End(waiter, end) => {
                telling::wait_ended(&end);
                if let Some(reply) = take(&mut self.replies, waiter) {
                    let _gone = reply.send(Err(end));
                }
            }
            Effect::Inform(subscription, heard) => self.inform(subscription, heard),
            Effect::Close(subscription, reason) => {
                if let Some(listener) = self.take_listener(subscription) {
                    let _first = listener.closed.set(Gone::Closed(reason));
                    telling::subscription_closed();
                }
            }
            Effect::Count(kind, fate) => self.around.telling.event(&kind, fate),
            Effect::Dropped(reason, count) => telling::backlog_dropped(reason, count),
            Effect::Concluded(over) => {
                telling::operation_over(&over);
                self.polls.tell(over.of);
            }
            Effect::Verify => self.around.doubts.tell(&self.id),
            Effect::Tell(..) | Effect::Remark(..) | Effect::Over(_) | Effect::Forget => {}
        }
    }

    fn tell(&mut self, waiter: WaiterId, heard: Heard, told: &mut Told) {
        match take(&mut self.replies, waiter).map(|reply| reply.send(Ok(heard))) {
            Some(Ok(())) => {
                telling::wait_told();
                told.somebody = true;
            }
            Some(Err(Ok(heard))) => told.came_back = Some(heard),
            Some(Err(Err(_))) | None => {}
        }
    }

    /// A slow subscriber is dropped at once: the others, and the call, do not wait for it (rule C7).
    fn inform(&mut self, subscription: SubscriptionId, heard: Heard) {
        use tokio::sync::mpsc::error::TrySendError;
        let listeners = self.listeners.iter().flat_map(|listeners| &listeners.0);
        let Some((_, listener)) = listeners.into_iter().find(|(id, _)| *id == subscription) else {
            return;
        };
        match listener.events.try_send(heard) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => {
                let _first = listener.closed.set(Gone::Slow);
                telling::subscription_dropped("slow");
            }
            Err(TrySendError::Closed(_)) => telling::subscription_dropped("closed"),
        }
        self.take_listener(subscription);
        telling::subscription_closed();
        if let Some(call) = &mut self.call {
            // Nothing but this subscription changes: its effects are none, or that the call leaves,
            // which the next input or alarm finds out.
            let now = self.around.clock.now();
            for effect in call.step(now, Input::Unsubscribe(subscription), &self.around.limits) {
                self.perform(effect);
            }
        }
    }

    fn take_listener(&mut self, subscription: SubscriptionId) -> Option<Listener> {
        let listeners = self.listeners.as_mut()?;
        let taken = take(&mut listeners.0, subscription);
        if listeners.0.is_empty() {
            self.listeners = None;
        }
        taken
    }

    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.call.as_ref().and_then(|call| call.deadline(&self.around.limits));
        match (deadline, &self.alarm) {
            (None, _) => self.alarm = None,
            // An alarm that rings early costs one look; setting it anew for every event costs more.
            (Some(at), Some(set)) if set.at() <= at => {}
            (Some(at), _) => {
                let me = ctx.address();
                let ring = Box::new(move || me.do_send(Woke)); // one's own alarm, one at a time
                self.alarm = Some(self.around.clock.alarm(at, ring));
            }
        }
    }

    /// Hands what remains to the registry. Asks that are still in the mailbox are sent back there.
    fn leave(&mut self) {
        self.alarm = None;
        let Some(call) = self.call.take() else { return };
        let (id, incarnation, kept) = (self.id.clone(), self.incarnation, self.kept);
        // At most once in a call's life, so this cannot pile up beyond the limit of calls.
        if call.is_over() {
            self.around.registry().do_send(CallOver { id, incarnation, kept, remains: call });
        } else {
            let written = kept.written;
            self.around.registry().do_send(CallLeft { id, incarnation, written, died: false });
        }
    }

    fn subscribe(
        &mut self,
        id: SubscriptionId,
        wants: Wants,
        after: Option<Position>,
        listener: Listener,
        ctx: &mut Context<Self>,
    ) -> CatchUp {
        let catch_up = self.call.as_ref().map(|call| catch_up(call, &wants, after));
        self.listeners.get_or_insert_default().0.push((id, listener));
        telling::subscription_opened();
        self.drive(Input::Subscribe { id, wants }, ctx);
        catch_up.unwrap_or_default()
    }
}

/// What was heard after a cursor, of what a subscriber wants. Filters are left to the reader, who
/// has the payloads.
pub(super) fn catch_up(call: &Call, wants: &Wants, after: Option<Position>) -> CatchUp {
    let Some(after) = after else { return CatchUp::default() };
    let timeline = call.timeline();
    let missed = if after < timeline.dropped_to() { timeline.dropped() } else { 0 };
    let wanted =
        timeline.after(after).filter(|entry| wants.suits(&entry.kind, entry.context.as_ref()));
    CatchUp { positions: wanted.map(|entry| entry.position).collect(), missed }
}

/// Tells a resuming waiter what came since its cursor; true when that is nothing.
pub(super) fn nothing_since(call: &Call, wants: &Wants, resume: Option<Resume>) -> bool {
    let Some(resume) = resume else { return true };
    let past = catch_up(call, wants, Some(resume.after));
    let nothing = past.positions.is_empty();
    let _gone = resume.past.send(past);
    nothing
}

/// Whether an event that was meant for waiters reached one.
#[derive(Default)]
struct Told {
    somebody: bool,
    came_back: Option<Heard>,
}

impl Told {
    fn nobody(self) -> Option<Heard> {
        self.came_back.filter(|_| !self.somebody)
    }
}

fn take<I: PartialEq, T>(list: &mut Vec<(I, T)>, id: I) -> Option<T> {
    let place = list.iter().position(|(other, _)| *other == id)?;
    let taken = list.swap_remove(place).1;
    if list.is_empty() {
        list.shrink_to_fit();
    }
    Some(taken)
}

impl Actor for CallActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.set_alarm(ctx);
    }
}

impl Drop for CallActor {
    /// A call that goes without having left was torn down by a panic of ours. The registry must know,
    /// or the dead actor would stay in its list; whoever waited learns it from the closed reply.
    fn drop(&mut self) {
        if self.call.is_some() && std::thread::panicking() {
            let (id, incarnation) = (self.id.clone(), self.incarnation);
            let written = self.kept.written;
            self.around.registry().do_send(CallLeft { id, incarnation, written, died: true });
        }
    }
}

impl Handler<Asked> for CallActor {
    type Result = ();

    fn handle(&mut self, asked: Asked, ctx: &mut Self::Context) {
        if self.call.is_none() {
            // The call is over and the registry keeps its remains: it knows the answer. Past the bound
            // on purpose: these were admitted once, and are no more than this mailbox held.
            let call = self.id.clone();
            self.around.registry().do_send(Route { call, asked, admitted: None });
            return;
        }
        match asked.ask {
            Ask::Deliver(heard) => self.drive(Input::Event(heard), ctx),
            Ask::WaitFor { id, wants, asked, within, resume, reply } => {
                let from_backlog = resume.is_none();
                let call = self.call.as_deref();
                if !call.is_some_and(|call| nothing_since(call, &wants, resume)) {
                    return;
                }
                if self.replies.capacity() == 0 {
                    self.replies.reserve_exact(1);
                }
                self.replies.push((id, reply));
                self.drive(Input::Wait { id, wants, asked, within, from_backlog }, ctx);
            }
            Ask::Retime { id, within } => self.drive(Input::Retime { id, within }, ctx),
            Ask::CancelWait(id) => self.drive(Input::Cancel(id), ctx),
            Ask::SubscribeTo { id, wants, after, listener, reply } => {
                let catch_up = self.subscribe(id, wants, after, listener, ctx);
                let _gone = reply.send(catch_up);
            }
            Ask::Detach(id) => {
                if self.take_listener(id).is_some() {
                    telling::subscription_closed();
                }
                self.drive(Input::Unsubscribe(id), ctx);
            }
            Ask::Claim(identity) => self.drive(Input::Claim(identity), ctx),
            Ask::Operate { place, at_ms, deed, stands } => {
                let limits = &self.around.limits;
                let room = self.call.as_ref().is_some_and(|it| it.has_room_for_operation(limits));
                if let OperationDeed::Withdrawn(of) = deed {
                    self.polls.tell(of);
                }
                self.drive(Input::Operation { place, at_ms, deed }, ctx);
                stands.map(|stands| stands.send(room));
            }
            Ask::LookAtOperation { which, reply, over } => {
                let Some(call) = &self.call else { return };
                let look = look_at_operation(call, &which);
                let look = self.polls.put_up(look, over, self.around.limits.waiters);
                let _gone = reply.send(look);
            }
            Ask::Verified => self.drive(Input::Verified, ctx),
            Ask::Close(cause) => self.drive(Input::Close(cause), ctx),
            Ask::WriteDown(page) => {
                if let Some(call) = self.call.as_ref().filter(|_| self.kept.changed) {
                    let text = call.snapshot(self.around.moment());
                    self.kept = Kept { written: true, changed: false };
                    let _gone = page.send((self.id.clone(), text));
                }
            }
            Ask::Look(reply) => {
                let now = self.around.clock.now();
                let view = self.call.as_ref().map(|call| call.view(now, &self.around.limits));
                if let Some(view) = view {
                    let _gone = reply.send(view);
                }
            }
            Ask::ShutDown => {
                self.polls = Polls::default();
                self.drive(Input::Shutdown, ctx);
            }
        }
    }
}

impl Handler<Woke> for CallActor {
    type Result = ();

    fn handle(&mut self, _: Woke, ctx: &mut Self::Context) {
        self.alarm = None;
        self.drive(Input::Woke, ctx);
    }
}
