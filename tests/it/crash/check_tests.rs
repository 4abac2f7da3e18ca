//! The judge is judged: it must find what is wrong, and nothing where nothing is.

use serde_json::{Value, json};

use super::azure::{Asked, Azure};
use super::check::{Observed, Seen, Violation, check};
use super::ledger::{End, Ledger, Outcome, Picture, Ring, WaitNote, Write};

fn event(call: &str, id: &str, kind: &str) -> Value {
    json!({"id": id, "type": format!("Microsoft.Communication.{kind}"),
        "data": {"callConnectionId": call, "operationContext": "prompt",
            "resultInformation": {"code": 487, "subCode": 7}}})
}

fn line(place: u64, call: &str, event: &Value) -> Value {
    json!({"cursor": format!("00000001-{place}"), "callConnectionId": call, "event": event,
        "fate": "kept"})
}

/// One call with two acknowledged events, a wait that got the second, a decided call, a number.
fn story() -> (Ledger, Observed) {
    let mut ledger = Ledger::default();
    let events = [event("c", "e1", "CallConnected"), event("c", "e2", "PlayCompleted")];
    let began = ledger.sending(&events, 0);
    ledger.acknowledged(&events, began);
    let ended = ledger.now();
    ledger.waits.push(WaitNote {
        call: "c".into(),
        context: "prompt".into(),
        types: vec!["PlayCompleted"],
        began_ms: 0,
        within_ms: 60_000,
        ended: Some((Outcome::Told("e2".into()), ended, 10)),
    });
    ledger.rings.insert("t".into(), Ring { began_ms: 0, acked: true, plan: &["answer"] });
    let write = Write { note: Some("one".into()), acked: true, version: Some(3) };
    ledger.numbers.insert("+1".into(), vec![write]);
    let lines: Vec<_> = (1..).zip(&events).map(|(place, event)| line(place, "c", event)).collect();
    let view = json!({"state": "connected", "events": lines.clone(), "ageMs": 5});
    let taken = ledger.now();
    ledger.calls.get_mut("c").unwrap().picture = Some(Picture { taken, view: view.clone() });
    let after = ledger.now();
    ledger.passed(after);
    let mut observed = Observed { tombstone_ms: 60_000, now_ms: 100, ..Observed::default() };
    observed
        .calls
        .insert("c".into(), Seen { timeline: Some(lines.clone()), view: Some(view), at_ms: 100 });
    observed.all = lines;
    observed.asked.push(asked("one"));
    observed.legs.insert(Azure::leg_of("t"));
    observed.numbers.insert("+1".into(), (3, "one".into()));
    observed.table_version = 3;
    (ledger, observed)
}

fn asked(request_id: &str) -> Asked {
    Asked {
        operation: "answer".into(),
        ticket: "t".into(),
        request_id: request_id.into(),
        first_sent: "then".into(),
        context: Some("context".into()),
        done: true,
    }
}

/// The story with one thing changed: what is found wrong in it.
#[track_caller]
fn finds(change: impl FnOnce(&mut Ledger, &mut Observed)) -> Vec<Violation> {
    let (mut ledger, mut observed) = story();
    change(&mut ledger, &mut observed);
    check(&ledger, &observed)
}

fn seen(observed: &mut Observed) -> &mut Seen {
    observed.calls.get_mut("c").unwrap()
}

fn timeline(observed: &mut Observed) -> &mut Vec<Value> {
    seen(observed).timeline.as_mut().unwrap()
}

fn wait(ledger: &mut Ledger) -> &mut WaitNote {
    &mut ledger.waits[0]
}

fn lost(id: &str) -> Violation {
    Violation::EventLost { call: "c".into(), id: id.into() }
}

#[test]
fn the_judge_finds_nothing_where_nothing_is_wrong() {
    assert_eq!(finds(|_, _| {}), []);
}

#[test]
fn the_judge_sees_a_lost_event() {
    let found = finds(|_, observed| {
        timeline(observed).pop();
    });
    assert_eq!(found, [lost("e2")]);
    let found = finds(|_, observed| {
        observed.all.pop();
    });
    let so_often = |listed, sent| Violation::EventInListSoOften {
        id: "e2".into(),
        listed,
        acknowledged: 1,
        sent,
    };
    assert_eq!(found, [so_often(0, 1)]);
    let found = finds(|_, observed| {
        let again = line(9, "c", &event("c", "e2", "PlayCompleted"));
        observed.all.push(again);
    });
    assert_eq!(found, [so_often(2, 1)]);
}

#[test]
fn the_judge_demands_nothing_that_was_not_acknowledged() {
    let found = finds(|ledger, _| {
        ledger.sending(&[event("c", "e3", "PlayStarted")], 50);
    });
    assert_eq!(found, []);
    let found = finds(|ledger, observed| {
        let open = event("c", "e3", "PlayStarted");
        ledger.sending(std::slice::from_ref(&open), 50);
        timeline(observed).push(line(3, "c", &open));
        observed.all.push(line(3, "c", &open));
    });
    assert_eq!(found, [], "but it may be there");
}

