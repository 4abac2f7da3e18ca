//! The number assignments and their history: in a file, or in memory.
//!
//! May use floors 0 to 2. Never decides what an assignment means.

pub(super) mod file;
mod memory;

pub use file::{FORMAT, NumberFile};
pub use memory::MemoryNumbers;

/// The name of the assignments' file in its folder.
pub const FILE: &str = "config.redb";
