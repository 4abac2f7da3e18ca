//! Every operation of the API can be asked for, and ends as its events say.

use std::collections::BTreeSet;

use super::*;
use crate::pure::operations::takes_context;
use crate::wire::calling::AddParticipantRequest;

fn bob() -> Identifier {
    Identifier::from_raw_id("8:acs:bob")
}

fn invite() -> AddParticipantRequest {
    AddParticipantRequest { participant_to_add: Some(bob()), ..Default::default() }
}

fn state(recording: &str, state: &str) -> Value {
    event("RecordingStateChanged", "", json!({ "recordingId": recording, "state": state }))
}

#[actix_web::test]
async fn c12_hold_has_worked_when_no_failure_came() {
    let scene = Scene::set();
    let call = scene.call();
    scene.accepts([]);
    let held = tokio::spawn(call.hold(bob(), None).await.expect("accepted").into_future());
    scene.until_alarms(2).await;
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(held.await.expect("no panic"), Ok(HoldOutcome::Done));
    scene.accepts([coded("HoldFailed", "{ctx}", 400, 8501)]);
    let failed = call.unhold(bob()).await.expect("accepted").await;
    assert_eq!(failed, Ok(HoldOutcome::Failed(codes(400, 8501))));
    let operations: Vec<_> = scene.asked().iter().map(|(request, _)| request.operation).collect();
    assert_eq!(operations, [Operation::Hold, Operation::Unhold]);
    assert_eq!(scene.body(1)["targetParticipant"]["rawId"], "8:acs:bob");
}

#[actix_web::test]
async fn c12_moving_several_hears_of_each() {
    let scene = Scene::set();
    let call = scene.call();
    let of = |who: &str| json!({ "participant": { "rawId": who }, "fromCall": "other" });
    let mut failed = event("MoveParticipantFailed", "{ctx}", of("8:acs:b"));
    failed["data"]["resultInformation"] = json!({ "code": 404, "subCode": 8522 });
    scene.accepts([event("MoveParticipantSucceeded", "{ctx}", of("8:acs:a")), failed]);
    let three = ["8:acs:a", "8:acs:b", "8:acs:c"].map(Identifier::from_raw_id);
    let moving = call.move_here(&"other".into(), three).await.expect("accepted");
    let collecting = tokio::spawn(moving.within(Duration::from_secs(9)).into_future());
    scene.until_alarms(2).await;
    scene.clock.advance(Duration::from_secs(9));
    let told = collecting.await.expect("no panic").expect("told");
    let [a, b] = ["8:acs:a", "8:acs:b"].map(Identifier::from_raw_id);
    let expected = Moved { moved: vec![a], failed: vec![(b, codes(404, 8522))], unheard: 1 };
    assert_eq!(told, expected);
    assert_eq!(scene.body(0)["fromCall"], "other");
}

#[actix_web::test]
async fn an_invitation_can_be_withdrawn() {
    let scene = Scene::set();
    let call = scene.call();
    scene.turn([], Ok(json!({ "invitationId": "i-1" })));
    let invited = call.add_participant(invite()).await.expect("accepted");
    assert_eq!(invited.invitation_id(), Some("i-1"));
    scene.accepts([plain("CancelAddParticipantSucceeded", "{ctx}")]);
    let withdrawn = invited.cancel().await.expect("accepted").outcome().await;
    assert_eq!(withdrawn, Ok(CancelAddOutcome::Withdrawn));
    assert_eq!(scene.body(1)["invitationId"], "i-1");
    scene
        .post(coded(
            "AddParticipantFailed",
            scene.body(0)["operationContext"].as_str().expect("text"),
            487,
            0,
        ))
        .await;
    assert_eq!(invited.outcome().await, Ok(AddOutcome::Failed(codes(487, 0))));
}

