//! Streams as sockets: opened, refused, lost, opened again, closed.

use super::*;
use crate::emulator::stream_config::LostSocket;

pub const SOCKET: &str = "wss://app.example.test/media?key=secret";

/// The usual options, changed by some members.
pub fn media(change: Value) -> Value {
    let mut options = json!({
        "transportType": "websocket", "audioChannelType": "mixed", "transportUrl": SOCKET,
    });
    for (name, value) in change.as_object().expect("members") {
        options[name] = value.clone();
    }
    json!({ "mediaStreamingOptions": options })
}

impl Theatre {
    /// A connected call with options; what happened until then is left to be looked at.
    #[track_caller]
    pub fn streamed(&mut self, phones: &[&str], options: &Value) -> String {
        let (status, answer) = self.create_streamed(phones, options);
        assert_eq!(status, 201, "{answer}");
        self.pass(1000);
        answer["callConnectionId"].as_str().expect("an id").to_owned()
    }

    pub fn create_streamed(&mut self, phones: &[&str], options: &Value) -> (u16, Value) {
        let targets: Vec<_> = phones.iter().map(|who| identifier(who)).collect();
        let mut body = json!({
            "targets": targets, "callbackUri": CALLBACK, "operationContext": "create-1",
            "sourceCallerIdNumber": { "value": OURS },
        });
        for (name, value) in options.as_object().expect("members") {
            body[name] = value.clone();
        }
        self.ask(Operation::CreateCall, Place::Nowhere, &body)
    }

    pub fn news(&mut self, socket: SocketId, news: SocketNews) {
        self.world.socket_news(moment(self.now), socket, news);
        self.settle();
    }

    /// Takes the one socket that is to be opened.
    #[track_caller]
    pub fn opening(&mut self) -> SocketId {
        match self.world.take_socket_effects().as_slice() {
            [SocketEffect::Open { socket, .. }] => *socket,
            others => panic!("{} effects, not one opening", others.len()),
        }
    }

    /// Lets the one socket be opened, and forgets what was told of it.
    #[track_caller]
    pub fn open_socket(&mut self) -> SocketId {
        let socket = self.opening();
        self.news(socket, SocketNews::Opened);
        self.posted.clear();
        socket
    }

    /// Takes the frames that were sent, and whether the socket was closed after them.
    #[track_caller]
    pub fn sent(&mut self) -> (Vec<Value>, bool) {
        let mut closed = false;
        let mut frames = Vec::new();
        for effect in self.world.take_socket_effects() {
            assert!(!closed, "nothing follows the end");
            match effect {
                SocketEffect::Send { frame, .. } => {
                    frames.push(serde_json::from_str(&frame.text()).expect("JSON"));
                }
                SocketEffect::Close { .. } => closed = true,
                SocketEffect::Open { .. } => panic!("a socket is opened"),
            }
        }
        (frames, closed)
    }

    pub fn stream_view(&self, feed: &str) -> Value {
        self.world.view()["calls"][0]["connections"][0]["streams"][feed].clone()
    }

    /// The details of what was told last.
    #[track_caller]
    pub fn last_update(&self, member: &str) -> Value {
        self.posted.last().expect("an event").2["data"][member].clone()
    }
}

pub fn details(theatre: &Theatre) -> Value {
    theatre.last_update("mediaStreamingUpdate")["mediaStreamingStatusDetails"].clone()
}

