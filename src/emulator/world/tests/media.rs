//! Prompts, keys, choices and speech, with their timers.

use super::*;

#[test]
fn a_play_starts_lasts_and_completes() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::Play, &call, play("p-1"));
    theatre.check_told(&["PlayStarted 200/0"]);
    theatre.pass(2_999);
    theatre.check_told(&[]);
    theatre.pass(1);
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "p-1");
    theatre.check_told(&["PlayCompleted 200/0"]);
}

#[test]
fn plays_wait_for_each_other_unless_one_interrupts() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::Play, &call, play("p-1"));
    theatre.on(Operation::Play, &call, play("p-2"));
    theatre.pass(3_000);
    theatre.check_told(&["PlayStarted 200/0", "PlayCompleted 200/0", "PlayStarted 200/0"]);
    theatre.on(Operation::Play, &call, play("p-3"));
    let mut barge_in = play("p-4");
    barge_in["interruptCallMediaOperation"] = true.into();
    theatre.on(Operation::Play, &call, barge_in);
    let contexts: Vec<_> = theatre
        .posted
        .iter()
        .map(|(_, _, event)| event["data"]["operationContext"].clone())
        .collect();
    assert_eq!(contexts, ["p-2", "p-3", "p-4"]);
    let canceled = "PlayCanceled 400/8508";
    theatre.check_told(&[canceled, canceled, "PlayStarted 200/0"]);
}

#[test]
fn a_loop_goes_on_until_it_is_cancelled() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let mut looped = play("music");
    looped["playOptions"] = json!({ "loop": true });
    theatre.on(Operation::Play, &call, looped);
    theatre.on(Operation::Recognize, &call, recognize(json!({})));
    theatre.pass(600_000);
    theatre.check_told(&["PlayStarted 200/0"]);
    theatre.on(Operation::CancelAllMediaOperations, &call, Value::Null);
    theatre.check_told(&["PlayCanceled 400/8508", "RecognizeCanceled 400/8508"]);
    theatre.on(Operation::CancelAllMediaOperations, &call, Value::Null);
    theatre.pass(60_000);
    theatre.check_told(&[]);
}

#[test]
fn the_events_of_a_request_may_go_elsewhere() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let mut elsewhere = play("p-1");
    elsewhere["operationCallbackUri"] = "http://127.0.0.1:9/other".into();
    theatre.on(Operation::Play, &call, elsewhere);
    theatre.pass(3_000);
    theatre.far(&call, CALLER, Deed::HangUp);
    let urls: Vec<_> = theatre.posted.iter().map(|(_, url, _)| url.as_str()).collect();
    assert_eq!(urls, ["http://127.0.0.1:9/other", "http://127.0.0.1:9/other", CALLBACK]);
}

#[test]
fn prompts_of_this_machine_are_really_fetched() {
    let local = "http://127.0.0.1:9/prompt.wav";
    let both = |first: &str, second: &str| json!({ "playSources": [file(first), file(second)], "operationContext": "p" });
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::Play, &call, both(local, PROMPT));
    assert_eq!(theatre.posted[0].2["data"]["failedPlaySourceIndex"], 0);
    theatre.check_told(&["PlayFailed 400/8536"]);

    theatre.on(Operation::Play, &call, both(PROMPT, local));
    theatre.pass(3_000);
    assert_eq!(theatre.posted[1].2["data"]["failedPlaySourceIndex"], 1);
    theatre.check_told(&["PlayStarted 200/0", "PlayFailed 400/8536"]);

    theatre.prompt = answered(200, "<html>not audio</html>");
    theatre.on(Operation::Play, &call, both(local, PROMPT));
    theatre.check_told(&["PlayFailed 400/8535"]);

    theatre.prompt = answered(200, [b"ID3".as_slice(), &[0; 15_997]].concat());
    theatre.on(Operation::Play, &call, json!({ "playSources": [file(local)] }));
    theatre.pass(1_000);
    theatre.check_told(&["PlayStarted 200/0", "PlayCompleted 200/0"]);
}

#[test]
fn a_cached_prompt_is_not_fetched_again_for_an_hour() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let mut source = file("http://127.0.0.1:9/prompt.mp3");
    source["playSourceCacheId"] = "welcome".into();
    let body = json!({ "playSources": [source] });
    theatre.prompt = answered(200, [b"ID3".as_slice(), &[0; 15_997]].concat());
    theatre.on(Operation::Play, &call, body.clone());
    theatre.pass(1_000);
    theatre.prompt = answered(404, "");
    theatre.on(Operation::Play, &call, body.clone());
    theatre.pass(1_000);
    theatre.told();
    theatre.pass(3_600_000);
    theatre.on(Operation::Play, &call, body);
    theatre.check_told(&["PlayFailed 400/8536"]);
}

