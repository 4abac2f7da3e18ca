//! The life of a stream's socket: opened, refused, lost, opened again, closed.

use super::media_stream::MediaStream;
use super::postbox::without_query;
use super::streams::{Feed, Line, LineState, SocketEffect, SocketId, SocketNews};
use super::transcripts::Transcript;
use super::{Due, Meta, Moment, World};
use crate::emulator::stream_config::LostSocket;
use crate::wire::identifiers::CallConnectionId;

/// So many useless frames of one stream are told in the log; the others are only counted.
const COMPLAINTS: u64 = 10;

const FEEDS: [Feed; 2] = [Feed::Media, Feed::Transcription];

impl World {
    /// Tells what became of a socket.
    pub fn socket_news(&mut self, now: Moment, socket: SocketId, news: SocketNews) {
        self.pass_time(now);
        let Some((call, feed)) = self.switchboard.sockets.get(&socket).cloned() else {
            return; // closed in the meantime
        };
        match news {
            SocketNews::Opened => self.socket_opened(&call, feed, socket),
            SocketNews::Refused(status) => self.socket_refused(&call, feed, socket, status),
            SocketNews::Closed => self.socket_lost(&call, feed, socket),
            SocketNews::Heard(text) => self.frame_heard(&call, feed, &text),
            SocketNews::HeardBinary => {
                self.complain(&call, feed, "send text frames, with the audio as base64 inside");
            }
            SocketNews::LeftOut(count) => {
                let Some(line) = self.line_mut(&call, feed) else { return };
                let first = line.left_out == 0;
                line.left_out = line.left_out.saturating_add(count);
                if first {
                    tracing::warn!(%call, "frames were left out, the receiver of the stream is too slow; read frames before working on them");
                }
            }
        }
    }

    pub(super) fn line_mut(&mut self, call: &CallConnectionId, feed: Feed) -> Option<&mut Line> {
        self.connections.get_mut(call)?.streams.line_mut(feed)
    }

    pub(super) fn media_stream(&mut self, call: &CallConnectionId) -> Option<&mut MediaStream> {
        self.connections.get_mut(call)?.streams.media.as_mut()
    }

    pub(super) fn transcript(&mut self, call: &CallConnectionId) -> Option<&mut Transcript> {
        self.connections.get_mut(call)?.streams.transcript.as_mut()
    }

    /// Starts what was asked for together with the call.
    pub(super) fn streams_start_with_call(&mut self, call: &CallConnectionId) {
        for feed in FEEDS {
            let Some(connection) = self.connections.get(call) else { return };
            if connection.streams.starts_by_itself(feed) {
                let meta = connection.own_meta();
                self.start_line(call, feed, meta);
            }
        }
    }

    /// Ends what still streams. What was said is told before.
    pub(super) fn streams_end_with_call(&mut self, call: &CallConnectionId) {
        for feed in FEEDS {
            let Some(line) = self.line_mut(call, feed) else { continue };
            if line.is_idle() {
                continue;
            }
            let meta = line.meta.clone();
            self.close_line(call, feed);
            if self.config.behaviour.streams.stopped_told_at_call_end {
                self.tell(call, &meta, feed.stopped("subscriptionStopped"));
            }
        }
    }

    /// Closes all sockets; nobody is told.
    pub(super) fn close_all_sockets(&mut self) {
        for socket in std::mem::take(&mut self.switchboard.sockets).into_keys() {
            self.switchboard.effects.push(SocketEffect::Close { socket });
        }
    }

    /// Begins to stream under a request's context.
    pub(super) fn start_line(&mut self, call: &CallConnectionId, feed: Feed, meta: Meta) {
        let behaviour = &self.config.behaviour.streams;
        let speechless = feed == Feed::Transcription
            && behaviour.transcription_needs_speech_resource
            && self.connections.get(call).is_some_and(|found| !found.has_speech_resource());
        let Some(line) = self.line_mut(call, feed) else { return };
        line.meta = meta;
        line.attempts = 0;
        if speechless {
            self.line_failed(call, feed, "speechServicesConnectionError");
        } else {
            self.open_line(call, feed);
        }
    }

    fn open_line(&mut self, call: &CallConnectionId, feed: Feed) {
        let full = self.switchboard.sockets.len() >= self.config.limits.sockets;
        let correlation = self.conversation_of(call).map(|found| found.correlation.clone());
        let Some(line) = self.line_mut(call, feed) else { return };
        let Some(url) = line.url.clone() else {
            return self.line_failed(call, feed, "streamUrlMissing");
        };
        if full {
            return self.line_failed(call, feed, "tooManyRequests");
        }
        let headers = vec![
            ("x-ms-call-connection-id", call.as_str().to_owned()),
            (
                "x-ms-call-correlation-id",
                correlation.map(|id| id.as_str().to_owned()).unwrap_or_default(),
            ),
        ];
        let deadline = self.config.behaviour.streams.connect_deadline;
        let socket = self.switchboard.next_socket();
        if let Some(line) = self.line_mut(call, feed) {
            line.state = LineState::Opening(socket);
        }
        self.switchboard.sockets.insert(socket, (call.clone(), feed));
        self.switchboard.effects.push(SocketEffect::Open { socket, url, headers, deadline });
    }

