//! argv in, exit code out.

use std::process::ExitCode;

/// Events are many small pieces that one thread makes and another one frees, and a million calls are
/// many small pieces that stay: both are this allocator's strength.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    switchhook::cli::run(std::env::args_os())
}
