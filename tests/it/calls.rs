//! Waits over HTTP: the correlation contract, told through the real doors.

use std::time::Duration;

use serde_json::{Value, json};
use switchhook::clock::ManualClock;

use crate::stage::{PATIENCE, Setting, Stage, answer, event, eventually, waits_of};

const CALL: &str = "0b4c6f0a-call-one";
const NOW: u64 = 0;

/// The id of the event that a wait was told.
#[track_caller]
fn told((status, body): (u16, Value)) -> String {
    assert_eq!(status, 200, "{body}");
    body["event"]["id"].as_str().expect("an event").to_owned()
}

#[track_caller]
fn refused((status, body): (u16, Value), wanted: u16, code: &str) -> Value {
    assert_eq!((status, body["code"].as_str()), (wanted, Some(code)), "{body}");
    body
}

#[track_caller]
fn nothing_there(answer: (u16, Value)) -> Value {
    refused(answer, 408, "wait_timed_out")["nearMisses"].clone()
}

fn play_completed(id: &str) -> Value {
    event(CALL, id, "PlayCompleted", None)
}

/// `CallDisconnected`, with the codes of a caller who hung up.
fn disconnected(call: &str) -> Value {
    let mut event = event(call, "the-end", "CallDisconnected", None);
    event["data"]["resultInformation"] = json!({"code": 200, "subCode": 5300, "message": "bye"});
    event
}

#[actix_web::test]
async fn c6_an_event_that_was_quicker_than_its_wait_is_told_as_it_came() {
    let stage = Stage::untokened().await;
    let mut early = play_completed("e1");
    early["data"]["aMemberOfTomorrow"] = json!({"deep": [1, null]});
    stage.told(std::slice::from_ref(&early)).await;
    let (status, body) = stage.wait(CALL, json!({"types": ["PlayCompleted"]})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["event"], early);
    assert_eq!(body["type"], "Microsoft.Communication.PlayCompleted");
    assert_eq!(body["callConnectionId"], CALL);
    assert!(body["cursor"].is_string() && body["receivedAt"].is_string(), "{body}");
    let none: Value = nothing_there(stage.wait(CALL, json!({"timeoutMs": NOW})).await);
    assert_eq!(none, json!([]), "an event that was taken is nobody's near miss");
}

#[actix_web::test]
async fn c11_a_wait_may_come_before_anything_is_known_of_its_call() {
    let stage = Stage::untokened().await;
    assert_eq!(stage.view(CALL).await.0, 404);
    let wait = stage.begin_to_wait(CALL, json!({"types": ["CallConnected"]}), 1).await;
    let (_, view) = stage.view(CALL).await;
    assert_eq!(view["state"], "connecting");
    assert_eq!(view["waits"][0]["types"], json!(["Microsoft.Communication.CallConnected"]));
    stage.told(&[event(CALL, "e1", "CallConnected", None)]).await;
    assert_eq!(told(wait.await.unwrap()), "e1");
    assert_eq!(stage.view(CALL).await.1["state"], "connected");
}

#[actix_web::test]
async fn c5_everybody_who_waits_is_told_and_nothing_is_left_for_the_late() {
    let stage = Stage::untokened().await;
    let by_type =
        stage.begin_to_wait(CALL, json!({"types": ["PlayFailed", "PlayCompleted"]}), 1).await;
    let any = stage.begin_to_wait(CALL, json!({}), 2).await;
    let other = stage.begin_to_wait(CALL, json!({"types": ["RecognizeCompleted"]}), 3).await;
    stage.told(&[play_completed("e1")]).await;
    assert_eq!(told(by_type.await.unwrap()), "e1");
    assert_eq!(told(any.await.unwrap()), "e1");
    let (_, view) = stage.view(CALL).await;
    assert_eq!((&view["backlog"], view["waits"].as_array().unwrap().len()), (&json!(0), 1));
    nothing_there(stage.wait(CALL, json!({"timeoutMs": NOW})).await);
    stage.told(&[event(CALL, "e2", "RecognizeCompleted", None)]).await;
    assert_eq!(told(other.await.unwrap()), "e2");
}

