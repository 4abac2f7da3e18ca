//! The operators and how each of them treats a miss.

use std::fmt;

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// An operator of the filter language, under the vendor's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operator { $($(#[$doc])* $name,)* }

        impl Operator {
            /// All of them, in the vendor's order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The vendor's name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

operators! {
    /// Equals one of the numbers.
    NumberIn,
    /// Equals none of the numbers.
    NumberNotIn,
    /// Less than the number.
    NumberLessThan,
    /// Less than or equal to the number.
    NumberLessThanOrEquals,
    /// Greater than the number.
    NumberGreaterThan,
    /// Greater than or equal to the number.
    NumberGreaterThanOrEquals,
    /// Within one of the ranges, both ends included.
    NumberInRange,
    /// Within none of the ranges.
    NumberNotInRange,
    /// Equals the truth value.
    BoolEquals,
    /// Equals one of the texts.
    StringIn,
    /// Equals none of the texts.
    StringNotIn,
    /// Begins with one of the texts.
    StringBeginsWith,
    /// Ends with one of the texts.
    StringEndsWith,
    /// Contains one of the texts.
    StringContains,
    /// Begins with none of the texts.
    StringNotBeginsWith,
    /// Ends with none of the texts.
    StringNotEndsWith,
    /// Contains none of the texts.
    StringNotContains,
    /// Missing or null.
    IsNullOrUndefined,
    /// Present and not null.
    IsNotNull,
}

impl Operator {
    /// The operator of that name, in the vendor's spelling.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operator| operator.name() == name)
    }

    /// All names, for error texts.
    pub(super) fn names() -> String {
        Self::ALL.iter().map(|operator| operator.name()).collect::<Vec<_>>().join(", ")
    }

    /// Whether a hit fails the filter.
    pub(super) fn is_negative(self) -> bool {
        matches!(
            self,
            Self::NumberNotIn
                | Self::NumberNotInRange
                | Self::StringNotIn
                | Self::StringNotBeginsWith
                | Self::StringNotEndsWith
                | Self::StringNotContains
        )
    }

    /// Whether an event without the key passes. The vendor's negatives do not agree with each other.
    pub(super) fn passes_when_missing(self) -> bool {
        matches!(self, Self::NumberNotIn | Self::StringNotIn | Self::IsNullOrUndefined)
    }

    /// What belongs beside the operator, for error texts.
    pub(super) fn wants(self) -> &'static str {
        match self {
            Self::NumberIn | Self::NumberNotIn => "values, a filled array of numbers",
            Self::NumberLessThan
            | Self::NumberLessThanOrEquals
            | Self::NumberGreaterThan
            | Self::NumberGreaterThanOrEquals => "value, a number",
            Self::NumberInRange | Self::NumberNotInRange => {
                "values, a filled array of [low, high] with low not above high"
            }
            Self::BoolEquals => "value, true or false",
            Self::StringIn
            | Self::StringNotIn
            | Self::StringBeginsWith
            | Self::StringEndsWith
            | Self::StringContains
            | Self::StringNotBeginsWith
            | Self::StringNotEndsWith
            | Self::StringNotContains => "values, a filled array of texts",
            Self::IsNullOrUndefined | Self::IsNotNull => "neither value nor values",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
