//! What a number assignment says: an ordered plan of steps, each with conditions and one action.

use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{Digits, Key, KeyError, Party, reading};
use crate::wire::identifiers::{OperationContext, RawId, RedactedText};

/// At most so many steps in one assignment.
pub const MAX_STEPS: usize = 16;
/// At most so many callers, exact and prefixes together, in one step's condition.
pub const MAX_CALLERS: usize = 100;
/// At most so many characters in a note.
pub const MAX_NOTE: usize = 500;

/// An assignment as somebody writes it, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Which key it is for; left out where the address already says so.
    pub key: Option<Key>,
    /// Tried in order.
    pub steps: Arc<[Step]>,
    /// The version as it was read. The table gives a new one at each write.
    pub version: Option<u64>,
    /// For people.
    pub note: Option<RedactedText>,
}

/// An assignment as the table keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Tried in order; never empty.
    pub steps: Arc<[Step]>,
    /// The table's version at which it was written; 1 or more.
    pub version: u64,
    /// For people.
    pub note: Option<RedactedText>,
}

/// An assignment with its key, as API answers show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// What it is for.
    pub key: Key,
    /// What it says.
    pub assignment: Arc<Assignment>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Step {
    /// When it applies; always, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Box<Conditions>>,
    /// What is done.
    pub action: Action,
}

/// All conditions of a step must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Conditions {
    /// Who calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Callers>,
}

/// Callers for whom a step is meant: any one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Callers {
    /// These numbers and raw ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exact: Vec<Party>,
    /// Numbers that begin so.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_texts")]
    pub prefix: Vec<Digits>,
    /// Callers who hide their number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
}

fn as_texts<S: Serializer>(prefixes: &[Digits], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(prefixes.iter().map(|digits| digits.text()))
}

impl Callers {
    /// Whether that caller is one of them.
    pub fn include(&self, caller: &Party) -> bool {
        let begins = |caller: &Party| match caller {
            Party::Number(number) => self.prefix.iter().any(|prefix| number.begins_with(*prefix)),
            Party::Raw(_) => false,
        };
        (self.anonymous && caller.is_anonymous()) || self.exact.contains(caller) || begins(caller)
    }

    /// Whether no caller could ever be one of them.
    pub fn is_nobody(&self) -> bool {
        self.exact.is_empty() && self.prefix.is_empty() && !self.anonymous
    }
}

/// What a step does (rule I8).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Action {
    /// Somebody else is rung instead.
    Redirect {
        /// Who.
        target: Party,
    },
    /// The application takes the call.
    Answer(Box<AnswerOptions>),
    /// The caller is turned away.
    Reject {
        /// How.
        reason: RejectReason,
    },
    /// Nothing is done; somebody else may take the call, or it rings out.
    Ignore,
}

impl Action {
    /// A closed set, for metric labels and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Redirect { .. } => "redirect",
            Self::Answer(_) => "answer",
            Self::Reject { .. } => "reject",
            Self::Ignore => "ignore",
        }
    }
}

/// How a call is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerOptions {
    /// Speech services for prompts and recognition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cognitive_services_endpoint: Option<Box<str>>,
    /// Identity that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<RawId>,
    /// Echoed on the events of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_context: Option<OperationContext>,
}

/// What the caller is told by a rejection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RejectReason {
    /// Nothing in particular.
    #[default]
    None,
    /// The line is busy.
    Busy,
    /// Calling is not allowed.
    Forbidden,
}

impl RejectReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Busy, Self::Forbidden];

    /// Azure's word for it.
    pub fn wire(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Busy => "busy",
            Self::Forbidden => "forbidden",
        }
    }
}

/// Why an assignment was refused. Places are told, contents never.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// Something else stands where a certain thing belongs.
    #[error("{} must be {wants}", place(.at))]
    Wrong {
        /// Where, such as `steps[2].action.target`.
        at: String,
        /// What belongs there.
        wants: &'static str,
    },
    /// A member that does not exist.
    #[error("{} has an unknown member; it may have {}", place(.at), .known.join(", "))]
    UnknownMember {
        /// Where.
        at: String,
        /// The members that exist there.
        known: &'static [&'static str],
    },
    /// `key` is no key.
    #[error("{at}: {problem}")]
    Key {
        /// Where.
        at: String,
        /// What is wrong with it.
        problem: KeyError,
    },
    /// `steps` is missing or empty.
    #[error("an assignment needs at least one step; use ignore to do nothing")]
    NoSteps,
    /// More steps than [`MAX_STEPS`].
    #[error("{found} steps are more than {MAX_STEPS}")]
    TooManySteps {
        /// How many there are.
        found: usize,
    },
    /// More callers than [`MAX_CALLERS`].
    #[error("{at} names {found} callers, more than {MAX_CALLERS}; use prefixes")]
    TooManyCallers {
        /// Where.
        at: String,
        /// How many there are.
        found: usize,
    },
    /// A condition that no caller fulfils.
    #[error("{at} names nobody; fill exact or prefix, set anonymous, or leave the condition out")]
    Nobody {
        /// Where.
        at: String,
    },
}

fn place(at: &str) -> &str {
    if at.is_empty() { "an assignment" } else { at }
}

impl AssignmentError {
    /// The stable code, for API answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Wrong { .. } => "wrong_member",
            Self::UnknownMember { .. } => "unknown_member",
            Self::Key { problem, .. } => problem.code(),
            Self::NoSteps => "no_steps",
            Self::TooManySteps { .. } => "too_many_steps",
            Self::TooManyCallers { .. } => "too_many_callers",
            Self::Nobody { .. } => "nobody",
        }
    }
}

impl Draft {
    /// Reads `{"key"?, "steps", "version"?, "note"?}`; unknown members are refused.
    ///
    /// # Errors
    /// [`AssignmentError`] tells the place of the first fault and what belongs there.
    pub fn parse(json: &Value) -> Result<Self, AssignmentError> {
        reading::draft(json)
    }

    /// The assignment that was once written so, for loading a table. `None` when it lacks its key or
    /// its version.
    pub fn into_stored(self) -> Option<(Key, Assignment)> {
        let Self { key, steps, version, note } = self;
        Some((key?, Assignment { steps, version: version?, note }))
    }
}

impl Step {
    /// Reads a plan that was written as JSON, an array of steps. Quick with the plans that large tables
    /// are full of, one redirect without conditions, as they are written here.
    ///
    /// # Errors
    /// [`AssignmentError`], as for drafts.
    pub fn parse_plan(text: &str) -> Result<Arc<[Self]>, AssignmentError> {
        if let Some(plan) = reading::plain_redirect(text) {
            return Ok(plan);
        }
        let wrong =
            || AssignmentError::Wrong { at: "steps".to_owned(), wants: "an array of steps" };
        let json: Value = serde_json::from_str(text).map_err(|_| wrong())?;
        reading::all_steps(json.as_array().ok_or_else(wrong)?)
    }
}

impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        Self::parse(&json).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Numbered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = 3 + usize::from(self.assignment.note.is_some());
        let mut object = serializer.serialize_struct("Assignment", members)?;
        object.serialize_field("key", &self.key)?;
        object.serialize_field("steps", &self.assignment.steps)?;
        object.serialize_field("version", &self.assignment.version)?;
        match &self.assignment.note {
            Some(note) => object.serialize_field("note", note)?,
            None => object.skip_field("note")?,
        }
        object.end()
    }
}

#[cfg(test)]
#[path = "assignment_tests.rs"]
mod tests;
