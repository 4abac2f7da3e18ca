//! Calls that end without saying so, and calls that never were (C11).

use super::super::testing::*;
use super::super::{Cause, Effect, Ending, Fate, Input, Limits, Phase, WaitEnd, Wants};
use crate::wire::events::EventKind::*;

fn over(cause: Cause) -> Effect {
    Effect::Over(Ending { cause, code: None, sub_code: None })
}

#[test]
fn c11_a_call_that_is_silent_for_a_day_is_given_up() {
    let mut stage = Stage::new();
    stage.hear(&heard(1, CallConnected, None));
    stage.at(1_000).hear(&play(2));
    assert_eq!(stage.at(1_000 + DAY - 1).wake(), [expired(2)]);
    assert_eq!(stage.wakes_at(), Some(1_000 + DAY));
    assert_eq!(stage.at(1_000 + DAY).wake(), [over(Cause::Silent)]);
    assert_eq!((stage.call.phase(), stage.wakes_at()), (Phase::Disconnected, None));
    let late = play(3);
    assert_eq!(stage.hear(&late), [count(&late, Fate::Late)]);
    let ended = Ending { cause: Cause::Silent, code: None, sub_code: None };
    let effects = stage.wait(1, kinds(&[CallDisconnected]));
    assert_eq!(effects, [end(1, WaitEnd::CallEnded(ended))], "there is no disconnect to tell");
}

#[test]
fn c11_a_claim_a_wait_and_a_subscription_break_the_silence() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    stage.at(10).claim();
    assert_eq!(stage.wakes_at(), Some(5_000), "the backlog's alarm comes first");
    stage.at(5_000).wake();
    assert_eq!(stage.wakes_at(), Some(10 + DAY));
    stage.at(6_000).poll(1, Wants::any());
    assert_eq!(stage.wakes_at(), Some(6_000 + DAY));
    stage.at(7_000).listen(1, Wants::any());
    assert_eq!(stage.wakes_at(), None);
    stage.at(7_001).detach(1);
    assert_eq!(stage.wakes_at(), Some(7_001 + DAY));
}

/// A call to which somebody attends for three days; then `leave`.
#[track_caller]
fn check(attend: impl Fn(&mut Stage), leave: impl Fn(&mut Stage)) {
    let mut stage = Stage::new();
    stage.claim();
    attend(&mut stage);
    assert_eq!(stage.at(2 * DAY).wake(), [], "attended");
    leave(stage.at(3 * DAY));
    assert_eq!(stage.wakes_at(), Some(4 * DAY), "silence begins when the last one leaves");
    assert_eq!(stage.at(4 * DAY - 1).wake(), []);
    assert_eq!(stage.at(4 * DAY).wake(), [over(Cause::Silent)]);
}

#[test]
fn c11_a_call_is_not_given_up_while_somebody_waits_or_listens() {
    let wait = |stage: &mut Stage| assert_eq!(stage.wait_for(1, Wants::any(), 3 * DAY), []);
    let listen = |stage: &mut Stage| assert_eq!(stage.listen(1, Wants::any()), []);
    check(wait, |stage| assert_eq!(stage.wake(), [timed_out(1)]));
    check(
        |stage| assert_eq!(stage.wait_for(1, Wants::any(), 9 * DAY), []),
        |stage| assert_eq!(stage.cancel(1), [end(1, WaitEnd::Cancelled)]),
    );
    check(
        |stage| assert_eq!(stage.wait_for(1, Wants::any(), 9 * DAY), []),
        |stage| assert_eq!(stage.retime(1, DAY), [timed_out(1)]),
    );
    check(listen, |stage| assert_eq!(stage.detach(1), []));
    check(listen, |stage| assert_eq!(stage.step(Input::Shutdown).len(), 1));
}

#[test]
fn c11_a_failed_setup_ends_after_a_minute() {
    let mut stage = Stage::new();
    stage.hear(&heard(1, CreateCallFailed, None));
    assert_eq!(stage.at(MINUTE - 1).wake(), [expired(1)]);
    assert_eq!(stage.at(MINUTE).wake(), [over(Cause::SetupFailed)]);
}

