//! Media streaming and transcription through a real web socket, on a held clock.

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response as Upgraded,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, StatusCode};

use super::*;

/// An application's server of web sockets.
struct SocketServer {
    listener: TcpListener,
    url: String,
}

/// A socket that the emulator opened.
struct Line {
    socket: WebSocketStream<TcpStream>,
    target: String,
    headers: HeaderMap,
}

/// Keeps what the upgrade request said, and answers it.
struct Upgrade<'a> {
    seen: &'a mut Option<(String, HeaderMap)>,
    refuse: bool,
}

impl Callback for Upgrade<'_> {
    fn on_request(self, request: &Request, answer: Upgraded) -> Result<Upgraded, ErrorResponse> {
        *self.seen = Some((request.uri().to_string(), request.headers().clone()));
        if self.refuse {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            return Err(refusal);
        }
        Ok(answer)
    }
}

impl SocketServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}/media?key=secret", listener.local_addr().expect("an address"));
        Self { listener, url }
    }

    async fn accept(&self, refuse: bool) -> Option<Line> {
        let accepting = async {
            let (stream, _) = self.listener.accept().await.expect("a connection");
            let mut seen = None;
            let upgrade = Upgrade { seen: &mut seen, refuse };
            let socket = tokio_tungstenite::accept_hdr_async(stream, upgrade).await.ok()?;
            let (target, headers) = seen?;
            Some(Line { socket, target, headers })
        };
        tokio::time::timeout(PATIENCE, accepting).await.expect("it connects in time")
    }
}

impl Line {
    /// The next frame; `None` when the emulator has closed the socket.
    async fn next(&mut self) -> Option<Value> {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        match next.expect("a frame in time")?.expect("a good frame") {
            Message::Text(text) => Some(serde_json::from_str(text.as_str()).expect("JSON")),
            Message::Close(_) => None,
            other => panic!("{other:?}"),
        }
    }

    /// Frames up to one of a kind, which ends them.
    async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await.expect("a frame");
            let last = frame["kind"] == kind;
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    async fn audio(&mut self, count: usize) -> Vec<Value> {
        let mut frames = Vec::new();
        while frames.len() < count {
            let frame = self.next().await.expect("a frame");
            assert_eq!(frame["kind"], "AudioData");
            frames.push(frame["audioData"].clone());
        }
        frames
    }

    async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.expect("sent");
    }
}

struct Story {
    caller: Caller,
    receiver: Receiver,
    server: SocketServer,
}

impl Story {
    async fn begin() -> Self {
        let clock = ManualClock::starting_now();
        let mut config = config();
        config.manual_clock = Some(Arc::clone(&clock));
        let caller = Caller::with_clock(config, clock);
        Self { caller, receiver: Receiver::start(), server: SocketServer::start().await }
    }

    async fn create(&self, options: Value) -> String {
        let mut body = json!({
            "targets": [{ "phoneNumber": { "value": PHONE } }],
            "sourceCallerIdNumber": { "value": OURS },
            "callbackUri": self.receiver.url("/calls"),
            "operationContext": "create-1",
        });
        for (name, value) in options.as_object().expect("members") {
            body[name] = value.clone();
        }
        let path = "/calling/callConnections";
        let (status, answer) = self.caller.ask(Method::POST, path, body).await;
        assert_eq!(status, 201, "{answer}");
        format!("{path}/{}", answer["callConnectionId"].as_str().expect("an id"))
    }

