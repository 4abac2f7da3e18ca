//! A call written down whole, and made again from what was written.
//!
//! The text is JSON with short names that are never reused: a journal outlives versions. Times are those
//! of the calendar, because ticks mean nothing to the next process. Waits and subscriptions are not in
//! it: whoever waits resumes by cursor.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::backlog::Backlog;
use super::ending::Tombstone;
use super::event::{Ending, Fate, Heard, Identity};
use super::limits::Limits;
use super::operations::WrittenOperations;
use super::roster::Roster;
use super::seen::Seen;
use super::timeline::{Entry, Timeline};
use super::{Call, Phase};
use crate::pure::time::{Moment, Position, Tick};
use crate::wire::events::{CallEvent, EventKey, EventKind};
use crate::wire::identifiers::OperationContext;

/// A snapshot that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSnapshot {
    /// It is not what this version writes, or an older one wrote.
    #[error("the snapshot of a call cannot be read (line {line}, column {column})")]
    Shape {
        /// Line of the first fault.
        line: usize,
        /// Column of the first fault.
        column: usize,
    },
    /// An event in it is none.
    #[error("the snapshot of a call holds an event that cannot be read")]
    Event,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    state: Phase,
    opened: i64,
    stirred: i64,
    #[serde(flatten)]
    identity: Identity,
    #[serde(default)]
    known: bool,
    #[serde(default)]
    roster: Roster,
    #[serde(default)]
    timeline: Vec<Line>,
    #[serde(default)]
    dropped: u64,
    #[serde(default)]
    dropped_to: u64,
    /// Keys of events, hexadecimal.
    #[serde(default)]
    seen: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    backlog: Vec<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operations: Option<WrittenOperations>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over: Option<Over>,
}

/// One line of the timeline. There are many of these, so the names are short.
#[derive(Serialize, Deserialize)]
struct Line {
    /// Position.
    p: u64,
    /// Received.
    r: i64,
    /// Type.
    t: EventKind,
    /// Context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<OperationContext>,
    /// Code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<i32>,
    /// Subcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<i32>,
    /// Fate.
    f: Fate,
    /// Stale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    z: bool,
}

/// An event with its payload: it is needed again before the journal is.
#[derive(Serialize, Deserialize)]
struct Kept {
    at: i64,
    position: u64,
    received: i64,
    raw: Arc<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Over {
    ended: i64,
    ending: Ending,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terminal: Option<Kept>,
}

impl Kept {
    fn of(at: i64, heard: &Heard) -> Self {
        let (position, received) = (heard.position.0, heard.received_ms);
        Self { at, position, received, raw: Arc::clone(&heard.event.raw) }
    }

    fn heard(&self) -> Result<Heard, BadSnapshot> {
        let event = Arc::new(CallEvent::parse(&self.raw).map_err(|_| BadSnapshot::Event)?);
        Ok(Heard { position: Position(self.position), received_ms: self.received, event })
    }
}

impl Line {
    fn of(entry: &Entry) -> Self {
        Self {
            p: entry.position.0,
            r: entry.received_ms,
            t: entry.kind.clone(),
            o: entry.context.clone(),
            c: entry.code,
            s: entry.sub_code,
            f: entry.fate,
            z: entry.stale,
        }
    }

    fn entry(self, now: Moment) -> Entry {
        Entry {
            position: Position(self.p),
            at: now.tick_of(self.r),
            received_ms: self.r,
            kind: self.t,
            context: self.o,
            code: self.c,
            sub_code: self.s,
            fate: self.f,
            stale: self.z,
        }
    }
}

impl Call {
    /// The call as text. `now` ties its ticks to the calendar.
    pub fn snapshot(&self, now: Moment) -> String {
        let wall = |tick| now.wall_ms_of(tick);
        let over = self.over.as_deref();
        let (opened, stirred, identity, roster, timeline, seen) = match over {
            None => (
                self.opened,
                self.stirred,
                &self.identity,
                &self.roster,
                &self.timeline,
                &self.seen,
            ),
            Some(over) => (
                over.opened,
                self.stirred,
                &over.identity,
                &over.roster,
                &over.timeline,
                &over.seen,
            ),
        };
        let snapshot = Snapshot {
            state: self.phase,
            opened: wall(opened),
            stirred: wall(stirred),
            identity: identity.clone(),
            known: self.known,
            roster: roster.clone(),
            timeline: timeline.entries().map(Line::of).collect(),
            dropped: timeline.dropped(),
            dropped_to: timeline.dropped_to().0,
            seen: seen.keys().iter().map(|key| format!("{:x}", key.0)).collect(),
            backlog: self.backlog.iter().map(|(at, heard)| Kept::of(wall(at), heard)).collect(),
            operations: self.operations.as_ref().map(|them| them.write(now)),
            over: over.map(|over| Over {
                ended: wall(over.ended),
                ending: over.ending.clone(),
                terminal: over.terminal.as_ref().map(|heard| Kept::of(wall(over.ended), heard)),
            }),
        };
        // Structures of texts and numbers; writing them cannot fail.
        serde_json::to_string(&snapshot).unwrap_or_default()
    }

    /// A call as it was when it was written down.
    ///
    /// # Errors
    /// [`BadSnapshot`] when the text is not a snapshot.
    pub fn from_snapshot(text: &str, now: Moment, limits: &Limits) -> Result<Self, BadSnapshot> {
        let read: Snapshot = serde_json::from_str(text)
            .map_err(|e| BadSnapshot::Shape { line: e.line(), column: e.column() })?;
        let mut seen = Seen::default();
        for key in &read.seen {
            if let Ok(key) = u128::from_str_radix(key, 16) {
                seen.first_time(EventKey(key), limits.remembered_events);
            }
        }
        let lines = read.timeline.into_iter().map(|line| line.entry(now)).collect();
        let timeline = Timeline::restored(lines, read.dropped, Position(read.dropped_to));
        let mut call = Self::open(now.tick_of(read.opened));
        call.phase = read.state;
        call.stirred = now.tick_of(read.stirred);
        call.known = read.known;
        call.operations = read.operations.map(|written| Box::new(written.read(now)));
        let Some(over) = read.over else {
            (call.identity, call.roster, call.timeline) = (read.identity, read.roster, timeline);
            call.seen = seen;
            call.backlog = backlog(&read.backlog, now, limits)?;
            return Ok(call);
        };
        call.over = Some(Box::new(Tombstone {
            ended: now.tick_of(over.ended),
            ending: over.ending,
            terminal: over.terminal.as_ref().map(Kept::heard).transpose()?,
            identity: read.identity,
            timeline,
            roster: read.roster,
            seen,
            opened: call.opened,
        }));
        Ok(call)
    }

    /// When it was opened.
    pub fn opened(&self) -> Tick {
        self.opened
    }

    /// It was not silent until then.
    pub fn attend(&mut self, until: Tick) {
        self.stirred = until;
    }

    /// A late waiter has had this event. Whether the backlog held it.
    pub fn forget_taken(&mut self, position: Position) -> bool {
        self.backlog.remove(position)
    }
}

fn backlog(kept: &[Kept], now: Moment, limits: &Limits) -> Result<Backlog, BadSnapshot> {
    let mut backlog = Backlog::default();
    for kept in kept {
        backlog.keep(now.tick_of(kept.at), kept.heard()?, limits);
    }
    Ok(backlog)
}
