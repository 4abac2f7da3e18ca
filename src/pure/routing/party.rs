//! Who calls and who is called, in the form in which they are compared.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::KeyError;
use crate::wire::identifiers::{Identifier, RawId};

/// The digits of an E.164 number, or of the beginning of one, in one machine word: four bits each from
/// the top, their count in the lowest four. So the order is that of the texts, and cutting a number
/// down to a prefix is a mask.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digits(u64);

impl Digits {
    /// E.164 allows so many digits.
    pub const MAX: usize = 15;

    /// Reads `+` and digits. The first digit is never 0; no digits at all are the prefix of every
    /// number.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        if digits.len() > Self::MAX || digits.starts_with('0') {
            return None;
        }
        let mut packed = digits.len() as u64;
        for (place, digit) in digits.bytes().enumerate() {
            let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            packed |= value << (60 - 4 * place);
        }
        Some(Self(packed))
    }

    /// How many digits there are.
    pub fn len(self) -> usize {
        (self.0 & 0xf) as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The first `len` digits; the whole when there are fewer.
    pub fn prefix(self, len: usize) -> Self {
        let len = len.min(self.len());
        let kept = if len == 0 { 0 } else { u64::MAX << (64 - 4 * len) };
        Self(self.0 & kept | len as u64)
    }

    /// Whether these digits begin with those.
    pub fn begins_with(self, prefix: Self) -> bool {
        self.len() >= prefix.len() && self.prefix(prefix.len()) == prefix
    }

    /// `+` and the digits. Personal data: for the wire and for API answers only.
    pub fn text(self) -> String {
        let digit = |place: usize| {
            let value = (self.0 >> (60 - 4 * place)) as u8 & 0xf;
            char::from(b'0' + value)
        };
        std::iter::once('+').chain((0..self.len()).map(digit)).collect()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RawId::new(self.text()).fmt(f)
    }
}

/// A party of a call: a telephone number, or anybody else by raw id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// A telephone number.
    Number(Digits),
    /// Everybody else, hidden callers (`4:anonymous`) too.
    Raw(RawId),
}

impl Party {
    /// The party of an identifier. An asserted id behind a number is left out.
    pub fn of(identifier: &Identifier) -> Self {
        Self::of_raw(identifier.raw_id())
    }

    /// The party of a raw id.
    pub fn of_raw(raw: &RawId) -> Self {
        let number = raw.number().and_then(Digits::parse).filter(|digits| !digits.is_empty());
        number.map_or_else(|| Self::Raw(raw.clone()), Self::Number)
    }

    /// Reads what people write: `+14255551212`, or a raw id such as `8:acs:…`.
    ///
    /// # Errors
    /// [`KeyError`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.starts_with('+') {
            let number = Digits::parse(text).filter(|digits| !digits.is_empty());
            return number.map(Self::Number).ok_or(KeyError::NotANumber);
        }
        let (kind, rest) = text.split_once(':').ok_or(KeyError::Unreadable)?;
        let readable = !kind.is_empty()
            && kind.bytes().all(|byte| byte.is_ascii_digit())
            && !rest.is_empty()
            && rest.chars().all(|char| !char.is_whitespace() && !char.is_control() && char != '*');
        if !readable {
            return Err(KeyError::Unreadable);
        }
        if text.len() > KeyError::MAX_BYTES {
            return Err(KeyError::TooLong);
        }
        Ok(Self::of_raw(&RawId::new(text)))
    }

    /// Whether this is a caller who hides the number.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Raw(raw) if raw.is_anonymous())
    }

    /// `+14255551212` or the raw id. Personal data: for the wire and for API answers only.
    pub fn text(&self) -> String {
        match self {
            Self::Number(digits) => digits.text(),
            Self::Raw(raw) => raw.as_str().to_owned(),
        }
    }

    /// As Azure wants it.
    pub fn identifier(&self) -> Identifier {
        Identifier::from_raw_id(self.raw_id())
    }

    /// The raw id (`4:+14255551212`, `8:acs:…`).
    pub fn raw_id(&self) -> RawId {
        match self {
            Self::Number(digits) => RawId::of_number(&digits.text()),
            Self::Raw(raw) => raw.clone(),
        }
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(digits) => digits.fmt(f),
            Self::Raw(raw) => raw.fmt(f),
        }
    }
}

impl Serialize for Party {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Party {
    /// What [`Party::text`] gave. Never refuses: whoever was in a call may stand in a file.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::parse(&text).unwrap_or_else(|_| Self::of_raw(&RawId::new(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_order_cut_and_compare_like_their_texts(
            a in "\\+[1-9][0-9]{0,14}", b in "\\+[1-9][0-9]{0,14}", len in 0_usize..16,
        ) {
            let (x, y) = (Digits::parse(&a).unwrap(), Digits::parse(&b).unwrap());
            prop_assert_eq!(x.text(), a.clone());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.prefix(len).text(), &a[..a.len().min(len + 1)]);
            prop_assert_eq!(x.begins_with(y), a.starts_with(&b));
            prop_assert!(x.begins_with(x.prefix(len)));
        }
    }

    #[test]
    fn what_is_no_number_is_not_read_as_one() {
        for text in ["", "1425", "+0425", "+1425555121212345", "+1 425", "+1425x", "+１"] {
            assert_eq!(Digits::parse(text), None, "{text}");
        }
        assert_eq!(Party::parse("+"), Err(KeyError::NotANumber));
    }

    #[test]
    fn numbers_are_the_same_party_however_they_are_written() {
        let number = Party::parse("+14255551212").unwrap();
        assert_eq!(Party::parse("4:+14255551212").unwrap(), number);
        assert_eq!(Party::of_raw(&"4:+14255551212_7".into()), number);
        assert_eq!(number.raw_id().as_str(), "4:+14255551212");
        assert_eq!(format!("{number:?}"), "…12");
        assert!(Party::of_raw(&"4:anonymous".into()).is_anonymous());
    }
}
