//! `switchhook serve`: the service, against the real Azure.

use super::exit::Done;
use super::screen::Screen;
use super::server::{Sources, Stop, log, not_started};
use crate::app::App;
use crate::clock::SystemClock;
use crate::settings::Purpose;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let settings = args.sources.read(None, Purpose::Serve)?;
    log(&settings)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let mut stop = Stop::listen()?;
    let app = App::start(&settings, SystemClock::start()).await.map_err(not_started)?;
    stop.asked().await;
    stop.drain(app.drain(), screen).await
}
