//! Which event is posted next: one line of events for each call and URL, each line in order, none in
//! another's way.
//!
//! Owns what is pending and what was given up. The time is an argument; what is to be done comes out as
//! effects: the actor posts, writes down and sets alarms.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::{Next, Patience, Posted};
use crate::pure::notes::{DeadLetter, Forward};
use crate::pure::time::{Position, Tick};
use crate::wire::identifiers::CallConnectionId;

/// How much is forwarded, and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardLimits {
    /// Pauses, and when to give up.
    pub patience: Patience,
    /// Events that may be pending; beyond it they are given up at once.
    pub pending: usize,
    /// Events that are posted at the same time.
    pub at_once: usize,
    /// Events given up that are remembered; the oldest are forgotten.
    pub dead_letters: usize,
}

/// An event that is to be forwarded.
#[derive(Clone, PartialEq, Eq)]
pub struct Owed {
    /// Which event.
    pub of: Position,
    /// Of which call.
    pub call: CallConnectionId,
    /// Its type, for those who look at dead letters.
    pub kind: Arc<str>,
    /// The URL of the caller.
    pub to: Arc<str>,
    /// The event as it came.
    pub raw: Arc<str>,
    /// The proof of its sender, for receivers that check it. Kept in memory only: it does not live long.
    pub authorization: Option<Arc<str>>,
    /// When it came.
    pub since: Tick,
}

impl fmt::Debug for Owed {
    /// Neither the event nor where it goes: those belong to the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} at {}", self.kind, self.call, self.of.0)
    }
}

/// Names a line of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(u64);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardEffect {
    /// Post this event; say what came of it with [`Forwards::posted`].
    Post(QueueId, Owed),
    /// Look at this line again then, with [`Forwards::look`].
    Wake(QueueId, Tick),
    /// Write this down.
    Note(Forward),
}

#[derive(Debug)]
struct Queue {
    key: (CallConnectionId, Arc<str>),
    events: VecDeque<Owed>,
    attempts: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Wants to post as soon as there is room.
    Ready,
    /// Its first event is being posted.
    Posting,
    /// Its first event is tried again later.
    Pausing,
}

/// Everything that is to be forwarded.
#[derive(Debug)]
pub struct Forwards {
    limits: ForwardLimits,
    queues: HashMap<QueueId, Queue>,
    by_key: HashMap<(CallConnectionId, Arc<str>), QueueId>,
    ready: VecDeque<QueueId>,
    next_queue: u64,
    pending: usize,
    posting: usize,
    dead: VecDeque<DeadLetter>,
}

impl Forwards {
    /// Nothing is pending.
    pub fn new(limits: ForwardLimits) -> Self {
        Self {
            limits,
            queues: HashMap::new(),
            by_key: HashMap::new(),
            ready: VecDeque::new(),
            next_queue: 0,
            pending: 0,
            posting: 0,
            dead: VecDeque::new(),
        }
    }

