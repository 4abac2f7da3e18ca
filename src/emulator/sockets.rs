//! The sockets of media streaming and transcription: opens them, keeps what waits to be sent, and
//! brings back what comes.
//!
//! Owns one queue and one task for each socket. Effects are queued while the world is locked, so that
//! frames keep their order; nothing here waits for a receiver but the socket's own task. A receiver
//! that is too slow misses the oldest audio; other frames only when there is no audio among those that
//! wait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use super::config::Limits;
use super::shell::Shell;
use super::tokens::SOCKET_LIFETIME;
use super::world::{Frame, SocketEffect, SocketId, SocketNews};

/// Real time that a receiver has to take what waits, and to say goodbye, once its socket is closed.
const GOODBYE: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// All sockets.
pub struct Sockets {
    shell: Weak<Shell>,
    runtime: Handle,
    queues: Mutex<BTreeMap<SocketId, Arc<Queue>>>,
    most_waiting: usize,
    largest_frame: usize,
    /// What it trusts; `None` for the machine's authorities.
    trust: Option<Arc<rustls::ClientConfig>>,
}

/// What waits for one socket.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
    closing: watch::Sender<bool>,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Frame>,
    /// Left out, and not told yet.
    left_out: u64,
}

/// What is needed to open a socket.
struct Opening {
    socket: SocketId,
    url: String,
    headers: Vec<(&'static str, String)>,
    deadline: Duration,
    largest_frame: usize,
    /// What it trusts; `None` for the machine's authorities.
    trust: Option<Arc<rustls::ClientConfig>>,
}

/// A poisoned lock only says that somebody panicked while holding it; what it guards is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sockets {
    /// No sockets yet.
    pub fn new(
        shell: Weak<Shell>,
        runtime: Handle,
        limits: &Limits,
        trust: Option<Arc<rustls::ClientConfig>>,
    ) -> Self {
        let (most_waiting, largest_frame) = (limits.socket_frames, limits.socket_frame);
        Self { shell, runtime, queues: Mutex::default(), most_waiting, largest_frame, trust }
    }

    /// Does what the world wants done. Called with the world locked: it never calls back.
    pub fn carry_out(&self, effects: Vec<SocketEffect>) {
        for effect in effects {
            match effect {
                SocketEffect::Open { socket, url, headers, deadline } => {
                    let largest_frame = self.largest_frame;
                    let trust = self.trust.clone();
                    self.open(Opening { socket, url, headers, deadline, largest_frame, trust });
                }
                SocketEffect::Send { socket, frame } => self.send(socket, frame),
                SocketEffect::Close { socket } => {
                    if let Some(queue) = lock(&self.queues).remove(&socket) {
                        queue.closing.send_replace(true);
                        queue.changed.notify_one();
                    }
                }
            }
        }
    }

    fn open(&self, opening: Opening) {
        let queue = Arc::new(Queue::default());
        lock(&self.queues).insert(opening.socket, Arc::clone(&queue));
        let shell = Weak::clone(&self.shell);
        self.runtime.spawn(async move {
            let socket = opening.socket;
            live(&shell, opening, &queue).await;
            if let Some(shell) = shell.upgrade() {
                shell.forget_socket(socket);
            }
        });
    }

    fn send(&self, socket: SocketId, frame: Frame) {
        let Some(queue) = lock(&self.queues).get(&socket).cloned() else { return };
        let mut waiting = lock(&queue.waiting);
        waiting.frames.push_back(frame);
        let full = waiting.frames.len() > self.most_waiting;
        let first_left_out = full && waiting.left_out == 0;
        if full {
            let oldest = waiting.frames.iter().position(Frame::is_audio).unwrap_or_default();
            waiting.frames.remove(oldest);
            waiting.left_out += 1;
        }
        drop(waiting);
        queue.changed.notify_one();
        if first_left_out {
            // Later, because the world is locked now.
            let shell = Weak::clone(&self.shell);
            self.runtime.spawn(async move {
                let count = std::mem::take(&mut lock(&queue.waiting).left_out);
                report(&shell, socket, SocketNews::LeftOut(count));
            });
        }
    }

    /// Lets go of a socket that is closed.
    pub fn forget(&self, socket: SocketId) {
        lock(&self.queues).remove(&socket);
    }
}

