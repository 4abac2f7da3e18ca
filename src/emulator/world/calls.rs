//! How calls begin: placed, answered, redirected, rejected, and what becomes of the attempt.

use super::events::News;
use super::outcomes::{self, Outcome};
use super::ringing::{Purpose, Ring};
use super::roster::{Party, Seat};
use super::{CallSetup, Due, Refusal, State, World};
use crate::emulator::config::Unanswered;
use crate::wire::calling::CallConnectionProperties;
use crate::wire::events::EventKind;
use crate::wire::identifiers::{
    CallConnectionId, CommunicationUser, Identifier, IdentifierKind, IncomingCallContext,
    PhoneNumber, RawId,
};

impl World {
    /// Places a call to one target or to several at once.
    ///
    /// # Errors
    /// [`Refusal`] when there are too many calls.
    pub fn create_call(
        &mut self,
        setup: CallSetup,
        targets: Vec<Identifier>,
    ) -> Result<CallConnectionProperties, Refusal> {
        self.check_teams(&targets)?;
        self.check_caller_id(setup.source_number.as_ref(), &targets)?;
        let conversation = self.open_conversation(None)?;
        let identity = self.app_identity(setup.identity.as_ref(), None);
        let source_number = setup.source_number.clone();
        let call = self.open_connection(conversation, setup, identity.clone());
        if let Some(connection) = self.connections.get_mut(&call) {
            connection.targets.clone_from(&targets);
            connection.source = identity.clone();
        }
        for target in targets {
            let from = caller_for(&target, source_number.as_ref(), &identity);
            let purpose = Purpose::Create { call: call.clone() };
            let mut ring = Ring::new(conversation, target, from, purpose);
            let name = self.connections.get(&call).and_then(|found| found.source_name.clone());
            // Telephones show a number, never a name.
            ring.display_name = name.filter(|_| !ring.is_telephone()).unwrap_or_default();
            let behaviour = &self.config.behaviour;
            let lasts = if ring.is_telephone() {
                behaviour.pstn_setup_limit
            } else {
                behaviour.voip_setup_limit
            };
            self.start_ring(ring, lasts);
        }
        self.properties(&call)
    }

    /// Answers a ringing call.
    ///
    /// # Errors
    /// [`Refusal`] when it does not ring any more.
    pub fn answer_call(
        &mut self,
        ticket: &IncomingCallContext,
        setup: CallSetup,
    ) -> Result<CallConnectionProperties, Refusal> {
        let ring = self.take_ticket(ticket)?;
        let identity = self.app_identity(setup.identity.as_ref(), Some(&ring.target));
        let answered_by = setup.identity.clone().map(|id| CommunicationUser { id }).or_else(|| {
            let own = identity.kind() == IdentifierKind::CommunicationUser;
            own.then(|| CommunicationUser { id: identity.raw_id().clone() })
        });
        let answered_for = ring.dialled.as_ref().and_then(RawId::number);
        let answered_for = answered_for.map(PhoneNumber::new);
        let call = self.open_connection(ring.conversation, setup, identity);
        if let Some(connection) = self.connections.get_mut(&call) {
            connection.targets = vec![ring.target.clone()];
            connection.source = ring.from.clone();
            connection.answered_by = answered_by;
            connection.answered_for = answered_for;
            connection.answering = Some(ring);
        }
        let answer_time = self.config.behaviour.answer_time;
        self.later(answer_time, Due::ConnectionUp(call.clone()));
        self.properties(&call)
    }

