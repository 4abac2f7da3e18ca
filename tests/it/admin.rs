//! What an operator sees and does: calls in pages, one in depth, who may come in, how it stops.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use switchhook::app::Drained;
use switchhook::client::{ConnectOutcome, NewCall};
use switchhook::clock::ManualClock;
use switchhook::emulator::EmulatorConfig;
use switchhook::observability::catalogue;
use switchhook::settings::{Given, Purpose, Role, Secret, Settings, Token};
use switchhook::wire::identifiers::Identifier;

use crate::stage::{KEY, Setting, Stage, answer, event, eventually, waits_of};

/// One page: the ids of the calls on it, and where the next one begins.
async fn page(stage: &Stage, query: &str) -> (Vec<String>, Option<u64>) {
    let (status, body) = stage.get(&format!("/admin/calls?{query}")).await;
    assert_eq!(status, 200, "{body}");
    let id = |row: &Value| row["callConnectionId"].as_str().expect("an id").to_owned();
    let ids = body["calls"].as_array().expect("calls").iter().map(id).collect();
    (ids, body["next"].as_u64())
}

async fn all_pages(stage: &Stage, query: &str) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let (ids, next) = page(stage, &format!("{query}&after={after}")).await;
        found.extend(ids);
        match next {
            Some(next) => after = next,
            None => return found,
        }
    }
}

#[actix_web::test]
async fn calls_are_paged_in_their_order_while_others_come_and_go() {
    let stage = Stage::with(Setting::untokened(|settings| settings.calls.shards = 3)).await;
    let name = |n: usize| format!("paged-{n:02}");
    for n in 0..40 {
        stage.told(&[event(&name(n), "up", "CallConnected", None)]).await;
    }
    let (mut seen, mut after, mut more) = (Vec::new(), 0, 40);
    loop {
        let (ids, next) = page(&stage, &format!("limit=7&after={after}")).await;
        assert!(ids.len() <= 7);
        seen.extend(ids);
        let Some(next) = next else { break };
        assert!(next > after);
        after = next;
        // Meanwhile one call ends and another begins.
        if more < 45 {
            stage.told(&[event(&name(more - 40), "end", "CallDisconnected", None)]).await;
            stage.told(&[event(&name(more), "up", "CallConnected", None)]).await;
            more += 1;
        }
    }
    // Calls of different shards may be opened a little out of the order in which they were told of.
    assert_eq!(seen, page(&stage, "limit=1000").await.0, "in order of opening");
    seen.sort();
    assert_eq!(seen, (0..more).map(name).collect::<Vec<_>>(), "each once");
    let (one, next) = page(&stage, "limit=0").await;
    assert_eq!((one.len(), next.is_some()), (1, true));
    let (all, next) = page(&stage, "limit=1000000").await;
    assert_eq!((all.len(), next), (more, None));
}

#[actix_web::test]
async fn calls_are_filtered_by_how_far_they_have_come() {
    let stage = Stage::untokened().await;
    for n in 0..6 {
        stage.told(&[event(&format!("up-{n}"), "up", "CallConnected", None)]).await;
        stage.told(&[event(&format!("ringing-{n}"), "e", "ParticipantsUpdated", None)]).await;
        stage.told(&[event(&format!("failed-{n}"), "e", "CreateCallFailed", None)]).await;
        stage.told(&[event(&format!("over-{n}"), "e", "CallDisconnected", None)]).await;
    }
    eventually("all to be over", || async {
        (all_pages(&stage, "state=disconnected").await.len() == 6).then_some(())
    })
    .await;
    let states = ["connected", "connecting", "failed", "disconnected"];
    for (state, prefix) in states.into_iter().zip(["up", "ringing", "failed", "over"]) {
        let wanted: Vec<_> = (0..6).map(|n| format!("{prefix}-{n}")).collect();
        let mut found = all_pages(&stage, &format!("state={state}&limit=4")).await;
        found.sort();
        assert_eq!(found, wanted, "{state}");
        let (_, body) = stage.get(&format!("/admin/calls?state={state}")).await;
        assert!(
            body["calls"].as_array().unwrap().iter().all(|row| row["state"] == state),
            "{body}"
        );
    }
}