#[actix_web::test]
async fn c6_late_waiters_take_one_event_each_oldest_first_and_only_what_they_want() {
    let stage = Stage::untokened().await;
    let dtmf = event(CALL, "tone", "ContinuousDtmfRecognitionToneReceived", None);
    stage.told(&[play_completed("e1"), dtmf]).await;
    stage.told(&[play_completed("e2"), play_completed("e3")]).await;
    let tone = json!({"types": ["ContinuousDtmfRecognitionToneReceived"], "timeoutMs": NOW});
    assert_eq!(told(stage.wait(CALL, tone.clone()).await), "tone");
    for wanted in ["e1", "e2", "e3"] {
        assert_eq!(told(stage.wait(CALL, json!({"timeoutMs": NOW})).await), wanted);
    }
    nothing_there(stage.wait(CALL, tone).await);
}

#[actix_web::test]
async fn c6_the_backlog_ends_after_five_seconds_and_the_edge_is_exact() {
    let clock = ManualClock::starting_now();
    let stage = Stage::with(Setting::untokened(|_| {}).held(&clock)).await;
    stage.told(&[event("kept", "e1", "PlayCompleted", None)]).await;
    stage.told(&[event("gone", "e1", "PlayCompleted", None)]).await;
    for call in ["kept", "gone"] {
        // A look passes through the same mailboxes: when it is answered, the event has arrived.
        assert_eq!(stage.get(&format!("/admin/calls/{call}")).await.0, 200);
    }
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(told(stage.wait("kept", json!({"timeoutMs": NOW})).await), "e1");
    clock.advance(Duration::from_millis(1));
    nothing_there(stage.wait("gone", json!({"timeoutMs": NOW})).await);
}

