//! Who is in which call.
//!
//! A conversation is the call itself (one `serverCallId`); its parties are phones and applications.

use std::collections::{BTreeMap, BTreeSet};

use super::attendance::Attendance;
use super::script::Script;
use super::{Refusal, World};
use crate::wire::events::Participant;
use crate::wire::identifiers::{
    CallConnectionId, CorrelationId, Identifier, IdentifierKind, RawId, ServerCallId,
};

/// Names a conversation inside the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConversationId(u64);

/// A call with everybody in it.
pub struct Conversation {
    pub server: ServerCallId,
    pub correlation: CorrelationId,
    pub venue: Venue,
    pub parties: Vec<Party>,
    /// What Event Grid was told of it.
    pub attendance: Option<Box<Attendance>>,
}

/// Where a call is held.
#[derive(Clone, PartialEq, Eq)]
pub enum Venue {
    /// Between those whom somebody called.
    Call,
    /// In a group call that exists by its id alone.
    Group(String),
    /// In a room.
    Room(String),
    /// It is not held at all: an application is still to be told that there is no such call.
    Nowhere,
}

/// Somebody in a call.
pub struct Party {
    pub who: Identifier,
    pub seat: Seat,
    pub is_muted: bool,
    pub is_on_hold: bool,
    /// The caller id under which an application dialled this telephone.
    pub dialled_from: Option<RawId>,
    pub script: Option<Script>,
}

/// Where somebody sits.
#[derive(Clone, PartialEq, Eq)]
pub enum Seat {
    /// At the far end.
    Phone,
    /// An application that speaks the API.
    App(CallConnectionId),
}

/// All conversations.
#[derive(Default)]
pub struct Conversations {
    all: BTreeMap<ConversationId, Conversation>,
    count: u64,
    /// Those that somebody may have changed, until that was told.
    touched: BTreeSet<ConversationId>,
    /// What was told of those that are no more.
    gone: Vec<Attendance>,
}

impl Conversation {
    pub fn party(&self, who: &RawId) -> Option<&Party> {
        self.parties.iter().find(|party| party.who.raw_id() == who)
    }

    pub fn party_mut(&mut self, who: &RawId) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.who.raw_id() == who)
    }

    /// Whether it goes on however few are in it.
    pub fn stands_alone(&self) -> bool {
        matches!(self.venue, Venue::Group(_) | Venue::Room(_))
    }

    /// Whether all who are in it are telephones, and an application dialled two of them or more.
    pub fn are_telephones_of_an_application(&self) -> bool {
        let telephone = |party: &Party| party.is_telephone() && party.seat == Seat::Phone;
        let dialled = self.parties.iter().filter(|party| party.dialled_from.is_some()).count();
        dialled > 1 && self.parties.iter().all(telephone)
    }

    /// The applications in it.
    pub fn apps(&self) -> Vec<CallConnectionId> {
        let app = |party: &Party| match &party.seat {
            Seat::App(call) => Some(call.clone()),
            Seat::Phone => None,
        };
        self.parties.iter().filter_map(app).collect()
    }
}

impl Party {
    pub fn new(who: Identifier, seat: Seat) -> Self {
        Self { who, seat, is_muted: false, is_on_hold: false, dialled_from: None, script: None }
    }

    pub fn is_telephone(&self) -> bool {
        self.who.kind() == IdentifierKind::PhoneNumber
    }

    pub fn listed(&self) -> Participant {
        Participant {
            identifier: self.who.clone(),
            is_muted: self.is_muted,
            is_on_hold: self.is_on_hold,
        }
    }
}

impl Conversations {
    pub fn open(&mut self, server: ServerCallId, correlation: CorrelationId) -> ConversationId {
        self.count += 1;
        let id = ConversationId(self.count);
        let venue = Venue::Call;
        let (parties, attendance) = (Vec::new(), None);
        self.all.insert(id, Conversation { server, correlation, venue, parties, attendance });
        id
    }

    pub fn get(&self, id: ConversationId) -> Option<&Conversation> {
        self.all.get(&id)
    }

    pub fn get_mut(&mut self, id: ConversationId) -> Option<&mut Conversation> {
        self.touched.insert(id);
        self.all.get_mut(&id)
    }

    /// … for what concerns nobody in it.
    pub fn get_untouched(&mut self, id: ConversationId) -> Option<&mut Conversation> {
        self.all.get_mut(&id)
    }

    pub fn remove(&mut self, id: ConversationId) -> Option<Conversation> {
        let mut removed = self.all.remove(&id)?;
        self.gone.extend(removed.attendance.take().map(|told| *told));
        Some(removed)
    }

    /// Those that somebody may have changed since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<ConversationId> {
        std::mem::take(&mut self.touched)
    }

    /// What was told of those that have gone since this was asked last.
    pub fn take_gone(&mut self) -> Vec<Attendance> {
        std::mem::take(&mut self.gone)
    }

    pub fn by_server(&self, server: &str) -> Option<ConversationId> {
        let meant =
            |call: &Conversation| call.server.as_str() == server && call.venue != Venue::Nowhere;
        self.all.iter().find(|(_, call)| meant(call)).map(|(id, _)| *id)
    }

    pub fn by_venue(&self, venue: &Venue) -> Option<ConversationId> {
        self.all.iter().find(|(_, call)| call.venue == *venue).map(|(id, _)| *id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (ConversationId, &Conversation)> {
        self.all.iter().map(|(id, call)| (*id, call))
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }
}

impl World {
    /// Opens a conversation, under a correlation id that is known already or a new one.
    ///
    /// # Errors
    /// [`Refusal`] when there are as many as the emulator holds.
    pub(super) fn open_conversation(
        &mut self,
        correlation: Option<CorrelationId>,
    ) -> Result<ConversationId, Refusal> {
        if self.conversations.len() >= self.config.limits.calls {
            return Err(Refusal::full("calls"));
        }
        let server = self.ids.server_call();
        let correlation = correlation.unwrap_or_else(|| self.ids.correlation());
        Ok(self.conversations.open(server, correlation))
    }

    /// The roster as an application sees it.
    pub(super) fn roster_for(&self, call: &CallConnectionId) -> Vec<Participant> {
        let Some(conversation) = self.conversation_of(call) else { return Vec::new() };
        let all = self.config.behaviour.roster_includes_app;
        let seen = |party: &&Party| all || party.seat != Seat::App(call.clone());
        conversation.parties.iter().filter(seen).map(Party::listed).collect()
    }

    pub(super) fn conversation_of(
        &self,
        call: &CallConnectionId,
    ) -> Option<&super::roster::Conversation> {
        self.conversations.get(self.connections.get(call)?.conversation)
    }

    /// The others in an application's call.
    pub(super) fn others(&self, call: &CallConnectionId) -> Vec<Identifier> {
        let other = |party: &&Party| party.seat != Seat::App(call.clone());
        let parties = self.conversation_of(call).map(|found| found.parties.as_slice());
        parties.unwrap_or_default().iter().filter(other).map(|party| party.who.clone()).collect()
    }

    /// Whether an application's call has more than one other party.
    pub(super) fn is_group(&self, call: &CallConnectionId) -> bool {
        self.others(call).len() > 1
    }

    /// Somebody else in an application's call.
    ///
    /// # Errors
    /// [`Refusal`] when there is nobody of that id.
    pub(super) fn other(&self, call: &CallConnectionId, who: &RawId) -> Result<&Party, Refusal> {
        self.conversation_of(call)
            .and_then(|found| found.party(who))
            .filter(|party| party.seat != Seat::App(call.clone()))
            .ok_or_else(Refusal::participant_not_found)
    }
}
