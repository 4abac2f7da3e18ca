//! The end of a call and the minute after it (C9, C10, C17).

use super::super::testing::*;
use super::super::{CloseReason, DropReason, Effect, Fate, Input, Phase, WaitEnd, Wants};
use crate::wire::events::EventKind::{self, *};

fn call_ended(id: u64) -> Effect {
    end(id, WaitEnd::CallEnded(disconnected()))
}

#[test]
fn c9_disconnect_ends_every_wait() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    stage.hear(&play(2));
    stage.wait(1, kinds(&[PlayFailed]));
    stage.wait(2, kinds(&[CallDisconnected]));
    stage.wait(3, kinds(&[CallDisconnected]).context(context("another's")));
    stage.wait_on(4, Wants::any(), MINUTE);
    stage.listen(7, Wants::any());
    stage.listen(6, kinds(&[PlayFailed]));
    let last = disconnect(3);
    let effects = stage.at(1_000).hear(&last);
    let expected = [
        tell(2, &last),
        tell(4, &last),
        inform(7, &last),
        count(&last, Fate::Matched),
        call_ended(1),
        call_ended(3),
        close(7, CloseReason::CallEnded),
        close(6, CloseReason::CallEnded),
        Effect::Dropped(DropReason::CallEnded, 2),
        Effect::Over(disconnected()),
    ];
    assert_eq!(effects, expected);
    assert_eq!(stage.call.phase(), Phase::Disconnected);
    assert_eq!(stage.wakes_at(), None);
    assert_eq!(stage.call.grace_ends(&stage.limits).map(|at| at.0), Some(1_000_000 + 61_000));
}

#[test]
fn c9_a_disconnect_without_a_result_ends_the_call_all_the_same() {
    let mut stage = Stage::new();
    stage.wait(1, kinds(&[PlayCompleted]));
    let effects = stage.hear(&heard(1, CallDisconnected, None));
    let ended = effects.iter().find_map(|effect| match effect {
        Effect::End(_, WaitEnd::CallEnded(ending)) => Some((ending.code, ending.sub_code)),
        _ => None,
    });
    assert_eq!(ended, Some((None, None)));
    assert!(stage.call.is_over());
}

#[test]
fn c9_a_failed_setup_does_not_end_the_call() {
    let mut stage = Stage::new();
    stage.wait(1, kinds(&[CallDisconnected]));
    let failed = heard(1, CreateCallFailed, None);
    assert_eq!(stage.hear(&failed), [count(&failed, Fate::Kept)]);
    assert_eq!((stage.call.phase(), stage.call.waits()), (Phase::Failed, 1));
    let last = disconnect(2);
    assert_eq!(stage.hear(&last)[0], tell(1, &last));
}

#[test]
fn c9_a_late_wait_for_the_disconnect_gets_it_again_and_again() {
    let mut stage = Stage::new();
    let last = disconnect(1);
    stage.hear(&last);
    for id in 1..=3 {
        let wants = kinds(&[CallConnected, CallDisconnected]);
        assert_eq!(stage.at(id * 1_000).wait(id, wants), [tell(id, &last)]);
        assert_eq!(stage.poll(id + 10, Wants::any()), [tell(id + 10, &last)]);
    }
    assert_eq!(stage.view().waits.len(), 0);
}

#[test]
fn c9_a_late_wait_for_anything_else_ends_at_once() {
    let mut stage = Stage::new();
    stage.hear(&heard(1, CallConnected, None));
    stage.hear(&play(2));
    stage.hear(&disconnect(3));
    let others = [
        kinds(&[PlayCompleted]),
        kinds(&[CallConnected]),
        kinds(&[]),
        kinds(&[CallDisconnected]).context(context("mine")),
        kinds(&[CallDisconnected]).filter(only("red")),
        kinds(&[EventKind::parse("Contoso.Own")]),
    ];
    for (id, wants) in (1..).zip(others) {
        assert_eq!(stage.wait(id, wants), [call_ended(id)]);
    }
    assert_eq!(stage.call.waits(), 0);
}

#[test]
fn c9_a_late_wait_with_a_cursor_learns_of_the_end_too() {
    let mut stage = Stage::new();
    let last = disconnect(1);
    stage.hear(&last);
    assert_eq!(stage.wait_on(1, kinds(&[CallDisconnected]), MINUTE), [tell(1, &last)]);
    assert_eq!(stage.wait_on(2, kinds(&[PlayCompleted]), MINUTE), [call_ended(2)]);
}

