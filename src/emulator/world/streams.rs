//! Media streaming and transcription of a leg: what was asked for, and the sockets that carry it.
//!
//! A leg has at most one stream of each kind. Each is set up with the call and started with it or by
//! an operation; its line is a socket that the shell opens, and is told of by [`SocketEffect`]s. What
//! becomes of the socket comes back as [`SocketNews`]. The contents are made in `media_stream` and
//! `transcripts`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::events::News;
use super::frames::Frame;
use super::media_stream::MediaStream;
use super::outcomes;
use super::transcripts::Transcript;
use super::{Meta, Refusal, World, agenda};
use crate::emulator::pcm::Rate;
use crate::pure::time::Tick;
use crate::wire::calling::{MediaStreamingSubscription, TranscriptionSubscription};
use crate::wire::events::EventKind;
use crate::wire::identifiers::CallConnectionId;

/// Which streams a leg can have: a part of what makes it.
#[derive(Clone, Default)]
pub struct StreamSetup {
    /// Audio.
    pub media: Option<MediaStreamingWish>,
    /// Words.
    pub transcription: Option<TranscriptionWish>,
}

impl fmt::Debug for StreamSetup {
    /// URLs may carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (media, words) = (self.media.is_some(), self.transcription.is_some());
        write!(f, "StreamSetup(media: {media}, transcription: {words})")
    }
}

/// Checked `mediaStreamingOptions`.
#[derive(Clone)]
pub struct MediaStreamingWish {
    /// Where the socket goes.
    pub url: Option<String>,
    /// Whether it starts by itself.
    pub start: bool,
    /// One stream for all, or one for each participant.
    pub mixed: bool,
    /// Samples per second.
    pub rate: Rate,
    /// Whether audio is taken from the application.
    pub bidirectional: bool,
    /// Whether keys are told.
    pub keys: bool,
}

/// Checked `transcriptionOptions`.
#[derive(Clone)]
pub struct TranscriptionWish {
    /// Where the socket goes.
    pub url: Option<String>,
    /// Whether it starts by itself.
    pub start: bool,
    /// Language.
    pub locale: String,
    /// A model of the application's own.
    pub model: Option<String>,
    /// Whether unfinished results are told.
    pub intermediate: bool,
}

/// Names a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// What the shell is to do with a socket. To be done in order.
#[derive(Clone, PartialEq)]
pub enum SocketEffect {
    /// Open it.
    Open {
        /// Names it from now on.
        socket: SocketId,
        /// Where to.
        url: String,
        /// Beside the token that goes with every socket; names in lower case.
        headers: Vec<(&'static str, String)>,
        /// Real time after which it is given up.
        deadline: Duration,
    },
    /// Send a frame.
    Send {
        /// On which socket.
        socket: SocketId,
        /// What.
        frame: Frame,
    },
    /// Send what still waits, and close it.
    Close {
        /// Which socket.
        socket: SocketId,
    },
}

/// What became of a socket.
pub enum SocketNews {
    /// The other side took the connection.
    Opened,
    /// It did not; the HTTP status when it gave one.
    Refused(Option<u16>),
    /// A text frame came.
    Heard(String),
    /// A binary frame came.
    HeardBinary,
    /// The receiver was too slow: so many frames were left out.
    LeftOut(u64),
    /// It is closed, by the other side or by a fault.
    Closed,
}

/// The two kinds of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Audio.
    Media,
    /// Words.
    Transcription,
}

impl Feed {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Media => "media streaming",
            Self::Transcription => "transcription",
        }
    }

    fn options(self) -> &'static str {
        match self {
            Self::Media => "mediaStreamingOptions",
            Self::Transcription => "transcriptionOptions",
        }
    }

    pub(super) fn started(self, details: &str) -> News {
        let kind = match self {
            Self::Media => EventKind::MediaStreamingStarted,
            Self::Transcription => EventKind::TranscriptionStarted,
        };
        News::of(kind, outcomes::DONE).with(self.update("Started", details))
    }

    pub(super) fn stopped(self, details: &str) -> News {
        let kind = match self {
            Self::Media => EventKind::MediaStreamingStopped,
            Self::Transcription => EventKind::TranscriptionStopped,
        };
        News::of(kind, outcomes::DONE).with(self.update("Stopped", details))
    }

    pub(super) fn failed(self, details: &str) -> News {
        let kind = match self {
            Self::Media => EventKind::MediaStreamingFailed,
            Self::Transcription => EventKind::TranscriptionFailed,
        };
        News::of(kind, outcomes::STREAM_FAILED).with(self.update("Failed", details))
    }

    pub(super) fn update(self, status: &str, details: &str) -> Value {
        match self {
            Self::Media => json!({ "mediaStreamingUpdate": {
                "contentType": "audio",
                "mediaStreamingStatus": format!("mediaStreaming{status}"),
                "mediaStreamingStatusDetails": details,
            } }),
            Self::Transcription => json!({ "transcriptionUpdate": {
                "transcriptionStatus": format!("transcription{status}"),
                "transcriptionStatusDetails": details,
            } }),
        }
    }

    /// Why the first attempt to open the socket failed, in Azure's word. Only media streaming has one
    /// of its own for it.
    pub(super) fn not_opened(self) -> &'static str {
        match self {
            Self::Media => "initialWebSocketConnectionFailed",
            Self::Transcription => "streamConnectionUnsuccessful",
        }
    }
}

