//! `/webhooks/eventgrid`: ringing calls and notices from Event Grid, and both of its handshakes.
//!
//! Whatever we want to see again is answered 503 and quickly; 400, 401, 403 and 413 make Event Grid
//! drop an event for good (rule I2), so they are kept for what can never be taken.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix::dev::SendError;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use metrics::counter;
use serde::Serialize;
use tokio::sync::oneshot;

use super::secret::Secret;
use super::{Sorted, receipt};
use crate::actors::routing::{IncomingRang, NoticeCame, RoutingActor, TooManyRing};
use crate::http::body::read_json;
use crate::http::problem::{Code, Problem};
use crate::ports::{Clock, Journal, JournalError, Line, LineKind, Position, Tick, sleep};
use crate::wire::events::grid::{GridEvent, GridNews, parse_deliveries};

/// A journal or a decision that takes longer is not waited for: the telephone rings for thirty seconds, and Event
/// Grid comes back after ten. No decision is made twice (rule I5).
const PATIENCE: Duration = Duration::from_secs(2);

/// What stands at this door.
pub struct Door {
    /// Who decides about ringing calls.
    pub routing: Addr<RoutingActor>,
    /// Where every event about calls is kept before it is acknowledged.
    pub journal: Arc<dyn Journal>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The key; `None` only where the settings turn the check off.
    pub secret: Option<Secret>,
    /// Names of subscriptions that may be validated and may deliver; empty means any.
    pub subscriptions: Vec<String>,
    /// Bodies are refused beyond this.
    pub max_body_bytes: usize,
    /// Arrays are refused beyond this.
    pub max_events: usize,
}

impl Door {
    fn check_sender(&self, request: &HttpRequest) -> Result<(), Problem> {
        if let Some(secret) = &self.secret {
            secret.check(request).map_err(|bad| refused(bad.label()))?;
        }
        Ok(())
    }

    /// Only subscriptions on the list, when there is one. Names are compared without case: Event Grid
    /// writes them in capitals.
    fn check_subscription(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let name = headers.get("aeg-subscription-name").and_then(|value| value.to_str().ok());
        let listed = |name: &str| self.subscriptions.iter().any(|s| s.eq_ignore_ascii_case(name));
        if self.subscriptions.is_empty() || name.is_some_and(listed) {
            return Ok(());
        }
        Err(refused("unknown_subscription"))
    }
}

fn refused(reason: &'static str) -> Problem {
    counter!("switchhook_grid_auth_failures_total", "reason" => reason).increment(1);
    tracing::warn!(reason, "event grid delivery refused");
    Problem::new(Code::Unauthorized)
}

/// The handshake of the CloudEvents schema: consent by header.
///
/// # Errors
/// 401 when the key or the subscription is not ours.
pub async fn consent(door: web::Data<Door>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    counted(give_consent(&door, &request))
}

