//! What the gateway's callers ask of calls, put up with the call before it leaves (rule C13), so that
//! its outcome can be asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::prefer::APPLIED;
use super::{Gateway, Refused};
use crate::actors::{Begun, NotBegun, OperationOutcome, Refusal};
use crate::http::private::operations::told;
use crate::pure::call::{NewOperation, OperationStatus, Which};
use crate::pure::operations::{Way, has_outcome, way};
use crate::wire::calling::{
    AddParticipantResponse, Operation, Place, RecordingStateResponse, StartRecordingRequest,
};
use crate::wire::identifiers::{CallConnectionId, OperationContext};

/// Recordings of which it is known to which call they belong. The oldest leaves first.
const MAX_RECORDINGS: usize = 10_000;

/// Participants that one request may name and whose outcomes are told apart.
const MAX_PARTS: usize = 1000;

/// An operation of a call.
pub(super) struct Registered {
    call: CallConnectionId,
    what: NewOperation,
    /// Where it stands. Not yet, if it makes the call; or if its answer is all there is to say of it.
    begun: Option<Begun>,
}

impl Registered {
    /// What made a call: before the answer it has no id.
    pub(super) fn opening(
        call: CallConnectionId,
        operation: Operation,
        context: OperationContext,
    ) -> Self {
        // Its events may have come before the answer did.
        let unique = true;
        let what = NewOperation { operation, context, expects: 1, about: None, unique };
        Self { call, what, begun: None }
    }
}

/// To which call a recording belongs: requests about recordings name no call.
#[derive(Default)]
pub struct Recordings(Mutex<Known>);

#[derive(Default)]
struct Known {
    calls: HashMap<String, CallConnectionId>,
    order: VecDeque<String>,
}

impl Recordings {
    /// The next that is known.
    pub fn note(&self, recording: String, call: CallConnectionId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.calls.insert(recording.clone(), call).is_none() {
            known.order.push_back(recording);
        }
        if known.order.len() > MAX_RECORDINGS
            && let Some(oldest) = known.order.pop_front()
        {
            known.calls.remove(&oldest);
        }
    }

    fn call_of(&self, recording: &str) -> Option<CallConnectionId> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.calls.get(recording).cloned()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Several {
    #[serde(default)]
    target_participants: Vec<IgnoredAny>,
}

impl Gateway {
    /// What is about to be asked of a call, put up with it (rule C13); `None` when there is nothing to
    /// wait for, or no call yet.
    pub(super) async fn begin(
        &self,
        operation: Operation,
        place: &Place,
        body: &[u8],
        context: Option<&OperationContext>,
    ) -> Result<Option<Registered>, Refused> {
        let Some(context) = context.filter(|_| has_outcome(operation)) else { return Ok(None) };
        let about = match place {
            Place::Recording(recording) => Some(recording.clone()),
            Place::Nowhere | Place::Call(_) | Place::Participant(..) => None,
        };
        let call = match place {
            Place::Call(call) | Place::Participant(call, _) => Some(call.clone()),
            Place::Recording(recording) => self.recordings.call_of(recording),
            Place::Nowhere => self.recorded(operation, body).await,
        };
        let Some(call) = call else { return Ok(None) };
        let expects = match operation {
            Operation::MoveParticipants => serde_json::from_slice::<Several>(body)
                .map_or(1, |several| several.target_participants.len().clamp(1, MAX_PARTS)),
            _ => 1,
        };
        let expects = u16::try_from(expects).unwrap_or(u16::MAX);
        let (context, unique) = (context.clone(), false);
        let what = NewOperation { operation, context, expects, about, unique };
        let begun = match way(operation) {
            Way::Answer => None,
            // Whoever wants a call to end is not told to come again.
            Way::CallEnd => match self.calls.begin(&call, what.clone()).await {
                Err(NotBegun::TooMany) => return Ok(None),
                begun => Some(begun?),
            },
            _ => Some(self.calls.begin(&call, what.clone()).await?),
        };
        Ok(Some(Registered { call, what, begun }))
    }

