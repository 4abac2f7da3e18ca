//! When a fault strikes: candidates are counted and dice are thrown, for each rule on its own.
//!
//! The dice of a rule come from the faults' seed, the rule's place and the number of its candidate, so
//! that the same story under the same seed is struck in the same places, whatever the other rules do.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ids::Ids;
use super::trace::What;
use super::{Moment, World};
use crate::emulator::fault_config::{Fault, FaultPlace, FaultRule, Faults};
use crate::wire::events::EventKind;
use crate::wire::identifiers::CallConnectionId;

/// The rules, and how far each has come.
#[derive(Default)]
pub(super) struct FaultState {
    seed: u64,
    rules: Vec<Tally>,
}

struct Tally {
    rule: Arc<FaultRule>,
    candidates: u64,
    struck: u64,
}

/// What is wrong with a callback's token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenFlaw {
    /// Its signature is wrong.
    pub forged: bool,
    /// It ran out an hour ago.
    pub expired: bool,
    /// It is for somebody else.
    pub wrong_audience: bool,
    /// Its times are wrong by so many milliseconds.
    pub skew_ms: i64,
}

impl FaultState {
    pub fn new(faults: Faults) -> Self {
        let tally = |rule| Tally { rule: Arc::new(rule), candidates: 0, struck: 0 };
        Self { seed: faults.seed, rules: faults.rules.into_iter().map(tally).collect() }
    }

    /// The same rules, from the beginning.
    pub fn begin_again(&mut self) {
        for tally in &mut self.rules {
            (tally.candidates, tally.struck) = (0, 0);
        }
    }
}

impl Tally {
    /// Whether the next candidate is struck.
    fn throw(&mut self, seed: u64, index: usize) -> bool {
        let (spared, most) = self.rule.bounds();
        self.candidates += 1;
        if self.candidates <= spared || self.struck >= most {
            return false;
        }
        let index = u64::try_from(index).unwrap_or_default().wrapping_add(1);
        let own = seed.wrapping_mul(0xD6E8_FEB8_6659_FD93)
            ^ index.wrapping_mul(0xA076_1D64_78BD_642F)
            ^ self.candidates.wrapping_mul(0xE703_7ED1_A0B4_28DB);
        let struck = Ids::from_seed(own).fraction() < self.rule.chance();
        self.struck += u64::from(struck);
        struck
    }
}

impl World {
    /// Replaces all faults; counting begins again.
    pub fn set_faults(&mut self, now: Moment, faults: Faults) {
        self.pass_time(now);
        self.faults = FaultState::new(faults);
    }

    /// The faults, how often each rule has struck, and the names of all that there are.
    pub fn faults_seen(&self) -> Value {
        let seen = |tally: &Tally| {
            let mut seen = tally.rule.seen();
            seen["struck"] = tally.struck.into();
            seen
        };
        json!({
            "seed": self.faults.seed,
            "rules": self.faults.rules.iter().map(seen).collect::<Vec<_>>(),
            "known": Fault::ALL.map(Fault::word),
        })
    }

    /// Throws the dice of every rule for which something is a candidate, and gives those that strike.
    /// `about` names it in the trace.
    pub(super) fn strike(
        &mut self,
        on: FaultPlace,
        about: &Value,
        candidate: impl Fn(&FaultRule) -> bool,
    ) -> Vec<Arc<FaultRule>> {
        let seed = self.faults.seed;
        let mut struck = Vec::new();
        for (index, tally) in self.faults.rules.iter_mut().enumerate() {
            if tally.rule.on == on && candidate(&tally.rule) && tally.throw(seed, index) {
                struck.push((index, Arc::clone(&tally.rule)));
            }
        }
        let told = |(index, rule): (usize, Arc<FaultRule>)| {
            let mut entry = about.clone();
            entry["fault"] = rule.fault.word().into();
            entry["on"] = rule.on.word().into();
            entry["rule"] = index.into();
            self.trace(What::Fault, entry, None);
            rule
        };
        struck.into_iter().map(told).collect()
    }

    /// What is wrong with the token of an attempt to post a callback.
    pub(super) fn strike_token(
        &mut self,
        call: &CallConnectionId,
        kind: &EventKind,
        skew_ms: i64,
    ) -> TokenFlaw {
        let about = json!({ "type": kind, "callConnectionId": call });
        let struck = self.strike(FaultPlace::Callback, &about, |rule| {
            rule.fault.is_of_token()
                && rule.wants_kind(kind)
                && rule.wants_call(Some(call.as_str()))
        });
        let mut flaw = TokenFlaw { skew_ms, ..TokenFlaw::default() };
        for rule in struck {
            flaw.forged |= rule.fault == Fault::ForgedToken;
            flaw.expired |= rule.fault == Fault::ExpiredToken;
            flaw.wrong_audience |= rule.fault == Fault::WrongAudience;
        }
        flaw
    }
}
