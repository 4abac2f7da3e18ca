//! The way to the calls for everybody above: deliver, wait, subscribe, look.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::dev::SendError;
use actix::{Actor, Addr, Arbiter};
use tokio::sync::{mpsc, oneshot};

use super::forwarder::ForwardTo;
use super::messages::{
    Ask, Asked, CatchUp, FindByAnyId, ListCalls, Listener, LookAtShard, Restore, Resume, Route,
    ShardView, StopWaiting, WritePage,
};
use super::registry::RegistryActor;
use super::subscription::Subscription;
use super::surroundings::{Pending, Surroundings};
use super::telling::{self, EventTelling};
use super::verifier::Doubts;
use super::waiting::{State, Waiting};
use crate::ports::{Clock, Journal, JournalError, Line, LineKind, Position, Record, Snapshots};
use crate::pure::call::{
    CallView, Cause, Heard, Identity, Limits, Phase, SubscriptionId, WaiterId, Wants,
};
use crate::pure::notes::{Claimed, Closed, Forward};
use crate::pure::replay::Replayed;
use crate::wire::events::CallEvent;
use crate::wire::identifiers::CallConnectionId;

/// How the registry is set up.
#[derive(Clone, Debug)]
pub struct CallsConfig {
    /// Shards, each on a thread of its own. 0 means one for every two cores.
    pub shards: usize,
    /// The limits of one call.
    pub limits: Limits,
    /// Messages that may wait for one call.
    pub call_mailbox: usize,
    /// Messages that may wait for one shard.
    pub registry_mailbox: usize,
    /// Calls that may live at once.
    pub max_calls: usize,
    /// Events that a subscriber may be behind before it is dropped.
    pub subscription_buffer: usize,
}

impl Default for CallsConfig {
    fn default() -> Self {
        Self {
            shards: 0,
            limits: Limits::default(),
            call_mailbox: 1024,
            registry_mailbox: 65_536,
            max_calls: 2_000_000,
            subscription_buffer: 256,
        }
    }
}

/// Why something was not taken. Nothing of it has had any effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A mailbox or the room for calls is full; the sender should try again.
    #[error("busy; try again shortly")]
    Busy,
    /// No such call is known.
    #[error("no call has that id")]
    UnknownCall,
    /// The service stops.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// The event could not be made safe.
    #[error(transparent)]
    NotKept(#[from] JournalError),
}

/// Calls that are asked at once to write themselves down. Events queue behind these, so they are few.
const WRITE_PAGE: usize = 4;

/// Texts of snapshots that go to the journal together, more or less: a commit for each page would be
/// slow, and behind a large commit the answers to events wait.
const KEPT_TOGETHER_BYTES: usize = 256 << 10;

/// Whether an ask has reached its call; for when that is not certain.
type Verdict = oneshot::Receiver<Result<(), Refusal>>;

/// A call as it stands in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Number of its opening: the cursor of lists.
    pub opened: u64,
    /// The call.
    pub id: CallConnectionId,
}

/// A handle to all calls. Cheap to clone; may be used from any thread.
#[derive(Clone)]
pub struct Calls(Arc<Inner>);

struct Inner {
    shards: Vec<Shard>,
    arbiters: Vec<Arbiter>,
    journal: Arc<dyn Journal>,
    doubts: Arc<Doubts>,
    clock: Arc<dyn Clock>,
    next_id: AtomicU64,
    subscription_buffer: usize,
}

struct Shard {
    registry: Addr<RegistryActor>,
    around: Arc<Surroundings>,
}

