//! Keys that are told one by one, and hold.

use super::*;
use crate::emulator::config::BusyLeg;

fn watch(context: &str) -> Value {
    json!({ "targetParticipant": identifier(CALLER), "operationContext": context })
}

fn press(theatre: &mut Theatre, call: &str, keys: &[&'static str]) {
    theatre.far(call, CALLER, Deed::Press(keys.to_vec()));
}

#[test]
fn each_key_is_told_until_that_is_stopped() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    press(&mut theatre, &call, &["one"]);
    theatre.on(Operation::StartContinuousDtmfRecognition, &call, watch("keys"));
    theatre.check_told(&[]);
    press(&mut theatre, &call, &["five", "pound"]);
    let told: Vec<_> = theatre
        .posted
        .drain(..)
        .map(|(_, _, event)| {
            let data = &event["data"];
            (data["sequenceId"].clone(), data["tone"].clone(), data["operationContext"].clone())
        })
        .collect();
    let key = |number: u64, tone: &str| (number.into(), tone.into(), "keys".into());
    assert_eq!(told, [key(1, "five"), key(2, "pound")]);
    theatre.on(Operation::StopContinuousDtmfRecognition, &call, watch("enough"));
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "enough");
    theatre.check_told(&["ContinuousDtmfRecognitionStopped 200/0"]);
    theatre.on(Operation::StopContinuousDtmfRecognition, &call, watch("again"));
    press(&mut theatre, &call, &["one"]);
    theatre.check_told(&[]);
}

#[test]
fn a_key_is_told_beside_what_it_means_to_a_recognition() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::StartContinuousDtmfRecognition, &call, watch("keys"));
    let ask =
        recognize(json!({ "interruptPrompt": true, "dtmfOptions": { "maxTonesToCollect": 1 } }));
    theatre.on(Operation::Recognize, &call, ask);
    theatre.told();
    press(&mut theatre, &call, &["one"]);
    theatre.check_told(&[
        "ContinuousDtmfRecognitionToneReceived 200/0",
        "RecognizeCompleted 200/8531",
    ]);
    theatre.on(Operation::CancelAllMediaOperations, &call, Value::Null);
    press(&mut theatre, &call, &["two"]);
    theatre.check_told(&["ContinuousDtmfRecognitionToneReceived 200/0"]);
}

#[test]
fn telling_keys_stops_with_the_call_and_with_the_one_who_presses() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::StartContinuousDtmfRecognition, &call, watch("keys"));
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["ContinuousDtmfRecognitionStopped 200/0", "CallDisconnected 0/0"]);

    let call = theatre.in_call(&[CALLER, AGENT]);
    theatre.on(Operation::StartContinuousDtmfRecognition, &call, watch("keys"));
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["ContinuousDtmfRecognitionStopped 200/0", "ParticipantsUpdated"]);
}

#[test]
fn telling_keys_is_refused_beside_what_is_for_one_participant() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    let mut to_one = play("one");
    to_one["playTo"] = json!([identifier(CALLER)]);
    theatre.on(Operation::Play, &call, to_one);
    let refused = theatre.refused(Operation::StartContinuousDtmfRecognition, &call, watch("keys"));
    assert_eq!(refused, (400, "8501".to_owned()));
    let mut strict = Theatre::new(|config| config.behaviour.busy_leg = BusyLeg::Conflict);
    let other = strict.in_call(&[CALLER, AGENT]);
    for expected in [None, Some((409, "8519".to_owned()))] {
        let mut to_one = play("one");
        to_one["playTo"] = json!([identifier(CALLER)]);
        match expected {
            None => drop(strict.on(Operation::Play, &other, to_one)),
            Some(refusal) => assert_eq!(strict.refused(Operation::Play, &other, to_one), refusal),
        }
    }
    let mut nobody = watch("keys");
    nobody["targetParticipant"] = identifier("+14255550000");
    let refused = theatre.refused(Operation::StopContinuousDtmfRecognition, &call, nobody);
    assert_eq!(refused, (404, "8522".to_owned()));
}

