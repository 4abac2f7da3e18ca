//! Random scripts, played to the call and to its model at once.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseResult, TestRunner};

use super::super::testing::{DAY, again, context, only};
use super::super::{Call, Identity, Input, Wants};
use super::{
    COLOURS, CONTEXTS, Effect, Event, EventKind, Happening, KINDS, Limits, Model, Said,
    SubscriptionId, WaiterId, Wish,
};
use crate::pure::time::{Position, Tick};

/// One line of a script. Who is meant by a number is found by counting among those that there are,
/// so that a script stays playable however it is shortened.
#[derive(Clone, Debug)]
enum Line {
    /// Time passes.
    Pass(u64),
    /// It passes up to the next alarm, or to just before or after it.
    PassToAlarm(i64),
    Hear(Said),
    /// An earlier event comes again.
    Repeat(usize),
    Wait {
        wish: Wish,
        within: u64,
        from_backlog: bool,
    },
    Retime {
        which: usize,
        within: u64,
    },
    Cancel(usize),
    /// An event that somebody was told of comes back.
    GiveBack(usize),
    Listen(Wish),
    Detach(usize),
    Claim,
    Shutdown,
    Wake,
}

#[derive(Clone, Debug)]
struct Script {
    limits: Limits,
    lines: Vec<Line>,
}

fn script() -> impl Strategy<Value = Script> {
    (some_limits(), prop::collection::vec(line(), 1..120))
        .prop_map(|(limits, lines)| Script { limits, lines })
}

/// Generous ones, or some that are soon reached.
fn some_limits() -> impl Strategy<Value = Limits> {
    let tight = (0..4_usize, 0..4_usize, 0..3_usize, 1..10_usize).prop_map(
        |(backlog_events, waiters, subscriptions, timeline_events)| Limits {
            backlog_events,
            waiters,
            subscriptions,
            timeline_events,
            silent: Duration::from_secs(90),
            ..Limits::default()
        },
    );
    prop_oneof![Just(Limits::default()), tight]
}

fn line() -> impl Strategy<Value = Line> {
    let which = || 0..1000_usize;
    prop_oneof![
        8 => said().prop_map(Line::Hear),
        2 => which().prop_map(Line::Repeat),
        8 => (wish(), within(), prop::bool::weighted(0.9))
            .prop_map(|(wish, within, from_backlog)| Line::Wait { wish, within, from_backlog }),
        2 => (which(), within()).prop_map(|(which, within)| Line::Retime { which, within }),
        2 => which().prop_map(Line::Cancel),
        2 => which().prop_map(Line::GiveBack),
        2 => wish().prop_map(Line::Listen),
        1 => which().prop_map(Line::Detach),
        3 => prop::sample::select(&[0, 1, 999, 1_000, 2_500, 4_999, 5_000, 5_001][..])
            .prop_map(Line::Pass),
        1 => prop::sample::select(&[59_999, 60_000, 89_999, 240_000, DAY - 1, DAY][..])
            .prop_map(Line::Pass),
        2 => (-1..=1_i64).prop_map(Line::PassToAlarm),
        1 => Just(Line::Claim),
        1 => Just(Line::Wake),
    ]
    .prop_flat_map(|line| prop_oneof![60 => Just(line), 1 => Just(Line::Shutdown)])
}

fn within() -> impl Strategy<Value = u64> {
    prop::sample::select(&[0, 1, 1_000, 4_999, 5_000, 5_001, 60_000, 240_000, 10 * DAY][..])
}

