//! The real program as a child of the test: started, listened to, and killed.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// The secret in both webhook URLs.
pub const KEY: &str = "a-secret-of-the-crash-test";

/// Where a process listens.
#[derive(Clone, Debug, PartialEq)]
pub struct Addresses {
    pub public: String,
    pub private: String,
}

/// A running `switchhook serve`. Dropping it kills it.
pub struct Process {
    child: Child,
    heard: Receiver<Addresses>,
    said: Arc<Mutex<Vec<String>>>,
}

/// What a process has told of itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Nothing,
    /// It listens there. Told once.
    Serves(Addresses),
    /// It will say no more.
    LastWord,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// By our hand.
    Killed,
    /// By itself, before that.
    Itself(String),
}

impl Process {
    /// Starts the program on a folder. `settings` are further ones, as in the environment.
    pub fn start(folder: &Path, azure: &str, settings: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchhook"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SWITCHHOOK_") {
                command.env_remove(name);
            }
        }
        let free = "127.0.0.1:0";
        command
            .arg("serve")
            .env("SWITCHHOOK__STORE__FOLDER", folder)
            .env("SWITCHHOOK__PUBLIC__LISTEN", free)
            .env("SWITCHHOOK__PRIVATE__LISTEN", free)
            .env("SWITCHHOOK__PUBLIC__BASE_URL", "https://switchhook.example")
            .env("SWITCHHOOK__AZURE__CONNECTION_STRING", azure)
            .env("SWITCHHOOK__CALLBACKS__REQUIRE_JWT", "false")
            .env("SWITCHHOOK__CALLBACKS__KEY", KEY)
            .env("SWITCHHOOK__EVENT_GRID__KEY", KEY)
            .env("SWITCHHOOK__LOG__FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        for (name, value) in settings {
            command.env(name, value);
        }
        let mut child = command.spawn().expect("the program starts");
        let err = child.stderr.take().expect("a pipe");
        let said = Arc::<Mutex<Vec<String>>>::default();
        let (tell, heard) = channel();
        let book = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                if let Some(addresses) = addresses(&line) {
                    let _nobody_asks = tell.send(addresses);
                }
                book.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { child, heard, said }
    }

    /// What it has told of itself since this was asked last.
    pub fn told(&self) -> Told {
        // Asked in one question: between two of them the addresses could come and be lost.
        match self.heard.try_recv() {
            Ok(addresses) => Told::Serves(addresses),
            Err(TryRecvError::Empty) => Told::Nothing,
            Err(TryRecvError::Disconnected) => Told::LastWord,
        }
    }

    /// Kills it with signal 9, at once and without notice.
    pub fn kill(&mut self) -> Ended {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Ended::Itself(status.to_string());
        }
        let sent = self.child.kill();
        match self.child.wait() {
            Ok(status) if status.signal() == Some(9) => Ended::Killed,
            Ok(status) => Ended::Itself(format!("{status}, {sent:?}")),
            Err(error) => Ended::Itself(error.to_string()),
        }
    }

    /// What it has written so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn addresses(line: &str) -> Option<Addresses> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["message"] != "switchhook serves" {
        return None;
    }
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    Some(Addresses { public: text("public")?, private: text("private")? })
}
