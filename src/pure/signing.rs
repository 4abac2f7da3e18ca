//! Placeholder for a module that lands with its first user.
