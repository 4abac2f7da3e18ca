//! Switchhook: the call orchestrator for Azure Communication Services Call Automation.
//!
//! The one-minute rule: **imports go down the floors, never up, never sideways.** New here? Read
//! `pure::call`, then `actors::call`, then `http::public::callbacks`: that is the story of an event,
//! from door to waiter, told backwards. `ARCHITECTURE.md` is the map; `tests/it/tidy.rs` holds the
//! rule.

// floor 7
pub mod cli;
// floor 6
pub mod app;
// floor 5
pub mod client;
// floor 4
pub mod acs;
pub mod http;
pub mod storage;
// floor 3
pub mod actors;
// floor 2
pub mod clock;
pub mod observability;
pub mod ports;
pub mod settings;
// floor 1
pub mod pure;
// floor 0
pub mod wire;

// in the garden: a pretend Azure, which shares floors 0 to 2 and no room of the house
pub mod emulator;

/// The Rust in the README compiles; its tour is run by `tests/it/readme.rs`.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
