//! What Azure does not document, or documents in two ways, about recording.
//!
//! Owns plain data with defaults; each default is the safe reading.

use std::time::Duration;

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
    pub default_shape: (&'static str, &'static str, &'static str),
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
            default_shape: ("audioVideo", "mixed", "mp4"),
            content_url: None,
        }
    }
}
