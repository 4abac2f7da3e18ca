//! Files of recordings through real HTTP, signed as the official SDKs sign.

use super::*;

/// The file of a recording of two seconds, as Event Grid tells of it.
async fn recorded(caller: &Caller, receiver: &mut Receiver) -> Value {
    let call = caller.create(receiver, PHONE).await;
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
    let leg = call.rsplit('/').next().expect("an id");
    let body = json!({
        "callConnectionId": leg, "recordingContentType": "audio", "recordingFormatType": "wav",
        "channelAffinity": [], "recordingStateCallbackUri": receiver.url("/calls"),
    });
    let (status, answer) = caller.ask(Method::POST, "/calling/recordings", body).await;
    assert_eq!(status, 200, "{answer}");
    receiver.expect(&["RecordingStateChanged"]).await;
    let id = segment(answer["recordingId"].as_str().expect("an id")).to_string();
    let path = format!("/calling/recordings/{id}");
    let (status, state) = caller.ask(Method::GET, &path, Value::Null).await;
    assert_eq!((status, &state["recordingState"]), (200, &json!("active")));
    let (status, _) = caller.ask(Method::POST, &format!("{path}:pause"), Value::Null).await;
    assert_eq!(status, 202);
    receiver.expect(&["RecordingStateChanged"]).await;
    let (status, _) = caller.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, 204);
    // The last state and the file come from two sides of Azure, in either order.
    let (one, other) = (receiver.next().await, receiver.next().await);
    let told = if one.path == "/grid" { one } else { other };
    assert_eq!(told.path, "/grid");
    told.body[0]["data"]["recordingStorageInfo"]["recordingChunks"][0].clone()
}

/// A request for a file, signed with `host` and `target`, with further headers.
fn fetch(
    caller: &Caller,
    method: Method,
    target: &str,
    host: &str,
    more: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    let key = AccessKey::from_base64(caller.emulator.access_key()).expect("a key");
    let date = httpdate::fmt_http_date(caller.clock.wall().into());
    let hash = content_hash(b"");
    let text = string_to_sign(method.as_str(), target, &[&date, host, &hash]);
    let request = caller
        .http
        .request(method, caller.url(target))
        .header("x-ms-date", date)
        .header("x-ms-content-sha256", hash)
        .header("authorization", authorization(&key.sign(&text)));
    more.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[actix_web::test]
async fn a_recording_is_fetched_as_both_sdks_fetch_it_and_deleted() {
    let mut receiver = Receiver::start();
    let mut config = config();
    config.behaviour.recording.file_delay = Duration::ZERO;
    config.subscriptions = vec![subscription(&receiver, Schema::EventGrid)];
    let caller = Caller::start(config);
    receiver.next().await;
    let path = "eventgrid/subscriptions";
    caller.own_until(path, |seen| seen["value"][0]["provisioningState"] == "Succeeded").await;
    let chunk = recorded(&caller, &mut receiver).await;
    let place = chunk["contentLocation"].as_str().expect("a place");
    let target = place.strip_prefix(&caller.emulator.base_url()).expect("the emulator's own");
    let own = caller.emulator.address().to_string();
    let there = [("host", "storage.asm.skype.com")];

    // As Python signs: with the endpoint's host and port, which is named without the port.
    let python = [there[0], ("x-ms-host", "127.0.0.1")];
    let whole = fetch(&caller, Method::GET, target, &own, &python).send().await.expect("an answer");
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.headers()["content-type"], "audio/wav");
    let whole = whole.bytes().await.expect("a file");
    assert_eq!(whole[..4], *b"RIFF");

    // As JavaScript signs: the host that is named with its port.
    let javascript = [there[0], ("x-ms-host", own.as_str()), ("range", "bytes=4-7")];
    let part = fetch(&caller, Method::GET, target, &own, &javascript).send().await;
    let part = part.expect("an answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes 4-7/{}", whole.len()));
    assert_eq!(part.bytes().await.expect("a part"), whole[4..8]);

    let beyond = [("range", "bytes=99999999-")];
    let beyond =
        fetch(&caller, Method::GET, target, &own, &beyond).send().await.expect("an answer");
    check_error(&read(beyond).await, 416, "InvalidRange");
    let unsigned = caller.http.get(caller.url(target)).send().await.expect("an answer");
    assert_eq!(unsigned.status(), 401);
    let wrong = fetch(&caller, Method::GET, target, "elsewhere", &[]).send().await;
    assert_eq!(wrong.expect("an answer").status(), 401);

    let place = chunk["metadataLocation"].as_str().expect("a place");
    let metadata = place.strip_prefix(&caller.emulator.base_url()).expect("the emulator's own");
    let answer = fetch(&caller, Method::GET, metadata, &own, &[]).send().await.expect("an answer");
    let (status, said) = read(answer).await;
    assert_eq!((status, &said["chunkDocumentId"]), (200, &chunk["documentId"]));

    let place = chunk["deleteLocation"].as_str().expect("a place");
    let file = place.strip_prefix(&caller.emulator.base_url()).expect("the emulator's own");
    for expected in [200, 404] {
        let answer = fetch(&caller, Method::DELETE, file, &own, &[]).send().await;
        assert_eq!(answer.expect("an answer").status(), expected);
    }
    let (_, seen) = caller.own(Method::GET, "recordings", Value::Null).await;
    assert_eq!(seen, json!({ "recordings": [], "files": [] }));
}
