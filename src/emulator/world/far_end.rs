//! The far end by hand: calls that come in, and what people do with their phones.

use super::ringing::{Purpose, Ring, RingId};
use super::roster::{ConversationId, Seat};
use super::{Refusal, World};
use crate::wire::events::grid::CustomContext;
use crate::wire::identifiers::{
    CorrelationId, Identifier, IncomingCallContext, RawId, ServerCallId,
};

/// A call from the far end.
#[derive(Clone, Debug)]
pub struct IncomingCallWish {
    /// Who calls.
    pub from: Identifier,
    /// Who is called.
    pub to: Identifier,
    /// Name of the caller; telephones have none.
    pub display_name: String,
    /// Headers that come with the call.
    pub custom: Option<CustomContext>,
}

/// What somebody at the far end does.
#[derive(Clone, PartialEq)]
pub enum Deed {
    /// Picks up.
    Answer,
    /// Refuses.
    Decline,
    /// Is in another call.
    Busy,
    /// Presses keys.
    Press(Vec<&'static str>),
    /// Says something.
    Say(String),
    /// Puts the others on hold.
    Hold,
    /// Is back.
    Resume,
    /// Leaves, or gives up calling.
    HangUp,
    /// Mutes the own microphone.
    Mute,
    /// Unmutes it. The API cannot do that.
    Unmute,
}

impl Deed {
    /// A word for what only somebody in the call can do. Ringing phones are traced where they react.
    fn of_the_seated(&self) -> Option<&'static str> {
        match self {
            Self::Answer | Self::Decline | Self::Busy => None,
            Self::Press(_) => Some("press"),
            Self::Say(_) => Some("say"),
            Self::Hold => Some("hold"),
            Self::Resume => Some("resume"),
            Self::HangUp => Some("hangup"),
            Self::Mute => Some("mute"),
            Self::Unmute => Some("unmute"),
        }
    }
}

/// The names of a call that came in.
pub type IncomingCallNames = (IncomingCallContext, ServerCallId, CorrelationId);

impl World {
    /// Lets somebody call the resource. It rings until an application or a phone decides.
    ///
    /// # Errors
    /// [`Refusal`] when there are too many calls, or the called one is not of the resource.
    pub fn incoming_call(&mut self, wish: IncomingCallWish) -> Result<IncomingCallNames, Refusal> {
        let conversation = self.open_conversation(None)?;
        let may_learn = self.own_numbers.len() < self.config.limits.numbers;
        if let Some(number) = wish.to.raw_id().number().filter(|_| may_learn) {
            self.own_numbers.insert(number.to_owned());
        }
        self.seat_caller(conversation, wish.from.clone());
        let mut ring = Ring::new(conversation, wish.to, wish.from, Purpose::Incoming);
        ring.display_name = wish.display_name;
        ring.custom = wish.custom;
        let lasts = self.config.behaviour.ring;
        let ring = self.start_ring(ring, lasts);
        let ticket = self.rings.get(&ring).and_then(|ring| ring.ticket.clone());
        let names = self
            .conversations
            .get(conversation)
            .zip(ticket)
            .map(|(found, ticket)| (ticket, found.server.clone(), found.correlation.clone()));
        if names.is_some() {
            self.trace_deed("call", conversation);
        }
        names.ok_or_else(|| {
            self.take_ring(ring);
            self.conversations.remove(conversation);
            Refusal::bad("The called identity does not belong to the resource; its raw id must begin with the identity prefix.")
        })
    }

    /// Somebody at the far end does something in a call.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such call, or nobody of that id who could do it.
    pub fn far_end(&mut self, server: &str, who: &RawId, deed: &Deed) -> Result<(), Refusal> {
        let conversation =
            self.conversations.by_server(server).ok_or_else(Refusal::call_not_found)?;
        if let Some(word) = deed.of_the_seated() {
            self.seated_phone(conversation, who)?;
            self.trace_deed(word, conversation);
        }
        match deed {
            Deed::Answer => {
                let ring = self.ring_for(conversation, who)?;
                self.phone_reacts(ring, crate::emulator::phone_book::OnRing::Answer);
            }
            Deed::Decline => {
                let ring = self.ring_for(conversation, who)?;
                self.phone_reacts(ring, crate::emulator::phone_book::OnRing::Decline);
            }
            Deed::Busy => {
                let ring = self.ring_for(conversation, who)?;
                self.phone_reacts(ring, crate::emulator::phone_book::OnRing::Busy);
            }
            Deed::Press(tones) => {
                self.keys_pressed(conversation, who, tones);
            }
            Deed::Say(words) => {
                self.words_said(conversation, who, words);
            }
            Deed::Hold | Deed::Resume => {
                self.phone_holds(conversation, who, *deed == Deed::Hold);
            }
            Deed::Mute | Deed::Unmute => {
                self.set_muted(conversation, who, *deed == Deed::Mute);
            }
            Deed::HangUp => {
                self.caller_gives_up(conversation, who);
                self.party_left(conversation, who, None);
            }
        }
        Ok(())
    }

    /// The ring of somebody, in this call or in the one that a transfer from it makes.
    fn ring_for(&self, conversation: ConversationId, who: &RawId) -> Result<RingId, Refusal> {
        let here = |ring: &Ring| {
            let asked_here = ring
                .purpose
                .asked_by()
                .and_then(|call| self.connections.get(call))
                .is_some_and(|found| found.conversation == conversation);
            ring.target.raw_id() == who && (ring.conversation == conversation || asked_here)
        };
        self.rings_where(here).first().copied().ok_or_else(|| {
            Refusal::new(404, "8522", "Nobody of that id is being rung in this call.")
        })
    }

    fn seated_phone(&self, conversation: ConversationId, who: &RawId) -> Result<(), Refusal> {
        let party = self.conversations.get(conversation).and_then(|found| found.party(who));
        match party.map(|party| &party.seat) {
            Some(Seat::Phone) => Ok(()),
            Some(Seat::App(_)) => Err(Refusal::conflict(
                "An application sits there, not a phone; use the call API for it.",
            )),
            None => Err(Refusal::participant_not_found()),
        }
    }

    /// A caller who hangs up while it still rings takes the ring along.
    fn caller_gives_up(&mut self, conversation: ConversationId, who: &RawId) {
        let theirs = |ring: &Ring| {
            ring.conversation == conversation
                && ring.from.raw_id() == who
                && matches!(ring.purpose, Purpose::Incoming)
        };
        for ring in self.rings_where(theirs) {
            self.take_ring(ring);
        }
        let arriving: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, found)| {
                found.answering.as_ref().is_some_and(|ring| {
                    ring.conversation == conversation && ring.from.raw_id() == who
                })
            })
            .map(|(call, found)| (call.clone(), found.own_meta()))
            .collect();
        for (call, meta) in arriving {
            self.arrival_failed(&call, &meta, &super::outcomes::CALL_GONE);
        }
    }
}
