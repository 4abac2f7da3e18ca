//! Who may use the private listener, and for what.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::http::problem::{Code, Problem};

/// What a token may do. Each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Read,
    /// Wait, and change number assignments.
    Operate,
    /// Act on live calls.
    Admin,
}

/// One accepted token.
#[derive(Clone)]
pub struct Token {
    /// Who uses it; written beside what it changes.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The secret itself.
    pub secret: String,
}

/// Who did something, for audit lines and assignments.
#[derive(Clone, Debug)]
pub struct Who(pub String);

/// The door of the private listener.
pub struct Guard {
    tokens: Vec<Token>,
}

impl Guard {
    /// Without tokens everybody on this machine may do everything; the settings allow that only for a
    /// listener bound to loopback.
    pub fn new(tokens: Vec<Token>) -> Self {
        Self { tokens }
    }

    /// Lets a request in whose bearer may do what needs this role.
    ///
    /// # Errors
    /// A [`Problem`]: 401 or 403.
    pub fn admit_to(&self, headers: &HeaderMap, needed: Role) -> Result<Who, Problem> {
        if self.tokens.is_empty() {
            return on_loopback(headers).map(|()| Who("local".to_owned()));
        }
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given =
            given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let given = given.map(|(_, secret)| secret.trim()).unwrap_or_default();
        let mut found = None;
        for token in &self.tokens {
            // Every token is compared, so the time taken does not tell which one was near.
            if bool::from(token.secret.as_bytes().ct_eq(given.as_bytes())) {
                found = Some(token);
            }
        }
        let token = found.ok_or_else(|| Problem::new(Code::Unauthorized))?;
        if token.role < needed {
            return Err(Problem::new(Code::Forbidden).detail("this token's role does not suffice"));
        }
        Ok(Who(token.name.clone()))
    }
}

/// A waiting client changes nothing, but holds resources: that is operating.
fn needed(request: &ServiceRequest) -> Role {
    match *request.method() {
        Method::GET | Method::HEAD => Role::Read,
        _ if request.path() == "/v1/routes:explain" => Role::Read,
        _ if request.path().starts_with("/admin/") => Role::Admin,
        _ => Role::Operate,
    }
}

/// Without tokens, a web page that the operator happens to have open must not get through: its
/// requests carry a foreign `Origin`, or, with a rebound name, a foreign `Host`.
fn on_loopback(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    let host = text(header::HOST).unwrap_or_default();
    let origin = text(header::ORIGIN);
    let origin_host = origin.as_deref().map(|o| o.split_once("://").map_or("?", |(_, host)| host));
    if is_loopback(&host) && origin_host.is_none_or(is_loopback) {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden)
        .detail("without private.tokens only loopback names and origins are served"))
}

fn is_loopback(authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, port)| {
        if port.chars().all(|c| c.is_ascii_digit()) { host } else { authority }
    });
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Lets a request in, or answers 401 or 403.
pub async fn check<B: MessageBody>(
    guard: web::Data<Guard>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let who = guard.admit_to(request.headers(), needed(&request))?;
    request.extensions_mut().insert(who);
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_everything_else() {
        for yes in
            ["localhost", "localhost:8081", "127.0.0.1:8081", "127.0.0.9", "[::1]:8081", "[::1]"]
        {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in
            ["", "example.com", "localhost.evil.example:8081", "127.0.0.1.evil.example", "10.0.0.1"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
