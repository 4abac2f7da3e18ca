//! Faults over HTTP: their route, answers that are lost, slow or refused, and callback tokens.

use super::*;
use switchhook::emulator::Faults;

fn rule(rule: Value) -> EmulatorConfig {
    let faults = json!({ "rules": [rule] }).to_string();
    let faults = Faults::from_json(faults.as_bytes()).expect("faults");
    EmulatorConfig { faults, ..config() }
}

#[actix_web::test]
async fn faults_are_put_seen_and_removed() {
    let caller = Caller::start(config());
    let (status, none) = caller.own(Method::GET, "faults", Value::Null).await;
    assert_eq!((status, &none["rules"], &none["seed"]), (200, &json!([]), &json!(0)));
    assert_eq!(none["known"].as_array().expect("names").len(), 14);
    let faults = json!({ "seed": 7, "rules": [
        { "fault": "serverError", "operations": ["GetCall"], "status": 503, "times": 1 },
    ] });
    let (status, seen) = caller.own(Method::PUT, "faults", faults).await;
    assert_eq!((status, &seen["seed"], &seen["rules"][0]["struck"]), (200, &json!(7), &json!(0)));
    let path = "/calling/callConnections/none";
    let answer = caller.ask(Method::GET, path, Value::Null).await;
    check_error(&answer, 503, "ServiceUnavailable");
    let (_, seen) = caller.own(Method::GET, "faults", Value::Null).await;
    assert_eq!(
        seen["rules"][0],
        json!({
            "fault": "serverError", "on": "response", "operations": ["GetCall"], "status": 503,
            "times": 1, "struck": 1,
        })
    );
    assert_eq!(caller.own(Method::DELETE, "faults", Value::Null).await.0, 204);
    check_error(&caller.ask(Method::GET, path, Value::Null).await, 404, "8522");
    check_error(&caller.own(Method::POST, "faults", Value::Null).await, 405, "MethodNotAllowed");
}

#[actix_web::test]
async fn faults_that_cannot_be_are_refused_with_what_is_known() {
    let caller = Caller::start(config());
    for (rule, said) in [
        (json!({ "fault": "flood" }), "Known faults: duplicate"),
        (json!({ "fault": "drop", "chance": 3 }), "retryAfterMs"),
        (json!({ "fault": "lostResponse", "on": "callback" }), "strikes on response"),
        (json!({ "fault": "drop", "on": "response" }), "strikes on callback or eventGrid"),
        (json!({ "fault": "drop", "types": ["PlayDone"] }), "PlayCompleted"),
        (json!({ "fault": "drop", "operations": ["Play"] }), "give types"),
        (json!({ "fault": "slow", "types": ["PlayCompleted"] }), "give operations"),
        (json!({ "fault": "slow", "operations": ["Dance"] }), "CreateCall"),
        (json!({ "fault": "lostDisconnect", "types": ["PlayCompleted"] }), "leave types out"),
        (json!({ "fault": "drop", "percent": 0 }), "percent"),
        (json!({ "fault": "drop", "percent": 101 }), "percent"),
        (json!({ "fault": "drop", "times": 0 }), "times"),
        (json!({ "fault": "serverError", "status": 404 }), "status"),
        (json!({ "fault": "clockSkew" }), "skewMs"),
        (json!({ "fault": "slow", "delayMs": 86_400_001 }), "delayMs"),
    ] {
        let faults = json!({ "rules": [rule] });
        let answer = caller.own(Method::PUT, "faults", faults).await;
        check_error(&answer, 400, "8523");
        let message = answer.1["error"]["message"].as_str().expect("text");
        assert!(message.contains(said), "{rule}: {message}");
    }
    let rules = vec![json!({ "fault": "drop" }); 101];
    let many = caller.own(Method::PUT, "faults", json!({ "rules": rules })).await;
    check_error(&many, 400, "8523");
}

#[test]
fn a_fault_file_may_have_underscores() {
    let file = |delay: &str| {
        format!("seed = 7\n[[rules]]\nfault = \"slow\"\noperations = [\"play\"]\n{delay} = 5\n")
    };
    let one = Faults::from_toml(&file("delay_ms")).expect("faults");
    assert_eq!(one.rules[0].delay(), Duration::from_millis(5));
    assert_eq!(
        Faults::from_toml(&file("delayMs")).expect("faults").rules[0].delay().as_millis(),
        5
    );
    let wrong = Faults::from_toml(&file("delay")).expect_err("unknown").to_string();
    assert!(wrong.contains("delayMs"), "{wrong}");
}

