//! Ringing calls, from Event Grid's door to what is done about them.

use std::time::Duration;

use serde_json::{Value, json};
use switchhook::client::{ConnectOutcome, Listen, PlayOutcome, Prompt, RecognizeOutcome};
use switchhook::clock::{ManualClock, SystemClock};
use switchhook::emulator::{Action, OnRing, Phone, PhoneBook, Prompt as Heard, Schema, Step};
use switchhook::ports::Clock;
use switchhook::wire::identifiers::Identifier;

use crate::stage::{KEY, PATIENCE, Setting, Stage, answer, eventually};

const NUMBER: &str = "+18005550100";
const CALLER: &str = "+14255550001";
/// Somebody who does not belong to the resource: ringing there raises no event here.
const OUTSIDE: &str = "8:orgid:5c7d4f52-6c0a-4d0e-9f0b-2e1f7a1f6c33";

/// Presses 1 when asked.
fn willing_caller() -> PhoneBook {
    let mut phones = PhoneBook::default();
    let script = vec![Step {
        on_prompt: Some(Heard::Recognize),
        after: Duration::from_secs(1),
        action: Action::Press(vec!["one"]),
    }];
    let after = Duration::from_secs(1);
    phones.set(&Identifier::phone(CALLER), Phone { on_ring: OnRing::Answer, after, script });
    phones
}

#[actix_web::test]
async fn a_call_rings_is_answered_asked_and_hung_up_in_linear_code() {
    let stage = Stage::with(Setting { phones: willing_caller(), ..Setting::default() }).await;
    let answer = json!({"type": "answer", "cognitiveServicesEndpoint": "https://s.example.com"});
    stage.assign(NUMBER, json!([{ "action": answer }])).await;
    let mut answered = stage.app.answered();
    let server_call = stage.ring(CALLER, NUMBER).await;

    let call = tokio::time::timeout(PATIENCE, answered.next()).await.expect("in time").unwrap();
    assert_eq!(call.connected().await.unwrap(), ConnectOutcome::Connected);
    let said = call.play(Prompt::say("Welcome.")).await.unwrap().outcome().await.unwrap();
    assert_eq!(said, PlayOutcome::Completed);
    let listen = Listen::for_keys(Identifier::phone(CALLER), 1).after(Prompt::say("One or two?"));
    let heard = call.recognize(listen).await.unwrap().outcome().await.unwrap();
    match heard {
        RecognizeOutcome::Dtmf(keys) => assert_eq!(keys.digits(), "1"),
        other => panic!("{other:?}"),
    }
    let ended = call.ended().await.unwrap();
    call.hang_up().await.unwrap();
    ended.outcome().await.expect("the end comes");

    let decision = stage.decision(&server_call).await;
    assert_eq!(decision["fate"], "answered");
    let (status, view) = stage.get(&format!("/admin/calls/{}", call.id())).await;
    assert_eq!((status, view["state"].as_str()), (200, Some("disconnected")), "{view}");
    let types: Vec<_> = view["events"].as_array().unwrap().iter().collect();
    let types: Vec<_> = types.iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
    let short = |name: &String| name.trim_start_matches("Microsoft.Communication.").to_owned();
    let types: Vec<_> = types.iter().map(short).collect();
    assert_eq!(types.first().map(String::as_str), Some("CallConnected"), "{types:?}");
    assert_eq!(types.last().map(String::as_str), Some("CallDisconnected"), "{types:?}");
    for wanted in ["ParticipantsUpdated", "PlayStarted", "PlayCompleted", "RecognizeCompleted"] {
        assert!(types.iter().any(|name| name == wanted), "{wanted} in {types:?}");
    }
    assert_eq!(view["decision"]["fate"], "answered");
}

#[actix_web::test]
async fn a_call_is_redirected_and_another_rejected_by_number_assignments() {
    for schema in [Schema::EventGrid, Schema::CloudEvents] {
        let stage = Stage::with(Setting { schema, ..Setting::default() }).await;
        let redirect = json!([{"action": {"type": "redirect", "target": "8:acs:r_agent"}}]);
        stage.assign(NUMBER, redirect).await;
        stage.assign("+1800555*", json!([{"action": {"type": "reject", "reason": "busy"}}])).await;
        let redirected = stage.ring(CALLER, NUMBER).await;
        assert_eq!(stage.decision(&redirected).await["fate"], "redirected");
        let rejected = stage.ring(CALLER, "+18005550199").await;
        let decision = stage.decision(&rejected).await;
        assert_eq!(decision["fate"], "rejected");
        assert_eq!(decision["explanation"]["winner"], "+1800555*", "{decision}");
    }
}