#[actix_web::test]
async fn a_call_is_found_by_any_of_its_ids_with_everything_about_it() {
    let stage = Stage::untokened().await;
    let mut first = event("leg-1", "e1", "CallConnected", Some("ctx"));
    first["data"]["serverCallId"] = "aHR0cHM6/Ly9h+cGk=".into();
    let mut second = event("leg-2", "e1", "CallConnected", None);
    second["data"]["serverCallId"] = "aHR0cHM6/Ly9h+cGk=".into();
    stage.told(&[first.clone(), second]).await;
    for id in ["leg-1", "correlation-leg-1"] {
        let (status, view) = stage.view(id).await;
        assert_eq!((status, &view["callConnectionId"]), (200, &json!("leg-1")), "{id}: {view}");
        assert!(view.get("legs").is_none(), "{view}");
    }
    let (status, view) = stage.view("aHR0cHM6/Ly9h+cGk=").await;
    assert_eq!((status, &view["legs"]), (200, &json!(["leg-1", "leg-2"])), "{view}");
    assert_eq!(view["serverCallId"], "aHR0cHM6/Ly9h+cGk=");
    assert_eq!(view["correlationId"], "correlation-leg-1");

    let wait = json!({"types": ["PlayFailed"], "operationContext": "ctx", "filter": []});
    let wait = stage.begin_to_wait("leg-1", wait, 1).await;
    let (_, view) = stage.view("leg-1").await;
    let shown = &view["waits"][0];
    assert_eq!(shown["types"], json!(["Microsoft.Communication.PlayFailed"]));
    assert_eq!((&shown["operationContext"], &shown["filtered"]), (&json!("ctx"), &json!(true)));
    assert!(shown["leftMs"].as_u64() <= Some(240_000) && shown["ageMs"].is_u64(), "{view}");
    assert_eq!((&view["state"], &view["backlog"]), (&json!("connected"), &json!(1)));
    let line = &view["events"][0];
    assert_eq!(line["event"], first);
    assert_eq!((&line["fate"], &line["code"]), (&json!("kept"), &json!(200)));
    assert!(line["cursor"].is_string() && line["receivedAt"].is_string());
    stage.told(&[event("leg-1", "end", "CallDisconnected", None)]).await;
    assert_eq!(wait.await.unwrap().0, 410);
    let (status, view) = stage.view("correlation-leg-1").await;
    assert_eq!((status, &view["state"]), (200, &json!("disconnected")), "ended calls, too");
}

#[actix_web::test]
async fn hanging_up_ends_the_call_at_the_call_service() {
    let own = |config: &mut EmulatorConfig| config.numbers = vec!["+18005550100".to_owned()];
    let emulator = Box::new(own);
    let stage = Stage::with(Setting { emulator, ..Setting::default() }).await;
    let new = NewCall::to(Identifier::phone("+14255550001")).from_number("+18005550100");
    let call = stage.app.client().create_call(new).await.expect("it rings");
    assert_eq!(call.connected().await.expect("an outcome"), ConnectOutcome::Connected);
    let emulated = async || {
        let (_, body) = answer(stage.http.get(stage.emulated("/emulator/calls"))).await;
        body.to_string().contains(call.id().as_str())
    };
    assert!(emulated().await);
    let path = format!("/admin/calls/{}:hangup", call.id());
    for (body, code) in
        [(json!({}), "invalid_request"), (json!({"reason": " "}), "invalid_request")]
    {
        let (status, problem) = stage.post(&path, body).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some(code)));
    }
    assert!(emulated().await, "nothing is done without a reason");
    let wait = json!({"types": ["CallDisconnected"], "timeoutMs": 20_000});
    let wait = stage.begin_to_wait(call.id().as_str(), wait, 1).await;
    let (status, body) = stage.post(&path, json!({"reason": "left by mistake"})).await;
    assert_eq!((status, body), (204, json!("")));
    assert_eq!(wait.await.unwrap().0, 200);
    eventually("the call to be gone", || async { (!emulated().await).then_some(()) }).await;

    // A call that only we know of: the call service says no, and so do we.
    let stage = Stage::untokened().await;
    stage.told(&[event("only-here", "e1", "CallConnected", None)]).await;
    let (status, problem) =
        stage.post("/admin/calls/only-here:hangup", json!({"reason": "x"})).await;
    assert_eq!((status, problem["code"].as_str()), (502, Some("upstream_refused")), "{problem}");
    assert_eq!(problem["upstreamStatus"], 404);
}

