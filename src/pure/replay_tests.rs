use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::pure::call::{
    CallView, Ending, Fate, NewOperation, OperationDeed, OperationStatus, Phase, WaiterId, Wants,
};
use crate::pure::time::Position;
use crate::wire::calling::Operation;
use crate::wire::events::{CallEvent, EventKind};

/// The service stopped at this moment, and starts again at some later one.
const STOPPED_MS: i64 = 1_700_000_000_000;
const SECOND: i64 = 1000;

fn moment(wall_ms: i64) -> Moment {
    // Ticks of the next process have nothing to do with those of the last.
    let tick = Tick(u64::try_from(wall_ms - STOPPED_MS + 40_000_000).unwrap());
    Moment { tick, wall: Timestamp::from_millisecond(wall_ms).unwrap() }
}

fn heard(position: u64, at_ms: i64, kind: EventKind, context: &str) -> Heard {
    let json = format!(
        r#"{{"id":"{position}","source":"calling/callConnections/c","type":"{}",
            "data":{{"callConnectionId":"c","serverCallId":"s","correlationId":"k","operationContext":"{context}",
            "resultInformation":{{"code":200,"subCode":0}}}}}}"#,
        kind.full_name()
    );
    let event = Arc::new(CallEvent::parse(&json).unwrap());
    Heard { position: Position(position), received_ms: at_ms, event }
}

/// A call that lived before the restart, with everything that was written of it.
struct Before {
    call: Call,
    lines: Vec<(Heard, Remark)>,
    snapshot: Option<String>,
}

impl Before {
    fn new() -> Self {
        let call = Call::open(moment(STOPPED_MS - 98 * SECOND).tick);
        Self { call, lines: Vec::new(), snapshot: None }
    }

    fn hear(mut self, position: u64, ago_ms: i64, kind: EventKind, context: &str) -> Self {
        let at = STOPPED_MS - ago_ms;
        let heard = heard(position, at, kind, context);
        let input = Input::Event(heard.clone());
        let effects = self.call.step(moment(at).tick, input, &Limits::default());
        let remark = effects.iter().find_map(|effect| match effect {
            crate::pure::call::Effect::Remark(_, remark) => Some(*remark),
            _ => None,
        });
        self.lines.push((heard, remark.unwrap_or_default()));
        self
    }

    fn wait(mut self, ago_ms: i64, wants: Wants) -> Self {
        let at = moment(STOPPED_MS - ago_ms).tick;
        let within = Duration::from_secs(600);
        let id = WaiterId(1);
        let wait = Input::Wait { id, wants, asked: at, within, from_backlog: true };
        for effect in self.call.step(at, wait, &Limits::default()) {
            if let crate::pure::call::Effect::Remark(position, remark) = effect {
                for (heard, noted) in &mut self.lines {
                    if heard.position == position {
                        *noted = noted.and(remark);
                    }
                }
            }
        }
        self
    }

    /// Written down now; what came before need not be read again.
    fn snapshot(mut self, ago_ms: i64) -> Self {
        self.snapshot = Some(self.call.snapshot(moment(STOPPED_MS - ago_ms)));
        self
    }

    fn restart(&self, away_ms: i64) -> Replayed {
        let mut replay = Replay::new(&Limits::default(), moment(STOPPED_MS + away_ms));
        if let Some(text) = &self.snapshot {
            replay.snapshot("c", text).unwrap();
        }
        for (heard, remark) in &self.lines {
            replay.heard(heard.clone(), *remark);
        }
        replay.finish()
    }

    /// The view of the same call, had there been no restart.
    fn had_it_lived(&mut self, away_ms: i64) -> CallView {
        let now = moment(STOPPED_MS + away_ms).tick;
        self.call.step(now, Input::Woke, &Limits::default());
        self.call.view(now, &Limits::default())
    }
}

fn only(replayed: Replayed) -> Restored {
    let [restored] = <[Restored; 1]>::try_from(replayed.calls).ok().expect("one call");
    restored
}

/// As people see it, without what a restart may change: the next alarm, standing waits, and doubt.
fn seen(mut view: CallView) -> String {
    view.wakes_in_ms = None;
    view.unverified = false;
    view.waits.clear();
    serde_json::to_string(&view).unwrap()
}

