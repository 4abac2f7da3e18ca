//! Official SDKs through Switchhook: what they send is passed on, what happens is forwarded to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook::emulator::EmulatorConfig;
use switchhook::pure::signing::{AccessKey, authorization, content_hash, string_to_sign};
use switchhook::settings::{Secret, Settings};
use tokio::sync::mpsc;

use crate::stage::{PATIENCE, Setting, Stage, answer, event, eventually};

/// The key with which callers of the gateway sign. It is not the emulator's.
pub const OURS: &str = "dGhlLWtleS1vZi10aGUtZ2F0ZXdheQ==";
const PHONE: &str = "+14255551212";

/// An application: takes events, in its own mood.
struct Application {
    url: String,
    mood: Arc<AtomicU16>,
    heard: mpsc::UnboundedReceiver<(String, Value)>,
}

impl Application {
    fn start() -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let mood = Arc::new(AtomicU16::new(200));
        let shared = web::Data::new((tell, Arc::clone(&mood)));
        let take = |request: HttpRequest, body: web::Json<Value>, shared: Shared| async move {
            let status = shared.1.load(Ordering::SeqCst);
            let _the_test_is_over = shared.0.send((request.uri().to_string(), body.into_inner()));
            HttpResponse::build(status.try_into().expect("a status")).finish()
        };
        let app = move || App::new().app_data(shared.clone()).default_service(web::to(take));
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("a free port");
        let url = format!("http://{}", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        Self { url, mood, heard }
    }

    fn answers(&self, status: u16) {
        self.mood.store(status, Ordering::SeqCst);
    }

    /// Where the next event is posted, its type, and itself.
    async fn next(&mut self) -> (String, String, Value) {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        let (at, body) = heard.expect("an event in time").expect("the application lives");
        let events = body.as_array().expect("an array");
        assert_eq!(events.len(), 1, "as the call service posts them: {body}");
        let kind = events[0]["type"].as_str().expect("a type");
        (at, kind.rsplit('.').next().unwrap_or_default().to_owned(), events[0].clone())
    }
}

type Shared = web::Data<(mpsc::UnboundedSender<(String, Value)>, Arc<AtomicU16>)>;

pub fn with_key(settings: &mut Settings) {
    settings.gateway.access_key = Secret::new(OURS);
    settings.forward.first_pause = Duration::from_millis(5);
    settings.forward.longest_pause = Duration::from_millis(20);
}

async fn stage() -> Stage {
    Stage::with(Setting { settings: Box::new(with_key), ..Setting::default() }).await
}

/// A request as the official SDKs sign it.
pub fn signed(
    stage: &Stage,
    method: Method,
    path: &str,
    body: &[u8],
    key: &str,
) -> reqwest::RequestBuilder {
    let mark = if path.contains('?') { '&' } else { '?' };
    let target = format!("{path}{mark}api-version=2026-03-12");
    let url = stage.private(&target);
    let host = stage.app.private_url().trim_start_matches("http://").to_owned();
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let hash = content_hash(body);
    let text = string_to_sign(method.as_str(), &target, &[&date, &host, &hash]);
    let signature = AccessKey::from_base64(key).expect("a key").sign(&text);
    stage
        .http
        .request(method, url)
        .header("x-ms-date", date)
        .header("x-ms-content-sha256", hash)
        .header("authorization", authorization(&signature))
        .header("content-type", "application/json")
        .body(body.to_vec())
}

pub async fn post(stage: &Stage, path: &str, body: Value) -> (u16, Value, Option<String>) {
    let request = signed(stage, Method::POST, path, body.to_string().as_bytes(), OURS);
    let response = request.send().await.expect("an answer");
    let context = response.headers().get("x-switchhook-operation-context");
    let context = context.map(|value| value.to_str().expect("a text").to_owned());
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)), context)
}

