//! Asks Azure whether calls still live: those of before a restart, and those that are silent or old.
//!
//! One for the process. It asks in order, so many a second and a few at once, pauses while Azure does
//! not answer, and comes back to a call until Azure has said something about it. A call ends by this
//! only when Azure says that it is gone.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::calls::{Calls, Refusal};
use super::verifier_telling::{self as telling, Seldom};
use crate::ports::{Answer, CallAutomation, Clock, Request, Tick, UpstreamError, sleep};
use crate::pure::call::{Cause, Phase};
use crate::pure::pace::Pace;
use crate::wire::calling::{CallConnectionProperties, Operation, Place};
use crate::wire::identifiers::CallConnectionId;

/// Calls in doubt that may wait for their question, beside restored ones. One more is not asked about
/// until it is in doubt again.
const QUEUE: usize = 4096;
/// Questions under way at once.
const AT_ONCE: usize = 8;
/// After so long a question that got no answer is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// Where calls go that are to be asked about; nowhere until somebody asks.
#[derive(Default)]
pub struct Doubts(OnceLock<mpsc::Sender<CallConnectionId>>);

impl Doubts {
    /// This call is in doubt. When too many are it is not taken, and will be in doubt again.
    pub(super) fn tell(&self, call: &CallConnectionId) {
        let Some(to) = self.0.get() else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = to.try_send(call.clone()) {
            super::telling::refused("verifier");
        }
    }
}

/// How far the restored calls have been asked about.
#[derive(Debug, Default)]
pub struct Progress {
    restored: AtomicUsize,
    unverified: AtomicUsize,
}

impl Progress {
    /// How many there were to be asked about.
    pub fn restored(&self) -> usize {
        self.restored.load(Ordering::Relaxed)
    }

    /// How many of them are left.
    pub fn unverified(&self) -> usize {
        self.unverified.load(Ordering::Relaxed)
    }

    fn add(&self, calls: usize) {
        self.restored.fetch_add(calls, Ordering::Relaxed);
        self.unverified.fetch_add(calls, Ordering::Relaxed);
        telling::unverified(calls);
    }

    fn one_less(&self) {
        self.unverified.fetch_sub(1, Ordering::Relaxed);
        telling::verified();
    }
}

/// Whoever asks. Dropping it ends the asking.
pub struct Verifier {
    restored: mpsc::UnboundedSender<Vec<CallConnectionId>>,
    progress: Arc<Progress>,
}

impl Verifier {
    /// Begins to ask about the calls that are in doubt, `per_second` at most. Needs a running actix
    /// system.
    pub fn start(
        per_second: u32,
        calls: Calls,
        azure: Arc<dyn CallAutomation>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (doubtful, doubts) = mpsc::channel(QUEUE);
        let _first = calls.doubts().0.set(doubtful);
        let (orders, restored) = mpsc::unbounded_channel();
        let progress = Arc::<Progress>::default();
        let asking = Asking {
            round: Round::default(),
            progress: Arc::clone(&progress),
            pace: Pace::new(per_second),
            known: HashMap::new(),
            line: VecDeque::new(),
            later: VecDeque::new(),
            seldom: Seldom::default(),
            calls,
            azure,
            clock,
        };
        actix::spawn(asking.run(restored, doubts));
        Self { restored: orders, progress }
    }

    /// Asks about all of these, which were restored, in this order. For once in the process's life:
    /// they are as many as there are calls.
    pub fn check_all(&self, restored: Vec<CallConnectionId>) {
        if restored.is_empty() {
            return;
        }
        self.progress.add(restored.len());
        let _stopped = self.restored.send(restored);
    }

    /// How far the restored calls have been asked about.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

/// What a question has led to.
enum Found {
    /// Azure knows it.
    Alive,
    /// Azure knows it no more, and now nor do we.
    Ended,
    /// It ended by itself before the question was asked.
    Over,
    /// Azure gave no answer to anybody, as far as we can see.
    Unanswered(UpstreamError),
    /// Azure does not want to say it of this call.
    Refused(UpstreamError),
    /// Azure answered, and the call could not be told now.
    NotTold(Refusal),
}

/// A question that was asked at that time.
struct Asked {
    call: CallConnectionId,
    at: Tick,
    found: Found,
}

/// What became of the restored calls so far, for the log.
#[derive(Default)]
pub(super) struct Round {
    pub(super) alive: usize,
    pub(super) ended: usize,
    /// When it was last told, and how many were left then.
    told: (Tick, usize),
}

struct Asking {
    round: Round,
    progress: Arc<Progress>,
    pace: Pace,
    /// Every call whose question is not settled, and whether it was restored.
    known: HashMap<CallConnectionId, bool>,
    /// Those to be asked next.
    line: VecDeque<CallConnectionId>,
    /// Those to be asked again, and when they come back into the line.
    later: VecDeque<(Tick, CallConnectionId)>,
    seldom: Seldom,
    calls: Calls,
    azure: Arc<dyn CallAutomation>,
    clock: Arc<dyn Clock>,
}

type UnderWay = FuturesUnordered<Pin<Box<dyn Future<Output = Asked> + Send>>>;

impl Asking {
    async fn run(
        mut self,
        mut restored: mpsc::UnboundedReceiver<Vec<CallConnectionId>>,
        mut doubts: mpsc::Receiver<CallConnectionId>,
    ) {
        let mut under_way = UnderWay::new();
        loop {
            let now = self.clock.now();
            self.bring_back(now);
            let next =
                (under_way.len() < AT_ONCE && !self.line.is_empty()).then(|| self.pace.ready());
            if next.is_some_and(|at| at <= now) {
                if let Some(call) = self.line.pop_front() {
                    self.pace.ask(now);
                    let (calls, azure) = (self.calls.clone(), Arc::clone(&self.azure));
                    under_way.push(Box::pin(async move {
                        let found = ask(&calls, &*azure, &call).await;
                        Asked { call, at: now, found }
                    }));
                }
                continue;
            }
            let back = self.later.front().map(|(at, _)| *at);
            let wake = next.into_iter().chain(back).min();
            let clock = Arc::clone(&self.clock);
            tokio::select! {
                these = restored.recv() => match these {
                    Some(these) => self.take_restored(these),
                    None => return,
                },
                Some(call) = doubts.recv(), if self.has_room() => {
                    self.take(call, false);
                }
                Some(asked) = under_way.next() => self.settle(asked),
                () = sleep(&*clock, wake.map_or(Duration::ZERO, |at| at.since(now))), if wake.is_some() => {}
            }
        }
    }

