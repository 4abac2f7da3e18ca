//! Outcomes of operations through the real doors: asked for at the gateway, ended by callbacks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook::clock::ManualClock;
use switchhook::pure::time::Tick;
use switchhook::settings::{Secret, Settings};
use switchhook::wire::calling::segment;

use crate::gateway::{OURS, of, signed, with_key};
use crate::stage::{Begun, Setting, Stage, answer, event, eventually};

const CALL: &str = "call-that-is-asked";

/// A call service that does as it is told: it answers, and the test posts the events.
struct Azure {
    url: String,
    plans: Arc<Mutex<Plans>>,
}

#[derive(Default)]
struct Plans {
    answers: VecDeque<(u16, Value)>,
    /// Bodies of the requests.
    heard: Vec<Value>,
}

impl Azure {
    fn start() -> Self {
        let plans = Arc::<Mutex<Plans>>::default();
        let shared = web::Data::new(Arc::clone(&plans));
        let take = |_: HttpRequest, body: web::Bytes, plans: web::Data<Arc<Mutex<Plans>>>| async move {
            let mut plans = plans.lock().expect("whole");
            plans.heard.push(serde_json::from_slice(&body).unwrap_or_default());
            let (status, body) = plans.answers.pop_front().unwrap_or((202, json!({})));
            HttpResponse::build(status.try_into().expect("a status")).json(body)
        };
        let app = move || App::new().app_data(shared.clone()).default_service(web::to(take));
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("a free port");
        let url = format!("http://{}", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        Self { url, plans }
    }

    fn answers(&self, status: u16, body: Value) {
        self.plans.lock().expect("whole").answers.push_back((status, body));
    }

    fn heard(&self) -> usize {
        self.plans.lock().expect("whole").heard.len()
    }
}

struct Scene {
    stage: Stage,
    azure: Azure,
    clock: Arc<ManualClock>,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl Fn(&mut Settings) + 'static) -> Self {
        let (azure, clock) =
            (Azure::start(), ManualClock::starting(Tick(1_000_000_000), jiff::Timestamp::now()));
        let connection = format!("endpoint={}/;accesskey=c29tZWJvZHk=", azure.url);
        let settings = move |settings: &mut Settings| {
            with_key(settings);
            settings.drain.timeout = Duration::ZERO;
            change(settings);
        };
        let mut setting = Setting::untokened(settings).held(&clock);
        setting.azure = Some(Secret::new(connection));
        Self { stage: Stage::with(setting).await, azure, clock }
    }

    /// Asks for something; status, body, and the name of the outcome.
    async fn ask(&self, path: &str, body: Value) -> (u16, Value, Option<String>) {
        crate::gateway::post(&self.stage, path, body).await
    }

    async fn play(&self, context: &str) {
        let (status, body, named) =
            self.ask(&of(CALL, ":play"), json!({ "operationContext": context })).await;
        assert_eq!((status, named.as_deref()), (202, Some(context)), "{body}");
    }

    async fn outcome(&self, context: &str) -> (u16, Value) {
        self.stage.get(&path(context, "")).await
    }

    /// Begins to ask, and goes on when that stands with the call.
    async fn begin_to_ask(&self, context: &str, wait_ms: u64) -> Begun {
        let url = self.stage.private(&path(context, &format!("?waitMs={wait_ms}")));
        let alarms = self.clock.alarms_set();
        let begun = tokio::spawn(answer(self.stage.http.get(url)));
        eventually("somebody to wait", || async {
            (self.clock.alarms_set() > alarms).then_some(())
        })
        .await;
        begun
    }
}

fn path(context: &str, query: &str) -> String {
    format!("/v1/calls/{}/operations/{}{query}", segment(CALL), segment(context))
}

