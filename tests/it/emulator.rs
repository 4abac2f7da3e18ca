//! The emulator over HTTP: signatures, repeatability, callbacks, Event Grid and the far end.

mod grid;
#[path = "emulator_streams.rs"]
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use switchhook::clock::{ManualClock, SystemClock};
use switchhook::emulator::{Emulator, EmulatorConfig, Schema, StartError, Subscription};
use switchhook::ports::Clock;
use switchhook::pure::signing::{AccessKey, authorization, content_hash, string_to_sign};
use switchhook::wire::calling::segment;
use tokio::sync::mpsc;

mod calls;
mod faults;
mod recording;
mod trace;

const VERSION: &str = "api-version=2026-03-12";
const PHONE: &str = "+14255551212";
const OURS: &str = "+18005551212";

/// Long enough for the slowest machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a receiver got.
struct Received {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// How a receiver answers, by the path and what came.
type Answers = Arc<dyn Fn(&Received) -> HttpResponse + Send + Sync>;

/// A receiver of callbacks and Event Grid events, which keeps what it got.
struct Receiver {
    base_url: String,
    got: mpsc::UnboundedReceiver<Received>,
    server: actix_web::dev::ServerHandle,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

/// Takes everything and answers handshakes.
fn consenting(received: &Received) -> HttpResponse {
    if received.method == "OPTIONS" {
        return HttpResponse::Ok().insert_header(("WebHook-Allowed-Origin", "*")).finish();
    }
    match received.body[0]["data"]["validationCode"].as_str() {
        Some(code) => HttpResponse::Ok().json(json!({ "validationResponse": code })),
        None => HttpResponse::Ok().finish(),
    }
}

impl Receiver {
    fn start() -> Self {
        Self::answering(consenting)
    }

