//! Which actor owns which call; and, for a minute, what remains of those that ended.
//!
//! A shard owns `callConnectionId → CallActor` for its part of all ids, lives on an arbiter of its
//! own, and starts its call actors there. Early is normal: an event for an unknown id opens a call.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::call::{CallActor, Kept, catch_up, nothing_since};
use super::calls::{Listed, Refusal};
use super::messages::{
    Ask, Asked, CallLeft, CallOver, FindByAnyId, ListCalls, LookAtShard, Restore, Route, ShardView,
    StopWaiting, Woke, WritePage, Written,
};
use super::operating::look_at_operation;
use super::subscription::Gone;
use super::surroundings::{Pending, Surroundings};
use super::telling;
use crate::ports::{Alarm, Tick};
use crate::pure::call::{Call, CloseReason, Effect, Heard, Identity, Input, Phase, WaitEnd};
use crate::pure::replay::Restored;
use crate::wire::events::EventKind;
use crate::wire::identifiers::CallConnectionId;
use actix::dev::SendError;
use actix::{Actor, Addr, AsyncContext, Context, Handler};

enum Entry {
    Live(LiveEntry),
    /// Over; the remains answer late waiters.
    Ended {
        opened: u64,
        names: Names,
        kept: Kept,
        remains: Box<Call>,
    },
}

struct LiveEntry {
    actor: Addr<CallActor>,
    opened: u64,
    phase: Phase,
    names: Names,
}

/// Under which hashes the index knows a call. The first id of each sort counts, as it does inside the
/// call; what was put in is taken out again, whatever later events say.
#[derive(Clone, Copy, Default)]
struct Names {
    server_call: Option<NonZeroU64>,
    correlation: Option<NonZeroU64>,
}

impl Names {
    fn are_complete(self) -> bool {
        self.server_call.is_some() && self.correlation.is_some()
    }

    fn iter(self) -> impl Iterator<Item = NonZeroU64> {
        [self.server_call, self.correlation].into_iter().flatten()
    }
}

/// One shard of the registry.
pub struct RegistryActor {
    entries: HashMap<CallConnectionId, Entry>,
    /// Calls by the number of their opening, for pages.
    order: BTreeMap<u64, CallConnectionId>,
    /// Hash of a server call id or correlation id, and the number of a call that has it.
    other_ids: BTreeSet<(NonZeroU64, u64)>,
    /// Ended calls in the order in which they leave.
    graves: VecDeque<(Tick, CallConnectionId, u64)>,
    /// Calls with a snapshot that are no more, until somebody writes that down.
    gone: HashSet<CallConnectionId>,
    alarm: Option<Alarm>,
    connected: usize,
    stopping: bool,
    around: Arc<Surroundings>,
}

