//! P4 and P9: the whole program, as it is run. And 10,000 long polls at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchhook::pure::signing::AccessKey;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::events::{body, call_id};
use crate::program::{Program, proof};
use crate::report::{say, thousands};

const CONNECTIONS: usize = 64;
const CALLS: usize = 1_000;
/// How long the load is heavy, to find its peak, and how long it is half of that.
const PEAK: Duration = Duration::from_secs(6);
const HALF: Duration = Duration::from_secs(12);
const PROBERS: usize = 8;
/// Between two probes of one prober.
const PROBE_EVERY: Duration = Duration::from_millis(40);
const POLLS: usize = 10_000;
const REQUESTS: usize = 4_000;
/// Calls that these go to in turn: none is asked for more than may be under way.
const ASKED: usize = 40;

/// Service and emulator in one process, the journal on the disk.
struct Service {
    program: Program,
    _folder: TempDir,
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let path = folder.path().to_str().expect("a path that is text");
        let program = Program::start(&["dev", "--ports", "auto", "--data", path]);
        Self { program, _folder: folder }
    }

    /// Where callbacks go, with the key.
    fn callback(&self) -> &str {
        let url = self.program.host("callbackUrl");
        &url[url.find('/').expect("a path")..]
    }
}

/// One connection, one request after the other.
struct Line(TcpStream);

