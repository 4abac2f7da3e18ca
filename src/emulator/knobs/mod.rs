//! Every small setting of the emulator as one table: what it is, why it is a setting, its default, and
//! how it is read and written by name.
//!
//! Owns the names (`behaviour.ring_ms`) and the ranges. The values live in the structs of `config`; a
//! test fails when a field there has no row here. Never decides what a setting does.

mod behaviour;
mod calls;
mod grid;
mod kinds;
mod limits;
mod recording;
mod resource;
mod streams;
#[cfg(test)]
mod tests;

use toml::Value;

use super::config::EmulatorConfig;
use kinds::Bounds;

/// One setting.
pub struct Knob {
    /// The table that it stands in: `behaviour`, `calls`, `recording`, `streams`, `grid`, `limits` or `resource`.
    pub group: &'static str,
    /// The field's name in Rust.
    pub field: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Why it is a setting: what the reference leaves open, or says in two ways.
    pub why: &'static str,
    bounds: Bounds,
    unit: fn(&EmulatorConfig) -> &'static str,
    show: fn(&EmulatorConfig) -> Value,
    put: fn(&mut EmulatorConfig, &Value, Bounds) -> Result<(), String>,
}

impl Knob {
    /// `behaviour.ring_ms`: milliseconds say so.
    pub fn name(&self) -> String {
        let suffix = if self.unit() == kinds::MILLISECONDS { "_ms" } else { "" };
        format!("{}.{}{suffix}", self.group, self.field)
    }

    /// `ms`, `number`, `true or false`, `text`, `texts`, or the words that there are.
    pub fn unit(&self) -> &'static str {
        (self.unit)(&EmulatorConfig::default())
    }

    /// The value in this configuration.
    pub fn value(&self, config: &EmulatorConfig) -> Value {
        (self.show)(config)
    }

    /// The value of a configuration that nobody has touched.
    pub fn default(&self) -> Value {
        self.value(&EmulatorConfig::default())
    }
}

/// Why a setting was not taken. Says what to choose instead, never what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnobFault {
    /// No setting has that name.
    #[error("is not a setting; there are {0}")]
    Unknown(String),
    /// The value is of the wrong kind or out of range.
    #[error("{0}")]
    Wrong(String),
}

/// All of them, table by table.
pub fn knobs() -> impl Iterator<Item = &'static Knob> {
    [
        behaviour::KNOBS,
        calls::KNOBS,
        recording::KNOBS,
        streams::KNOBS,
        grid::KNOBS,
        limits::KNOBS,
        resource::KNOBS,
    ]
    .into_iter()
    .flatten()
}

/// Name and default of each.
pub fn knob_defaults() -> Vec<(String, Value)> {
    let config = EmulatorConfig::default();
    knobs().map(|knob| (knob.name(), knob.value(&config))).collect()
}

/// Sets one by its name.
///
/// # Errors
/// [`KnobFault`] when there is none of that name, or it cannot have that value.
pub fn set_knob(config: &mut EmulatorConfig, name: &str, value: &Value) -> Result<(), KnobFault> {
    let Some(knob) = knobs().find(|knob| knob.name() == name) else {
        return Err(KnobFault::Unknown(names_like(name)));
    };
    (knob.put)(config, value, knob.bounds).map_err(KnobFault::Wrong)
}

/// Says whether [`set_knob`] would take it.
///
/// # Errors
/// [`KnobFault`] as there.
pub fn check_knob(name: &str, value: &Value) -> Result<(), KnobFault> {
    set_knob(&mut EmulatorConfig::default(), name, value)
}

/// The names of the table that was meant, or of all tables.
fn names_like(name: &str) -> String {
    let group = name.split('.').next().unwrap_or_default();
    let known = knobs().any(|knob| knob.group == group);
    let meant = knobs().filter(|knob| !known || knob.group == group);
    meant.map(Knob::name).collect::<Vec<_>>().join(", ")
}

/// One row for each field: name, range, what it is, why it is a setting.
macro_rules! table {
    ($group:literal, $config:ident => $place:expr;
     $($field:ident, $bounds:expr, $what:literal, $why:literal;)*) => {
        pub(super) const KNOBS: &[crate::emulator::knobs::Knob] = &[$(crate::emulator::knobs::Knob {
            group: $group,
            field: stringify!($field),
            what: $what,
            why: $why,
            bounds: $bounds,
            unit: |$config| crate::emulator::knobs::kinds::unit(&$place.$field),
            show: |$config| crate::emulator::knobs::kinds::show(&$place.$field),
            put: |$config, value, bounds| {
                crate::emulator::knobs::kinds::put(&mut $place.$field, value, bounds)
            },
        },)*];
    };
}
use table;
