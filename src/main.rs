//! argv in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook::cli::run(std::env::args_os())
}
