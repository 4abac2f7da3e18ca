use serde_json::{Value, json};

use super::super::{Draft, GuardLimits, Key, MemoryLimits, RING_TIME, RejectReason};
use super::*;

fn remembered() -> Remembered {
    Remembered {
        memory: Memory::new(MemoryLimits::default()),
        guard: Guard::new(GuardLimits::default()),
        ring_time: RING_TIME,
    }
}

fn table(entries: &[(&str, Value)]) -> Table {
    entries.iter().fold(Table::default(), |table, (key, steps)| {
        let draft = Draft::parse(&json!({"steps": steps})).expect("a draft");
        table.put(&Key::parse(key).expect("a key"), draft, None).expect("a write").0
    })
}

fn ringing(caller: &str, callee: &str, context: &str) -> IncomingCall {
    let json = json!({
        "to": {"rawId": callee}, "from": {"rawId": caller}, "incomingCallContext": context
    });
    serde_json::from_value(json).expect("a call")
}

const AT: Moment = Moment { tick: Tick(5_000), wall: Timestamp::UNIX_EPOCH };

/// Decides about a call that began at the given second.
fn ask(
    table: &Table,
    memory: &mut Remembered,
    call: &IncomingCall,
    id: u128,
    began: i64,
) -> Decision {
    let began = Timestamp::from_second(began).unwrap().to_string();
    let incoming =
        Incoming { call, event: EventKey(id), event_time: Some(&began), received: AT.tick };
    decide(table, memory, &incoming, AT)
}

fn shop() -> Table {
    table(&[
        ("8:acs:r_u", json!([{"action": {"type": "ignore"}}])),
        ("+1425*", json!([{"action": {"type": "reject", "reason": "busy"}}])),
        (
            "+14255550100",
            json!([
                {"when": {"caller": {"prefix": ["+44"]}}, "action": {"type": "reject"}},
                {"action": {"type": "redirect", "target": "8:acs:r_u"}},
                {"when": {"caller": {"anonymous": true}}, "action": {"type": "answer"}},
                {"action": {"type": "ignore"}},
                {"action": {"type": "answer"}}
            ]),
        ),
    ])
}

#[test]
fn i8_the_plan_is_the_steps_that_fit_in_order_up_to_ignore() {
    let call = ringing("4:+12065551212", "4:+14255550100", "a");
    let decision = ask(&shop(), &mut remembered(), &call, 1, -10);
    let Outcome::Act { plan, deadline, left } = decision.outcome else { panic!("no plan") };
    assert_eq!(plan.iter().map(|planned| planned.step).collect::<Vec<_>>(), [1, 3]);
    let target = Party::parse("8:acs:r_u").unwrap();
    assert_eq!(plan[0].action, Action::Redirect { target });
    assert_eq!(plan[1].action, Action::Ignore);
    assert_eq!((deadline, left), (Tick(25_000), Duration::from_secs(20)));
}

#[test]
fn i8_a_rejection_keeps_its_reason() {
    let call = ringing("4:+12065551212", "4:+14255550199", "a");
    let decision = ask(&shop(), &mut remembered(), &call, 1, 0);
    let Outcome::Act { plan, .. } = decision.outcome else { panic!("no plan") };
    assert_eq!(plan, [Planned { step: 0, action: Action::Reject { reason: RejectReason::Busy } }]);
}

#[test]
fn i4_a_stale_call_is_left_alone() {
    let (table, mut memory) = (shop(), remembered());
    let call = ringing("4:+12065551212", "4:+14255550100", "a");
    let decision = ask(&table, &mut memory, &call, 1, -30);
    let left = Some(Duration::ZERO);
    assert_eq!(decision.outcome, Outcome::Leave { verdict: Verdict::Stale, left });
    let ring = RingView { age_ms: Some(30_000), left_ms: 0 };
    assert_eq!(decision.explanation.ring, Some(ring));
}

#[test]
fn i5_a_call_is_decided_once() {
    let (table, mut memory) = (shop(), remembered());
    let call = ringing("4:+12065551212", "4:+14255550100", "a");
    assert_eq!(ask(&table, &mut memory, &call, 1, 0).explanation.verdict, Verdict::Act);
    let repeated = Outcome::Leave { verdict: Verdict::Repeated, left: None };
    assert_eq!(ask(&table, &mut memory, &call, 1, 0).outcome, repeated);
    assert_eq!(ask(&table, &mut memory, &call, 2, 0).outcome, repeated, "same context");
}

