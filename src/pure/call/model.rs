//! A call as the rules describe it, as naively as possible: lists, scanned from end to end.
//!
//! Written from the rules and not from the implementation; it shares with it only the words for
//! effects. [`rehearsal`] plays random scripts to both and compares every answer.

mod past;
mod rehearsal;
mod script;
mod words;

use words::{Event, Happening, KINDS, Said, Wish};

use super::{
    Cause, CloseReason, Condition, DropReason, Effect, Ending, Fate, Limits, NearMiss, Phase,
    SubscriptionId, WaitEnd, WaiterId,
};
use crate::wire::events::{EventKey, EventKind};

struct Wait {
    id: u64,
    wish: Wish,
    since: u64,
    until: u64,
    /// Events that only its colour turned away, by position.
    turned_away: Vec<u64>,
}

/// One line of the timeline.
struct Line {
    at: u64,
    event: Event,
    fate: Fate,
    stale: bool,
}

struct Model {
    limits: Limits,
    opened: u64,
    /// Since when it is silent, unless somebody waits or listens.
    silent_since: u64,
    /// When it was heard of or claimed; when Azure was asked about it, or answered.
    signs: Vec<u64>,
    questions: Vec<u64>,
    unverified: bool,
    known: bool,
    phase: Phase,
    waits: Vec<Wait>,
    /// With the time of arrival, oldest first.
    backlog: Vec<(u64, Event)>,
    listeners: Vec<(u64, Wish)>,
    /// Ids of all events ever handled.
    seen: Vec<EventKey>,
    lines: Vec<Line>,
    lines_dropped: u64,
    roster_number: Option<i64>,
    people: usize,
    ended: Option<(Ending, Option<Event>)>,
}

impl Model {
    fn new(now: u64, limits: Limits) -> Self {
        Self {
            limits,
            opened: now,
            silent_since: now,
            signs: Vec::new(),
            questions: Vec::new(),
            unverified: false,
            known: false,
            phase: Phase::Connecting,
            waits: Vec::new(),
            backlog: Vec::new(),
            listeners: Vec::new(),
            seen: Vec::new(),
            lines: Vec::new(),
            lines_dropped: 0,
            roster_number: None,
            people: 0,
            ended: None,
        }
    }

    fn step(&mut self, now: u64, happening: &Happening) -> Vec<Effect> {
        let mut out = Vec::new();
        if self.ended.is_none() {
            self.end_what_is_due(now, &mut out);
        }
        if self.ended.is_some() {
            self.happen_after_the_end(now, happening, &mut out);
        } else {
            self.happen(now, happening, &mut out);
        }
        // C11: known from nothing, waited for by nobody.
        if !self.known && !self.attended() && self.backlog.is_empty() && self.ended.is_none() {
            out.push(Effect::Forget);
        } else if self.ended.is_none() && self.question_due().is_some_and(|due| due <= now) {
            self.questions.push(now);
            out.push(Effect::Verify);
        }
        out
    }

    /// C11: restored after a restart; somebody asks about it now.
    fn doubt(&mut self, now: u64) {
        if self.ended.is_none() {
            self.unverified = true;
            self.questions.push(now);
        }
    }

    /// C11: silent since it was opened, heard of, claimed or asked about. Once it is old, it is asked
    /// about whatever is heard of it.
    fn question_due(&self) -> Option<u64> {
        let silent = ms_or_never(self.limits.verify_silent)?;
        let old = ms_or_never(self.limits.verify_max_age).map(|age| self.opened + age);
        let young = |at: &&u64| old.is_none_or(|old| **at < old);
        let signs = self.signs.iter().filter(young);
        let calm = signs.chain(&self.questions).chain([&self.opened]).max()?;
        let first_when_old = old.filter(|old| calm < old);
        Some(first_when_old.map_or(calm + silent, |old| old.min(calm + silent)))
    }

    fn attended(&self) -> bool {
        !self.waits.is_empty() || !self.listeners.is_empty()
    }

