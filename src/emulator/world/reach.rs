//! Who may be called, and telephones under which caller id and how many at a time.

use super::calls::caller_for;
use super::{Refusal, World};
use crate::wire::identifiers::{Identifier, IdentifierKind, PhoneNumber, RawId};

impl World {
    /// Whether telephones among the targets may be dialled under a caller id.
    ///
    /// # Errors
    /// [`Refusal`] when it must be a number of the resource and is not, or is busy with other calls.
    pub(super) fn check_caller_id(
        &self,
        number: Option<&PhoneNumber>,
        targets: &[Identifier],
    ) -> Result<(), Refusal> {
        let telephone = |target: &&Identifier| target.kind() == IdentifierKind::PhoneNumber;
        let telephones = targets.iter().filter(telephone).count();
        let (Some(number), Some(any)) = (number, targets.iter().find(telephone)) else {
            return Ok(());
        };
        if self.config.behaviour.calls.caller_id_must_be_own && !self.owns(number.value.as_str()) {
            return Err(Refusal::new(
                403,
                "Forbidden",
                "The SourceCallerIdNumber is not a number of the resource; add it to the emulator's numbers.",
            ));
        }
        let Some(most) = self.config.behaviour.calls.telephone_calls_per_number else {
            return Ok(());
        };
        let from = caller_for(any, Some(number), any);
        if self.telephone_calls_from(from.raw_id()) + telephones > most {
            return Err(Refusal::new(
                429,
                "TooManyRequests",
                "The SourceCallerIdNumber has as many calls to telephones as it may have at a time.",
            ));
        }
        Ok(())
    }

    /// Whether Teams users among the targets may be called.
    ///
    /// # Errors
    /// [`Refusal`] when their tenant does not let the resource.
    pub(super) fn check_teams(&self, targets: &[Identifier]) -> Result<(), Refusal> {
        let teams = |target: &Identifier| target.kind() == IdentifierKind::MicrosoftTeamsUser;
        if self.config.behaviour.calls.teams_federated || !targets.iter().any(teams) {
            return Ok(());
        }
        Err(Refusal::new(
            403,
            "Forbidden",
            "The Teams tenant does not allow calls of the resource.",
        ))
    }

    fn owns(&self, number: &str) -> bool {
        self.config.any_number || self.own_numbers.contains(number)
    }

    fn telephone_calls_from(&self, number: &RawId) -> usize {
        let ringing = self.rings.values().filter(|ring| ring.dialled_from() == Some(number));
        let talking = self.conversations.iter().flat_map(|(_, found)| &found.parties);
        let talking = talking.filter(|party| party.dialled_from.as_ref() == Some(number));
        ringing.count() + talking.count()
    }
}
