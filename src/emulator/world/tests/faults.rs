//! Faults in virtual time: each kind, who is struck, and that the same seed strikes the same.

use super::*;
use crate::emulator::fault_config::Faults;

const INCOMING: &str = "Microsoft.Communication.IncomingCall";

fn with_faults(faults: Value) -> Theatre {
    let faults = Faults::from_json(faults.to_string().as_bytes()).expect("faults");
    Theatre::new(|config| config.faults = faults)
}

fn with_rule(rule: Value) -> Theatre {
    with_faults(json!({ "seed": 7, "rules": [rule] }))
}

impl Theatre {
    /// What was posted: short type and when, after `since`.
    fn told_since(&mut self, since: Tick) -> Vec<(String, u128)> {
        let posted = self.posted.drain(..);
        posted.map(|(at, _, event)| (short(&event), at.since(since).as_millis())).collect()
    }

    #[track_caller]
    fn check_at(&mut self, since: Tick, expected: &[(&str, u128)]) {
        let told = self.told_since(since);
        let told: Vec<_> = told.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        assert_eq!(told, expected);
    }

    fn struck(&self) -> Vec<Value> {
        let all = self.world.trace_after(0, false).value;
        all.into_iter().filter(|entry| entry["what"] == "fault").collect()
    }

    fn fate(&mut self, operation: Operation, call: &str, body: &Value) -> api::ApiReply {
        let body = body.to_string();
        let place = if call.is_empty() { Place::Nowhere } else { Place::Call(call.into()) };
        let path = operation.path(&place);
        let request = ApiRequest {
            operation,
            place,
            path: &path,
            query: "api-version=2026-03-12",
            host: "emulator",
            body: body.as_bytes(),
            repeat_id: None,
            first_sent: None,
        };
        api::answer(&mut self.world, moment(self.now), &request)
    }
}

/// A prompt that is played to its end, and then the caller hangs up.
#[track_caller]
fn check_callbacks(rule: Value, expected: &[(&str, u128)]) {
    let mut theatre = with_rule(rule);
    let call = theatre.in_call(&[CALLER]);
    let since = theatre.now;
    theatre.on(Operation::Play, &call, play("one"));
    theatre.pass(3000);
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.pass(20_000);
    theatre.check_at(since, expected);
}

#[test]
fn callbacks_come_twice_late_out_of_order_or_never() {
    let (started, done, over) =
        ("PlayStarted 200/0", "PlayCompleted 200/0", "CallDisconnected 0/560000");
    let plain = [(started, 0), (done, 3000), (over, 3000)];
    check_callbacks(json!({ "fault": "drop", "types": ["AddParticipantFailed"] }), &plain);
    check_callbacks(
        json!({ "fault": "duplicate", "types": ["PlayCompleted"], "times": 1 }),
        &[(started, 0), (done, 3000), (done, 3000), (over, 3000)],
    );
    check_callbacks(
        json!({ "fault": "duplicate", "types": ["PlayCompleted"], "delayMs": 500 }),
        &[(started, 0), (done, 3000), (over, 3000), (done, 3500)],
    );
    check_callbacks(
        json!({ "fault": "delay", "types": ["PlayCompleted"], "delayMs": 250 }),
        &[(started, 0), (over, 3000), (done, 3250)],
    );
    check_callbacks(
        json!({ "fault": "reorder", "types": ["PlayCompleted"] }),
        &[(started, 0), (over, 3000), (done, 3000)],
    );
    // Nothing comes after the last event: it does not wait for ever.
    check_callbacks(
        json!({ "fault": "reorder", "types": ["CallDisconnected"] }),
        &[(started, 0), (done, 3000), (over, 8000)],
    );
    check_callbacks(
        json!({ "fault": "drop", "types": ["Microsoft.Communication.PlayStarted"] }),
        &plain[1..],
    );
    check_callbacks(json!({ "fault": "lostDisconnect" }), &plain[..2]);
}

#[test]
fn a_wrong_clock_is_in_events() {
    let mut theatre = with_rule(json!({ "fault": "clockSkew", "skewMs": -90_000 }));
    theatre.create(&[CALLER]);
    theatre.pass(1000);
    assert_eq!(theatre.posted[0].2["time"], "2025-11-21T08:28:31.1234567+00:00");
    let mut theatre =
        with_rule(json!({ "fault": "clockSkew", "on": "eventGrid", "skewMs": 3_600_000 }));
    theatre.ring(CALLER, OURS);
    let event = &theatre.grid[0];
    assert_eq!(event["eventTime"], "2025-11-21T09:30:00.1234567Z");
}

