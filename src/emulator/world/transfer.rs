//! Handing a party over: the target rings on behalf of the transferee, in a call of their own.

use serde_json::json;

use super::events::News;
use super::outcomes::{self, Outcome};
use super::ringing::{Purpose, Ring};
use super::roster::{Conversation, Seat};
use super::{Due, Meta, Refusal, State, World};
use crate::emulator::call_config::VoipToTelephone;
use crate::wire::events::EventKind;
use crate::wire::events::grid::CustomContext;
use crate::wire::identifiers::{CallConnectionId, Identifier, IdentifierKind, PhoneNumber, RawId};

/// A transfer as it is asked for.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Who is rung.
    pub target: Identifier,
    /// Who is handed over; the other party of a 1:1 call when absent.
    pub transferee: Option<Identifier>,
    /// Caller id for a telephone, when the transferee is none.
    pub number: Option<PhoneNumber>,
    /// Headers for the target.
    pub custom: Option<CustomContext>,
}

impl World {
    /// Begins a blind transfer. The target sees the transferee calling.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, a transfer is under way, or nobody can be transferred.
    pub fn transfer(
        &mut self,
        call: &CallConnectionId,
        wish: Handover,
        meta: Meta,
    ) -> Result<(), Refusal> {
        if self.connected(call)?.state != State::Connected {
            return Err(Refusal::wrong_state("A transfer is under way in this call."));
        }
        let transferee = self.transferee(call, wish.transferee)?;
        if transferee == wish.target {
            return Err(Refusal::bad("A participant cannot be transferred to itself."));
        }
        self.check_teams(std::slice::from_ref(&wish.target))?;
        let from = self.caller_of_transfer(&transferee, &wish.target, wish.number.as_ref())?;
        let correlation = self.conversation_of(call).map(|found| found.correlation.clone());
        let conversation = self.open_conversation(correlation)?;
        let purpose =
            Purpose::Transfer { call: call.clone(), transferee: transferee.clone(), meta };
        let mut ring = Ring::new(conversation, wish.target, from, purpose);
        ring.custom = wish.custom;
        self.set_state(call, State::Transferring);
        let lasts = self.config.behaviour.transfer_limit;
        self.start_ring(ring, lasts);
        Ok(())
    }

    fn transferee(
        &self,
        call: &CallConnectionId,
        named: Option<Identifier>,
    ) -> Result<Identifier, Refusal> {
        if let Some(named) = named {
            let itself = self.connections.get(call).is_some_and(|found| found.identity == named);
            if itself {
                return Err(Refusal::bad("The application itself cannot be transferred."));
            }
            return self.other(call, named.raw_id()).map(|party| party.who.clone());
        }
        let others = self.others(call);
        let connected = |who: &&Identifier| !self.came_by_connect(call, who.raw_id());
        let mut meant = others.iter().filter(connected);
        match (meant.next(), meant.next()) {
            (Some(who), None) => Ok(who.clone()),
            (None, _) => Err(Refusal::participant_not_found()),
            (Some(_), Some(_)) => {
                Err(Refusal::bad("The field Transferee is required in a group call."))
            }
        }
    }

    /// Whether somebody in the call is an application that only connected to it.
    fn came_by_connect(&self, call: &CallConnectionId, who: &RawId) -> bool {
        let party = self.conversation_of(call).and_then(|found| found.party(who));
        match party.map(|party| &party.seat) {
            Some(Seat::App(other)) => self.connections.get(other).is_some_and(|leg| leg.joins),
            Some(Seat::Phone) | None => false,
        }
    }

    /// Whom the target sees calling: the transferee, unless that is a user and the target a telephone.
    fn caller_of_transfer(
        &self,
        transferee: &Identifier,
        target: &Identifier,
        number: Option<&PhoneNumber>,
    ) -> Result<Identifier, Refusal> {
        let telephone = |who: &Identifier| who.kind() == IdentifierKind::PhoneNumber;
        if telephone(transferee) || !telephone(target) {
            return Ok(transferee.clone());
        }
        self.check_caller_id(number, std::slice::from_ref(target))?;
        match (self.config.behaviour.calls.voip_to_telephone_transfer, number) {
            (VoipToTelephone::Refused, _) => {
                Err(Refusal::bad("A VoIP user cannot be transferred to a phone number."))
            }
            (VoipToTelephone::WithNumber, None) => Err(Refusal::missing("SourceCallerIdNumber")),
            (_, Some(number)) => Ok(Identifier::phone(number.value.as_str())),
            (VoipToTelephone::Supported, None) => Ok(transferee.clone()),
        }
    }

    fn set_state(&mut self, call: &CallConnectionId, state: State) {
        if let Some(connection) = self.connections.get_mut(call) {
            connection.state = state;
        }
    }

    /// The target picked up: the transferee moves over, and a call of two is over for the application.
    pub(super) fn transfer_done(
        &mut self,
        ring: &Ring,
        call: &CallConnectionId,
        transferee: &Identifier,
        meta: &Meta,
    ) {
        let Some(old) = self.connections.get(call).map(|found| found.conversation) else { return };
        let goes_on = self.is_group(call)
            || self.conversations.get(old).is_some_and(Conversation::stands_alone);
        let moved = self.conversations.get_mut(old).and_then(|found| {
            let at = found.parties.iter().position(|party| party.who == *transferee)?;
            Some(found.parties.remove(at))
        });
        if let Some(mut party) = moved {
            party.is_on_hold = false; // whoever held the line is not in that call
            if let Seat::App(other) = &party.seat
                && let Some(connection) = self.connections.get_mut(other)
            {
                connection.conversation = ring.conversation;
            }
            if let Some(found) = self.conversations.get_mut(ring.conversation) {
                found.parties.insert(0, party);
            }
        }
        let state = if goes_on { State::Connected } else { State::TransferAccepted };
        self.set_state(call, state);
        let news = News::of(EventKind::CallTransferAccepted, outcomes::DONE)
            .with(json!({ "transferTarget": ring.target, "transferee": transferee }));
        self.tell(call, meta, news);
        self.media_party_left(call, transferee.raw_id());
        if goes_on {
            self.tell_roster(old);
        } else {
            let lingers = self.config.behaviour.transfer_lingers;
            self.later(lingers, Due::Transferred(old));
        }
        self.tell_roster(ring.conversation);
        self.resume_script(ring.conversation, transferee.raw_id());
    }

    /// The target did not come: the call goes on, unless it is told not to.
    pub(super) fn transfer_failed(
        &mut self,
        ring: &Ring,
        call: &CallConnectionId,
        meta: &Meta,
        why: &Outcome,
    ) {
        self.set_state(call, State::Connected);
        self.tell(call, meta, News::of(EventKind::CallTransferFailed, why.clone()));
        let between_telephones =
            ring.is_telephone() && ring.from.kind() == IdentifierKind::PhoneNumber;
        let survives = self.config.behaviour.calls.failed_transfer_leaves_telephone_call;
        let conversation = self.connections.get(call).map(|found| found.conversation);
        if let Some(conversation) = conversation.filter(|_| between_telephones && !survives) {
            self.end_conversation(conversation, &outcomes::PSTN_ENDED);
        }
    }
}
