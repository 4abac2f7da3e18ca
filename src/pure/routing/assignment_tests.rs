use serde_json::{Value, json};

use super::*;

fn full() -> Value {
    json!({
        "key": "+14255550100",
        "steps": [
            {
                "when": {"caller": {
                    "exact": ["+14255551212", "8:acs:r_u"], "prefix": ["+1206", "+44*"], "anonymous": true
                }},
                "action": {"type": "redirect", "target": "8:acs:r_v"}
            },
            {"when": {"caller": {"prefix": ["+"]}}, "action": {"type": "redirect", "target": "+12065550100"}},
            {"action": {
                "type": "answer", "cognitiveServicesEndpoint": "https://speech.example/",
                "answeredBy": "8:acs:r_app", "operationContext": "front desk"
            }},
            {"action": {"type": "answer"}},
            {"action": {"type": "reject", "reason": "busy"}},
            {"action": {"type": "ignore"}}
        ],
        "version": 7,
        "note": "front desk"
    })
}

#[test]
fn i8_an_assignment_is_written_as_it_was_read() {
    let draft = Draft::parse(&full()).expect("an assignment");
    let (key, assignment) = draft.clone().into_stored().expect("key and version");
    let numbered = Numbered { key, assignment: Arc::new(assignment) };
    let written = serde_json::to_value(&numbered).expect("JSON");
    let mut wanted = full();
    wanted["steps"][0]["when"]["caller"]["prefix"][1] = json!("+44");
    assert_eq!(written, wanted);
    assert_eq!(serde_json::from_value::<Draft>(written).expect("reads its own writing"), draft);
}

#[test]
fn i8_a_rejection_without_a_reason_gives_none() {
    let json = json!({"steps": [{"when": {}, "action": {"type": "reject"}}]});
    let draft = Draft::parse(&json).expect("an assignment");
    assert_eq!(draft.steps[0].action, Action::Reject { reason: RejectReason::None });
    assert_eq!(draft.steps[0].when, None, "no condition is no condition");
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Value), code: &str, place: &str) {
    let mut json = full();
    change(&mut json);
    let error = Draft::parse(&json).expect_err("a refusal");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(place), "{error} tells the place {place}");
    assert!(!error.to_string().contains("secret"), "{error} repeats what was written");
}

#[test]
fn i7_what_is_wrong_with_an_assignment_is_told_with_its_place() {
    refused(|json| *json = json!("secret"), "wrong_member", "an assignment");
    refused(|json| json["secret"] = json!(1), "unknown_member", "key, steps, version, note");
    refused(|json| json["key"] = json!("secret"), "unreadable_key", "key");
    refused(|json| json["version"] = json!("secret"), "wrong_member", "version");
    refused(|json| json["note"] = json!("x".repeat(501)), "wrong_member", "note");
    refused(|json| json["steps"] = json!([]), "no_steps", "at least one step");
    refused(|json| json["steps"] = Value::Null, "no_steps", "at least one step");
    refused(|json| json["steps"] = json!(vec![json!({}); 17]), "too_many_steps", "17");
    refused(|json| json["steps"][1]["secret"] = json!(1), "unknown_member", "steps[1]");
    refused(|json| json["steps"][1]["action"] = Value::Null, "wrong_member", "steps[1].action");
    let caller = |json: &mut Value, caller: Value| json["steps"][1]["when"]["caller"] = caller;
    let at = "steps[1].when.caller";
    refused(|json| caller(json, json!({"secret": 1})), "unknown_member", at);
    refused(|json| caller(json, json!({})), "nobody", at);
    refused(|json| caller(json, json!({"anonymous": false})), "nobody", at);
    refused(|json| caller(json, json!({"anonymous": "secret"})), "wrong_member", at);
    refused(|json| caller(json, json!({"exact": ["secret"]})), "wrong_member", ".exact[0]");
    refused(|json| caller(json, json!({"prefix": ["+1", "8:acs:"]})), "wrong_member", ".prefix[1]");
    refused(|json| caller(json, json!({"prefix": vec!["+1"; 101]})), "too_many_callers", at);
    refused(
        |json| json["steps"][1]["when"]["secret"] = json!(1),
        "unknown_member",
        "steps[1].when",
    );
}

#[test]
fn i8_what_is_wrong_with_an_action_is_told_with_its_place() {
    let action = |json: &mut Value, action: Value| json["steps"][2]["action"] = action;
    let at = "steps[2].action";
    for wrong in [json!({}), json!({"type": "secret"}), json!({"type": 1}), json!("secret")] {
        refused(|json| action(json, wrong), "wrong_member", "redirect, answer, reject, ignore");
    }
    for target in [json!("secret"), json!("4:anonymous"), json!("+0"), json!(1), Value::Null] {
        let redirect = json!({"type": "redirect", "target": target});
        refused(|json| action(json, redirect), "wrong_member", "steps[2].action.target");
    }
    for (member, value) in [
        ("cognitiveServicesEndpoint", "http://secret"),
        ("cognitiveServicesEndpoint", "https://"),
        ("answeredBy", "4:+14255551212"),
        ("operationContext", ""),
    ] {
        let answer = json!({"type": "answer", member: value});
        refused(|json| action(json, answer), "wrong_member", &format!("{at}.{member}"));
    }
    refused(|json| action(json, json!({"type": "ignore", "target": "x"})), "unknown_member", at);
    let reject = json!({"type": "reject", "reason": "secret"});
    refused(|json| action(json, reject), "wrong_member", "none, busy, forbidden");
}

#[test]
fn i7_a_caller_condition_holds_for_any_of_its_callers() {
    let draft = Draft::parse(&full()).expect("an assignment");
    let callers = draft.steps[0].when.as_ref().and_then(|when| when.caller.clone()).unwrap();
    for (caller, included) in [
        ("+14255551212", true),
        ("4:+14255551212_asserted", true),
        ("+14255551213", false),
        ("+12065551212", true),
        ("+441", true),
        ("8:acs:r_u", true),
        ("8:acs:r_w", false),
        ("4:anonymous", true),
    ] {
        assert_eq!(callers.include(&Party::parse(caller).unwrap()), included, "{caller}");
    }
}

#[test]
fn an_assignment_shows_no_numbers_in_debug_output() {
    let draft = Draft::parse(&full()).expect("an assignment");
    let shown = format!("{draft:?}");
    for secret in ["425555", "206555", "8:acs", "front desk"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn plans_are_read_back_from_their_text() {
    let actions = [
        json!({"type": "redirect", "target": "+14255550100"}),
        json!({"type": "redirect", "target": "8:acs:x_y"}),
        json!({"type": "redirect", "target": "8:acs:\\x"}),
        json!({"type": "answer"}),
    ];
    for action in actions {
        let draft = Draft::parse(&json!({"steps": [{"action": action}]})).unwrap();
        let text = serde_json::to_string(&draft.steps).unwrap();
        assert_eq!(Step::parse_plan(&text).unwrap(), draft.steps, "{text}");
        let spaced = text.replace(':', ": ").replace(": acs: ", ":acs:");
        assert_eq!(Step::parse_plan(&spaced).unwrap(), draft.steps, "{spaced}");
    }
    for bad in [
        "",
        "{}",
        "[]",
        r#"[{"action":{"type":"redirect","target":"nobody"}}]"#,
        r#"[{"action":{"type":"redirect","target":"+1","x":"+2"}}]"#,
    ] {
        assert!(Step::parse_plan(bad).is_err(), "{bad}");
    }
}