#[actix_web::test]
async fn actors_and_settings_can_be_looked_at_and_secrets_cannot() {
    const PRIVATE: &[&str] = &[
        "endpoint=https://a.example.com/;accesskey=c2VjcmV0LWtleQ==",
        "a-token-of-sixteen-letters",
        "grid-key-of-sixteen-letters",
        "calls-key-of-sixteen-letters",
    ];
    let setting = Setting::untokened(|settings| {
        let tokens = format!("[{{name = \"ops\", role = \"admin\", secret = \"{}\"}}]", PRIVATE[1]);
        let environment = [
            ("AZURE__CONNECTION_STRING", PRIVATE[0]),
            ("PRIVATE__TOKENS", &tokens),
            ("EVENT_GRID__KEY", PRIVATE[2]),
            ("CALLBACKS__KEY", PRIVATE[3]),
            ("CALLS__BACKLOG_EVENTS", "77"),
            ("STORE__EPHEMERAL", "true"),
        ];
        let environment =
            environment.map(|(key, value)| (format!("SWITCHHOOK__{key}"), value.into()));
        let given = Given { environment: environment.into(), ..Given::default() };
        let (public, private) = (settings.public.listen, settings.private.listen);
        *settings = Settings::load(&given, Purpose::Local).expect("good settings");
        (settings.public.listen, settings.private.listen) = (public, private);
        settings.callbacks.require_jwt = false;
    });
    let stage = Stage::with(setting).await;
    let get = async |path: &str| {
        answer(stage.http.get(stage.private(path)).bearer_auth(PRIVATE[1])).await
    };
    let (status, config) = get("/admin/config").await;
    assert_eq!(status, 200);
    let text = config.to_string();
    assert!(PRIVATE.iter().all(|secret| !text.contains(secret)), "{text}");
    assert!(!text.contains("c2VjcmV0LWtleQ"), "{text}");
    let of = |key: &str| {
        let lines = config.as_array().expect("lines").iter();
        lines.clone().find(|line| line["key"] == key).expect(key).clone()
    };
    assert_eq!(of("azure.connection_string")["value"], "***");
    assert_eq!(of("calls.backlog_events")["value"], "77");
    assert!(of("calls.backlog_events")["origin"].as_str().is_some_and(|o| o != "default"));
    assert_eq!(of("calls.tombstone_ms")["origin"], "default");
    let (status, actors) = get("/admin/actors").await;
    assert_eq!(status, 200);
    assert!(actors["registry"].as_array().is_some_and(|shards| !shards.is_empty()), "{actors}");
    assert!(actors["routing"]["assignments"].is_u64(), "{actors}");
    assert!(actors["routing"].get("decisions").is_none(), "{actors}");
}