#[test]
fn c10_late_events_are_attached_to_the_record_and_revive_nothing() {
    let mut stage = Stage::new();
    stage.hear(&disconnect(1));
    for (n, kind) in [(2, CallConnected), (3, PlayCompleted), (4, CallDisconnected)] {
        let late = heard(n, kind, None);
        assert_eq!(stage.at(n * 1_000).hear(&late), [count(&late, Fate::Late)]);
        let repeat = again(&late, n + 10);
        assert_eq!(stage.hear(&repeat), [count(&repeat, Fate::Repeated)]);
    }
    assert_eq!(stage.fates(), [Fate::Kept, Fate::Late, Fate::Late, Fate::Late]);
    let view = stage.view();
    assert_eq!((view.state, view.backlog, view.timeline.len()), (Phase::Disconnected, 0, 4));
    assert_eq!(view.ending, Some(disconnected()), "the first end is the end");
    assert_eq!(stage.poll(1, kinds(&[PlayCompleted])), [call_ended(1)], "late events are not kept");
    assert_eq!(stage.poll(2, Wants::any()), [tell(2, &disconnect(1))]);
    assert_eq!(stage.call.grace_ends(&stage.limits).map(|at| at.0), Some(1_000_000 + MINUTE));
}

#[test]
fn c10_nothing_said_to_an_ended_call_has_an_effect() {
    let mut stage = Stage::new();
    stage.wait(1, kinds(&[PlayCompleted]));
    stage.listen(1, Wants::any());
    stage.hear(&disconnect(1));
    assert_eq!(stage.cancel(1), []);
    assert_eq!(stage.retime(1, 0), []);
    assert_eq!(stage.detach(1), []);
    assert_eq!(stage.claim(), []);
    assert_eq!(stage.step(Input::Shutdown), []);
    assert_eq!(stage.at(30 * DAY).wake(), []);
    assert_eq!(stage.wakes_at(), None);
    assert!(stage.call.is_over());
}

#[test]
fn c17_nothing_is_left_after_the_end() {
    let mut stage = Stage::new();
    for id in 0..100 {
        stage.wait(id, kinds(&[PlayFailed]).context(context(&id.to_string())));
        stage.listen(id, kinds(&[PlayFailed]));
        stage.hear(&play(id + 1));
    }
    assert_eq!((stage.call.waits(), stage.call.backlog()), (100, 100));
    stage.hear(&disconnect(1_000));
    let call = &stage.call;
    assert_eq!((call.waits(), call.backlog()), (0, 0));
    assert_eq!(call.subscriptions.capacity(), 0);
    assert!(call.waiters.is_bare(), "neither waits nor index nor deadlines");
    assert_eq!(call.timeline.entries().count(), 0, "the record moved, it was not copied");
    let view = stage.view();
    assert_eq!((view.waits.len(), view.subscriptions.len(), view.backlog), (0, 0, 0));
    assert_eq!((view.timeline.len(), view.wakes_in_ms), (101, None));
}

#[test]
fn c17_the_last_wait_takes_the_index_and_the_deadlines_with_it() {
    let mut stage = Stage::new();
    stage.claim();
    let wants = || kinds(EventKind::KNOWN);
    stage.wait(1, wants());
    stage.hear(&play(1));
    assert!(stage.call.waiters.is_bare(), "told");
    stage.wait(2, wants());
    stage.cancel(2);
    assert!(stage.call.waiters.is_bare(), "cancelled");
    stage.wait_for(3, wants(), 10);
    stage.at(10).wake();
    assert!(stage.call.waiters.is_bare(), "timed out");
    stage.wait(4, wants());
    stage.step(Input::Shutdown);
    assert!(stage.call.waiters.is_bare(), "shut down");
}

/// With enough of them that they are indexed.
#[test]
fn c17_standing_waits_hold_nothing_of_those_that_came_and_went() {
    let mut stage = Stage::new();
    for id in 0..9 {
        stage.wait_for(id, kinds(&[PlayFailed, PlayCanceled]), 10_000);
    }
    for id in 9..1_000 {
        let wants = || kinds(&[PlayCompleted, CallConnected]).context(context("op"));
        match id % 3 {
            0 => assert_eq!(stage.wait(id, wants()), []),
            1 => assert_eq!(stage.wait(id, Wants::any().context(context("op"))), []),
            _ => assert_eq!(stage.wait_for(id, wants(), 20_000), []),
        }
        match id % 2 {
            0 => drop(stage.cancel(id)),
            _ => drop(stage.hear(&heard(id, PlayCompleted, Some("op")))),
        }
        let [waits, index, deadlines] = stage.call.waiters.held();
        assert_eq!((waits, index), (9, 18), "after {id}");
        assert!(deadlines <= 2 * 9 + 8, "{deadlines} deadlines for nine waits after {id}");
    }
}
