//! Random scripts.

use std::time::Duration;

use proptest::prelude::*;

use super::super::Limits;
use super::super::testing::DAY;
use super::words::{COLOURS, CONTEXTS, KINDS, Said, Wish};

/// One line of a script. Who is meant by a number is found by counting among those that there are,
/// so that a script stays playable however it is shortened.
#[derive(Clone, Debug)]
pub enum Line {
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
    /// It was restored after a restart.
    Doubt,
    Verify,
    Reconcile,
    Shutdown,
    Wake,
}

/// A whole script, and the limits under which it is played.
#[derive(Clone, Debug)]
pub struct Script {
    pub limits: Limits,
    pub lines: Vec<Line>,
}

/// Any script at all.
pub fn script() -> impl Strategy<Value = Script> {
    let crowd = prop_oneof![3 => Just(0..1_usize), 1 => Just(7..12)];
    let crowd = crowd.prop_flat_map(|size| prop::collection::vec(patient_wait(), size));
    let lines = (crowd, prop::collection::vec(line(), 1..120));
    (some_limits(), lines).prop_map(|(limits, (crowd, lines))| {
        let lines = crowd.into_iter().chain(lines).collect();
        Script { limits, lines }
    })
}

/// One that does not end by itself; a crowd of them is indexed where a few are looked at one by one.
fn patient_wait() -> impl Strategy<Value = Line> {
    wish().prop_map(|wish| Line::Wait { wish, within: 10 * DAY, from_backlog: true })
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
    let time = Duration::from_secs;
    let questions = prop::sample::select(vec![
        (Duration::MAX, Duration::MAX),
        (time(30), time(200)),
        (time(60), time(45)),
        (time(100), Duration::MAX),
    ]);
    prop_oneof![
        Just(Limits::default()),
        (tight, questions).prop_map(|(limits, (verify_silent, verify_max_age))| Limits {
            verify_silent,
            verify_max_age,
            ..limits
        }),
    ]
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
        1 => Just(Line::Doubt),
        1 => Just(Line::Verify),
        1 => Just(Line::Wake),
    ]
    .prop_flat_map(|line| {
        prop_oneof![
            120 => Just(line),
            2 => Just(Line::Shutdown),
            1 => Just(Line::Reconcile),
        ]
    })
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
