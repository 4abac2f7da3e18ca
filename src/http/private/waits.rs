//! `POST /v1/calls/{id}/waits`: wait for an event as a long poll.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Desk;
use crate::actors::WaitOutcome;
use crate::http::body::parse_json;
use crate::http::cursor::Cursor;
use crate::http::problem::{Code, Problem};
use crate::ports::Journal;
use crate::pure::call::{Heard, NearMiss, Wants};
use crate::pure::filter::Filter;
use crate::wire::events::{EventKind, MAX_ID_BYTES};
use crate::wire::identifiers::{CallConnectionId, OperationContext};

/// Types a wait may name; there are 38 known ones.
const MAX_TYPES: usize = 64;

/// The body of a wait. All members are optional: without any, the next event of the call is told.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WaitBody {
    types: Vec<EventKind>,
    operation_context: Option<OperationContext>,
    filter: Option<serde_json::Value>,
    timeout_ms: Option<u64>,
    after: Option<String>,
}

/// An event as it is told over HTTP.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'a> {
    /// Where to go on from.
    cursor: String,
    /// When it was received, RFC 3339.
    received_at: jiff::Timestamp,
    /// Its call.
    call_connection_id: &'a CallConnectionId,
    /// The full type.
    #[serde(rename = "type")]
    kind: &'a EventKind,
    /// The CloudEvent as Azure sent it.
    event: &'a RawValue,
}

impl<'a> Told<'a> {
    pub(super) fn of(heard: &'a Heard, journal: &dyn Journal) -> Result<Self, Problem> {
        let event = serde_json::from_str(&heard.event.raw).map_err(|error| {
            tracing::error!(%error, "an event that was read once could not be read again");
            Problem::new(Code::Internal)
        })?;
        Ok(Self {
            cursor: Cursor { life: journal.life(), position: heard.position }.to_string(),
            received_at: jiff::Timestamp::from_millisecond(heard.received_ms).unwrap_or_default(),
            call_connection_id: &heard.event.call,
            kind: &heard.event.kind,
            event,
        })
    }
}

struct Wanted {
    wants: Wants,
    within: Duration,
    after: Option<Cursor>,
}

impl Wanted {
    fn read(body: WaitBody, desk: &Desk) -> Result<Self, Problem> {
        let invalid = |detail: String| Problem::new(Code::InvalidWait).detail(detail);
        if body.types.len() > MAX_TYPES {
            return Err(invalid(format!("name at most {MAX_TYPES} types, or none for any")));
        }
        let too_long = |kind: &EventKind| kind.short_name().len() > MAX_ID_BYTES;
        if body.types.iter().any(|kind| kind.short_name().is_empty() || too_long(kind)) {
            return Err(invalid("a type must be a name such as PlayCompleted".to_owned()));
        }
        if body.operation_context.as_ref().is_some_and(|it| it.as_str().len() > MAX_ID_BYTES) {
            return Err(invalid(format!("no operationContext has more than {MAX_ID_BYTES} bytes")));
        }
        let mut wants =
            if body.types.is_empty() { Wants::any() } else { Wants::kinds(&body.types) };
        if let Some(context) = body.operation_context.filter(|context| !context.as_str().is_empty())
        {
            wants = wants.context(context);
        }
        if let Some(filter) = body.filter {
            let filter = Filter::parse(&filter)
                .map_err(|error| Problem::new(Code::InvalidFilter).detail(error))?;
            wants = wants.filter(filter);
        }
        let within = body.timeout_ms.map_or(desk.wait_timeout, Duration::from_millis);
        if within > desk.max_wait {
            let most = desk.max_wait.as_millis();
            return Err(Problem::new(Code::WaitTooLong)
                .detail(format!("timeoutMs may be at most {most}; wait again after a timeout")));
        }
        let life = desk.calls.journal().life();
        let after = body.after.map(|text| Cursor::parse(&text, life)).transpose()?;
        Ok(Self { wants, within, after })
    }
}

/// Waits for an event of a call. The call need not be known yet: its first event may be on its way.
///
/// # Errors
/// A [`Problem`]; 408 with near misses when nothing came, 410 when the call ended first.
pub async fn wait(
    desk: web::Data<Desk>,
    id: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = call_id(&id)?;
    let body = parse_json(request.headers(), payload, desk.max_body_bytes).await?;
    let wanted = Wanted::read(body, &desk)?;
    let began = desk.clock.now();
    let after = wanted.after.map(|cursor| cursor.position);
    let waiting = desk.calls.wait(&call, wanted.wants, wanted.within, after).await?;
    let ended = waiting.outcome().await;
    let waited = (desk.clock.now() - began).as_secs_f64();
    metrics::histogram!("switchhook_wait_seconds").record(waited);
    match ended {
        WaitOutcome::Told(heard) => tell(&heard, &desk),
        other => Err(problem_of(other)),
    }
}

fn tell(heard: &Heard, desk: &Desk) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(Told::of(heard, desk.calls.journal().as_ref())?))
}

fn problem_of(outcome: WaitOutcome) -> Problem {
    match outcome {
        WaitOutcome::Told(_) | WaitOutcome::Lost => Problem::new(Code::CallLost),
        WaitOutcome::TimedOut(near_misses) => timed_out(&near_misses),
        WaitOutcome::Cancelled => Problem::new(Code::WaitCancelled),
        WaitOutcome::CallEnded(ending) => Problem::new(Code::CallEnded).with("ending", ending),
        WaitOutcome::ShuttingDown => Problem::new(Code::ShuttingDown),
        WaitOutcome::Refused => Problem::new(Code::TooManyWaits),
    }
}

fn timed_out(near_misses: &[NearMiss]) -> Problem {
    let problem = Problem::new(Code::WaitTimedOut).with("nearMisses", near_misses);
    if near_misses.is_empty() {
        return problem;
    }
    problem.detail("events came that failed one condition; see nearMisses")
}

/// A call connection id from a path: opaque, but neither empty nor without bounds.
pub(super) fn call_id(text: &str) -> Result<CallConnectionId, Problem> {
    if text.is_empty() || text.len() > MAX_ID_BYTES {
        return Err(Problem::new(Code::InvalidRequest)
            .detail("a callConnectionId has at least one and at most 4096 bytes"));
    }
    Ok(CallConnectionId::new(text))
}