/// The streams of a leg.
#[derive(Default)]
pub struct Streams {
    pub media: Option<MediaStream>,
    pub transcript: Option<Transcript>,
}

/// What both kinds have in common: a name and a socket.
pub struct Line {
    /// The subscription's id.
    pub id: String,
    pub url: Option<String>,
    pub state: LineState,
    /// Of the request that started it.
    pub meta: Meta,
    /// Attempts to open a lost socket again.
    pub attempts: u32,
    /// When the first socket opened.
    pub since: Tick,
    /// Frames that a slow receiver missed.
    pub left_out: u64,
    /// Frames of the application that could not be used.
    pub bad: u64,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineState {
    /// Not started, stopped or failed.
    Idle,
    Opening(SocketId),
    Open(SocketId),
    /// Lost, and about to be opened again.
    Pausing(agenda::Entry),
}

impl Line {
    pub fn new(id: String, url: Option<String>) -> Self {
        let (meta, since) = (Meta::default(), Tick::default());
        Self { id, url, state: LineState::Idle, meta, attempts: 0, since, left_out: 0, bad: 0 }
    }

    pub fn open_socket(&self) -> Option<SocketId> {
        match self.state {
            LineState::Open(socket) => Some(socket),
            LineState::Idle | LineState::Opening(_) | LineState::Pausing(_) => None,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.state == LineState::Idle
    }

    fn state_word(&self) -> &'static str {
        match self.state {
            LineState::Idle => "idle",
            LineState::Opening(_) => "opening",
            LineState::Open(_) => "open",
            LineState::Pausing(_) => "reconnecting",
        }
    }

    /// Azure's word for it.
    fn subscription_state(&self) -> String {
        if self.is_idle() { "inactive".to_owned() } else { "active".to_owned() }
    }
}

impl Streams {
    pub fn line(&self, feed: Feed) -> Option<&Line> {
        match feed {
            Feed::Media => self.media.as_ref().map(|stream| &stream.line),
            Feed::Transcription => self.transcript.as_ref().map(|stream| &stream.line),
        }
    }

    pub fn line_mut(&mut self, feed: Feed) -> Option<&mut Line> {
        match feed {
            Feed::Media => self.media.as_mut().map(|stream| &mut stream.line),
            Feed::Transcription => self.transcript.as_mut().map(|stream| &mut stream.line),
        }
    }

    /// Whether a kind starts with the call.
    pub fn starts_by_itself(&self, feed: Feed) -> bool {
        match feed {
            Feed::Media => self.media.as_ref().is_some_and(|stream| stream.wish.start),
            Feed::Transcription => self.transcript.as_ref().is_some_and(|stream| stream.wish.start),
        }
    }

    /// For `CallConnectionProperties`.
    pub fn subscriptions(
        &self,
    ) -> (Option<MediaStreamingSubscription>, Option<TranscriptionSubscription>) {
        let media = self.media.as_ref().map(|stream| MediaStreamingSubscription {
            id: Some(stream.line.id.clone()),
            state: Some(stream.line.subscription_state()),
            subscribed_content_types: Some(vec!["audio".to_owned()]),
        });
        let transcription = self.transcript.as_ref().map(|stream| {
            let mut types = vec!["final".to_owned()];
            types.extend(stream.wish.intermediate.then(|| "intermediate".to_owned()));
            TranscriptionSubscription {
                id: Some(stream.line.id.clone()),
                state: Some(stream.line.subscription_state()),
                subscribed_result_types: Some(types),
                locale: Some(stream.wish.locale.clone()),
            }
        });
        (media, transcription)
    }