    /// Which call is to be recorded, if we know it.
    async fn recorded(&self, operation: Operation, body: &[u8]) -> Option<CallConnectionId> {
        if operation != Operation::StartRecording {
            return None;
        }
        let request: StartRecordingRequest = serde_json::from_slice(body).ok()?;
        if let Some(call) = request.call_connection_id {
            return Some(call.into());
        }
        let server_call = request.call_locator?.server_call_id?;
        self.calls.find(server_call.as_str()).await.into_iter().next()
    }

    /// The request of an operation has failed.
    pub(super) fn withdraw(&self, registered: &Registered) {
        if let Some(begun) = &registered.begun {
            self.calls.withdraw(&registered.call, begun.of);
        }
    }

    /// Azure has accepted it. When this returns it is safe that it was asked for, and its outcome can be
    /// asked for by these names. `None` when it has no place with its call, or that could not be made
    /// safe: what Azure has answered is true all the same, and no reason to ask again.
    pub(super) async fn accepted(
        &self,
        registered: Registered,
        body: &[u8],
    ) -> Option<(CallConnectionId, Which)> {
        let (call, operation) = (registered.call.clone(), registered.what.operation.label());
        let stands = self.stands(registered, body).await;
        stands
            .inspect_err(|refused| {
                tracing::warn!(%call, operation, %refused, "an operation has no outcome");
            })
            .ok()
            .map(|which| (call, which))
    }

    async fn stands(&self, registered: Registered, body: &[u8]) -> Result<Which, NotBegun> {
        let Registered { call, what, begun } = registered;
        let NewOperation { operation, unique, .. } = what;
        let context = what.context.clone();
        let begun = match begun {
            Some(begun) => begun,
            None => self.calls.begin(&call, what).await?,
        };
        // A repeat of the request that made the call is told of the first one.
        let which = if unique { Which::Context(context) } else { Which::Place(begun.of) };
        if let Some(named) = named(operation, body) {
            if operation == Operation::StartRecording {
                self.recordings.note(named.clone(), call.clone());
            }
            self.calls.named(&call, begun.of, named).await?;
        }
        self.calls.accepted(&call, begun.of, operation).await?;
        begun.kept.await.map_err(Refusal::from)?;
        Ok(which)
    }

    /// The outcome of an operation, when it is over within the caller's patience.
    pub(super) async fn outcome(
        &self,
        call: &CallConnectionId,
        which: &Which,
        patience: Duration,
        answer: &[u8],
    ) -> Option<HttpResponse> {
        let known = self.calls.operation(call, which, patience).await;
        let Ok(OperationOutcome::Known(view)) = known else { return None };
        if view.status == OperationStatus::Pending {
            return None;
        }
        let mut outcome = told(call, &view, &self.calls).await.ok()?;
        if let (Ok(answer), Some(outcome)) =
            (serde_json::from_slice::<serde_json::Value>(answer), outcome.as_object_mut())
        {
            outcome.insert("response".to_owned(), answer);
        }
        let applied = format!("wait={}", patience.as_secs());
        Some(HttpResponse::Ok().insert_header((APPLIED, applied)).json(outcome))
    }
}

/// The recording or the invitation that an answer names.
fn named(operation: Operation, answer: &[u8]) -> Option<String> {
    match operation {
        Operation::StartRecording => {
            serde_json::from_slice::<RecordingStateResponse>(answer).ok()?.recording_id
        }
        Operation::AddParticipant => {
            serde_json::from_slice::<AddParticipantResponse>(answer).ok()?.invitation_id
        }
        _ => None,
    }
}

impl From<NotBegun> for Refused {
    fn from(refused: NotBegun) -> Self {
        let (status, code) = match &refused {
            NotBegun::TooMany => (503, "TooManyOperations"),
            NotBegun::Refused(Refusal::Busy) => (503, "Busy"),
            NotBegun::Refused(Refusal::ShuttingDown) => (503, "ShuttingDown"),
            NotBegun::Refused(Refusal::UnknownCall | Refusal::NotKept(_)) => (503, "NotKept"),
        };
        Self { again: true, ..Self::new(status, code, format!("{refused}.")) }
    }
}
