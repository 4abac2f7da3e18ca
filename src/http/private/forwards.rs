//! Events that could not be forwarded to the gateway's callers: what they are, and once more, please.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::auth::Who;
use crate::actors::forwarder::Forwarder;
use crate::http::problem::{Code, Problem};
use crate::ports::Position;
use crate::pure::notes::DeadLetter;

/// What these routes need.
pub struct ForwardDesk {
    /// Who forwards.
    pub forwarder: Forwarder,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// For sending it again.
    id: u64,
    call_connection_id: String,
    #[serde(rename = "type")]
    kind: String,
    /// Scheme, host and path; what stands in the query may be secret.
    to: String,
    attempts: u32,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<jiff::Timestamp>,
}

impl Row {
    fn of(letter: DeadLetter) -> Self {
        let to = letter.to.split(['?', '#']).next().unwrap_or_default().to_owned();
        Self {
            id: letter.of.0,
            call_connection_id: letter.call.as_str().to_owned(),
            kind: letter.kind,
            to,
            attempts: letter.attempts,
            reason: letter.why,
            status: letter.status,
            at: letter.at,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    dead_letters: Vec<Row>,
}

/// The events that were given up, the latest first.
pub async fn dead(desk: web::Data<ForwardDesk>) -> HttpResponse {
    let letters = desk.forwarder.dead_letters().await;
    HttpResponse::Ok().json(List { dead_letters: letters.into_iter().rev().map(Row::of).collect() })
}

/// Sends one of them again.
///
/// # Errors
/// 404 when there is none of that id, or its event is no longer kept.
pub async fn redeliver(
    desk: web::Data<ForwardDesk>,
    id: web::Path<u64>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let of = Position(*id);
    if !desk.forwarder.redeliver(of).await {
        return Err(Problem::new(Code::LetterNotFound).detail("see GET /admin/dead-letters"));
    }
    let who = request.extensions().get::<Who>().map_or_else(String::new, |who| who.0.clone());
    tracing::info!(event = of.0, who, "a dead letter is sent again");
    Ok(HttpResponse::Accepted().finish())
}
