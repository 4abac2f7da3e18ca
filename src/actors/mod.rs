//! Placeholder.

pub mod routing;
mod routing_telling;
