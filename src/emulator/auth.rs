//! Who may call the API: requests that are signed with the access key, and bearers of test tokens.
//!
//! Owns the check and nothing else. The target and the host are taken exactly as they were sent.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::world::Refusal;
use crate::pure::signing::{AccessKey, SCHEME, content_hash, string_to_sign};

/// What of a request is checked.
pub struct Signed<'a> {
    /// HTTP method in capitals.
    pub method: &'a str,
    /// Path and query exactly as sent.
    pub target: &'a str,
    /// The body as received.
    pub body: &'a [u8],
    /// Looks a header up by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<String>,
}

/// What requests are checked against.
pub struct Guard {
    key: AccessKey,
    bearer_prefix: Option<String>,
    tolerance: Duration,
}

impl Guard {
    /// A guard that knows one key.
    pub fn new(key: AccessKey, bearer_prefix: Option<String>, tolerance: Duration) -> Self {
        Self { key, bearer_prefix, tolerance }
    }

    /// Lets a request pass, or says why not.
    ///
    /// # Errors
    /// [`Refusal`] with status 401.
    pub fn check(&self, request: &Signed<'_>, now: Timestamp) -> Result<(), Refusal> {
        let authorization = (request.header)("authorization")
            .ok_or_else(|| denied("there is no Authorization header"))?;
        if let Some(token) = strip_word(&authorization, "Bearer") {
            let prefix = self.bearer_prefix.as_deref();
            let known = prefix.is_some_and(|prefix| token.starts_with(prefix));
            return if known {
                Ok(())
            } else {
                Err(denied("the bearer token is not one of the emulator's test tokens"))
            };
        }
        let parameters = strip_word(&authorization, SCHEME)
            .ok_or_else(|| denied("the Authorization scheme is neither HMAC-SHA256 nor Bearer"))?;
        self.check_signature(request, parameters, now)
    }

    fn check_signature(
        &self,
        request: &Signed<'_>,
        parameters: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let parameter = |name: &str| {
            let named = |part: &str| {
                part.split_once('=')
                    .filter(|(key, _)| *key == name)
                    .map(|(_, value)| value.to_owned())
            };
            parameters.split('&').find_map(named)
        };
        let names = parameter("SignedHeaders").ok_or_else(|| denied("SignedHeaders is missing"))?;
        let signature = parameter("Signature").ok_or_else(|| denied("Signature is missing"))?;
        let names: Vec<_> = names.split(';').map(str::to_ascii_lowercase).collect();
        let date_name = ["x-ms-date", "date"]
            .into_iter()
            .find(|date| names.iter().any(|name| name == date))
            .ok_or_else(|| denied("a date header must be signed"))?;
        for needed in ["host", "x-ms-content-sha256"] {
            if !names.iter().any(|name| name == needed) {
                return Err(denied("host and x-ms-content-sha256 must be signed"));
            }
        }
        let values = names
            .iter()
            .map(|name| (request.header)(name))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| denied("a signed header is not in the request"))?;
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let text = string_to_sign(request.method, request.target, &values);
        if !self.key.verify(&text, &signature) {
            return Err(denied(
                "the signature does not match; check the key, and that host and port are those of the request",
            ));
        }
        if (request.header)("x-ms-content-sha256") != Some(content_hash(request.body)) {
            return Err(denied("x-ms-content-sha256 is not the hash of the body"));
        }
        self.check_date(&(request.header)(date_name).unwrap_or_default(), now)
    }

    fn check_date(&self, date: &str, now: Timestamp) -> Result<(), Refusal> {
        let sent = httpdate::parse_http_date(date)
            .ok()
            .and_then(|date| Timestamp::try_from(date).ok())
            .ok_or_else(|| denied("the date is not an HTTP date"))?;
        let tolerance = SignedDuration::try_from(self.tolerance).unwrap_or(SignedDuration::MAX);
        if now.duration_since(sent).abs() > tolerance {
            return Err(denied("the date is too far from the emulator's"));
        }
        Ok(())
    }
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = text.split_once(' ')?;
    first.eq_ignore_ascii_case(word).then(|| rest.trim())
}

