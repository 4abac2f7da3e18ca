//! The life of an application's leg: placed or answered, connected, hung up.

use super::events::News;
use super::media::Media;
use super::outcomes::{self, Outcome};
use super::ringing::{Purpose, Ring};
use super::roster::{ConversationId, Party, Seat};
use super::{Due, Meta, Refusal, World};
use crate::emulator::config::Unanswered;
use crate::wire::calling::CallConnectionProperties;
use crate::wire::events::EventKind;
use crate::wire::identifiers::{
    CallConnectionId, CommunicationUser, Identifier, IdentifierKind, IncomingCallContext,
    OperationContext, PhoneNumber, RawId,
};

/// Where an application's leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Set up but not there yet.
    Connecting,
    /// In the call.
    Connected,
    /// Handing its party over.
    Transferring,
}

impl State {
    /// Azure's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Transferring => "transferring",
        }
    }
}

/// An application's leg of a call.
pub struct Connection {
    pub(super) conversation: ConversationId,
    pub(super) state: State,
    pub(super) callback_uri: String,
    /// Of the request that made this leg.
    pub(super) context: Option<OperationContext>,
    pub(super) speech_resource: bool,
    pub(super) identity: Identifier,
    pub(super) targets: Vec<Identifier>,
    pub(super) source: Identifier,
    pub(super) source_number: Option<PhoneNumber>,
    pub(super) source_name: Option<String>,
    pub(super) answered_by: Option<CommunicationUser>,
    pub(super) answered_for: Option<PhoneNumber>,
    pub(super) rosters_told: u64,
    pub(super) media: Media,
    /// The ring that this leg answers, until it is up.
    pub(super) answering: Option<Ring>,
}

