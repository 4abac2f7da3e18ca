//! Number assignments and ringing calls.