    fn answering(answers: impl Fn(&Received) -> HttpResponse + Send + Sync + 'static) -> Self {
        let (keep, got) = mpsc::unbounded_channel();
        let answers: Answers = Arc::new(answers);
        let factory = move || {
            let state = (keep.clone(), Arc::clone(&answers));
            App::new().app_data(web::Data::new(state)).default_service(web::to(receive))
        };
        let server = HttpServer::new(factory).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("a free port");
        let base_url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { base_url, got, server: handle }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    async fn next(&mut self) -> Received {
        let got = tokio::time::timeout(PATIENCE, self.got.recv()).await;
        got.expect("something was posted in time").expect("the receiver lives")
    }

    /// The next callback: its short type and its data.
    async fn event(&mut self) -> (String, Value) {
        let received = self.next().await;
        let event = received.body[0].clone();
        let kind = event["type"].as_str().expect("a type");
        let kind = kind.trim_start_matches("Microsoft.Communication.").to_owned();
        (kind, event["data"].clone())
    }

    async fn expect(&mut self, kinds: &[&str]) -> Value {
        let mut last = Value::Null;
        for expected in kinds {
            let (kind, data) = self.event().await;
            assert_eq!(&kind, expected);
            last = data;
        }
        last
    }
}

type Keep = (mpsc::UnboundedSender<Received>, Answers);

async fn receive(state: web::Data<Keep>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or("").to_owned();
    let headers = request.headers().iter().map(|(name, value)| {
        let value = text(&reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        (name.as_str().to_owned(), value)
    });
    let received = Received {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        headers: headers.collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let answer = (state.1)(&received);
    let _ = state.0.send(received);
    answer
}

/// An application's side: signs and sends.
struct Caller {
    emulator: Emulator,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

fn config() -> EmulatorConfig {
    let mut config =
        EmulatorConfig { listen: ([127, 0, 0, 1], 0).into(), ..EmulatorConfig::default() };
    config.default_phone.after = Duration::from_millis(50);
    config.behaviour.grid.handshake_pause = Duration::from_millis(10);
    config
}

impl Caller {
    fn start(config: EmulatorConfig) -> Self {
        Self::with_clock(config, SystemClock::start())
    }

    fn with_clock(config: EmulatorConfig, clock: Arc<dyn Clock>) -> Self {
        let emulator = Emulator::start(config, Arc::clone(&clock)).expect("it starts");
        Self { emulator, http: reqwest::Client::new(), clock }
    }

    fn url(&self, target: &str) -> String {
        format!("{}{target}", self.emulator.base_url())
    }

    /// A request, signed for `signed_target` with `key`.
    fn signed(
        &self,
        method: &Method,
        target: &str,
        signed_target: &str,
        key: &str,
        body: &str,
    ) -> reqwest::RequestBuilder {
        let key = AccessKey::from_base64(key).expect("a key");
        let date = httpdate::fmt_http_date(self.clock.wall().into());
        let host = self.emulator.address().to_string();
        let hash = content_hash(body.as_bytes());
        let text = string_to_sign(method.as_str(), signed_target, &[&date, &host, &hash]);
        self.http
            .request(method.clone(), self.url(target))
            .header("x-ms-date", date)
            .header("x-ms-content-sha256", hash)
            .header("authorization", authorization(&key.sign(&text)))
            .header("content-type", "application/json")
            .body(body.to_owned())
    }

    async fn send(&self, method: Method, target: &str, body: &Value) -> Response {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let key = self.emulator.access_key();
        self.signed(&method, target, target, key, &body).send().await.expect("an answer")
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let answer = self.send(method, &format!("{path}?{VERSION}"), &body).await;
        read(answer).await
    }

    async fn create(&self, receiver: &Receiver, who: &str) -> String {
        let body = json!({
            "targets": [{ "phoneNumber": { "value": who } }],
            "sourceCallerIdNumber": { "value": OURS },
            "callbackUri": receiver.url("/calls?key=secret"),
            "operationContext": "create-1",
        });
        let (status, answer) = self.ask(Method::POST, "/calling/callConnections", body).await;
        assert_eq!(status, 201, "{answer}");
        format!("/calling/callConnections/{}", answer["callConnectionId"].as_str().unwrap())
    }

    /// The emulator's own routes, which need no signature.
    async fn own(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, self.url(&format!("/emulator/{path}")));
        let request = if body.is_null() { request } else { request.json(&body) };
        read(request.send().await.expect("an answer")).await
    }

    async fn incoming(&self, from: &str, to: &str) -> Value {
        let body = json!({ "from": from, "to": to });
        let (status, answer) = self.own(Method::POST, "incoming-calls", body).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    async fn answer(&self, receiver: &Receiver, call: &Value) -> String {
        let body = json!({
            "incomingCallContext": call["incomingCallContext"],
            "callbackUri": receiver.url("/calls"),
        });
        let path = "/calling/callConnections:answer";
        let (status, answer) = self.ask(Method::POST, path, body).await;
        assert_eq!(status, 200, "{answer}");
        format!("/calling/callConnections/{}", answer["callConnectionId"].as_str().unwrap())
    }

    async fn far(&self, call: &Value, who: &str, deed: &str, body: Value) -> (u16, Value) {
        let server = segment(call["serverCallId"].as_str().unwrap());
        let path = format!("calls/{server}/participants/{}:{deed}", segment(who));
        self.own(Method::POST, &path, body).await
    }

    /// Asks until the answer is as wanted.
    async fn own_until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let (_, seen) = self.own(Method::GET, path, Value::Null).await;
                if wanted(&seen) {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("it comes to that")
    }
}

async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let body = answer.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[track_caller]
fn check_error(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!(answer.0, status, "{}", answer.1);
    assert_eq!(answer.1["error"]["code"], code);
    assert!(answer.1["error"]["message"].is_string());
}

#[actix_web::test]
async fn a_request_must_be_signed_for_its_raw_target_with_the_right_key() {
    let caller = Caller::start(config());
    let target = format!("/calling/callConnections/none/participants/4%3A%2B1425?{VERSION}");
    let decoded = format!("/calling/callConnections/none/participants/4:+1425?{VERSION}");
    let key = caller.emulator.access_key().to_owned();
    for (signed_target, key, status, code) in [
        (&target, key.as_str(), 404, "8522"),
        (&decoded, key.as_str(), 401, "7509"),
        (&target, "b3RoZXIta2V5", 401, "7509"),
    ] {
        let request = caller.signed(&Method::GET, &target, signed_target, key, "");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert!(answer.headers().get("retry-after").is_none());
        check_error(&read(answer).await, status, code);
    }
    let bare = caller.http.get(caller.url(&target)).send().await.expect("an answer");
    check_error(&read(bare).await, 401, "7509");
    let bearer = caller.http.get(caller.url(&target)).bearer_auth("test-token");
    check_error(&read(bearer.send().await.expect("an answer")).await, 404, "8522");
    let bearer = caller.http.get(caller.url(&target)).bearer_auth("real-token");
    check_error(&read(bearer.send().await.expect("an answer")).await, 401, "7509");
}

#[actix_web::test]
async fn the_api_version_is_required_and_known() {
    let caller = Caller::start(config());
    let path = "/calling/callConnections/none";
    for (query, status, code) in [
        ("", 400, "MissingApiVersionParameter"),
        ("?api-version=", 400, "MissingApiVersionParameter"),
        ("?api-version=1999-01-01", 400, "UnsupportedApiVersionValue"),
        ("?api-version=2023-03-06", 404, "8522"),
        ("?api-version=2026-03-12", 404, "8522"),
    ] {
        let answer = caller.send(Method::GET, &format!("{path}{query}"), &Value::Null).await;
        check_error(&read(answer).await, status, code);
    }
}

#[actix_web::test]
async fn strangers_get_azures_shape_too() {
    let mut config = config();
    config.limits.body = 1000;
    let caller = Caller::start(config);
    let ask = |method, path: &'static str, body| caller.ask(method, path, body);
    check_error(&ask(Method::GET, "/calling/nothing", Value::Null).await, 404, "NotFound");
    let wrong = ask(Method::PUT, "/calling/callConnections", Value::Null).await;
    check_error(&wrong, 405, "MethodNotAllowed");
    let large = json!({ "text": "x".repeat(1000) });
    let large = ask(Method::POST, "/calling/callConnections", large).await;
    check_error(&large, 413, "RequestEntityTooLarge");
    let target = format!("/calling/callConnections?{VERSION}");
    let key = caller.emulator.access_key();
    let broken = caller.signed(&Method::POST, &target, &target, key, "{\"targets\":[");
    check_error(&read(broken.send().await.expect("an answer")).await, 400, "8523");
}

#[actix_web::test]
async fn a_call_is_placed_played_to_and_hung_up() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    let call = caller.create(&receiver, PHONE).await;
    let first = receiver.next().await;
    assert_eq!((first.path.as_str(), first.query.as_str()), ("/calls", "key=secret"));
    assert_eq!(first.headers["content-type"], "application/json");
    assert_eq!(first.body.as_array().map(Vec::len), Some(1));
    assert_eq!(first.body[0]["type"], "Microsoft.Communication.CallConnected");
    receiver.expect(&["ParticipantsUpdated"]).await;

    let play = json!({
        "playSources": [{ "kind": "file", "file": { "uri": receiver.url("/no.wav") } }],
        "operationContext": "play-1",
    });
    let (status, body) = caller.ask(Method::POST, &format!("{call}:play"), play).await;
    assert_eq!((status, body), (202, Value::Null));
    let fetched = receiver.next().await;
    assert_eq!((fetched.method.as_str(), fetched.path.as_str()), ("GET", "/no.wav"));
    let failed = receiver.expect(&["PlayFailed"]).await;
    assert_eq!(failed["resultInformation"]["subCode"], 8535, "an empty answer is not audio");

    let (status, body) = caller.ask(Method::DELETE, &call, Value::Null).await;
    assert_eq!((status, body), (204, Value::Null));
    let ended = receiver.expect(&["CallDisconnected"]).await;
    assert_eq!(ended["operationContext"], "create-1");
    check_error(&caller.ask(Method::GET, &call, Value::Null).await, 404, "8522");
    let seen =
        caller.own_until("deliveries", |seen| seen["value"].as_array().map(Vec::len) == Some(4));
    let seen = seen.await;
    assert_eq!(seen["value"][3]["type"], "Microsoft.Communication.CallDisconnected");
    assert_eq!(seen["value"][3]["status"], 200);
    assert_eq!(seen["value"][3]["url"], receiver.url("/calls"), "the secret is not shown");
}

#[actix_web::test]
async fn callback_tokens_are_checked_with_the_published_documents() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    let configuration = caller.http.get(caller.emulator.openid_configuration_url()).send().await;
    let (_, configuration) = read(configuration.expect("an answer")).await;
    let keys = caller.http.get(configuration["jwks_uri"].as_str().expect("a url")).send().await;
    let (_, keys) = read(keys.expect("an answer")).await;
    let keys: JwkSet = serde_json::from_value(keys).expect("a key set");
    caller.create(&receiver, PHONE).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let received = receiver.next().await;
        let token = received.headers["authorization"].strip_prefix("Bearer ").expect("a bearer");
        let kid = decode_header(token).expect("a header").kid.expect("a key id");
        let key = DecodingKey::from_jwk(keys.find(&kid).expect("the key")).expect("a key");
        let mut rules = Validation::new(Algorithm::RS256);
        rules.set_issuer(&["https://acscallautomation.communication.azure.com"]);
        rules.set_audience(&[EmulatorConfig::default().audience]);
        rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss"]);
        let claims = decode::<Value>(token, &key, &rules).expect("a good token").claims;
        let (from, until) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!(until - from, 300);
        ids.push(claims["jti"].clone());
    }
    assert_ne!(ids[0], ids[1], "every callback has a token of its own");
}

#[actix_web::test]
async fn a_repeated_request_counts_once() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    let target = format!("/calling/callConnections?{VERSION}");
    let body = |context: &str| {
        json!({
            "targets": [{ "phoneNumber": { "value": PHONE } }],
            "sourceCallerIdNumber": { "value": OURS },
            "callbackUri": receiver.url("/calls"), "operationContext": context,
        })
        .to_string()
    };
    let key = caller.emulator.access_key();
    let id = "0fb7ef4f-f1a4-4f3c-9f0c-4d5e3f6a7b8c";
    let date = "Sat, 21 Nov 2026 04:49:51 GMT";
    let send = |body: String, id: Option<&'static str>, date: Option<&'static str>| {
        let mut request = caller.signed(&Method::POST, &target, &target, key, &body);
        request = id.into_iter().fold(request, |r, id| r.header("Repeatability-Request-ID", id));
        request = date.into_iter().fold(request, |r, d| r.header("Repeatability-First-Sent", d));
        request.send()
    };
    let first = send(body("a"), Some(id), Some(date)).await.expect("an answer");
    assert_eq!(first.headers()["repeatability-result"], "accepted");
    let first = read(first).await;
    let again = read(send(body("a"), Some(id), Some(date)).await.expect("an answer")).await;
    assert_eq!((first.0, &first), (201, &again));
    let other = read(send(body("b"), Some(id), Some(date)).await.expect("an answer")).await;
    assert_eq!(other.0, 400);
    for (id, date) in [(Some(id), None), (None, Some(date)), (Some("no-uuid"), Some(date))] {
        let half = read(send(body("a"), id, date).await.expect("an answer")).await;
        assert_eq!(half.0, 400);
    }
    let (_, seen) = caller.own(Method::GET, "calls", Value::Null).await;
    assert_eq!(seen["calls"].as_array().map(Vec::len), Some(1));
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
}

#[actix_web::test]
async fn repeatability_can_be_loose() {
    let mut config = config();
    config.behaviour.reused_id_refused = false;
    config.behaviour.half_repeatability_refused = false;
    config.behaviour.repeatability_result_told = false;
    let caller = Caller::start(config);
    let target = format!("/calling/callConnections?{VERSION}");
    let key = caller.emulator.access_key();
    let send = |context: &str, headers: &[(&'static str, &'static str)]| {
        let body = json!({
            "targets": [{ "phoneNumber": { "value": PHONE } }], "operationContext": context,
            "sourceCallerIdNumber": { "value": OURS }, "callbackUri": "http://127.0.0.1:9/calls",
        });
        let request = caller.signed(&Method::POST, &target, &target, key, &body.to_string());
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    let id = ("Repeatability-Request-ID", "0fb7ef4f-f1a4-4f3c-9f0c-4d5e3f6a7b8c");
    let date = ("Repeatability-First-Sent", "Sat, 21 Nov 2026 04:49:51 GMT");
    let first = send("a", &[id, date]).await.expect("an answer");
    assert!(!first.headers().contains_key("repeatability-result"));
    let first = read(first).await;
    let other = read(send("b", &[id, date]).await.expect("an answer")).await;
    assert_eq!((first.0, &first), (201, &other));
    for half in [id, date] {
        let answer = read(send("c", &[half]).await.expect("an answer")).await;
        assert_eq!(answer.0, 201);
        assert_ne!(answer, first);
    }
}

#[actix_web::test]
async fn participants_are_paged_with_links_that_can_be_followed() {
    let mut receiver = Receiver::start();
    let mut config = config();
    config.behaviour.page_size = 2;
    let caller = Caller::start(config);
    let targets: Vec<_> =
        (0..5).map(|n| json!({ "communicationUser": { "id": format!("8:acs:r_{n}") } })).collect();
    let body = json!({ "targets": targets, "callbackUri": receiver.url("/calls") });
    let (_, answer) = caller.ask(Method::POST, "/calling/callConnections", body).await;
    receiver.expect(&["CallConnected"]).await;
    for _ in 0..5 {
        receiver.expect(&["ParticipantsUpdated"]).await;
    }
    let call = answer["callConnectionId"].as_str().unwrap();
    let path = format!("/calling/callConnections/{call}/participants");
    let mut target = format!("{path}?{VERSION}");
    let mut pages = Vec::new();
    loop {
        let (status, page) = read(caller.send(Method::GET, &target, &Value::Null).await).await;
        assert_eq!(status, 200);
        let ids = page["value"].as_array().expect("a page").iter();
        pages.push(ids.map(|one| one["identifier"]["rawId"].clone()).collect::<Vec<_>>());
        let Some(next) = page["nextLink"].as_str() else { break };
        let rest = next.strip_prefix(&caller.emulator.base_url()).expect("our host");
        assert!(rest.contains(VERSION), "the link carries the version");
        target = rest.to_owned();
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let all: std::collections::BTreeSet<_> = pages.concat().iter().map(Value::to_string).collect();
    assert_eq!(all.len(), 5);
    let one = format!("{path}/{}", segment("8:acs:r_3"));
    let (status, found) = caller.ask(Method::GET, &one, Value::Null).await;
    assert_eq!(
        (status, &found["identifier"]["communicationUser"]["id"]),
        (200, &json!("8:acs:r_3"))
    );
    let (status, _) = read(
        caller
            .send(Method::GET, &format!("{path}?{VERSION}&continuationToken=x"), &Value::Null)
            .await,
    )
    .await;
    assert_eq!(status, 400);
}

fn subscription(receiver: &Receiver, schema: Schema) -> Subscription {
    Subscription {
        name: "calls".into(),
        endpoint: receiver.url("/grid?key=secret"),
        schema,
        headers: BTreeMap::from([("X-Own".to_owned(), "value".to_owned())]),
        ..Subscription::default()
    }
}

#[actix_web::test]
async fn event_grid_shakes_hands_and_delivers_in_its_own_schema() {
    let mut receiver = Receiver::start();
    let mut config = config();
    config.subscriptions = vec![subscription(&receiver, Schema::EventGrid)];
    let caller = Caller::start(config);
    let hello = receiver.next().await;
    assert_eq!(hello.headers["aeg-event-type"], "SubscriptionValidation");
    assert_eq!(hello.query, "key=secret");
    let kind = "Microsoft.EventGrid.SubscriptionValidationEvent";
    assert_eq!(hello.body[0]["eventType"], kind);
    let state = "eventgrid/subscriptions/calls";
    let seen = caller.own_until(state, |seen| seen["provisioningState"] == "Succeeded").await;
    assert_eq!(seen["endpoint"], receiver.url("/grid"), "the secret is not shown");

    let call = caller.incoming(PHONE, OURS).await;
    let received = receiver.next().await;
    for (name, value) in [
        ("aeg-event-type", "Notification"),
        ("aeg-subscription-name", "CALLS"),
        ("aeg-delivery-count", "0"),
        ("aeg-metadata-version", "1"),
        ("aeg-data-version", "1.0"),
        ("content-type", "application/json; charset=utf-8"),
        ("x-own", "value"),
    ] {
        assert_eq!(received.headers[name], value, "{name}");
    }
    let sample = sample("IncomingCall.pstn-to-pstn.eventgrid-schema.json");
    check_same_shape(&received.body, &sample, "");
    assert_eq!(received.headers["aeg-output-event-id"], received.body[0]["id"]);
    let data = &received.body[0]["data"];
    for member in ["incomingCallContext", "serverCallId", "correlationId"] {
        assert_eq!(data[member], call[member]);
    }
}

#[actix_web::test]
async fn event_grid_shakes_hands_and_delivers_in_cloud_events() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    let body = json!({ "endpoint": receiver.url("/grid"), "schema": "cloudEvents" });
    let (status, _) = caller.own(Method::PUT, "eventgrid/subscriptions/calls", body).await;
    assert_eq!(status, 201);
    let hello = receiver.next().await;
    assert_eq!(hello.method, "OPTIONS");
    assert_eq!(hello.headers["webhook-request-origin"], "eventgrid.azure.net");
    let state = "eventgrid/subscriptions/calls";
    caller.own_until(state, |seen| seen["provisioningState"] == "Succeeded").await;
    caller.incoming("8:acs:r_caller", OURS).await;
    let received = receiver.next().await;
    let content_type = "application/cloudevents+json; charset=utf-8";
    assert_eq!(received.headers["content-type"], content_type);
    assert!(!received.headers.contains_key("aeg-data-version"));
    let sample = sample("IncomingCall.pstn-to-pstn.cloudevents-schema.json");
    let own = sample.as_object().expect("an event").keys().collect::<Vec<_>>();
    let sent = received.body.as_object().expect("one event, not an array");
    assert_eq!(sent.keys().collect::<Vec<_>>(), own);
}

#[actix_web::test]
async fn nothing_is_delivered_without_consent_and_somebody_may_give_it_by_hand() {
    let mut receiver = Receiver::answering(|_| HttpResponse::Ok().finish());
    let mut config = config();
    config.subscriptions = vec![subscription(&receiver, Schema::EventGrid)];
    let caller = Caller::start(config);
    let hello = receiver.next().await;
    let state = "eventgrid/subscriptions/calls";
    let waiting = |seen: &Value| seen["provisioningState"] == "AwaitingManualAction";
    caller.own_until(state, waiting).await;
    caller.incoming(PHONE, OURS).await;
    let url = hello.body[0]["data"]["validationUrl"].as_str().expect("a url").to_owned();
    let wrong = caller.http.get(url.replace("code=", "code=x")).send().await.expect("an answer");
    assert_eq!(wrong.status(), 400);
    let right = caller.http.get(url).send().await.expect("an answer");
    assert_eq!(right.status(), 200);
    let second = caller.incoming("+16045550123", OURS).await;
    let received = receiver.next().await;
    let ticket = &received.body[0]["data"]["incomingCallContext"];
    assert_eq!(ticket, &second["incomingCallContext"], "the first call was told to nobody");
}

#[actix_web::test]
async fn a_handshake_is_tried_again_until_the_receiver_is_there() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let mut receiver = Receiver::answering(move |received| {
        match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 1 => HttpResponse::ServiceUnavailable().finish(),
            _ => consenting(received),
        }
    });
    let mut config = config();
    config.subscriptions = vec![subscription(&receiver, Schema::EventGrid)];
    let caller = Caller::start(config);
    for _ in 0..3 {
        receiver.next().await;
    }
    let state = "eventgrid/subscriptions/calls";
    caller.own_until(state, |seen| seen["provisioningState"] == "Succeeded").await;
}

#[actix_web::test]
async fn events_that_are_not_taken_are_retried_and_dead_lettered() {
    let clock = ManualClock::starting_now();
    let mut receiver = Receiver::answering(|received| {
        if received.headers.get("aeg-event-type").is_some_and(|kind| kind == "Notification") {
            return HttpResponse::InternalServerError().finish();
        }
        consenting(received)
    });
    let mut config = config();
    config.manual_clock = Some(Arc::clone(&clock));
    config.subscriptions = vec![subscription(&receiver, Schema::EventGrid)];
    let caller = Caller::with_clock(config, clock);
    receiver.next().await;
    let state = "eventgrid/subscriptions/calls";
    caller.own_until(state, |seen| seen["provisioningState"] == "Succeeded").await;
    caller.incoming(PHONE, OURS).await;
    assert_eq!(receiver.next().await.headers["aeg-delivery-count"], "0");
    // The answer to the first attempt is on its way back while time stands still.
    let retried = async {
        loop {
            let (status, _) =
                caller.own(Method::POST, "clock:advance", json!({ "ms": 1000 })).await;
            assert_eq!(status, 200);
            if let Ok(received) = receiver.got.try_recv() {
                return received;
            }
        }
    };
    let retried = tokio::time::timeout(PATIENCE, retried).await.expect("a second attempt");
    assert_eq!(retried.headers["aeg-delivery-count"], "1");
    let dead = |seen: &Value| seen["value"].as_array().is_some_and(|all| !all.is_empty());
    let dead = caller.own_until("eventgrid/dead-letters", dead).await;
    let event = &dead["value"][0]["event"];
    assert_eq!(event["deadLetterReason"], "MaxDeliveryAttemptsExceeded");
    assert_eq!(event["deliveryAttempts"], 2);
}

#[actix_web::test]
async fn a_caller_keys_in_an_answer_by_hand() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    let incoming = caller.incoming(PHONE, OURS).await;
    let call = caller.answer(&receiver, &incoming).await;
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
    let who = format!("4:{PHONE}");
    let recognize = json!({
        "recognizeInputType": "dtmf",
        "recognizeOptions": {
            "targetParticipant": { "phoneNumber": { "value": PHONE } },
            "dtmfOptions": { "maxTonesToCollect": 4, "stopTones": ["pound"] },
        },
    });
    let path = format!("{call}:recognize");
    let (status, _) = caller.ask(Method::POST, &path, recognize.clone()).await;
    assert_eq!(status, 202);
    let (status, _) =
        caller.far(&incoming, &who, "press", json!({ "tones": ["one", "two"] })).await;
    assert_eq!(status, 204);
    caller.far(&incoming, &who, "press", json!({ "tones": "*#" })).await;
    let heard = receiver.expect(&["RecognizeCompleted"]).await;
    assert_eq!(heard["dtmfResult"]["tones"], json!(["one", "two", "asterisk"]));
    assert!(heard.get("operationContext").is_none());
    let (status, _) = caller.far(&incoming, &who, "hangup", Value::Null).await;
    assert_eq!(status, 204);
    let ended = receiver.expect(&["CallDisconnected"]).await;
    assert_eq!(ended["resultInformation"]["subCode"], 560_000);
}

