//! Event Grid's own filter language, with the vendor's JSON (rule I6).
//!
//! Owns reading a filter, saying what is wrong with one, and asking whether an event passes. One
//! language for deliveries, waits and subscriptions. May use `serde_json`; knows nothing of calls.
//!
//! Where the vendor is silent, this module chose: a value of another type than the operator's counts
//! as missing ("ignored"), so does null, and so does an array unless arrays are enabled; the key of
//! `NumberInRange` and `NumberNotInRange` must be there; exact key spelling goes before other cases.

mod matching;
mod operator;
mod reading;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use operator::Operator;

/// At most so many advanced filters in one filter.
pub const MAX_FILTERS: usize = 25;
/// At most so many values in all advanced filters together; a range counts as one.
pub const MAX_VALUES: usize = 25;
/// At most so many characters in one text.
pub const MAX_TEXT: usize = 512;

/// What an event must be like to pass: all of its parts must hold.
#[derive(Clone, PartialEq)]
pub struct Filter {
    /// Folded; empty for any type.
    types: Vec<String>,
    subject: Subject,
    advanced: Vec<Advanced>,
    /// `enableAdvancedFilteringOnArrays`.
    on_arrays: bool,
    /// The JSON from which it was read.
    said: Value,
}

/// How the subject must begin and end; empty texts fit everything.
#[derive(Clone, Default, PartialEq)]
struct Subject {
    begins: String,
    ends: String,
    case_sensitive: bool,
}

/// Which part of a filter an event does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// The type.
    #[error("its type is not among includedEventTypes")]
    Type,
    /// The subject.
    #[error("its subject does not fit subjectBeginsWith and subjectEndsWith")]
    Subject,
    /// An advanced filter.
    #[error("advancedFilters[{index}] ({operator}) does not hold")]
    Advanced {
        /// Which filter, counted from 0.
        index: usize,
        /// Its operator.
        operator: Operator,
    },
}

/// What the vendor does not say; the default is the safe reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsaid {
    /// Whether an event without the key passes `NumberNotInRange`.
    pub not_in_range_without_key: bool,
}

/// One `{operatorType, key, value|values}`.
#[derive(Clone, PartialEq)]
struct Advanced {
    operator: Operator,
    /// The key, split at its dots.
    path: Vec<String>,
    operand: Operand,
}

/// What an operator compares with. Texts are folded, so that comparing ignores case.
#[derive(Clone, PartialEq)]
enum Operand {
    Nothing,
    Bool(bool),
    Number(f64),
    Numbers(Vec<f64>),
    Ranges(Vec<(f64, f64)>),
    Texts(Vec<String>),
}

/// Why a filter was refused. Filters are counted from 0; nothing the caller wrote is repeated, since
/// filters name telephone numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Neither an array nor an object.
    #[error(
        "a filter is an array of {{operatorType, key, value or values}}, or an object with \
         advancedFilters"
    )]
    NotAFilter,
    /// An element of the array is no object.
    #[error("filter {index} must be an object with operatorType, key, and value or values")]
    NotAnObject {
        /// Which filter.
        index: usize,
    },
    /// A member that the vendor's JSON does not have.
    #[error("filter {index} has an unknown member; it may have operatorType, key, value, values")]
    UnknownMember {
        /// Which filter.
        index: usize,
    },
    /// A member of the whole filter that the vendor's JSON does not have, or of the wrong type.
    #[error("{member} must be {wants}")]
    WrongMember {
        /// Which member.
        member: &'static str,
        /// What belongs there.
        wants: &'static str,
    },
    /// `operatorType` is missing or none of the operators.
    #[error("filter {index} has no known operatorType; use one of {}", Operator::names())]
    UnknownOperator {
        /// Which filter.
        index: usize,
    },
    /// `key` is missing, empty, or has an empty part between dots.
    #[error("filter {index} needs a key such as data.to.rawId, its parts joined by single dots")]
    WrongKey {
        /// Which filter.
        index: usize,
    },
    /// The operand does not suit the operator.
    #[error("filter {index}: {operator} takes {wants}")]
    WrongOperand {
        /// Which filter.
        index: usize,
        /// The operator.
        operator: Operator,
        /// What it takes.
        wants: &'static str,
    },
    /// More filters than the vendor allows.
    #[error("{found} filters are more than {MAX_FILTERS}; merge those with the same key")]
    TooManyFilters {
        /// How many there are.
        found: usize,
    },
    /// More values than the vendor allows.
    #[error("{found} values are more than {MAX_VALUES} in all filters together; use fewer")]
    TooManyValues {
        /// How many there are.
        found: usize,
    },
    /// A text longer than the vendor allows.
    #[error("filter {index} holds a text of more than {MAX_TEXT} characters; shorten it")]
    ValueTooLong {
        /// Which filter.
        index: usize,
    },
}

impl FilterError {
    /// The stable code, for API answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAFilter => "not_a_filter",
            Self::NotAnObject { .. } => "not_an_object",
            Self::UnknownMember { .. } => "unknown_member",
            Self::WrongMember { .. } => "wrong_member",
            Self::UnknownOperator { .. } => "unknown_operator",
            Self::WrongKey { .. } => "wrong_key",
            Self::WrongOperand { .. } => "wrong_operand",
            Self::TooManyFilters { .. } => "too_many_filters",
            Self::TooManyValues { .. } => "too_many_values",
            Self::ValueTooLong { .. } => "value_too_long",
        }
    }
}

impl Filter {
    /// Reads the vendor's JSON: either the bare array of advanced filters, or the whole filter of an
    /// event subscription (`includedEventTypes`, `subjectBeginsWith`, `subjectEndsWith`,
    /// `isSubjectCaseSensitive`, `advancedFilters`, `enableAdvancedFilteringOnArrays`).
    ///
    /// # Errors
    /// [`FilterError`] says which filter is wrong, and what belongs there.
    pub fn parse(json: &Value) -> Result<Self, FilterError> {
        reading::filter(json)
    }

    /// Whether an event, as it came over the wire in either schema, passes.
    pub fn matches(&self, event: &Value) -> bool {
        self.miss(event, Unsaid::default()).is_none()
    }

    /// The first part that keeps an event from passing, for those who ask why it did not come.
    pub fn miss(&self, event: &Value, unsaid: Unsaid) -> Option<Miss> {
        matching::miss(self, event, unsaid)
    }
}

impl fmt::Debug for Filter {
    /// Operators only: keys and values belong to whoever wrote the filter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")?;
        f.debug_list().entries(self.advanced.iter().map(|filter| filter.operator)).finish()
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.said.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        Self::parse(&json).map_err(serde::de::Error::custom)
    }
}

/// The value at a key such as `data.to.rawId`, found as filters find it.
pub fn value_at<'a>(event: &'a Value, key: &str) -> Option<&'a Value> {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    matching::find(event, &path)
}

/// A text as it is compared: case is folded character by character, so that where a text begins or
/// ends does not change how its characters fold.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
