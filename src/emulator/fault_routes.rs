//! `/emulator/faults`: what is to go wrong.

use super::fault_config::Faults;
use super::http::Request;
use super::shell::Shell;
use super::world::{Refusal, Reply};

/// GET shows the faults, PUT replaces them all, DELETE removes them.
///
/// # Errors
/// [`Refusal`] with what is wrong and what is known.
pub fn answer(shell: &Shell, request: &Request) -> Result<Reply, Refusal> {
    match request.method() {
        "GET" => Ok(Reply::json(200, &shell.with(|world, _| world.faults_seen()))),
        "PUT" => {
            let faults = Faults::from_json(&request.body)
                .map_err(|problem| Refusal::bad(problem.to_string()))?;
            let seen = shell.with(|world, now| {
                world.set_faults(now, faults);
                world.faults_seen()
            });
            Ok(Reply::json(200, &seen))
        }
        "DELETE" => {
            shell.with(|world, now| world.set_faults(now, Faults::default()));
            Ok(Reply::empty(204))
        }
        _ => Err(Refusal::new(
            405,
            "MethodNotAllowed",
            "Faults are read with GET, replaced with PUT and removed with DELETE.",
        )),
    }
}
