//! `/calling/…`: the call service's own API, for official SDKs whose endpoint is Switchhook.
//!
//! Proves the caller with our own key, lets `pure::gateway` put in what is ours, and passes the request
//! on. The answer goes back as it came: status, headers, errors. What the gateway itself has to say is
//! said in the call service's shape, because its clients read no other.

mod operating;
mod prefer;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;

pub use operating::Recordings;
use operating::Registered;

use super::auth::{Guard, Role};
use crate::actors::Calls;
use crate::http::problem::Code;
use crate::ports::{BodyStream, Clock, NotPassed, Passage, Passed, Passing};
use crate::pure::call::Identity;
use crate::pure::forwarding::Targets;
use crate::pure::gateway::{Ours, Rewritten, opens_a_call, rewrite, rewrite_links, stays_here};
use crate::pure::operations::has_outcome;
use crate::pure::proof::{self, Signed, after_scheme};
use crate::pure::signing::{AccessKey, SCHEME};
use crate::wire::calling::{CallConnectionProperties, Method, Operation, Place, Route, route};
use crate::wire::identifiers::OperationContext;

/// Tells the caller the context under which the outcome of its request can be asked for.
pub const CONTEXT_HEADER: &str = "x-switchhook-operation-context";

/// Answers that must be read are not read beyond this.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Contexts made up for repeats of one request are the same, so that the call service recognises them.
const CONTEXTS: uuid::Uuid = uuid::uuid!("7c0c1c59-8f0c-4a35-9d47-2f6c0d1e5b0a");

/// What the gateway works with.
pub struct Gateway {
    /// The way to the call service.
    pub relay: Arc<dyn Passing>,
    /// Where events of callers go.
    pub targets: Arc<Targets>,
    /// The key with which callers sign; `None` lets only bearers in.
    pub key: Option<AccessKey>,
    /// How far the clocks of callers may be off.
    pub clock_skew: Duration,
    /// Larger bodies are refused.
    pub max_body_bytes: usize,
    /// The longest wait for an outcome.
    pub max_wait: Duration,
    /// The calls.
    pub calls: Calls,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// To which calls recordings belong.
    pub recordings: Recordings,
}

/// A refusal of the gateway's own, in the call service's shape.
struct Refused {
    status: u16,
    code: &'static str,
    message: String,
    /// Whether the caller may simply try again: nothing was sent.
    again: bool,
}

impl Refused {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), again: false }
    }

    fn answer(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        tracing::warn!(status = self.status, code = self.code, "the gateway refused a request");
        let mut answer = HttpResponse::build(status);
        if self.again {
            answer.insert_header((header::RETRY_AFTER, "1"));
        }
        answer.json(json!({ "error": { "code": self.code, "message": self.message } }))
    }
}

impl From<NotPassed> for Refused {
    fn from(error: NotPassed) -> Self {
        let (status, code, again) = match &error {
            NotPassed::NotSent(_) => (502, "UpstreamUnreachable", true),
            NotPassed::BrokenOff(_) => (502, "UpstreamBrokenOff", false),
            NotPassed::TimedOut => (504, "UpstreamTimedOut", false),
            NotPassed::Resting(_) => (502, "UpstreamUnavailable", true),
            NotPassed::BadTarget => (400, "BadRequest", false),
        };
        Self { again, ..Self::new(status, code, error.to_string()) }
    }
}

/// Passes a request on.
pub async fn pass(
    gateway: web::Data<Gateway>,
    guard: web::Data<Guard>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match gateway.pass(&guard, &request, payload).await {
        Ok(answer) => answer,
        Err(refused) => refused.answer(),
    }
}