#[test]
fn event_grid_is_struck_too() {
    for (rule, now, later) in [
        (json!({ "fault": "drop", "on": "eventGrid" }), 0, 0),
        (json!({ "fault": "duplicate", "on": "eventGrid", "types": ["IncomingCall"] }), 2, 2),
        (
            json!({ "fault": "duplicate", "on": "eventGrid", "types": [INCOMING], "delayMs": 9 }),
            1,
            2,
        ),
        (json!({ "fault": "delay", "on": "eventGrid" }), 0, 1),
        (json!({ "fault": "reorder", "on": "eventGrid" }), 0, 1),
        (json!({ "fault": "drop", "on": "eventGrid", "types": ["CallStarted"] }), 1, 1),
        (json!({ "fault": "drop", "on": "callback" }), 1, 1),
    ] {
        let mut theatre = with_rule(rule.clone());
        theatre.ring(CALLER, OURS);
        assert_eq!(theatre.grid.len(), now, "{rule}");
        theatre.pass(6000);
        assert_eq!(theatre.grid.len(), later, "{rule}");
    }
}

#[test]
fn tokens_are_flawed_for_each_attempt() {
    for (fault, expected) in [
        ("forgedToken", (true, false, false)),
        ("expiredToken", (false, true, false)),
        ("wrongAudience", (false, false, true)),
    ] {
        let mut theatre = with_rule(json!({ "fault": fault, "times": 1 }));
        theatre.create(&[CALLER]);
        theatre.now = theatre.now + Duration::from_secs(1);
        theatre.world.pass_time(moment(theatre.now));
        let effects = theatre.world.take_effects();
        let flaw = effects.iter().find(|effect| effect.signed).expect("a callback").flaw;
        assert_eq!((flaw.forged, flaw.expired, flaw.wrong_audience), expected);
        assert_eq!(theatre.struck().len(), 1);
    }
    let mut theatre = with_rule(json!({ "fault": "clockSkew", "skewMs": 1500 }));
    theatre.create(&[CALLER]);
    theatre.world.pass_time(moment(Tick(1000)));
    let effects = theatre.world.take_effects();
    let flaw = effects.iter().find(|effect| effect.signed).expect("a callback").flaw;
    assert_eq!(flaw.skew_ms, 1500);
}

#[test]
fn requests_are_refused_without_being_done() {
    for (rule, status, code) in [
        (json!({ "fault": "tooManyRequests", "retryAfterMs": 1500 }), 429, "TooManyRequests"),
        (json!({ "fault": "serverError" }), 500, "InternalServerError"),
        (json!({ "fault": "serverError", "status": 502 }), 502, "BadGateway"),
        (json!({ "fault": "serverError", "status": 503 }), 503, "ServiceUnavailable"),
        (json!({ "fault": "serverError", "status": 504 }), 504, "GatewayTimeout"),
    ] {
        let mut rule = rule;
        rule["operations"] = json!(["Play"]);
        rule["times"] = json!(1);
        let mut theatre = with_rule(rule);
        let call = theatre.in_call(&[CALLER]);
        let (got, answer) =
            theatre.ask(Operation::Play, Place::Call(call.as_str().into()), &play("one"));
        assert_eq!((got, answer["error"]["code"].as_str()), (status, Some(code)));
        theatre.pass(10_000);
        theatre.check_told(&[]);
        theatre.on(Operation::Play, &call, play("two"));
    }
}