#[test]
fn i7_a_callee_without_assignment_and_a_plan_without_fitting_step_are_told_apart() {
    let only_hidden =
        json!([{"when": {"caller": {"anonymous": true}}, "action": {"type": "answer"}}]);
    let table = table(&[("+1", only_hidden)]);
    for (callee, wanted) in [("4:+2", Verdict::NoAssignment), ("4:+1", Verdict::NoStepFits)] {
        let decision = ask(&table, &mut remembered(), &ringing("4:+9", callee, "a"), 1, 0);
        assert_eq!(decision.explanation.verdict, wanted);
        let left = Some(RING_TIME);
        assert_eq!(decision.outcome, Outcome::Leave { verdict: wanted, left });
    }
}

#[test]
fn i9_a_redirect_that_leads_round_is_skipped_and_told() {
    // The circle runs through a number that was dropped and written again in between.
    let (there, back) = ("8:acs:r_u", "+14255550100");
    let mut memory = remembered();
    let leg = Leg::new(Party::parse("+1206").unwrap(), Party::parse(back).unwrap());
    memory.guard.follow(AT.tick, &leg, &Party::parse(there).unwrap());
    let table = table(&[(there, json!([{"action": {"type": "redirect", "target": back}}]))]);
    let decision = ask(&table, &mut memory, &ringing("4:+1206", there, "a"), 1, 0);
    assert_eq!(decision.explanation.verdict, Verdict::LoopPrevented);
    let told = serde_json::to_value(&decision.explanation).unwrap();
    assert_eq!(told["steps"][0]["fate"], "heldBack");
    assert_eq!(told["steps"][0]["because"], "targetWasVisited");
}

#[test]
fn i10_the_explanation_tells_every_candidate_and_every_step() {
    let (table, memory) = (shop(), remembered());
    let parse = |text| Party::parse(text).unwrap();
    let told = explain(&table, &memory.guard, parse("4:anonymous"), parse("+14255550100"), AT);
    let wanted = json!({
        "tableVersion": 3, "caller": "4:anonymous", "callee": "+14255550100",
        "at": "1970-01-01T00:00:00Z", "verdict": "act", "winner": "+14255550100",
        "candidates": [
            {"key": "+14255550100", "fate": "won", "version": 3},
            {"key": "+1425*", "fate": "lessSpecific", "version": 2},
            {"key": "*", "fate": "notAssigned"}
        ],
        "steps": [
            {"index": 0, "action": {"type": "reject", "reason": "none"},
             "fate": "conditionFailed", "because": "callerIsAnonymous"},
            {"index": 1, "action": {"type": "redirect", "target": "8:acs:r_u"}, "fate": "chosen"},
            {"index": 2, "action": {"type": "answer"}, "fate": "fallback"},
            {"index": 3, "action": {"type": "ignore"}, "fate": "fallback"},
            {"index": 4, "action": {"type": "answer"}, "fate": "notReached"}
        ],
        "action": {"type": "redirect", "target": "8:acs:r_u"}
    });
    assert_eq!(serde_json::to_value(&told).unwrap(), wanted);
    for secret in ["425555", "8:acs"] {
        assert!(!format!("{told:?}").contains(secret), "{told:?}");
    }
}

#[test]
fn i10_the_explanation_is_what_is_decided_live_and_remembers_nothing() {
    let (table, mut memory) = (shop(), remembered());
    let callers = ["4:+12065551212", "4:+447700900000", "4:anonymous", "8:acs:r_w"];
    let callees = ["4:+14255550100", "4:+14255550101", "4:+33", "8:acs:r_u"];
    for (id, (caller, callee)) in
        callers.iter().flat_map(|caller| callees.map(|callee| (*caller, callee))).enumerate()
    {
        let parse = |text| Party::parse(text).unwrap();
        let ask_twice =
            [(), ()].map(|()| explain(&table, &memory.guard, parse(caller), parse(callee), AT));
        assert_eq!(ask_twice[0], ask_twice[1]);
        let call = ringing(caller, callee, &id.to_string());
        let mut live = ask(&table, &mut memory, &call, id as u128, 0).explanation;
        live.ring = None;
        assert_eq!(live, ask_twice[0]);
    }
    assert!(memory.guard.is_empty());
}