#[test]
fn a_stream_starts_with_its_call() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    let properties = theatre.world.properties(&call.as_str().into()).expect("a call");
    let effects = theatre.world.take_socket_effects();
    let [SocketEffect::Open { socket, url, headers, .. }] = effects.as_slice() else {
        panic!("a socket is opened");
    };
    assert_eq!(url, SOCKET);
    let correlation = properties.correlation_id.expect("an id").as_str().to_owned();
    let expected =
        [("x-ms-call-connection-id", call.clone()), ("x-ms-call-correlation-id", correlation)];
    assert_eq!(headers.as_slice(), expected);

    theatre.news(*socket, SocketNews::Opened);
    let data = &theatre.posted[0].2["data"];
    assert_eq!(data["operationContext"], "create-1");
    let update = json!({
        "contentType": "audio", "mediaStreamingStatus": "mediaStreamingStarted",
        "mediaStreamingStatusDetails": "subscriptionStarted",
    });
    assert_eq!(data["mediaStreamingUpdate"], update);
    theatre.check_told(&["MediaStreamingStarted 200/0"]);
    let id = properties.media_streaming_subscription.and_then(|found| found.id).expect("an id");
    let metadata = json!({ "kind": "AudioMetadata", "audioMetadata": {
        "subscriptionId": id, "encoding": "PCM", "sampleRate": 16000, "channels": 1, "length": 640,
    } });
    assert_eq!(theatre.sent().0, [metadata]);

    theatre.pass(19);
    assert!(theatre.sent().0.is_empty());
    theatre.pass(1);
    let (frames, _) = theatre.sent();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["audioData"]["silent"], true);
    assert_eq!(frames[0]["audioData"]["timestamp"], "2025-11-21T08:30:01.143Z");
    theatre.pass(1_000);
    assert_eq!(theatre.sent().0.len(), 50);
}

#[test]
fn a_stream_is_started_and_stopped_by_operations() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.streamed(&[CALLER], &media(json!({})));
    assert!(theatre.world.take_socket_effects().is_empty());
    theatre.posted.clear();
    let state = |theatre: &Theatre| {
        let properties = theatre.world.properties(&call.as_str().into()).expect("a call");
        properties.media_streaming_subscription.and_then(|found| found.state)
    };
    assert_eq!(state(&theatre).as_deref(), Some("inactive"));
    let other = "http://127.0.0.1:9/other";
    let wish =
        |context: &str| json!({ "operationContext": context, "operationCallbackUri": other });
    theatre.on(Operation::StartMediaStreaming, &call, wish("start"));
    let socket = theatre.opening();
    theatre.news(socket, SocketNews::Opened);
    assert_eq!(state(&theatre).as_deref(), Some("active"));
    theatre.pass(40);
    theatre.on(Operation::StopMediaStreaming, &call, wish("stop"));
    let contexts: Vec<_> = theatre
        .posted
        .iter()
        .map(|(_, url, event)| (url.clone(), event["data"]["operationContext"].clone()))
        .collect();
    assert_eq!(contexts, [(other.to_owned(), json!("start")), (other.to_owned(), json!("stop"))]);
    assert_eq!(details(&theatre), "subscriptionStopped");
    theatre.check_told(&["MediaStreamingStarted 200/0", "MediaStreamingStopped 200/0"]);
    let (frames, closed) = theatre.sent();
    assert_eq!((frames.len(), closed), (3, true));
    theatre.pass(1_000);
    theatre.news(socket, SocketNews::Closed);
    assert!(theatre.world.take_socket_effects().is_empty());
    theatre.check_told(&[]);
    assert_eq!(state(&theatre).as_deref(), Some("inactive"));

    theatre.on(Operation::StartMediaStreaming, &call, wish("again"));
    assert_ne!(theatre.open_socket(), socket);
}

