//! CloudEvents about a call connection, written exactly as Azure writes them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::outcomes::Outcome;
use super::roster::ConversationId;
use super::{Due, State, World};
use crate::wire::events::EventKind;
use crate::wire::identifiers::{CallConnectionId, CorrelationId, OperationContext, ServerCallId};

/// What a request gave for its own events.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Echoed.
    pub context: Option<OperationContext>,
    /// Replaces the call's callback URI.
    pub callback: Option<String>,
}

/// An event to be told, before it gets its ids.
pub(super) struct News {
    pub kind: EventKind,
    pub result: Option<Outcome>,
    pub members: Value,
}

impl News {
    pub fn of(kind: EventKind, result: Outcome) -> Self {
        Self { kind, result: Some(result), members: Value::Null }
    }

    pub fn plain(kind: EventKind) -> Self {
        Self { kind, result: None, members: Value::Null }
    }

    pub fn with(self, members: Value) -> Self {
        Self { members, ..self }
    }
}

/// RFC 3339 with seven digits, as .NET writes it.
pub(super) fn seven_digits(wall: Timestamp, offset: &str) -> String {
    let ticks = wall.subsec_nanosecond() / 100;
    format!("{}.{ticks:07}{offset}", wall.strftime("%Y-%m-%dT%H:%M:%S"))
}

impl World {
    /// Tells an application something. Nothing happens when its connection is gone.
    pub(super) fn tell(&mut self, call: &CallConnectionId, meta: &Meta, news: News) {
        let Some((url, event)) = self.write_event(call, meta, &news) else { return };
        let is_up = news.kind == EventKind::CallConnected;
        self.enqueue_callback(call, url, news.kind, event);
        // Here, because every leg passes here when it is up, however it came about; and a moment later,
        // because the roster is told first.
        if is_up {
            self.later(Duration::ZERO, Due::StreamsStart(call.clone()));
        }
    }

    /// Tells every application of a conversation who is in it now.
    pub(super) fn tell_roster(&mut self, conversation: ConversationId) {
        let Some(found) = self.conversations.get(conversation) else { return };
        let (apps, stands_alone) = (found.apps(), found.stands_alone());
        for call in &apps {
            self.tell_roster_to(call);
        }
        if apps.is_empty() && !stands_alone {
            let talk = self.config.behaviour.talk_without_app;
            self.later(talk, Due::TalkOver(conversation));
        }
    }

    pub(super) fn tell_roster_to(&mut self, call: &CallConnectionId) {
        let participants = self.roster_for(call);
        let Some(connection) = self.connections.get_mut(call) else { return };
        if connection.state == State::Connecting {
            return;
        }
        connection.rosters_told += 1;
        let members =
            json!({ "participants": participants, "sequenceNumber": connection.rosters_told });
        let news = News::plain(EventKind::ParticipantsUpdated).with(members);
        self.tell(call, &Meta::default(), news);
    }

    fn write_event(
        &mut self,
        call: &CallConnectionId,
        meta: &Meta,
        news: &News,
    ) -> Option<(String, String)> {
        let connection = self.connections.get(call)?;
        let conversation = self.conversations.get(connection.conversation)?;
        let mut data = Map::new();
        if let Some(context) = &meta.context {
            data.insert("operationContext".into(), context.as_str().into());
        }
        if let Value::Object(members) = &news.members {
            data.extend(members.clone());
        }
        if let Some(outcome) = &news.result {
            data.insert("resultInformation".into(), json!(outcome.information()));
        }
        let url = meta.callback.clone().unwrap_or_else(|| connection.callback_uri.clone());
        let (server, correlation) = (conversation.server.clone(), conversation.correlation.clone());
        Some((url, self.envelope(call, &server, &correlation, &news.kind, data)))
    }

    /// An event as it is posted: an array of one.
    pub(super) fn envelope(
        &mut self,
        call: &CallConnectionId,
        server: &ServerCallId,
        correlation: &CorrelationId,
        kind: &EventKind,
        mut data: Map<String, Value>,
    ) -> String {
        let id = self.ids.guid();
        if !call.as_str().is_empty() {
            data.insert("callConnectionId".into(), call.as_str().into());
        }
        data.insert("serverCallId".into(), server.as_str().into());
        data.insert("correlationId".into(), correlation.as_str().into());
        let place = format!("calling/callConnections/{call}");
        let event = json!([{
            "id": id,
            "source": place,
            "type": kind.full_name(),
            "data": data,
            "time": seven_digits(self.now.wall, "+00:00"),
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "subject": place,
        }]);
        event.to_string()
    }
}
