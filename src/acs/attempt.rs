//! One attempt: the request made ready once, signed anew each time, and its answer sorted.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, Url};
use uuid::Uuid;

use super::errors::{Said, causes};
use super::transport::whole_body;
use crate::ports::{Answer, Repeatability, Request, UpstreamError};
use crate::pure::retry::Outcome;
use crate::pure::signing::{AccessKey, authorization, content_hash, string_to_sign};
use crate::wire::calling::{API_VERSION, Method, Operation};

/// A larger answer is not read to its end. The largest known (a page of participants) is far smaller.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// A request made ready: all that stays the same over its attempts.
pub(super) struct Draft {
    pub operation: Operation,
    /// `x-ms-client-request-id`, by which Azure's support finds all attempts of one request.
    pub id: Uuid,
    url: Url,
    /// Path and query, exactly as they are sent.
    target: String,
    host: String,
    body: Bytes,
    content_hash: String,
    repeatability: Option<Repeatability>,
}

impl Draft {
    /// Makes a request ready. `now` becomes the date of its first sending, unless it has one.
    pub fn of(base: &Url, request: Request, now: Timestamp) -> Result<Self, UpstreamError> {
        let operation = request.operation;
        let path = operation.path(&request.place);
        let mut url = base.clone();
        url.set_path(&path);
        url.set_query(Some(&query(&request.query)));
        // A segment of dots would climb to another resource; no id looks like that.
        if url.path() != path {
            let reason = "an id of the request cannot stand in a path".to_owned();
            return Err(UpstreamError::Unreachable { operation: operation.label(), reason });
        }
        let made_up = || Repeatability { request_id: Uuid::new_v4(), first_sent: now };
        let repeatability =
            operation.repeatable().then(|| request.repeatability.unwrap_or_else(made_up));
        Ok(Self {
            operation,
            id: Uuid::new_v4(),
            target: format!("{path}?{}", url.query().unwrap_or_default()),
            host: host(&url),
            content_hash: content_hash(&request.body),
            body: request.body.into(),
            repeatability,
            url,
        })
    }

    /// Signs with the present date and sends.
    pub async fn send(&self, client: &Client, key: &AccessKey, now: Timestamp) -> Reply {
        match self.signed(client, key, now).send().await {
            Ok(response) => Reply::read(self.operation, response, now).await,
            Err(error) if error.is_connect() || error.is_builder() => {
                Reply::NotSent(causes(&error))
            }
            Err(error) => Reply::NoAnswer(causes(&error)),
        }
    }

    fn signed(&self, client: &Client, key: &AccessKey, now: Timestamp) -> RequestBuilder {
        let date = http_date(now);
        let values = [date.as_str(), &self.host, &self.content_hash];
        let method = self.operation.method();
        let signature = key.sign(&string_to_sign(method.as_str(), &self.target, &values));
        let mut request = client
            .request(verb(method), self.url.clone())
            .header("accept", "application/json")
            .header("x-ms-client-request-id", self.id.to_string())
            .header("x-ms-date", &date)
            .header("x-ms-content-sha256", &self.content_hash)
            .header("authorization", authorization(&signature));
        if let Some(repeatability) = &self.repeatability {
            request = request
                .header("repeatability-request-id", repeatability.request_id.to_string())
                .header("repeatability-first-sent", http_date(repeatability.first_sent));
        }
        if self.body.is_empty() {
            // Front doors answer 411 to a POST that does not say how long it is.
            return if method == Method::Post {
                request.header("content-length", 0)
            } else {
                request
            };
        }
        request.header("content-type", "application/json").body(self.body.clone())
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Reply {
    /// One of the operation's success statuses.
    Success(Answer),
    /// An error status.
    Refusal { status: u16, retry_after: Option<Duration>, said: Said },
    /// Something that the API does not know: a redirect, another success, an endless body.
    Foreign(String),
    /// No connection.
    NotSent(String),
    /// Sent, and then nothing.
    NoAnswer(String),
}

impl Reply {
    async fn read(operation: Operation, response: Response, now: Timestamp) -> Self {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), now);
        let is_success = operation.success().contains(&status);
        if status < 400 && !is_success {
            return Self::Foreign(format!("status {status} does not belong to the operation"));
        }
        match whole_body(response, MAX_ANSWER_BYTES).await {
            Ok(Some(body)) if is_success => Self::Success(Answer { status, body }),
            Ok(None) if is_success => {
                Self::Foreign(format!("the answer is larger than {MAX_ANSWER_BYTES} bytes"))
            }
            Err(error) if is_success => Self::NoAnswer(causes(&error)),
            // A refusal stands, whether or not its reasons could be read.
            body => {
                let body = body.ok().flatten().unwrap_or_default();
                Self::Refusal { status, retry_after, said: Said::read(&body) }
            }
        }
    }

