//! How long a wait lasts, and in how many ways it ends (C8).

use super::super::testing::*;
use super::super::{Condition, Fate, Input, WaitEnd, Wants};
use crate::pure::call::WaiterId;
use crate::wire::events::EventKind::*;

#[track_caller]
fn check(event_at: u64, told: bool) {
    let mut stage = Stage::new();
    stage.claim();
    stage.at(300).wait_for(1, Wants::any(), 2_000);
    assert_eq!(stage.wakes_at(), Some(2_300));
    let event = play(1);
    let in_time = [tell(1, &event), count(&event, Fate::Matched)];
    let too_late = [timed_out(1), count(&event, Fate::Kept)];
    let effects = stage.at(event_at).hear(&event);
    assert_eq!(effects, if told { in_time } else { too_late }, "at {event_at} ms");
}

#[test]
fn c8_a_wait_is_over_exactly_at_its_deadline() {
    check(300, true);
    check(2_299, true);
    check(2_300, false);
    check(2_301, false);
    check(99_999, false);
}

#[test]
fn c8_the_alarm_ends_a_wait_on_the_edge_and_not_before() {
    let mut stage = Stage::new();
    stage.claim();
    stage.wait(1, Wants::any());
    assert_eq!(stage.at(4 * MINUTE - 1).wake(), []);
    assert_eq!(stage.at(4 * MINUTE).wake(), [timed_out(1)]);
    assert_eq!(stage.at(4 * MINUTE + 1).wake(), [], "once");
}

#[test]
fn c8_waits_end_in_the_order_of_their_deadlines() {
    let mut stage = Stage::new();
    stage.claim();
    for (id, ms) in [(1, 3_000), (2, 1_000), (3, 2_000), (4, 1_000)] {
        stage.wait_for(id, Wants::any(), ms);
    }
    assert_eq!(stage.wakes_at(), Some(1_000));
    assert_eq!(stage.at(9_000).wake(), [2, 4, 3, 1].map(timed_out));
}

#[test]
fn c8_an_event_moves_the_alarm_to_the_next_wait() {
    let mut stage = Stage::new();
    stage.wait_for(1, kinds(&[PlayCompleted]), 1_000);
    stage.wait_for(2, kinds(&[PlayFailed]), 3_000);
    stage.hear(&play(1));
    assert_eq!(stage.wakes_at(), Some(3_000));
    stage.cancel(2);
    assert_eq!(stage.wakes_at(), Some(DAY));
}

#[test]
fn c8_a_new_timeout_counts_from_the_registration() {
    let mut stage = Stage::new();
    stage.claim();
    stage.at(1_000).wait_for(1, Wants::any(), 10_000);
    assert_eq!(stage.at(5_000).retime(1, 20_000), []);
    assert_eq!(stage.wakes_at(), Some(21_000), "longer");
    assert_eq!(stage.at(6_000).retime(1, 5_001), []);
    assert_eq!(stage.wakes_at(), Some(6_001), "shorter");
    let wait = &stage.view().waits[0];
    assert_eq!((wait.age_ms, wait.left_ms), (5_000, 1));
    assert_eq!(stage.at(6_001).wake(), [timed_out(1)]);
    assert_eq!(stage.at(21_000).wake(), [], "the older deadlines are forgotten");
}

#[test]
fn c8_a_new_timeout_that_is_past_already_ends_the_wait_at_once() {
    let mut stage = Stage::new();
    stage.claim();
    for id in [1, 2, 3] {
        stage.wait(id, Wants::any());
    }
    assert_eq!(stage.at(5_000).retime(1, 5_000), [timed_out(1)]);
    assert_eq!(stage.retime(2, 0), [timed_out(2)]);
    assert_eq!(stage.retime(3, 5_001), []);
    assert_eq!(stage.wakes_at(), Some(5_001));
}

#[test]
fn c8_a_new_timeout_for_a_wait_that_is_over_does_nothing() {
    let mut stage = Stage::new();
    stage.wait(1, Wants::any());
    stage.hear(&play(1));
    assert_eq!(stage.retime(1, 1), []);
    assert_eq!(stage.retime(7, 1), []);
    assert_eq!(stage.wakes_at(), Some(DAY));
}

#[test]
fn c8_a_timeout_of_zero_polls() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    assert_eq!(stage.poll(1, Wants::any()), [tell(1, &play(1))]);
    assert_eq!(stage.poll(2, Wants::any()), [timed_out(2)]);
    assert_eq!((stage.call.waits(), stage.wakes_at()), (0, Some(DAY)));
}

