//! How an operation stands, for whoever asks: its status, and what may have kept its event away
//! (rule C16).

use serde::Serialize;

use super::operations::Standing;
use super::waiters::{NEAR_MISSES, Waiter};
use super::{Call, Ending, Entry, NearMiss, OperationStatus, Timeline, WaiterId, Wants, near_miss};
use crate::pure::operations::{Way, endings, way};
use crate::pure::time::Position;
use crate::wire::calling::Operation;
use crate::wire::events::EventKind;
use crate::wire::identifiers::OperationContext;

/// Which operation is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The last that had this context.
    Context(OperationContext),
    /// The one that stands there in the journal.
    Place(Position),
}

/// How an operation stands, for whoever asks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationView {
    /// Where it stands in the journal.
    #[serde(skip)]
    pub of: Position,
    /// Which.
    pub operation: Operation,
    /// The context of its events, or the name of its outcome.
    pub operation_context: OperationContext,
    /// How far it has come.
    pub status: OperationStatus,
    /// Two requests had the same context: this outcome may be that of the other.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ambiguous_context: bool,
    /// It had been given up, and was heard of after all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// When it was asked for, RFC 3339.
    pub asked_at: jiff::Timestamp,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<jiff::Timestamp>,
    /// How many events are expected.
    #[serde(skip)]
    pub expects: u16,
    /// The events that say something of it.
    #[serde(skip)]
    pub events: Vec<Position>,
    /// How and why the call ended, when that is what ended the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// What came instead, and what that means; unless it is over for good.
    #[serde(flatten)]
    pub diagnosis: Option<Diagnosis>,
}

/// Why nothing may have been heard of an operation (rule C16).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Events that met all conditions but one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near_misses: Vec<NearMiss>,
    /// What is known of the call since.
    pub diagnosis: Since,
}

/// What is known of a call since an operation was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Since {
    /// Events of the call that were heard since, of any type.
    pub events_since: usize,
    /// The type of the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event: Option<EventKind>,
    /// Whether the call lives.
    pub call: Alive,
    /// What to look at.
    pub advice: &'static str,
}

/// Whether a call lives, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Alive {
    /// It was heard of, or Azure said so when asked.
    Alive,
    /// Azure is being asked.
    Unverified,
    /// It is over.
    Ended,
}

impl Since {
    /// The sentence that fits.
    pub(super) fn advice(events: usize, near: bool, call: Alive, is_pending: bool) -> &'static str {
        match (events, near, call) {
            (_, true, _) => "events came that failed one condition; see nearMisses",
            (_, _, Alive::Ended) => "the call has ended; the operation's own event was not heard",
            (0, ..) if is_pending => "nothing has been heard of the call since the request",
            (0, ..) => {
                "nothing has been heard of the call since the request; check that its callback URL \
                 leads here and that callbacks are not refused (/metrics tells)"
            }
            _ if is_pending => "the call is heard of, its event has not come yet",
            _ => "the call is heard of, but not this operation; its event may be lost",
        }
    }
}

impl Call {
    /// How an operation stands; `None` when there is none such.
    pub fn operation(&self, which: &Which) -> Option<OperationView> {
        let meant = |one: &&Standing| match which {
            Which::Context(context) => one.what.context == *context,
            Which::Place(of) => one.of == *of,
        };
        let one = self.operations.as_ref()?.iter().rfind(meant)?;
        Some(self.operation_view(one))
    }

    /// All of them, in the order in which they were asked for.
    pub fn operation_views(&self) -> Vec<OperationView> {
        let all = self.operations.iter().flat_map(|operations| operations.iter());
        all.map(|one| self.operation_view(one)).collect()
    }

    fn operation_view(&self, one: &Standing) -> OperationView {
        let is_pending = one.status == OperationStatus::Pending;
        let timestamp = |ms| jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        let took = i64::try_from((one.ended - one.asked).as_millis()).unwrap_or(i64::MAX);
        let ended_ms = one.asked_ms.saturating_add(took);
        let ending = self.over.as_ref().map(|over| over.ending.clone());
        let unsettled = is_pending || one.status == OperationStatus::TimedOut;
        OperationView {
            of: one.of,
            operation: one.what.operation,
            operation_context: one.what.context.clone(),
            status: one.status,
            ambiguous_context: one.ambiguous,
            late: one.late,
            asked_at: timestamp(one.asked_ms),
            ended_at: (!is_pending).then(|| timestamp(ended_ms)),
            expects: one.what.expects,
            events: one.parts.iter().map(|part| part.at).collect(),
            ending: ending.filter(|_| one.status == OperationStatus::CallEnded),
            diagnosis: unsettled.then(|| self.diagnose(one)),
        }
    }

    fn diagnose(&self, one: &Standing) -> Diagnosis {
        let timeline = self.over.as_ref().map_or(&self.timeline, |over| over.timeline());
        let near_misses = near_misses(one, timeline);
        let since = || timeline.after(one.of);
        let call = match (&self.over, self.unverified) {
            (Some(_), _) => Alive::Ended,
            (None, true) => Alive::Unverified,
            (None, false) => Alive::Alive,
        };
        let events = since().count();
        let is_pending = one.status == OperationStatus::Pending;
        let advice = Since::advice(events, !near_misses.is_empty(), call, is_pending);
        let last_event = since().last().map(|entry| entry.kind.clone());
        let diagnosis = Since { events_since: events, last_event, call, advice };
        Diagnosis { near_misses, diagnosis }
    }
}

/// Events since an operation was asked for that met all of its conditions but one.
fn near_misses(one: &Standing, timeline: &Timeline) -> Vec<NearMiss> {
    let mut wants = Wants::kinds(endings(one.what.operation));
    if matches!(way(one.what.operation), Way::Event | Way::Silence) {
        wants = wants.context(one.what.context.clone());
    }
    let waiter = Waiter::new(WaiterId(0), wants, one.asked, one.asked);
    let heard = |entry: &&Entry| !one.parts.iter().any(|part| part.at == entry.position);
    let near = timeline.after(one.of).filter(heard);
    let mut near: Vec<_> = near.filter_map(|entry| near_miss(&waiter, entry)).collect();
    near.drain(..near.len().saturating_sub(NEAR_MISSES));
    near
}
