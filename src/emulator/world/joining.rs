//! Joining a call that is there already: applications by `Connect`, phones by hand. A group call or a
//! room is a call of its own, which whoever comes first begins and the last one to leave ends.

use super::events::News;
use super::outcomes::{self, Outcome};
use super::roster::{ConversationId, Party, Seat, Venue};
use super::{CallSetup, Due, Meta, Refusal, State, World};
use crate::emulator::call_config::Impossible;
use crate::wire::calling::CallConnectionProperties;
use crate::wire::events::EventKind;
use crate::wire::identifiers::{CallConnectionId, CorrelationId, Identifier, ServerCallId};

/// Names a call that is to be joined.
#[derive(Clone, PartialEq, Eq)]
pub enum Locator {
    /// By the call itself.
    Server(String),
    /// By the id that the participants of a group call have agreed on.
    Group(String),
    /// By a room.
    Room(String),
}

impl Locator {
    /// Where a call of its own is held. Group ids are GUIDs, so their case means nothing.
    fn venue(&self) -> Option<Venue> {
        match self {
            Self::Server(_) => None,
            Self::Group(id) => Some(Venue::Group(id.to_ascii_lowercase())),
            Self::Room(id) => Some(Venue::Room(id.clone())),
        }
    }
}

impl World {
    /// Lets an application join a call. Whether it gets in is told later.
    ///
    /// # Errors
    /// [`Refusal`] when there are too many calls, or there is no such call and that is told at once.
    pub fn connect(
        &mut self,
        locator: &Locator,
        setup: CallSetup,
    ) -> Result<CallConnectionProperties, Refusal> {
        let conversation = match self.open_venue(locator)? {
            Some(found) => found,
            None if self.config.behaviour.calls.connect_missing == Impossible::Refused => {
                return Err(Refusal::call_not_found());
            }
            None => self.open_nowhere(locator)?,
        };
        let identity = self.app_identity(setup.identity.as_ref(), None);
        let call = self.open_connection(conversation, setup, identity);
        if let Some(connection) = self.connections.get_mut(&call) {
            connection.joins = true;
        }
        let connect_time = self.config.behaviour.calls.connect_time;
        self.later(connect_time, Due::ConnectionUp(call.clone()));
        self.properties(&call)
    }

    /// The call that is meant: one that is up, or one that may begin now.
    fn open_venue(&mut self, locator: &Locator) -> Result<Option<ConversationId>, Refusal> {
        if let Some(found) = self.find_venue(locator) {
            return Ok(Some(found));
        }
        let behaviour = &self.config.behaviour.calls;
        let may_begin = match locator {
            Locator::Server(_) => false,
            Locator::Group(_) => behaviour.unknown_groups,
            Locator::Room(_) => behaviour.unknown_rooms,
        };
        match locator.venue().filter(|_| may_begin) {
            Some(venue) => self.begin_venue(venue).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn find_venue(&self, locator: &Locator) -> Option<ConversationId> {
        match (locator, locator.venue()) {
            (Locator::Server(server), _) => {
                let id = self.conversations.by_server(server)?;
                let found = self.conversations.get(id)?;
                // Nobody can join what still rings.
                (found.stands_alone() || found.parties.len() > 1).then_some(id)
            }
            (_, Some(venue)) => self.conversations.by_venue(&venue),
            (_, None) => None,
        }
    }

    fn begin_venue(&mut self, venue: Venue) -> Result<ConversationId, Refusal> {
        let id = self.open_conversation(None)?;
        if let Some(found) = self.conversations.get_mut(id) {
            found.venue = venue;
        }
        Ok(id)
    }

    /// A place for an application that joins a call which does not exist, until it has been told.
    fn open_nowhere(&mut self, locator: &Locator) -> Result<ConversationId, Refusal> {
        let id = self.begin_venue(Venue::Nowhere)?;
        if let (Locator::Server(server), Some(found)) = (locator, self.conversations.get_mut(id)) {
            found.server = ServerCallId::new(server.as_str());
        }
        Ok(id)
    }

    /// An application that connected is there, if there is a call to be in.
    pub(super) fn joined(&mut self, call: &CallConnectionId) {
        let Some(connection) = self.connections.get_mut(call) else { return };
        let (id, meta) = (connection.conversation, connection.own_meta());
        if connection.state != State::Connecting {
            return;
        }
        let Some(found) = self.conversations.get_mut(id) else { return };
        if found.venue == Venue::Nowhere {
            self.arrival_failed(call, &meta, &outcomes::CALL_GONE);
            self.conversations.remove(id);
            return;
        }
        if found.parties.len() >= self.config.limits.participants {
            return self.arrival_failed(call, &meta, &outcomes::CALL_FULL);
        }
        connection.state = State::Connected;
        found.parties.push(Party::new(connection.identity.clone(), Seat::App(call.clone())));
        self.tell(call, &meta, News::plain(EventKind::CallConnected));
        self.tell_roster(id);
    }

    /// An application that answers or connects does not get into the call.
    pub(super) fn arrival_failed(&mut self, call: &CallConnectionId, meta: &Meta, why: &Outcome) {
        let joins = self.connections.get(call).is_some_and(|found| found.joins);
        let failed = if joins { EventKind::ConnectFailed } else { EventKind::AnswerFailed };
        self.tell(call, meta, News::of(failed, why.clone()));
        if self.config.behaviour.disconnect_after_answer_failed {
            self.tell(call, meta, News::of(EventKind::CallDisconnected, why.clone()));
        }
        self.forget_connection(call);
    }

    /// An application gives up joining before it is in. Tells whether it was one.
    pub(super) fn stops_joining(&mut self, call: &CallConnectionId, why: &Outcome) -> bool {
        let Some(connection) = self.connections.get(call) else { return false };
        let id = connection.conversation;
        if !connection.joins || connection.state != State::Connecting {
            return false;
        }
        self.end_leg(call, why);
        let venue = self.conversations.get(id).map(|found| &found.venue);
        if venue.is_some_and(|venue| *venue != Venue::Call) {
            self.end_if_lonely(id, why);
        }
        true
    }

    /// Somebody at the far end joins a call by hand; a group call or a room may begin with that.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such call, it is full, or they are in it already.
    pub fn far_join(
        &mut self,
        locator: &Locator,
        who: Identifier,
    ) -> Result<(ServerCallId, CorrelationId), Refusal> {
        let id = match (self.find_venue(locator), locator.venue()) {
            (Some(found), _) => found,
            (None, Some(venue)) => self.begin_venue(venue)?,
            (None, None) => return Err(Refusal::call_not_found()),
        };
        let found = self.conversations.get(id).ok_or_else(Refusal::call_not_found)?;
        if found.party(who.raw_id()).is_some() {
            return Err(Refusal::conflict("The participant is in the call already."));
        }
        if found.parties.len() >= self.config.limits.participants {
            return Err(Refusal::call_full());
        }
        let names = (found.server.clone(), found.correlation.clone());
        let anybody_to_tell = !found.apps().is_empty();
        let raw = who.raw_id().clone();
        self.seat_caller(id, who);
        self.trace_deed("join", id);
        if anybody_to_tell {
            self.tell_roster(id);
        }
        self.start_script(id, &raw);
        Ok(names)
    }
}
