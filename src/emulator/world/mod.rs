//! The pretend Azure itself: calls, ringing phones, prompts and what is still to be told to whom.
//!
//! A deterministic, synchronous world. Requests, answers from outside and the passing of time go in;
//! answers and [`Effect`]s come out. It never reads a clock, never talks to anybody and makes up ids
//! from a seed only, so that the same story gives the same trace.

mod agenda;
mod answers;
mod attendance;
mod calls;
mod cancel;
mod connection;
mod detours;
mod endings;
mod events;
mod far_end;
mod faults;
mod frames;
mod grid;
mod grid_delivery;
mod grid_handshake;
mod grid_letters;
mod grid_publish;
mod grid_record;
mod grid_retry;
mod holding;
mod ids;
mod joining;
mod lines;
mod media;
mod media_stream;
mod moving;
mod outcomes;
mod participants;
mod past;
mod playback;
mod postbox;
mod reach;
mod recognize;
mod recording;
mod recording_files;
mod refusal;
mod repeat;
mod ringing;
mod roster;
mod script;
mod streams;
#[cfg(test)]
mod tests;
mod trace;
mod transcripts;
mod transfer;
mod view;
mod watching;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::config::EmulatorConfig;
use crate::pure::time::Tick;
use crate::wire::identifiers::{CallConnectionId, IncomingCallContext};

pub use answers::Fate;
pub use connection::{CallSetup, Connection, State};
pub use events::Meta;
pub use far_end::{Deed, IncomingCallWish};
pub use faults::TokenFlaw;
#[cfg(test)]
pub use frames::AudioFrame;
pub use frames::Frame;
pub use grid_publish::GridEvent;
pub use joining::Locator;
pub use media::{MediaWish, MediaWork};
pub use participants::Invitation;
pub use playback::Source;
pub use recognize::{Listening, Menu};
pub use recording::{Recorded, RecordingWish};
pub use refusal::{Refusal, Reply};
pub use repeat::{Remembered, RepeatKey, Repetition};
pub use ringing::is_user_to_user;
pub use streams::{
    Feed, MediaStreamingWish, SocketEffect, SocketId, SocketNews, StreamSetup, TranscriptionWish,
};
pub use trace::Traced;
pub use transfer::Handover;

use agenda::Agenda;
use answers::HeldAnswers;
use detours::Detours;
use faults::FaultState;
use grid::GridState;
use ids::Ids;
use past::Past;
use playback::PromptCache;
use postbox::Postbox;
use recording::Recordings;
use repeat::Repeats;
use ringing::{Ring, RingId};
use roster::{ConversationId, Conversations};
use streams::Switchboard;
use trace::Trace;

/// A moment, on the alarm clock and on the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic.
    pub tick: Tick,
    /// On the calendar.
    pub wall: Timestamp,
}

impl Moment {
    /// An earlier moment, told by its tick.
    fn back_at(self, tick: Tick) -> Self {
        let earlier = SignedDuration::try_from(self.tick.since(tick)).unwrap_or_default();
        Self { tick, wall: self.wall.saturating_sub(earlier).unwrap_or(self.wall) }
    }
}

/// An HTTP request that the shell is to make. Its outcome comes back through [`World::finished`].
#[derive(Clone, PartialEq, Eq)]
pub struct Effect {
    /// Names the request for its outcome.
    pub job: JobId,
    /// HTTP method.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// Headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, empty for none.
    pub body: String,
    /// Whether a callback token goes with it.
    pub signed: bool,
    /// What is wrong with that token.
    pub flaw: TokenFlaw,
    /// Real time after which it is given up.
    pub deadline: Duration,
}

/// Names an outgoing request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What became of an outgoing request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Somebody answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// The headers that the handshake looks at; names in lower case.
        headers: BTreeMap<String, String>,
        /// The beginning of the body, as much as the limits allow.
        body: Bytes,
        /// Length of the whole body, when it is known.
        length: Option<u64>,
    },
    /// Nobody answered in time.
    TimedOut,
    /// The connection failed.
    Unreachable,
}

