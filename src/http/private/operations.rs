//! `GET /v1/calls/{id}/operations/{operationContext}`: the outcome of one operation, as a long poll.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Desk;
use super::waits::call_id;
use crate::actors::{Calls, OperationOutcome, heard_again};
use crate::http::problem::{Code, Problem};
use crate::pure::call::{OperationView, Which};
use crate::pure::operations::{Way, way};
use crate::wire::events::MAX_ID_BYTES;
use crate::wire::identifiers::{CallConnectionId, OperationContext};

/// The query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Query {
    wait_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    call_connection_id: &'a CallConnectionId,
    #[serde(flatten)]
    view: &'a OperationView,
    /// The CloudEvent that ended it, as Azure sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    /// The events of an operation that may have several.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Box<RawValue>>>,
}

/// The outcome of an operation that was asked for through the gateway; of the last one, when several
/// had that context. Still `pending` when `waitMs` is over first.
///
/// # Errors
/// 404 for an unknown call or operation, 400 for a wait that is too long.
pub async fn outcome(
    desk: web::Data<Desk>,
    path: web::Path<(String, String)>,
    query: web::Query<Query>,
) -> Result<HttpResponse, Problem> {
    let (id, context) = path.into_inner();
    let call = call_id(&id)?;
    if context.is_empty() || context.len() > MAX_ID_BYTES {
        return Err(Problem::new(Code::InvalidRequest)
            .detail("an operationContext has at least one and at most 4096 bytes"));
    }
    let within = Duration::from_millis(query.wait_ms.unwrap_or(0));
    if within > desk.max_wait {
        let most = desk.max_wait.as_millis();
        return Err(Problem::new(Code::WaitTooLong)
            .detail(format!("waitMs may be at most {most}; ask again after that")));
    }
    let which = Which::Context(OperationContext::new(context));
    match desk.calls.operation(&call, &which, within).await? {
        OperationOutcome::Known(view) => {
            Ok(HttpResponse::Ok().json(told(&call, &view, &desk.calls).await?))
        }
        OperationOutcome::Unknown => Err(Problem::new(Code::OperationNotFound).detail(
            "operations are known when they were asked for through /calling; the header \
             x-switchhook-operation-context of the answer names them",
        )),
        OperationOutcome::TooMany => Err(Problem::new(Code::TooManyWaits)),
    }
}

/// An operation with the payloads of its events, as far as those are still kept.
pub(super) async fn told(
    call: &CallConnectionId,
    view: &OperationView,
    calls: &Calls,
) -> Result<Value, Problem> {
    let read = calls.journal().get(&view.events).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the events of an operation could not be read");
        Vec::new()
    });
    let heard = read.into_iter().flatten().filter_map(heard_again);
    let mut events: Vec<Box<RawValue>> =
        heard.filter_map(|heard| serde_json::from_str(&heard.event.raw).ok()).collect();
    let several = view.expects > 1 || way(view.operation) == Way::Gathering;
    let (event, events) = match several {
        true => (None, Some(events)),
        false => (events.pop(), None),
    };
    let told = Told { call_connection_id: call, view, event, events };
    serde_json::to_value(told).map_err(|error| {
        tracing::error!(%error, "the outcome of an operation could not be written");
        Problem::new(Code::Internal)
    })
}
