//! House-wide promises: isolation, limits, nothing left behind, nothing private told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use switchhook::actors::{Gone, WaitOutcome};
use switchhook::client::{ConnectOutcome, Listen, PlayOutcome, Prompt, RecognizeOutcome};
use switchhook::clock::ManualClock;
use switchhook::emulator::{
    Action, DEFAULT_ACCESS_KEY, OnRing, Phone, PhoneBook, Prompt as Heard, Step,
};
use switchhook::pure::call::{Phase, Wants};
use switchhook::settings::{Role, Secret, Token};
use switchhook::wire::events::{CallEvent, EventKind};
use switchhook::wire::identifiers::{CallConnectionId, Identifier};

use crate::stage::{KEY, PATIENCE, Setting, Stage, answer, event, eventually, phone};

fn read(event: &Value) -> CallEvent {
    CallEvent::parse(&event.to_string()).expect("an event")
}

fn numbered(call: &str, n: usize) -> Value {
    event(call, &format!("e{n}"), "PlayStarted", None)
}

fn id_of(event: &CallEvent) -> String {
    let raw: Value = serde_json::from_str(&event.raw).expect("JSON");
    raw["id"].as_str().expect("an id").to_owned()
}

#[actix_web::test]
async fn c7_a_slow_subscriber_is_dropped_and_nobody_else_notices() {
    let setting = Setting::untokened(|settings| settings.calls.subscription_buffer = 4);
    let stage = Stage::with(setting).await;
    let calls = stage.app.calls();
    let call = CallConnectionId::new("c7");
    let mut slow = calls.subscribe(&call, Wants::any(), None).await.expect("listens");
    let mut good = calls.subscribe(&call, Wants::any(), None).await.expect("listens");
    let last = Wants::kinds(&[EventKind::CallConnected]);
    let wait = calls.wait(&call, last, PATIENCE, None).await.expect("stands");
    for n in 0..20 {
        stage.told(&[numbered("c7", n)]).await;
        assert_eq!(id_of(&good.next().await.expect("told").event), format!("e{n}"));
    }
    stage.told(&[event("c7", "up", "CallConnected", None)]).await;
    assert!(
        matches!(wait.outcome().await, WaitOutcome::Told(heard) if id_of(&heard.event) == "up")
    );
    for n in 0..4 {
        assert_eq!(id_of(&slow.next().await.expect("what it had").event), format!("e{n}"));
    }
    assert_eq!(slow.next().await, Err(Gone::Slow));
    assert_eq!(id_of(&good.next().await.expect("told").event), "up");

    // Detaching is exact: of two that listen for the same, one leaves.
    let leaver = calls.subscribe(&call, Wants::any(), None).await.expect("listens");
    assert_eq!(calls.look(&call).await.expect("known").subscriptions.len(), 2);
    drop(leaver);
    eventually("one to have left", || async {
        (calls.look(&call).await.expect("known").subscriptions.len() == 1).then_some(())
    })
    .await;
    stage.told(&[numbered("c7", 99)]).await;
    assert_eq!(id_of(&good.next().await.expect("told").event), "e99");
    // None of them took anything from a late waiter.
    let (status, body) = stage.wait("c7", json!({"timeoutMs": 0})).await;
    assert_eq!((status, body["event"]["id"].as_str()), (200, Some("e0")));
}

#[actix_web::test]
async fn c7_a_call_takes_so_many_subscriptions_and_no_more() {
    let setting = Setting::untokened(|settings| settings.calls.subscriptions = 1);
    let stage = Stage::with(setting).await;
    let calls = stage.app.calls();
    let call = CallConnectionId::new("c7");
    let mut first = calls.subscribe(&call, Wants::any(), None).await.expect("listens");
    let mut second = calls.subscribe(&call, Wants::any(), None).await.expect("an answer");
    let refused = Gone::Closed(switchhook::pure::call::CloseReason::Refused);
    assert_eq!(second.next().await, Err(refused));
    stage.told(&[numbered("c7", 1)]).await;
    assert_eq!(id_of(&first.next().await.expect("told").event), "e1");
}