impl Gateway {
    async fn pass(
        &self,
        guard: &Guard,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<HttpResponse, Refused> {
        let (operation, place) = operation(request)?;
        let Ok(Ok(body)) = payload.to_bytes_limited(self.max_body_bytes).await else {
            let most = self.max_body_bytes;
            let message = format!("The body was cut off, or has more than {most} bytes.");
            return Err(Refused::new(413, "BodyTooLarge", message));
        };
        self.admit(guard, request, operation, &body)?;
        let context = || made_up_context(request);
        let callback = |target: Option<&str>| self.targets.callback(target);
        let ours = Ours { context: &context, callback: &callback };
        let rewritten = match operation.method() {
            Method::Post => rewrite(operation, &body, &ours)
                .map_err(|bad| Refused::new(400, "BadRequest", format!("{bad}.")))?,
            Method::Get | Method::Delete => Rewritten { body: body.to_vec(), context: None },
        };
        let context = rewritten.context.or_else(|| {
            let name = || OperationContext::new(context());
            has_outcome(operation).then(name)
        });
        let registered = self.begin(operation, &place, &body, context.as_ref()).await?;
        let passage = Passage {
            operation,
            target: target(request),
            headers: headers(request),
            body: rewritten.body.into(),
        };
        match self.relay.pass(passage).await {
            Ok(passed) => self.answer(request, operation, passed, registered, context).await,
            Err(error) => {
                registered.iter().for_each(|registered| self.withdraw(registered));
                Err(error.into())
            }
        }
    }

    /// Lets whoever signs with our key in, and the bearers of the private listener's tokens.
    fn admit(
        &self,
        guard: &Guard,
        request: &HttpRequest,
        operation: Operation,
        body: &Bytes,
    ) -> Result<(), Refused> {
        let denied =
            |why: &str| Refused::new(401, "Denied", format!("Denied by the gateway: {why}."));
        let header = |name: &str| text(request, name);
        let authorization =
            header("authorization").ok_or_else(|| denied("there is no Authorization header"))?;
        if after_scheme(&authorization, "Bearer").is_some() {
            let needed = if operation.method() == Method::Get { Role::Read } else { Role::Operate };
            return match guard.admit_to(request.headers(), needed) {
                Ok(_) => Ok(()),
                Err(problem) if problem.code() == Code::Forbidden => {
                    Err(Refused::new(403, "Forbidden", "The token's role does not suffice."))
                }
                Err(_) => Err(denied("the bearer token is not one of private.tokens")),
            };
        }
        let parameters = after_scheme(&authorization, SCHEME)
            .ok_or_else(|| denied("the Authorization scheme is neither HMAC-SHA256 nor Bearer"))?;
        let Some(key) = &self.key else {
            return Err(denied("no request can be signed before gateway.access_key is set"));
        };
        let target = target(request);
        let signed =
            Signed { method: request.method().as_str(), target: &target, body, header: &header };
        proof::check(&signed, parameters, key, self.clock.wall(), self.clock_skew)
            .map_err(|unproven| denied(&unproven.to_string()))
    }

    async fn answer(
        &self,
        request: &HttpRequest,
        operation: Operation,
        passed: Passed,
        mut registered: Option<Registered>,
        context: Option<OperationContext>,
    ) -> Result<HttpResponse, Refused> {
        let Passed { status, headers, body } = passed;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let is_json = headers.iter().any(|(name, value)| {
            name == "content-type" && value.to_ascii_lowercase().contains("json")
        });
        let announced = headers.iter().find(|(name, _)| name == "content-length");
        let short = announced
            .and_then(|(_, length)| length.parse::<usize>().ok())
            .is_some_and(|length| length <= MAX_ANSWER_BYTES);
        let mut answer = HttpResponse::build(status);
        pass_headers(&mut answer, &headers);
        if let Some(registered) = registered.take_if(|_| !status.is_success()) {
            self.withdraw(&registered);
        }
        if !short && !is_json && status != StatusCode::NO_CONTENT && registered.is_none() {
            return Ok(answer.streaming(body.map_err(std::io::Error::other)));
        }
        let mut body = whole(body).await?;
        if status.is_success() && opens_a_call(operation) {
            registered = self.claim(operation, &body, context.as_ref()).await;
        }
        let stands = match registered {
            Some(registered) => self.accepted(registered, &body).await,
            None => None,
        };
        if let Some((call, which)) = stands {
            let name = context.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
            let header = HeaderName::from_static(CONTEXT_HEADER);
            if let Some(patience) = prefer::patience(request.headers(), self.max_wait)
                && let Some(mut outcome) = self.outcome(&call, &which, patience, &body).await
            {
                name.map(|name| outcome.headers_mut().insert(header, name));
                return Ok(outcome);
            }
            name.map(|name| answer.insert_header((header, name)));
        }
        if status.is_success() && operation == Operation::GetParticipants {
            let reached = request.connection_info();
            let origin = format!("{}://{}", reached.scheme(), reached.host());
            if let Some(ours) = rewrite_links(&body, &origin) {
                body = ours.into();
            }
        }
        Ok(answer.body(body))
    }

    /// The call is ours from now on, and how it was made can be asked.
    async fn claim(
        &self,
        operation: Operation,
        body: &[u8],
        context: Option<&OperationContext>,
    ) -> Option<Registered> {
        let made = serde_json::from_slice::<CallConnectionProperties>(body).ok()?;
        let id = made.call_connection_id?;
        let identity =
            Identity { server_call: made.server_call_id, correlation: made.correlation_id };
        if let Err(refusal) = self.calls.claim(&id, identity).await {
            tracing::warn!(call = %id, ?refusal, "a call of the gateway could not be noted");
        }
        Some(Registered::opening(id, operation, context?.clone()))
    }
}

/// Which of the 34 operations it is.
fn operation(request: &HttpRequest) -> Result<(Operation, Place), Refused> {
    match route(request.method().as_str(), request.uri().path()) {
        Route::To(operation, place) => Ok((operation, place)),
        Route::WrongMethod => {
            let message = "The path exists, but not for this method.";
            Err(Refused::new(405, "MethodNotAllowed", message))
        }
        Route::Nowhere => {
            let message = "The API has no such operation; the paths are those of Call Automation.";
            Err(Refused::new(404, "NotFound", message))
        }
    }
}

fn text(request: &HttpRequest, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

/// Path and query exactly as they came.
fn target(request: &HttpRequest) -> String {
    request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
}

fn headers(request: &HttpRequest) -> Vec<(String, String)> {
    let all = request.headers().iter();
    let kept = all.filter(|(name, _)| !stays_here(name.as_str()));
    kept.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn pass_headers(answer: &mut HttpResponseBuilder, headers: &[(String, String)]) {
    for (name, value) in headers.iter().filter(|(name, _)| !stays_here(name)) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            answer.append_header((name, value));
        }
    }
}

fn made_up_context(request: &HttpRequest) -> String {
    match text(request, "repeatability-request-id") {
        Some(id) => uuid::Uuid::new_v5(&CONTEXTS, id.as_bytes()).to_string(),
        None => uuid::Uuid::new_v4().to_string(),
    }
}

async fn whole(mut body: BodyStream) -> Result<Bytes, Refused> {
    let mut read = BytesMut::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|reason| Refused::from(NotPassed::BrokenOff(reason)))?;
        if read.len() + part.len() > MAX_ANSWER_BYTES {
            return Err(Refused::new(502, "UpstreamAnswerTooLarge", "The answer has no end."));
        }
        read.extend_from_slice(&part);
    }
    Ok(read.freeze())
}
