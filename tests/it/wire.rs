//! Real payloads, one per event type, as they come off the wire.

use std::fs;
use std::path::{Path, PathBuf};

use switchhook::wire::events::grid::{GridEvent, GridNews, parse_deliveries};
use switchhook::wire::events::{
    BadBody, CallEvent, Detail, ElementProblem, EventKind, parse_callbacks,
};

fn samples(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire").join(folder);
    let mut found: Vec<_> = fs::read_dir(root)
        .expect("the samples are in the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| (path.clone(), fs::read_to_string(path).expect("readable")))
        .collect();
    found.sort();
    found
}

fn only(body: &str) -> CallEvent {
    let mut read = parse_callbacks(body.as_bytes(), 10).expect("readable");
    assert_eq!(read.len(), 1);
    read.remove(0).expect("a good element")
}

#[test]
fn every_known_type_has_a_sample_and_every_sample_is_read_whole() {
    let mut missing: Vec<_> = EventKind::KNOWN.to_vec();
    for (path, body) in samples("") {
        let event = only(&body);
        assert!(!matches!(event.kind, EventKind::Unknown(_)), "{path:?}");
        assert!(!matches!(event.detail, Detail::Unknown | Detail::Unreadable), "{path:?}");
        assert_eq!(event.call.as_str(), "421f0b00-57ad-4a32-8ae4-5b3e3b4d9f10", "{path:?}");
        assert!(event.server_call.is_some() && event.correlation.is_some(), "{path:?}");
        assert_eq!(event.context.is_some(), body.contains("operationContext"), "{path:?}");
        assert_eq!(event.result.is_some(), body.contains("resultInformation"), "{path:?}");
        missing.retain(|kind| kind != &event.kind);
    }
    assert_eq!(missing, [], "no sample for these types");
}

#[test]
fn c3_unknown_types_are_kept_raw_and_by_name() {
    let previews = samples("preview");
    assert!(previews.len() > 10);
    for (path, body) in previews {
        let event = only(&body);
        assert!(matches!(event.kind, EventKind::Unknown(_)), "{path:?}");
        let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
        let kept: serde_json::Value = serde_json::from_str(&event.raw).unwrap();
        assert_eq!(kept, sent[0], "{path:?}");
    }
}

#[test]
fn a_roster_a_recognition_and_a_transfer_are_typed() {
    let read = |name: &str| {
        let found = samples("").into_iter().find(|(path, _)| path.ends_with(name));
        only(&found.expect("the sample").1).detail
    };
    match read("ParticipantsUpdated.json") {
        Detail::Roster { participants, sequence_number } => {
            assert_eq!((participants.len(), sequence_number), (2, Some(4)));
            assert!(participants[1].is_muted);
        }
        other => panic!("{other:?}"),
    }
    match read("RecognizeCompleted.dtmf.json") {
        Detail::Recognition(heard) => {
            let tones = heard.dtmf_result.expect("tones").tones;
            assert_eq!(tones, ["nine", "eight", "zero", "five", "two"]);
        }
        other => panic!("{other:?}"),
    }
    match read("CallTransferAccepted.json") {
        Detail::Transfer { target, transferee } => {
            assert!(target.is_some());
            assert_eq!(transferee.unwrap().raw_id().as_str(), "4:+14255551212");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_event_grid_sample_is_typed_in_both_schemas() {
    let mut incoming = 0;
    for (path, body) in samples("eventgrid") {
        let read = parse_deliveries(body.as_bytes(), 10).expect("readable");
        assert_eq!(read.len(), 1, "{path:?}");
        let event: &GridEvent = read[0].as_ref().expect("a good element");
        assert_ne!(event.news, GridNews::Other, "{path:?}");
        assert!(event.time.is_some(), "{path:?}");
        if let GridNews::IncomingCall(call) = &event.news {
            incoming += 1;
            assert!(call.server_call_id.is_some() && call.correlation_id.is_some(), "{path:?}");
            let on_behalf = path.to_string_lossy().contains("on-behalf-of");
            assert_eq!(call.on_behalf_of_callee.is_some(), on_behalf, "{path:?}");
        }
    }
    assert!(incoming >= 14, "seven variants in two schemas");
}

#[test]
fn custom_context_may_be_absent_null_empty_or_hold_the_callee() {
    for (custom, headers) in [
        ("", 0),
        (r#","customContext":null"#, 0),
        (r#","customContext":{"sipHeaders":null,"voipHeaders":{}}"#, 0),
        (r#","customContext":{"sipHeaders":{"userToUser":"x","other":null}}"#, 2),
        (r#","customContext":{"onBehalfOfCallee":{"rawId":"8:acs:a_b"}}"#, 0),
    ] {
        let body = format!(
            r#"{{"id":"1","source":"/s","type":"Microsoft.Communication.IncomingCall","data":{{
                "to":{{"phoneNumber":{{"value":"+18005551212"}}}},"from":{{"rawId":"4:anonymous"}},
                "incomingCallContext":"ctx"{custom}}}}}"#
        );
        let event = GridEvent::parse(&body).expect("readable");
        let GridNews::IncomingCall(call) = event.news else { panic!("an incoming call") };
        assert_eq!(call.custom_context.sip_headers.len(), headers);
        assert_eq!(call.on_behalf_of_callee.is_some(), custom.contains("onBehalf"));
    }
}

const GOOD: &str = r#"{"id":"1","source":"s","type":"Microsoft.Communication.CallConnected","data":{"callConnectionId":"c"}}"#;

#[test]
fn c1_a_bad_element_costs_its_neighbours_nothing() {
    #[track_caller]
    fn check(bad: &str, problem: ElementProblem) {
        let body = format!("[{GOOD},{bad},{GOOD}]");
        let read = parse_callbacks(body.as_bytes(), 10).expect("readable");
        assert!(read[0].is_ok() && read[2].is_ok());
        let found = read[1].as_ref().expect_err("a bad element");
        assert_eq!((found.index, found.problem), (1, problem));
    }
    check("7", ElementProblem::NotAnEvent);
    check("null", ElementProblem::NotAnEvent);
    check("[]", ElementProblem::NotAnEvent);
    check("{}", ElementProblem::MissingId);
    check(r#"{"id":"","source":"s","type":"t","data":{}}"#, ElementProblem::MissingId);
    check(r#"{"id":"1","source":"s","data":{}}"#, ElementProblem::MissingType);
    check(r#"{"id":"1","type":"t","data":{}}"#, ElementProblem::MissingSource);
    check(r#"{"id":"1","source":"s","type":"t"}"#, ElementProblem::MissingData);
    check(r#"{"id":"1","source":"s","type":"t","data":null}"#, ElementProblem::MissingData);
    check(r#"{"id":"1","source":"s","type":"t","data":"x"}"#, ElementProblem::MissingData);
    let no_call = ElementProblem::MissingCallConnectionId;
    check(r#"{"id":"1","source":"s","type":"t","data":{}}"#, no_call);
    check(r#"{"id":"1","source":"s","type":"t","data":{"callConnectionId":""}}"#, no_call);
    let long = "x".repeat(5000);
    check(
        &format!(r#"{{"id":"1","source":"s","type":"t","data":{{"callConnectionId":"{long}"}}}}"#),
        ElementProblem::IdTooLong,
    );
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    check(
        &format!(
            r#"{{"id":"1","source":"s","type":"t","data":{{"callConnectionId":"c","x":{deep}}}}}"#
        ),
        ElementProblem::TooDeep,
    );
}

#[test]
fn c1_a_single_object_is_an_array_of_one_and_null_is_absent() {
    let event = only(GOOD);
    assert_eq!(event.kind, EventKind::CallConnected);
    let with_nulls = GOOD.replace(
        r#""callConnectionId":"c""#,
        r#""callConnectionId":"c","operationContext":null,"resultInformation":null,"serverCallId":null"#,
    );
    let event = only(&with_nulls);
    assert!(event.context.is_none() && event.result.is_none() && event.server_call.is_none());
}

#[test]
fn a_member_of_the_wrong_type_does_not_cost_the_event() {
    let body = r#"{"id":"1","source":"s","type":"Microsoft.Communication.ParticipantsUpdated",
        "data":{"callConnectionId":"c","participants":"all of them","resultInformation":[1]}}"#;
    let event = only(body);
    assert_eq!(event.detail, Detail::Unreadable);
    assert_eq!(event.result, None);
}

#[test]
fn whole_bodies_are_refused_with_a_reason() {
    #[track_caller]
    fn check(body: &str, is: fn(&BadBody) -> bool) {
        let refused = parse_callbacks(body.as_bytes(), 3).expect_err("refused");
        assert!(is(&refused), "{refused:?}");
    }
    let not_json: fn(&BadBody) -> bool = |bad| matches!(bad, BadBody::NotJson { .. });
    check("", not_json);
    check("[{\"id\":", not_json);
    check("[1,2", not_json);
    check("[] trailing", not_json);
    check(&"[".repeat(100_000), not_json);
    check("\"text\"", |bad| *bad == BadBody::NotAnArray);
    check("[1,2,3,4]", |bad| *bad == BadBody::TooMany { limit: 3 });
    assert_eq!(parse_callbacks(b"[]", 3), Ok(vec![]));
}
