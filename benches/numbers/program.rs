//! The program itself, as its users run it, and how one speaks to its listeners.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use switchhook::pure::signing::{AccessKey, authorization, content_hash, string_to_sign};

/// The program, listening. It ends when this is dropped.
pub struct Program {
    child: Child,
    /// What it says when it listens.
    ready: Value,
    /// How long it took to say so.
    pub started_in: Duration,
}

impl Program {
    /// Starts it with such words; `--json` and quiet in any case.
    pub fn start(words: &[&str]) -> Self {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_switchhook"))
            .args(words)
            .args(["--json", "--log-level", "error"])
            .env("SWITCHHOOK__CALLBACKS__REQUIRE_JWT", "false")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("the first line");
        let ready = serde_json::from_str(&line).expect("JSON");
        Self { child, ready, started_in: began.elapsed() }
    }

    /// A member of what it said when it listened.
    pub fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().expect("a text")
    }

    /// Host and port of a listener.
    pub fn host(&self, name: &str) -> &str {
        self.text(name).trim_start_matches("http://")
    }

    /// The key of a connection string.
    pub fn key(&self, name: &str) -> AccessKey {
        let (_, key) = self.text(name).split_once("accesskey=").expect("a key");
        AccessKey::from_base64(key).expect("a key")
    }

    /// Seconds of processor time that it has taken, and bytes of memory that it has.
    pub fn used(&self) -> (f64, f64) {
        let at = format!("/proc/{}", self.child.id());
        let stat = std::fs::read_to_string(format!("{at}/stat")).expect("the process");
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<f64> = rest.split(' ').filter_map(|word| word.parse().ok()).collect();
        // User and system time in hundredths; the first field here is the parent's id.
        let seconds = (fields[10] + fields[11]) / 100.0;
        let pages = std::fs::read_to_string(format!("{at}/statm")).expect("the process");
        let pages: f64 = pages.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0);
        (seconds, pages * 4096.0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// The headers with which the official SDKs prove themselves.
pub fn proof(
    key: &AccessKey,
    host: &str,
    method: &str,
    target: &str,
    body: &str,
) -> [(&'static str, String); 3] {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let hash = content_hash(body.as_bytes());
    let text = string_to_sign(method, target, &[&date, host, &hash]);
    let proof = authorization(&key.sign(&text));
    [("x-ms-date", date), ("x-ms-content-sha256", hash), ("authorization", proof)]
}