fn denied(why: &str) -> Refusal {
    Refusal::new(401, "7509", format!("Denied by the resource provider: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "c3dpdGNoaG9vay1leGFtcGxlLWFjY2Vzcy1rZXktMCE=";
    const DATE: &str = "Fri, 21 Nov 2025 08:30:00 GMT";
    const TARGET: &str =
        "/calling/callConnections/a/participants/4%3A%2B14255551212?api-version=2026-03-12";

    struct Case {
        key: &'static str,
        names: &'static str,
        signed_target: &'static str,
        signed_host: &'static str,
        body_sent: &'static [u8],
        late_by: i64,
    }

    const GOOD: Case = Case {
        key: KEY,
        names: "x-ms-date;host;x-ms-content-sha256",
        signed_target: TARGET,
        signed_host: "127.0.0.1:8082",
        body_sent: b"{}",
        late_by: 0,
    };

    #[track_caller]
    fn check(case: &Case, passes: bool) {
        let key = AccessKey::from_base64(case.key).expect("a key");
        let hash = content_hash(b"{}");
        let value = |name: &str, host: &str| match name {
            "x-ms-date" | "date" => DATE.to_owned(),
            "host" => host.to_owned(),
            _ => hash.clone(),
        };
        let values: Vec<_> =
            case.names.split(';').map(|name| value(name, case.signed_host)).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        let signature = key.sign(&string_to_sign("POST", case.signed_target, &values));
        let authorization =
            format!("HMAC-SHA256 SignedHeaders={}&Signature={signature}", case.names);
        let header = |name: &str| {
            let authorized = name == "authorization";
            Some(if authorized { authorization.clone() } else { value(name, "127.0.0.1:8082") })
        };
        let request =
            Signed { method: "POST", target: TARGET, body: case.body_sent, header: &header };
        let own = AccessKey::from_base64(KEY).expect("a key");
        let guard = Guard::new(own, None, Duration::from_secs(900));
        let sent: Timestamp = "2025-11-21T08:30:00Z".parse().expect("a time");
        let now = sent + SignedDuration::from_secs(case.late_by);
        let refused = guard.check(&request, now).err();
        assert_eq!(refused.is_none(), passes, "{refused:?}");
        assert!(refused.is_none_or(|refusal| (refusal.status, refusal.code) == (401, "7509")));
    }

    #[test]
    fn a_signature_must_be_of_this_key_target_host_and_body() {
        check(&GOOD, true);
        check(&Case { key: "b3RoZXIta2V5", ..GOOD }, false);
        check(
            &Case {
                signed_target: "/calling/callConnections/a/participants/4:+14255551212?api-version=2026-03-12",
                ..GOOD
            },
            false,
        );
        check(&Case { signed_host: "127.0.0.1", ..GOOD }, false);
        check(&Case { body_sent: b"{ }", ..GOOD }, false);
    }

    #[test]
    fn the_signed_headers_are_read_from_the_request_and_three_of_them_are_required() {
        check(&Case { names: "date;host;x-ms-content-sha256", ..GOOD }, true);
        check(&Case { names: "host;x-ms-content-sha256;x-ms-date", ..GOOD }, true);
        check(&Case { names: "x-ms-date;host", ..GOOD }, false);
        check(&Case { names: "x-ms-date;x-ms-content-sha256", ..GOOD }, false);
        check(&Case { names: "host;x-ms-content-sha256", ..GOOD }, false);
    }

    #[test]
    fn a_date_may_be_a_quarter_of_an_hour_off() {
        check(&Case { late_by: 900, ..GOOD }, true);
        check(&Case { late_by: -900, ..GOOD }, true);
        check(&Case { late_by: 901, ..GOOD }, false);
        check(&Case { late_by: -901, ..GOOD }, false);
    }

    #[test]
    fn bearer_tokens_pass_only_in_their_test_form() {
        let check = |prefix: Option<&str>, token: &str| {
            let key = AccessKey::from_base64(KEY).expect("a key");
            let guard = Guard::new(key, prefix.map(str::to_owned), Duration::ZERO);
            let header = |_: &str| Some(format!("Bearer {token}"));
            let request = Signed { method: "GET", target: "/", body: b"", header: &header };
            guard.check(&request, Timestamp::UNIX_EPOCH).is_ok()
        };
        assert!(check(Some("test-"), "test-anything"));
        assert!(!check(Some("test-"), "eyJ0"));
        assert!(!check(None, "test-anything"));
    }
}