/// An `IncomingCall` as Event Grid delivers it, that happened just now by the clock given.
fn ringing(id: &str, ticket: &str, from: &str, to: &str, at: jiff::Timestamp) -> Value {
    json!({
        "id": id, "topic": "/subscriptions/s/communicationServices/a", "dataVersion": "1.0",
        "subject": format!("/caller/4:{from}/recipient/4:{to}"), "metadataVersion": "1",
        "eventType": "Microsoft.Communication.IncomingCall", "eventTime": at.to_string(),
        "data": {
            "to": {"kind": "phoneNumber", "rawId": format!("4:{to}"), "phoneNumber": {"value": to}},
            "from": {"kind": "phoneNumber", "rawId": format!("4:{from}"),
                "phoneNumber": {"value": from}},
            "serverCallId": format!("server-{ticket}"), "callerDisplayName": "",
            "incomingCallContext": ticket, "correlationId": format!("correlation-{ticket}"),
        },
    })
}

fn now() -> jiff::Timestamp {
    SystemClock::start().wall()
}

/// Delivers as Event Grid does; status and body.
async fn deliver(stage: &Stage, body: &Value) -> (u16, Value) {
    let url = stage.public(&format!("/webhooks/eventgrid?key={KEY}"));
    answer(stage.http.post(url).json(body)).await
}

/// All decisions, newest first, once so many of them are settled.
async fn settled(stage: &Stage, many: usize) -> Vec<Value> {
    eventually("the decisions", || async {
        let (_, body) = stage.get("/admin/incoming").await;
        let decisions = body.as_array().cloned().unwrap_or_default();
        let settled = decisions.iter().all(|decision| !decision["fate"].is_null());
        (decisions.len() >= many && settled).then_some(decisions)
    })
    .await
}

fn fates(decisions: &[Value]) -> Vec<&str> {
    let mut fates: Vec<_> = decisions.iter().map(|d| d["fate"].as_str().expect("a fate")).collect();
    fates.sort_unstable();
    fates
}

fn attempts(decisions: &[Value]) -> usize {
    decisions.iter().map(|decision| decision["attempts"].as_array().map_or(0, Vec::len)).sum()
}

#[actix_web::test]
async fn i1_both_handshakes_are_answered_to_the_letter() {
    let stage = Stage::untokened().await;
    let code = "512D38B6-C7B8-40C8-89FE-F46F9E9622B6";
    let validation = json!([{
        "id": "v", "topic": "/subscriptions/s", "subject": "", "dataVersion": "2",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2025-11-21T08:00:00Z", "metadataVersion": "1",
        "data": {"validationCode": code, "validationUrl": "https://rp.example.com:553/x?token=t"},
    }]);
    let (status, body) = deliver(&stage, &validation).await;
    assert_eq!((status, body), (200, json!({"validationResponse": code})));

    let url = stage.public(&format!("/webhooks/eventgrid?key={KEY}"));
    let options = stage.http.request(reqwest::Method::OPTIONS, &url);
    let options = options.header("webhook-request-origin", "eventgrid.azure.net");
    let answer = options.try_clone().unwrap().header("webhook-request-rate", "120").send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["webhook-allowed-origin"], "eventgrid.azure.net");
    assert_eq!(answer.headers()["webhook-allowed-rate"], "120");
    assert!(answer.headers()["allow"].to_str().unwrap().contains("POST"));
    let answer = options.send().await.unwrap();
    assert_eq!(answer.headers()["webhook-allowed-rate"], "*");
    // Whoever asks for nothing gets no consent.
    let bare = stage.http.request(reqwest::Method::OPTIONS, &url).send().await.unwrap();
    assert!(!bare.headers().contains_key("webhook-allowed-origin"));
}

