//! Probes and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use serde::Serialize;

use crate::actors::verifier::Progress;

/// Why the service takes no new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// It reads what it knew before the restart.
    Recovering,
    /// It stops.
    Draining,
    /// What comes in cannot be made safe any more.
    JournalFailed,
}

impl Unready {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Recovering, Self::Draining, Self::JournalFailed];

    /// A closed set, for the probe and for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Recovering => "recovering",
            Self::Draining => "draining",
            Self::JournalFailed => "journal_failed",
        }
    }
}

/// Whether the service takes new work, and why not.
pub struct Readiness {
    /// In the order of [`Unready::ALL`].
    unready: [AtomicBool; Unready::ALL.len()],
    recovery: Arc<Progress>,
}

impl Readiness {
    /// Ready from the beginning. `recovery` is shown beside it, and is no reason to be unready.
    pub fn new(recovery: Arc<Progress>) -> Self {
        let ready = Self { unready: Default::default(), recovery };
        for reason in Unready::ALL {
            ready.set(reason, false);
        }
        ready
    }

    /// A reason begins to hold, or holds no more.
    pub fn set(&self, reason: Unready, holds: bool) {
        self.unready[reason as usize].store(holds, Ordering::Relaxed);
        metrics::gauge!("switchhook_unready", "reason" => reason.label()).set(u8::from(holds));
    }

    fn reasons(&self) -> Vec<&'static str> {
        let holds = |reason: &Unready| self.unready[*reason as usize].load(Ordering::Relaxed);
        Unready::ALL.into_iter().filter(holds).map(Unready::label).collect()
    }

    /// Nothing when nothing was restored.
    fn recovery(&self) -> Option<Recovery> {
        let restored = self.recovery.restored();
        (restored > 0).then(|| Recovery { restored, unverified: self.recovery.unverified() })
    }
}

/// What the probes look at.
pub struct Probes {
    /// Whether the service takes new work.
    pub readiness: Arc<Readiness>,
    /// Renders the metrics in Prometheus' text format.
    pub render: Box<dyn Fn() -> String + Send + Sync>,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Recovery>,
}

/// What is known of calls from before the restart.
#[derive(Serialize)]
struct Recovery {
    restored: usize,
    unverified: usize,
}

/// The process answers.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("alive\n")
}

/// The service takes new work: 200, or 503 with the reasons.
pub async fn ready(probes: web::Data<Probes>) -> HttpResponse {
    let reasons = probes.readiness.reasons();
    let ready = reasons.is_empty();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(Ready { ready, reasons, recovery: probes.readiness.recovery() })
}

/// Everything Prometheus wants to know.
pub async fn metrics(probes: web::Data<Probes>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body((probes.render)())
}

/// Counts the requests of the private listener by route pattern, never by path.
pub async fn count<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let route = request.match_pattern();
    let gateway = request.path().starts_with("/calling/");
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let route = super::ROUTES
        .iter()
        .map(|(_, pattern)| *pattern)
        .find(|pattern| route.as_deref().is_some_and(|route| same_shape(route, pattern)))
        .unwrap_or(if gateway { "/calling" } else { "other" });
    metrics::counter!("switchhook_http_requests_total",
        "listener" => "private", "route" => route, "status" => status.as_u16().to_string())
    .increment(1);
    answer
}

/// Patterns are equal but for the names of their placeholders.
fn same_shape(a: &str, b: &str) -> bool {
    let blank = |text: &str| {
        let mut inside = false;
        text.chars()
            .filter(|c| {
                inside = (inside || *c == '{') && *c != '}';
                !inside
            })
            .collect::<String>()
    };
    blank(a) == blank(b)
}
