//! Who is in the call, by the latest `ParticipantsUpdated` (rule C14).

use crate::wire::events::Participant;

/// The latest roster, and the number that orders rosters.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Roster {
    sequence_number: Option<i64>,
    participants: Box<[Participant]>,
}

impl Roster {
    /// Takes a newer roster. False for one with a lower number than one seen: that one is stale and
    /// changes nothing. A roster without a number is taken as it comes.
    pub(super) fn update(&mut self, sequence_number: Option<i64>, of: &[Participant]) -> bool {
        if let (Some(seen), Some(new)) = (self.sequence_number, sequence_number)
            && new < seen
        {
            return false;
        }
        self.sequence_number = sequence_number.or(self.sequence_number);
        self.participants = of.into();
        true
    }

    /// Everybody in the call.
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// The number of the latest roster.
    pub fn sequence_number(&self) -> Option<i64> {
        self.sequence_number
    }
}
