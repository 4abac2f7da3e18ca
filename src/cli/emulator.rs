//! `switchhook emulator`: a pretend Azure alone, for official SDKs and for CI.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::exit::{Done, Exit, Failure};
use super::screen::Screen;
use super::server::{EmulatorFlags, Log, Stop, flag, load, log, phones};
use crate::clock::SystemClock;
use crate::emulator::{Emulator, EmulatorConfig, StartError};
use crate::ports::Clock;
use crate::settings::{Purpose, Settings};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Address and port; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The key with which SDKs sign, base64
    #[arg(long, value_name = "BASE64")]
    access_key: Option<String>,
    /// Settings that differ from the defaults, in TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    emulator: EmulatorFlags,
    #[command(flatten)]
    log: Log,
}

/// Where the emulator is, for scripts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    emulator: String,
    connection_string: String,
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let own = [
        flag("--listen", "emulator.listen", args.listen),
        flag("--access-key", "emulator.access_key", args.access_key),
    ];
    let flags = own.into_iter().flatten().chain(args.emulator.flags()).chain(args.log.flags());
    let settings = load(args.config, flags.collect(), Purpose::Local)?;
    log(&settings)?;
    let mut stop = Stop::listen()?;
    let emulator = start(&settings)?;
    let ready =
        Ready { emulator: emulator.base_url(), connection_string: emulator.connection_string() };
    screen.answer(&ready, || {
        let Ready { emulator, connection_string } = &ready;
        format!(
            "the emulator is ready; Ctrl-C stops it\n\n  \
             emulator           {emulator}\n  connection string  {connection_string}\n"
        )
    })?;
    stop.asked().await;
    emulator.stop().await;
    Ok(())
}

fn start(settings: &Settings) -> Done<Emulator> {
    let given = &settings.emulator;
    // Callers date and check by real time, however fast it passes in here.
    let callers: Arc<dyn Clock> = SystemClock::start();
    let clock: Arc<dyn Clock> = match given.speed {
        0 | 1 => Arc::clone(&callers),
        speed => SystemClock::start_at_speed(speed),
    };
    let config = EmulatorConfig {
        listen: given.listen,
        access_key: given.access_key.expose().to_owned(),
        phones: phones(settings)?.unwrap_or_default(),
        callers_clock: Some(callers),
        ..EmulatorConfig::default()
    };
    Emulator::start(config, clock).map_err(|error| match error {
        StartError::BadKey(_) | StartError::Tls(_) => Failure::new(Exit::Configuration, error),
        StartError::Listen { .. } | StartError::Client(_) => Failure::new(Exit::Failed, error),
    })
}
