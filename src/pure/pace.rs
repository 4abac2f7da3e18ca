//! How fast to ask: so many questions a second, evenly spread, and pauses that grow while the other
//! side does not answer.

use std::time::Duration;

use crate::pure::time::Tick;

/// The first pause after a failure; each one that follows at once is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When the next question may be asked.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Microseconds between two questions; rounded up, so that never more than the given number fall
    /// within a second.
    apart: u64,
    /// Not before, in microseconds.
    next: u64,
    /// Failures in a row, counted once for all questions that were under way together.
    failures: u32,
    /// When the present pause began, and when it ends.
    paused: Option<(Tick, Tick)>,
}

impl Pace {
    /// So many questions a second; at least one.
    pub fn new(per_second: u32) -> Self {
        let apart = 1_000_000_u64.div_ceil(u64::from(per_second.max(1)));
        Self { apart, next: 0, failures: 0, paused: None }
    }

    /// When the next question may be asked; may be in the past.
    pub fn ready(&self) -> Tick {
        let pause = self.paused.map_or(Tick(0), |(_, until)| until);
        Tick(self.next / 1000).max(pause)
    }

    /// A question is asked. What was not used before is not made up for.
    pub fn ask(&mut self, now: Tick) {
        self.next = self.next.max(now.0.saturating_mul(1000)).saturating_add(self.apart);
    }

    /// A question got an answer, whatever it was.
    pub fn answered(&mut self) {
        self.failures = 0;
    }

    /// A question that was asked at `asked` got none. Says for how long nothing is asked now; `None`
    /// when a pause was made since, for the same reason.
    pub fn failed(&mut self, asked: Tick, now: Tick) -> Option<Duration> {
        if self.paused.is_some_and(|(began, _)| asked <= began) {
            return None;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.paused = Some((now, now + pause));
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ticks at which somebody asks who looks at every one of them.
    fn asked(pace: &mut Pace, from: u64, until: u64) -> Vec<u64> {
        let mut asked = Vec::new();
        for now in (from..until).map(Tick) {
            while pace.ready() <= now {
                pace.ask(now);
                asked.push(now.0);
            }
        }
        asked
    }

    #[test]
    fn questions_are_spread_evenly_and_never_more_than_so_many_within_a_second() {
        for per_second in [1, 3, 7, 20, 999, 1_000, 3_000, 10_000] {
            let mut pace = Pace::new(per_second);
            let asked = asked(&mut pace, 5_000, 9_000);
            for from in 5_000..8_000 {
                let within = asked.iter().filter(|at| (from..from + 1_000).contains(*at)).count();
                assert!(within <= per_second as usize, "{within} of {per_second} from {from}");
            }
            let all = asked.len() as u64;
            let due = 4 * u64::from(per_second);
            assert!((due - due / 50 - 1..=due).contains(&all), "{all} of {due}");
        }
        assert_eq!(asked(&mut Pace::new(4), 1_000, 2_001), [1_000, 1_250, 1_500, 1_750, 2_000]);
    }

    #[test]
    fn a_quiet_time_is_not_made_up_for() {
        let mut pace = Pace::new(2);
        asked(&mut pace, 0, 500);
        assert_eq!(asked(&mut pace, 9_000, 10_000), [9_000, 9_500]);
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_an_answer_ends_the_doubling() {
        let mut pace = Pace::new(1_000);
        let pause = |pace: &mut Pace| {
            let now = pace.ready();
            pace.ask(now);
            let pause = pace.failed(now, now + Duration::from_millis(1)).expect("a pause");
            assert_eq!(pace.ready(), now + Duration::from_millis(1) + pause);
            pause.as_secs()
        };
        let pauses: Vec<_> = (0..9).map(|_| pause(&mut pace)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        pace.answered();
        assert_eq!(pause(&mut pace), 1);
    }

    #[test]
    fn those_that_failed_together_make_one_pause() {
        let mut pace = Pace::new(1_000);
        for now in 0..8 {
            pace.ask(Tick(now));
        }
        assert_eq!(pace.failed(Tick(0), Tick(100)), Some(Duration::from_secs(1)));
        for asked in 1..8 {
            assert_eq!(pace.failed(Tick(asked), Tick(105)), None);
        }
        assert_eq!(pace.ready(), Tick(1_100));
        assert_eq!(pace.failed(Tick(1_100), Tick(1_200)), Some(Duration::from_secs(2)));
    }
}
