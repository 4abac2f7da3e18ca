use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(json: Value) -> Filter {
    Filter::parse(&json).expect("a filter")
}

/// A filter of one operator on `data.it`, with arrays enabled.
fn on_it(operator: &str, operand: Value) -> Filter {
    let mut filter = json!({"operatorType": operator, "key": "data.it"});
    for (name, value) in operand.as_object().expect("an operand") {
        filter[name] = value.clone();
    }
    read(json!({"advancedFilters": [filter], "enableAdvancedFilteringOnArrays": true}))
}

/// One row: operator, operand, a value that fits, one that does not, one of another type, and what
/// happens to: hit, miss, missing key, wrong type, null, array with a hit, array without.
#[track_caller]
fn row(
    operator: &str,
    operand: Value,
    hit: Value,
    miss: Value,
    stranger: Value,
    wanted: [bool; 7],
) {
    let filter = on_it(operator, operand);
    let events = [
        json!({"data": {"it": hit}}),
        json!({"data": {"it": miss}}),
        json!({"data": {}}),
        json!({"data": {"it": stranger}}),
        json!({"data": {"it": null}}),
        json!({"data": {"it": [stranger, miss, hit]}}),
        json!({"data": {"it": [stranger, miss]}}),
    ];
    let seen = events.map(|event| filter.matches(&event));
    assert_eq!(seen, wanted, "{operator}: hit, miss, missing, stranger, null, array ±");
}

const POSITIVE: [bool; 7] = [true, false, false, false, false, true, false];
/// The negatives which let an event without the key pass …
const NOT_IN: [bool; 7] = [false, true, true, true, true, false, true];
/// … and those which do not.
const NOT_LIKE: [bool; 7] = [false, true, false, false, false, false, true];

#[test]
fn i6_every_number_operator_keeps_the_vendors_table() {
    let three = || json!({"value": 3});
    let (text, many) = (json!("3"), json!({"values": [1, 3.0]}));
    row("NumberIn", many.clone(), json!(3), json!(4), text.clone(), POSITIVE);
    row("NumberNotIn", many, json!(3), json!(4), text.clone(), NOT_IN);
    row("NumberLessThan", three(), json!(2.9), json!(3), text.clone(), POSITIVE);
    row("NumberLessThanOrEquals", three(), json!(3), json!(3.1), text.clone(), POSITIVE);
    row("NumberGreaterThan", three(), json!(3.1), json!(3), text.clone(), POSITIVE);
    row("NumberGreaterThanOrEquals", three(), json!(3), json!(2.9), text.clone(), POSITIVE);
    let ranges = || json!({"values": [[1, 2], [5, 7]]});
    for inside in [1.0, 2.0, 5.5, 7.0] {
        row("NumberInRange", ranges(), json!(inside), json!(2.1), text.clone(), POSITIVE);
        row("NumberNotInRange", ranges(), json!(inside), json!(2.1), text.clone(), NOT_LIKE);
    }
}

#[test]
fn i6_every_text_operator_keeps_the_vendors_table() {
    let (number, values) = (json!(7), || json!({"values": ["Contoso", "fabrikam"]}));
    let (exact, longer) = (json!("CONTOSO"), json!("Contoso Ltd"));
    row("StringIn", values(), exact.clone(), longer.clone(), number.clone(), POSITIVE);
    row("StringNotIn", values(), exact, longer.clone(), number.clone(), NOT_IN);
    let ending = json!("the FABRIKAM");
    row("StringBeginsWith", values(), longer.clone(), ending.clone(), number.clone(), POSITIVE);
    row("StringNotBeginsWith", values(), longer.clone(), ending.clone(), number.clone(), NOT_LIKE);
    row("StringEndsWith", values(), ending.clone(), longer.clone(), number.clone(), POSITIVE);
    row("StringNotEndsWith", values(), ending, longer, number.clone(), NOT_LIKE);
    let (inside, other) = (json!("a contoso b"), json!("cont oso"));
    row("StringContains", values(), inside.clone(), other.clone(), number.clone(), POSITIVE);
    row("StringNotContains", values(), inside, other, number, NOT_LIKE);
}

#[test]
fn i6_truth_and_null_operators_keep_the_vendors_table() {
    let truth = json!({"value": true});
    row("BoolEquals", truth, json!(true), json!(false), json!("true"), POSITIVE);
    let nothing = || json!({});
    let is_null = [false, false, true, false, true, false, false];
    row("IsNullOrUndefined", nothing(), json!(1), json!("x"), json!({}), is_null);
    row("IsNotNull", nothing(), json!(1), json!("x"), json!({}), is_null.map(|seen| !seen));
}

