use std::time::Duration;

use serde_json::json;

use super::super::{Attempt, Explanation, Planned, Verdict};
use super::*;

const START: &str = "2025-11-21T08:30:00Z";
const MEMORY: MemoryLimits = MemoryLimits { entries: 8, age: Duration::from_secs(600) };
/// The present is so many milliseconds after the start, and that is tick 1,000,000.
const NOW: u64 = 10_000;

fn wall(ms: u64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + Duration::from_millis(ms)
}

fn replay() -> Replay {
    let limits = ReplayLimits {
        memory: MEMORY,
        guard: GuardLimits::default(),
        records: 3,
        ring_time: Duration::from_secs(30),
    };
    Replay::new(limits, Moment { tick: Tick(1_000_000), wall: wall(NOW) })
}

fn event(kind: &str, id: &str, data: serde_json::Value) -> String {
    json!({
        "id": id, "source": "/resource", "type": format!("Microsoft.Communication.{kind}"),
        "time": START, "specversion": "1.0", "data": data,
    })
    .to_string()
}

/// The event `id` tells that the call `call` rings.
fn ringing(id: &str, call: &str) -> String {
    event(
        "IncomingCall",
        id,
        json!({
            "to": {"rawId": "4:+14255550100"}, "from": {"rawId": "4:+12065551212"},
            "serverCallId": format!("server-{call}"), "correlationId": format!("call-{call}"),
            "incomingCallContext": format!("ticket-{call}"),
        }),
    )
}

fn call(name: &str) -> (EventKey, crate::wire::identifiers::IncomingCallContext) {
    (EventKey::of("/resource", name), format!("ticket-{name}").into())
}

fn record(id: u64, call: &str, attempts: Vec<Attempt>) -> DecisionRecord {
    let party = |text: &str| Party::parse(text).unwrap();
    DecisionRecord {
        id,
        at: wall(0),
        fate: None,
        correlation_id: Some(format!("call-{call}").into()),
        server_call_id: None,
        left_ms: Some(30_000),
        explanation: Explanation {
            table_version: 7,
            caller: party("+12065551212"),
            callee: party("+14255550100"),
            at: wall(0),
            ring: None,
            verdict: Verdict::Act,
            candidates: Vec::new(),
            winner: None,
            steps: Vec::new(),
            action: None,
        },
        attempts,
        call_connection_id: None,
        notices: Vec::new(),
    }
}

fn attempt(step: usize, action: &'static str, result: AttemptResult) -> Attempt {
    Attempt { step, action, at: wall(0), result }
}

fn failed(undone: bool) -> AttemptResult {
    AttemptResult::Failed { status: Some(404), undone, problem: "no".into() }
}

fn trying(rang: u64, plan: &[Planned], record: Option<DecisionRecord>) -> Trying {
    Trying {
        rang: Position(rang),
        plan: plan.to_vec(),
        context: "context".into(),
        request_id: uuid::Uuid::from_u128(rang.into()),
        first_sent: wall(1_000),
        deadline: wall(30_000),
        record,
    }
}

fn redirect(step: usize, target: &str) -> Planned {
    Planned { step, action: Action::Redirect { target: Party::parse(target).unwrap() } }
}

fn ignore(step: usize) -> Planned {
    Planned { step, action: Action::Ignore }
}

fn settled(rang: u64, fate: Fate, record: Option<DecisionRecord>) -> Settled {
    let record = record.map(|record| DecisionRecord { fate: Some(fate), ..record });
    Settled { rang: Position(rang), fate, call: None, record }
}

#[test]
fn i5_what_was_accepted_and_not_settled_is_left_to_do() {
    let mut replay = replay();
    for (place, name) in [(1, "a"), (2, "b"), (3, "c")] {
        replay.rang(Position(place), wall(place * 1_000), &ringing(name, name));
    }
    let note = trying(2, &[redirect(0, "8:acs:r_u"), ignore(1)], None);
    replay.trying(wall(4_000), &note.text());
    replay.settled(&settled(1, Fate::Answered, None).text());
    let recovered = replay.finish();
    let left: Vec<_> = recovered.unsettled.iter().map(|left| left.position.0).collect();
    assert_eq!(left, [2, 3]);
    assert_eq!(recovered.unsettled[0].tried.as_ref(), Some(&note), "as it was written");
    assert_eq!(recovered.unsettled[0].received, Tick(1_000_000 - (NOW - 2_000)));
    assert!(recovered.unsettled[1].tried.is_none());
    assert_eq!(recovered.unreadable, 0);
}

#[test]
fn i5_all_calls_of_the_log_are_remembered_from_when_they_rang() {
    let mut replay = replay();
    replay.rang(Position(1), wall(0), &ringing("a", "a"));
    replay.settled(&settled(1, Fate::Answered, None).text());
    replay.rang(Position(9), wall(2_000), &ringing("b", "b"));
    let Recovered { mut remembered, mut recent, .. } = replay.finish();
    assert_eq!(recent.first(Tick(1_000_000)), Some(Position(1)));
    let forgets_a = Tick(1_000_000 - NOW) + MEMORY.age;
    assert_eq!(recent.first(forgets_a), Some(Position(9)));
    for (name, known) in [("b", true), ("a", false), ("c", false)] {
        let (event, context) = call(name);
        assert_eq!(remembered.memory.repeats(forgets_a, event, &context), known, "{name}");
    }
}

