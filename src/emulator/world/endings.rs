//! How calls end: somebody leaves, is taken out, or everybody does.

use super::connection::Connection;
use super::events::News;
use super::outcomes::{self, Outcome};
use super::ringing::Purpose;
use super::roster::{ConversationId, Seat};
use super::{Refusal, State, World};
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
        self.streams_end_with_call(call);
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
        if parties + self.on_the_way(id) > 1 {
            return false;
        }
        self.end_conversation(id, why);
        true
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
        let ringing = self.rings.values().filter(|ring| ring.conversation == id).count();
        let answering = |found: &&Connection| {
            found.answering.as_ref().is_some_and(|ring| ring.conversation == id)
        };
        ringing + self.connections.values().filter(answering).count()
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

pub(super) fn voip_ended(world: &World) -> Outcome {
    outcomes::voip_ended(world.config.behaviour.voip_party_left)
}
