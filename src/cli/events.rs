//! `switchhook events`: what comes in, whatever call it belongs to.

use clap::Subcommand;

use super::exit::Done;
use super::remote::{Connection, Remote};
use super::screen::Screen;
use super::sse::Following;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Follow the events of all calls, from now on or from a cursor
    Tail {
        #[command(flatten)]
        following: Following,
    },
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let remote = Remote::new(args.connection)?;
    let Command::Tail { following } = args.command;
    following.follow(&remote, "/v1/events", screen).await
}
