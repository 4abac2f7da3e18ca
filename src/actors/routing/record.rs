//! What became of the last ringing calls, for people (rule I12).

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use crate::pure::routing::{Action, CallIds, Explanation, Verdict};
use crate::wire::identifiers::{CallConnectionId, CorrelationId, ServerCallId};

/// So many notices are kept of one call; later ones are not.
const MAX_NOTICES: usize = 16;

/// What became of a ringing call in the end. A closed set, for metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// Somebody else rings.
    Redirected,
    /// The application has it.
    Answered,
    /// The caller was turned away.
    Rejected,
    /// Nothing was done, on purpose.
    Ignored,
    /// It rang no more when we heard of it.
    Stale,
    /// It was decided before.
    Repeated,
    /// No assignment, or none of its steps, is for it.
    Unassigned,
    /// Every step that was tried failed, or it stopped ringing in between.
    Failed,
    /// Every step that is for it would have sent it round.
    LoopPrevented,
}

impl Fate {
    /// The label in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Redirected => "redirected",
            Self::Answered => "answered",
            Self::Rejected => "rejected",
            Self::Ignored => "ignored",
            Self::Stale => "stale",
            Self::Repeated => "repeated",
            Self::Unassigned => "unassigned",
            Self::Failed => "failed",
            Self::LoopPrevented => "loop_prevented",
        }
    }

    /// The fate of a call on which nothing is done.
    pub(super) fn of_left_alone(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Stale => Self::Stale,
            Verdict::Repeated => Self::Repeated,
            Verdict::LoopPrevented => Self::LoopPrevented,
            Verdict::NoAssignment | Verdict::NoStepFits | Verdict::Act => Self::Unassigned,
        }
    }

    /// The fate of a call on which that action succeeded.
    pub(super) fn of_done(action: &Action) -> Self {
        match action {
            Action::Redirect { .. } => Self::Redirected,
            Action::Answer(_) => Self::Answered,
            Action::Reject { .. } => Self::Rejected,
            Action::Ignore => Self::Ignored,
        }
    }
}

/// One decision, what was done about it, and what was heard of the call afterwards.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// Its number, from 1.
    pub id: u64,
    /// When it was made.
    pub at: Timestamp,
    /// What became of the call; absent while a plan is carried out.
    pub fate: Option<Fate>,
    /// Azure's log correlation.
    pub correlation_id: Option<CorrelationId>,
    /// The call.
    pub server_call_id: Option<ServerCallId>,
    /// Milliseconds of ringing left at the decision; absent when that was not asked.
    pub left_ms: Option<u64>,
    /// Why.
    pub explanation: Explanation,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
    /// The application's leg, when the call was answered.
    pub call_connection_id: Option<CallConnectionId>,
    /// What Azure told of the call afterwards.
    pub notices: Vec<Notice>,
}

/// One step that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its place in the assignment, from 0.
    pub step: usize,
    /// Label of the action.
    pub action: &'static str,
    /// When it began.
    pub at: Timestamp,
    /// How it went.
    pub result: AttemptResult,
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum AttemptResult {
    /// No answer yet.
    Pending,
    /// Azure took it.
    Succeeded,
    /// Azure did not take it.
    Failed {
        /// Azure's status, if it gave one.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// What went wrong.
        problem: String,
    },
}

/// Something that Azure told about the call later.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// `CallStarted`, `CallEnded`, `RecordingFileStatusUpdated`, …
    pub kind: &'static str,
    /// When we heard of it.
    pub at: Timestamp,
    /// Length of the call in seconds, when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_of_call: Option<f64>,
}

/// The last decisions. The oldest leave first.
#[derive(Debug)]
pub(super) struct Records {
    limit: usize,
    made: u64,
    kept: VecDeque<DecisionRecord>,
}

impl Records {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), made: 0, kept: VecDeque::new() }
    }

    /// Keeps a new decision and gives it its number.
    pub(super) fn open(
        &mut self,
        at: Timestamp,
        ids: CallIds,
        left_ms: Option<u64>,
        explanation: Explanation,
    ) -> u64 {
        if self.kept.len() == self.limit {
            self.kept.pop_front();
        }
        self.made += 1;
        self.kept.push_back(DecisionRecord {
            id: self.made,
            at,
            fate: None,
            correlation_id: ids.correlation,
            server_call_id: ids.server_call,
            left_ms,
            explanation,
            attempts: Vec::new(),
            call_connection_id: None,
            notices: Vec::new(),
        });
        self.made
    }

    /// The decision of that number, if it is still kept. Numbers have no gaps.
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut DecisionRecord> {
        let first = self.kept.front()?.id;
        self.kept.get_mut(usize::try_from(id.checked_sub(first)?).ok()?)
    }

    /// Notes on the newest decision about that call, repeats left out, what was heard of it.
    pub(super) fn note(&mut self, ids: &CallIds, notice: Notice) -> bool {
        let about = |record: &&mut DecisionRecord| {
            let own = CallIds {
                correlation: record.correlation_id.clone(),
                server_call: record.server_call_id.clone(),
            };
            record.fate != Some(Fate::Repeated) && own.same_call(ids)
        };
        let Some(record) = self.kept.iter_mut().rev().find(about) else { return false };
        if record.notices.len() < MAX_NOTICES {
            record.notices.push(notice);
        }
        true
    }

    /// Newest first.
    pub(super) fn newest_first(&self) -> Vec<DecisionRecord> {
        self.kept.iter().rev().cloned().collect()
    }
}