/// Who is on hold, by the last roster that was told.
fn held(theatre: &Theatre) -> Vec<bool> {
    let roster = theatre.posted.last().expect("something was told");
    let parties = roster.2["data"]["participants"].as_array().expect("a roster");
    parties.iter().map(|party| party["isOnHold"] == true).collect()
}

#[test]
fn whoever_is_held_is_shown_and_taken_back() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    theatre.on(Operation::Hold, &call, watch("hold"));
    assert_eq!(held(&theatre), [true, false]);
    theatre.check_told(&["ParticipantsUpdated"]);
    theatre.on(Operation::Hold, &call, watch("again"));
    theatre.check_told(&[]);
    theatre.on(Operation::Unhold, &call, watch("unhold"));
    assert_eq!(held(&theatre), [false, false]);
    theatre.check_told(&["ParticipantsUpdated"]);
    theatre.on(Operation::Unhold, &call, watch("again"));
    theatre.check_told(&[]);
}

#[test]
fn music_on_hold_goes_on_beside_everything_and_is_never_told() {
    let mut theatre = Theatre::new(|config| config.behaviour.media_told_at_call_end = true);
    let call = theatre.in_call(&[CALLER]);
    let mut hold = watch("hold");
    hold["playSourceInfo"] = file(PROMPT);
    theatre.on(Operation::Hold, &call, hold);
    theatre.check_told(&["ParticipantsUpdated"]);
    theatre.on(Operation::Play, &call, play("p-1"));
    theatre.on(Operation::CancelAllMediaOperations, &call, Value::Null);
    theatre.check_told(&["PlayStarted 200/0", "PlayCanceled 400/8508"]);
    theatre.pass(60_000);
    theatre.check_told(&[]);
    let seen = theatre.world.view();
    assert_eq!(seen["calls"][0]["connections"][0]["media"]["running"], json!(["hold"]));
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
}

#[test]
fn a_hold_whose_music_cannot_be_played_fails() {
    let mut theatre = Theatre::new(|config| config.behaviour.fetch_from_any_host = true);
    let call = theatre.in_call(&[CALLER]);
    let mut hold = watch("hold");
    hold["playSourceInfo"] = file(PROMPT);
    theatre.on(Operation::Hold, &call, hold);
    assert_eq!(theatre.posted[1].2["data"]["operationContext"], "hold");
    theatre.check_told(&["ParticipantsUpdated", "HoldFailed 400/8536", "ParticipantsUpdated"]);
}

#[test]
fn a_phone_holds_by_itself() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.far(&call, CALLER, Deed::Hold);
    assert_eq!(held(&theatre), [true]);
    theatre.far(&call, CALLER, Deed::Resume);
    assert_eq!(held(&theatre), [false]);
    theatre.check_told(&["ParticipantsUpdated", "ParticipantsUpdated"]);
}

#[test]
fn a_sound_that_is_no_word_is_not_understood() {
    let mut theatre = Theatre::new(|_| ());
    let (status, answer) = theatre.ask(
        Operation::CreateCall,
        Place::Nowhere,
        &json!({
            "targets": [identifier("+14255551313")], "callbackUri": CALLBACK,
            "sourceCallerIdNumber": { "value": OURS },
            "callIntelligenceOptions": { "cognitiveServicesEndpoint": "https://speech.example.test" },
        }),
    );
    assert_eq!(status, 201, "{answer}");
    let call = answer["callConnectionId"].as_str().expect("an id").to_owned();
    theatre.pass(1_000);
    theatre.told();
    let ask = json!({
        "recognizeInputType": "speech",
        "recognizeOptions": { "targetParticipant": identifier("+14255551313") },
    });
    theatre.on(Operation::Recognize, &call, ask);
    theatre.far(&call, "+14255551313", Deed::Say(" ".into()));
    theatre.pass(500);
    theatre.check_told(&["RecognizeFailed 400/8563"]);
}