    fn has_room(&self) -> bool {
        self.known.len() < QUEUE + self.progress.unverified()
    }

    fn take_restored(&mut self, these: Vec<CallConnectionId>) {
        for call in these {
            // One that was told twice is asked about once.
            if !self.take(call, true) {
                self.progress.restored.fetch_sub(1, Ordering::Relaxed);
                self.progress.one_less();
            }
        }
        let left = self.progress.unverified();
        self.round.told = (self.clock.now(), left);
        telling::round_begins(left);
    }

    /// Puts a call into the line, unless it is there already. Says whether this is news of it.
    fn take(&mut self, call: CallConnectionId, restored: bool) -> bool {
        match self.known.get_mut(&call) {
            Some(known) => restored && !std::mem::replace(known, true),
            None => {
                self.known.insert(call.clone(), restored);
                self.line.push_back(call);
                true
            }
        }
    }

    /// Those whose time has come go to the end of the line.
    fn bring_back(&mut self, now: Tick) {
        while self.later.front().is_some_and(|(at, _)| *at <= now) {
            self.line.extend(self.later.pop_front().map(|(_, call)| call));
        }
    }

    fn settle(&mut self, asked: Asked) {
        let now = self.clock.now();
        match &asked.found {
            Found::Alive => {
                telling::alive();
                self.pace.answered();
                return self.strike_off(&asked.call, true, now);
            }
            Found::Ended => {
                telling::ended(&asked.call);
                self.pace.answered();
                return self.strike_off(&asked.call, false, now);
            }
            Found::Over => return self.strike_off(&asked.call, false, now),
            Found::Unanswered(error) => {
                let pause = self.pace.failed(asked.at, now);
                self.seldom.unanswered(now, error, pause);
            }
            Found::Refused(error) => {
                self.pace.answered();
                self.seldom.refused(now, error);
            }
            Found::NotTold(refusal) => self.seldom.not_told(now, refusal),
        }
        self.later.push_back((now + AGAIN, asked.call));
    }

    fn strike_off(&mut self, call: &CallConnectionId, alive: bool, now: Tick) {
        if self.known.remove(call) != Some(true) {
            return;
        }
        let count = if alive { &mut self.round.alive } else { &mut self.round.ended };
        *count += 1;
        self.progress.one_less();
        let (restored, left) = (self.progress.restored(), self.progress.unverified());
        let (told, left_then) = self.round.told;
        if left == 0 {
            telling::round_ends(restored, &self.round);
        } else if now - told >= Duration::from_secs(10)
            || left_then.saturating_sub(left) * 10 >= restored
        {
            self.round.told = (now, left);
            telling::round_goes_on(restored, left, &self.round);
        }
    }
}

/// Asks about one call, and tells it, if it lives as far as we know.
async fn ask(calls: &Calls, azure: &dyn CallAutomation, call: &CallConnectionId) -> Found {
    match calls.look(call).await {
        Ok(view) if view.state == Phase::Disconnected => return Found::Over,
        Err(Refusal::UnknownCall) => return Found::Over,
        Err(busy) => return Found::NotTold(busy),
        Ok(_) => {}
    }
    let question = Request::new(Operation::GetCall, Place::Call(call.clone()));
    let told = match azure.send(question).await {
        Ok(answer) if says_disconnected(&answer) => {
            calls.close(call, Cause::Reconciled).await.map(|()| Found::Ended)
        }
        Ok(_) => calls.verified(call).await.map(|()| Found::Alive),
        Err(UpstreamError::Refused { status: 404, .. }) => {
            calls.close(call, Cause::Reconciled).await.map(|()| Found::Ended)
        }
        // Our key is not accepted: so it will be for every other call.
        Err(error @ UpstreamError::Refused { status: 401 | 403, .. }) => {
            Ok(Found::Unanswered(error))
        }
        Err(error @ UpstreamError::Refused { .. }) => Ok(Found::Refused(error)),
        Err(error) => Ok(Found::Unanswered(error)),
    };
    match told {
        Ok(found) => found,
        Err(Refusal::UnknownCall) => Found::Over,
        Err(refusal) => Found::NotTold(refusal),
    }
}

/// For a moment after its end Azure still knows a call, and says so.
fn says_disconnected(answer: &Answer) -> bool {
    let known = serde_json::from_slice::<CallConnectionProperties>(&answer.body);
    let state = known.ok().and_then(|known| known.call_connection_state);
    state.is_some_and(|state| state.eq_ignore_ascii_case("disconnected"))
}
