//! Inviting and removing participants.

use std::time::Duration;

use serde_json::json;

use super::calls::caller_for;
use super::endings::voip_ended;
use super::events::News;
use super::outcomes::{self, Outcome};
use super::ringing::{Purpose, Ring};
use super::roster::Seat;
use super::{Meta, Refusal, World};
use crate::wire::events::grid::CustomContext;
use crate::wire::events::{EventKind, Participant};
use crate::wire::identifiers::{CallConnectionId, Identifier, PhoneNumber, RawId};

/// An invitation.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Who is invited.
    pub target: Identifier,
    /// How long it rings; the default when absent.
    pub lasts: Option<Duration>,
    /// Caller id for a telephone.
    pub number: Option<PhoneNumber>,
    /// Name for a VoIP user.
    pub name: Option<String>,
    /// Headers for the invited party.
    pub custom: Option<CustomContext>,
}

impl World {
    /// Invites somebody; answers with the name of the invitation.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, is full, or has that participant already.
    pub fn add_participant(
        &mut self,
        call: &CallConnectionId,
        wish: Invitation,
        meta: Meta,
    ) -> Result<String, Refusal> {
        let connection = self.connected(call)?;
        let (conversation, identity) = (connection.conversation, connection.identity.clone());
        let raw = wish.target.raw_id();
        let there = self.conversation_of(call).is_some_and(|found| found.party(raw).is_some());
        let invited = |ring: &Ring| ring.conversation == conversation && ring.target == wish.target;
        if there || !self.rings_where(invited).is_empty() {
            return Err(Refusal::new(409, "8519", "The participant is in the call already."));
        }
        if self.others(call).len() + 1 >= self.config.limits.participants {
            return Err(Refusal::bad("The call has as many participants as it can hold."));
        }
        let invitation = self.ids.guid();
        let from = caller_for(&wish.target, wish.number.as_ref(), &identity);
        let purpose = Purpose::Add { call: call.clone(), invitation: invitation.clone(), meta };
        let mut ring = Ring::new(conversation, wish.target, from, purpose);
        ring.display_name = wish.name.unwrap_or_default();
        ring.custom = wish.custom;
        let lasts = wish.lasts.unwrap_or(self.config.behaviour.invitation_default);
        self.start_ring(ring, lasts);
        Ok(invitation)
    }

    pub(super) fn invitee_joined(
        &mut self,
        call: &CallConnectionId,
        who: &Identifier,
        meta: &Meta,
    ) {
        let news = News::of(EventKind::AddParticipantSucceeded, outcomes::DONE)
            .with(json!({ "participant": who }));
        self.tell(call, meta, news);
        if let Some(conversation) = self.connections.get(call).map(|found| found.conversation) {
            self.tell_roster(conversation);
        }
    }

    pub(super) fn invitee_failed(
        &mut self,
        call: &CallConnectionId,
        who: &Identifier,
        meta: &Meta,
        why: &Outcome,
    ) {
        let news = News::of(EventKind::AddParticipantFailed, why.clone())
            .with(json!({ "participant": who }));
        self.tell(call, meta, news);
    }

    /// Takes somebody out of the call.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up or has nobody of that id.
    pub fn remove_participant(
        &mut self,
        call: &CallConnectionId,
        who: &Identifier,
        meta: &Meta,
    ) -> Result<(), Refusal> {
        let conversation = self.connected(call)?.conversation;
        let seat = self.other(call, who.raw_id())?.seat.clone();
        let news = News::of(EventKind::RemoveParticipantSucceeded, outcomes::DONE)
            .with(json!({ "participant": who }));
        self.tell(call, meta, news);
        if let Seat::App(other) = seat {
            self.end_leg(&other, &outcomes::REMOVED);
        }
        let why = voip_ended(self);
        self.party_left(conversation, who.raw_id(), Some(&why));
        Ok(())
    }

    /// The whole roster.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such call.
    pub fn participants(&self, call: &CallConnectionId) -> Result<Vec<Participant>, Refusal> {
        self.connection(call)?;
        Ok(self.roster_for(call))
    }

    /// One of the roster.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such call or participant.
    pub fn participant(
        &self,
        call: &CallConnectionId,
        who: &RawId,
    ) -> Result<Participant, Refusal> {
        let roster = self.participants(call)?;
        let found = roster.into_iter().find(|entry| entry.identifier.raw_id() == who);
        found.ok_or_else(Refusal::participant_not_found)
    }
}
