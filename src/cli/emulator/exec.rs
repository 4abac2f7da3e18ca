//! `switchhook emulator exec -- <command…>`: an emulator for as long as a command runs.
//!
//! The command is told where the emulator is by its environment. Signals that ask us to stop are passed
//! on, and the command decides what to do about them; its exit code becomes ours.

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use crate::cli::exit::{Done, Exit, Failure};
use crate::emulator::Emulator;

/// Exit codes for a command that did not start, as shells and `env` give them.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

const TOLD: &str = "\
The command finds in its environment:
  ACS_CONNECTION_STRING    what the SDKs take
  SWITCHHOOK_EMULATOR_URL  where the emulator's own routes are
  SWITCHHOOK_EMULATOR_CA   with --tls: the PEM file of the CA to trust

The emulator takes any free port unless --listen names one. Exit codes: the command's own; 128 and the
number of the signal that ended it; 126 when it cannot be run, 127 when it is not found.";

#[derive(clap::Args)]
#[command(after_help = TOLD)]
pub(super) struct Args {
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) async fn run(args: Args, emulator: Emulator) -> Done {
    let done = beside(&emulator, args.command).await;
    emulator.stop().await;
    match code_of(done?) {
        0 => Ok(()),
        code => Err(Failure::passed_on(code)),
    }
}

async fn beside(emulator: &Emulator, command: Vec<OsString>) -> Done<ExitStatus> {
    // From before the command is there, so that no signal can fall in between.
    let mut signals = Signals::listen()?;
    let mut words = command.into_iter();
    let program = words.next().unwrap_or_default();
    let mut command = Command::new(&program);
    command
        .args(words)
        .env("ACS_CONNECTION_STRING", emulator.connection_string())
        .env("SWITCHHOOK_EMULATOR_URL", emulator.base_url())
        .kill_on_drop(true);
    match emulator.ca_file() {
        Some(path) => command.env("SWITCHHOOK_EMULATOR_CA", path),
        None => command.env_remove("SWITCHHOOK_EMULATOR_CA"),
    };
    let mut child = command.spawn().map_err(|error| not_started(&program, &error))?;
    loop {
        tokio::select! {
            ended = child.wait() => {
                let lost = |error| format!("the command's end could not be seen: {error}");
                return ended.map_err(|error| Failure::new(Exit::Failed, lost(error)));
            }
            signal = signals.next() => signal.pass_on(&mut child),
        }
    }
}

fn not_started(program: &OsString, error: &io::Error) -> Failure {
    let program = program.display();
    let (code, text) = match error.kind() {
        io::ErrorKind::NotFound => {
            (NOT_FOUND, format!("there is no command {program}; give its path, or look at PATH"))
        }
        _ => (CANNOT_RUN, format!("the command {program} cannot be run: {error}")),
    };
    Failure::new(Exit::Failed, text).with_code(code)
}

#[cfg(unix)]
fn code_of(ended: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let by_signal = ended.signal().map(|signal| 128 + signal);
    by_signal.or(ended.code()).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(not(unix))]
fn code_of(ended: ExitStatus) -> u8 {
    match ended.code() {
        Some(0) => 0,
        code => code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1).max(1),
    }
}

#[cfg(unix)]
use on_unix::Signals;

/// Signals as they come, and on to the command.
#[cfg(unix)]
mod on_unix {
    use std::io::{IsTerminal, stderr, stdin, stdout};

    use rustix::process::{Pid, kill_process};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::{Child, Done, Exit, Failure};

    pub(super) struct Signals {
        interrupt: Signal,
        terminate: Signal,
        hang_up: Signal,
        /// A terminal sends Ctrl-C to the command, too; it must not be told twice, because a second
        /// Ctrl-C often means "at once".
        on_terminal: bool,
    }

    /// One of them.
    pub(super) enum Asked {
        ByTerminal,
        Signal(rustix::process::Signal),
    }

    impl Signals {
        pub(super) fn listen() -> Done<Self> {
            let listen = |kind| {
                let failed = |error| format!("cannot listen for signals: {error}");
                signal(kind).map_err(|error| Failure::new(Exit::Failed, failed(error)))
            };
            Ok(Self {
                interrupt: listen(SignalKind::interrupt())?,
                terminate: listen(SignalKind::terminate())?,
                hang_up: listen(SignalKind::hangup())?,
                on_terminal: stdin().is_terminal()
                    || stdout().is_terminal()
                    || stderr().is_terminal(),
            })
        }

        pub(super) async fn next(&mut self) -> Asked {
            tokio::select! {
                _ = self.interrupt.recv() => {
                    if self.on_terminal {
                        Asked::ByTerminal
                    } else {
                        Asked::Signal(rustix::process::Signal::INT)
                    }
                }
                _ = self.terminate.recv() => Asked::Signal(rustix::process::Signal::TERM),
                _ = self.hang_up.recv() => Asked::Signal(rustix::process::Signal::HUP),
            }
        }
    }

    impl Asked {
        /// A command that has ended just now takes no signal, and needs none.
        pub(super) fn pass_on(self, child: &mut Child) {
            let Self::Signal(signal) = self else { return };
            let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid
                && let Err(error) = kill_process(pid, signal)
            {
                tracing::warn!(%error, "the signal could not be passed on to the command");
            }
        }
    }
}

#[cfg(not(unix))]
use elsewhere::Signals;

/// Ctrl-C goes to every program of the console by itself.
#[cfg(not(unix))]
mod elsewhere {
    use super::{Child, Done};

    pub(super) struct Signals;
    pub(super) struct Asked;

    impl Signals {
        pub(super) fn listen() -> Done<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) -> Asked {
            let _cannot_listen = tokio::signal::ctrl_c().await;
            Asked
        }
    }

    impl Asked {
        pub(super) fn pass_on(self, _: &mut Child) {}
    }
}
