//! The tokens that go with callbacks, and the two documents with which receivers check them.
//!
//! Owns one RSA key, made in the background when the emulator starts and never stored.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::world::TokenFlaw;

/// How long the token of a callback is good.
const LIFETIME: Duration = Duration::from_secs(300);

/// How long the token of a stream's socket is good (documented: 24 hours).
pub const SOCKET_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How long ago a token ran out that is to have run out.
const LONG_AGO: Duration = Duration::from_secs(3600);
/// An audience that nobody is.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Makes tokens.
pub struct Tokens {
    issuer: String,
    audience: String,
    key: OnceLock<SigningKey>,
}

struct SigningKey {
    pair: KeyPair,
    id: String,
}

impl Tokens {
    /// Begins to make the key in a thread of its own: it takes a tenth of a second or more, and the
    /// first token is needed later.
    pub fn prepare(issuer: String, audience: String) -> Arc<Self> {
        let tokens = Arc::new(Self { issuer, audience, key: OnceLock::new() });
        let early = Arc::clone(&tokens);
        let thread = std::thread::Builder::new().name("callback key".into());
        let make = move || {
            early.key();
        };
        if let Err(error) = thread.spawn(make) {
            tracing::warn!(%error, "the callback key is made when it is first needed");
        }
        tokens
    }

    fn key(&self) -> &SigningKey {
        self.key.get_or_init(|| {
            let pair = KeyPair::generate(KeySize::Rsa2048).expect("the machine has randomness");
            let digest = Sha256::digest(pair.public_key().as_ref());
            SigningKey { id: URL_SAFE_NO_PAD.encode(&digest[..16]), pair }
        })
    }

    /// A token for a callback, with the flaws that faults asked for.
    pub fn issue(&self, now: Timestamp, flaw: TokenFlaw) -> Option<String> {
        self.write(now, LIFETIME, flaw)
    }

    /// A token that begins now. `None` when the key cannot sign.
    pub fn issue_for(&self, now: Timestamp, lifetime: Duration) -> Option<String> {
        self.write(now, lifetime, TokenFlaw::default())
    }

    fn write(&self, now: Timestamp, lifetime: Duration, flaw: TokenFlaw) -> Option<String> {
        let key = self.key();
        let early = if flaw.expired { lifetime + LONG_AGO } else { Duration::ZERO };
        let early = i64::try_from(early.as_secs()).unwrap_or_default();
        let from = now.as_second().saturating_add(flaw.skew_ms.div_euclid(1000)) - early;
        let audience = if flaw.wrong_audience { NOBODY } else { &self.audience };
        let until = from + i64::try_from(lifetime.as_secs()).unwrap_or_default();
        let header = json!({ "alg": "RS256", "kid": key.id, "typ": "JWT" });
        let claims = json!({
            "iss": self.issuer, "aud": audience, "jti": uuid::Uuid::new_v4().to_string(),
            "iat": from, "nbf": from, "exp": until,
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        // A forged token has a good signature of another text.
        let proof = if flaw.forged { format!("{text}?") } else { text.clone() };
        let mut signature = vec![0; key.pair.public_modulus_len()];
        key.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), proof.as_bytes(), &mut signature)
            .ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The OpenID configuration, for receivers that reached us at `base_url`.
    pub fn configuration(&self, base_url: &str) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{base_url}/calling/keys"),
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    /// The public key, as a JSON Web Key Set.
    pub fn keys(&self) -> Value {
        let key = self.key();
        let public = key.pair.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.id,
            "n": number(public.modulus().big_endian_without_leading_zero()),
            "e": number(public.exponent().big_endian_without_leading_zero()),
        }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};

    #[test]
    fn a_token_is_checked_with_the_published_key() {
        let tokens = Tokens::prepare("issuer".into(), "audience".into());
        let now: Timestamp = "2025-11-21T08:30:00Z".parse().expect("a time");
        let token = tokens.issue(now, TokenFlaw::default()).expect("a token");
        let keys: JwkSet = serde_json::from_value(tokens.keys()).expect("a key set");
        let kid = decode_header(&token).expect("a header").kid.expect("a key id");
        let key = DecodingKey::from_jwk(keys.find(&kid).expect("the key")).expect("a key");
        let mut rules = Validation::new(Algorithm::RS256);
        rules.set_issuer(&["issuer"]);
        rules.set_audience(&["audience"]);
        rules.validate_exp = false;
        let claims = decode::<Value>(&token, &key, &rules).expect("a good token").claims;
        assert_eq!(claims["exp"].as_i64(), Some(now.as_second() + 300));
        assert_eq!(claims["nbf"].as_i64(), Some(now.as_second()));
        let (forged, _) = token.rsplit_once('.').expect("three parts");
        assert!(decode::<Value>(&format!("{forged}.AAAA"), &key, &rules).is_err());
    }
}