    /// The reconnect pause is over.
    pub(super) fn reopen_line(&mut self, call: &CallConnectionId, feed: Feed) {
        let Some(line) = self.line_mut(call, feed) else { return };
        if matches!(line.state, LineState::Pausing(_)) {
            line.attempts += 1;
            self.open_line(call, feed);
        }
    }

    fn socket_opened(&mut self, call: &CallConnectionId, feed: Feed, socket: SocketId) {
        let now = self.now.tick;
        let Some(line) = self.line_mut(call, feed) else { return };
        let again = line.attempts > 0;
        line.state = LineState::Open(socket);
        line.attempts = 0;
        if !again {
            line.since = now;
        }
        let meta = line.meta.clone();
        let details = if again { "streamConnectionReestablished" } else { "subscriptionStarted" };
        self.tell(call, &meta, feed.started(details));
        match feed {
            Feed::Media => self.audio_begins(call, socket),
            Feed::Transcription => self.words_begin(call, socket),
        }
    }

    fn socket_refused(
        &mut self,
        call: &CallConnectionId,
        feed: Feed,
        socket: SocketId,
        status: Option<u16>,
    ) {
        self.switchboard.sockets.remove(&socket);
        let most = self.config.behaviour.streams.reconnect_attempts;
        let Some(line) = self.line_mut(call, feed) else { return };
        let url = line.url.as_deref().map(without_query).unwrap_or_default();
        let attempts = line.attempts;
        tracing::warn!(
            %call, feed = feed.word(), %url, status,
            "the socket of a stream was not opened; check that a web socket server listens there"
        );
        match attempts {
            0 => self.line_failed(call, feed, feed.not_opened()),
            tried if tried < most => self.pause_line(call, feed),
            _ => self.line_failed(call, feed, "streamConnectionUnsuccessful"),
        }
    }

    fn socket_lost(&mut self, call: &CallConnectionId, feed: Feed, socket: SocketId) {
        self.switchboard.sockets.remove(&socket);
        self.contents_end(call, feed);
        let behaviour = &self.config.behaviour.streams;
        let (policy, attempts) = (behaviour.lost_socket, behaviour.reconnect_attempts);
        let Some(line) = self.line_mut(call, feed) else { return };
        let meta = line.meta.clone();
        tracing::info!(%call, feed = feed.word(), "the socket of a stream was closed from outside");
        match policy {
            LostSocket::Failed => self.line_failed(call, feed, "streamConnectionInterrupted"),
            LostSocket::Stopped => {
                line.state = LineState::Idle;
                self.tell(call, &meta, feed.stopped("streamConnectionInterrupted"));
            }
            LostSocket::Reconnected if attempts > 0 => self.pause_line(call, feed),
            LostSocket::Reconnected => {
                self.line_failed(call, feed, "streamConnectionUnsuccessful");
            }
        }
    }

    fn pause_line(&mut self, call: &CallConnectionId, feed: Feed) {
        let pause = self.config.behaviour.streams.reconnect_pause;
        let entry = self.later(pause, Due::Reconnect(call.clone(), feed));
        if let Some(line) = self.line_mut(call, feed) {
            line.state = LineState::Pausing(entry);
        }
    }

    fn line_failed(&mut self, call: &CallConnectionId, feed: Feed, details: &str) {
        let Some(line) = self.line_mut(call, feed) else { return };
        line.state = LineState::Idle;
        let meta = line.meta.clone();
        self.tell(call, &meta, feed.failed(details));
    }

    /// Ends a stream from our side, whatever its state. What was said is told before.
    pub(super) fn close_line(&mut self, call: &CallConnectionId, feed: Feed) {
        if feed == Feed::Transcription {
            self.finish_utterances(call, None);
        }
        self.contents_end(call, feed);
        let Some(line) = self.line_mut(call, feed) else { return };
        match std::mem::replace(&mut line.state, LineState::Idle) {
            LineState::Opening(socket) | LineState::Open(socket) => {
                self.switchboard.sockets.remove(&socket);
                self.switchboard.effects.push(SocketEffect::Close { socket });
            }
            LineState::Pausing(entry) => self.agenda.cancel(entry),
            LineState::Idle => {}
        }
    }

    fn contents_end(&mut self, call: &CallConnectionId, feed: Feed) {
        match feed {
            Feed::Media => self.audio_ends(call),
            Feed::Transcription => {
                if let Some(transcript) = self.transcript(call) {
                    transcript.forget_utterances();
                }
            }
        }
    }

    fn frame_heard(&mut self, call: &CallConnectionId, feed: Feed, text: &str) {
        match feed {
            Feed::Media => {
                if let Err(advice) = self.audio_frame_heard(call, text) {
                    self.complain(call, feed, advice);
                }
            }
            Feed::Transcription => {
                self.complain(
                    call,
                    feed,
                    "a transcription takes no frames; send audio on a media stream",
                );
            }
        }
    }

    fn complain(&mut self, call: &CallConnectionId, feed: Feed, advice: &'static str) {
        let Some(line) = self.line_mut(call, feed) else { return };
        line.bad = line.bad.saturating_add(1);
        if line.bad <= COMPLAINTS {
            tracing::warn!(%call, feed = feed.word(), advice, "a frame of the application was ignored");
        }
    }
}
