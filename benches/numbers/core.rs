//! P1: events matched per second in the pure core, against the vendor's algorithm.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use switchhook::pure::call::{Call, Effect, Heard, Input, Limits, WaiterId, Wants};
use switchhook::pure::time::Tick;
use switchhook::wire::events::EventKind;
use switchhook::wire::identifiers::CallConnectionId;

use crate::events::{call_id, heard};
use crate::report::{median, say, thousands};

const CALLS: usize = 100_000;
const ROUNDS: usize = 7;
const MINUTES: Duration = Duration::from_secs(240);

/// Every call has one standing wait; an event for each, in no order.
pub fn p1() {
    let limits = Limits::default();
    let mut calls: HashMap<CallConnectionId, Call> =
        (0..CALLS).map(|n| (call_id(n).into(), Call::open(Tick(0)))).collect();
    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        let context = format!("operation-{round}");
        for (place, call) in calls.values_mut().enumerate() {
            let wants = wants(&context);
            let id = WaiterId((round * CALLS + place) as u64);
            let asked = Tick(round as u64);
            let wait = Input::Wait { id, wants, asked, within: MINUTES, from_backlog: true };
            call.step(asked, wait, &limits);
        }
        let events = shuffled(round, &context);
        let began = cpu_time();
        let mut told = 0;
        for event in events {
            let call = calls.get_mut(event.event.call.as_str()).expect("known");
            let effects = call.step(Tick(round as u64), Input::Event(event), &limits);
            told += effects.iter().filter(|effect| matches!(effect, Effect::Tell(..))).count();
            black_box(effects);
        }
        rates.push(CALLS as f64 / (cpu_time() - began).as_secs_f64());
        assert_eq!(told, CALLS, "every event finds its waiter");
    }
    let ours = median(rates);
    let theirs = vendors();
    say(&format!(
        "P1  pure core, {} waits in as many calls, one core: {} events matched/s (reach 1,000,000); \
         every waiter scanned, as the vendor does: {}/s; ratio {}",
        thousands(CALLS as f64),
        thousands(ours),
        thousands(theirs),
        thousands(ours / theirs),
    ));
}

fn wants(context: &str) -> Wants {
    Wants::kinds(&[EventKind::PlayCompleted, EventKind::PlayFailed, EventKind::PlayCanceled])
        .context(context.into())
}

/// A fixed walk through all calls that visits each once, far apart.
fn shuffled(round: usize, context: &str) -> Vec<Heard> {
    const STRIDE: usize = 61_803;
    let order = (0..CALLS).map(|n| n * STRIDE % CALLS);
    order.map(|n| heard(n, round, "PlayCompleted", context)).collect()
}

/// What this thread has used of its core: others on the machine do not count.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a Linux machine tells the time of threads"))
}

/// The vendor's algorithm re-stated: every event is shown to every waiter of every call.
fn vendors() -> f64 {
    struct Waiter {
        call: String,
        context: String,
        types: [EventKind; 3],
    }
    let kinds = [EventKind::PlayCompleted, EventKind::PlayFailed, EventKind::PlayCanceled];
    let waiter =
        |n| Waiter { call: call_id(n), context: "operation-0".into(), types: kinds.clone() };
    let mut waiters: Vec<Waiter> = (0..CALLS).map(waiter).collect();
    let events: Vec<_> = shuffled(0, "operation-0").into_iter().take(300).collect();
    let began = cpu_time();
    for heard in &events {
        let event = &heard.event;
        let context = event.context.as_ref().map(|context| context.as_str());
        waiters.retain(|waiter| {
            !(waiter.call == event.call.as_str()
                && context == Some(waiter.context.as_str())
                && waiter.types.contains(&event.kind))
        });
    }
    black_box(&waiters);
    events.len() as f64 / (cpu_time() - began).as_secs_f64()
}