#[test]
fn what_cannot_be_started_or_stopped_is_refused() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    for operation in [
        Operation::StartMediaStreaming,
        Operation::StopMediaStreaming,
        Operation::StartTranscription,
        Operation::StopTranscription,
    ] {
        assert_eq!(theatre.refused(operation, &call, json!({})), (400, "8501".to_owned()));
        let unknown = (404, "8522".to_owned());
        assert_eq!(theatre.refused(operation, "nobody", json!({})), unknown);
    }

    let mut theatre = Theatre::new(|_| ());
    let (_, answer) = theatre.create_streamed(&[CALLER], &media(json!({})));
    let call = answer["callConnectionId"].as_str().expect("an id").to_owned();
    let too_early = theatre.refused(Operation::StartMediaStreaming, &call, json!({}));
    assert_eq!(too_early, (400, "8501".to_owned()));
    theatre.pass(1_000);
    assert_eq!(theatre.refused(Operation::StopMediaStreaming, &call, json!({})).1, "8501");
    let bad = json!({ "operationCallbackUri": "nowhere" });
    assert_eq!(theatre.refused(Operation::StartMediaStreaming, &call, bad).1, "8523");
    theatre.on(Operation::StartMediaStreaming, &call, json!({}));
    assert_eq!(theatre.refused(Operation::StartMediaStreaming, &call, json!({})).1, "8501");
    theatre.open_socket();
    assert_eq!(theatre.refused(Operation::StartMediaStreaming, &call, json!({})).1, "8501");
}

#[test]
fn bad_options_are_refused() {
    #[track_caller]
    fn check(change: Value, taken: bool) {
        let mut theatre = Theatre::new(|_| ());
        let (status, answer) = theatre.create_streamed(&[CALLER], &media(change));
        assert_eq!(status == 201, taken, "{answer}");
        assert!(taken || answer["error"]["code"] == "8523", "{answer}");
    }
    check(json!({}), true);
    check(json!({ "transportUrl": "ws://127.0.0.1:1/a" }), true);
    check(json!({ "contentType": "audio", "audioFormat": "pcm24KMono", "unknown": 1 }), true);
    check(json!({ "audioFormat": null, "enableBidirectional": null }), true);
    check(json!({ "transportType": "carrier pigeon" }), false);
    check(json!({ "transportType": null }), false);
    check(json!({ "audioChannelType": null }), false);
    check(json!({ "audioChannelType": "stereo" }), false);
    check(json!({ "audioFormat": "mp3" }), false);
    check(json!({ "contentType": "video" }), false);
    check(json!({ "startMediaStreaming": "yes" }), false);
    check(json!({ "transportUrl": "ws://app.example.test/a" }), false);
    check(json!({ "transportUrl": "https://app.example.test/a" }), false);
}

#[test]
fn a_socket_that_is_refused_fails_the_stream() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
    let socket = theatre.opening();
    theatre.posted.clear();
    theatre.news(socket, SocketNews::Refused(Some(401)));
    assert_eq!(details(&theatre), "initialWebSocketConnectionFailed");
    theatre.check_told(&["MediaStreamingFailed 500/9999"]);
    theatre.pass(10_000);
    assert!(theatre.world.take_socket_effects().is_empty());
    theatre.on(Operation::StartMediaStreaming, &call, json!({}));
    theatre.open_socket();
}

#[test]
fn a_lost_socket_fails_or_stops_the_stream() {
    #[track_caller]
    fn check(policy: LostSocket, expected: &str) {
        let mut theatre = Theatre::new(|config| config.behaviour.streams.lost_socket = policy);
        let call = theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
        let socket = theatre.open_socket();
        theatre.sent();
        theatre.news(socket, SocketNews::Closed);
        assert_eq!(details(&theatre), "streamConnectionInterrupted");
        theatre.check_told(&[expected]);
        theatre.pass(10_000);
        assert!(theatre.world.take_socket_effects().is_empty());
        theatre.on(Operation::StartMediaStreaming, &call, json!({}));
        theatre.open_socket();
    }
    check(LostSocket::Failed, "MediaStreamingFailed 500/9999");
    check(LostSocket::Stopped, "MediaStreamingStopped 200/0");
}

