//! What must survive, behind ports.
//!
//! May use floors 0 to 2. Never interprets what it keeps.

pub mod memory;
pub mod numbers;
