//! What a decision was and why (rule I10), as API answers show it.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Action, Held, Key, Party};
use crate::wire::identifiers::RawId;

/// The whole tree: every key that was considered, every step, the winner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The table that was asked.
    pub table_version: u64,
    /// Who calls.
    pub caller: Party,
    /// Who rings.
    pub callee: Party,
    /// The instant that was asked about.
    pub at: Timestamp,
    /// How the ringing stood; absent when only a question was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<RingView>,
    /// The result.
    pub verdict: Verdict,
    /// The keys that could have been, the most specific first. Empty when the table was not asked.
    pub candidates: Vec<Candidate>,
    /// The assignment that applies.
    pub winner: Option<Key>,
    /// Its steps.
    pub steps: Vec<StepView>,
    /// What is done first.
    pub action: Option<Action>,
}

/// How old an event is and how long the telephone still rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingView {
    /// Milliseconds since the ringing began, when it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Milliseconds until the ringing ends; 0 when it is over.
    pub left_ms: u64,
}

/// What came of a ringing call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// There is a plan.
    Act,
    /// It rings no more (I4).
    Stale,
    /// It was decided before (I5).
    Repeated,
    /// No assignment is for this callee.
    NoAssignment,
    /// No step's conditions hold.
    NoStepFits,
    /// All steps that fit would lead round (I9).
    LoopPrevented,
}

/// One key that was considered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Which.
    #[serde(deserialize_with = "key_as_it_was")]
    pub key: Key,
    /// What became of it.
    pub fate: CandidateFate,
    /// The version of its assignment, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Whoever was rung is a candidate, even if nobody could write an assignment for such an id.
fn key_as_it_was<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Key::parse(&text).unwrap_or_else(|_| Key::Exact(Party::of_raw(&RawId::new(text)))))
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CandidateFate {
    /// Its assignment applies.
    Won,
    /// It has an assignment, and a more specific key has one too.
    LessSpecific,
    /// It has no assignment.
    NotAssigned,
}

/// One step of the winner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Its place, from 0.
    pub index: usize,
    /// What it would do.
    pub action: Action,
    /// What became of it.
    pub fate: StepFate,
    /// The condition that failed, or what else stood in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepFate {
    /// Is done first.
    Chosen,
    /// Is done when those before it fail.
    Fallback,
    /// A condition does not hold.
    ConditionFailed,
    /// Would lead round.
    HeldBack,
    /// Stands behind one that cannot fail.
    NotReached,
}

/// What stood in a step's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum Because {
    /// A condition.
    Condition(ConditionName),
    /// The loop guard.
    Held(Held),
}

/// The conditions that a step can have, and how they fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConditionName {
    /// The caller shows a number or id that is not listed.
    CallerNotListed,
    /// The caller hides the number.
    CallerIsAnonymous,
}
