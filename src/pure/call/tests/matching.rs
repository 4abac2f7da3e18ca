//! What is an event, and whose is it: C2 to C5, and the roster (C14).

use super::super::testing::*;
use super::super::{Fate, Kinds, Phase, Wants};
use crate::pure::time::Position;
use crate::wire::events::EventKind::{self, *};

#[test]
fn c2_a_repeat_is_counted_and_does_nothing() {
    let mut stage = Stage::new();
    stage.listen(1, Wants::any());
    let event = play(1);
    assert_eq!(stage.hear(&event), [inform(1, &event), count(&event, Fate::ToldOngoing)]);
    assert_eq!(stage.wait(1, Wants::any()), [tell(1, &event)]);
    stage.wait(2, Wants::any());
    let before = stage.wakes_at();
    let repeat = again(&event, 2);
    assert_eq!(stage.hear(&repeat), [count(&repeat, Fate::Repeated)]);
    assert_eq!(stage.view().waits.len(), 1, "the standing wait goes on");
    assert_eq!((stage.call.backlog(), stage.wakes_at()), (0, before));
    assert_eq!(stage.fates(), [Fate::ToldOngoing], "the timeline has one line");
}

#[test]
fn c2_the_same_id_from_another_source_is_another_event() {
    let mut stage = Stage::new();
    let first = play(1);
    stage.hear(&first);
    let json = first.event.raw.replace("callConnections/c", "callConnections/other");
    let event = crate::wire::events::CallEvent::parse(&json).expect("a good event");
    let other = super::super::Heard { event: event.into(), ..again(&first, 2) };
    assert_eq!(stage.hear(&other), [count(&other, Fate::Kept)]);
}

#[test]
fn c2_a_repeat_does_not_renew_the_patience_with_a_silent_call() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    stage.at(DAY / 2).hear(&again(&play(1), 2));
    assert_eq!(stage.wakes_at(), Some(DAY));
}

#[test]
fn c2_a_repeat_of_an_event_of_the_living_call_is_still_a_repeat_after_the_end() {
    let mut stage = Stage::new();
    stage.hear(&play(1));
    stage.hear(&disconnect(2));
    for event in [again(&play(1), 3), again(&disconnect(2), 4)] {
        assert_eq!(stage.hear(&event), [count(&event, Fate::Repeated)]);
    }
    assert_eq!(stage.fates().len(), 2, "a repeat adds no line");
}

#[test]
fn c3_unknown_types_reach_waits_by_name() {
    let strange = EventKind::parse("Microsoft.Communication.HoldAudioStarted");
    let stranger = EventKind::parse("Contoso.HoldAudioStarted");
    let mut stage = Stage::new();
    stage.wait(1, kinds(std::slice::from_ref(&strange)));
    stage.wait(2, kinds(std::slice::from_ref(&stranger)));
    stage.wait(3, kinds(&[PlayCompleted, strange.clone(), strange.clone()]));
    stage.wait(4, kinds(EventKind::KNOWN));
    let event = heard(1, strange.clone(), None);
    assert_eq!(
        stage.hear(&event),
        [tell(1, &event), tell(3, &event), count(&event, Fate::Matched)]
    );
    assert_eq!(stage.call.waits(), 2);
    let entry = stage.call.timeline().entries().next().map(|entry| entry.kind.clone());
    assert_eq!(entry, Some(strange), "it stands on the timeline under its own name");
    assert_eq!(stage.call.phase(), Phase::Connecting);
}

#[test]
fn c3_a_wait_for_anything_takes_an_unknown_type_too() {
    let mut stage = Stage::new();
    stage.wait(1, Wants::any());
    let event = heard(1, EventKind::parse("Brand.New"), Some("op"));
    assert_eq!(stage.hear(&event), [tell(1, &event), count(&event, Fate::Matched)]);
}

/// Whether a wait takes an event: when it stands before the event, and when it comes after.
#[track_caller]
fn check(wants: Wants, event: &super::super::Heard, matches: bool) {
    let mut early = Stage::new();
    early.wait(1, wants.clone());
    let told = early.hear(event).contains(&tell(1, event));
    assert_eq!(told, matches, "a standing wait");
    let mut late = Stage::new();
    late.hear(event);
    assert_eq!(late.wait(1, wants) == [tell(1, event)], matches, "a late wait");
}

