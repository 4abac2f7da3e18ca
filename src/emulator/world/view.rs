//! What anybody may look at: calls, who is in them, what rings and what plays.

use serde_json::{Value, json};

use super::World;
use super::postbox::without_query;
use super::ringing::{Purpose, Ring};
use super::roster::{Conversation, ConversationId, Party, Seat, Venue};

impl World {
    /// Everything that lives, as JSON.
    pub fn view(&self) -> Value {
        let calls: Vec<_> =
            self.conversations.iter().map(|(id, found)| self.view_call(id, found)).collect();
        let ringing = self.rings.values().filter(|ring| ring.ticket.is_some());
        let incoming: Vec<_> = ringing.map(|ring| self.view_ring(ring)).collect();
        json!({ "calls": calls, "incomingCalls": incoming })
    }

    fn view_call(&self, id: ConversationId, found: &Conversation) -> Value {
        let here = |ring: &&Ring| ring.conversation == id;
        let ringing: Vec<_> =
            self.rings.values().filter(here).map(|ring| self.view_ring(ring)).collect();
        let connections: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.conversation == id)
            .map(|(call, connection)| {
                let (running, queued) = connection.media.seen();
                json!({
                    "callConnectionId": call,
                    "callConnectionState": connection.state.word(),
                    "callbackUri": without_query(&connection.callback_uri),
                    "media": { "running": running, "queued": queued },
                    "streams": connection.streams.view(self.now.tick),
                })
            })
            .collect();
        let (group, room) = match &found.venue {
            Venue::Group(id) => (Some(id), None),
            Venue::Room(id) => (None, Some(id)),
            Venue::Call | Venue::Nowhere => (None, None),
        };
        json!({
            "groupCallId": group,
            "roomId": room,
            "serverCallId": found.server,
            "correlationId": found.correlation,
            "connections": connections,
            "participants": found.parties.iter().map(view_party).collect::<Vec<_>>(),
            "ringing": ringing,
        })
    }

    fn view_ring(&self, ring: &Ring) -> Value {
        let conversation = self.conversations.get(ring.conversation);
        let invitation = match &ring.purpose {
            Purpose::Add { invitation, .. } => Some(invitation),
            _ => None,
        };
        json!({
            "to": ring.target,
            "from": ring.from,
            "reason": ring.purpose.label(),
            "invitationId": invitation,
            "customContext": ring.custom,
            "ringingMs": self.now.tick.since(ring.since).as_millis(),
            "incomingCallContext": ring.ticket,
            "serverCallId": conversation.map(|found| &found.server),
            "correlationId": conversation.map(|found| &found.correlation),
        })
    }
}

fn view_party(party: &Party) -> Value {
    let mut seen = json!(party.listed());
    if let Seat::App(call) = &party.seat {
        seen["callConnectionId"] = json!(call);
    }
    seen
}
