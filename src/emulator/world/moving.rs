//! Moving participants from one call of the application's to another.

use serde_json::json;

use super::endings::voip_ended;
use super::events::News;
use super::outcomes::{self, Outcome};
use super::roster::{ConversationId, Seat};
use super::{Meta, Refusal, World};
use crate::emulator::call_config::{EmptiedCall, Impossible};
use crate::wire::events::{EventKind, Participant};
use crate::wire::identifiers::{CallConnectionId, Identifier, RawId};

impl World {
    /// Moves participants of another call here. What became of each is told by an event of its own.
    ///
    /// # Errors
    /// [`Refusal`] when this call is not up, the other one is the same, or the other one is not there
    /// and that is told at once.
    pub fn move_participants(
        &mut self,
        call: &CallConnectionId,
        from: &CallConnectionId,
        who: &[Identifier],
        meta: &Meta,
    ) -> Result<Vec<Participant>, Refusal> {
        let to = self.connected(call)?.conversation;
        let source = self.connected(from).map(|found| found.conversation);
        if source.as_ref().is_ok_and(|source| *source == to) {
            return Err(Refusal::bad(
                "The field FromCall must name another call than the one that is asked.",
            ));
        }
        let refused = self.config.behaviour.calls.move_missing == Impossible::Refused;
        let source = match source {
            Err(refusal) if refused => return Err(refusal),
            source => source.ok(),
        };
        let mut once: Vec<&RawId> = Vec::with_capacity(who.len());
        for raw in who.iter().map(Identifier::raw_id) {
            if !once.contains(&raw) {
                once.push(raw);
            }
        }
        let (mut asked, mut moved) = (Vec::new(), Vec::new());
        for raw in once {
            let identifier = Identifier::from_raw_id(raw.clone());
            let result = match source {
                Some(source) => self.move_one((from, source), to, raw),
                None => Err(outcomes::CALL_GONE),
            };
            asked.push(self.listed(to, raw));
            let (kind, outcome) = match result {
                Ok(()) => (EventKind::MoveParticipantSucceeded, outcomes::DONE),
                Err(why) => (EventKind::MoveParticipantFailed, why),
            };
            if kind == EventKind::MoveParticipantSucceeded {
                moved.push(raw);
            }
            let members = json!({ "participant": identifier, "fromCall": from });
            self.tell(call, meta, News::of(kind, outcome).with(members));
        }
        if let Some(source) = source.filter(|_| !moved.is_empty()) {
            self.tell_roster(to);
            self.moved_away(source);
            for raw in moved {
                self.resume_script(to, raw);
            }
        }
        Ok(asked)
    }

    fn move_one(
        &mut self,
        (from, source): (&CallConnectionId, ConversationId),
        to: ConversationId,
        who: &RawId,
    ) -> Result<(), Outcome> {
        let party = self.conversations.get(source).and_then(|found| found.party(who));
        let itself = Seat::App(from.clone());
        if party.is_none_or(|party| party.seat == itself) {
            return Err(outcomes::PARTY_GONE);
        }
        let target = self.conversations.get(to).ok_or(outcomes::CALL_GONE)?;
        if target.party(who).is_some() {
            return Err(outcomes::PARTY_THERE);
        }
        if target.parties.len() + self.ringing_in(to) >= self.config.limits.participants {
            return Err(outcomes::CALL_FULL);
        }
        let mut party = self
            .conversations
            .get_mut(source)
            .and_then(|found| {
                let at = found.parties.iter().position(|party| party.who.raw_id() == who)?;
                Some(found.parties.remove(at))
            })
            .ok_or(outcomes::PARTY_GONE)?;
        party.is_on_hold = false; // whoever held the line was the other call
        if let Seat::App(other) = &party.seat
            && let Some(connection) = self.connections.get_mut(other)
        {
            connection.conversation = to;
        }
        if let Some(target) = self.conversations.get_mut(to) {
            target.parties.push(party);
        }
        let left = self.conversations.get(source).map(|found| found.apps()).unwrap_or_default();
        for app in left {
            self.media_party_left(&app, who);
        }
        self.transferee_left(source, who);
        Ok(())
    }

    /// A call that somebody was moved away from.
    fn moved_away(&mut self, source: ConversationId) {
        self.tell_roster(source);
        if self.config.behaviour.calls.emptied_call == EmptiedCall::Ends {
            let why = voip_ended(self);
            self.end_if_lonely(source, &why);
        }
    }

    /// Somebody as the roster of a call shows them, or would.
    fn listed(&self, id: ConversationId, who: &RawId) -> Participant {
        let party = self.conversations.get(id).and_then(|found| found.party(who));
        party.map(super::roster::Party::listed).unwrap_or_else(|| Participant {
            identifier: Identifier::from_raw_id(who.clone()),
            is_muted: false,
            is_on_hold: false,
        })
    }
}