    async fn advance(&self, ms: u64) {
        let body = json!({ "ms": ms });
        let (status, answer) = self.caller.own(Method::POST, "clock:advance", body).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn until_stream(&self, feed: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let seen = |calls: &Value| calls["calls"][0]["connections"][0]["streams"][feed].clone();
        seen(&self.caller.own_until("calls", |calls| wanted(&seen(calls))).await)
    }

    async fn far(&self, deed: &str, body: Value) {
        let (_, calls) = self.caller.own(Method::GET, "calls", Value::Null).await;
        let (status, answer) = self.caller.far(&calls["calls"][0], PHONE, deed, body).await;
        assert_eq!(status, 204, "{answer}");
    }

    async fn operate(&self, call: &str, operation: &str, body: Value) {
        let path = format!("{call}:{operation}");
        let (status, answer) = self.caller.ask(Method::POST, &path, body).await;
        assert_eq!(status, 202, "{answer}");
        self.advance(25).await;
    }

    fn media(&self) -> Value {
        json!({ "mediaStreamingOptions": {
            "transportType": "websocket", "audioChannelType": "unmixed",
            "transportUrl": self.server.url, "startMediaStreaming": true,
            "enableBidirectional": true, "enableDtmfTones": true,
        } })
    }
}

/// The claims of the token, checked with the published keys.
async fn claims(caller: &Caller, headers: &HeaderMap) -> Value {
    let keys = caller.http.get(caller.url("/calling/keys")).send().await.expect("an answer");
    let keys: JwkSet = serde_json::from_value(read(keys).await.1).expect("a key set");
    let token = headers["authorization"].to_str().expect("text");
    let token = token.strip_prefix("Bearer ").expect("a bearer");
    let kid = decode_header(token).expect("a header").kid.expect("a key id");
    let key = DecodingKey::from_jwk(keys.find(&kid).expect("the key")).expect("a key");
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_issuer(&["https://acscallautomation.communication.azure.com"]);
    rules.set_audience(&[EmulatorConfig::default().audience]);
    decode::<Value>(token, &key, &rules).expect("a good token").claims
}

#[actix_web::test]
async fn audio_is_streamed_over_a_socket() {
    let mut story = Story::begin().await;
    let call = story.create(story.media()).await;
    story.advance(50).await;
    let mut line = story.server.accept(false).await.expect("a socket");
    let id = call.rsplit('/').next().expect("an id");
    assert_eq!(line.target, "/media?key=secret");
    assert_eq!(line.headers["x-ms-call-connection-id"], id);
    let (_, properties) = story.caller.ask(Method::GET, &call, Value::Null).await;
    let correlation = properties["correlationId"].as_str().expect("an id");
    assert_eq!(line.headers["x-ms-call-correlation-id"], correlation);
    let claims = claims(&story.caller, &line.headers).await;
    let lasts = claims["exp"].as_i64().expect("a time") - claims["iat"].as_i64().expect("a time");
    assert_eq!(lasts, 24 * 3600);

    let metadata = line.next().await.expect("a frame");
    assert_eq!(metadata["audioMetadata"]["length"], 640);
    story.until_stream("media", |seen| seen["state"] == "open").await;
    let expected = ["CallConnected", "ParticipantsUpdated", "MediaStreamingStarted"];
    story.advance(1_000).await;
    story.receiver.expect(&expected).await;
    let silent = line.audio(50).await;
    assert!(silent.iter().all(|frame| frame["silent"] == true));
    assert_eq!(silent[0]["participantRawID"], format!("4:{PHONE}"));

    story.far("say", json!({ "text": "hello" })).await;
    story.advance(1_000).await;
    let heard = line.audio(50).await;
    assert_eq!(heard.iter().filter(|frame| frame["silent"] == false).count(), 15, "5 × 60 ms");
    story.far("press", json!({ "tones": "5" })).await;
    assert_eq!(line.next().await.expect("a frame")["dtmfData"]["data"], "5");

    let second = "AAAA".repeat(8_000);
    for _ in 0..2 {
        line.send(json!({ "kind": "AudioData", "audioData": { "data": second } })).await;
    }
    line.send(json!({ "kind": "nonsense" })).await;
    let seen = story.until_stream("media", |seen| seen["badFrames"] == 1).await;
    assert_eq!(
        (&seen["heard"]["bytes"], &seen["heard"]["playing"]),
        (&json!(48_000), &json!(true))
    );
    line.send(json!({ "Kind": "StopAudio", "AudioData": null, "StopAudio": {} })).await;
    story.until_stream("media", |seen| seen["heard"]["playing"] == false).await;

    story.operate(&call, "stopMediaStreaming", json!({ "operationContext": "stop" })).await;
    let stopped = story.receiver.expect(&["MediaStreamingStopped"]).await;
    assert_eq!(stopped["operationContext"], "stop");
    // The 25 ms in which that was told begin after the socket was closed.
    assert_eq!(line.next().await, None);
}

#[actix_web::test]
async fn words_are_streamed_over_a_socket() {
    let mut story = Story::begin().await;
    let options = json!({ "transcriptionOptions": {
        "transportType": "websocket", "locale": "en-US", "transportUrl": story.server.url,
        "enableIntermediateResults": true,
    } });
    let call = story.create(options).await;
    story.advance(100).await;
    story.receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
    story.operate(&call, "startTranscription", json!({ "operationContext": "start" })).await;
    let mut line = story.server.accept(false).await.expect("a socket");
    let metadata = line.next().await.expect("a frame");
    assert_eq!(metadata["transcriptionMetadata"]["locale"], "en-US");
    story.far("say", json!({ "text": "One, two." })).await;
    story.advance(2_000).await;
    story.receiver.expect(&["TranscriptionStarted"]).await;
    let mut said = Vec::new();
    for _ in 0..3 {
        let frame = line.next().await.expect("a frame");
        let text = |member: &str| frame["transcriptionData"][member].as_str().map(str::to_owned);
        said.push((text("text"), text("resultStatus")));
    }
    let result = |text: &str, status: &str| (Some(text.to_owned()), Some(status.to_owned()));
    let expected = [
        result("One,", "Intermediate"),
        result("One, two.", "Intermediate"),
        result("One, two.", "Final"),
    ];
    assert_eq!(said, expected);

    story.operate(&call, "updateTranscription", json!({ "locale": "de-DE" })).await;
    story.receiver.expect(&["TranscriptionUpdated"]).await;
    line.socket.close(None).await.expect("closed");
    story.until_stream("transcription", |seen| seen["state"] == "idle").await;
    story.advance(25).await;
    let failed = story.receiver.expect(&["TranscriptionFailed"]).await;
    let details = &failed["transcriptionUpdate"]["transcriptionStatusDetails"];
    assert_eq!(details, "streamConnectionInterrupted");
}

#[actix_web::test]
async fn a_socket_that_cannot_be_opened_is_told() {
    let mut story = Story::begin().await;
    let call = story.create(story.media()).await;
    story.advance(50).await;
    assert!(story.server.accept(true).await.is_none());
    story.until_stream("media", |seen| seen["state"] == "idle").await;
    story.advance(25).await;
    let expected = ["CallConnected", "ParticipantsUpdated", "MediaStreamingFailed"];
    let failed = story.receiver.expect(&expected).await;
    let details = &failed["mediaStreamingUpdate"]["mediaStreamingStatusDetails"];
    assert_eq!(details, "initialWebSocketConnectionFailed");

    story.operate(&call, "startMediaStreaming", json!({})).await;
    let mut line = story.server.accept(false).await.expect("a socket");
    story.until_stream("media", |seen| seen["state"] == "open").await;
    story.far("hangup", Value::Null).await;
    let frames = async { while line.next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, frames).await.expect("it is closed with the call");
}

#[actix_web::test]
async fn a_large_frame_costs_only_its_socket() {
    let story = Story::begin().await;
    let call = story.create(story.media()).await;
    story.advance(50).await;
    let mut line = story.server.accept(false).await.expect("a socket");
    line.until("AudioMetadata").await;
    // Refused in the middle, so that sending it may fail.
    let _ = line.socket.send(Message::text("A".repeat(2 << 20))).await;
    story.until_stream("media", |seen| seen["state"] == "idle").await;
    story.operate(&call, "startMediaStreaming", json!({})).await;
    story.server.accept(false).await.expect("a socket");
}
