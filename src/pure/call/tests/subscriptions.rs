//! Who listens on (C7).

use super::super::testing::*;
use super::super::{CloseReason, Fate, Input, Wants};
use crate::wire::events::EventKind::*;

#[test]
fn c7_subscriptions_see_every_match_in_order_of_arrival() {
    let mut stage = Stage::new();
    stage.listen(8, Wants::any());
    stage.listen(5, kinds(&[PlayCompleted]));
    let events = [play(1), heard(2, PlayFailed, None), play(3)];
    let seen: Vec<_> = events.iter().flat_map(|event| stage.hear(event)).collect();
    let [first, second, third] = &events;
    let expected = [
        inform(8, first),
        inform(5, first),
        count(first, Fate::ToldOngoing),
        inform(8, second),
        count(second, Fate::ToldOngoing),
        inform(8, third),
        inform(5, third),
        count(third, Fate::ToldOngoing),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn c7_a_subscription_needs_types_context_and_filter_too() {
    let mut stage = Stage::new();
    stage.listen(1, kinds(&[PlayCompleted]).context(context("a")).filter(only("red")));
    let informed = |stage: &mut Stage, event| stage.hear(&event).len() == 2;
    assert!(!informed(&mut stage, coloured(1, PlayFailed, Some("a"), "red")));
    assert!(!informed(&mut stage, coloured(2, PlayCompleted, Some("b"), "red")));
    assert!(!informed(&mut stage, coloured(3, PlayCompleted, None, "red")));
    assert!(!informed(&mut stage, coloured(4, PlayCompleted, Some("a"), "blue")));
    assert!(informed(&mut stage, coloured(5, PlayCompleted, Some("a"), "red")));
}

#[test]
fn c7_subscriptions_never_consume_for_waiters_nor_waiters_for_them() {
    let mut stage = Stage::new();
    stage.listen(1, Wants::any());
    stage.wait(1, Wants::any());
    let event = play(1);
    let told = [tell(1, &event), inform(1, &event), count(&event, Fate::Matched)];
    assert_eq!(stage.hear(&event), told);
    let event = play(2);
    assert_eq!(stage.hear(&event), [inform(1, &event), count(&event, Fate::ToldOngoing)]);
    assert_eq!(
        stage.wait(2, Wants::any()),
        [tell(2, &event)],
        "kept for a late waiter all the same"
    );
}

#[test]
fn c7_a_subscription_hears_nothing_of_the_time_before_it() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    assert_eq!(stage.listen(1, Wants::any()), []);
    assert_eq!(stage.call.backlog(), 1);
}

#[test]
fn c7_detaching_is_exact_even_among_equal_wants() {
    let mut stage = Stage::new();
    for id in [1, 2, 3] {
        stage.listen(id, kinds(&[PlayCompleted]));
    }
    assert_eq!(stage.detach(2), []);
    assert_eq!(stage.detach(9), [], "an id that nobody has detaches nobody");
    let event = play(1);
    let told = [inform(1, &event), inform(3, &event), count(&event, Fate::ToldOngoing)];
    assert_eq!(stage.hear(&event), told);
    assert_eq!(stage.detach(2), [], "twice is as good as once");
    let left: Vec<_> = stage.view().subscriptions.iter().map(|one| one.id.0).collect();
    assert_eq!(left, [1, 3]);
}

#[test]
fn c7_subscriptions_are_closed_when_the_service_stops_or_the_call_is_over() {
    let mut stage = Stage::new();
    stage.claim();
    stage.listen(2, Wants::any());
    stage.listen(1, kinds(&[PlayFailed]));
    let reason = CloseReason::ShuttingDown;
    assert_eq!(stage.step(Input::Shutdown), [close(2, reason), close(1, reason)]);
    let event = play(1);
    assert_eq!(stage.hear(&event), [count(&event, Fate::Kept)], "nobody listens any more");
    stage.hear(&disconnect(2));
    assert_eq!(stage.listen(3, Wants::any()), [close(3, CloseReason::CallEnded)]);
    assert!(stage.view().subscriptions.is_empty());
}