#[test]
fn a_lost_socket_may_be_opened_again() {
    let mut theatre = Theatre::new(|config| {
        config.behaviour.streams.lost_socket = LostSocket::Reconnected;
        config.behaviour.streams.reconnect_attempts = 2;
    });
    let call = theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
    let socket = theatre.open_socket();
    theatre.sent();
    theatre.news(socket, SocketNews::Closed);
    theatre.pass(999);
    assert!(theatre.world.take_socket_effects().is_empty());
    theatre.pass(1);
    let socket = theatre.opening();
    theatre.news(socket, SocketNews::Opened);
    assert_eq!(details(&theatre), "streamConnectionReestablished");
    theatre.check_told(&["MediaStreamingStarted 200/0"]);
    theatre.pass(100);
    assert_eq!(theatre.sent().0.len(), 6, "the metadata again, then audio");

    theatre.news(socket, SocketNews::Closed);
    for _ in 0..2 {
        theatre.check_told(&[]);
        theatre.pass(1_000);
        let socket = theatre.opening();
        theatre.news(socket, SocketNews::Refused(None));
    }
    assert_eq!(details(&theatre), "streamConnectionUnsuccessful");
    theatre.check_told(&["MediaStreamingFailed 500/9999"]);

    theatre.on(Operation::StartMediaStreaming, &call, json!({}));
    let socket = theatre.open_socket();
    theatre.sent();
    theatre.news(socket, SocketNews::Closed);
    theatre.on(Operation::StopMediaStreaming, &call, json!({}));
    theatre.pass(10_000);
    assert!(theatre.world.take_socket_effects().is_empty(), "stopped is stopped");
}

#[test]
fn options_without_a_url_fail_late_or_are_refused() {
    let start = media(json!({ "startMediaStreaming": true, "transportUrl": null }));
    let mut theatre = Theatre::new(|_| ());
    theatre.streamed(&[CALLER], &start);
    assert!(theatre.world.take_socket_effects().is_empty());
    assert_eq!(details(&theatre), "streamUrlMissing");
    let told = theatre.told();
    assert_eq!(told.last().map(String::as_str), Some("MediaStreamingFailed 500/9999"));

    let mut theatre = Theatre::new(|config| config.behaviour.streams.missing_url_refused = true);
    let (status, answer) = theatre.create_streamed(&[CALLER], &start);
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("8523")));
}

#[test]
fn a_stream_ends_with_its_call() {
    #[track_caller]
    fn check(told: bool, expected: &[&str]) {
        let mut theatre =
            Theatre::new(|config| config.behaviour.streams.stopped_told_at_call_end = told);
        let call = theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
        theatre.open_socket();
        theatre.sent();
        theatre.far(&call, CALLER, Deed::HangUp);
        theatre.check_told(expected);
        assert!(theatre.sent().1, "the socket is closed");
        theatre.pass(60_000);
        assert!(theatre.world.take_socket_effects().is_empty());
    }
    check(false, &["CallDisconnected 0/560000"]);
    check(true, &["MediaStreamingStopped 200/0", "CallDisconnected 0/560000"]);
}

#[test]
fn plain_sockets_may_go_to_other_hosts_when_allowed() {
    let plain = media(json!({ "transportUrl": "ws://app:8000/media" }));
    let mut theatre = Theatre::new(|_| ());
    assert_eq!(theatre.create_streamed(&[CALLER], &plain).0, 400);
    let mut theatre = Theatre::new(|config| config.behaviour.streams.ws_to_any_host = true);
    assert_eq!(theatre.create_streamed(&[CALLER], &plain).0, 201);
    let here = media(json!({ "transportUrl": "ws://127.0.0.1:8000/media" }));
    let mut theatre = Theatre::new(|config| config.behaviour.https_callbacks_only = true);
    let mut body = here.clone();
    body["callbackUri"] = "https://app.example.test/calls".into();
    assert_eq!(theatre.create_streamed(&[CALLER], &body).0, 400);
}

#[test]
fn a_reset_closes_the_sockets() {
    let mut theatre = Theatre::new(|_| ());
    theatre.streamed(&[CALLER], &media(json!({ "startMediaStreaming": true })));
    let socket = theatre.open_socket();
    theatre.sent();
    theatre.world.reset(moment(theatre.now));
    assert_eq!(theatre.sent(), (Vec::new(), true));
    theatre.news(socket, SocketNews::Closed);
    theatre.pass(1_000);
    theatre.check_told(&[]);
}