#[actix_web::test]
async fn i1_only_subscriptions_on_the_list_are_validated_and_heard() {
    let setting = Setting::untokened(|settings| {
        settings.event_grid.subscriptions = vec!["switchhook".to_owned(), "other".to_owned()];
    });
    let stage = Stage::with(setting).await;
    let url = stage.public(&format!("/webhooks/eventgrid?key={KEY}"));
    let validation = json!([{
        "id": "v", "topic": "/s", "subject": "", "eventTime": "2025-11-21T08:00:00Z",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "the-code"},
    }]);
    let event = json!([ringing("e", "ticket", CALLER, NUMBER, now())]);
    let refusals = ("switchhook_grid_auth_failures_total", ["reason=\"unknown_subscription\""]);
    for (name, status) in
        [(Some("SWITCHHOOK"), 200), (Some("other"), 200), (Some("stranger"), 401), (None, 401)]
    {
        for body in [&validation, &event] {
            let before = stage.metric(refusals.0, &refusals.1).await;
            let mut post = stage.http.post(&url).json(body);
            if let Some(name) = name {
                post = post.header("aeg-subscription-name", name);
            }
            let (seen, told) = answer(post).await;
            assert_eq!(seen, status, "{name:?}: {told}");
            assert!(status == 200 || !told.to_string().contains("the-code"));
            let counted = stage.metric(refusals.0, &refusals.1).await > before;
            assert!(counted || status == 200, "{name:?}");
        }
    }
    let mut options = stage.http.request(reqwest::Method::OPTIONS, &url);
    options = options.header("webhook-request-origin", "eventgrid.azure.net");
    let stranger = options.try_clone().unwrap().header("aeg-subscription-name", "stranger");
    assert_eq!(stranger.send().await.unwrap().status(), 401);
    let ours = options.header("aeg-subscription-name", "Switchhook").send().await.unwrap();
    assert_eq!(ours.headers()["webhook-allowed-origin"], "eventgrid.azure.net");
}

#[actix_web::test]
async fn i2_every_sample_is_taken_in_either_schema_alone_and_in_a_batch() {
    let stage = Stage::untokened().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/eventgrid");
    let mut batch = Vec::new();
    for file in std::fs::read_dir(folder).expect("the samples") {
        let path = file.expect("a file").path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let sample: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).expect("JSON");
        let url = stage.public(&format!("/webhooks/eventgrid?key={KEY}"));
        let kinds: &[&str] = if name.contains("cloudevents") {
            &["application/cloudevents+json; charset=utf-8", "application/json"]
        } else {
            &["application/json; charset=utf-8"]
        };
        for kind in kinds {
            let post = stage.http.post(&url).header("content-type", *kind).body(sample.to_string());
            let (status, body) = answer(post).await;
            let validation = name.starts_with("SubscriptionValidation");
            assert_eq!(status, 200, "{name}: {body}");
            assert_eq!(body != json!(""), validation, "{name}: {body}");
        }
        if !name.starts_with("SubscriptionValidation") {
            batch.extend(sample.as_array().cloned().unwrap_or_else(|| vec![sample]));
        }
    }
    assert!(batch.len() > 20, "{}", batch.len());
    let url = stage.public(&format!("/webhooks/eventgrid?key={KEY}"));
    let post = stage.http.post(url).header("content-type", "application/cloudevents-batch+json");
    let (status, body) = answer(post.body(json!(batch).to_string())).await;
    assert_eq!((status, body), (200, json!("")));
    // They are old: every one of them was looked at, and none acted on.
    let decisions = settled(&stage, 10).await;
    assert_eq!(attempts(&decisions), 0);
    assert!(
        fates(&decisions).iter().all(|fate| ["stale", "repeated"].contains(fate)),
        "{decisions:?}"
    );
}

#[actix_web::test]
async fn i2_a_bad_element_costs_its_neighbours_nothing() {
    let stage = Stage::untokened().await;
    stage.assign(NUMBER, json!([{"action": {"type": "ignore"}}])).await;
    let batch = json!([
        ringing("a", "one", CALLER, NUMBER, now()), {"id": "b"}, 7,
        ringing("c", "two", CALLER, NUMBER, now()),
    ]);
    let (status, receipt) = deliver(&stage, &batch).await;
    assert_eq!((status, &receipt["accepted"]), (200, &json!(2)), "{receipt}");
    assert_eq!(receipt["rejected"].as_array().map(Vec::len), Some(2));
    assert_eq!(fates(&settled(&stage, 2).await), ["ignored", "ignored"]);
}

#[actix_web::test]
async fn i3_the_key_comes_by_query_or_header_and_another_one_is_refused() {
    let stage = Stage::untokened().await;
    stage.assign(NUMBER, json!([{"action": {"type": "ignore"}}])).await;
    let path = "/webhooks/eventgrid";
    let post = |query: &str, ticket: &str| {
        let event = json!([ringing(ticket, ticket, CALLER, NUMBER, now())]);
        stage.http.post(stage.public(&format!("{path}{query}"))).json(&event)
    };
    assert_eq!(answer(post(&format!("?key={KEY}"), "a")).await.0, 200);
    assert_eq!(answer(post("", "b").header("x-switchhook-key", KEY)).await.0, 200);
    let encoded: String = KEY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(answer(post(&format!("?x=1&key={encoded}"), "c")).await.0, 200);
    let failures = "switchhook_grid_auth_failures_total";
    for (query, header, reason) in [
        ("?key=wrong", None, "wrong_key"),
        ("?key=A-SECRET-OF-THE-STAGE", None, "wrong_key"),
        ("", Some("wrong"), "wrong_key"),
        ("?KEY=a-secret-of-the-stage", None, "missing_key"),
        ("", None, "missing_key"),
        ("?key=", None, "missing_key"),
    ] {
        let label = format!("reason=\"{reason}\"");
        let before = stage.metric(failures, &[&label]).await;
        let mut request = post(query, "refused");
        if let Some(header) = header {
            request = request.header("x-switchhook-key", header);
        }
        let (status, body) = answer(request).await;
        assert_eq!((status, body.get("detail")), (401, None), "{query}: {body}");
        assert!(stage.metric(failures, &[&label]).await > before, "{query} {reason}");
    }
    assert_eq!(settled(&stage, 3).await.len(), 3, "nothing that was refused was looked at");
}

