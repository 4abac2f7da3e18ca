//! Finding calls whose end was lost: what is asked of Azure, how fast, and what its answers do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use switchhook::acs::{Azure, AzureConfig};
use switchhook::actors::verifier::Verifier;
use switchhook::actors::{Calls, CallsConfig, WaitOutcome};
use switchhook::clock::{ManualClock, SystemClock};
use switchhook::ports::{
    Answer, CallAutomation, Clock, Journal, Later, LineKind, Position, Request, Tick, UpstreamError,
};
use switchhook::pure::call::{Cause, Ending, Identity, Limits, Phase, Wants};
use switchhook::pure::signing::ConnectionString;
use switchhook::storage::memory::MemoryJournal;
use switchhook::wire::calling::{CallConnectionProperties, CreateCallRequest, Operation, Place};
use switchhook::wire::events::{CallEvent, EventKind};
use switchhook::wire::identifiers::{CallConnectionId, Identifier, PhoneNumber};

use crate::stage::{PATIENCE, Setting, Stage, answer, event, eventually};

/// What Azure says when it is asked about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// 200 and this state.
    Knows(&'static str),
    /// A final refusal.
    Refuses(u16),
    /// Throttling or a fault, also after the client's own attempts.
    Fails(u16),
    /// Nothing.
    Nothing,
    /// Nothing yet: it does not answer until the test ends.
    NotYet,
}

/// An Azure that writes down when it was asked about whom.
struct Fake {
    clock: Arc<ManualClock>,
    asked: Mutex<Vec<(Tick, String)>>,
    /// By call; of all others it knows that they are connected.
    says: Mutex<HashMap<String, Says>>,
    open: AtomicUsize,
}

impl CallAutomation for Fake {
    fn send(&self, request: Request) -> Later<'_, Result<Answer, UpstreamError>> {
        let operation = request.operation.label();
        let Place::Call(call) = request.place else { panic!("about a call") };
        assert_eq!(request.operation, Operation::GetCall);
        let call = call.as_str().to_owned();
        let says = self.says.lock().unwrap().get(&call).copied();
        self.asked.lock().unwrap().push((self.clock.now(), call));
        self.open.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let answer = match says.unwrap_or(Says::Knows("connected")) {
                Says::Knows(state) => {
                    let body = json!({"callConnectionState": state, "newMember": 1}).to_string();
                    Ok(Answer { status: 200, body: body.into() })
                }
                Says::Refuses(status) => {
                    let (code, message) = ("8522".to_owned(), "Call not found.".to_owned());
                    Err(UpstreamError::Refused { operation, status, code, message })
                }
                Says::Fails(status) => {
                    Err(UpstreamError::Failing { operation, status, attempts: 4 })
                }
                Says::Nothing => {
                    Err(UpstreamError::Unreachable { operation, reason: "no route".into() })
                }
                Says::NotYet => std::future::pending().await,
            };
            self.open.fetch_sub(1, Ordering::Relaxed);
            answer
        })
    }
}

/// Calls, a fake Azure, the verifier between them, and a clock that is held.
struct Desk {
    clock: Arc<ManualClock>,
    azure: Arc<Fake>,
    journal: Arc<MemoryJournal>,
    calls: Calls,
    verifier: Verifier,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.calls.stop();
    }
}

impl Desk {
    fn new(per_second: u32) -> Self {
        Self::with(per_second, Limits::default())
    }

    fn with(per_second: u32, limits: Limits) -> Self {
        let clock = ManualClock::starting_now();
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let journal = MemoryJournal::new(1 << 20, 1);
        let config = CallsConfig { shards: 2, limits, ..CallsConfig::default() };
        let calls = Calls::start(&config, Arc::clone(&time), Arc::clone(&journal) as _);
        let azure = Arc::new(Fake {
            clock: Arc::clone(&clock),
            asked: Mutex::default(),
            says: Mutex::default(),
            open: AtomicUsize::new(0),
        });
        let verifier = Verifier::start(per_second, calls.clone(), Arc::clone(&azure) as _, time);
        Self { clock, azure, journal, calls, verifier }
    }

    /// Calls that are connected, and were restored as far as the verifier knows.
    async fn restored(&self, names: &[&str]) {
        for name in names {
            self.hear(name, "up", "CallConnected").await;
        }
        self.verifier.check_all(names.iter().map(|name| CallConnectionId::new(*name)).collect());
    }

    async fn hear(&self, call: &str, id: &str, kind: &str) {
        let event = event(call, id, kind, None).to_string();
        let event = CallEvent::parse(&event).expect("an event");
        self.calls.deliver(vec![event]).await.expect("delivered");
    }