#[track_caller]
fn check_same(mut before: Before, away_ms: i64) {
    let now = moment(STOPPED_MS + away_ms).tick;
    let after = only(before.restart(away_ms)).call.view(now, &Limits::default());
    assert_eq!(seen(after), seen(before.had_it_lived(away_ms)));
}

fn a_call() -> Before {
    Before::new()
        .wait(98_000, Wants::kinds(&[EventKind::CallConnected]))
        .hear(1, 98_000, EventKind::CallConnected, "")
        .hear(2, 60_000, EventKind::PlayStarted, "a")
        .hear(3, 50_000, EventKind::PlayCompleted, "a")
}

#[test]
fn c6_a_call_comes_back_as_it_was_from_lines_alone() {
    check_same(a_call(), 0);
    check_same(a_call().hear(4, 1000, EventKind::PlayCompleted, "b"), 2000);
    check_same(a_call().hear(4, 1000, EventKind::PlayCompleted, "b"), 9000);
}

#[test]
fn c6_a_call_comes_back_as_it_was_from_a_snapshot_and_what_came_after_it() {
    check_same(a_call().snapshot(40_000), 0);
    check_same(a_call().snapshot(40_000).hear(4, 1000, EventKind::PlayCompleted, "b"), 2000);
    check_same(a_call().hear(4, 1000, EventKind::PlayCompleted, "b").snapshot(0), 2000);
    check_same(a_call().hear(4, 1000, EventKind::PlayCompleted, "b").snapshot(0), 9000);
}

#[test]
fn c6_the_backlog_comes_back_with_its_remaining_time_and_without_what_was_taken() {
    let backlog = |before: Before, away_ms| only(before.restart(away_ms)).call.backlog();
    let early = || a_call().hear(4, 1000, EventKind::PlayCompleted, "b");
    assert_eq!(backlog(early(), 3999), 1);
    assert_eq!(backlog(early(), 4000), 0, "5 s after it came");
    assert_eq!(backlog(early().wait(500, Wants::any()), 0), 0, "a late waiter has had it");
    let waited_for = a_call().wait(2000, Wants::any()).hear(4, 1000, EventKind::PlayCompleted, "b");
    assert_eq!(backlog(waited_for, 0), 0, "its waiter has had it");
}

#[test]
fn c2_a_repeat_is_a_repeat_after_a_restart() {
    for before in [a_call(), a_call().snapshot(0)] {
        let mut call = only(before.restart(1000)).call;
        let again = heard(9, STOPPED_MS - 50_000, EventKind::PlayCompleted, "a");
        let again = Heard { event: Arc::clone(&before.lines[2].0.event), ..again };
        let now = moment(STOPPED_MS + 1000).tick;
        let effects = call.step(now, Input::Event(again), &Limits::default());
        let fates: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                crate::pure::call::Effect::Count(_, fate) => Some(*fate),
                _ => None,
            })
            .collect();
        assert_eq!(fates, [Fate::Repeated]);
    }
}

#[test]
fn c9_an_ended_call_answers_for_the_rest_of_its_minute_and_is_gone_then() {
    let ended = || a_call().hear(4, 10_000, EventKind::CallDisconnected, "");
    for before in [ended(), ended().snapshot(0), a_call().snapshot(20_000)] {
        let before = match before.lines.len() {
            3 => before.hear(4, 10_000, EventKind::CallDisconnected, ""),
            _ => before,
        };
        let restored = only(before.restart(49_999));
        assert_eq!(restored.call.phase(), Phase::Disconnected);
        let replayed = before.restart(50_000);
        assert!(replayed.calls.is_empty());
        assert_eq!(replayed.gone.len(), usize::from(before.snapshot.is_some()));
    }
    check_same(ended(), 5000);
    check_same(ended().snapshot(0), 5000);
}

#[test]
fn c9_a_late_wait_for_the_end_gets_it_from_a_snapshot_too() {
    let before = a_call().hear(4, 10_000, EventKind::CallDisconnected, "").snapshot(0);
    let mut call = only(before.restart(0)).call;
    let wants = Wants::kinds(&[EventKind::CallDisconnected]);
    let within = Duration::from_secs(1);
    let (id, asked) = (WaiterId(1), moment(STOPPED_MS).tick);
    let wait = Input::Wait { id, wants, asked, within, from_backlog: true };
    let effects = call.step(asked, wait, &Limits::default());
    let told = effects.iter().any(|effect| {
        matches!(effect, crate::pure::call::Effect::Tell(_, heard) if heard.position == Position(4))
    });
    assert!(told, "{effects:?}");
}