#[actix_web::test]
async fn an_outcome_can_be_waited_for() {
    let scene = Scene::new().await;
    scene.play("a context/with 100%").await;
    let (status, pending) = scene.outcome("a context/with 100%").await;
    assert_eq!((status, &pending["status"]), (200, &json!("pending")), "{pending}");
    assert_eq!(pending["operation"], "play");
    assert_eq!(pending["diagnosis"]["eventsSince"], 0);
    let asked = scene.begin_to_ask("a context/with 100%", 60_000).await;
    let completed = event(CALL, "e1", "PlayCompleted", Some("a context/with 100%"));
    scene.stage.told(std::slice::from_ref(&completed)).await;
    let (status, outcome) = asked.await.expect("an answer");
    assert_eq!((status, &outcome["status"]), (200, &json!("succeeded")), "{outcome}");
    assert_eq!(outcome["event"], completed, "as Azure sent it");
    assert!(outcome.get("diagnosis").is_none(), "{outcome}");
    let (_, view) = scene.stage.view(CALL).await;
    assert_eq!(view["operations"][0]["operationContext"], "a context/with 100%", "{view}");
    let told = ["operation=\"play\"", "outcome=\"succeeded\""];
    assert!(scene.stage.metric("switchhook_operations_total", &told).await >= 1.0);
}

#[actix_web::test]
async fn c8_a_long_poll_says_pending_when_its_time_is_over() {
    let scene = Scene::new().await;
    scene.play("mine").await;
    let asked = scene.begin_to_ask("mine", 10_000).await;
    scene.stage.told(&[event(CALL, "e1", "PlayStarted", Some("mine"))]).await;
    scene.clock.advance(Duration::from_millis(10_000));
    let (status, outcome) = asked.await.expect("an answer");
    assert_eq!((status, &outcome["status"]), (200, &json!("pending")), "{outcome}");
    assert_eq!(outcome["nearMisses"][0]["failed"], "types", "{outcome}");
    // Nobody waits any more; the operation goes on, and times out by itself.
    scene.clock.advance(Duration::from_secs(230));
    let (_, outcome) = scene.outcome("mine").await;
    assert_eq!(outcome["status"], "timedOut", "{outcome}");
    scene.stage.told(&[event(CALL, "e2", "PlayCompleted", Some("mine"))]).await;
    let (_, outcome) = scene.outcome("mine").await;
    assert_eq!((&outcome["status"], &outcome["late"]), (&json!("succeeded"), &json!(true)));
}

#[actix_web::test]
async fn who_prefers_to_wait_gets_the_outcome_in_place_of_the_answer() {
    let scene = Scene::new().await;
    let patient = |path: &str, body: Value, seconds: u64| {
        let body = body.to_string();
        let request = signed(&scene.stage, Method::POST, path, body.as_bytes(), OURS);
        tokio::spawn(request.header("prefer", format!("respond-async, wait={seconds}")).send())
    };
    // Placing a call: the outcome has the call service's answer, too.
    scene.azure.answers(201, json!({ "callConnectionId": CALL, "serverCallId": "s" }));
    let alarms = scene.clock.alarms_set();
    let create = json!({ "targets": [], "operationContext": "create" });
    let created = patient("/calling/callConnections", create, 30);
    eventually("somebody to wait", || async { (scene.clock.alarms_set() > alarms).then_some(()) })
        .await;
    scene.stage.told(&[event(CALL, "e1", "CallConnected", Some("create"))]).await;
    let response = created.await.expect("no panic").expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["preference-applied"], "wait=30");
    assert_eq!(response.headers()["x-switchhook-operation-context"], "create");
    let outcome: Value = response.json().await.expect("JSON");
    assert_eq!(outcome["status"], "succeeded", "{outcome}");
    assert_eq!(outcome["response"]["callConnectionId"], CALL);
    assert_eq!(outcome["event"]["id"], "e1");
    // Patience that is over first: the answer as it was.
    let alarms = scene.clock.alarms_set();
    let played = patient(&of(CALL, ":play"), json!({ "operationContext": "song" }), 5);
    eventually("somebody to wait", || async { (scene.clock.alarms_set() > alarms).then_some(()) })
        .await;
    scene.clock.advance(Duration::from_secs(5));
    let response = played.await.expect("no panic").expect("an answer");
    assert_eq!(response.status().as_u16(), 202);
    assert!(response.headers().get("preference-applied").is_none());
    assert_eq!(response.headers()["x-switchhook-operation-context"], "song");
    // What the answer itself ends needs no patience.
    scene.azure.answers(200, json!({ "operationContext": "hush" }));
    let muted = patient(&of(CALL, "/participants:mute"), json!({ "operationContext": "hush" }), 30);
    let response = muted.await.expect("no panic").expect("an answer");
    let outcome: Value = response.json().await.expect("JSON");
    assert_eq!((&outcome["operation"], &outcome["status"]), (&json!("mute"), &json!("succeeded")));
}

