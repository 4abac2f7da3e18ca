//! Inviting and removing participants.

use std::time::Duration;

use serde_json::json;

use super::calls::caller_for;
use super::endings::voip_ended;
use super::events::News;
use super::outcomes::{self, Outcome};
use super::ringing::{Purpose, Ring};
use super::roster::{Conversation, ConversationId, Seat};
use super::{Meta, Refusal, World};
use crate::emulator::call_config::Impossible;
use crate::wire::events::grid::CustomContext;
use crate::wire::events::{EventKind, Participant};
use crate::wire::identifiers::{CallConnectionId, Identifier, IdentifierKind, PhoneNumber, RawId};

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
        if self.is_there_or_invited(conversation, &wish.target) {
            if self.config.behaviour.calls.add_existing == Impossible::Refused {
                return Err(Refusal::conflict("The participant is in the call already."));
            }
            self.invitee_failed(call, &wish.target, &meta, &outcomes::PARTY_THERE);
            return Ok(self.ids.guid());
        }
        let here = self.conversations.get(conversation).map_or(0, |found| found.parties.len());
        if here + self.ringing_in(conversation) >= self.config.limits.participants {
            return Err(Refusal::call_full());
        }
        self.check_teams(std::slice::from_ref(&wish.target))?;
        self.check_caller_id(wish.number.as_ref(), std::slice::from_ref(&wish.target))?;
        let invitation = self.ids.guid();
        let from = caller_for(&wish.target, wish.number.as_ref(), &identity);
        let purpose = Purpose::Add { call: call.clone(), invitation: invitation.clone(), meta };
        let mut ring = Ring::new(conversation, wish.target, from, purpose);
        ring.display_name = wish.name.filter(|_| !ring.is_telephone()).unwrap_or_default();
        ring.custom = wish.custom;
        let lasts = wish.lasts.unwrap_or(self.config.behaviour.invitation_default);
        self.start_ring(ring, lasts);
        Ok(invitation)
    }

    fn is_there_or_invited(&self, conversation: ConversationId, who: &Identifier) -> bool {
        let there = |found: &Conversation| found.party(who.raw_id()).is_some();
        let invited = |ring: &Ring| ring.conversation == conversation && ring.target == *who;
        self.conversations.get(conversation).is_some_and(there) || self.rings.values().any(invited)
    }

    /// Withdraws an invitation. Whether it was still pending is told by an event.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up.
    pub fn cancel_add(
        &mut self,
        call: &CallConnectionId,
        invitation: &str,
        meta: &Meta,
    ) -> Result<(), Refusal> {
        let conversation = self.connected(call)?.conversation;
        let members = json!({ "invitationId": invitation });
        let meant = |ring: &Ring| match &ring.purpose {
            Purpose::Add { call: by, invitation: name, .. } => by == call && name == invitation,
            _ => false,
        };
        let ring = self.rings_where(meant).first().copied().and_then(|id| self.take_ring(id));
        let Some(ring) = ring else {
            let kind = EventKind::CancelAddParticipantFailed;
            self.tell(call, meta, News::of(kind, outcomes::INVITATION_OVER).with(members));
            return Ok(());
        };
        let kind = EventKind::CancelAddParticipantSucceeded;
        self.tell(call, meta, News::of(kind, outcomes::DONE).with(members));
        let why = &outcomes::CANCELED_BY_CALLER;
        if self.config.behaviour.calls.cancelled_add_fails
            && let Purpose::Add { meta, .. } = &ring.purpose
        {
            self.invitee_failed(call, &ring.target, meta, why);
        }
        self.end_if_lonely(conversation, why);
        Ok(())
    }

    /// Mutes users. There is no way back over the API: they have to unmute themselves.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, or one of them is not in it or not a VoIP user; then
    /// nobody is muted.
    pub fn mute(&mut self, call: &CallConnectionId, who: &[Identifier]) -> Result<(), Refusal> {
        let conversation = self.connected(call)?.conversation;
        for one in who {
            if one.kind() != IdentifierKind::CommunicationUser {
                return Err(Refusal::bad("Only communication users can be muted."));
            }
            self.other(call, one.raw_id())?;
        }
        let mut changed = false;
        for one in who {
            changed |= self.mark_muted(conversation, one.raw_id(), true);
        }
        if changed {
            self.tell_roster(conversation);
        }
        Ok(())
    }

    /// Mutes somebody or takes that back, and tells who listens.
    pub(super) fn set_muted(&mut self, conversation: ConversationId, who: &RawId, muted: bool) {
        if self.mark_muted(conversation, who, muted) {
            self.tell_roster(conversation);
        }
    }

    /// Tells whether that was news.
    fn mark_muted(&mut self, conversation: ConversationId, who: &RawId, muted: bool) -> bool {
        let party = self.conversations.get_mut(conversation).and_then(|found| found.party_mut(who));
        party.is_some_and(|party| std::mem::replace(&mut party.is_muted, muted) != muted)
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
        let missing = self.config.behaviour.calls.remove_missing;
        let seat = match self.other(call, who.raw_id()) {
            Ok(party) => party.seat.clone(),
            Err(_) if missing == Impossible::Failed => {
                let news = News::of(EventKind::RemoveParticipantFailed, outcomes::PARTY_GONE)
                    .with(json!({ "participant": who }));
                self.tell(call, meta, news);
                return Ok(());
            }
            Err(refusal) => return Err(refusal),
        };
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
