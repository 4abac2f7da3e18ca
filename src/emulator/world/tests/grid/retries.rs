//! When an event is tried again, and when no more.

use super::*;

const FOR_A_DAY: [(&str, u32); 2] =
    [("maxDeliveryAttempts", 30), ("eventTimeToLiveInMinutes", 1440)];

fn for_a_day() -> Value {
    FOR_A_DAY
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn a_receiver_that_is_down_for_a_day_is_tried_by_the_whole_table() {
    let mut office = Office::new(for_a_day());
    office.usual = status(500);
    office.publish(json!({}));
    office.pass(24 * HOUR);
    // 0, +10 s, +30 s, +1 min, +5 min, +10 min, +30 min, +1 h, +3 h, +6 h, +12 h
    let table = [0, 10, 40, 100, 400, 1_000, 2_800, 6_400, 17_200, 38_800, 82_000];
    assert_eq!(office.seconds(), table);
    let counts: Vec<_> =
        office.sent.iter().map(|sent| &sent.headers["aeg-delivery-count"]).collect();
    assert_eq!(counts, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    assert!(office.letters().is_empty(), "its day is over, but nobody has looked");
    office.pass(12 * HOUR);
    assert_eq!(office.sent.len(), table.len());
    let letter = &office.letters()[0]["event"];
    assert_eq!(letter["deadLetterReason"], "TimeToLiveExceeded");
    assert_eq!((&letter["deliveryAttempts"], office.world.next_due()), (&json!(11), None));
}

#[test]
fn every_status_has_its_pause() {
    let cases: [(Outcome, Option<u64>); 16] = [
        (status(205), Some(10)),
        (status(302), Some(10)),
        (status(400), None),
        (status(401), None),
        (status(403), None),
        (status(404), Some(300)),
        (status(408), Some(120)),
        (status(409), Some(10)),
        (status(413), None),
        (status(429), Some(10)),
        (status(500), Some(10)),
        (status(502), Some(10)),
        (status(503), Some(30)),
        (status(504), Some(10)),
        (Outcome::TimedOut, Some(10)),
        (Outcome::Unreachable, Some(10)),
    ];
    for (outcome, again) in cases {
        let mut office = Office::new(for_a_day());
        office.answers.push_back(outcome.clone());
        office.publish(json!({}));
        office.pass(HOUR);
        let expected: Vec<_> = std::iter::once(0).chain(again).collect();
        assert_eq!(office.seconds(), expected, "{outcome:?}");
        assert_eq!(office.letters().is_empty(), again.is_some());
    }
    for taken in 200..=204 {
        let mut office = Office::new(for_a_day());
        office.answers.push_back(status(taken));
        office.publish(json!({}));
        office.pass(HOUR);
        assert_eq!((office.sent.len(), office.letters().len()), (1, 0), "{taken}");
    }
}

#[test]
fn refusals_that_the_documentation_disagrees_about_are_settings() {
    for (refusal, forbidden, unauthorized, again) in [
        (403, Some(300), None, Some(300)),
        (401, None, Some(300), Some(300)),
        (401, Some(300), None, None),
    ] {
        let mut office = Office::with(for_a_day(), |grid, _| {
            grid.forbidden_pause = forbidden.map(Duration::from_secs);
            grid.unauthorized_pause = unauthorized.map(Duration::from_secs);
        });
        office.answers.push_back(status(refusal));
        office.publish(json!({}));
        office.pass(HOUR);
        assert_eq!(office.seconds().get(1).copied(), again);
    }
    let mut office =
        Office::with(for_a_day(), |grid, _| grid.not_found_pause = Duration::from_secs(10));
    office.answers.push_back(status(404));
    office.publish(json!({}));
    office.pass(HOUR);
    assert_eq!(office.seconds(), [0, 10]);
}

#[test]
fn the_schedule_is_a_setting() {
    let hourly = [10, 30, 60, 300, 600, 1800, 3600].map(Duration::from_secs).to_vec();
    let mut office = Office::with(for_a_day(), |grid, _| grid.retry_steps = hourly);
    office.usual = status(500);
    office.publish(json!({}));
    office.pass(6 * HOUR);
    assert_eq!(office.seconds()[6..], [2_800, 6_400, 10_000, 13_600, 17_200, 20_800]);
}

#[test]
fn attempts_and_time_to_live_are_the_practice_for_telephones_unless_said_otherwise() {
    let mut office = Office::new(json!({}));
    office.usual = status(500);
    office.publish(json!({}));
    office.pass(HOUR);
    assert_eq!(office.seconds(), [0, 10]);
    assert_eq!(office.letters()[0]["event"]["deadLetterReason"], "MaxDeliveryAttemptsExceeded");

    let mut office = Office::new(json!({ "maxDeliveryAttempts": 1 }));
    office.usual = status(500);
    office.publish(json!({}));
    assert_eq!(office.letters().len(), 1);

    // The minute is looked at when the third attempt is due, at 100 s, and not before.
    let mut office = Office::new(json!({ "maxDeliveryAttempts": 30 }));
    office.usual = status(500);
    office.publish(json!({}));
    office.pass(99_999);
    assert_eq!((office.seconds(), office.letters().len()), (vec![0, 10, 40], 0));
    office.pass(1);
    assert_eq!((office.sent.len(), office.letters().len()), (3, 1));
    let seen = office.seen();
    assert_eq!(seen["maxDeliveryAttempts"], 30);
    assert_eq!(seen["eventTimeToLiveInMinutes"], 1.0);

    for (minutes, attempts) in [(1, 3), (2, 4), (7, 5)] {
        let mut office =
            Office::new(json!({ "maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": minutes }));
        office.usual = status(500);
        office.publish(json!({}));
        office.pass(24 * HOUR);
        assert_eq!(office.sent.len(), attempts, "{minutes} minutes");
    }
}

#[test]
fn jitter_comes_from_the_seed() {
    let times = |jitter: f64| {
        let mut office = Office::with(for_a_day(), |grid, _| grid.jitter = jitter);
        office.usual = status(500);
        office.publish(json!({}));
        office.pass(HOUR);
        office.sent.iter().map(|sent| sent.at).collect::<Vec<_>>()
    };
    assert_eq!(times(0.5), times(0.5), "the same seed, the same pauses");
    assert_eq!(times(0.0)[1], 10_000);
    let second = times(0.5)[1];
    assert!((10_001..15_000).contains(&second), "{second}");
    assert_eq!(times(f64::NAN)[1], 10_000);
}

#[test]
fn a_failing_endpoint_is_left_alone_by_setting() {
    for (probation, second) in [(false, 1_000), (true, 300_000)] {
        let mut office = Office::with(json!({ "eventTimeToLiveInMinutes": 10 }), |grid, _| {
            grid.probation = probation;
        });
        office.answers.push_back(status(404));
        office.publish(json!({}));
        office.pass(1_000);
        office.publish(json!({}));
        office.pass(20 * MINUTE);
        assert_eq!(office.sent[1].at, second);
        let waited = office.record().iter().any(|line| line == "probation");
        assert_eq!(waited, probation);
        assert_eq!(office.sent.len(), 3);
    }
    let mut office = Office::with(json!({}), |grid, _| grid.probation = true);
    office.answers.push_back(status(404));
    office.publish(json!({}));
    office.pass(1_000);
    office.publish(json!({}));
    office.pass(20 * MINUTE);
    let outcomes: Vec<_> = office
        .letters()
        .iter()
        .map(|letter| letter["event"]["lastDeliveryOutcome"].clone())
        .collect();
    assert_eq!(outcomes, ["NotFound", "Probation"]);
    assert_eq!(office.letters()[1]["event"]["deliveryAttempts"], 0);
}

#[test]
fn the_record_tells_every_attempt_and_when_the_next_one_is() {
    let mut office = Office::new(json!({}));
    office.answers = [status(503), Outcome::TimedOut].into();
    office.publish(json!({}));
    office.pass(HOUR);
    let expected =
        ["validated 200", "refused 503", "timedOut", "deadLettered MaxDeliveryAttemptsExceeded"];
    assert_eq!(office.record(), expected);
    let record = office.world.grid_deliveries();
    let line = &record["value"][1];
    assert_eq!((&line["attempt"], &line["sequence"]), (&json!(1), &json!(2)));
    assert_eq!(line["subscription"], "calls");
    assert_eq!(line["nextAttemptAt"], "2025-11-21T08:30:30.1234567Z");
    assert!(record["value"][2].get("nextAttemptAt").is_none());
}