#[actix_web::test]
async fn i4_a_call_that_rings_no_more_is_not_acted_on() {
    let clock = ManualClock::starting_now();
    let stage = Stage::with(Setting::untokened(|_| {}).held(&clock)).await;
    stage.assign(NUMBER, json!([{"action": {"type": "reject"}}])).await;
    let ago = |ms: i64| clock.wall() - jiff::SignedDuration::from_millis(ms);
    let batch = json!([
        ringing("a", "old", CALLER, NUMBER, ago(30_000)),
        ringing("b", "young", CALLER, NUMBER, ago(29_999)),
        ringing("c", "of the future", CALLER, NUMBER, ago(-3_000)),
    ]);
    assert_eq!(deliver(&stage, &batch).await.0, 200);
    let decisions = settled(&stage, 3).await;
    let of = |ticket: &str| {
        let wanted = format!("server-{ticket}");
        decisions.iter().find(|decision| decision["serverCallId"] == wanted).expect("a decision")
    };
    assert_eq!((&of("old")["fate"], attempts(&[of("old").clone()])), (&json!("stale"), 0));
    assert_eq!(of("young")["leftMs"], 1);
    assert_eq!(of("of the future")["leftMs"], 30_000);
    for ticket in ["young", "of the future"] {
        assert_eq!(attempts(&[of(ticket).clone()]), 1, "{ticket}");
    }
}

#[actix_web::test]
async fn i5_a_call_is_acted_on_once_however_often_it_is_told() {
    // The same caller rings the same number again and again here, and that is not the point.
    let setting = Setting::untokened(|settings| settings.incoming.max_repeats = 100);
    let stage = Stage::with(setting).await;
    stage.assign(NUMBER, json!([{"action": {"type": "redirect", "target": OUTSIDE}}])).await;
    // A real call, whose ticket Azure takes once; Event Grid repeats itself in every way.
    stage.grid_delivers().await;
    let ring = json!({"from": CALLER, "to": NUMBER});
    let url = stage.emulated("/emulator/incoming-calls");
    let (_, rung) = answer(stage.http.post(url).json(&ring)).await;
    let ticket = rung["incomingCallContext"].as_str().unwrap().to_owned();
    let first = settled(&stage, 1).await;
    assert_eq!(fates(&first), ["redirected"]);
    let same = json!([ringing("same", &ticket, CALLER, NUMBER, now())]);
    for _ in 0..3 {
        assert_eq!(deliver(&stage, &same).await.0, 200);
    }
    let decisions = settled(&stage, 4).await;
    let wanted = ["redirected", "repeated", "repeated", "repeated"];
    assert_eq!(fates(&decisions), wanted, "{}", json!(decisions));
    assert_eq!(attempts(&decisions), 1);

    // The same event many times at once, and the same call under many event ids.
    let one = json!([ringing("again", "ticket-1", "+14255550077", NUMBER, now())]);
    let mut posts: Vec<_> = (0..8).map(|_| one.clone()).collect();
    posts.extend(
        (0..8).map(|n| {
            json!([ringing(&format!("id-{n}"), "ticket-2", "+14255550078", NUMBER, now())])
        }),
    );
    let posts = posts.iter().map(|body| deliver(&stage, body));
    for (status, body) in futures_util::future::join_all(posts).await {
        assert_eq!(status, 200, "{body}");
    }
    let decisions = settled(&stage, 20).await;
    assert_eq!(attempts(&decisions), 3, "one for each call");
    assert_eq!(fates(&decisions).iter().filter(|fate| **fate == "repeated").count(), 17);
}

