//! What happened in a call, compactly: a line for each event, its payload stays in the journal.

use std::collections::VecDeque;

use super::event::{Fate, Heard};
use crate::pure::time::{Position, Tick};
use crate::wire::events::EventKind;
use crate::wire::identifiers::OperationContext;

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Where the event stands; its payload is found there.
    #[serde(skip)]
    pub position: Position,
    /// When it was handled, on the monotonic clock.
    #[serde(skip)]
    pub at: Tick,
    /// When it was received, in milliseconds since 1970 (UTC).
    #[serde(skip)]
    pub received_ms: i64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Its operationContext.
    #[serde(rename = "operationContext", skip_serializing_if = "Option::is_none")]
    pub context: Option<OperationContext>,
    /// `code` of its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// `subCode` of its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_code: Option<i32>,
    /// What became of it.
    pub fate: Fate,
    /// A roster older than one seen (rule C14).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

impl Entry {
    pub(super) fn of(heard: &Heard, at: Tick, fate: Fate, stale: bool) -> Self {
        let (code, sub_code) = heard.event.codes();
        Self {
            position: heard.position,
            at,
            received_ms: heard.received_ms,
            kind: heard.event.kind.clone(),
            context: heard.event.context.clone(),
            code,
            sub_code,
            fate,
            stale,
        }
    }
}

/// In order of arrival, bounded: the oldest lines leave first, and are counted.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    entries: VecDeque<Entry>,
    /// Lines that had to leave.
    dropped: u64,
    dropped_to: Position,
}

impl Timeline {
    pub(super) fn note(&mut self, mut entry: Entry, limit: usize) {
        // The events of one operation follow each other and carry the same context: one copy will do.
        if let Some(last) = self.entries.back().filter(|last| last.context == entry.context) {
            entry.context = last.context.clone();
        }
        if self.entries.len() >= limit.max(1) {
            self.dropped_to = self.entries.pop_front().map_or(self.dropped_to, |e| e.position);
            self.dropped += 1;
        }
        if self.entries.len() == self.entries.capacity() && self.entries.len() < 4 {
            self.entries.reserve_exact(if self.entries.is_empty() { 1 } else { 2 });
        }
        self.entries.push_back(entry);
    }

    /// The lines, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The lines after a position, oldest first.
    pub fn after(&self, position: Position) -> impl Iterator<Item = &Entry> {
        let from = self.entries.partition_point(|entry| entry.position <= position);
        self.entries.range(from..)
    }

    /// When the event at a position was handled, if its line is still here.
    pub(super) fn arrival(&self, position: Position) -> Option<Tick> {
        let at = self.entries.partition_point(|entry| entry.position < position);
        self.entries.get(at).filter(|entry| entry.position == position).map(|entry| entry.at)
    }

    /// Where the newest line stands, or the newest of those that have left.
    pub fn newest(&self) -> Position {
        self.entries.back().map_or(self.dropped_to, |entry| entry.position)
    }

    /// A timeline as it was.
    pub(super) fn restored(entries: Vec<Entry>, dropped: u64, dropped_to: Position) -> Self {
        Self { entries: entries.into(), dropped, dropped_to }
    }

    /// How many lines had to leave.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Where the last line stood that has left; whoever has read on from there has missed nothing.
    pub fn dropped_to(&self) -> Position {
        self.dropped_to
    }
}
