//! What the routing tells the operators: one function per happening, so that counter and log line
//! never disagree. Correlation ids may be logged; numbers, contexts and names never are.

use std::time::Duration;

use super::routing::{Fate, Resumed};
use crate::ports::{JournalError, NumberStoreError, UpstreamError};
use crate::pure::routing::{CallIds, Changed};
use crate::wire::identifiers::{CallConnectionId, CorrelationId};

fn correlation(ids: &CallIds) -> &str {
    ids.correlation.as_ref().map_or("", CorrelationId::as_str)
}

/// It is settled what became of a ringing call.
pub(super) fn decided(fate: Fate, ids: &CallIds) {
    metrics::counter!("switchhook_incoming_calls_total", "decision" => fate.label()).increment(1);
    let (decision, correlation) = (fate.label(), correlation(ids));
    match fate {
        Fate::Stale | Fate::Failed | Fate::Unassigned | Fate::LoopPrevented => {
            tracing::warn!(decision, correlation, "incoming call not served");
        }
        _ => tracing::info!(decision, correlation, "incoming call decided"),
    }
}

/// A call was looked at while so much ringing was left.
pub(super) fn ring_left(left: Duration) {
    metrics::histogram!("switchhook_incoming_ring_left_seconds").record(left.as_secs_f64());
}

/// A ringing call was refused because too many are being acted on.
pub(super) fn too_many_ring() {
    tracing::warn!("incoming call refused, too many are being acted on");
}

/// The journal told how the routing stood before a restart.
pub(super) fn recovered(unsettled: usize, unreadable: usize) {
    if unreadable > 0 {
        tracing::error!(unreadable, "lines of the journal about ringing calls could not be read");
    }
    tracing::info!(unsettled, "ringing calls restored");
}

/// A call that was unsettled at a restart goes on.
pub(super) fn resumed(how: Resumed, ids: &CallIds) {
    metrics::counter!("switchhook_incoming_resumed_total", "how" => how.label()).increment(1);
    let (how, correlation) = (how.label(), correlation(ids));
    tracing::info!(how, correlation, "incoming call resumed after a restart");
}

/// A note about a ringing call was not kept.
pub(super) fn not_kept(note: &'static str, error: &JournalError) {
    tracing::error!(note, %error, "note about a ringing call was not kept");
}

/// A step of a plan failed.
pub(super) fn attempt_failed(action: &'static str, error: &UpstreamError, ids: &CallIds) {
    let (status, correlation) = (error.status(), correlation(ids));
    tracing::warn!(action, status, correlation, "step of an assignment failed");
}

/// Azure says that it answered a call, but not which.
pub(super) fn answer_unreadable(ids: &CallIds) {
    let correlation = correlation(ids);
    tracing::error!(correlation, "answered call has no readable call connection id");
}

/// Nobody is left who would lead an answered call.
pub(super) fn answered_untold(call: &CallConnectionId) {
    tracing::error!(%call, "answered call could not be handed on");
}

/// Something was heard of a call.
pub(super) fn notice_came(kind: &'static str, joined: bool, ids: &CallIds) {
    let correlation = correlation(ids);
    tracing::debug!(kind, joined, correlation, "call notice came");
}

/// The assignments are there.
pub(super) fn numbers_loaded(version: u64, count: usize) {
    count_numbers(count);
    tracing::info!(version, count, "number assignments loaded");
}

/// Assignments were changed, and that is safe.
pub(super) fn numbers_changed(what: Changed, version: u64, keys: usize, count: usize) {
    count_numbers(count);
    tracing::info!(what = what.label(), version, keys, count, "number assignments changed");
}

/// A change of the assignments could not be made safe, so it is not in force.
pub(super) fn numbers_not_kept(what: Changed, error: &NumberStoreError) {
    tracing::error!(what = what.label(), %error, "change of number assignments not kept");
}

fn count_numbers(count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    metrics::gauge!("switchhook_number_assignments").set(f64::from(count));
}
