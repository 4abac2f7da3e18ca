//! The audio of a media stream: a frame every 20 ms of the world's time, silence but for those who
//! speak or press keys, and what the application plays into the call.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::frames::{self, AudioFrame, Frame, Sent};
use super::roster::{ConversationId, Party, Seat};
use super::streams::{Line, MediaStreamingWish, SocketId};
use super::{Due, World, agenda};
use crate::emulator::pcm::{self, FRAME_MS, Tone};
use crate::pure::time::Tick;
use crate::wire::identifiers::{CallConnectionId, RawId};

const FRAME: Duration = Duration::from_millis(FRAME_MS);

/// Unmixed audio has a channel for each of the four most dominant speakers (documented).
const CHANNELS: usize = 4;

/// A leg's media stream.
pub struct MediaStream {
    pub line: Line,
    pub wish: MediaStreamingWish,
    next: Option<agenda::Entry>,
    sounds: VecDeque<Sound>,
    frames: u64,
    skipped: u64,
    heard: Heard,
}

/// Somebody is heard for a while.
struct Sound {
    who: RawId,
    tone: Tone,
    from: Tick,
    until: Tick,
}

/// What the application played.
#[derive(Default)]
struct Heard {
    frames: u64,
    bytes: u64,
    stops: u64,
    until: Tick,
}

impl MediaStream {
    pub fn new(id: String, wish: MediaStreamingWish) -> Self {
        let line = Line::new(id, wish.url.clone());
        let (sounds, heard) = (VecDeque::new(), Heard::default());
        Self { line, wish, next: None, sounds, frames: 0, skipped: 0, heard }
    }

