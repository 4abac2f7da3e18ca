//! When to stop asking somebody who does not answer, and when to try again.
//!
//! Owns the counting; the time is an argument. Only silence counts: an error is an answer.

use std::time::Duration;

use super::time::Tick;

/// How patient a breaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// So many requests in a row that get no answer open it.
    pub failures: u32,
    /// How long it stays open before one request may try.
    pub pause: Duration,
}

/// Stands before somebody who may be down.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    rules: BreakerRules,
    in_a_row: u32,
    open_until: Option<Tick>,
}

impl Breaker {
    /// Nothing has failed yet.
    pub fn new(rules: BreakerRules) -> Self {
        Self { rules, in_a_row: 0, open_until: None }
    }

    /// Whether a request may go now. After the pause one may, and the others wait for what becomes of it.
    ///
    /// # Errors
    /// How long to wait.
    pub fn admit(&mut self, now: Tick) -> Result<(), Duration> {
        match self.open_until {
            Some(until) if now < until => Err(until.since(now)),
            Some(_) => {
                self.open_until = Some(now + self.rules.pause);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// An answer came.
    pub fn answered(&mut self) {
        (self.in_a_row, self.open_until) = (0, None);
    }

    /// None came.
    pub fn silent(&mut self, now: Tick) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row >= self.rules.failures.max(1) {
            self.open_until = Some(now + self.rules.pause);
        }
    }

    /// Whether requests are turned away.
    pub fn is_open(&self) -> bool {
        self.open_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules { failures: 3, pause: Duration::from_secs(2) };

    #[test]
    fn silence_opens_it_and_one_answer_closes_it() {
        let mut breaker = Breaker::new(RULES);
        for _ in 0..2 {
            breaker.silent(Tick(0));
        }
        assert_eq!(breaker.admit(Tick(0)), Ok(()), "not yet");
        breaker.silent(Tick(0));
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(Tick(500)), Err(Duration::from_millis(1_500)));
        assert_eq!(breaker.admit(Tick(2_000)), Ok(()), "one may try");
        assert_eq!(breaker.admit(Tick(2_001)), Err(Duration::from_millis(1_999)), "and no other");
        breaker.silent(Tick(2_100));
        assert_eq!(breaker.admit(Tick(2_200)), Err(Duration::from_millis(1_900)));
        assert_eq!(breaker.admit(Tick(4_100)), Ok(()));
        breaker.answered();
        assert_eq!(breaker.admit(Tick(4_101)), Ok(()));
        breaker.silent(Tick(4_102));
        assert!(!breaker.is_open(), "it counts anew");
    }
}
