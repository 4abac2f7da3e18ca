//! Connecting: to calls that run, to group calls and rooms, and to what is not there.

use super::*;
use crate::emulator::call_config::Impossible;
use crate::emulator::world::Locator;

const GROUP: &str = "29228D3E-040E-4656-A70E-890AB4E173E5";

fn connect(locator: Value) -> Value {
    json!({ "callLocator": locator, "callbackUri": SECOND, "operationContext": "connect-1" })
}

/// Where the second application is told.
const SECOND: &str = "http://127.0.0.1:9/second";

fn server_locator(id: &str) -> Value {
    json!({ "kind": "serverCallLocator", "serverCallId": id })
}

fn group_locator() -> Value {
    json!({ "kind": "groupCallLocator", "groupCallId": GROUP })
}

impl Theatre {
    #[track_caller]
    fn connect(&mut self, locator: Value) -> String {
        let (status, answer) = self.ask(Operation::Connect, Place::Nowhere, &connect(locator));
        assert_eq!((status, &answer["callConnectionState"]), (200, &json!("connecting")));
        assert_eq!(answer["callbackUri"], SECOND);
        answer["callConnectionId"].as_str().expect("an id").to_owned()
    }

    /// What was posted to one address: short types with codes.
    fn told_at(&self, url: &str) -> Vec<String> {
        let there = self.posted.iter().filter(|(_, at, _)| at == url);
        there.map(|(_, _, event)| short(event)).collect()
    }

    fn participants_in(&mut self, call: &str) -> usize {
        let roster = self.on(Operation::GetParticipants, call, Value::Null);
        roster["value"].as_array().expect("a roster").len()
    }
}

