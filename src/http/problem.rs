//! Errors with two faces: strangers get a status, a code that never changes and a calm sentence; the
//! log gets the rest. Problem documents of RFC 9457.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError, web};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::actors::Refusal;
use crate::wire::events::{BadBody, BadElement};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal $title:literal;)*) => {
        /// Every problem that the HTTP interfaces can answer with. Codes and statuses never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All of them: the table in the documentation is made from it.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Status, code and title.
            pub fn face(self) -> (u16, &'static str, &'static str) {
                match self { $(Self::$name => ($status, $code, $title),)* }
            }
        }
    };
}

codes! {
    InvalidJson = 400 "invalid_json" "the body is not valid JSON";
    NotEvents = 400 "not_events" "the body is neither an event nor an array of events";
    NoValidEvents = 400 "no_valid_events" "no element of the body is a valid event";
    InvalidRequest = 400 "invalid_request" "the request does not fit the route";
    InvalidWait = 400 "invalid_wait" "the wait is not well formed";
    WaitTooLong = 400 "wait_too_long" "the wait is longer than allowed";
    InvalidFilter = 400 "invalid_filter" "the filter is not well formed";
    InvalidCursor = 400 "invalid_cursor" "the cursor is not one of ours";
    InvalidNumber = 400 "invalid_number" "the number assignment is not well formed";
    Unauthorized = 401 "unauthorized" "the request carries no valid proof of its sender";
    Forbidden = 403 "forbidden" "the token may not do this";
    NotFound = 404 "not_found" "there is no such route";
    CallNotFound = 404 "call_not_found" "no call has that id";
    OperationNotFound = 404 "operation_not_found" "the call knows of no operation with that context";
    NumberNotFound = 404 "number_not_found" "nothing is assigned to that key";
    LetterNotFound = 404 "letter_not_found" "no event that was given up has that id, or it is no longer kept";
    VersionNotFound = 404 "version_not_found" "there is no such version yet";
    MethodNotAllowed = 405 "method_not_allowed" "the route does not take that method";
    WaitTimedOut = 408 "wait_timed_out" "no such event came in time";
    WaitCancelled = 409 "wait_cancelled" "the wait was cancelled";
    RedirectCycle = 409 "redirect_cycle" "the redirects of the assignments would run in a circle";
    TooManyNumbers = 409 "too_many_numbers" "there are as many assignments as there may be";
    NothingToRollBack = 409 "nothing_to_roll_back" "the assignments are what they were then";
    CallEnded = 410 "call_ended" "the call ended first";
    CursorGone = 410 "cursor_gone" "the cursor is from another life of the service";
    VersionGone = 410 "version_gone" "the history does not reach back that far";
    VersionConflict = 412 "version_conflict" "somebody else changed it first";
    BodyTooLarge = 413 "body_too_large" "the body is larger than allowed";
    TooManyEvents = 413 "too_many_events" "the body holds more events than allowed";
    UnsupportedMediaType = 415 "unsupported_media_type" "the content type is not JSON";
    Internal = 500 "internal" "a fault of ours; the log says more";
    CallLost = 500 "call_lost" "the call's state was lost to a fault of ours";
    UpstreamRefused = 502 "upstream_refused" "the call service refused";
    UpstreamUnreachable = 502 "upstream_unreachable" "the call service could not be reached";
    Busy = 503 "busy" "try again shortly";
    TooManyWaits = 503 "too_many_waits" "the call has as many waits as it may have";
    ShuttingDown = 503 "shutting_down" "the service is shutting down";
    NotKept = 503 "not_kept" "the event could not be made safe";
    ChangeNotKept = 503 "change_not_kept" "the change could not be made safe; it is not in force";
}

/// An answer that says what went wrong and what to do.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Option<String>,
    more: Map<String, Value>,
}

impl Problem {
    /// With the title alone.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, more: Map::new() }
    }

    /// With a sentence that says what to do. It must not hold anything private.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.face().1)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.face().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code, title) = self.code.face();
        let mut body = Map::new();
        body.insert("type".into(), format!("urn:switchhook:problem:{code}").into());
        body.insert("title".into(), title.into());
        body.insert("status".into(), status.into());
        body.insert("code".into(), code.into());
        if let Some(detail) = &self.detail {
            body.insert("detail".into(), detail.clone().into());
        }
        body.extend(self.more.clone());
        let mut response = HttpResponse::build(self.status_code()).json(Value::Object(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == 503 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy => Self::new(Code::Busy),
            Refusal::UnknownCall => Self::new(Code::CallNotFound).detail(
                "check the callConnectionId; ended calls are known for a minute after their end",
            ),
            Refusal::ShuttingDown => Self::new(Code::ShuttingDown),
            Refusal::NotKept(error) => {
                tracing::error!(%error, "events refused");
                Self::new(Code::NotKept)
            }
        }
    }
}

impl From<BadBody> for Problem {
    fn from(bad: BadBody) -> Self {
        let code = match bad {
            BadBody::NotJson { .. } => Code::InvalidJson,
            BadBody::NotAnArray => Code::NotEvents,
            BadBody::TooMany { .. } => Code::TooManyEvents,
        };
        Self::new(code).detail(bad)
    }
}

/// One bad element, as it is reported beside its accepted neighbours (rule C1).
#[derive(Clone, Debug, Serialize)]
pub struct RejectedElement {
    /// Position in the posted array, from 0.
    pub index: usize,
    /// The stable code of the problem.
    pub code: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

impl From<&BadElement> for RejectedElement {
    fn from(bad: &BadElement) -> Self {
        let (index, problem) = (bad.index, bad.problem);
        Self { index, code: problem.code(), detail: problem.to_string() }
    }
}

/// The answer of routes that do not exist.
pub async fn no_such_route() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Code::NotFound))
}

/// The answer to methods that a route does not take. `allowed` are those that it does.
pub fn wrong_method(allowed: &str) -> HttpResponse {
    let mut response = Problem::new(Code::MethodNotAllowed).error_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Lets queries and paths that cannot be read be answered like everything else.
pub fn read_problems(config: &mut web::ServiceConfig) {
    // What the reader says is left out: it may repeat what was sent.
    let unreadable = |what: &'static str| {
        Problem::new(Code::InvalidRequest).detail(format!("the {what} cannot be read"))
    };
    let query = web::QueryConfig::default().error_handler(move |_, _| unreadable("query").into());
    let path = web::PathConfig::default().error_handler(move |_, _| unreadable("path").into());
    config.app_data(query).app_data(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_look_alike() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.face().1).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        assert!(codes.iter().all(|c| c.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