#[actix_web::test]
async fn roles_open_what_they_should_and_nothing_else() {
    let token = |role: Role, secret: &str| Token {
        name: secret.to_owned(),
        role,
        secret: Secret::new(secret),
    };
    let setting = Setting::untokened(move |settings| {
        settings.private.tokens = vec![
            token(Role::Read, "the-token-of-a-reader"),
            token(Role::Operate, "the-token-of-an-operator"),
            token(Role::Admin, "the-token-of-an-admin"),
        ];
    });
    let stage = Stage::with(setting).await;
    stage.told(&[event("guarded", "e1", "CallConnected", None)]).await;
    let reject = json!({"steps": [{"action": {"type": "reject"}}]});
    let explain = json!({"caller": "+14255550001", "callee": "+18005550100"});
    let now = json!({"timeoutMs": 0});
    let back = json!({"version": 0, "why": "x"});
    let waits = waits_of("guarded");
    let (read, operate, admin) = (0, 1, 2);
    let routes = [
        (Method::GET, "/v1/events", None, read),
        (Method::GET, "/v1/calls/guarded/events", None, read),
        (Method::GET, "/v1/numbers", None, read),
        (Method::GET, "/v1/numbers/history", None, read),
        (Method::GET, "/admin/calls", None, read),
        (Method::GET, "/admin/calls/guarded", None, read),
        (Method::GET, "/admin/actors", None, read),
        (Method::GET, "/admin/config", None, read),
        (Method::GET, "/admin/incoming", None, read),
        (Method::GET, "/metrics", None, read),
        (Method::POST, "/v1/routes:explain", Some(&explain), read),
        (Method::POST, waits.as_str(), Some(&now), operate),
        (Method::PUT, "/v1/numbers/+18005550100", Some(&reject), operate),
        (Method::DELETE, "/v1/numbers/+18005550100", None, operate),
        (Method::POST, "/v1/numbers:rollback", Some(&back), operate),
        (Method::POST, "/admin/calls/guarded:hangup", Some(&json!({"reason": "x"})), admin),
    ]
    .map(|(method, path, body, needed)| (method, path, body.cloned(), needed));
    let tokens = ["the-token-of-a-reader", "the-token-of-an-operator", "the-token-of-an-admin"];
    let send = async |method: &Method, path: &str, body: Option<&Value>, token: Option<&str>| {
        let mut request = stage.http.request(method.clone(), stage.private(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        answer(request).await
    };
    for (method, path, body, needed) in &routes {
        for (role, token) in tokens.iter().enumerate() {
            let bearer = format!("Bearer {token}");
            let (status, problem) = send(method, path, body.as_ref(), Some(&bearer)).await;
            let forbidden = status == 403 && problem["code"] == "forbidden";
            assert_eq!(
                forbidden,
                role < *needed,
                "{method} {path} with {token}: {status} {problem}"
            );
            assert_ne!(status, 401, "{method} {path} with {token}");
        }
        let wrong = [
            "Bearer the-token-of-nobody",
            "Bearer",
            "",
            "Basic the-token-of-an-admin",
            "the-token-of-an-admin",
        ];
        for given in wrong.into_iter().map(Some).chain([None]) {
            let (status, problem) = send(method, path, body.as_ref(), given).await;
            assert_eq!(
                (status, problem["code"].as_str()),
                (401, Some("unauthorized")),
                "{given:?}"
            );
            assert!(problem.get("detail").is_none(), "{problem}");
        }
    }
    // Probes need no token, and strangers do not even learn which routes there are.
    for probe in ["/livez", "/readyz"] {
        assert_eq!(stage.get(probe).await.0, 200);
    }
    assert_eq!(stage.get("/no/such/route").await.0, 401);
}

#[actix_web::test]
async fn without_tokens_pages_of_other_origins_get_nothing() {
    let stage = Stage::untokened().await;
    let send = async |name: &'static str, value: &str| {
        answer(stage.http.get(stage.private("/admin/calls")).header(name, value)).await.0
    };
    for origin in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"] {
        assert_eq!(send("origin", origin).await, 200, "{origin}");
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example:80",
        "http://127.0.0.1@evil.example",
        "file://",
    ] {
        assert_eq!(send("origin", origin).await, 403, "{origin}");
    }
    for host in ["localhost", "localhost:99", "127.0.0.1:1", "[::1]:8081"] {
        assert_eq!(send("host", host).await, 200, "{host}");
    }
    for host in ["evil.example", "rebound.example:8081", "10.0.0.1", "localhost.evil.example"] {
        assert_eq!(send("host", host).await, 403, "{host}");
    }
    // A form of another page can post without being asked, but not as JSON.
    let post = stage.http.post(stage.private(&waits_of("x"))).body("{\"timeoutMs\":0}");
    assert_eq!(answer(post.header("content-type", "text/plain")).await.0, 415);
}

