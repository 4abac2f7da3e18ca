//! Dead letters, sending them once more, and the farewell to an endpoint.

use super::*;

#[test]
fn a_dead_letter_has_the_shape_of_its_schema() {
    let members = [
        "deadLetterReason",
        "deliveryAttempts",
        "lastDeliveryOutcome",
        "publishTime",
        "lastDeliveryAttemptTime",
    ];
    for schema in ["eventGrid", "cloudEvents"] {
        let mut office = Office::new(json!({ "schema": schema }));
        office.answers = [status(500), Outcome::TimedOut].into();
        let id = office.publish(json!({ "a": 1 }));
        office.pass(MINUTE);
        let letters = office.letters();
        let (letter, event) = (&letters[0], &letters[0]["event"]);
        assert_eq!((&letter["id"], &letter["subscription"]), (&json!(1), &json!("calls")));
        let values = [
            json!("MaxDeliveryAttemptsExceeded"),
            json!(2),
            json!("TimedOut"),
            json!("2025-11-21T08:30:00.1234567Z"),
            json!("2025-11-21T08:30:10.1234567Z"),
        ];
        for (name, value) in members.iter().zip(values) {
            let lower = name.to_lowercase();
            let name = if schema == "eventGrid" { *name } else { &lower };
            assert_eq!(event[name], value, "{name}");
        }
        assert_eq!((&event["id"], &event["data"]), (&json!(id), &json!({ "a": 1 })));
        assert_eq!(
            event.as_object().map(serde_json::Map::len),
            Some(if schema == "eventGrid" { 13 } else { 12 })
        );
    }
}

#[test]
fn the_outcome_is_the_last_attempts_word() {
    for (outcome, word, reason) in [
        (status(400), "BadRequest", "UndeliverableDueToClientError"),
        (status(401), "Unauthorized", "UndeliverableDueToClientError"),
        (status(403), "Forbidden", "UndeliverableDueToClientError"),
        (status(413), "PayloadTooLarge", "UndeliverableDueToClientError"),
        (status(404), "NotFound", "MaxDeliveryAttemptsExceeded"),
        (status(503), "Busy", "MaxDeliveryAttemptsExceeded"),
        (Outcome::Unreachable, "SocketError", "MaxDeliveryAttemptsExceeded"),
    ] {
        let mut office = Office::new(json!({ "maxDeliveryAttempts": 1 }));
        office.usual = outcome;
        office.publish(json!({}));
        let event = office.letters()[0]["event"].clone();
        assert_eq!(
            (&event["lastDeliveryOutcome"], &event["deadLetterReason"]),
            (&json!(word), &json!(reason))
        );
    }
}

#[test]
fn dead_letters_are_off_by_choice_and_late_by_setting() {
    let mut office = Office::new(json!({ "deadLetter": false }));
    office.usual = status(400);
    office.publish(json!({}));
    office.pass(HOUR);
    assert!(office.letters().is_empty());
    let last = office.record().pop();
    assert_eq!(last.as_deref(), Some("dropped UndeliverableDueToClientError"));

    for (delay, kept) in [(0, 1), (300, 0)] {
        let mut office = Office::with(json!({}), |grid, _| {
            grid.dead_letter_delay = Duration::from_secs(delay);
        });
        office.usual = status(400);
        office.publish(json!({}));
        office.pass(300_000 - 1);
        assert_eq!(office.letters().len(), kept);
        office.pass(1);
        assert_eq!(office.letters().len(), 1);
    }
}

#[test]
fn a_dead_letter_is_sent_once_more_as_it_was() {
    let mut office = Office::new(json!({}));
    office.answers = [status(400), status(400), status(400)].into();
    for _ in 0..3 {
        office.publish(json!({}));
    }
    let ids =
        |office: &Office| office.letters().iter().map(|l| l["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&office), [1, 2, 3]);
    let event = office.sent[1].body.clone();
    office.sent.clear();
    office.world.replay_letter(2).expect("sent");
    office.settle();
    assert_eq!(office.sent[0].body, event, "without what the dead letter added");
    assert_eq!(office.sent[0].headers["aeg-delivery-count"], "0");
    assert_eq!(ids(&office), [1, 3]);
    assert_eq!(office.world.replay_letter(2).expect_err("gone").status, 404);

    office.answers = [status(400)].into();
    assert_eq!(office.world.replay_letters(), json!({ "replayed": 2, "left": 0 }));
    office.settle();
    assert_eq!(ids(&office), [4], "one of them failed again");
}

#[test]
fn a_dead_letter_whose_subscription_is_gone_stays() {
    let mut office = Office::new(json!({}));
    office.usual = status(400);
    office.publish(json!({}));
    office.world.delete_subscription("calls").expect("deleted");
    office.settle();
    let refusal = office.world.replay_letter(1).expect_err("nowhere to go");
    assert_eq!((refusal.status, refusal.code), (409, "SubscriptionNotReady"));
    assert_eq!(office.world.replay_letters(), json!({ "replayed": 0, "left": 1 }));
    office.put(json!({})).expect("a subscription");
    office.pass(0);
    office.usual = status(200);
    assert_eq!(office.world.replay_letters(), json!({ "replayed": 1, "left": 0 }));
}

#[test]
fn a_deleted_subscription_says_good_bye_and_drops_what_waits() {
    for schema in ["eventGrid", "cloudEvents"] {
        let mut office = Office::new(json!({ "schema": schema }));
        office.answers = [status(500)].into();
        office.publish(json!({}));
        office.sent.clear();
        office.world.delete_subscription("calls").expect("deleted");
        office.pass(HOUR);
        assert_eq!(office.sent.len(), 1);
        let sent = &office.sent[0];
        assert_eq!(sent.kind(), "SubscriptionDeletion");
        assert_eq!(sent.headers["aeg-subscription-name"], "CALLS");
        let event = if schema == "eventGrid" { &sent.body[0] } else { &sent.body };
        let kind = if schema == "eventGrid" { "eventType" } else { "type" };
        assert_eq!(event[kind], "Microsoft.EventGrid.SubscriptionDeletedEvent");
        let id = event["data"]["eventSubscriptionId"].as_str().expect("an id");
        assert!(id.ends_with("/providers/Microsoft.EventGrid/eventSubscriptions/calls"), "{id}");
        assert_eq!(
            office.record()[2..],
            ["dropped the subscription was deleted", "deletionTold 200"]
        );
        assert_eq!(office.world.subscription("calls").expect_err("gone").code, "ResourceNotFound");
        assert_eq!(office.world.delete_subscription("calls").expect_err("gone").status, 404);
    }
}

#[test]
fn no_good_bye_to_those_who_never_agreed_or_by_setting() {
    let mut office = Office::bare(|_, _| ());
    office.hello_answers.push_back(status(500));
    office.put(json!({})).expect("a subscription");
    office.pass(0);
    office.world.delete_subscription("calls").expect("deleted");
    office.pass(HOUR);
    assert!(office.sent.is_empty());
    assert_eq!(office.hellos.len(), 1, "nobody shakes hands with what is gone");

    let mut office = Office::with(json!({}), |grid, _| grid.deletion_told = false);
    office.world.delete_subscription("calls").expect("deleted");
    office.settle();
    assert!(office.sent.is_empty());
}