#[test]
fn c4_a_wait_with_a_context_matches_that_context_only() {
    let wants = || kinds(&[PlayCompleted]).context(context("mine"));
    check(wants(), &heard(1, PlayCompleted, Some("mine")), true);
    check(wants(), &heard(1, PlayCompleted, Some("yours")), false);
    check(wants(), &heard(1, PlayCompleted, Some("MINE")), false);
    check(wants(), &heard(1, PlayCompleted, Some("")), false);
    check(wants(), &heard(1, PlayCompleted, None), false);
    check(Wants::any().context(context("mine")), &heard(1, PlayCompleted, Some("yours")), false);
    check(Wants::any().context(context("mine")), &heard(1, PlayCompleted, None), false);
    check(Wants::any().context(context("mine")), &heard(1, PlayCompleted, Some("mine")), true);
}

#[test]
fn c4_a_wait_without_a_context_takes_any() {
    check(kinds(&[PlayCompleted]), &heard(1, PlayCompleted, Some("yours")), true);
    check(kinds(&[PlayCompleted]), &heard(1, PlayCompleted, None), true);
}

#[test]
fn c4_types_context_and_filter_must_all_hold() {
    let wants = || kinds(&[PlayCompleted, PlayFailed]).context(context("a")).filter(only("red"));
    check(wants(), &coloured(1, PlayFailed, Some("a"), "red"), true);
    check(wants(), &coloured(1, PlayCanceled, Some("a"), "red"), false);
    check(wants(), &coloured(1, PlayFailed, Some("b"), "red"), false);
    check(wants(), &coloured(1, PlayFailed, Some("a"), "blue"), false);
    check(wants(), &heard(1, PlayFailed, Some("a")), false);
}

#[test]
fn c4_no_types_at_all_is_not_any_type() {
    check(kinds(&[]), &play(1), false);
    assert!(!kinds(&[]).kinds.is_any());
}

#[test]
fn c4_every_known_type_matches_itself_and_nothing_else() {
    for kind in EventKind::KNOWN {
        let these = Kinds::these([kind]);
        let had: Vec<_> = EventKind::KNOWN.iter().filter(|other| these.has(other)).collect();
        assert_eq!(had, [kind]);
        assert_eq!(these.iter().collect::<Vec<_>>(), [kind]);
        check(kinds(std::slice::from_ref(kind)), &heard(1, kind.clone(), None), true);
    }
}

#[test]
fn c5_all_pending_waiters_get_it_in_order_of_registration() {
    let mut stage = Stage::new();
    stage.wait(3, kinds(&[PlayCompleted]).context(context("op")));
    stage.wait(4, Wants::any());
    stage.wait(5, kinds(&[PlayFailed]));
    stage.wait(6, Wants::any().context(context("op")));
    stage.wait(7, kinds(&[PlayFailed, PlayCompleted]));
    let event = heard(1, PlayCompleted, Some("op"));
    let told = [3, 4, 6, 7].map(|id| tell(id, &event));
    assert_eq!(stage.hear(&event), [&told[..], &[count(&event, Fate::Matched)]].concat());
    let left: Vec<_> = stage.view().waits.iter().map(|wait| wait.id.0).collect();
    assert_eq!(left, [5]);
    let next = heard(2, PlayCompleted, Some("op"));
    assert_eq!(stage.hear(&next), [count(&next, Fate::Kept)], "a waiter is told once");
}

/// A thousand waits of every sort, some of them cancelled again: the index must find exactly those
/// that asking each of them would find.
#[test]
fn c5_the_index_agrees_with_brute_force_for_a_thousand_waits() {
    let types: Vec<_> = EventKind::KNOWN.iter().cloned().chain(strangers()).collect();
    let texts = ["a", "b", "c", "d"];
    let mut stage = Stage::new();
    let mut standing = Vec::new();
    for id in 0..1000_usize {
        let mut wants = match id % 5 {
            0 => Wants::any(),
            _ => kinds(&[0, 7, 19].map(|step| types[(id + step * (id % 3)) % types.len()].clone())),
        };
        if id % 7 > 2 {
            wants = wants.context(context(texts[id % texts.len()]));
        }
        stage.wait(id as u64, wants.clone());
        standing.push((id as u64, wants));
    }
    for id in (0..1000).step_by(11) {
        stage.cancel(id);
        standing.retain(|(other, _)| *other != id);
    }
    for n in 0..200 {
        let context = texts.get(n % 5).copied();
        let event = heard(n as u64 + 1, types[n * 13 % types.len()].clone(), context);
        if event.event.kind == CallDisconnected {
            continue;
        }
        let (wanted, rest): (Vec<_>, Vec<_>) =
            standing.into_iter().partition(|(_, wants)| wants.matches(&event));
        let fate = if wanted.is_empty() { Fate::Kept } else { Fate::Matched };
        let told = wanted.into_iter().map(|(id, _)| tell(id, &event));
        assert_eq!(stage.hear(&event), told.chain([count(&event, fate)]).collect::<Vec<_>>());
        standing = rest;
    }
    let left: Vec<_> = standing.iter().map(|(id, _)| *id).collect();
    assert_eq!(stage.view().waits.iter().map(|wait| wait.id.0).collect::<Vec<_>>(), left);
    assert!(!left.is_empty() && left.len() < 500, "the script must take some and leave some");
}

