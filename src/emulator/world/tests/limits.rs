//! What is refused, and what is left behind.

use super::*;

#[test]
fn what_azure_refuses_is_refused() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let user = identifier(AGENT);
    let phone = identifier(CALLER);
    let target = |options: Value| recognize(options);
    let many: Vec<_> = std::iter::repeat_n("one", 19).collect();
    let cases = [
        (Operation::CreateCall, json!({ "callbackUri": CALLBACK })),
        (Operation::CreateCall, json!({ "targets": [], "callbackUri": CALLBACK })),
        (Operation::CreateCall, json!({ "targets": [user], "callbackUri": "/calls" })),
        (Operation::CreateCall, json!({ "targets": [user], "callbackUri": "ftp://h/calls" })),
        (Operation::CreateCall, json!({ "targets": [phone], "callbackUri": CALLBACK })),
        (Operation::CreateCall, json!({ "targets": [{}], "callbackUri": CALLBACK })),
        (Operation::AnswerCall, json!({ "callbackUri": CALLBACK })),
        (Operation::RejectCall, json!({ "incomingCallContext": "x", "callRejectReason": "no" })),
        (Operation::AddParticipant, json!({})),
        (Operation::AddParticipant, json!({ "participantToAdd": identifier("+16045550123") })),
        (
            Operation::AddParticipant,
            json!({ "participantToAdd": user, "invitationTimeoutInSeconds": 181 }),
        ),
        (
            Operation::AddParticipant,
            json!({ "participantToAdd": user, "operationCallbackUri": "x" }),
        ),
        (Operation::RemoveParticipant, json!({})),
        (Operation::TransferToParticipant, json!({})),
        (Operation::TransferToParticipant, json!({ "targetParticipant": phone })),
        (Operation::Play, json!({})),
        (Operation::Play, json!({ "playSources": [{ "kind": "radio" }] })),
        (Operation::Play, json!({ "playSources": [file("prompt.wav")] })),
        (Operation::Play, json!({ "playSources": "all" })),
        (Operation::Recognize, json!({ "recognizeInputType": "dtmf" })),
        (Operation::Recognize, json!({ "recognizeInputType": "dtmf", "recognizeOptions": {} })),
        (Operation::Recognize, target(json!({ "initialSilenceTimeoutInSeconds": 301 }))),
        (
            Operation::Recognize,
            target(json!({ "dtmfOptions": { "interToneTimeoutInSeconds": 0 } })),
        ),
        (
            Operation::Recognize,
            target(json!({ "dtmfOptions": { "interToneTimeoutInSeconds": 61 } })),
        ),
        (Operation::Recognize, target(json!({ "dtmfOptions": { "maxTonesToCollect": 0 } }))),
        (Operation::Recognize, target(json!({ "dtmfOptions": { "stopTones": ["#"] } }))),
        (Operation::SendDtmfTones, json!({ "tones": many, "targetParticipant": phone })),
        (Operation::SendDtmfTones, json!({ "tones": ["1"], "targetParticipant": phone })),
        (Operation::SendDtmfTones, json!({ "tones": ["one"], "targetParticipant": user })),
    ];
    for (operation, body) in cases {
        let has_call = operation.path_template().contains("{call}");
        let place = if has_call { call.as_str() } else { "" };
        let (status, code) = theatre.refused(operation, place, body.clone());
        assert_eq!((status, code.as_str()), (400, "8523"), "{operation:?} {body}");
    }
    theatre.pass(10_000);
    theatre.check_told(&[]);
}

#[test]
fn a_call_that_is_not_up_takes_no_operations_and_an_unknown_one_is_not_found() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.create(&[CALLER]);
    let early = theatre.refused(Operation::Play, &call, play("p"));
    assert_eq!(early, (400, "8501".to_owned()));
    for operation in Operation::ALL {
        let template = operation.path_template();
        if !template.contains("{call}") || template.contains("{participant}") {
            continue;
        }
        let (status, code) = theatre.refused(*operation, "no-such-call", json!({}));
        let expected = if status == 501 { "NotImplemented" } else { "8522" };
        assert_eq!(code, expected, "{operation:?} {status}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = || {
        let mut theatre = Theatre::new(|_| ());
        let call = theatre.create(&[CALLER, AGENT]);
        theatre.pass(1_000);
        theatre.on(Operation::Play, &call, play("p-1"));
        theatre.pass(5_000);
        theatre.on(Operation::TerminateCall, &call, Value::Null);
        theatre.posted
    };
    assert_eq!(trace(), trace());
    assert_eq!(trace().len(), 6);
}

#[test]
fn nothing_is_left_of_calls_that_are_over() {
    let mut theatre = Theatre::new(|_| ());
    for _ in 0..100 {
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::Play, &call, play("p-1"));
        theatre.on(Operation::Recognize, &call, recognize(json!({})));
        theatre.far(&call, CALLER, Deed::HangUp);
        theatre.ring(CALLER, OURS);
    }
    theatre.pass(700_000);
    let world = &theatre.world;
    assert_eq!(world.agenda.next(), None);
    assert!(world.jobs.is_empty() && world.rings.is_empty() && world.tickets.is_empty());
    assert!(world.connections.is_empty() && world.conversations.len() == 0);
    assert!(world.postbox.is_idle());
}

#[test]
fn a_full_emulator_says_so() {
    let mut theatre = Theatre::new(|config| config.limits.calls = 1);
    theatre.create(&[CALLER]);
    let body = json!({ "targets": [identifier(AGENT)], "callbackUri": CALLBACK });
    let full = theatre.refused(Operation::CreateCall, "", body);
    assert_eq!(full, (429, "TooManyRequests".to_owned()));
}

#[test]
fn far_end_deeds_need_somebody_to_do_them() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let server = theatre.server_of(&call);
    let mut status = |server: &str, who: &RawId, deed: Deed| {
        theatre.world.far_end(server, who, &deed).err().map(|refusal| refusal.status)
    };
    let caller = RawId::of_number(CALLER);
    assert_eq!(status("no-such-call", &caller, Deed::HangUp), Some(404));
    assert_eq!(status(&server, &RawId::new("8:acs:a_b"), Deed::HangUp), Some(404));
    assert_eq!(status(&server, &caller, Deed::Answer), Some(404));
    assert_eq!(status(&server, &caller, Deed::Press(vec!["one"])), None);
}
