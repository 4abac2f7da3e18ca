//! Number assignments, and what would be decided with them.

use actix::Addr;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::auth::Who;
use crate::actors::routing::{
    ChangeError, DecisionRecord, DropNumber, Explain, GetNumber, ListChanges, ListNumbers, Look,
    MAX_CHANGES, MAX_PAGE, PutNumber, RollBack, RoutingActor,
};
use crate::http::body::parse_json;
use crate::http::problem::{Code, Problem};
use crate::ports::NumberStoreError;
use crate::pure::call::CallView;
use crate::pure::routing::{Draft, Key, Numbered, Party, WriteError};
use crate::wire::identifiers::RedactedText;

/// Assignments of a page when the request names no limit.
const PAGE: usize = 100;
/// Changes of a page when the request names no limit.
const CHANGES_PAGE: usize = 20;
/// Longest reason for a change.
const MAX_WHY: usize = 500;
/// The header that says why something is changed.
const WHY_HEADER: &str = "x-switchhook-reason";

/// The way to the routing actor.
pub struct RoutingDesk {
    /// Who decides.
    pub routing: Addr<RoutingActor>,
    /// Bodies are refused beyond this.
    pub max_body_bytes: usize,
}

impl RoutingDesk {
    async fn ask<M>(&self, message: M) -> Result<M::Result, Problem>
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        RoutingActor: actix::Handler<M>,
        <RoutingActor as actix::Actor>::Context: actix::dev::ToEnvelope<RoutingActor, M>,
    {
        self.routing.send(message).await.map_err(|error| {
            tracing::error!(%error, "the routing actor did not answer");
            Problem::new(Code::Busy)
        })
    }

    /// What is in the routing actor, without its lists.
    pub(super) async fn look(&self) -> serde_json::Value {
        let view = self.ask(Look).await.ok();
        let mut view = serde_json::to_value(view).unwrap_or_default();
        if let Some(view) = view.as_object_mut() {
            view.remove("decisions");
        }
        view
    }

    /// The latest decisions, newest first.
    pub(super) async fn decisions(&self) -> Vec<DecisionRecord> {
        self.ask(Look).await.map(|view| view.decisions).unwrap_or_default()
    }

    /// How the ringing call was decided that became this one.
    pub(super) async fn decision_of(&self, call: &CallView) -> Option<serde_json::Value> {
        let is_this = |record: &DecisionRecord| {
            let same = |a: Option<&str>, b: Option<&str>| a.is_some() && a == b;
            same(
                record.correlation_id.as_ref().map(|id| id.as_str()),
                call.correlation_id.as_ref().map(|id| id.as_str()),
            ) || same(
                record.server_call_id.as_ref().map(|id| id.as_str()),
                call.server_call_id.as_ref().map(|id| id.as_str()),
            )
        };
        let record = self.decisions().await.into_iter().find(is_this)?;
        serde_json::to_value(record).ok()
    }
}

fn key_of(text: &str) -> Result<Key, Problem> {
    Key::parse(text)
        .map_err(|error| Problem::new(Code::InvalidNumber).detail(error).with("at", error.code()))
}

fn problem_of(error: &ChangeError) -> Problem {
    let problem = match error {
        ChangeError::Refused(error) => refusal_of(error),
        ChangeError::Store(error) => return store_problem(error),
        ChangeError::Moved { current } => {
            Problem::new(Code::VersionConflict).with("currentVersion", current)
        }
        ChangeError::NothingToDo { .. } => Problem::new(Code::NothingToRollBack),
        ChangeError::TooMany { .. } => Problem::new(Code::Busy),
    };
    problem.detail(error)
}

