//! Transcription: what phones say, as frames.

use super::streams::SOCKET;
use super::*;

fn words(change: Value) -> Value {
    let mut options = json!({
        "transportType": "websocket", "locale": "en-US", "transportUrl": SOCKET,
        "startTranscription": true,
    });
    for (name, value) in change.as_object().expect("members") {
        options[name] = value.clone();
    }
    json!({ "transcriptionOptions": options })
}

fn details(theatre: &Theatre) -> Value {
    theatre.last_update("transcriptionUpdate")["transcriptionStatusDetails"].clone()
}

/// Text and status of each result.
fn results(frames: &[Value]) -> Vec<(String, String)> {
    let text = |frame: &Value, member: &str| {
        frame["transcriptionData"][member].as_str().expect("a text").to_owned()
    };
    frames.iter().map(|frame| (text(frame, "text"), text(frame, "resultStatus"))).collect()
}

#[test]
fn what_is_said_is_transcribed() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.streamed(&[CALLER], &words(json!({ "speechModelEndpointId": "mine" })));
    let properties = theatre.world.properties(&call.as_str().into()).expect("a call");
    let subscription = properties.transcription_subscription.expect("a subscription");
    let types = subscription.subscribed_result_types.as_deref();
    assert_eq!(
        (subscription.locale.as_deref(), types),
        (Some("en-US"), Some(&["final".to_owned()][..]))
    );
    theatre.posted.clear();
    let socket = theatre.opening();
    theatre.news(socket, SocketNews::Opened);
    let update = json!({
        "transcriptionStatus": "transcriptionStarted",
        "transcriptionStatusDetails": "subscriptionStarted",
    });
    assert_eq!(theatre.last_update("transcriptionUpdate"), update);
    theatre.check_told(&["TranscriptionStarted 200/0"]);
    let metadata = json!({ "kind": "TranscriptionMetadata", "transcriptionMetadata": {
        "subscriptionId": subscription.id, "locale": "en-US", "callConnectionId": call,
        "correlationId": properties.correlation_id, "speechRecognitionModelEndpointId": "mine",
    } });
    assert_eq!(theatre.sent().0, [metadata]);

    theatre.pass(2_000);
    theatre.far(&call, CALLER, Deed::Say(" Hello everyone. ".into()));
    theatre.pass(15 * 60 + 499);
    assert_eq!(theatre.sent().0, Vec::<Value>::new());
    theatre.pass(1);
    let result = json!({ "kind": "TranscriptionData", "transcriptionData": {
        "text": "Hello everyone.", "format": "display", "confidence": 0.9,
        "offset": 20_000_000, "duration": 9_000_000,
        "words": [
            { "text": "hello", "offset": 20_000_000, "duration": 3_000_000 },
            { "text": "everyone", "offset": 23_600_000, "duration": 5_400_000 },
        ],
        "participantRawID": format!("4:{CALLER}"), "resultStatus": "Final",
    } });
    assert_eq!(theatre.sent().0, [result]);
    theatre.on(Operation::StopTranscription, &call, json!({ "operationContext": "stop" }));
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "stop");
    assert_eq!(details(&theatre), "subscriptionStopped");
    theatre.check_told(&["TranscriptionStopped 200/0"]);
    assert!(theatre.sent().1);
    theatre.far(&call, CALLER, Deed::Say("alone".into()));
    theatre.pass(10_000);
    assert!(theatre.world.take_socket_effects().is_empty());
}

#[test]
fn unfinished_results_come_while_somebody_speaks() {
    let mut theatre = Theatre::new(|config| config.limits.intermediate_results = 2);
    let options = words(json!({ "enableIntermediateResults": true }));
    let call = theatre.streamed(&[CALLER], &options);
    theatre.open_socket();
    theatre.sent();
    theatre.far(&call, CALLER, Deed::Say("one two three".into()));
    theatre.far(&call, CALLER, Deed::Say("four".into()));
    let expected = [
        (7 * 60, "one two", "Intermediate"),
        (13 * 60, "one two three", "Intermediate"),
        (13 * 60 + 4 * 60, "four", "Intermediate"),
        (13 * 60 + 500, "one two three", "Final"),
        (13 * 60 + 4 * 60 + 500, "four", "Final"),
    ];
    let begun = theatre.now;
    for (at, text, status) in expected {
        let rest = (begun + Duration::from_millis(at)).since(theatre.now);
        theatre.pass(u64::try_from(rest.as_millis()).expect("soon") - 1);
        assert!(theatre.sent().0.is_empty(), "{text} {status} is too early");
        theatre.pass(1);
        assert_eq!(results(&theatre.sent().0), [(text.to_owned(), status.to_owned())]);
    }
}

#[test]
fn a_script_speaks_too() {
    let mut theatre = Theatre::new(phones(
        r#"
        [[phone]]
        number = "+14255551212"
        afterMs = 100
        script = [{ say = "first", afterMs = 500 }, { say = "last", afterMs = 2000 }, { hangup = true }]
        "#,
    ));
    theatre.create_streamed(&[CALLER], &words(json!({})));
    theatre.pass(200);
    theatre.open_socket();
    theatre.sent();
    theatre.pass(10_000);
    let (frames, closed) = theatre.sent();
    let last = |text: &str| (text.to_owned(), "Final".to_owned());
    assert_eq!(results(&frames), [last("first"), last("last")], "what was said last is not lost");
    assert!(closed);
    theatre.check_told(&["CallDisconnected 0/560000"]);
}

