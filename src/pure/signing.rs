//! The vendor's request signature: HMAC-SHA256 over method, target, date, host and content hash.
//!
//! Owns the arithmetic of signing, the access key and the connection string that carries it. The
//! client signs with it and the emulator verifies with it. It never reads a date: whoever signs
//! says which one was sent. Keys never show themselves, neither in `Debug` nor in an error text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The headers that a signature covers, in the order in which their values are joined.
pub const SIGNED_HEADERS: &str = "x-ms-date;host;x-ms-content-sha256";

/// The scheme word of the `Authorization` header.
pub const SCHEME: &str = "HMAC-SHA256";

/// Base64 of the SHA-256 of a body: the value of `x-ms-content-sha256`.
pub fn content_hash(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

/// The three lines that are signed. `target` is path and query exactly as sent, percent-encoding
/// kept; `signed_values` are the values of the signed headers in the order of their names.
pub fn string_to_sign(method: &str, target: &str, signed_values: &[&str]) -> String {
    format!("{method}\n{target}\n{}", signed_values.join(";"))
}

/// The `Authorization` header for a signature over [`SIGNED_HEADERS`].
pub fn authorization(signature: &str) -> String {
    format!("{SCHEME} SignedHeaders={SIGNED_HEADERS}&Signature={signature}")
}

/// An access key, decoded and ready to sign.
#[derive(Clone)]
pub struct AccessKey(Hmac<Sha256>);

/// Why a text is not an access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Nothing is left after decoding; anybody could sign with an empty key.
    #[error("the access key is empty; copy it whole from the resource's keys page")]
    Empty,
    /// Not base64.
    #[error("the access key is not base64; copy it whole, with the '=' at its end")]
    NotBase64,
}

impl AccessKey {
    /// Decodes a key as the portal shows it.
    ///
    /// # Errors
    /// [`BadKey`] when it is empty or not base64.
    pub fn from_base64(text: &str) -> Result<Self, BadKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| BadKey::NotBase64)?;
        if bytes.is_empty() {
            return Err(BadKey::Empty);
        }
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| BadKey::Empty)
    }

    /// A key that is not base64: any secret of ours. HMAC takes keys of every length.
    pub fn of_bytes(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of every length"))
    }

    /// The signature of a text, in base64.
    pub fn sign(&self, text: &str) -> String {
        STANDARD.encode(self.signature(text))
    }

    /// The signature of a text.
    pub fn signature(&self, text: &str) -> [u8; 32] {
        self.0.clone().chain_update(text).finalize().into_bytes().into()
    }

    /// Whether these bytes are this key's signature of `text`. Takes the same time wherever they differ.
    pub fn is_signature(&self, text: &str, signature: &[u8]) -> bool {
        self.0.clone().chain_update(text).verify_slice(signature).is_ok()
    }

    /// Whether `signature` is this key's signature of `text`. Takes the same time wherever they differ.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|given| self.is_signature(text, &given))
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(***)")
    }
}

/// Where the resource is and how to sign for it: `endpoint=https://…/;accesskey=…`.
#[derive(Clone)]
pub struct ConnectionString {
    endpoint: String,
    key: AccessKey,
}

/// Why a text is not a connection string. Says what to do, and never what the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConnectionString {
    /// A part between semicolons has no `=`.
    #[error(
        "the connection string has a part without '='; it reads endpoint=https://…;accesskey=…"
    )]
    NotNamed,
    /// A name other than the two.
    #[error("the connection string names something other than endpoint and accesskey")]
    UnknownName,
    /// A name stands there twice.
    #[error("the connection string gives its {0} twice; keep one of them")]
    Repeated(&'static str),
    /// A name is missing.
    #[error("the connection string has no {0}; it reads endpoint=https://…;accesskey=…")]
    Missing(&'static str),
    /// The endpoint is not a scheme and a host.
    #[error(
        "the connection string's endpoint must be https:// and a host (and a port), with no path"
    )]
    BadEndpoint,
    /// The key cannot be used.
    #[error("the connection string's key is no good: {0}")]
    BadKey(#[from] BadKey),
}

impl ConnectionString {
    /// Reads a connection string: names in any case and order, a slash at the endpoint's end dropped.
    ///
    /// # Errors
    /// [`BadConnectionString`], which says what to change.
    pub fn parse(text: &str) -> Result<Self, BadConnectionString> {
        let (mut endpoint, mut key) = (None, None);
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or(BadConnectionString::NotNamed)?;
            let (place, name) = match name.trim().to_ascii_lowercase().as_str() {
                "endpoint" => (&mut endpoint, "endpoint"),
                "accesskey" => (&mut key, "accesskey"),
                _ => return Err(BadConnectionString::UnknownName),
            };
            if place.replace(value.trim()).is_some() {
                return Err(BadConnectionString::Repeated(name));
            }
        }
        let endpoint = endpoint.ok_or(BadConnectionString::Missing("endpoint"))?;
        let key = key.ok_or(BadConnectionString::Missing("accesskey"))?;
        Ok(Self { endpoint: bare_endpoint(endpoint)?, key: AccessKey::from_base64(key)? })
    }

    /// Scheme and authority, with no slash at the end.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The key to sign with.
    pub fn key(&self) -> &AccessKey {
        &self.key
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "endpoint={};accesskey=***", self.endpoint)
    }
}

