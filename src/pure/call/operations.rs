//! What was asked of a call, and how each of it ended (rules C9, C12 and C13).
//!
//! Owns the outcomes of operations. They look on when an event is heard and never consume it: waits,
//! backlog and subscriptions do not know of them. Payloads stay in the journal.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Heard;
use super::limits::Limits;
use super::tight::Tight;
use crate::pure::operations::{Verdict, Way, endings, way};
use crate::pure::time::{Moment, Position, Tick};
use crate::wire::calling::Operation;
use crate::wire::events::{CallEvent, Detail, EventKind};
use crate::wire::identifiers::OperationContext;

/// An operation that is about to be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOperation {
    /// Which.
    pub operation: Operation,
    /// The context that its events carry; or, when its request has none, the name of its outcome.
    pub context: OperationContext,
    /// How many events end it: one for each participant.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub expects: u16,
    /// The recording or the invitation that it is about, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Whether its events may have come before: no other request ever had its context.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
}

fn one() -> u16 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_one(count: &u16) -> bool {
    *count == 1
}

/// What becomes of an operation, beside its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationDeed {
    /// It is about to be asked for; or, where the answer is all there is to say, it was asked for, with
    /// success. Its name is the place where this stands in the journal.
    Begun(NewOperation),
    /// Azure has accepted it. That is said of those only whose end that tells: by silence from then on.
    Accepted(Position),
    /// Its answer names the recording or the invitation that it is about.
    Named(Position, String),
    /// Its request has failed.
    Withdrawn(Position),
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationStatus {
    /// It is not over, as far as we have heard.
    Pending,
    /// It has worked, for everybody concerned.
    Succeeded,
    /// It has not, for somebody at least.
    Failed,
    /// It was cut off.
    Canceled,
    /// The call ended first.
    CallEnded,
    /// Nothing was heard in time.
    TimedOut,
}

impl OperationStatus {
    /// A closed set for metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::CallEnded => "call_ended",
            Self::TimedOut => "timed_out",
        }
    }

    /// Whether an event that comes after all may still correct it.
    fn is_provisional(self) -> bool {
        matches!(self, Self::CallEnded | Self::TimedOut)
    }
}

/// An operation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Where it stands in the journal: its name.
    pub of: Position,
    /// What was asked for.
    pub operation: Operation,
    /// How it ended.
    pub status: OperationStatus,
    /// Since it was asked for.
    pub took: Duration,
    /// It had been given up before: this corrects that.
    pub late: bool,
}

/// One event that says something of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Where it stands.
    #[serde(rename = "p")]
    pub at: Position,
    #[serde(rename = "v")]
    pub verdict: Verdict,
}

/// One operation.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// Where it stands in the journal: its name.
    pub of: Position,
    pub what: NewOperation,
    pub asked: Tick,
    /// The same on the calendar, in milliseconds since 1970 (UTC).
    pub asked_ms: i64,
    /// Since when nothing more has come of an operation that Azure has accepted.
    pub quiet: Option<Tick>,
    pub parts: Vec<Part>,
    pub status: OperationStatus,
    pub ended: Tick,
    pub ambiguous: bool,
    pub late: bool,
}

impl Standing {
    fn is_pending(&self) -> bool {
        self.status == OperationStatus::Pending
    }

    /// Whether an event may still correct it: it was given up, or nothing but silence speaks for it.
    fn is_provisional(&self) -> bool {
        let by_silence = self.way() == Way::Silence && self.parts.is_empty();
        self.status.is_provisional() || by_silence && self.status == OperationStatus::Succeeded
    }

    /// Whether this event withdraws the invitation that it is.
    fn is_withdrawn_by(&self, event: &CallEvent) -> bool {
        let Detail::Invitation(Some(which)) = &event.detail else { return false };
        self.is_pending()
            && self.what.operation == Operation::AddParticipant
            && event.kind == EventKind::CancelAddParticipantSucceeded
            && self.what.about.as_ref() == Some(which)
    }

    fn way(&self) -> Way {
        way(self.what.operation)
    }

    /// When it is over if nothing more comes.
    fn due(&self, limits: &Limits) -> Option<Tick> {
        let due = match (self.way(), self.quiet) {
            (Way::Silence | Way::Gathering, Some(quiet)) => quiet + limits.operation_grace,
            _ => self.asked + limits.operation_patience,
        };
        self.is_pending().then_some(due)
    }

    /// Whether this event is about it.
    fn concerns(&self, event: &CallEvent) -> bool {
        if !endings(self.what.operation).contains(&event.kind) {
            return false;
        }
        match self.way() {
            Way::Event | Way::Silence => event.context.as_ref() == Some(&self.what.context),
            Way::Recording => self.recording_fits(event),
            Way::Gathering | Way::CallEnd | Way::Answer => false,
        }
    }

