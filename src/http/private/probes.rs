//! Probes and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use serde::Serialize;

/// Whether the service takes new work, and why not.
#[derive(Default)]
pub struct Readiness {
    draining: AtomicBool,
}

impl Readiness {
    /// The service stops; it takes no new work.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn reasons(&self) -> Vec<&'static str> {
        self.draining.load(Ordering::Relaxed).then_some("draining").into_iter().collect()
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
    response.json(Ready { ready, reasons })
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
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let route = super::ROUTES
        .iter()
        .map(|(_, pattern)| *pattern)
        .find(|pattern| route.as_deref().is_some_and(|route| same_shape(route, pattern)))
        .unwrap_or("other");
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