#[actix_web::test]
async fn a_drain_lets_calls_finish_and_then_ends_what_still_waits() {
    let clock = ManualClock::starting_now();
    let setting = Setting::untokened(|settings| settings.drain.timeout = Duration::from_secs(30));
    let Stage { app, http, emulator: _emulator, .. } = Stage::with(setting.held(&clock)).await;
    let private = app.private_url().to_owned();
    let public = app.public_url().to_owned();
    let tell = async |event: Value| {
        let url = format!("{public}/webhooks/calls?key={KEY}");
        let (status, body) = answer(http.post(url).json(&json!([event]))).await;
        assert_eq!(status, 200, "{body}");
    };
    let get = async |path: &str| answer(http.get(format!("{private}{path}"))).await;
    tell(event("stays", "e1", "CallConnected", None)).await;
    tell(event("ends", "e1", "CallConnected", None)).await;
    let begin = |call: &str, wants: Value| {
        let wait = http.post(format!("{private}{}", waits_of(call))).json(&wants);
        tokio::spawn(answer(wait))
    };
    let patient = begin("stays", json!({"types": ["PlayCompleted"]}));
    let lucky = begin("ends", json!({"types": ["PlayCompleted"]}));
    let standing = async |call: &str| {
        let (_, view) = get(&format!("/admin/calls/{call}")).await;
        view["waits"].as_array().is_some_and(|waits| waits.len() == 1).then_some(())
    };
    eventually("both waits", || async { standing("stays").await.and(standing("ends").await) })
        .await;
    let mut streams = Vec::new();
    for path in ["/v1/calls/stays/events", "/v1/events"] {
        let stream = http.get(format!("{private}{path}")).header("accept", "text/event-stream");
        streams.push(stream.send().await.unwrap());
    }
    assert_eq!(get("/readyz").await, (200, json!({"ready": true, "reasons": []})));

    let drained = actix_web::rt::spawn(app.drain());
    let not_ready = (503, json!({"ready": false, "reasons": ["draining"]}));
    eventually("the drain", || async { (get("/readyz").await == not_ready).then_some(()) }).await;
    assert_eq!(get("/livez").await.0, 200);
    // Events are still taken, and waits still told.
    tell(event("ends", "e2", "PlayCompleted", None)).await;
    assert_eq!(lucky.await.unwrap().0, 200);
    tell(event("ends", "end", "CallDisconnected", None)).await;
    eventually("its end", || async {
        (get("/admin/calls/ends").await.1["state"] == "disconnected").then_some(())
    })
    .await;
    assert!(!patient.is_finished());
    clock.advance(Duration::from_millis(29_999));
    assert_eq!(get("/readyz").await.0, 503);
    assert!(!patient.is_finished());
    clock.advance(Duration::from_millis(1));
    let (status, problem) = patient.await.unwrap();
    assert_eq!((status, problem["code"].as_str()), (503, Some("shutting_down")), "{problem}");
    let told = streams.remove(0).text().await.unwrap();
    assert!(
        told.ends_with("event: switchhook.end\ndata: {\"reason\":\"shutting_down\"}\n\n"),
        "{told}"
    );
    assert_eq!(drained.await.unwrap(), Drained { calls: 2, left: 1 });
}