#[actix_web::test]
async fn c13_a_request_that_fails_leaves_no_operation() {
    let scene = Scene::new().await;
    scene.azure.answers(404, json!({ "error": { "code": "8522", "message": "Not found." } }));
    let (status, error, named) =
        scene.ask(&of(CALL, ":play"), json!({ "operationContext": "mine" })).await;
    assert_eq!((status, named), (404, None), "{error}");
    assert_eq!(error["error"]["code"], "8522", "as the call service gave it");
    let (status, problem) = scene.outcome("mine").await;
    assert_eq!((status, &problem["code"]), (404, &json!("call_not_found")), "{problem}");
    scene.play("another").await;
    let (status, problem) = scene.outcome("mine").await;
    assert_eq!((status, &problem["code"]), (404, &json!("operation_not_found")), "{problem}");
}

#[actix_web::test]
async fn c13_the_operation_stands_before_the_request_leaves() {
    let scene = Scene::with(|settings| settings.calls.operations = 2).await;
    scene.play("one").await;
    scene.play("two").await;
    let (status, error, named) = scene.ask(&of(CALL, ":play"), json!({})).await;
    assert_eq!((status, named), (503, None));
    assert_eq!(error["error"]["code"], "TooManyOperations", "{error}");
    assert_eq!(scene.azure.heard(), 2, "it has not left");
    scene.stage.told(&[event(CALL, "e1", "PlayFailed", Some("one"))]).await;
    scene.play("three").await;
    let (_, outcome) = scene.outcome("two").await;
    assert_eq!(outcome["status"], "pending");
    assert_eq!(scene.outcome("one").await.0, 404, "the oldest that is over has left");
}

#[actix_web::test]
async fn c12_what_the_answer_ends_is_over_with_it() {
    let scene = Scene::with(|settings| settings.calls.operations = 1).await;
    let mute =
        json!({ "operationContext": "quiet", "targetParticipants": [{ "rawId": "8:acs:a" }] });
    let muted = of(CALL, "/participants:mute");
    scene.azure.answers(404, json!({ "error": { "code": "8522", "message": "Not found." } }));
    let (status, _, named) = scene.ask(&muted, mute.clone()).await;
    assert_eq!((status, named), (404, None));
    assert_eq!(scene.outcome("quiet").await.1["code"], "call_not_found");
    scene.azure.answers(200, json!({}));
    let (status, _, named) = scene.ask(&muted, mute.clone()).await;
    assert_eq!((status, named.as_deref()), (200, Some("quiet")));
    let (_, outcome) = scene.outcome("quiet").await;
    assert_eq!((&outcome["operation"], &outcome["status"]), (&json!("mute"), &json!("succeeded")));
    assert!(outcome.get("event").is_none(), "{outcome}");
    // Done is done, though nothing more can be known of it.
    scene.play("fills the call").await;
    scene.azure.answers(200, json!({}));
    let (status, _, named) = scene.ask(&muted, mute).await;
    assert_eq!((status, named), (200, None));
}

#[actix_web::test]
async fn c15_a_call_that_is_full_of_operations_can_be_hung_up() {
    let scene = Scene::with(|settings| settings.calls.operations = 1).await;
    scene.play("mine").await;
    for (method, path) in [(Method::DELETE, of(CALL, "")), (Method::POST, of(CALL, ":terminate"))] {
        scene.azure.answers(204, Value::Null);
        let hang_up = signed(&scene.stage, method, &path, b"", OURS);
        let response = hang_up.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 204);
        assert!(!response.headers().contains_key("x-switchhook-operation-context"));
    }
    assert_eq!(scene.azure.heard(), 3);
    assert_eq!(scene.outcome("mine").await.1["status"], "pending");
}

