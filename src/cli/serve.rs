//! `switchhook serve`: the service, against the real Azure.

use super::exit::{Done, Exit, Failure};
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
    tokio::select! {
        () = stop.asked() => {}
        reason = app.failed() => {
            tracing::error!(reason = %reason, "nothing can be made safe any more; stopping");
            let advice = "make room or repair the disk, then start again";
            return Err(Failure::new(Exit::Failed, format!("the journal failed: {reason}; {advice}")));
        }
    }
    stop.drain(app.drain(), screen).await
}
