//! Who may call the API: requests that are signed with the access key, and bearers of test tokens.
//!
//! Owns the answer to those who may not. The signature itself is checked in `pure::proof`.

use std::time::Duration;

use jiff::Timestamp;

use super::world::Refusal;
use crate::pure::proof::{self, Signed, after_scheme};
use crate::pure::signing::{AccessKey, SCHEME};

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
        if let Some(token) = after_scheme(&authorization, "Bearer") {
            let prefix = self.bearer_prefix.as_deref();
            let known = prefix.is_some_and(|prefix| token.starts_with(prefix));
            return if known {
                Ok(())
            } else {
                Err(denied("the bearer token is not one of the emulator's test tokens"))
            };
        }
        let parameters = after_scheme(&authorization, SCHEME)
            .ok_or_else(|| denied("the Authorization scheme is neither HMAC-SHA256 nor Bearer"))?;
        proof::check(request, parameters, &self.key, now, self.tolerance)
            .map_err(|unproven| denied(&unproven.to_string()))
    }
}

fn denied(why: &str) -> Refusal {
    Refusal::new(401, "7509", format!("Denied by the resource provider: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "c3dpdGNoaG9vay1leGFtcGxlLWFjY2Vzcy1rZXktMCE=";

    #[test]
    fn whoever_may_not_is_told_in_azures_words() {
        let key = AccessKey::from_base64(KEY).expect("a key");
        let guard = Guard::new(key, None, Duration::ZERO);
        for authorization in [None, Some("Basic x"), Some("HMAC-SHA256 Signature=x")] {
            let header = |_: &str| authorization.map(str::to_owned);
            let request = Signed { method: "GET", target: "/", body: b"", header: &header };
            let refused = guard.check(&request, Timestamp::UNIX_EPOCH).expect_err("refused");
            assert_eq!((refused.status, refused.code), (401, "7509"));
        }
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
