//! The pretend Azure of the simulation: what really happened, and how it is told.

use std::collections::BTreeMap;

use super::super::disk::Dice;

/// One event as it happened.
#[derive(Clone, Debug)]
pub struct Happened {
    pub call: String,
    pub kind: &'static str,
    pub context: String,
    pub json: String,
}

/// One posting of some events.
#[derive(Clone, Debug)]
pub struct Posting {
    pub due: u64,
    pub events: Vec<u64>,
    pub attempts: u32,
}

#[derive(Default)]
pub struct Azure {
    /// By id.
    pub happened: BTreeMap<u64, Happened>,
    /// Calls that have not ended.
    pub live: Vec<String>,
    pub begun: u64,
    pub postings: Vec<Posting>,
}

const KINDS: [&str; 5] =
    ["PlayStarted", "PlayCompleted", "PlayFailed", "RecognizeCompleted", "ParticipantsUpdated"];
const CONTEXTS: [&str; 3] = ["a", "b", "c"];

impl Azure {
    /// Something happens, and will be told: late, twice, out of order, together with others, or never.
    pub fn happen(&mut self, dice: &mut Dice, now: u64) {
        let begins = self.live.is_empty() || dice.chance(12) && self.live.len() < 6;
        let (call, kind) = if begins {
            self.begun += 1;
            let call = format!("call-{}", self.begun);
            self.live.push(call.clone());
            (call, "CallConnected")
        } else {
            let place = dice.below(self.live.len() as u64) as usize;
            if dice.chance(8) {
                (self.live.remove(place), "CallDisconnected")
            } else {
                (self.live[place].clone(), KINDS[dice.below(KINDS.len() as u64) as usize])
            }
        };
        let id = self.happened.len() as u64 + 1;
        let context = CONTEXTS[dice.below(CONTEXTS.len() as u64) as usize].to_owned();
        let json = format!(
            r#"{{"id":"e{id}","source":"calling/callConnections/{call}","specversion":"1.0",
                "type":"Microsoft.Communication.{kind}","data":{{"callConnectionId":"{call}",
                "operationContext":"{context}","sequenceNumber":{id},"participants":[],
                "resultInformation":{{"code":200,"subCode":{id}}}}}}}"#
        );
        self.happened.insert(id, Happened { call, kind, context, json });
        if dice.chance(3) {
            return;
        }
        let times = if dice.chance(15) { 2 } else { 1 };
        for _ in 0..times {
            let due = now + if dice.chance(70) { 0 } else { dice.below(4000) };
            match self.postings.last_mut().filter(|last| last.due >= now && last.events.len() < 4) {
                Some(last) if dice.chance(30) => last.events.push(id),
                _ => self.postings.push(Posting { due, events: vec![id], attempts: 3 }),
            }
        }
    }

    /// Takes one posting that is due.
    pub fn post(&mut self, dice: &mut Dice, now: u64) -> Option<Posting> {
        let due: Vec<_> =
            (0..self.postings.len()).filter(|n| self.postings[*n].due <= now).collect();
        let place = *due.get(dice.below(due.len().max(1) as u64) as usize)?;
        Some(self.postings.remove(place))
    }

    /// A posting that nobody acknowledged comes again, a few times.
    pub fn again(&mut self, posting: Posting, now: u64) {
        if posting.attempts > 1 {
            self.postings.push(Posting {
                due: now + 500,
                attempts: posting.attempts - 1,
                ..posting
            });
        }
    }
}
