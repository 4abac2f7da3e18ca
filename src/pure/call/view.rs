//! One honest picture of a call: the admin page serves it, tests assert on it.

use serde::Serialize;

use super::{
    Call, Ending, Entry, OperationView, Phase, SubscriptionId, Timeline, Tombstone, WaiterId,
};
use crate::pure::time::{Position, Tick};
use crate::wire::events::{EventKind, Participant};
use crate::wire::identifiers::{CorrelationId, OperationContext, ServerCallId};

/// A call as it is now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallView {
    /// How far it has come.
    pub state: Phase,
    /// How and why it ended, when it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// It was restored after a restart, and Azure has not said yet that it lives.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
    /// The call, shared by its legs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_call_id: Option<ServerCallId>,
    /// Azure's log correlation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
    /// Since we know of it, in milliseconds.
    pub age_ms: u64,
    /// Who is in it.
    pub participants: Vec<Participant>,
    /// Who waits for what, in order of registration.
    pub waits: Vec<WaiterView>,
    /// How many events wait for a late reader.
    pub backlog: usize,
    /// Who listens, in order of registration.
    pub subscriptions: Vec<SubscriptionView>,
    /// What was asked of it, in that order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationView>,
    /// What was heard, oldest first.
    pub timeline: Vec<EntryView>,
    /// Older lines of the timeline that had to leave.
    pub timeline_dropped: u64,
    /// Where the last of those stood.
    #[serde(skip)]
    pub timeline_dropped_to: Position,
    /// When it wakes by itself, in milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wakes_in_ms: Option<u64>,
}

/// One standing wait.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaiterView {
    /// Its name in this process.
    #[serde(skip)]
    pub id: WaiterId,
    /// The types it waits for; empty means any.
    pub types: Vec<EventKind>,
    /// The operationContext it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_context: Option<OperationContext>,
    /// Whether a filter must let the event pass.
    pub filtered: bool,
    /// For how long it has waited, in milliseconds.
    pub age_ms: u64,
    /// How long it still waits, in milliseconds.
    pub left_ms: u64,
}

/// One subscription.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionView {
    /// Its name in this process.
    #[serde(skip)]
    pub id: SubscriptionId,
    /// The types it listens to; empty means any.
    pub types: Vec<EventKind>,
}

/// One line of the timeline.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    /// Where the event stands in the journal.
    #[serde(skip)]
    pub position: Position,
    /// When it was received, RFC 3339.
    pub received_at: jiff::Timestamp,
    /// The line itself.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Call {
    /// A glance. Changes nothing.
    pub fn view(&self, now: Tick, limits: &super::Limits) -> CallView {
        if let Some(tombstone) = &self.over {
            return CallView { operations: self.operation_views(), ..tombstone.view(now) };
        }
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        CallView {
            state: self.phase,
            ending: None,
            unverified: self.unverified,
            server_call_id: self.identity.server_call.clone(),
            correlation_id: self.identity.correlation.clone(),
            age_ms: ms(now - self.opened),
            participants: self.roster.participants().to_vec(),
            waits: self
                .waiters
                .iter()
                .map(|waiter| WaiterView {
                    id: waiter.id,
                    types: waiter.wants.kinds.iter().cloned().collect(),
                    operation_context: waiter.wants.context.clone(),
                    filtered: waiter.wants.filter.is_some(),
                    age_ms: ms(now - waiter.since),
                    left_ms: ms(waiter.until - now),
                })
                .collect(),
            backlog: self.backlog.len(),
            subscriptions: self
                .subscriptions
                .iter()
                .map(|(id, wants)| SubscriptionView {
                    id: *id,
                    types: wants.kinds.iter().cloned().collect(),
                })
                .collect(),
            operations: self.operation_views(),
            timeline: entry_views(&self.timeline),
            timeline_dropped: self.timeline.dropped(),
            timeline_dropped_to: self.timeline.dropped_to(),
            wakes_in_ms: self.deadline(limits).map(|at| ms(at - now)),
        }
    }
}

impl Tombstone {
    /// The picture of an ended call.
    pub fn view(&self, now: Tick) -> CallView {
        let age = now - self.opened;
        CallView {
            state: Phase::Disconnected,
            ending: Some(self.ending.clone()),
            unverified: false,
            server_call_id: self.identity.server_call.clone(),
            correlation_id: self.identity.correlation.clone(),
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            participants: self.roster.participants().to_vec(),
            waits: Vec::new(),
            backlog: 0,
            subscriptions: Vec::new(),
            operations: Vec::new(),
            timeline: entry_views(&self.timeline),
            timeline_dropped: self.timeline.dropped(),
            timeline_dropped_to: self.timeline.dropped_to(),
            wakes_in_ms: None,
        }
    }
}

/// The lines of a timeline, ready to be shown.
pub fn entry_views(timeline: &Timeline) -> Vec<EntryView> {
    let view = |entry: &Entry| EntryView {
        position: entry.position,
        received_at: jiff::Timestamp::from_millisecond(entry.received_ms).unwrap_or_default(),
        entry: entry.clone(),
    };
    timeline.entries().map(view).collect()
}