/// What `CreateCall` and `AnswerCall` have in common.
#[derive(Clone, Debug, Default)]
pub struct CallSetup {
    /// Where events go.
    pub callback_uri: String,
    /// Echoed on the leg's own events.
    pub context: Option<OperationContext>,
    /// Whether there is a speech resource.
    pub speech_resource: bool,
    /// Identity of the application, when it has one.
    pub identity: Option<RawId>,
    /// Caller id for telephones.
    pub source_number: Option<PhoneNumber>,
    /// Name for VoIP users.
    pub source_name: Option<String>,
}

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
        let conversation = self.open_conversation()?;
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
            ring.display_name = name.unwrap_or_default();
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

    /// What is known of a leg.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such leg.
    pub fn properties(&self, call: &CallConnectionId) -> Result<CallConnectionProperties, Refusal> {
        let connection = self.connection(call)?;
        let conversation =
            self.conversations.get(connection.conversation).ok_or_else(Refusal::call_not_found)?;
        Ok(CallConnectionProperties {
            call_connection_id: Some(call.clone()),
            server_call_id: Some(conversation.server.clone()),
            targets: Some(connection.targets.clone()),
            call_connection_state: Some(connection.state.word().to_owned()),
            callback_uri: Some(connection.callback_uri.clone()),
            source_caller_id_number: connection.source_number.clone(),
            source_display_name: connection.source_name.clone(),
            source: Some(connection.source.clone()),
            correlation_id: Some(conversation.correlation.clone()),
            answered_by: connection.answered_by.clone(),
            answered_for: connection.answered_for.clone(),
        })
    }

    /// A leg.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such leg.
    pub(super) fn connection(&self, call: &CallConnectionId) -> Result<&Connection, Refusal> {
        self.connections.get(call).ok_or_else(Refusal::call_not_found)
    }

    /// A leg that is up.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such leg, or it is still being set up.
    pub fn connected(&self, call: &CallConnectionId) -> Result<&Connection, Refusal> {
        let connection = self.connection(call)?;
        if connection.state == State::Connecting {
            return Err(Refusal::wrong_state("The call is not established yet."));
        }
        Ok(connection)
    }

    fn app_identity(&mut self, given: Option<&RawId>, called: Option<&Identifier>) -> Identifier {
        let called = called.filter(|called| called.kind() == IdentifierKind::CommunicationUser);
        match (given, called) {
            (Some(raw), _) => Identifier::from_raw_id(raw.clone()),
            (None, Some(called)) => called.clone(),
            (None, None) => Identifier::from_raw_id(self.ids.identity(&self.config.resource_id)),
        }
    }

    fn open_connection(
        &mut self,
        conversation: ConversationId,
        setup: CallSetup,
        identity: Identifier,
    ) -> CallConnectionId {
        let call = self.ids.connection();
        let connection = Connection {
            conversation,
            state: State::Connecting,
            callback_uri: setup.callback_uri,
            context: setup.context,
            speech_resource: setup.speech_resource,
            targets: Vec::new(),
            source: identity.clone(),
            identity,
            source_number: setup.source_number,
            source_name: setup.source_name,
            answered_by: None,
            answered_for: None,
            rosters_told: 0,
            media: Media::default(),
            answering: None,
        };
        self.connections.insert(call.clone(), connection);
        call
    }

    /// An application that answered is there.
    pub(super) fn connection_up(&mut self, call: &CallConnectionId) {
        let Some(connection) = self.connections.get_mut(call) else { return };
        let Some(ring) = connection.answering.take() else { return };
        connection.state = State::Connected;
        let meta = connection.own_meta();
        if self.conversations.get(ring.conversation).is_none() {
            return self.answer_failed(call, &meta);
        }
        self.tell(call, &meta, News::plain(EventKind::CallConnected));
        self.ring_answered(ring, Seat::App(call.clone()));
    }

    /// The caller was gone before the application was there.
    pub(super) fn answer_failed(&mut self, call: &CallConnectionId, meta: &Meta) {
        self.tell(call, meta, News::of(EventKind::AnswerFailed, outcomes::CALL_GONE));
        if self.config.behaviour.disconnect_after_answer_failed {
            self.tell(call, meta, News::of(EventKind::CallDisconnected, outcomes::CALL_GONE));
        }
        self.connections.remove(call);
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
        self.connections.remove(call);
        self.end_if_lonely(conversation, why);
    }

    /// The application leaves; a call of two ends with it.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such leg.
    pub fn hang_up(&mut self, call: &CallConnectionId) -> Result<(), Refusal> {
        let state = self.connection(call)?.state;
        let why = if state == State::Connecting {
            outcomes::CANCELED_BY_CALLER
        } else {
            outcomes::LOCAL_ENDED
        };
        self.app_leaves(call, &why);
        Ok(())
    }

    /// Everybody leaves.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such leg.
    pub fn terminate(&mut self, call: &CallConnectionId) -> Result<(), Refusal> {
        let connection = self.connection(call)?;
        if connection.state == State::Connecting {
            return self.hang_up(call);
        }
        let conversation = connection.conversation;
        self.end_conversation(conversation, &outcomes::ENDED_FOR_ALL);
        Ok(())
    }

    /// Takes an application out of its call and looks at who is left.
    pub(super) fn app_leaves(&mut self, call: &CallConnectionId, why: &Outcome) {
        let Some(conversation) = self.connections.get(call).map(|found| found.conversation) else {
            return;
        };
        let was_group = self.is_group(call);
        self.end_leg(call, why);
        if let Some(conversation) = self.conversations.get_mut(conversation) {
            conversation.parties.retain(|party| party.seat != Seat::App(call.clone()));
        }
        let only_telephones = self.conversations.get(conversation).is_some_and(|found| {
            found.parties.iter().all(|party| party.is_telephone() && party.seat == Seat::Phone)
        });
        let dropped = only_telephones && self.config.behaviour.pstn_parties_drop_when_app_leaves;
        if !was_group || dropped {
            self.end_conversation(conversation, &voip_ended(self));
        } else {
            self.tell_roster(conversation);
        }
    }

    /// Tells a leg that it is over, and forgets it. Its invitations are withdrawn.
    pub(super) fn end_leg(&mut self, call: &CallConnectionId, why: &Outcome) {
        self.media_ends_with_call(call);
        for ring in self.rings_where(|ring| ring.purpose.asked_by() == Some(call)) {
            let Some(ring) = self.take_ring(ring) else { continue };
            if matches!(ring.purpose, Purpose::Transfer { .. }) {
                self.conversations.remove(ring.conversation);
            }
        }
        let Some(meta) = self.connections.get(call).map(Connection::own_meta) else { return };
        self.tell(call, &meta, News::of(EventKind::CallDisconnected, why.clone()));
        let unanswered = self.connections.remove(call).and_then(|leg| leg.answering);
        if let Some(ring) = unanswered {
            self.ring_failed(ring, &outcomes::DECLINED);
        }
    }

    /// A party at the far end left by itself, or was taken out for the reason given.
    pub(super) fn party_left(
        &mut self,
        conversation: ConversationId,
        who: &RawId,
        why: Option<&Outcome>,
    ) {
        let Some(found) = self.conversations.get_mut(conversation) else { return };
        let Some(at) = found.parties.iter().position(|party| party.who.raw_id() == who) else {
            return;
        };
        let party = found.parties.remove(at);
        let apps = found.apps();
        let by_itself = if party.is_telephone() { outcomes::PSTN_ENDED } else { voip_ended(self) };
        let ended = why.cloned().unwrap_or(by_itself);
        for call in &apps {
            self.media_party_left(call, who);
        }
        let transfers = self.rings_where(|ring| match &ring.purpose {
            Purpose::Transfer { call, transferee, .. } => {
                transferee.raw_id() == who && apps.contains(call)
            }
            _ => false,
        });
        for ring in transfers {
            if let Some(ring) = self.take_ring(ring) {
                self.ring_failed(ring, &outcomes::CANCELED_BY_CALLER);
            }
        }
        if !self.end_if_lonely(conversation, &ended) {
            self.tell_roster(conversation);
        }
    }

    /// Ends a conversation that has one party or none and nobody on the way. Tells whether it did.
    pub(super) fn end_if_lonely(&mut self, id: ConversationId, why: &Outcome) -> bool {
        let parties = self.conversations.get(id).map_or(0, |found| found.parties.len());
        let ringing = self.rings.values().filter(|ring| ring.conversation == id).count();
        let answering = |found: &&Connection| {
            found.answering.as_ref().is_some_and(|ring| ring.conversation == id)
        };
        let arriving = self.connections.values().filter(answering).count();
        if parties + ringing + arriving > 1 {
            return false;
        }
        self.end_conversation(id, why);
        true
    }

    /// Everybody who is still in a conversation is told that it is over.
    pub(super) fn end_conversation(&mut self, id: ConversationId, why: &Outcome) {
        let Some(conversation) = self.conversations.get(id) else { return };
        for call in conversation.apps() {
            self.end_leg(&call, why);
        }
        for ring in self.rings_where(|ring| ring.conversation == id) {
            let Some(ring) = self.take_ring(ring) else { continue };
            if let Purpose::Create { call } = &ring.purpose {
                self.target_failed(call, why);
            }
        }
        let arriving = |found: &&Connection| found.conversation == id;
        let late: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, found)| arriving(found))
            .map(|(id, _)| id.clone())
            .collect();
        for call in late {
            let Some(meta) = self.connections.get(&call).map(Connection::own_meta) else {
                continue;
            };
            self.answer_failed(&call, &meta);
        }
        self.conversations.remove(id);
    }
}

impl Connection {
    pub(super) fn own_meta(&self) -> Meta {
        Meta { context: self.context.clone(), callback: None }
    }

    /// Whether texts can be spoken and speech recognised.
    pub fn has_speech_resource(&self) -> bool {
        self.speech_resource
    }
}

pub(super) fn voip_ended(world: &World) -> Outcome {
    outcomes::voip_ended(world.config.behaviour.voip_party_left)
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
