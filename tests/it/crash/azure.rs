//! A small Azure that lives in the test's process and outlives the service: it counts what was done.
//!
//! It speaks HTTP by hand, because it must be able to do something and then hang up without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use switchhook::clock::SystemClock;
use switchhook::ports::sleep;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::dice::Dice;

/// A redirect to somebody of this name is refused.
pub const REFUSES: &str = "8:acs:refuses";

/// One request about a ringing call.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// `redirect`, `answer` or `reject`.
    pub operation: String,
    /// The incomingCallContext.
    pub ticket: String,
    pub request_id: String,
    pub first_sent: String,
    pub context: Option<String>,
    /// Whether it was done, by this request or an earlier one with the same id.
    pub done: bool,
}

#[derive(Default)]
struct Books {
    asked: Vec<Asked>,
    /// Answers by repeatability id.
    answers: BTreeMap<String, (u16, Value)>,
    /// Calls that are no more.
    gone: BTreeSet<String>,
}

/// The pretended Azure.
pub struct Azure {
    books: Mutex<Books>,
    clock: Arc<SystemClock>,
    seed: u64,
    pub url: String,
}

struct Request {
    line: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Azure {
    /// Listens from now on, on this thread.
    pub async fn start(seed: u64) -> Rc<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (books, clock) = (Mutex::default(), SystemClock::start());
        let azure = Rc::new(Self { books, clock, seed, url });
        let host = Rc::clone(&azure);
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let host = Rc::clone(&host);
                actix_web::rt::spawn(async move { host.serve(stream).await });
            }
        });
        azure
    }

    pub fn connection_string(&self) -> String {
        format!("endpoint={}/;accesskey=c29tZWJvZHk=", self.url)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was asked about ringing calls.
    pub fn asked(&self) -> Vec<Asked> {
        self.books().asked.clone()
    }

    /// That call is no more.
    pub fn forget(&self, call: &str) {
        self.books().gone.insert(call.to_owned());
    }

    /// The connection that an answered call gets.
    pub fn leg_of(ticket: &str) -> String {
        format!("leg-{ticket}")
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await {
            let Some((status, body)) = self.answer(&request).await else { return };
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} .\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            let head = if status == 204 { "HTTP/1.1 204 .\r\n\r\n".to_owned() } else { head };
            if stream.write_all((head + &body).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// `None` when the answer is lost.
    async fn answer(&self, request: &Request) -> Option<(u16, Value)> {
        let path = request.line.split(' ').nth(1)?.split('?').next()?;
        let rest = path.strip_prefix("/calling/callConnections")?;
        if let Some(call) = rest.strip_prefix('/') {
            return Some(self.look(call));
        }
        let operation = rest.strip_prefix(':')?.to_owned();
        let (answer, first) = self.act(operation, request);
        // Fate hangs on the request, so that a seed loses the same answers again.
        let id = request.headers.get("repeatability-request-id").map_or("", String::as_str);
        let mut dice = Dice::of(self.seed, id);
        if dice.chance(10) {
            let pause = Duration::from_millis(dice.below(200));
            sleep(&*self.clock, pause).await;
        }
        (!(first && dice.chance(15))).then_some(answer)
    }

    fn look(&self, call: &str) -> (u16, Value) {
        let books = self.books();
        if books.gone.contains(call) {
            return (404, json!({"error": {"code": "8522", "message": "Call not found."}}));
        }
        (200, json!({"callConnectionId": call, "callConnectionState": "connected"}))
    }

    /// Does what is asked, unless it was done before; and whether this was the first time.
    fn act(&self, operation: String, request: &Request) -> ((u16, Value), bool) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
        let ticket = text(&request.body["incomingCallContext"]);
        let request_id = header("repeatability-request-id");
        let mut books = self.books();
        let first = !books.answers.contains_key(&request_id);
        let answer = books.answers.entry(request_id.clone()).or_insert_with(|| {
            let refused = request.body["target"]["rawId"] == REFUSES
                || request.body["target"]["communicationUser"]["id"] == REFUSES;
            match operation.as_str() {
                _ if refused => (403, json!({"error": {"code": "8523", "message": "Refused."}})),
                "answer" => {
                    let leg = Self::leg_of(&ticket);
                    let server = format!("server-{leg}");
                    (200, json!({"callConnectionId": leg, "serverCallId": server}))
                }
                _ => (204, Value::Null),
            }
        });
        let (answer, done) = (answer.clone(), answer.0 < 300);
        books.asked.push(Asked {
            operation,
            ticket,
            request_id,
            first_sent: header("repeatability-first-sent"),
            context: request.body["operationContext"].as_str().map(str::to_owned),
            done,
        });
        (answer, first)
    }
}

/// One request; `None` when nobody speaks any more.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Request { line: line.trim().to_owned(), headers, body })
}
