//! Rule I12: which call a notice is about.

use serde::Deserialize;

use crate::wire::events::grid::{CallNotice, GridEvent, GridNews, IncomingCall};
use crate::wire::identifiers::{CorrelationId, ServerCallId};

/// The ids by which notices are joined to decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallIds {
    /// Azure's log correlation.
    pub correlation: Option<CorrelationId>,
    /// The call.
    pub server_call: Option<ServerCallId>,
}

impl CallIds {
    /// Of a ringing call.
    pub fn of_call(call: &IncomingCall) -> Self {
        Self { correlation: call.correlation_id.clone(), server_call: call.server_call_id.clone() }
    }

    /// Of a notice about a call.
    pub fn of_notice(notice: &CallNotice) -> Self {
        Self {
            correlation: notice.correlation_id.clone(),
            server_call: notice.server_call_id.clone(),
        }
    }

    /// Of a notice in an Event Grid event; recordings name their call in the subject only. `None` for
    /// events that are no notices about calls.
    pub fn of_event(event: &GridEvent) -> Option<Self> {
        #[derive(Deserialize)]
        struct Subject {
            subject: Option<String>,
        }
        match &event.news {
            GridNews::CallStarted(notice)
            | GridNews::CallEnded(notice)
            | GridNews::ParticipantAdded(notice)
            | GridNews::ParticipantRemoved(notice) => Some(Self::of_notice(notice)),
            GridNews::RecordingFileStatusUpdated(_) => {
                let read: Subject = serde_json::from_str(&event.raw).ok()?;
                ids_of_recording(&read.subject?)
            }
            GridNews::IncomingCall(_)
            | GridNews::Validation { .. }
            | GridNews::SubscriptionDeleted
            | GridNews::Other => None,
        }
    }

    /// Whether both name the same call, by either id.
    pub fn same_call(&self, other: &Self) -> bool {
        let same = self.correlation.is_some() && self.correlation == other.correlation;
        same || (self.server_call.is_some() && self.server_call == other.server_call)
    }
}

/// The ids in the subject of `RecordingFileStatusUpdated`, whose data has none:
/// `/recording/call/{correlationId}/serverCallId/{serverCallId}/recordingId/{id}`. The server call id
/// is base64 and may hold slashes of its own.
pub fn ids_of_recording(subject: &str) -> Option<CallIds> {
    let rest = subject.strip_prefix("/recording/call/")?;
    let (correlation, rest) = rest.split_once("/serverCallId/")?;
    let server_call = rest.rsplit_once("/recordingId/").map_or(rest, |(id, _)| id);
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(CallIds {
        correlation: filled(correlation).map(CorrelationId::new),
        server_call: filled(server_call).map(ServerCallId::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i12_a_recordings_call_is_in_its_subject() {
        let subject = "/recording/call/5c7d/serverCallId/aHR0/cHM6==/recordingId/1f0c";
        let ids = ids_of_recording(subject).expect("ids");
        assert_eq!(ids.correlation.as_ref().map(CorrelationId::as_str), Some("5c7d"));
        assert_eq!(ids.server_call.as_ref().map(ServerCallId::as_str), Some("aHR0/cHM6=="));
        assert_eq!(ids_of_recording("/caller/4:+1425/recipient/4:+1425"), None);
    }

    #[test]
    fn i12_calls_are_joined_by_either_id_but_not_by_none() {
        let ids = |correlation: Option<&str>, server: Option<&str>| CallIds {
            correlation: correlation.map(CorrelationId::from),
            server_call: server.map(ServerCallId::from),
        };
        let call = ids(Some("c"), Some("s"));
        assert!(call.same_call(&ids(Some("c"), None)));
        assert!(call.same_call(&ids(Some("other"), Some("s"))));
        assert!(!call.same_call(&ids(Some("other"), Some("other"))));
        assert!(!ids(None, None).same_call(&ids(None, None)));
    }
}
