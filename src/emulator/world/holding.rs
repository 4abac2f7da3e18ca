//! Hold: somebody is out of the talk for a while, and hears something else or nothing.
//!
//! Azure tells of a hold that failed and of nothing else; the roster shows who is held.

use super::events::News;
use super::media::{Lane, Line, Op, OpTicket, Work};
use super::outcomes::Outcome;
use super::playback::{Playback, Source};
use super::roster::ConversationId;
use super::{Meta, Refusal, World};
use crate::wire::events::EventKind;
use crate::wire::identifiers::{CallConnectionId, RawId};

impl World {
    /// Puts somebody on hold, who hears `music` until taken back. Again: the new music counts.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, or nobody of that id is in it.
    pub fn hold(
        &mut self,
        call: &CallConnectionId,
        who: &RawId,
        music: Option<Source>,
        meta: Meta,
    ) -> Result<(), Refusal> {
        let conversation = self.connected(call)?.conversation;
        self.other(call, who)?;
        let lane = Lane::Hold(who.clone());
        self.silence(call, &lane);
        self.set_on_hold(conversation, who, true);
        let Some(music) = music else { return Ok(()) };
        self.op_count += 1;
        let op = Op {
            number: self.op_count,
            meta,
            targets: vec![who.clone()],
            work: Work::Hold(Playback::new(vec![music], true)),
            timer: None,
        };
        let ticket = OpTicket { call: call.clone(), lane: lane.clone(), number: op.number };
        let connection = self.connections.get_mut(call).ok_or_else(Refusal::call_not_found)?;
        let line = Line { running: Some(op), waiting: Default::default() };
        connection.media.lanes.insert(lane, line);
        self.load_prompts(&ticket);
        Ok(())
    }

    /// Takes somebody back. Nothing happens to whoever was not on hold.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, or nobody of that id is in it.
    pub fn unhold(&mut self, call: &CallConnectionId, who: &RawId) -> Result<(), Refusal> {
        let conversation = self.connected(call)?.conversation;
        self.other(call, who)?;
        self.silence(call, &Lane::Hold(who.clone()));
        self.set_on_hold(conversation, who, false);
        Ok(())
    }

    /// What was to be heard cannot be played: there is no hold after all.
    pub(super) fn hold_failed(&mut self, ticket: &OpTicket, why: &Outcome) {
        let Lane::Hold(who) = ticket.lane.clone() else { return };
        let conversation = self.connections.get(&ticket.call).map(|found| found.conversation);
        self.end_op(ticket, News::of(EventKind::HoldFailed, why.clone()));
        if let Some(conversation) = conversation {
            self.set_on_hold(conversation, &who, false);
        }
    }

    /// A phone puts the others on hold by itself, or is back.
    pub(super) fn phone_holds(&mut self, conversation: ConversationId, who: &RawId, holds: bool) {
        self.set_on_hold(conversation, who, holds);
    }

    fn set_on_hold(&mut self, conversation: ConversationId, who: &RawId, on_hold: bool) {
        let party = self.conversations.get_mut(conversation).and_then(|found| found.party_mut(who));
        let Some(party) = party.filter(|party| party.is_on_hold != on_hold) else { return };
        party.is_on_hold = on_hold;
        self.tell_roster(conversation);
    }
}
