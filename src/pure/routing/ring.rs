//! Rule I4: whether a telephone still rings, and for how long.

use std::time::Duration;

use jiff::Timestamp;

use super::Moment;
use crate::pure::time::Tick;

/// A caller hears ringing for so long; an answer after it reaches nobody.
pub const RING_TIME: Duration = Duration::from_secs(30);

/// What is left of the ringing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// It rings on.
    Fresh {
        /// When it ends.
        deadline: Tick,
        /// How long until then; never more than the ring time.
        left: Duration,
    },
    /// It has ended.
    Stale {
        /// How old the event is.
        age: Duration,
    },
}

impl Ring {
    /// Compares the event's own time with the calendar. A missing or unreadable time counts from when
    /// we received the event, and so does one in the future: another machine's fast clock cannot make a
    /// telephone ring for longer, not even over a restart.
    pub fn of(
        event_time: Option<&str>,
        received: Tick,
        moment: Moment,
        ring_time: Duration,
    ) -> Self {
        let stated = event_time.and_then(|text| text.trim().parse::<Timestamp>().ok());
        let stated = stated.and_then(|began| moment.wall.duration_since(began).try_into().ok());
        let age = moment.tick.since(received).max(stated.unwrap_or(Duration::ZERO));
        match ring_time.checked_sub(age).filter(|left| !left.is_zero()) {
            Some(left) => Self::Fresh { deadline: moment.tick + left, left },
            None => Self::Stale { age },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds after the machine's tick 0, at half past eight.
    fn moment() -> Moment {
        Moment { tick: Tick(10_000), wall: "2025-11-21T08:30:00Z".parse().unwrap() }
    }

    #[track_caller]
    fn left(time: Option<&str>, received: u64, wanted: Option<u64>) {
        let ring = Ring::of(time, Tick(received), moment(), RING_TIME);
        let seen = match ring {
            Ring::Fresh { deadline, left } => {
                assert_eq!(deadline, Tick(10_000) + left);
                Some(u64::try_from(left.as_millis()).unwrap())
            }
            Ring::Stale { .. } => None,
        };
        assert_eq!(seen, wanted, "{time:?}");
    }

    #[test]
    fn i4_an_event_is_stale_after_the_ring_time() {
        left(Some("2025-11-21T08:30:00Z"), 10_000, Some(30_000));
        left(Some("2025-11-21T08:29:58.5542219Z"), 10_000, Some(28_554));
        left(Some("2025-11-21T09:29:30.001+01:00"), 10_000, Some(1));
        left(Some("2025-11-21T08:29:30Z"), 10_000, None);
        left(Some("2025-11-20T08:29:30Z"), 10_000, None);
    }

    #[test]
    fn i4_an_event_without_a_readable_time_is_fresh_from_its_receipt() {
        for time in [None, Some(""), Some("yesterday"), Some("2025-13-41T08:29:30Z")] {
            left(time, 10_000, Some(30_000));
            left(time, 4_000, Some(24_000));
        }
    }

    #[test]
    fn i4_a_time_in_the_future_counts_from_the_receipt() {
        left(Some("2025-11-21T08:30:05Z"), 10_000, Some(30_000));
        left(Some("2025-11-21T08:30:05Z"), 3_000, Some(23_000));
        left(Some("9999-12-31T23:59:59Z"), 10_000, Some(30_000));
    }
}
