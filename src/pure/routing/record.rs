//! What became of the last ringing calls, for people (rule I12).

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Action, CallIds, Explanation, Verdict};
use crate::wire::events::EventKey;
use crate::wire::events::grid::{GridEvent, GridNews};
use crate::wire::identifiers::{CallConnectionId, CorrelationId, ServerCallId};

/// A word of a closed set.
pub type Label = &'static str;

/// So many notices are kept of one call; later ones are not.
const MAX_NOTICES: usize = 16;

/// What became of a ringing call in the end. A closed set, for metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    pub fn of_left_alone(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Stale => Self::Stale,
            Verdict::Repeated => Self::Repeated,
            Verdict::LoopPrevented => Self::LoopPrevented,
            Verdict::NoAssignment | Verdict::NoStepFits | Verdict::Act => Self::Unassigned,
        }
    }

    /// The fate of a call on which that action succeeded.
    pub fn of_done(action: &Action) -> Self {
        match action {
            Action::Redirect { .. } => Self::Redirected,
            Action::Answer(_) => Self::Answered,
            Action::Reject { .. } => Self::Rejected,
            Action::Ignore => Self::Ignored,
        }
    }
}

/// One decision, what was done about it, and what was heard of the call afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its place in the assignment, from 0.
    pub step: usize,
    /// Label of the action.
    #[serde(deserialize_with = "label_of_action")]
    pub action: Label,
    /// When it began.
    pub at: Timestamp,
    /// How it went.
    pub result: AttemptResult,
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        /// Certainly nothing was done: Azure refused, or was not even asked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undone: bool,
        /// What went wrong.
        problem: String,
    },
}

/// Something that Azure told about the call later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// `CallStarted`, `CallEnded`, `RecordingFileStatusUpdated`, …
    #[serde(deserialize_with = "label_of_notice")]
    pub kind: Label,
    /// When we heard of it.
    pub at: Timestamp,
    /// Length of the call in seconds, when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_of_call: Option<f64>,
    /// Identity of the event: what Event Grid tells again is noted once.
    #[serde(skip)]
    pub event: Option<EventKey>,
}

impl Notice {
    /// What an event tells about which call, heard at that time; `None` when it is no notice.
    pub fn of(event: &GridEvent, at: Timestamp) -> Option<(CallIds, Self)> {
        let duration_of_call = match &event.news {
            GridNews::CallEnded(notice) => notice.duration_of_call,
            _ => None,
        };
        let (kind, key) = (event.news.label(), Some(event.key));
        Some((CallIds::of_event(event)?, Self { kind, at, duration_of_call, event: key }))
    }
}

/// One of these words; what a file says beyond them is told as `other`.
fn one_of<'de, D: Deserializer<'de>>(
    deserializer: D,
    words: &[&'static str],
) -> Result<Label, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(words.iter().find(|word| **word == text).copied().unwrap_or("other"))
}

fn label_of_action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
    one_of(deserializer, &["redirect", "answer", "reject", "ignore"])
}

fn label_of_notice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
    one_of(
        deserializer,
        &[
            "CallStarted",
            "CallEnded",
            "CallParticipantAdded",
            "CallParticipantRemoved",
            "RecordingFileStatusUpdated",
        ],
    )
}

/// The last decisions. The oldest leave first.
#[derive(Debug)]
pub struct Records {
    limit: usize,
    made: u64,
    /// In order of their numbers.
    kept: VecDeque<DecisionRecord>,
}

impl Records {
    /// None yet; at least one is kept.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), made: 0, kept: VecDeque::new() }
    }

    /// Keeps a new decision and gives it its number.
    pub fn open(
        &mut self,
        at: Timestamp,
        ids: CallIds,
        left_ms: Option<u64>,
        explanation: Explanation,
    ) -> u64 {
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
        self.trim();
        self.made
    }

    /// The number of a decision of which no record is kept.
    pub fn skip(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Takes in a decision from before a restart, in place of what was known of it; what was heard of
    /// its call stays. New decisions get later numbers.
    pub fn restore(&mut self, record: DecisionRecord) {
        self.made = self.made.max(record.id);
        match self.place(record.id) {
            Ok(place) => {
                if let Some(known) = self.kept.get_mut(place) {
                    let notices = std::mem::take(&mut known.notices);
                    *known = DecisionRecord { notices, ..record };
                }
            }
            Err(place) => self.kept.insert(place, record),
        }
        self.trim();
    }

    /// The decision of that number, if it is still kept.
    pub fn get(&self, id: u64) -> Option<&DecisionRecord> {
        self.kept.get(self.place(id).ok()?)
    }

    /// … to be changed.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut DecisionRecord> {
        let place = self.place(id).ok()?;
        self.kept.get_mut(place)
    }

    /// Notes on the newest decision about that call, repeats left out, what was heard of it. Only
    /// decisions that are `eligible` count. Whether there is one.
    pub fn note(
        &mut self,
        ids: &CallIds,
        notice: Notice,
        eligible: impl Fn(&DecisionRecord) -> bool,
    ) -> bool {
        let about = |record: &&mut DecisionRecord| {
            let own = CallIds {
                correlation: record.correlation_id.clone(),
                server_call: record.server_call_id.clone(),
            };
            record.fate != Some(Fate::Repeated) && own.same_call(ids) && eligible(record)
        };
        let Some(record) = self.kept.iter_mut().rev().find(about) else { return false };
        let heard = |known: &Notice| known.event.is_some() && known.event == notice.event;
        if record.notices.len() < MAX_NOTICES && !record.notices.iter().any(heard) {
            record.notices.push(notice);
        }
        true
    }

    /// Newest first.
    pub fn newest_first(&self) -> Vec<DecisionRecord> {
        self.kept.iter().rev().cloned().collect()
    }

    /// Where the decision of that number stands, or would.
    fn place(&self, id: u64) -> Result<usize, usize> {
        self.kept.binary_search_by_key(&id, |record| record.id)
    }

    fn trim(&mut self) {
        while self.kept.len() > self.limit {
            self.kept.pop_front();
        }
    }
}
