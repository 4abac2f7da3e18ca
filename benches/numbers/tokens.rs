//! A key and a token, as the issuer of callbacks would make them.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use switchhook::ports::SigningKey;

/// `kid`.
pub const KEY_ID: &str = "bench";
/// `iss`.
pub const ISSUER: &str = "https://acscallautomation.communication.azure.com";
/// `aud`.
pub const AUDIENCE: &str = "0f5d2c1a-8f6e-4b1d-9a44-3c5e7d9b2a10";

/// A token that is good for an hour, and the key that verifies it.
pub fn make() -> (String, SigningKey) {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let public = pair.public_key();
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = SigningKey {
        id: KEY_ID.to_owned(),
        modulus: encoded(public.modulus().big_endian_without_leading_zero()),
        exponent: encoded(public.exponent().big_endian_without_leading_zero()),
    };
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("encodes");
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(KEY_ID.to_owned());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 3600,
    });
    let key_of = EncodingKey::from_rsa_der(der.as_ref());
    (jsonwebtoken::encode(&header, &claims, &key_of).expect("signs"), key)
}