    fn recording_fits(&self, event: &CallEvent) -> bool {
        let Detail::Recording { recording_id, state, .. } = &event.detail else { return true };
        let same = match (&self.what.about, recording_id) {
            (Some(mine), Some(other)) => mine == other,
            _ => true,
        };
        let state = state.as_deref().unwrap_or_default();
        let meant = match self.what.operation {
            Operation::ResumeRecording => !state.eq_ignore_ascii_case("inactive"),
            Operation::PauseRecording | Operation::StopRecording => {
                !state.eq_ignore_ascii_case("active")
            }
            _ => true,
        };
        same && meant
    }

    fn gathers(&self, kind: &EventKind) -> bool {
        self.is_pending()
            && self.way() == Way::Gathering
            && endings(self.what.operation).contains(kind)
    }

    /// Takes an event; says whether that was the last one.
    fn hear(&mut self, at: Position, verdict: Verdict) -> bool {
        self.parts.push_tight(Part { at, verdict });
        self.parts.len() >= usize::from(self.what.expects)
    }

    /// What its events say together.
    fn verdict(&self) -> OperationStatus {
        let any = |verdict| self.parts.iter().any(|part| part.verdict == verdict);
        if any(Verdict::Failed) {
            OperationStatus::Failed
        } else if any(Verdict::Canceled) {
            OperationStatus::Canceled
        } else {
            OperationStatus::Succeeded
        }
    }

    fn conclude(&mut self, now: Tick, status: OperationStatus) -> Conclusion {
        self.late = !self.is_pending();
        (self.status, self.ended) = (status, now);
        let (of, operation, late) = (self.of, self.what.operation, self.late);
        Conclusion { of, operation, status, took: now - self.asked, late }
    }
}

/// The operations of one call, in the order in which they were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Operations {
    all: Vec<Standing>,
    /// The last that was asked for, even if it has left.
    newest: Position,
}

impl Operations {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Standing> {
        self.all.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether one more may stand: as long as one of those that are kept is over.
    pub fn has_room(&self, limits: &Limits) -> bool {
        self.all.len() < limits.operations || self.all.iter().any(|other| !other.is_pending())
    }

    /// Puts an operation up. Has no effect when it stood already, when its request is a repeat, or when
    /// there is no room for it. `past` are the events that came before, oldest first.
    pub fn begin(
        &mut self,
        mut new: Standing,
        past: impl Iterator<Item = (Position, EventKind, Option<OperationContext>)>,
        limits: &Limits,
    ) -> Option<Conclusion> {
        let same = |other: &Standing| {
            let what = (other.what.operation, &other.what.context);
            other.what.unique && what == (new.what.operation, &new.what.context)
        };
        let repeat = new.what.unique && self.all.iter().any(same);
        if new.of <= self.newest || repeat || !self.has_room(limits) {
            return None;
        }
        self.newest = new.of;
        if self.all.len() >= limits.operations
            && let Some(oldest) = self.all.iter().position(|other| !other.is_pending())
        {
            self.all.remove(oldest);
        }
        let kinds = endings(new.what.operation);
        for other in &mut self.all {
            let unsettled = other.is_pending() || other.status.is_provisional();
            let same = other.what.context == new.what.context;
            let alike = endings(other.what.operation).iter().any(|kind| kinds.contains(kind));
            if unsettled && same && alike {
                (other.ambiguous, new.ambiguous) = (true, true);
            }
        }
        let mut over = None;
        if new.way() == Way::Answer {
            over = Some(new.conclude(new.asked, OperationStatus::Succeeded));
        }
        if new.what.unique && new.way() == Way::Event {
            for (at, kind, context) in past {
                let mine = kinds.contains(&kind) && context.as_ref() == Some(&new.what.context);
                if mine && over.is_none() && new.hear(at, Verdict::of(&kind)) {
                    over = Some(new.conclude(new.asked, new.verdict()));
                }
            }
        }
        self.all.push_tight(new);
        over
    }

    /// Azure has accepted it.
    pub fn accepted(&mut self, now: Tick, of: Position) {
        if let Some(found) = self.all.iter_mut().find(|other| other.of == of) {
            found.quiet = Some(now);
        }
    }

    /// Its answer names what it is about.
    pub fn named(&mut self, of: Position, about: String) {
        if let Some(found) = self.all.iter_mut().find(|other| other.of == of) {
            found.what.about = Some(about);
        }
    }