#[actix_web::test]
async fn a_lost_response_closes_the_connection_and_the_request_is_done() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(rule(json!({ "fault": "lostResponse", "times": 1 })));
    let body = json!({
        "targets": [{ "phoneNumber": { "value": PHONE } }],
        "sourceCallerIdNumber": { "value": OURS }, "callbackUri": receiver.url("/calls"),
    })
    .to_string();
    let target = format!("/calling/callConnections?{VERSION}");
    let key = caller.emulator.access_key();
    let lost = caller.signed(&Method::POST, &target, &target, key, &body).send().await;
    assert!(lost.expect_err("no answer").status().is_none());
    receiver.expect(&["CallConnected"]).await;
}

#[actix_web::test]
async fn retry_after_is_there_when_it_was_asked_for() {
    for (more, expected) in [(json!(null), None), (json!(1500), Some("2"))] {
        let mut wanted = json!({ "fault": "tooManyRequests" });
        if !more.is_null() {
            wanted["retryAfterMs"] = more;
        }
        let caller = Caller::start(rule(wanted));
        let target = format!("/calling/callConnections/none?{VERSION}");
        let answer = caller.send(Method::GET, &target, &Value::Null).await;
        let after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), after), (429, expected));
    }
}

#[actix_web::test]
async fn a_slow_answer_waits_for_the_emulators_clock_and_not_beyond_its_end() {
    let clock = ManualClock::starting_now();
    let mut slow = rule(json!({ "fault": "slow", "delayMs": 60_000 }));
    slow.manual_clock = Some(Arc::clone(&clock));
    let caller = Caller::with_clock(slow, clock);
    let path = "/calling/callConnections/none";
    let passing = async {
        caller.own_until("trace", |seen| seen["next"] == 2).await;
        let ms = json!({ "ms": 59_999 });
        caller.own(Method::POST, "clock:advance", ms).await;
        caller.own(Method::POST, "clock:advance", json!({ "ms": 1 })).await
    };
    let (answer, _) = tokio::join!(caller.ask(Method::GET, path, Value::Null), passing);
    check_error(&answer, 404, "8522");

    let target = format!("{path}?{VERSION}");
    let key = caller.emulator.access_key();
    let request = caller.signed(&Method::GET, &target, &target, key, "");
    let waiting = actix_web::rt::spawn(request.send());
    caller.own_until("trace", |seen| seen["next"] == 4).await;
    caller.emulator.stop().await;
    let ended = tokio::time::timeout(PATIENCE, waiting).await;
    drop(ended.expect("it does not wait for a clock that stands still"));
}

#[actix_web::test]
async fn an_event_is_delivered_before_its_response() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(rule(json!({
        "fault": "eventBeforeResponse", "operations": ["CreateCall"],
    })));
    caller.create(&receiver, PHONE).await;
    // It is there already, and nobody waits for it.
    let first = receiver.got.try_recv().expect("the event came first");
    assert_eq!(first.body[0]["type"], "Microsoft.Communication.CallConnected");
    receiver.expect(&["ParticipantsUpdated"]).await;
}

#[actix_web::test]
async fn callback_tokens_are_flawed() {
    for (fault, forged, expired, other_audience, skewed) in [
        ("forgedToken", true, false, false, false),
        ("expiredToken", false, true, false, false),
        ("wrongAudience", false, false, true, false),
        ("clockSkew", false, false, false, true),
    ] {
        let mut receiver = Receiver::start();
        let mut wanted = json!({ "fault": fault });
        if skewed {
            wanted["skewMs"] = json!(7_200_000);
        }
        let config = rule(wanted);
        let audience = config.audience.clone();
        let caller = Caller::start(config);
        caller.create(&receiver, PHONE).await;
        let token = receiver.next().await.headers["authorization"].clone();
        let token = token.strip_prefix("Bearer ").expect("a token").to_owned();
        let keys = caller.http.get(caller.url("/calling/keys")).send().await.expect("keys");
        let keys: JwkSet = keys.json().await.expect("keys");
        let kid = decode_header(&token).expect("a header").kid.expect("a key id");
        let key = DecodingKey::from_jwk(keys.find(&kid).expect("the key")).expect("a key");
        let mut rules = Validation::new(Algorithm::RS256);
        (rules.validate_exp, rules.validate_aud) = (false, false);
        let claims = decode::<Value>(&token, &key, &rules);
        assert_eq!(claims.is_err(), forged, "{fault}");
        let Ok(claims) = claims.map(|claims| claims.claims) else { continue };
        let now = caller.clock.wall().as_second();
        assert_eq!(claims["exp"].as_i64().unwrap() < now, expired, "{fault}");
        assert_eq!(claims["aud"].as_str() != Some(&audience), other_audience, "{fault}");
        assert_eq!(claims["iat"].as_i64().unwrap() > now + 7000, skewed, "{fault}");
    }
}