    /// Sends a ringing call elsewhere.
    ///
    /// # Errors
    /// [`Refusal`] when it does not ring any more, or may not go there.
    pub fn redirect_call(
        &mut self,
        ticket: &IncomingCallContext,
        target: Identifier,
    ) -> Result<(), Refusal> {
        let ring = self.ring_of_ticket(ticket)?;
        let to_telephone = target.kind() == IdentifierKind::PhoneNumber;
        if to_telephone && ring.from.kind() != IdentifierKind::PhoneNumber {
            return Err(Refusal::bad("A VoIP call cannot be redirected to a phone number."));
        }
        let to_teams = target.kind() == IdentifierKind::MicrosoftTeamsUser;
        if to_teams && !self.config.behaviour.calls.redirect_to_teams {
            return Err(Refusal::bad("A call cannot be redirected to a Teams user."));
        }
        self.check_teams(std::slice::from_ref(&target))?;
        let old = self.take_ticket(ticket)?;
        let mut ring = Ring::new(old.conversation, target, old.from, old.purpose);
        ring.display_name = old.display_name;
        ring.custom = old.custom;
        ring.dialled = old.dialled;
        ring.hops = old.hops + 1;
        let lasts = self.config.behaviour.ring;
        self.start_ring(ring, lasts);
        Ok(())
    }

    /// Refuses a ringing call.
    ///
    /// # Errors
    /// [`Refusal`] when it does not ring any more.
    pub fn reject_call(
        &mut self,
        ticket: &IncomingCallContext,
        reason: &str,
    ) -> Result<(), Refusal> {
        let ring = self.take_ticket(ticket)?;
        let why = match reason {
            "busy" => outcomes::busy(ring.is_telephone()),
            "forbidden" => outcomes::FORBIDDEN,
            _ => outcomes::DECLINED,
        };
        self.ring_failed(ring, &why);
        Ok(())
    }

    /// An application that answered is there.
    pub(super) fn connection_up(&mut self, call: &CallConnectionId) {
        if self.connections.get(call).is_some_and(|found| found.joins) {
            return self.joined(call);
        }
        let Some(connection) = self.connections.get_mut(call) else { return };
        let Some(ring) = connection.answering.take() else { return };
        connection.state = State::Connected;
        let meta = connection.own_meta();
        if self.conversations.get(ring.conversation).is_none() {
            return self.arrival_failed(call, &meta, &outcomes::CALL_GONE);
        }
        self.tell(call, &meta, News::plain(EventKind::CallConnected));
        self.ring_answered(ring, Seat::App(call.clone()));
    }

    /// One of the targets of a placed call picked up.
    pub(super) fn target_answered(&mut self, call: &CallConnectionId) {
        let Some(connection) = self.connections.get_mut(call) else { return };
        let conversation = connection.conversation;
        if connection.state == State::Connecting {
            connection.state = State::Connected;
            let meta = connection.own_meta();
            let me = Party::new(connection.identity.clone(), Seat::App(call.clone()));
            if let Some(conversation) = self.conversations.get_mut(conversation) {
                conversation.parties.insert(0, me);
            }
            self.tell(call, &meta, News::plain(EventKind::CallConnected));
        }
        self.tell_roster(conversation);
    }

    /// One of the targets of a placed call did not come. The last one ends it.
    pub(super) fn target_failed(&mut self, call: &CallConnectionId, why: &Outcome) {
        let Some(connection) = self.connections.get(call) else { return };
        let conversation = connection.conversation;
        if connection.state != State::Connecting {
            self.end_if_lonely(conversation, why);
            return;
        }
        let others = |ring: &Ring| ring.purpose.asked_by() == Some(call);
        if !self.rings_where(others).is_empty() {
            return;
        }
        let meta = connection.own_meta();
        let silent = *why == outcomes::NO_ANSWER
            && self.config.behaviour.unanswered_create == Unanswered::Silent;
        if !silent {
            let mut both = [EventKind::CreateCallFailed, EventKind::CallDisconnected];
            if !self.config.behaviour.create_failed_first {
                both.reverse();
            }
            for kind in both {
                self.tell(call, &meta, News::of(kind, why.clone()));
            }
        }
        self.forget_connection(call);
        self.end_if_lonely(conversation, why);
    }
}

/// Who a target sees calling.
pub(super) fn caller_for(
    target: &Identifier,
    number: Option<&PhoneNumber>,
    identity: &Identifier,
) -> Identifier {
    match number {
        Some(number) if target.kind() == IdentifierKind::PhoneNumber => {
            Identifier::phone(number.value.as_str())
        }
        _ => identity.clone(),
    }
}
