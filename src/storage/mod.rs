//! What must survive, behind ports.
//!
//! May use floors 0 to 2. Never interprets what it keeps.

mod disk;
mod error;
pub mod journal;
pub mod memory;
pub mod numbers;

pub use error::StoreError;
