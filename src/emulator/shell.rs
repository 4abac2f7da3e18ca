//! Where the world meets reality: its clock, its outgoing requests, its one alarm.
//!
//! Owns no behaviour. Whoever touches the world does it through [`Shell::with`], which afterwards
//! carries out what the world wants done and sets the alarm for the next thing that is due.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::sockets::Sockets;
use super::tokens::Tokens;
use super::world::{Effect, Moment, Outcome, SocketId, Traced, World};
use crate::ports::{Alarm, Clock, Tick};

/// Joins the world, the clock and the network.
pub struct Shell {
    me: Weak<Self>,
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
    callers_clock: Option<Arc<dyn Clock>>,
    tokens: Arc<Tokens>,
    client: reqwest::Client,
    sockets: Sockets,
    runtime: Handle,
    alarm: Mutex<Option<(Tick, Alarm)>>,
    /// How many want the alarm to be set anew; only the first of them does it, for all.
    rearming: AtomicUsize,
    stop: watch::Sender<bool>,
    /// Tells those who wait that the world may have something for them.
    pulse: watch::Sender<u64>,
    keep_of_answer: usize,
    /// How many outgoing requests are not finished.
    under_way: watch::Sender<usize>,
    advancing: tokio::sync::Mutex<()>,
}

/// Counts one outgoing request until it is dropped, however that comes about.
struct UnderWay(Arc<Shell>);