#[actix_web::test]
async fn c11_an_early_event_opens_its_call_and_silence_closes_it() {
    let clock = ManualClock::starting_now();
    let stage = Stage::with(Setting::untokened(|_| {}).held(&clock)).await;
    let day = Duration::from_secs(24 * 60 * 60);
    stage.told(&[event("early", "e1", "PlayStarted", None)]).await;
    stage.told(&[event("busy", "e1", "CallConnected", None)]).await;
    clock.advance(day - Duration::from_millis(1));
    assert_eq!(stage.view("early").await.1["state"], "connecting");
    stage.told(&[event("busy", "e2", "PlayStarted", None)]).await;
    clock.advance(Duration::from_millis(1));
    let view = eventually("the silent call to be given up", || async {
        let (_, view) = stage.view("early").await;
        (view["state"] == "disconnected").then_some(view)
    })
    .await;
    assert_eq!(view["ending"], json!({"cause": "silent"}));
    assert_eq!(stage.view("busy").await.1["state"], "connected");
    // An early event is worth as much as any: what was too early for the first wait is there for it.
    stage.told(&[event("early too", "e1", "CallConnected", None)]).await;
    let (status, _) = stage.wait("early too", json!({"types": ["CallConnected"]})).await;
    assert_eq!(status, 200);
}

#[actix_web::test]
async fn c15_so_many_calls_and_no_more() {
    let setting = Setting::untokened(|settings| settings.calls.max_calls = 2);
    let stage = Stage::with(setting).await;
    stage.told(&[numbered("one", 1), numbered("two", 1)]).await;
    let before = stage.metric("switchhook_mailbox_refusals_total", &["actor=\"calls\""]).await;
    let url = stage.public(&format!("/webhooks/calls?key={KEY}"));
    let refused = stage.http.post(&url).json(&json!([numbered("three", 1)])).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "busy");
    let after = stage.metric("switchhook_mailbox_refusals_total", &["actor=\"calls\""]).await;
    assert!(after > before);
    let (status, body) = stage.wait("three", json!({"timeoutMs": 0})).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("busy")));
    // Known calls go on; of an array, what there is room for is taken, and repeating it does no harm.
    stage.told(&[numbered("one", 2)]).await;
    let (status, _) =
        stage.callback(json!([numbered("two", 2), numbered("three", 1)]).to_string()).await;
    assert_eq!(status, 503);
    stage.told(&[event("one", "end", "CallDisconnected", None)]).await;
    eventually("room", || async {
        let array = json!([numbered("two", 2), numbered("three", 1)]);
        (stage.callback(array.to_string()).await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(stage.view("two").await.1["events"].as_array().map(Vec::len), Some(2));
    assert_eq!(stage.view("three").await.1["events"].as_array().map(Vec::len), Some(1));
}

#[actix_web::test]
async fn c15_a_full_mailbox_is_told_and_what_is_sent_again_counts_once() {
    let setting = Setting::untokened(|settings| {
        settings.calls.call_mailbox = 1;
        settings.calls.shards = 1;
        settings.calls.timeline_events = 100_000;
        settings.calls.remembered_events = 1_000_000;
    });
    let stage = Stage::with(setting).await;
    let before = stage.metric("switchhook_mailbox_refusals_total", &[]).await;
    // A lucky shard keeps pace with an array; sooner or later one finds the mailbox full.
    let mut posted = 0;
    let refused = eventually("a full mailbox", || {
        let events: Vec<_> = (posted..posted + 300).map(|n| numbered("full", n)).collect();
        posted += 300;
        let post = stage.callback(json!(events).to_string());
        async { Some(post.await).filter(|(status, _)| *status != 200) }
    })
    .await;
    assert_eq!((refused.0, refused.1["code"].as_str()), (503, Some("busy")), "{refused:?}");
    assert!(stage.metric("switchhook_mailbox_refusals_total", &[]).await > before);
    for n in posted - 300..posted {
        eventually("room", || async {
            let again = numbered("full", n).to_string();
            (stage.callback(again).await.0 == 200).then_some(())
        })
        .await;
    }
    let seen = eventually("all of them", || async {
        let (_, view) = stage.view("full").await;
        let lines = view["events"].as_array()?.clone();
        (lines.len() >= posted).then_some(lines)
    })
    .await;
    let number =
        |line: &Value| line["event"]["id"].as_str().unwrap()[1..].parse::<usize>().unwrap();
    let mut seen: Vec<_> = seen.iter().map(number).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..posted).collect::<Vec<_>>(), "each once");
}

