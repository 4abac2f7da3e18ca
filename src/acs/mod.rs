//! Azure over HTTP: turning a wish into a signed request, and its answer into a type.
//!
//! Owns the connection pool, the signature of each attempt and the reading of Azure's errors. Whether
//! an attempt is repeated is decided in `pure::retry`. May use floors 0 to 2 and `reqwest`; it never
//! knows who asked, and never logs a URL, a body or a context.

mod attempt;
mod client;
mod errors;
mod keys;
pub mod operations;
mod telling;
mod transport;

pub use client::{Azure, AzureConfig};
pub use keys::{AZURE_OPENID_CONFIGURATION, OpenIdKeys};
pub use transport::{BadTransport, Transport};
