//! How calls end: somebody leaves, is taken out, or everybody does.

use super::connection::Connection;
use super::events::News;
use super::outcomes::{self, Outcome};
use super::ringing::Purpose;
use super::roster::{Conversation, ConversationId, Party, Seat};
use super::{Due, Refusal, State, World};
use crate::wire::events::EventKind;
use crate::wire::identifiers::{CallConnectionId, RawId};

impl World {
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
        if !self.stops_joining(call, &why) {
            self.app_leaves(call, &why);
        }
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
        let Some(left) = self.conversations.get(conversation) else { return };
        let goes_on = if left.stands_alone() { !left.parties.is_empty() } else { was_group };
        let dropped = left.are_telephones_of_an_application()
            && self.config.behaviour.pstn_parties_drop_when_app_leaves;
        if !goes_on || dropped {
            self.end_conversation(conversation, &voip_ended(self));
            return;
        }
        let talks_alone = left.stands_alone() && left.apps().is_empty();
        self.tell_roster(conversation);
        if talks_alone {
            let talk = self.config.behaviour.talk_without_app;
            self.later(talk, Due::TalkOver(conversation));
        }
    }

    /// Tells a leg that it is over, and forgets it. Its invitations are withdrawn.
    pub(super) fn end_leg(&mut self, call: &CallConnectionId, why: &Outcome) {
        self.media_ends_with_call(call);
        self.recordings_lose(call);
        self.streams_end_with_call(call);
        for ring in self.rings_where(|ring| ring.purpose.asked_by() == Some(call)) {
            let Some(ring) = self.take_ring(ring) else { continue };
            if matches!(ring.purpose, Purpose::Transfer { .. }) {
                self.conversations.remove(ring.conversation);
            }
        }
        let Some(meta) = self.connections.get(call).map(Connection::own_meta) else { return };
        self.tell(call, &meta, News::of(EventKind::CallDisconnected, why.clone()));
        let unanswered = self.forget_connection(call).and_then(|leg| leg.answering);
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
        self.transferee_left(conversation, who);
        if !self.end_if_lonely(conversation, &ended) {
            self.tell_roster(conversation);
        }
    }

    /// Transfers of somebody who is not in the call any more come to nothing.
    pub(super) fn transferee_left(&mut self, conversation: ConversationId, who: &RawId) {
        let here = |call: &CallConnectionId| {
            self.connections.get(call).is_some_and(|found| found.conversation == conversation)
        };
        let transfers = self.rings_where(|ring| match &ring.purpose {
            Purpose::Transfer { call, transferee, .. } => transferee.raw_id() == who && here(call),
            _ => false,
        });
        for ring in transfers {
            if let Some(ring) = self.take_ring(ring) {
                self.ring_failed(ring, &outcomes::CANCELED_BY_CALLER);
            }
        }
    }

    /// Ends a conversation in which nobody has anybody to talk to, and nobody is on the way. Tells
    /// whether it did.
    pub(super) fn end_if_lonely(&mut self, id: ConversationId, why: &Outcome) -> bool {
        if !self.is_lonely(id) {
            return false;
        }
        self.end_conversation(id, why);
        true
    }

    /// Who only connected to a call is company for a phone, but keeps no other application in it.
    fn is_lonely(&self, id: ConversationId) -> bool {
        let Some(found) = self.conversations.get(id) else { return true };
        let (here, coming) = (found.parties.len(), self.on_the_way(id));
        if found.stands_alone() {
            return here + coming == 0;
        }
        if here + coming < 2 || coming > 0 {
            return here + coming < 2;
        }
        let connected = |party: &&Party| match &party.seat {
            Seat::App(call) => self.connections.get(call).is_some_and(|found| found.joins),
            Seat::Phone => false,
        };
        let phones = found.parties.iter().filter(|party| party.seat == Seat::Phone).count();
        let joined = found.parties.iter().filter(connected).count();
        phones == 0 && here - joined < 2
    }

    /// The far end has talked long enough without an application.
    pub(super) fn talk_over(&mut self, id: ConversationId) {
        let nobody_asks = self.conversations.get(id).is_some_and(|found| found.apps().is_empty())
            && self.on_the_way(id) == 0;
        if nobody_asks {
            self.end_conversation(id, &voip_ended(self));
        }
    }

    /// How many are being rung, or have answered and are not there yet.
    fn on_the_way(&self, id: ConversationId) -> usize {
        let stands_alone = self.conversations.get(id).is_some_and(Conversation::stands_alone);
        let arriving = |found: &&Connection| {
            let answers = found.answering.as_ref().is_some_and(|ring| ring.conversation == id);
            let joins = stands_alone && found.joins && found.state == State::Connecting;
            answers || (joins && found.conversation == id)
        };
        self.ringing_in(id) + self.connections.values().filter(arriving).count()
    }

    /// How many are being rung for a conversation.
    pub(super) fn ringing_in(&self, id: ConversationId) -> usize {
        self.rings.values().filter(|ring| ring.conversation == id).count()
    }

    /// Everybody who is still in a conversation is told that it is over.
    pub(super) fn end_conversation(&mut self, id: ConversationId, why: &Outcome) {
        self.recordings_end(id);
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
            self.arrival_failed(&call, &meta, &outcomes::CALL_GONE);
        }
        self.conversations.remove(id);
    }
}

pub(super) fn voip_ended(world: &World) -> Outcome {
    outcomes::voip_ended(world.config.behaviour.voip_party_left)
}
