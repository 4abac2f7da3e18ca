//! `switchhook emulator`: a pretend Azure alone, for official SDKs and for CI.

mod exec;
mod list;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::exit::{Done, Exit, Failure};
use super::screen::Screen;
use super::server::{EmulatorFlags, Log, Stop, flag, load, log, phones};
use crate::app::{StartError, emulated};
use crate::emulator::{self, Emulator, Faults, Subscription};
use crate::settings::{Purpose, Settings};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Address and port; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", global = true)]
    listen: Option<String>,
    /// The key with which SDKs sign, base64
    #[arg(long, value_name = "BASE64", global = true)]
    access_key: Option<String>,
    /// Settings that differ from the defaults, in TOML
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    wishes: Wishes,
    #[command(flatten)]
    emulator: EmulatorFlags,
    #[command(flatten)]
    log: Log,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What has no setting.
#[derive(clap::Args)]
struct Wishes {
    /// URL of an Event Grid webhook that gets every event; may be given several times
    #[arg(long, value_name = "URL", global = true)]
    subscribe: Vec<String>,
    /// A TOML file that says what goes wrong: seed and [[rules]]
    #[arg(long, value_name = "FILE", global = true)]
    faults: Option<PathBuf>,
    /// The same seed gives the same ids; another one each time when it is not given
    #[arg(long, value_name = "NUMBER", global = true)]
    seed: Option<u64>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a command beside an emulator of its own, and end with the command's exit code
    Exec(exec::Args),
    /// List everything that Azure leaves open, with the value now, the default and the reason
    Settings,
}

/// Where the emulator is, for scripts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    emulator: String,
    connection_string: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let anywhere = matches!(args.command, Some(Command::Exec(_))) && args.listen.is_none();
    let listen = if anywhere { Some("127.0.0.1:0".to_owned()) } else { args.listen };
    let own = [
        flag("--listen", "emulator.listen", listen),
        flag("--access-key", "emulator.access_key", args.access_key),
    ];
    let flags = own.into_iter().flatten().chain(args.emulator.flags()).chain(args.log.flags());
    let settings = load(args.config, flags.collect(), Purpose::Local)?;
    let wishes = args.wishes;
    match args.command {
        Some(Command::Settings) => list::run(&settings, screen),
        Some(Command::Exec(args)) => {
            log(&settings)?;
            exec::run(args, start(&settings, wishes)?).await
        }
        None => serve(&settings, wishes, screen).await,
    }
}

async fn serve(settings: &Settings, wishes: Wishes, screen: Screen) -> Done {
    log(settings)?;
    let mut stop = Stop::listen()?;
    let emulator = start(settings, wishes)?;
    let ready = Ready {
        emulator: emulator.base_url(),
        connection_string: emulator.connection_string(),
        ca_file: emulator.ca_file().map(Path::to_owned),
    };
    screen.answer(&ready, || {
        let Ready { emulator, connection_string, ca_file } = &ready;
        let trust =
            ca_file.as_ref().map(|path| format!("  trust this CA      {}\n", path.display()));
        format!(
            "the emulator is ready; Ctrl-C stops it\n\n  \
             emulator           {emulator}\n  connection string  {connection_string}\n{}",
            trust.unwrap_or_default()
        )
    })?;
    stop.asked().await;
    emulator.stop().await;
    Ok(())
}

/// The faults of a file.
fn faults(path: &Path) -> Done<Faults> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::InvalidInput, format!("{}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
    Faults::from_toml(&text).map_err(|error| bad(&error))
}

fn start(settings: &Settings, wishes: Wishes) -> Done<Emulator> {
    let bad = |error: StartError| Failure::new(Exit::Configuration, error);
    let mut config = emulated::config(settings).map_err(bad)?;
    config.phones = phones(settings)?.unwrap_or_default();
    config.seed = wishes.seed;
    config.faults = wishes.faults.as_deref().map(faults).transpose()?.unwrap_or_default();
    for (index, endpoint) in wishes.subscribe.into_iter().enumerate() {
        let name = format!("subscribe-{}", index + 1);
        config.subscriptions.push(Subscription { name, endpoint, ..Subscription::default() });
    }
    let clock = emulated::clock(settings, &config);
    Emulator::start(config, clock).map_err(|error| match error {
        emulator::StartError::BadKey(_)
        | emulator::StartError::BadSubscription { .. }
        | emulator::StartError::Tls(_) => Failure::new(Exit::Configuration, error),
        emulator::StartError::Listen { .. } | emulator::StartError::Client(_) => {
            Failure::new(Exit::Failed, error)
        }
    })
}