fn strangers() -> impl Iterator<Item = EventKind> {
    ["Contoso.One", "Contoso.Two", "Microsoft.Communication.Three"]
        .into_iter()
        .map(EventKind::parse)
}

#[test]
fn c14_a_stale_roster_is_marked_and_changes_nothing() {
    let mut stage = Stage::new();
    let people = |stage: &Stage| stage.view().participants.len();
    stage.hear(&roster(1, Some(5), 3));
    assert_eq!(people(&stage), 3);
    stage.wait_on(1, Wants::any(), MINUTE);
    let stale = roster(2, Some(4), 1);
    assert_eq!(
        stage.hear(&stale),
        [tell(1, &stale), count(&stale, Fate::Matched)],
        "stale for the roster, but an event like any other"
    );
    assert_eq!(people(&stage), 3);
    stage.hear(&roster(3, Some(5), 2));
    assert_eq!(people(&stage), 2, "an equal number applies");
    stage.hear(&roster(4, None, 4));
    assert_eq!(people(&stage), 4, "no number applies");
    stage.hear(&roster(5, Some(4), 1));
    assert_eq!(people(&stage), 4, "and does not forget the number seen before it");
    stage.hear(&roster(6, Some(6), 0));
    assert_eq!(people(&stage), 0);
    let stale: Vec<_> = stage.call.timeline().entries().map(|entry| entry.stale).collect();
    assert_eq!(stale, [false, true, false, false, true, false]);
}

#[test]
fn c14_the_last_roster_stays_in_the_ended_record() {
    let mut stage = Stage::new();
    stage.hear(&roster(1, Some(1), 2));
    stage.hear(&disconnect(2));
    stage.hear(&roster(3, Some(9), 5));
    assert_eq!(stage.view().participants.len(), 2);
}

#[test]
fn the_phase_follows_the_events_that_set_a_call_up() {
    #[track_caller]
    fn check(said: &[EventKind], phase: Phase) {
        let mut stage = Stage::new();
        for (n, kind) in said.iter().enumerate() {
            stage.hear(&heard(n as u64 + 1, kind.clone(), None));
        }
        assert_eq!(stage.call.phase(), phase, "{said:?}");
        assert_eq!(stage.view().state, phase);
    }
    check(&[], Phase::Connecting);
    check(&[PlayCompleted, ParticipantsUpdated], Phase::Connecting);
    check(&[CallConnected], Phase::Connected);
    for failed in [CreateCallFailed, AnswerFailed, ConnectFailed] {
        check(std::slice::from_ref(&failed), Phase::Failed);
        check(&[CallConnected, failed.clone()], Phase::Connected);
        check(&[failed.clone(), PlayFailed], Phase::Failed);
        check(&[failed.clone(), CallConnected], Phase::Connected);
        check(&[failed, CallDisconnected], Phase::Disconnected);
    }
    check(&[CallDisconnected, CallConnected], Phase::Disconnected);
}

#[test]
fn a_timeline_is_read_on_from_a_cursor() {
    let mut stage = Stage::new();
    for n in [2, 4, 6] {
        stage.hear(&play(n));
    }
    let after = |cursor| {
        let entries = stage.call.timeline().after(Position(cursor));
        entries.map(|entry| entry.position.0).collect::<Vec<_>>()
    };
    assert_eq!(after(0), [2, 4, 6]);
    assert_eq!(after(3), [4, 6]);
    assert_eq!(after(4), [6]);
    assert!(after(6).is_empty());
}