impl UnderWay {
    fn begin(shell: Arc<Shell>) -> Self {
        shell.under_way.send_modify(|count| *count += 1);
        Self(shell)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Real time after which nobody waits any longer for requests to be finished. Each of them has a
/// shorter deadline of its own; this guards against a chain of them without an end.
const SETTLING: Duration = Duration::from_secs(60);

/// A poisoned lock only says that somebody panicked while holding it; the world is still the world.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shell {
    /// Begins to live on the caller's runtime.
    pub fn start(
        world: World,
        clock: Arc<dyn Clock>,
        tokens: Arc<Tokens>,
        client: reqwest::Client,
        sockets_trust: Option<Arc<rustls::ClientConfig>>,
    ) -> Arc<Self> {
        let shell = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            callers_clock: world.config().callers_clock.clone(),
            keep_of_answer: world.config().limits.prompt,
            sockets: Sockets::new(
                Weak::clone(me),
                Handle::current(),
                &world.config().limits,
                sockets_trust,
            ),
            under_way: watch::Sender::new(0),
            advancing: tokio::sync::Mutex::new(()),
            world: Mutex::new(world),
            clock,
            tokens,
            client,
            runtime: Handle::current(),
            alarm: Mutex::new(None),
            rearming: AtomicUsize::new(0),
            stop: watch::Sender::new(false),
            pulse: watch::Sender::new(0),
        });
        shell.with(|_, _| ());
        shell
    }

    /// The time by which callers date what they send.
    pub fn callers_wall(&self) -> Timestamp {
        self.callers_clock.as_ref().unwrap_or(&self.clock).wall()
    }

    /// The callback tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Does something with the world, and then what the world wants done.
    pub fn with<T>(&self, deed: impl FnOnce(&mut World, Moment) -> T) -> T {
        let mut world = lock(&self.world);
        // Read under the lock, so that the moments the world sees are in order.
        let now = Moment { tick: self.clock.now(), wall: self.clock.wall() };
        let result = deed(&mut world, now);
        world.pass_time(now);
        let effects = world.take_effects();
        self.sockets.carry_out(world.take_socket_effects());
        let pulse = world.pulse();
        drop(world);
        self.beat(pulse);
        for effect in effects {
            self.carry_out(effect);
        }
        self.rearm();
        result
    }

    /// Wakes those who wait, when there may be something for them.
    fn beat(&self, pulse: u64) {
        self.pulse.send_if_modified(|last| {
            let newer = pulse > *last;
            *last = pulse.max(*last);
            newer
        });
    }

    /// What the trace says after an entry. Waits for something new, but no longer than `patience`
    /// (real time) and not beyond the end of everything.
    pub async fn trace_after(&self, after: u64, payloads: bool, patience: Duration) -> Traced {
        let look = || {
            self.with(|world, now| {
                world.pass_time(now);
                world.trace_after(after, payloads)
            })
        };
        if patience.is_zero() {
            return look();
        }
        let (mut pulse, mut stopped) = (self.pulse.subscribe(), self.stop.subscribe());
        let something_new = async {
            loop {
                pulse.mark_unchanged();
                if !look().value.is_empty() || pulse.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => {}
            _ = tokio::time::timeout(patience, something_new) => {}
        }
        look()
    }

    /// Waits until an answer may go: by the world's clock, or until everything ends.
    pub async fn answer_free(&self, number: u64) {
        let (mut pulse, mut stopped) = (self.pulse.subscribe(), self.stop.subscribe());
        loop {
            pulse.mark_unchanged();
            if !self.with(|world, _| world.is_held(number)) {
                return;
            }
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                changed = pulse.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Lets go of a stream's socket that is closed.
    pub fn forget_socket(&self, socket: SocketId) {
        self.sockets.forget(socket);
    }

    /// Becomes true when everything ends.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// How many outgoing requests are not finished.
    pub fn requests_under_way(&self) -> usize {
        *self.under_way.borrow()
    }

    /// Waits until no outgoing request is under way. What their answers lead to has happened then, as
    /// far as it is due.
    pub async fn settled(&self) {
        let mut under_way = self.under_way.subscribe();
        let none = under_way.wait_for(|count| *count == 0 || *self.stop.borrow());
        if tokio::time::timeout(SETTLING, none).await.is_err() {
            tracing::warn!(
                "requests of the emulator do not come to an end; time goes on without them"
            );
        }
    }

    /// The right to move a held clock; one at a time has it.
    pub async fn advancing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.advancing.lock().await
    }

    /// Ends everything that is under way. Nothing leaves the emulator afterwards.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        let alarm = lock(&self.alarm).take();
        drop(alarm);
    }

    /// Sets the alarm for the next thing that is due. A held clock may ring while the alarm is being
    /// set, which leads back here: whoever comes second only leaves word and returns.
    fn rearm(&self) {
        if self.rearming.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        loop {
            let asked = self.rearming.load(Ordering::Acquire);
            self.set_alarm();
            let settled =
                self.rearming.compare_exchange(asked, 0, Ordering::AcqRel, Ordering::Acquire);
            if settled.is_ok() {
                return;
            }
        }
    }

    fn set_alarm(&self) {
        if *self.stop.borrow() {
            return;
        }
        let next = self.pass_time();
        let current = lock(&self.alarm).as_ref().map(|(at, _)| *at);
        if current == next {
            return;
        }
        let alarm = next.map(|at| {
            let me = Weak::clone(&self.me);
            let ring = Box::new(move || {
                if let Some(shell) = me.upgrade() {
                    shell.rung();
                }
            });
            (at, self.clock.alarm(at, ring))
        });
        let old = std::mem::replace(&mut *lock(&self.alarm), alarm);
        drop(old);
    }

    fn rung(&self) {
        self.pass_time();
        self.rearm();
    }

    /// Lets everything happen that is due, and tells when the next thing is.
    fn pass_time(&self) -> Option<Tick> {
        let mut world = lock(&self.world);
        let now = Moment { tick: self.clock.now(), wall: self.clock.wall() };
        world.pass_time(now);
        let (effects, next) = (world.take_effects(), world.next_due());
        self.sockets.carry_out(world.take_socket_effects());
        let pulse = world.pulse();
        drop(world);
        self.beat(pulse);
        for effect in effects {
            self.carry_out(effect);
        }
        next
    }

    fn carry_out(&self, effect: Effect) {
        let Some(me) = self.me.upgrade() else { return };
        let mut stopped = self.stop.subscribe();
        let counted = UnderWay::begin(Arc::clone(&me));
        self.runtime.spawn(async move {
            let _until_the_end = counted;
            let job = effect.job;
            let outcome = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                outcome = me.request(effect) => outcome,
            };
            me.with(|world, now| world.finished(now, job, &outcome));
        });
    }

    async fn request(&self, effect: Effect) -> Outcome {
        let Ok(method) = effect.method.parse::<reqwest::Method>() else {
            return Outcome::Unreachable;
        };
        let mut request = self.client.request(method, &effect.url).body(effect.body);
        for (name, value) in effect.headers {
            request = request.header(name, value);
        }
        if effect.signed
            && let Some(token) = self.tokens.issue(self.callers_wall(), effect.flaw)
        {
            request = request.bearer_auth(token);
        }
        // Real time: it guards against a receiver that hangs, and a held clock would not move.
        let answer = tokio::time::timeout(effect.deadline, self.answer(request));
        match answer.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) if error.is_timeout() => Outcome::TimedOut,
            Ok(Err(_)) => Outcome::Unreachable,
            Err(_) => Outcome::TimedOut,
        }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Outcome, reqwest::Error> {
        let mut response = request.send().await?;
        let text = |value: &reqwest::header::HeaderValue| {
            value.to_str().map(str::to_owned).unwrap_or_default()
        };
        let headers: BTreeMap<_, _> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect();
        let (status, length) = (response.status().as_u16(), response.content_length());
        let mut body = BytesMut::new();
        while body.len() < self.keep_of_answer {
            let Some(chunk) = response.chunk().await? else { break };
            body.extend_from_slice(&chunk);
        }
        let body: Bytes = body.freeze();
        Ok(Outcome::Answered { status, headers, body, length })
    }
}

/// The client for everything that leaves the emulator: no redirects, no proxies. It trusts these
/// authorities beside the machine's own.
///
/// # Errors
/// When the TLS library cannot be set up.
pub fn client(trusted: Vec<reqwest::Certificate>) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_certs_merge(trusted)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(5))
        .user_agent(concat!("switchhook-emulator/", env!("CARGO_PKG_VERSION")))
        .build()
}
