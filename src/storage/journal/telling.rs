//! What the journal tells about itself. Counters are looked up once, not for each commit.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::queue::Batch;
use crate::ports::LineKind;

/// What one commit did, beside writing its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Lines that left the file.
    pub trimmed: u64,
    /// What is in it now.
    pub bytes: u64,
    /// Milliseconds between its oldest and its newest line.
    pub span_ms: u64,
}

pub(super) struct Telling {
    commit_seconds: Histogram,
    batch_lines: Histogram,
    lines: [Counter; LineKind::ALL.len()],
    bytes: Gauge,
    span: Gauge,
    trimmed: Counter,
    queued: Gauge,
    refusals: Counter,
}

impl Telling {
    /// Registers everything with the recorder that is installed now.
    pub(super) fn register() -> Self {
        Self {
            commit_seconds: histogram!("switchhook_journal_commit_seconds"),
            batch_lines: histogram!("switchhook_journal_batch_lines"),
            lines: LineKind::ALL
                .map(|kind| counter!("switchhook_journal_lines_total", "kind" => kind.label())),
            bytes: gauge!("switchhook_journal_bytes"),
            span: gauge!("switchhook_journal_span_seconds"),
            trimmed: counter!("switchhook_journal_trimmed_lines_total"),
            queued: gauge!("switchhook_journal_queue_lines"),
            refusals: counter!("switchhook_journal_refusals_total"),
        }
    }

    /// How much is kept, found when the file was opened.
    pub(super) fn found(&self, done: Done) {
        self.bytes.set(done.bytes as f64);
        self.span.set(seconds(done.span_ms));
    }

    pub(super) fn committed(&self, batch: &Batch, done: Done, took: Duration) {
        self.commit_seconds.record(took.as_secs_f64());
        self.batch_lines.record(batch.lines.len() as f64);
        for (kind, counter) in LineKind::ALL.iter().zip(&self.lines) {
            let lines = batch.lines.iter().filter(|record| record.line.kind == *kind).count();
            counter.increment(lines as u64);
        }
        self.trimmed.increment(done.trimmed);
        self.found(done);
    }

    pub(super) fn queued(&self, lines: usize) {
        self.queued.set(lines as f64);
    }

    pub(super) fn refused(&self) {
        self.refusals.increment(1);
    }
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

pub(super) fn failed(why: &str) {
    tracing::error!(why, "the journal could not be written; nothing is kept any more");
}