    /// As the rules for retries see it.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Success(_) | Self::Foreign(_) => Outcome::Succeeded,
            Self::Refusal { status, retry_after, .. } => {
                Outcome::Answered { status: *status, retry_after: *retry_after }
            }
            Self::NotSent(_) => Outcome::NotSent,
            Self::NoAnswer(_) => Outcome::NoAnswer,
        }
    }

    /// As the caller gets it, when it was the last of so many attempts.
    pub fn into_result(self, operation: Operation, attempts: u32) -> Result<Answer, UpstreamError> {
        let operation = operation.label();
        Err(match self {
            Self::Success(answer) => return Ok(answer),
            Self::Foreign(reason) => UpstreamError::Unreadable { operation, reason },
            Self::Refusal { status: status @ (408 | 429 | 500 | 502..=504), .. } => {
                UpstreamError::Failing { operation, status, attempts }
            }
            Self::Refusal { status, said, .. } => {
                let Said { code, message } = said;
                UpstreamError::Refused { operation, status, code, message }
            }
            Self::NotSent(reason) | Self::NoAnswer(reason) => {
                UpstreamError::Unreachable { operation, reason }
            }
        })
    }
}

/// Our API version goes with every request, whatever version a copied query names.
fn query(extra: &str) -> String {
    let version = format!("api-version={API_VERSION}");
    extra
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("api-version="))
        .fold(version, |query, pair| format!("{query}&{pair}"))
}

/// The authority as it stands in the Host header: with the port, unless it is the scheme's own.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

pub(super) fn verb(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// `Fri, 21 Nov 2025 08:30:00 GMT`.
pub(super) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// How long Azure asks us to wait, in any of the three forms that its services use.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = |name: &str| text(name)?.parse().ok().map(Duration::from_millis);
    millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| text(RETRY_AFTER.as_str())?.parse().ok().map(Duration::from_secs))
        .or_else(|| {
            let until = httpdate::parse_http_date(text(RETRY_AFTER.as_str())?).ok()?;
            let until = Timestamp::try_from(until).ok()?;
            Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::calling::Place;

    const NOON: Timestamp = Timestamp::constant(1_763_713_800, 0);

    fn draft(place: Place, query: &str) -> Result<Draft, UpstreamError> {
        let base = Url::parse("https://contoso.communication.azure.com").expect("a URL");
        let request =
            Request { query: query.into(), ..Request::new(Operation::GetParticipants, place) };
        Draft::of(&base, request, NOON)
    }

    #[test]
    fn the_target_is_signed_as_it_is_sent() {
        let draft = draft(Place::Call("a/b".into()), "token=x%2By&api-version=old").expect("made");
        let target =
            "/calling/callConnections/a%2Fb/participants?api-version=2026-03-12&token=x%2By";
        assert_eq!(draft.target, target);
        assert_eq!(draft.url.as_str(), format!("https://contoso.communication.azure.com{target}"));
        assert_eq!(draft.host, "contoso.communication.azure.com");
    }

    #[test]
    fn ids_cannot_climb_to_another_resource() {
        let refused = draft(Place::Call("..".into()), "");
        assert!(matches!(refused, Err(UpstreamError::Unreachable { .. })));
        assert!(draft(Place::Call(".".into()), "").is_err());
        assert!(draft(Place::Call("../x".into()), "").is_ok(), "an encoded slash is no way up");
    }

    #[test]
    fn the_host_names_its_port_unless_it_is_the_usual_one() {
        let of = |text| host(&Url::parse(text).expect("a URL"));
        assert_eq!(of("https://h:443"), "h");
        assert_eq!(of("http://h:80"), "h");
        assert_eq!(of("http://127.0.0.1:8082"), "127.0.0.1:8082");
        assert_eq!(of("http://[::1]:8082"), "[::1]:8082");
    }

    #[test]
    fn a_pause_is_read_in_every_form() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header"));
            retry_after(&headers, NOON).map(|pause| pause.as_millis())
        };
        assert_eq!(http_date(NOON), "Fri, 21 Nov 2025 08:30:00 GMT");
        assert_eq!(read("retry-after", "7"), Some(7_000));
        assert_eq!(read("retry-after", "Fri, 21 Nov 2025 08:30:09 GMT"), Some(9_000));
        assert_eq!(read("retry-after", "Fri, 21 Nov 2025 08:29:00 GMT"), Some(0));
        assert_eq!(read("retry-after", "soon"), None);
        assert_eq!(read("retry-after-ms", "250"), Some(250));
        assert_eq!(read("x-ms-retry-after-ms", "300"), Some(300));
        assert_eq!(read("x-other", "1"), None);
    }
}
