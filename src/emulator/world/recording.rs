//! Recordings: which call is recorded, what is heard meanwhile, and the files that come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::events::seven_digits;
use super::joining::Locator;
use super::recording_files::Files;
use super::roster::ConversationId;
use super::{Due, Moment, Refusal, World};
use crate::emulator::recording_config::Shape;
use crate::pure::time::Tick;
use crate::wire::calling::RecordingStateResponse;
use crate::wire::events::EventKind;
use crate::wire::identifiers::{CallConnectionId, CorrelationId, RawId, ServerCallId};

const KIND: &str = "azureCommunicationServices";

/// Which call is to be recorded.
#[derive(Clone, PartialEq, Eq)]
pub enum Recorded {
    /// By the call itself.
    Located(Locator),
    /// By an application's leg of it.
    Leg(CallConnectionId),
}

/// A recording as it is asked for.
pub struct RecordingWish {
    /// Which call.
    pub call: Recorded,
    /// Where its events go.
    pub callback: Option<String>,
    /// What and how.
    pub shape: Shape,
    /// Who speaks on which channel, where that was said.
    pub channels: Vec<(RawId, u8)>,
    /// Begins paused.
    pub paused: bool,
    /// Where the files are to go, when not to Azure itself. Nothing is ever put there.
    pub container: Option<String>,
}

/// Something that can be heard in a recording.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sound {
    /// Since the beginning, pauses not counted.
    pub at: Duration,
    pub lasts: Duration,
    pub channel: u8,
}

/// A recording that goes on or is paused.
pub(super) struct Recording {
    conversation: ConversationId,
    /// The leg that its events name.
    leg: Option<CallConnectionId>,
    callback: Option<String>,
    pub shape: Shape,
    pub channels: Vec<(RawId, u8)>,
    pub container: Option<String>,
    pub server: ServerCallId,
    pub correlation: CorrelationId,
    /// A part of the id, for the subject of its event.
    pub resource: String,
    pub began: Timestamp,
    started: Tick,
    /// Since when it runs; `None` while it is paused.
    running: Option<Tick>,
    /// Time recorded before that.
    recorded: Duration,
    /// Pauses, since the beginning: from and to.
    pub pauses: Vec<(Duration, Option<Duration>)>,
    pub sounds: Vec<Sound>,
}

/// All recordings, and the files of those that ended.
#[derive(Default)]
pub(super) struct Recordings {
    live: BTreeMap<String, Recording>,
    pub(super) files: Files,
}

impl Recordings {
    pub(super) fn live(&self) -> impl Iterator<Item = (&String, &Recording)> {
        self.live.iter()
    }
}

impl Recording {
    pub(super) fn length(&self, now: Tick) -> Duration {
        self.recorded + self.running.map(|since| now.since(since)).unwrap_or_default()
    }

    pub(super) fn state(&self) -> &'static str {
        if self.running.is_some() { "active" } else { "inactive" }
    }

    fn channel_of(&mut self, who: &RawId) -> u8 {
        if !self.shape.is_unmixed() {
            return 0;
        }
        if let Some((_, channel)) = self.channels.iter().find(|(known, _)| known == who) {
            return *channel;
        }
        // Whoever speaks first gets the next free channel; the last one is shared.
        let taken = |channel: &u8| self.channels.iter().any(|(_, taken)| taken == channel);
        let free = (0..4).find(|channel| !taken(channel)).unwrap_or(4);
        self.channels.push((who.clone(), free));
        free
    }
}