/// Calls the phone; gives the call's id.
async fn dial(stage: &Stage, callback: &str) -> String {
    let body = json!({
        "targets": [{ "kind": "phoneNumber", "phoneNumber": { "value": PHONE } }],
        "sourceCallerIdNumber": { "value": "+18005551212" },
        "callbackUri": callback,
        "callIntelligenceOptions": { "cognitiveServicesEndpoint": "https://speech.example/" },
    });
    let (status, call, context) = post(stage, "/calling/callConnections", body).await;
    assert_eq!(status, 201, "{call}");
    assert!(context.is_some_and(|context| !context.is_empty()));
    call["callConnectionId"].as_str().expect("an id").to_owned()
}

pub fn of(call: &str, action: &str) -> String {
    format!("/calling/callConnections/{call}{action}")
}

#[actix_web::test]
async fn a_call_through_the_gateway_is_the_callers_and_ours() {
    let stage = stage().await;
    let mut app = Application::start();
    let call = dial(&stage, &format!("{}/events?secret=a%2Bb", app.url)).await;
    for wanted in ["CallConnected", "ParticipantsUpdated"] {
        let (at, kind, event) = app.next().await;
        assert_eq!((at.as_str(), kind.as_str()), ("/events?secret=a%2Bb", wanted));
        assert_eq!(event["data"]["callConnectionId"], call.as_str());
    }
    let (status, view) = stage.view(&call).await;
    assert_eq!((status, &view["state"]), (200, &json!("connected")), "{view}");

    // A context of ours, and events of one operation for another URL.
    let sources = json!([{ "kind": "text", "text": { "text": "hello", "voiceName": "x" } }]);
    let op = format!("{}/operation", app.url);
    let play = json!({ "playSources": sources, "operationCallbackUri": op, "future": [1] });
    let (status, body, context) = post(&stage, &of(&call, ":play"), play).await;
    assert_eq!(status, 202, "{body}");
    let wants = json!({ "types": ["PlayCompleted"], "operationContext": context });
    let (status, told) = stage.wait(&call, wants).await;
    assert_eq!(status, 200, "{told}");
    for wanted in ["PlayStarted", "PlayCompleted"] {
        let (at, kind, event) = app.next().await;
        assert_eq!((at.as_str(), kind.as_str()), ("/operation", wanted));
        assert_eq!(event["data"]["operationContext"].as_str(), context.as_deref());
    }

    // The caller's own context is kept.
    let play = json!({ "playSources": sources, "operationContext": "mine" });
    let (status, _, context) = post(&stage, &of(&call, ":play"), play).await;
    assert_eq!((status, context.as_deref()), (202, Some("mine")));
    let (at, _, event) = app.next().await;
    assert_eq!(
        (at.as_str(), &event["data"]["operationContext"]),
        ("/events?secret=a%2Bb", &json!("mine"))
    );
    let hang_up = signed(&stage, Method::DELETE, &of(&call, ""), b"", OURS);
    assert_eq!(answer(hang_up).await.0, 204);
}

#[actix_web::test]
async fn a_call_that_nobody_gave_a_url_for_can_be_waited_for() {
    let stage = stage().await;
    let body = json!({
        "targets": [{ "phoneNumber": { "value": PHONE } }],
        "sourceCallerIdNumber": { "value": "+18005551212" },
    });
    let (status, call, _) = post(&stage, "/calling/callConnections", body).await;
    assert_eq!(status, 201, "{call}");
    let call = call["callConnectionId"].as_str().expect("an id");
    let (status, told) = stage.wait(call, json!({ "types": ["CallConnected"] })).await;
    assert_eq!(status, 200, "{told}");
}