#[test]
fn spoken_prompts_need_a_speech_resource() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let text = json!({ "playSources": [{ "kind": "text", "text": { "text": "0123456789" } }] });
    assert_eq!(theatre.refused(Operation::Play, &call, text.clone()).0, 400);
    let body = json!({
        "targets": [identifier(CALLER)], "callbackUri": CALLBACK,
        "sourceCallerIdNumber": { "value": OURS },
        "callIntelligenceOptions": { "cognitiveServicesEndpoint": "https://speech.example.test" },
    });
    let (_, answer) = theatre.ask(Operation::CreateCall, Place::Nowhere, &body);
    let call = answer["callConnectionId"].as_str().expect("an id").to_owned();
    theatre.pass(1_000);
    theatre.told();
    theatre.on(Operation::Play, &call, text);
    theatre.pass(600);
    theatre.check_told(&["PlayStarted 200/0", "PlayCompleted 200/0"]);
    let empty = json!({ "playSources": [{ "kind": "ssml", "ssml": { "ssmlText": " " } }] });
    theatre.on(Operation::Play, &call, empty);
    theatre.check_told(&["PlayFailed 400/8582"]);
}

#[test]
fn one_participant_at_a_time_hears_something_of_its_own() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    let mut to_one = play("one");
    to_one["playTo"] = json!([identifier(CALLER)]);
    theatre.on(Operation::Play, &call, to_one.clone());
    theatre.on(Operation::Play, &call, play("all"));
    theatre.check_told(&["PlayStarted 200/0", "PlayStarted 200/0"]);
    let busy = (400, "8501".to_owned());
    assert_eq!(theatre.refused(Operation::Play, &call, to_one.clone()), busy);
    assert_eq!(theatre.refused(Operation::Recognize, &call, recognize(json!({}))), busy);
    let keys = json!({ "tones": ["one"], "targetParticipant": identifier(CALLER) });
    assert_eq!(theatre.refused(Operation::SendDtmfTones, &call, keys.clone()), busy);
    theatre.pass(3_000);
    theatre.told();
    theatre.on(Operation::SendDtmfTones, &call, keys);
    theatre.pass(200);
    theatre.check_told(&["SendDtmfTonesCompleted 200/0"]);
    to_one["playTo"] = json!([identifier("8:acs:nobody_here")]);
    assert_eq!(theatre.refused(Operation::Play, &call, to_one), (404, "8522".to_owned()));
}

#[test]
fn an_operation_for_somebody_who_leaves_fails_and_the_next_one_starts() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT, "8:acs:r_third"]);
    theatre.on(Operation::Recognize, &call, recognize(json!({})));
    theatre.told();
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["RecognizeFailed 404/8522", "ParticipantsUpdated"]);
}

#[test]
fn media_that_runs_when_the_call_ends_is_silent_or_cancelled_as_configured() {
    for told in [false, true] {
        let mut theatre = Theatre::new(|config| config.behaviour.media_told_at_call_end = told);
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::Play, &call, play("p-1"));
        theatre.told();
        theatre.on(Operation::HangUpCall, &call, Value::Null);
        let expected = ["PlayCanceled 400/8508", "CallDisconnected 0/0"];
        theatre.check_told(if told { &expected } else { &expected[1..] });
        theatre.pass(60_000);
        theatre.check_told(&[]);
    }
}

