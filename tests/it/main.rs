//! One binary for all integration tests: stories on a stage, and the house rules.

mod acs;
mod admin;
mod bad_input;
mod calls;
mod cli;
mod dashboards;
mod emulator;
mod incoming;
mod routing;
mod stage;
mod tidy;
mod wire;