#[test]
fn a_second_application_joins_a_running_call() {
    let mut theatre = Theatre::new(|_| ());
    let first = theatre.in_call(&[CALLER]);
    let server = theatre.server_of(&first);
    let second = theatre.connect(server_locator(&server));
    theatre.pass(49);
    theatre.check_told(&[]);
    assert_eq!(theatre.refused(Operation::Play, &second, play("p")), (400, "8501".to_owned()));
    theatre.pass(1);
    assert_eq!(theatre.told_at(SECOND), ["CallConnected", "ParticipantsUpdated"]);
    assert_eq!(theatre.told_at(CALLBACK), ["ParticipantsUpdated"]);
    let connected = theatre.posted[0].2["data"].clone();
    assert_eq!(connected["operationContext"], "connect-1");
    assert_eq!(connected["serverCallId"], server);
    assert_ne!(first, second);
    assert_eq!(theatre.server_of(&second), server);
    theatre.posted.clear();
    theatre.far(&first, CALLER, Deed::Mute);
    theatre.check_told(&["ParticipantsUpdated", "ParticipantsUpdated"]);
    theatre.far(&first, CALLER, Deed::HangUp);
    theatre.check_told(&["CallDisconnected 0/560000", "CallDisconnected 0/560000"]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn the_second_application_can_carry_on_alone() {
    let mut theatre = Theatre::new(|_| ());
    let first = theatre.in_call(&[CALLER]);
    let server = theatre.server_of(&first);
    let second = theatre.connect(server_locator(&server));
    theatre.pass(50);
    theatre.told();
    theatre.on(Operation::HangUpCall, &first, Value::Null);
    assert_eq!(theatre.told_at(CALLBACK), ["CallDisconnected 0/0"]);
    assert_eq!(theatre.told_at(SECOND), ["ParticipantsUpdated"]);
    theatre.told();
    assert_eq!(theatre.participants_in(&second), 1);
    theatre.on(Operation::HangUpCall, &second, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn connecting_to_what_is_not_there_fails_as_configured() {
    for (missing, unknown) in [(Impossible::Failed, false), (Impossible::Refused, false)] {
        let mut theatre = Theatre::new(|config| {
            config.behaviour.calls.connect_missing = missing;
            config.behaviour.calls.unknown_groups = unknown;
            config.behaviour.calls.unknown_rooms = unknown;
        });
        let room = json!({ "kind": "roomCallLocator", "roomId": "99445276259151407" });
        for locator in [server_locator("bm8gc3VjaA=="), group_locator(), room] {
            if missing == Impossible::Refused {
                let refused = theatre.refused(Operation::Connect, "", connect(locator));
                assert_eq!(refused, (404, "8522".to_owned()));
                continue;
            }
            let call = theatre.connect(locator.clone());
            theatre.pass(50);
            let failed = theatre.posted[0].2["data"].clone();
            assert_eq!(failed["operationContext"], "connect-1");
            if let Some(server) = locator["serverCallId"].as_str() {
                assert_eq!(failed["serverCallId"], server);
            }
            theatre.check_told(&["ConnectFailed 404/8522", "CallDisconnected 404/8522"]);
            assert_eq!(theatre.refused(Operation::GetCall, &call, Value::Null).0, 404);
        }
        assert_eq!(theatre.world.view()["calls"], json!([]), "nothing is left");
    }
}

#[test]
fn a_call_that_still_rings_cannot_be_joined() {
    let mut theatre = Theatre::new(|_| ());
    let (_, server) = theatre.ring(CALLER, OURS);
    theatre.connect(server_locator(&server));
    theatre.pass(50);
    theatre.check_told(&["ConnectFailed 404/8522", "CallDisconnected 404/8522"]);
    assert_eq!(theatre.world.view()["calls"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_call_that_ends_meanwhile_is_not_joined() {
    let mut theatre = Theatre::new(|config| {
        config.behaviour.disconnect_after_answer_failed = false;
    });
    let first = theatre.in_call(&[CALLER]);
    let server = theatre.server_of(&first);
    theatre.connect(server_locator(&server));
    theatre.far(&first, CALLER, Deed::HangUp);
    theatre.pass(100);
    theatre.check_told(&["CallDisconnected 0/560000", "ConnectFailed 404/8522"]);
}

#[test]
fn a_full_call_is_not_joined() {
    let mut theatre = Theatre::new(|config| config.limits.participants = 2);
    let first = theatre.in_call(&[CALLER]);
    let server = theatre.server_of(&first);
    theatre.connect(server_locator(&server));
    theatre.pass(50);
    theatre.check_told(&["ConnectFailed 400/8523", "CallDisconnected 400/8523"]);
}

#[test]
fn an_application_may_change_its_mind_before_it_is_in() {
    let mut theatre = Theatre::new(|_| ());
    let first = theatre.in_call(&[CALLER]);
    let server = theatre.server_of(&first);
    for locator in [server_locator(&server), group_locator(), server_locator("bm9uZQ==")] {
        let second = theatre.connect(locator);
        theatre.on(Operation::HangUpCall, &second, Value::Null);
        theatre.pass(1_000);
        theatre.check_told(&["CallDisconnected 487/540487"]);
    }
    assert_eq!(theatre.world.view()["calls"].as_array().map(Vec::len), Some(1));
    assert_eq!(theatre.participants_in(&first), 1);
}

#[test]
fn a_group_call_begins_with_whoever_comes_first_and_ends_with_the_last() {
    let mut theatre = Theatre::new(|_| ());
    let first = theatre.connect(group_locator());
    theatre.pass(50);
    assert_eq!(theatre.posted[1].2["data"]["participants"], json!([]));
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    assert_eq!(theatre.participants_in(&first), 0, "alone, and still in the call");
    let same = json!({ "groupCallId": GROUP.to_lowercase() });
    let second = theatre.connect(same);
    theatre.pass(50);
    theatre.check_told(&["CallConnected", "ParticipantsUpdated", "ParticipantsUpdated"]);
    assert_eq!(theatre.server_of(&first), theatre.server_of(&second));
    let add = json!({ "participantToAdd": identifier(AGENT) });
    theatre.on(Operation::AddParticipant, &first, add);
    theatre.pass(1_000);
    theatre.check_told(&[
        "AddParticipantSucceeded 200/0",
        "ParticipantsUpdated",
        "ParticipantsUpdated",
    ]);
    theatre.far(&first, AGENT, Deed::HangUp);
    theatre.check_told(&["ParticipantsUpdated", "ParticipantsUpdated"]);
    theatre.on(Operation::HangUpCall, &first, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0", "ParticipantsUpdated"]);
    theatre.on(Operation::HangUpCall, &second, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn people_wait_in_a_room_that_has_to_be_there() {
    let mut theatre = Theatre::new(|config| config.behaviour.calls.unknown_rooms = false);
    let room = Locator::Room("99445276259151407".into());
    theatre.world.far_join(&room, Identifier::parse(AGENT)).expect("joins");
    let twice = theatre.world.far_join(&room, Identifier::parse(AGENT)).expect_err("is there");
    assert_eq!((twice.status, twice.code), (409, "8519"));
    theatre.pass(3_600_000);
    let locator = json!({ "kind": "roomCallLocator", "roomId": "99445276259151407" });
    let call = theatre.connect(locator);
    theatre.pass(50);
    let roster = &theatre.posted[1].2["data"]["participants"];
    assert_eq!(roster[0]["identifier"]["rawId"], AGENT);
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    theatre.world.far_join(&room, Identifier::parse(CALLER)).expect("joins");
    theatre.settle();
    theatre.check_told(&["ParticipantsUpdated"]);
    assert_eq!(theatre.world.view()["calls"][0]["roomId"], "99445276259151407");
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
    theatre.pass(59_999);
    assert_eq!(theatre.world.view()["calls"].as_array().map(Vec::len), Some(1));
    theatre.pass(1);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn a_transfer_out_of_a_group_call_leaves_the_application_in_it() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.connect(group_locator());
    theatre.world.far_join(&Locator::Group(GROUP.into()), Identifier::parse(CALLER)).expect("in");
    theatre.pass(50);
    theatre.told();
    let body = json!({ "targetParticipant": identifier(AGENT) });
    theatre.on(Operation::TransferToParticipant, &call, body);
    theatre.pass(1_000);
    theatre.check_told(&["CallTransferAccepted 200/0", "ParticipantsUpdated"]);
    theatre.on(Operation::TerminateCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/4097"]);
}

#[test]
fn a_locator_must_name_one_call() {
    let mut theatre = Theatre::new(|_| ());
    let bad = [
        json!({ "callbackUri": CALLBACK }),
        connect(json!({})),
        connect(json!({ "kind": "teamsLocator" })),
        connect(json!({ "kind": "serverCallLocator" })),
        connect(json!({ "serverCallId": "a", "roomId": "b" })),
        json!({ "callLocator": group_locator() }),
        json!({ "callLocator": group_locator(), "callbackUri": "/calls" }),
    ];
    for body in bad {
        let refused = theatre.refused(Operation::Connect, "", body.clone());
        assert_eq!(refused, (400, "8523".to_owned()), "{body}");
    }
}

#[test]
fn whoever_still_comes_keeps_a_group_call_open() {
    let mut theatre = Theatre::new(|_| ());
    let first = theatre.connect(group_locator());
    let second = theatre.connect(group_locator());
    theatre.on(Operation::HangUpCall, &first, Value::Null);
    theatre.check_told(&["CallDisconnected 487/540487"]);
    theatre.pass(50);
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    assert_eq!(theatre.participants_in(&second), 0);
}

#[test]
fn people_in_a_room_wait_however_long_and_however_few() {
    let mut theatre = Theatre::new(|_| ());
    let room = Locator::Room("9944".into());
    let (server, _) = theatre.world.far_join(&room, Identifier::parse(AGENT)).expect("joins");
    theatre.world.far_join(&room, Identifier::parse(CALLER)).expect("joins");
    let caller = RawId::of_number(CALLER);
    theatre.world.far_end(server.as_str(), &caller, &Deed::HangUp).expect("leaves");
    theatre.pass(3_600_000);
    assert_eq!(theatre.world.view()["calls"].as_array().map(Vec::len), Some(1));
    let agent = RawId::new(AGENT);
    theatre.world.far_end(server.as_str(), &agent, &Deed::HangUp).expect("leaves");
    assert_eq!(theatre.world.view()["calls"], json!([]));
}