#[test]
fn i6_filters_are_anded_and_values_are_ored() {
    let filter = read(json!([
        {"operatorType": "StringBeginsWith", "key": "subject", "values": ["/caller/4:", "/x"]},
        {"operatorType": "StringNotIn", "key": "subject", "values": ["/caller/4:2"]},
    ]));
    for (subject, passes) in [("/caller/4:1", true), ("/X", true), ("/caller/4:2", false)] {
        assert_eq!(filter.matches(&json!({"subject": subject})), passes, "{subject}");
    }
    assert!(read(json!([])).matches(&json!({})), "no filter lets everything pass");
}

#[test]
fn i6_keys_ignore_case_at_any_depth_and_prefer_the_exact_spelling() {
    let filter = read(json!([
        {"operatorType": "StringIn", "key": "data.to.PhoneNumber.Value", "values": ["+18005551212"]}
    ]));
    let wire = |value| json!({"data": {"to": {"phoneNumber": {"value": value}}}});
    assert!(filter.matches(&wire("+18005551212")));
    assert!(!filter.matches(&wire("+18005551213")));
    assert!(!filter.matches(&json!({"data": {"to": "+18005551212"}})), "no member of a text");
    let twice = json!({"data": {"to": {"phonenumber": {"value": "x"}, "PhoneNumber": {
        "value": "y", "Value": "+18005551212"}}}});
    assert!(filter.matches(&twice));
}

#[test]
fn i6_arrays_count_as_missing_unless_they_are_enabled() {
    let event = json!({"data": {"it": ["a"]}});
    let one = |operator| json!({"operatorType": operator, "key": "data.it", "values": ["a"]});
    assert!(!read(json!([one("StringIn")])).matches(&event));
    assert!(read(json!([one("StringNotIn")])).matches(&event));
    let objects = json!({"data": {"it": [{"a": "a"}, ["a"]]}});
    assert!(!on_it("StringIn", json!({"values": ["a"]})).matches(&objects), "scalars only");
}

#[test]
fn i6_event_types_and_subjects_are_part_of_the_whole_filter() {
    let filter = read(json!({
        "includedEventTypes": ["Microsoft.Communication.IncomingCall"],
        "subjectBeginsWith": "/CALLER/", "subjectEndsWith": "1212", "advancedFilters": null
    }));
    let event = |kind: &str, subject| json!({kind: "Microsoft.Communication.IncomingCall", "subject": subject});
    assert!(filter.matches(&event("eventType", "/caller/4:1/recipient/4:+18005551212")));
    assert!(filter.matches(&event("type", "/caller/4:1/recipient/4:+18005551212")));
    assert!(!filter.matches(&event("type", "/caller/4:1/recipient/4:+18005551213")));
    assert!(!filter.matches(&event("kind", "/caller/4:1/recipient/4:+18005551212")));
    let strict = json!({"subjectBeginsWith": "/CALLER/", "isSubjectCaseSensitive": true});
    assert!(!read(strict).matches(&event("type", "/caller/4:1")));
}

#[track_caller]
fn refused(json: Value, code: &str) {
    let error = Filter::parse(&json).expect_err("a refusal");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().len() > 20, "the error says what to do: {error}");
}

#[test]
fn i6_what_is_wrong_with_a_filter_is_told() {
    let one = |operator: &str, operand: Value| {
        let mut filter = json!({"operatorType": operator, "key": "data.it"});
        filter.as_object_mut().unwrap().extend(operand.as_object().unwrap().clone());
        json!([filter])
    };
    refused(json!("x"), "not_a_filter");
    refused(json!(["x"]), "not_an_object");
    refused(json!({"advanced": []}), "wrong_member");
    refused(json!({"advancedFilters": {}}), "wrong_member");
    refused(json!({"isSubjectCaseSensitive": "yes"}), "wrong_member");
    refused(json!({"subjectEndsWith": "x".repeat(513)}), "wrong_member");
    refused(json!([{"operatorType": "StringIs", "key": "a", "values": ["x"]}]), "unknown_operator");
    refused(json!([{"key": "a", "values": ["x"]}]), "unknown_operator");
    refused(json!([{"operatorType": "StringIn", "key": "a..b", "values": ["x"]}]), "wrong_key");
    refused(json!([{"operatorType": "StringIn", "values": ["x"]}]), "wrong_key");
    refused(one("StringIn", json!({"value": "x"})), "wrong_operand");
    refused(one("StringIn", json!({"values": []})), "wrong_operand");
    refused(one("StringIn", json!({"values": [1]})), "wrong_operand");
    refused(one("StringIn", json!({"values": ["x"], "value": "x"})), "wrong_operand");
    refused(one("NumberIn", json!({"values": ["1"]})), "wrong_operand");
    refused(one("NumberInRange", json!({"values": [[2, 1]]})), "wrong_operand");
    refused(one("NumberInRange", json!({"values": [[1, 2, 3]]})), "wrong_operand");
    refused(one("NumberLessThan", json!({"value": "1"})), "wrong_operand");
    refused(one("BoolEquals", json!({"value": 1})), "wrong_operand");
    refused(one("IsNotNull", json!({"value": true})), "wrong_operand");
    refused(one("StringIn", json!({"values": ["x"], "case": true})), "unknown_member");
    refused(one("StringIn", json!({"values": ["é".repeat(513)]})), "value_too_long");
    read(one("StringIn", json!({"values": ["é".repeat(512)]})));
}

