//! The judge: what was done and answered, held against what is seen after a restart.
//!
//! Pure. Knows nothing of processes or HTTP; says what is wrong, never what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::azure::{Asked, Azure};
use super::ledger::{CallNote, End, Ledger, Outcome, Ring, Sent, WaitNote, Write};

/// An accepted call is acted on within its ring time. Beyond so much of it nothing is demanded.
const RINGS_MS: u64 = 25_000;
/// The machine may be busy when a time is up.
const SLACK_MS: u64 = 2_000;
/// What a restart, or time alone, may change in the picture of a call.
const CHANGING: [&str; 7] =
    ["ageMs", "backlog", "decision", "subscriptions", "unverified", "waits", "wakesInMs"];

/// A call as it was seen; `None` for what was answered with 404.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub timeline: Option<Vec<Value>>,
    pub view: Option<Value>,
    /// When that was, on the watch.
    pub at_ms: u64,
}

/// What is seen after a restart.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub calls: BTreeMap<String, Seen>,
    /// The events of all calls, from the beginning.
    pub all: Vec<Value>,
    pub asked: Vec<Asked>,
    /// Key to version and note.
    pub numbers: BTreeMap<String, (u64, String)>,
    pub table_version: u64,
    /// Legs of answered calls that the service knows.
    pub legs: BTreeSet<String>,
    /// How long ended calls are kept.
    pub tombstone_ms: u64,
    pub now_ms: u64,
    /// Lines of the log that tell of a panic.
    pub panics: Vec<String>,
    /// How the process ended, if not by our hand.
    pub died: Option<String>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq)]
pub enum Violation {
    CallLost {
        call: String,
    },
    EventLost {
        call: String,
        id: String,
    },
    EventTwice {
        call: String,
        id: String,
    },
    EventOutOfOrder {
        call: String,
        id: String,
    },
    EventOfAnotherCall {
        call: String,
        id: String,
    },
    EventNobodySent {
        call: String,
        id: String,
    },
    EventChanged {
        call: String,
        id: String,
    },
    /// So often in the list of all events.
    EventInListSoOften {
        id: String,
        listed: usize,
        acknowledged: usize,
        sent: usize,
    },
    ListOutOfOrder {
        cursor: String,
    },
    WrongState {
        call: String,
        state: Value,
        ending: Value,
    },
    CallChanged {
        call: String,
        before: Value,
        after: Value,
    },
    WaitEndedWrongly {
        call: String,
        context: String,
        outcome: Outcome,
        because: &'static str,
    },
    WaitStillStands {
        call: String,
        context: String,
    },
    ActedTwice {
        ticket: String,
        times: usize,
    },
    NotActed {
        ticket: String,
    },
    WrongAction {
        ticket: String,
        operation: String,
    },
    NotTheSameRequest {
        ticket: String,
        operation: String,
    },
    LegUnknown {
        leg: String,
    },
    NumberLost {
        key: String,
        seen: Option<(u64, String)>,
        allowed: Vec<Option<String>>,
    },
    VersionFell {
        key: String,
    },
    StrangeAnswer {
        to: &'static str,
        status: u16,
        body: String,
    },
    Panicked {
        line: String,
    },
    Died {
        how: String,
    },
}

/// Everything that is wrong.
pub fn check(ledger: &Ledger, observed: &Observed) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for (call, note) in &ledger.calls {
        if let Some(seen) = observed.calls.get(call) {
            of_call(ledger, call, note, seen, observed.tombstone_ms, &mut wrong);
        }
    }
    of_list(ledger, &observed.all, &mut wrong);
    for wait in &ledger.waits {
        wrong.extend(of_wait(ledger, wait, observed.now_ms));
    }
    of_rings(ledger, observed, &mut wrong);
    of_numbers(ledger, observed, &mut wrong);
    let strange = ledger.strange.iter().cloned();
    wrong.extend(strange.map(|(to, status, body)| Violation::StrangeAnswer { to, status, body }));
    wrong.extend(observed.panics.iter().cloned().map(|line| Violation::Panicked { line }));
    wrong.extend(observed.died.iter().cloned().map(|how| Violation::Died { how }));
    wrong
}

fn id_of(line: &Value) -> String {
    line["event"]["id"].as_str().unwrap_or_default().to_owned()
}

