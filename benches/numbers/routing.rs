//! P7: decisions with 1,000,000 assignments, what they weigh, and how long it takes to load them.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use switchhook::ports::NumberStore;
use switchhook::pure::routing::{
    Assignment, Change, Changed, Guard, GuardLimits, Incoming, Key, KeyChange, Memory,
    MemoryLimits, Outcome, RING_TIME, Remembered, Table, decide,
};
use switchhook::pure::time::{Moment, Tick};
use switchhook::storage::numbers::NumberFile;
use switchhook::wire::events::EventKey;
use switchhook::wire::events::grid::IncomingCall;

use crate::memory::resident;
use crate::report::{say, thousands};

const ASSIGNMENTS: usize = 1_000_000;
const DECISIONS: usize = 200_000;
/// Assignments that one change of the filling makes.
const TOGETHER: usize = 100_000;

fn number(n: usize) -> String {
    format!("+1{:010}", 2_000_000_000 + n)
}

/// Fills a file in one process and measures in another, so that nothing else is counted.
pub fn p7() {
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let file = folder.path().join("config.redb");
    let me = std::env::current_exe().expect("this program");
    let run = |role: &str| {
        let mut child = Command::new(&me);
        let child = child.args([role.as_ref(), file.as_os_str()]).stderr(Stdio::null());
        String::from_utf8_lossy(&child.output().expect("a child").stdout).into_owned()
    };
    run("child-assign");
    let told = run("child-decide");
    let told: Vec<f64> = told.split(' ').filter_map(|word| word.trim().parse().ok()).collect();
    let [load, bytes, median, worst] = told[..] else {
        return say(&format!("P7  the child said {told:?}"));
    };
    say(&format!(
        "P7  {} assignments: loaded in {load:.2} s (reach 2), {bytes:.0} B each (reach 200), decided in \
         {median:.1} µs, p99 {worst:.1} µs (reach 10)",
        thousands(ASSIGNMENTS as f64),
    ));
}

/// Writes the assignments.
pub fn assign(words: &[String]) {
    let (file, table) = NumberFile::open(words[0].as_ref(), 1_000).expect("a file");
    let versions = table.version() + 1..;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for (version, first) in versions.zip((0..ASSIGNMENTS).step_by(TOGETHER)) {
        let change = |n: usize| {
            let steps = r#"[{"action":{"type":"redirect","target":"8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_00000022-4d1f-0c8d-3ef0-343a0d00a1b3"}}]"#;
            let assignment = format!(r#"{{"version":{version},"steps":{steps}}}"#);
            let after: Assignment = serde_json::from_str(&assignment).expect("an assignment");
            let key = Key::parse(&number(n)).expect("a number");
            KeyChange { key, before: None, after: Some(Arc::new(after)) }
        };
        let change = Change {
            version,
            at: Timestamp::now(),
            what: Changed::Loaded,
            who: "a benchmark".into(),
            why: None,
            keys: (first..first + TOGETHER).map(change).collect(),
        };
        runtime.block_on(file.commit(Arc::new(change))).expect("kept");
    }
    file.close();
}

/// Prints seconds for loading, bytes of an assignment, and microseconds of a decision: the median and
/// what 99 of 100 stay below.
pub fn measure(words: &[String]) {
    let before = resident();
    let began = Instant::now();
    let (_file, table) = NumberFile::open(words[0].as_ref(), 1_000).expect("a file");
    let load = began.elapsed().as_secs_f64();
    assert_eq!(table.len(), ASSIGNMENTS);
    let bytes = (resident() - before) / ASSIGNMENTS as f64;
    let mut took = decisions(&table);
    took.sort_unstable();
    let micros = |part: usize| took[took.len() * part / 100] as f64 / 1_000.0;
    say(&format!("{load} {bytes} {} {}", micros(50), micros(99)));
}

/// Nanoseconds of each decision, the memory of decided calls included.
fn decisions(table: &Table) -> Vec<u128> {
    let mut remembered = Remembered {
        memory: Memory::new(MemoryLimits::default()),
        guard: Guard::new(GuardLimits::default()),
        ring_time: RING_TIME,
    };
    let wall = Timestamp::now();
    let decision = |n: usize| {
        // Far from the one before, as callers are.
        let called = number(n.wrapping_mul(2_654_435_761) % ASSIGNMENTS);
        let call = format!(
            r#"{{"to":{{"kind":"phoneNumber","rawId":"4:{called}"}},"from":{{"kind":"phoneNumber","rawId":"4:+1206{n:07}"}},"serverCallId":"server-{n}","correlationId":"{n:032x}","incomingCallContext":"context-{n}"}}"#
        );
        let call: IncomingCall = serde_json::from_str(&call).expect("a call");
        let now = Moment { tick: Tick(n as u64), wall };
        let incoming = Incoming {
            call: &call,
            event: EventKey(n as u128 + 1),
            event_time: None,
            received: now.tick,
        };
        let began = Instant::now();
        let decision = black_box(decide(table, &mut remembered, &incoming, now));
        let took = began.elapsed().as_nanos();
        assert!(matches!(decision.outcome, Outcome::Act { .. }), "every number is assigned");
        took
    };
    (0..DECISIONS).map(decision).collect()
}
