//! The number assignments and their history: in a file, or in memory.
//!
//! May use floors 0 to 2. Never decides what an assignment means.

mod file;
mod memory;

pub use file::{FORMAT, NumberFile, OpenError};
pub use memory::MemoryNumbers;