    /// Takes an event.
    pub fn owe(&mut self, owed: Owed) -> Vec<ForwardEffect> {
        let mut effects = Vec::new();
        if self.pending >= self.limits.pending {
            self.bury(letter(&owed, 0, "too_many"), &mut effects);
            return effects;
        }
        self.pending += 1;
        let key = (owed.call.clone(), Arc::clone(&owed.to));
        let id = *self.by_key.entry(key).or_insert_with_key(|key| {
            self.next_queue += 1;
            let id = QueueId(self.next_queue);
            let (key, events) = (key.clone(), VecDeque::new());
            self.queues.insert(id, Queue { key, events, attempts: 0, state: State::Ready });
            self.ready.push_back(id);
            id
        });
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.events.push_back(owed);
        }
        self.post_ready(&mut effects);
        effects
    }

    /// What came of posting the first event of a line.
    pub fn posted(&mut self, id: QueueId, posted: Posted, now: Tick) -> Vec<ForwardEffect> {
        let mut effects = Vec::new();
        self.posting = self.posting.saturating_sub(1);
        let Some(queue) = self.queues.get_mut(&id) else { return effects };
        queue.attempts += 1;
        let Some(first) = queue.events.front() else { return effects };
        match self.limits.patience.next(posted, queue.attempts, first.since, now) {
            Next::Again(pause) => {
                queue.state = State::Pausing;
                effects.push(ForwardEffect::Wake(id, now + pause));
            }
            Next::Done => {
                effects.push(ForwardEffect::Note(Forward::Done { of: first.of }));
                self.go_on(id);
            }
            Next::GiveUp => {
                let letter = letter(first, queue.attempts, posted.label()).answered(posted);
                self.bury(letter, &mut effects);
                self.go_on(id);
            }
        }
        self.post_ready(&mut effects);
        effects
    }

    /// A line's pause is over.
    pub fn look(&mut self, id: QueueId) -> Vec<ForwardEffect> {
        let mut effects = Vec::new();
        if let Some(queue) = self.queues.get_mut(&id).filter(|it| it.state == State::Pausing) {
            queue.state = State::Ready;
            self.ready.push_back(id);
            self.post_ready(&mut effects);
        }
        effects
    }

    /// Takes a dead letter out, to be sent again; `None` when there is none of that event.
    pub fn exhume(&mut self, of: Position) -> Option<DeadLetter> {
        let at = self.dead.iter().position(|letter| letter.of == of)?;
        self.dead.remove(at)
    }

    /// The events that were given up, the latest last.
    pub fn dead(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead.iter()
    }

    /// Remembers an event that was given up before a restart.
    pub fn remember(&mut self, letter: DeadLetter) {
        self.dead.push_back(letter);
        while self.dead.len() > self.limits.dead_letters {
            self.dead.pop_front();
        }
    }

    /// How many events are pending.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// The oldest event that is pending.
    pub fn oldest(&self) -> Option<Position> {
        self.queues.values().filter_map(|queue| queue.events.front()).map(|owed| owed.of).min()
    }

    fn bury(&mut self, letter: DeadLetter, effects: &mut Vec<ForwardEffect>) {
        effects.push(ForwardEffect::Note(Forward::Dead(letter.clone())));
        self.remember(letter);
    }

    /// The first event of a line is settled.
    fn go_on(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        queue.events.pop_front();
        queue.attempts = 0;
        self.pending = self.pending.saturating_sub(1);
        if queue.events.is_empty() {
            self.by_key.remove(&queue.key);
            self.queues.remove(&id);
        } else {
            queue.state = State::Ready;
            self.ready.push_back(id);
        }
    }

    fn post_ready(&mut self, effects: &mut Vec<ForwardEffect>) {
        while self.posting < self.limits.at_once {
            let Some(id) = self.ready.pop_front() else { return };
            let Some(queue) = self.queues.get_mut(&id) else { continue };
            let Some(first) = queue.events.front() else { continue };
            queue.state = State::Posting;
            self.posting += 1;
            effects.push(ForwardEffect::Post(id, first.clone()));
        }
    }
}