fn give_consent(door: &Door, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    door.check_sender(request)?;
    if !door.subscriptions.is_empty() && request.headers().contains_key("aeg-subscription-name") {
        door.check_subscription(request.headers())?;
    }
    let header = |name: &str| request.headers().get(name).cloned();
    let mut response = HttpResponse::Ok();
    response.insert_header(("allow", "POST, OPTIONS"));
    let Some(origin) = header("webhook-request-origin") else { return Ok(response.finish()) };
    tracing::info!("event grid asked for consent by OPTIONS and got it");
    response.insert_header(("webhook-allowed-origin", origin));
    let rate = header("webhook-request-rate");
    let rate = rate.unwrap_or(actix_web::http::header::HeaderValue::from_static("*"));
    response.insert_header(("webhook-allowed-rate", rate));
    Ok(response.finish())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ValidationResponse {
    validation_response: String,
}

/// Takes a delivery in either schema.
///
/// # Errors
/// A [`Problem`]; 503 for everything that should come again.
pub async fn receive(
    door: web::Data<Door>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    counted(take(&door, &request, payload).await)
}

fn counted(answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
    match &answer {
        Ok(_) => counter!("switchhook_http_requests_total",
            "listener" => "public", "route" => "/webhooks/eventgrid", "status" => "200")
        .increment(1),
        Err(problem) => super::count_refusal("/webhooks/eventgrid", problem),
    }
    answer
}

async fn take(
    door: &Door,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    door.check_sender(request)?;
    door.check_subscription(request.headers())?;
    let body = read_json(request.headers(), payload, door.max_body_bytes).await?;
    let read = parse_deliveries(&body, door.max_events)?;
    let Sorted { events, rejected } = Sorted::out("eventgrid", read)?;
    let accepted = events.len();
    let mut about_calls = Vec::with_capacity(accepted);
    let mut echo = None;
    for event in events {
        match event.news {
            GridNews::Validation { code, url } => {
                let by_hand = url.is_some();
                tracing::info!(
                    can_be_opened_by_hand = by_hand,
                    "event grid subscription validated"
                );
                echo = Some(ValidationResponse { validation_response: code });
            }
            GridNews::SubscriptionDeleted => {
                tracing::warn!("an event grid subscription to this endpoint was deleted");
            }
            GridNews::Other => {}
            GridNews::IncomingCall(_)
            | GridNews::CallStarted(_)
            | GridNews::CallEnded(_)
            | GridNews::ParticipantAdded(_)
            | GridNews::ParticipantRemoved(_)
            | GridNews::RecordingFileStatusUpdated(_) => about_calls.push(event),
        }
    }
    if !about_calls.is_empty() {
        pass_on(door, about_calls).await?;
    }
    // The validation event is alone in its request.
    Ok(echo.map_or_else(|| receipt(accepted, rejected), |echo| HttpResponse::Ok().json(echo)))
}

fn busy() -> Problem {
    counter!("switchhook_mailbox_refusals_total", "actor" => "routing").increment(1);
    Problem::new(Code::Busy)
}

fn not_kept(error: JournalError) -> Problem {
    match error {
        JournalError::Full => Problem::new(Code::Busy),
        error => {
            tracing::error!(%error, "event grid delivery refused");
            Problem::new(Code::NotKept)
        }
    }
}

/// Journals the events and hands each to the routing actor; waits until they are safe and the calls
/// among them are decided, not for what follows from it. One that finds no room costs its neighbours
/// nothing. A batch that is refused comes again whole; what was decided is not decided again (rule I5).
async fn pass_on(door: &Door, events: Vec<GridEvent>) -> Result<(), Problem> {
    let (at, received) = (door.clock.wall(), door.clock.now());
    let line = |event: &GridEvent| Line { kind: LineKind::Rang, at, text: Arc::clone(&event.raw) };
    let lines = events.iter().map(line).collect();
    let mut events = events.into_iter();
    let mut refused = None;
    let mut verdicts = Vec::new();
    let kept = door.journal.append(lines, &mut |first| {
        for (place, event) in (first.0..).zip(events.by_ref()) {
            match door.put(event, Position(place), received) {
                Ok(verdict) => verdicts.extend(verdict),
                Err(problem) => refused = Some(problem),
            }
        }
    });
    let taken = async {
        kept.await.map_err(not_kept)?;
        for verdict in verdicts {
            let verdict = verdict.await.map_err(|_| Problem::new(Code::ShuttingDown))?;
            verdict.map_err(|error| Problem::new(Code::Busy).detail(error))?;
        }
        refused.map_or(Ok(()), Err)
    };
    tokio::select! {
        biased;
        taken = taken => taken,
        () = sleep(door.clock.as_ref(), PATIENCE) => Err(busy()),
    }
}

/// Where the routing actor tells of its decision.
type Verdict = oneshot::Receiver<Result<u64, TooManyRing>>;

impl Door {
    /// Puts an event into the mailbox of the routing actor, if there is room.
    fn put(
        &self,
        event: GridEvent,
        position: Position,
        received: Tick,
    ) -> Result<Option<Verdict>, Problem> {
        if !matches!(event.news, GridNews::IncomingCall(_)) {
            let notice = NoticeCame { event: Arc::new(event), position };
            return self.routing.try_send(notice).map(|()| None).map_err(unsent);
        }
        let Some(rang) = IncomingRang::of(event, received, position) else { return Ok(None) };
        let (reply, verdict) = oneshot::channel();
        self.routing.try_send(rang.telling(reply)).map(|()| Some(verdict)).map_err(unsent)
    }
}

fn unsent<T>(unsent: SendError<T>) -> Problem {
    match unsent {
        SendError::Full(_) => busy(),
        SendError::Closed(_) => Problem::new(Code::ShuttingDown),
    }
}
