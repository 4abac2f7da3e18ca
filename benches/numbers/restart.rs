//! P8: a start with 100,000 live calls, after the process was killed in the middle of everything.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use switchhook::actors::recovery::{recover, round};
use switchhook::actors::{Calls, CallsConfig};
use switchhook::clock::SystemClock;
use switchhook::ports::{Clock, Journal};
use switchhook::pure::time::Moment;
use switchhook::storage::journal::{JournalConfig, RedbJournal};

use crate::events::{ROSTER, event};
use crate::memory::resident;
use crate::report::{say, thousands};

const CALLS: usize = 100_000;
/// Arrays of so many events, so that filling does not take longer than measuring.
const TOGETHER: usize = 500;

/// Fills a journal, dies, starts again; once from lines alone, once from snapshots.
pub fn p8() {
    for (name, snapshots) in [("from lines alone", "no"), ("from snapshots", "yes")] {
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let path = folder.path().to_str().expect("a plain path");
        run(&["child-fill", path, snapshots]);
        let bytes: u64 = std::fs::read_dir(path)
            .expect("a folder")
            .flatten()
            .filter_map(|file| file.metadata().ok())
            .map(|found| found.len())
            .sum();
        let told = run(&["child-open", path]);
        let told: Vec<f64> = told.split(' ').filter_map(|word| word.trim().parse().ok()).collect();
        let [open, recover, live, calls, memory] = told[..] else {
            return say(&format!("P8  {name}: the child said {told:?}"));
        };
        say(&format!(
            "P8  restart with {} live calls, {name}: {:.2} s ({open:.2} open, {recover:.2} read, {live:.2} \
             make live; reach 3); per call {:.2} KiB of memory, {:.2} KiB of disk",
            thousands(calls),
            open + recover + live,
            memory / 1024.0,
            bytes as f64 / 1024.0 / calls,
        ));
    }
}

fn run(words: &[&str]) -> String {
    let me = std::env::current_exe().expect("this program");
    let child = Command::new(me).args(words).stderr(Stdio::null()).output().expect("a child");
    String::from_utf8_lossy(&child.stdout).into_owned()
}

fn start(folder: &str) -> Arc<RedbJournal> {
    RedbJournal::open(Path::new(folder), JournalConfig::default()).expect("a journal")
}

/// Journals four events each of many calls, and is killed by itself.
pub fn fill(words: &[String]) {
    let journal: Arc<dyn Journal> = start(&words[0]);
    let snapshots = words[1] == "yes";
    actix::System::new().block_on(async move {
        let config = CallsConfig::default();
        let calls = Calls::start(&config, SystemClock::start(), Arc::clone(&journal));
        let kinds = ["CallConnected", "ParticipantsUpdated", "PlayStarted", "PlayCompleted"];
        for (place, kind) in kinds.into_iter().enumerate() {
            let members = if kind == "ParticipantsUpdated" { ROSTER } else { "" };
            for first in (0..CALLS).step_by(TOGETHER) {
                let numbers = first..first + TOGETHER;
                let events = numbers.map(|n| event(n, place, kind, "operation-1", members));
                calls.deliver(events.collect()).await.expect("kept");
            }
        }
        if snapshots {
            let newest = journal.state().borrow().newest;
            round(&calls, newest, None).await.expect("kept");
        }
        std::process::abort();
    });
}

/// Prints seconds for opening, reading and making live, how many calls, and bytes per call.
pub fn open(words: &[String]) {
    let clock = SystemClock::start();
    let before = resident();
    let began = Instant::now();
    let journal: Arc<dyn Journal> = start(&words[0]);
    let opened = began.elapsed().as_secs_f64();
    actix::System::new().block_on(async move {
        let config = CallsConfig::default();
        let calls = Calls::start(&config, clock.clone(), Arc::clone(&journal));
        let began = Instant::now();
        let now = Moment { tick: clock.now(), wall: clock.wall() };
        let replayed =
            recover(journal.as_ref(), &config.limits, now, &mut |_| true).expect("readable");
        let read = began.elapsed().as_secs_f64();
        let count = replayed.calls.len();
        let began = Instant::now();
        calls.restore(replayed).await;
        let live = began.elapsed().as_secs_f64();
        let memory = (resident() - before) / count.max(1) as f64;
        say(&format!("{opened} {read} {live} {count} {memory}"));
    });
    std::process::exit(0);
}
