//! `POST /webhooks/calls`: mid-call events. The handler is a doorman: it proves the sender, reads
//! the events and hands them to their calls.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use metrics::{Counter, counter};

use super::secret::Secret;
use super::token::{BadToken, TokenCheck};
use super::{Sorted, receipt};
use crate::actors::Calls;
use crate::actors::forwarder::{ForwardTo, Forwarder};
use crate::http::body::read_json;
use crate::http::problem::{Code, Problem};
use crate::pure::forwarding::{TARGET_PARAMETER, Targets};
use crate::wire::events::parse_callbacks;

/// What stands at this door.
pub struct Door {
    calls: Calls,
    secret: Option<Secret>,
    tokens: Option<Arc<TokenCheck>>,
    max_body_bytes: usize,
    max_events: usize,
    forwarding: Option<Forwarding>,
    accepted: Counter,
}

/// How events get to the URLs of the gateway's callers.
pub struct Forwarding {
    /// Who forwards.
    pub forwarder: Forwarder,
    /// Reads where to.
    pub targets: Arc<Targets>,
}

impl Forwarding {
    /// Where the events of a request are to go, besides to their calls. A target that is not ours is
    /// passed over: the events are good all the same.
    fn of(&self, request: &HttpRequest) -> Option<ForwardTo<'_>> {
        let query = request.query_string();
        let value = query.split('&').find_map(|pair| {
            pair.split_once('=').filter(|(name, _)| *name == TARGET_PARAMETER).map(|(_, it)| it)
        })?;
        let Some(to) = self.targets.read(value) else {
            counter!("switchhook_forward_targets_refused_total").increment(1);
            tracing::warn!("a callback names a target that was not signed by us; not forwarded");
            return None;
        };
        let authorization = request.headers().get(actix_web::http::header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok()).map(Arc::from);
        Some(ForwardTo { forwarder: &self.forwarder, to: to.into(), authorization })
    }
}

impl Door {
    /// `secret` and `tokens` are `None` only where the settings turn that check off.
    pub fn new(
        calls: Calls,
        secret: Option<Secret>,
        tokens: Option<Arc<TokenCheck>>,
        max_body_bytes: usize,
        max_events: usize,
    ) -> Self {
        let accepted = counter!("switchhook_http_requests_total",
            "listener" => "public", "route" => "/webhooks/calls", "status" => "200");
        Self { calls, secret, tokens, max_body_bytes, max_events, forwarding: None, accepted }
    }

    /// … and has events forwarded whose callback says where to.
    #[must_use]
    pub fn forwarding(self, forwarding: Forwarding) -> Self {
        Self { forwarding: Some(forwarding), ..self }
    }

    async fn check_sender(&self, request: &HttpRequest) -> Result<(), Problem> {
        if let Some(secret) = &self.secret {
            secret.check(request).map_err(|bad| refused(bad.label()))?;
        }
        let Some(tokens) = &self.tokens else { return Ok(()) };
        let authorization = request.headers().get(actix_web::http::header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        match tokens.check(authorization).await {
            Ok(()) => Ok(()),
            // Nothing is wrong with the sender: it should try again when we have the keys.
            Err(BadToken::NoKeys) => {
                refused(BadToken::NoKeys.label());
                Err(Problem::new(Code::Busy))
            }
            Err(bad) => Err(refused(bad.label())),
        }
    }
}

/// Counts a refusal. The sender learns nothing but 401.
fn refused(reason: &'static str) -> Problem {
    counter!("switchhook_callback_auth_failures_total", "reason" => reason).increment(1);
    tracing::warn!(reason, "callback refused");
    Problem::new(Code::Unauthorized)
}

/// Takes mid-call events.
///
/// # Errors
/// A [`Problem`]: 400, 401, 413, 415 for what can never be taken, 503 for what should come again.
pub async fn receive(
    door: web::Data<Door>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let taken = take(&door, &request, payload).await;
    match &taken {
        Ok(_) => door.accepted.increment(1),
        Err(problem) => super::count_refusal("/webhooks/calls", problem),
    }
    taken
}

async fn take(
    door: &Door,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    door.check_sender(request).await?;
    let body = read_json(request.headers(), payload, door.max_body_bytes).await?;
    let read = parse_callbacks(&body, door.max_events)?;
    let Sorted { events, rejected } = Sorted::out("calls", read)?;
    let accepted = events.len();
    let forward = door.forwarding.as_ref().and_then(|it| it.of(request));
    door.calls.deliver_to(events, forward).await?;
    Ok(receipt(accepted, rejected))
}