    fn backlog_age(&self) -> u64 {
        ms(self.limits.backlog_age)
    }

    fn silence_ends(&self) -> u64 {
        let failed = self.phase == Phase::Failed;
        self.silent_since + ms(if failed { self.limits.tombstone } else { self.limits.silent })
    }

    fn alarm(&self) -> Option<u64> {
        if self.ended.is_some() {
            return None;
        }
        let waits = self.waits.iter().map(|wait| wait.until);
        let backlog = self.backlog.iter().map(|(at, _)| at + self.backlog_age());
        let silence = (!self.attended()).then(|| self.silence_ends());
        waits.chain(backlog).chain(silence).chain(self.question_due()).min()
    }

    /// C8 (waits), C6 (backlog), C11 (silence).
    fn end_what_is_due(&mut self, now: u64, out: &mut Vec<Effect>) {
        let (mut due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waits).into_iter().partition(|wait| wait.until <= now);
        self.waits = rest;
        due.sort_by_key(|wait| (wait.until, wait.id));
        for wait in &due {
            self.silent_since = now;
            out.push(Effect::End(WaiterId(wait.id), WaitEnd::TimedOut(self.near_misses(wait))));
        }
        let (before, age) = (self.backlog.len(), self.backlog_age());
        self.backlog.retain(|(at, _)| now < at + age);
        if self.backlog.len() < before {
            out.push(Effect::Dropped(DropReason::Expired, before - self.backlog.len()));
        }
        if !self.attended() && self.silence_ends() <= now {
            let failed = self.phase == Phase::Failed;
            let cause = if failed { Cause::SetupFailed } else { Cause::Silent };
            self.finish(Ending { cause, code: None, sub_code: None }, None, out);
        }
    }

    fn happen(&mut self, now: u64, happening: &Happening, out: &mut Vec<Effect>) {
        match happening {
            Happening::Hear(event) => self.hear(now, event, out),
            Happening::Wait { id, wish, within, from_backlog } => {
                self.silent_since = now;
                self.wait(now, *id, wish, *within, *from_backlog, out);
            }
            Happening::Retime { id, within } => {
                for wait in self.waits.iter_mut().filter(|wait| wait.id == *id) {
                    wait.until = wait.since + within;
                }
                self.end_what_is_due(now, out);
            }
            Happening::Cancel(id) => {
                if self.waits.iter().any(|wait| wait.id == *id) {
                    self.silent_since = now;
                    self.waits.retain(|wait| wait.id != *id);
                    out.push(Effect::End(WaiterId(*id), WaitEnd::Cancelled));
                }
            }
            Happening::GiveBack(event) => self.give_back(now, event, out),
            Happening::Listen { id, wish } => {
                self.silent_since = now;
                if self.listeners.len() == self.limits.subscriptions {
                    out.push(Effect::Close(SubscriptionId(*id), CloseReason::Refused));
                } else {
                    self.listeners.push((*id, wish.clone()));
                }
            }
            Happening::Detach(id) => {
                if self.listeners.iter().any(|(other, _)| other == id) {
                    self.silent_since = now;
                    self.listeners.retain(|(other, _)| other != id);
                }
            }
            Happening::Claim => {
                self.silent_since = now;
                self.signs.push(now);
                self.known = true;
            }
            Happening::Verify => {
                self.silent_since = now;
                self.questions.push(now);
                self.unverified = false;
            }
            Happening::Reconcile => {
                let ending = Ending { cause: Cause::Reconciled, code: None, sub_code: None };
                self.finish(ending, None, out);
            }
            Happening::Shutdown => {
                self.silent_since = now;
                self.end_everybody(&WaitEnd::ShuttingDown, CloseReason::ShuttingDown, out);
            }
            Happening::Wake => {}
        }
    }