fn refusal_of(error: &WriteError) -> Problem {
    match error {
        WriteError::VersionConflict { current } => {
            Problem::new(Code::VersionConflict).with("currentVersion", current)
        }
        WriteError::NotFound => Problem::new(Code::NumberNotFound),
        WriteError::Cycle { keys } => {
            let keys: Vec<_> = keys.iter().map(Key::text).collect();
            Problem::new(Code::RedirectCycle).with("keys", keys)
        }
        WriteError::Twice { .. } | WriteError::OtherKey => Problem::new(Code::InvalidNumber),
        WriteError::Full { .. } => Problem::new(Code::TooManyNumbers),
    }
}

fn store_problem(error: &NumberStoreError) -> Problem {
    match error {
        NumberStoreError::NotYet { newest } => {
            Problem::new(Code::VersionNotFound).with("currentVersion", newest).detail(error)
        }
        NumberStoreError::Gone { oldest } => {
            Problem::new(Code::VersionGone).with("oldestVersion", oldest).detail(error)
        }
        // What the disk said is for the log.
        NumberStoreError::Failed(_) => Problem::new(Code::ChangeNotKept),
        NumberStoreError::Unreadable(_) => {
            tracing::error!(%error, "history of number assignments cannot be read");
            Problem::new(Code::Internal)
        }
    }
}

/// `If-Match: "7"` is version 7, `If-None-Match: *` is "there is none".
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if text(header::IF_NONE_MATCH) == Some("*") {
        return Ok(Some(0));
    }
    let Some(given) = text(header::IF_MATCH) else { return Ok(None) };
    if given == "*" {
        return Ok(None);
    }
    let version = given.trim_start_matches("W/").trim_matches('"').parse().map(Some);
    version.map_err(|_| {
        Problem::new(Code::InvalidRequest).detail("If-Match takes the version, such as \"7\"")
    })
}

fn who(request: &HttpRequest) -> RedactedText {
    request.extensions().get::<Who>().map_or_else(|| "unknown".into(), |who| who.0.as_str().into())
}

fn why(request: &HttpRequest) -> Result<Option<RedactedText>, Problem> {
    let Some(given) = request.headers().get(WHY_HEADER) else { return Ok(None) };
    let given = given.to_str().unwrap_or_default();
    if given.is_empty() || given.len() > MAX_WHY {
        return Err(Problem::new(Code::InvalidRequest)
            .detail(format!("{WHY_HEADER} takes 1 to {MAX_WHY} characters of ASCII text")));
    }
    Ok(Some(given.into()))
}

fn tagged(mut response: actix_web::HttpResponseBuilder, numbered: &Numbered) -> HttpResponse {
    let version = numbered.assignment.version;
    response.insert_header((header::ETAG, format!("\"{version}\""))).json(numbered)
}

/// The query of the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// Assignments in order of key, a page at a time.
///
/// # Errors
/// A [`Problem`] when `after` is no key.
pub async fn list(
    desk: web::Data<RoutingDesk>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let after = query.after.as_deref().map(key_of).transpose()?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let page = desk.ask(ListNumbers { after, limit }).await?;
    let next = (page.value.len() == limit).then(|| page.value.last()).flatten();
    let next = next.map(|numbered| numbered.key.text());
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "numbers": page.value, "version": page.version, "total": page.total, "next": next,
    })))
}

/// One assignment.
///
/// # Errors
/// 404 when nothing is assigned to exactly this key.
pub async fn get(
    desk: web::Data<RoutingDesk>,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let found = desk.ask(GetNumber(key_of(&key)?)).await?;
    let found = found.ok_or_else(|| Problem::new(Code::NumberNotFound))?;
    Ok(tagged(HttpResponse::Ok(), &found))
}

