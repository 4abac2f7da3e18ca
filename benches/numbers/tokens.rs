//! A key and a token, as the issuer of callbacks would make them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
    let header = serde_json::json!({ "alg": "RS256", "kid": KEY_ID, "typ": "JWT" });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 3600,
    });
    let part = |value: serde_json::Value| encoded(value.to_string().as_bytes());
    let text = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .expect("signs");
    (format!("{text}.{}", encoded(&signature)), key)
}