    pub fn add_to_view(&self, view: &mut Value, now: Tick) {
        view["framesSent"] = self.frames.into();
        view["framesSkipped"] = self.skipped.into();
        view["heard"] = json!({
            "frames": self.heard.frames, "bytes": self.heard.bytes, "stops": self.heard.stops,
            "playing": self.heard.until > now,
            "playingMs": u64::try_from(self.heard.until.since(now).as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// What is heard of somebody in the 20 ms before `now`, and since how many ms before them.
    fn sounding(&self, who: &RawId, now: Tick) -> Option<(Tone, u64)> {
        let begin = Tick(now.0.saturating_sub(FRAME_MS));
        let sound = self
            .sounds
            .iter()
            .find(|sound| sound.who == *who && sound.from < now && sound.until > begin)?;
        Some((sound.tone, begin.0.saturating_sub(sound.from.0)))
    }

    /// The frames for the 20 ms before `now`.
    fn frames_at(
        &self,
        audible: &[RawId],
        now: Tick,
        at: jiff::Timestamp,
        mixed_names_speaker: bool,
    ) -> Vec<Frame> {
        let rate = self.wish.rate;
        let frame = |who: Option<&RawId>, sound: Option<(Tone, u64)>| {
            let (who, silent) = (who.cloned(), sound.is_none());
            let data = match sound {
                Some((tone, since)) => pcm::sound(rate, tone, since),
                None => pcm::silence(rate),
            };
            Frame::Audio(AudioFrame { at, who, data, silent })
        };
        let heard = audible.iter().map(|who| (who, self.sounding(who, now)));
        if self.wish.mixed {
            let speaker = heard.into_iter().find(|(_, sound)| sound.is_some());
            let (who, sound) = speaker.unzip();
            return vec![frame(who.filter(|_| mixed_names_speaker), sound.flatten())];
        }
        let (mut loud, quiet): (Vec<_>, Vec<_>) = heard.partition(|(_, sound)| sound.is_some());
        loud.extend(quiet);
        loud.into_iter().take(CHANNELS).map(|(who, sound)| frame(Some(who), sound)).collect()
    }
}

/// Whether the others hear somebody.
pub(super) fn is_audible(party: &Party) -> bool {
    !party.is_muted && !party.is_on_hold
}

impl World {
    /// The socket is open: says what follows, and begins.
    pub(super) fn audio_begins(&mut self, call: &CallConnectionId, socket: SocketId) {
        let Some(stream) = self.media_stream(call) else { return };
        let metadata = frames::audio_metadata(&stream.line.id, stream.wish.rate);
        self.switchboard.send(socket, metadata);
        self.next_audio(call, FRAME);
    }

    pub(super) fn audio_ends(&mut self, call: &CallConnectionId) {
        let Some(stream) = self.media_stream(call) else { return };
        stream.sounds.clear();
        stream.heard.until = Tick::default();
        if let Some(entry) = stream.next.take() {
            self.agenda.cancel(entry);
        }
    }

    fn next_audio(&mut self, call: &CallConnectionId, after: Duration) {
        let entry = self.later(after, Due::Audio(call.clone()));
        if let Some(stream) = self.media_stream(call) {
            stream.next = Some(entry);
        }
    }

    /// Another 20 ms have passed.
    pub(super) fn audio_due(&mut self, call: &CallConnectionId) {
        let (now, at) = (self.now.tick, self.now.wall);
        let to_make = self.switchboard.horizon.since(now) + FRAME;
        let most = self.config.limits.stream_catch_up.max(FRAME);
        let too_many = to_make.saturating_sub(most).as_millis();
        let too_many = u64::try_from(too_many).unwrap_or(u64::MAX) / FRAME_MS;
        if too_many > 0 {
            return self.skip_audio(call, too_many);
        }
        let named = self.config.behaviour.streams.mixed_names_speaker;
        let audible = self.audible_to(call);
        let Some(stream) = self.media_stream(call) else { return };
        let Some(socket) = stream.line.open_socket() else { return };
        let frames = stream.frames_at(&audible, now, at, named);
        stream.frames = stream.frames.saturating_add(u64::try_from(frames.len()).unwrap_or(0));
        stream.sounds.retain(|sound| sound.until > now);
        for frame in frames {
            self.switchboard.send(socket, frame);
        }
        self.next_audio(call, FRAME);
    }

    /// Time takes a leap that is longer than anybody wants to hear.
    fn skip_audio(&mut self, call: &CallConnectionId, frames: u64) {
        let Some(stream) = self.media_stream(call) else { return };
        stream.skipped = stream.skipped.saturating_add(frames);
        tracing::warn!(
            %call, frames,
            "audio was skipped, time moved too far at once; move it in smaller steps or raise limits.stream_catch_up"
        );
        self.next_audio(call, Duration::from_millis(frames.saturating_mul(FRAME_MS)));
    }

    /// The others of a leg's call who can be heard.
    fn audible_to(&self, call: &CallConnectionId) -> Vec<RawId> {
        let parties = self.conversation_of(call).map(|found| found.parties.as_slice());
        let other = |party: &&Party| party.seat != Seat::App(call.clone()) && is_audible(party);
        let parties = parties.unwrap_or_default().iter().filter(other);
        parties.map(|party| party.who.raw_id().clone()).collect()
    }

    /// Somebody pressed keys: they are told, and they sound.
    pub(super) fn keys_streamed(
        &mut self,
        conversation: ConversationId,
        who: &RawId,
        tones: &[&'static str],
    ) {
        let as_words = self.config.behaviour.streams.keys_as_words;
        let length = self.config.behaviour.tone_length;
        let Some(found) = self.conversations.get(conversation) else { return };
        if found.party(who).is_none_or(|party| party.is_on_hold) {
            return;
        }
        for call in found.apps() {
            for tone in tones {
                let Some(stream) = self.media_stream(&call) else { break };
                let (told, socket) = (stream.wish.keys, stream.line.open_socket());
                if let Some(socket) = socket.filter(|_| told) {
                    let sign = if as_words { tone } else { pcm::printed(tone) };
                    self.switchboard.send(socket, frames::key(sign));
                }
                self.sounds(&call, who, Tone::Key(tone), length);
            }
        }
    }

    /// Somebody is heard on a stream, after what is still to be heard of them.
    pub(super) fn sounds(
        &mut self,
        call: &CallConnectionId,
        who: &RawId,
        tone: Tone,
        length: Duration,
    ) {
        let (now, most) = (self.now.tick, self.config.limits.sounds_waiting);
        let Some(stream) = self.media_stream(call) else { return };
        if stream.line.open_socket().is_none() {
            return;
        }
        if stream.sounds.len() >= most {
            tracing::warn!(%call, "a sound is not streamed, too many wait already; let time pass or raise limits.sounds_waiting");
            return;
        }
        let mine = stream.sounds.iter().filter(|sound| sound.who == *who);
        let from = mine.map(|sound| sound.until).fold(now, Tick::max);
        stream.sounds.push_back(Sound { who: who.clone(), tone, from, until: from + length });
    }

    /// Somebody left: nothing more is heard of them.
    pub(super) fn voice_gone(&mut self, call: &CallConnectionId, who: &RawId) {
        if let Some(stream) = self.media_stream(call) {
            stream.sounds.retain(|sound| sound.who != *who);
        }
        self.finish_utterances(call, Some(who));
    }

    /// A frame of the application.
    ///
    /// # Errors
    /// What to change.
    pub(super) fn audio_frame_heard(
        &mut self,
        call: &CallConnectionId,
        text: &str,
    ) -> Result<(), &'static str> {
        let now = self.now.tick;
        let Some(stream) = self.media_stream(call) else { return Ok(()) };
        let sent = frames::read(text)?;
        if !stream.wish.bidirectional {
            return Err(
                "the stream takes no audio; give enableBidirectional: true in mediaStreamingOptions",
            );
        }
        let heard = &mut stream.heard;
        match sent {
            Sent::Audio(bytes) => {
                heard.frames = heard.frames.saturating_add(1);
                heard.bytes = heard.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                heard.until = heard.until.max(now) + stream.wish.rate.length_of(bytes);
            }
            Sent::StopAudio => {
                heard.stops = heard.stops.saturating_add(1);
                heard.until = now;
            }
        }
        Ok(())
    }
}
