//! What Azure does not document, or documents in two ways, about recording.
//!
//! Owns plain data with defaults; each default is the safe reading.

use std::time::Duration;

/// What is recorded, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Sound and picture in MP4.
    Video,
    /// All in one channel, MP3.
    Mp3,
    /// All in one channel, WAV.
    Wav,
    /// A channel for each participant, WAV.
    Unmixed,
}

impl Shape {
    /// The combination of content, channel and format, if there is such a one.
    pub fn of(content: &str, channel: &str, format: &str) -> Option<Self> {
        let lower = |text: &str| text.to_ascii_lowercase();
        match (lower(content).as_str(), lower(channel).as_str(), lower(format).as_str()) {
            ("audiovideo", "mixed", "mp4") => Some(Self::Video),
            ("audio", "mixed", "mp3") => Some(Self::Mp3),
            ("audio", "mixed", "wav") => Some(Self::Wav),
            ("audio", "unmixed", "wav") => Some(Self::Unmixed),
            _ => None,
        }
    }

    /// Whether participants have channels of their own.
    pub fn is_unmixed(self) -> bool {
        self == Self::Unmixed
    }

    /// Content, channel and format as requests name them.
    pub fn asked(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Video => ("audioVideo", "mixed", "mp4"),
            Self::Mp3 => ("audio", "mixed", "mp3"),
            Self::Wav => ("audio", "mixed", "wav"),
            Self::Unmixed => ("audio", "unmixed", "wav"),
        }
    }

    /// Content, channel and format as Event Grid writes them.
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Video => ("AudioVideo", "Mixed", "Mp4"),
            Self::Mp3 => ("Audio", "Mixed", "Mp3"),
            Self::Wav => ("Audio", "Mixed", "Wav"),
            Self::Unmixed => ("Audio", "Unmixed", "Wav"),
        }
    }
}

/// How an emulated Azure records. Durations are virtual.
#[derive(Clone, Debug)]
pub struct RecordingBehaviour {
    /// Whether `StartRecording` answers 202 and the recording begins a moment later, in place of 200.
    pub accepted_first: bool,
    /// How long after the end `RecordingFileStatusUpdated` comes. Azure needs minutes.
    pub file_delay: Duration,
    /// How long files are kept: 48 h on the page of 2021, perhaps 24 h since.
    pub kept: Duration,
    /// A longer recording is cut into pieces of this length. Azure cuts by size.
    pub piece: Duration,
    /// Whether `RecordingStateChanged` goes to the call's own callback URI when the request names none.
    pub told_to_call: bool,
    /// Whether a recording goes on when the application that began it leaves a group call.
    pub survives_application: bool,
    /// Whether a second recording of a call that is being recorded is refused.
    pub one_per_call: bool,
    /// Content, channel and format of a request that names none.
    pub default_shape: Shape,
    /// Scheme and host in the locations of files; the emulator's own when absent. The official SDKs fetch
    /// from Azure's hosts only: with `https://emulator.asm.skype.com` here and that name mapped to the
    /// emulator in the SDK's transport they do.
    pub content_url: Option<String>,
}

impl Default for RecordingBehaviour {
    fn default() -> Self {
        Self {
            accepted_first: false,
            file_delay: Duration::from_secs(120),
            kept: Duration::from_secs(48 * 3600),
            piece: Duration::from_secs(3600),
            told_to_call: true,
            survives_application: true,
            one_per_call: true,
            default_shape: Shape::Video,
            content_url: None,
        }
    }
}