const MANY: usize = 100_000;

#[actix_web::test]
async fn c17_nothing_is_left_of_a_hundred_thousand_calls() {
    let clock = ManualClock::starting_now();
    let setting = Setting::untokened(|settings| settings.journal.memory_bytes = 4 << 20);
    let stage = Stage::with(setting.held(&clock)).await;
    let calls = stage.app.calls();
    let alarms = clock.alarms_set();
    let name = |n: usize| format!("c17-{n}");
    for chunk in (0..MANY).collect::<Vec<_>>().chunks(1_000) {
        let up = chunk.iter().map(|n| read(&event(&name(*n), "up", "CallConnected", None)));
        calls.deliver(up.collect()).await.expect("taken");
        // Each is waited for in the three ways in which a wait can end with its call's life.
        let mut waits = Vec::new();
        for n in chunk {
            let call = CallConnectionId::new(name(*n));
            let (wants, wait) = match n % 3 {
                0 => (Wants::kinds(&[EventKind::CallConnected]), Duration::from_secs(60)),
                1 => (Wants::kinds(&[EventKind::CallDisconnected]), Duration::from_secs(600)),
                _ => (Wants::kinds(&[EventKind::PlayCompleted]), Duration::from_secs(240)),
            };
            waits.push(calls.wait(&call, wants, wait, None).await.expect("stands"));
        }
        let end = chunk.iter().map(|n| read(&event(&name(*n), "end", "CallDisconnected", None)));
        calls.deliver(end.collect()).await.expect("taken");
        for (n, wait) in chunk.iter().zip(waits) {
            match (n % 3, wait.outcome().await) {
                (0 | 1, WaitOutcome::Told(_)) | (2, WaitOutcome::CallEnded(_)) => {}
                (_, other) => panic!("{n}: {other:?}"),
            }
        }
    }
    let totals = || async {
        let shards = calls.shards().await;
        let sum = |of: fn(&switchhook::actors::messages::ShardView) -> usize| {
            shards.iter().map(of).sum::<usize>()
        };
        (sum(|s| s.live), sum(|s| s.connected), sum(|s| s.ended), sum(|s| s.other_ids))
    };
    eventually("all to have ended", || async {
        (totals().await == (0, 0, MANY, 2 * MANY)).then_some(())
    })
    .await;
    assert_eq!(calls.list(0, 10, Some(Phase::Disconnected)).await.len(), 10);
    clock.advance(Duration::from_secs(60));
    eventually("nothing to be left", || async { (totals().await == (0, 0, 0, 0)).then_some(()) })
        .await;
    eventually("no alarm to be left", || async { (clock.alarms_set() == alarms).then_some(()) })
        .await;
    let (status, body) = stage.get("/admin/calls").await;
    assert_eq!((status, body), (200, json!({"calls": []})));
    assert_eq!(calls.find(&name(0)).await, []);
    assert_eq!(calls.find("server-c17-0").await, []);
}

/// Everything that the process writes to its log, at the finest level.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn install(&self) {
        let pen = self.clone();
        let format = switchhook::observability::logging::Format::Json;
        let subscriber =
            switchhook::observability::logging::subscriber(format, "trace", false, move || {
                pen.clone()
            });
        tracing::subscriber::set_global_default(subscriber.expect("a level")).expect("free");
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("text")
    }
}