impl World {
    /// Begins to record a call; gives the id of the recording.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such call, it is recorded already, or there are too many recordings.
    pub fn start_recording(&mut self, wish: RecordingWish) -> Result<String, Refusal> {
        let behaviour = &self.config.behaviour.recording;
        let (one_per_call, accepted_first) = (behaviour.one_per_call, behaviour.accepted_first);
        let conversation = match &wish.call {
            Recorded::Leg(call) => self.connected(call)?.conversation,
            Recorded::Located(locator) => {
                self.find_venue(locator).ok_or_else(Refusal::call_not_found)?
            }
        };
        let of_call = |one: &Recording| one.conversation == conversation;
        if one_per_call && self.recordings.live.values().any(of_call) {
            let message = "The call is being recorded; stop that recording first.";
            return Err(Refusal::new(409, "8519", message));
        }
        if self.recordings.live.len() >= self.config.limits.recordings {
            return Err(Refusal::full("recordings"));
        }
        let found = self.conversations.get(conversation).ok_or_else(Refusal::call_not_found)?;
        let leg = match wish.call {
            Recorded::Leg(call) => Some(call),
            Recorded::Located(_) => found.apps().first().cloned(),
        };
        let (server, correlation) = (found.server.clone(), found.correlation.clone());
        let (platform, resource) = (self.ids.guid(), self.ids.guid());
        let id = json!({ "PlatformEndpointId": platform, "ResourceSpecificId": resource });
        let id = STANDARD.encode(id.to_string());
        let running = (!wish.paused && !accepted_first).then_some(self.now.tick);
        let pauses = if wish.paused { vec![(Duration::ZERO, None)] } else { Vec::new() };
        let recording = Recording {
            conversation,
            leg,
            callback: wish.callback,
            shape: wish.shape,
            channels: wish.channels,
            container: wish.container,
            server,
            correlation,
            resource,
            began: self.now.wall,
            started: self.now.tick,
            running,
            recorded: Duration::ZERO,
            pauses,
            sounds: Vec::new(),
        };
        self.recordings.live.insert(id.clone(), recording);
        if accepted_first && !wish.paused {
            let connecting = self.config.behaviour.answer_time;
            self.later(connecting, Due::RecordingBegins(id.clone()));
        } else {
            self.tell_recording(&id);
        }
        Ok(id)
    }

    pub(super) fn recording_begins(&mut self, id: &str) {
        let now = self.now.tick;
        let Some(recording) = self.recordings.live.get_mut(id) else { return };
        if recording.running.is_none() && recording.pauses.is_empty() {
            recording.running = Some(now);
            self.tell_recording(id);
        }
    }

    /// What is known of a recording that goes on.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such recording.
    pub fn recording_state(&self, id: &str) -> Result<RecordingStateResponse, Refusal> {
        let state = match self.recordings.live.get(id) {
            Some(recording) => recording.state(),
            None if self.recordings.files.has_ended(id) => "inactive",
            None => return Err(Refusal::recording_not_found()),
        };
        Ok(RecordingStateResponse {
            recording_id: Some(id.to_owned()),
            recording_state: Some(state.to_owned()),
            recording_kind: Some(KIND.to_owned()),
        })
    }

    fn recording(&mut self, id: &str) -> Result<&mut Recording, Refusal> {
        let ended = self.recordings.files.has_ended(id);
        self.recordings.live.get_mut(id).ok_or_else(|| {
            if ended {
                Refusal::wrong_state("The recording has ended.")
            } else {
                Refusal::recording_not_found()
            }
        })
    }

    /// Pauses a recording. Nothing happens to one that is paused.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such recording, or it has ended.
    pub fn pause_recording(&mut self, id: &str) -> Result<(), Refusal> {
        let now = self.now.tick;
        let recording = self.recording(id)?;
        let Some(since) = recording.running.take() else { return Ok(()) };
        recording.recorded += now.since(since);
        recording.pauses.push((now.since(recording.started), None));
        self.tell_recording(id);
        Ok(())
    }

    /// Goes on with a recording. Nothing happens to one that goes on.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such recording, or it has ended.
    pub fn resume_recording(&mut self, id: &str) -> Result<(), Refusal> {
        let now = self.now.tick;
        let recording = self.recording(id)?;
        if recording.running.is_some() {
            return Ok(());
        }
        recording.running = Some(now);
        let since_start = now.since(recording.started);
        if let Some((_, to)) = recording.pauses.last_mut() {
            *to = Some(since_start);
        }
        self.tell_recording(id);
        Ok(())
    }

