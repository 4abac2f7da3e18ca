//! What the journal would know of a script; and that a call made again from it is the same call.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::super::{Call, Cause, DropReason, Effect, Heard, Identity, Limits, Phase};
use super::words::Happening;
use crate::pure::notes::Remark;
use crate::pure::replay::Replay;
use crate::pure::time::{Moment, Tick};
use crate::wire::identifiers::CallConnectionId;

/// What was heard and noted, in order.
#[derive(Default)]
pub(super) struct Past {
    lines: Vec<(u64, Line)>,
    /// An event that came back from its waiter is told differently after a restart; so it is in life.
    given_back: bool,
    /// When an event was taken is not noted, only that it was. So one that had to leave a full backlog
    /// may be back after a restart; none is lost.
    overflown: bool,
    /// A snapshot that was made on the way.
    snapshot: Option<String>,
}

enum Line {
    Heard(Heard, Remark),
    Claimed,
    Closed,
}

fn moment(now: u64) -> Moment {
    let wall = Timestamp::from_millisecond(i64::try_from(now).unwrap_or_default());
    Moment { tick: Tick(now), wall: wall.unwrap_or_default() }
}

impl Past {
    pub fn note(&mut self, now: u64, happening: &Happening, effects: &[Effect]) {
        match happening {
            Happening::Hear(event) => {
                let received_ms = i64::try_from(now).unwrap_or_default();
                let heard = Heard { received_ms, ..event.heard.clone() };
                self.lines.push((now, Line::Heard(heard, Remark::default())));
            }
            Happening::Claim => self.lines.push((now, Line::Claimed)),
            Happening::Reconcile => self.lines.push((now, Line::Closed)),
            Happening::GiveBack(_) => self.given_back = true,
            _ => {}
        }
        let full = |effect: &Effect| matches!(effect, Effect::Dropped(DropReason::Full, _));
        self.overflown |= effects.iter().any(full);
        for effect in effects {
            let Effect::Remark(position, remark) = effect else { continue };
            for (_, line) in &mut self.lines {
                if let Line::Heard(heard, noted) = line
                    && heard.position == *position
                {
                    *noted = noted.and(*remark);
                }
            }
        }
    }

    /// Writes the call down now, once.
    pub fn write_down(&mut self, call: &Call, now: u64) {
        if self.snapshot.is_none() {
            self.snapshot = Some(call.snapshot(moment(now)));
        }
    }

    /// A call made again from all lines, or from a snapshot and all lines, is this call.
    pub fn compare(&self, call: &Call, now: u64, limits: &Limits) -> TestCaseResult {
        if self.given_back {
            return Ok(());
        }
        let snapshots = [None, self.snapshot.as_ref()];
        for snapshot in snapshots {
            let mut replay = Replay::new(limits, moment(now));
            if let Some(text) = snapshot {
                replay.snapshot("c", text).expect("a snapshot of ours");
            }
            let id = CallConnectionId::new("c");
            for (at, line) in &self.lines {
                match line {
                    Line::Heard(heard, remark) => replay.heard(heard.clone(), *remark),
                    Line::Claimed => {
                        let at = i64::try_from(*at).unwrap_or_default();
                        replay.claimed(&id, Identity::default(), at);
                    }
                    Line::Closed => {
                        let at = i64::try_from(*at).unwrap_or_default();
                        replay.closed(&id, Cause::Reconciled, at);
                    }
                }
            }
            let again = replay.finish().calls.pop();
            let again = again.as_ref().map(|again| &*again.call);
            compare(call, again, now, limits, self.overflown)?;
        }
        Ok(())
    }
}

fn compare(
    call: &Call,
    again: Option<&Call>,
    now: u64,
    limits: &Limits,
    overflown: bool,
) -> TestCaseResult {
    let view = call.view(Tick(now), limits);
    let cause = view.ending.as_ref().map(|ending| ending.cause);
    // Silence is judged differently after a restart: its waits are gone. And after its minute a call is not there at all.
    let late = call.grace_ends(limits).is_some_and(|end| end <= Tick(now));
    let given_up = matches!(cause, Some(Cause::Silent | Cause::SetupFailed));
    if given_up || view.state == Phase::Failed || late || !call.known {
        return Ok(());
    }
    let Some(again) = again else {
        prop_assert!(false, "the call did not come back");
        return Ok(());
    };
    let after = again.view(Tick(now), limits);
    let lines = |view: &super::super::CallView| -> Vec<_> {
        let line = |line: &super::super::EntryView| {
            let entry = &line.entry;
            (line.position, entry.fate, entry.stale, entry.context.clone(), entry.code)
        };
        view.timeline.iter().map(line).collect()
    };
    prop_assert_eq!(lines(&after), lines(&view), "timeline");
    let backlogs = (after.backlog, view.backlog);
    prop_assert!(backlogs.0 == backlogs.1 || overflown && backlogs.0 > backlogs.1, "{backlogs:?}");
    prop_assert_eq!(&after.participants, &view.participants, "roster");
    prop_assert_eq!(
        (after.state, &after.ending, &after.server_call_id, &after.correlation_id),
        (view.state, &view.ending, &view.server_call_id, &view.correlation_id),
    );
    prop_assert_eq!(after.timeline_dropped, view.timeline_dropped);
    Ok(())
}
