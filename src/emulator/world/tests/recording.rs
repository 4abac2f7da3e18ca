//! Recordings: states, refusals, files.

use super::*;

fn start(theatre: &mut Theatre, body: &Value) -> (u16, Value) {
    theatre.ask(Operation::StartRecording, Place::Nowhere, body)
}

fn at(theatre: &mut Theatre, operation: Operation, id: &str) -> (u16, Value) {
    theatre.ask(operation, Place::Recording(id.to_owned()), &Value::Null)
}

#[track_caller]
fn begin(theatre: &mut Theatre, call: &str, more: &Value) -> String {
    let mut body = json!({ "callConnectionId": call });
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    let (status, answer) = start(theatre, &body);
    assert_eq!(status, 200, "{answer}");
    answer["recordingId"].as_str().expect("an id").to_owned()
}

/// Takes the states that were told.
fn states(theatre: &mut Theatre) -> Vec<String> {
    let told = theatre.posted.drain(..);
    told.filter(|(_, _, event)| short(event) == "RecordingStateChanged")
        .map(|(_, _, event)| event["data"]["state"].as_str().expect("a state").to_owned())
        .collect()
}

const SOUND: fn() -> Value = || {
    json!({
        "recordingContentType": "audio", "recordingChannelType": "mixed",
        "recordingFormatType": "wav",
    })
};

#[test]
fn a_recording_tells_each_of_its_states() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let id = begin(&mut theatre, &call, &json!({}));
    assert!(id.ends_with('='), "an id that has to be encoded in paths: {id}");
    let told = theatre.posted[0].2["data"].clone();
    assert_eq!(told["recordingId"], id.as_str());
    assert_eq!(told["recordingKind"], "azureCommunicationServices");
    assert!(told["startDateTime"].as_str().is_some_and(|time| time.ends_with("+00:00")));
    assert_eq!(at(&mut theatre, Operation::PauseRecording, &id).0, 202);
    assert_eq!(at(&mut theatre, Operation::PauseRecording, &id).0, 202);
    let (_, state) = at(&mut theatre, Operation::GetRecordingProperties, &id);
    assert_eq!(state["recordingState"], "inactive");
    assert_eq!(at(&mut theatre, Operation::ResumeRecording, &id).0, 202);
    assert_eq!(at(&mut theatre, Operation::StopRecording, &id).0, 204);
    assert_eq!(states(&mut theatre), ["active", "inactive", "active", "inactive"]);
    assert_eq!(at(&mut theatre, Operation::ResumeRecording, &id).0, 400);
    let (status, answer) = at(&mut theatre, Operation::StopRecording, "bm9uZQ==");
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("8522")));
    assert_eq!(answer["error"]["message"], "Recording not found.");
}

#[test]
fn a_recording_is_refused_that_makes_no_sense() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let server = theatre.server_of(&call);
    let locator = json!({ "kind": "serverCallLocator", "serverCallId": server });
    let both = json!({ "callConnectionId": call, "callLocator": locator });
    let room = json!({ "callLocator": { "kind": "roomCallLocator", "roomId": "1" } });
    let shape = json!({ "callConnectionId": call, "recordingContentType": "audioVideo",
        "recordingChannelType": "unmixed" });
    let who = identifier(CALLER);
    let affinity = |channel: i64, kind: &str| {
        json!({ "callConnectionId": call, "recordingContentType": "audio",
            "recordingChannelType": kind, "recordingFormatType": "wav",
            "channelAffinity": [{ "participant": who, "channel": channel }] })
    };
    for body in [json!({}), both, room, shape, affinity(5, "unmixed"), affinity(0, "mixed")] {
        assert_eq!(start(&mut theatre, &body).0, 400, "{body}");
    }
    let nobody = json!({ "callConnectionId": "nobody" });
    assert_eq!(start(&mut theatre, &nobody).0, 404);
    assert_eq!(start(&mut theatre, &json!({ "callLocator": locator })).0, 200);
    let (status, answer) = start(&mut theatre, &json!({ "callConnectionId": call }));
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("8519")));
}

#[test]
fn events_go_where_the_request_says_or_to_the_call() {
    for (told_to_call, expected) in [(true, 1), (false, 0)] {
        let mut theatre =
            Theatre::new(|config| config.behaviour.recording.told_to_call = told_to_call);
        let call = theatre.in_call(&[CALLER]);
        begin(&mut theatre, &call, &json!({}));
        assert_eq!(states(&mut theatre).len(), expected);
    }
    let mut theatre = Theatre::new(|config| config.behaviour.recording.told_to_call = false);
    let call = theatre.in_call(&[CALLER]);
    let elsewhere = "http://127.0.0.1:9/recordings";
    begin(&mut theatre, &call, &json!({ "recordingStateCallbackUri": elsewhere }));
    assert_eq!(theatre.posted[0].1, elsewhere);
}

#[test]
fn a_recording_may_be_accepted_before_it_begins() {
    let mut theatre = Theatre::new(|config| config.behaviour.recording.accepted_first = true);
    let call = theatre.in_call(&[CALLER]);
    let (status, answer) = start(&mut theatre, &json!({ "callConnectionId": call }));
    assert_eq!((status, &answer["recordingState"]), (202, &json!("inactive")));
    assert!(states(&mut theatre).is_empty());
    theatre.pass(50);
    assert_eq!(states(&mut theatre), ["active"]);
}

