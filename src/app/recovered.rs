//! Bringing back what the journal kept, and telling of it.

use std::sync::Arc;

use crate::actors::Calls;
use crate::actors::recovery::recover;
use crate::ports::{Clock, JournalError, Record};
use crate::pure::call::Limits;
use crate::pure::time::Moment;
use crate::wire::identifiers::CallConnectionId;

/// Makes the calls of the journal live again, and says which Azure should be asked about. Lines of other
/// matters go to `other`.
pub(super) async fn bring_back(
    calls: &Calls,
    limits: &Limits,
    clock: &dyn Clock,
    other: &mut dyn FnMut(&Record) -> bool,
) -> Result<Vec<CallConnectionId>, JournalError> {
    let now = Moment { tick: clock.now(), wall: clock.wall() };
    let journal = Arc::clone(calls.journal());
    let replayed = recover(journal.as_ref(), limits, now, other)?;
    let (found, events) = (replayed.calls.len(), replayed.events);
    let live = replayed.calls.iter().filter(|restored| !restored.call.is_over());
    let doubtful = live.map(|restored| restored.id.clone()).collect();
    calls.restore(replayed).await;
    let took = (clock.now() - now.tick).as_secs_f64();
    metrics::gauge!("switchhook_recovered_calls").set(found as f64);
    metrics::gauge!("switchhook_recovered_events").set(events as f64);
    metrics::gauge!("switchhook_recovery_seconds").set(took);
    if found > 0 || events > 0 {
        tracing::info!(calls = found, events, seconds = took, "calls are back as they were");
    }
    Ok(doubtful)
}
