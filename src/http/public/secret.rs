//! The per-deployment secret in a webhook's URL or header, compared in constant time.

use actix_web::HttpRequest;
use subtle::ConstantTimeEq;

/// The header that may carry the secret instead of the query.
pub const KEY_HEADER: &str = "x-switchhook-key";

/// Why a request's secret was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// None was sent.
    Missing,
    /// Another one was sent.
    Wrong,
}

impl BadSecret {
    /// A closed set for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing_key",
            Self::Wrong => "wrong_key",
        }
    }
}

/// A secret that requests must carry, as `?key=` or in the header [`KEY_HEADER`].
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Any non-empty text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Checks a request.
    ///
    /// # Errors
    /// [`BadSecret`] when it carries none or another one.
    pub fn check(&self, request: &HttpRequest) -> Result<(), BadSecret> {
        let in_header = request.headers().get(KEY_HEADER).map(|value| value.as_bytes().to_vec());
        let given = in_header.or_else(|| in_query(request.query_string()));
        let given = given.filter(|given| !given.is_empty()).ok_or(BadSecret::Missing)?;
        if bool::from(given.as_slice().ct_eq(self.0.as_bytes())) {
            Ok(())
        } else {
            Err(BadSecret::Wrong)
        }
    }
}

fn in_query(query: &str) -> Option<Vec<u8>> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    Some(percent_encoding::percent_decode_str(value).collect())
}
