//! Every decision Switchhook makes: matching, waiting, backlog, routing, dedup, retries.
//!
//! Data in, effects out, time as an argument. May use `std`, `serde`, `wire` and small data crates.
//! Never knows the time, rolls dice, does I/O, logs or counts; `tests/it/tidy.rs` sees to it.

pub mod breaker;
pub mod call;
pub mod codes;
pub mod filter;
pub mod forwarding;
pub mod gateway;
pub mod notes;
pub mod operations;
pub mod pace;
pub mod proof;
pub mod replay;
pub mod retry;
pub mod routing;
pub mod signing;
pub mod time;
