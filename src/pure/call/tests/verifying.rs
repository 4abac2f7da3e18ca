//! Asking Azure whether a call still lives (C11), and what its answer does (C9).

use std::time::Duration;

use super::super::testing::*;
use super::super::{
    Cause, CloseReason, DropReason, Effect, Ending, Fate, Input, Limits, Phase, WaitEnd, Wants,
};
use crate::wire::events::EventKind::*;

const HOUR: u64 = 60 * MINUTE;

/// The documented limits: asked after an hour of silence, and when older than a day.
fn stage() -> Stage {
    Stage::with(Limits { silent: Duration::from_secs(365 * 24 * 3600), ..Limits::default() })
}

fn reconciled() -> Ending {
    Ending { cause: Cause::Reconciled, code: None, sub_code: None }
}

/// The moments up to `until` at which the call asks to be asked about, woken when it wants to be.
fn questions(stage: &mut Stage, until: u64) -> Vec<u64> {
    let mut asked = Vec::new();
    while let Some(at) = stage.wakes_at().filter(|at| *at <= until) {
        if stage.at(at).wake().contains(&Effect::Verify) {
            asked.push(at);
        }
    }
    asked
}

#[test]
fn c11_a_silent_call_is_asked_about_once_and_again_after_as_long() {
    let mut stage = stage();
    stage.at(1_000).hear(&heard(1, CallConnected, None));
    stage.at(6_000).wake();
    assert_eq!(stage.wakes_at(), Some(1_000 + HOUR));
    assert_eq!(stage.at(1_000 + HOUR - 1).wake(), []);
    assert_eq!(stage.at(1_000 + HOUR).wake(), [Effect::Verify]);
    assert_eq!(stage.wake(), [], "once");
    assert_eq!(stage.at(1_000 + 2 * HOUR - 1).wake(), [], "the answer may take its time");
    assert_eq!(stage.at(1_000 + 2 * HOUR).wake(), [Effect::Verify], "or be lost");
    assert_eq!(
        stage.at(9 * HOUR).wake(),
        [Effect::Verify],
        "late alarms ask once, not seven times"
    );
    assert_eq!(stage.wakes_at(), Some(10 * HOUR));
}

#[test]
fn c11_events_and_claims_are_signs_of_life_and_waits_are_not() {
    let mut stage = stage();
    stage.at(10).claim();
    assert_eq!(stage.wakes_at(), Some(10 + HOUR));
    stage.at(20).hear(&play(1));
    stage.at(6_000).wake();
    assert_eq!(stage.wakes_at(), Some(20 + HOUR));
    stage.at(7_000).hear(&again(&play(1), 2));
    assert_eq!(stage.wakes_at(), Some(20 + HOUR), "a repeat may come from anywhere");
    stage.at(8_000).poll(1, Wants::any());
    stage.at(9_000).listen(1, Wants::any());
    stage.at(9_500).wait_for(2, kinds(&[CallDisconnected]), 2 * HOUR);
    assert_eq!(stage.wakes_at(), Some(20 + HOUR), "whoever waits knows no more than we do");
    assert_eq!(stage.at(20 + HOUR).wake(), [Effect::Verify], "also while somebody waits");
    assert_eq!(stage.at(2 * HOUR).step(Input::Shutdown).len(), 2);
    assert_eq!(stage.wakes_at(), Some(20 + 2 * HOUR));
}

#[test]
fn c11_what_comes_with_the_late_alarm_has_its_say_first() {
    let mut stage = stage();
    stage.claim();
    let event = play(1);
    assert_eq!(stage.at(HOUR + 5).hear(&event), [count(&event, Fate::Kept)], "it just spoke");
    let last = disconnect(2);
    assert!(!stage.at(3 * HOUR).hear(&last).contains(&Effect::Verify), "it just ended");
    let mut unknown = Stage::with(Limits::default());
    unknown.wait_for(1, Wants::any(), HOUR);
    assert_eq!(unknown.at(HOUR).wake(), [timed_out(1), Effect::Forget], "nobody is left to care");
}

#[test]
fn c11_a_call_older_than_a_day_is_asked_about_whatever_it_says() {
    let mut stage = stage();
    let mut asked = Vec::new();
    for n in 0..=60 {
        // It says something every half an hour.
        let effects = stage.at(n * HOUR / 2).hear(&heard(n + 1, PlayCompleted, None));
        asked.extend(effects.contains(&Effect::Verify).then_some(n * HOUR / 2));
        asked.extend(questions(&mut stage, (n + 1) * HOUR / 2 - 1));
    }
    let expected: Vec<_> = (24..=30).map(|hour| hour * HOUR).collect();
    assert_eq!(asked, expected);
}