/// Presses keys, one each at these times after the recognition was asked for, with a prompt of 3 s.
#[track_caller]
fn check_keys(options: Value, presses: &[(u64, &'static str)], at: u64, outcome: &str) -> Value {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let began = theatre.now;
    theatre.on(Operation::Recognize, &call, recognize(options));
    theatre.check_told(&["PlayStarted 200/0"]);
    for (when, key) in presses {
        theatre.pass(began.0 + when - theatre.now.0);
        theatre.far(&call, CALLER, Deed::Press(vec![key]));
    }
    theatre.pass(120_000);
    assert_eq!(theatre.posted.len(), 1, "one outcome");
    let (posted, _, event) = theatre.posted.remove(0);
    assert_eq!((short(&event).as_str(), posted.0 - began.0), (outcome, at));
    event["data"].clone()
}

#[test]
fn silence_counts_from_the_end_of_the_prompt() {
    let silence = "RecognizeFailed 400/8510";
    check_keys(json!({}), &[], 8_000, silence);
    check_keys(json!({ "initialSilenceTimeoutInSeconds": 9 }), &[], 12_000, silence);
    check_keys(json!({ "initialSilenceTimeoutInSeconds": 0 }), &[], 3_000, silence);
}

#[test]
fn keys_end_a_recognition_by_number_by_stop_tone_or_by_pause() {
    let three = json!({ "dtmfOptions": { "maxTonesToCollect": 3, "stopTones": ["pound"] } });
    let presses = [(3_500, "one"), (4_000, "two"), (4_500, "three"), (4_600, "four")];
    let data = check_keys(three.clone(), &presses, 4_500, "RecognizeCompleted 200/8531");
    assert_eq!(data["recognitionType"], "dtmf");
    assert_eq!(data["dtmfResult"]["tones"], json!(["one", "two", "three"]));

    let presses = [(3_500, "one"), (4_000, "pound")];
    let data = check_keys(three.clone(), &presses, 4_000, "RecognizeCompleted 200/8514");
    assert_eq!(data["dtmfResult"]["tones"], json!(["one"]));

    let presses = [(7_999, "one"), (9_998, "two")];
    check_keys(three, &presses, 11_998, "RecognizeFailed 400/8532");
}

#[test]
fn keys_stop_the_prompt_only_when_they_may() {
    let one = |interrupt: bool| json!({ "interruptPrompt": interrupt, "dtmfOptions": { "maxTonesToCollect": 1 } });
    check_keys(one(true), &[(1_000, "one")], 1_000, "RecognizeCompleted 200/8531");
    check_keys(one(false), &[(1_000, "one")], 8_000, "RecognizeFailed 400/8510");
}

#[test]
fn a_long_pause_between_keys_may_complete_a_recognition() {
    let mut theatre = Theatre::new(|config| config.behaviour.inter_digit_timeout_completes = true);
    let call = theatre.in_call(&[CALLER]);
    let mut silent = recognize(json!({ "dtmfOptions": { "maxTonesToCollect": 4 } }));
    silent["playPrompt"] = Value::Null;
    theatre.on(Operation::Recognize, &call, silent);
    theatre.far(&call, CALLER, Deed::Press(vec!["one"]));
    theatre.pass(2_000);
    assert_eq!(theatre.posted[0].2["data"]["dtmfResult"]["tones"], json!(["one"]));
    theatre.check_told(&["RecognizeCompleted 400/8532"]);
}

#[test]
fn a_stop_tone_may_be_part_of_the_result() {
    let mut theatre = Theatre::new(|config| config.behaviour.stop_tone_in_result = true);
    let call = theatre.in_call(&[CALLER]);
    let mut ask = recognize(json!({ "dtmfOptions": { "stopTones": ["pound"] } }));
    ask["playPrompt"] = Value::Null;
    theatre.on(Operation::Recognize, &call, ask);
    theatre.far(&call, CALLER, Deed::Press(vec!["one", "pound"]));
    assert_eq!(theatre.posted[0].2["data"]["dtmfResult"]["tones"], json!(["one", "pound"]));
}

#[test]
fn choices_are_made_by_key_or_by_phrase() {
    let ask = || {
        let mut ask = recognize(json!({ "choices": [
            { "label": "Confirm", "phrases": ["yes please", "confirm"], "tone": "one" },
            { "label": "Cancel", "phrases": ["no"], "tone": "two" },
        ] }));
        ask["recognizeInputType"] = "choices".into();
        ask["playPrompt"] = Value::Null;
        ask
    };
    let check = |deed: Deed, outcome: &str, result: Value| {
        let mut theatre = Theatre::new(|_| ());
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::Recognize, &call, ask());
        theatre.far(&call, CALLER, deed);
        assert_eq!(theatre.posted[0].2["data"]["choiceResult"], result);
        theatre.check_told(&[outcome]);
    };
    check(Deed::Press(vec!["two"]), "RecognizeCompleted 200/8533", json!({ "label": "Cancel" }));
    check(Deed::Press(vec!["nine"]), "RecognizeFailed 400/8534", Value::Null);
    check(
        Deed::Say("Well, YES please!".into()),
        "RecognizeCompleted 200/8545",
        json!({ "label": "Confirm", "recognizedPhrase": "yes please", "confidence": 0.9 }),
    );
    check(Deed::Say("nothing of that".into()), "RecognizeFailed 400/8547", Value::Null);
}

#[test]
fn speech_ends_with_silence_and_the_first_input_fixes_the_mode() {
    let start = |theatre: &mut Theatre| {
        let body = json!({
            "targets": [identifier(CALLER)], "callbackUri": CALLBACK,
            "sourceCallerIdNumber": { "value": OURS },
            "callIntelligenceOptions": { "cognitiveServicesEndpoint": "https://s.example.test" },
        });
        let (_, answer) = theatre.ask(Operation::CreateCall, Place::Nowhere, &body);
        theatre.pass(1_000);
        theatre.told();
        let call = answer["callConnectionId"].as_str().expect("an id").to_owned();
        let mut ask = recognize(json!({ "speechOptions": { "endSilenceTimeoutInMs": 700 } }));
        ask["recognizeInputType"] = "speechOrDtmf".into();
        ask["playPrompt"] = Value::Null;
        theatre.on(Operation::Recognize, &call, ask);
        call
    };
    let mut theatre = Theatre::new(|_| ());
    let call = start(&mut theatre);
    theatre.far(&call, CALLER, Deed::Say("I would like".into()));
    theatre.pass(600);
    theatre.far(&call, CALLER, Deed::Press(vec!["one"]));
    theatre.far(&call, CALLER, Deed::Say("to change my booking".into()));
    theatre.pass(699);
    theatre.check_told(&[]);
    theatre.pass(1);
    let data = theatre.posted[0].2["data"].clone();
    assert_eq!(data["speechResult"]["speech"], "I would like to change my booking");
    theatre.check_told(&["RecognizeCompleted 200/0"]);

    let mut theatre = Theatre::new(|_| ());
    let call = start(&mut theatre);
    theatre.far(&call, CALLER, Deed::Press(vec!["one"]));
    theatre.far(&call, CALLER, Deed::Say("too late".into()));
    theatre.pass(2_000);
    theatre.check_told(&["RecognizeFailed 400/8532"]);
}

#[test]
fn a_scripted_phone_answers_the_prompt_and_hangs_up() {
    let book = format!(
        "[[phone]]\nnumber = \"{CALLER}\"\nscript = [\
         {{ onPrompt = \"recognize\", press = \"12#\", afterMs = 400 }},\
         {{ afterMs = 5000, hangup = true }}]"
    );
    let mut theatre = Theatre::new(phones(&book));
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::Play, &call, play("p-1"));
    theatre.pass(3_000);
    theatre.told();
    let ask = recognize(json!({ "dtmfOptions": { "stopTones": ["pound"] } }));
    theatre.on(Operation::Recognize, &call, ask);
    theatre.pass(3_399);
    theatre.check_told(&["PlayStarted 200/0"]);
    theatre.pass(1);
    theatre.check_told(&["RecognizeCompleted 200/8514"]);
    theatre.pass(5_000);
    theatre.check_told(&["CallDisconnected 0/560000"]);
}

