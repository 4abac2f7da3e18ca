//! What the verifier tells the operators: one function per happening, so that counter and log line
//! never disagree.

use std::time::Duration;

use metrics::{counter, gauge};

use super::calls::Refusal;
use super::verifier::Round;
use crate::ports::{Tick, UpstreamError};
use crate::wire::identifiers::CallConnectionId;

/// Failures come in crowds: of those within this time only the first is logged, and the others are
/// counted with the next.
const SELDOM: Duration = Duration::from_secs(60);

/// So many more restored calls are to be asked about.
pub(super) fn unverified(more: usize) {
    gauge!("switchhook_recovery_unverified_calls").increment(more as f64);
}

/// One of them has been.
pub(super) fn verified() {
    gauge!("switchhook_recovery_unverified_calls").decrement(1);
}

/// Azure knows a call.
pub(super) fn alive() {
    counter!("switchhook_verifications_total", "outcome" => "alive").increment(1);
}

/// Azure knows a call no more; it has been closed.
pub(super) fn ended(call: &CallConnectionId) {
    counter!("switchhook_verifications_total", "outcome" => "ended").increment(1);
    tracing::info!(%call, "the call service knows this call no more; it is closed as reconciled");
}

/// The asking about restored calls begins.
pub(super) fn round_begins(calls: usize) {
    tracing::info!(calls, "asking the call service about the restored calls");
}

/// … goes on.
pub(super) fn round_goes_on(calls: usize, left: usize, so_far: &Round) {
    let (alive, ended) = (so_far.alive, so_far.ended);
    tracing::info!(calls, left, alive, ended, "asking the call service about the restored calls");
}

/// … has come to its end.
pub(super) fn round_ends(calls: usize, result: &Round) {
    let (alive, ended) = (result.alive, result.ended);
    tracing::info!(calls, alive, ended, "all restored calls have been asked about");
}

/// Says once in a while that questions stay open.
#[derive(Default)]
pub(super) struct Seldom {
    /// When it was last said.
    said: Option<Tick>,
    /// How many failures were not said since.
    unsaid: u64,
}

impl Seldom {
    /// Azure did not answer.
    pub fn unanswered(&mut self, now: Tick, error: &UpstreamError, pause: Option<Duration>) {
        if let Some(failures) = self.failed(now) {
            let pause_ms = pause.map(|pause| pause.as_millis());
            tracing::warn!(%error, failures, pause_ms, "no answer whether calls still live; asking again later");
        }
    }

    /// Azure refused to say it.
    pub fn refused(&mut self, now: Tick, error: &UpstreamError) {
        if let Some(failures) = self.failed(now) {
            tracing::warn!(%error, failures, "refused to say whether a call still lives; asking again later");
        }
    }

    /// The answer did not reach its call.
    pub fn not_told(&mut self, now: Tick, error: &Refusal) {
        if let Some(failures) = self.failed(now) {
            tracing::warn!(%error, failures, "a call could not be verified now; asking again later");
        }
    }

    /// Counts it; how many there were since it was last said, when it is to be said again.
    fn failed(&mut self, now: Tick) -> Option<u64> {
        counter!("switchhook_verifications_total", "outcome" => "failed").increment(1);
        self.unsaid += 1;
        if self.said.is_some_and(|said| now - said < SELDOM) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}
