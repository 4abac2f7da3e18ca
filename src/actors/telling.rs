//! The happenings of calls, each told in one place.

use metrics::{Counter, counter, gauge, histogram};

use crate::pure::call::{Cause, Conclusion, DropReason, Fate, Heard, WaitEnd};
use crate::wire::events::EventKind;

/// Counters of events by kind and fate, looked up once instead of for each event.
pub struct EventTelling {
    counters: Vec<[Counter; Fate::ALL.len()]>,
}

impl EventTelling {
    /// Registers the counters with the recorder that is installed now.
    pub fn register() -> Self {
        let row = |kind: &'static str| {
            Fate::ALL.map(|fate| {
                counter!("switchhook_events_received_total", "kind" => kind, "fate" => fate.label())
            })
        };
        let known = EventKind::KNOWN.iter().map(|kind| row(kind.label()));
        Self { counters: known.chain([row("other")]).collect() }
    }

    /// An event came, and this became of it.
    pub fn event(&self, kind: &EventKind, fate: Fate) {
        let row = kind.index().unwrap_or(EventKind::KNOWN.len());
        self.counters[row][fate.index()].increment(1);
    }
}

pub(super) fn wait_told() {
    counter!("switchhook_waits_total", "outcome" => "told").increment(1);
}

pub(super) fn wait_ended(end: &WaitEnd) {
    let outcome = match end {
        WaitEnd::TimedOut(_) => "timed_out",
        WaitEnd::Cancelled => "cancelled",
        WaitEnd::CallEnded(_) => "call_ended",
        WaitEnd::ShuttingDown => "shutting_down",
        WaitEnd::Refused => "refused",
    };
    counter!("switchhook_waits_total", "outcome" => outcome).increment(1);
}

pub(super) fn wait_answered(answer: &Result<Heard, WaitEnd>) {
    match answer {
        Ok(_) => wait_told(),
        Err(end) => wait_ended(end),
    }
}

pub(super) fn wait_lost() {
    counter!("switchhook_waits_total", "outcome" => "lost").increment(1);
}

/// An operation is over, or what was said of it before is corrected.
pub(super) fn operation_over(over: &Conclusion) {
    let (operation, outcome) = (over.operation.label(), over.status.label());
    if over.late {
        counter!("switchhook_operations_corrected_total", "operation" => operation).increment(1);
        return;
    }
    counter!("switchhook_operations_total", "operation" => operation, "outcome" => outcome)
        .increment(1);
    histogram!("switchhook_operation_seconds", "operation" => operation)
        .record(over.took.as_secs_f64());
}

pub(super) fn backlog_dropped(reason: DropReason, count: usize) {
    counter!("switchhook_backlog_dropped_total", "reason" => reason.label())
        .increment(count as u64);
}

pub(super) fn subscription_opened() {
    gauge!("switchhook_subscriptions").increment(1);
}

pub(super) fn subscription_closed() {
    gauge!("switchhook_subscriptions").decrement(1);
}

pub(super) fn subscription_dropped(reason: &'static str) {
    counter!("switchhook_subscriptions_dropped_total", "reason" => reason).increment(1);
}

pub(super) fn call_opened() {
    counter!("switchhook_calls_opened_total").increment(1);
    gauge!("switchhook_calls_live", "state" => "connecting").increment(1);
}

/// Lines or snapshots that a start could not read.
pub(super) fn unreadable(count: u64) {
    counter!("switchhook_recovery_unreadable_total").increment(count);
    tracing::error!(count, "lines of the journal could not be read and were passed over");
}

/// The calls that had changed are written down.
pub(super) fn round_made(snapshots: usize) {
    counter!("switchhook_snapshot_rounds_total").increment(1);
    counter!("switchhook_snapshots_total").increment(snapshots as u64);
    tracing::debug!(snapshots, "changed calls written down");
}

/// A call was there before a restart.
pub(super) fn call_restored(connected: bool) {
    let state = if connected { "connected" } else { "connecting" };
    gauge!("switchhook_calls_live", "state" => state).increment(1);
}

pub(super) fn call_connected() {
    gauge!("switchhook_calls_live", "state" => "connecting").decrement(1);
    gauge!("switchhook_calls_live", "state" => "connected").increment(1);
}

pub(super) fn call_left(connected: bool) {
    let state = if connected { "connected" } else { "connecting" };
    gauge!("switchhook_calls_live", "state" => state).decrement(1);
}

pub(super) fn call_ended(cause: Cause) {
    counter!("switchhook_calls_ended_total", "cause" => cause.label()).increment(1);
}

pub(super) fn call_died() {
    counter!("switchhook_calls_ended_total", "cause" => "died").increment(1);
    tracing::error!("a call's actor died of a fault in switchhook; its waits were ended as lost");
}

pub(super) fn refused(mailbox: &'static str) {
    counter!("switchhook_mailbox_refusals_total", "actor" => mailbox).increment(1);
}
