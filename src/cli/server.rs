//! What the commands that serve have in common: settings, logging, signals, and the end.

use std::future::Future;
use std::path::PathBuf;

use super::exit::{Done, Exit, Failure};
use super::screen::Screen;
use crate::app::{Drained, StartError};
use crate::emulator::PhoneBook;
use crate::observability::logging::{self, Format};
use crate::settings::{Flag, Given, LogFormat, Purpose, Settings};
use crate::storage::StoreError;

/// Where the settings come from.
#[derive(Default, clap::Args)]
pub(super) struct Sources {
    /// Settings that differ from the defaults, in TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the public listener
    #[arg(long, value_name = "ADDRESS")]
    public_listen: Option<String>,
    /// Address of the private listener
    #[arg(long, value_name = "ADDRESS")]
    private_listen: Option<String>,
    /// Folder in which everything is kept that must survive
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// Keep everything in memory and forget it at the end
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    #[command(flatten)]
    log: Log,
}

/// How to log.
#[derive(Default, clap::Args)]
pub(super) struct Log {
    /// error, warn, info, debug, trace, or directives
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// The emulator's settings as flags.
#[derive(Default, clap::Args)]
pub(super) struct EmulatorFlags {
    /// Seconds that pass in the emulator in each real one
    #[arg(long, value_name = "N")]
    speed: Option<String>,
    /// A TOML file that says how the far ends behave
    #[arg(long, value_name = "FILE")]
    phones: Option<String>,
}

/// A flag that stands for a setting.
pub(super) fn flag(name: &'static str, key: &'static str, text: Option<String>) -> Option<Flag> {
    text.map(|text| Flag { name, key: key.into(), text })
}

impl Log {
    pub(super) fn flags(self) -> impl Iterator<Item = Flag> {
        flag("--log-level", "log.level", self.log_level).into_iter()
    }
}

impl EmulatorFlags {
    pub(super) fn flags(self) -> impl Iterator<Item = Flag> {
        let speed = flag("--speed", "emulator.speed", self.speed);
        speed.into_iter().chain(flag("--phones", "emulator.phones", self.phones))
    }
}

impl Sources {
    /// Reads all layers of settings.
    ///
    /// # Errors
    /// Everything that is wrong with them, with the exit code for it.
    pub(super) fn read(
        self,
        more: impl IntoIterator<Item = Flag>,
        purpose: Purpose,
    ) -> Done<Settings> {
        let listeners = [
            flag("--public-listen", "public.listen", self.public_listen),
            flag("--private-listen", "private.listen", self.private_listen),
        ];
        let ephemeral = self.ephemeral.then(|| "true".to_owned());
        let store = [
            flag("--data", "store.folder", self.data),
            flag("--ephemeral", "store.ephemeral", ephemeral),
        ];
        let listeners = listeners.into_iter().chain(store);
        let flags = listeners.flatten().chain(self.log.flags()).chain(more);
        load(self.config, flags.collect(), purpose)
    }
}

/// Reads settings from a file, the environment and flags.
///
/// # Errors
/// Everything that is wrong with them, with the exit code for it.
pub(super) fn load(file: Option<PathBuf>, flags: Vec<Flag>, purpose: Purpose) -> Done<Settings> {
    // A variable that is not text cannot be one of ours.
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let environment = std::env::vars_os().filter_map(text).collect();
    let given = Given { file, environment, flags, ..Given::default() };
    Settings::load(&given, purpose).map_err(|problems| Failure::new(Exit::Configuration, problems))
}

/// Logs from now on as the settings say.
///
/// # Errors
/// When the level cannot be read.
pub(super) fn log(settings: &Settings) -> Done {
    let format = match settings.log.format {
        LogFormat::Auto => Format::for_this_terminal(),
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    logging::install(format, &settings.log.level)
        .map_err(|error| Failure::new(Exit::Configuration, error))
}

/// The far ends, when the settings name a file that describes them.
///
/// # Errors
/// When the file cannot be read or has a fault.
pub(super) fn phones(settings: &Settings) -> Done<Option<PhoneBook>> {
    let Some(path) = &settings.emulator.phones else { return Ok(None) };
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::InvalidInput, format!("{}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
    PhoneBook::from_toml(&text).map(Some).map_err(|error| bad(&error))
}

/// A service that did not start.
pub(super) fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Store(StoreError::InUse { .. }) => Failure::new(Exit::Conflict, error),
        StartError::Setting(_) => Failure::new(Exit::Configuration, error),
        StartError::Store(_)
        | StartError::Listen { .. }
        | StartError::Emulator(_)
        | StartError::Journal(_) => Failure::new(Exit::Failed, error),
    }
}

/// The signals that ask us to stop.
pub(super) struct Stop {
    #[cfg(unix)]
    terminated: tokio::signal::unix::Signal,
}

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system does not let us.
    pub(super) fn listen() -> Done<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let terminated = signal(SignalKind::terminate()).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot listen for signals: {error}"))
            })?;
            Ok(Self { terminated })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Ctrl-C, or the system's request to end.
    #[cfg(unix)]
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.terminated.recv() => {}
        }
    }

    /// Ctrl-C.
    #[cfg(not(unix))]
    pub(super) async fn asked(&mut self) {
        let _cannot_listen = tokio::signal::ctrl_c().await;
    }

    /// Lets a drain come to its end, unless somebody asks a second time, and tells what it did.
    ///
    /// # Errors
    /// When it was cut short.
    pub(super) async fn drain(
        mut self,
        drain: impl Future<Output = Drained>,
        screen: Screen,
    ) -> Done {
        screen.remark("stopping; once more stops at once");
        let drained = tokio::select! {
            drained = drain => drained,
            () = self.asked() => {
                return Err(Failure::new(Exit::Failed, "stopped at once, without waiting for calls"));
            }
        };
        screen.remark(format!(
            "stopped; {} calls were live, {} were left in the end",
            drained.calls, drained.left,
        ));
        Ok(())
    }
}
