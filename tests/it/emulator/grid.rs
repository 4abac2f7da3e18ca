//! Event Grid over HTTP: real receivers of both schemas, and the routes of subscriptions, events, the
//! record and dead letters.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const KIND: &str = "Microsoft.Communication.RecordingFileStatusUpdated";

impl Caller {
    async fn subscribe(&self, receiver: &mut Receiver, name: &str, more: Value) -> Received {
        let mut body = json!({ "endpoint": receiver.url("/grid?key=secret") });
        for (member, value) in more.as_object().expect("an object") {
            body[member] = value.clone();
        }
        let path = format!("eventgrid/subscriptions/{name}");
        let (status, seen) = self.own(Method::PUT, &path, body).await;
        assert_eq!(status, 201, "{seen}");
        let hello = receiver.next().await;
        self.own_until(&path, |seen| seen["provisioningState"] == "Succeeded").await;
        hello
    }

    async fn publish(&self, subject: &str, data: Value) -> String {
        let body = json!({ "type": KIND, "subject": subject, "data": data });
        let (status, told) = self.own(Method::POST, "eventgrid/events", body).await;
        assert_eq!(status, 202, "{told}");
        told["ids"][0].as_str().expect("an id").to_owned()
    }
}

#[actix_web::test]
async fn grid_deliveries_of_both_schemas_carry_their_headers_and_what_was_asked_for() {
    for (schema, content_type, first) in [
        ("eventGrid", "application/json; charset=utf-8", "POST"),
        ("cloudEvents", "application/cloudevents+json; charset=utf-8", "OPTIONS"),
    ] {
        let mut receiver = Receiver::start();
        let caller = Caller::start(config());
        let hello = caller
            .subscribe(
                &mut receiver,
                "recordings",
                json!({
                    "schema": schema,
                    "includedEventTypes": [KIND],
                    "advancedFilters": [
                        { "operatorType": "NumberGreaterThan", "key": "data.chunks", "value": 1 },
                    ],
                    "deliveryHeaders": [
                        { "name": "X-Chunks", "path": "data.chunks" },
                        { "name": "X-Key", "value": "hidden", "secret": true },
                    ],
                }),
            )
            .await;
        assert_eq!((hello.method.as_str(), hello.query.as_str()), (first, "key=secret"));
        assert_eq!(hello.headers["x-key"], "hidden");
        let few = caller.publish("/recording/1", json!({ "chunks": 1 })).await;
        let many = caller.publish("/recording/2", json!({ "chunks": 2 })).await;
        let received = receiver.next().await;
        let event = if schema == "eventGrid" { &received.body[0] } else { &received.body };
        assert_eq!((&event["id"], &event["subject"]), (&json!(many), &json!("/recording/2")));
        for (name, value) in [
            ("content-type", content_type),
            ("aeg-event-type", "Notification"),
            ("aeg-subscription-name", "RECORDINGS"),
            ("aeg-delivery-count", "0"),
            ("aeg-output-event-id", many.as_str()),
            ("aeg-metadata-version", if schema == "eventGrid" { "1" } else { "1.0" }),
            ("x-chunks", "2"),
            ("x-key", "hidden"),
        ] {
            assert_eq!(received.headers[name], value, "{name}");
        }
        assert_eq!(received.headers.contains_key("aeg-data-version"), schema == "eventGrid");

        let done = |seen: &Value| seen["value"].as_array().is_some_and(|all| all.len() == 3);
        let record = caller.own_until("eventgrid/deliveries", done).await;
        assert_eq!(record["value"][1]["eventId"], few);
        assert_eq!(record["value"][1]["outcome"], "filtered");
        assert_eq!(
            (&record["value"][2]["outcome"], &record["value"][2]["status"]),
            (&json!("delivered"), &json!(200))
        );
        let (_, all) = caller.own(Method::GET, "eventgrid/subscriptions", Value::Null).await;
        assert!(!all.to_string().contains("hidden") && !all.to_string().contains("key=secret"));

        let path = "eventgrid/subscriptions/recordings";
        assert_eq!(caller.own(Method::DELETE, path, Value::Null).await.0, 204);
        let farewell = receiver.next().await;
        assert_eq!(farewell.headers["aeg-event-type"], "SubscriptionDeletion");
        assert_eq!(farewell.headers["content-type"], content_type);
        check_error(&caller.own(Method::GET, path, Value::Null).await, 404, "ResourceNotFound");
    }
}