#[actix_web::test]
async fn c9_disconnect_ends_every_operation_and_whoever_waits_for_it() {
    let scene = Scene::new().await;
    scene.play("mine").await;
    let hang_up = signed(&scene.stage, Method::DELETE, &of(CALL, ""), b"", OURS);
    scene.azure.answers(204, Value::Null);
    let response = hang_up.send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 204);
    let named = response.headers()["x-switchhook-operation-context"].to_str().expect("a text");
    let asked = scene.begin_to_ask("mine", 60_000).await;
    let mut disconnect = event(CALL, "e1", "CallDisconnected", None);
    disconnect["data"]["resultInformation"] = json!({ "code": 487, "subCode": 5300 });
    scene.stage.told(&[disconnect]).await;
    let (status, outcome) = asked.await.expect("an answer");
    assert_eq!((status, &outcome["status"]), (200, &json!("callEnded")), "{outcome}");
    assert_eq!(outcome["ending"], json!({"cause": "disconnected", "code": 487, "subCode": 5300}));
    let (_, outcome) = scene.outcome(named).await;
    assert_eq!(
        (&outcome["operation"], &outcome["status"]),
        (&json!("hang_up"), &json!("succeeded"))
    );
    assert_eq!(outcome["event"]["id"], "e1");
    scene.clock.advance(Duration::from_secs(60));
    let (status, problem) = scene.outcome("mine").await;
    assert_eq!((status, &problem["code"]), (404, &json!("call_not_found")), "{problem}");
}

#[actix_web::test]
async fn c12_each_participant_that_is_moved_is_told() {
    let scene = Scene::new().await;
    let two = json!([{ "rawId": "8:acs:a" }, { "rawId": "8:acs:b" }]);
    let body = json!({ "targetParticipants": two, "operationContext": "move" });
    let (status, ..) = scene.ask(&of(CALL, "/participants:moveHere"), body).await;
    assert_eq!(status, 202);
    scene.stage.told(&[event(CALL, "e1", "MoveParticipantSucceeded", Some("move"))]).await;
    let (_, outcome) = scene.outcome("move").await;
    assert_eq!(outcome["status"], "pending", "{outcome}");
    assert_eq!(outcome["events"].as_array().map(Vec::len), Some(1), "in part: {outcome}");
    scene.stage.told(&[event(CALL, "e2", "MoveParticipantFailed", Some("move"))]).await;
    let (_, outcome) = scene.outcome("move").await;
    assert_eq!(outcome["status"], "failed", "{outcome}");
    let ids = outcome["events"].as_array().expect("events").iter().map(|event| &event["id"]);
    assert_eq!(ids.collect::<Vec<_>>(), ["e1", "e2"]);
}

#[actix_web::test]
async fn c12_a_recording_that_we_know_is_told_of_its_call() {
    let scene = Scene::new().await;
    scene.play("so that the call is known").await;
    scene.azure.answers(202, json!({ "recordingId": "rec-1", "recordingState": "active" }));
    let start = json!({ "callConnectionId": CALL });
    let (status, _, named) = scene.ask("/calling/recordings", start).await;
    let started = named.expect("a name for its outcome");
    assert_eq!(status, 202);
    let sent = scene.azure.plans.lock().expect("whole").heard[1].clone();
    assert!(sent["recordingStateCallbackUri"].is_string(), "so that we hear of it: {sent}");
    let state = |id: &str, state: &str| {
        let mut event = event(CALL, id, "RecordingStateChanged", None);
        event["data"]["recordingId"] = "rec-1".into();
        event["data"]["state"] = state.into();
        event
    };
    scene.stage.told(&[state("e1", "active")]).await;
    assert_eq!(scene.outcome(&started).await.1["status"], "succeeded");
    let (_, _, named) = scene.ask("/calling/recordings/rec-1:pause", Value::Null).await;
    let paused = named.expect("a name for its outcome");
    assert_eq!(scene.outcome(&paused).await.1["status"], "pending");
    scene.stage.told(&[state("e2", "inactive")]).await;
    assert_eq!(scene.outcome(&paused).await.1["event"]["id"], "e2");
}

