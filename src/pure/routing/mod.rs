//! Number assignments and the decision for an incoming call.
//!
//! Owns what an assignment is ([`Draft`], [`Assignment`], [`Key`]), the table of them ([`Table`]), what
//! is remembered between calls ([`Memory`], [`Guard`], [`Records`]) and over a restart ([`Replay`]), and
//! the one function that decides and explains ([`decide`], [`explain`]). Never sends anything: a decision is a plan that somebody else carries out.

mod assignment;
mod changes;
mod cycles;
mod decide;
mod explanation;
mod guard;
mod joining;
mod key;
mod memory;
mod party;
mod reading;
mod record;
mod replay;
mod ring;
mod table;

pub use assignment::{
    Action, AnswerOptions, Assignment, AssignmentError, Callers, Conditions, Draft, MAX_CALLERS,
    MAX_NOTE, MAX_STEPS, Numbered, RejectReason, Step,
};
pub use changes::{Change, Changed, KeyChange};
pub use decide::{
    Decision, Incoming, Moment, Outcome, Planned, Remembered, decide, decide_remembered, explain,
};
pub use explanation::{
    Because, Candidate, CandidateFate, ConditionName, Explanation, RingView, StepFate, StepView,
    Verdict,
};
pub use guard::{Guard, GuardLimits, Held, Leg};
pub use joining::{CallIds, ids_of_recording};
pub use key::{Key, KeyError};
pub use memory::{Memory, MemoryLimits, Recent};
pub use party::{Digits, Party};
pub use record::{Attempt, AttemptResult, DecisionRecord, Fate, Notice, Records};
pub use replay::{Recovered, Replay, ReplayLimits, Unsettled};
pub use ring::{RING_TIME, Ring};
pub use table::{Table, WriteError};