#[test]
fn the_call_ends_its_recording_and_the_files_come_later() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let id = begin(&mut theatre, &call, &SOUND());
    theatre.pass(1_000);
    theatre.far(&call, CALLER, Deed::Press(vec!["one"]));
    at(&mut theatre, Operation::PauseRecording, &id);
    theatre.pass(5_000);
    at(&mut theatre, Operation::ResumeRecording, &id);
    theatre.pass(1_000);
    theatre.posted.clear();
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["RecordingStateChanged", "CallDisconnected 0/560000"]);
    theatre.pass(119_999);
    assert!(theatre.grid.is_empty());
    theatre.pass(1);
    let told = theatre.grid.pop().expect("the files");
    assert_eq!(told["eventType"], "Microsoft.Communication.RecordingFileStatusUpdated");
    let data = &told["data"];
    assert_eq!(
        (&data["recordingDurationMs"], &data["sessionEndReason"]),
        (&json!(2_000), &json!("CallEnded"))
    );
    let chunk = &data["recordingStorageInfo"]["recordingChunks"][0];
    assert_eq!((&chunk["index"], &chunk["endReason"]), (&json!(0), &json!("SessionEnded")));
    let document = chunk["documentId"].as_str().expect("an id").to_owned();
    let place = format!("http://emulator/v1/objects/{document}/content/audio");
    assert_eq!(chunk["contentLocation"], place);
    let content = theatre.world.recording_content(&document).expect("a file");
    assert_eq!(content.kind, "audio/wav");
    assert_eq!(content.bytes.len(), 44 + 2 * 32_000);
    let loud = |ms: usize| content.bytes[44 + ms * 32..][..2] != [0, 0];
    assert_eq!([999, 1_000, 1_199, 1_200].map(loud), [false, true, true, false]);
    let metadata = theatre.world.recording_metadata(&document).expect("metadata");
    assert_eq!(metadata["pauseResumeIntervals"], json!([{ "startMs": 1_000, "endMs": 6_000 }]));
    theatre.world.delete_recording_file(&document).expect("deleted");
    assert!(theatre.world.recording_content(&document).is_err());
}

#[test]
fn a_long_recording_comes_in_pieces_that_are_kept_for_a_while() {
    let mut theatre = Theatre::new(|config| {
        config.behaviour.recording.piece = Duration::from_secs(10);
        config.behaviour.recording.kept = Duration::from_secs(3600);
        config.behaviour.recording.content_url = Some("https://emulator.asm.skype.com".into());
    });
    let call = theatre.in_call(&[CALLER]);
    let id = begin(&mut theatre, &call, &SOUND());
    theatre.pass(25_000);
    at(&mut theatre, Operation::StopRecording, &id);
    theatre.pass(120_000);
    let told = theatre.grid.pop().expect("the files");
    let chunks = told["data"]["recordingStorageInfo"]["recordingChunks"].clone();
    let ends: Vec<_> =
        chunks.as_array().expect("chunks").iter().map(|one| &one["endReason"]).collect();
    assert_eq!(ends, ["ChunkMaximumSizeExceeded", "ChunkMaximumSizeExceeded", "SessionEnded"]);
    let place = chunks[2]["deleteLocation"].as_str().expect("a place");
    assert!(place.starts_with("https://emulator.asm.skype.com/v1/objects/"), "{place}");
    let last = chunks[2]["documentId"].as_str().expect("an id").to_owned();
    let content = theatre.world.recording_content(&last).expect("a file");
    assert_eq!(content.bytes.len(), 44 + 5 * 32_000);
    theatre.pass(3_600_000);
    assert!(theatre.world.recording_content(&last).is_err());
    assert_eq!(at(&mut theatre, Operation::GetRecordingProperties, &id).0, 404);
}

#[test]
fn whoever_speaks_has_a_channel_of_an_unmixed_recording() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    let id = begin(
        &mut theatre,
        &call,
        &json!({
            "recordingContentType": "audio", "recordingChannelType": "unmixed",
            "recordingFormatType": "wav",
            "channelAffinity": [{ "participant": identifier(AGENT), "channel": 1 }],
        }),
    );
    theatre.far(&call, AGENT, Deed::Say("hello".into()));
    theatre.far(&call, CALLER, Deed::Say("hi".into()));
    theatre.pass(1_000);
    at(&mut theatre, Operation::StopRecording, &id);
    theatre.pass(120_000);
    let told = theatre.grid.pop().expect("the files");
    let chunk = &told["data"]["recordingStorageInfo"]["recordingChunks"][0];
    let document = chunk["documentId"].as_str().expect("an id").to_owned();
    let metadata = theatre.world.recording_metadata(&document).expect("metadata");
    let channels: Vec<_> = metadata["participants"]
        .as_array()
        .expect("people")
        .iter()
        .map(|one| (one["participantId"].clone(), one["channel"].clone()))
        .collect();
    let caller = format!("4:{CALLER}");
    assert_eq!(channels, [(json!(AGENT), json!(1)), (json!(caller), json!(0))]);
    let content = theatre.world.recording_content(&document).expect("a file");
    assert_eq!(content.bytes.len(), 44 + 2 * 32_000, "two channels for a second");
}

#[test]
fn the_application_may_take_its_recording_along() {
    for (survives, expected) in [(true, "active"), (false, "inactive")] {
        let mut theatre =
            Theatre::new(|config| config.behaviour.recording.survives_application = survives);
        let call = theatre.in_call(&[AGENT, "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_other"]);
        let id = begin(&mut theatre, &call, &json!({}));
        theatre.on(Operation::HangUpCall, &call, Value::Null);
        let (_, state) = at(&mut theatre, Operation::GetRecordingProperties, &id);
        assert_eq!(state["recordingState"], expected);
    }
}
