//! `switchhook emulator`: a pretend Azure alone, for official SDKs and for CI.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::exit::{Done, Exit, Failure};
use super::screen::Screen;
use super::server::{EmulatorFlags, Log, Stop, flag, load, log, phones};
use crate::clock::SystemClock;
use crate::emulator::{Emulator, EmulatorConfig, Faults, StartError, Subscription};
use crate::ports::Clock;
use crate::settings::{Purpose, Secret, Settings};

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
    /// URL of an Event Grid webhook that gets every event; may be given several times
    #[arg(long, value_name = "URL")]
    subscribe: Vec<String>,
    /// A TOML file that says what goes wrong: seed and [[rules]]
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
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
    let emulator = start(&settings, args.subscribe, args.faults.as_deref())?;
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

fn start(settings: &Settings, subscribe: Vec<String>, faulty: Option<&Path>) -> Done<Emulator> {
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
        faults: faulty.map(faults).transpose()?.unwrap_or_default(),
        callers_clock: Some(callers),
        subscriptions: subscriptions(settings, subscribe)?,
        ..EmulatorConfig::default()
    };
    Emulator::start(config, clock).map_err(|error| match error {
        StartError::BadKey(_) | StartError::BadSubscription { .. } => {
            Failure::new(Exit::Configuration, error)
        }
        StartError::Listen { .. } | StartError::Client(_) => Failure::new(Exit::Failed, error),
    })
}

/// The faults of a file.
fn faults(path: &Path) -> Done<Faults> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::InvalidInput, format!("{}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
    Faults::from_toml(&text).map_err(|error| bad(&error))
}

/// The subscriptions of the settings, and one for each `--subscribe`.
fn subscriptions(settings: &Settings, urls: Vec<String>) -> Done<Vec<Subscription>> {
    let given = settings.emulator.subscriptions.iter().map(Secret::expose);
    let mut all = Subscription::read_all(given)
        .map_err(|problem| Failure::new(Exit::Configuration, problem))?;
    for (index, endpoint) in urls.into_iter().enumerate() {
        let name = format!("subscribe-{}", index + 1);
        all.push(Subscription { name, endpoint, ..Subscription::default() });
    }
    Ok(all)
}
