//! Outcomes of operations (C9, C12, C13, C16).

use std::time::Duration;

use proptest::prelude::*;

use super::super::testing::*;
use super::super::{
    Alive, Conclusion, Condition, Effect, Heard, Input, NewOperation, OperationDeed,
    OperationStatus, OperationView, Which,
};
use crate::pure::operations::{Way, endings, takes_context, way};
use crate::pure::time::Position;
use crate::wire::calling::Operation;
use crate::wire::events::EventKind::{self, *};
use OperationStatus::{CallEnded, Canceled, Failed, Pending, Succeeded, TimedOut};

fn asking(operation: Operation, name: &str) -> NewOperation {
    NewOperation { operation, context: context(name), expects: 1, about: None, unique: false }
}

impl Stage {
    /// Asks for something; `n` is its place in the journal.
    fn begin(&mut self, n: u64, what: NewOperation) -> Vec<Effect> {
        self.told(n, OperationDeed::Begun(what))
    }

    fn ask(&mut self, n: u64, operation: Operation, name: &str) {
        self.begin(n, asking(operation, name));
    }

    fn accept(&mut self, n: u64) -> Vec<Effect> {
        self.told(n, OperationDeed::Accepted(Position(n)))
    }

    fn withdraw(&mut self, n: u64) -> Vec<Effect> {
        self.told(n, OperationDeed::Withdrawn(Position(n)))
    }

    fn told(&mut self, n: u64, deed: OperationDeed) -> Vec<Effect> {
        self.step(Input::Operation { place: Position(n), at_ms: 0, deed })
    }

    fn at_place(&self, n: u64) -> Option<OperationView> {
        self.call.operation(&Which::Place(Position(n)))
    }

    #[track_caller]
    fn status(&self, n: u64) -> OperationStatus {
        self.at_place(n).expect("an operation").status
    }

    fn events_of(&self, n: u64) -> Vec<u64> {
        let view = self.at_place(n).expect("an operation");
        view.events.iter().map(|at| at.0).collect()
    }
}

fn conclusions(effects: &[Effect]) -> Vec<(Operation, OperationStatus)> {
    let over = effects.iter().filter_map(|effect| match effect {
        Effect::Concluded(Conclusion { operation, status, .. }) => Some((*operation, *status)),
        _ => None,
    });
    over.collect()
}

