//! Cursors: a place in the journal, and in which of its lives.

use std::fmt;

use super::problem::{Code, Problem};
use crate::ports::Position;

/// What clients see as `id:` of an event and send back as `after` or `Last-Event-ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The life of the journal in which the position means something.
    pub life: u32,
    /// The place.
    pub position: Position,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.life, self.position.0)
    }
}

impl Cursor {
    /// Reads a cursor that a client sent back.
    ///
    /// # Errors
    /// A problem that says whether it is malformed or from another life.
    pub fn parse(text: &str, life: u32) -> Result<Self, Problem> {
        let parsed = text.split_once('-').and_then(|(life, position)| {
            let life = u32::from_str_radix(life, 16).ok().filter(|_| life.len() == 8)?;
            Some(Self { life, position: Position(position.parse().ok()?) })
        });
        let cursor = parsed.ok_or_else(|| {
            Problem::new(Code::InvalidCursor)
                .detail("send back the cursor of an event exactly as it was given")
        })?;
        if cursor.life != life {
            return Err(Problem::new(Code::CursorGone)
                .detail("the service has started anew since; begin without a cursor"));
        }
        Ok(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_went_and_only_in_the_same_life() {
        let cursor = Cursor { life: 7, position: Position(42) };
        assert_eq!(cursor.to_string(), "00000007-42");
        assert_eq!(Cursor::parse("00000007-42", 7).unwrap(), cursor);
        let code = |text: &str| Cursor::parse(text, 7).unwrap_err().code();
        assert_eq!(code("00000008-42"), Code::CursorGone);
        for bad in ["", "42", "x-42", "7-42", "00000007-", "00000007-x", "00000007--1"] {
            assert_eq!(code(bad), Code::InvalidCursor, "{bad}");
        }
    }
}