#[test]
fn c10_what_closed_without_an_event_stays_closed() {
    let before = a_call();
    let mut replay = Replay::new(&Limits::default(), moment(STOPPED_MS));
    for (heard, remark) in &before.lines {
        replay.heard(heard.clone(), *remark);
    }
    replay.closed(&"c".into(), Cause::Reconciled, STOPPED_MS - 1000);
    let view = only(replay.finish()).call.view(moment(STOPPED_MS).tick, &Limits::default());
    let ending = Ending { cause: Cause::Reconciled, code: None, sub_code: None };
    assert_eq!((view.state, view.ending), (Phase::Disconnected, Some(ending)));
}

#[test]
fn c11_a_claimed_call_comes_back_and_its_silence_is_not_judged_by_a_restart() {
    let mut replay = Replay::new(&Limits::default(), moment(STOPPED_MS));
    let identity = Identity { server_call: Some("s".into()), correlation: None };
    let long_ago = STOPPED_MS - 3 * 24 * 3600 * SECOND;
    replay.claimed(&"c".into(), identity.clone(), long_ago);
    let restored = only(replay.finish());
    assert_eq!(restored.call.phase(), Phase::Connecting);
    assert_eq!(*restored.call.identity(), identity);
}

#[test]
fn c11_an_id_that_comes_again_after_its_tombstone_is_a_new_call() {
    let before = a_call().hear(4, 90_000, EventKind::CallDisconnected, "");
    let mut replay = Replay::new(&Limits::default(), moment(STOPPED_MS));
    for (heard, remark) in &before.lines {
        replay.heard(heard.clone(), *remark);
    }
    replay.heard(heard(5, STOPPED_MS - 1000, EventKind::CallConnected, ""), Remark::default());
    let call = only(replay.finish()).call;
    assert_eq!((call.phase(), call.timeline().entries().count()), (Phase::Connected, 1));
}

#[test]
fn c12_operations_come_back_from_lines_with_what_their_answers_named() {
    let asked = |operation, name: &str| {
        let (context, about) = (name.into(), None);
        OperationDeed::Begun(NewOperation { operation, context, expects: 1, about, unique: false })
    };
    let mut replay = Replay::new(&Limits::default(), moment(STOPPED_MS));
    for (place, deed) in [
        (1, asked(Operation::StartRecording, "record")),
        (2, OperationDeed::Named(Position(1), "rec-1".to_owned())),
        (3, asked(Operation::Play, "refused")),
        (4, OperationDeed::Withdrawn(Position(3))),
        (5, asked(Operation::MuteParticipants, "quiet")),
        (6, asked(Operation::Hold, "hold")),
        (7, OperationDeed::Accepted(Position(6))),
    ] {
        let note = OperationNote { call: "c".into(), deed };
        replay.operation(note, Position(place), STOPPED_MS - SECOND);
    }
    let mut call = only(replay.finish()).call;
    assert_eq!(call.recordings().collect::<Vec<_>>(), ["rec-1"]);
    let status = |call: &Call| {
        let all = call.operation_views().into_iter();
        all.map(|view| (view.of.0, view.status)).collect::<Vec<_>>()
    };
    use OperationStatus::{Pending, Succeeded};
    assert_eq!(status(&call), [(1, Pending), (5, Succeeded), (6, Pending)]);
    call.step(moment(STOPPED_MS + SECOND).tick, Input::Woke, &Limits::default());
    assert_eq!(status(&call), [(1, Pending), (5, Succeeded), (6, Succeeded)], "its time went on");
}

#[test]
fn a_snapshot_that_is_none_is_told_and_costs_the_others_nothing() {
    let mut replay = Replay::new(&Limits::default(), moment(STOPPED_MS));
    assert!(matches!(replay.snapshot("x", "{"), Err(BadSnapshot::Shape { .. })));
    replay.snapshot("c", a_call().snapshot(0).snapshot.as_deref().unwrap()).unwrap();
    assert_eq!(replay.finish().calls.len(), 1);
}