#[test]
fn several_participants_may_hear_one_prompt_and_it_ends_with_the_last_of_them() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT, "8:acs:r_third", "8:acs:r_fourth"]);
    let mut to_two = play("two");
    to_two["playTo"] = json!([identifier(CALLER), identifier(AGENT)]);
    theatre.on(Operation::Play, &call, to_two);
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["PlayStarted 200/0", "ParticipantsUpdated"]);
    theatre.far(&call, AGENT, Deed::HangUp);
    theatre.check_told(&["PlayFailed 404/8522", "ParticipantsUpdated"]);
    theatre.pass(10_000);
    theatre.check_told(&[]);
}

#[test]
fn participants_may_be_served_side_by_side_when_configured() {
    let mut theatre = Theatre::new(|config| config.behaviour.sub_leg_per_participant = true);
    let call = theatre.in_call(&[CALLER, AGENT]);
    let to = |who: &str| {
        let mut wish = play("one");
        wish["playTo"] = json!([identifier(who)]);
        wish
    };
    theatre.on(Operation::Play, &call, to(CALLER));
    theatre.on(Operation::Play, &call, to(AGENT));
    assert_eq!(theatre.refused(Operation::Play, &call, to(CALLER)).0, 400);
    theatre.pass(3_000);
    let both = ["PlayStarted 200/0", "PlayStarted 200/0"];
    let ended = ["PlayCompleted 200/0", "PlayCompleted 200/0"];
    theatre.check_told(&[both, ended].concat());
}

#[test]
fn an_interruption_clears_the_leg_of_one_participant_too() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    let mut to_agent = play("one");
    to_agent["playTo"] = json!([identifier(AGENT)]);
    theatre.on(Operation::Play, &call, to_agent);
    let mut ask = recognize(json!({}));
    ask["interruptCallMediaOperation"] = true.into();
    theatre.on(Operation::Recognize, &call, ask);
    theatre.check_told(&["PlayStarted 200/0", "PlayCanceled 400/8508", "PlayStarted 200/0"]);
}