const CALLER: &str = "+14255550987";
const NUMBER: &str = "+18005550143";
const SECOND_NUMBER: &str = "+18005550144";
const AGENT: &str = "+14255553344";
const DISPLAY_NAME: &str = "Ada Confidential";
const WORDS: &str = "whisper this to nobody";
const CONTEXT: &str = "context-of-the-caller-7731";
const REASON: &str = "asked for by Mr Private";
const OPERATOR: &str = "a-bearer-token-of-an-operator";

/// A caller who presses a key when asked, and somebody to transfer to.
fn phones() -> PhoneBook {
    let mut phones = PhoneBook::default();
    let after = Duration::from_secs(1);
    let press = Action::Press(vec!["asterisk"]);
    let script = vec![Step { on_prompt: Some(Heard::Recognize), after, action: press }];
    phones.set(&Identifier::phone(CALLER), Phone { script, ..Phone::default() });
    phones.set(&Identifier::phone(AGENT), phone(OnRing::Decline));
    phones
}

/// A call that is answered, spoken to, asked, transferred in vain; another that is redirected; numbers;
/// and all the ways of being refused. Gives every problem document and the tickets of the two calls.
async fn whole_story(stage: &Stage) -> (Vec<String>, Vec<String>) {
    let operator = |request: reqwest::RequestBuilder| request.bearer_auth(OPERATOR);
    let assign = async |key: &str, action: Value| {
        let path = format!("/v1/numbers/{}", switchhook::wire::calling::segment(key));
        let body = json!({"steps": [{"action": action}], "note": REASON});
        let put = stage.http.put(stage.private(&path)).json(&body);
        answer(operator(put).header("x-switchhook-reason", REASON)).await
    };
    let speech = "https://speech.example.com";
    let action =
        json!({"type": "answer", "cognitiveServicesEndpoint": speech, "operationContext": CONTEXT});
    assert_eq!(assign(NUMBER, action).await.0, 201);
    assert_eq!(assign(SECOND_NUMBER, json!({"type": "redirect", "target": AGENT})).await.0, 201);
    let mut answered = stage.app.answered();
    let mut tickets = Vec::new();
    for number in [NUMBER, SECOND_NUMBER] {
        let ring = json!({"from": CALLER, "to": number, "callerDisplayName": DISPLAY_NAME});
        stage.grid_delivers().await;
        let url = stage.emulated("/emulator/incoming-calls");
        let (status, body) = answer(stage.http.post(url).json(&ring)).await;
        assert_eq!(status, 201, "{body}");
        tickets.push(body["incomingCallContext"].as_str().expect("a ticket").to_owned());
    }
    let call = tokio::time::timeout(PATIENCE, answered.next()).await.expect("in time").unwrap();
    assert_eq!(call.connected().await.unwrap(), ConnectOutcome::Connected);
    let said = call.play(Prompt::say(WORDS)).await.unwrap().outcome().await.unwrap();
    assert_eq!(said, PlayOutcome::Completed);
    let listen = Listen::for_keys(Identifier::phone(CALLER), 1).after(Prompt::say(WORDS));
    let heard = call.recognize(listen).await.unwrap().outcome().await.unwrap();
    assert!(matches!(heard, RecognizeOutcome::Dtmf(_)), "{heard:?}");
    let in_vain = call.transfer(Identifier::phone(AGENT)).await.unwrap().outcome().await.unwrap();
    assert!(format!("{in_vain:?}").contains("Failed"), "{in_vain:?}");
    let ended = call.ended().await.unwrap();
    call.terminate().await.unwrap();
    ended.outcome().await.expect("the end comes");

    let mut problems = Vec::new();
    let mut refused = async |request: reqwest::RequestBuilder| {
        let (status, body) = answer(request).await;
        assert!(status >= 400, "{status} {body}");
        problems.push(body.to_string());
    };
    let http = &stage.http;
    refused(http.post(stage.public(&format!("/webhooks/calls?key={KEY}x"))).json(&json!([]))).await;
    let forged = format!("{}.{}", "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ", "eyJzdWIiOiJ4In0.AAAA");
    let url = stage.public(&format!("/webhooks/calls?key={KEY}"));
    refused(http.post(&url).bearer_auth(forged).json(&json!([]))).await;
    let grid = stage.public(&format!("/webhooks/eventgrid?key={KEY}"));
    refused(http.post(&grid).json(&json!([{"id": CALLER, "data": {"from": CALLER}}]))).await;
    refused(http.get(stage.private("/admin/calls")).bearer_auth(format!("{OPERATOR}x"))).await;
    let wait = stage.private("/v1/calls/x/waits");
    for body in [
        json!({"timeoutMs": CALLER}),
        json!({"operationContext": CONTEXT, "timeoutMs": 0}),
        json!({"filter": [{"operatorType": CALLER, "key": WORDS, "values": [CALLER]}]}),
        json!({"filter": [{"operatorType": "StringIn", "key": "id", "values": CALLER}]}),
        json!({"types": [7], "operationContext": CONTEXT}),
    ] {
        refused(operator(http.post(&wait)).json(&body)).await;
    }
    let number = switchhook::wire::calling::segment(&format!("{CALLER}x"));
    refused(operator(http.get(stage.private(&format!("/v1/numbers/{number}"))))).await;
    let key = switchhook::wire::calling::segment(CALLER);
    let put = http.put(stage.private(&format!("/v1/numbers/{key}")));
    let body = json!({"steps": [{"action": {"type": CALLER}}], "note": CALLER});
    refused(operator(put).json(&body)).await;
    let put = http.put(stage.private(&format!("/v1/numbers/{key}")));
    let body = json!({"steps": [{"action": {"type": "redirect", "target": format!("{AGENT}x")}}]});
    refused(operator(put).json(&body)).await;
    let explain = json!({"caller": format!("{CALLER}x"), "callee": NUMBER});
    refused(operator(http.post(stage.private("/v1/routes:explain"))).json(&explain)).await;
    (problems, tickets)
}

