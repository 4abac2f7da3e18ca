//! Azure over HTTP: turning a wish into a signed request, and its answer into a type.
//!
//! Owns the connection pool, the signature of each attempt and the reading of Azure's errors. Whether
//! an attempt is repeated is decided in `pure::retry`. Posts events to the callers of the gateway, too. May use floors 0 to 2 and `reqwest`; it never
//! knows who asked, and never logs a URL, a body or a context.

mod attempt;
mod client;
mod errors;
mod keys;
mod messenger;
pub mod operations;
mod passing;
mod telling;
mod transport;

pub use client::{Azure, AzureConfig};
pub use keys::{AZURE_OPENID_CONFIGURATION, OpenIdKeys};
pub use messenger::HttpMessenger;
pub use passing::Relay;
pub use transport::{BadTransport, Transport};
