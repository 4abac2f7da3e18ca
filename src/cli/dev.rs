//! `switchhook dev`: service and emulator together, with nothing to set up.

use std::sync::Arc;

use clap::ValueEnum;

use super::exit::Done;
use super::screen::Screen;
use super::server::{EmulatorFlags, Sources, Stop, log, not_started, phones};
use crate::app::demo::Narrator;
use crate::app::dev::{self, DevOptions, Ready};
use crate::settings::Purpose;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Keep placing scripted calls, and tell what becomes of them
    #[arg(long)]
    demo: bool,
    /// Which ports to take: those in the settings, or any that are free
    #[arg(long, value_enum, default_value_t = Ports::Settings)]
    ports: Ports,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    emulator: EmulatorFlags,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ports {
    Settings,
    Auto,
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let keep = args.sources.name_a_folder();
    let settings = args.sources.read(args.emulator.flags(), Purpose::Local)?;
    log(&settings)?;
    let options = DevOptions {
        demo: args.demo.then(|| narrator(screen)),
        ports_auto: args.ports == Ports::Auto,
        keep,
        phones: phones(&settings)?,
    };
    let mut stop = Stop::listen()?;
    let dev = dev::start(settings, options).await.map_err(not_started)?;
    screen.answer(dev.ready(), || urls(dev.ready()))?;
    stop.asked().await;
    stop.drain(dev.stop(), screen).await
}

/// The story goes to people; a script reads one object and no more. Nobody listening stops no service.
fn narrator(screen: Screen) -> Narrator {
    Arc::new(move |line: &str| {
        if screen.is_json() {
            screen.remark(line);
        } else {
            let _nobody_reads = screen.line(line);
        }
    })
}

fn urls(ready: &Ready) -> String {
    let Ready { public, private, emulator, .. } = ready;
    let trust =
        ready.ca_file.as_ref().map(|path| format!("  trust this CA      {}\n", path.display()));
    format!(
        "switchhook is ready; Ctrl-C stops it\n\n  \
         public             {public}\n  \
         private, admin     {private}\n  \
         metrics            {private}/metrics\n  \
         emulator           {emulator}\n  \
         connection string  {}\n  \
         of the gateway     {}\n  \
         Event Grid URL     {}\n{}",
        ready.connection_string,
        ready.gateway_connection_string,
        ready.event_grid_url,
        trust.unwrap_or_default(),
    )
}