    /// C9 (late waits) and C10 (late events).
    fn happen_after_the_end(&mut self, now: u64, happening: &Happening, out: &mut Vec<Effect>) {
        let Some((ending, terminal)) = self.ended.clone() else { return };
        match happening {
            Happening::Hear(event) => {
                let fate = if self.is_new(event) { Fate::Late } else { Fate::Repeated };
                if fate == Fate::Late {
                    self.note(now, event, fate, false);
                }
                out.push(Effect::Count(event.heard.event.kind.clone(), fate));
            }
            Happening::Wait { id, wish, .. } => {
                out.push(match terminal.filter(|event| wish.fits(&event.said)) {
                    Some(event) => Effect::Tell(WaiterId(*id), event.heard),
                    None => Effect::End(WaiterId(*id), WaitEnd::CallEnded(ending)),
                });
            }
            Happening::Listen { id, .. } => {
                out.push(Effect::Close(SubscriptionId(*id), CloseReason::CallEnded));
            }
            _ => {}
        }
    }

    /// C2: true the first time.
    fn is_new(&mut self, event: &Event) -> bool {
        let key = event.heard.event.key;
        let new = !self.seen.contains(&key);
        self.seen.push(key);
        new
    }

    fn hear(&mut self, now: u64, event: &Event, out: &mut Vec<Effect>) {
        let kind = event.heard.event.kind.clone();
        if !self.is_new(event) {
            out.push(Effect::Count(kind, Fate::Repeated));
            return;
        }
        (self.silent_since, self.known) = (now, true);
        self.signs.push(now);
        let stale = self.is_stale(&event.said);
        if event.said.is_roster() && !stale {
            self.roster_number = event.said.number.or(self.roster_number);
            self.people = event.said.people;
        }
        let mut fate = if self.tell_waits(event, out) { Fate::Matched } else { Fate::Kept };
        for (id, _) in self.listeners.iter().filter(|(_, wish)| wish.fits(&event.said)) {
            out.push(Effect::Inform(SubscriptionId(*id), event.heard.clone()));
            fate = if fate == Fate::Kept { Fate::ToldOngoing } else { fate };
        }
        out.push(Effect::Count(kind.clone(), fate));
        self.note(now, event, fate, stale);
        self.phase = match KINDS[event.said.kind] {
            "CallConnected" => Phase::Connected,
            "CreateCallFailed" | "AnswerFailed" if self.phase == Phase::Connecting => Phase::Failed,
            _ => self.phase,
        };
        if kind == EventKind::CallDisconnected {
            let (code, sub_code) = event.heard.event.codes();
            let ending = Ending { cause: Cause::Disconnected, code, sub_code };
            self.finish(ending, Some(event.clone()), out);
        } else if fate != Fate::Matched {
            self.keep(now, event, out);
        }
    }

    /// C14.
    fn is_stale(&self, said: &Said) -> bool {
        let older = |(new, seen)| new < seen;
        said.is_roster() && said.number.zip(self.roster_number).is_some_and(older)
    }

    /// C4 and C5: everybody who waits for it, in order of registration. False if that is nobody.
    fn tell_waits(&mut self, event: &Event, out: &mut Vec<Effect>) -> bool {
        let told = out.len();
        for mut wait in std::mem::take(&mut self.waits) {
            if wait.wish.fits(&event.said) {
                out.push(Effect::Tell(WaiterId(wait.id), event.heard.clone()));
                continue;
            }
            if wait.wish.has_kind(&event.said) && wait.wish.has_context(&event.said) {
                wait.turned_away.push(event.heard.position.0);
            }
            self.waits.push(wait);
        }
        out.len() > told
    }

    fn keep(&mut self, arrived: u64, event: &Event, out: &mut Vec<Effect>) {
        self.backlog.push((arrived, event.clone()));
        self.backlog.sort_by_key(|(at, event)| (*at, event.heard.position));
        if self.backlog.len() > self.limits.backlog_events {
            self.backlog.remove(0);
            out.push(Effect::Dropped(DropReason::Full, 1));
        }
    }