#[test]
fn c8_the_time_counts_from_when_it_was_asked_however_late_that_gets_here() {
    let mut stage = Stage::new();
    stage.claim();
    let asked = stage.now;
    stage.at(3 * MINUTE).wait_asked(1, asked, Wants::any());
    assert_eq!(stage.wakes_at(), Some(4 * MINUTE));
    assert_eq!(stage.at(4 * MINUTE).wake(), [timed_out(1)]);
    assert_eq!(stage.wait_asked(2, asked, Wants::any()), [timed_out(2)]);
    stage.hear(&play(1));
    assert_eq!(stage.wait_asked(3, asked, Wants::any()), [tell(3, &play(1))], "it has looked");
}

#[test]
fn c8_an_endless_timeout_is_no_overflow() {
    let mut stage = Stage::new();
    let forever = std::time::Duration::MAX;
    let (id, wants, asked) = (WaiterId(1), Wants::any(), stage.now);
    let wait = Input::Wait { id, wants, asked, within: forever, from_backlog: true };
    assert_eq!(stage.step(wait), []);
    assert_eq!(stage.at(400 * DAY).wake(), []);
    let event = play(1);
    assert_eq!(stage.hear(&event), [tell(1, &event), count(&event, Fate::Matched)]);
}

#[test]
fn c8_cancelled_is_an_outcome_of_its_own_and_exact() {
    let mut stage = Stage::new();
    stage.claim();
    for id in [1, 2, 3] {
        stage.wait(id, Wants::any());
    }
    assert_eq!(stage.cancel(2), [end(2, WaitEnd::Cancelled)]);
    assert_eq!(stage.cancel(2), [], "once");
    assert_eq!(stage.cancel(9), [], "and nobody else");
    let event = play(1);
    assert_eq!(
        stage.hear(&event),
        [tell(1, &event), tell(3, &event), count(&event, Fate::Matched)]
    );
    assert_eq!(stage.cancel(1), [], "a wait that was told is over");
}

#[test]
fn c8_timed_out_cancelled_call_ended_and_shutting_down_are_four_outcomes() {
    let wait = || {
        let mut stage = Stage::new();
        stage.claim();
        stage.wait(1, kinds(&[PlayCompleted]));
        stage
    };
    assert_eq!(wait().at(4 * MINUTE).wake(), [timed_out(1)]);
    assert_eq!(wait().cancel(1), [end(1, WaitEnd::Cancelled)]);
    assert_eq!(wait().step(Input::Shutdown), [end(1, WaitEnd::ShuttingDown)]);
    let ended = end(1, WaitEnd::CallEnded(disconnected()));
    assert!(wait().hear(&disconnect(1)).contains(&ended));
}

#[test]
fn c8_shutting_down_ends_every_wait_in_order_and_nothing_else() {
    let mut stage = Stage::new();
    stage.hear(&heard(1, CallConnected, None));
    stage.wait(2, kinds(&[PlayFailed]));
    stage.wait(3, kinds(&[PlayCompleted]));
    stage.listen(1, Wants::any());
    let down = |id| end(id, WaitEnd::ShuttingDown);
    let closed = close(1, crate::pure::call::CloseReason::ShuttingDown);
    assert_eq!(stage.step(Input::Shutdown), [down(2), down(3), closed]);
    assert_eq!(stage.step(Input::Shutdown), [], "once");
    assert!(!stage.call.is_over(), "the call itself goes on, elsewhere or later");
    assert_eq!(stage.at(4 * MINUTE).wake(), [expired(1)], "no deadline is left behind");
}

#[test]
fn c8_what_timed_out_before_the_disconnect_timed_out() {
    let mut stage = Stage::new();
    stage.claim();
    stage.wait_for(1, kinds(&[CallDisconnected]), 1_000);
    let last = disconnect(1);
    let effects = stage.at(1_000).hear(&last);
    assert_eq!(effects[..2], [timed_out(1), count(&last, Fate::Kept)]);
}

#[test]
fn c8_many_new_timeouts_do_not_pile_up_deadlines() {
    let mut stage = Stage::new();
    stage.claim();
    stage.wait(1, Wants::any());
    stage.wait_for(2, Wants::any(), 2_000);
    for n in 0..10_000 {
        stage.retime(1, 3_000 + n);
        assert_eq!(stage.wakes_at(), Some(2_000));
    }
    assert_eq!(stage.at(12_998).wake(), [timed_out(2)]);
    assert_eq!(stage.at(12_999).wake(), [timed_out(1)]);
}

#[test]
fn c16_a_wait_cut_short_tells_its_near_misses_too() {
    let mut stage = Stage::new();
    stage.wait(1, kinds(&[PlayFailed]));
    stage.hear(&play(1));
    let missed = WaitEnd::TimedOut(vec![near(&play(1), Condition::Types)]);
    assert_eq!(stage.at(1).retime(1, 0), [end(1, missed)]);
}
