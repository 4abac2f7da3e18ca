//! Names of metrics, shapes of log lines.
//!
//! Owns the catalogue of metrics and the set-up of recorder and logger. Whoever makes something happen
//! counts it, with `metrics`' macros and a name of the catalogue; `tests/it/tidy.rs` compares the two.
//! Decides nothing.

pub mod catalogue;
pub mod logging;
mod recorder;

pub use recorder::{describe, install, recorder};
