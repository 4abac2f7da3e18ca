//! E1: how fast the emulator is there, and 1,000 calls at a time with their events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::program::{Program, proof};
use crate::report::{median, say};

const CALLS: usize = 1_000;
/// Calls that begin at the same time, so that beginning does not take longer than talking.
const TOGETHER: usize = 20;
/// How long all of them play prompts.
const TALK: Duration = Duration::from_secs(20);
/// Length of a prompt that is not fetched: `behaviour.nominal_prompt_ms`.
const PROMPT: Duration = Duration::from_secs(3);

const EMULATOR: [&str; 3] = ["emulator", "--listen", "127.0.0.1:0"];

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
        let (key, host) = (self.program.key("connectionString"), self.program.host("emulator"));
        let mut answer = self
            .http
            .post(format!("{}{target}", self.program.text("emulator")))
            .header("content-type", "application/json");
        for (name, value) in proof(&key, host, "POST", &target, &body) {
            answer = answer.header(name, value);
        }
        let answer = answer.body(body);
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
    let starts =
        (0..9).map(|_| Program::start(&EMULATOR).started_in.as_secs_f64() * 1_000.0).collect();
    say(&format!("E1  the emulator is there in {:.0} ms (reach 100)", median(starts)));
    actix::System::new().block_on(async {
        let application = web::Data::from(Arc::new(Application {
            program: Program::start(&EMULATOR),
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
        let (before, began) = (application.program.used(), Instant::now());
        let events = application.heard.lock().unwrap_or_else(PoisonError::into_inner).events;
        tokio::time::sleep(TALK).await;
        let (after, took) = (application.program.used(), began.elapsed().as_secs_f64());
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
