//! E1: how fast the emulator is there, and 1,000 calls at a time with their events.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use switchhook::pure::signing::{AccessKey, authorization, content_hash, string_to_sign};

use crate::report::{median, say};

const CALLS: usize = 1_000;
/// Calls that begin at the same time, so that beginning does not take longer than talking.
const TOGETHER: usize = 20;
/// How long all of them play prompts.
const TALK: Duration = Duration::from_secs(20);
/// Length of a prompt that is not fetched: `behaviour.nominal_prompt_ms`.
const PROMPT: Duration = Duration::from_secs(3);

/// The program, listening.
struct Program {
    child: Child,
    url: String,
    key: AccessKey,
    started_in: Duration,
}

impl Program {
    fn start() -> Self {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_switchhook"))
            .args(["emulator", "--listen", "127.0.0.1:0", "--json", "--log-level", "error"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("the first line");
        let started_in = began.elapsed();
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let text = |name: &str| ready[name].as_str().expect("a text").to_owned();
        let (_, key) = text("connectionString").split_once("accesskey=").map(own).expect("a key");
        let key = AccessKey::from_base64(&key).expect("a key");
        Self { child, url: text("emulator"), key, started_in }
    }
}

/// Seconds of processor time, and bytes of memory, of a process.
pub fn used(process: u32) -> (f64, f64) {
    let at = format!("/proc/{process}");
    let stat = std::fs::read_to_string(format!("{at}/stat")).expect("the process");
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = rest.split(' ').filter_map(|word| word.parse().ok()).collect();
    // User and system time in hundredths; the first field here is the parent's id.
    let seconds = (fields[10] + fields[11]) / 100.0;
    let pages = std::fs::read_to_string(format!("{at}/statm")).expect("the process");
    let pages: f64 = pages.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0);
    (seconds, pages * 4096.0)
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn own((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

/// What the calls have told.
#[derive(Default)]
struct Heard {
    /// When the prompt of a call began.
    began: HashMap<String, Instant>,
    /// How much later than its length a prompt was told to be over, in milliseconds.
    late: Vec<f64>,
    events: usize,
}

/// An application: whenever a call is there, or its prompt over, it plays the next.
struct Application {
    program: Program,
    http: reqwest::Client,
    heard: Mutex<Heard>,
    until: Mutex<Option<Instant>>,
}

impl Application {
    async fn ask(&self, target: &str, body: &Value) -> Value {
        let (target, body) = (format!("{target}?api-version=2026-03-12"), body.to_string());
        let date = httpdate::fmt_http_date(SystemTime::now());
        let hash = content_hash(body.as_bytes());
        let host = self.program.url.trim_start_matches("http://");
        let text = string_to_sign("POST", &target, &[&date, host, &hash]);
        let answer = self
            .http
            .post(format!("{}{target}", self.program.url))
            .header("x-ms-date", date)
            .header("x-ms-content-sha256", hash)
            .header("authorization", authorization(&self.program.key.sign(&text)))
            .header("content-type", "application/json")
            .body(body);
        let answer = answer.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        answer
            .bytes()
            .await
            .map(|body| serde_json::from_slice(&body).unwrap_or_default())
            .expect("a body")
    }

    async fn play(&self, call: &str) {
        let file =
            json!({ "kind": "file", "file": { "uri": "https://prompts.example.test/a.wav" } });
        let body = json!({ "playSources": [file] });
        self.ask(&format!("/calling/callConnections/{call}:play"), &body).await;
    }

    async fn hear(&self, event: &Value) {
        let call = event["data"]["callConnectionId"].as_str().unwrap_or_default();
        let kind = event["type"].as_str().and_then(|kind| kind.rsplit('.').next());
        let now = Instant::now();
        let next = {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.events += 1;
            if kind == Some("PlayStarted") {
                heard.began.insert(call.to_owned(), now);
            }
            let over = kind == Some("PlayCompleted");
            if let Some(began) = heard.began.get(call).copied().filter(|_| over) {
                let took = now - began;
                heard.late.push((took.as_secs_f64() - PROMPT.as_secs_f64()) * 1_000.0);
            }
            over || kind == Some("CallConnected")
        };
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if next && until.is_none_or(|until| now < until) {
            self.play(call).await;
        }
    }
}

async fn receive(application: web::Data<Application>, body: web::Json<Value>) -> HttpResponse {
    let application = application.into_inner();
    // Acknowledge first, as one should.
    actix_web::rt::spawn(async move { application.hear(&body[0]).await });
    HttpResponse::Ok().finish()
}

/// Starts it several times, then fills it with calls.
pub fn e1() {
    let starts = (0..9).map(|_| Program::start().started_in.as_secs_f64() * 1_000.0).collect();
    say(&format!("E1  the emulator is there in {:.0} ms (reach 100)", median(starts)));
    actix::System::new().block_on(async {
        let application = web::Data::from(Arc::new(Application {
            program: Program::start(),
            http: reqwest::Client::new(),
            heard: Mutex::default(),
            until: Mutex::default(),
        }));
        let shared = application.clone();
        let factory = move || {
            App::new().app_data(shared.clone()).route("/calls", web::post().to(receive))
        };
        let server = HttpServer::new(factory).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("a port");
        let callback = format!("http://{}/calls", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        let create = |n: usize| {
            let (application, callback) = (application.clone(), callback.clone());
            async move {
                let who = json!({ "phoneNumber": { "value": format!("+1425555{n:04}") } });
                let body = json!({ "targets": [who], "callbackUri": callback,
                    "sourceCallerIdNumber": { "value": "+18005551212" } });
                application.ask("/calling/callConnections", &body).await;
            }
        };
        for first in (0..CALLS).step_by(TOGETHER) {
            futures_util::future::join_all((first..first + TOGETHER).map(create)).await;
        }
        let (before, began) = (used(application.program.child.id()), Instant::now());
        let events = application.heard.lock().unwrap_or_else(PoisonError::into_inner).events;
        tokio::time::sleep(TALK).await;
        let (after, took) = (used(application.program.child.id()), began.elapsed().as_secs_f64());
        *application.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let heard = application.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut late = heard.late.clone();
        late.sort_by(f64::total_cmp);
        say(&format!(
            "E1  {CALLS} calls that play prompts: {:.0} events/s on {:.2} of a core, a prompt's end {:.0} ms \
             late (p99 {:.0}), {:.0} MiB",
            (heard.events - events) as f64 / took,
            (after.0 - before.0) / took,
            late[late.len() / 2],
            late[late.len() * 99 / 100],
            after.1 / 1_048_576.0,
        ));
    });
}
