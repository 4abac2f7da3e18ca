//! The token on each callback: signature, algorithm, issuer, audience, times.
//!
//! Keys come through a port and are kept: an unknown key id makes us fetch them again, at a limited
//! rate; while the issuer is down the ones we have go on serving.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::ports::{Clock, PublishedKeys, SigningKey, Tick};

/// Keys are not fetched more often than this, whatever tokens say.
const FETCH_PAUSE: Duration = Duration::from_secs(10);
/// Keys are fetched anew after this, so that withdrawn ones go.
const KEYS_AGE: Duration = Duration::from_secs(6 * 60 * 60);
/// Longer tokens are refused unread; Azure's have about 1,000 bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Why a token was refused. Goes into a metric and the log, never to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadToken {
    /// No `Authorization: Bearer`.
    Missing,
    /// Not a JSON Web Token.
    Malformed,
    /// Signed in another way than RS256 (`none` included).
    WrongAlgorithm,
    /// Signed by a key that the issuer does not publish.
    UnknownKey,
    /// The signature does not fit.
    BadSignature,
    /// By another issuer.
    WrongIssuer,
    /// For somebody else.
    WrongAudience,
    /// Too old, or without an expiry.
    Expired,
    /// Not valid yet.
    NotYet,
    /// The issuer's keys could not be fetched yet: our fault, not the sender's.
    NoKeys,
}

impl BadToken {
    /// A closed set for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing_token",
            Self::Malformed => "malformed",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::NoKeys => "no_keys",
        }
    }
}

/// What tokens must say.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// `iss`.
    pub issuer: String,
    /// `aud`: the immutable id of the communication resource.
    pub audience: String,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
}

/// Checks the tokens of callbacks.
pub struct TokenCheck {
    config: TokenConfig,
    validation: Validation,
    source: Arc<dyn PublishedKeys>,
    clock: Arc<dyn Clock>,
    keys: RwLock<Arc<HashMap<String, DecodingKey>>>,
    /// When keys were last asked for, and when they last came.
    fetched: Mutex<(Option<Tick>, Option<Tick>)>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    #[serde(default)]
    aud: Audience,
    exp: Option<f64>,
    nbf: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Audience {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

impl TokenCheck {
    /// Nothing is fetched before the first token comes, or [`TokenCheck::warm`] is called.
    pub fn new(
        config: TokenConfig,
        source: Arc<dyn PublishedKeys>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let mut validation = Validation::new(Algorithm::RS256);
        // Times, issuer and audience are checked here: by our clock, and with a reason each.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Arc::new(Self {
            config,
            validation,
            source,
            clock,
            keys: RwLock::default(),
            fetched: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Fetches the keys ahead of the first token.
    pub async fn warm(&self) {
        self.fetch().await;
    }

    /// Checks the value of an `Authorization` header.
    ///
    /// # Errors
    /// [`BadToken`]; the sender is told nothing of it but 401.
    pub async fn check(&self, authorization: Option<&str>) -> Result<(), BadToken> {
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty())
            .ok_or(BadToken::Missing)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(BadToken::Malformed);
        }
        let key_id = key_id_of(token)?;
        let key = match self.key(&key_id) {
            Some(key) => key,
            None => {
                self.fetch().await;
                self.key(&key_id).ok_or_else(|| self.unknown_key())?
            }
        };
        self.verify(token, &key)
    }

    fn verify(&self, token: &str, keys: &KeyOf) -> Result<(), BadToken> {
        use jsonwebtoken::errors::ErrorKind;
        let claims = jsonwebtoken::decode::<Claims>(token, keys.key(), &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => BadToken::BadSignature,
                ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => {
                    BadToken::WrongAlgorithm
                }
                _ => BadToken::Malformed,
            })?
            .claims;
        if claims.iss.as_deref() != Some(self.config.issuer.as_str()) {
            return Err(BadToken::WrongIssuer);
        }
        if !claims.aud.has(&self.config.audience) {
            return Err(BadToken::WrongAudience);
        }
        let now = self.clock.wall().as_millisecond() as f64 / 1000.0;
        let skew = self.config.clock_skew.as_secs_f64();
        if claims.exp.is_none_or(|exp| exp + skew <= now) {
            return Err(BadToken::Expired);
        }
        if claims.nbf.is_some_and(|nbf| nbf - skew > now) {
            return Err(BadToken::NotYet);
        }
        Ok(())
    }

    fn key(&self, id: &str) -> Option<KeyOf> {
        let fresh = {
            let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            fetched.1.is_some_and(|at| self.clock.now() - at < KEYS_AGE)
        };
        // Old keys go on serving when fetching new ones fails; `fetch` renews the map then.
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let may_fetch = fresh || !self.may_fetch();
        (keys.contains_key(id) && may_fetch).then(|| KeyOf { keys, id: id.to_owned() })
    }

    fn unknown_key(&self) -> BadToken {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() { BadToken::NoKeys } else { BadToken::UnknownKey }
    }

    fn may_fetch(&self) -> bool {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.0.is_none_or(|at| self.clock.now() - at >= FETCH_PAUSE)
    }

    async fn fetch(&self) {
        let _one_at_a_time = self.fetching.lock().await;
        if !self.may_fetch() {
            return;
        }
        let now = self.clock.now();
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(now);
        match self.source.fetch().await {
            Ok(published) => {
                let readable = published.iter().filter_map(decoding_key).collect::<HashMap<_, _>>();
                tracing::info!(keys = readable.len(), "callback signing keys fetched");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(readable);
                self.fetched.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(now);
            }
            Err(error) => {
                tracing::warn!(%error, "callback signing keys could not be fetched");
            }
        }
    }
}

/// A key inside the map that holds it: verifying borrows it without copying.
struct KeyOf {
    keys: Arc<HashMap<String, DecodingKey>>,
    id: String,
}

impl KeyOf {
    fn key(&self) -> &DecodingKey {
        // It was in this very map when this value was made.
        &self.keys[&self.id]
    }
}

fn decoding_key(key: &SigningKey) -> Option<(String, DecodingKey)> {
    let decoded = DecodingKey::from_rsa_components(&key.modulus, &key.exponent).ok()?;
    Some((key.id.clone(), decoded))
}

/// The `kid` of an RS256 token. Any other algorithm is refused before a key is looked for.
fn key_id_of(token: &str) -> Result<String, BadToken> {
    let header = match jsonwebtoken::decode_header(token) {
        Ok(header) => header,
        // The library does not even know `none` as an algorithm.
        Err(_) if names_no_algorithm(token) => return Err(BadToken::WrongAlgorithm),
        Err(_) => return Err(BadToken::Malformed),
    };
    if header.alg != Algorithm::RS256 {
        return Err(BadToken::WrongAlgorithm);
    }
    header.kid.ok_or(BadToken::UnknownKey)
}

fn names_no_algorithm(token: &str) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = token.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap_or_default();
    header.get("alg").is_some()
}
