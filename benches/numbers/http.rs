//! P2, P2b, P3 and P6: the webhook against a bare actix-web handler that parses (and verifies) the same.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use switchhook::actors::{Calls, CallsConfig};
use switchhook::clock::SystemClock;
use switchhook::http::public::callbacks::{Door, receive};
use switchhook::http::public::secret::Secret;
use switchhook::http::public::token::{TokenCheck, TokenConfig};
use switchhook::ports::{Journal, Later, PublishedKeys, SigningKey};
use switchhook::storage::journal::{JournalConfig, RedbJournal};
use switchhook::storage::memory::MemoryJournal;
use switchhook::wire::events::parse_callbacks;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::events::{body, event};
use crate::plain::PlainFile;
use crate::report::{median, say, thousands};
use crate::tokens;

const CONNECTIONS: usize = 256;
/// Longer than a backlog lives, so that its expiry is part of what is measured.
const ROUND: Duration = Duration::from_secs(8);
/// Between two rounds, so that what one server still has to do does not slow the other down.
const PAUSE: Duration = Duration::from_secs(6);
const ROUNDS: usize = 2;

/// Half of the requests per second of one server against another, in turns.
fn compare(name: &str, reach: f64, ours: &[&str], bare: &[&str], token: Option<&str>) {
    let (ours, bare) = (Server::start(ours), Server::start(bare));
    let mut rates = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let mine = load(ours.port, ours.calls, round, token);
        std::thread::sleep(PAUSE);
        let theirs = load(bare.port, bare.calls, round, token);
        std::thread::sleep(PAUSE);
        // The first turn warms both up.
        if round > 0 {
            rates.0.push(mine);
            rates.1.push(theirs);
        }
    }
    let (mine, theirs) = (median(rates.0), median(rates.1));
    say(&format!(
        "{name}: {} requests/s against {}/s: ratio {:.2} (reach {reach})",
        thousands(mine),
        thousands(theirs),
        mine / theirs,
    ));
}

/// P2: without tokens.
pub fn p2() {
    compare(
        "P2  webhook, journal off, against a bare handler",
        0.8,
        &["1000", "-", "memory"],
        &["0", "-", "memory"],
        None,
    );
}

/// P2b: both sides verify the same RS256 token.
pub fn p2b() {
    let (token, key) = tokens::make();
    let keys = format!("{},{}", key.modulus, key.exponent);
    let name = "P2b webhook with JWT, against a bare handler with JWT";
    compare(name, 0.85, &["1000", &keys, "memory"], &["0", &keys, "memory"], Some(&token));
}

/// P6: a million live calls against a thousand.
pub fn p6() {
    let name = "P6  webhook at 1,000,000 live calls, against 1,000";
    compare(name, 0.7, &["1000000", "-", "memory"], &["1000", "-", "memory"], None);
}

/// P3: the journal on disk, against the journal in memory; and what a plain file with the same group
/// commit reaches, which is the limit of this disk.
pub fn p3() {
    let memory = ["1000", "-", "memory"];
    for (name, ours, added) in [
        ("P3  journal on disk, against memory", "disk", "0"),
        ("P3  … with 2 ms added to each flush", "disk", "2"),
    ] {
        compare(name, 0.5, &["1000", "-", ours, added], &memory, None);
    }
    for (name, added) in [
        ("P3  limit: a plain file, fsynced in groups, against memory", "0"),
        ("P3  limit: … with 2 ms added to each flush", "2"),
    ] {
        compare(name, 0.5, &["1000", "-", "plain", added], &memory, None);
    }
}

struct Server {
    child: Child,
    port: u16,
    calls: usize,
    /// Where it writes. It is killed, so it cannot tidy up.
    _folder: TempDir,
}

