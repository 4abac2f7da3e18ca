//! Ringing calls, from Event Grid's door to what is done about them.

use std::time::Duration;

use serde_json::json;
use switchhook::client::{ConnectOutcome, Listen, PlayOutcome, Prompt, RecognizeOutcome};
use switchhook::emulator::{Action, OnRing, Phone, PhoneBook, Prompt as Heard, Schema, Step};
use switchhook::wire::identifiers::Identifier;

use crate::stage::{PATIENCE, Setting, Stage};

const NUMBER: &str = "+18005550100";
const CALLER: &str = "+14255550001";

/// Presses 1 when asked.
fn willing_caller() -> PhoneBook {
    let mut phones = PhoneBook::default();
    let script = vec![Step {
        on_prompt: Some(Heard::Recognize),
        after: Duration::from_secs(1),
        action: Action::Press(vec!["one"]),
    }];
    let after = Duration::from_secs(1);
    phones.set(&Identifier::phone(CALLER), Phone { on_ring: OnRing::Answer, after, script });
    phones
}

#[actix_web::test]
async fn a_call_rings_is_answered_asked_and_hung_up_in_linear_code() {
    let stage = Stage::with(Setting { phones: willing_caller(), ..Setting::default() }).await;
    let answer = json!({"type": "answer", "cognitiveServicesEndpoint": "https://s.example.com"});
    stage.assign(NUMBER, json!([{ "action": answer }])).await;
    let mut answered = stage.app.answered();
    let server_call = stage.ring(CALLER, NUMBER).await;

    let call = tokio::time::timeout(PATIENCE, answered.next()).await.expect("in time").unwrap();
    assert_eq!(call.connected().await.unwrap(), ConnectOutcome::Connected);
    let said = call.play(Prompt::say("Welcome.")).await.unwrap().outcome().await.unwrap();
    assert_eq!(said, PlayOutcome::Completed);
    let listen = Listen::for_keys(Identifier::phone(CALLER), 1).after(Prompt::say("One or two?"));
    let heard = call.recognize(listen).await.unwrap().outcome().await.unwrap();
    match heard {
        RecognizeOutcome::Dtmf(keys) => assert_eq!(keys.digits(), "1"),
        other => panic!("{other:?}"),
    }
    let ended = call.ended().await.unwrap();
    call.hang_up().await.unwrap();
    ended.outcome().await.expect("the end comes");

    let decision = stage.decision(&server_call).await;
    assert_eq!(decision["fate"], "answered");
    let (status, view) = stage.get(&format!("/admin/calls/{}", call.id())).await;
    assert_eq!((status, view["state"].as_str()), (200, Some("disconnected")), "{view}");
    let types: Vec<_> = view["events"].as_array().unwrap().iter().collect();
    let types: Vec<_> = types.iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
    let short = |name: &String| name.trim_start_matches("Microsoft.Communication.").to_owned();
    let types: Vec<_> = types.iter().map(short).collect();
    assert_eq!(types.first().map(String::as_str), Some("CallConnected"), "{types:?}");
    assert_eq!(types.last().map(String::as_str), Some("CallDisconnected"), "{types:?}");
    for wanted in ["ParticipantsUpdated", "PlayStarted", "PlayCompleted", "RecognizeCompleted"] {
        assert!(types.iter().any(|name| name == wanted), "{wanted} in {types:?}");
    }
    assert_eq!(view["decision"]["fate"], "answered");
}

#[actix_web::test]
async fn a_call_is_redirected_and_another_rejected_by_number_assignments() {
    for schema in [Schema::EventGrid, Schema::CloudEvents] {
        let stage = Stage::with(Setting { schema, ..Setting::default() }).await;
        let redirect = json!([{"action": {"type": "redirect", "target": "8:acs:r_agent"}}]);
        stage.assign(NUMBER, redirect).await;
        stage.assign("+1800555*", json!([{"action": {"type": "reject", "reason": "busy"}}])).await;
        let redirected = stage.ring(CALLER, NUMBER).await;
        assert_eq!(stage.decision(&redirected).await["fate"], "redirected");
        let rejected = stage.ring(CALLER, "+18005550199").await;
        let decision = stage.decision(&rejected).await;
        assert_eq!(decision["fate"], "rejected");
        assert_eq!(decision["explanation"]["winner"], "+1800555*", "{decision}");
    }
}