/// Whom an outgoing request was made for.
enum Job {
    Callback(CallConnectionId),
    Prompt(playback::FetchTicket),
    Handshake(String, u64),
    GridEvents(Vec<u64>),
    GridFarewell(String, String),
}

/// What happens later.
enum Due {
    ConnectionUp(CallConnectionId),
    RingOver(RingId),
    PhoneReacts(RingId, super::phone_book::OnRing),
    TalkOver(ConversationId),
    Transferred(ConversationId),
    ScriptStep(ConversationId, crate::wire::identifiers::RawId, usize),
    Media(media::OpTicket),
    StreamsStart(CallConnectionId),
    Audio(CallConnectionId),
    Words(CallConnectionId, u64, usize),
    Reconnect(CallConnectionId, Feed),
    Post(CallConnectionId),
    Detour(u64),
    Answer(u64),
    Handshake(String, u64),
    HandshakeOver(String, u64),
    GridEvent(u64),
    GridBatch(String),
    DeadLetter(Box<grid_letters::DeadLetter>),
    RecordingBegins(String),
    RecordingReady(String),
    RecordingGone(String),
}

/// The world. See the module's text.
pub struct World {
    config: EmulatorConfig,
    now: Moment,
    ids: Ids,
    agenda: Agenda<Due>,
    conversations: Conversations,
    connections: BTreeMap<CallConnectionId, Connection>,
    rings: BTreeMap<RingId, Ring>,
    tickets: BTreeMap<IncomingCallContext, RingId>,
    past: Past,
    ring_count: u64,
    op_count: u64,
    own_numbers: std::collections::BTreeSet<String>,
    prompts: PromptCache,
    switchboard: Switchboard,
    repeats: Repeats,
    recordings: Recordings,
    postbox: Postbox,
    trace: Trace,
    faults: FaultState,
    detours: Detours,
    answers: HeldAnswers,
    grid: GridState,
    jobs: BTreeMap<JobId, Job>,
    job_count: u64,
    effects: Vec<Effect>,
}

impl World {
    /// An empty world. `base_url` is where the emulator is reached, for the handshake's links.
    pub fn new(config: EmulatorConfig, seed: u64, base_url: String, now: Moment) -> Self {
        let mut world = Self {
            faults: FaultState::new(config.faults.clone()),
            own_numbers: config.numbers.iter().cloned().collect(),
            grid: GridState::new(base_url),
            config,
            now,
            ids: Ids::from_seed(seed),
            agenda: Agenda::default(),
            conversations: Conversations::default(),
            connections: BTreeMap::new(),
            rings: BTreeMap::new(),
            tickets: BTreeMap::new(),
            past: Past::default(),
            ring_count: 0,
            op_count: 0,
            prompts: PromptCache::default(),
            switchboard: Switchboard::default(),
            repeats: Repeats::default(),
            recordings: Recordings::default(),
            postbox: Postbox::default(),
            trace: Trace::new(now.tick),
            detours: Detours::default(),
            answers: HeldAnswers::default(),
            jobs: BTreeMap::new(),
            job_count: 0,
            effects: Vec::new(),
        };
        for subscription in world.config.subscriptions.clone() {
            world.subscribe(subscription);
        }
        world
    }

    /// How it was set up.
    pub fn config(&self) -> &EmulatorConfig {
        &self.config
    }

