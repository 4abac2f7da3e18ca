//! What is still to be forwarded after a restart, from the lines of the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::pure::notes::{DeadLetter, Forward};
use crate::pure::time::Position;

/// Collects what the journal tells about forwarding.
#[derive(Debug, Default)]
pub struct ForwardReplay {
    pending: BTreeMap<Position, Arc<str>>,
    dead: BTreeMap<Position, DeadLetter>,
}

/// What a restart goes on with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Events that are to be forwarded, in order, and where to.
    pub pending: Vec<(Position, Arc<str>)>,
    /// Events that were given up, in order.
    pub dead: Vec<DeadLetter>,
}

impl ForwardReplay {
    /// The next line, in the order of the journal; false for one that cannot be read.
    pub fn line(&mut self, position: Position, text: &str) -> bool {
        let Ok(note) = serde_json::from_str::<Forward>(text) else { return false };
        match note {
            Forward::Owed { to, back } => {
                self.pending.insert(Position(position.0.saturating_sub(back)), to);
            }
            Forward::Done { of } => {
                self.pending.remove(&of);
            }
            Forward::Dead(letter) => {
                self.pending.remove(&letter.of);
                self.dead.insert(letter.of, letter);
            }
            Forward::Again(letter) => {
                self.dead.remove(&letter.of);
                self.pending.insert(letter.of, letter.to.into());
            }
        }
        true
    }

    /// What is left.
    pub fn finish(self) -> Restored {
        Restored {
            pending: self.pending.into_iter().collect(),
            dead: self.dead.into_values().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_neither_forwarded_nor_given_up_is_still_owed() {
        let letter = |of| DeadLetter {
            of: Position(of),
            call: "c".into(),
            kind: "PlayCompleted".into(),
            to: "https://app/".into(),
            attempts: 1,
            why: "refused".into(),
            status: Some(400),
            at: None,
        };
        let owed = || Forward::Owed { to: "https://app/".into(), back: 2 };
        let mut replay = ForwardReplay::default();
        let lines = [
            (3, owed()),
            (4, owed()),
            (7, owed()),
            (8, owed()),
            (9, Forward::Done { of: Position(1) }),
            (10, Forward::Dead(letter(2))),
            (11, Forward::Dead(letter(5))),
            (12, Forward::Again(letter(5))),
        ];
        for (position, note) in lines {
            assert!(replay.line(Position(position), &note.text()));
        }
        assert!(!replay.line(Position(13), "{}"), "not a note of ours");
        let restored = replay.finish();
        let pending: Vec<_> = restored.pending.iter().map(|(of, _)| of.0).collect();
        assert_eq!(pending, [5, 6]);
        assert_eq!(restored.dead, [letter(2)]);
    }
}
