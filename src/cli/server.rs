//! What the commands that serve have in common: settings, logging, signals, and the end.

use std::future::Future;
use std::path::PathBuf;

use super::exit::{Done, Exit, Failure};
use super::screen::Screen;
use crate::app::{Drained, StartError, emulated};
use crate::emulator::PhoneBook;
use crate::observability::logging::{self, Format};
use crate::settings::{Flag, Given, LogFormat, Others, Purpose, Settings};
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
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<String>,
}

/// The emulator's settings as flags.
#[derive(Default, clap::Args)]
pub(super) struct EmulatorFlags {
    /// Seconds that pass in the emulator in each real one
    #[arg(long, value_name = "N", global = true)]
    speed: Option<String>,
    /// Hold the emulator's clock: only POST /emulator/clock:advance moves it
    #[arg(long, global = true, conflicts_with = "speed")]
    manual_clock: bool,
    /// A TOML file that says how the far ends behave
    #[arg(long, value_name = "FILE", global = true)]
    phones: Option<String>,
    /// How bearer tokens begin that pass for Entra tokens; empty refuses all of them
    #[arg(long, value_name = "TEXT", global = true)]
    bearer_prefix: Option<String>,
    /// Serve https, with a certificate of an authority of its own
    #[arg(long, global = true)]
    tls: bool,
    /// Where that authority is kept; made when it is missing
    #[arg(long, value_name = "FOLDER", global = true)]
    tls_folder: Option<String>,
    /// A name or address, beside localhost, that the certificate is for; may be repeated
    #[arg(long, value_name = "NAME", global = true)]
    tls_name: Vec<String>,
    /// PEM file of further authorities to trust when events are posted to https URLs
    #[arg(long, value_name = "FILE", global = true)]
    trust_ca_file: Option<String>,
    /// Any setting that `emulator settings` lists, such as behaviour.ring_ms=20000; may be repeated
    #[arg(long, value_name = "NAME=VALUE", global = true, value_parser = name_and_value)]
    set: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
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
        let yes = |given: bool| given.then(|| "true".to_owned());
        let names = (!self.tls_name.is_empty()).then(|| self.tls_name.join(","));
        let named = [
            flag("--speed", "emulator.speed", self.speed),
            flag("--manual-clock", "emulator.manual_clock", yes(self.manual_clock)),
            flag("--phones", "emulator.phones", self.phones),
            flag("--bearer-prefix", "emulator.bearer_prefix", self.bearer_prefix),
            flag("--tls", "emulator.tls", yes(self.tls)),
            flag("--tls-folder", "emulator.tls_folder", self.tls_folder),
            flag("--tls-name", "emulator.tls_names", names),
            flag("--trust-ca-file", "emulator.trust_ca_file", self.trust_ca_file),
        ];
        let set = |(name, text): (String, String)| {
            let name = name.strip_prefix("emulator.").unwrap_or(&name);
            Flag { name: "--set", key: format!("emulator.{name}").into(), text }
        };
        named.into_iter().flatten().chain(self.set.into_iter().map(set))
    }
}

impl Sources {
    /// Whether `--data` was given.
    pub(super) fn name_a_folder(&self) -> bool {
        self.data.is_some()
    }

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
    let others = Others { defaults: Some(emulated::defaults), check: Some(emulated::check) };
    let given = Given { file, environment, flags, others };
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
        StartError::Setting(_)
        | StartError::Emulator(crate::emulator::StartError::BadSubscription { .. }) => {
            Failure::new(Exit::Configuration, error)
        }
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