    /// Lets time pass: everything that is due happens, each thing at its own moment.
    pub fn pass_time(&mut self, now: Moment) {
        self.will_pass(now.tick);
        // What somebody has just done comes before what is due.
        self.tell_attendance();
        while let Some((at, what)) = self.agenda.take(now.tick) {
            self.now = now.back_at(at);
            self.happen(what);
            self.tell_attendance();
        }
        if now.tick >= self.now.tick {
            self.now = now;
        }
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Tick> {
        self.agenda.next()
    }

    /// What is to be done outside. Empties the list.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Tells what became of an outgoing request.
    pub fn finished(&mut self, now: Moment, job: JobId, outcome: &Outcome) {
        self.pass_time(now);
        match self.jobs.remove(&job) {
            Some(Job::Callback(call)) => self.callback_finished(&call, outcome),
            Some(Job::Prompt(ticket)) => self.prompt_fetched(&ticket, outcome),
            Some(Job::Handshake(name, life)) => self.handshake_finished(&name, life, outcome),
            Some(Job::GridEvents(events)) => self.grid_events_finished(&events, outcome),
            Some(Job::GridFarewell(name, id)) => self.farewell_finished(&name, &id, outcome),
            None => {} // it was for something that a reset has swept away
        }
    }

    /// Forgets all calls, deliveries and dead letters. Subscriptions and phones stay, and so do faults,
    /// which count from the beginning.
    pub fn reset(&mut self, now: Moment) {
        self.pass_time(now);
        let grid = self.grid.without_events();
        let forget = |due: &Due| !matches!(due, Due::Handshake(..) | Due::HandshakeOver(..));
        self.agenda.forget(forget);
        self.jobs.retain(|_, job| matches!(job, Job::Handshake(..)));
        self.close_all_sockets();
        self.conversations = Conversations::default();
        self.connections.clear();
        self.rings.clear();
        self.tickets.clear();
        self.past = Past::default();
        self.prompts = PromptCache::default();
        self.repeats = Repeats::default();
        self.recordings = Recordings::default();
        self.postbox = Postbox::default();
        self.trace.sweep();
        self.faults.begin_again();
        self.detours = Detours::default();
        self.answers.free_all();
        self.own_numbers = self.config.numbers.iter().cloned().collect();
        self.grid = grid;
    }

    fn happen(&mut self, what: Due) {
        match what {
            Due::ConnectionUp(call) => self.connection_up(&call),
            Due::RingOver(ring) => self.ring_timed_out(ring),
            Due::PhoneReacts(ring, how) => self.phone_reacts(ring, how),
            Due::TalkOver(conversation) => self.talk_over(conversation),
            Due::Transferred(conversation) => {
                self.end_conversation(conversation, &outcomes::TRANSFERRED);
            }
            Due::ScriptStep(conversation, who, step) => {
                self.script_step(conversation, &who, step);
            }
            Due::Media(ticket) => self.media_timer(&ticket),
            Due::StreamsStart(call) => self.streams_start_with_call(&call),
            Due::Audio(call) => self.audio_due(&call),
            Due::Words(call, number, step) => self.words_due(&call, number, step),
            Due::Reconnect(call, feed) => self.reopen_line(&call, feed),
            Due::Post(call) => self.post_next(&call),
            Due::Detour(number) => self.back_on_its_way(number),
            Due::Answer(number) => self.answer_due(number),
            Due::RecordingBegins(id) => self.recording_begins(&id),
            Due::RecordingReady(id) => self.recording_ready(&id),
            Due::RecordingGone(id) => self.recordings.files.forget(&id),
            Due::Handshake(name, life) => self.shake_hands(&name, life),
            Due::HandshakeOver(name, life) => self.give_up_handshake(&name, life),
            Due::GridEvent(delivery) => self.attempt_grid_event(delivery),
            Due::GridBatch(name) => self.send_grid_batches(&name),
            Due::DeadLetter(letter) => self.letter_due(*letter),
        }
    }

    fn later(&mut self, after: Duration, what: Due) -> agenda::Entry {
        self.agenda.set(self.now.tick + after, what)
    }

    fn send(&mut self, job: Job, effect: impl FnOnce(JobId) -> Effect) {
        self.job_count += 1;
        let id = JobId(self.job_count);
        self.jobs.insert(id, job);
        self.effects.push(effect(id));
    }
}
