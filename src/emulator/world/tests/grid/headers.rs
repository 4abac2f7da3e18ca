//! What a delivery carries beside the event.

use super::*;

fn delivered(more: Value, change: impl FnOnce(&mut GridBehaviour, &mut Limits)) -> Sent {
    let mut office = Office::with(more, change);
    office.publish(json!({ "to": { "rawId": "4:+2" }, "n": 7, "name": "Zoë", "list": [1] }));
    office.sent.remove(0)
}

#[test]
fn a_delivery_has_event_grids_headers_and_no_others() {
    let sent = delivered(json!({}), |_, _| ());
    let expected: BTreeMap<_, _> = [
        ("content-type", "application/json; charset=utf-8"),
        ("aeg-event-type", "Notification"),
        ("aeg-subscription-name", "CALLS"),
        ("aeg-delivery-count", "0"),
        ("aeg-metadata-version", "1"),
        ("aeg-data-version", "1.0"),
        ("aeg-output-event-id", sent.body[0]["id"].as_str().expect("an id")),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!((sent.method, &sent.headers), ("POST", &expected));

    let sent = delivered(json!({ "schema": "CloudEventSchemaV1_0" }), |_, _| ());
    let expected: BTreeMap<_, _> = [
        ("content-type", "application/cloudevents+json; charset=utf-8"),
        ("aeg-event-type", "Notification"),
        ("aeg-subscription-name", "CALLS"),
        ("aeg-delivery-count", "0"),
        ("aeg-metadata-version", "1.0"),
        ("aeg-output-event-id", sent.body["id"].as_str().expect("an id")),
        ("webhook-request-origin", "eventgrid.azure.net"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!(sent.headers, expected);
}

#[test]
fn what_azure_leaves_open_about_headers_is_a_setting() {
    use crate::emulator::config::DeliveryOrigin;
    for (capitals, count, name) in [(true, 0, "CALLS"), (false, 1, "calls")] {
        let sent = delivered(json!({}), |grid, _| {
            grid.capital_names = capitals;
            grid.first_delivery_count = count;
        });
        assert_eq!(sent.headers["aeg-subscription-name"], name);
        assert_eq!(sent.headers["aeg-delivery-count"], count.to_string());
    }
    for (which, header) in [
        (DeliveryOrigin::WebHookRequestOrigin, Some("webhook-request-origin")),
        (DeliveryOrigin::Origin, Some("origin")),
        (DeliveryOrigin::Neither, None),
    ] {
        let sent = delivered(json!({ "schema": "cloudEvents" }), |grid, _| {
            grid.delivery_origin = which;
            grid.origin = "example.test".to_owned();
        });
        for name in ["webhook-request-origin", "origin"] {
            let expected = (header == Some(name)).then_some("example.test");
            assert_eq!(sent.headers.get(name).map(String::as_str), expected, "{which:?} {name}");
        }
    }
}

#[test]
fn own_headers_are_fixed_or_taken_from_the_event() {
    let office = Office::new(json!({
        "headers": { "X-Short": "short" },
        "deliveryHeaders": [
            { "name": "X-Key", "value": "hidden", "isSecret": true },
            { "name": "X-Open", "value": "seen" },
            { "name": "X-To", "path": "$.data.TO.rawId" },
            { "name": "X-N", "sourceField": "data.n" },
            { "name": "X-Missing", "path": "data.nothing" },
            { "name": "X-Not-Text", "path": "data.list" },
            { "name": "X-Not-Ascii", "path": "data.name" },
        ],
    }));
    let mut office = office;
    office.publish(json!({ "to": { "rawId": "4:+2" }, "n": 7, "name": "Zoë", "list": [1] }));
    let own = |sent: &Sent| {
        let own = sent.headers.iter().filter(|(name, _)| name.starts_with("x-"));
        own.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    let fixed = ["x-key=hidden", "x-open=seen", "x-short=short"];
    assert_eq!(own(&office.hellos[0]), fixed);
    assert_eq!(
        own(&office.sent[0]),
        ["x-key=hidden", "x-n=7", "x-open=seen", "x-short=short", "x-to=4:+2"]
    );
    let seen = office.seen();
    let text = seen.to_string();
    assert!(!text.contains("hidden") && !text.contains("secret\":\"") && !text.contains("=secret"));
    assert_eq!(seen["endpoint"], "http://127.0.0.1:9/grid");
    let header = |index: usize| &seen["deliveryHeaders"][index];
    assert_eq!(header(0)["value"], Value::Null, "the short form is secret");
    assert_eq!((&header(1)["secret"], &header(2)["value"]), (&json!(true), &json!("seen")));
    assert_eq!((&header(3)["type"], &header(4)["path"]), (&json!("dynamic"), &json!("data.n")));
}