    /// Its request has failed: it is as if it had never been asked for.
    pub fn withdraw(&mut self, of: Position) {
        self.all.retain(|other| other.of != of);
    }

    /// An event of the call. It goes to the oldest pending operation that it is about, or else corrects
    /// one that is not sure. An invitation that is withdrawn is over, too: Azure may say no more of it.
    pub fn hear(&mut self, now: Tick, heard: &Heard) -> Vec<Conclusion> {
        let (at, event) = (heard.position, &heard.event);
        let mut over = Vec::new();
        for withdrawn in self.all.iter_mut().filter(|other| other.is_withdrawn_by(event)) {
            withdrawn.hear(at, Verdict::Canceled);
            over.push(withdrawn.conclude(now, OperationStatus::Canceled));
        }
        for gathering in self.all.iter_mut().filter(|other| other.gathers(&event.kind)) {
            gathering.hear(at, Verdict::Succeeded);
            gathering.quiet = gathering.quiet.map(|_| now);
        }
        let first = |open: fn(&Standing) -> bool| {
            self.all.iter().position(|other| open(other) && other.concerns(event))
        };
        if let Some(found) = first(Standing::is_pending).or_else(|| first(Standing::is_provisional))
        {
            let found = &mut self.all[found];
            if found.hear(at, Verdict::of(&event.kind)) {
                over.push(found.conclude(now, found.verdict()));
            }
        }
        over
    }

    /// Ends what is due.
    pub fn expire(&mut self, now: Tick, limits: &Limits) -> Vec<Conclusion> {
        let due = self.all.iter_mut().filter(|other| other.due(limits).is_some_and(|at| at <= now));
        let over = due.map(|other| match (other.way(), other.quiet) {
            (Way::Silence | Way::Gathering, Some(_)) => {
                other.conclude(now, OperationStatus::Succeeded)
            }
            _ => other.conclude(now, OperationStatus::TimedOut),
        });
        over.collect()
    }

    /// The call is over, and with it everything that was under way (rule C9).
    pub fn call_ended(&mut self, now: Tick, terminal: Option<Position>) -> Vec<Conclusion> {
        let open = |other: &&mut Standing| {
            other.is_pending()
                || other.way() == Way::CallEnd && other.status == OperationStatus::TimedOut
        };
        let over = self.all.iter_mut().filter(open).map(|other| match (other.way(), other.quiet) {
            (Way::CallEnd, _) => {
                let part = terminal.map(|at| Part { at, verdict: Verdict::Succeeded });
                other.parts.extend(part);
                other.conclude(now, OperationStatus::Succeeded)
            }
            // Whatever still ran has ended now.
            (Way::Gathering, Some(_)) => other.conclude(now, OperationStatus::Succeeded),
            _ => other.conclude(now, OperationStatus::CallEnded),
        });
        over.collect()
    }

    /// The next of them to be over by itself.
    pub fn deadline(&self, limits: &Limits) -> Option<Tick> {
        self.all.iter().filter_map(|other| other.due(limits)).min()
    }
}

/// One operation in a snapshot. There may be many of these, so the names are short.
#[derive(Serialize, Deserialize)]
struct Written {
    /// Position.
    p: u64,
    #[serde(flatten)]
    what: NewOperation,
    /// Asked, ended and quiet since, Unix milliseconds.
    a: i64,
    e: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    q: Option<i64>,
    /// Status.
    s: OperationStatus,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ambiguous: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    late: bool,
}

/// The operations of a call in its snapshot.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct WrittenOperations {
    #[serde(default)]
    newest: Position,
    #[serde(default)]
    all: Vec<Written>,
}

impl Operations {
    pub fn write(&self, now: Moment) -> WrittenOperations {
        let wall = |tick| now.wall_ms_of(tick);
        let all = self.all.iter().map(|one| Written {
            p: one.of.0,
            what: one.what.clone(),
            a: one.asked_ms,
            e: wall(one.ended),
            q: one.quiet.map(wall),
            s: one.status,
            parts: one.parts.clone(),
            ambiguous: one.ambiguous,
            late: one.late,
        });
        WrittenOperations { newest: self.newest, all: all.collect() }
    }
}

impl WrittenOperations {
    pub fn read(self, now: Moment) -> Operations {
        let all = self.all.into_iter().map(|one| Standing {
            of: Position(one.p),
            what: one.what,
            asked: now.tick_of(one.a),
            asked_ms: one.a,
            quiet: one.q.map(|at| now.tick_of(at)),
            parts: one.parts,
            status: one.s,
            ended: now.tick_of(one.e),
            ambiguous: one.ambiguous,
            late: one.late,
        });
        Operations { all: all.collect(), newest: self.newest }
    }
}
