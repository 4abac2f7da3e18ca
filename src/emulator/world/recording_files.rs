//! Files of recordings that have ended: the pieces, where they are, their metadata and how long they stay.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::events::seven_digits;
use super::recording::{Recording, Sound};
use super::{Due, Refusal, World};
use crate::emulator::recording_config::Shape;
use crate::emulator::sound;

/// What has ended.
#[derive(Default)]
pub(super) struct Files {
    ended: BTreeMap<String, Ended>,
    /// In the order in which they ended.
    order: VecDeque<String>,
    pieces: BTreeMap<String, Piece>,
}

struct Ended {
    recording: Recording,
    why: &'static str,
}

/// A file.
struct Piece {
    /// The recording that it is of.
    of: String,
    index: usize,
    from: Duration,
    length: Duration,
}

impl Files {
    pub fn has_ended(&self, id: &str) -> bool {
        self.ended.contains_key(id)
    }

    /// Keeps what has ended; beyond the limit the oldest leaves with its files.
    pub fn end(&mut self, id: &str, recording: Recording, why: &'static str, limit: usize) {
        self.ended.insert(id.to_owned(), Ended { recording, why });
        self.order.push_back(id.to_owned());
        while self.order.len() > limit.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.forget(&oldest);
            }
        }
    }

    pub fn forget(&mut self, id: &str) {
        self.ended.remove(id);
        self.order.retain(|other| other != id);
        self.pieces.retain(|_, piece| piece.of != id);
    }

    pub fn seen(&self) -> Value {
        let piece = |(document, piece): (&String, &Piece)| {
            json!({
                "documentId": document, "recordingId": piece.of, "index": piece.index,
                "lengthMs": u64::try_from(piece.length.as_millis()).ok(),
            })
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// A file as it is handed out.
pub struct Content {
    /// Content type.
    pub kind: &'static str,
    /// All of it.
    pub bytes: Vec<u8>,
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl World {
    /// The files of a recording are there: Event Grid tells.
    pub(super) fn recording_ready(&mut self, id: &str) {
        let behaviour = &self.config.behaviour.recording;
        let (longest, kept) = (behaviour.piece.max(Duration::from_millis(1)), behaviour.kept);
        let base = behaviour.content_url.clone().unwrap_or_else(|| self.grid.base_url.clone());
        let Some(ended) = self.recordings.files.ended.get(id) else { return };
        let (recording, why) = (&ended.recording, ended.why);
        let total = recording.length(self.now.tick);
        let (content, channel, format) = recording.shape.words();
        let mut data = json!({
            "recordingStorageInfo": { "recordingChunks": [] },
            "recordingStartTime": seven_digits(recording.began, "Z"),
            "recordingDurationMs": ms(total),
            "sessionEndReason": why,
            "recordingContentType": content,
            "recordingChannelType": channel,
            "recordingFormatType": format,
        });
        let subject = format!(
            "/recording/call/{}/serverCallId/{}/recordingId/{}",
            recording.correlation.as_str(),
            recording.server.as_str(),
            recording.resource,
        );
        let media = if recording.shape == Shape::Video { "video" } else { "audio" };
        let mut chunks = Vec::new();
        let (mut from, mut index) = (Duration::ZERO, 0);
        loop {
            let length = (total - from).min(longest);
            let last = from + length >= total || index + 1 >= self.config.limits.recording_pieces;
            let document = format!("0-emu-d1-{}", self.ids.guid().replace('-', ""));
            let place = format!("{base}/v1/objects/{document}");
            chunks.push(json!({
                "documentId": document,
                "index": index,
                "endReason": if last { "SessionEnded" } else { "ChunkMaximumSizeExceeded" },
                "contentLocation": format!("{place}/content/{media}"),
                "metadataLocation": format!("{place}/content/acsmetadata"),
                "deleteLocation": place,
            }));
            let piece = Piece { of: id.to_owned(), index, from, length };
            self.recordings.files.pieces.insert(document, piece);
            (from, index) = (from + length, index + 1);
            if last {
                break;
            }
        }
        data["recordingStorageInfo"]["recordingChunks"] = chunks.into();
        self.raise("Microsoft.Communication.RecordingFileStatusUpdated", subject, data);
        self.later(kept, Due::RecordingGone(id.to_owned()));
    }

    /// A file's sound or picture.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such file.
    pub fn recording_content(&self, document: &str) -> Result<Content, Refusal> {
        let (piece, recording) = self.piece(document)?;
        let until = piece.from + piece.length;
        let here = |sound: &&Sound| sound.at < until && sound.at + sound.lasts > piece.from;
        let heard: Vec<_> = recording
            .sounds
            .iter()
            .filter(here)
            .map(|found| sound::Beep {
                from: found.at.saturating_sub(piece.from),
                lasts: found.lasts,
                channel: found.channel,
            })
            .collect();
        let limit = self.config.limits.recording_bytes;
        let channels = recording.channels.iter().map(|(_, channel)| channel + 1).max();
        Ok(match recording.shape {
            Shape::Wav => wav(sound::wav(piece.length, 1, &heard, limit)),
            Shape::Unmixed => wav(sound::wav(piece.length, channels.unwrap_or(1), &heard, limit)),
            Shape::Mp3 => {
                Content { kind: "audio/mpeg", bytes: sound::silent_mp3(piece.length, limit) }
            }
            Shape::Video => Content { kind: "video/mp4", bytes: sound::empty_mp4(piece.length) },
        })
    }

    /// What a file's metadata document says.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such file.
    pub fn recording_metadata(&self, document: &str) -> Result<Value, Refusal> {
        let (piece, recording) = self.piece(document)?;
        let (content, channel, format) = recording.shape.words();
        let start =
            recording.began + jiff::SignedDuration::try_from(piece.from).unwrap_or_default();
        let pauses = recording.pauses.iter();
        let pauses: Vec<_> =
            pauses.map(|(from, to)| json!({ "startMs": ms(*from), "endMs": to.map(ms) })).collect();
        let people = recording.channels.iter();
        let people: Vec<_> = people
            .map(|(who, channel)| json!({ "participantId": who, "channel": channel }))
            .collect();
        Ok(json!({
            "resourceId": self.config.audience,
            "callId": recording.correlation,
            "chunkDocumentId": document,
            "chunkIndex": piece.index,
            "chunkStartTime": seven_digits(start, "Z"),
            "chunkDuration": ms(piece.length),
            "pauseResumeIntervals": pauses,
            "recordingInfo": {
                "contentType": content.to_lowercase(),
                "channelType": channel.to_lowercase(),
                "format": format.to_lowercase(),
                "audioConfiguration": {
                    "sampleRate": sound::RATE, "bitRate": u32::from(sound::BITS) * sound::RATE,
                    "channels": recording.channels.len().max(1),
                },
            },
            "participants": people,
        }))
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such file.
    pub fn delete_recording_file(&mut self, document: &str) -> Result<(), Refusal> {
        self.recordings.files.pieces.remove(document).map(drop).ok_or_else(no_file)
    }

    fn piece(&self, document: &str) -> Result<(&Piece, &Recording), Refusal> {
        let files = &self.recordings.files;
        let piece = files.pieces.get(document).ok_or_else(no_file)?;
        let ended = files.ended.get(&piece.of).ok_or_else(no_file)?;
        Ok((piece, &ended.recording))
    }
}

fn wav(bytes: Vec<u8>) -> Content {
    Content { kind: "audio/wav", bytes }
}

fn no_file() -> Refusal {
    Refusal::new(404, "8522", "Recording file not found; it was deleted, or its time is over.")
}
