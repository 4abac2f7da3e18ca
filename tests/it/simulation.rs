//! A seeded simulation of calls: the very `Call`, the journal on a disk that loses power, a pretend
//! Azure that repeats, delays, reorders and loses events, and clients that wait and come back.
//!
//! One thread, one clock, one seed: whatever happens, happens again for the same seed.
//! `SWITCHHOOK_SIM_SEEDS` says how many seeds there are, `SWITCHHOOK_SIM_SEED` repeats one.

mod azure;
mod service;
mod world;

use std::io::Write;
use std::time::Instant;

use world::{Summary, World};

/// So many in a plain `cargo test`; `.ci/run` asks for more.
const SEEDS: u64 = 150;
const STEPS: u64 = 400;

/// A fault that is put back in, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// 200 before the commit.
    EarlyAck,
    /// What was seen is not known after a restart.
    ForgetsRepeats,
    /// A round of snapshots covers lines that are in no snapshot.
    LosesAtSnapshot,
}

/// What must never be, and was.
type Violation = String;

fn run(seed: u64, bug: Option<Bug>) -> Result<Summary, Violation> {
    let mut world = World::new(seed, bug);
    for _ in 0..STEPS {
        world.step()?;
    }
    world.end()
}

fn seed_of(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn c1_to_c17_nothing_acknowledged_is_lost_whatever_the_seed() {
    let (first, count) = match seed_of("SWITCHHOOK_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (0, seed_of("SWITCHHOOK_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let began = Instant::now();
    let mut all = Summary::default();
    for seed in first..first + count {
        match run(seed, None) {
            Ok(summary) => all.add(&summary),
            Err(violation) => panic!(
                "seed {seed}: {violation}\nagain: SWITCHHOOK_SIM_SEED={seed} cargo test --test it \
                 simulation::c1_to_c17"
            ),
        }
    }
    let seconds = all.simulated_ms as f64 / 1000.0;
    let _closed = writeln!(
        std::io::stderr(),
        "{count} seeds: {seconds:.0} simulated seconds, {:.0} in each real one; {all:?}",
        seconds / began.elapsed().as_secs_f64()
    );
    if count > 20 {
        // A simulation is worth what it reaches.
        let reached =
            [all.crashes, all.acknowledged, all.repeats, all.told, all.resumed, all.rounds];
        assert!(reached.iter().all(|count| *count > 20), "{all:?}");
        assert!(all.timed_out > 5 && all.ended > 5, "{all:?}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [1, 2, 3] {
        let [once, again] = [run(seed, None), run(seed, None)];
        assert_eq!(once.unwrap().trace, again.unwrap().trace, "seed {seed}");
    }
    assert_ne!(run(1, None).unwrap().trace, run(2, None).unwrap().trace);
}

#[test]
fn faults_that_are_put_back_in_are_found() {
    for bug in [Bug::EarlyAck, Bug::ForgetsRepeats, Bug::LosesAtSnapshot] {
        let found = (0..300).find_map(|seed| run(seed, Some(bug)).err());
        assert!(found.is_some(), "{bug:?} was not found");
    }
}