#[actix_web::test]
async fn every_callback_has_the_members_of_its_sample() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    let incoming = caller.incoming(PHONE, OURS).await;
    let call = caller.answer(&receiver, &incoming).await;
    let roster = receiver.got.recv();
    let first = roster.await.expect("a callback").body;
    let mut sample_of_first = callback_sample("CallConnected.json");
    sample_of_first[0]["data"].as_object_mut().unwrap().remove("operationContext");
    check_same_shape(&first, &sample_of_first, "");
    let roster = receiver.next().await.body;
    check_same_shape(&roster, &callback_sample("ParticipantsUpdated.json"), "");
    let time = roster[0]["time"].as_str().expect("a time");
    assert_eq!((time.len(), &time[27..]), (33, "+00:00"), "{time}");
    let add = json!({
        "participantToAdd": { "communicationUser": { "id": "8:acs:r_agent" } },
        "operationContext": "add-1",
    });
    caller.ask(Method::POST, &format!("{call}/participants:add"), add).await;
    let added = receiver.next().await.body;
    check_same_shape(&added, &callback_sample("AddParticipantSucceeded.json"), "");
    receiver.expect(&["ParticipantsUpdated"]).await;
    let transfer = json!({
        "targetParticipant": { "communicationUser": { "id": "8:acs:r_other" } },
        "transferee": { "phoneNumber": { "value": PHONE } },
        "operationContext": "transfer-1",
    });
    caller.ask(Method::POST, &format!("{call}:transferToParticipant"), transfer).await;
    let moved = receiver.next().await.body;
    check_same_shape(&moved, &callback_sample("CallTransferAccepted.json"), "");
}