#[test]
fn c11_an_answer_clears_the_doubt_and_breaks_the_silence() {
    let mut stage = Stage::with(Limits::default());
    stage.claim();
    stage.call.doubt(stage.tick());
    assert!(stage.call.is_unverified() && stage.view().unverified);
    stage.at(MINUTE).hear(&heard(1, CallConnected, None));
    assert!(stage.view().unverified, "an event may have been under way for long");
    let silent = DAY - HOUR;
    stage.at(silent).wake();
    assert_eq!(stage.at(silent + 1).step(Input::Verified), []);
    assert!(!stage.view().unverified);
    assert_eq!(stage.at(silent + 2).step(Input::Verified), [], "a repeat is harmless");
    let asked = questions(&mut stage, 3 * DAY);
    let hourly: Vec<_> = (24..=47).map(|hour| hour * HOUR).collect();
    assert_eq!(asked, hourly, "old after a day, then every hour");
    assert_eq!(stage.call.phase(), Phase::Disconnected);
    let ended = stage.at(silent + 1 + DAY).view();
    assert_eq!(ended.ending.map(|ending| ending.cause), Some(Cause::Silent), "a day after it");
}

#[test]
fn c11_a_restored_call_is_unverified_and_asked_again_if_nobody_answers() {
    let mut stage = stage();
    stage.hear(&heard(1, CallConnected, None));
    stage.at(50 * MINUTE);
    stage.call.doubt(stage.tick());
    assert_eq!(stage.wakes_at(), Some(5_000));
    assert_eq!(questions(&mut stage, 3 * HOUR), [50 * MINUTE + HOUR, 50 * MINUTE + 2 * HOUR]);
    assert!(stage.view().unverified);
    let json = serde_json::to_value(stage.view()).unwrap();
    assert_eq!(json["unverified"], true);
    stage.step(Input::Verified);
    let json = serde_json::to_value(stage.view()).unwrap();
    assert_eq!(json.get("unverified"), None, "not said of those that are not in doubt");
}

#[test]
fn c9_a_close_ends_everything_as_a_disconnect_does_but_without_an_event() {
    let mut stage = stage();
    stage.hear(&play(1));
    stage.wait(1, kinds(&[CallDisconnected]));
    stage.wait(2, kinds(&[PlayFailed]));
    stage.listen(3, kinds(&[PlayFailed]));
    stage.call.doubt(stage.tick());
    let effects = stage.at(100).step(Input::Close(Cause::Reconciled));
    assert_eq!(
        effects,
        [
            end(1, WaitEnd::CallEnded(reconciled())),
            end(2, WaitEnd::CallEnded(reconciled())),
            close(3, CloseReason::CallEnded),
            Effect::Dropped(DropReason::CallEnded, 1),
            Effect::Over(reconciled()),
        ]
    );
    assert_eq!((stage.wakes_at(), stage.call.waits(), stage.call.backlog()), (None, 0, 0));
    let view = stage.view();
    assert_eq!((view.state, view.ending), (Phase::Disconnected, Some(reconciled())));
    assert!(!view.unverified, "it is certain now");
    let answer = stage.wait(4, kinds(&[CallDisconnected]));
    assert_eq!(answer, [end(4, WaitEnd::CallEnded(reconciled()))]);
    let late = disconnect(2);
    assert_eq!(stage.hear(&late), [count(&late, Fate::Late)]);
    assert_eq!(stage.call.grace_ends(&stage.limits), Some(stage.tick() + stage.limits.tombstone));
}

#[test]
fn c11_after_the_end_no_answer_changes_anything() {
    let mut stage = stage();
    stage.hear(&disconnect(1));
    assert_eq!(stage.step(Input::Close(Cause::Reconciled)), []);
    assert_eq!(stage.step(Input::Verified), []);
    stage.call.doubt(stage.tick());
    assert!(!stage.call.is_unverified());
    assert_eq!(stage.view().ending, Some(disconnected()), "the first ending stays");
    assert_eq!(stage.at(9 * DAY).wake(), [], "and nobody asks any more");
}

/// A million of them live in one process.
#[test]
fn p5_doubt_costs_a_call_one_word() {
    assert!(size_of::<super::super::Call>() <= 248, "{}", size_of::<super::super::Call>());
}
