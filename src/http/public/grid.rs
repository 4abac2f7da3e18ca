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

use super::secret::Secret;
use super::{Sorted, receipt};
use crate::actors::routing::{IncomingRang, NoticeCame, RoutingActor};
use crate::http::body::read_json;
use crate::http::problem::{Code, Problem};
use crate::ports::{Clock, sleep};
use crate::wire::events::grid::{GridEvent, GridNews, parse_deliveries};

/// A decision that takes longer is not waited for: the telephone rings for thirty seconds, and Event
/// Grid comes back after ten. It is not made twice (rule I5).
const PATIENCE: Duration = Duration::from_secs(2);

/// What stands at this door.
pub struct Door {
    /// Who decides about ringing calls.
    pub routing: Addr<RoutingActor>,
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
    for event in events {
        // The validation event is alone in its request.
        if let GridNews::Validation { code, url } = event.news {
            let by_hand = url.is_some();
            tracing::info!(can_be_opened_by_hand = by_hand, "event grid subscription validated");
            let echo = ValidationResponse { validation_response: code };
            return Ok(HttpResponse::Ok().json(echo));
        }
        pass_on(door, event).await?;
    }
    Ok(receipt(accepted, rejected))
}

/// Hands an event to the routing actor and waits for the decision, not for what follows from it. A
/// batch that fails halfway comes again whole; what was decided is not decided again (rule I5).
async fn pass_on(door: &Door, event: GridEvent) -> Result<(), Problem> {
    let busy = || {
        counter!("switchhook_mailbox_refusals_total", "actor" => "routing").increment(1);
        Problem::new(Code::Busy)
    };
    match &event.news {
        GridNews::IncomingCall(_) => {
            let Some(rang) = IncomingRang::of(event, door.clock.now()) else { return Ok(()) };
            // `send` waits for room in a full mailbox, and the sender must hear of it soon. Should the
            // decision be made all the same, what is sent again is a repeat and has no effect.
            let decided = tokio::select! {
                biased;
                decided = door.routing.send(rang) => decided.map_err(|_| Problem::new(Code::ShuttingDown))?,
                () = sleep(door.clock.as_ref(), PATIENCE) => return Err(busy()),
            };
            decided.map(|_| ()).map_err(|error| Problem::new(Code::Busy).detail(error))
        }
        GridNews::SubscriptionDeleted => {
            tracing::warn!("an event grid subscription to this endpoint was deleted");
            Ok(())
        }
        GridNews::Validation { .. } => Ok(()),
        GridNews::CallStarted(_)
        | GridNews::CallEnded(_)
        | GridNews::ParticipantAdded(_)
        | GridNews::ParticipantRemoved(_)
        | GridNews::RecordingFileStatusUpdated(_)
        | GridNews::Other => {
            let notice = NoticeCame(Arc::new(event));
            door.routing.try_send(notice).map_err(|unsent| match unsent {
                SendError::Full(_) => busy(),
                SendError::Closed(_) => Problem::new(Code::ShuttingDown),
            })
        }
    }
}