#[test]
fn answers_are_lost_or_wait_for_time_and_for_events() {
    let mut theatre = with_rule(json!({ "fault": "lostResponse", "operations": ["Play"] }));
    let call = theatre.in_call(&[CALLER]);
    assert!(theatre.fate(Operation::Play, &call, &play("one")).manner.lost);
    theatre.pass(3000);
    theatre.check_told(&["PlayStarted 200/0", "PlayCompleted 200/0"]);

    for (rule, free_at) in [
        (json!({ "fault": "slow", "delayMs": 700 }), 700),
        (json!({ "fault": "slow" }), 1000),
        (json!({ "fault": "eventBeforeResponse", "types": ["PlayCompleted"] }), 3000),
        (json!({ "fault": "eventBeforeResponse", "types": ["PlayFailed"] }), 5000),
    ] {
        let mut rule = rule;
        rule["operations"] = json!(["Play"]);
        let mut theatre = with_rule(rule.clone());
        let call = theatre.in_call(&[CALLER]);
        let held = theatre.fate(Operation::Play, &call, &play("one")).manner.held;
        let held = held.expect("held");
        theatre.pass(free_at - 1);
        assert!(theatre.world.is_held(held), "{rule}");
        let before = theatre.world.pulse();
        theatre.pass(1);
        assert!(!theatre.world.is_held(held), "{rule}");
        assert!(theatre.world.pulse() > before);
    }
    let mut theatre = with_rule(json!({ "fault": "eventBeforeResponse" }));
    let body = json!({
        "targets": [identifier(CALLER)], "callbackUri": CALLBACK,
        "sourceCallerIdNumber": { "value": OURS },
    });
    let held = theatre.fate(Operation::CreateCall, "", &body).manner.held.expect("held");
    theatre.pass(999);
    assert!(theatre.world.is_held(held));
    theatre.pass(1);
    assert!(!theatre.world.is_held(held));
    let refused = theatre.fate(Operation::Play, "nobody", &play("one"));
    assert_eq!((refused.reply.status, refused.manner.held), (404, None));
}

#[test]
fn a_reset_lets_held_answers_go_and_counts_anew() {
    let mut theatre = with_rule(json!({ "fault": "slow", "times": 1 }));
    let held = theatre.fate(Operation::GetCall, "nobody", &Value::Null).manner.held;
    theatre.world.reset(moment(theatre.now));
    assert!(!theatre.world.is_held(held.expect("held")));
    assert_eq!(theatre.world.faults_seen()["rules"][0]["struck"], 0);
    assert!(theatre.fate(Operation::GetCall, "nobody", &Value::Null).manner.held.is_some());
}

#[test]
fn a_rule_spares_the_first_strikes_so_often_and_only_its_call() {
    let mut theatre = with_faults(json!({ "rules": [
        { "fault": "serverError", "operations": ["GetCall"], "after": 2, "times": 3 },
        { "fault": "tooManyRequests", "call": "other" },
    ] }));
    let mut ask =
        |call: &str| theatre.ask(Operation::GetCall, Place::Call(call.into()), &Value::Null).0;
    let asked: Vec<_> = (0..7).map(|_| ask("nobody")).collect();
    assert_eq!(asked, [404, 404, 500, 500, 500, 404, 404]);
    assert_eq!(ask("other"), 429);
    let seen = theatre.world.faults_seen();
    assert_eq!((&seen["rules"][0]["struck"], &seen["rules"][1]["struck"]), (&json!(3), &json!(1)));
    assert_eq!(theatre.struck()[3]["rule"], 1);
}

/// A long story with dice in it, and its whole trace.
fn trace_under(seed: u64) -> String {
    let mut theatre = with_faults(json!({ "seed": seed, "rules": [
        { "fault": "duplicate", "percent": 40, "delayMs": 120 },
        { "fault": "reorder", "percent": 30 },
        { "fault": "delay", "percent": 25.5, "delayMs": 900 },
        { "fault": "drop", "percent": 10 },
        { "fault": "forgedToken", "percent": 20 },
        { "fault": "delay", "on": "eventGrid", "percent": 50 },
        { "fault": "serverError", "percent": 30, "operations": ["Play"] },
    ] }));
    for _ in 0..6 {
        theatre.ring(CALLER, OURS);
        let call = theatre.create(&[CALLER]);
        theatre.pass(1000);
        for _ in 0..4 {
            theatre.ask(Operation::Play, Place::Call(call.as_str().into()), &play("one"));
            theatre.pass(3500);
        }
        theatre.far(&call, CALLER, Deed::HangUp);
        theatre.pass(10_000);
    }
    Value::Array(theatre.world.trace_after(0, true).value).to_string()
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let first = trace_under(7);
    assert!(first == trace_under(7));
    assert!(first != trace_under(8));
    for fault in ["duplicate", "reorder", "delay", "drop", "forgedToken", "serverError"] {
        assert!(first.contains(&format!("\"fault\":\"{fault}\"")), "{fault} never struck");
    }
}
