//! The token on each callback, checked against a key server that the test holds in its hand.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use switchhook::clock::ManualClock;
use switchhook::ports::Clock;

use crate::stage::{KEY, Setting, Stage, event};

const ISSUER: &str = "https://issuer.example.com";
const AUDIENCE: &str = "0f5d2c1a-8f6e-4b1d-9a44-3c5e7d9b2a10";
const REFUSALS: &str = "switchhook_callback_auth_failures_total";

struct Signer {
    id: &'static str,
    pair: KeyPair,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        Self { id, pair: KeyPair::generate(KeySize::Rsa2048).expect("a key") }
    }

    fn modulus(&self) -> Vec<u8> {
        self.pair.public_key().modulus().big_endian_without_leading_zero().to_vec()
    }

    fn published(&self) -> Value {
        let exponent = self.pair.public_key().exponent();
        json!({"kty": "RSA", "use": "sig", "kid": self.id, "n": part(&self.modulus()),
            "e": part(exponent.big_endian_without_leading_zero())})
    }

    fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": "RS256", "kid": self.id, "typ": "JWT"}), claims)
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let text = signed_text(header, claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
            .expect("signed");
        format!("{text}.{}", part(&signature))
    }
}

fn part(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn signed_text(header: &Value, claims: &Value) -> String {
    format!("{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()))
}

/// Claims that are good at this moment of the clock, for five minutes.
fn claims(clock: &ManualClock) -> Value {
    let now = clock.wall().as_second();
    json!({"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300})
}

fn but(claims: &Value, member: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[member] = value.into();
    claims
}

/// Publishes keys over HTTP, on a thread of its own.
struct KeyServer {
    port: u16,
    /// What it publishes; `None` when it is down.
    keys: Arc<Mutex<Option<Value>>>,
    /// How often the keys were asked for.
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    fn start(signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, keys: Arc::default(), asked: Arc::default() };
        server.publish(signers);
        let (keys, asked) = (Arc::clone(&server.keys), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut path = String::new();
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if path.is_empty() {
                        path.clone_from(&line);
                    }
                    line.clear();
                }
                let keys = keys.lock().unwrap().clone();
                let (status, body) = if path.starts_with("GET /openid ") {
                    asked.fetch_add(1, Ordering::SeqCst);
                    let body = json!({"jwks_uri": format!("http://127.0.0.1:{port}/keys")});
                    if keys.is_some() { ("200 OK", body) } else { ("503 Down", json!({})) }
                } else {
                    ("200 OK", json!({ "keys": keys }))
                };
                let body = body.to_string();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _gone = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        server
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.published()).collect();
        *self.keys.lock().unwrap() = Some(json!(keys));
    }

    fn go_down(&self) {
        *self.keys.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A stage whose callbacks are signed by the test, on a clock that the test holds.
async fn stage(server: &KeyServer, clock: &Arc<ManualClock>) -> Stage {
    let url = format!("http://127.0.0.1:{}/openid", server.port);
    let setting = Setting {
        callbacks_signed_by: Some((url, ISSUER.to_owned(), AUDIENCE.to_owned())),
        ..Setting::default()
    };
    Stage::with(setting.held(clock)).await
}

/// Posts one event with this `Authorization`; status and body.
async fn post(stage: &Stage, authorization: Option<&str>) -> (u16, Value) {
    let url = stage.public(&format!("/webhooks/calls?key={KEY}"));
    let event = json!([event("signed", "e1", "CallConnected", None)]);
    let mut post = stage.http.post(url).json(&event);
    if let Some(authorization) = authorization {
        post = post.header("authorization", authorization);
    }
    crate::stage::answer(post).await
}

async fn post_token(stage: &Stage, token: &str) -> u16 {
    post(stage, Some(&format!("Bearer {token}"))).await.0
}

/// Refused with 401 for this reason; the sender learns nothing of it.
async fn refused(stage: &Stage, authorization: Option<&str>, reason: &str) {
    let label = format!("reason=\"{reason}\"");
    let before = stage.metric(REFUSALS, &[&label]).await;
    let (status, body) = post(stage, authorization).await;
    assert_eq!((status, body["code"].as_str()), (401, Some("unauthorized")), "{reason}: {body}");
    let members: Vec<_> = body.as_object().expect("a problem").keys().collect();
    assert_eq!(members, ["code", "status", "title", "type"], "no detail for strangers");
    let after = stage.metric(REFUSALS, &[&label]).await;
    assert!(after > before, "{reason} is not counted; {authorization:?}");
}

#[actix_web::test]
async fn a_token_is_good_only_if_all_of_it_is() {
    let (signer, stranger) = (Signer::new("one"), Signer::new("one"));
    let server = KeyServer::start(&[&signer]);
    let clock = ManualClock::starting_now();
    let stage = stage(&server, &clock).await;
    let good = claims(&clock);
    let now = clock.wall().as_second();
    let bearer = |token: String| Some(format!("Bearer {token}"));

    let token = signer.token(&good);
    assert_eq!(post_token(&stage, &token).await, 200);
    assert_eq!(post(&stage, Some(&format!("bearer   {token}"))).await.0, 200);
    let many = but(&good, "aud", json!(["somebody else", AUDIENCE]));
    assert_eq!(post_token(&stage, &signer.token(&many)).await, 200);
    // Clocks may be a minute apart, either way.
    assert_eq!(post_token(&stage, &signer.token(&but(&good, "exp", now - 59))).await, 200);
    assert_eq!(post_token(&stage, &signer.token(&but(&good, "nbf", now + 60))).await, 200);

    refused(&stage, None, "missing_token").await;
    for none in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", &token] {
        refused(&stage, Some(none), "missing_token").await;
    }
    let (head, signature) = token.rsplit_once('.').unwrap();
    let long = format!("Bearer {}", "x".repeat(17_000));
    for malformed in ["Bearer x", "Bearer a.b.c", "Bearer ..", &long] {
        refused(&stage, Some(malformed), "malformed").await;
    }
    refused(&stage, bearer(format!("{head}.")).as_deref(), "bad_signature").await;
    refused(&stage, bearer(format!("{head}.{}", &signature[..40])).as_deref(), "bad_signature")
        .await;
    // Claims of another token under this signature, and the right claims under another key.
    let other =
        signed_text(&json!({"alg": "RS256", "kid": "one"}), &but(&good, "exp", now + 9_999));
    refused(&stage, bearer(format!("{other}.{signature}")).as_deref(), "bad_signature").await;
    refused(&stage, bearer(stranger.token(&good)).as_deref(), "bad_signature").await;

    for (member, value, reason) in [
        ("exp", json!(now - 60), "expired"),
        ("exp", Value::Null, "expired"),
        ("nbf", json!(now + 61), "not_yet"),
        ("iss", json!("https://issuer.example.com/"), "wrong_issuer"),
        ("iss", Value::Null, "wrong_issuer"),
        ("aud", json!("0f5d2c1a"), "wrong_audience"),
        ("aud", json!([]), "wrong_audience"),
        ("aud", Value::Null, "wrong_audience"),
        ("exp", json!("tomorrow"), "malformed"),
    ] {
        let token = signer.token(&but(&good, member, value));
        refused(&stage, bearer(token).as_deref(), reason).await;
    }
}

#[actix_web::test]
async fn no_other_algorithm_gets_in_whatever_key_it_uses() {
    let signer = Signer::new("one");
    let server = KeyServer::start(&[&signer]);
    let clock = ManualClock::starting_now();
    let stage = stage(&server, &clock).await;
    let good = claims(&clock);
    for none in ["none", "None", "NONE"] {
        let text = signed_text(&json!({"alg": none, "kid": "one", "typ": "JWT"}), &good);
        for token in [format!("{text}."), format!("{text}.AAAA")] {
            refused(&stage, Some(&format!("Bearer {token}")), "wrong_algorithm").await;
        }
    }
    // The public key is no secret: whoever takes it for one must not get in.
    let text = signed_text(&json!({"alg": "HS256", "kid": "one", "typ": "JWT"}), &good);
    let secrets = [
        signer.modulus(),
        signer.pair.public_key().as_ref().to_vec(),
        part(&signer.modulus()).into_bytes(),
        Vec::new(),
    ];
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let token = format!("{text}.{}", part(hmac::sign(&key, text.as_bytes()).as_ref()));
        refused(&stage, Some(&format!("Bearer {token}")), "wrong_algorithm").await;
    }
    for other in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "made up"] {
        let token = signer.token_with(&json!({"alg": other, "kid": "one"}), &good);
        refused(&stage, Some(&format!("Bearer {token}")), "wrong_algorithm").await;
    }
    // A token cannot bring its own key.
    let stranger = Signer::new("one");
    let header = json!({"alg": "RS256", "kid": "one", "jwk": stranger.published(),
        "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/"});
    let token = stranger.token_with(&header, &good);
    refused(&stage, Some(&format!("Bearer {token}")), "bad_signature").await;
    assert_eq!(post_token(&stage, &signer.token(&good)).await, 200);
}

#[actix_web::test]
async fn keys_are_fetched_again_for_an_unknown_id_but_not_for_every_one() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let server = KeyServer::start(&[&old]);
    let clock = ManualClock::starting_now();
    let stage = stage(&server, &clock).await;
    let good = claims(&clock);
    assert_eq!(post_token(&stage, &old.token(&good)).await, 200);
    assert_eq!(server.asked(), 1);
    let unknown = format!("Bearer {}", new.token(&good));
    let keyless = old.token_with(&json!({"alg": "RS256"}), &good);
    for _ in 0..20 {
        refused(&stage, Some(&unknown), "unknown_key").await;
    }
    refused(&stage, Some(&format!("Bearer {keyless}")), "unknown_key").await;
    assert_eq!(server.asked(), 1, "nobody can make us ask all the time");
    clock.advance(Duration::from_secs(10));
    for _ in 0..20 {
        refused(&stage, Some(&unknown), "unknown_key").await;
    }
    assert_eq!(server.asked(), 2);

    // The issuer changes its keys: the new one works as soon as it may be asked for.
    server.publish(&[&new]);
    assert_eq!(post_token(&stage, &old.token(&good)).await, 200);
    clock.advance(Duration::from_secs(10));
    assert_eq!(post_token(&stage, &new.token(&good)).await, 200);
    assert_eq!(server.asked(), 3);
    refused(&stage, Some(&format!("Bearer {}", old.token(&good))), "unknown_key").await;
}