    fn give_back(&mut self, now: u64, event: &Event, out: &mut Vec<Effect>) {
        if self.tell_waits(event, out) {
            return;
        }
        let position = event.heard.position;
        let line = self.lines.iter().find(|line| line.event.heard.position == position);
        let arrived = line.map_or(now, |line| line.at);
        if now < arrived + self.backlog_age() {
            self.keep(arrived, event, out);
        } else {
            out.push(Effect::Dropped(DropReason::Expired, 1));
        }
    }

    /// C6: from the backlog, or C8: from now on.
    fn wait(
        &mut self,
        now: u64,
        id: u64,
        wish: &Wish,
        within: u64,
        from_backlog: bool,
        out: &mut Vec<Effect>,
    ) {
        let kept = self.backlog.iter().position(|(_, event)| wish.fits(&event.said));
        if let (true, Some(place)) = (from_backlog, kept) {
            out.push(Effect::Tell(WaiterId(id), self.backlog.remove(place).1.heard));
            return;
        }
        let mut wait =
            Wait { id, wish: wish.clone(), since: now, until: now + within, turned_away: vec![] };
        for (_, event) in self.backlog.iter().filter(|_| from_backlog) {
            if wish.has_kind(&event.said) && wish.has_context(&event.said) {
                wait.turned_away.push(event.heard.position.0);
            }
        }
        if within == 0 {
            out.push(Effect::End(WaiterId(id), WaitEnd::TimedOut(self.near_misses(&wait))));
        } else if self.waits.len() == self.limits.waiters {
            out.push(Effect::End(WaiterId(id), WaitEnd::Refused));
        } else {
            self.waits.push(wait);
        }
    }

    /// C16: the latest eight. A filter is only asked about events that hold otherwise, because what
    /// else came was not looked into.
    fn near_misses(&self, wait: &Wait) -> Vec<NearMiss> {
        let miss = |line: &Line| {
            let (said, position) = (&line.event.said, line.event.heard.position);
            let failed = match (wait.wish.has_kind(said), wait.wish.has_context(said)) {
                (false, true) => Condition::Types,
                (true, false) => Condition::OperationContext,
                (true, true) if wait.turned_away.contains(&position.0) => Condition::Filter,
                _ => return None,
            };
            Some(NearMiss { position, kind: line.event.heard.event.kind.clone(), failed })
        };
        let in_reach = |line: &&Line| wait.since < line.at + self.backlog_age();
        let mut found: Vec<_> = self.lines.iter().filter(in_reach).filter_map(miss).collect();
        found.drain(..found.len().saturating_sub(8));
        found
    }

    fn note(&mut self, at: u64, event: &Event, fate: Fate, stale: bool) {
        self.lines.push(Line { at, event: event.clone(), fate, stale });
        if self.lines.len() > self.limits.timeline_events {
            self.lines.remove(0);
            self.lines_dropped += 1;
        }
    }

    fn end_everybody(&mut self, end: &WaitEnd, reason: CloseReason, out: &mut Vec<Effect>) {
        let waits = self.waits.drain(..);
        out.extend(waits.map(|wait| Effect::End(WaiterId(wait.id), end.clone())));
        let listeners = self.listeners.drain(..);
        out.extend(listeners.map(|(id, _)| Effect::Close(SubscriptionId(id), reason)));
    }

    /// C9.
    fn finish(&mut self, ending: Ending, terminal: Option<Event>, out: &mut Vec<Effect>) {
        self.phase = Phase::Disconnected;
        self.unverified = false;
        self.end_everybody(&WaitEnd::CallEnded(ending.clone()), CloseReason::CallEnded, out);
        if !self.backlog.is_empty() {
            out.push(Effect::Dropped(DropReason::CallEnded, self.backlog.drain(..).count()));
        }
        out.push(Effect::Over(ending.clone()));
        self.ended = Some((ending, terminal));
    }
}

fn ms_or_never(time: std::time::Duration) -> Option<u64> {
    (time < std::time::Duration::MAX).then(|| ms(time))
}

fn ms(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a limit of this universe")
}