impl RegistryActor {
    /// An empty shard.
    pub fn new(around: Arc<Surroundings>) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            other_ids: BTreeSet::new(),
            graves: VecDeque::new(),
            gone: HashSet::new(),
            alarm: None,
            connected: 0,
            stopping: false,
            around,
        }
    }

    fn route(&mut self, id: CallConnectionId, asked: Asked) -> Result<(), Refusal> {
        if self.stopping && asked.ask.waits() {
            return Err(Refusal::ShuttingDown);
        }
        let news = News::of(&asked.ask);
        let admitted = match self.entries.get(&id) {
            Some(Entry::Live(live)) => match live.actor.try_send(asked) {
                Ok(()) => Ok(()),
                Err(SendError::Full(_)) => {
                    telling::refused("call");
                    Err(Refusal::Busy)
                }
                Err(SendError::Closed(asked)) => self.route_to_new(&id, asked),
            },
            Some(Entry::Ended { .. }) => {
                self.answer_for_the_dead(&id, asked.ask);
                return Ok(());
            }
            None => self.route_to_new(&id, asked),
        };
        if let (Ok(()), Some(news)) = (&admitted, news) {
            self.note(&id, &news);
        }
        admitted
    }

    /// Opens a call for what may open one. An actor that died is replaced in the same way.
    fn route_to_new(&mut self, id: &CallConnectionId, asked: Asked) -> Result<(), Refusal> {
        if let Some(Entry::Live(_)) = self.entries.get(id) {
            telling::call_died();
            self.remove(id);
        }
        if !asked.ask.opens() {
            return Err(Refusal::UnknownCall);
        }
        let live = self.around.live.load(Ordering::Relaxed);
        if live >= self.around.max_calls {
            telling::refused("calls");
            return Err(Refusal::Busy);
        }
        let opened = self.around.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let around = Arc::clone(&self.around);
        // Should it have had an earlier life, the snapshot of that one is this one's to replace.
        let kept = Kept { written: self.gone.remove(id), changed: false };
        let actor = CallActor::open(id.clone(), opened, kept, around);
        actor.try_send(asked).map_err(|_| Refusal::Busy)?;
        let live = LiveEntry { actor, opened, phase: Phase::Connecting, names: Names::default() };
        self.entries.insert(id.clone(), Entry::Live(live));
        self.order.insert(opened, id.clone());
        self.around.live.fetch_add(1, Ordering::Relaxed);
        telling::call_opened();
        Ok(())
    }

    /// Takes a call as it was. There is room: it had its place before the restart.
    fn restore(&mut self, restored: Restored) {
        let (id, call) = (restored.id.clone(), &restored.call);
        let opened = self.around.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let identity = call.identity();
        let names = Names {
            server_call: identity.server_call.as_ref().map(|id| hash(id.as_str())),
            correlation: identity.correlation.as_ref().map(|id| hash(id.as_str())),
        };
        for other in names.iter() {
            self.other_ids.insert((other, opened));
        }
        self.order.insert(opened, id.clone());
        if let Some(until) = call.grace_ends(&self.around.limits) {
            let kept = Kept { written: restored.kept, changed: restored.changed };
            let entry = Entry::Ended { opened, names, kept, remains: restored.call };
            self.graves.push_back((until, id.clone(), opened));
            self.entries.insert(id, entry);
            return;
        }
        let phase = call.phase();
        self.around.live.fetch_add(1, Ordering::Relaxed);
        telling::call_restored(phase == Phase::Connected);
        if phase == Phase::Connected {
            self.connected += 1;
        }
        let actor = CallActor::restore(restored, opened, Arc::clone(&self.around));
        self.entries.insert(id, Entry::Live(LiveEntry { actor, opened, phase, names }));
    }

    /// Keeps what lists and lookups need: how far the call is, what else it is called.
    fn note(&mut self, id: &CallConnectionId, news: &News) {
        let Some(Entry::Live(live)) = self.entries.get_mut(id) else { return };
        match (live.phase, news.kind()) {
            (Phase::Connecting | Phase::Failed, Some(EventKind::CallConnected)) => {
                live.phase = Phase::Connected;
                self.connected += 1;
                telling::call_connected();
            }
            (Phase::Connecting, Some(kind)) if kind.is_failure_to_connect() => {
                live.phase = Phase::Failed;
            }
            _ => {}
        }
        if live.names.are_complete() {
            return;
        }
        let before = live.names;
        let (server_call, correlation) = news.other_ids();
        live.names.server_call = before.server_call.or_else(|| server_call.map(hash));
        live.names.correlation = before.correlation.or_else(|| correlation.map(hash));
        for other in live.names.iter() {
            self.other_ids.insert((other, live.opened));
        }
    }

    fn answer_for_the_dead(&mut self, id: &CallConnectionId, ask: Ask) {
        let Some(Entry::Ended { remains, kept, .. }) = self.entries.get_mut(id) else { return };
        let now = self.around.clock.now();
        let limits = &self.around.limits;
        match ask {
            Ask::Deliver(heard) => {
                kept.changed = true;
                for effect in remains.step(now, Input::Event(heard), limits) {
                    match effect {
                        Effect::Count(kind, fate) => self.around.telling.event(&kind, fate),
                        Effect::Concluded(over) => telling::operation_over(&over),
                        _ => {}
                    }
                }
            }
            Ask::WaitFor { id, wants, asked, within, resume, reply } => {
                let from_backlog = resume.is_none();
                if !nothing_since(remains, &wants, resume) {
                    return;
                }
                let wait = Input::Wait { id, wants, asked, within, from_backlog };
                let answer = remains.step(now, wait, limits);
                let answer = answer.into_iter().find_map(|effect| match effect {
                    Effect::Tell(_, heard) => Some(Ok(heard)),
                    Effect::End(_, end) => Some(Err(end)),
                    _ => None,
                });
                let answer = answer.unwrap_or(Err(WaitEnd::Cancelled));
                telling::wait_answered(&answer);
                let _gone = reply.send(answer);
            }
            Ask::SubscribeTo { wants, after, listener, reply, .. } => {
                let _first = listener.closed.set(Gone::Closed(CloseReason::CallEnded));
                let _gone = reply.send(catch_up(remains, &wants, after));
            }
            Ask::Look(reply) => {
                let _gone = reply.send(remains.view(now, limits));
            }
            Ask::Operate { place, at_ms, deed, stands } => {
                kept.changed = true;
                let room = remains.has_room_for_operation(limits);
                remember(remains.step(now, Input::Operation { place, at_ms, deed }, limits));
                stands.map(|stands| stands.send(room));
            }
            Ask::LookAtOperation { which, reply, .. } => {
                let _gone = reply.send(look_at_operation(remains, &which));
            }
            Ask::Retime { .. }
            | Ask::CancelWait(_)
            | Ask::Detach(_)
            | Ask::Claim(_)
            | Ask::Verified
            | Ask::Close(_)
            | Ask::WriteDown(_)
            | Ask::ShutDown => {}
        }
    }

    /// Takes a call out of everything that knows it.
    fn remove(&mut self, id: &CallConnectionId) {
        let Some(entry) = self.entries.remove(id) else { return };
        let (opened, names) = match &entry {
            Entry::Live(live) => {
                self.no_longer_live(live.phase);
                (live.opened, live.names)
            }
            Entry::Ended { opened, names, kept, .. } => {
                if kept.written {
                    self.gone.insert(id.clone());
                }
                (*opened, *names)
            }
        };
        for other in names.iter() {
            self.other_ids.remove(&(other, opened));
        }
        self.order.remove(&opened);
    }

    fn no_longer_live(&mut self, phase: Phase) {
        let connected = phase == Phase::Connected;
        self.around.live.fetch_sub(1, Ordering::Relaxed);
        if connected {
            self.connected -= 1;
        }
        telling::call_left(connected);
    }

    /// Whether the entry is the very life of the call that a message speaks of.
    fn is_live(&self, id: &CallConnectionId, incarnation: u64) -> bool {
        matches!(self.entries.get(id), Some(Entry::Live(live)) if live.opened == incarnation)
    }

    fn bury_until(&mut self, now: Tick) {
        while let Some((at, ..)) = self.graves.front()
            && *at <= now
        {
            let Some((_, id, opened)) = self.graves.pop_front() else { return };
            let same = matches!(
                self.entries.get(&id),
                Some(Entry::Ended { opened: other, .. }) if *other == opened
            );
            if same {
                self.remove(&id);
            }
        }
        if self.entries.is_empty() {
            // A shard that had its busiest hour should not keep the room for it.
            self.entries.shrink_to_fit();
        }
    }

    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        self.alarm = self.graves.front().map(|(at, ..)| {
            let me = ctx.address();
            let ring = Box::new(move || me.do_send(Woke)); // one's own alarm, one at a time
            self.around.clock.alarm(*at, ring)
        });
    }
}