#[test]
fn the_judge_sees_a_lost_call_unless_its_time_is_over() {
    let gone = |ledger: &mut Ledger, observed: &mut Observed, end: Option<u64>| {
        *seen(observed) = Seen { at_ms: 70_000, ..Seen::default() };
        let note = ledger.calls.get_mut("c").unwrap();
        note.end = end.map(|at| (End::Told("e2".into()), at));
    };
    let call_lost = [Violation::CallLost { call: "c".into() }];
    assert_eq!(finds(|ledger, observed| gone(ledger, observed, None)), call_lost);
    assert_eq!(finds(|ledger, observed| gone(ledger, observed, Some(10_001))), call_lost);
    assert_eq!(finds(|ledger, observed| gone(ledger, observed, Some(10_000))), []);
}

#[test]
fn the_judge_sees_events_twice_in_disorder_and_altered() {
    let found = finds(|_, observed| {
        let again = timeline(observed)[1].clone();
        timeline(observed).push(again);
    });
    assert_eq!(found, [Violation::EventTwice { call: "c".into(), id: "e2".into() }]);
    let found = finds(|_, observed| timeline(observed).reverse());
    assert_eq!(found, [Violation::EventOutOfOrder { call: "c".into(), id: "e1".into() }]);
    let found = finds(|_, observed| timeline(observed)[0]["event"]["type"] = "other".into());
    assert_eq!(found, [Violation::EventChanged { call: "c".into(), id: "e1".into() }]);
    let found = finds(|_, observed| observed.all.reverse());
    assert_eq!(found, [Violation::ListOutOfOrder { cursor: "00000001-1".into() }]);
}

#[test]
fn the_judge_sees_an_event_under_another_call() {
    let other = event("d", "e9", "PlayCompleted");
    let of_another = Violation::EventOfAnotherCall { call: "c".into(), id: "e9".into() };
    let found = finds(|ledger, observed| {
        ledger.sending(std::slice::from_ref(&other), 0);
        timeline(observed).push(line(9, "c", &other));
    });
    assert_eq!(found, [of_another]);
    let found = finds(|_, observed| timeline(observed).push(line(9, "c", &other)));
    assert_eq!(found, [Violation::EventNobodySent { call: "c".into(), id: "e9".into() }]);
}

#[test]
fn the_judge_sees_a_call_in_a_state_that_nobody_told() {
    let found = finds(|ledger, observed| {
        ledger.calls.get_mut("c").unwrap().picture = None;
        let view = seen(observed).view.as_mut().unwrap();
        view["state"] = "disconnected".into();
    });
    assert!(matches!(found[..], [Violation::WrongState { .. }]), "{found:?}");
    let ended = |ending: Value| {
        finds(move |ledger, observed| {
            let end = [event("c", "e3", "CallDisconnected")];
            let began = ledger.sending(&end, 50);
            ledger.acknowledged(&end, began);
            timeline(observed).push(line(3, "c", &end[0]));
            observed.all.push(line(3, "c", &end[0]));
            let state = if ending.is_null() { "connected" } else { "disconnected" };
            seen(observed).view = Some(json!({"state": state, "ending": ending}));
        })
    };
    assert_eq!(ended(json!({"cause": "disconnected", "code": 487, "subCode": 7})), []);
    for wrong in [json!({"cause": "disconnected", "code": 0, "subCode": 7}), Value::Null] {
        let found = ended(wrong);
        assert!(matches!(found[..], [Violation::WrongState { .. }]), "{found:?}");
    }
}

#[test]
fn the_judge_sees_a_picture_that_changed() {
    let found = finds(|_, observed| {
        seen(observed).view.as_mut().unwrap()["events"][0]["fate"] = "matched".into();
    });
    assert!(matches!(found[..], [Violation::CallChanged { .. }]), "{found:?}");
    let found = finds(|ledger, observed| {
        // Nothing was written after the picture, so what became of its events need not be safe yet.
        let taken = ledger.now();
        ledger.calls.get_mut("c").unwrap().picture.as_mut().unwrap().taken = taken;
        seen(observed).view.as_mut().unwrap()["events"][0]["fate"] = "matched".into();
    });
    assert_eq!(found, []);
    let age = finds(|_, observed| seen(observed).view.as_mut().unwrap()["ageMs"] = 6.into());
    assert_eq!(age, []);
}

