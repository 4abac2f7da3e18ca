//! `GET /emulator/trace`: what happened, as it happens.
//!
//! The one route that may wait, and so the only one that is not answered at once. It waits in real
//! time: a reader's patience has nothing to do with the emulator's clock.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::json;

use super::api::query_value;
use super::http::{Request, refused, written};
use super::shell::Shell;
use super::world::{Refusal, Reply, Traced};

/// Longest time that a request may wait for news.
const LONGEST_WAIT_MS: u64 = 30_000;

/// Whether a path is this route's.
pub fn is_one(path: &str) -> bool {
    path == "/emulator/trace"
}

/// Answers with everything that is newer than `after`, and waits for it when there is nothing.
pub async fn answer(shell: &Shell, request: &Request) -> HttpResponse {
    let wish = match Wish::read(request) {
        Ok(wish) => wish,
        Err(refusal) => return refused(refusal),
    };
    let seen = shell.trace_after(wish.after, wish.payloads, wish.wait).await;
    if wish.lines {
        return as_lines(&seen);
    }
    let Traced { value, next, lost } = seen;
    written(Reply::json(200, &json!({ "value": value, "next": next, "lost": lost })))
}

struct Wish {
    after: u64,
    wait: Duration,
    payloads: bool,
    lines: bool,
}

impl Wish {
    fn read(request: &Request) -> Result<Self, Refusal> {
        if request.method() != "GET" {
            let message = "The trace is read with GET.";
            return Err(Refusal::new(405, "MethodNotAllowed", message));
        }
        let number = |name: &str| match query_value(request.query(), name) {
            None => Ok(0),
            Some(text) => text.parse::<u64>().map_err(|_| {
                Refusal::bad(format!("The query parameter {name} must be a whole number."))
            }),
        };
        let wait = number("waitMs")?;
        if wait > LONGEST_WAIT_MS {
            let message = format!("The query parameter waitMs may be at most {LONGEST_WAIT_MS}.");
            return Err(Refusal::bad(message));
        }
        let payloads = match query_value(request.query(), "payloads").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                let message = "The query parameter payloads must be true or false.";
                return Err(Refusal::bad(message));
            }
        };
        let accepts = request.header(ACCEPT.as_str()).unwrap_or_default();
        Ok(Self {
            after: number("after")?,
            wait: Duration::from_millis(wait),
            payloads,
            lines: accepts.contains("application/x-ndjson"),
        })
    }
}

/// One entry on each line; what does not fit into lines goes into headers.
fn as_lines(seen: &Traced) -> HttpResponse {
    let lines: String = seen.value.iter().map(|entry| format!("{entry}\n")).collect();
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/x-ndjson"))
        .insert_header(("x-trace-next", seen.next))
        .insert_header(("x-trace-lost", seen.lost))
        .body(lines)
}