impl Queue {
    /// The next frame; `None` when the socket is to be closed and nothing waits.
    async fn next(&self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            if *self.closing.borrow() {
                return None;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Frame> {
        lock(&self.waiting).frames.pop_front()
    }

    async fn closed(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

fn report(shell: &Weak<Shell>, socket: SocketId, news: SocketNews) {
    if let Some(shell) = shell.upgrade() {
        shell.with(|world, now| world.socket_news(now, socket, news));
    }
}

/// The life of a socket.
async fn live(shell: &Weak<Shell>, opening: Opening, queue: &Queue) {
    let socket = opening.socket;
    let Some(mut stopping) = shell.upgrade().map(|shell| shell.stopping()) else { return };
    let opened = tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => return,
        () = queue.closed() => return,
        opened = open(shell, opening) => opened,
    };
    let stream = match opened {
        Ok(stream) => stream,
        Err(status) => return report(shell, socket, SocketNews::Refused(status)),
    };
    report(shell, socket, SocketNews::Opened);
    let (sink, stream) = stream.split();
    let lingers_too_long = async {
        queue.closed().await;
        // Never ready: only the deadline ends it.
        timeout(GOODBYE, std::future::pending::<()>()).await
    };
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => return,
        _ = lingers_too_long => {}
        () = write(sink, queue) => {}
        () = read(stream, shell, socket) => {}
    }
    report(shell, socket, SocketNews::Closed);
}

async fn open(shell: &Weak<Shell>, opening: Opening) -> Result<Socket, Option<u16>> {
    let request = upgrade(shell, &opening).ok_or(None)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(opening.largest_frame))
        .max_frame_size(Some(opening.largest_frame));
    let connector = opening.trust.map(Connector::Rustls);
    let opened = connect_async_tls_with_config(request, Some(config), true, connector);
    match timeout(opening.deadline, opened).await {
        Ok(Ok((stream, _))) => Ok(stream),
        Ok(Err(Error::Http(answer))) => Err(Some(answer.status().as_u16())),
        Ok(Err(_)) | Err(_) => Err(None),
    }
}

/// The upgrade request, with the token.
fn upgrade(shell: &Weak<Shell>, opening: &Opening) -> Option<Request<()>> {
    let shell = shell.upgrade()?;
    let mut request = opening.url.as_str().into_client_request().ok()?;
    for (name, value) in &opening.headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).ok()?);
    }
    let token = shell.tokens().issue_for(shell.callers_wall(), SOCKET_LIFETIME)?;
    let token = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    request.headers_mut().insert("authorization", token);
    Some(request)
}

/// Sends what waits until the socket is to be closed, then says goodbye and waits for the answer. Returns
/// only when nothing more can be sent.
async fn write(mut sink: impl Sink<Message, Error = Error> + Unpin, queue: &Queue) {
    while let Some(frame) = queue.next().await {
        let mut next = Some(frame);
        while let Some(frame) = next {
            if sink.feed(Message::text(frame.text())).await.is_err() {
                return;
            }
            next = queue.take();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
    if sink.send(Message::Close(None)).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Brings what comes, until the other side is gone.
async fn read(
    mut stream: impl Stream<Item = Result<Message, Error>> + Unpin,
    shell: &Weak<Shell>,
    socket: SocketId,
) {
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Text(text) => {
                report(shell, socket, SocketNews::Heard(text.as_str().to_owned()))
            }
            Message::Binary(_) => report(shell, socket, SocketNews::HeardBinary),
            Message::Close(_) => {
                report(shell, socket, SocketNews::Closed);
                // Reading on sends the answer; the other side may or may not hang up then.
                let _ = timeout(GOODBYE, stream.next()).await;
                return;
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::world::AudioFrame;

    /// A queue whose socket takes nothing.
    fn stuck(most_waiting: usize) -> (Sockets, Arc<Queue>) {
        let limits = Limits { socket_frames: most_waiting, ..Limits::default() };
        let sockets = Sockets::new(Weak::new(), Handle::current(), &limits, None);
        let queue = Arc::new(Queue::default());
        lock(&sockets.queues).insert(SocketId(1), Arc::clone(&queue));
        (sockets, queue)
    }

    fn send(sockets: &Sockets, frame: Frame) {
        sockets.carry_out(vec![SocketEffect::Send { socket: SocketId(1), frame }]);
    }

    fn audio(data: &str) -> Frame {
        let (at, data) = (jiff::Timestamp::UNIX_EPOCH, data.into());
        Frame::Audio(AudioFrame { at, who: None, data, silent: true })
    }

    #[actix_web::test]
    async fn a_slow_receiver_misses_the_oldest_audio_first() {
        let (sockets, queue) = stuck(3);
        for text in ["a", "b"] {
            send(&sockets, Frame::Text(text.into()));
        }
        for data in ["1", "2", "3"] {
            send(&sockets, audio(data));
        }
        assert_eq!(lock(&queue.waiting).left_out, 2);
        send(&sockets, Frame::Text("c".into()));
        assert_eq!(lock(&queue.waiting).left_out, 3);
        let left: Vec<_> = std::iter::from_fn(|| queue.take()).map(|frame| frame.text()).collect();
        assert_eq!(left, ["a", "b", "c"]);
        for text in ["d", "e", "f", "g"] {
            send(&sockets, Frame::Text(text.into()));
        }
        let left: Vec<_> = std::iter::from_fn(|| queue.take()).map(|frame| frame.text()).collect();
        assert_eq!(left, ["e", "f", "g"], "a limit is a limit");
    }

    #[actix_web::test]
    async fn what_waits_is_sent_before_the_end() {
        let (sockets, queue) = stuck(3);
        send(&sockets, audio("1"));
        sockets.carry_out(vec![SocketEffect::Close { socket: SocketId(1) }]);
        send(&sockets, audio("2"));
        assert!(queue.next().await.is_some());
        assert!(queue.next().await.is_none());
        assert!(lock(&sockets.queues).is_empty());
    }
}