impl Line {
    async fn to(host: &str) -> Self {
        let stream = TcpStream::connect(host).await.expect("connects");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    async fn send(&mut self, method: &str, target: &str, headers: &str, body: &str) {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             {headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.write_all(request.as_bytes()).await.expect("writes");
    }

    /// The status of the answer; its body is read and thrown away.
    async fn answer(&mut self) -> u16 {
        let (mut read, mut buffer) = (Vec::new(), [0_u8; 4096]);
        loop {
            let end = read.windows(4).position(|end| end == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).and_then(|rest| {
                    rest.split("\r\n").next().and_then(|length| length.parse::<usize>().ok())
                });
                if read.len() >= end + 4 + length.unwrap_or(0) {
                    return head.get(9..12).and_then(|it| it.parse().ok()).expect("a status");
                }
            }
            match self.0.read(&mut buffer).await {
                Ok(0) | Err(_) => panic!("the server closed the connection"),
                Ok(more) => read.extend_from_slice(&buffer[..more]),
            }
        }
    }

    async fn ask(&mut self, method: &str, target: &str, headers: &str, body: &str) -> u16 {
        self.send(method, target, headers, body).await;
        self.answer().await
    }
}

/// Webhooks over one connection: as fast as they are answered, or one after each pause.
async fn load(service: &Service, n: usize, until: Instant, pause: Option<Duration>) -> usize {
    let mut line = Line::to(service.program.host("public")).await;
    // Spread over the pause: callers do not beat in time with each other.
    let ahead = pause.unwrap_or_default().mul_f64(n as f64 / CONNECTIONS as f64);
    let (mut done, mut next) = (0, Instant::now() + ahead);
    while Instant::now() < until {
        if let Some(pause) = pause {
            next += pause;
            tokio::time::sleep_until(next.into()).await;
        }
        let number = done * CONNECTIONS + n;
        let body = body(number * 7919 % CALLS, number, "PlayStarted", "operation-1", "");
        assert_eq!(line.ask("POST", service.callback(), "", &body).await, 200);
        done += 1;
    }
    done
}

fn waits(call: usize) -> String {
    format!("/v1/calls/{}/waits", call_id(call))
}

/// From the webhook's first byte to the waiter's last, in milliseconds.
async fn probe(service: &Service, n: usize, first: usize, until: Instant) -> Vec<f64> {
    let mut waiter = Line::to(service.program.host("private")).await;
    let mut azure = Line::to(service.program.host("public")).await;
    let (mut took, call) = (Vec::new(), CALLS + n);
    while Instant::now() < until {
        // An event that came before would have no effect.
        let number = first + took.len();
        let context = format!("probe-{n}-{number}");
        let wanted = json!({ "types": ["PlayCompleted"], "operationContext": context });
        waiter.send("POST", &waits(call), "", &wanted.to_string()).await;
        tokio::time::sleep(PROBE_EVERY).await;
        let body = body(call, number, "PlayCompleted", &context, "");
        let began = Instant::now();
        azure.send("POST", service.callback(), "", &body).await;
        assert_eq!(waiter.answer().await, 200);
        took.push(began.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(azure.answer().await, 200);
    }
    took
}

async fn probes(service: &Service, first: usize, until: Instant) -> Vec<f64> {
    let probing = (0..PROBERS).map(|n| probe(service, n, first, until));
    let mut took = futures_util::future::join_all(probing).await.concat();
    took.sort_by(f64::total_cmp);
    took
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn run<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// Webhook in, long poll out, at half of the peak load; alone; and beside 10,000 long polls.
pub fn p4() {
    run(async {
        let service = Service::start();
        let until = Instant::now() + PEAK;
        let all = (0..CONNECTIONS).map(|n| load(&service, n, until, None));
        let done: usize = futures_util::future::join_all(all).await.iter().sum();
        let peak = done as f64 / PEAK.as_secs_f64();
        let pause = Duration::from_secs_f64(CONNECTIONS as f64 / (peak / 2.0));
        let until = Instant::now() + HALF;
        let all = (0..CONNECTIONS).map(|n| load(&service, n, until, Some(pause)));
        let (done, took) =
            futures_util::join!(futures_util::future::join_all(all), probes(&service, 0, until));
        let rate = done.iter().sum::<usize>() as f64 / HALF.as_secs_f64();
        say(&format!(
            "P4  webhook in, long poll out, at {} of {} webhooks/s: p50 {:.2} ms, p99 {:.2} ms (reach 5)",
            thousands(rate),
            thousands(peak),
            percentile(&took, 50),
            percentile(&took, 99),
        ));
        let (_, before) = service.program.used();
        let mut lines = Vec::with_capacity(POLLS);
        for n in 0..POLLS {
            let mut line = Line::to(service.program.host("private")).await;
            let wanted = json!({ "operationContext": format!("poll-{n}"), "timeoutMs": 600_000 });
            line.send("POST", &waits(n % CALLS), "", &wanted.to_string()).await;
            lines.push(line);
        }
        // Answered behind all of them, on every worker.
        let took = probes(&service, 10_000, Instant::now() + HALF / 4).await;
        let (_, after) = service.program.used();
        say(&format!(
            "P4  … beside {} standing long polls of {:.1} KiB each: p50 {:.2} ms, p99 {:.2} ms",
            thousands(POLLS as f64),
            (after - before) / POLLS as f64 / 1_024.0,
            percentile(&took, 50),
            percentile(&took, 99),
        ));
    });
}

/// What only reads, and what the journal must know of before its answer is passed on.
pub fn p9() {
    run(async {
        let service = Service::start();
        let [direct, ours] =
            ["connectionString", "gatewayConnectionString"].map(|name| service.program.key(name));
        let (emulator, private) =
            (service.program.host("emulator"), service.program.host("private"));
        let who = json!({ "rawId": "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_bench" });
        let create = json!({ "targets": [who] }).to_string();
        let http = reqwest::Client::new();
        let target = "/calling/callConnections?api-version=2026-03-12";
        let signed = sign(&ours, "POST", target, &create);
        let mut line = Line::to(private).await;
        for _ in 0..ASKED {
            assert_eq!(line.ask("POST", target, &signed, &create).await, 201);
        }
        let list = http.get(format!("http://{private}/admin/calls")).send().await;
        let list: Value = list.expect("an answer").json().await.expect("JSON");
        let calls = list["calls"].as_array().expect("a list").iter();
        let calls: Vec<_> =
            calls.map(|call| call["callConnectionId"].as_str().expect("a call")).collect();
        assert_eq!(calls.len(), ASKED);
        let connected = json!({ "types": ["CallConnected"], "timeoutMs": 20_000 }).to_string();
        for call in &calls {
            let status = line.ask("POST", &format!("/v1/calls/{call}/waits"), "", &connected).await;
            assert_eq!(status, 200);
        }
        let body = json!({ "targetParticipants": [who] }).to_string();
        let nobody = json!({ "invitationId": "11111111-2222-4333-8444-555555555555" }).to_string();
        let asked = [
            ("GetCall", "GET", "", ""),
            ("Mute, which the answer ends", "POST", "/participants:mute", body.as_str()),
            (
                "CancelAddParticipant, which an event ends",
                "POST",
                "/participants:cancelAddParticipant",
                nobody.as_str(),
            ),
        ];
        let between = Between { calls: &calls, emulator, private, direct, ours };
        for asked in asked {
            between.compare(asked).await;
        }
    });
}

/// Name, method, what follows the call in the path, and body of a request.
type Asked<'a> = (&'a str, &'a str, &'a str, &'a str);

/// The same requests, sent to the emulator and through the gateway by turns.
struct Between<'a> {
    calls: &'a [&'a str],
    emulator: &'a str,
    private: &'a str,
    direct: AccessKey,
    ours: AccessKey,
}

impl Between<'_> {
    async fn compare(&self, (name, method, path, body): Asked<'_>) {
        let mut lines = [Line::to(self.emulator).await, Line::to(self.private).await];
        let mut took = [Vec::new(), Vec::new()];
        for n in 0..2 * REQUESTS {
            let (place, key) = if n % 2 == 0 { (0, &self.direct) } else { (1, &self.ours) };
            let call = self.calls[n / 2 % self.calls.len()];
            let target = format!("/calling/callConnections/{call}{path}?api-version=2026-03-12");
            let headers = sign(key, method, &target, body);
            let began = Instant::now();
            let status = lines[place].ask(method, &target, &headers, body).await;
            assert!((200..300).contains(&status), "{name}: {status}");
            // The first of them warm up.
            if n > REQUESTS / 4 {
                took[place].push(began.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        took.iter_mut().for_each(|took| took.sort_by(f64::total_cmp));
        let [middle, worst] = [50, 99].map(|p| took.each_ref().map(|it| percentile(it, p)));
        say(&format!(
            "P9  gateway, {name}: p50 {:.2} ms instead of {:.2}, \
             p99 {:.2} ms instead of {:.2}: {:.2} ms added (reach 1)",
            middle[1],
            middle[0],
            worst[1],
            worst[0],
            worst[1] - worst[0],
        ));
    }
}

/// Headers of proof, as lines of a request.
fn sign(key: &AccessKey, method: &str, target: &str, body: &str) -> String {
    let headers = proof(key, "127.0.0.1", method, target, body);
    headers.map(|(name, value)| format!("{name}: {value}\r\n")).concat()
}