fn letter(owed: &Owed, attempts: u32, why: &str) -> DeadLetter {
    DeadLetter {
        of: owed.of,
        call: owed.call.clone(),
        kind: owed.kind.to_string(),
        to: owed.to.to_string(),
        attempts,
        why: why.to_owned(),
        status: None,
        at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIMITS: ForwardLimits = ForwardLimits {
        patience: Patience {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(4),
            give_up_after: Duration::from_secs(10),
        },
        pending: 5,
        at_once: 2,
        dead_letters: 2,
    };

    fn owed(of: u64, call: &str, to: &str) -> Owed {
        Owed {
            of: Position(of),
            call: call.into(),
            kind: "PlayCompleted".into(),
            to: to.into(),
            raw: format!("{of}").into(),
            authorization: None,
            since: Tick(0),
        }
    }

    /// What is posted, as (line, event).
    fn posts(effects: &[ForwardEffect]) -> Vec<(QueueId, u64)> {
        let post = |effect: &ForwardEffect| match effect {
            ForwardEffect::Post(id, owed) => Some((*id, owed.of.0)),
            _ => None,
        };
        effects.iter().filter_map(post).collect()
    }

    fn of(effects: &[ForwardEffect]) -> Vec<u64> {
        posts(effects).into_iter().map(|(_, of)| of).collect()
    }

    #[test]
    fn events_of_a_call_are_posted_one_after_the_other() {
        let mut forwards = Forwards::new(LIMITS);
        let first = forwards.owe(owed(1, "a", "u"));
        assert_eq!(of(&first), [1]);
        assert_eq!(of(&forwards.owe(owed(2, "a", "u"))), [0_u64; 0]);
        assert_eq!(of(&forwards.owe(owed(3, "b", "u"))), [3], "another call");
        assert_eq!(of(&forwards.owe(owed(4, "a", "v"))), [0_u64; 0], "two at once");
        assert_eq!(forwards.oldest(), Some(Position(1)));
        let next = forwards.posted(posts(&first)[0].0, Posted::Answered(200), Tick(5));
        assert!(next.contains(&ForwardEffect::Note(Forward::Done { of: Position(1) })));
        assert_eq!(of(&next), [4], "who has waited longer");
        assert_eq!(forwards.pending(), 3);
    }

    #[test]
    fn a_receiver_that_is_down_holds_up_nobody_but_itself() {
        let mut forwards = Forwards::new(LIMITS);
        let line = posts(&forwards.owe(owed(1, "a", "down")))[0].0;
        forwards.owe(owed(2, "a", "down"));
        let after = forwards.posted(line, Posted::Unanswered, Tick(0));
        assert_eq!(after, [ForwardEffect::Wake(line, Tick(1_000))]);
        assert_eq!(of(&forwards.owe(owed(3, "a", "up"))), [3]);
        assert_eq!(of(&forwards.look(line)), [1], "the same event, not the next");
        assert_eq!(of(&forwards.look(line)), [0_u64; 0], "once");
        let after = forwards.posted(line, Posted::Answered(500), Tick(9_000));
        assert_eq!(of(&after), [2], "given up, and the next has its turn");
        let dead: Vec<_> = forwards.dead().map(|it| (it.of.0, it.attempts, it.status)).collect();
        assert_eq!(dead, [(1, 2, Some(500))]);
    }

    #[test]
    fn c15_every_pile_has_a_limit() {
        let mut forwards = Forwards::new(LIMITS);
        for at in 1..=5 {
            forwards.owe(owed(at, "a", "u"));
        }
        for at in 6..=8 {
            let effects = forwards.owe(owed(at, "b", "u"));
            assert!(matches!(&effects[..], [ForwardEffect::Note(Forward::Dead(_))]), "{effects:?}");
        }
        let dead: Vec<_> =
            forwards.dead().map(|letter| (letter.of.0, letter.why.as_str())).collect();
        assert_eq!(dead, [(7, "too_many"), (8, "too_many")]);
        assert_eq!(forwards.pending(), 5);
        assert!(forwards.exhume(Position(6)).is_none());
        assert_eq!(forwards.exhume(Position(7)).map(|letter| letter.of), Some(Position(7)));
    }

    #[test]
    fn nothing_is_left_of_what_has_arrived() {
        let mut forwards = Forwards::new(LIMITS);
        let mut effects = Vec::new();
        for at in 1..=4 {
            effects.extend(forwards.owe(owed(at, "a", "u")));
        }
        while let Some((line, _)) = posts(&effects).first().copied() {
            effects = forwards.posted(line, Posted::Answered(204), Tick(1));
        }
        assert_eq!((forwards.pending(), forwards.posting), (0, 0));
        assert!(
            forwards.queues.is_empty() && forwards.by_key.is_empty() && forwards.ready.is_empty()
        );
        assert_eq!(forwards.oldest(), None);
    }
}
