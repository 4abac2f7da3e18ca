//! Continuous DTMF recognition: every key of somebody is told, beside whatever else goes on.

use std::collections::BTreeMap;

use serde_json::json;

use super::events::News;
use super::media::Lane;
use super::outcomes;
use super::roster::ConversationId;
use super::{Meta, Refusal, World};
use crate::wire::events::EventKind;
use crate::wire::identifiers::{CallConnectionId, RawId};

/// Those of a leg whose keys are told.
#[derive(Default)]
pub struct Watched(BTreeMap<RawId, Watch>);

struct Watch {
    meta: Meta,
    heard: u64,
}

impl World {
    /// From now on somebody's keys are told. Again for the same one: the new context counts, the
    /// numbering goes on.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, nobody of that id is in it, or an operation for one
    /// participant is running.
    pub fn watch_keys(
        &mut self,
        call: &CallConnectionId,
        who: &RawId,
        meta: Meta,
    ) -> Result<(), Refusal> {
        let connection = self.connected(call)?;
        if connection.media.lanes.keys().any(|lane| matches!(lane, Lane::Sub(_))) {
            return Err(self.busy_leg());
        }
        self.other(call, who)?;
        let connection = self.connections.get_mut(call).ok_or_else(Refusal::call_not_found)?;
        let watched = &mut connection.media.watched.0;
        let heard = watched.get(who).map_or(0, |watch| watch.heard);
        watched.insert(who.clone(), Watch { meta, heard });
        Ok(())
    }

    /// Somebody's keys are told no more. Nothing happens when they were not.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, or nobody of that id is in it.
    pub fn stop_watching_keys(
        &mut self,
        call: &CallConnectionId,
        who: &RawId,
        meta: Meta,
    ) -> Result<(), Refusal> {
        self.connected(call)?;
        self.other(call, who)?;
        let connection = self.connections.get_mut(call).ok_or_else(Refusal::call_not_found)?;
        if let Some(watch) = connection.media.watched.0.remove(who) {
            let Meta { context, callback } = meta;
            let context = context.or(watch.meta.context);
            let meta = Meta { context, callback: callback.or(watch.meta.callback) };
            self.tell_stopped(call, &meta);
        }
        Ok(())
    }

    pub(super) fn tell_watchers(&mut self, conversation: ConversationId, who: &RawId, tone: &str) {
        let apps = self.conversations.get(conversation).map(|found| found.apps());
        for call in apps.unwrap_or_default() {
            let connection = self.connections.get_mut(&call);
            let Some(watch) = connection.and_then(|found| found.media.watched.0.get_mut(who))
            else {
                continue;
            };
            watch.heard += 1;
            let members = json!({ "sequenceId": watch.heard, "tone": tone });
            let meta = watch.meta.clone();
            let kind = EventKind::ContinuousDtmfRecognitionToneReceived;
            self.tell(&call, &meta, News::of(kind, outcomes::DONE).with(members));
        }
    }

    /// Whoever is watched has left.
    pub(super) fn watch_ends(&mut self, call: &CallConnectionId, who: &RawId) {
        let connection = self.connections.get_mut(call);
        if let Some(watch) = connection.and_then(|found| found.media.watched.0.remove(who)) {
            self.tell_stopped(call, &watch.meta);
        }
    }

    /// The call ends: each that is still told is told to have stopped.
    pub(super) fn watches_end(&mut self, call: &CallConnectionId) {
        let Some(connection) = self.connections.get_mut(call) else { return };
        for watch in std::mem::take(&mut connection.media.watched.0).into_values() {
            self.tell_stopped(call, &watch.meta);
        }
    }

    fn tell_stopped(&mut self, call: &CallConnectionId, meta: &Meta) {
        let kind = EventKind::ContinuousDtmfRecognitionStopped;
        self.tell(call, meta, News::of(kind, outcomes::DONE));
    }
}