#[actix_web::test]
async fn answers_come_back_as_the_call_service_gave_them() {
    let stage = stage().await;
    let gone = signed(&stage, Method::GET, "/calling/callConnections/nobody", b"", OURS);
    let response = gone.header("x-ms-client-request-id", "mine").send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 404);
    assert_eq!(response.headers()["x-ms-client-request-id"], "mine", "headers travel both ways");
    let error: Value = response.json().await.expect("JSON");
    assert_eq!(error["error"]["code"], "8522", "{error}");
    let (status, error, _) =
        post(&stage, "/calling/callConnections", json!({ "targets": [] })).await;
    assert_eq!(status, 400, "{error}");
    assert!(error["error"]["message"].is_string());
    // What is no JSON is the call service's to refuse.
    let odd = signed(&stage, Method::POST, "/calling/callConnections", b"{", OURS);
    assert_eq!(answer(odd).await.0, 400);
    // The same pair of headers is the same request, though the context was made up twice.
    let app = Application::start();
    let body = json!({
        "targets": [{ "phoneNumber": { "value": PHONE } }],
        "sourceCallerIdNumber": { "value": "+18005551212" },
        "callbackUri": app.url,
    });
    let body = body.to_string();
    let mut calls = Vec::new();
    for _ in 0..2 {
        let request =
            signed(&stage, Method::POST, "/calling/callConnections", body.as_bytes(), OURS)
                .header("repeatability-request-id", "0f8fad5b-d9cb-469f-a165-70867728950e")
                .header("repeatability-first-sent", "Fri, 20 Nov 2026 10:00:00 GMT");
        let (status, call) = answer(request).await;
        assert_eq!(status, 201, "{call}");
        calls.push(call["callConnectionId"].clone());
    }
    assert_eq!(calls[0], calls[1]);
}

#[actix_web::test]
async fn pages_are_asked_from_the_gateway_again() {
    let small = |config: &mut EmulatorConfig| config.behaviour.page_size = 1;
    let setting =
        Setting { settings: Box::new(with_key), emulator: Box::new(small), ..Setting::default() };
    let stage = Stage::with(setting).await;
    let mut app = Application::start();
    let body = json!({
        "targets": [
            { "phoneNumber": { "value": PHONE } },
            { "phoneNumber": { "value": "+14255551213" } },
        ],
        "sourceCallerIdNumber": { "value": "+18005551212" },
        "callbackUri": app.url,
    });
    let (status, call, _) = post(&stage, "/calling/callConnections", body).await;
    assert_eq!(status, 201, "{call}");
    let call = call["callConnectionId"].as_str().expect("an id").to_owned();
    let both =
        |event: &Value| event["data"]["participants"].as_array().is_some_and(|it| it.len() > 1);
    while !both(&app.next().await.2) {}
    let mut path = of(&call, "/participants");
    let mut everybody = Vec::new();
    loop {
        let page = signed(&stage, Method::GET, path.trim_end_matches("&"), b"", OURS);
        let (status, page) = answer(page).await;
        assert_eq!(status, 200, "{page}");
        everybody.extend(page["value"].as_array().expect("a page").clone());
        let Some(link) = page["nextLink"].as_str() else { break };
        let ours = link.strip_prefix(stage.app.private_url()).expect("a link to the gateway");
        path = ours.replace("api-version=2026-03-12&", "").replace("&api-version=2026-03-12", "");
    }
    assert!(everybody.len() > 1, "{everybody:?}");
}

#[actix_web::test]
async fn whoever_cannot_prove_himself_is_refused_in_azures_shape() {
    let stage = stage().await;
    let path = "/calling/callConnections/c";
    let url = stage.private(&format!("{path}?api-version=2026-03-12"));
    let of_the_emulator = stage.emulator.access_key().to_owned();
    let requests = [
        stage.http.get(&url),
        stage.http.get(&url).basic_auth("a", Some("b")),
        signed(&stage, Method::GET, path, b"", &of_the_emulator),
    ];
    for request in requests {
        let (status, error) = answer(request).await;
        assert_eq!((status, &error["error"]["code"]), (401, &json!("Denied")), "{error}");
    }
    for (method, path, wanted) in [
        (Method::GET, "/calling/nothing", (404, "NotFound")),
        (Method::POST, "/calling/callConnections/c:dance", (404, "NotFound")),
        (Method::PATCH, "/calling/callConnections/c", (405, "MethodNotAllowed")),
    ] {
        let (status, error) = answer(signed(&stage, method, path, b"", OURS)).await;
        assert_eq!((status, error["error"]["code"].as_str().unwrap_or_default()), wanted);
    }
    let huge = vec![b' '; stage.settings.gateway.max_body_bytes + 1];
    let (status, error) =
        answer(signed(&stage, Method::POST, of("c", ":play").as_str(), &huge, OURS)).await;
    assert_eq!((status, &error["error"]["code"]), (413, &json!("BodyTooLarge")));
    for bad in ["nonsense", "ftp://x", "http://169.254.169.254/latest"] {
        let body = json!({ "callbackUri": bad });
        let (status, error, _) = post(&stage, "/calling/callConnections", body).await;
        assert_eq!(status, 400, "{error}");
        let said = error["error"]["message"].as_str().unwrap_or_default();
        assert!(said.starts_with("callbackUri cannot be used"), "{error}");
    }
}