fn said() -> impl Strategy<Value = Said> {
    let kind = prop_oneof![80 => 0..5_usize, 12 => 5..8_usize, 3 => Just(8_usize)];
    let number = prop::option::weighted(0.7, 0..6_i64);
    (kind, prop::option::of(0..CONTEXTS.len()), 0..COLOURS.len(), number, 0..4_usize).prop_map(
        |(kind, context, colour, number, people)| Said { kind, context, colour, number, people },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    let kinds = prop::option::weighted(0.8, prop::collection::vec(0..KINDS.len(), 0..4));
    let context = prop::option::weighted(0.4, 0..CONTEXTS.len());
    let colour = prop::option::weighted(0.25, 0..COLOURS.len());
    (kinds, context, colour).prop_map(|(kinds, context, colour)| Wish { kinds, context, colour })
}

impl Wish {
    fn wants(&self) -> Wants {
        let named = |places: &Vec<usize>| {
            let kinds: Vec<_> =
                places.iter().map(|place| EventKind::parse(KINDS[*place])).collect();
            Wants::kinds(&kinds)
        };
        let mut wants = self.kinds.as_ref().map_or_else(Wants::any, named);
        wants.context = self.context.map(|place| context(CONTEXTS[place]));
        match self.colour {
            Some(place) => wants.filter(only(COLOURS[place])),
            None => wants,
        }
    }
}

impl Happening {
    /// The same, in the words of the call.
    fn input(&self) -> Input {
        let time = Duration::from_millis;
        match self.clone() {
            Self::Hear(event) => Input::Event(event.heard),
            Self::Wait { id, wish, within, from_backlog } => {
                let (id, wants) = (WaiterId(id), wish.wants());
                Input::Wait { id, wants, within: time(within), from_backlog }
            }
            Self::Retime { id, within } => Input::Retime { id: WaiterId(id), within: time(within) },
            Self::Cancel(id) => Input::Cancel(WaiterId(id)),
            Self::GiveBack(event) => Input::Return(event.heard),
            Self::Listen { id, wish } => {
                Input::Subscribe { id: SubscriptionId(id), wants: wish.wants() }
            }
            Self::Detach(id) => Input::Unsubscribe(SubscriptionId(id)),
            Self::Claim => Input::Claim(Identity::default()),
            Self::Shutdown => Input::Shutdown,
            Self::Wake => Input::Woke,
        }
    }
}

/// A call and its model, side by side.
struct Rehearsal {
    call: Call,
    model: Model,
    limits: Limits,
    now: u64,
    events: Vec<Event>,
    /// Places in `events` of those that somebody was told of.
    told: Vec<usize>,
    /// So many journal positions, waits and subscriptions there were.
    position: u64,
    waits: u64,
    listeners: u64,
    /// Who was answered.
    answered: Vec<WaiterId>,
}

impl Rehearsal {
    fn new(limits: Limits) -> Self {
        let now = 1_000_000;
        Self {
            call: Call::open(Tick(now)),
            model: Model::new(now, limits.clone()),
            limits,
            now,
            events: Vec::new(),
            told: Vec::new(),
            position: 0,
            waits: 0,
            listeners: 0,
            answered: Vec::new(),
        }
    }

    /// What a line of the script means here and now. Nothing when only time passes, or nobody is
    /// there to be meant.
    fn happening(&mut self, line: &Line) -> Option<Happening> {
        Some(match line {
            Line::Pass(time) => {
                self.now += time;
                return None;
            }
            Line::PassToAlarm(off) => {
                let alarm = self.model.alarm()?.saturating_add_signed(*off);
                self.now = self.now.max(alarm);
                return None;
            }
            Line::Hear(said) => {
                self.position += 1;
                self.events.push(Event::new(self.position, *said));
                Happening::Hear(self.events.last()?.clone())
            }
            Line::Repeat(which) => {
                self.position += 1;
                let event = pick(&self.events, *which)?;
                let heard = again(&event.heard, self.position);
                Happening::Hear(Event { said: event.said, heard })
            }
            Line::Wait { wish, within, from_backlog } => {
                self.waits += 1;
                let (id, wish) = (self.waits, wish.clone());
                Happening::Wait { id, wish, within: *within, from_backlog: *from_backlog }
            }
            Line::Retime { which, within } => {
                Happening::Retime { id: somebody(self.waits, *which), within: *within }
            }
            Line::Cancel(which) => Happening::Cancel(somebody(self.waits, *which)),
            Line::GiveBack(which) => {
                let place = *pick(&self.told, *which)?;
                Happening::GiveBack(self.events[place].clone())
            }
            Line::Listen(wish) => {
                self.listeners += 1;
                Happening::Listen { id: self.listeners, wish: wish.clone() }
            }
            Line::Detach(which) => Happening::Detach(somebody(self.listeners, *which)),
            Line::Claim => Happening::Claim,
            Line::Shutdown => Happening::Shutdown,
            Line::Wake => Happening::Wake,
        })
    }

    /// Plays one line to both; says what the call answered.
    fn play(&mut self, number: usize, line: &Line) -> Result<Vec<Effect>, TestCaseError> {
        let Some(happening) = self.happening(line) else { return Ok(Vec::new()) };
        let effects = self.call.step(Tick(self.now), happening.input(), &self.limits);
        let expected = self.model.step(self.now, &happening);
        prop_assert_eq!(&effects, &expected, "line {}: {:?}", number, happening);
        self.remember(&effects)?;
        self.compare_views(number)?;
        Ok(effects)
    }

    fn remember(&mut self, effects: &[Effect]) -> TestCaseResult {
        for effect in effects {
            let waiter = match effect {
                Effect::Tell(waiter, heard) => {
                    let place = self.events.iter().position(|event| event.heard == *heard);
                    self.told.extend(place);
                    waiter
                }
                Effect::End(waiter, _) => waiter,
                _ => continue,
            };
            prop_assert!(!self.answered.contains(waiter), "{:?} is answered twice", waiter);
            self.answered.push(*waiter);
        }
        Ok(())
    }

    fn compare_views(&self, number: usize) -> TestCaseResult {
        let (model, now) = (&self.model, self.now);
        let view = self.call.view(Tick(now), &self.limits);
        let waits: Vec<_> =
            view.waits.iter().map(|wait| (wait.id.0, wait.age_ms, wait.left_ms)).collect();
        let expected = model.waits.iter().map(|wait| (wait.id, now - wait.since, wait.until - now));
        prop_assert_eq!(waits, expected.collect::<Vec<_>>(), "waits after line {}", number);
        let listeners: Vec<_> = view.subscriptions.iter().map(|one| one.id.0).collect();
        let expected: Vec<_> = model.listeners.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(listeners, expected, "subscriptions after line {}", number);
        let timeline: Vec<_> = view
            .timeline
            .iter()
            .map(|line| (line.position, line.entry.fate, line.entry.stale))
            .collect();
        let expected: Vec<_> = model
            .lines
            .iter()
            .map(|line| (line.event.heard.position, line.fate, line.stale))
            .collect();
        prop_assert_eq!(timeline, expected, "timeline after line {}", number);
        let sizes = (view.backlog, view.participants.len(), view.timeline_dropped, view.age_ms);
        let expected = (model.backlog.len(), model.people, model.lines_dropped, now - model.opened);
        prop_assert_eq!(sizes, expected, "backlog, roster, lines lost, age after line {}", number);
        let ending = model.ended.as_ref().map(|(ending, _)| ending.clone());
        prop_assert_eq!((view.state, view.ending), (model.phase, ending), "line {}", number);
        let deadline = self.call.deadline(&self.limits).map(|at| at.0);
        prop_assert_eq!(deadline, model.alarm(), "alarm after line {}", number);
        let cursor = Position(self.position / 2);
        let read = self.call.timeline().after(cursor).count();
        let expected = model.lines.iter().filter(|line| line.event.heard.position > cursor).count();
        prop_assert_eq!(read, expected, "reading on from a cursor after line {}", number);
        Ok(())
    }
}

fn pick<T>(all: &[T], which: usize) -> Option<&T> {
    all.get(which.checked_rem(all.len())?)
}

/// The id of one of so many, or of nobody.
fn somebody(count: u64, which: usize) -> u64 {
    which as u64 % (count + 1)
}

/// Plays a whole script, then stops the service: whoever asked must have got exactly one answer.
fn play(script: &Script) -> Result<Vec<Effect>, TestCaseError> {
    let mut rehearsal = Rehearsal::new(script.limits.clone());
    let mut effects = Vec::new();
    for (number, line) in script.lines.iter().chain([&Line::Shutdown]).enumerate() {
        effects.extend(rehearsal.play(number, line)?);
    }
    let answered = rehearsal.answered.len() as u64;
    prop_assert_eq!(answered, rehearsal.waits, "every wait is answered exactly once");
    prop_assert!(rehearsal.call.waiters.is_bare());
    Ok(effects)
}

proptest! {
    #[test]
    fn c4_to_c17_the_call_and_its_naive_model_agree_on_every_script(script in script()) {
        play(&script)?;
    }
}

/// A comparison is worth what its scripts reach.
#[test]
fn the_scripts_reach_every_effect_and_every_near_miss() {
    let mut runner = TestRunner::deterministic();
    let mut reached = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..256 {
        let script = script().new_tree(&mut runner).expect("a script").current();
        for effect in play(&script).expect("the model agrees") {
            for label in labels(&effect) {
                *reached.entry(label).or_default() += 1;
            }
        }
    }
    let expected = "closed CallEnded, closed Refused, closed ShuttingDown, count Kept, count Late, \
        count Matched, count Repeated, count ToldOngoing, dropped CallEnded, dropped Expired, \
        dropped Full, end CallEnded, end Cancelled, end Refused, end ShuttingDown, end TimedOut, \
        forget, inform, missed by Filter, missed by OperationContext, missed by Types, \
        over Disconnected, over SetupFailed, over Silent, tell";
    assert_eq!(reached.keys().cloned().collect::<Vec<_>>().join(", "), expected);
    let seldom: Vec<_> = reached.iter().filter(|(_, times)| **times < 10).collect();
    assert!(seldom.is_empty(), "too seldom: {seldom:?}");
}

fn labels(effect: &Effect) -> Vec<String> {
    use super::WaitEnd;
    match effect {
        Effect::Tell(..) => vec!["tell".into()],
        Effect::End(_, WaitEnd::TimedOut(missed)) => {
            let missed = missed.iter().map(|miss| format!("missed by {:?}", miss.failed));
            missed.chain(["end TimedOut".into()]).collect()
        }
        Effect::End(_, WaitEnd::Cancelled) => vec!["end Cancelled".into()],
        Effect::End(_, WaitEnd::CallEnded(_)) => vec!["end CallEnded".into()],
        Effect::End(_, WaitEnd::ShuttingDown) => vec!["end ShuttingDown".into()],
        Effect::End(_, WaitEnd::Refused) => vec!["end Refused".into()],
        Effect::Inform(..) => vec!["inform".into()],
        Effect::Close(_, reason) => vec![format!("closed {reason:?}")],
        Effect::Count(_, fate) => vec![format!("count {fate:?}")],
        Effect::Dropped(reason, _) => vec![format!("dropped {reason:?}")],
        Effect::Over(ending) => vec![format!("over {:?}", ending.cause)],
        Effect::Forget => vec!["forget".into()],
    }
}
