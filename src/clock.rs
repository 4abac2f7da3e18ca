//! The three clocks behind [`Clock`]: the real one, one that runs faster, one that you hold.
//!
//! This is the only file that asks the machine for the time. It may use `ports`; it decides nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::ports::{Alarm, AlarmKey, Alarms, Clock, Tick};

/// Tells how long a piece of work took on this machine, finer than [`Tick`]s. For metrics only: nothing
/// is decided by it.
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins to count.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since then.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Holds this thread up for so long. For disks that are made slower than they are, in benchmarks;
/// nothing else may wait like this.
pub fn hold_up(time: Duration) {
    let begun = Instant::now();
    while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

type Ring = Box<dyn FnOnce() + Send>;

/// Alarms in the order in which they are due; the number keeps equal times in order of setting.
#[derive(Default)]
struct Due {
    due: BTreeMap<AlarmKey, Ring>,
    set: u64,
}

impl Due {
    fn set(&mut self, at: Tick, ring: Ring) -> AlarmKey {
        self.set += 1;
        let key = (at, self.set);
        self.due.insert(key, ring);
        key
    }

    fn next_due(&self) -> Option<Tick> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    fn take_due(&mut self, now: Tick) -> Option<Ring> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// A poisoned lock only says that some ring panicked; the alarms themselves are whole.
fn lock(alarms: &Mutex<Due>) -> MutexGuard<'_, Due> {
    alarms.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine's clock, times a speed. Alarms ring on a thread of its own.
pub struct SystemClock {
    began: Instant,
    began_wall: Timestamp,
    speed: u32,
    shared: Arc<SystemShared>,
}

#[derive(Default)]
struct SystemShared {
    alarms: Mutex<Due>,
    changed: Condvar,
}

impl Alarms for SystemShared {
    fn cancel(&self, key: AlarmKey) {
        lock(&self.alarms).due.remove(&key);
    }
}

/// The tick at which a process starts. What it remembers from before has earlier ones.
const BEFORE: Tick = Tick(366 * 24 * 60 * 60 * 1000);

impl SystemClock {
    /// Real time.
    pub fn start() -> Arc<Self> {
        Self::start_at_speed(1)
    }

    /// `speed` seconds pass in each real one, from now on. 0 counts as 1.
    pub fn start_at_speed(speed: u32) -> Arc<Self> {
        let clock = Arc::new(Self {
            began: Instant::now(),
            began_wall: Timestamp::now(),
            speed: speed.max(1),
            shared: Arc::default(),
        });
        let weak = Arc::downgrade(&clock);
        let shared = Arc::clone(&clock.shared);
        std::thread::Builder::new()
            .name("alarms".into())
            .spawn(move || ring_forever(&weak, &shared))
            .expect("the machine can start a thread");
        clock
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed() * self.speed
    }
}

impl Drop for SystemClock {
    fn drop(&mut self) {
        self.shared.changed.notify_all();
    }
}

/// Rings what is due until the clock is gone.
fn ring_forever(clock: &Weak<SystemClock>, shared: &SystemShared) {
    loop {
        let Some((now, speed)) = clock.upgrade().map(|clock| (clock.now(), clock.speed)) else {
            return;
        };
        let mut alarms = lock(&shared.alarms);
        while let Some(ring) = alarms.take_due(now) {
            drop(alarms);
            ring();
            alarms = lock(&shared.alarms);
        }
        let rest = alarms.next_due().map_or(Duration::from_secs(1), |at| at.since(now) / speed);
        let nap = rest.clamp(Duration::from_micros(200), Duration::from_secs(1));
        let _unused = shared.changed.wait_timeout(alarms, nap);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Tick {
        BEFORE + self.elapsed()
    }

    fn wall(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::MAX);
        self.began_wall.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn alarm(&self, at: Tick, ring: Ring) -> Alarm {
        let mut alarms = lock(&self.shared.alarms);
        let earlier = alarms.next_due().is_none_or(|next| at < next);
        let key = alarms.set(at, ring);
        drop(alarms);
        if earlier {
            self.shared.changed.notify_all();
        }
        Alarm::new(Arc::clone(&self.shared) as Arc<dyn Alarms>, key)
    }
}

/// A clock that stands still until [`ManualClock::advance`] moves it. For tests and for the
/// emulator's manual time.
pub struct ManualClock {
    start: Timestamp,
    start_tick: Tick,
    state: Arc<Mutex<Hands>>,
}

struct Hands {
    now: Tick,
    alarms: Due,
}

fn hands(state: &Mutex<Hands>) -> MutexGuard<'_, Hands> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Alarms for Mutex<Hands> {
    fn cancel(&self, key: AlarmKey) {
        hands(self).alarms.due.remove(&key);
    }
}

impl ManualClock {
    /// Stands at tick 0, which is `start` on the calendar.
    pub fn starting_at(start: Timestamp) -> Arc<Self> {
        Self::starting(Tick(0), start)
    }

    /// Stands at that tick, which is `start` on the calendar; for whoever remembers times before it.
    pub fn starting(tick: Tick, start: Timestamp) -> Arc<Self> {
        let state = Hands { now: tick, alarms: Due::default() };
        Arc::new(Self { start, start_tick: tick, state: Arc::new(Mutex::new(state)) })
    }

    /// Stands at tick 0, at the present time on the calendar.
    pub fn starting_now() -> Arc<Self> {
        Self::starting_at(Timestamp::now())
    }

    /// Moves on by `time`, stopping at each alarm on the way to ring it. Alarms that are set while
    /// it moves ring too when they are due within `time`.
    pub fn advance(&self, time: Duration) {
        let until = self.now() + time;
        while self.ring_next(until) {}
        hands(&self.state).now = until;
    }

    /// Moves to the next alarm if there is one at or before `until`, and rings it.
    fn ring_next(&self, until: Tick) -> bool {
        let mut state = hands(&self.state);
        let Some(at) = state.alarms.next_due().filter(|at| *at <= until) else {
            return false;
        };
        state.now = state.now.max(at);
        let now = state.now;
        let ring = state.alarms.take_due(now);
        drop(state);
        if let Some(ring) = ring {
            ring();
        }
        true
    }

    /// When the next alarm is due.
    pub fn next_alarm(&self) -> Option<Tick> {
        hands(&self.state).alarms.next_due()
    }

    /// How many alarms are set. Tests use it to show that nothing is left behind.
    pub fn alarms_set(&self) -> usize {
        hands(&self.state).alarms.due.len()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Tick {
        hands(&self.state).now
    }

    fn wall(&self) -> Timestamp {
        let elapsed = self.now() - self.start_tick;
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.start.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn alarm(&self, at: Tick, ring: Ring) -> Alarm {
        let mut state = hands(&self.state);
        if at <= state.now {
            drop(state);
            ring();
            return Alarm::new(Arc::clone(&self.state) as Arc<dyn Alarms>, (at, 0));
        }
        let key = state.alarms.set(at, ring);
        drop(state);
        Alarm::new(Arc::clone(&self.state) as Arc<dyn Alarms>, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_held_clock_rings_alarms_in_order_and_at_their_own_time() {
        let clock = ManualClock::starting_now();
        let (heard, ears) = mpsc::channel();
        let keep: Vec<_> = [300, 100, 200]
            .into_iter()
            .map(|at| {
                let (heard, clock2) = (heard.clone(), Arc::clone(&clock));
                clock.alarm(Tick(at), Box::new(move || heard.send((at, clock2.now())).unwrap()))
            })
            .collect();
        clock.advance(Duration::from_millis(250));
        assert_eq!(ears.try_iter().collect::<Vec<_>>(), [(100, Tick(100)), (200, Tick(200))]);
        drop(keep);
        clock.advance(Duration::from_millis(250));
        assert!(ears.try_recv().is_err(), "a dropped alarm does not ring");
        assert_eq!(clock.alarms_set(), 0);
    }

    #[test]
    fn the_real_clock_rings_and_forgets() {
        let clock = SystemClock::start_at_speed(1000);
        let (heard, ears) = mpsc::channel();
        let _alarm = clock.alarm(
            clock.now() + Duration::from_secs(1),
            Box::new(move || {
                heard.send(()).unwrap();
            }),
        );
        ears.recv_timeout(Duration::from_secs(10)).expect("it rings");
        assert!(lock(&clock.shared.alarms).due.is_empty());
    }
}