/// An event that may end an operation of that name.
fn ending(n: u64, operation: Operation, kind: &EventKind, name: &str) -> Heard {
    let context = takes_context(operation).then_some(name);
    match operation {
        Operation::ResumeRecording => {
            heard_with(n, kind.clone(), None, r#","recordingId":"r","state":"active""#)
        }
        Operation::PauseRecording | Operation::StopRecording => {
            heard_with(n, kind.clone(), None, r#","recordingId":"r","state":"inactive""#)
        }
        _ => heard(n, kind.clone(), context),
    }
}

#[test]
fn c12_each_event_of_the_table_ends_its_operation() {
    for operation in Operation::ALL.iter().copied() {
        for kind in endings(operation).iter().filter(|_| way(operation) != Way::Gathering) {
            let mut stage = Stage::new();
            stage.ask(1, operation, "mine");
            stage.accept(1);
            let effects = stage.hear(&ending(2, operation, kind, "mine"));
            let expected = match kind {
                PlayCanceled | RecognizeCanceled => Canceled,
                kind if kind.short_name().ends_with("Failed") => Failed,
                _ => Succeeded,
            };
            let label = operation.label();
            assert_eq!(conclusions(&effects), [(operation, expected)], "{label}");
            assert_eq!(stage.events_of(1), [2], "{label}");
            // Once is enough.
            let again = stage.hear(&ending(3, operation, kind, "mine"));
            assert_eq!(conclusions(&again), [], "{label}");
        }
    }
}

#[test]
fn c12_no_other_event_ends_it() {
    for operation in Operation::ALL.iter().copied().filter(|it| way(*it) != Way::Answer) {
        let mut stage = Stage::new();
        stage.ask(1, operation, "mine");
        for (n, kind) in EventKind::KNOWN.iter().enumerate() {
            let n = 2 + n as u64;
            if !endings(operation).contains(kind) && *kind != CallDisconnected {
                stage.hear(&heard(n, kind.clone(), Some("mine")));
            }
            if takes_context(operation) && *kind != CallDisconnected {
                stage.hear(&heard(n + 100, kind.clone(), Some("yours")));
                stage.hear(&heard(n + 200, kind.clone(), None));
            }
        }
        assert_eq!(stage.status(1), Pending, "{}", operation.label());
    }
}

#[test]
fn c12_what_has_no_event_is_over_with_its_answer() {
    for operation in Operation::ALL.iter().copied().filter(|it| way(*it) == Way::Answer) {
        let mut stage = Stage::new();
        let effects = stage.begin(1, asking(operation, "mine"));
        assert_eq!(conclusions(&effects), [(operation, Succeeded)]);
        assert_eq!(stage.status(1), Succeeded);
    }
}

#[test]
fn c12_hold_has_worked_when_no_failure_came_for_a_while_after_the_answer() {
    for operation in [Operation::Hold, Operation::Unhold] {
        let mut stage = Stage::new();
        stage.ask(1, operation, "mine");
        stage.at(10_000).accept(1);
        assert_eq!(stage.wakes_at(), Some(12_000));
        stage.at(11_999).wake();
        assert_eq!(stage.status(1), Pending, "the answer counts, not the request");
        stage.hear(&heard(2, HoldFailed, Some("yours")));
        assert_eq!(conclusions(&stage.at(12_000).wake()), [(operation, Succeeded)]);

        let mut stage = Stage::new();
        stage.ask(1, operation, "mine");
        stage.accept(1);
        stage.at(1_999).hear(&heard(2, HoldFailed, Some("mine")));
        assert_eq!(stage.status(1), Failed);

        let mut stage = Stage::new();
        stage.ask(1, operation, "mine");
        stage.at(4 * MINUTE).wake();
        assert_eq!(stage.status(1), TimedOut, "nobody said that it was accepted");
    }
}

#[test]
fn c12_cancelling_all_collects_what_it_cancelled() {
    let all = Operation::CancelAllMediaOperations;
    let mut stage = Stage::new();
    stage.ask(1, Operation::Play, "song");
    stage.ask(2, all, "made-up");
    stage.hear(&heard(3, PlayCanceled, Some("song")));
    assert_eq!(stage.status(1), Canceled, "its own operation has it, too");
    stage.at(1_000).accept(2);
    stage.at(2_500).hear(&heard(4, RecognizeCanceled, Some("other")));
    stage.hear(&heard(5, PlayCompleted, Some("song")));
    stage.at(4_499).wake();
    assert_eq!(stage.status(2), Pending, "the time counts from the last of them");
    assert_eq!(conclusions(&stage.at(4_500).wake()), [(all, Succeeded)]);
    assert_eq!(stage.events_of(2), [3, 4]);

    let mut stage = Stage::new();
    stage.ask(1, all, "made-up");
    stage.accept(1);
    assert_eq!(conclusions(&stage.at(2_000).wake()), [(all, Succeeded)], "also with none");
}

#[test]
fn c12_moving_several_takes_an_event_of_each() {
    let several = NewOperation { expects: 3, ..asking(Operation::MoveParticipants, "mine") };
    for (last, expected) in [(MoveParticipantSucceeded, Succeeded), (MoveParticipantFailed, Failed)]
    {
        let mut stage = Stage::new();
        stage.begin(1, several.clone());
        stage.hear(&heard(2, MoveParticipantSucceeded, Some("mine")));
        stage.hear(&heard(3, MoveParticipantSucceeded, Some("mine")));
        assert_eq!((stage.status(1), stage.events_of(1)), (Pending, vec![2, 3]));
        stage.hear(&heard(4, last, Some("mine")));
        assert_eq!((stage.status(1), stage.events_of(1)), (expected, vec![2, 3, 4]));
    }
    let mut stage = Stage::new();
    stage.begin(1, several);
    stage.hear(&heard(2, MoveParticipantSucceeded, Some("mine")));
    stage.at(4 * MINUTE).wake();
    assert_eq!((stage.status(1), stage.events_of(1)), (TimedOut, vec![2]), "in part");
}

#[test]
fn c12_recordings_are_told_apart_by_id_and_state_and_then_by_order() {
    let about = |operation, name: &str, id: &str| NewOperation {
        about: Some(id.to_owned()),
        ..asking(operation, name)
    };
    let state = |n, id: &str, state: &str| {
        let members = format!(r#","recordingId":"{id}","state":"{state}""#);
        heard_with(n, RecordingStateChanged, None, &members)
    };
    let mut stage = Stage::new();
    stage.begin(1, about(Operation::PauseRecording, "a", "one"));
    stage.begin(2, about(Operation::StopRecording, "b", "two"));
    stage.begin(3, about(Operation::ResumeRecording, "c", "one"));
    stage.begin(4, about(Operation::PauseRecording, "d", "one"));
    stage.hear(&state(5, "one", "active"));
    assert_eq!([1, 2, 3, 4].map(|n| stage.status(n)), [Pending, Pending, Succeeded, Pending]);
    stage.hear(&state(6, "two", "inactive"));
    assert_eq!([1, 2, 4].map(|n| stage.status(n)), [Pending, Succeeded, Pending]);
    stage.hear(&state(7, "one", "inactive"));
    assert_eq!([1, 4].map(|n| stage.status(n)), [Succeeded, Pending], "the oldest first");
}

#[test]
fn c13_a_request_that_fails_takes_its_operation_with_it() {
    let mut stage = Stage::new();
    stage.claim();
    stage.ask(1, Operation::Play, "mine");
    stage.withdraw(1);
    assert!(stage.at_place(1).is_none());
    let effects = stage.hear(&heard(2, PlayCompleted, Some("mine")));
    assert_eq!(conclusions(&effects), []);
    assert!(stage.call.operation(&Which::Context(context("mine"))).is_none());
}

#[test]
fn c13_an_event_that_outruns_the_answer_ends_its_operation() {
    let mut stage = Stage::new();
    stage.ask(1, Operation::Play, "mine");
    stage.hear(&heard(2, PlayCompleted, Some("mine")));
    stage.accept(1);
    assert_eq!(stage.status(1), Succeeded);
    // A call has no id before the answer: whatever came of it until then counts.
    let mut stage = Stage::new();
    stage.hear(&heard(1, CallConnected, Some("mine")));
    let create = NewOperation { unique: true, ..asking(Operation::CreateCall, "mine") };
    assert_eq!(conclusions(&stage.begin(2, create.clone())), [(Operation::CreateCall, Succeeded)]);
    assert_eq!(stage.events_of(2), [1]);
    assert_eq!(stage.begin(3, create), [], "a repeat of the request is the same operation");
    assert!(stage.at_place(3).is_none());
    assert!(!stage.at_place(2).is_some_and(|view| view.ambiguous_context));
    // What the caller may have used before does not look back.
    stage.hear(&heard(4, PlayCompleted, Some("again")));
    stage.ask(5, Operation::Play, "again");
    assert_eq!(stage.status(5), Pending);
}

#[test]
fn c13_a_line_that_the_snapshot_knows_asks_for_nothing_again() {
    let mut stage = Stage::new();
    stage.ask(5, Operation::Play, "mine");
    stage.hear(&heard(6, PlayCompleted, Some("mine")));
    stage.ask(7, Operation::Play, "refused");
    stage.withdraw(7);
    for n in [5, 7] {
        assert_eq!(stage.begin(n, asking(Operation::Play, "mine")), []);
    }
    let all = stage.call.operation_views();
    assert_eq!(
        all.iter().map(|view| (view.of.0, view.status)).collect::<Vec<_>>(),
        [(5, Succeeded)]
    );
}

#[test]
fn c4_who_reuses_a_context_gets_the_events_in_order_and_is_told() {
    let mut stage = Stage::new();
    stage.ask(1, Operation::Play, "same");
    stage.ask(2, Operation::Play, "same");
    stage.ask(3, Operation::Recognize, "same");
    stage.ask(4, Operation::Play, "other");
    stage.hear(&heard(5, PlayFailed, Some("same")));
    assert_eq!([1, 2, 3, 4].map(|n| stage.status(n)), [Failed, Pending, Pending, Pending]);
    stage.hear(&heard(6, PlayCompleted, Some("same")));
    assert_eq!([1, 2, 3, 4].map(|n| stage.status(n)), [Failed, Succeeded, Pending, Pending]);
    let ambiguous = |n| stage.at_place(n).is_some_and(|view| view.ambiguous_context);
    assert_eq!([1, 2, 3, 4].map(ambiguous), [true, true, false, false]);
    // One after the other is no trouble: the last is meant.
    stage.ask(7, Operation::Play, "same");
    assert!(!stage.at_place(7).expect("here").ambiguous_context);
    let last = stage.call.operation(&Which::Context(context("same"))).expect("here");
    assert_eq!((last.of.0, last.status), (7, Pending));
}

#[test]
fn c9_disconnect_ends_every_operation() {
    let mut stage = Stage::new();
    stage.ask(1, Operation::Play, "mine");
    stage.ask(2, Operation::HangUpCall, "made-up");
    stage.ask(3, Operation::CancelAllMediaOperations, "too");
    stage.accept(3);
    stage.ask(4, Operation::Hold, "hold");
    stage.accept(4);
    stage.ask(5, Operation::MuteParticipants, "mute");
    stage.hear(&disconnect(6));
    let expected = [CallEnded, Succeeded, Succeeded, CallEnded, Succeeded];
    assert_eq!([1, 2, 3, 4, 5].map(|n| stage.status(n)), expected);
    let ended = stage.at_place(1).expect("here");
    assert_eq!(ended.ending, Some(disconnected()), "with its codes");
    assert_eq!(stage.events_of(2), [6]);
    // What is asked of a call that has ended is over at once.
    stage.ask(7, Operation::Play, "after");
    assert_eq!(stage.status(7), CallEnded);
}

#[test]
fn c10_an_event_after_the_end_corrects_what_had_been_given_up() {
    let mut stage = Stage::new();
    stage.ask(1, Operation::TransferToParticipant, "mine");
    stage.hear(&disconnect(2));
    let late = heard(3, CallTransferAccepted, Some("mine"));
    let effects = stage.hear(&late);
    assert_eq!(conclusions(&effects), [(Operation::TransferToParticipant, Succeeded)]);
    assert!(stage.at_place(1).is_some_and(|view| view.late && view.ending.is_none()));
    assert_eq!(conclusions(&stage.hear(&again(&late, 4))), [], "a repeat has no effect");
}

#[test]
fn c10_a_failure_corrects_what_only_silence_spoke_for() {
    let mut stage = Stage::new();
    stage.ask(1, Operation::Hold, "mine");
    stage.accept(1);
    assert_eq!(conclusions(&stage.at(2_000).wake()), [(Operation::Hold, Succeeded)]);
    let failed = stage.at(9_000).hear(&heard(2, HoldFailed, Some("mine")));
    assert_eq!(conclusions(&failed), [(Operation::Hold, Failed)]);
    assert!(stage.at_place(1).is_some_and(|view| view.late));
    // The same context again: what was done before is over, and the next failure is the new one's.
    stage.ask(3, Operation::Hold, "again");
    stage.accept(3);
    stage.at(12_000).wake();
    stage.ask(4, Operation::Unhold, "again");
    stage.hear(&heard(5, HoldFailed, Some("again")));
    assert_eq!([3, 4].map(|n| stage.status(n)), [Succeeded, Failed]);
    assert!(!stage.at_place(4).is_some_and(|view| view.ambiguous_context));
}

#[test]
fn c12_an_invitation_that_is_withdrawn_is_over() {
    let withdrawn = |n, id: &str| {
        let invitation = format!(r#","invitationId":"{id}""#);
        heard_with(n, CancelAddParticipantSucceeded, Some("cancel"), &invitation)
    };
    let mut stage = Stage::new();
    for (n, name, invitation) in [(1, "a", "one"), (2, "b", "two")] {
        stage.ask(n, Operation::AddParticipant, name);
        stage.told(n + 10, OperationDeed::Named(Position(n), invitation.to_owned()));
    }
    stage.ask(3, Operation::CancelAddParticipant, "cancel");
    let over = stage.hear(&withdrawn(20, "two"));
    assert_eq!(
        conclusions(&over),
        [(Operation::AddParticipant, Canceled), (Operation::CancelAddParticipant, Succeeded)]
    );
    assert_eq!((stage.status(1), stage.events_of(2)), (Pending, vec![20]));
    // Azure may say more of it, or not.
    let failed = stage.hear(&heard(21, AddParticipantFailed, Some("b")));
    assert_eq!((conclusions(&failed), stage.status(2)), (vec![], Canceled));
    stage.hear(&heard(22, AddParticipantFailed, Some("a")));
    assert_eq!(conclusions(&stage.hear(&withdrawn(23, "one"))), []);
    assert_eq!(stage.status(1), Failed, "what is over stays over");
}

#[test]
fn c16_an_operation_that_timed_out_says_what_came_instead() {
    let mut stage = Stage::new();
    stage.hear(&heard(1, PlayCompleted, Some("before")));
    stage.ask(2, Operation::Play, "mine");
    stage.accept(2);
    stage.hear(&heard(3, PlayStarted, Some("mine")));
    stage.hear(&heard(4, PlayCompleted, Some("yours")));
    stage.hear(&roster(5, Some(1), 2));
    assert_eq!(conclusions(&stage.at(4 * MINUTE).wake()), [(Operation::Play, TimedOut)]);
    let diagnosis = stage.at_place(2).and_then(|view| view.diagnosis).expect("a diagnosis");
    let missed: Vec<_> =
        diagnosis.near_misses.iter().map(|miss| (miss.position.0, miss.failed)).collect();
    assert_eq!(missed, [(3, Condition::Types), (4, Condition::OperationContext)]);
    let since = diagnosis.diagnosis;
    assert_eq!((since.events_since, since.last_event), (3, Some(ParticipantsUpdated)));
    assert!(since.advice.contains("nearMisses"), "{}", since.advice);
    // Late is better than never.
    stage.at(5 * MINUTE).hear(&heard(6, PlayCompleted, Some("mine")));
    let view = stage.at_place(2).expect("here");
    assert_eq!((view.status, view.late), (Succeeded, true));
    assert!(view.diagnosis.is_none(), "it is over for good");
}

#[test]
fn c16_of_a_silent_call_it_is_asked_whether_it_lives() {
    let asked = super::super::Limits::default();
    let mut stage = Stage::with(asked);
    stage.claim();
    stage.ask(1, Operation::Play, "mine");
    stage.accept(1);
    let alive = |stage: &Stage| {
        let since = stage.at_place(1).and_then(|view| view.diagnosis).expect("a diagnosis");
        (since.diagnosis.call, since.diagnosis.advice)
    };
    assert_eq!(alive(&stage).0, Alive::Alive);
    let effects = stage.at(4 * MINUTE).wake();
    assert!(effects.contains(&Effect::Verify), "{effects:?}");
    let (call, advice) = alive(&stage);
    assert_eq!(call, Alive::Unverified);
    assert!(advice.contains("callback URL"), "{advice}");
    stage.step(Input::Verified);
    assert_eq!(alive(&stage).0, Alive::Alive);
    stage.step(Input::Close(super::super::Cause::Reconciled));
    assert_eq!((stage.status(1), alive(&stage).0), (TimedOut, Alive::Ended));
}

#[test]
fn c15_operations_have_a_limit() {
    let mut stage = Stage::with(super::super::Limits { operations: 2, ..limits() });
    stage.ask(1, Operation::Play, "a");
    stage.ask(2, Operation::Play, "b");
    assert!(!stage.call.has_room_for_operation(&stage.limits));
    stage.ask(3, Operation::Play, "c");
    assert!(stage.at_place(3).is_none(), "nothing that is under way leaves");
    stage.hear(&heard(4, PlayCompleted, Some("b")));
    assert!(stage.call.has_room_for_operation(&stage.limits));
    stage.ask(5, Operation::Play, "d");
    assert!(stage.at_place(2).is_none(), "what is over does");
    assert_eq!([1, 5].map(|n| stage.status(n)), [Pending, Pending]);
}

#[test]
fn c11_what_is_asked_of_an_unknown_call_makes_it_known_when_azure_accepts() {
    let mut stage = Stage::new();
    stage.ask(1, Operation::Play, "mine");
    assert!(stage.withdraw(1).contains(&Effect::Forget));
    let mut stage = Stage::new();
    stage.ask(1, Operation::Play, "mine");
    stage.accept(1);
    let effects = stage.hear(&heard(2, PlayCompleted, Some("mine")));
    assert!(!effects.contains(&Effect::Forget));
}

#[test]
fn c7_operations_take_nothing_from_those_who_wait() {
    let mut stage = Stage::new();
    stage.ask(1, Operation::Play, "mine");
    let event = heard(2, PlayCompleted, Some("mine"));
    let effects = stage.hear(&event);
    assert_eq!(conclusions(&effects), [(Operation::Play, Succeeded)]);
    let told = stage.wait(1, kinds(&[PlayCompleted]).context(context("mine")));
    assert_eq!(told, [tell(1, &event)], "the backlog still has it");
}

/// Operations of the property: each with its events, in any order, lost or repeated.
const PLAYED: [Operation; 6] = [
    Operation::Play,
    Operation::Recognize,
    Operation::AddParticipant,
    Operation::SendDtmfTones,
    Operation::Hold,
    Operation::CancelAllMediaOperations,
];

proptest! {
    /// Whatever happens to the events: every operation ends once, and at the latest with the call.
    #[test]
    fn c9_every_operation_ends_once_and_with_the_call_at_the_latest(
        events in proptest::collection::vec((0_usize..6, 0_usize..3, 0_u64..100_000), 0..40),
        accepted in proptest::array::uniform6(proptest::bool::ANY),
    ) {
        let mut stage = Stage::new();
        for (n, operation) in PLAYED.iter().enumerate() {
            stage.ask(1 + n as u64, *operation, &format!("op{n}"));
        }
        let mut ended = [0; 6];
        let mut count = |effects: Vec<Effect>| {
            for effect in effects {
                if let Effect::Concluded(over) = effect && !over.late {
                    ended[usize::try_from(over.of.0 - 1).expect("small")] += 1;
                }
            }
        };
        for (n, accepted) in accepted.iter().enumerate() {
            if *accepted {
                count(stage.accept(1 + n as u64));
            }
        }
        let mut events = events;
        events.sort_by_key(|(.., at)| *at);
        for (n, (which, kind, at)) in events.iter().enumerate() {
            let kinds = endings(PLAYED[*which]);
            let kind = &kinds[kind % kinds.len()];
            // Some of them are repeats of others.
            let id = 100 + (n as u64 / 2);
            let event = heard(id, kind.clone(), Some(&format!("op{which}")));
            count(stage.at(*at).hear(&event));
        }
        count(stage.at(200_000).hear(&disconnect(1_000)));
        prop_assert_eq!(ended, [1; 6]);
        for n in 1..=6 {
            prop_assert_ne!(stage.status(n), Pending);
        }
    }

    /// A call that is written down and read again goes on as if nothing had been.
    #[test]
    fn c13_operations_survive_being_written_down(
        cut in 0_usize..7,
        kinds in proptest::collection::vec(0_usize..3, 7),
    ) {
        let events = |stage: &mut Stage, range: std::ops::Range<usize>| {
            for n in range {
                let operation = PLAYED[n % 6];
                let of = endings(operation);
                let kind = of[kinds[n] % of.len()].clone();
                stage.hear(&heard(100 + n as u64, kind, Some(&format!("op{}", n % 6))));
            }
        };
        let ask = |stage: &mut Stage| {
            for (n, operation) in PLAYED.iter().enumerate() {
                stage.ask(1 + n as u64, *operation, &format!("op{n}"));
            }
            stage.accept(5);
        };
        let views = |stage: &Stage| {
            serde_json::to_value(stage.call.operation_views()).expect("JSON")
        };
        let (mut whole, mut cut_up) = (Stage::new(), Stage::new());
        ask(&mut whole);
        events(&mut whole, 0..7);
        ask(&mut cut_up);
        events(&mut cut_up, 0..cut);
        let moment = crate::pure::time::Moment {
            tick: cut_up.tick(),
            wall: jiff::Timestamp::UNIX_EPOCH,
        };
        let text = cut_up.call.snapshot(moment);
        cut_up.call = super::super::Call::from_snapshot(&text, moment, &cut_up.limits).expect("good");
        events(&mut cut_up, cut..7);
        for stage in [&mut whole, &mut cut_up] {
            stage.at(10_000).wake();
        }
        prop_assert_eq!(views(&whole), views(&cut_up));
    }
}

#[test]
fn an_operation_times_out_at_its_own_time() {
    let mut stage = Stage::new();
    stage.ask(1, Operation::Play, "mine");
    assert_eq!(stage.wakes_at(), Some(4 * MINUTE));
    stage.limits.operation_patience = Duration::from_secs(1);
    assert_eq!(stage.wakes_at(), Some(SECOND));
    assert_eq!(conclusions(&stage.at(SECOND - 1).wake()), []);
    assert_eq!(conclusions(&stage.at(SECOND).wake()), [(Operation::Play, TimedOut)]);
}