#[actix_web::test]
async fn c3_types_are_named_short_or_full_and_strangers_are_waited_for_by_name() {
    let stage = Stage::untokened().await;
    let names = ["PlayCompleted", "Microsoft.Communication.PlayCompleted"];
    let strange = ["HoldAudioRewound", "Microsoft.Communication.HoldAudioRewound"];
    for (kind, name) in names
        .map(|n| ("PlayCompleted", n))
        .into_iter()
        .chain(strange.map(|n| ("HoldAudioRewound", n)))
    {
        // Standing, and late.
        let wait = stage.begin_to_wait(CALL, json!({"types": ["PlayFailed", name]}), 1).await;
        let id = format!("standing for {name}");
        stage.told(&[event(CALL, &id, kind, None)]).await;
        assert_eq!(told(wait.await.unwrap()), id);
        let id = format!("kept for {name}");
        stage.told(&[event(CALL, &id, kind, None)]).await;
        assert_eq!(told(stage.wait(CALL, json!({"types": [name], "timeoutMs": NOW})).await), id);
    }
    let mut foreign = event(CALL, "foreign", "x", None);
    foreign["type"] = "Contoso.Calling.Whispered".into();
    stage.told(&[foreign]).await;
    let wait = json!({"types": ["Contoso.Calling.Whispered"], "timeoutMs": NOW});
    let (status, body) = stage.wait(CALL, wait).await;
    assert_eq!((status, &body["type"]), (200, &json!("Contoso.Calling.Whispered")), "{body}");
    let types: Vec<_> = stage.view(CALL).await.1["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["type"].clone())
        .collect();
    assert!(types.contains(&json!("Microsoft.Communication.HoldAudioRewound")), "{types:?}");
}

#[actix_web::test]
async fn c4_all_conditions_must_hold_and_nothing_matches_by_accident() {
    let stage = Stage::untokened().await;
    stage
        .told(&[
            event(CALL, "theirs", "PlayCompleted", Some("theirs")),
            event(CALL, "nobody's", "PlayCompleted", None),
            event(CALL, "failed", "PlayFailed", Some("mine")),
            event(CALL, "mine", "PlayCompleted", Some("mine")),
        ])
        .await;
    let mine = json!({"types": ["PlayCompleted"], "operationContext": "mine", "timeoutMs": NOW});
    assert_eq!(told(stage.wait(CALL, mine.clone()).await), "mine");
    nothing_there(stage.wait(CALL, mine).await);
    // Contexts are compared to the letter.
    nothing_there(stage.wait(CALL, json!({"operationContext": "Mine", "timeoutMs": NOW})).await);
    assert_eq!(
        told(stage.wait(CALL, json!({"operationContext": "mine", "timeoutMs": NOW})).await),
        "failed"
    );
    // No context given is no condition; other calls are another world.
    nothing_there(stage.wait("another", json!({"timeoutMs": NOW})).await);
    assert_eq!(told(stage.wait(CALL, json!({"timeoutMs": NOW})).await), "theirs");
}

#[actix_web::test]
async fn c4_a_filter_in_the_vendors_json_is_one_more_condition() {
    let stage = Stage::untokened().await;
    let one_of = |names: &[&str]| {
        json!({"types": ["PlayCompleted"], "timeoutMs": 20_000, "filter": [
            {"operatorType": "StringIn", "key": "data.operationContext", "values": names}]})
    };
    let standing = stage.begin_to_wait(CALL, one_of(&["B", "c"]), 1).await;
    assert_eq!(stage.view(CALL).await.1["waits"][0]["filtered"], true);
    stage
        .told(&[
            event(CALL, "a", "PlayCompleted", Some("a")),
            event(CALL, "b", "PlayCompleted", Some("b")),
        ])
        .await;
    assert_eq!(told(standing.await.unwrap()), "b");
    let whole = json!({"timeoutMs": NOW, "filter": {
        "includedEventTypes": ["Microsoft.Communication.PlayCompleted"],
        "advancedFilters": [{"operatorType": "NumberGreaterThan",
            "key": "data.resultInformation.code", "value": 199}]}});
    assert_eq!(told(stage.wait(CALL, whole.clone()).await), "a");
    nothing_there(stage.wait(CALL, whole).await);
}

#[actix_web::test]
async fn c16_a_wait_in_vain_tells_what_nearly_fitted() {
    let stage = Stage::untokened().await;
    stage
        .told(&[
            event(CALL, "1", "PlayCompleted", Some("theirs")),
            event(CALL, "2", "PlayFailed", Some("mine")),
            event(CALL, "3", "PlayFailed", Some("theirs")),
        ])
        .await;
    let mine = json!({"types": ["PlayCompleted"], "operationContext": "mine", "timeoutMs": NOW});
    let near = nothing_there(stage.wait(CALL, mine.clone()).await);
    let wanted = json!([
        {"type": "Microsoft.Communication.PlayCompleted", "failed": "operationContext"},
        {"type": "Microsoft.Communication.PlayFailed", "failed": "types"},
    ]);
    assert_eq!(near, wanted);
    let mut filtered = mine;
    filtered["operationContext"] = "theirs".into();
    filtered["filter"] = json!([{"operatorType": "StringIn", "key": "id", "values": ["9"]}]);
    let near = nothing_there(stage.wait(CALL, filtered).await);
    let wanted = json!([{"type": "Microsoft.Communication.PlayCompleted", "failed": "filter"}]);
    assert_eq!(near, wanted);
}

#[actix_web::test]
async fn c8_a_wait_ends_after_exactly_four_minutes_unless_it_says_otherwise() {
    let clock = ManualClock::starting_now();
    let stage = Stage::with(Setting::untokened(|_| {}).held(&clock)).await;
    let usual = stage.begin_to_wait(CALL, json!({}), 1).await;
    let short = stage.begin_to_wait(CALL, json!({"timeoutMs": 1_500}), 2).await;
    clock.advance(Duration::from_millis(1_499));
    assert_eq!(stage.view(CALL).await.1["waits"][1]["leftMs"], 1);
    clock.advance(Duration::from_millis(1));
    nothing_there(short.await.unwrap());
    clock.advance(Duration::from_millis(240_000 - 1_501));
    let (_, view) = stage.view(CALL).await;
    assert_eq!(view["waits"][0]["leftMs"], 1, "{view}");
    clock.advance(Duration::from_millis(1));
    nothing_there(usual.await.unwrap());
    eventually("the call to be forgotten", || async {
        (stage.view(CALL).await.0 == 404).then_some(())
    })
    .await;
    let (most, more) = (json!({"timeoutMs": 3_600_000}), json!({"timeoutMs": 3_600_001}));
    refused(stage.wait(CALL, more).await, 400, "wait_too_long");
    let longest = stage.begin_to_wait(CALL, most, 1).await;
    stage.told(&[play_completed("e1")]).await;
    assert_eq!(told(longest.await.unwrap()), "e1");
}

#[actix_web::test]
async fn c9_the_end_of_a_call_ends_its_waits_and_answers_the_late() {
    let clock = ManualClock::starting_now();
    let stage = Stage::with(Setting::untokened(|_| {}).held(&clock)).await;
    let for_the_end = stage.begin_to_wait(CALL, json!({"types": ["CallDisconnected"]}), 1).await;
    let for_a_play = stage.begin_to_wait(CALL, json!({"types": ["PlayCompleted"]}), 2).await;
    let of_another = stage.begin_to_wait("another", json!({}), 1).await;
    stage.told(&[disconnected(CALL)]).await;
    assert_eq!(told(for_the_end.await.unwrap()), "the-end");
    let ending = json!({"cause": "disconnected", "code": 200, "subCode": 5300});
    let problem = refused(for_a_play.await.unwrap(), 410, "call_ended");
    assert_eq!(problem["ending"], ending);

    clock.advance(Duration::from_millis(59_999));
    let late = json!({"types": ["CallDisconnected"]});
    assert_eq!(told(stage.wait(CALL, late.clone()).await), "the-end");
    assert_eq!(told(stage.wait(CALL, late.clone()).await), "the-end", "told to all who ask");
    let late_for_a_play = stage.wait(CALL, json!({"types": ["PlayCompleted"]})).await;
    assert_eq!(refused(late_for_a_play, 410, "call_ended")["ending"], ending);
    stage.told(&[play_completed("straggler")]).await;
    let (_, view) = stage.view(CALL).await;
    assert_eq!((&view["state"], &view["ending"]), (&json!("disconnected"), &ending));
    assert_eq!(view["events"].as_array().unwrap().last().unwrap()["fate"], "late");

    clock.advance(Duration::from_millis(1));
    eventually("the grave to be empty", || async {
        (stage.view(CALL).await.0 == 404).then_some(())
    })
    .await;
    let mut late = late;
    late["timeoutMs"] = NOW.into();
    nothing_there(stage.wait(CALL, late).await);
    stage.told(&[event("another", "e1", "CallConnected", None)]).await;
    assert_eq!(told(of_another.await.unwrap()), "e1");
}

#[actix_web::test]
async fn c2_a_repeated_event_is_acknowledged_and_has_no_effect() {
    let stage = Stage::untokened().await;
    let before = stage.metric("switchhook_events_received_total", &["fate=\"repeated\""]).await;
    stage.told(&[play_completed("e1"), play_completed("e1")]).await;
    assert_eq!(told(stage.wait(CALL, json!({"timeoutMs": NOW})).await), "e1");
    stage.told(&[play_completed("e1")]).await;
    nothing_there(stage.wait(CALL, json!({"timeoutMs": NOW})).await);
    let after = stage.metric("switchhook_events_received_total", &["fate=\"repeated\""]).await;
    assert!(after >= before + 2.0, "{before} {after}");
    // The identity is source and id, not the id alone.
    let mut elsewhere = play_completed("e1");
    elsewhere["source"] = "calling/callConnections/elsewhere".into();
    stage.told(&[elsewhere]).await;
    assert_eq!(told(stage.wait(CALL, json!({"timeoutMs": NOW})).await), "e1");
    assert_eq!(stage.view(CALL).await.1["events"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_wait_resumes_after_a_cursor_without_taking_anything_away() {
    let stage = Stage::untokened().await;
    stage.told(&[play_completed("e1")]).await;
    let (_, first) = stage.wait(CALL, json!({})).await;
    let cursor = first["cursor"].clone();
    stage.told(&[event(CALL, "e2", "PlayStarted", None), play_completed("e3")]).await;
    assert_eq!(told(stage.wait(CALL, json!({"types": ["PlayCompleted"]})).await), "e3");

    // Another wait was told e3 already, and that does not matter.
    let resumed = |types: Value| json!({"after": cursor, "types": types, "timeoutMs": NOW});
    for _ in 0..2 {
        let wait = stage.wait(CALL, resumed(json!(["PlayCompleted"]))).await;
        assert_eq!(told(wait), "e3");
        assert_eq!(told(stage.wait(CALL, resumed(json!([]))).await), "e2");
    }
    nothing_there(stage.wait(CALL, resumed(json!(["PlayFailed"]))).await);
    let mut filtered = resumed(json!([]));
    filtered["filter"] = json!([{"operatorType": "StringIn", "key": "id", "values": ["e3"]}]);
    assert_eq!(told(stage.wait(CALL, filtered).await), "e3");
    // e2 still waits for a late waiter.
    assert_eq!(told(stage.wait(CALL, json!({"timeoutMs": NOW})).await), "e2");
}

#[actix_web::test]
async fn a_resumed_wait_never_falls_between_past_and_future() {
    let stage = Stage::untokened().await;
    stage.told(&[play_completed("e0")]).await;
    let (_, mut last) = stage.wait(CALL, json!({})).await;
    for n in 1..60 {
        let id = format!("e{n}");
        let wait = stage.http.post(stage.private(&waits_of(CALL)));
        let wait = wait.json(&json!({"after": last["cursor"], "timeoutMs": 20_000}));
        let event = [play_completed(&id)];
        let (_, next) = tokio::join!(stage.told(&event), answer(wait));
        assert_eq!(told(next.clone()), id);
        last = next.1;
    }
}

#[actix_web::test]
async fn a_wait_whose_client_has_gone_leaves_nothing_standing() {
    let stage = Stage::untokened().await;
    // A client of its own, so that aborting the request closes the connection.
    let http = reqwest::Client::new();
    let wait = http.post(stage.private(&waits_of(CALL))).json(&json!({})).send();
    let wait = tokio::spawn(wait);
    stage.until_waits(CALL, 1).await;
    stage.told(&[event("another", "e0", "CallConnected", None)]).await;
    let patient = stage.begin_to_wait(CALL, json!({"types": ["CallConnected"]}), 2).await;
    wait.abort();
    drop(http);
    stage.until_waits(CALL, 1).await;
    stage.told(&[event(CALL, "e1", "CallConnected", None)]).await;
    assert_eq!(told(patient.await.unwrap()), "e1");
    // What nobody waits for any more is kept for the next one who does.
    stage.told(&[play_completed("e2")]).await;
    assert_eq!(told(stage.wait(CALL, json!({"timeoutMs": NOW})).await), "e2");
}

#[actix_web::test]
async fn c15_a_call_takes_so_many_waits_and_no_more() {
    let stage = Stage::with(Setting::untokened(|settings| settings.calls.waiters = 2)).await;
    let first = stage.begin_to_wait(CALL, json!({}), 1).await;
    let second = stage.begin_to_wait(CALL, json!({}), 2).await;
    let third = stage.http.post(stage.private(&waits_of(CALL))).json(&json!({}));
    let third = third.send().await.unwrap();
    assert!(third.headers().contains_key("retry-after"), "{:?}", third.headers());
    assert_eq!(third.headers()["content-type"], "application/problem+json");
    let third = (third.status().as_u16(), third.json().await.unwrap());
    refused(third, 503, "too_many_waits");
    // A wait that needs no room is answered all the same, and other calls have their own room.
    nothing_there(stage.wait(CALL, json!({"timeoutMs": NOW})).await);
    nothing_there(stage.wait("another", json!({"timeoutMs": NOW})).await);
    stage.told(&[play_completed("e1")]).await;
    assert_eq!(told(first.await.unwrap()), "e1");
    assert_eq!(told(second.await.unwrap()), "e1");
}

#[actix_web::test]
async fn c1_every_event_of_an_array_is_handled_whatever_its_call_and_its_neighbours() {
    let stage = Stage::untokened().await;
    let calls = ["one", "two", "three"];
    let mut waits = Vec::new();
    for call in calls {
        waits.push(stage.begin_to_wait(call, json!({"types": ["PlayCompleted"]}), 1).await);
    }
    let batch = json!([
        event("one", "e1", "PlayCompleted", None),
        {"id": "bad", "source": "s", "type": "Microsoft.Communication.PlayCompleted"},
        event("two", "e2", "PlayCompleted", None),
        7,
        event("three", "e3", "PlayCompleted", None),
    ]);
    let rejected = stage.metric("switchhook_events_rejected_total", &["door=\"calls\""]).await;
    let (status, receipt) = stage.callback(batch.to_string()).await;
    assert_eq!((status, &receipt["accepted"]), (200, &json!(3)), "{receipt}");
    let listed: Vec<_> = receipt["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bad| (bad["index"].as_u64(), bad["code"].as_str()))
        .collect();
    assert_eq!(listed, [(Some(1), Some("missing_data")), (Some(3), Some("not_an_event"))]);
    for (wait, wanted) in waits.into_iter().zip(["e1", "e2", "e3"]) {
        assert_eq!(told(wait.await.unwrap()), wanted);
    }
    let more = stage.metric("switchhook_events_rejected_total", &["door=\"calls\""]).await;
    assert!(more >= rejected + 2.0);
    // A single object is an array of one.
    let (status, _) = stage.callback(event("one", "alone", "PlayStarted", None).to_string()).await;
    assert_eq!(status, 200);
    assert_eq!(told(stage.wait("one", json!({"timeoutMs": NOW})).await), "alone");
}

#[actix_web::test]
async fn the_events_of_a_call_keep_their_order_across_arrays_and_among_other_calls() {
    let stage = Stage::untokened().await;
    let mut wanted = Vec::new();
    for array in 0..4 {
        let events: Vec<_> = (0..20)
            .flat_map(|n| {
                let id = format!("{array}-{n}");
                wanted.push(id.clone());
                [event(CALL, &id, "PlayStarted", None), event("other", &id, "PlayStarted", None)]
            })
            .collect();
        stage.told(&events).await;
    }
    for call in [CALL, "other"] {
        let (_, view) = stage.view(call).await;
        let events = view["events"].as_array().unwrap().iter();
        let seen: Vec<_> = events.map(|line| line["event"]["id"].as_str().unwrap()).collect();
        assert_eq!(seen, wanted);
    }
    for id in &wanted[..5] {
        assert_eq!(&told(stage.wait(CALL, json!({"timeoutMs": NOW})).await), id);
    }
}

#[actix_web::test]
async fn ids_are_opaque_whatever_characters_they_hold() {
    let stage = Stage::untokened().await;
    let ids = [
        "aHR0cHM6Ly9jb252/LmJhc2U2NA+=/==",
        "100%",
        "%2F",
        "a/b/waits",
        "x:hangup",
        "ein Gespräch 通話 📞",
        "?after=1#x&y",
        "\"quoted\\\"",
        "'; drop table",
    ];
    for id in ids {
        let wait = stage.begin_to_wait(id, json!({"types": ["PlayCompleted"]}), 1).await;
        stage.told(&[event(id, "e1", "PlayCompleted", None)]).await;
        let (status, body) = wait.await.unwrap();
        assert_eq!((status, body["callConnectionId"].as_str()), (200, Some(id)), "{body}");
        let (status, view) = stage.view(id).await;
        assert_eq!((status, view["callConnectionId"].as_str()), (200, Some(id)), "{view}");
        let path = format!("/v1/calls/{}/events", switchhook::wire::calling::segment(id));
        let (status, page) = stage.get(&path).await;
        assert_eq!((status, page["events"].as_array().map(Vec::len)), (200, Some(1)), "{page}");
    }
}

#[actix_web::test]
async fn a_wait_with_an_empty_context_has_no_condition_on_it() {
    let stage = Stage::untokened().await;
    let wait = json!({"operationContext": "", "types": [], "timeoutMs": 20_000});
    let wait = stage.begin_to_wait(CALL, wait, 1).await;
    stage.told(&[event(CALL, "e1", "PlayCompleted", Some("somebody's"))]).await;
    let told_in_time = tokio::time::timeout(PATIENCE, wait).await.expect("in time");
    assert_eq!(told(told_in_time.unwrap()), "e1");
}