fn of_call(
    ledger: &Ledger,
    call: &str,
    note: &CallNote,
    seen: &Seen,
    tombstone_ms: u64,
    wrong: &mut Vec<Violation>,
) {
    let acked = |id: &&String| ledger.events.get(*id).is_some_and(|sent| sent.acked.is_some());
    let kept = note.end.as_ref().is_none_or(|(_, at)| seen.at_ms < at + tombstone_ms);
    let (Some(timeline), Some(view)) = (&seen.timeline, &seen.view) else {
        if kept && note.events.iter().any(|id| acked(&id)) {
            wrong.push(Violation::CallLost { call: call.to_owned() });
        }
        return;
    };
    of_timeline(ledger, call, note, timeline, wrong);
    let found: BTreeSet<_> = timeline.iter().map(id_of).collect();
    for id in note.events.iter().filter(acked).filter(|id| kept && !found.contains(*id)) {
        wrong.push(Violation::EventLost { call: call.to_owned(), id: id.clone() });
    }
    if !state_is_true(ledger, note, view) {
        let (state, ending) = (view["state"].clone(), view["ending"].clone());
        wrong.push(Violation::WrongState { call: call.to_owned(), state, ending });
    }
    let Some(picture) = &note.picture else { return };
    if picture.taken < note.touched || matches!(note.end, Some((End::Silent, _))) {
        return;
    }
    let fates = ledger.is_safe(picture.taken);
    let (before, after) = (lasting(&picture.view, fates), lasting(view, fates));
    if before != after {
        wrong.push(Violation::CallChanged { call: call.to_owned(), before, after });
    }
}

fn of_timeline(
    ledger: &Ledger,
    call: &str,
    note: &CallNote,
    timeline: &[Value],
    wrong: &mut Vec<Violation>,
) {
    let (mut found, mut last) = (BTreeSet::new(), 0);
    for line in timeline {
        let (call, id) = (call.to_owned(), id_of(line));
        let Some(sent) = ledger.events.get(&id) else {
            wrong.push(Violation::EventNobodySent { call, id });
            continue;
        };
        if sent.call != call {
            wrong.push(Violation::EventOfAnotherCall { call, id });
            continue;
        }
        if sent.json != line["event"] {
            wrong.push(Violation::EventChanged { call: call.clone(), id: id.clone() });
        }
        if !found.insert(id.clone()) {
            wrong.push(Violation::EventTwice { call: call.clone(), id: id.clone() });
        }
        let place = note.events.iter().position(|other| *other == id).unwrap_or_default();
        if place < last {
            wrong.push(Violation::EventOutOfOrder { call, id });
        }
        last = last.max(place);
    }
}

/// Whether a call has ended exactly if that was said, and in the way that was said.
fn state_is_true(ledger: &Ledger, note: &CallNote, view: &Value) -> bool {
    let over = view["state"] == "disconnected";
    match &note.end {
        None => !over,
        Some((End::Silent, _)) => over && view["ending"]["cause"] == "reconciled",
        Some((End::Told(id), _)) => {
            let Some(sent) = ledger.events.get(id) else { return false };
            let said = &sent.json["data"]["resultInformation"];
            let ending = &view["ending"];
            let as_said = ending["cause"] == "disconnected"
                && ending["code"] == said["code"]
                && ending["subCode"] == said["subCode"];
            if over { as_said } else { sent.acked.is_none() }
        }
    }
}

/// A picture without what may change.
fn lasting(view: &Value, fates: bool) -> Value {
    let mut view = view.clone();
    let Some(members) = view.as_object_mut() else { return view };
    members.retain(|name, _| !CHANGING.contains(&name.as_str()));
    if !fates && let Some(lines) = view["events"].as_array_mut() {
        for line in lines.iter_mut().filter_map(Value::as_object_mut) {
            line.remove("fate");
        }
    }
    view
}

fn of_list(ledger: &Ledger, all: &[Value], wrong: &mut Vec<Violation>) {
    let mut listed = BTreeMap::<String, usize>::new();
    let mut last = 0;
    for line in all {
        *listed.entry(id_of(line)).or_default() += 1;
        let cursor = line["cursor"].as_str().unwrap_or_default();
        let place = cursor.split('-').nth(1).and_then(|place| place.parse().ok()).unwrap_or(0);
        if place <= last {
            wrong.push(Violation::ListOutOfOrder { cursor: cursor.to_owned() });
        }
        last = place;
        let call = line["callConnectionId"].as_str().unwrap_or_default().to_owned();
        match ledger.events.get(&id_of(line)) {
            None => wrong.push(Violation::EventNobodySent { call, id: id_of(line) }),
            Some(sent) if sent.call != call => {
                wrong.push(Violation::EventOfAnotherCall { call, id: id_of(line) });
            }
            Some(sent) if sent.json != line["event"] => {
                wrong.push(Violation::EventChanged { call, id: id_of(line) });
            }
            Some(_) => {}
        }
    }
    for (id, sent) in &ledger.events {
        let listed = listed.get(id).copied().unwrap_or(0);
        let Sent { sends, acks, .. } = *sent;
        if listed < acks || listed > sends {
            let (id, acknowledged, sent) = (id.clone(), acks, sends);
            wrong.push(Violation::EventInListSoOften { id, listed, acknowledged, sent });
        }
    }
}