    fn azure_says(&self, call: &str, says: Says) {
        self.azure.says.lock().unwrap().insert(call.to_owned(), says);
    }

    fn asked(&self) -> Vec<(u64, String)> {
        let asked = self.azure.asked.lock().unwrap();
        asked.iter().map(|(at, call)| (at.0, call.clone())).collect()
    }

    fn times(&self) -> Vec<u64> {
        self.asked().into_iter().map(|(at, _)| at).collect()
    }

    async fn until_asked(&self, times: usize) {
        let what = format!("{times} questions");
        eventually(&what, || async { (self.asked().len() >= times).then_some(()) }).await;
        assert_eq!(self.asked().len(), times, "and no more: {:?}", self.asked());
    }

    /// Goes on when nothing more can happen before the clock moves.
    async fn settle(&self) {
        eventually("quiet", || async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            (self.azure.open.load(Ordering::Relaxed) == 0).then_some(())
        })
        .await;
        self.calls.shards().await;
    }

    async fn until_left(&self, unverified: usize) {
        let progress = self.verifier.progress();
        eventually("the answers", || async { (progress.unverified() == unverified).then_some(()) })
            .await;
    }

    async fn ending(&self, call: &str) -> Option<Ending> {
        let call = CallConnectionId::new(call);
        self.calls.look(&call).await.expect("known").ending
    }

    /// Which calls the journal says were closed.
    async fn closed(&self) -> Vec<String> {
        let page = self.journal.read(Position(0), 10_000).await.expect("readable");
        let lines = page.records.into_iter().filter(|record| record.line.kind == LineKind::Closed);
        lines.map(|record| record.line.text.to_string()).collect()
    }
}

