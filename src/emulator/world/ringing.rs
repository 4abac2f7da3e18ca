//! Ringing: somebody is being called, for one of four reasons, until a phone or an application answers,
//! somebody refuses, or time is up.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::outcomes::{self, Outcome};
use super::roster::{ConversationId, Party, Seat};
use super::script::Script;
use super::{Due, Meta, Refusal, World, agenda};
use crate::emulator::phone_book::{OnRing, Phone};
use crate::wire::events::grid::CustomContext;
use crate::wire::identifiers::{
    CallConnectionId, Identifier, IdentifierKind, IncomingCallContext, RawId,
};

/// Names a ring inside the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RingId(pub(super) u64);

/// Somebody is being called.
pub struct Ring {
    /// The call that the answerer joins.
    pub conversation: ConversationId,
    pub target: Identifier,
    pub from: Identifier,
    pub display_name: String,
    pub custom: Option<CustomContext>,
    pub purpose: Purpose,
    /// What an application answers, redirects or rejects it with.
    pub ticket: Option<IncomingCallContext>,
    /// How many redirects it has behind it.
    pub hops: u32,
    /// The number that was dialled first, when it was one.
    pub dialled: Option<RawId>,
    pub since: crate::pure::time::Tick,
    pub over: Option<agenda::Entry>,
    pub reaction: Option<agenda::Entry>,
}

/// Why it rings.
#[derive(Clone)]
pub enum Purpose {
    /// The far end calls the resource.
    Incoming,
    /// An application places a call.
    Create { call: CallConnectionId },
    /// An application invites somebody.
    Add { call: CallConnectionId, invitation: String, meta: Meta },
    /// An application hands `transferee` over.
    Transfer { call: CallConnectionId, transferee: Identifier, meta: Meta },
}

impl Purpose {
    /// The application that asked for it.
    pub fn asked_by(&self) -> Option<&CallConnectionId> {
        match self {
            Self::Incoming => None,
            Self::Create { call } | Self::Add { call, .. } | Self::Transfer { call, .. } => {
                Some(call)
            }
        }
    }

    pub fn label(&self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Create { .. } => "create",
            Self::Add { .. } => "add",
            Self::Transfer { .. } => "transfer",
        }
    }
}

impl Ring {
    pub fn new(
        conversation: ConversationId,
        target: Identifier,
        from: Identifier,
        purpose: Purpose,
    ) -> Self {
        Self {
            conversation,
            from,
            display_name: String::new(),
            custom: None,
            purpose,
            ticket: None,
            hops: 0,
            dialled: target.raw_id().number().map(|_| target.raw_id().clone()),
            target,
            since: crate::pure::time::Tick::default(),
            over: None,
            reaction: None,
        }
    }

    /// The caller id under which an application dials a telephone.
    pub fn dialled_from(&self) -> Option<&RawId> {
        let dialled = self.is_telephone() && self.purpose.asked_by().is_some();
        dialled.then(|| self.from.raw_id())
    }

    pub fn is_telephone(&self) -> bool {
        self.target.kind() == IdentifierKind::PhoneNumber
    }
}

impl World {
    /// Lets a ring begin: the far end's phone rings, and the application is told when the target
    /// belongs to the resource.
    pub(super) fn start_ring(&mut self, mut ring: Ring, lasts: Duration) -> RingId {
        self.ring_count += 1;
        let id = RingId(self.ring_count);
        ring.since = self.now.tick;
        ring.over = Some(self.later(lasts, Due::RingOver(id)));
        if self.belongs_to_resource(&ring) {
            self.announce(id, &mut ring);
        }
        if let Some(phone) = self.phone_that_rings(&ring) {
            let delay = match phone.on_ring {
                OnRing::NoAnswer | OnRing::Manual => None,
                _ => Some((phone.after, phone.on_ring)),
            };
            ring.reaction = delay.map(|(after, how)| self.later(after, Due::PhoneReacts(id, how)));
        }
        self.rings.insert(id, ring);
        id
    }