#[actix_web::test]
async fn keys_are_heard_until_somebody_stops_that() {
    let scene = Scene::set();
    let call = scene.call();
    let tone = |context: &str, tone: &str| {
        let members = json!({ "tone": tone, "sequenceId": 1 });
        event("ContinuousDtmfRecognitionToneReceived", context, members)
    };
    scene.accepts([tone("{ctx}", "five"), tone("another", "six"), tone("{ctx}", "pound")]);
    let mut keys = call.keys_of(Identifier::phone("+14255550123")).await.expect("accepted");
    let mut pressed = String::new();
    for _ in 0..2 {
        match keys.next().await.expect("heard") {
            Some(Key::Pressed(tones)) => pressed.push_str(&tones.digits()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pressed, "5#", "the keys of another recognition are not ours");
    scene.accepts([plain("ContinuousDtmfRecognitionStopped", "{ctx}")]);
    let stopped = call.stop_keys_of(Identifier::phone("+14255550123")).await.expect("accepted");
    assert_eq!(stopped.outcome().await, Ok(StopKeysOutcome));
    assert_eq!(keys.next().await, Ok(None));
}

#[actix_web::test]
async fn a_recording_is_told_by_its_id_and_state() {
    let scene = Scene::set();
    let call = scene.call();
    let answer = json!({ "recordingId": "r-1", "recordingState": "active" });
    scene.turn([state("r-1", "active")], Ok(answer.clone()));
    let mut recorder = call.record(Recording::mixed().mp3()).await.expect("accepted");
    assert_eq!(recorder.id(), "r-1");
    let begun = recorder.begun().expect("asked for here");
    assert_eq!(begun.outcome().await, Ok(RecordingOutcome::Active));
    assert!(scene.body(0)["recordingStateCallbackUri"].is_string());
    scene.accepts([state("r-2", "inactive"), state("r-1", "active"), state("r-1", "inactive")]);
    let paused = recorder.pause().await.expect("accepted").outcome().await;
    assert_eq!(paused, Ok(RecordingOutcome::Inactive));
    scene.turn([], Ok(answer));
    assert_eq!(recorder.state().await.expect("known").recording_id.as_deref(), Some("r-1"));
}

/// Everything, once.
#[actix_web::test]
async fn every_operation_can_be_asked_for() {
    let scene = Scene::set();
    let done = |times: usize| (0..times).for_each(|_| scene.accepts([]));
    let made = || scene.turn([], Ok(json!({ "callConnectionId": "c" })));
    let client = &scene.client;
    made();
    let call = client.create_call(NewCall::to(bob())).await.expect("made");
    made();
    client.answer(Answering::of("ticket".into())).await.expect("answered");
    made();
    client.connect(Joining::group("g")).await.expect("joined");
    done(3);
    client.redirect("ticket".into(), bob()).await.expect("redirected");
    client.reject("ticket".into(), RejectReason::Busy).await.expect("rejected");
    call.properties().await.expect("known");
    scene.turn([], Ok(json!({ "value": [] })));
    call.participants().await.expect("known");
    scene.turn([], Ok(json!({ "identifier": { "rawId": "8:acs:bob" } })));
    call.participant(&bob()).await.expect("there");
    done(23);
    drop(call.add_participant(invite()).await.expect("asked").cancel().await.expect("asked"));
    drop(call.remove_participant(bob()).await.expect("asked"));
    drop(call.move_here(&"other".into(), [bob()]).await.expect("asked"));
    call.mute(bob()).await.expect("muted");
    drop(call.transfer(bob()).await.expect("asked"));
    drop(call.play(Prompt::say("x")).await.expect("asked"));
    drop(call.recognize(Listen::for_keys(bob(), 1)).await.expect("asked"));
    drop(call.cancel_media().await.expect("asked"));
    drop(call.send_dtmf(bob(), ["one"]).await.expect("asked"));
    drop(call.keys_of(bob()).await.expect("asked"));
    drop(call.stop_keys_of(bob()).await.expect("asked"));
    drop(call.hold(bob(), None).await.expect("asked"));
    drop(call.unhold(bob()).await.expect("asked"));
    drop(call.start_streaming().await.expect("asked"));
    drop(call.stop_streaming().await.expect("asked"));
    drop(call.start_transcription(None).await.expect("asked"));
    drop(call.transcribe_in("de-DE").await.expect("asked"));
    drop(call.stop_transcription().await.expect("asked"));
    let recorder = call.recorder("r");
    drop(recorder.pause().await.expect("asked"));
    drop(recorder.resume().await.expect("asked"));
    drop(recorder.stop().await.expect("asked"));
    recorder.state().await.expect("known");
    scene.turn([], Ok(json!({ "recordingId": "r" })));
    drop(call.record(Recording::unmixed().paused()).await.expect("asked"));
    done(2);
    call.terminate().await.expect("ended");
    call.hang_up().await.expect("left");
    let asked = scene.asked();
    let labels: BTreeSet<_> = asked.iter().map(|(asked, _)| asked.operation.label()).collect();
    let all: BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.label()).collect();
    assert_eq!(labels, all);
    // Every request that may have a context has one.
    for (request, _) in asked.iter().filter(|(asked, _)| takes_context(asked.operation)) {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let context = body["operationContext"].as_str().unwrap_or_default();
        let needless = request.operation == Operation::MuteParticipants;
        assert!(needless || !context.is_empty(), "{}", request.operation.label());
    }
}