/// Writes an assignment. `If-Match` guards against writing over somebody else's change.
///
/// # Errors
/// 400 for a bad assignment, 409 for a cycle, 412 for a version conflict, 503 when it cannot be kept.
pub async fn put(
    desk: web::Data<RoutingDesk>,
    key: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let key = key_of(&key)?;
    let if_match = if_match(request.headers())?;
    let json = parse_json(request.headers(), payload, desk.max_body_bytes).await?;
    let draft = Draft::parse(&json).map_err(|error| {
        Problem::new(Code::InvalidNumber).detail(&error).with("at", error.code())
    })?;
    let existed = desk.ask(GetNumber(key.clone())).await?.is_some();
    let (who, why) = (who(&request), why(&request)?);
    let written = desk.ask(PutNumber { key, draft, if_match, who, why }).await?;
    let written = written.map_err(|error| problem_of(&error))?;
    let response = if existed { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(tagged(response, &written))
}

/// Takes an assignment away.
///
/// # Errors
/// 404 when there is none, 412 for a version conflict, 503 when it cannot be kept.
pub async fn delete(
    desk: web::Data<RoutingDesk>,
    key: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let key = key_of(&key)?;
    let if_match = if_match(request.headers())?;
    let (who, why) = (who(&request), why(&request)?);
    let dropped = desk.ask(DropNumber { key, if_match, who, why }).await?;
    dropped.map_err(|error| problem_of(&error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// The query of the history.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistoryQuery {
    before: Option<u64>,
    limit: Option<usize>,
}

/// Changes, newest first, a page at a time: who, when, why, and each key before and after (rule I11).
///
/// # Errors
/// 500 when the store cannot be read.
pub async fn history(
    desk: web::Data<RoutingDesk>,
    query: web::Query<HistoryQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit.unwrap_or(CHANGES_PAGE).clamp(1, MAX_CHANGES);
    let page = desk.ask(ListChanges { before: query.before, limit }).await?;
    let page = page.map_err(|error| store_problem(&error))?;
    let last = page.changes.last().map(|listed| listed.change.version);
    // Whatever is left is behind the last one, unless that is the oldest that is kept.
    let next = last.filter(|last| last.saturating_sub(1) > page.oldest);
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "changes": page.changes, "version": page.version, "oldest": page.oldest, "next": next,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBackBody {
    version: u64,
    why: String,
}

/// Makes the assignments what they were after a version, in a change of its own. `If-Match` takes the
/// table's version.
///
/// # Errors
/// 404 for a version that is not made yet, 410 for one that is forgotten, 409 when nothing would change,
/// 412 for a version conflict.
pub async fn roll_back(
    desk: web::Data<RoutingDesk>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let if_match = if_match(request.headers())?;
    let body: RollBackBody = parse_json(request.headers(), payload, desk.max_body_bytes).await?;
    let characters = body.why.chars().count();
    if !(1..=MAX_WHY).contains(&characters) || body.why.chars().any(char::is_control) {
        return Err(Problem::new(Code::InvalidRequest)
            .detail(format!("why takes 1 to {MAX_WHY} characters in one line")));
    }
    let (to, who, why) = (body.version, who(&request), Some(body.why.into()));
    let rolled_back = desk.ask(RollBack { to, if_match, who, why }).await?;
    let rolled_back = rolled_back.map_err(|error| problem_of(&error))?;
    let tag = (header::ETAG, format!("\"{}\"", rolled_back.version));
    Ok(HttpResponse::Ok().insert_header(tag).json(rolled_back))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainBody {
    caller: String,
    callee: String,
    #[serde(default)]
    at: Option<jiff::Timestamp>,
}

/// What would be decided for a caller and a callee, and why (rule I10). Changes nothing.
///
/// # Errors
/// 400 when caller or callee is neither a number nor a raw id.
pub async fn explain(
    desk: web::Data<RoutingDesk>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body: ExplainBody = parse_json(request.headers(), payload, desk.max_body_bytes).await?;
    let party = |name: &str, text: &str| {
        Party::parse(text).map_err(|error| {
            Problem::new(Code::InvalidNumber).detail(format!("{name}: {error}")).with("at", name)
        })
    };
    let caller = party("caller", &body.caller)?;
    let callee = party("callee", &body.callee)?;
    Ok(HttpResponse::Ok().json(desk.ask(Explain { caller, callee, at: body.at }).await?))
}
