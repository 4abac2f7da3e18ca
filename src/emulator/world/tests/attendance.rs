//! Who comes and goes, as Event Grid is told of it.

use super::*;

/// The short types and whom they are about.
fn told(theatre: &Theatre) -> Vec<(String, String)> {
    let told = |event: &Value| {
        let kind = event["eventType"].as_str()?.rsplit('.').next()?.to_owned();
        let who = event["subject"].as_str()?.rsplit('/').next()?.to_owned();
        (kind.starts_with("Call")).then_some((kind, who))
    };
    theatre.grid.iter().filter_map(told).collect()
}

fn kinds(theatre: &Theatre) -> Vec<String> {
    told(theatre).into_iter().map(|(kind, _)| kind).collect()
}

const OTHER: &str = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_other";

#[test]
fn a_call_with_a_user_is_told_from_its_start_to_its_end() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[AGENT]);
    theatre.on(Operation::AddParticipant, &call, json!({ "participantToAdd": identifier(OTHER) }));
    theatre.pass(5_000);
    let last = theatre.grid.last().expect("an event").clone();
    assert_eq!(last["eventType"], "Microsoft.Communication.CallParticipantAdded");
    let data = &last["data"];
    assert_eq!(data["user"]["communicationIdentifier"]["rawId"], OTHER, "{last}");
    assert_eq!(data["user"]["role"], "UserRole");
    assert!(data["participantId"].is_string() && data["group"]["id"].is_string(), "{last}");
    theatre.on(
        Operation::RemoveParticipant,
        &call,
        json!({ "participantToRemove": identifier(OTHER) }),
    );
    theatre.pass(1_000);
    theatre.on(Operation::TerminateCall, &call, Value::Null);
    theatre.pass(1_000);
    let told = told(&theatre);
    let people = told.iter().filter(|(kind, _)| kind.starts_with("CallParticipant"));
    let people: Vec<_> = people.map(|(kind, who)| (kind.as_str(), who.as_str())).collect();
    let wanted = [
        ("CallParticipantAdded", AGENT),
        ("CallParticipantAdded", OTHER),
        ("CallParticipantRemoved", OTHER),
        ("CallParticipantRemoved", AGENT),
    ];
    assert_eq!(people, wanted);
    assert_eq!((told[0].0.as_str(), told[told.len() - 1].0.as_str()), ("CallStarted", "CallEnded"));
    let of = |kind: &str| {
        let kind = format!("Microsoft.Communication.{kind}");
        let event = theatre.grid.iter().find(|event| event["eventType"] == kind.as_str());
        event.expect("it was told")["data"].clone()
    };
    let (started, ended) = (of("CallStarted"), of("CallEnded"));
    assert_eq!(started["serverCallId"], ended["serverCallId"]);
    assert_eq!((&started["isTwoParty"], &started["isRoomsCall"]), (&json!(true), &json!(false)));
    assert!(ended["durationOfCall"].as_f64().is_some_and(|seconds| seconds > 5.0), "{ended}");
}

#[test]
fn calls_of_telephones_and_applications_raise_nothing() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.pass(5_000);
    assert_eq!(kinds(&theatre), [""; 0]);
}

#[test]
fn they_can_be_left_out() {
    let mut theatre = Theatre::new(|config| config.behaviour.grid.call_events = false);
    theatre.in_call(&[AGENT]);
    assert_eq!(kinds(&theatre), [""; 0]);
}
