//! Early events and late waiters (C6), and events that come back.

use super::super::testing::*;
use super::super::{DropReason, Effect, Fate, Limits, Wants};
use crate::wire::events::EventKind::*;

#[track_caller]
fn check(waited_ms: u64, found: bool) {
    let event = play(1);
    let mut stage = Stage::new();
    stage.at(700);
    assert_eq!(stage.hear(&event), [count(&event, Fate::Kept)]);
    assert_eq!((stage.call.backlog(), stage.wakes_at()), (1, Some(5_700)));
    stage.at(700 + waited_ms);
    let effects = stage.poll(1, kinds(&[PlayCompleted]));
    let gone = [expired(1), timed_out(1)];
    assert_eq!(effects, if found { vec![tell(1, &event)] } else { gone.to_vec() });
    assert_eq!(stage.call.backlog(), 0);
}

#[test]
fn c6_an_early_event_waits_from_its_arrival_until_just_before_five_seconds() {
    check(0, true);
    check(1, true);
    check(4_999, true);
    check(5_000, false);
    check(5_001, false);
}

#[test]
fn c6_the_alarm_drops_what_is_old_and_nothing_younger() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    stage.at(1).hear(&play(2));
    stage.at(1_000).hear(&play(3));
    assert_eq!(stage.at(4_999).wake(), []);
    assert_eq!(stage.at(5_001).wake(), [expired(2)]);
    assert_eq!(stage.wakes_at(), Some(6_000));
    assert_eq!(stage.at(6_000).wake(), [expired(1)]);
    assert_eq!(stage.wakes_at(), Some(1_000 + DAY), "nothing left to wake for but silence");
}

#[test]
fn c6_a_late_waiter_takes_exactly_one_and_the_oldest() {
    let mut stage = Stage::new();
    for n in 1..=3 {
        stage.hear(&play(n));
    }
    for n in 1..=3 {
        assert_eq!(stage.call.backlog(), 4 - n);
        assert_eq!(stage.wait(n as u64, Wants::any()), [tell(n as u64, &play(n as u64))]);
        assert_eq!(stage.call.waits(), 0);
    }
    assert_eq!(stage.wait(4, Wants::any()), []);
    assert_eq!((stage.call.backlog(), stage.call.waits()), (0, 1));
}

#[test]
fn c6_a_late_waiter_leaves_the_events_of_others_where_they_are() {
    let mut stage = Stage::new();
    let theirs = heard(1, PlayCompleted, Some("theirs"));
    let other_type = heard(2, PlayFailed, Some("mine"));
    let mine = heard(3, PlayCompleted, Some("mine"));
    for event in [&theirs, &other_type, &mine] {
        stage.hear(event);
    }
    let wants = || kinds(&[PlayCompleted]).context(context("mine"));
    assert_eq!(stage.wait(1, wants()), [tell(1, &mine)]);
    assert_eq!(stage.poll(2, Wants::any()), [tell(2, &theirs)]);
    assert_eq!(stage.poll(3, Wants::any()), [tell(3, &other_type)]);
}

#[test]
fn c6_several_late_waiters_share_the_matches_in_the_order_in_which_they_ask() {
    let mut stage = Stage::new();
    let [first, noise, second] = [
        heard(1, PlayCompleted, Some("op")),
        heard(2, PlayStarted, Some("op")),
        heard(3, PlayCompleted, Some("op")),
    ];
    for event in [&first, &noise, &second] {
        stage.hear(event);
    }
    let wants = || kinds(&[PlayCompleted, PlayFailed]).context(context("op"));
    assert_eq!(stage.wait(1, wants()), [tell(1, &first)]);
    assert_eq!(stage.wait(2, wants()), [tell(2, &second)], "a loser takes the next match");
    assert_eq!(stage.wait(3, wants()), [], "and the last one waits on");
    let third = heard(4, PlayFailed, Some("op"));
    assert_eq!(stage.hear(&third), [tell(3, &third), count(&third, Fate::Matched)]);
    assert_eq!(stage.call.backlog(), 1, "the noise");
}

#[test]
fn c6_an_event_that_a_waiter_took_is_not_kept() {
    let mut stage = Stage::new();
    stage.wait(1, Wants::any());
    let event = play(1);
    assert_eq!(stage.hear(&event), [tell(1, &event), count(&event, Fate::Matched)]);
    assert_eq!(stage.call.backlog(), 0);
    assert_eq!(stage.poll(2, Wants::any()), [timed_out(2)]);
}