fn reconciled() -> Ending {
    Ending { cause: Cause::Reconciled, code: None, sub_code: None }
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

#[actix_web::test]
async fn c11_a_call_that_azure_knows_no_more_is_closed_and_its_waits_end() {
    let desk = Desk::new(1_000);
    desk.azure_says("gone", Says::Refuses(404));
    desk.azure_says("going", Says::Knows("Disconnected"));
    let wait = Wants::kinds(&[EventKind::CallDisconnected]);
    let wait = desk.calls.wait(&"gone".into(), wait, PATIENCE, None).await.expect("stands");
    desk.restored(&["gone", "stays", "going"]).await;
    eventually("the ends", || async {
        desk.clock.advance(ms(1));
        (desk.verifier.progress().unverified() == 0).then_some(())
    })
    .await;
    assert_eq!(wait.outcome().await, WaitOutcome::CallEnded(reconciled()));
    assert_eq!(desk.ending("gone").await, Some(reconciled()));
    assert_eq!(desk.ending("going").await, Some(reconciled()));
    assert_eq!(desk.ending("stays").await, None);
    let mut closed = desk.closed().await;
    closed.sort();
    let line = |call: &str| format!(r#"{{"call":"{call}","cause":"reconciled"}}"#);
    assert_eq!(closed, [line("going"), line("gone")], "so that a restart knows it, too");
    assert_eq!(desk.verifier.progress().restored(), 3);
    let shards = desk.calls.shards().await;
    assert_eq!(shards.iter().map(|shard| shard.live).sum::<usize>(), 1);
    // What comes late does not revive it.
    desk.hear("gone", "late", "PlayCompleted").await;
    assert_eq!(desk.ending("gone").await, Some(reconciled()));
    assert_eq!(desk.asked().len(), 3, "each once");
}

#[actix_web::test]
async fn c11_nothing_but_not_found_closes_a_call() {
    for says in [
        Says::Nothing,
        Says::Fails(429),
        Says::Fails(503),
        Says::Refuses(401),
        Says::Refuses(403),
        Says::Refuses(400),
        Says::Refuses(410),
        Says::Knows("disconnecting"),
        Says::Knows("something new"),
    ] {
        let desk = Desk::new(1_000);
        desk.azure_says("c", says);
        desk.restored(&["c"]).await;
        desk.until_asked(1).await;
        desk.settle().await;
        assert_eq!(desk.ending("c").await, None, "{says:?}");
        assert_eq!(desk.closed().await, Vec::<String>::new(), "{says:?}");
        if matches!(says, Says::Knows(_)) {
            desk.until_left(0).await;
            continue;
        }
        // It stays in doubt, and a minute later is asked about again.
        assert_eq!(desk.verifier.progress().unverified(), 1, "{says:?}");
        desk.clock.advance(ms(59_999));
        desk.settle().await;
        desk.until_asked(1).await;
        desk.azure_says("c", Says::Refuses(404));
        desk.clock.advance(ms(1));
        desk.until_asked(2).await;
        desk.until_left(0).await;
        assert_eq!(desk.ending("c").await, Some(reconciled()), "{says:?}");
    }
}

#[actix_web::test]
async fn c11_questions_are_paced() {
    let desk = Desk::new(4);
    let names: Vec<_> = (0..12).map(|n| format!("c{n}")).collect();
    desk.restored(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    desk.until_asked(1).await;
    for asked in 2..=12 {
        desk.settle().await;
        desk.clock.advance(ms(249));
        desk.settle().await;
        desk.until_asked(asked - 1).await;
        desk.clock.advance(ms(1));
        desk.until_asked(asked).await;
    }
    let times = desk.times();
    for from in &times {
        let within = times.iter().filter(|at| (*from..from + 1_000).contains(*at)).count();
        assert!(within <= 4, "{within} within a second: {times:?}");
    }
    let order: Vec<_> = desk.asked().into_iter().map(|(_, call)| call).collect();
    assert_eq!(order, names);
}

#[actix_web::test]
async fn c11_throttling_pauses_every_question_and_longer_each_time() {
    let desk = Desk::new(1_000);
    let names: Vec<_> = (0..9).map(|n| format!("c{n}")).collect();
    for name in &names {
        desk.azure_says(name, Says::Fails(429));
    }
    desk.restored(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for asked in 1..=6 {
        desk.until_asked(asked).await;
        desk.settle().await;
        // 1, 2, 4, 8 and 16 s.
        desk.clock.advance(Duration::from_secs(1 << (asked - 1)) - ms(1));
        desk.settle().await;
        desk.until_asked(asked).await;
        desk.clock.advance(ms(1));
    }
    desk.until_asked(7).await;
    let times = desk.times();
    let pauses: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32]);
    assert_eq!(desk.verifier.progress().unverified(), 9);
    assert_eq!(desk.closed().await.len(), 0);
}

#[actix_web::test]
async fn c15_few_questions_are_under_way_at_once() {
    let desk = Desk::new(1_000);
    let names: Vec<_> = (0..20).map(|n| format!("c{n}")).collect();
    for name in &names {
        desk.azure_says(name, Says::NotYet);
    }
    desk.restored(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    eventually("eight", || async {
        desk.clock.advance(ms(1));
        (desk.asked().len() >= 8).then_some(())
    })
    .await;
    for _ in 0..200 {
        desk.clock.advance(ms(10));
        desk.calls.shards().await;
    }
    desk.until_asked(8).await;
}

#[actix_web::test]
async fn c11_nobody_asks_about_a_call_twice_or_about_one_that_is_over() {
    let desk = Desk::new(1_000);
    desk.hear("over", "up", "CallConnected").await;
    desk.hear("over", "end", "CallDisconnected").await;
    desk.hear("once", "up", "CallConnected").await;
    eventually("the end", || async { desk.ending("over").await }).await;
    let names = ["over", "unheard-of", "once", "once"];
    desk.verifier.check_all(names.map(CallConnectionId::new).to_vec());
    desk.verifier.check_all(vec!["once".into()]);
    eventually("the answers", || async {
        desk.clock.advance(ms(1));
        let progress = desk.verifier.progress();
        (progress.restored() >= 3 && progress.unverified() == 0).then_some(())
    })
    .await;
    let asked: Vec<_> = desk.asked().into_iter().map(|(_, call)| call).collect();
    assert!(asked.iter().all(|call| call == "once"), "{asked:?}");
    assert_eq!(desk.closed().await, Vec::<String>::new());
}

#[actix_web::test]
async fn c11_a_silent_call_is_asked_about_and_lives_on_or_ends() {
    let limits = Limits { verify_silent: Duration::from_secs(60), ..Limits::default() };
    let desk = Desk::with(1_000, limits);
    desk.hear("lives", "up", "CallConnected").await;
    desk.hear("gone", "up", "CallConnected").await;
    desk.calls.look(&"lives".into()).await.expect("known");
    desk.calls.look(&"gone".into()).await.expect("known");
    desk.azure_says("gone", Says::Refuses(404));
    desk.clock.advance(ms(59_999));
    desk.settle().await;
    desk.until_asked(0).await;
    desk.clock.advance(ms(1));
    eventually("the end", || async {
        desk.clock.advance(ms(1));
        desk.ending("gone").await
    })
    .await;
    eventually("both questions", || async { (desk.asked().len() == 2).then_some(()) }).await;
    assert_eq!(desk.ending("lives").await, None);
    desk.settle().await;
    desk.clock.advance(ms(60_000));
    eventually("the next question", || async { (desk.asked().len() == 3).then_some(()) }).await;
    assert_eq!(desk.asked()[2].1, "lives");
    assert_eq!(desk.verifier.progress().restored(), 0, "none of this is recovery");
}

#[actix_web::test]
async fn c11_over_http_a_lost_call_answers_410_and_the_probe_shows_the_progress() {
    let clock = ManualClock::starting_now();
    let stage = Stage::with(Setting::untokened(|_| {}).held(&clock)).await;
    assert_eq!(stage.get("/readyz").await, (200, json!({"ready": true, "reasons": []})));
    stage.told(&[event("lost", "up", "CallConnected", None)]).await;
    let wait = stage.begin_to_wait("lost", json!({"types": ["PlayCompleted"]}), 1).await;
    let ended = || stage.metric("switchhook_calls_ended_total", &["cause=\"reconciled\""]);
    let found = || stage.metric("switchhook_verifications_total", &["outcome=\"ended\""]);
    let before = (ended().await, found().await);
    stage.app.verifier().check_all(vec!["lost".into()]);
    let (status, problem) = wait.await.unwrap();
    assert_eq!((status, problem["code"].as_str()), (410, Some("call_ended")), "{problem}");
    assert_eq!(problem["ending"], json!({"cause": "reconciled"}));
    let done = json!({
        "ready": true, "reasons": [], "recovery": {"restored": 1, "unverified": 0}
    });
    eventually("the progress", || async {
        let probe = stage.get("/readyz").await;
        (probe == (200, done.clone())).then_some(())
    })
    .await;
    assert!(ended().await > before.0 && found().await > before.1);
    assert_eq!(stage.view("lost").await.1["state"], "disconnected");
    let metrics = stage.metrics().await;
    for line in [
        "switchhook_recovery_unverified_calls ",
        "switchhook_unready{reason=\"recovering\"} 0",
        "switchhook_unready{reason=\"journal_failed\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found.starts_with(line)), "{line}");
    }
}

/// The whole story, with the emulator: events of a call never arrive, and so does not its end.
#[actix_web::test]
async fn c11_a_call_that_hung_up_while_its_callbacks_were_lost_is_found() {
    let clock = ManualClock::starting_now();
    let silent = Duration::from_secs(30);
    let setting = Setting::untokened(move |settings| settings.verify.silent = silent);
    let stage = Stage::with(setting.held(&clock)).await;
    let connection = ConnectionString::parse(&stage.emulator.connection_string()).expect("good");
    let azure = Azure::new(AzureConfig::new(connection), SystemClock::start()).expect("a client");
    let create = CreateCallRequest {
        targets: Some(vec![Identifier::phone("+14255550100")]),
        source_caller_id_number: Some(PhoneNumber::new("+14255550199")),
        // Nobody listens there.
        callback_uri: Some("http://127.0.0.1:9/webhooks/calls".to_owned()),
        ..CreateCallRequest::default()
    };
    let made = azure.send(Request::of(&create, Place::Nowhere)).await.expect("made");
    let made: CallConnectionProperties = serde_json::from_slice(&made.body).expect("JSON");
    let call = made.call_connection_id.expect("its id");
    let calls = stage.app.calls();
    calls.claim(&call, Identity::default()).await.expect("claimed");
    let live = || async {
        let (_, all) = answer(stage.http.get(stage.emulated("/emulator/calls"))).await;
        let calls = all["calls"].as_array().cloned().unwrap_or_default();
        calls.iter().any(|one| {
            let legs = one["connections"].as_array().cloned().unwrap_or_default();
            legs.iter().any(|leg| leg["callConnectionState"] == "connected")
        })
    };
    eventually("the far end to answer", || async { live().await.then_some(()) }).await;
    let wait = calls.wait(&call, Wants::any(), 10 * PATIENCE, None).await.expect("stands");
    // Azure knows it: it lives on.
    let alive = || stage.metric("switchhook_verifications_total", &["outcome=\"alive\""]);
    let before = alive().await;
    clock.advance(silent);
    eventually("an answer", || async { (alive().await > before).then_some(()) }).await;
    assert_eq!(calls.look(&call).await.expect("known").state, Phase::Connecting);

    azure
        .send(Request::new(Operation::HangUpCall, Place::Call(call.clone())))
        .await
        .expect("ended");
    eventually("its end at the emulator", || async { (!live().await).then_some(()) }).await;
    clock.advance(silent);
    assert_eq!(wait.outcome().await, WaitOutcome::CallEnded(reconciled()));
    let (status, view) = stage.view(call.as_str()).await;
    assert_eq!((status, &view["ending"]), (200, &json!({"cause": "reconciled"})));
}
