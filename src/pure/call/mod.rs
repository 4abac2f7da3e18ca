//! One call connection: what happened to it, who waits for what, and what is to be done.
//!
//! Owns the rules C1 to C11 and C14 to C17 that concern a single call. What happened goes in through
//! [`Call::step`], what should be done comes out; time is an argument. Never looks at another call.

mod backlog;
mod doubt;
mod ending;
mod event;
mod limits;
mod operating;
mod operation_view;
mod operations;
mod roster;
mod seen;
mod snapshot;
mod tight;
mod timeline;
mod view;
mod waiters;
mod wants;

#[cfg(test)]
mod model;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use backlog::Backlog;
use ending::Tombstone;
pub use event::{
    Cause, CloseReason, DropReason, Effect, Ending, Fate, Heard, Identity, Input, NearMiss,
    SubscriptionId, WaitEnd, WaiterId,
};
pub use limits::Limits;
pub use operation_view::{Alive, Diagnosis, OperationView, Since, Which};
use operations::Operations;
pub use operations::{Conclusion, NewOperation, OperationDeed, OperationStatus};
pub use roster::Roster;
use seen::Seen;
pub use snapshot::BadSnapshot;
use tight::Tight;
pub use timeline::{Entry, Timeline};
pub use view::{CallView, EntryView, SubscriptionView, WaiterView, entry_views};
use waiters::{NEAR_MISSES, Waiter, Waiters};
pub use wants::{Condition, Kinds, Wants};

use crate::pure::notes::Remark;
use crate::pure::time::Tick;
use crate::wire::events::{Detail, EventKind};

/// How far a call has come. The words are Azure's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Not connected yet, as far as we have heard.
    Connecting,
    /// `CallConnected` came.
    Connected,
    /// Setting it up failed; `CallDisconnected` may still come.
    Failed,
    /// Over.
    Disconnected,
}

impl Phase {
    /// A closed set for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Failed => "failed",
            Self::Disconnected => "disconnected",
        }
    }
}

/// A call that lives, or has just ended.
pub struct Call {
    phase: Phase,
    opened: Tick,
    /// When anything was last heard of it or asked of it, or when somebody last left it.
    stirred: Tick,
    /// When it last gave a sign of life, or Azure was last asked about it. Waits are no sign of life:
    /// whoever waits for a call that is gone may wait for ever.
    vouched: Tick,
    /// Whether it was restored, and Azure has not said yet that it lives.
    unverified: bool,
    identity: Identity,
    waiters: Waiters,
    backlog: Backlog,
    subscriptions: Vec<(SubscriptionId, Wants)>,
    roster: Roster,
    timeline: Timeline,
    seen: Seen,
    /// Whether it is known from more than waits: an event came, or the application claimed it.
    known: bool,
    /// What was asked of it. Boxed: most calls are asked nothing through us, or little.
    operations: Option<Box<Operations>>,
    over: Option<Box<Tombstone>>,
}

impl Call {
    /// A call of which nothing is known yet.
    pub fn open(now: Tick) -> Self {
        Self {
            phase: Phase::Connecting,
            opened: now,
            stirred: now,
            vouched: now,
            unverified: false,
            identity: Identity::default(),
            waiters: Waiters::default(),
            backlog: Backlog::default(),
            subscriptions: Vec::new(),
            roster: Roster::default(),
            timeline: Timeline::default(),
            seen: Seen::default(),
            known: false,
            operations: None,
            over: None,
        }
    }

