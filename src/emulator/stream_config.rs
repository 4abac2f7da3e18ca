//! What Azure does not document about media streaming and transcription.
//!
//! Owns plain data with defaults. Durations are virtual unless their text says otherwise.

use std::time::Duration;

/// What becomes of a stream whose socket is lost, or closed by the application, while the call goes on.
/// The details of the event say `streamConnectionInterrupted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostSocket {
    /// `MediaStreamingFailed` or `TranscriptionFailed`; it may be started again.
    Failed,
    /// `MediaStreamingStopped` or `TranscriptionStopped`; it may be started again.
    Stopped,
    /// It is opened again, as often and after as long a pause as is set. Told when that succeeds
    /// (`…Started`, `streamConnectionReestablished`) or was in vain (`…Failed`,
    /// `streamConnectionUnsuccessful`).
    Reconnected,
}

/// How streams behave where no public text says it. Each default is the safe reading.
#[derive(Clone, Debug)]
pub struct StreamBehaviour {
    /// What becomes of a stream whose socket is lost.
    pub lost_socket: LostSocket,
    /// How often a lost socket is opened again.
    pub reconnect_attempts: u32,
    /// Pause before each attempt.
    pub reconnect_pause: Duration,
    /// Whether options without `transportUrl`, which the schema allows, are refused at once. When
    /// false, starting fails with `streamUrlMissing`.
    pub missing_url_refused: bool,
    /// Whether a stream that ends with its call is told as stopped before `CallDisconnected`.
    pub stopped_told_at_call_end: bool,
    /// Whether transcription without `callIntelligenceOptions` fails with
    /// `speechServicesConnectionError`. Azure needs a speech resource; what happens without one is
    /// told nowhere.
    pub transcription_needs_speech_resource: bool,
    /// Whether frames of mixed audio name the one who speaks.
    pub mixed_names_speaker: bool,
    /// Whether `DtmfData` says `three` and `pound` in place of `3` and `#`. Only digits are documented,
    /// as printed.
    pub keys_as_words: bool,
    /// Whether `UpdateTranscription` is followed by another metadata frame.
    pub metadata_after_update: bool,
    /// Whether plain `ws` may go to other hosts than this machine. Azure takes `wss` only, and so does
    /// the emulator everywhere when `https_callbacks_only` is set.
    pub ws_to_any_host: bool,
    /// Real time after which opening a socket is given up.
    pub connect_deadline: Duration,
}

impl Default for StreamBehaviour {
    fn default() -> Self {
        Self {
            lost_socket: LostSocket::Failed,
            reconnect_attempts: 3,
            reconnect_pause: Duration::from_secs(1),
            missing_url_refused: false,
            stopped_told_at_call_end: false,
            transcription_needs_speech_resource: false,
            mixed_names_speaker: false,
            keys_as_words: false,
            metadata_after_update: false,
            ws_to_any_host: false,
            connect_deadline: Duration::from_secs(5),
        }
    }
}
