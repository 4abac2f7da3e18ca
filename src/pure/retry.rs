//! Whether a request to Azure is sent again, and after how long.
//!
//! Owns the arithmetic and nothing else: what became of an attempt goes in, a verdict comes out, and
//! the shell does the waiting. The time and the dice are arguments. The one rule that matters most:
//! a request whose repetition could do the thing twice (a prompt played again, keys asked for twice)
//! is repeated only when it is certain that the last attempt did nothing.

use std::time::Duration;

use crate::pure::time::Tick;
use crate::wire::calling::{Method, Operation};

/// What sending a request a second time may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Nothing new: it only reads, its effect is the same, or Azure knows it by its repeatability id.
    Harmless,
    /// The thing a second time.
    Harmful,
}

impl Again {
    /// What repeating an operation may do. `DELETE` says where things shall end, not what to do next.
    pub fn of(operation: Operation) -> Self {
        let harmless = operation.repeatable()
            || match operation.method() {
                Method::Get | Method::Delete => true,
                Method::Post => false,
            };
        if harmless { Self::Harmless } else { Self::Harmful }
    }
}

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer that means success.
    Succeeded,
    /// Any other answer.
    Answered {
        /// HTTP status.
        status: u16,
        /// How long Azure asked us to wait.
        retry_after: Option<Duration>,
    },
    /// No connection came about, so nothing was sent.
    NotSent,
    /// It was sent, perhaps in part, and no answer came.
    NoAnswer,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It worked.
    Done,
    /// It did not, and will not.
    GiveUp,
    /// Send it again.
    Retry {
        /// From now.
        after: Duration,
    },
}

/// How often and how patiently requests are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Attempts of one request, the first one included.
    pub attempts: u32,
    /// The pause before the second attempt, doubled for each one that follows.
    pub first_pause: Duration,
    /// No pause of our own choosing is longer.
    pub longest_pause: Duration,
    /// When Azure asks for a longer pause than this, its answer is final.
    pub longest_retry_after: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_millis(400),
            longest_pause: Duration::from_secs(8),
            longest_retry_after: Duration::from_secs(60),
        }
    }
}

/// One attempt, looked back upon.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How many have been made, this one included.
    pub made: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// What another one may do.
    pub again: Again,
}

impl Rules {
    /// What to do after an attempt that ended at `now`. No attempt is begun after `deadline`.
    /// `dice` is anything from 0 to 1 and spreads our own pauses over their upper half, so that
    /// clients which failed together do not come back together.
    pub fn verdict(&self, attempt: Attempt, now: Tick, deadline: Tick, dice: f64) -> Verdict {
        let asked = match (attempt.outcome, attempt.again) {
            (Outcome::Succeeded, _) => return Verdict::Done,
            (Outcome::NotSent, _) | (Outcome::NoAnswer, Again::Harmless) => None,
            (Outcome::NoAnswer, Again::Harmful) => return Verdict::GiveUp,
            (Outcome::Answered { status, retry_after }, again) => {
                if !may_follow(status, retry_after.is_some(), again) {
                    return Verdict::GiveUp;
                }
                retry_after
            }
        };
        let own = self.pause(attempt.made, dice);
        let after = asked.map_or(own, |asked| asked.max(own));
        let patient = asked.is_none_or(|asked| asked <= self.longest_retry_after);
        if attempt.made >= self.attempts || !patient || now + after > deadline {
            return Verdict::GiveUp;
        }
        Verdict::Retry { after }
    }

    /// The pause of our own choosing after so many attempts.
    fn pause(&self, made: u32, dice: f64) -> Duration {
        let doublings = made.saturating_sub(1).min(16);
        let whole = self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause);
        let dice = if dice.is_finite() { dice.clamp(0.0, 1.0) } else { 1.0 };
        whole / 2 + (whole / 2).mul_f64(dice)
    }
}