#[actix_web::test]
async fn nothing_private_reaches_log_lines_metrics_or_problems() {
    let paper = Paper::default();
    paper.install();
    let setting = Setting {
        phones: phones(),
        settings: Box::new(|settings| {
            settings.private.tokens = vec![Token {
                name: "operator".to_owned(),
                role: Role::Admin,
                secret: Secret::new(OPERATOR),
            }];
        }),
        ..Setting::default()
    };
    let stage = Stage::with(setting).await;
    let (problems, tickets) = whole_story(&stage).await;
    let metrics = stage.http.get(stage.private("/metrics")).bearer_auth(OPERATOR);
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("switchhook_waits_total"), "{metrics}");
    let log = paper.text();
    for told in [
        "switchhook serves",
        "number assignments changed",
        "callback refused",
        "call service asked",
    ] {
        assert!(log.contains(told), "{told} is told");
    }

    let mut private = vec![
        DISPLAY_NAME,
        WORDS,
        CONTEXT,
        REASON,
        OPERATOR,
        KEY,
        DEFAULT_ACCESS_KEY,
        "asterisk",
        "speech.example.com",
        "eyJ",
    ];
    let numbers = [CALLER, NUMBER, SECOND_NUMBER, AGENT];
    private.extend(numbers.map(|number| &number[2..]));
    private.extend(tickets.iter().map(String::as_str));
    let mut leaks = Vec::new();
    for word in private {
        let texts = problems.iter().chain([&metrics]).map(String::as_str);
        for line in log.lines().chain(texts.flat_map(str::lines)) {
            if line.contains(word) {
                leaks.push(format!("{word}: {}", &line[..line.len().min(400)]));
            }
        }
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}