#[actix_web::test]
async fn grid_events_that_are_published_together_come_in_one_batch() {
    for (schema, content_type) in [
        ("eventGrid", "application/json; charset=utf-8"),
        ("cloudEvents", "application/cloudevents-batch+json; charset=utf-8"),
    ] {
        let mut receiver = Receiver::start();
        let caller = Caller::start(config());
        let more = json!({ "schema": schema, "maxEventsPerBatch": 2 });
        caller.subscribe(&mut receiver, "all", more).await;
        let event = json!({ "eventType": KIND, "subject": "s", "data": {}, "dataVersion": "2.0" });
        let (_, told) =
            caller.own(Method::POST, "eventgrid/events", json!([event, event, event])).await;
        let mut ids = Vec::new();
        for size in [2, 1] {
            let received = receiver.next().await;
            assert_eq!(received.headers["content-type"], content_type);
            let batch = received.body.as_array().expect("an array");
            assert_eq!(batch.len(), size);
            ids.extend(batch.iter().map(|event| event["id"].clone()));
        }
        ids.sort_by_key(Value::to_string);
        let mut expected = told["ids"].as_array().expect("ids").clone();
        expected.sort_by_key(Value::to_string);
        assert_eq!(ids, expected);
    }
}

#[actix_web::test]
async fn grid_dead_letters_are_replayed_one_by_one_or_all() {
    let healthy = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&healthy);
    let mut receiver = Receiver::answering(move |received| {
        match received.headers.get("aeg-event-type").map(String::as_str) {
            Some("Notification") if !state.load(Ordering::Relaxed) => {
                HttpResponse::BadRequest().finish()
            }
            _ => consenting(received),
        }
    });
    let caller = Caller::start(config());
    caller.subscribe(&mut receiver, "all", json!({})).await;
    for subject in ["a", "b", "c"] {
        caller.publish(subject, json!({})).await;
        receiver.next().await;
    }
    let letters = "eventgrid/dead-letters";
    let all =
        |many| move |seen: &Value| seen["value"].as_array().is_some_and(|all| all.len() == many);
    let seen = caller.own_until(letters, all(3)).await;
    let event = &seen["value"][1]["event"];
    assert_eq!(
        (&event["lastDeliveryOutcome"], &event["deliveryAttempts"]),
        (&json!("BadRequest"), &json!(1))
    );
    healthy.store(true, Ordering::Relaxed);
    let subject = event["subject"].clone();
    let replay = format!("{letters}/{}:replay", seen["value"][1]["id"]);
    assert_eq!(caller.own(Method::POST, &replay, Value::Null).await.0, 202);
    let received = receiver.next().await;
    assert_eq!(received.body[0]["subject"], subject);
    assert!(received.body[0].get("deadLetterReason").is_none());
    check_error(&caller.own(Method::POST, &replay, Value::Null).await, 404, "ResourceNotFound");
    let (status, told) =
        caller.own(Method::POST, "eventgrid/dead-letters:replay", Value::Null).await;
    assert_eq!((status, told), (202, json!({ "replayed": 2, "left": 0 })));
    for _ in 0..2 {
        receiver.next().await;
    }
    caller.own_until(letters, all(0)).await;
}

