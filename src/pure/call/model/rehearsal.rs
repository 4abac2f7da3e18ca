//! A script is played to the call and to its model at once.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseResult, TestRunner};

use super::super::testing::again;
use super::super::{Call, Effect, Limits, WaitEnd, WaiterId};
use super::Model;
use super::past::Past;
use super::script::{Line, Script, script};
use super::words::{Event, Happening};
use crate::pure::time::{Position, Tick};

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
    /// Answers given by the index, not by looking at every wait.
    indexed: usize,
    past: Past,
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
            indexed: 0,
            past: Past::default(),
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
            Line::Doubt => {
                self.call.doubt(Tick(self.now));
                self.model.doubt(self.now);
                return None;
            }
            Line::Verify => Happening::Verify,
            Line::Reconcile => Happening::Reconcile,
            Line::Shutdown => Happening::Shutdown,
            Line::Wake => Happening::Wake,
        })
    }

    /// Plays one line to both; says what the call answered.
    fn play(&mut self, number: usize, line: &Line) -> Result<Vec<Effect>, TestCaseError> {
        let Some(happening) = self.happening(line) else { return Ok(Vec::new()) };
        let [_, index, _] = self.call.waiters.held();
        let now = Tick(self.now);
        let mut effects = self.call.step(now, happening.input(now), &self.limits);
        self.past.note(self.now, &happening, &effects);
        effects.retain(|effect| !matches!(effect, Effect::Remark(..)));
        let expected = self.model.step(self.now, &happening);
        prop_assert_eq!(&effects, &expected, "line {}: {:?}", number, happening);
        let told = effects.iter().filter(|effect| matches!(effect, Effect::Tell(..))).count();
        self.indexed += if index > 0 { told } else { 0 };
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
        prop_assert_eq!(view.unverified, model.unverified, "line {}", number);
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
/// Returns what happened, and how much of it the index knew.
fn play(script: &Script) -> Result<(Vec<Effect>, usize), TestCaseError> {
    let mut rehearsal = Rehearsal::new(script.limits.clone());
    let mut effects = Vec::new();
    for (number, line) in script.lines.iter().chain([&Line::Shutdown]).enumerate() {
        if number == script.lines.len() / 2 {
            rehearsal.past.write_down(&rehearsal.call, rehearsal.now);
        }
        if matches!(line, Line::Shutdown) {
            effects.extend(rehearsal.play(number, &Line::Wake)?);
            rehearsal.past.compare(&rehearsal.call, rehearsal.now, &rehearsal.limits)?;
        }
        effects.extend(rehearsal.play(number, line)?);
    }
    let answered = rehearsal.answered.len() as u64;
    prop_assert_eq!(answered, rehearsal.waits, "every wait is answered exactly once");
    prop_assert!(rehearsal.call.waiters.is_bare());
    Ok((effects, rehearsal.indexed))
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
    let mut reached = BTreeMap::<String, usize>::new();
    for _ in 0..256 {
        let script = script().new_tree(&mut runner).expect("a script").current();
        let (effects, indexed) = play(&script).expect("the model agrees");
        *reached.entry("tell by index".into()).or_default() += indexed;
        for label in effects.iter().flat_map(labels) {
            *reached.entry(label).or_default() += 1;
        }
    }
    let expected = "closed CallEnded, closed Refused, closed ShuttingDown, count Kept, count Late, \
        count Matched, count Repeated, count ToldOngoing, dropped CallEnded, dropped Expired, \
        dropped Full, end CallEnded, end Cancelled, end Refused, end ShuttingDown, end TimedOut, \
        forget, inform, missed by Filter, missed by OperationContext, missed by Types, \
        over Disconnected, over Reconciled, over SetupFailed, over Silent, tell, tell by index, \
        verify";
    assert_eq!(reached.keys().cloned().collect::<Vec<_>>().join(", "), expected);
    let seldom: Vec<_> = reached.iter().filter(|(_, times)| **times < 10).collect();
    assert!(seldom.is_empty(), "too seldom: {seldom:?}");
}

fn labels(effect: &Effect) -> Vec<String> {
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
        Effect::Verify => vec!["verify".into()],
        Effect::Over(ending) => vec![format!("over {:?}", ending.cause)],
        Effect::Forget => vec!["forget".into()],
        Effect::Remark(..) | Effect::Concluded(_) => Vec::new(),
    }
}
