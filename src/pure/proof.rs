//! Whether a request was signed with a key: the other side of [`signing`](super::signing).
//!
//! Owns the check and nothing else. The emulator and the gateway ask it; each answers in its own way.
//! The target and the host are taken exactly as they were sent.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::signing::{AccessKey, content_hash, string_to_sign};

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

/// Why a request is not believed. Says what to look at, and never what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The header has no list of names.
    #[error("SignedHeaders is missing")]
    NoNames,
    /// The header has no signature.
    #[error("Signature is missing")]
    NoSignature,
    /// Neither `x-ms-date` nor `date` is signed.
    #[error("a date header must be signed")]
    NoDate,
    /// Without them a signature would fit other requests.
    #[error("host and x-ms-content-sha256 must be signed")]
    TooFewNames,
    /// A name of the list is not among the headers.
    #[error("a signed header is not in the request")]
    NoHeader,
    /// Another key, or something was changed on the way.
    #[error(
        "the signature does not match; check the key, and that host and port are those of the request"
    )]
    WrongSignature,
    /// The body is not the one that was signed.
    #[error("x-ms-content-sha256 is not the hash of the body")]
    WrongBody,
    /// The date cannot be read.
    #[error("the date is not an HTTP date")]
    BadDate,
    /// The clocks differ, or the request is an old one.
    #[error("the date is too far from ours")]
    FarDate,
}

/// Checks the signature of a request. `parameters` are those of its `Authorization` header, after the
/// scheme; its date may be `tolerance` off.
///
/// # Errors
/// [`Unproven`] says what does not hold.
pub fn check(
    request: &Signed<'_>,
    parameters: &str,
    key: &AccessKey,
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), Unproven> {
    let parameter = |name: &str| {
        let named = |part: &str| {
            part.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        parameters.split('&').find_map(named)
    };
    let names = parameter("SignedHeaders").ok_or(Unproven::NoNames)?;
    let signature = parameter("Signature").ok_or(Unproven::NoSignature)?;
    let names: Vec<_> = names.split(';').map(str::to_ascii_lowercase).collect();
    let date_name = ["x-ms-date", "date"]
        .into_iter()
        .find(|date| names.iter().any(|name| name == date))
        .ok_or(Unproven::NoDate)?;
    for needed in ["host", "x-ms-content-sha256"] {
        if !names.iter().any(|name| name == needed) {
            return Err(Unproven::TooFewNames);
        }
    }
    let values = names
        .iter()
        .map(|name| (request.header)(name))
        .collect::<Option<Vec<_>>>()
        .ok_or(Unproven::NoHeader)?;
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let text = string_to_sign(request.method, request.target, &values);
    if !key.verify(&text, &signature) {
        // The JavaScript SDK signs the query of a page's link as it would have written it itself.
        let target = written_anew(request.target);
        let text = string_to_sign(request.method, &target, &values);
        if target == request.target || !key.verify(&text, &signature) {
            return Err(Unproven::WrongSignature);
        }
    }
    if (request.header)("x-ms-content-sha256") != Some(content_hash(request.body)) {
        return Err(Unproven::WrongBody);
    }
    check_date(&(request.header)(date_name).unwrap_or_default(), now, tolerance)
}

/// A target with its query as forms are encoded.
fn written_anew(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs = form_urlencoded::parse(query.as_bytes());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{path}?{query}")
}

fn check_date(date: &str, now: Timestamp, tolerance: Duration) -> Result<(), Unproven> {
    let sent = httpdate::parse_http_date(date)
        .ok()
        .and_then(|date| Timestamp::try_from(date).ok())
        .ok_or(Unproven::BadDate)?;
    let tolerance = SignedDuration::try_from(tolerance).unwrap_or(SignedDuration::MAX);
    if now.duration_since(sent).abs() > tolerance {
        return Err(Unproven::FarDate);
    }
    Ok(())
}

/// What follows the scheme in an `Authorization` header.
pub fn after_scheme<'a>(authorization: &'a str, scheme: &str) -> Option<&'a str> {
    let (first, rest) = authorization.split_once(' ')?;
    first.eq_ignore_ascii_case(scheme).then(|| rest.trim())
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
        let parameters = format!("SignedHeaders={}&Signature={signature}", case.names);
        let header = |name: &str| Some(value(name, "127.0.0.1:8082"));
        let request =
            Signed { method: "POST", target: TARGET, body: case.body_sent, header: &header };
        let own = AccessKey::from_base64(KEY).expect("a key");
        let sent: Timestamp = "2025-11-21T08:30:00Z".parse().expect("a time");
        let now = sent + SignedDuration::from_secs(case.late_by);
        let proven = super::check(&request, &parameters, &own, now, Duration::from_secs(900));
        assert_eq!(proven.is_ok(), passes, "{proven:?}");
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
    fn a_query_may_be_signed_as_forms_are_encoded() {
        let target = "/calling/x?token=a/b%20c&api-version=1";
        let own = "/calling/x?token=a%2Fb+c&api-version=1";
        assert_eq!(written_anew(target), own);
        assert_eq!(written_anew(TARGET), TARGET, "as it is nearly always");
        let hash = content_hash(b"{}");
        let key = AccessKey::from_base64(KEY).expect("a key");
        let sent: Timestamp = "2025-11-21T08:30:00Z".parse().expect("a time");
        let header = |name: &str| {
            Some(match name {
                "x-ms-date" => DATE.to_owned(),
                "host" => "h".to_owned(),
                _ => hash.clone(),
            })
        };
        for (signed, proven) in [(target, true), (own, true), ("/calling/x?token=a", false)] {
            let signature = key.sign(&string_to_sign("GET", signed, &[DATE, "h", &hash]));
            let parameters =
                format!("SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}");
            let request = Signed { method: "GET", target, body: b"{}", header: &header };
            let checked = super::check(&request, &parameters, &key, sent, Duration::ZERO);
            assert_eq!(checked.is_ok(), proven, "{signed}");
        }
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
}