#[actix_web::test]
async fn withdrawn_keys_go_in_time_and_kept_ones_serve_while_the_issuer_is_down() {
    let (signer, other) = (Signer::new("one"), Signer::new("two"));
    let server = KeyServer::start(&[&signer]);
    let clock = ManualClock::starting_now();
    let stage = stage(&server, &clock).await;
    assert_eq!(post_token(&stage, &signer.token(&claims(&clock))).await, 200);
    server.go_down();
    clock.advance(Duration::from_secs(7 * 60 * 60));
    for _ in 0..3 {
        assert_eq!(post_token(&stage, &signer.token(&claims(&clock))).await, 200);
    }
    assert_eq!(server.asked(), 2, "it was asked for newer ones, once");
    let unknown = format!("Bearer {}", other.token(&claims(&clock)));
    refused(&stage, Some(&unknown), "unknown_key").await;
    // An empty set is a fault, too.
    server.publish(&[]);
    clock.advance(Duration::from_secs(10));
    assert_eq!(post_token(&stage, &signer.token(&claims(&clock))).await, 200);
    assert_eq!(server.asked(), 3);
    server.publish(&[&other]);
    clock.advance(Duration::from_secs(10));
    let withdrawn = format!("Bearer {}", signer.token(&claims(&clock)));
    refused(&stage, Some(&withdrawn), "unknown_key").await;
    assert_eq!(post_token(&stage, &other.token(&claims(&clock))).await, 200);
}