#[actix_web::test]
async fn c12_an_invitation_that_is_withdrawn_is_over() {
    let scene = Scene::new().await;
    scene.azure.answers(202, json!({ "invitationId": "inv-1", "operationContext": "add" }));
    let add = json!({ "participantToAdd": { "rawId": "8:acs:a" }, "operationContext": "add" });
    let (status, answer, _) = scene.ask(&of(CALL, "/participants:add"), add).await;
    assert_eq!((status, &answer["invitationId"]), (202, &json!("inv-1")));
    let cancel = json!({ "invitationId": "inv-1", "operationContext": "cancel" });
    scene.ask(&of(CALL, "/participants:cancelAddParticipant"), cancel).await;
    let mut withdrawn = event(CALL, "e1", "CancelAddParticipantSucceeded", Some("cancel"));
    withdrawn["data"]["invitationId"] = "inv-1".into();
    scene.stage.told(&[withdrawn]).await;
    let (_, outcome) = scene.outcome("add").await;
    assert_eq!((&outcome["status"], &outcome["event"]["id"]), (&json!("canceled"), &json!("e1")));
    assert_eq!(scene.outcome("cancel").await.1["status"], "succeeded");
}

#[actix_web::test]
async fn c9_operations_outlive_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let scene = Scene::with(move |settings| {
        settings.store.ephemeral = false;
        settings.store.folder = Some(path.clone());
    })
    .await;
    scene.play("mine").await;
    scene.play("over").await;
    scene.stage.told(&[event(CALL, "e1", "PlayCompleted", Some("over"))]).await;
    scene.azure.answers(400, json!({ "error": { "code": "8523", "message": "Bad." } }));
    scene.ask(&of(CALL, ":play"), json!({ "operationContext": "refused" })).await;
    let (status, ..) = scene.ask(&of(CALL, ":hold"), json!({ "operationContext": "hold" })).await;
    assert_eq!(status, 202);
    scene.azure.answers(202, json!({ "recordingId": "rec-1", "recordingState": "active" }));
    let (status, ..) = scene.ask("/calling/recordings", json!({ "callConnectionId": CALL })).await;
    assert_eq!(status, 202);
    let before = scene.outcome("over").await;
    let Scene { stage, azure, clock } = scene;
    let scene = Scene { stage: stage.restarted().await, azure, clock };
    assert_eq!(scene.outcome("over").await, before);
    assert_eq!(scene.outcome("refused").await.0, 404);
    assert_eq!(scene.outcome("hold").await.1["status"], "pending");
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(scene.outcome("hold").await.1["status"], "succeeded", "its time goes on");
    let (_, _, paused) = scene.ask("/calling/recordings/rec-1:pause", Value::Null).await;
    let (_, outcome) = scene.outcome(&paused.expect("its call is still known")).await;
    assert_eq!(outcome["operation"], "pause_recording", "{outcome}");
    let asked = scene.begin_to_ask("mine", 60_000).await;
    scene.stage.told(&[event(CALL, "e2", "PlayCompleted", Some("mine"))]).await;
    let (_, outcome) = asked.await.expect("an answer");
    assert_eq!((&outcome["status"], &outcome["event"]["id"]), (&json!("succeeded"), &json!("e2")));
}

/// What the manual shows of the table (rule C12). `SWITCHHOOK_WRITE_DOCS=1` writes it.
#[test]
fn c12_the_manual_shows_which_events_end_what() {
    use switchhook::pure::operations::{endings, has_outcome, way};
    use switchhook::wire::calling::Operation;
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let mut table = "| Operation | Ended by | Events |\n|---|---|---|\n".to_owned();
    for operation in Operation::ALL.iter().copied().filter(|it| has_outcome(*it)) {
        let kinds: Vec<_> =
            endings(operation).iter().map(|kind| format!("`{}`", kind.short_name())).collect();
        let (label, words) = (operation.label(), way(operation).words());
        table.push_str(&format!("| `{label}` | {words} | {} |\n", kinds.join(", ")));
    }
    let text = std::fs::read_to_string(document).expect("the manual");
    let (before, rest) = text.split_once("<!-- table -->\n").expect("its beginning");
    let (_, after) = rest.split_once("<!-- end of table -->").expect("its end");
    let expected = format!("{before}<!-- table -->\n{table}<!-- end of table -->{after}");
    if std::env::var_os("SWITCHHOOK_WRITE_DOCS").is_some() {
        std::fs::write(document, &expected).expect("written");
    }
    let text = std::fs::read_to_string(document).expect("the manual");
    assert_eq!(text, expected, "run this test with SWITCHHOOK_WRITE_DOCS=1");
}
