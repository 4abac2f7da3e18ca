//! Several events in one request.

use super::*;

fn publish_at_once(office: &mut Office, many: usize, text: &str) {
    let event = GridEvent {
        kind: KIND.to_owned(),
        subject: "s".to_owned(),
        data: json!({ "text": text }),
        data_version: "1.0".to_owned(),
    };
    for _ in 0..many {
        office.world.publish(&event);
    }
    office.settle();
}

fn sizes(office: &Office) -> Vec<usize> {
    office.sent.iter().map(|sent| sent.body.as_array().map_or(0, Vec::len)).collect()
}

#[test]
fn events_of_one_moment_go_together_within_the_bounds_and_nothing_waits() {
    let mut office = Office::new(json!({ "maxEventsPerBatch": 3 }));
    publish_at_once(&mut office, 7, "x");
    assert_eq!(sizes(&office), [3, 3, 1]);
    assert_eq!(office.seconds(), [0, 0, 0]);
    office.publish(json!({}));
    assert_eq!(sizes(&office), [3, 3, 1, 1]);
    let first = &office.sent[0];
    assert_eq!(first.headers["aeg-output-event-id"], first.body[0]["id"]);

    let mut office =
        Office::new(json!({ "maxEventsPerBatch": 5000, "preferredBatchSizeInKilobytes": 1 }));
    publish_at_once(&mut office, 4, &"x".repeat(100));
    publish_at_once(&mut office, 2, &"x".repeat(2_000));
    assert_eq!(sizes(&office), [2, 2, 1, 1], "a larger one goes alone");
}

#[test]
fn without_batching_every_event_has_its_own_request() {
    for most in [json!(null), json!(1)] {
        let mut office = Office::new(json!({ "maxEventsPerBatch": most }));
        publish_at_once(&mut office, 3, "x");
        assert_eq!(sizes(&office), [1, 1, 1]);
    }
    let mut office = Office::new(json!({ "schema": "cloudEvents" }));
    publish_at_once(&mut office, 2, "x");
    assert!(office.sent.iter().all(|sent| sent.body.is_object()));
}

#[test]
fn batched_cloud_events_are_an_array_with_a_content_type_of_its_own() {
    let mut office = Office::new(json!({ "schema": "cloudEvents", "maxEventsPerBatch": 10 }));
    office.publish(json!({}));
    publish_at_once(&mut office, 2, "x");
    assert_eq!(sizes(&office), [1, 2]);
    for sent in &office.sent {
        let content_type = "application/cloudevents-batch+json; charset=utf-8";
        assert_eq!(sent.headers["content-type"], content_type);
    }
}

#[test]
fn a_batch_is_taken_or_refused_as_a_whole() {
    let mut office = Office::new(json!({ "maxEventsPerBatch": 10 }));
    office.answers = [status(500)].into();
    publish_at_once(&mut office, 3, "x");
    office.pass(9_999);
    assert_eq!(sizes(&office), [3]);
    office.pass(1);
    assert_eq!((sizes(&office), office.seconds()), (vec![3, 3], vec![0, 10]));
    assert_eq!(office.sent[1].headers["aeg-delivery-count"], "1");
    assert_eq!(office.sent[0].body, office.sent[1].body);
    office.answers = [status(400)].into();
    publish_at_once(&mut office, 2, "x");
    assert_eq!(office.letters().len(), 2);
}