    fn belongs_to_resource(&self, ring: &Ring) -> bool {
        let raw = ring.target.raw_id();
        let called_from_outside = matches!(ring.purpose, Purpose::Incoming) && ring.hops == 0;
        match raw.number() {
            Some(_) if called_from_outside => true,
            Some(number) => self.config.any_number || self.own_numbers.contains(number),
            None => raw.as_str().starts_with(&self.config.identity_prefix),
        }
    }

    /// The phone that this ring reaches. A call that waits for the application's decision, and a
    /// number of the resource, reach only a phone that is in the book.
    fn phone_that_rings(&self, ring: &Ring) -> Option<Phone> {
        let known = self.config.phones.get(ring.target.raw_id());
        let for_the_application = (matches!(ring.purpose, Purpose::Incoming) && ring.hops == 0)
            || (ring.is_telephone() && self.belongs_to_resource(ring));
        match known {
            Some(phone) => Some(phone.clone()),
            None if for_the_application => None,
            None => Some(self.config.default_phone.clone()),
        }
    }

    /// Raises `IncomingCall`.
    fn announce(&mut self, id: RingId, ring: &mut Ring) {
        let Some(conversation) = self.conversations.get(ring.conversation) else { return };
        let server = conversation.server.clone();
        let correlation = if ring.hops > 0 && !self.config.behaviour.redirect_keeps_correlation {
            self.ids.correlation()
        } else {
            conversation.correlation.clone()
        };
        let ticket = self.ids.ticket();
        self.tickets.insert(ticket.clone(), id);
        ring.ticket = Some(ticket.clone());
        let mut data = Map::new();
        data.insert("to".into(), json!(ring.target));
        data.insert("from".into(), json!(ring.from));
        data.insert("serverCallId".into(), json!(server));
        data.insert("callerDisplayName".into(), json!(ring.display_name));
        if let Some(custom) = &ring.custom {
            let custom = spelled(custom, &self.config.behaviour.calls.user_to_user);
            data.insert("customContext".into(), json!(custom));
        }
        data.insert("incomingCallContext".into(), json!(ticket));
        data.insert("correlationId".into(), json!(correlation));
        let subject = format!(
            "/caller/{}/recipient/{}",
            ring.from.raw_id().as_str(),
            ring.target.raw_id().as_str()
        );
        self.raise("Microsoft.Communication.IncomingCall", subject, Value::Object(data));
    }

    /// Takes the ring of a ticket, for an application that answers, redirects or rejects it.
    ///
    /// # Errors
    /// [`Refusal`] when it does not ring any more.
    pub(super) fn take_ticket(&mut self, ticket: &IncomingCallContext) -> Result<Ring, Refusal> {
        let ring = self.tickets.get(ticket).copied().and_then(|id| self.take_ring(id));
        let ring = ring.ok_or_else(|| self.no_ticket(ticket))?;
        self.ticket_used(ticket);
        Ok(ring)
    }

    /// The ring of a ticket, left as it is.
    pub(super) fn ring_of_ticket(&self, ticket: &IncomingCallContext) -> Result<&Ring, Refusal> {
        let ring = self.tickets.get(ticket).and_then(|id| self.rings.get(id));
        ring.ok_or_else(|| self.no_ticket(ticket))
    }

    pub(super) fn take_ring(&mut self, id: RingId) -> Option<Ring> {
        let mut ring = self.rings.remove(&id)?;
        for entry in [ring.over.take(), ring.reaction.take()].into_iter().flatten() {
            self.agenda.cancel(entry);
        }
        if let Some(ticket) = ring.ticket.take() {
            self.tickets.remove(&ticket);
        }
        Some(ring)
    }

    pub(super) fn rings_where(&self, wanted: impl Fn(&Ring) -> bool) -> Vec<RingId> {
        self.rings.iter().filter(|(_, ring)| wanted(ring)).map(|(id, _)| *id).collect()
    }