    /// For people and tests.
    pub fn view(&self, now: Tick) -> Value {
        let line = |line: &Line| {
            json!({
                "subscriptionId": line.id, "state": line.state_word(), "framesLeftOut": line.left_out,
                "badFrames": line.bad,
            })
        };
        let mut seen = json!({});
        if let Some(stream) = &self.media {
            seen["media"] = line(&stream.line);
            stream.add_to_view(&mut seen["media"], now);
        }
        if let Some(stream) = &self.transcript {
            seen["transcription"] = line(&stream.line);
            stream.add_to_view(&mut seen["transcription"]);
        }
        seen
    }
}

/// The sockets of all legs.
#[derive(Default)]
pub(super) struct Switchboard {
    pub sockets: BTreeMap<SocketId, (CallConnectionId, Feed)>,
    pub effects: Vec<SocketEffect>,
    /// Up to here time is about to pass at once.
    pub horizon: Tick,
    count: u64,
}

impl Switchboard {
    pub fn next_socket(&mut self) -> SocketId {
        self.count += 1;
        SocketId(self.count)
    }

    pub fn send(&mut self, socket: SocketId, frame: Frame) {
        self.effects.push(SocketEffect::Send { socket, frame });
    }
}

impl World {
    /// What is to be done with sockets, in order. Empties the list.
    pub fn take_socket_effects(&mut self) -> Vec<SocketEffect> {
        std::mem::take(&mut self.switchboard.effects)
    }

    /// Tells that a held clock is about to be moved to `until`, so that streams know how much of the
    /// way they may leave out.
    pub fn will_pass(&mut self, until: Tick) {
        self.switchboard.horizon = self.switchboard.horizon.max(until);
    }

    /// The streams that a leg is set up with.
    pub(super) fn make_streams(&mut self, setup: StreamSetup) -> Streams {
        let media = setup.media.map(|wish| MediaStream::new(self.ids.guid(), wish));
        let transcript = setup.transcription.map(|wish| Transcript::new(self.ids.guid(), wish));
        Streams { media, transcript }
    }

    /// Starts media streaming.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, was not set up for it, or streams already.
    pub fn start_media_streaming(
        &mut self,
        call: &CallConnectionId,
        meta: Meta,
    ) -> Result<(), Refusal> {
        self.check_start(call, Feed::Media)?;
        self.start_line(call, Feed::Media, meta);
        Ok(())
    }

    /// Starts transcription; language and model replace those of the options.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, was not set up for it, or is transcribed already.
    pub fn start_transcription(
        &mut self,
        call: &CallConnectionId,
        locale: Option<String>,
        model: Option<String>,
        meta: Meta,
    ) -> Result<(), Refusal> {
        self.check_start(call, Feed::Transcription)?;
        self.set_language(call, locale, model);
        self.start_line(call, Feed::Transcription, meta);
        Ok(())
    }

    /// Stops a stream.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, was not set up for it, or nothing streams.
    pub fn stop_stream(
        &mut self,
        call: &CallConnectionId,
        feed: Feed,
        meta: &Meta,
    ) -> Result<(), Refusal> {
        self.check_running(call, feed)?;
        self.close_line(call, feed);
        self.tell(call, meta, feed.stopped("subscriptionStopped"));
        Ok(())
    }

    /// Whether a stream runs, or is on its way.
    ///
    /// # Errors
    /// [`Refusal`] when it does not.
    pub(super) fn check_running(&self, call: &CallConnectionId, feed: Feed) -> Result<(), Refusal> {
        if self.stream_line(call, feed)?.is_idle() {
            return Err(Refusal::wrong_state(format!(
                "There is no {} to stop or change; start it first.",
                feed.word()
            )));
        }
        Ok(())
    }

    fn check_start(&self, call: &CallConnectionId, feed: Feed) -> Result<(), Refusal> {
        if !self.stream_line(call, feed)?.is_idle() {
            return Err(Refusal::wrong_state(format!(
                "The {} of this call was started already; stop it first.",
                feed.word()
            )));
        }
        if self.switchboard.sockets.len() >= self.config.limits.sockets {
            return Err(Refusal::full("sockets"));
        }
        Ok(())
    }

    fn stream_line(&self, call: &CallConnectionId, feed: Feed) -> Result<&Line, Refusal> {
        self.connected(call)?.streams.line(feed).ok_or_else(|| {
            Refusal::wrong_state(format!(
                "The call was not set up for {}; give {} when it is created, answered or connected.",
                feed.word(),
                feed.options()
            ))
        })
    }
}
