//! One binary for all integration tests: stories on a stage, and the house rules.

mod acs;
mod admin;
mod bad_input;
mod callback_tokens;
mod calls;
mod cli;
#[cfg(unix)]
mod crash;
mod dashboards;
mod disk;
mod ear;
mod emulator;
mod emulator_cli;
mod emulator_docs;
mod emulator_time;
mod emulator_tls;
mod gateway;
mod incoming;
mod incoming_durable;
mod isolation;
mod numbers_http;
mod numbers_store;
mod operations;
mod readme;
mod restart;
mod resume;
mod routing;
mod rules;
mod simulation;
mod stage;
mod store_cli;
mod store_power;
mod streams;
mod tidy;
mod verifying;
mod wire;
