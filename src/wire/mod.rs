//! The shapes of Azure: events, REST models, identifiers that redact themselves.
//!
//! Owns what travels over the wire and nothing else. May use `serde`, `uuid` and small data crates.
//! Never decides anything, never reads a clock, never talks to anybody.

pub mod calling;
pub mod events;
pub mod identifiers;