#[actix_web::test]
async fn bearers_of_the_private_listeners_tokens_may_do_what_their_role_allows() {
    let tokens = |settings: &mut Settings| {
        use switchhook::settings::{Role, Token};
        let token = |name: &str, role| Token {
            name: name.to_owned(),
            role,
            secret: Secret::new(format!("{name}-of-the-gateway")),
        };
        settings.private.tokens = vec![token("reader", Role::Read), token("doer", Role::Operate)];
    };
    let stage = Stage::with(Setting { settings: Box::new(tokens), ..Setting::default() }).await;
    let url = stage.private("/calling/callConnections/c?api-version=2026-03-12");
    for (bearer, get, delete) in
        [("reader-of-the-gateway", 404, 403), ("doer-of-the-gateway", 404, 404), ("x", 401, 401)]
    {
        assert_eq!(answer(stage.http.get(&url).bearer_auth(bearer)).await.0, get, "{bearer}");
        assert_eq!(answer(stage.http.delete(&url).bearer_auth(bearer)).await.0, delete, "{bearer}");
    }
    let (status, error) = answer(signed(&stage, Method::GET, &of("c", ""), b"", OURS)).await;
    assert_eq!(status, 401);
    let said = error["error"]["message"].as_str().unwrap_or_default();
    assert!(said.contains("gateway.access_key"), "it says what to set: {error}");
}

#[actix_web::test]
async fn a_call_service_that_is_down_is_told_and_left_alone_for_a_while() {
    let down = |settings: &mut Settings| {
        with_key(settings);
        settings.gateway.breaker_failures = 3;
        settings.gateway.breaker_pause = Duration::from_secs(3600);
    };
    let mut stage = Stage::with(Setting { settings: Box::new(down), ..Setting::default() }).await;
    let emulator = std::mem::replace(
        &mut stage.emulator,
        switchhook::emulator::Emulator::start_in_process(
            EmulatorConfig::default(),
            switchhook::clock::ManualClock::starting_now(),
        )
        .expect("another one"),
    );
    emulator.stop().await;
    let ask = || answer(signed(&stage, Method::GET, "/calling/callConnections/c", b"", OURS));
    for _ in 0..3 {
        let (status, error) = ask().await;
        assert_eq!(status, 502, "{error}");
        assert_ne!(error["error"]["code"], "UpstreamUnavailable");
    }
    let request = signed(&stage, Method::GET, "/calling/callConnections/c", b"", OURS);
    let response = request.send().await.expect("an answer");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (502, &"1".parse().expect("a value"))
    );
    let error: Value = response.json().await.expect("JSON");
    assert_eq!(error["error"]["code"], "UpstreamUnavailable", "{error}");
    let unreachable = stage.metric("switchhook_upstream_requests_total", &["unreachable"]).await;
    assert!(unreachable >= 3.0);
}

