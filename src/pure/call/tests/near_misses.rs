//! What came instead (C16).

use super::super::testing::*;
use super::super::{Condition, Effect, NearMiss, WaitEnd, Wants};
use crate::wire::events::EventKind::*;

/// The near misses of the one wait that timed out.
#[track_caller]
fn missed(effects: &[Effect]) -> Vec<NearMiss> {
    let ends = effects.iter().filter_map(|effect| match effect {
        Effect::End(_, WaitEnd::TimedOut(missed)) => Some(missed.clone()),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 1, "{effects:?}");
    ends.concat()
}

fn wants() -> Wants {
    kinds(&[PlayCompleted]).context(context("mine")).filter(only("red"))
}

#[test]
fn c16_a_wait_that_timed_out_tells_which_one_condition_failed() {
    let mut stage = Stage::new();
    stage.wait_for(1, wants(), 1_000);
    let type_failed = coloured(1, PlayFailed, Some("mine"), "red");
    let context_failed = coloured(2, PlayCompleted, Some("yours"), "red");
    let filter_failed = coloured(3, PlayCompleted, Some("mine"), "blue");
    let far_off = coloured(4, PlayFailed, Some("yours"), "red");
    for event in [&type_failed, &context_failed, &filter_failed, &far_off] {
        stage.hear(event);
    }
    let expected = [
        near(&type_failed, Condition::Types),
        near(&context_failed, Condition::OperationContext),
        near(&filter_failed, Condition::Filter),
    ];
    assert_eq!(missed(&stage.at(1_000).wake()), expected);
}

#[test]
fn c16_an_event_without_a_context_misses_a_wait_with_one() {
    let mut stage = Stage::new();
    stage.wait_for(1, kinds(&[PlayCompleted]).context(context("mine")), 1_000);
    stage.hear(&play(1));
    assert_eq!(missed(&stage.at(1_000).wake()), [near(&play(1), Condition::OperationContext)]);
}

#[test]
fn c16_an_event_that_another_waiter_took_can_be_a_near_miss() {
    let mut stage = Stage::new();
    stage.wait(1, kinds(&[PlayFailed]));
    stage.wait_for(2, kinds(&[PlayCompleted]), 1_000);
    let event = heard(1, PlayFailed, None);
    stage.hear(&event);
    assert_eq!(missed(&stage.at(1_000).wake()), [near(&event, Condition::Types)]);
}

#[test]
fn c16_an_event_that_matched_but_went_to_an_earlier_waiter_is_no_near_miss() {
    let mut stage = Stage::new();
    stage.wait(1, Wants::any());
    stage.hear(&coloured(1, PlayCompleted, Some("mine"), "red"));
    assert_eq!(missed(&stage.poll(2, wants())), []);
}

#[track_caller]
fn check(before_ms: u64, reported: bool) {
    let mut stage = Stage::new();
    let events = [
        coloured(1, PlayFailed, Some("mine"), "red"),
        coloured(2, PlayCompleted, Some("mine"), "blue"),
    ];
    events.iter().for_each(|event| drop(stage.hear(event)));
    let near = [near(&events[0], Condition::Types), near(&events[1], Condition::Filter)].to_vec();
    let expected = if reported { near } else { Vec::new() };
    stage.at(before_ms);
    assert_eq!(missed(&stage.poll(1, wants())), expected, "{before_ms} ms before a poll");
    stage.wait_for(2, wants(), 60_000);
    assert_eq!(missed(&stage.at(before_ms + 60_000).wake()), expected, "… before a wait");
}

#[test]
fn c16_near_misses_reach_back_as_far_as_the_backlog_did() {
    check(0, true);
    check(4_999, true);
    check(5_000, false);
}

#[test]
fn c16_the_latest_near_misses_are_told_oldest_first() {
    let mut stage = Stage::new();
    stage.wait_for(1, wants(), 60_000);
    let hits = |n: u64| coloured(n, PlayCompleted, Some("mine"), "blue");
    for n in 1..=20 {
        stage.at(n).hear(&hits(n));
    }
    let expected: Vec<_> = (13..=20).map(|n| near(&hits(n), Condition::Filter)).collect();
    assert_eq!(missed(&stage.at(60_000).wake()), expected);
    let mut stage = Stage::new();
    for n in 1..=20 {
        stage.hear(&hits(n));
    }
    assert_eq!(missed(&stage.poll(1, wants())), expected, "early ones likewise");
}

#[test]
fn c16_an_event_that_came_back_does_not_push_others_out() {
    let mut stage = Stage::new();
    stage.wait_for(1, wants(), 60_000);
    let hit = |n: u64| coloured(n, PlayCompleted, Some("mine"), "blue");
    for n in 1..=9 {
        stage.hear(&hit(n));
    }
    for _ in 0..9 {
        stage.poll(2, Wants::any());
        stage.give_back(&hit(1));
    }
    let expected: Vec<_> = (2..=9).map(|n| near(&hit(n), Condition::Filter)).collect();
    assert_eq!(missed(&stage.at(60_000).wake()), expected);
}

#[test]
fn c16_a_wait_for_anything_misses_nothing() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    stage.wait(1, Wants::any());
    assert_eq!(missed(&stage.poll(2, Wants::any())), []);
}
