//! What must survive, behind ports.
//!
//! May use floors 0 to 2. Never interprets what it keeps, except to check on request that
//! it can be read.

mod disk;
mod error;
pub mod inspect;
pub mod journal;
pub mod memory;
pub mod numbers;
mod overlay;

pub use error::StoreError;