    /// The only way in: what happened, and when. Whatever was due before `now` is done first, so the
    /// edges are exact however late the alarm rings.
    pub fn step(&mut self, now: Tick, input: Input, limits: &Limits) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.catch_up(now, limits, &mut effects);
        match (input, &mut self.over) {
            (Input::Operation { place, at_ms, deed }, _) => match deed {
                OperationDeed::Begun(what) => {
                    self.begin(now, place, what, at_ms, limits, &mut effects);
                }
                OperationDeed::Accepted(of) => self.accepted(now, of),
                OperationDeed::Named(of, about) => self.name_operation(of, about),
                OperationDeed::Withdrawn(of) => self.withdraw(now, of),
            },
            (input, Some(tombstone)) => {
                let operations = self.operations.as_deref_mut();
                after_the_end(tombstone, operations, now, input, limits, &mut effects);
            }
            (input, None) => self.live(now, input, limits, &mut effects),
        }
        self.waiters.settle();
        if self.is_forgettable() {
            effects.push(Effect::Forget);
        } else if self.question_due(limits).is_some_and(|due| due <= now) {
            // Asked last, when what came with this very step has had its say.
            self.vouched = now;
            effects.push(Effect::Verify);
        }
        effects
    }

    /// When to wake me, if nothing else happens first.
    pub fn deadline(&self, limits: &Limits) -> Option<Tick> {
        if self.over.is_some() {
            return None;
        }
        let waits = self.waiters.deadline();
        let backlog = self.backlog.deadline(limits);
        let (silence, question) = (self.silence_ends(limits), self.question_due(limits));
        let operations = self.operations.as_ref().and_then(|them| them.deadline(limits));
        [waits, backlog, silence, question, operations].into_iter().flatten().min()
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When nothing of an ended call is kept any longer; `None` while it lives.
    pub fn grace_ends(&self, limits: &Limits) -> Option<Tick> {
        self.over.as_ref().map(|tombstone| tombstone.deadline(limits))
    }

    /// The other names of the call.
    pub fn identity(&self) -> &Identity {
        self.over.as_ref().map_or(&self.identity, |tombstone| tombstone.identity())
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// How many waits stand.
    pub fn waits(&self) -> usize {
        self.waiters.len()
    }

    /// How many events wait in the backlog.
    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// Everything that was heard of it.
    pub fn timeline(&self) -> &Timeline {
        self.over.as_ref().map_or(&self.timeline, |tombstone| tombstone.timeline())
    }

    fn live(&mut self, now: Tick, input: Input, limits: &Limits, effects: &mut Vec<Effect>) {
        match input {
            Input::Event(heard) => self.hear(now, heard, None, limits, effects),
            Input::Replay(heard, past) => self.hear(now, heard, Some(past), limits, effects),
            Input::Wait { id, wants, asked, within, from_backlog } => {
                self.stirred = now;
                let kept = if from_backlog { self.backlog.take(&wants) } else { None };
                if let Some(heard) = kept {
                    effects.push(Effect::Remark(heard.position, Remark::TAKEN));
                    effects.push(Effect::Tell(id, heard));
                } else {
                    let mut waiter = Waiter::new(id, wants, asked, asked + within);
                    if from_backlog {
                        let away = self.backlog.filtered_out(&waiter.wants);
                        let latest: Vec<_> = away.take(NEAR_MISSES).collect();
                        waiter.turned_away(latest);
                    }
                    self.wait(now, waiter, limits, effects);
                }
            }
            Input::Retime { id, within } => {
                self.waiters.retime(id, |waiter| waiter.since + within);
                self.catch_up(now, limits, effects);
            }
            Input::Cancel(id) => {
                if self.waiters.remove(id).is_some() {
                    self.stirred = now;
                    effects.push(Effect::End(id, WaitEnd::Cancelled));
                }
            }
            Input::Return(heard) => self.give_back(now, heard, limits, effects),
            Input::Subscribe { id, wants } => {
                self.stirred = now;
                if self.subscriptions.len() >= limits.subscriptions {
                    effects.push(Effect::Close(id, CloseReason::Refused));
                } else {
                    self.subscriptions.push_tight((id, wants));
                }
            }
            Input::Unsubscribe(id) => {
                if let Some(at) = self.subscriptions.iter().position(|(other, _)| *other == id) {
                    self.stirred = now;
                    self.subscriptions.remove(at);
                }
            }
            Input::Claim(identity) => {
                self.stir(now, limits);
                self.known = true;
                self.identify(identity);
            }
            Input::Verified => {
                (self.stirred, self.vouched) = (now, now);
                self.unverified = false;
            }
            Input::Close(cause) => {
                self.finish(now, Ending { cause, code: None, sub_code: None }, None, effects);
            }
            Input::Shutdown => {
                self.stirred = now;
                self.shut_down(effects);
            }
            Input::Operation { .. } | Input::Woke => {}
        }
    }

    /// Ends what is due: waits whose time is up, old backlog, a call that has been silent too long.
    fn catch_up(&mut self, now: Tick, limits: &Limits, effects: &mut Vec<Effect>) {
        let expired = self.waiters.take_expired(now);
        let somebody_left = !expired.is_empty();
        for waiter in expired {
            let near_misses = self.near_misses(&waiter, limits);
            effects.push(Effect::End(waiter.id, WaitEnd::TimedOut(near_misses)));
        }
        self.expire_operations(now, limits, effects);
        if somebody_left {
            // Being waited for is not being silent: silence counts from the last one's leaving.
            self.stirred = now;
        }
        let dropped = self.backlog.expire(now, limits);
        if dropped > 0 {
            effects.push(Effect::Dropped(DropReason::Expired, dropped));
        }
        if self.over.is_none() && self.silence_ends(limits).is_some_and(|end| end <= now) {
            let cause =
                if self.phase == Phase::Failed { Cause::SetupFailed } else { Cause::Silent };
            self.finish(now, Ending { cause, code: None, sub_code: None }, None, effects);
        }
    }

    /// When a call that nobody waits for is given up: after a day of silence, or after a minute when
    /// setting it up has failed.
    fn silence_ends(&self, limits: &Limits) -> Option<Tick> {
        let unattended = self.waiters.is_empty() && self.subscriptions.is_empty();
        let patience = if self.phase == Phase::Failed { limits.tombstone } else { limits.silent };
        unattended.then(|| self.stirred + patience)
    }

    /// `past` is what became of it when it came before a restart.
    fn hear(
        &mut self,
        now: Tick,
        heard: Heard,
        past: Option<Remark>,
        limits: &Limits,
        effects: &mut Vec<Effect>,
    ) {
        let kind = heard.event.kind.clone();
        if !self.seen.first_time(heard.event.key, limits.remembered_events) {
            effects.push(Effect::Count(kind, Fate::Repeated));
            return;
        }
        self.stir(now, limits);
        self.known = true;
        self.identify(Identity {
            server_call: heard.event.server_call.clone(),
            correlation: heard.event.correlation.clone(),
        });
        let stale = self.update_roster(&heard);
        let fate = past.map_or_else(|| self.tell(&heard, effects), Remark::fate);
        effects.push(Effect::Count(kind.clone(), fate));
        self.tell_operations(now, &heard, effects);
        self.timeline.note(Entry::of(&heard, now, fate, stale), limits.timeline_events);
        match self.phase_after(&kind) {
            Phase::Disconnected => {
                let (code, sub_code) = heard.event.codes();
                let ending = Ending { cause: Cause::Disconnected, code, sub_code };
                self.finish(now, ending, Some(heard), effects);
            }
            phase => {
                self.phase = phase;
                let taken = past.map_or(fate == Fate::Matched, Remark::was_taken);
                if !taken && self.backlog.keep(now, heard, limits) {
                    effects.push(Effect::Dropped(DropReason::Full, 1));
                }
            }
        }
    }

    /// Tells waiters and subscribers; subscribers never consume for waiters (rule C7).
    fn tell(&mut self, heard: &Heard, effects: &mut Vec<Effect>) -> Fate {
        let waiters = self.waiters.take_matching(heard);
        let mut fate = if waiters.is_empty() { Fate::Kept } else { Fate::Matched };
        effects.extend(waiters.into_iter().map(|id| Effect::Tell(id, heard.clone())));
        for (id, wants) in &self.subscriptions {
            if wants.matches(heard) {
                effects.push(Effect::Inform(*id, heard.clone()));
                if fate == Fate::Kept {
                    fate = Fate::ToldOngoing;
                }
            }
        }
        if fate != Fate::Kept {
            effects.push(Effect::Remark(heard.position, Remark::of(fate)));
        }
        fate
    }

    /// The state table. Every known type has its place; there is no `_` among them.
    #[rustfmt::skip] // a table keeps its columns
    fn phase_after(&self, kind: &EventKind) -> Phase {
        use EventKind::*;
        match (self.phase, kind) {
            (Phase::Disconnected, _)                                      => Phase::Disconnected,
            (_, CallDisconnected)                                         => Phase::Disconnected,
            (_, CallConnected)                                            => Phase::Connected,
            (Phase::Connecting, CreateCallFailed | AnswerFailed | ConnectFailed) => Phase::Failed,
            (phase, CreateCallFailed | AnswerFailed | ConnectFailed)      => phase,
            (phase,
                CallTransferAccepted | CallTransferFailed
                | AddParticipantSucceeded | AddParticipantFailed
                | CancelAddParticipantSucceeded | CancelAddParticipantFailed
                | RemoveParticipantSucceeded | RemoveParticipantFailed
                | MoveParticipantSucceeded | MoveParticipantFailed
                | ParticipantsUpdated
                | PlayStarted | PlayCompleted | PlayFailed | PlayCanceled
                | RecognizeCompleted | RecognizeFailed | RecognizeCanceled
                | ContinuousDtmfRecognitionToneReceived | ContinuousDtmfRecognitionToneFailed
                | ContinuousDtmfRecognitionStopped
                | SendDtmfTonesCompleted | SendDtmfTonesFailed
                | HoldFailed
                | MediaStreamingStarted | MediaStreamingStopped | MediaStreamingFailed
                | TranscriptionStarted | TranscriptionUpdated | TranscriptionStopped
                | TranscriptionFailed
                | RecordingStateChanged | StartRecordingFailed)           => phase,
            (phase, Unknown(_))                                           => phase,
        }
    }

    /// True when the event is a roster older than one seen.
    fn update_roster(&mut self, heard: &Heard) -> bool {
        match &heard.event.detail {
            Detail::Roster { participants, sequence_number } => {
                !self.roster.update(*sequence_number, participants)
            }
            _ => false,
        }
    }

    fn identify(&mut self, identity: Identity) {
        let known = &mut self.identity;
        known.server_call = known.server_call.take().or(identity.server_call);
        known.correlation = known.correlation.take().or(identity.correlation);
    }

    /// A wait whose time was up before it got here has only looked, like one of no time at all.
    fn wait(&mut self, now: Tick, waiter: Waiter, limits: &Limits, effects: &mut Vec<Effect>) {
        if waiter.until <= now {
            let near_misses = self.near_misses(&waiter, limits);
            effects.push(Effect::End(waiter.id, WaitEnd::TimedOut(near_misses)));
        } else if self.waiters.len() >= limits.waiters {
            effects.push(Effect::End(waiter.id, WaitEnd::Refused));
        } else {
            self.waiters.add(waiter);
        }
    }

    /// An event whose waiter had gone: the next waiter gets it, or the backlog keeps it, in its old
    /// place and no longer than it would have kept it anyhow (rule C6).
    fn give_back(&mut self, now: Tick, heard: Heard, limits: &Limits, effects: &mut Vec<Effect>) {
        let waiters = self.waiters.take_matching(&heard);
        if waiters.is_empty() {
            let arrived = self.timeline.arrival(heard.position).unwrap_or(now);
            if arrived + limits.backlog_age <= now {
                effects.push(Effect::Dropped(DropReason::Expired, 1));
            } else if self.backlog.keep(arrived, heard, limits) {
                effects.push(Effect::Dropped(DropReason::Full, 1));
            }
        } else {
            effects.push(Effect::Remark(heard.position, Remark::MATCHED));
            effects.extend(waiters.into_iter().map(|id| Effect::Tell(id, heard.clone())));
        }
    }

    fn near_misses(&self, waiter: &Waiter, limits: &Limits) -> Vec<NearMiss> {
        let since = waiter.since;
        let in_reach = |entry: &&Entry| entry.at + limits.backlog_age > since;
        let recent = self.timeline.entries().rev().take_while(in_reach);
        let mut found: Vec<_> =
            recent.filter_map(|entry| near_miss(waiter, entry)).take(NEAR_MISSES).collect();
        found.reverse();
        found
    }

    /// Whether nothing is known of this call and nobody waits for it. Asked when a step is done, not
    /// when a wait ends: what came in with the same step may have made the call known.
    fn is_forgettable(&self) -> bool {
        let unattended = self.waiters.is_empty() && self.subscriptions.is_empty();
        let asked_nothing = self.operations.as_ref().is_none_or(|them| them.is_empty());
        !self.known && unattended && asked_nothing && self.backlog.len() == 0 && self.over.is_none()
    }

    fn shut_down(&mut self, effects: &mut Vec<Effect>) {
        let waiters = self.waiters.take_all().into_iter();
        effects.extend(waiters.map(|waiter| Effect::End(waiter.id, WaitEnd::ShuttingDown)));
        let subscriptions = std::mem::take(&mut self.subscriptions).into_iter();
        effects.extend(subscriptions.map(|(id, _)| Effect::Close(id, CloseReason::ShuttingDown)));
    }

    /// Ends every wait and subscription, drops the backlog, leaves a tombstone (rule C9). The waiters
    /// of the terminal event itself have been told before.
    fn finish(
        &mut self,
        now: Tick,
        ending: Ending,
        terminal: Option<Heard>,
        effects: &mut Vec<Effect>,
    ) {
        self.phase = Phase::Disconnected;
        self.unverified = false;
        let ended = |waiter: Waiter| Effect::End(waiter.id, WaitEnd::CallEnded(ending.clone()));
        effects.extend(self.waiters.take_all().into_iter().map(ended));
        let subscriptions = std::mem::take(&mut self.subscriptions).into_iter();
        effects.extend(subscriptions.map(|(id, _)| Effect::Close(id, CloseReason::CallEnded)));
        self.end_operations(now, terminal.as_ref(), effects);
        let dropped = self.backlog.clear();
        if dropped > 0 {
            effects.push(Effect::Dropped(DropReason::CallEnded, dropped));
        }
        let tombstone = Box::new(Tombstone {
            ended: now,
            ending: ending.clone(),
            terminal,
            identity: self.identity.clone(),
            timeline: std::mem::take(&mut self.timeline),
            roster: std::mem::take(&mut self.roster),
            seen: std::mem::take(&mut self.seen),
            opened: self.opened,
        });
        self.over = Some(tombstone);
        effects.push(Effect::Over(ending));
    }
}

/// Whether an event met all conditions of a wait but one, and which (rule C16).
fn near_miss(waiter: &Waiter, entry: &Entry) -> Option<NearMiss> {
    let kind = waiter.wants.kinds.has(&entry.kind);
    let context = waiter.wants.context_suits(entry.context.as_ref());
    let filtered = waiter.has_turned_away(entry.position);
    let failed = match (kind, context, filtered) {
        (false, true, _) => Condition::Types,
        (true, false, _) => Condition::OperationContext,
        (true, true, true) => Condition::Filter,
        _ => return None,
    };
    Some(NearMiss { position: entry.position, kind: entry.kind.clone(), failed })
}

/// What an ended call still does: it answers, and lets nobody wait.
fn after_the_end(
    tombstone: &mut Tombstone,
    operations: Option<&mut Operations>,
    now: Tick,
    input: Input,
    limits: &Limits,
    effects: &mut Vec<Effect>,
) {
    match input {
        Input::Event(heard) | Input::Replay(heard, _) => {
            let fate = tombstone.accept(now, &heard, limits);
            if let (Fate::Late, Some(operations)) = (fate, operations) {
                effects.extend(operations.hear(now, &heard).into_iter().map(Effect::Concluded));
            }
            effects.push(Effect::Count(heard.event.kind.clone(), fate));
        }
        Input::Wait { id, wants, .. } => effects.push(match tombstone.answer(&wants) {
            Ok(heard) => Effect::Tell(id, heard),
            Err(end) => Effect::End(id, end),
        }),
        Input::Subscribe { id, .. } => effects.push(Effect::Close(id, CloseReason::CallEnded)),
        Input::Retime { .. }
        | Input::Cancel(_)
        | Input::Return(_)
        | Input::Unsubscribe(_)
        | Input::Claim(_)
        | Input::Operation { .. }
        | Input::Verified
        | Input::Close(_)
        | Input::Shutdown
        | Input::Woke => {}
    }
}
