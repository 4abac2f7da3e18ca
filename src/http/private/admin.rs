//! What an operator looks at: live calls, one call in depth, actors, settings; and hanging up.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Desk;
use super::auth::Who;
use super::events::{Line, payloads};
use super::numbers::RoutingDesk;
use super::waits::call_id;
use crate::http::body::parse_json;
use crate::http::problem::{Code, Problem};
use crate::ports::{CallAutomation, Request, UpstreamError};
use crate::pure::call::{CallView, Ending, Phase};
use crate::wire::calling::{Operation, Place};
use crate::wire::identifiers::{CallConnectionId, CorrelationId, ServerCallId};

/// Calls of a page when the request names no limit, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
/// Longest reason for an action.
const MAX_REASON: usize = 500;

/// What the admin routes need beside the calls.
pub struct AdminDesk {
    /// Azure, for acting on calls.
    pub azure: Arc<dyn CallAutomation>,
    /// The effective settings with their origins, secrets masked.
    pub config: Box<RawValue>,
}

/// The query of the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListQuery {
    state: Option<Phase>,
    limit: Option<usize>,
    after: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    call_connection_id: CallConnectionId,
    state: Phase,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unverified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_call_id: Option<ServerCallId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<CorrelationId>,
    age_ms: u64,
    participants: usize,
    waits: usize,
    backlog: usize,
    subscriptions: usize,
    events: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event: Option<String>,
}

impl Row {
    fn of(id: CallConnectionId, view: CallView) -> Self {
        Self {
            call_connection_id: id,
            state: view.state,
            unverified: view.unverified,
            ending: view.ending,
            server_call_id: view.server_call_id,
            correlation_id: view.correlation_id,
            age_ms: view.age_ms,
            participants: view.participants.len(),
            waits: view.waits.len(),
            backlog: view.backlog,
            subscriptions: view.subscriptions.len(),
            events: view.timeline.len(),
            last_event: view.timeline.last().map(|line| line.entry.kind.short_name().to_owned()),
        }
    }
}

#[derive(Serialize)]
struct List {
    calls: Vec<Row>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// Calls in the order in which they were opened, a page at a time.
///
/// # Errors
/// None but of the query.
pub async fn calls(
    desk: web::Data<Desk>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let listed = desk.calls.list(query.after.unwrap_or(0), limit, query.state).await;
    let next = (listed.len() == limit).then(|| listed.last().map(|last| last.opened)).flatten();
    let mut rows = Vec::with_capacity(listed.len());
    for listed in listed {
        // A call may leave between being listed and being looked at.
        if let Ok(view) = desk.calls.look(&listed.id).await {
            rows.push(Row::of(listed.id, view));
        }
    }
    Ok(HttpResponse::Ok().json(List { calls: rows, next }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InDepth<'a> {
    call_connection_id: &'a CallConnectionId,
    #[serde(flatten)]
    call: &'a CallView,
    /// The timeline again, with payloads.
    events: Vec<Line<'a>>,
    /// How the ringing call was decided, when it came in through us.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<serde_json::Value>,
}

/// One call in depth, by its connection id, server call id or correlation id.
///
/// # Errors
/// 404 when no call has that id; 300 never: several legs of one call are told in `others`.
pub async fn call(
    desk: web::Data<Desk>,
    routing: web::Data<RoutingDesk>,
    any_id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let found = desk.calls.find(&any_id).await;
    let id = found.first().ok_or_else(|| {
        Problem::new(Code::CallNotFound)
            .detail("give a callConnectionId, serverCallId or correlationId of a call that lives or ended within the last minute")
    })?;
    let view = desk.calls.look(id).await?;
    let life = desk.calls.journal().life();
    let lines = view.timeline.iter().zip(payloads(&desk, &view.timeline).await?);
    let events = lines.map(|(line, event)| Line::new(line, event, life)).collect();
    let decision = routing.decision_of(&view).await;
    let in_depth = InDepth { call_connection_id: id, call: &view, events, decision };
    let mut body = serde_json::to_value(in_depth).map_err(internal)?;
    if let Some(body) = body.as_object_mut() {
        body.remove("timeline");
        if found.len() > 1 {
            body.insert("legs".into(), serde_json::to_value(&found).map_err(internal)?);
        }
    }
    Ok(HttpResponse::Ok().json(body))
}

fn internal(error: serde_json::Error) -> Problem {
    tracing::error!(%error, "a view could not be written");
    Problem::new(Code::Internal)
}

/// The shards of the registry.
pub async fn actors(desk: web::Data<Desk>, routing: web::Data<RoutingDesk>) -> HttpResponse {
    let shards = desk.calls.shards().await;
    let routing = routing.look().await;
    HttpResponse::Ok().json(serde_json::json!({ "registry": shards, "routing": routing }))
}

/// The latest incoming calls and how they were decided, newest first.
pub async fn incoming(routing: web::Data<RoutingDesk>) -> HttpResponse {
    HttpResponse::Ok().json(routing.decisions().await)
}

/// The effective settings with their origins, secrets masked.
pub async fn config(admin: web::Data<AdminDesk>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(admin.config.get().to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HangUp {
    reason: String,
}

/// Hangs up. A reason is required and written to the log.
///
/// # Errors
/// 404 for an unknown call, 502 when the call service refused or could not be reached.
pub async fn hang_up(
    desk: web::Data<Desk>,
    admin: web::Data<AdminDesk>,
    id: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = call_id(&id)?;
    let body: HangUp = parse_json(request.headers(), payload, desk.max_body_bytes).await?;
    if body.reason.trim().is_empty() || body.reason.len() > MAX_REASON {
        return Err(Problem::new(Code::InvalidRequest)
            .detail(format!("say a reason of 1 to {MAX_REASON} characters")));
    }
    desk.calls.look(&id).await?;
    let who = request.extensions().get::<Who>().map_or_else(String::new, |who| who.0.clone());
    tracing::warn!(call = %id, who, reason = body.reason, "hanging up by hand");
    let hang_up = Request::new(Operation::HangUpCall, Place::Call(id));
    admin.azure.send(hang_up).await.map_err(upstream)?;
    Ok(HttpResponse::NoContent().finish())
}

/// A failed request to the call service, told to a client of ours.
fn upstream(error: UpstreamError) -> Problem {
    tracing::warn!(%error, "an action failed at the call service");
    match error {
        UpstreamError::Refused { status, code, message, .. } => Problem::new(Code::UpstreamRefused)
            .detail(message)
            .with("upstreamStatus", status)
            .with("upstreamCode", code),
        UpstreamError::Failing { .. }
        | UpstreamError::Unreachable { .. }
        | UpstreamError::Unreadable { .. } => Problem::new(Code::UpstreamUnreachable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::call::{Call, Limits};
    use crate::pure::time::Tick;

    #[test]
    fn c11_a_row_says_when_its_call_is_in_doubt() {
        let row = |call: &Call| {
            let view = call.view(Tick(0), &Limits::default());
            serde_json::to_value(Row::of("c".into(), view)).expect("JSON")
        };
        let mut call = Call::open(Tick(0));
        assert_eq!(row(&call).get("unverified"), None);
        call.doubt(Tick(0));
        assert_eq!(row(&call)["unverified"], true);
    }
}
