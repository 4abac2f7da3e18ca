//! Words for people, and exit codes for scripts.
//!
//! One file per command. The client commands know the service only through its HTTP API, so that they
//! work on any machine; the server commands start `app` or the emulator. Decides nothing that the
//! service decides.

mod calls;
mod completions;
mod config;
mod dev;
mod emulator;
mod events;
mod exit;
mod explain_code;
mod healthcheck;
mod numbers;
mod remote;
mod route;
mod screen;
mod serve;
mod server;
mod sse;
mod store;
mod table;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use exit::{Done, Exit};
use screen::Screen;

/// The call orchestrator for Azure Communication Services Call Automation.
#[derive(Parser)]
#[command(name = "switchhook", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    /// One JSON object per line, for scripts
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 not permitted, 6 unreachable,
7 timed out, 8 expectation not met, 9 input invalid, 64 bad configuration";

#[derive(Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Args),
    /// Run service and emulator together, with nothing to set up
    Dev(dev::Args),
    /// Run the emulator alone: a pretend Azure for official SDKs
    Emulator(emulator::Args),
    /// Live calls: list, look, follow, wait, hang up
    Calls(calls::Args),
    /// Number assignments: who rings when somebody calls
    Numbers(numbers::Args),
    /// Ask what would be decided for a ringing call
    Route(route::Args),
    /// Events of all calls
    Events(events::Args),
    /// Say what a code/subCode of the call service means
    ExplainCode(explain_code::Args),
    /// Check or show the settings
    Config(config::Args),
    /// Look into the files in which everything is kept: check, dump, export, compact
    Store(store::Args),
    /// Ask a server whether it is alive, for containers
    Healthcheck(healthcheck::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Does what the arguments say.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(told) => {
            // Help for a reader that has gone is no failure.
            let _reader_gone = told.print();
            let exit = if told.use_stderr() { Exit::Usage } else { Exit::Done };
            return exit.into();
        }
    };
    let screen = Screen::new(cli.json);
    let done = actix_rt::System::new().block_on(command(cli.command, screen));
    screen.end(done)
}

async fn command(command: Command, screen: Screen) -> Done {
    match command {
        Command::Serve(args) => serve::run(args, screen).await,
        Command::Dev(args) => dev::run(args, screen).await,
        Command::Emulator(args) => emulator::run(args, screen).await,
        Command::Calls(args) => calls::run(args, screen).await,
        Command::Numbers(args) => numbers::run(args, screen).await,
        Command::Route(args) => route::run(args, screen).await,
        Command::Events(args) => events::run(args, screen).await,
        Command::ExplainCode(args) => explain_code::run(&args, screen),
        Command::Config(args) => config::run(args, screen),
        Command::Store(args) => store::run(args, screen),
        Command::Healthcheck(args) => healthcheck::run(args, screen).await,
        Command::Completions(args) => completions::run(&args, Cli::command(), screen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_contradict_each_other_nowhere() {
        Cli::command().debug_assert();
    }
}