    pub(super) fn phone_reacts(&mut self, id: RingId, how: OnRing) {
        let Some(ring) = self.take_ring(id) else { return };
        let deed = match how {
            OnRing::Answer => Some("answer"),
            OnRing::Decline => Some("decline"),
            OnRing::Busy => Some("busy"),
            OnRing::Unreachable => Some("unreachable"),
            OnRing::NoAnswer | OnRing::Manual => None,
        };
        if let Some(deed) = deed {
            self.trace_deed(deed, ring.conversation);
        }
        let telephone = ring.is_telephone();
        let voicemail = telephone
            && self.config.behaviour.calls.declined_telephone_joins
            && matches!(ring.purpose, Purpose::Add { .. });
        match how {
            OnRing::Decline if voicemail => self.ring_answered(ring, Seat::Phone),
            OnRing::Answer => self.ring_answered(ring, Seat::Phone),
            OnRing::Decline => self.ring_failed(ring, &outcomes::DECLINED),
            OnRing::Busy => self.ring_failed(ring, &outcomes::busy(telephone)),
            OnRing::Unreachable => self.ring_failed(ring, &outcomes::unreachable(telephone)),
            OnRing::NoAnswer | OnRing::Manual => {}
        }
    }

    pub(super) fn ring_timed_out(&mut self, id: RingId) {
        if let Some(ring) = self.take_ring(id) {
            self.ring_failed(ring, &outcomes::NO_ANSWER);
        }
    }

    /// The target takes its seat, and whoever asked for it is told.
    pub(super) fn ring_answered(&mut self, ring: Ring, seat: Seat) {
        let mut party = Party::new(ring.target.clone(), seat);
        party.dialled_from = ring.dialled_from().cloned();
        if party.seat == Seat::Phone {
            party.script = self.script_of(ring.target.raw_id());
        }
        let Some(conversation) = self.conversations.get_mut(ring.conversation) else { return };
        let has_script = party.script.is_some();
        if conversation.party(ring.target.raw_id()).is_none() {
            conversation.parties.push(party);
        }
        match &ring.purpose {
            Purpose::Incoming => self.tell_roster(ring.conversation),
            Purpose::Create { call } => self.target_answered(call),
            Purpose::Add { call, invitation: _, meta } => {
                self.invitee_joined(call, &ring.target, meta);
            }
            Purpose::Transfer { call, transferee, meta } => {
                self.transfer_done(&ring, call, transferee, meta);
            }
        }
        if matches!(ring.purpose, Purpose::Incoming) {
            self.start_script(ring.conversation, ring.from.raw_id());
        }
        if has_script {
            self.start_script(ring.conversation, ring.target.raw_id());
        }
    }

    /// The target did not come; whoever asked for it is told why.
    pub(super) fn ring_failed(&mut self, ring: Ring, why: &Outcome) {
        match &ring.purpose {
            Purpose::Incoming => {
                self.end_if_lonely(ring.conversation, why);
            }
            Purpose::Create { call } => self.target_failed(call, why),
            Purpose::Add { call, invitation: _, meta } => {
                self.invitee_failed(call, &ring.target, meta, why);
                self.end_if_lonely(ring.conversation, why);
            }
            Purpose::Transfer { call, transferee: _, meta } => {
                self.conversations.remove(ring.conversation);
                self.transfer_failed(&ring, call, meta, why);
            }
        }
    }

    fn script_of(&self, who: &RawId) -> Option<Script> {
        let phone = self.config.phones.get(who).unwrap_or(&self.config.default_phone);
        Script::of(phone)
    }

    /// Somebody who calls from the far end takes a seat.
    pub(super) fn seat_caller(&mut self, conversation: ConversationId, caller: Identifier) {
        let mut party = Party::new(caller, Seat::Phone);
        let known = self.config.phones.get(party.who.raw_id());
        party.script = known.and_then(Script::of);
        if let Some(conversation) = self.conversations.get_mut(conversation) {
            conversation.parties.push(party);
        }
    }
}

/// The headers as `IncomingCall` spells them: `User-To-User` has a name of its own there.
fn spelled(custom: &CustomContext, user_to_user: &str) -> CustomContext {
    let spelled = |(name, value): (&String, &Option<String>)| {
        let name = if is_user_to_user(name) { user_to_user } else { name.as_str() };
        (name.to_owned(), value.clone())
    };
    let sip_headers = custom.sip_headers.iter().map(spelled).collect();
    CustomContext { sip_headers, ..custom.clone() }
}

/// Whether a SIP header is User-To-User, in any of its spellings.
pub fn is_user_to_user(name: &str) -> bool {
    name.replace('-', "").eq_ignore_ascii_case("usertouser")
}
