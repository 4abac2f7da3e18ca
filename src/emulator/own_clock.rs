//! Time by hand: what the clock says, and moving a held one.
//!
//! A held clock is moved from one thing that is due to the next, and at each of them everything that
//! leaves the emulator because of it has been answered before time goes on. So a prompt that must be
//! fetched is fetched at the moment at which it is asked for, however far the clock is to go.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::http::Request;
use super::own_routes;
use super::shell::Shell;
use super::world::{Refusal, Reply};
use crate::clock::ManualClock;
use crate::ports::Clock;

/// Longest time that one request may let pass on a held clock.
const LONGEST_ADVANCE_MS: u64 = 7 * 24 * 3600 * 1000;

/// Whether a path is one of the clock's.
pub fn is_about_time(path: &str) -> bool {
    matches!(path, "/emulator/clock" | "/emulator/clock:advance")
}

/// Answers a request to `/emulator/clock…`.
///
/// # Errors
/// [`Refusal`] in Azure's shape, with what to do.
pub async fn answer(shell: &Shell, request: &Request) -> Result<Reply, Refusal> {
    match (request.method(), request.path()) {
        ("GET", "/emulator/clock") => Ok(look(shell)),
        ("POST", "/emulator/clock:advance") => advance_by_hand(shell, request).await,
        ("GET", _) => Err(Refusal::new(405, "MethodNotAllowed", "Use POST.")),
        _ => Err(Refusal::new(
            405,
            "MethodNotAllowed",
            "Use GET /emulator/clock to read the clock, and POST /emulator/clock:advance to move it.",
        )),
    }
}

fn look(shell: &Shell) -> Reply {
    let (now, due, held) = shell.with(|world, now| {
        world.pass_time(now);
        let due = world.next_due().map(|due| due.since(now.tick).as_millis());
        (now, due, world.config().manual_clock.is_some())
    });
    Reply::json(
        200,
        &json!({
            "manual": held, "nowMs": now.tick.0, "time": now.wall, "nextDueInMs": due,
            "requestsUnderWay": shell.requests_under_way(),
        }),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceBody {
    ms: u64,
    /// Whether the answer waits for what leaves the emulator on the way.
    #[serde(default = "yes")]
    settle: bool,
}

fn yes() -> bool {
    true
}

async fn advance_by_hand(shell: &Shell, request: &Request) -> Result<Reply, Refusal> {
    let clock = shell.with(|world, _| world.config().manual_clock.clone());
    let Some(clock) = clock else {
        return Err(Refusal::new(
            409,
            "ClockRuns",
            "The clock runs by itself; start the emulator with --manual-clock to move it by hand.",
        ));
    };
    let AdvanceBody { ms, settle } = own_routes::read(request, r#"{"ms":1000}"#)?;
    if ms > LONGEST_ADVANCE_MS {
        return Err(Refusal::bad(format!("The field ms may be at most {LONGEST_ADVANCE_MS}.")));
    }
    let time = Duration::from_millis(ms);
    if settle {
        advance(shell, &clock, time).await;
    } else {
        shell.with(|world, now| world.will_pass(now.tick + time));
        // Outside of the world's lock: the alarms on the way ring in here and want it themselves.
        clock.advance(time);
    }
    Ok(look(shell))
}

/// Moves a held clock on, stopping at everything that is due until what it sets off has been answered.
pub async fn advance(shell: &Shell, clock: &ManualClock, time: Duration) {
    let _one_after_the_other = shell.advancing().await;
    let until = clock.now() + time;
    shell.with(|world, _| world.will_pass(until));
    shell.settled().await;
    while let Some(next) = clock.next_alarm().filter(|at| *at <= until) {
        clock.advance(next.since(clock.now()));
        shell.settled().await;
    }
    clock.advance(until.since(clock.now()));
    shell.settled().await;
}
