//! What the forwarder tells the operators. Never where to: callers' URLs may hold secrets.

use crate::pure::forwarding::Posted;
use crate::pure::notes::DeadLetter;

/// An attempt has ended.
pub(super) fn posted(posted: Posted) {
    metrics::counter!("switchhook_forwards_total", "result" => posted.label()).increment(1);
}

/// An event will not be forwarded.
pub(super) fn given_up(letter: &DeadLetter) {
    metrics::counter!("switchhook_forwards_given_up_total").increment(1);
    let (attempts, status) = (letter.attempts, letter.status.unwrap_or_default());
    tracing::warn!(
        call = %letter.call, event = letter.kind, reason = letter.why, attempts, status,
        "an event could not be forwarded; see /admin/dead-letters"
    );
}

/// So many events are on their way, and so many were given up.
pub(super) fn standing(pending: usize, dead: usize) {
    metrics::gauge!("switchhook_forwards_pending").set(pending as f64);
    metrics::gauge!("switchhook_dead_letters").set(dead as f64);
}

/// A restart goes on forwarding.
pub(super) fn resumed(events: u64, lost: u64) {
    if lost > 0 {
        tracing::error!(events = lost, "events that were to be forwarded are no longer kept");
    }
    if events > 0 {
        tracing::info!(events, "forwarding goes on");
    }
}