#[test]
fn the_judge_sees_a_wrong_reason_for_the_end_of_a_wait() {
    let ended = |outcome: Outcome, ended_ms: u64| {
        let found = finds(move |ledger, _| {
            let ended = wait(ledger).ended.as_mut().unwrap();
            (ended.0, ended.2) = (outcome, ended_ms);
        });
        match &found[..] {
            [Violation::WaitEndedWrongly { because, .. }] => *because,
            other => panic!("{other:?}"),
        }
    };
    let call_ended = || Outcome::CallEnded(487.into(), 7.into());
    assert_eq!(ended(Outcome::Told("e1".into()), 10), "it did not ask for that event");
    assert_eq!(ended(Outcome::Told("e7".into()), 10), "nobody sent that event");
    assert_eq!(ended(Outcome::TimedOut, 10), "its time was not up");
    assert_eq!(ended(Outcome::TimedOut, 60_000), "its event had come");
    assert_eq!(ended(call_ended(), 10), "the call has not ended");
    assert_eq!(ended(Outcome::Other(404, "call_not_found".into()), 10), "that is no way to end");
    let found = finds(|ledger, observed| {
        let end = event("c", "e3", "CallDisconnected");
        ledger.sending(std::slice::from_ref(&end), 50);
        wait(ledger).ended.as_mut().unwrap().0 = call_ended();
        seen(observed).timeline.as_mut().unwrap().push(line(3, "c", &end));
        observed.all.push(line(3, "c", &end));
    });
    let because = "its event came before the end";
    assert!(
        matches!(&found[..], [Violation::WaitEndedWrongly { because: b, .. }] if *b == because),
        "{found:?}"
    );
}

#[test]
fn the_judge_sees_a_wait_that_never_ends() {
    let found = finds(|ledger, _| wait(ledger).ended = None);
    let stands = Violation::WaitStillStands { call: "c".into(), context: "prompt".into() };
    assert_eq!(found, [stands]);
    let found = finds(|ledger, _| {
        wait(ledger).ended = None;
        wait(ledger).context = "another".into();
    });
    assert_eq!(found, [], "nothing has come for it");
}

#[test]
fn the_judge_sees_a_doubled_decision_and_a_forgotten_one() {
    let ticket = || "t".to_owned();
    let found = finds(|_, observed| observed.asked.push(asked("two")));
    let operation = || "answer".to_owned();
    let another = Violation::NotTheSameRequest { ticket: ticket(), operation: operation() };
    assert_eq!(found, [Violation::ActedTwice { ticket: ticket(), times: 2 }, another.clone()]);
    assert_eq!(finds(|_, observed| observed.asked.push(asked("one"))), [], "the same once more");
    let found = finds(|_, observed| {
        observed.asked.push(Asked { context: None, ..asked("one") });
    });
    assert_eq!(found, [another]);
    let found = finds(|_, observed| observed.asked.clear());
    assert_eq!(found, [Violation::NotActed { ticket: ticket() }]);
    let found = finds(|_, observed| {
        observed.asked.clear();
        observed.now_ms = 25_000;
    });
    assert_eq!(found, [], "it rings no more");
    let found = finds(|ledger, _| ledger.rings.get_mut("t").unwrap().plan = &["reject"]);
    assert_eq!(found, [Violation::WrongAction { ticket: ticket(), operation: operation() }]);
    let found = finds(|_, observed| observed.legs.clear());
    assert_eq!(found, [Violation::LegUnknown { leg: Azure::leg_of("t") }]);
}

#[test]
fn the_judge_sees_a_lost_number() {
    let found = finds(|_, observed| observed.numbers.clear());
    assert!(matches!(found[..], [Violation::NumberLost { .. }]), "{found:?}");
    let unknown = |note: Option<&str>, seen: Option<&str>| {
        finds(move |ledger, observed| {
            let note = note.map(str::to_owned);
            let write = Write { note, acked: false, version: None };
            ledger.numbers.get_mut("+1").unwrap().push(write);
            observed.numbers.clear();
            let seen = seen.map(|note| ("+1".to_owned(), (4, note.to_owned())));
            observed.numbers.extend(seen);
            observed.table_version = 4;
        })
    };
    assert_eq!(unknown(Some("two"), Some("two")), []);
    assert_eq!(unknown(Some("two"), Some("one")), []);
    assert_eq!(unknown(None, None), []);
    assert!(matches!(unknown(Some("two"), None)[..], [Violation::NumberLost { .. }]));
    let found = finds(|_, observed| observed.table_version = 2);
    assert_eq!(found, [Violation::VersionFell { key: "+1".into() }]);
}

#[test]
fn the_judge_hears_a_panic_and_sees_a_death() {
    let found = finds(|_, observed| observed.panics.push("thread panicked".into()));
    assert_eq!(found, [Violation::Panicked { line: "thread panicked".into() }]);
    let found = finds(|_, observed| observed.died = Some("signal 6".into()));
    assert_eq!(found, [Violation::Died { how: "signal 6".into() }]);
}
