//! `Prefer: wait=N` (RFC 7240): how long a caller would rather wait for the outcome than have an answer.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName};

/// Tells that the preference was honoured.
pub(super) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// For how long. A preference that cannot be read is none: that is how the RFC has it.
pub(super) fn patience(headers: &HeaderMap, most: Duration) -> Option<Duration> {
    let given = headers.get_all("prefer").filter_map(|value| value.to_str().ok());
    let mut preferences = given.flat_map(|value| value.split(',')).filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| value.trim().trim_matches('"').to_owned())
    });
    // Of several the first counts.
    let seconds = preferences.next()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn preferences_are_read_as_the_rfc_has_them() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HeaderName::from_static("prefer"), HeaderValue::from_static(value));
            }
            patience(&headers, Duration::from_secs(60)).map(|time| time.as_secs())
        };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["respond-async"]), None);
        assert_eq!(read(&["wait=30"]), Some(30));
        assert_eq!(read(&["respond-async, WAIT = \"5\"; x=y, wait=7"]), Some(5));
        assert_eq!(read(&["respond-async", "wait=0"]), Some(0));
        assert_eq!(read(&["wait=3600"]), Some(60), "no longer than any wait");
        assert_eq!(read(&["wait=soon"]), None);
        assert_eq!(read(&["wait=-1"]), None);
    }
}
