//! P5: resident memory per live call, with a pending wait and three past events each.

use std::process::Command;
use std::time::Duration;

use switchhook::actors::{Calls, CallsConfig};
use switchhook::clock::ManualClock;
use switchhook::pure::call::Wants;
use switchhook::storage::memory::MemoryJournal;
use switchhook::wire::events::EventKind;

use crate::events::{ROSTER, call_id, event};
use crate::report::{say, thousands};

const CALLS: usize = 1_000_000;
const BATCH: usize = 20_000;
const MINUTES: Duration = Duration::from_secs(3600);

/// Measures in a process of its own, so that nothing else is counted.
pub fn p5() {
    let me = std::env::current_exe().expect("this program");
    let out = Command::new(me).args(["child-memory", &CALLS.to_string()]).output();
    let out = out.expect("a child process");
    let bytes: f64 = String::from_utf8_lossy(&out.stdout).trim().parse().unwrap_or(f64::NAN);
    say(&format!(
        "P5  resident memory per live call at {} calls: {:.2} KiB (reach 2.5)",
        thousands(CALLS as f64),
        bytes / 1024.0,
    ));
}

/// Prints bytes per call.
pub fn child(words: &[String]) {
    let count: usize = words.first().and_then(|word| word.parse().ok()).unwrap_or(CALLS);
    let per_call = actix::System::new().block_on(async move {
        let journal = MemoryJournal::new(64 * 1024, 1);
        let clock = ManualClock::starting_now();
        let config = CallsConfig::default();
        let calls = Calls::start(&config, clock.clone(), journal);
        let before = resident();
        let mut waits = Vec::with_capacity(count);
        for n in 0..count {
            let started = ["CallConnected", "ParticipantsUpdated", "PlayCompleted"];
            let members = ["", ROSTER, ""];
            for (place, (kind, members)) in started.into_iter().zip(members).enumerate() {
                let event = event(n, place, kind, "operation-1", members);
                calls.deliver(vec![event]).await.expect("taken");
            }
            let wants = Wants::kinds(&[EventKind::RecognizeCompleted, EventKind::RecognizeFailed])
                .context(format!("operation-{n}").into());
            waits.push(calls.wait(&call_id(n).into(), wants, MINUTES, None).await.expect("stands"));
            if n % BATCH == BATCH - 1 {
                // The backlogs expire: what they held makes room for the next batch, so that what is
                // measured belongs to calls and not to the allocator's reserve.
                clock.advance(config.limits.backlog_age);
                settle().await;
            }
        }
        let bytes = (resident() - before) / count as f64;
        drop(waits);
        bytes
    });
    say(&format!("{per_call:.0}"));
    std::process::exit(0);
}

/// Waits until memory has stopped changing.
async fn settle() {
    let mut last = resident();
    let mut quiet = 0;
    while quiet < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = resident();
        quiet = if (now - last).abs() < 1e6 { quiet + 1 } else { 0 };
        last = now;
    }
}

/// Resident bytes of this process.
pub fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0);
    pages * 4096.0
}
