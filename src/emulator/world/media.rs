//! Media operations of an application's leg: what runs, what waits, and what may run beside what.
//!
//! The main leg carries what everybody hears, a sub leg what one participant hears. Operations on one
//! leg wait for each other; Microsoft's table says which may not be asked for at all.

use std::collections::{BTreeMap, VecDeque};

use super::events::News;
use super::outcomes;
use super::playback::{Playback, Source};
use super::recognize::Listening;
use super::watching::Watched;
use super::{Due, Meta, Refusal, World, agenda};
use crate::emulator::config::BusyLeg;
use crate::emulator::phone_book::Prompt;
use crate::wire::events::EventKind;
use crate::wire::identifiers::{CallConnectionId, RawId};

/// All media of one leg.
#[derive(Default)]
pub struct Media {
    pub(super) lanes: BTreeMap<Lane, Line>,
    /// Whose keys are told as they are pressed.
    pub(super) watched: Watched,
}

/// On which leg of the call an operation runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Everybody.
    Main,
    /// Some participants.
    Sub(Vec<RawId>),
    /// Somebody who is on hold; beside everything else.
    Hold(RawId),
}

/// What runs on a leg, and what waits for it.
#[derive(Default)]
pub struct Line {
    pub running: Option<Op>,
    pub waiting: VecDeque<Op>,
}

/// One media operation.
pub struct Op {
    pub number: u64,
    pub meta: Meta,
    /// Whom it is for; nobody named is everybody.
    pub targets: Vec<RawId>,
    pub work: Work,
    pub timer: Option<agenda::Entry>,
}

/// What an operation does.
pub enum Work {
    Play(Playback),
    Recognize(Box<Listening>),
    SendTones(usize),
    /// Plays to somebody who is on hold.
    Hold(Playback),
}

/// Finds an operation again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpTicket {
    pub call: CallConnectionId,
    pub lane: Lane,
    pub number: u64,
}

/// A media operation as it is asked for.
pub struct MediaWish {
    /// Whom it is for; nobody named is everybody.
    pub targets: Vec<RawId>,
    /// What to do.
    pub work: MediaWork,
    /// Whether running and waiting operations of the leg are cut off.
    pub interrupt: bool,
    /// For its events.
    pub meta: Meta,
}

/// What a media operation is to do.
pub enum MediaWork {
    /// Play these, again and again when looped.
    Play {
        /// In order.
        sources: Vec<Source>,
        /// Until cancelled.
        looped: bool,
    },
    /// Play these and listen.
    Recognize(Box<Listening>),
    /// Send so many keys.
    SendTones(usize),
}

impl Lane {
    /// Whether an operation of this leg is refused while the other leg is busy, by Microsoft's table:
    /// only what is for some participants is, and only beside the like.
    fn excludes(&self, other: &Self, per_participant: bool) -> bool {
        match (self, other) {
            (Self::Sub(mine), Self::Sub(theirs)) => {
                !per_participant || mine.iter().any(|who| theirs.contains(who))
            }
            _ => false,
        }
    }
}

impl Line {
    fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }
}

impl Op {
    pub fn canceled(&self) -> EventKind {
        match self.work {
            Work::Play(_) => EventKind::PlayCanceled,
            Work::Recognize(_) => EventKind::RecognizeCanceled,
            Work::SendTones(_) => EventKind::SendDtmfTonesFailed,
            Work::Hold(_) => EventKind::HoldFailed,
        }
    }

    pub fn failed(&self) -> EventKind {
        match self.work {
            Work::Play(_) => EventKind::PlayFailed,
            Work::Recognize(_) => EventKind::RecognizeFailed,
            Work::SendTones(_) => EventKind::SendDtmfTonesFailed,
            Work::Hold(_) => EventKind::HoldFailed,
        }
    }

    /// Takes somebody off the list of those it is for. Tells whether that leaves nobody.
    pub fn loses(&mut self, who: &RawId) -> bool {
        let before = self.targets.len();
        self.targets.retain(|target| target != who);
        before > 0 && self.targets.is_empty()
    }

    pub fn label(&self) -> &'static str {
        match self.work {
            Work::Play(_) => "play",
            Work::Recognize(_) => "recognize",
            Work::SendTones(_) => "sendDtmfTones",
            Work::Hold(_) => "hold",
        }
    }
}

impl Media {
    pub fn op(&mut self, ticket: &OpTicket) -> Option<&mut Op> {
        let running = self.lanes.get_mut(&ticket.lane)?.running.as_mut()?;
        (running.number == ticket.number).then_some(running)
    }

    /// What runs, then what waits, for people and tests.
    pub fn seen(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let lines = || self.lanes.values();
        let running = lines().filter_map(|line| line.running.as_ref()).map(Op::label).collect();
        let waiting = lines().flat_map(|line| &line.waiting).map(Op::label).collect();
        (running, waiting)
    }

    /// What runs, with its leg.
    pub fn running(&mut self) -> impl Iterator<Item = (&Lane, &mut Op)> {
        self.lanes.iter_mut().filter_map(|(lane, line)| Some((lane, line.running.as_mut()?)))
    }
}

