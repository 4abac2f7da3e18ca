//! Operations as functions: models in, models out.
//!
//! Owns what is the same for every caller of [`CallAutomation`]: which answer belongs to which
//! request, and how pages of participants are followed.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::ports::{Answer, CallAutomation, Request, UpstreamError};
use crate::wire::calling::{
    CallConnectionProperties, GetParticipantsResponse, Operation, Place, RecordingStateResponse,
    RequestModel,
};
use crate::wire::events::Participant;
use crate::wire::identifiers::{CallConnectionId, RawId};

/// A call has at most 350 participants; a list with more pages than this goes round in circles.
const MAX_PAGES: usize = 1_000;

/// Sends a model to its operation and reads what answers it.
///
/// # Errors
/// [`UpstreamError`] when Azure refuses, fails, or answers something that is not in the API.
pub async fn ask<M: RequestModel>(
    azure: &dyn CallAutomation,
    model: &M,
    place: Place,
) -> Result<M::Answer, UpstreamError> {
    let answer = azure.send(Request::of(model, place)).await?;
    read(M::OPERATION, &answer)
}

/// Properties of a call connection.
///
/// # Errors
/// [`UpstreamError`]; status 404 when the call is over.
pub async fn get_call(
    azure: &dyn CallAutomation,
    call: CallConnectionId,
) -> Result<CallConnectionProperties, UpstreamError> {
    let answer = azure.send(Request::new(Operation::GetCall, Place::Call(call))).await?;
    read(Operation::GetCall, &answer)
}

/// Leaves a call; ends it when it has two parties.
///
/// # Errors
/// [`UpstreamError`]; status 404 when the call is over already.
pub async fn hang_up(
    azure: &dyn CallAutomation,
    call: CallConnectionId,
) -> Result<(), UpstreamError> {
    azure.send(Request::new(Operation::HangUpCall, Place::Call(call))).await.map(drop)
}

/// Ends a call for everyone in it.
///
/// # Errors
/// [`UpstreamError`]; status 404 when the call is over already.
pub async fn terminate(
    azure: &dyn CallAutomation,
    call: CallConnectionId,
) -> Result<(), UpstreamError> {
    azure.send(Request::new(Operation::TerminateCall, Place::Call(call))).await.map(drop)
}

/// Cancels whatever plays or listens in a call.
///
/// # Errors
/// [`UpstreamError`] when Azure refuses or fails.
pub async fn cancel_all_media(
    azure: &dyn CallAutomation,
    call: CallConnectionId,
) -> Result<(), UpstreamError> {
    let request = Request::new(Operation::CancelAllMediaOperations, Place::Call(call));
    azure.send(request).await.map(drop)
}

/// One participant of a call.
///
/// # Errors
/// [`UpstreamError`]; status 404 when the call or the participant is gone.
pub async fn get_participant(
    azure: &dyn CallAutomation,
    call: CallConnectionId,
    who: RawId,
) -> Result<Participant, UpstreamError> {
    let place = Place::Participant(call, who);
    let answer = azure.send(Request::new(Operation::GetParticipant, place)).await?;
    parse(Operation::GetParticipant, &answer.body)
}

/// How a recording is.
///
/// # Errors
/// [`UpstreamError`]; status 404 when it is over.
pub async fn get_recording(
    azure: &dyn CallAutomation,
    recording: &str,
) -> Result<RecordingStateResponse, UpstreamError> {
    let operation = Operation::GetRecordingProperties;
    let place = Place::Recording(recording.to_owned());
    read(operation, &azure.send(Request::new(operation, place)).await?)
}

/// Pauses, resumes or stops a recording, as `operation` says.
///
/// # Errors
/// [`UpstreamError`]; status 404 when it is over.
pub async fn change_recording(
    azure: &dyn CallAutomation,
    operation: Operation,
    recording: &str,
) -> Result<(), UpstreamError> {
    let place = Place::Recording(recording.to_owned());
    azure.send(Request::new(operation, place)).await.map(drop)
}