#[test]
fn what_is_being_said_is_told_when_the_stream_ends() {
    #[track_caller]
    fn check(operation: Operation) {
        let mut theatre = Theatre::new(|_| ());
        let call = theatre.streamed(&[CALLER], &words(json!({})));
        theatre.open_socket();
        theatre.sent();
        theatre.far(&call, CALLER, Deed::Say("good bye".into()));
        theatre.pass(100);
        theatre.on(operation, &call, json!({}));
        let (frames, closed) = theatre.sent();
        assert_eq!(results(&frames), [("good bye".to_owned(), "Final".to_owned())]);
        assert!(closed);
    }
    check(Operation::StopTranscription);
    check(Operation::HangUpCall);
    check(Operation::TerminateCall);
}

#[test]
fn the_language_changes_on_the_way() {
    #[track_caller]
    fn check(metadata_again: bool, frames: usize) {
        let mut theatre =
            Theatre::new(|config| config.behaviour.streams.metadata_after_update = metadata_again);
        let call = theatre.streamed(&[CALLER], &words(json!({})));
        theatre.open_socket();
        theatre.sent();
        let update = json!({ "locale": "de-DE", "operationContext": "update" });
        theatre.on(Operation::UpdateTranscription, &call, update);
        assert_eq!(theatre.posted[0].2["data"]["operationContext"], "update");
        assert_eq!(details(&theatre), "transcriptionLocaleUpdated");
        theatre.check_told(&["TranscriptionUpdated 200/0"]);
        let (sent, _) = theatre.sent();
        assert_eq!(sent.len(), frames);
        for frame in sent {
            assert_eq!(frame["transcriptionMetadata"]["locale"], "de-DE");
        }
        assert_eq!(theatre.stream_view("transcription")["locale"], "de-DE");
        for bad in [json!({}), json!({ "locale": "not a tag" }), json!({ "locale": 7 })] {
            assert_eq!(theatre.refused(Operation::UpdateTranscription, &call, bad).1, "8523");
        }
    }
    check(false, 0);
    check(true, 1);
}

#[test]
fn a_start_may_name_another_language() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.streamed(&[CALLER], &words(json!({ "startTranscription": false })));
    let update = json!({ "locale": "fr-FR" });
    assert_eq!(theatre.refused(Operation::UpdateTranscription, &call, update.clone()).1, "8501");
    theatre.on(Operation::StartTranscription, &call, update.clone());
    theatre.open_socket();
    assert_eq!(theatre.sent().0[0]["transcriptionMetadata"]["locale"], "fr-FR");
    assert_eq!(theatre.refused(Operation::StartTranscription, &call, update).1, "8501");
    for bad in [json!({ "locale": null }), json!({ "locale": "en_US" }), json!({ "locale": "" })] {
        let (status, _) = theatre.create_streamed(&[CALLER], &words(bad));
        assert_eq!(status, 400);
    }
}

#[test]
fn a_missing_speech_resource_may_matter() {
    #[track_caller]
    fn check(needed: bool, given: bool, fails: bool) {
        let mut theatre = Theatre::new(|config| {
            config.behaviour.streams.transcription_needs_speech_resource = needed;
        });
        let mut options = words(json!({}));
        if given {
            options["callIntelligenceOptions"] =
                json!({ "cognitiveServicesEndpoint": "https://speech.example.test" });
        }
        theatre.streamed(&[CALLER], &options);
        if fails {
            assert_eq!(details(&theatre), "speechServicesConnectionError");
            let told = theatre.told();
            assert_eq!(told.last().map(String::as_str), Some("TranscriptionFailed 500/9999"));
            assert!(theatre.world.take_socket_effects().is_empty());
        } else {
            theatre.open_socket();
        }
    }
    check(false, false, false);
    check(true, false, true);
    check(true, true, false);
}

#[test]
fn a_socket_that_is_refused_or_lost_fails_the_transcription() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.streamed(&[CALLER], &words(json!({})));
    let socket = theatre.opening();
    theatre.posted.clear();
    theatre.news(socket, SocketNews::Refused(None));
    assert_eq!(details(&theatre), "streamConnectionUnsuccessful");
    theatre.check_told(&["TranscriptionFailed 500/9999"]);
    theatre.on(Operation::StartTranscription, &call, json!({}));
    let socket = theatre.open_socket();
    theatre.news(socket, SocketNews::Heard("hello".into()));
    assert_eq!(theatre.stream_view("transcription")["badFrames"], 1);
    theatre.news(socket, SocketNews::Closed);
    assert_eq!(details(&theatre), "streamConnectionInterrupted");
    theatre.check_told(&["TranscriptionFailed 500/9999"]);
}

#[test]
fn both_streams_of_a_call_live_beside_each_other() {
    let mut theatre = Theatre::new(|_| ());
    let mut options = words(json!({}));
    options["mediaStreamingOptions"] = json!({
        "transportType": "websocket", "audioChannelType": "mixed", "transportUrl": SOCKET,
        "startMediaStreaming": true,
    });
    let call = theatre.streamed(&[CALLER], &options);
    let effects = theatre.world.take_socket_effects();
    let sockets: Vec<_> = effects
        .iter()
        .map(|effect| match effect {
            SocketEffect::Open { socket, .. } => *socket,
            _ => panic!("two openings"),
        })
        .collect();
    theatre.posted.clear();
    for socket in sockets {
        theatre.news(socket, SocketNews::Opened);
    }
    theatre.check_told(&["MediaStreamingStarted 200/0", "TranscriptionStarted 200/0"]);
    theatre.on(Operation::StopMediaStreaming, &call, json!({}));
    theatre.told();
    theatre.sent();
    theatre.far(&call, CALLER, Deed::Say("still here".into()));
    theatre.pass(5_000);
    assert_eq!(results(&theatre.sent().0).len(), 1);
}
