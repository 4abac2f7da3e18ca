//! The service of the simulation: calls, and the journal that they are made again from.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use switchhook::actors::recovery::recover;
use switchhook::ports::{Found, Journal, JournalError, Later, Line, LineKind, Remark, Snapshots};
use switchhook::pure::call::{
    Call, CallView, Effect, Fate, Heard, Input, Limits, WaitEnd, WaiterId,
};
use switchhook::pure::replay::Replay;
use switchhook::pure::time::{Moment, Position, Tick};
use switchhook::storage::journal::{JournalConfig, RedbJournal};
use switchhook::wire::events::{CallEvent, EventKey};
use switchhook::wire::identifiers::CallConnectionId;

use super::super::disk::SimDisk;
use super::Bug;

/// What a client hears.
#[derive(Clone, Debug)]
pub enum Answer {
    Told(Heard),
    Ended(WaitEnd),
}

pub type Kept = Later<'static, Result<(), JournalError>>;

pub struct Service {
    pub journal: Arc<RedbJournal>,
    pub calls: BTreeMap<CallConnectionId, Call>,
    pub limits: Limits,
    /// Answers that clients have not fetched yet.
    pub answers: Vec<(WaiterId, Answer)>,
    pub repeats: u64,
    written: BTreeMap<CallConnectionId, bool>,
}

/// The calendar of the simulation begins here.
const BEGAN_MS: i64 = 1_700_000_000_000;

pub fn moment(now: u64) -> Moment {
    let wall = Timestamp::from_millisecond(BEGAN_MS + now as i64).expect("a time");
    Moment { tick: Tick(now + 1_000_000), wall }
}

fn config() -> JournalConfig {
    JournalConfig {
        queue_lines: 256,
        cache_bytes: 1 << 20,
        batch_lines: 8,
        new_life: 7,
        ..JournalConfig::default()
    }
}

impl Service {
    /// Starts on what the disk has kept.
    pub fn start(disk: &SimDisk, now: u64, bug: Option<Bug>) -> Result<Self, String> {
        let journal = RedbJournal::by_hand(disk.clone(), config()).map_err(|e| e.to_string())?;
        let limits = Limits::default();
        let now = moment(now);
        let replayed = if bug == Some(Bug::ForgetsRepeats) {
            forgetful(journal.as_ref(), &limits, now)
        } else {
            recover(journal.as_ref(), &limits, now, &mut |_| true).map_err(|e| e.to_string())?
        };
        let written = replayed.calls.iter().map(|found| (found.id.clone(), true)).collect();
        let calls = replayed.calls.into_iter().map(|found| (found.id, *found.call)).collect();
        Ok(Self { journal, calls, limits, answers: Vec::new(), repeats: 0, written })
    }

    /// Journals the events and hands them to their calls; the answer comes with the commit.
    pub fn receive(&mut self, jsons: &[String], now: u64) -> (Kept, Vec<Position>) {
        let at = moment(now).wall;
        let line = |json: &String| Line { kind: LineKind::Heard, at, text: json.as_str().into() };
        // As with mailboxes: put there in the lock, looked at after it.
        let mut mailbox = Vec::new();
        let kept = self.journal.append(jsons.iter().map(line).collect(), &mut |first| {
            for (place, json) in (first.0..).zip(jsons) {
                let event = Arc::new(CallEvent::parse(json).expect("a good event"));
                let received_ms = at.as_millisecond();
                mailbox.push(Heard { position: Position(place), received_ms, event });
            }
        });
        let positions = mailbox.iter().map(|heard| heard.position).collect();
        for heard in mailbox {
            let call = heard.event.call.clone();
            self.drive(&call, Input::Event(heard), now);
        }
        (kept, positions)
    }

    /// What happens to one call; an unknown one is opened, as the registry does it.
    pub fn drive(&mut self, id: &CallConnectionId, input: Input, now: u64) {
        let tick = moment(now).tick;
        self.bury(now);
        let call = self.calls.entry(id.clone()).or_insert_with(|| Call::open(tick));
        for effect in call.step(tick, input, &self.limits) {
            match effect {
                Effect::Tell(waiter, heard) => self.answers.push((waiter, Answer::Told(heard))),
                Effect::End(waiter, end) => self.answers.push((waiter, Answer::Ended(end))),
                Effect::Remark(position, remark) => self.journal.remark(position, remark),
                Effect::Count(_, Fate::Repeated) => self.repeats += 1,
                _ => {}
            }
        }
    }

    /// Alarms ring, and what has had its minute is forgotten.
    pub fn pass(&mut self, now: u64) {
        let due =
            |call: &Call| call.deadline(&self.limits).is_some_and(|at| at <= moment(now).tick);
        let due: Vec<_> =
            self.calls.iter().filter(|(_, call)| due(call)).map(|(id, _)| id.clone()).collect();
        for id in due {
            self.drive(&id, Input::Woke, now);
        }
        self.bury(now);
    }

    fn bury(&mut self, now: u64) {
        let (tick, limits) = (moment(now).tick, &self.limits);
        self.calls.retain(|_, call| call.grace_ends(limits).is_none_or(|end| end > tick));
    }

    /// A round of snapshots, as the keeper makes it.
    pub fn round(&mut self, covers: Position, now: u64, bug: Option<Bug>) -> Kept {
        let gone =
            self.written.keys().filter(|id| !self.calls.contains_key(*id)).cloned().collect();
        let write =
            |(id, call): (&CallConnectionId, &Call)| (id.clone(), call.snapshot(moment(now)));
        let mut of: Vec<_> = self.calls.iter().map(write).collect();
        if bug == Some(Bug::LosesAtSnapshot) {
            of.pop();
        }
        self.written = of.iter().map(|(id, _)| (id.clone(), true)).collect();
        self.journal.keep(Snapshots { of, gone, covers: Some(covers) })
    }

    pub fn view(&self, id: &CallConnectionId, now: u64) -> Option<CallView> {
        self.calls.get(id).map(|call| call.view(moment(now).tick, &self.limits))
    }

    /// Everything that waited for a commit, as far as it has come.
    pub fn answered(kept: &mut Kept) -> Option<Result<(), JournalError>> {
        kept.now_or_never()
    }
}

/// A recovery that takes every event for a new one.
fn forgetful(
    journal: &dyn Journal,
    limits: &Limits,
    now: Moment,
) -> switchhook::pure::replay::Replayed {
    let mut replay = Replay::new(limits, now);
    let read = journal.recover(&mut |found| match found {
        Found::Snapshot(id, text) => {
            let mut text: serde_json::Value = serde_json::from_str(text).expect("JSON");
            text["seen"] = serde_json::json!([]);
            replay.snapshot(id, &text.to_string()).expect("a snapshot");
        }
        Found::Line(record, remark) => {
            let Some(mut heard) = switchhook::actors::heard_again(record) else { return };
            let mut event = (*heard.event).clone();
            event.key = EventKey(!event.key.0);
            heard.event = Arc::new(event);
            replay.heard(heard, Remark::and(remark, Remark::default()));
        }
    });
    read.expect("a journal that can be read");
    replay.finish()
}
