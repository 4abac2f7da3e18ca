//! Which events a subscription takes, and what the record says of the others.

use super::*;

#[test]
fn every_layer_of_the_filter_counts_and_the_record_says_which() {
    let mut office = Office::new(json!({
        "includedEventTypes": [KIND],
        "subjectBeginsWith": "/CALLER/4:+1425", "subjectEndsWith": "1212",
        "advancedFilters": [
            { "operatorType": "StringIn", "key": "data.to.PhoneNumber.Value", "values": ["+1800"] },
            { "operatorType": "BoolEquals", "key": "data.vip", "value": true },
        ],
    }));
    let subject = "/caller/4:+14255550100/recipient/4:+18005551212";
    let to = |number, vip| json!({ "to": { "phoneNumber": { "value": number } }, "vip": vip });
    office.publish_as("Microsoft.Communication.CallEnded", subject, to("+1800", true));
    office.publish_as(KIND, "/caller/4:+1604/recipient/4:+1", to("+1800", true));
    office.publish_as(KIND, subject, to("+1801", true));
    office.publish_as(KIND, subject, json!({ "to": { "communicationUser": {} }, "vip": true }));
    office.publish_as(KIND, subject, to("+1800", false));
    let taken = office.publish_as(KIND, subject, to("+1800", true));
    assert_eq!(
        office.record()[1..],
        [
            "filtered its type is not among includedEventTypes",
            "filtered its subject does not fit subjectBeginsWith and subjectEndsWith",
            "filtered advancedFilters[0] (StringIn) does not hold",
            "filtered advancedFilters[0] (StringIn) does not hold",
            "filtered advancedFilters[1] (BoolEquals) does not hold",
            "delivered 200",
        ]
    );
    assert_eq!(office.sent.len(), 1);
    assert_eq!(office.sent[0].body[0]["id"], taken);
}

#[test]
fn keys_are_those_of_the_subscriptions_schema() {
    for (schema, key) in [("eventGrid", "eventType"), ("cloudEvents", "type")] {
        for asked in ["eventType", "type"] {
            let filter = json!([{ "operatorType": "IsNotNull", "key": asked }]);
            let mut office = Office::new(json!({ "schema": schema, "advancedFilters": filter }));
            office.publish(json!({}));
            assert_eq!(office.sent.len(), usize::from(asked == key), "{schema} {asked}");
        }
    }
}

#[test]
fn case_of_subjects_and_arrays_are_as_the_subscription_says() {
    for (sensitive, taken) in [(false, 1), (true, 0)] {
        let mut office = Office::new(json!({
            "subjectBeginsWith": "/CALLER/", "isSubjectCaseSensitive": sensitive,
        }));
        office.publish(json!({}));
        assert_eq!(office.sent.len(), taken);
    }
    for (arrays, taken) in [(true, 1), (false, 0)] {
        let filter = json!([{ "operatorType": "NumberIn", "key": "data.it", "values": [2] }]);
        let mut office = Office::new(json!({
            "advancedFilters": filter, "enableAdvancedFilteringOnArrays": arrays,
        }));
        office.publish(json!({ "it": [1, 2] }));
        assert_eq!(office.sent.len(), taken);
    }
}

#[test]
fn a_number_that_is_missing_is_in_no_range_only_by_setting() {
    for passes in [false, true] {
        let filter =
            json!([{ "operatorType": "NumberNotInRange", "key": "data.n", "values": [[1, 2]] }]);
        let mut office = Office::with(json!({ "advancedFilters": filter }), |grid, _| {
            grid.not_in_range_without_key = passes;
        });
        office.publish(json!({}));
        assert_eq!(office.sent.len(), usize::from(passes));
    }
}

#[test]
fn each_subscription_decides_for_itself() {
    let mut office = Office::new(json!({ "includedEventTypes": ["other"] }));
    office.put(json!({ "name": "second", "endpoint": "http://127.0.0.1:9/second" })).unwrap();
    office.put(json!({ "name": "third", "schema": "cloudEvents" })).unwrap();
    office.hello_answers.push_back(status(500));
    office.pass(0);
    let id = office.publish(json!({ "a": 1 }));
    let record = office.world.grid_deliveries();
    let lines: Vec<_> = record["value"]
        .as_array()
        .expect("lines")
        .iter()
        .filter(|line| line["eventId"] == id)
        .map(|line| (line["subscription"].clone(), line["outcome"].clone()))
        .collect();
    let line = |name: &str, outcome: &str| (json!(name), json!(outcome));
    assert_eq!(lines[..2], [line("calls", "filtered"), line("second", "notValidated")]);
    assert_eq!(lines[2..], [line("third", "delivered")]);
    assert_eq!(office.sent[0].body["id"], id, "one id in every shape");
}

#[test]
fn an_event_without_any_subscription_is_in_the_record() {
    let mut office = Office::bare(|_, _| ());
    office.publish(json!({}));
    assert_eq!(office.record(), ["noSubscription there is no event subscription"]);
}