#[actix_web::test]
async fn without_any_key_the_fault_is_ours_and_the_sender_comes_again() {
    let signer = Signer::new("one");
    let server = KeyServer::start(&[&signer]);
    server.go_down();
    let clock = ManualClock::starting_now();
    let stage = stage(&server, &clock).await;
    let before = stage.metric(REFUSALS, &["reason=\"no_keys\""]).await;
    let (status, body) =
        post(&stage, Some(&format!("Bearer {}", signer.token(&claims(&clock))))).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("busy")), "{body}");
    assert!(stage.metric(REFUSALS, &["reason=\"no_keys\""]).await > before);
    assert_eq!(stage.view("signed").await.0, 404, "nothing was taken");
    // What can be refused without a key still is.
    refused(&stage, None, "missing_token").await;
    server.publish(&[&signer]);
    clock.advance(Duration::from_secs(10));
    assert_eq!(post_token(&stage, &signer.token(&claims(&clock))).await, 200);
    assert_eq!(stage.view("signed").await.0, 200);
}

#[actix_web::test]
async fn key_and_token_are_both_needed() {
    let signer = Signer::new("one");
    let server = KeyServer::start(&[&signer]);
    let clock = ManualClock::starting_now();
    let stage = stage(&server, &clock).await;
    let token = signer.token(&claims(&clock));
    for (query, reason) in [("", "missing_key"), ("?key=wrong", "wrong_key")] {
        let label = format!("reason=\"{reason}\"");
        let before = stage.metric(REFUSALS, &[&label]).await;
        let url = stage.public(&format!("/webhooks/calls{query}"));
        let post = stage.http.post(url).bearer_auth(&token).json(&json!([]));
        let (status, body) = crate::stage::answer(post).await;
        assert_eq!((status, body["detail"].as_str()), (401, None), "{body}");
        assert!(stage.metric(REFUSALS, &[&label]).await > before, "{reason}");
    }
}