#[test]
fn i6_there_are_at_most_25_filters_and_25_values_in_all() {
    let filters = |many: usize| {
        Value::from(vec![json!({"operatorType": "IsNotNull", "key": "subject"}); many])
    };
    read(filters(25));
    refused(filters(26), "too_many_filters");
    let values = |first: usize, second: usize| {
        let one = |many| json!({"operatorType": "NumberIn", "key": "a", "values": vec![1; many]});
        json!([one(first), one(second)])
    };
    read(values(12, 13));
    refused(values(13, 13), "too_many_values");
}

#[test]
fn i6_the_first_part_that_does_not_hold_is_told() {
    let filter = read(json!({
        "includedEventTypes": ["a"], "subjectEndsWith": "1",
        "advancedFilters": [
            {"operatorType": "IsNotNull", "key": "data.it"},
            {"operatorType": "NumberNotInRange", "key": "data.n", "values": [[1, 2]]},
        ],
    }));
    let event = |kind, subject, data| json!({"type": kind, "subject": subject, "data": data});
    let miss = |event: Value| filter.miss(&event, Unsaid::default());
    assert_eq!(miss(event("b", "2", json!({}))), Some(Miss::Type));
    assert_eq!(miss(event("a", "2", json!({}))), Some(Miss::Subject));
    let of = |index, operator| Some(Miss::Advanced { index, operator });
    assert_eq!(miss(event("a", "1", json!({}))), of(0, Operator::IsNotNull));
    let without_key = event("a", "1", json!({"it": 1}));
    assert_eq!(miss(without_key.clone()), of(1, Operator::NumberNotInRange));
    let other = Unsaid { not_in_range_without_key: true };
    assert_eq!(filter.miss(&without_key, other), None);
    assert_eq!(value_at(&without_key, "DATA.it"), Some(&json!(1)));
    assert_eq!(value_at(&without_key, "data..it"), None);
}

#[test]
fn a_filter_shows_its_operators_only() {
    let filter = on_it("StringIn", json!({"values": ["+14255551212"]}));
    assert_eq!(format!("{filter:?}"), "Filter[StringIn]");
}

/// Texts whose letters differ in case only, so that hits are common.
fn texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[aAbBéÉ]{1,3}", 1..4)
}

proptest! {
    #[test]
    fn i6_a_filter_is_written_as_it_was_read(operator in 0..Operator::ALL.len(), values in texts()) {
        let operator = Operator::ALL[operator];
        let json = json!([{"operatorType": operator.name(), "key": "data.it", "values": values}]);
        match Filter::parse(&json) {
            Ok(filter) => {
                prop_assert_eq!(serde_json::to_value(&filter).unwrap(), json.clone());
                prop_assert_eq!(serde_json::from_value::<Filter>(json).unwrap(), filter);
            }
            Err(error) => prop_assert_eq!(error.code(), "wrong_operand"),
        }
    }

    #[test]
    fn i6_a_negative_is_the_opposite_of_its_positive_when_the_key_is_there(
        values in texts(), seen in proptest::collection::vec("[aAbBéÉ]{0,4}", 0..4), array: bool,
    ) {
        let it = if array { json!(seen) } else { json!(seen.concat()) };
        let event = json!({"data": {"it": it}});
        for (positive, negative) in [
            ("StringIn", "StringNotIn"), ("StringBeginsWith", "StringNotBeginsWith"),
            ("StringEndsWith", "StringNotEndsWith"), ("StringContains", "StringNotContains"),
        ] {
            let passes = |operator| on_it(operator, json!({"values": values})).matches(&event);
            prop_assert_ne!(passes(positive), passes(negative), "{}", positive);
        }
    }

    #[test]
    fn i6_case_never_matters(text in "[a-zA-Zéßø]{1,8}", upper: bool) {
        let other = if upper { text.replace('é', "É") } else { text.to_ascii_uppercase() };
        let filter = on_it("StringIn", json!({"values": [text]}));
        let event = json!({"data": {"it": other}});
        prop_assert!(filter.matches(&event));
    }

    #[test]
    fn i6_no_json_makes_the_reader_panic(text in "\\PC{0,40}") {
        if let Ok(json) = serde_json::from_str::<Value>(&text) {
            let _ = Filter::parse(&json);
        }
    }
}
