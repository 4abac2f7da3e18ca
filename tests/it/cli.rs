//! The real binary: what it prints, and how it ends.

mod emulator;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

/// A run of the binary that has ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The binary with these arguments, and with no settings of ours in its environment.
pub fn switchhook(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchhook"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SWITCHHOOK_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Said {
    ended(&mut switchhook(arguments))
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Said {
    let output = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// One request as the listener saw it.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// A private listener that answers from a list: request line to status and body.
struct Listener {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: ServerHandle,
}

type Answers = Vec<(&'static str, u16, Value)>;

impl Listener {
    fn start(answers: Answers) -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (book, answers) = (Arc::clone(&asked), Arc::new(answers));
        let server = HttpServer::new(move || {
            let (book, answers) = (Arc::clone(&book), Arc::clone(&answers));
            let answer = move |request: HttpRequest, body: web::Bytes| {
                let asked = read(&request, &body);
                let found = answers.iter().find(|(line, ..)| *line == asked.line);
                let response = match found {
                    Some((_, status, body)) => respond(*status, body),
                    None => HttpResponse::NotImplemented().body(asked.line.clone()),
                };
                book.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
                async move { response }
            };
            App::new().default_service(web::to(answer))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, asked, server: handle }
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        let mut all: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        all.extend(["--server".to_owned(), self.url.clone()]);
        let said = move || run(&all.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(said).await.expect("no panic")
    }

    fn asked(&self) -> Asked {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.last().cloned().expect("somebody asked")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

fn read(request: &HttpRequest, body: &[u8]) -> Asked {
    let headers = request.headers().iter();
    let text = |value: &actix_web::http::header::HeaderValue| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
    Asked {
        line: format!("{} {}", request.method(), request.uri()),
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: serde_json::from_slice(body).unwrap_or_default(),
    }
}

/// A text body is a stream of events, everything else JSON.
fn respond(status: u16, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(status).expect("a status"));
    match body {
        Value::Null => response.finish(),
        Value::String(stream) => response.content_type("text/event-stream").body(stream.clone()),
        body => response.json(body),
    }
}

fn problem(status: u16, code: &str, title: &str) -> Value {
    json!({ "type": format!("urn:switchhook:problem:{code}"), "title": title, "status": status,
        "code": code })
}

#[test]
fn arguments_that_cannot_be_read_are_a_usage_error() {
    let wrong: [&[&str]; 7] = [
        &[],
        &["calls"],
        &["nonsense"],
        &["explain-code", "silence"],
        &["calls", "list", "--server", "not a url"],
        &["numbers", "set", "+1425"],
        &["numbers", "set", "+1425", "--ignore", "--reject", "busy"],
    ];
    for arguments in wrong {
        let said = run(arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(said.err.contains("Usage: switchhook") || said.err.contains("--help"), "{said:?}");
    }
    assert_eq!(run(&["--help"]).code, Some(0));
    assert!(run(&["--version"]).out.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn nobody_at_the_address_is_told_from_everything_else() {
    // A port that was free a moment ago and that nobody listens on.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    for arguments in [
        &["calls", "list", "--server", &url][..],
        &["events", "tail", "--server", &url],
        &["healthcheck", "--url", &url],
    ] {
        let said = run(arguments);
        assert_eq!(said.code, Some(6), "{said:?}");
        assert!(said.err.contains(&url), "{said:?}");
    }
}

#[test]
fn faulty_settings_are_told_all_at_once_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("switchhook.toml");
    std::fs::write(&file, "[calls]\nbacklog_ms = \"soon\"\n[public]\nport = 1\n").expect("a file");
    let file = file.to_str().expect("a path");
    for command in [&["serve"][..], &["dev"], &["emulator"], &["config", "check"]] {
        let said = run(&[command, &["--config", file]].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(64), ""), "{said:?}");
        for fault in ["calls.backlog_ms", "public.port"] {
            assert!(said.err.contains(fault), "{fault} is not in {said:?}");
        }
    }
}

#[test]
fn settings_show_who_set_them_and_no_secret() {
    let shown = |command: &mut Command| {
        let output = command.output().expect("the binary runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let mut command = switchhook(&["config", "show", "--json", "--log-level", "warn"]);
    let out = shown(command.env("SWITCHHOOK__EVENT_GRID__KEY", "very-secret-key-for-grid"));
    let lines: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let find = |key: &str| lines.iter().find(|line| line["key"] == key).cloned();
    let level = find("log.level").expect("a level");
    assert_eq!(
        (&level["value"], &level["origin"]),
        (&json!("\"warn\""), &json!("flag --log-level"))
    );
    assert_eq!(find("event_grid.key").expect("a key")["value"], "***");
    assert!(!out.contains("very-secret"), "{out}");
}

#[test]
fn codes_are_explained_without_a_service() {
    let said = run(&["explain-code", "400/8510"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.starts_with("400/8510: nothing was keyed in or said"), "{said:?}");
    let json: Value =
        serde_json::from_str(&run(&["explain-code", "8510", "--json"]).out).expect("one");
    assert_eq!((&json["code"], &json["subCode"]), (&Value::Null, &json!(8510)));
    assert_eq!(run(&["explain-code", "299/1"]).code, Some(3));
}

#[test]
fn completions_name_the_commands() {
    let said = run(&["completions", "bash"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("explain-code") && said.out.contains("healthcheck"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = switchhook(&["completions", "zsh"]);
    let output = command.stdout(writer).stderr(Stdio::piped()).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn two_pages_of_calls() -> Answers {
    let call = |id: &str, state: &str| {
        json!({ "callConnectionId": id, "state": state, "ageMs": 61_000, "participants": 2,
            "waits": 1, "backlog": 0, "subscriptions": 0, "events": 3, "lastEvent": "PlayStarted" })
    };
    let mut doubtful = call("c2", "failed");
    doubtful["unverified"] = true.into();
    vec![
        (
            "GET /admin/calls?limit=100",
            200,
            json!({ "calls": [call("c1", "connected")], "next": 7 }),
        ),
        ("GET /admin/calls?limit=99&after=7", 200, json!({ "calls": [doubtful.clone()] })),
        ("GET /admin/calls?limit=1&state=connected", 200, json!({ "calls": [] })),
        ("GET /admin/calls/c2", 200, doubtful),
    ]
}

#[actix_web::test]
async fn calls_are_a_table_for_people_and_lines_for_scripts() {
    let listener = Listener::start(two_pages_of_calls());
    let said = listener.run(&["calls", "list"]).await;
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(lines[0].starts_with("CALL  STATE               AGE        PARTIES"), "{said:?}");
    assert!(lines[1].starts_with("c1    connected           1 min 1 s  2"), "{said:?}");
    assert!(lines[2].starts_with("c2    failed, unverified  1 min 1 s  2"), "{said:?}");
    let said = listener.run(&["calls", "show", "c2"]).await;
    assert!(said.out.contains("state        failed, unverified, 1 min 1 s old"), "{said:?}");
    let said = listener.run(&["calls", "list", "--json"]).await;
    let ids: Vec<Value> = said
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("an object")["callConnectionId"].take()
        })
        .collect();
    assert_eq!(ids, ["c1", "c2"]);
    let said = listener.run(&["calls", "list", "--state", "connected", "--limit", "1"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "no calls\n"));
}

#[actix_web::test]
async fn problems_become_exit_codes() {
    let listener = Listener::start(vec![
        ("GET /admin/calls/a%2Fb", 404, problem(404, "call_not_found", "no call has that id")),
        ("PUT /v1/numbers/%2B1425%2A", 412, problem(412, "version_conflict", "somebody else")),
        ("GET /v1/numbers/%2A", 401, problem(401, "unauthorized", "no valid proof")),
        ("POST /v1/calls/c1/waits", 408, problem(408, "wait_timed_out", "no such event came")),
        ("POST /v1/calls/c2/waits", 410, problem(410, "call_ended", "the call ended first")),
        ("POST /admin/calls/c1:hangup", 400, problem(400, "invalid_request", "does not fit")),
        ("DELETE /v1/numbers/x", 503, problem(503, "busy", "try again shortly")),
    ]);
    let cases: [(&[&str], i32, &str); 8] = [
        (&["calls", "show", "a/b"], 3, "call_not_found"),
        (&["numbers", "set", "+1425*", "--ignore"], 4, "version_conflict"),
        (&["numbers", "get", "*"], 5, "unauthorized"),
        (&["calls", "wait", "c1"], 7, "wait_timed_out"),
        (&["calls", "wait", "c2"], 1, "call_ended"),
        (&["calls", "hangup", "c1", "--reason", "x"], 9, "invalid_request"),
        (&["numbers", "rm", "x"], 1, "busy"),
        (&["calls", "wait", "c1", "--filter", "{"], 9, "--filter is not JSON"),
    ];
    for (arguments, code, word) in cases {
        let said = listener.run(arguments).await;
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(word), "{arguments:?}: {said:?}");
    }
    let said = listener.run(&["numbers", "rm", "x", "--json"]).await;
    let told: Value = serde_json::from_str(&said.err).expect("one object");
    assert_eq!(told["code"], "busy");
    let said = listener.run(&["calls", "show", "elsewhere"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("is not switchhook's private listener"), "{said:?}");
}

#[actix_web::test]
async fn a_change_says_who_may_and_why_and_on_what_it_rests() {
    let written = json!({ "key": "+1425", "version": 8, "note": "sales",
        "steps": [{ "action": { "type": "redirect", "target": "8:acs:a" } }] });
    let listener = Listener::start(vec![("PUT /v1/numbers/%2B1425", 200, written)]);
    let set = ["numbers", "set", "+1425", "--redirect", "8:acs:a", "--note", "sales"];
    let more = ["--why", "moved", "--if-version", "7", "--token", "abc"];
    let said = listener.run(&[&set[..], &more[..]].concat()).await;
    assert_eq!(said.out, "+1425  version 8\n  note  sales\n  0  redirect to 8:acs:a\n", "{said:?}");
    let asked = listener.asked();
    let header = |name: &str| asked.headers.get(name).map(String::as_str);
    assert_eq!(header("if-match"), Some("\"7\""));
    assert_eq!(header("x-switchhook-reason"), Some("moved"));
    assert_eq!(header("authorization"), Some("Bearer abc"));
    let action = json!({ "action": { "type": "redirect", "target": "8:acs:a" } });
    assert_eq!(asked.body, json!({ "note": "sales", "steps": [action] }));
    listener.run(&["numbers", "set", "+1425", "--answer", "--if-version", "0"]).await;
    assert_eq!(listener.asked().headers.get("if-none-match").map(String::as_str), Some("*"));
}

#[actix_web::test]
async fn an_assignment_is_taken_from_a_file_as_it_stands() {
    let listener =
        Listener::start(vec![("PUT /v1/numbers/%2A", 201, json!({ "key": "*", "version": 1 }))]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.json");
    let plan = json!({ "steps": [{ "action": { "type": "ignore" } }], "version": 3 });
    std::fs::write(&file, plan.to_string()).expect("a file");
    let file = file.to_str().expect("a path");
    assert_eq!(listener.run(&["numbers", "set", "*", file]).await.code, Some(0));
    assert_eq!(listener.asked().body, plan);
    std::fs::write(file, "{").expect("a file");
    assert_eq!(listener.run(&["numbers", "set", "*", file]).await.code, Some(9));
    let missing = listener.run(&["numbers", "set", "*", "/no/such/file"]).await;
    assert_eq!(missing.code, Some(9), "{missing:?}");
}

#[actix_web::test]
async fn i11_the_history_is_a_table_and_a_rollback_says_why() {
    let change = |version: u64| {
        let after = json!({ "steps": [{ "action": { "type": "answer" } }], "version": version });
        json!({ "version": version, "at": "2025-11-21T08:30:00Z", "what": "put", "who": "desk",
            "why": "moved", "keyCount": 1, "keys": [{ "key": "*", "before": null, "after": after }] })
    };
    let page = |changes: &[u64], next: Value| {
        let changes: Vec<_> = changes.iter().map(|version| change(*version)).collect();
        json!({ "changes": changes, "version": 9, "oldest": 0, "next": next })
    };
    let listener = Listener::start(vec![
        ("GET /v1/numbers/history?limit=3", 200, page(&[9, 8], json!(8))),
        ("GET /v1/numbers/history?limit=1&before=8", 200, page(&[7], json!(7))),
        ("GET /v1/numbers/history?limit=20", 200, page(&[], Value::Null)),
        ("POST /v1/numbers:rollback", 200, json!({ "version": 10, "to": 7, "keyCount": 2 })),
    ]);
    let said = listener.run(&["numbers", "history", "--limit", "3"]).await;
    let first = "9        2025-11-21T08:30:00Z  desk  set   *    -       answer  moved";
    assert_eq!(said.out.lines().nth(1), Some(first), "{said:?}");
    assert_eq!(said.out.lines().count(), 4);
    let said = listener.run(&["numbers", "history", "--limit", "3", "--json"]).await;
    let versions = said
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an object")["version"].as_u64());
    assert_eq!(versions.collect::<Vec<_>>(), [Some(9), Some(8), Some(7)]);
    assert_eq!(listener.run(&["numbers", "history"]).await.out, "nothing was changed\n");
    let back = ["numbers", "rollback", "7", "--why", "wrong block"];
    let said = listener.run(&[&back[..], &["--if-version", "9"]].concat()).await;
    assert_eq!(said.out, "rolled back to 7, 2 keys changed; now version 10\n", "{said:?}");
    let asked = listener.asked();
    assert_eq!(asked.body, json!({ "version": 7, "why": "wrong block" }));
    assert_eq!(asked.headers.get("if-match").map(String::as_str), Some("\"9\""));
    assert_eq!(listener.run(&back[..3]).await.code, Some(2), "a rollback needs a reason");
}

#[actix_web::test]
async fn i10_an_expectation_that_is_not_met_exits_with_8() {
    let explanation = json!({ "tableVersion": 1, "caller": "+1", "callee": "+2", "verdict": "act",
        "candidates": [{ "key": "+2", "fate": "won", "version": 1 }],
        "steps": [{ "index": 0, "action": { "type": "reject", "reason": "busy" }, "fate": "chosen" }],
        "action": { "type": "reject", "reason": "busy" } });
    let listener = Listener::start(vec![("POST /v1/routes:explain", 200, explanation)]);
    let ask = ["route", "explain", "+1", "+2", "--at", "2026-12-24T18:00:00Z"];
    let met = listener.run(&[&ask[..], &["--expect", "rejected"]].concat()).await;
    assert_eq!(met.code, Some(0), "{met:?}");
    assert!(met.out.contains("step 0: reject (busy)  chosen"), "{met:?}");
    let asked = json!({ "caller": "+1", "callee": "+2", "at": "2026-12-24T18:00:00Z" });
    assert_eq!(listener.asked().body, asked);
    for wrong in [["--expect", "answered"], ["--expect-target", "8:acs:a"]] {
        let said = listener.run(&[&ask[..], &wrong[..]].concat()).await;
        assert_eq!(said.code, Some(8), "{said:?}");
        assert!(said.err.contains("but the call would be rejected"), "{said:?}");
    }
}

#[actix_web::test]
async fn streams_are_followed_to_their_end_or_as_far_as_asked() {
    let event = |n: u64| {
        json!({ "cursor": format!("0-{n}"), "receivedAt": "2026-01-01T00:00:00Z",
            "callConnectionId": "c1", "type": "Microsoft.Communication.PlayCompleted" })
    };
    let frame = |n: u64| format!("id: 0-{n}\nevent: PlayCompleted\ndata: {}\n\n", event(n));
    let two = format!(": still here\n\n{}{}", frame(1), frame(2));
    let end = "event: switchhook.end\ndata: {\"reason\":\"call_ended\"}\n\n";
    let listener = Listener::start(vec![
        (
            "GET /v1/calls/c1/events?types=PlayCompleted&after=0-0",
            200,
            format!("{two}{end}").into(),
        ),
        ("GET /v1/events", 200, two.into()),
    ]);
    let tail = ["calls", "tail", "c1", "--type", "PlayCompleted", "--after", "0-0", "--json"];
    let said = listener.run(&tail).await;
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!((said.code, lines), (Some(0), vec![event(1), event(2)]));
    let said = listener.run(&["events", "tail", "--count", "1"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out, "2026-01-01T00:00:00Z  c1  PlayCompleted\n");
    let said = listener.run(&["events", "tail"]).await;
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(said.err.contains("--after 0-2"), "{said:?}");
}

/// A server command that runs until it is told to stop.
pub struct Running {
    child: Child,
    pub ready: Value,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = switchhook(arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        Self { ready: serde_json::from_str(&line).expect("one object"), child }
    }

    /// Asks it to end, as a container's runtime does.
    pub fn stop(mut self) -> Said {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let mut err = String::new();
        let pipe = self.child.stderr.as_mut().expect("a pipe");
        pipe.read_to_string(&mut err).expect("text");
        Said { code: self.child.wait().expect("an end").code(), out: String::new(), err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
    }
}

#[test]
fn dev_tells_where_everything_is_and_drains_when_asked_to_end() {
    let dev = Running::start(&["dev", "--ports", "auto", "--json", "--log-level", "error"]);
    let text = |name: &str| dev.ready[name].as_str().unwrap_or_default().to_owned();
    let private = text("private");
    let livez = format!("{}/livez", text("public"));
    assert!(text("eventGridUrl").starts_with(&text("public")), "{}", dev.ready);
    assert!(text("connectionString").contains(&text("emulator")), "{}", dev.ready);
    assert!(
        dev.ready["adminToken"].is_null() && text("gatewayConnectionString").contains(&private)
    );
    assert_eq!(run(&["healthcheck", "--url", &livez]).code, Some(0));
    let server = ["--server", private.as_str()];
    let set = ["numbers", "set", "+18005550100", "--reject", "busy"];
    assert_eq!(run(&[&set[..], &server].concat()).code, Some(0));
    let ask = ["route", "explain", "+1425", "+18005550100", "--expect", "rejected"];
    assert_eq!(run(&[&ask[..], &server].concat()).code, Some(0));
    assert_eq!(run(&[&["calls", "list"][..], &server].concat()).out, "no calls\n");
    let ended = dev.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("0 calls were live"), "{ended:?}");
}

#[test]
fn the_emulator_alone_tells_its_connection_string() {
    let emulator = Running::start(&["emulator", "--listen", "127.0.0.1:0", "--json"]);
    let url = emulator.ready["emulator"].as_str().expect("a URL").to_owned();
    let string = emulator.ready["connectionString"].as_str().expect("a connection string");
    assert!(string.starts_with(&format!("endpoint={url}/;accesskey=")), "{string}");
    assert_eq!(run(&["healthcheck", "--url", &format!("{url}/emulator/livez")]).code, Some(0));
    assert_eq!(emulator.stop().code, Some(0));
}