#[actix_web::test]
async fn grid_consent_by_hand_comes_by_get_or_post() {
    for method in [Method::GET, Method::POST] {
        let mut receiver = Receiver::answering(|_| HttpResponse::NoContent().finish());
        let caller = Caller::start(config());
        let body = json!({ "endpoint": receiver.url("/grid"), "schema": "cloudEvents" });
        caller.own(Method::PUT, "eventgrid/subscriptions/all", body).await;
        let hello = receiver.next().await;
        assert_eq!(hello.headers["webhook-request-rate"], "120");
        let url = hello.headers["webhook-request-callback"].clone();
        let wrong = caller.http.delete(&url).send().await.expect("an answer");
        assert_eq!(wrong.status(), 405);
        let right = caller.http.request(method, &url).send().await.expect("an answer");
        assert_eq!(right.status(), 200);
        caller.publish("s", json!({})).await;
        let received = receiver.next().await;
        assert_eq!(received.headers["webhook-request-origin"], "eventgrid.azure.net");
    }
}

#[actix_web::test]
async fn grid_routes_refuse_bad_input_with_what_to_do() {
    let caller = Caller::start(config());
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let sound = "http://127.0.0.1:9/grid";
    let filter = |filter: Value| json!({ "endpoint": sound, "advancedFilters": [filter] });
    for (method, path, body, status, code) in [
        (&put, "subscriptions/a", json!([]), 400, "InvalidRequest"),
        (&put, "subscriptions/a", json!({}), 400, "InvalidRequest"),
        (&put, "subscriptions/a", json!({ "endpoint": sound, "x": 1 }), 400, "InvalidRequest"),
        (&put, "subscriptions/a", json!({ "endpoint": 1 }), 400, "InvalidRequest"),
        (&put, "subscriptions/a", filter(json!({ "operatorType": "Is" })), 400, "InvalidRequest"),
        (&put, "subscriptions/a", filter(json!("x")), 400, "InvalidRequest"),
        (&put, "subscriptions/a%20b", json!({ "endpoint": sound }), 400, "InvalidRequest"),
        (&put, "subscriptions/%FF", json!({ "endpoint": sound }), 400, "8523"),
        (&put, "subscriptions/a/b", json!({ "endpoint": sound }), 404, "NotFound"),
        (&post, "subscriptions/a", json!({ "endpoint": sound }), 405, "MethodNotAllowed"),
        (&post, "subscriptions", json!({}), 405, "MethodNotAllowed"),
        (&get, "subscriptions/a/validate?code=x", Value::Null, 404, "ResourceNotFound"),
        (&post, "events", json!({ "type": "t" }), 400, "InvalidRequest"),
        (&post, "events", json!({ "type": "a b", "subject": "s" }), 400, "InvalidRequest"),
        (&post, "events", json!([{ "type": "", "subject": "s" }]), 400, "InvalidRequest"),
        (&get, "events", Value::Null, 405, "MethodNotAllowed"),
        (&post, "dead-letters/x:replay", Value::Null, 400, "InvalidRequest"),
        (&post, "dead-letters/7:replay", Value::Null, 404, "ResourceNotFound"),
        (&get, "dead-letters/7:replay", Value::Null, 405, "MethodNotAllowed"),
        (&post, "dead-letters/7", Value::Null, 404, "NotFound"),
        (&get, "nothing", Value::Null, 404, "NotFound"),
    ] {
        let answer = caller.own(method.clone(), &format!("eventgrid/{path}"), body).await;
        check_error(&answer, status, code);
        let message = answer.1["error"]["message"].as_str().expect("a message");
        assert!(message.len() > 7 && !message.contains("127.0.0.1"), "{path}: {message}");
    }
}

#[actix_web::test]
async fn a_bad_grid_subscription_is_told_before_anything_listens() {
    let bad =
        Subscription { name: "a".into(), endpoint: "nowhere".into(), ..Subscription::default() };
    let config = EmulatorConfig { subscriptions: vec![bad], ..config() };
    match Emulator::start(config, SystemClock::start()) {
        Err(error @ StartError::BadSubscription { index: 0, .. }) => {
            assert!(error.to_string().contains("endpoint must be"), "{error}");
        }
        _ => panic!("it must not start"),
    }
}
