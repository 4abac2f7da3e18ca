//! From settings to an emulator: its configuration, and the clock that it lives by.

use std::sync::Arc;

use toml::Value;

use super::StartError;
use crate::clock::{ManualClock, SystemClock};
use crate::emulator::{self, EmulatorConfig, Subscription, Tls};
use crate::ports::Clock;
use crate::settings::{Secret, Settings};

/// The section in which the emulator's small settings stand.
const SECTION: &str = "emulator.";

/// Name and default of each small setting, as the settings know them. For
/// [`crate::settings::Given::others`].
pub fn defaults() -> Vec<(String, Value)> {
    let full = |(name, value): (String, Value)| (format!("{SECTION}{name}"), value);
    emulator::knob_defaults().into_iter().map(full).collect()
}

/// Checks one of them.
///
/// # Errors
/// What is wrong, and what to choose instead.
pub fn check(key: &str, value: &Value) -> Result<(), String> {
    let name = key.strip_prefix(SECTION).unwrap_or(key);
    emulator::check_knob(name, value).map_err(|fault| fault.to_string())
}

/// An emulator as the settings describe it, but for its phones.
///
/// # Errors
/// [`StartError::Setting`] for a subscription or a small setting that cannot be so.
pub fn config(settings: &Settings) -> Result<EmulatorConfig, StartError> {
    let given = &settings.emulator;
    let subscriptions = given.subscriptions.iter().map(Secret::expose);
    let mut config = EmulatorConfig {
        subscriptions: Subscription::read_all(subscriptions).map_err(StartError::Setting)?,
        listen: given.listen,
        access_key: given.access_key.expose().to_owned(),
        bearer_prefix: Some(given.bearer_prefix.clone()).filter(|prefix| !prefix.is_empty()),
        // Callers date their requests, and check tokens, by real time, however time passes in here.
        callers_clock: Some(SystemClock::start()),
        manual_clock: given.manual_clock.then(ManualClock::starting_now),
        tls: tls(settings),
        trust_ca_file: given.trust_ca_file.clone(),
        ..EmulatorConfig::default()
    };
    for (key, value) in &settings.others {
        let Some(name) = key.strip_prefix(SECTION) else { continue };
        emulator::set_knob(&mut config, name, value)
            .map_err(|fault| StartError::Setting(format!("{key} {fault}")))?;
    }
    Ok(config)
}

/// How it serves https, when it does.
pub fn tls(settings: &Settings) -> Option<Tls> {
    let given = &settings.emulator;
    let folder = given.tls_folder.as_ref().filter(|_| given.tls);
    folder.map(|folder| Tls { folder: folder.clone(), names: given.tls_names.clone() })
}

/// The clock for that configuration: held, fast, or real.
pub fn clock(settings: &Settings, config: &EmulatorConfig) -> Arc<dyn Clock> {
    if let Some(held) = &config.manual_clock {
        return Arc::clone(held) as Arc<dyn Clock>;
    }
    match (settings.emulator.speed, &config.callers_clock) {
        (0 | 1, Some(real)) => Arc::clone(real),
        (speed, _) => SystemClock::start_at_speed(speed),
    }
}
