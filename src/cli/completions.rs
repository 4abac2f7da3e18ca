//! `switchhook completions`: what a shell needs to complete our arguments.

use clap_complete::Shell;

use super::exit::Done;
use super::screen::Screen;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command, screen: Screen) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "switchhook", &mut script);
    screen.line(String::from_utf8_lossy(&script).trim_end())
}
