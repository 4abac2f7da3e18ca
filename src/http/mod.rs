//! Routes, extractors, status codes.
//!
//! Two listeners: `public` faces the internet, `private` must not. May use `actors` (messages and
//! handles), floors 0 to 2 and `actix-web`. Decides nothing and remembers nothing.

mod body;
pub mod cursor;
pub mod private;
pub mod problem;
pub mod public;