/// A path in the endpoint would be signed as part of the host, and a user name is never meant.
fn bare_endpoint(text: &str) -> Result<String, BadConnectionString> {
    let text = text.trim_end_matches('/');
    let scheme = text.split("://").next().unwrap_or_default().to_ascii_lowercase();
    let authority = text.split_once("://").map(|(_, authority)| authority).unwrap_or_default();
    let scheme_is_known = scheme == "https" || scheme == "http";
    let authority_is_bare = !authority.is_empty()
        && !authority.contains(['/', '?', '#', '@', '\\'])
        && !authority.contains(char::is_whitespace);
    if !scheme_is_known || !authority_is_bare {
        return Err(BadConnectionString::BadEndpoint);
    }
    Ok(format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "c3dpdGNoaG9vay1leGFtcGxlLWFjY2Vzcy1rZXktMCE=";
    const DATE: &str = "Fri, 21 Nov 2025 08:30:00 GMT";
    const HOST: &str = "contoso.communication.azure.com";
    const CALL: &str = "/calling/callConnections/421f0b00-57ad-4a32-8ae4-5b3e3b4d9f10";

    #[track_caller]
    fn check(method: &str, target: &str, body: &str, hash: &str, signature: &str) {
        let key = AccessKey::from_base64(KEY).expect("a key");
        assert_eq!(content_hash(body.as_bytes()), hash);
        let text = string_to_sign(method, target, &[DATE, HOST, hash]);
        assert_eq!(key.sign(&text), signature);
        assert!(key.verify(&text, signature));
        assert!(!key.verify(&format!("{text} "), signature));
    }

    #[test]
    fn the_worked_examples_of_the_official_sdk_come_out_the_same() {
        check(
            "POST",
            "/calling/callConnections:reject?api-version=2026-03-12",
            r#"{"incomingCallContext":"ctx","callRejectReason":"busy"}"#,
            "kwJEwfcH3tE6JoemKgWaSTuqKHukctxrZaE5Yttdh/s=",
            "E5zCPNSXoJDRSweHW2WhPe78DcSQx48xrMApghgIDA8=",
        );
        let nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        check(
            "GET",
            &format!("{CALL}?api-version=2026-03-12"),
            "",
            nothing,
            "yVHmISYZCUMT8r8j3jWPQEDyHF56zUYzA6SyU9y8+pU=",
        );
        check(
            "GET",
            &format!("{CALL}/participants/4%3A%2B14255551212?api-version=2026-03-12"),
            "",
            nothing,
            "I92vpNGZ1ZqUEm0OfUdpIR34zHPnlhZ4aD4alP8VhpI=",
        );
    }

    #[test]
    fn the_lines_are_joined_as_the_vendor_joins_them() {
        assert_eq!(string_to_sign("GET", "/a?b=c", &["d", "h", "s"]), "GET\n/a?b=c\nd;h;s");
    }

    #[test]
    fn a_signature_that_is_not_base64_or_cut_short_is_refused() {
        let key = AccessKey::from_base64(KEY).expect("a key");
        assert!(!key.verify("text", "no base64 at all"));
        assert!(!key.verify("text", ""));
        assert!(!key.verify("text", &key.sign("text")[..40]));
    }

    #[test]
    fn keys_that_cannot_protect_anything_are_refused() {
        assert_eq!(AccessKey::from_base64("").err(), Some(BadKey::Empty));
        assert_eq!(AccessKey::from_base64("%%%").err(), Some(BadKey::NotBase64));
        let cut = KEY.trim_end_matches('=');
        assert_eq!(AccessKey::from_base64(cut).err(), Some(BadKey::NotBase64));
    }

    #[test]
    fn a_connection_string_is_read_in_any_case_and_order() {
        for text in [
            format!("endpoint=https://{HOST}/;accesskey={KEY}"),
            format!("AccessKey={KEY};ENDPOINT=https://{HOST};"),
            format!(" endpoint = HTTPS://{HOST}// ; accessKey = {KEY} "),
        ] {
            let read = ConnectionString::parse(&text).expect("a connection string");
            assert_eq!(read.endpoint(), format!("https://{HOST}"));
            let twin = AccessKey::from_base64(KEY).expect("a key");
            assert_eq!(read.key().sign("x"), twin.sign("x"));
        }
        let local = ConnectionString::parse(&format!("endpoint=http://[::1]:82/;accesskey={KEY}"));
        assert_eq!(local.expect("a loopback endpoint").endpoint(), "http://[::1]:82");
    }

    #[test]
    fn a_bad_connection_string_says_what_is_wrong_with_it() {
        use BadConnectionString::*;
        for (text, wrong) in [
            ("", Missing("endpoint")),
            ("endpoint=https://h", Missing("accesskey")),
            ("accesskey=aaaa", Missing("endpoint")),
            ("endpoint", NotNamed),
            ("endpoint=https://h;accesskey=aaaa;region=eu", UnknownName),
            ("endpoint=https://h;endpoint=https://i;accesskey=aaaa", Repeated("endpoint")),
            ("endpoint=h;accesskey=aaaa", BadEndpoint),
            ("endpoint=ftp://h;accesskey=aaaa", BadEndpoint),
            ("endpoint=https://;accesskey=aaaa", BadEndpoint),
            ("endpoint=https://h/path;accesskey=aaaa", BadEndpoint),
            ("endpoint=https://user@h;accesskey=aaaa", BadEndpoint),
            ("endpoint=https://h?q;accesskey=aaaa", BadEndpoint),
            ("endpoint=https://h;accesskey=", BadKey(super::BadKey::Empty)),
            ("endpoint=https://h;accesskey=a?", BadKey(super::BadKey::NotBase64)),
        ] {
            assert_eq!(ConnectionString::parse(text).err(), Some(wrong), "{text}");
        }
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        let text = format!("endpoint=https://{HOST};accesskey={KEY}");
        let read = ConnectionString::parse(&text).expect("a connection string");
        assert_eq!(format!("{read:?}"), format!("endpoint=https://{HOST};accesskey=***"));
        assert_eq!(format!("{:?}", read.key()), "AccessKey(***)");
    }
}