impl Calls {
    /// Starts the shards, each on an arbiter of its own. Needs a running actix system.
    pub fn start(config: &CallsConfig, clock: Arc<dyn Clock>, journal: Arc<dyn Journal>) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        // Half of the cores: the other half reads requests. One shard takes far more events than one
        // core's worth of requests, and each thread beyond the cores costs a wakening for every event.
        let shards = if config.shards == 0 { cores().div_ceil(2) } else { config.shards };
        let (live, opened) = (Arc::default(), Arc::default());
        let telling = Arc::new(EventTelling::register());
        let doubts = Arc::<Doubts>::default();
        let arbiters: Vec<_> = (0..shards).map(|_| Arbiter::new()).collect();
        let start = |arbiter: &Arbiter| {
            let around = Arc::new(Surroundings {
                clock: Arc::clone(&clock),
                journal: Arc::clone(&journal),
                limits: config.limits.clone(),
                call_mailbox: config.call_mailbox,
                registry_mailbox: config.registry_mailbox,
                max_calls: config.max_calls,
                shards,
                live: Arc::clone(&live),
                opened: Arc::clone(&opened),
                doubts: Arc::clone(&doubts),
                pending: AtomicUsize::new(0),
                stopping: AtomicBool::new(false),
                telling: Arc::clone(&telling),
                registry: OnceLock::new(),
            });
            let shard = Arc::clone(&around);
            let (started, has_started) = std::sync::mpsc::channel();
            let registry = RegistryActor::start_in_arbiter(&arbiter.handle(), move |ctx| {
                ctx.set_mailbox_capacity(shard.registry_mailbox);
                let _nobody_asks = started.send(());
                RegistryActor::new(shard)
            });
            // Until then the mailbox has room for 16.
            let _gone = has_started.recv();
            Shard { registry, around }
        };
        Self(Arc::new(Inner {
            shards: arbiters.iter().map(start).collect(),
            arbiters,
            journal,
            doubts,
            clock,
            next_id: AtomicU64::new(1),
            subscription_buffer: config.subscription_buffer.max(1),
        }))
    }

    /// Journals the events and hands each to its call. Returns when all of them are as safe as the
    /// journal makes them and every call has them in its mailbox.
    ///
    /// # Errors
    /// The first [`Refusal`]; the sender should send the whole batch again, repeats have no effect.
    pub async fn deliver(&self, events: Vec<CallEvent>) -> Result<(), Refusal> {
        self.deliver_to(events, None).await
    }

    /// … and has them forwarded as well. That they are to be is as safe as the events are.
    ///
    /// # Errors
    /// As [`Self::deliver`].
    pub async fn deliver_to(
        &self,
        events: Vec<CallEvent>,
        forward: Option<ForwardTo<'_>>,
    ) -> Result<(), Refusal> {
        let at = self.0.clock.wall();
        let received_ms = at.as_millisecond();
        let line =
            |event: &CallEvent| Line { kind: LineKind::Heard, at, text: Arc::clone(&event.raw) };
        let mut lines: Vec<_> = events.iter().map(line).collect();
        let mut owed = Vec::new();
        let since = forward.as_ref().map(|_| self.0.clock.now()).unwrap_or_default();
        if let Some(forward) = &forward {
            let note = Forward::Owed { to: Arc::clone(&forward.to), back: lines.len() as u64 };
            let line = Line { kind: LineKind::Forward, at, text: note.text() };
            lines.extend(std::iter::repeat_n(line, events.len()));
        }
        let mut events = events.into_iter();
        let mut refused = None;
        let mut uncertain = Vec::new();
        let kept = self.0.journal.append(lines, &mut |first| {
            for (place, event) in (first.0..).zip(events.by_ref()) {
                let call = event.call.clone();
                if let Some(forward) = &forward {
                    owed.push(forward.owed(Position(place), &event, since));
                }
                let event = Arc::new(event);
                let heard = Heard { position: Position(place), received_ms, event };
                match self.route(call, Ask::Deliver(heard)) {
                    Ok(Some(verdict)) => uncertain.push(verdict),
                    Ok(None) => {}
                    Err(refusal) => refused = Some(refusal),
                }
            }
            if let Some(forward) = &forward {
                forward.forwarder.owe(std::mem::take(&mut owed));
            }
        });
        kept.await?;
        for verdict in uncertain {
            verdict.await.unwrap_or(Err(Refusal::Busy))?;
        }
        refused.map_or(Ok(()), Err)
    }

    /// Puts up a wait. When this returns, the wait stands before every event that comes later. Its time
    /// counts from here, however long it lies in mailboxes.
    ///
    /// Dropping the returned [`Waiting`] cancels it.
    ///
    /// With `after`, only what came after that cursor counts, whoever else was told of it; nothing is
    /// taken from the backlog. Without, the oldest matching event of the backlog is taken.
    ///
    /// # Errors
    /// [`Refusal`] when the call cannot take it.
    pub async fn wait(
        &self,
        call: &CallConnectionId,
        wants: Wants,
        within: Duration,
        mut after: Option<Position>,
    ) -> Result<Waiting, Refusal> {
        let asked = self.0.clock.now();
        loop {
            let id = WaiterId(self.next_id());
            let (reply, outcome) = oneshot::channel();
            let (past, since) = oneshot::channel();
            let resume = after.map(|after| Resume { after, past });
            let resuming = resume.is_some();
            let ask = Ask::WaitFor { id, wants: wants.clone(), asked, within, resume, reply };
            self.ask(call, ask).await?;
            let past = if resuming { since.await.unwrap_or_default() } else { CatchUp::default() };
            for position in &past.positions {
                let heard = self.read(*position).await;
                if let Some(heard) = heard.filter(|heard| wants.passes_filter(heard)) {
                    return Ok(self.waiting(id, call, wants, State::Settled(Box::new(heard))));
                }
            }
            match past.positions.last() {
                // None of these was it; what came while they were read may be.
                Some(last) => after = Some(*last),
                None => return Ok(self.waiting(id, call, wants, State::Standing(outcome))),
            }
        }
    }

    fn waiting(
        &self,
        id: WaiterId,
        call: &CallConnectionId,
        wants: Wants,
        state: State,
    ) -> Waiting {
        let filtered = wants.filter.is_some().then(|| Box::new(wants));
        Waiting { id, call: call.clone(), calls: self.clone(), state, filtered }
    }

    /// An event by its place, if it is still kept.
    pub async fn read(&self, position: Position) -> Option<Heard> {
        let at = [position];
        let read = self.journal().get(&at).await.ok()?;
        read.into_iter().next().flatten().and_then(heard_again)
    }

    /// Listens to a call from now on, or from after a cursor on. Dropping the returned
    /// [`Subscription`] detaches exactly this one.
    ///
    /// # Errors
    /// [`Refusal`] when the call cannot take it.
    pub async fn subscribe(
        &self,
        call: &CallConnectionId,
        wants: Wants,
        after: Option<Position>,
    ) -> Result<Subscription, Refusal> {
        let id = SubscriptionId(self.next_id());
        let (sender, events) = mpsc::channel(self.0.subscription_buffer);
        let closed = Arc::new(OnceLock::new());
        let listener = Listener { events: sender, closed: Arc::clone(&closed) };
        let (reply, caught_up) = oneshot::channel();
        let ask = Ask::SubscribeTo { id, wants: wants.clone(), after, listener, reply };
        self.ask(call, ask).await?;
        let catch_up = caught_up.await.map_err(|_| Refusal::Busy)?;
        Ok(Subscription {
            id,
            call: call.clone(),
            calls: self.clone(),
            wants,
            past: catch_up.positions.into(),
            missed: catch_up.missed,
            events,
            closed,
        })
    }

    /// Tells that the application made or answered this call, so that it exists before its events.
    ///
    /// # Errors
    /// [`Refusal`] when there is no room for it.
    pub async fn claim(&self, call: &CallConnectionId, identity: Identity) -> Result<(), Refusal> {
        let claimed = Claimed { call: call.clone(), identity: identity.clone() };
        self.note(call, LineKind::Claimed, claimed.text(), Ask::Claim(identity)).await
    }

    /// Takes calls as they were before a restart. For the time before anything is delivered.
    pub async fn restore(&self, replayed: Replayed) {
        let shards = &self.0.shards;
        let none = || Restore { calls: Vec::new(), gone: Vec::new() };
        let mut parts: Vec<_> = shards.iter().map(|_| none()).collect();
        for restored in replayed.calls {
            parts[self.place_of(&restored.id)].calls.push(restored);
        }
        for id in replayed.gone {
            parts[self.place_of(&id)].gone.push(id);
        }
        let sent = shards.iter().zip(parts).map(|(shard, part)| shard.registry.send(part));
        futures_util::future::join_all(sent).await;
    }

    /// Has the calls that have changed since the last time written down, and says which snapshots are
    /// needed no more. What was journalled when this began is in them.
    ///
    /// # Errors
    /// [`JournalError`]; what is not written then is written the next time.
    pub async fn write_down(&self, covers: Position) -> Result<usize, JournalError> {
        let (mut count, mut bytes, mut snapshots) = (0, 0, Snapshots::default());
        for shard in &self.0.shards {
            let mut after = Some(0);
            while let Some(from) = after {
                let (page, mut texts) = mpsc::unbounded_channel();
                let asked = WritePage { after: from, limit: WRITE_PAGE, page };
                let Ok(written) = shard.registry.send(asked).await else { return Ok(count) };
                after = written.last;
                snapshots.gone.extend(written.gone);
                while let Some((id, text)) = texts.recv().await {
                    count += 1;
                    bytes += text.len();
                    snapshots.of.push((id, text));
                }
                if bytes >= KEPT_TOGETHER_BYTES {
                    bytes = 0;
                    self.0.journal.keep(std::mem::take(&mut snapshots)).await?;
                }
            }
        }
        snapshots.covers = Some(covers);
        self.0.journal.keep(snapshots).await?;
        Ok(count)
    }

    /// Journals something of our own about a call and tells the call.
    async fn note(
        &self,
        call: &CallConnectionId,
        kind: LineKind,
        text: Arc<str>,
        ask: Ask,
    ) -> Result<(), Refusal> {
        let line = Line { kind, at: self.0.clock.wall(), text };
        let (mut ask, mut routed) = (Some(ask), Ok(None));
        let kept = self.0.journal.append(vec![line], &mut |_| {
            if let Some(ask) = ask.take() {
                routed = self.route(call.clone(), ask);
            }
        });
        kept.await?;
        match routed? {
            Some(verdict) => verdict.await.unwrap_or(Err(Refusal::Busy)),
            None => Ok(()),
        }
    }

    /// Ends a call of which it is known that it is over, though no event said so: first in the
    /// journal, then the call itself. Has no effect on one that has ended already.
    ///
    /// # Errors
    /// [`Refusal`] when it could not be journalled, or the call cannot take it now;
    /// [`Refusal::UnknownCall`] when it is not known any more. May be said again.
    pub async fn close(&self, call: &CallConnectionId, cause: Cause) -> Result<(), Refusal> {
        let closed = Closed { call: call.clone(), cause };
        self.note(call, LineKind::Closed, closed.text(), Ask::Close(cause)).await
    }

    /// Tells a call that Azure, when asked, said that it lives.
    ///
    /// # Errors
    /// [`Refusal`] when the call cannot take it now, or is not known any more.
    pub async fn verified(&self, call: &CallConnectionId) -> Result<(), Refusal> {
        self.ask(call, Ask::Verified).await
    }

    /// Where calls go that are to be asked about.
    pub(super) fn doubts(&self) -> &Doubts {
        &self.0.doubts
    }

    /// A glance at one call.
    ///
    /// # Errors
    /// [`Refusal::UnknownCall`] when it is not known, or was forgotten after its end.
    pub async fn look(&self, call: &CallConnectionId) -> Result<CallView, Refusal> {
        let (reply, view) = oneshot::channel();
        self.ask(call, Ask::Look(reply)).await?;
        view.await.map_err(|_| Refusal::UnknownCall)
    }

    /// The calls that have this connection id, server call id or correlation id.
    pub async fn find(&self, any_id: &str) -> Vec<CallConnectionId> {
        let asked =
            self.0.shards.iter().map(|shard| shard.registry.send(FindByAnyId(any_id.to_owned())));
        let mut found = futures_util::future::join_all(asked).await;
        let mut found: Vec<_> = found.drain(..).flatten().flatten().collect();
        found.sort();
        found
    }

    /// A page of calls in the order in which they were opened.
    pub async fn list(&self, after: u64, limit: usize, state: Option<Phase>) -> Vec<Listed> {
        let asked = self
            .0
            .shards
            .iter()
            .map(|shard| shard.registry.send(ListCalls { after, limit, state }));
        let found = futures_util::future::join_all(asked).await;
        let mut found: Vec<_> = found.into_iter().flatten().flatten().collect();
        found.sort_by_key(|listed| listed.opened);
        found.truncate(limit);
        found
    }

    /// A picture of each shard.
    pub async fn shards(&self) -> Vec<ShardView> {
        let asked = self.0.shards.iter().map(|shard| shard.registry.send(LookAtShard));
        futures_util::future::join_all(asked).await.into_iter().flatten().collect()
    }

    /// Ends every wait with "shutting down" and lets no new call be opened by one. Says how many
    /// calls were live. Events are still taken.
    pub async fn stop_waiting(&self) -> usize {
        let asked = self.0.shards.iter().map(|shard| shard.registry.send(StopWaiting));
        futures_util::future::join_all(asked).await.into_iter().flatten().sum()
    }

    /// Stops the shards' threads. Whoever still waits learns that the state is lost.
    pub fn stop(&self) {
        for arbiter in &self.0.arbiters {
            arbiter.stop();
        }
    }

    /// Time.
    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Where events are kept.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.0.journal
    }

    pub(super) async fn ask(&self, call: &CallConnectionId, ask: Ask) -> Result<(), Refusal> {
        match self.route(call.clone(), ask)? {
            Some(verdict) => verdict.await.unwrap_or(Err(Refusal::Busy)),
            None => Ok(()),
        }
    }

    /// Puts an ask into the mailbox of its shard at once. The call will have it when nothing is
    /// returned; otherwise the verdict tells.
    pub(super) fn route(
        &self,
        call: CallConnectionId,
        ask: Ask,
    ) -> Result<Option<Verdict>, Refusal> {
        let shard = self.shard_of(&call);
        let certain = ask.opens() && shard.around.has_room();
        let (admitted, verdict) = match certain {
            true => (None, None),
            false => {
                let (admitted, verdict) = oneshot::channel();
                (Some(admitted), Some(verdict))
            }
        };
        let asked = Asked { ask, pending: Pending::count(&shard.around) };
        shard.registry.try_send(Route { call, asked, admitted }).map_err(|unsent| {
            telling::refused("registry");
            match unsent {
                SendError::Full(_) => Refusal::Busy,
                SendError::Closed(_) => Refusal::ShuttingDown,
            }
        })?;
        Ok(verdict)
    }

    /// Tells a call something that nobody needs to hear back about.
    pub(super) fn mention(&self, call: &CallConnectionId, ask: Ask) {
        let shard = self.shard_of(call);
        let asked = Asked { ask, pending: Pending::count(&shard.around) };
        // When the mailbox is full the wait runs to its timeout instead; nothing is lost.
        let _full = shard.registry.try_send(Route { call: call.clone(), asked, admitted: None });
    }

    fn shard_of(&self, call: &CallConnectionId) -> &Shard {
        &self.0.shards[self.place_of(call)]
    }

    fn place_of(&self, call: &CallConnectionId) -> usize {
        let mut hasher = DefaultHasher::new();
        call.hash(&mut hasher);
        let shards = self.0.shards.len() as u64;
        usize::try_from(hasher.finish() % shards).unwrap_or_default()
    }

    fn next_id(&self) -> u64 {
        self.0.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// Reads a journalled event again.
pub fn heard_again(record: Record) -> Option<Heard> {
    if record.line.kind != LineKind::Heard {
        return None;
    }
    let event = CallEvent::parse(&record.line.text).ok()?;
    let received_ms = record.line.at.as_millisecond();
    Some(Heard { position: record.position, received_ms, event: Arc::new(event) })
}
