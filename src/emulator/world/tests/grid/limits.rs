//! What cannot be a subscription, and how much is held.

use super::*;

#[track_caller]
fn refused(more: Value) -> String {
    let mut office = Office::bare(|_, _| ());
    let refusal = office.put(more).expect_err("a refusal");
    assert_eq!((refusal.status, refusal.code), (400, "InvalidRequest"), "{}", refusal.message);
    assert!(refusal.message.len() > 30 && !refusal.message.contains("s3cret"));
    assert!(office.world.subscriptions()["value"].as_array().expect("a list").is_empty());
    refusal.message
}

#[test]
fn what_cannot_be_a_subscription_is_refused_with_what_to_do() {
    for (member, bad) in [
        ("maxDeliveryAttempts", [0, 31]),
        ("eventTimeToLiveInMinutes", [0, 1441]),
        ("maxEventsPerBatch", [0, 5001]),
        ("preferredBatchSizeInKilobytes", [0, 1025]),
    ] {
        for value in bad {
            assert!(refused(json!({ member: value })).contains(member));
        }
    }
    refused(json!({ "name": "" }));
    refused(json!({ "name": "x".repeat(65) }));
    refused(json!({ "name": "line\nbreak" }));
    refused(json!({ "endpoint": "ftp://s3cret" }));
    refused(json!({ "headers": { "aeg-own": "s3cret" } }));
    refused(json!({ "headers": { "Host": "s3cret" } }));
    refused(json!({ "headers": { "X Own": "s3cret" } }));
    refused(json!({ "headers": { "X-Own": "s3cret\r\nX-Other: 1" } }));
    refused(json!({ "headers": { "X-Own": "x".repeat(4097) } }));
    refused(json!({ "deliveryHeaders": [{ "name": "X-Own" }] }));
    refused(json!({ "deliveryHeaders": [{ "name": "X-Own", "value": "a", "path": "id" }] }));
    let many: BTreeMap<_, _> = (0..11).map(|n| (format!("X-{n}"), "v")).collect();
    refused(json!({ "headers": many }));
    let filter = json!({ "operatorType": "StringIn", "key": "id", "values": ["s3cret"] });
    assert!(refused(json!({ "advancedFilters": vec![filter.clone(); 26] })).contains("25"));
    let mut long = filter.clone();
    long["values"] = json!(["x".repeat(513)]);
    assert!(refused(json!({ "advancedFilters": [long] })).contains("512"));
    let mut wide = filter.clone();
    wide["values"] = json!(vec!["x"; 13]);
    assert!(refused(json!({ "advancedFilters": [wide, wide] })).contains("25"));
    refused(json!({ "advancedFilters": [{ "operatorType": "StringIs", "key": "id" }] }));
    let most = json!({
        "name": "x".repeat(64), "maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440,
        "maxEventsPerBatch": 5000, "preferredBatchSizeInKilobytes": 1024,
        "headers": { "X-Own": "x".repeat(4096) }, "advancedFilters": vec![filter; 25],
    });
    Office::bare(|_, _| ()).put(most).expect("a subscription");
}

#[test]
fn every_pile_has_a_limit() {
    let mut office = Office::with(json!({ "maxDeliveryAttempts": 30 }), |_, limits| {
        limits.subscriptions = 2;
        limits.grid_events = 3;
        limits.dead_letters = 2;
        limits.grid_record = 5;
        limits.grid_event_bytes = 1_000;
    });
    office.put(json!({ "name": "second", "endpoint": "http://127.0.0.1:9/2" })).expect("room");
    assert_eq!(office.put(json!({ "name": "third" })).expect_err("full").status, 429);
    office.put(json!({})).expect("an update needs no room");
    office.pass(0);
    office.world.delete_subscription("second").expect("deleted");

    office.usual = status(500);
    for _ in 0..8 {
        office.publish(json!({}));
    }
    assert_eq!(office.world.grid.deliveries.len(), 3);
    assert_eq!(office.letters().len(), 2);
    let letter = &office.letters()[1]["event"];
    assert_eq!(
        (&letter["deadLetterReason"], &letter["deliveryAttempts"]),
        (&json!("QueueFull"), &json!(0))
    );
    assert_eq!(office.record().len(), 5);
    assert_eq!(office.world.replay_letter(8 - 3).expect_err("full").status, 429);
    office.usual = status(200);
    office.pass(HOUR);
    assert!(office.world.grid.deliveries.is_empty() && office.world.jobs.is_empty());

    let sent = office.sent.len();
    office.publish(json!({ "text": "x".repeat(1_000) }));
    assert_eq!(office.sent.len(), sent);
    assert_eq!(
        office.record().pop().as_deref(),
        Some("dropped an event may have at most 1000 bytes")
    );
}

#[test]
fn dead_letters_that_wait_are_limited_too() {
    let mut office = Office::with(json!({}), |grid, limits| {
        limits.dead_letters = 2;
        grid.dead_letter_delay = Duration::from_secs(300);
    });
    office.usual = status(400);
    for _ in 0..5 {
        office.publish(json!({}));
    }
    assert_eq!(office.letters().len(), 2, "three came too many and were written at once");
    office.pass(HOUR);
    assert_eq!(office.letters().len(), 2);
}

#[test]
fn a_reset_forgets_events_and_keeps_subscriptions() {
    let mut office = Office::with(json!({ "maxEventsPerBatch": 5 }), |grid, _| {
        grid.dead_letter_delay = Duration::from_secs(300);
        grid.probation = true;
    });
    office.answers = [status(400), status(404)].into();
    office.publish(json!({}));
    office.publish(json!({}));
    office.world.reset(moment(office.now));
    office.pass(HOUR);
    assert_eq!((office.sent.len(), office.letters().len(), office.record().len()), (2, 0, 0));
    office.publish(json!({}));
    assert_eq!(office.sent.len(), 3);
    assert_eq!(office.world.next_due(), None);
}

#[test]
fn the_same_seed_gives_the_same_messages() {
    let story = || {
        let mut office = Office::with(json!({}), |grid, _| grid.jitter = 0.3);
        office.usual = status(500);
        office.publish(json!({}));
        office.pass(HOUR);
        office.sent.iter().map(|sent| (sent.at, sent.body.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(story(), story());
    assert_eq!(story().len(), 2);
}