impl World {
    /// Starts a media operation, or lets it wait for its turn.
    ///
    /// # Errors
    /// [`Refusal`] when the call is not up, the target is not in it, or the table says no.
    pub fn start_media(&mut self, call: &CallConnectionId, wish: MediaWish) -> Result<(), Refusal> {
        self.connected(call)?;
        for target in &wish.targets {
            self.other(call, target)?;
        }
        let lane = self.lane_of(call, &wish);
        let limit = self.config.limits.media_queue;
        let per_participant = self.config.behaviour.sub_leg_per_participant;
        let connection = self.connections.get_mut(call).ok_or_else(Refusal::call_not_found)?;
        let in_the_way = |other: &Lane| lane.excludes(other, per_participant);
        let busy = |(other, line): (&Lane, &Line)| in_the_way(other) && !line.is_idle();
        if !wish.interrupt && connection.media.lanes.iter().any(busy) {
            return Err(self.busy_leg());
        }
        if wish.interrupt {
            self.cancel_lanes(call, |other| *other == lane || in_the_way(other));
        }
        self.op_count += 1;
        let work = match wish.work {
            MediaWork::Play { sources, looped } => Work::Play(Playback::new(sources, looped)),
            MediaWork::Recognize(listening) => Work::Recognize(listening),
            MediaWork::SendTones(count) => Work::SendTones(count),
        };
        let op =
            Op { number: self.op_count, meta: wish.meta, targets: wish.targets, work, timer: None };
        let connection = self.connections.get_mut(call).ok_or_else(Refusal::call_not_found)?;
        let line = connection.media.lanes.entry(lane.clone()).or_default();
        if line.waiting.len() >= limit {
            return Err(Refusal::full("media operations for this call"));
        }
        line.waiting.push_back(op);
        self.start_next(call, &lane);
        Ok(())
    }

    /// Something for one participant is running, and nothing of the kind may run beside it.
    pub(super) fn busy_leg(&self) -> Refusal {
        let message = "A media operation for one participant is running; wait for it or cancel it.";
        match self.config.behaviour.busy_leg {
            BusyLeg::WrongState => Refusal::wrong_state(message),
            BusyLeg::Conflict => Refusal::new(409, "8519", message),
        }
    }

    fn lane_of(&self, call: &CallConnectionId, wish: &MediaWish) -> Lane {
        let alone = !self.is_group(call);
        match (wish.targets.as_slice(), &wish.work) {
            ([], _) => Lane::Main,
            (_, MediaWork::Recognize(_)) if alone => Lane::Main,
            (targets, _) => Lane::Sub(targets.to_vec()),
        }
    }

    /// Starts what waits on an idle leg.
    pub(super) fn start_next(&mut self, call: &CallConnectionId, lane: &Lane) {
        let Some(connection) = self.connections.get_mut(call) else { return };
        let Some(line) = connection.media.lanes.get_mut(lane) else { return };
        if line.running.is_some() {
            return;
        }
        let Some(op) = line.waiting.pop_front() else {
            connection.media.lanes.remove(lane);
            return;
        };
        let ticket = OpTicket { call: call.clone(), lane: lane.clone(), number: op.number };
        let tones = match &op.work {
            Work::SendTones(count) => Some(*count),
            Work::Play(_) | Work::Recognize(_) | Work::Hold(_) => None,
        };
        line.running = Some(op);
        match tones {
            Some(count) => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                let length = self.config.behaviour.tone_length.saturating_mul(count);
                self.set_media_timer(&ticket, length);
            }
            None => self.load_prompts(&ticket),
        }
    }

    pub(super) fn op(&mut self, ticket: &OpTicket) -> Option<&mut Op> {
        self.connections.get_mut(&ticket.call)?.media.op(ticket)
    }

    /// Sets the one timer of an operation anew.
    pub(super) fn set_media_timer(&mut self, ticket: &OpTicket, after: std::time::Duration) {
        self.stop_media_timer(ticket);
        let entry = self.later(after, Due::Media(ticket.clone()));
        if let Some(op) = self.op(ticket) {
            op.timer = Some(entry);
        }
    }

    pub(super) fn stop_media_timer(&mut self, ticket: &OpTicket) {
        if let Some(entry) = self.op(ticket).and_then(|op| op.timer.take()) {
            self.agenda.cancel(entry);
        }
    }

    pub(super) fn media_timer(&mut self, ticket: &OpTicket) {
        let Some(op) = self.op(ticket) else { return };
        op.timer = None;
        match &op.work {
            Work::SendTones(_) => {
                self.end_op(ticket, News::of(EventKind::SendDtmfTonesCompleted, outcomes::DONE));
            }
            Work::Play(_) | Work::Hold(_) => self.play_ended(ticket),
            Work::Recognize(_) => self.listening_timer(ticket),
        }
    }

    /// Ends a running operation with its last event, and starts the next one.
    pub(super) fn end_op(&mut self, ticket: &OpTicket, news: News) {
        self.stop_media_timer(ticket);
        if self.op(ticket).is_none() {
            return;
        }
        let connection = self.connections.get_mut(&ticket.call);
        let line = connection.and_then(|found| found.media.lanes.get_mut(&ticket.lane));
        let Some(op) = line.and_then(|line| line.running.take()) else { return };
        self.tell(&ticket.call, &op.meta, news);
        self.start_next(&ticket.call, &ticket.lane);
    }

    /// Tells that an operation began, and wakes the phones that waited for it.
    pub(super) fn tell_started(&mut self, ticket: &OpTicket) {
        let Some(op) = self.op(ticket).filter(|op| !matches!(op.work, Work::Hold(_))) else {
            return;
        };
        let meta = op.meta.clone();
        self.tell(&ticket.call, &meta, News::of(EventKind::PlayStarted, outcomes::DONE));
    }

    pub(super) fn wake_phones(&mut self, ticket: &OpTicket) {
        let Some(op) = self.op(ticket) else { return };
        let (targets, kind) = match &op.work {
            Work::Play(_) => (op.targets.clone(), Prompt::Play),
            Work::Recognize(_) => (op.targets.clone(), Prompt::Recognize),
            Work::SendTones(_) | Work::Hold(_) => return,
        };
        self.prompt_heard(&ticket.call, &targets, kind);
    }
}
