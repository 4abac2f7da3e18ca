//! What the client tells about itself: counts, times, and a log line for what went wrong.
//!
//! Labels come from closed sets. Nothing here ever names a URL, a body or a context.

use std::time::Duration;

use uuid::Uuid;

use super::attempt::Reply;
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

/// One attempt has ended.
pub(super) fn attempted(operation: Operation, id: Uuid, reply: &Reply, took: Duration) {
    let (operation, class) = (operation.label(), class(reply));
    metrics::counter!(
        "switchhook_upstream_requests_total",
        "operation" => operation,
        "class" => class
    )
    .increment(1);
    metrics::histogram!("switchhook_upstream_request_seconds", "operation" => operation)
        .record(took.as_secs_f64());
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
