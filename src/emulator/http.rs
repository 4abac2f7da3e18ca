//! The door of the emulator: one handler that sends a request to the API, to the token documents or to
//! the emulator's own routes.
//!
//! Owns reading and writing HTTP. Paths are taken raw, because signatures cover them raw.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::api::{self, ApiRequest};
use super::auth::Guard;
use super::own_clock;
use super::own_routes;
use super::page;
use super::recording_routes;
use super::shell::Shell;
use super::trace_routes;
use super::world::{Refusal, Reply};
use crate::pure::proof::Signed;
use crate::wire::calling::{Route, route};

/// Names a request in the caller's own log; it is sent back.
const CLIENT_ID: &str = "x-ms-client-request-id";

/// What every worker shares.
pub struct Door {
    /// The world and its surroundings.
    pub shell: std::sync::Arc<Shell>,
    /// Who may call the API.
    pub guard: Guard,
    /// Largest body.
    pub body_limit: usize,
    /// Where the emulator listens.
    pub address: std::net::SocketAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
}

impl Door {
    /// Where whoever asks has reached the emulator, without a slash at the end.
    pub fn base_url(&self, request: &Request) -> String {
        format!("{}://{}", self.scheme, request.host())
    }
}

/// A request with its body, as the routes see it.
pub struct Request {
    method: Method,
    /// Path and query as sent.
    pub target: String,
    headers: actix_web::http::header::HeaderMap,
    /// The body.
    pub body: web::Bytes,
}

impl Request {
    /// A header's value, when it is text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }

    /// The method in capitals.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The path as sent.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query as sent.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// `Host` as sent.
    pub fn host(&self) -> String {
        self.header("host").unwrap_or_default()
    }
}

/// Answers everything.
pub async fn answer(
    door: web::Data<Door>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let body = match payload.to_bytes_limited(door.body_limit).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return written(Refusal::bad("The request body was cut off.").into()),
        Err(_) => {
            let message = format!("The request body may have at most {} bytes.", door.body_limit);
            return refused(Refusal::new(413, "RequestEntityTooLarge", message));
        }
    };
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let headers = request.headers().clone();
    let request = Request { method: request.method().clone(), target, headers, body };
    if request.method() == "GET"
        && let Some(response) = page::file(request.path())
    {
        return response;
    }
    if request.path().starts_with("/emulator/") {
        return answer_own(&door, &request).await;
    }
    let base_url = door.base_url(&request);
    match (request.method(), request.path()) {
        ("GET", "/calling/.well-known/acsopenidconfiguration") => {
            written(Reply::json(200, &door.shell.tokens().configuration(&base_url)))
        }
        (_, path) if recording_routes::is_one(path) => recording_routes::answer(&door, &request),
        ("GET", "/calling/keys") => written(Reply::json(200, &door.shell.tokens().keys())),
        _ => answer_api(&door, &request).await,
    }
}

async fn answer_own(door: &Door, request: &Request) -> HttpResponse {
    if let Err(refusal) = page::from_here(request) {
        return refused(refusal);
    }
    let answer = match (request.method(), request.path()) {
        (_, path) if trace_routes::is_one(path) => {
            return trace_routes::answer(&door.shell, request).await;
        }
        (_, path) if own_clock::is_about_time(path) => {
            own_clock::answer(&door.shell, request).await
        }
        ("GET", "/emulator/about") => Ok(page::about(door, request)),
        _ => own_routes::answer(&door.shell, request),
    };
    answer.map_or_else(refused, written)
}

async fn answer_api(door: &Door, request: &Request) -> HttpResponse {
    let (operation, place) = match route(request.method(), request.path()) {
        Route::To(operation, place) => (operation, place),
        Route::WrongMethod => {
            let message = "The path exists, but not for this method.";
            return refused(Refusal::new(405, "MethodNotAllowed", message));
        }
        Route::Nowhere => {
            let message = "No HTTP resource was found that matches the request URI.";
            return refused(Refusal::new(404, "NotFound", message));
        }
    };
    let header = |name: &str| request.header(name);
    let signed = Signed {
        method: request.method(),
        target: &request.target,
        body: &request.body,
        header: &header,
    };
    if let Err(refusal) = door.guard.check(&signed, door.shell.callers_wall()) {
        door.shell.with(|world, now| {
            world.pass_time(now);
            world.trace_request(operation, &place, Err(&refusal));
        });
        return refused(refusal);
    }
    let (repeat_id, first_sent) =
        (header("repeatability-request-id"), header("repeatability-first-sent"));
    let host = request.host();
    let request = ApiRequest {
        operation,
        place,
        path: request.path(),
        query: request.query(),
        host: &host,
        body: &request.body,
        repeat_id: repeat_id.as_deref(),
        first_sent: first_sent.as_deref(),
    };
    let answer = door.shell.with(|world, now| api::answer(world, now, &request));
    if let Some(number) = answer.manner.held {
        door.shell.answer_free(number).await;
    }
    if answer.manner.lost {
        return HttpResponse::Ok().body(CutOff);
    }
    let mut response = written(answer.reply);
    if let Some(ms) = answer.manner.retry_after_ms {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
    }
    if answer.repeatable {
        let accepted = HeaderValue::from_static("accepted");
        response.headers_mut().insert(HeaderName::from_static("repeatability-result"), accepted);
    }
    if let Some(id) = header(CLIENT_ID).and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(HeaderName::from_static(CLIENT_ID), id);
    }
    response
}

/// A body that fails before its first byte: the server closes the connection and writes nothing, not
/// even the head that is waiting.
struct CutOff;

impl MessageBody for CutOff {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("the answer is lost, as was asked for"))))
    }
}

/// A refusal, told in the log as well.
pub fn refused(refusal: Refusal) -> HttpResponse {
    tracing::warn!(
        status = refusal.status, code = refusal.code, advice = %refusal.message, "request refused"
    );
    written(refusal.into())
}

/// A reply as HTTP.
pub fn written(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    match reply.body {
        Some(body) => response.json(body),
        None => response.finish(),
    }
}