/// What the registry itself keeps of an ask that it passes on.
enum News {
    Heard(Heard),
    Claimed(Identity),
}

impl News {
    fn of(ask: &Ask) -> Option<Self> {
        match ask {
            Ask::Deliver(heard) => Some(Self::Heard(heard.clone())),
            Ask::Claim(identity) => Some(Self::Claimed(identity.clone())),
            _ => None,
        }
    }

    fn kind(&self) -> Option<&EventKind> {
        match self {
            Self::Heard(heard) => Some(&heard.event.kind),
            Self::Claimed(_) => None,
        }
    }

    /// Server call id and correlation id.
    fn other_ids(&self) -> (Option<&str>, Option<&str>) {
        let (server_call, correlation) = match self {
            Self::Heard(heard) => (&heard.event.server_call, &heard.event.correlation),
            Self::Claimed(identity) => (&identity.server_call, &identity.correlation),
        };
        (server_call.as_ref().map(|id| id.as_str()), correlation.as_ref().map(|id| id.as_str()))
    }
}

/// What an ended call says of its operations is still counted; there is nobody else to tell.
fn remember(effects: Vec<Effect>) {
    for effect in effects {
        if let Effect::Concluded(over) = effect {
            telling::operation_over(&over);
        }
    }
}

fn hash(text: &str) -> NonZeroU64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN)
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let _once = self.around.registry.set(ctx.address());
    }
}

impl Handler<Route> for RegistryActor {
    type Result = ();

    fn handle(&mut self, route: Route, _: &mut Self::Context) {
        let verdict = self.route(route.call, route.asked);
        if let Some(admitted) = route.admitted {
            let _gone = admitted.send(verdict);
        }
    }
}

impl Handler<CallOver> for RegistryActor {
    type Result = ();

    fn handle(&mut self, over: CallOver, ctx: &mut Self::Context) {
        if !self.is_live(&over.id, over.incarnation) {
            return;
        }
        let Some(Entry::Live(live)) = self.entries.get(&over.id) else { return };
        let (phase, names) = (live.phase, live.names);
        self.no_longer_live(phase);
        let limits = &self.around.limits;
        let until = over.remains.grace_ends(limits).unwrap_or(self.around.clock.now());
        let (opened, kept) = (over.incarnation, over.kept);
        let entry = Entry::Ended { opened, names, kept, remains: over.remains };
        self.entries.insert(over.id.clone(), entry);
        self.graves.push_back((until, over.id, over.incarnation));
        if self.alarm.is_none() {
            self.set_alarm(ctx);
        }
    }
}

