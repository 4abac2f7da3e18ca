//! When Event Grid tries again: its table of statuses for web hooks, its schedule, its probation.

use std::time::Duration;

use super::Outcome;
use crate::emulator::config::GridBehaviour;

/// What is to be done after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    /// Given up; the word is the dead letter's `lastDeliveryOutcome`.
    Never(&'static str),
    /// Tried again after this.
    After(Duration, &'static str),
}

/// What an answer to the `attempts`th attempt means. Success is 200 to 204 and nothing else.
pub(super) fn verdict(outcome: &Outcome, attempts: u32, grid: &GridBehaviour) -> Verdict {
    let steps = &grid.retry_steps;
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let step = steps.get(step).or(steps.last()).copied().unwrap_or_default();
    let after = |least: Duration, word| Verdict::After(step.max(least), word);
    let perhaps = |least: Option<Duration>, word| match least {
        Some(least) => after(least, word),
        None => Verdict::Never(word),
    };
    let seconds = Duration::from_secs;
    let status = match outcome {
        Outcome::Answered { status, .. } => *status,
        Outcome::TimedOut => return after(seconds(10), "TimedOut"),
        Outcome::Unreachable => return after(seconds(10), "SocketError"),
    };
    match status {
        200..=204 => Verdict::Delivered,
        400 => Verdict::Never("BadRequest"),
        413 => Verdict::Never("PayloadTooLarge"),
        401 => perhaps(grid.unauthorized_pause, "Unauthorized"),
        403 => perhaps(grid.forbidden_pause, "Forbidden"),
        404 => after(grid.not_found_pause, "NotFound"),
        408 => after(seconds(120), "TimedOut"),
        503 => after(seconds(30), "Busy"),
        _ => after(seconds(10), "GenericError"),
    }
}

/// How long an endpoint is left alone after such an outcome.
pub(super) fn probation(word: &str) -> Option<Duration> {
    match word {
        "Busy" | "TimedOut" => Some(Duration::from_secs(10)),
        "SocketError" => Some(Duration::from_secs(30)),
        "NotFound" | "Unauthorized" | "Forbidden" => Some(Duration::from_secs(300)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(status: u16, attempts: u32, grid: &GridBehaviour) -> Verdict {
        let (headers, body) = (Default::default(), bytes::Bytes::new());
        let outcome = Outcome::Answered { status, headers, body, length: None };
        verdict(&outcome, attempts, grid)
    }

    #[track_caller]
    fn check(status: u16, attempts: u32, expected: Verdict) {
        assert_eq!(given(status, attempts, &GridBehaviour::default()), expected);
    }

    #[test]
    fn the_retry_table_is_event_grids() {
        let seconds = Duration::from_secs;
        for status in 200..=204 {
            check(status, 1, Verdict::Delivered);
        }
        check(400, 1, Verdict::Never("BadRequest"));
        check(413, 1, Verdict::Never("PayloadTooLarge"));
        check(401, 1, Verdict::Never("Unauthorized"));
        check(403, 1, Verdict::Never("Forbidden"));
        for status in [100, 205, 206, 302, 429, 500, 502] {
            check(status, 1, Verdict::After(seconds(10), "GenericError"));
        }
        check(205, 2, Verdict::After(seconds(30), "GenericError"));
        check(503, 1, Verdict::After(seconds(30), "Busy"));
        check(503, 3, Verdict::After(seconds(60), "Busy"));
        check(404, 1, Verdict::After(seconds(300), "NotFound"));
        check(408, 1, Verdict::After(seconds(120), "TimedOut"));
        check(500, 30, Verdict::After(seconds(12 * 3600), "GenericError"));
        let grid = GridBehaviour::default();
        for (outcome, word) in
            [(Outcome::TimedOut, "TimedOut"), (Outcome::Unreachable, "SocketError")]
        {
            assert_eq!(verdict(&outcome, 1, &grid), Verdict::After(seconds(10), word));
        }
    }

    #[test]
    fn what_the_documentation_says_in_two_ways_is_a_setting() {
        let seconds = Duration::from_secs;
        let grid = GridBehaviour {
            unauthorized_pause: Some(seconds(300)),
            forbidden_pause: Some(seconds(300)),
            not_found_pause: seconds(10),
            retry_steps: vec![seconds(20), seconds(3600)],
            ..GridBehaviour::default()
        };
        assert_eq!(given(401, 1, &grid), Verdict::After(seconds(300), "Unauthorized"));
        assert_eq!(given(403, 1, &grid), Verdict::After(seconds(300), "Forbidden"));
        assert_eq!(given(404, 1, &grid), Verdict::After(seconds(20), "NotFound"));
        assert_eq!(given(500, 9, &grid), Verdict::After(seconds(3600), "GenericError"));
    }
}