#[actix_web::test]
async fn an_application_that_is_down_gets_everything_in_order_when_it_is_back() {
    let stage = stage().await;
    let mut app = Application::start();
    app.answers(503);
    let call = dial(&stage, &app.url).await;
    let first = app.next().await;
    for _ in 0..3 {
        let again = app.next().await;
        assert_eq!(again.2["id"], first.2["id"], "the same event until it is taken");
    }
    // The call goes on meanwhile.
    let (status, told) = stage.wait(&call, json!({ "types": ["ParticipantsUpdated"] })).await;
    assert_eq!(status, 200, "{told}");
    app.answers(200);
    loop {
        let (_, kind, event) = app.next().await;
        if event["id"] != first.2["id"] {
            assert_eq!(kind, "ParticipantsUpdated");
            break;
        }
    }
    let (_, list) = stage.get("/admin/dead-letters").await;
    assert_eq!(list["deadLetters"], json!([]), "nothing was given up");
}

#[actix_web::test]
async fn what_an_application_will_never_take_can_be_sent_again_by_hand() {
    let stage = stage().await;
    let mut app = Application::start();
    app.answers(400);
    let call = dial(&stage, &format!("{}/in?secret=x", app.url)).await;
    let (_, kind, refused) = app.next().await;
    let letters = || async {
        let (_, list) = stage.get("/admin/dead-letters").await;
        list["deadLetters"].as_array().cloned().filter(|letters| letters.len() == 2)
    };
    let letters = eventually("two dead letters", letters).await;
    let letter = &letters[1];
    assert_eq!((&letter["type"], &letter["status"]), (&json!(kind), &json!(400)), "{letter}");
    assert_eq!(letter["to"], format!("{}/in", app.url), "secrets of the query do not show");
    assert_eq!(letter["callConnectionId"], call.as_str());
    let second = app.next().await;
    assert_eq!(second.1, "ParticipantsUpdated");
    app.answers(200);
    let path = format!("/admin/dead-letters/{}:redeliver", letter["id"]);
    assert_eq!(stage.post(&path, json!({})).await.0, 202);
    let (at, _, again) = app.next().await;
    assert_eq!((at.as_str(), &again["id"]), ("/in?secret=x", &refused["id"]));
    let (status, problem) = stage.post(&path, json!({})).await;
    assert_eq!((status, &problem["code"]), (404, &json!("letter_not_found")), "once");
}

#[actix_web::test]
async fn what_was_to_be_forwarded_is_forwarded_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let kept = move |settings: &mut Settings| {
        with_key(settings);
        settings.store.ephemeral = false;
        settings.store.folder = Some(path.clone());
        settings.drain.timeout = Duration::ZERO;
    };
    let stage = Stage::with(Setting { settings: Box::new(kept), ..Setting::default() }).await;
    let mut app = Application::start();
    app.answers(503);
    let call = dial(&stage, &app.url).await;
    let (status, told) = stage.wait(&call, json!({ "types": ["ParticipantsUpdated"] })).await;
    assert_eq!(status, 200, "{told}");
    let first = app.next().await;
    let stage = stage.restarted().await;
    app.answers(200);
    let mut kinds = Vec::new();
    let mut last = Value::Null;
    while kinds.len() < 2 {
        let (_, kind, event) = app.next().await;
        if event["id"] != last {
            last = event["id"].clone();
            kinds.push(kind);
        }
    }
    assert_eq!(first.1, "CallConnected");
    assert_eq!(kinds, ["CallConnected", "ParticipantsUpdated"]);
    drop(stage);
}

#[actix_web::test]
async fn nobody_but_the_gateway_says_where_events_go() {
    let stage = Stage::untokened().await;
    let event = event("c-1", "e-1", "CallConnected", None);
    let url =
        stage.public(&format!("/webhooks/calls?key={}&to=aHR0cDovL2V2aWw.AAAA", crate::stage::KEY));
    let (status, body) = answer(stage.http.post(url).json(&json!([event]))).await;
    assert_eq!(status, 200, "the event is good: {body}");
    assert!(stage.metric("switchhook_forward_targets_refused_total", &[]).await >= 1.0);
    let (status, _) = stage.view("c-1").await;
    assert_eq!(status, 200);
}
