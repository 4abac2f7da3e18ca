//! Every pile has a limit, and an answer when it is full (C15).

use super::super::testing::*;
use super::super::{CloseReason, DropReason, Effect, Fate, Limits, WaitEnd, Wants};
use crate::wire::events::EventKind::*;

#[test]
fn c15_one_wait_too_many_is_refused() {
    let mut stage = Stage::with(Limits { waiters: 2, ..limits() });
    stage.wait(1, kinds(&[PlayFailed]));
    stage.wait(2, kinds(&[PlayCompleted]));
    assert_eq!(stage.wait(3, kinds(&[PlayCompleted])), [end(3, WaitEnd::Refused)]);
    assert_eq!(stage.poll(4, Wants::any()), [timed_out(4)], "a poll takes no room");
    let event = heard(1, RecognizeCompleted, None);
    stage.hear(&event);
    let answered = stage.wait(5, kinds(&[RecognizeCompleted]));
    assert_eq!(answered, [tell(5, &event)], "nor does a wait that is answered at once");
    stage.hear(&play(2));
    assert_eq!(stage.wait(6, kinds(&[PlayCompleted])), [], "there is room again");
    assert_eq!(stage.call.waits(), 2);
}

#[test]
fn c15_one_subscription_too_many_is_refused() {
    let mut stage = Stage::with(Limits { subscriptions: 1, ..limits() });
    assert_eq!(stage.listen(1, Wants::any()), []);
    assert_eq!(stage.listen(2, Wants::any()), [close(2, CloseReason::Refused)]);
    let event = play(1);
    assert_eq!(stage.hear(&event), [inform(1, &event), count(&event, Fate::ToldOngoing)]);
    stage.detach(1);
    assert_eq!(stage.listen(3, Wants::any()), []);
}

#[test]
fn c15_a_full_backlog_drops_the_oldest_and_counts_it() {
    let mut stage = Stage::with(Limits { backlog_events: 2, ..limits() });
    for n in 1..=2 {
        let event = play(n);
        assert_eq!(stage.hear(&event), [count(&event, Fate::Kept)]);
    }
    let event = play(3);
    let dropped = Effect::Dropped(DropReason::Full, 1);
    assert_eq!(stage.hear(&event), [count(&event, Fate::Kept), dropped]);
    assert_eq!(stage.call.backlog(), 2);
    assert_eq!(stage.poll(1, Wants::any()), [tell(1, &play(2))]);
    assert_eq!(stage.poll(2, Wants::any()), [tell(2, &play(3))]);
}

#[test]
fn c15_a_backlog_of_nothing_keeps_nothing_and_counts_it() {
    let mut stage = Stage::with(Limits { backlog_events: 0, ..limits() });
    let event = play(1);
    let dropped = Effect::Dropped(DropReason::Full, 1);
    assert_eq!(stage.hear(&event), [count(&event, Fate::Kept), dropped]);
    assert_eq!(stage.poll(1, Wants::any()), [timed_out(1)]);
}

#[test]
fn c15_the_timeline_is_bounded_before_and_after_the_end() {
    let mut stage = Stage::with(Limits { timeline_events: 3, ..limits() });
    let positions = |stage: &Stage| {
        let timeline = stage.call.timeline();
        (timeline.entries().map(|entry| entry.position.0).collect::<Vec<_>>(), timeline.dropped())
    };
    for n in 1..=5 {
        stage.hear(&play(n));
    }
    assert_eq!(positions(&stage), (vec![3, 4, 5], 2));
    stage.hear(&disconnect(6));
    stage.hear(&play(7));
    assert_eq!(positions(&stage), (vec![5, 6, 7], 4));
    assert_eq!(stage.view().timeline_dropped, 4);
}

#[test]
fn c15_the_memory_of_events_is_bounded_and_the_latest_half_is_sure() {
    let mut stage = Stage::with(Limits { remembered_events: 8, ..limits() });
    for n in 1..=100 {
        stage.hear(&play(n));
        for recent in n.saturating_sub(3).max(1)..=n {
            let repeat = again(&play(recent), 1_000 + recent);
            assert_eq!(stage.hear(&repeat), [count(&repeat, Fate::Repeated)], "{recent} of {n}");
        }
    }
    let forgotten = again(&play(1), 2_000);
    assert_ne!(stage.hear(&forgotten)[0], count(&forgotten, Fate::Repeated));
}

#[test]
fn c15_the_defaults_are_the_documented_ones() {
    let limits = Limits::default();
    assert_eq!(limits.backlog_age.as_secs(), 5);
    assert_eq!(limits.tombstone.as_secs(), 60);
    assert_eq!(limits.silent.as_secs(), 24 * 60 * 60);
    assert_eq!(limits.verify_silent.as_secs(), 60 * 60);
    assert_eq!(limits.verify_max_age.as_secs(), 24 * 60 * 60);
}