fn of_wait(ledger: &Ledger, wait: &WaitNote, now_ms: u64) -> Option<Violation> {
    let (call, context) = (wait.call.clone(), wait.context.clone());
    let Some((outcome, ended, ended_ms)) = &wait.ended else {
        let over = ledger.is_over(wait, now_ms.saturating_sub(SLACK_MS));
        return over.then_some(Violation::WaitStillStands { call, context });
    };
    let note = ledger.calls.get(&wait.call);
    let of_call = note.into_iter().flat_map(|note| &note.events);
    let mut answers =
        of_call.filter_map(|id| ledger.events.get(id)).filter(|sent| wait.wants(sent));
    let mut came_before = |stamp| answers.any(|sent| sent.acked.is_some_and(|at| at < stamp));
    let because = match outcome {
        Outcome::Told(id) => match ledger.events.get(id) {
            Some(sent) if wait.wants(sent) => None,
            Some(_) => Some("it did not ask for that event"),
            None => Some("nobody sent that event"),
        },
        Outcome::TimedOut if ended_ms + 50 < wait.began_ms + wait.within_ms => {
            Some("its time was not up")
        }
        Outcome::TimedOut => came_before(*ended).then_some("its event had come"),
        Outcome::CallEnded(code, sub_code) => match note.and_then(|note| note.end.as_ref()) {
            None => Some("the call has not ended"),
            Some((End::Silent, _)) if code.is_null() && sub_code.is_null() => None,
            Some((End::Silent, _)) => Some("nobody said these codes"),
            Some((End::Told(id), _)) => match ledger.events.get(id) {
                Some(end) if came_before(end.sent) => Some("its event came before the end"),
                Some(end) => {
                    let said = &end.json["data"]["resultInformation"];
                    let same = said["code"] == *code && said["subCode"] == *sub_code;
                    (!same).then_some("the call ended with other codes")
                }
                None => Some("nobody said so"),
            },
        },
        Outcome::Other(..) => Some("that is no way to end"),
    };
    let outcome = outcome.clone();
    because.map(|because| Violation::WaitEndedWrongly { call, context, outcome, because })
}

fn of_rings(ledger: &Ledger, observed: &Observed, wrong: &mut Vec<Violation>) {
    for (ticket, ring) in &ledger.rings {
        let asked: Vec<_> = observed.asked.iter().filter(|asked| asked.ticket == *ticket).collect();
        of_ring(ticket, ring, &asked, observed, wrong);
    }
    for asked in &observed.asked {
        if !ledger.rings.contains_key(&asked.ticket) {
            let (ticket, operation) = (asked.ticket.clone(), asked.operation.clone());
            wrong.push(Violation::WrongAction { ticket, operation });
        }
    }
}

fn of_ring(
    ticket: &str,
    ring: &Ring,
    asked: &[&Asked],
    observed: &Observed,
    wrong: &mut Vec<Violation>,
) {
    let ticket = || ticket.to_owned();
    let done: BTreeSet<_> = asked.iter().filter(|a| a.done).map(|a| &a.request_id).collect();
    let still_rings = observed.now_ms < ring.began_ms + RINGS_MS;
    match done.len() {
        0 if ring.acked && still_rings => wrong.push(Violation::NotActed { ticket: ticket() }),
        0 | 1 => {}
        times => wrong.push(Violation::ActedTwice { ticket: ticket(), times }),
    }
    let mut first: BTreeMap<&str, &Asked> = BTreeMap::new();
    for one in asked {
        let operation = one.operation.clone();
        let planned = ring.plan.contains(&operation.as_str());
        if !planned || (one.done && ring.plan.last() != Some(&operation.as_str())) {
            wrong.push(Violation::WrongAction { ticket: ticket(), operation });
            continue;
        }
        let earlier = *first.entry(&one.operation).or_insert(one);
        if earlier != *one {
            wrong.push(Violation::NotTheSameRequest { ticket: ticket(), operation });
        }
        let leg = Azure::leg_of(&one.ticket);
        if one.operation == "answer" && still_rings && !observed.legs.contains(&leg) {
            wrong.push(Violation::LegUnknown { leg });
        }
    }
}

fn of_numbers(ledger: &Ledger, observed: &Observed, wrong: &mut Vec<Violation>) {
    for (key, writes) in &ledger.numbers {
        let seen = observed.numbers.get(key);
        let acked = writes.iter().rposition(|write| write.acked);
        let later = &writes[acked.unwrap_or(0)..];
        let mut allowed: Vec<_> = later.iter().map(|write| write.note.clone()).collect();
        if acked.is_none() {
            allowed.push(None);
        }
        if !allowed.contains(&seen.map(|(_, note)| note.clone())) {
            let (key, seen) = (key.clone(), seen.cloned());
            wrong.push(Violation::NumberLost { key, seen, allowed });
        }
        if !versions_ascend(writes, seen.map(|(version, _)| *version), observed.table_version) {
            wrong.push(Violation::VersionFell { key: key.clone() });
        }
    }
}

fn versions_ascend(writes: &[Write], seen: Option<u64>, table: u64) -> bool {
    let told: Vec<_> = writes.iter().filter_map(|write| write.version).collect();
    let newest = told.last().copied().unwrap_or(0);
    told.is_sorted_by(|a, b| a < b) && seen.is_none_or(|seen| seen >= newest) && table >= newest
}