#[actix_web::test]
async fn a_drain_is_over_when_the_last_call_is() {
    let Stage { app, http, emulator: _emulator, .. } = Stage::untokened().await;
    let url = format!("{}/webhooks/calls?key={KEY}", app.public_url());
    let ready = format!("{}/readyz", app.private_url());
    let tell = async |event: Value| {
        assert_eq!(answer(http.post(&url).json(&json!([event]))).await.0, 200);
    };
    tell(event("last", "e1", "CallConnected", None)).await;
    let drained = actix_web::rt::spawn(app.drain());
    eventually("the drain", || async { (answer(http.get(&ready)).await.0 == 503).then_some(()) })
        .await;
    tell(event("last", "end", "CallDisconnected", None)).await;
    assert_eq!(drained.await.unwrap(), Drained { calls: 1, left: 0 });
}

/// `name{a="b",c="d"} 1` in its parts.
fn sample(line: &str) -> (&str, Vec<(&str, &str)>) {
    let head = line.rsplit_once(' ').expect("a value").0;
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
    let labels = labels.filter_map(|label| label.split_once("=\""));
    (name, labels.map(|(name, value)| (name, value.trim_end_matches('"'))).collect())
}

#[actix_web::test]
async fn every_metric_that_is_told_stands_in_the_catalogue() {
    let stage = Stage::untokened().await;
    stage.told(&[event("counted", "e1", "CallConnected", None)]).await;
    stage.told(&[event("counted", "e1", "CallConnected", None)]).await;
    stage.told(&[event("counted", "e2", "Sneezed", None)]).await;
    let _told = stage.wait("counted", json!({})).await;
    let _timed_out = stage.wait("counted", json!({"types": ["PlayFailed"], "timeoutMs": 0})).await;
    let _refused = stage.callback("{}").await;
    let _unknown = stage.get("/no/such/route").await;
    let _nobody = answer(stage.http.post(stage.public("/webhooks/calls"))).await;
    stage.assign("+18005550100", json!([{"action": {"type": "reject"}}])).await;
    let server_call = stage.ring("+14255550001", "+18005550100").await;
    assert_eq!(stage.decision(&server_call).await["fate"], "rejected");
    stage.told(&[event("counted", "end", "CallDisconnected", None)]).await;
    eventually("the end", || async {
        (stage.view("counted").await.1["state"] == "disconnected").then_some(())
    })
    .await;

    let metrics = stage.metrics().await;
    let mut seen = BTreeSet::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, labels) = sample(line);
        // Prometheus' own names for any process.
        if name.starts_with("process_") {
            continue;
        }
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let metric = catalogue::find(name).or_else(|| catalogue::find(bare?));
        let metric = metric.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        seen.insert(metric.name);
        for (label, value) in labels.into_iter().filter(|(label, _)| *label != "le") {
            let known = metric.labels.iter().find(|known| known.name == label);
            let known =
                known.unwrap_or_else(|| panic!("{label} of {name} is not in the catalogue"));
            assert!(known.values.contains(value), "{line}");
        }
    }
    for family in [
        "switchhook_calls_live",
        "switchhook_calls_opened_total",
        "switchhook_calls_ended_total",
        "switchhook_events_received_total",
        "switchhook_events_rejected_total",
        "switchhook_waits_total",
        "switchhook_wait_seconds",
        "switchhook_incoming_calls_total",
        "switchhook_incoming_ring_left_seconds",
        "switchhook_number_assignments",
        "switchhook_upstream_requests_total",
        "switchhook_upstream_request_seconds",
        "switchhook_callback_auth_failures_total",
        "switchhook_http_requests_total",
        "switchhook_build_info",
    ] {
        assert!(seen.contains(family), "{family} is missing:\n{metrics}");
        assert!(metrics.contains(&format!("# HELP {family} ")), "{family} is not explained");
    }
    #[cfg(target_os = "linux")]
    for family in
        ["process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds"]
    {
        assert!(metrics.contains(&format!("\n{family} ")), "{family} is missing:\n{metrics}");
    }
}
