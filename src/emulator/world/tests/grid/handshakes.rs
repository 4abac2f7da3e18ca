//! Agreeing to a subscription, in both ways and by hand.

use super::*;

/// A subscription whose first handshake gets this answer.
fn answered_with(schema: &str, answer: Outcome) -> Office {
    let mut office = Office::bare(|_, _| ());
    office.hello_answers.push_back(answer);
    office.put(json!({ "schema": schema })).expect("a subscription");
    office.pass(0);
    office
}

#[track_caller]
fn check(schema: &str, answer: Outcome, standing: &str) {
    let office = answered_with(schema, answer);
    assert_eq!((office.standing().as_str(), office.hellos.len()), (standing, 1));
}

#[test]
fn event_grids_code_must_come_back_with_200_exactly() {
    check("eventGrid", status(200), "AwaitingManualAction");
    check("eventGrid", answered(200, r#"{"other":1}"#), "AwaitingManualAction");
    check("eventGrid", answered(200, r#"{"validationResponse":"wrong"}"#), "Creating");
    for refused in [201, 202, 204, 301, 400, 500] {
        check("eventGrid", status(refused), "Creating");
    }
    let mut office = Office::bare(|_, _| ());
    office.put(json!({})).expect("a subscription");
    let code = office.world.grid.subscriptions["calls"].code.clone();
    let echo = json!({ "validationResponse": code }).to_string();
    office.hello_answers.push_back(answered(202, echo.clone()));
    office.pass(0);
    assert_eq!(office.standing(), "Creating", "202 is no answer");
    office.hello_answers.push_back(answered(200, echo));
    office.pass(250);
    assert_eq!(office.standing(), "Succeeded");
}

#[test]
fn the_validation_event_is_alone_and_says_how_to_answer() {
    let office = Office::new(json!({}));
    let hello = &office.hellos[0];
    assert_eq!((hello.method, hello.url.as_str()), ("POST", "http://127.0.0.1:9/grid?key=secret"));
    let event = &hello.body[0];
    assert_eq!(hello.body.as_array().map(Vec::len), Some(1));
    assert_eq!(event["eventType"], "Microsoft.EventGrid.SubscriptionValidationEvent");
    assert_eq!((&event["subject"], &event["dataVersion"]), (&json!(""), &json!("1")));
    let code = event["data"]["validationCode"].as_str().expect("a code");
    let url =
        format!("http://emulator/emulator/eventgrid/subscriptions/calls/validate?code={code}");
    assert_eq!(event["data"]["validationUrl"], url);
    for (name, value) in [
        ("aeg-event-type", "SubscriptionValidation"),
        ("aeg-subscription-name", "CALLS"),
        ("aeg-delivery-count", "0"),
        ("aeg-metadata-version", "1"),
        ("aeg-data-version", "1"),
        ("content-type", "application/json; charset=utf-8"),
    ] {
        assert_eq!(hello.headers[name], value, "{name}");
    }
}

#[test]
fn what_the_validation_event_says_is_a_setting() {
    for (resource, version) in [(true, "1"), (false, "2")] {
        let office = Office::with(json!({}), |grid, _| {
            grid.validation_names_resource = resource;
            grid.validation_data_version = version.to_owned();
        });
        let event = &office.hellos[0].body[0];
        let topic = event["topic"].as_str().expect("a topic");
        assert_eq!(topic.contains("/resourceGroups/"), resource, "{topic}");
        assert!(topic.starts_with("/subscriptions/0"));
        assert_eq!(event["dataVersion"], version);
    }
}

#[test]
fn a_handshake_is_tried_again_after_five_seconds_at_most_and_given_up_after_ten_minutes() {
    let mut office = Office::bare(|_, _| ());
    office.hello_answers = std::iter::repeat_n(Outcome::TimedOut, 1000).collect();
    office.put(json!({})).expect("a subscription");
    office.pass(20_000);
    let at: Vec<_> = office.hellos.iter().map(|hello| hello.at).collect();
    assert_eq!(at, [0, 5_000, 10_000, 15_000, 20_000], "an overrun waits five seconds");
    office.pass(10 * MINUTE - 20_001);
    assert_eq!(office.standing(), "Creating");
    office.pass(1);
    assert_eq!(office.standing(), "Failed");
    let tried = office.hellos.len();
    office.pass(HOUR);
    assert_eq!(office.hellos.len(), tried);
    office.publish(json!({}));
    assert_eq!(office.record().last().map(String::as_str), Some("notValidated Failed"));

    let mut office = Office::bare(|_, _| ());
    office.hello_answers = std::iter::repeat_n(Outcome::Unreachable, 1000).collect();
    office.put(json!({})).expect("a subscription");
    office.pass(20_000);
    let at: Vec<_> = office.hellos.iter().map(|hello| hello.at).collect();
    assert_eq!(at, [0, 250, 750, 1_750, 3_750, 7_750, 12_750, 17_750]);
}

#[test]
fn somebody_may_agree_by_hand_within_ten_minutes() {
    for schema in ["eventGrid", "cloudEvents"] {
        let mut office = answered_with(schema, status(200));
        assert_eq!(office.standing(), "AwaitingManualAction");
        let url = office.seen()["handshake"]["validationUrl"].as_str().expect("a url").to_owned();
        let code = url.split_once("code=").expect("a code").1.to_owned();
        office.pass(10 * MINUTE - 1);
        assert_eq!(office.hellos.len(), 1, "nobody is asked twice");
        let refusal = office.world.validate_by_hand("calls", "x").expect_err("a refusal");
        assert_eq!((refusal.status, refusal.code), (400, "InvalidRequest"));
        office.world.validate_by_hand("calls", &code).expect("in time");
        office.pass(HOUR);
        assert_eq!(office.standing(), "Succeeded");

        let mut office = answered_with(schema, status(200));
        let code = office.world.grid.subscriptions["calls"].code.clone();
        office.pass(10 * MINUTE);
        let refusal = office.world.validate_by_hand("calls", &code).expect_err("too late");
        assert_eq!((refusal.status, refusal.code), (409, "ValidationExpired"));
    }
}

#[test]
fn cloud_events_consent_is_a_header_whatever_the_status() {
    let origin = |value| allowing(&[("webhook-allowed-origin", value)], 405);
    check("cloudEvents", origin("*"), "Succeeded");
    check("cloudEvents", origin("EventGrid.azure.net"), "Succeeded");
    check("cloudEvents", origin("example.test"), "Creating");
    check("cloudEvents", status(405), "Creating");
    check("cloudEvents", status(204), "AwaitingManualAction");
    for (rate, standing) in [("*", "Succeeded"), ("120", "Succeeded"), ("0", "Creating")] {
        let headers = [("webhook-allowed-origin", "*"), ("webhook-allowed-rate", rate)];
        check("cloudEvents", allowing(&headers, 200), standing);
    }
}

#[test]
fn cloud_events_asks_with_options() {
    let office = Office::new(json!({ "schema": "cloudEvents", "headers": { "X-Own": "v" } }));
    let hello = &office.hellos[0];
    let code = &office.world.grid.subscriptions["calls"].code;
    let callback =
        format!("http://emulator/emulator/eventgrid/subscriptions/calls/validate?code={code}");
    let expected: BTreeMap<_, _> = [
        ("webhook-request-origin", "eventgrid.azure.net"),
        ("webhook-request-callback", callback.as_str()),
        ("webhook-request-rate", "120"),
        ("x-own", "v"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!((hello.method, &hello.headers), ("OPTIONS", &expected));
    assert_eq!(
        (hello.url.as_str(), &hello.body),
        ("http://127.0.0.1:9/grid?key=secret", &Value::Null)
    );
}

#[test]
fn a_rate_is_asked_for_and_insisted_on_by_settings() {
    for (rate, required, standing) in
        [(Some(7), true, "Creating"), (Some(7), false, "Succeeded"), (None, true, "Succeeded")]
    {
        let mut office = Office::bare(|grid, _| {
            grid.request_rate = rate;
            grid.rate_consent_required = required;
        });
        office.put(json!({ "schema": "cloudEvents" })).expect("a subscription");
        office.pass(0);
        assert_eq!(office.standing(), standing);
        let asked = office.hellos[0].headers.get("webhook-request-rate").cloned();
        assert_eq!(asked, rate.map(|rate: u32| rate.to_string()));
    }
}

#[test]
fn an_update_shakes_hands_anew_and_delivers_in_the_old_form_until_then() {
    for keeps in [true, false] {
        let mut office = Office::with(json!({}), |grid, _| grid.update_keeps_delivering = keeps);
        office.hello_answers = [status(500), status(500)].into();
        let update = json!({ "endpoint": "http://127.0.0.1:9/new", "schema": "cloudEvents" });
        office.put(update).expect("an update");
        office.pass(0);
        assert_eq!(office.standing(), "Updating");
        office.publish(json!({}));
        let old: Vec<_> = office.sent.drain(..).map(|sent| sent.url).collect();
        let expected: &[&str] = if keeps { &["http://127.0.0.1:9/grid?key=secret"] } else { &[] };
        assert_eq!(old, expected);
        office.pass(1_000);
        assert_eq!(office.standing(), "Succeeded");
        office.publish(json!({}));
        assert_eq!(office.sent[0].url, "http://127.0.0.1:9/new");
    }
    let mut office = Office::new(json!({}));
    office.hello_answers = std::iter::repeat_n(status(500), 1000).collect();
    office.put(json!({})).expect("an update");
    office.pass(10 * MINUTE);
    assert_eq!((office.standing().as_str(), &office.seen()["delivers"]), ("Failed", &json!(false)));
}

#[test]
fn an_old_handshake_does_not_agree_to_a_new_subscription() {
    let mut office = Office::bare(|_, _| ());
    office.put(json!({})).expect("a subscription");
    office.world.pass_time(moment(office.now));
    let hello = office.world.take_effects().remove(0);
    let code = office.world.grid.subscriptions["calls"].code.clone();
    office.put(json!({ "endpoint": "http://127.0.0.1:9/other" })).expect("an update");
    let echo = answered(200, json!({ "validationResponse": code }).to_string());
    office.world.finished(moment(office.now), hello.job, &echo);
    assert_eq!(office.standing(), "Updating");
    assert_eq!(office.world.validate_by_hand("calls", &code).expect_err("old").status, 400);
}
