//! Mailboxes, alarms and live state: thin shells around `pure`.
//!
//! A [`call::CallActor`] for every call connection, [`registry::RegistryActor`] shards that route to
//! them by id, and a routing actor that decides about ringing calls. Everybody else talks to them
//! through [`Calls`]. May use floors 0 to 2 and `actix`. Never speaks HTTP or JSON.

pub mod call;
mod calls;
pub mod forwarder;
mod forwarder_telling;
pub mod messages;
mod operating;
pub mod recovery;
pub mod registry;
pub mod routing;
mod routing_telling;
mod subscription;
mod surroundings;
mod telling;
pub mod verifier;
mod verifier_telling;
mod waiting;

pub use calls::{Calls, CallsConfig, Listed, Refusal, heard_again};
pub use operating::{Begun, NotBegun, OperationOutcome};
pub use subscription::{Gone, Subscription};
pub use waiting::{WaitOutcome, Waiting};
