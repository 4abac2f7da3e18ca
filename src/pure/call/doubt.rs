//! Whether a call still lives, and when Azure is to be asked about it (rule C11).
//!
//! Owns the doubt about one call: what counts as a sign of life, and when the next question is due.

use super::Call;
use super::limits::Limits;
use crate::pure::time::Tick;

impl Call {
    /// This call was restored: it is unverified until Azure has been asked about it, which the caller
    /// sees to now. Does nothing to a call that is over.
    pub fn doubt(&mut self, now: Tick) {
        if self.over.is_none() {
            self.unverified = true;
            self.vouched = now;
        }
    }

    /// Whether it was restored, and Azure has not said yet that it lives.
    pub fn is_unverified(&self) -> bool {
        self.unverified
    }

    /// When Azure is to be asked whether the call still lives (rule C11): when it has been silent for
    /// long, and in any case when it has become old. `None` when never.
    pub(super) fn question_due(&self, limits: &Limits) -> Option<Tick> {
        let by_silence = self.vouched + limits.verify_silent;
        let by_age = self.opened + limits.verify_max_age;
        let due = if self.vouched < by_age { by_silence.min(by_age) } else { by_silence };
        (self.over.is_none() && due < Tick(u64::MAX)).then_some(due)
    }

    /// Somebody said something of the call. Of one that is old nothing but Azure's own answer counts
    /// as a sign of life.
    pub(super) fn stir(&mut self, now: Tick, limits: &Limits) {
        self.stirred = now;
        if now < self.opened + limits.verify_max_age {
            self.vouched = now;
        }
    }
}
