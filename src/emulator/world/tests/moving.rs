//! Moving participants between two calls of the application's.

use super::*;
use crate::emulator::call_config::{EmptiedCall, Impossible};

const OTHER: &str = "+16045550123";

fn move_here(from: &str, who: &[&str]) -> Value {
    let who: Vec<_> = who.iter().map(|one| identifier(one)).collect();
    json!({ "targetParticipants": who, "fromCall": from, "operationContext": "move-1" })
}

/// Two calls with different callback URIs, so that it shows who was told what.
fn two_calls(theatre: &mut Theatre, from: &[&str], to: &[&str]) -> (String, String) {
    let from = theatre.in_call(from);
    let to = theatre.in_call(to);
    (from, to)
}

impl Theatre {
    /// Takes what was posted about one call.
    fn told_of(&self, call: &str) -> Vec<String> {
        let about = |event: &Value| event["data"]["callConnectionId"] == call;
        self.posted.iter().filter(|(_, _, e)| about(e)).map(|(_, _, e)| short(e)).collect()
    }
}

#[test]
fn a_participant_moves_and_both_calls_are_told() {
    let mut theatre = Theatre::new(|_| ());
    let (from, to) = two_calls(&mut theatre, &[CALLER, AGENT], &[OTHER]);
    let answer = theatre.on(Operation::MoveParticipants, &to, move_here(&from, &[CALLER]));
    assert_eq!(answer["operationContext"], "move-1");
    assert_eq!(answer["fromCall"], from);
    assert_eq!(answer["participants"][0]["identifier"]["rawId"], format!("4:{CALLER}"));
    let data = theatre.posted[0].2["data"].clone();
    assert_eq!(data["participant"]["rawId"], format!("4:{CALLER}"));
    assert_eq!((&data["fromCall"], &data["operationContext"]), (&json!(from), &json!("move-1")));
    assert_eq!(theatre.told_of(&to), ["MoveParticipantSucceeded 200/0", "ParticipantsUpdated"]);
    assert_eq!(theatre.told_of(&from), ["ParticipantsUpdated"]);
    theatre.told();
    let roster = theatre.on(Operation::GetParticipants, &to, Value::Null);
    assert_eq!(roster["value"].as_array().map(Vec::len), Some(2));
    theatre.far(&to, CALLER, Deed::HangUp);
    assert_eq!(theatre.told_of(&to), ["ParticipantsUpdated"]);
}

#[test]
fn a_call_that_loses_its_last_party_ends_or_stays() {
    for (emptied, told) in [
        (EmptiedCall::Ends, &["ParticipantsUpdated", "CallDisconnected 0/7000"][..]),
        (EmptiedCall::Stays, &["ParticipantsUpdated"]),
    ] {
        let mut theatre = Theatre::new(|config| config.behaviour.calls.emptied_call = emptied);
        let (from, to) = two_calls(&mut theatre, &[CALLER], &[AGENT]);
        theatre.on(Operation::MoveParticipants, &to, move_here(&from, &[CALLER]));
        assert_eq!(theatre.told_of(&from), told);
        let left = theatre.ask(Operation::GetCall, Place::Call(from.as_str().into()), &Value::Null);
        assert_eq!(left.0 == 200, emptied == EmptiedCall::Stays);
    }
}

#[test]
fn each_participant_has_an_outcome_of_its_own() {
    let mut theatre = Theatre::new(|config| config.limits.participants = 5);
    let users = ["8:acs:r_x", "8:acs:r_y", "8:acs:r_z"];
    let (from, to) = two_calls(&mut theatre, &[CALLER, AGENT, OTHER], &users);
    let who = [AGENT, "8:acs:r_nobody", AGENT, OTHER];
    let mut body = move_here(&from, &who);
    body["operationCallbackUri"] = json!("http://127.0.0.1:9/moves");
    theatre.on(Operation::MoveParticipants, &to, body);
    let outcomes: Vec<_> = theatre
        .posted
        .iter()
        .filter(|(_, url, _)| url.ends_with("/moves"))
        .map(|(_, _, event)| (short(event), event["data"]["participant"]["rawId"].clone()))
        .collect();
    let expected = [
        ("MoveParticipantSucceeded 200/0", json!(AGENT)),
        ("MoveParticipantFailed 404/8522", json!("8:acs:r_nobody")),
        ("MoveParticipantFailed 400/8523", json!(format!("4:{OTHER}"))),
    ];
    assert_eq!(outcomes.len(), expected.len());
    for ((told, who), expected) in outcomes.iter().zip(&expected) {
        assert_eq!((told.as_str(), who), (expected.0, &expected.1));
    }
    assert_eq!(theatre.told_of(&from), ["ParticipantsUpdated"]);
}

#[test]
fn a_participant_who_is_there_already_does_not_come_twice() {
    let mut theatre = Theatre::new(|_| ());
    let (from, to) = two_calls(&mut theatre, &[CALLER, AGENT], &[AGENT]);
    theatre.on(Operation::MoveParticipants, &to, move_here(&from, &[AGENT]));
    theatre.check_told(&["MoveParticipantFailed 409/8519"]);
}

#[test]
fn moving_from_a_call_that_is_not_there_fails_as_configured() {
    for missing in [Impossible::Failed, Impossible::Refused] {
        let mut theatre = Theatre::new(|config| config.behaviour.calls.move_missing = missing);
        let to = theatre.in_call(&[CALLER]);
        let body = move_here("no-such-call", &[AGENT]);
        if missing == Impossible::Refused {
            let refused = theatre.refused(Operation::MoveParticipants, &to, body);
            assert_eq!(refused, (404, "8522".to_owned()));
            theatre.check_told(&[]);
        } else {
            theatre.on(Operation::MoveParticipants, &to, body);
            theatre.check_told(&["MoveParticipantFailed 404/8522"]);
        }
    }
}

#[test]
fn what_cannot_be_a_move_is_refused() {
    let mut theatre = Theatre::new(|config| config.limits.participants = 3);
    let (from, to) = two_calls(&mut theatre, &[CALLER], &[AGENT]);
    let three = move_here(&from, &["8:acs:r_1", "8:acs:r_2", "8:acs:r_3"]);
    let mut no_url = move_here(&from, &[CALLER]);
    no_url["operationCallbackUri"] = json!("moves");
    for body in [
        json!({ "fromCall": from }),
        json!({ "targetParticipants": [], "fromCall": from }),
        json!({ "targetParticipants": [identifier(CALLER)] }),
        json!({ "targetParticipants": [identifier(CALLER)], "fromCall": "" }),
        move_here(&to, &[CALLER]),
        three,
        no_url,
    ] {
        let refused = theatre.refused(Operation::MoveParticipants, &to, body.clone());
        assert_eq!(refused, (400, "8523".to_owned()), "{body}");
    }
    theatre.check_told(&[]);
}

#[test]
fn a_script_goes_on_in_the_other_call() {
    let book =
        format!("[[phone]]\nnumber = \"{CALLER}\"\nscript = [{{ afterMs = 5000, hangup = true }}]");
    let mut theatre = Theatre::new(phones(&book));
    let (from, to) = two_calls(&mut theatre, &[CALLER, AGENT], &[OTHER]);
    theatre.on(Operation::MoveParticipants, &to, move_here(&from, &[CALLER]));
    theatre.told();
    theatre.pass(5_000);
    theatre.check_told(&["ParticipantsUpdated"]);
    assert_eq!(theatre.participants_of(&to), [format!("4:{OTHER}")]);
}
