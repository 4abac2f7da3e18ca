//! Who is in which call, told to Event Grid: `CallStarted`, `CallParticipantAdded`,
//! `CallParticipantRemoved`, `CallEnded`.
//!
//! They are about VoIP users only: neither telephones nor applications are told of. Whoever changes a
//! call need not think of them: what was touched is compared with what was told, after each thing that
//! happens.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::World;
use super::roster::{Conversation, ConversationId, Party, Seat, Venue};
use crate::pure::time::Tick;
use crate::wire::identifiers::{CorrelationId, Identifier, IdentifierKind, RawId, ServerCallId};

/// What Event Grid was told of a call.
pub struct Attendance {
    server: ServerCallId,
    correlation: CorrelationId,
    started_by: Identifier,
    since: Tick,
    /// Named in every event of the call, a two-party one included.
    group: String,
    room: Option<String>,
    two_party: bool,
    /// The users in it, and what each is called in events.
    users: BTreeMap<RawId, (Identifier, String)>,
}

/// The users of a call.
fn users(conversation: &Conversation) -> Vec<&Identifier> {
    let user = |party: &&Party| {
        party.seat == Seat::Phone && party.who.kind() == IdentifierKind::CommunicationUser
    };
    conversation.parties.iter().filter(user).map(|party| &party.who).collect()
}

/// Whether a call has begun: somebody is there, and somebody else, unless it is a place to meet.
fn has_begun(conversation: &Conversation) -> bool {
    let enough = if conversation.stands_alone() { 1 } else { 2 };
    conversation.parties.len() >= enough && !users(conversation).is_empty()
}

fn identified(who: &Identifier) -> Value {
    json!({ "communicationIdentifier": who, "role": "UserRole" })
}

impl Attendance {
    fn begins(conversation: &Conversation, group: String, since: Tick) -> Option<Self> {
        let (group, room) = match &conversation.venue {
            Venue::Group(id) => (id.clone(), None),
            Venue::Room(id) => (group, Some(id.clone())),
            Venue::Call | Venue::Nowhere => (group, None),
        };
        Some(Self {
            server: conversation.server.clone(),
            correlation: conversation.correlation.clone(),
            started_by: conversation.parties.first()?.who.clone(),
            since,
            group,
            room,
            two_party: !conversation.stands_alone() && conversation.parties.len() == 2,
            users: BTreeMap::new(),
        })
    }

    fn subject(&self, about: &str, who: &Identifier) -> String {
        format!("call/{}/{about}/{}", self.server.as_str(), who.raw_id().as_str())
    }

    /// The members that all these events have.
    fn about(&self) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("startedBy".into(), identified(&self.started_by));
        data.insert("serverCallId".into(), json!(self.server));
        data.insert("group".into(), json!({ "id": self.group }));
        if let Some(room) = &self.room {
            data.insert("room".into(), json!({ "id": room }));
        }
        data.insert("isTwoParty".into(), self.two_party.into());
        data.insert("correlationId".into(), json!(self.correlation));
        data.insert("isRoomsCall".into(), self.room.is_some().into());
        data
    }
}

impl World {
    /// Tells what has changed since the last time.
    pub(super) fn tell_attendance(&mut self) {
        for id in self.conversations.take_touched() {
            let Some(conversation) = self.conversations.get_untouched(id) else { continue };
            let told = conversation.attendance.take();
            if !self.config.behaviour.grid.call_events || self.grid.subscriptions.is_empty() {
                continue;
            }
            let begun = has_begun(conversation);
            let there: Vec<_> = users(conversation).into_iter().cloned().collect();
            let told = match told {
                Some(told) => Some(told),
                None if begun => self.call_started(id),
                None => None,
            };
            let Some(mut told) = told else { continue };
            self.compare(&mut told, &there);
            if let Some(conversation) = self.conversations.get_untouched(id) {
                conversation.attendance = Some(told);
            }
        }
        for mut told in self.conversations.take_gone() {
            self.compare(&mut told, &[]);
            self.call_ended(&told);
        }
    }

    fn call_started(&mut self, id: ConversationId) -> Option<Box<Attendance>> {
        let group = self.ids.guid();
        let told = Attendance::begins(self.conversations.get(id)?, group, self.now.tick)?;
        let subject = told.subject("startedBy", &told.started_by);
        self.raise("Microsoft.Communication.CallStarted", subject, Value::Object(told.about()));
        Some(Box::new(told))
    }

    fn call_ended(&mut self, told: &Attendance) {
        let mut data = told.about();
        let lasted = self.now.tick.since(told.since).as_secs_f64();
        data.insert("durationOfCall".into(), json!(lasted));
        let subject = format!("call/{}", told.server.as_str());
        self.raise("Microsoft.Communication.CallEnded", subject, Value::Object(data));
    }

    fn compare(&mut self, told: &mut Attendance, there: &[Identifier]) {
        let left: Vec<_> = told
            .users
            .keys()
            .filter(|raw| !there.iter().any(|who| who.raw_id() == *raw))
            .cloned()
            .collect();
        for raw in left {
            if let Some((who, name)) = told.users.remove(&raw) {
                self.attends(told, &who, &name, "CallParticipantRemoved");
            }
        }
        for who in there {
            if !told.users.contains_key(who.raw_id()) {
                let name = self.ids.guid();
                // Whoever comes third makes it a group for good.
                told.two_party &= told.users.len() < 2;
                self.attends(told, who, &name, "CallParticipantAdded");
                told.users.insert(who.raw_id().clone(), (who.clone(), name));
            }
        }
    }

    fn attends(&mut self, told: &Attendance, who: &Identifier, name: &str, kind: &str) {
        let mut data = told.about();
        data.insert("user".into(), identified(who));
        data.insert("displayName".into(), "".into());
        data.insert("participantId".into(), name.into());
        data.insert("userAgent".into(), concat!("switchhook/", env!("CARGO_PKG_VERSION")).into());
        let subject = told.subject("participant", who);
        self.raise(&format!("Microsoft.Communication.{kind}"), subject, Value::Object(data));
    }
}
