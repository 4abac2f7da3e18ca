//! What the gateway's callers ask of calls, put up with the call before it leaves (rule C13), so that
//! its outcome can be asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use actix_web::HttpResponse;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::prefer::APPLIED;
use super::{Gateway, Refused};
use crate::actors::{Begun, NotBegun, OperationOutcome, Refusal};
use crate::http::private::operations::told;
use crate::pure::call::{NewOperation, OperationStatus, Which};
use crate::pure::operations::has_outcome;
use crate::wire::calling::{Operation, Place, RecordingStateResponse, StartRecordingRequest};
use crate::wire::identifiers::{CallConnectionId, OperationContext};
use std::time::Duration;

/// Recordings of which it is known to which call they belong. The oldest leaves first.
const MAX_RECORDINGS: usize = 10_000;

/// Participants that one request may name and whose outcomes are told apart.
const MAX_PARTS: usize = 1000;

/// An operation that stands with its call.
pub(super) struct Registered {
    call: CallConnectionId,
    operation: Operation,
    which: Which,
    begun: Begun,
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
    fn note(&self, recording: String, call: CallConnectionId) {
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
    /// Puts up what is about to be asked of a call that is known to exist; `None` when there is nothing
    /// to wait for, or no call yet.
    pub(super) async fn begin(
        &self,
        operation: Operation,
        place: &Place,
        body: &[u8],
        context: Option<&OperationContext>,
    ) -> Result<Option<Registered>, Refused> {
        let Some(context) = context.filter(|_| has_outcome(operation)) else { return Ok(None) };
        let recording = match place {
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
        let what = NewOperation { operation, context, expects, recording, unique };
        self.put_up(call, what).await.map(Some)
    }

    /// Puts up what has made a call. Its events may have come before the answer did.
    pub(super) async fn begin_with(
        &self,
        call: CallConnectionId,
        operation: Operation,
        context: OperationContext,
    ) -> Result<Registered, Refused> {
        let unique = true;
        let what = NewOperation { operation, context, expects: 1, recording: None, unique };
        self.put_up(call, what).await
    }

    async fn put_up(
        &self,
        call: CallConnectionId,
        what: NewOperation,
    ) -> Result<Registered, Refused> {
        let (operation, unique) = (what.operation, what.unique.then(|| what.context.clone()));
        let begun = self.calls.begin(&call, what).await?;
        // A repeat of the request that made the call is told of the first one.
        let which = unique.map_or(Which::Place(begun.of), Which::Context);
        Ok(Registered { call, operation, which, begun })
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
        self.calls.withdraw(&registered.call, registered.begun.of);
    }

    /// Azure has accepted it. When this returns it is safe that it was asked for.
    ///
    /// # Errors
    /// When it could not be made safe. The operation goes on all the same.
    pub(super) async fn accepted(
        &self,
        registered: Registered,
        body: &[u8],
    ) -> Result<(CallConnectionId, Which), Refused> {
        let Registered { call, operation, which, begun } = registered;
        if operation == Operation::StartRecording
            && let Ok(answer) = serde_json::from_slice::<RecordingStateResponse>(body)
            && let Some(recording) = answer.recording_id
        {
            self.recordings.note(recording, call.clone());
        }
        let accepted = self.calls.accepted(&call, begun.of, operation).await;
        begun.kept.await.map_err(Refusal::from).and(accepted).map_err(NotBegun::from)?;
        Ok((call, which))
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