impl Handler<CallLeft> for RegistryActor {
    type Result = ();

    fn handle(&mut self, left: CallLeft, _: &mut Self::Context) {
        if self.is_live(&left.id, left.incarnation) {
            if left.died {
                telling::call_died();
            }
            self.remove(&left.id);
            if left.written {
                self.gone.insert(left.id);
            }
        }
    }
}

impl Handler<Restore> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Restore { calls, gone }: Restore, ctx: &mut Self::Context) {
        self.gone.extend(gone);
        for restored in calls {
            self.restore(restored);
        }
        self.graves.make_contiguous().sort_by_key(|(until, ..)| *until);
        self.set_alarm(ctx);
    }
}

impl Handler<WritePage> for RegistryActor {
    type Result = actix::MessageResult<WritePage>;

    fn handle(&mut self, asked: WritePage, _: &mut Self::Context) -> Self::Result {
        let mut last = None;
        let ids = self.order.range(asked.after.saturating_add(1)..).take(asked.limit);
        for (opened, id) in ids {
            last = Some(*opened);
            match self.entries.get_mut(id) {
                Some(Entry::Live(live)) => {
                    let pending = Pending::count(&self.around);
                    let ask = Ask::WriteDown(asked.page.clone());
                    // Past the bound on purpose: a page is short, and the next one waits for it.
                    live.actor.do_send(Asked { ask, pending });
                }
                Some(Entry::Ended { remains, kept, .. }) if kept.changed => {
                    *kept = Kept { written: true, changed: false };
                    let text = remains.snapshot(self.around.moment());
                    let _gone = asked.page.send((id.clone(), text));
                }
                Some(Entry::Ended { .. }) | None => {}
            }
        }
        let gone = if asked.after == 0 { self.gone.drain().collect() } else { Vec::new() };
        actix::MessageResult(Written { last, gone })
    }
}

impl Handler<Woke> for RegistryActor {
    type Result = ();

    fn handle(&mut self, _: Woke, ctx: &mut Self::Context) {
        self.bury_until(self.around.clock.now());
        self.set_alarm(ctx);
    }
}

impl Handler<FindByAnyId> for RegistryActor {
    type Result = Vec<CallConnectionId>;

    fn handle(&mut self, find: FindByAnyId, _: &mut Self::Context) -> Self::Result {
        if let Some((id, _)) = self.entries.get_key_value(find.0.as_str()) {
            return vec![id.clone()];
        }
        let hash = hash(&find.0);
        let numbers = self.other_ids.range((hash, 0)..=(hash, u64::MAX));
        numbers.filter_map(|(_, opened)| self.order.get(opened)).cloned().collect()
    }
}

impl Handler<ListCalls> for RegistryActor {
    type Result = Vec<Listed>;

    fn handle(&mut self, list: ListCalls, _: &mut Self::Context) -> Self::Result {
        let listed = |(opened, id): (&u64, &CallConnectionId)| {
            let state = match self.entries.get(id)? {
                Entry::Live(live) => live.phase,
                Entry::Ended { .. } => Phase::Disconnected,
            };
            let wanted = list.state.is_none_or(|wanted| wanted == state);
            wanted.then(|| Listed { opened: *opened, id: id.clone() })
        };
        let after = self.order.range(list.after.saturating_add(1)..);
        after.filter_map(listed).take(list.limit).collect()
    }
}

impl Handler<LookAtShard> for RegistryActor {
    type Result = actix::MessageResult<LookAtShard>;

    fn handle(&mut self, _: LookAtShard, _: &mut Self::Context) -> Self::Result {
        let ended = self.graves.len();
        actix::MessageResult(ShardView {
            live: self.entries.len() - ended.min(self.entries.len()),
            connected: self.connected,
            ended,
            other_ids: self.other_ids.len(),
        })
    }
}

impl Handler<StopWaiting> for RegistryActor {
    type Result = usize;

    fn handle(&mut self, _: StopWaiting, _: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        self.around.stopping.store(true, Ordering::Relaxed);
        let mut live = 0;
        for entry in self.entries.values() {
            if let Entry::Live(entry) = entry {
                live += 1;
                // Past the bound on purpose: one message for each call, once in the process's life.
                let pending = Pending::count(&self.around);
                entry.actor.do_send(Asked { ask: Ask::ShutDown, pending });
            }
        }
        live
    }
}