    /// Ends a recording.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such recording, or it has ended.
    pub fn stop_recording(&mut self, id: &str) -> Result<(), Refusal> {
        self.recording(id)?;
        self.recording_ends(id, "RecordingStopped");
        Ok(())
    }

    /// The call ends: so do its recordings.
    pub(super) fn recordings_end(&mut self, conversation: ConversationId) {
        for id in self.recordings_where(|one| one.conversation == conversation) {
            self.recording_ends(&id, "CallEnded");
        }
    }

    /// An application leaves: what it began ends with it, where Azure is taken to do so.
    pub(super) fn recordings_lose(&mut self, call: &CallConnectionId) {
        if self.config.behaviour.recording.survives_application {
            return;
        }
        for id in self.recordings_where(|one| one.leg.as_ref() == Some(call)) {
            self.recording_ends(&id, "InitiatorLeft");
        }
    }

    fn recordings_where(&self, which: impl Fn(&Recording) -> bool) -> Vec<String> {
        let found = self.recordings.live.iter().filter(|(_, one)| which(one));
        found.map(|(id, _)| id.clone()).collect()
    }

    fn recording_ends(&mut self, id: &str, why: &'static str) {
        let now = self.now.tick;
        if let Some(recording) = self.recordings.live.get_mut(id)
            && let Some(since) = recording.running.take()
        {
            recording.recorded += now.since(since);
        }
        self.tell_recording(id);
        let Some(recording) = self.recordings.live.remove(id) else { return };
        let delay = self.config.behaviour.recording.file_delay;
        let limit = self.config.limits.recorded;
        self.recordings.files.end(id, recording, why, limit);
        self.later(delay, Due::RecordingReady(id.to_owned()));
    }

    /// Something can be heard in a call.
    pub(super) fn record_sound(
        &mut self,
        conversation: ConversationId,
        who: &RawId,
        lasts: Duration,
    ) {
        let Moment { tick, .. } = self.now;
        let limit = self.config.limits.recorded_sounds;
        for recording in self.recordings.live.values_mut() {
            let hears = recording.conversation == conversation && recording.running.is_some();
            if hears && recording.sounds.len() < limit {
                let (at, channel) = (recording.length(tick), recording.channel_of(who));
                recording.sounds.push(Sound { at, lasts, channel });
            }
        }
    }

    fn tell_recording(&mut self, id: &str) {
        let Some(recording) = self.recordings.live.get(id) else { return };
        let leg = recording.leg.clone();
        let of_call = leg.as_ref().and_then(|leg| self.connections.get(leg));
        let to_call = self.config.behaviour.recording.told_to_call;
        let call_url = of_call.filter(|_| to_call).map(|found| found.callback_uri.clone());
        let Some(url) = recording.callback.clone().or(call_url) else { return };
        let mut data = Map::new();
        data.insert("recordingId".into(), id.into());
        data.insert("state".into(), recording.state().into());
        data.insert("startDateTime".into(), seven_digits(recording.began, "+00:00").into());
        data.insert("recordingKind".into(), KIND.into());
        let (server, correlation) = (recording.server.clone(), recording.correlation.clone());
        let leg = leg.unwrap_or_else(|| CallConnectionId::new(""));
        let event =
            self.envelope(&leg, &server, &correlation, &EventKind::RecordingStateChanged, data);
        self.enqueue_callback(&leg, url, EventKind::RecordingStateChanged, event);
    }

    /// Recordings and files, for people and tests.
    pub fn recordings_seen(&self) -> Value {
        let live = self.recordings.live().map(|(id, one)| {
            json!({
                "recordingId": id,
                "recordingState": one.state(),
                "serverCallId": one.server,
                "recordedMs": u64::try_from(one.length(self.now.tick).as_millis()).ok(),
                "destinationContainerUrl": one.container.as_deref().map(super::postbox::without_query),
            })
        });
        let live: Vec<_> = live.collect();
        json!({ "recordings": live, "files": self.recordings.files.seen() })
    }
}
