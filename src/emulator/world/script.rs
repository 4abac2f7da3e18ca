//! What a phone does by itself once it is in a call: the steps of its script, one after the other.

use super::roster::{ConversationId, Seat};
use super::{Due, World};
use crate::emulator::phone_book::{Action, Phone, Prompt, Step};
use crate::wire::identifiers::{CallConnectionId, RawId};

/// A script and how far it has come.
pub struct Script {
    steps: Vec<Step>,
    at: usize,
    /// What the present step waits for.
    waits_for: Option<Prompt>,
}

impl Script {
    /// A phone's script from its beginning, when it has one.
    pub fn of(phone: &Phone) -> Option<Self> {
        let steps = phone.script.clone();
        (!steps.is_empty()).then_some(Self { steps, at: 0, waits_for: None })
    }
}

impl World {
    pub(super) fn start_script(&mut self, conversation: ConversationId, who: &RawId) {
        self.next_step(conversation, who, 0);
    }

    /// Lets somebody who came from another call go on with the step that was due there.
    pub(super) fn resume_script(&mut self, conversation: ConversationId, who: &RawId) {
        let party = self.conversations.get(conversation).and_then(|found| found.party(who));
        let Some(script) = party.and_then(|party| party.script.as_ref()) else { return };
        self.next_step(conversation, who, script.at);
    }

    /// Turns to a step: sets its time when it waits for nothing, or for what is already there.
    fn next_step(&mut self, conversation: ConversationId, who: &RawId, at: usize) {
        let listening = self.is_listened_to(conversation, who);
        let party = self.conversations.get_mut(conversation).and_then(|found| found.party_mut(who));
        let Some(script) = party.and_then(|party| party.script.as_mut()) else { return };
        let Some(step) = script.steps.get(at) else { return };
        let (wanted, after) = (step.on_prompt, step.after);
        script.at = at;
        script.waits_for = wanted.filter(|_| !(listening && wanted == Some(Prompt::Recognize)));
        if script.waits_for.is_none() {
            self.later(after, Due::ScriptStep(conversation, who.clone(), at));
        }
    }

    /// A step's time has come.
    pub(super) fn script_step(&mut self, conversation: ConversationId, who: &RawId, at: usize) {
        let party = self.conversations.get(conversation).and_then(|found| found.party(who));
        let script = party.and_then(|party| party.script.as_ref());
        let Some(step) = script.filter(|script| script.at == at).map(|s| s.steps.get(at)) else {
            return;
        };
        let action = step.map(|step| step.action.clone());
        let deed = match &action {
            Some(Action::Press(_)) => Some("press"),
            Some(Action::Say(_)) => Some("say"),
            Some(Action::Hold) => Some("hold"),
            Some(Action::Resume) => Some("resume"),
            Some(Action::HangUp) => Some("hangup"),
            Some(Action::Wait) | None => None,
        };
        if let Some(deed) = deed {
            self.trace_deed(deed, conversation);
        }
        match action {
            Some(Action::Press(tones)) => self.keys_pressed(conversation, who, &tones),
            Some(Action::Say(words)) => self.words_said(conversation, who, &words),
            Some(Action::Hold) => self.phone_holds(conversation, who, true),
            Some(Action::Resume) => self.phone_holds(conversation, who, false),
            Some(Action::HangUp) => self.party_left(conversation, who, None),
            Some(Action::Wait) | None => {}
        }
        self.next_step(conversation, who, at + 1);
    }

    /// An application begins to play or to listen: phones that waited for it go on.
    pub(super) fn prompt_heard(
        &mut self,
        call: &CallConnectionId,
        targets: &[RawId],
        kind: Prompt,
    ) {
        let Some(conversation) = self.connections.get(call).map(|found| found.conversation) else {
            return;
        };
        let Some(found) = self.conversations.get_mut(conversation) else { return };
        let mut woken = Vec::new();
        for party in &mut found.parties {
            let meant = targets.is_empty() || targets.contains(party.who.raw_id());
            let Some(script) = party.script.as_mut().filter(|_| meant && party.seat == Seat::Phone)
            else {
                continue;
            };
            let heard =
                script.waits_for.is_some_and(|wanted| wanted == Prompt::Any || wanted == kind);
            if heard {
                script.waits_for = None;
                let after = script.steps.get(script.at).map(|step| step.after).unwrap_or_default();
                woken.push((party.who.raw_id().clone(), script.at, after));
            }
        }
        for (who, at, after) in woken {
            self.later(after, Due::ScriptStep(conversation, who, at));
        }
    }
}