#[test]
fn c6_a_subscription_does_not_consume() {
    let mut stage = Stage::new();
    stage.listen(1, Wants::any());
    let event = play(1);
    assert_eq!(stage.hear(&event), [inform(1, &event), count(&event, Fate::ToldOngoing)]);
    assert_eq!(stage.wait(1, Wants::any()), [tell(1, &event)]);
}

#[test]
fn c6_a_waiter_that_read_on_from_a_cursor_takes_nothing_old() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    assert_eq!(stage.wait_on(1, Wants::any(), MINUTE), []);
    assert_eq!(stage.call.backlog(), 1);
    let next = play(2);
    assert_eq!(stage.hear(&next), [tell(1, &next), count(&next, Fate::Matched)]);
}

#[test]
fn c6_what_was_due_before_an_input_is_done_before_it() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    let second = play(2);
    stage.at(5_000);
    assert_eq!(stage.hear(&second), [expired(1), count(&second, Fate::Kept)]);
    assert_eq!(stage.poll(1, Wants::any()), [tell(1, &second)]);
}

#[test]
fn c6_an_event_that_comes_back_reaches_the_next_waiters() {
    let mut stage = Stage::new();
    stage.wait(1, Wants::any());
    let event = play(1);
    stage.hear(&event);
    stage.wait(2, kinds(&[PlayFailed]));
    stage.wait(3, Wants::any());
    stage.wait(4, kinds(&[PlayCompleted]));
    assert_eq!(stage.give_back(&event), [tell(3, &event), tell(4, &event)]);
    assert_eq!((stage.call.backlog(), stage.call.waits()), (0, 1));
}

#[test]
fn c6_an_event_that_comes_back_is_not_told_to_subscriptions_again() {
    let mut stage = Stage::new();
    stage.wait(1, Wants::any());
    stage.listen(1, Wants::any());
    let event = play(1);
    stage.hear(&event);
    assert_eq!(stage.give_back(&event), []);
    assert_eq!(stage.fates(), [Fate::Matched], "nor noted again");
    assert_eq!(stage.poll(2, Wants::any()), [tell(2, &event)]);
}

#[test]
fn c6_an_event_that_comes_back_keeps_its_place_and_its_deadline() {
    let mut stage = Stage::new();
    let [old, young] = [play(1), play(2)];
    stage.hear(&old);
    stage.at(1_000).hear(&young);
    assert_eq!(stage.at(1_500).poll(1, Wants::any()), [tell(1, &old)]);
    assert_eq!(stage.give_back(&old), []);
    assert_eq!(stage.wakes_at(), Some(5_000));
    assert_eq!(stage.at(4_999).poll(2, Wants::any()), [tell(2, &old)], "the oldest first");
    assert_eq!(stage.give_back(&old), []);
    assert_eq!(stage.at(5_000).poll(3, Wants::any()), [expired(1), tell(3, &young)]);
}

#[test]
fn c6_an_event_that_comes_back_too_late_is_dropped_and_counted() {
    let mut stage = Stage::new();
    let event = play(1);
    stage.wait(1, Wants::any());
    stage.hear(&event);
    assert_eq!(stage.at(5_000).give_back(&event), [expired(1)]);
    assert_eq!(stage.call.backlog(), 0);
}

#[test]
fn c6_an_event_that_comes_back_to_a_full_backlog_is_the_oldest_and_leaves() {
    let mut stage = Stage::with(Limits { backlog_events: 2, ..limits() });
    stage.wait(1, Wants::any());
    for n in 1..=3 {
        stage.hear(&play(n));
    }
    assert_eq!(stage.give_back(&play(1)), [Effect::Dropped(DropReason::Full, 1)]);
    assert_eq!(stage.poll(2, Wants::any()), [tell(2, &play(2))]);
    assert_eq!(stage.poll(3, Wants::any()), [tell(3, &play(3))]);
}

#[test]
fn c17_an_event_that_comes_back_after_the_end_is_let_go() {
    let mut stage = Stage::new();
    stage.wait(1, Wants::any());
    stage.hear(&play(1));
    stage.hear(&disconnect(2));
    assert_eq!(stage.give_back(&play(1)), []);
    assert_eq!(stage.view().backlog, 0);
}

#[test]
fn c11_an_event_that_comes_back_to_a_call_of_which_nothing_is_known_is_not_forgotten_with_a_wait() {
    let mut stage = Stage::new();
    assert_eq!(stage.give_back(&play(1)), []);
    assert_eq!(stage.wait(1, kinds(&[PlayFailed])), []);
    assert_eq!(stage.cancel(1).len(), 1, "cancelled, and the event is still there");
    assert_eq!(stage.poll(2, Wants::any()), [tell(2, &play(1)), Effect::Forget]);
}