#[test]
fn c11_a_failed_setup_does_not_end_while_somebody_waits() {
    let mut stage = Stage::new();
    stage.hear(&heard(1, AnswerFailed, None));
    stage.at(MINUTE - 1).wait_for(1, kinds(&[CallDisconnected]), 3 * MINUTE + 1);
    assert_eq!(stage.at(2 * MINUTE).wake(), []);
    assert_eq!(stage.at(4 * MINUTE).wake(), [timed_out(1)]);
    assert_eq!(stage.at(5 * MINUTE - 1).wake(), []);
    assert_eq!(stage.at(5 * MINUTE).wake(), [over(Cause::SetupFailed)]);
}

#[test]
fn c11_a_call_known_only_from_waits_is_forgotten_with_the_last_one() {
    let mut stage = Stage::new();
    stage.wait_for(1, Wants::any(), 1_000);
    stage.wait(2, Wants::any());
    stage.listen(1, Wants::any());
    assert_eq!(stage.at(1_000).wake(), [timed_out(1)]);
    assert_eq!(stage.cancel(2), [end(2, WaitEnd::Cancelled)]);
    assert_eq!(stage.detach(1), [Effect::Forget]);

    let mut stage = Stage::new();
    assert_eq!(stage.poll(1, Wants::any()), [timed_out(1), Effect::Forget]);
    stage.wait_for(2, Wants::any(), 1_000);
    assert_eq!(stage.at(1_000).wake(), [timed_out(2), Effect::Forget]);
    stage.wait(3, Wants::any());
    assert_eq!(stage.cancel(3), [end(3, WaitEnd::Cancelled), Effect::Forget]);
    stage.wait(4, Wants::any());
    assert_eq!(stage.retime(4, 0), [timed_out(4), Effect::Forget]);
}

#[test]
fn c11_a_call_known_only_from_a_refused_wait_is_forgotten() {
    let mut stage = Stage::with(Limits { waiters: 0, subscriptions: 0, ..limits() });
    assert_eq!(stage.wait(1, Wants::any()), [end(1, WaitEnd::Refused), Effect::Forget]);
    let refused = close(1, super::super::CloseReason::Refused);
    assert_eq!(stage.listen(1, Wants::any()), [refused, Effect::Forget]);
}

#[test]
fn c11_a_call_that_was_claimed_or_heard_of_is_not_forgotten() {
    let mut claimed = Stage::new();
    claimed.claim();
    assert_eq!(claimed.poll(1, Wants::any()), [timed_out(1)]);
    let mut heard_of = Stage::new();
    heard_of.wait(1, Wants::any());
    heard_of.hear(&play(1));
    assert_eq!(heard_of.poll(2, Wants::any()), [timed_out(2)]);
}

/// The alarm may be a little late: what comes with the step that ends the last wait still counts.
#[test]
fn c11_a_call_is_not_forgotten_when_the_step_that_ends_its_last_wait_makes_it_known() {
    let waiting = || {
        let mut stage = Stage::new();
        stage.wait_for(1, Wants::any(), 1_000);
        stage.at(1_001);
        stage
    };
    let event = heard(1, CallConnected, None);
    assert_eq!(waiting().hear(&event), [timed_out(1), count(&event, Fate::Kept)]);
    assert_eq!(waiting().claim(), [timed_out(1)]);
    assert_eq!(waiting().wait(2, Wants::any()), [timed_out(1)]);
    assert_eq!(waiting().listen(1, Wants::any()), [timed_out(1)]);
    assert_eq!(waiting().cancel(1), [timed_out(1), Effect::Forget], "and told once");
}

#[test]
fn c11_the_first_names_of_a_call_are_its_names() {
    use crate::pure::call::Identity;
    use crate::wire::identifiers::{CorrelationId, ServerCallId};
    let mut stage = Stage::new();
    let server_call = Some(ServerCallId::new("claimed"));
    stage.step(Input::Claim(Identity { server_call: server_call.clone(), correlation: None }));
    stage.hear(&play(1));
    let names = Identity { server_call, correlation: Some(CorrelationId::new("k")) };
    assert_eq!(stage.call.identity(), &names);
    stage.hear(&disconnect(2));
    assert_eq!(stage.call.identity(), &names, "also after the end");
}
