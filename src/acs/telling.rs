//! What the client tells about itself: counts, times, and a log line for what went wrong.
//!
//! Labels come from closed sets. Nothing here ever names a URL, a body or a context.

use std::time::Duration;

use uuid::Uuid;

use super::attempt::Reply;
use crate::ports::NotPassed;
use crate::wire::calling::Operation;

/// What became of an attempt, as the metric `switchhook_upstream_requests_total` sorts it.
fn class(reply: &Reply) -> &'static str {
    match reply {
        Reply::Success(_) => "success",
        Reply::Refusal { status: 429, .. } => "throttled",
        Reply::Refusal { status: 408 | 500.., .. } | Reply::Foreign(_) => "failed",
        Reply::Refusal { .. } => "refused",
        Reply::NotSent(_) | Reply::NoAnswer(_) => "unreachable",
    }
}

fn count(operation: Operation, class: &'static str, took: Duration) {
    let operation = operation.label();
    metrics::counter!(
        "switchhook_upstream_requests_total",
        "operation" => operation,
        "class" => class
    )
    .increment(1);
    metrics::histogram!("switchhook_upstream_request_seconds", "operation" => operation)
        .record(took.as_secs_f64());
}

/// One attempt has ended.
pub(super) fn attempted(operation: Operation, id: Uuid, reply: &Reply, took: Duration) {
    let class = class(reply);
    count(operation, class, took);
    let operation = operation.label();
    let took_ms = took.as_millis();
    tracing::debug!(operation, class, took_ms, client_request_id = %id, "call service asked");
}

/// The request is about to be sent again.
pub(super) fn retrying(operation: Operation, id: Uuid, reply: &Reply, after: Duration) {
    let (operation, class) = (operation.label(), class(reply));
    metrics::counter!("switchhook_upstream_retries_total", "operation" => operation).increment(1);
    let after_ms = after.as_millis();
    tracing::warn!(
        operation,
        class,
        after_ms,
        client_request_id = %id,
        "call service will be asked again"
    );
}

/// A request of the gateway was passed on, or got no answer. The status decides the class.
pub(super) fn passed(operation: Operation, answer: Result<u16, &NotPassed>, took: Duration) {
    let class = match answer {
        Ok(429) => "throttled",
        Ok(408 | 500..) => "failed",
        Ok(400..) => "refused",
        Ok(_) => "success",
        Err(_) => "unreachable",
    };
    count(operation, class, took);
    if let Err(error) = answer {
        tracing::warn!(operation = operation.label(), %error, "a request could not be passed on");
    }
}

/// Whether requests of the gateway are turned away because the call service does not answer.
pub(super) fn breaker(open: bool) {
    metrics::gauge!("switchhook_gateway_breaker_open").set(f64::from(u8::from(open)));
}
