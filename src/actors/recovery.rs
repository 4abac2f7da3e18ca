//! What a start finds in the journal, made into calls again; and, from then on, the rounds of snapshots
//! that keep the next start short.

use std::sync::Arc;
use std::time::Duration;

use super::calls::{Calls, heard_again};
use super::telling;
use crate::ports::{Clock, Found, Journal, JournalError, LineKind, Position, Record, sleep};
use crate::pure::call::Limits;
use crate::pure::notes::{Claimed, Closed, OperationNote, Remark};
use crate::pure::replay::{Replay, Replayed};
use crate::pure::time::Moment;

/// Reads everything that a restart needs. Lines of other matters go to `other`, which says whether it could read them. What cannot be read is
/// counted and told, and costs its neighbours nothing. Blocks; for the time before anything is served.
///
/// # Errors
/// [`JournalError::Unreadable`] when the store itself cannot be read.
pub fn recover(
    journal: &dyn Journal,
    limits: &Limits,
    now: Moment,
    other: &mut dyn FnMut(&Record) -> bool,
) -> Result<Replayed, JournalError> {
    let mut replay = Replay::new(limits, now);
    let mut unreadable = 0_u64;
    journal.recover(&mut |found| {
        let read = match found {
            Found::Snapshot(id, text) => replay.snapshot(id, text).is_ok(),
            Found::Line(record, remark) => line(&mut replay, record, remark, other),
        };
        unreadable += u64::from(!read);
    })?;
    if unreadable > 0 {
        telling::unreadable(unreadable);
    }
    Ok(replay.finish())
}

/// False for a line that cannot be read.
fn line(
    replay: &mut Replay,
    record: Record,
    remark: Remark,
    other: &mut dyn FnMut(&Record) -> bool,
) -> bool {
    let at_ms = record.line.at.as_millisecond();
    match record.line.kind {
        LineKind::Heard => heard_again(record).map(|heard| replay.heard(heard, remark)).is_some(),
        LineKind::Claimed => {
            let read = serde_json::from_str::<Claimed>(&record.line.text);
            read.map(|note| replay.claimed(&note.call, note.identity, at_ms)).is_ok()
        }
        LineKind::Closed => {
            let read = serde_json::from_str::<Closed>(&record.line.text);
            read.map(|note| replay.closed(&note.call, note.cause, at_ms)).is_ok()
        }
        LineKind::Operation => {
            let read = serde_json::from_str::<OperationNote>(&record.line.text);
            read.map(|note| replay.operation(note, record.position, at_ms)).is_ok()
        }
        LineKind::Rang | LineKind::Trying | LineKind::Settled | LineKind::Forward => other(&record),
    }
}

/// When to make a round of snapshots.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// After so many lines.
    pub lines: u64,
    /// At least this often, so that the journal may forget what is old.
    pub every: Duration,
    /// How long an event may wait for a late waiter.
    pub backlog: Duration,
}

/// Makes rounds of snapshots until the journal fails. `needed_since` says from where on others still
/// need their lines.
pub async fn keep_short<F: Future<Output = Option<Position>>>(
    calls: Calls,
    clock: Arc<dyn Clock>,
    rounds: Rounds,
    needed_since: impl Fn() -> F,
) {
    let mut state = calls.journal().state();
    // What others still need is not covered; a round is due when so many lines have come since the last.
    let mut left = 0;
    loop {
        tokio::select! {
            grown = state.wait_for(|state| state.uncovered >= left + rounds.lines) => {
                if grown.is_err() {
                    return;
                }
            }
            () = sleep(clock.as_ref(), rounds.every) => {}
        }
        if state.borrow().uncovered == 0 {
            continue;
        }
        // Whatever is safe now was handed out before, so it is in its call's mailbox ahead of our
        // question. By the time of the question it has left the backlogs: that a late waiter has taken
        // an event is noted beside the event, and nobody reads that of a line that is covered.
        let newest = state.borrow().newest;
        sleep(clock.as_ref(), rounds.backlog).await;
        if round(&calls, newest, needed_since().await).await.is_err() {
            return;
        }
        left = state.borrow().uncovered;
    }
}

/// One round of snapshots, which covers the lines up to `newest` but for those that others need.
///
/// # Errors
/// When the journal has failed.
pub async fn round(
    calls: &Calls,
    newest: Position,
    needed_since: Option<Position>,
) -> Result<(), JournalError> {
    let before = needed_since.map(|position| Position(position.0.saturating_sub(1)));
    let covers = before.map_or(newest, |before| before.min(newest));
    let written = calls.write_down(covers).await?;
    telling::round_made(written);
    Ok(())
}