#[test]
fn i5_a_call_that_was_told_twice_is_settled_once_whichever_line_says_so() {
    for rang in [1, 2, 3] {
        let mut replay = replay();
        replay.rang(Position(1), wall(0), &ringing("a", "a"));
        replay.rang(Position(2), wall(1), &ringing("a", "a"));
        replay.rang(Position(3), wall(2), &ringing("another event", "a"));
        replay.trying(wall(3), &trying(rang, &[ignore(0)], None).text());
        let again = settled(2, Fate::Repeated, Some(record(2, "a", Vec::new())));
        replay.settled(&again.text());
        let recovered = replay.finish();
        let [left] = recovered.unsettled.as_slice() else { panic!("told {rang}") };
        assert_eq!(left.position, Position(1));
        assert!(left.tried.is_some(), "a repeat settles nothing but itself");

        let mut replay = self::replay();
        replay.rang(Position(1), wall(0), &ringing("a", "a"));
        replay.rang(Position(2), wall(1), &ringing("a", "a"));
        replay.rang(Position(3), wall(2), &ringing("another event", "a"));
        replay.settled(&settled(rang, Fate::Rejected, None).text());
        assert!(replay.finish().unsettled.is_empty(), "{rang}");
    }
}

#[test]
fn i9_redirects_are_followed_again_unless_they_certainly_were_not_made() {
    let leg = |callee: &str| {
        Leg::new(Party::parse("+12065551212").unwrap(), Party::parse(callee).unwrap())
    };
    for (undone, journeys_on) in [(false, true), (true, false)] {
        let mut replay = replay();
        replay.rang(Position(1), wall(0), &ringing("a", "a"));
        let plan = [redirect(0, "8:acs:r_u"), ignore(1)];
        replay.trying(wall(1_000), &trying(1, &plan, None).text());
        let record = record(1, "a", vec![attempt(0, "redirect", failed(undone))]);
        replay.settled(&settled(1, Fate::Ignored, Some(record)).text());
        let guard = replay.finish().remembered.guard;
        let target = Party::parse("+14255550100").unwrap();
        let held = guard.verdict(Tick(1_000_000), &leg("8:acs:r_u"), &target);
        assert_eq!(held.is_some(), journeys_on, "undone {undone}: {held:?}");
        let window_over = Tick(1_000_000 - (NOW - 1_000)) + GuardLimits::default().window;
        assert_eq!(guard.verdict(window_over, &leg("8:acs:r_u"), &target), None);
    }
}

#[test]
fn i12_records_and_what_was_heard_of_their_calls_are_back() {
    let mut replay = replay();
    replay.rang(Position(1), wall(0), &ringing("a", "a"));
    // It may come, and even be written, before the decision is.
    let started = event("CallStarted", "s", json!({"correlationId": "call-a"}));
    replay.rang(Position(2), wall(1), &started);
    replay.rang(Position(3), wall(2), &started);
    let note = trying(1, &[ignore(0)], Some(record(5, "a", Vec::new())));
    replay.trying(wall(3), &note.text());
    let done = record(5, "a", vec![attempt(0, "answer", AttemptResult::Succeeded)]);
    replay.settled(&settled(1, Fate::Answered, Some(done.clone())).text());
    // The next leg of the same call; what was heard before it is not about it.
    replay.rang(Position(7), wall(5), &ringing("b", "b"));
    let next = record(6, "a", Vec::new());
    replay.settled(&settled(7, Fate::Ignored, Some(next)).text());
    let mut records = replay.finish().records;
    let [newest, oldest] = <[_; 2]>::try_from(records.newest_first()).unwrap();
    assert_eq!((newest.id, newest.notices.len()), (6, 0));
    assert_eq!(
        (oldest.id, oldest.fate, &oldest.attempts),
        (5, Some(Fate::Answered), &done.attempts)
    );
    let heard: Vec<_> = oldest.notices.iter().map(|notice| (notice.kind, notice.at)).collect();
    assert_eq!(heard, [("CallStarted", wall(1))], "told twice, heard once");
    let explanation = oldest.explanation;
    assert_eq!(records.open(wall(0), CallIds::default(), None, explanation), 7, "numbers go on");
}

#[test]
fn i12_records_round_trip_and_an_unreadable_one_hides_no_call() {
    let mut with_all = record(1, "a", vec![attempt(0, "answer", failed(true))]);
    with_all.explanation.action = Some(Action::Answer(Box::default()));
    with_all.explanation.caller = Party::of_raw(&"no id of *any kind".into());
    let note = settled(1, Fate::Failed, Some(with_all));
    assert_eq!(serde_json::from_str::<Settled>(&note.text()).unwrap(), note);
    let mut json = serde_json::to_value(&note).unwrap();
    json["record"]["explanation"] = json!("of another version");
    let read: Settled = serde_json::from_value(json).unwrap();
    assert_eq!((read.rang, read.fate, read.record), (note.rang, note.fate, None));
}

#[test]
fn the_fold_is_bounded_and_counts_what_it_cannot_read() {
    let mut replay = replay();
    for place in 0..100 {
        let name = place.to_string();
        replay.rang(Position(place), wall(place), &ringing(&name, &name));
        let record = record(place + 1, &name, Vec::new());
        replay.trying(wall(place), &trying(place, &[ignore(0)], Some(record)).text());
    }
    replay.rang(Position(200), wall(0), "{}");
    replay.trying(wall(0), "{}");
    replay.settled("{}");
    assert!(replay.known.first.len() <= 2 * MEMORY.entries);
    assert!(replay.decided.len() <= 3);
    let recovered = replay.finish();
    assert_eq!(recovered.unsettled.len(), MEMORY.entries);
    assert_eq!(recovered.remembered.memory.len(), MEMORY.entries);
    assert_eq!(recovered.records.newest_first().len(), 3);
    assert_eq!(recovered.unreadable, 3);
}
