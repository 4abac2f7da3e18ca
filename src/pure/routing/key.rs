//! What a number assignment is for: one party, every number with a beginning, or everybody.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Digits, Party};

/// The key of an assignment (rule I7): `+14255551212`, `8:acs:…`, `+1425555*`, `*`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Everybody whom no other key fits.
    Any,
    /// Every number that begins so. `+*` is every number.
    Prefix(Digits),
    /// One number, or one raw id.
    Exact(Party),
}

/// Why a text is no key. Holds nothing of the text, which may be somebody's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Begins with `+` but is not E.164.
    #[error("a number is + and 1 to 15 digits without spaces, and does not begin with 0")]
    NotANumber,
    /// Ends with `*` but is not `+`, digits, `*`.
    #[error("a prefix is + and up to 15 digits and *, such as +1425*; raw ids have no prefixes")]
    NotAPrefix,
    /// Nothing that is known.
    #[error("write a number (+14255551212), a prefix (+1425*), a raw id (8:acs:...) or *")]
    Unreadable,
    /// Longer than any raw id.
    #[error("a raw id has at most {} bytes", Self::MAX_BYTES)]
    TooLong,
}

impl KeyError {
    /// Longest raw id that is taken, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// The stable code, for API answers.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotANumber => "not_a_number",
            Self::NotAPrefix => "not_a_prefix",
            Self::Unreadable => "unreadable_key",
            Self::TooLong => "key_too_long",
        }
    }
}

impl Key {
    /// Reads what people write. `4:+1425…` is the same key as `+1425…`.
    ///
    /// # Errors
    /// [`KeyError`] says what a key looks like.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.strip_suffix('*') {
            Some(prefix) => Digits::parse(prefix).map(Self::Prefix).ok_or(KeyError::NotAPrefix),
            None => Party::parse(text).map(Self::Exact),
        }
    }

    /// As people write it. Personal data: for API answers only.
    pub fn text(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Prefix(digits) => format!("{}*", digits.text()),
            Self::Exact(party) => party.text(),
        }
    }

    /// Whether an assignment under this key is one for that callee.
    pub fn fits(&self, callee: &Party) -> bool {
        match (self, callee) {
            (Self::Any, _) => true,
            (Self::Prefix(prefix), Party::Number(number)) => number.begins_with(*prefix),
            (Self::Prefix(_), Party::Raw(_)) => false,
            (Self::Exact(party), callee) => party == callee,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Prefix(digits) => write!(f, "{digits:?}*"),
            Self::Exact(party) => party.fmt(f),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_keys_are_numbers_prefixes_raw_ids_and_a_star() {
        for text in ["*", "+*", "+1425555*", "+14255551212", "8:acs:r_u", "28:orgid:x", "4:911"] {
            assert_eq!(Key::parse(text).unwrap().text(), text);
        }
        assert_eq!(Key::parse("4:+1425").unwrap().text(), "+1425");
    }

    #[test]
    fn i7_what_is_no_key_is_told_apart() {
        let long = format!("8:acs:{}", "x".repeat(300));
        for (text, code) in [
            ("", "unreadable_key"),
            ("14255551212", "unreadable_key"),
            ("acs:user", "unreadable_key"),
            ("8:", "unreadable_key"),
            ("8:acs:a b", "unreadable_key"),
            ("+0425", "not_a_number"),
            ("+1425555121212345", "not_a_number"),
            ("8:acs:*", "not_a_prefix"),
            ("+14*25*", "not_a_prefix"),
            (long.as_str(), "key_too_long"),
        ] {
            assert_eq!(Key::parse(text).expect_err(text).code(), code, "{text}");
        }
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        let shown = ["+14255551212", "+1425555*", "*"].map(|text| Key::parse(text).unwrap());
        assert_eq!(format!("{shown:?}"), "[…12, …55*, *]");
    }
}