/// Whether an answer with this status invites another attempt.
fn may_follow(status: u16, names_a_time: bool, again: Again) -> bool {
    match (status, again) {
        // Turned away at the door: nothing was done, whatever the operation is.
        (429, _) => true,
        // "Come back later" is a refusal too. Without a time it may be a fault half-way through.
        (503, Again::Harmful) => names_a_time,
        (408 | 500 | 502 | 503 | 504, Again::Harmless) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Tick = Tick(u64::MAX);

    fn rules() -> Rules {
        Rules { first_pause: Duration::from_millis(200), ..Rules::default() }
    }

    fn after(outcome: Outcome, again: Again) -> Verdict {
        rules().verdict(Attempt { made: 1, outcome, again }, Tick(0), NEVER, 1.0)
    }

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None }
    }

    fn asked(status: u16, seconds: u64) -> Outcome {
        Outcome::Answered { status, retry_after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn the_table_of_what_is_repeated() {
        use Again::{Harmful, Harmless};
        #[rustfmt::skip] // a table keeps its columns
        let table = [
            // outcome                harmless  harmful: play, recognise and their like
            (Outcome::NotSent,        true,     true),
            (Outcome::NoAnswer,       true,     false),
            (answered(300),           false,    false),
            (answered(400),           false,    false),
            (answered(401),           false,    false),
            (answered(404),           false,    false),
            (answered(408),           true,     false),
            (answered(409),           false,    false),
            (answered(429),           true,     true),
            (asked(429, 1),           true,     true),
            (asked(400, 1),           false,    false), // final, whatever the header says
            (asked(404, 1),           false,    false),
            (answered(500),           true,     false),
            (asked(500, 1),           true,     false),
            (answered(501),           false,    false),
            (answered(502),           true,     false),
            (answered(503),           true,     false),
            (asked(503, 1),           true,     true),
            (answered(504),           true,     false),
            (asked(504, 1),           true,     false),
        ];
        for (outcome, harmless, harmful) in table {
            let repeats = |again| matches!(after(outcome, again), Verdict::Retry { .. });
            assert_eq!((repeats(Harmless), repeats(Harmful)), (harmless, harmful), "{outcome:?}");
        }
        assert_eq!(after(Outcome::Succeeded, Harmful), Verdict::Done);
    }

    #[test]
    fn media_operations_are_the_harmful_ones() {
        let harmful: Vec<_> = Operation::ALL
            .iter()
            .filter(|op| Again::of(**op) == Again::Harmful)
            .map(|op| op.label())
            .collect();
        assert_eq!(
            harmful,
            [
                "play",
                "start_transcription",
                "stop_transcription",
                "update_transcription",
                "cancel_all_media",
                "recognize",
                "start_continuous_dtmf",
                "stop_continuous_dtmf",
                "hold",
                "unhold",
                "start_media_streaming",
                "stop_media_streaming",
                "pause_recording",
                "resume_recording",
            ]
        );
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_the_dice_spread_their_upper_half() {
        let pause = |made, dice| rules().pause(made, dice).as_millis();
        assert_eq!([1, 2, 3, 4].map(|made| pause(made, 1.0)), [200, 400, 800, 1600]);
        assert_eq!(pause(1, 0.0), 100);
        assert_eq!(pause(1, 0.5), 150);
        assert_eq!(pause(60, 1.0), 8_000);
        assert_eq!(pause(1, f64::NAN), 200);
        assert_eq!(pause(1, -7.0), 100);
    }

    #[test]
    fn a_time_that_azure_names_is_kept_but_never_shortens_our_own_pause() {
        let retry = |seconds| Verdict::Retry { after: Duration::from_secs(seconds) };
        assert_eq!(after(asked(429, 7), Again::Harmful), retry(7));
        let own = Verdict::Retry { after: Duration::from_millis(200) };
        assert_eq!(after(asked(429, 0), Again::Harmless), own);
        assert_eq!(after(asked(429, 60), Again::Harmless), retry(60));
        assert_eq!(after(asked(429, 61), Again::Harmless), Verdict::GiveUp);
    }

    #[test]
    fn attempts_are_counted_and_none_begins_after_the_deadline() {
        let verdict = |made, deadline| {
            let attempt = Attempt { made, outcome: Outcome::NoAnswer, again: Again::Harmless };
            rules().verdict(attempt, Tick(1_000), Tick(deadline), 1.0)
        };
        assert!(matches!(verdict(3, u64::MAX), Verdict::Retry { .. }));
        assert_eq!(verdict(4, u64::MAX), Verdict::GiveUp);
        assert_eq!(verdict(1, 1_199), Verdict::GiveUp);
        assert_eq!(verdict(1, 1_200), Verdict::Retry { after: Duration::from_millis(200) });
    }
}