impl Server {
    fn start(words: &[&str]) -> Self {
        let me = std::env::current_exe().expect("this program");
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let mut child = Command::new(me)
            .arg("child-server")
            .args(words)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("the port");
        let calls = words[0].parse::<usize>().expect("a number").max(1000);
        Self { child, port: line.trim().parse().expect("a port"), calls, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

struct Fixed(SigningKey);

impl PublishedKeys for Fixed {
    fn fetch(&self) -> Later<'_, Result<Vec<SigningKey>, String>> {
        Box::pin(std::future::ready(Ok(vec![self.0.clone()])))
    }
}

fn token_check(keys: &str) -> Option<Arc<TokenCheck>> {
    let (modulus, exponent) = keys.split_once(',')?;
    let key = SigningKey {
        id: tokens::KEY_ID.to_owned(),
        modulus: modulus.to_owned(),
        exponent: exponent.to_owned(),
    };
    let config = TokenConfig {
        issuer: tokens::ISSUER.to_owned(),
        audience: tokens::AUDIENCE.to_owned(),
        clock_skew: Duration::from_secs(60),
    };
    Some(TokenCheck::new(config, Arc::new(Fixed(key)), SystemClock::start()))
}

struct Bare(Option<Arc<TokenCheck>>);

async fn parse_only(bare: web::Data<Bare>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    if let Bare(Some(check)) = bare.get_ref() {
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if check.check(token).await.is_err() {
            return HttpResponse::Unauthorized().finish();
        }
    }
    match parse_callbacks(&body, 1000) {
        Ok(events) if events.iter().all(Result::is_ok) => HttpResponse::Ok().finish(),
        _ => HttpResponse::BadRequest().finish(),
    }
}

/// `memory`, or `disk` or `plain` with the milliseconds that are added to each flush.
fn journal(words: &[String], folder: &Path) -> Arc<dyn Journal> {
    let added = words.get(1).and_then(|word| word.parse().ok()).map_or(0, |ms: u64| ms);
    let added_flush = Duration::from_millis(added);
    match words[0].as_str() {
        "disk" => {
            let config = JournalConfig { added_flush, ..JournalConfig::default() };
            RedbJournal::open(folder, config).expect("a journal")
        }
        "plain" => PlainFile::open(&folder.join("plain"), added_flush),
        _ => MemoryJournal::new(1024 * 1024, 1),
    }
}

/// A server in a process of its own: with calls ours, without the bare one. Prints its port.
pub fn child(words: &[String]) {
    let count: usize = words[0].parse().expect("a number");
    let check = token_check(&words[1]);
    actix::System::new().block_on(async move {
        if count == 0 {
            let bare = web::Data::new(Bare(check));
            let app = move || {
                App::new()
                    .app_data(bare.clone())
                    .route("/webhooks/calls", web::post().to(parse_only))
            };
            let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", 0)).expect("a port");
            say(&server.addrs()[0].port().to_string());
            return server.run().await.expect("serves");
        }
        let journal = journal(&words[2..], Path::new("."));
        let calls = Calls::start(&CallsConfig::default(), SystemClock::start(), journal);
        for n in 0..count {
            let event = event(n, 0xffff, "CallConnected", "operation-1", "");
            calls.deliver(vec![event]).await.expect("taken");
        }
        let secret = Some(Secret::new("secret"));
        let door = web::Data::new(Door::new(calls, secret, check, 1024 * 1024, 1000));
        let app = move || {
            App::new().app_data(door.clone()).route("/webhooks/calls", web::post().to(receive))
        };
        let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", 0)).expect("a port");
        say(&server.addrs()[0].port().to_string());
        server.run().await.expect("serves");
    });
}

/// Requests per second over all connections, for one round.
fn load(port: u16, calls: usize, round: usize, token: Option<&str>) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async move {
        let until = Instant::now() + ROUND;
        let workers = (0..CONNECTIONS).map(|n| worker(port, calls, round, n, token, until));
        let done = futures_util::future::join_all(workers).await;
        done.iter().sum::<usize>() as f64 / ROUND.as_secs_f64()
    })
}

async fn worker(
    port: u16,
    calls: usize,
    round: usize,
    connection: usize,
    token: Option<&str>,
    until: Instant,
) -> usize {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    stream.set_nodelay(true).expect("no delay");
    let authorization = token.map(|t| format!("authorization: Bearer {t}\r\n")).unwrap_or_default();
    let (mut done, mut answer) = (0, [0_u8; 1024]);
    while Instant::now() < until {
        let number = (done * CONNECTIONS + connection) * 8 + round;
        let call = (number * 7919) % calls;
        let body = body(call, number, "PlayStarted", "operation-1", "");
        let request = format!(
            "POST /webhooks/calls?key=secret HTTP/1.1\r\nhost: 127.0.0.1\r\n\
             content-type: application/json\r\n{authorization}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut read = 0;
        while !answer[..read].windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut answer[read..]).await {
                Ok(0) | Err(_) => panic!("the server closed the connection"),
                Ok(more) => read += more,
            }
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer[..read])
        );
        done += 1;
    }
    done
}
