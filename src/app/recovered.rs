//! Bringing back what the journal kept, and telling of it.

use std::sync::Arc;

use crate::actors::Calls;
use crate::actors::recovery::recover;
use crate::http::private::gateway::Recordings;
use crate::ports::{Clock, JournalError, Record};
use crate::pure::call::Limits;
use crate::pure::time::Moment;
use crate::wire::identifiers::CallConnectionId;

/// What a start needs to know of the calls that are back.
pub(super) struct BroughtBack {
    /// Which of them Azure should be asked about.
    pub doubtful: Vec<CallConnectionId>,
    /// Which recordings are theirs.
    pub recordings: Recordings,
}

/// Makes the calls of the journal live again. Lines of other matters go to `other`.
pub(super) async fn bring_back(
    calls: &Calls,
    limits: &Limits,
    clock: &dyn Clock,
    other: &mut dyn FnMut(&Record) -> bool,
) -> Result<BroughtBack, JournalError> {
    let now = Moment { tick: clock.now(), wall: clock.wall() };
    let journal = Arc::clone(calls.journal());
    let replayed = recover(journal.as_ref(), limits, now, other)?;
    let (found, events) = (replayed.calls.len(), replayed.events);
    let live = replayed.calls.iter().filter(|restored| !restored.call.is_over());
    let doubtful = live.map(|restored| restored.id.clone()).collect();
    let recordings = Recordings::default();
    for restored in &replayed.calls {
        for recording in restored.call.recordings() {
            recordings.note(recording.to_owned(), restored.id.clone());
        }
    }
    calls.restore(replayed).await;
    let took = (clock.now() - now.tick).as_secs_f64();
    metrics::gauge!("switchhook_recovered_calls").set(found as f64);
    metrics::gauge!("switchhook_recovered_events").set(events as f64);
    metrics::gauge!("switchhook_recovery_seconds").set(took);
    if found > 0 || events > 0 {
        tracing::info!(calls = found, events, seconds = took, "calls are back as they were");
    }
    Ok(BroughtBack { doubtful, recordings })
}
