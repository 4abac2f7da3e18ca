//! Handing a party over: the target rings on behalf of the transferee, in a call of their own.

use serde_json::json;

use super::events::News;
use super::outcomes::{self, Outcome};
use super::ringing::{Purpose, Ring};
use super::roster::Seat;
use super::{Meta, Refusal, State, World};
use crate::wire::events::EventKind;
use crate::wire::events::grid::CustomContext;
use crate::wire::identifiers::{CallConnectionId, Identifier};

impl World {
    /// Begins a blind transfer. Without a transferee the other party of a 1:1 call is meant.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, a transfer is under way, or nobody can be transferred.
    pub fn transfer(
        &mut self,
        call: &CallConnectionId,
        target: Identifier,
        transferee: Option<Identifier>,
        custom: Option<CustomContext>,
        meta: Meta,
    ) -> Result<(), Refusal> {
        if self.connected(call)?.state == State::Transferring {
            return Err(Refusal::wrong_state("A transfer is under way in this call."));
        }
        let transferee = self.transferee(call, transferee)?;
        if transferee == target {
            return Err(Refusal::bad("A participant cannot be transferred to itself."));
        }
        let correlation = self.conversation_of(call).map(|found| found.correlation.clone());
        let conversation = self.open_conversation(correlation)?;
        let purpose =
            Purpose::Transfer { call: call.clone(), transferee: transferee.clone(), meta };
        let mut ring = Ring::new(conversation, target, transferee, purpose);
        ring.custom = custom;
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
        let others = self.others(call);
        match named {
            Some(named) => self.other(call, named.raw_id()).map(|party| party.who.clone()),
            None if others.len() > 1 => {
                Err(Refusal::bad("The field transferee is required in a group call."))
            }
            None => others.into_iter().next().ok_or_else(Refusal::participant_not_found),
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
        let was_group = self.is_group(call);
        let moved = self.conversations.get_mut(old).and_then(|found| {
            let at = found.parties.iter().position(|party| party.who == *transferee)?;
            Some(found.parties.remove(at))
        });
        if let Some(party) = moved {
            if let Seat::App(other) = &party.seat
                && let Some(connection) = self.connections.get_mut(other)
            {
                connection.conversation = ring.conversation;
            }
            if let Some(found) = self.conversations.get_mut(ring.conversation) {
                found.parties.insert(0, party);
            }
        }
        self.set_state(call, State::Connected);
        let news = News::of(EventKind::CallTransferAccepted, outcomes::DONE)
            .with(json!({ "transferTarget": ring.target, "transferee": transferee }));
        self.tell(call, meta, news);
        self.media_party_left(call, transferee.raw_id());
        if was_group {
            self.tell_roster(old);
        } else {
            self.end_conversation(old, &outcomes::TRANSFERRED);
        }
        self.tell_roster(ring.conversation);
    }

    pub(super) fn transfer_failed(&mut self, call: &CallConnectionId, meta: &Meta, why: &Outcome) {
        self.set_state(call, State::Connected);
        self.tell(call, meta, News::of(EventKind::CallTransferFailed, why.clone()));
    }
}