/// Everybody in a call, over all pages.
///
/// # Errors
/// [`UpstreamError`] when any page cannot be had.
pub async fn list_participants(
    azure: &dyn CallAutomation,
    call: CallConnectionId,
) -> Result<Vec<Participant>, UpstreamError> {
    let operation = Operation::GetParticipants;
    let mut everybody = Vec::new();
    let mut query = String::new();
    for _ in 0..MAX_PAGES {
        let request = Request { query, ..Request::new(operation, Place::Call(call.clone())) };
        let page: GetParticipantsResponse = read(operation, &azure.send(request).await?)?;
        everybody.extend(page.value.unwrap_or_default());
        match page.next_link.filter(|link| !link.is_empty()) {
            Some(link) => query = query_of(&link),
            None => return Ok(everybody),
        }
    }
    Err(unreadable(operation, "its pages have no end"))
}

/// Only the query of a link is followed: where requests and their signatures go is not for an answer
/// to say.
fn query_of(link: &str) -> String {
    let link = link.split('#').next().unwrap_or_default();
    link.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
}

/// Reads a model from an answer. An empty body is a model with nothing in it.
fn read<T: DeserializeOwned + Default>(
    operation: Operation,
    answer: &Answer,
) -> Result<T, UpstreamError> {
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    parse(operation, &answer.body)
}

/// The parser's own words may quote the answer, so only the place is told.
fn parse<T: DeserializeOwned>(operation: Operation, body: &Bytes) -> Result<T, UpstreamError> {
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        unreadable(operation, &format!("not the JSON that was expected ({place})"))
    })
}

fn unreadable(operation: Operation, reason: &str) -> UpstreamError {
    UpstreamError::Unreadable { operation: operation.label(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use crate::ports::Later;
    use crate::wire::calling::{CreateCallRequest, PlayRequest};

    /// Answers with prepared bodies and remembers what was asked.
    struct Prepared(Mutex<(VecDeque<&'static str>, Vec<Request>)>);

    impl Prepared {
        fn with(bodies: &[&'static str]) -> Self {
            Self(Mutex::new((bodies.iter().copied().collect(), Vec::new())))
        }

        fn queries(&self) -> Vec<String> {
            self.0.lock().expect("whole").1.iter().map(|asked| asked.query.clone()).collect()
        }
    }

    impl CallAutomation for Prepared {
        fn send(&self, request: Request) -> Later<'_, Result<Answer, UpstreamError>> {
            let mut inner = self.0.lock().expect("whole");
            let status = request.operation.success()[0];
            inner.1.push(request);
            let body = Bytes::from_static(inner.0.pop_front().unwrap_or("{}").as_bytes());
            Box::pin(std::future::ready(Ok(Answer { status, body })))
        }
    }

    #[tokio::test]
    async fn pages_are_followed_by_their_query_and_never_to_another_host() {
        let azure = Prepared::with(&[
            r#"{"value":[{"identifier":{"rawId":"4:+1"}}],
                "nextLink":"https://evil.example/steal?token=a%2Bb&api-version=1#x"}"#,
            r#"{"value":[{"identifier":{"rawId":"4:+2"}}],"nextLink":"/calling/x?token=c"}"#,
            r#"{"value":[{"identifier":{"rawId":"4:+3"}}],"nextLink":""}"#,
        ]);
        let everybody = list_participants(&azure, "c".into()).await.expect("a roster");
        let raw_ids: Vec<_> = everybody.iter().map(|p| p.identifier.raw_id().as_str()).collect();
        assert_eq!(raw_ids, ["4:+1", "4:+2", "4:+3"]);
        assert_eq!(azure.queries(), ["", "token=a%2Bb&api-version=1", "token=c"]);
    }

    #[tokio::test]
    async fn pages_without_end_are_an_error() {
        let azure = Prepared::with(&[r#"{"value":[],"nextLink":"/x?token=same"}"#; MAX_PAGES + 1]);
        let refused = list_participants(&azure, "c".into()).await;
        assert!(matches!(refused, Err(UpstreamError::Unreadable { .. })));
    }

    #[tokio::test]
    async fn an_answer_is_read_as_its_operation_s_model() {
        let azure = Prepared::with(&[r#"{"callConnectionId":"c-1","new":true}"#, "", "not json"]);
        let call = ask(&azure, &CreateCallRequest::default(), Place::Nowhere).await;
        assert_eq!(call.expect("properties").call_connection_id, Some("c-1".into()));
        let played = ask(&azure, &PlayRequest::default(), Place::Call("c-1".into())).await;
        assert!(played.is_ok(), "an empty body is fine");
        let unreadable = get_call(&azure, "c-1".into()).await;
        assert!(matches!(unreadable, Err(UpstreamError::Unreadable { .. })));
    }
}
