//! Time and order as arguments: a monotonic count of milliseconds, a place in the journal.

use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Monotonic milliseconds since some fixed moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// Milliseconds from `earlier` to here; 0 when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Self;
    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Tick {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic.
    pub tick: Tick,
    /// The calendar.
    pub wall: Timestamp,
}

impl Moment {
    /// The tick of another moment of the calendar, in milliseconds since 1970 (UTC); the first tick
    /// when that was before it.
    pub fn tick_of(self, wall_ms: i64) -> Tick {
        let ahead = wall_ms.saturating_sub(self.wall.as_millisecond());
        Tick(self.tick.0.saturating_add_signed(ahead))
    }

    /// What the calendar says at a tick, in milliseconds since 1970 (UTC).
    pub fn wall_ms_of(self, tick: Tick) -> i64 {
        let past = i64::try_from(self.tick.0.saturating_sub(tick.0)).unwrap_or(i64::MAX);
        let ahead = i64::try_from(tick.0.saturating_sub(self.tick.0)).unwrap_or(i64::MAX);
        self.wall.as_millisecond().saturating_sub(past).saturating_add(ahead)
    }
}

/// Place of a record in the journal: 1, 2, 3, … in the order of delivery, across all calls.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);
