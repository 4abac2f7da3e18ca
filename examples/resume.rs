//! Listens to one call over HTTP, and goes on where it was when the service comes back from a restart:
//! `cargo run --example resume -- http://127.0.0.1:8081 CALL_ID PlayCompleted`.
//!
//! All it keeps is the cursor of the last event it has printed. Whatever goes wrong on the way, it asks
//! again from there: an event that came meanwhile is told late, and none is told twice. Any language with
//! an HTTP client can do the same. The token, where the service wants one, is in `SWITCHHOOK_TOKEN`.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};

const USAGE: &str = "resume SERVER_URL CALL_CONNECTION_ID [TYPE]... [--context OPERATION_CONTEXT] \
                     [--after CURSOR]";
/// Between two tries to reach a service that is not there.
const PAUSE: Duration = Duration::from_millis(250);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut listener = Listener::read(std::env::args().skip(1)).ok_or(USAGE)?;
    if listener.cursor.is_none() {
        listener.begin_now().await?;
    }
    loop {
        match listener.wait().await? {
            Heard::Event(event) => {
                listener.cursor = event["cursor"].as_str().map(str::to_owned);
                say(
                    std::io::stdout(),
                    &format!("{} {}", text(&event["cursor"]), text(&event["type"])),
                );
            }
            Heard::Nothing(why) => {
                say(std::io::stderr(), &format!("{why}; waiting again"));
            }
            Heard::End(ending) => {
                say(std::io::stdout(), &format!("the call has ended: {ending}"));
                return Ok(());
            }
        }
    }
}

/// Who listens to what, and how far it has come.
struct Listener {
    http: Client,
    server: Url,
    call: String,
    types: Vec<String>,
    context: Option<String>,
    /// The last event that was heard. Kept in a file, it would outlive this program, too.
    cursor: Option<String>,
}

/// What became of one wait.
enum Heard {
    Event(Value),
    Nothing(String),
    End(Value),
}

impl Listener {
    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let server = arguments.next()?.parse().ok()?;
        let call = arguments.next()?;
        let (http, types) = (Client::new(), Vec::new());
        let mut listener = Self { http, server, call, types, context: None, cursor: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--context" => listener.context = Some(arguments.next()?),
                "--after" => listener.cursor = Some(arguments.next()?),
                kind if kind.starts_with('-') => return None,
                _ => listener.types.push(argument),
            }
        }
        Some(listener)
    }

    /// Begins after the newest event that is known of the call. A wait without a cursor could lose the
    /// first event: once it is told, it counts as read, even if the answer never arrives.
    async fn begin_now(&mut self) -> Result<(), Box<dyn Error>> {
        let page =
            self.authorized(self.http.get(self.route("events")?).query(&[("limit", "1000")]));
        let response = page.send().await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(()); // Nothing came yet: all of its events are still to come.
        }
        let page: Value = response.error_for_status()?.json().await?;
        self.cursor = page["next"].as_str().map(str::to_owned);
        Ok(())
    }

    /// One long poll. The same question may be asked as often as it takes.
    async fn wait(&self) -> Result<Heard, Box<dyn Error>> {
        let wants = json!({
            "types": self.types, "operationContext": self.context, "after": self.cursor,
        });
        let request = self.authorized(self.http.post(self.route("waits")?).json(&wants));
        let (status, answer) = match answer_to(request).await {
            Ok(answered) => answered,
            // Refused, cut off, or half an answer: the service stops, or is not back yet.
            Err(_broken) => {
                tokio::time::sleep(PAUSE).await;
                return Ok(Heard::Nothing("the service is not there".to_owned()));
            }
        };
        let code = text(&answer["code"]);
        match (status.as_u16(), code) {
            (200, _) => Ok(Heard::Event(answer)),
            (408, _) => Ok(Heard::Nothing("nothing came in time".to_owned())),
            (503, _) => {
                tokio::time::sleep(PAUSE).await;
                Ok(Heard::Nothing(format!("the service says {code}")))
            }
            (410, "call_ended") => Ok(Heard::End(answer["ending"].clone())),
            (410, "cursor_gone") => {
                Err("the store of the service was replaced, and what came since \
                                         the cursor cannot be told; begin again without it"
                    .into())
            }
            _ => Err(format!("{status} {code}: {}", text(&answer["detail"])).into()),
        }
    }

    fn route(&self, last: &str) -> Result<Url, Box<dyn Error>> {
        let mut url = self.server.clone();
        let mut path = url.path_segments_mut().map_err(|()| "the server's URL has no path")?;
        path.pop_if_empty().extend(["v1", "calls", &self.call, last]);
        drop(path);
        Ok(url)
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match std::env::var("SWITCHHOOK_TOKEN") {
            Ok(token) => request.bearer_auth(token),
            Err(_none) => request,
        }
    }
}

async fn answer_to(request: RequestBuilder) -> reqwest::Result<(StatusCode, Value)> {
    let response = request.send().await?;
    Ok((response.status(), response.json().await?))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn say(mut to: impl Write, line: &str) {
    let _closed = writeln!(to, "{line}");
}