#[actix_web::test]
async fn i9_a_call_is_not_sent_round_whoever_sends_it() {
    let (second, third, fourth) = ("+18005550102", "+18005550103", "+18005550104");
    let setting = Setting {
        emulator: Box::new(move |config| {
            config.numbers = [NUMBER, second, third, fourth].map(str::to_owned).to_vec();
        }),
        ..Setting::untokened(|settings| {
            settings.incoming.max_hops = 2;
            settings.incoming.max_repeats = 5;
        })
    };
    let stage = Stage::with(setting).await;
    let to = |target: &str| json!([{"action": {"type": "redirect", "target": target}}]);
    // What can be seen when it is written is refused then.
    stage.assign(NUMBER, to(second)).await;
    let put = stage.http.put(stage.private(&format!("/v1/numbers/{second}")));
    let (status, problem) = answer(put.json(&json!({ "steps": to(NUMBER) }))).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("redirect_cycle")));
    // A chain is followed, but only so far.
    stage.assign(second, to(third)).await;
    stage.assign(third, to(fourth)).await;
    stage.assign(fourth, json!([{"action": {"type": "reject"}}])).await;
    let server_call = stage.ring(CALLER, NUMBER).await;
    let decisions = settled(&stage, 3).await;
    assert_eq!(fates(&decisions), ["loopPrevented", "redirected", "redirected"]);
    assert!(decisions.iter().all(|decision| decision["serverCallId"] == server_call));

    // A ring that no table shows: somebody outside sends the caller back, under new call ids.
    stage.assign("+18005550105", to(OUTSIDE)).await;
    let mut round = Vec::new();
    for _ in 0..7 {
        let server_call = stage.ring(CALLER, "+18005550105").await;
        round.push(stage.decision(&server_call).await);
    }
    let seen: Vec<_> = round.iter().map(|decision| decision["fate"].as_str().unwrap()).collect();
    let mut wanted = ["redirected"; 7];
    wanted[5..].fill("loopPrevented");
    assert_eq!(seen, wanted);
    assert_eq!(attempts(&round), 5);
}

/// A small generator, so that a failure can be told by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn of<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

#[actix_web::test]
async fn i10_explain_says_what_is_then_decided() {
    const KEYS: &[&str] = &["+18005550100", "+1800555*", "+1800*", "+18005550101", "+44*", "*"];
    const CALLERS: &[&str] = &["+14255550001", "+14255550002", "+442079460001", "+33140205050"];
    const CALLEES: &[&str] = &[
        "+18005550100",
        "+18005550101",
        "+18005559999",
        "+18009990000",
        "+442079460000",
        "+15005550000",
    ];
    let mut agreed = 0;
    for seed in 0..6 {
        let stage = Stage::untokened().await;
        let mut dice = Dice(seed);
        for key in KEYS {
            if dice.below(3) == 0 {
                continue;
            }
            let steps: Vec<_> = (0..=dice.below(3))
                .map(|_| {
                    let action = match dice.below(3) {
                        0 => json!({"type": "ignore"}),
                        1 => json!({"type": "reject", "reason": dice.of(&["busy", "forbidden"])}),
                        _ => json!({"type": "redirect",
                            "target": dice.of(&["8:acs:one", "8:acs:two", "+18005550101"])}),
                    };
                    let when = match dice.below(4) {
                        0 => json!({}),
                        1 => json!({"caller": {"exact": [dice.of(CALLERS)]}}),
                        2 => json!({"caller": {"prefix": [dice.of(&["+1425", "+44", "+3*"])]}}),
                        _ => json!({"caller": {"anonymous": true, "exact": [dice.of(CALLERS)]}}),
                    };
                    json!({"when": when, "action": action})
                })
                .collect();
            let put = stage.http.put(stage.private(&format!("/v1/numbers/{key}")));
            let (status, body) = answer(put.json(&json!({ "steps": steps }))).await;
            assert!([201, 409].contains(&status), "{seed}: {status} {body}");
        }
        for n in 0..40 {
            let (from, to) = (dice.of(CALLERS), dice.of(CALLEES));
            let asked = json!({"caller": from, "callee": to});
            let (status, told) = stage.post("/v1/routes:explain", asked).await;
            assert_eq!(status, 200, "{told}");
            let event = ringing(&format!("e{n}"), &format!("t{n}"), from, to, now());
            assert_eq!(deliver(&stage, &json!([event])).await.0, 200);
            let live = stage.decision(&format!("server-t{n}")).await["explanation"].clone();
            for member in [
                "verdict",
                "winner",
                "action",
                "candidates",
                "steps",
                "tableVersion",
                "caller",
                "callee",
            ] {
                assert_eq!(told[member], live[member], "{member}, seed {seed}, {from} to {to}");
            }
            agreed += usize::from(told["verdict"] == "act");
        }
    }
    assert!(agreed > 40, "the tables decide something: {agreed}");
}
