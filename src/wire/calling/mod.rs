//! The Call Automation REST API, version 2026-03-12: its operations and its models.

mod joining;
mod models;
mod operation;
mod recording;
mod requests;
mod route;
mod streams;

pub use joining::*;
pub use models::*;
pub use operation::{Method, Operation, Place, segment};
pub use recording::*;
pub use requests::{Nothing, RequestModel, StopContinuousDtmfRequest, UnholdRequest, WithContext};
pub use route::{Route, route};
pub use streams::*;

/// The API version that Switchhook speaks and that the emulator emulates.
pub const API_VERSION: &str = "2026-03-12";