fn sample(name: &str) -> Value {
    callback_sample(&format!("eventgrid/{name}"))
}

fn callback_sample(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).expect("the sample")).expect("JSON")
}

/// The same members of the same types; arrays are compared by their first element.
#[track_caller]
fn check_same_shape(sent: &Value, sample: &Value, at: &str) {
    match (sent, sample) {
        (Value::Object(sent), Value::Object(sample)) => {
            let names = |object: &serde_json::Map<String, Value>| {
                object.keys().cloned().collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(names(sent), names(sample), "at {at}");
            for (name, value) in sent {
                check_same_shape(value, &sample[name], &format!("{at}/{name}"));
            }
        }
        (Value::Array(sent), Value::Array(sample)) => {
            check_same_shape(&sent[0], &sample[0], &format!("{at}/0"));
        }
        (sent, sample) => {
            assert_eq!(std::mem::discriminant(sent), std::mem::discriminant(sample), "at {at}");
        }
    }
}

#[actix_web::test]
async fn callbacks_keep_their_order_whatever_the_receiver_does() {
    let mut receiver = Receiver::answering(|received| match received.path.as_str() {
        "/calls" => HttpResponse::InternalServerError().finish(),
        _ => HttpResponse::Ok().finish(),
    });
    let caller = Caller::start(config());
    let call = caller.create(&receiver, PHONE).await;
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
    let loops = json!({
        "playSources": [{ "kind": "file", "file": { "uri": "https://example.test/a.wav" } }],
        "playOptions": { "loop": true }, "operationCallbackUri": receiver.url("/other"),
    });
    caller.ask(Method::POST, &format!("{call}:play"), loops.clone()).await;
    caller.ask(Method::POST, &format!("{call}:play"), loops).await;
    caller.ask(Method::POST, &format!("{call}:cancelAllMediaOperations"), Value::Null).await;
    caller.ask(Method::POST, &format!("{call}:terminate"), Value::Null).await;
    let told = ["PlayStarted", "PlayCanceled", "PlayCanceled", "CallDisconnected"];
    receiver.expect(&told).await;
    let all = |seen: &Value| seen["value"].as_array().is_some_and(|all| all.len() == 6);
    let seen = caller.own_until("deliveries", all).await;
    let statuses: Vec<_> = seen["value"].as_array().unwrap().iter().map(|d| &d["status"]).collect();
    assert_eq!(statuses, [500, 500, 200, 200, 200, 500]);
}

#[actix_web::test]
async fn failed_callbacks_are_posted_again_when_asked_for() {
    let mut receiver = Receiver::answering(|_| HttpResponse::BadGateway().finish());
    let mut config = config();
    config.behaviour.callback_retries = 2;
    config.behaviour.callback_retry_pause = Duration::from_millis(1);
    let caller = Caller::start(config);
    caller.create(&receiver, PHONE).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(receiver.next().await.body[0]["id"].clone());
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
    receiver.expect(&["ParticipantsUpdated"; 3]).await;
}

#[actix_web::test]
async fn a_held_clock_is_moved_by_hand_and_a_running_one_is_not() {
    let running = Caller::start(config());
    let advance = |caller: Caller| async move {
        caller.own(Method::POST, "clock:advance", json!({ "ms": 1000 })).await
    };
    check_error(&advance(running).await, 409, "ClockRuns");

    let clock = ManualClock::starting_now();
    let mut receiver = Receiver::start();
    let mut config = config();
    config.manual_clock = Some(Arc::clone(&clock));
    config.default_phone.after = Duration::from_secs(60);
    let caller = Caller::with_clock(config, clock);
    let call = caller.create(&receiver, PHONE).await;
    let state = |answer: (u16, Value)| answer.1["callConnectionState"].clone();
    caller.own(Method::POST, "clock:advance", json!({ "ms": 59_999 })).await;
    assert_eq!(state(caller.ask(Method::GET, &call, Value::Null).await), "connecting");
    caller.own(Method::POST, "clock:advance", json!({ "ms": 1 })).await;
    assert_eq!(state(caller.ask(Method::GET, &call, Value::Null).await), "connected");
    assert!(receiver.got.try_recv().is_err(), "the event comes a little later");
    caller.own(Method::POST, "clock:advance", json!({ "ms": 25 })).await;
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
}

#[actix_web::test]
async fn a_reset_forgets_calls_and_keeps_subscriptions() {
    let mut receiver = Receiver::start();
    let mut config = config();
    config.subscriptions = vec![subscription(&receiver, Schema::EventGrid)];
    let caller = Caller::start(config);
    receiver.next().await;
    let state = "eventgrid/subscriptions/calls";
    caller.own_until(state, |seen| seen["provisioningState"] == "Succeeded").await;
    let call = caller.create(&receiver, PHONE).await;
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
    let (status, _) = caller.own(Method::POST, "reset", Value::Null).await;
    assert_eq!(status, 204);
    check_error(&caller.ask(Method::GET, &call, Value::Null).await, 404, "8522");
    let (_, seen) = caller.own(Method::GET, "calls", Value::Null).await;
    assert_eq!(seen, json!({ "calls": [], "incomingCalls": [] }));
    caller.incoming(PHONE, OURS).await;
    let received = receiver.next().await;
    assert_eq!(received.body[0]["eventType"], "Microsoft.Communication.IncomingCall");
}

#[actix_web::test]
async fn bad_input_to_the_emulators_own_routes_says_what_to_do() {
    let caller = Caller::start(config());
    let post = Method::POST;
    for (method, path, body, status) in [
        (&post, "incoming-calls", json!({ "from": PHONE }), 400),
        (&post, "incoming-calls", json!({ "from": "425", "to": OURS }), 400),
        (&post, "incoming-calls", json!({ "from": PHONE, "to": OURS, "extra": 1 }), 400),
        (&post, "incoming-calls", json!({ "from": PHONE, "to": "28:orgid:a" }), 400),
        (&post, "incoming-calls", json!([]), 400),
        (&post, "calls/none/participants/4:+1:answer", Value::Null, 404),
        (&post, "calls/none/participants/4:+1:dance", Value::Null, 400),
        (&post, "calls/none/participants/4:+1:press", json!({ "tones": "x" }), 400),
        (&post, "calls/none/participants/4:+1:press", json!({ "tones": [] }), 400),
        (&post, "calls/none/participants/4:+1:say", json!({}), 400),
        (&post, "calls/none", Value::Null, 404),
        (&Method::GET, "nothing", Value::Null, 404),
        (&Method::PUT, "eventgrid/subscriptions/a", json!({ "endpoint": "a" }), 400),
        (&Method::PUT, "eventgrid/subscriptions/a", json!({ "endpoint": "http://a", "x": 1 }), 400),
        (&Method::GET, "eventgrid/subscriptions/a", Value::Null, 404),
        (&Method::DELETE, "eventgrid/subscriptions/a", Value::Null, 404),
    ] {
        let answer = caller.own(method.clone(), path, body.clone()).await;
        assert_eq!(answer.0, status, "{path} {body} {}", answer.1);
        assert!(answer.1["error"]["message"].is_string(), "{path}");
    }
    let (_, seen) = caller.own(Method::GET, "calls", Value::Null).await;
    assert_eq!(seen, json!({ "calls": [], "incomingCalls": [] }));
}

#[actix_web::test]
async fn a_bad_key_or_a_taken_port_is_told_before_anything_listens() {
    let bad = EmulatorConfig { access_key: "no key".into(), ..config() };
    assert!(matches!(Emulator::start(bad, SystemClock::start()), Err(StartError::BadKey(_))));
    let first = Emulator::start(config(), SystemClock::start()).expect("it starts");
    let taken = EmulatorConfig { listen: first.address(), ..config() };
    let second = Emulator::start(taken, SystemClock::start());
    assert!(matches!(second, Err(StartError::Listen { .. })));
}

#[actix_web::test]
async fn a_stopped_emulator_answers_nobody_and_leaves_no_alarm() {
    let clock = ManualClock::starting_now();
    let receiver = Receiver::start();
    let caller = Caller::with_clock(config(), Arc::clone(&clock) as Arc<dyn Clock>);
    caller.create(&receiver, PHONE).await;
    assert!(clock.alarms_set() > 0);
    let url = caller.url("/emulator/livez");
    let alive = caller.http.get(&url).send().await.expect("an answer");
    assert_eq!(alive.status(), 200);
    caller.emulator.stop().await;
    assert_eq!(clock.alarms_set(), 0);
    assert!(reqwest::Client::new().get(&url).send().await.is_err());
}
