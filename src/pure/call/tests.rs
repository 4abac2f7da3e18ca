//! The rules of one call, by name: every test carries the rule that it would see broken.

mod backlog;
mod ending;
mod leaving;
mod limits;
mod matching;
mod near_misses;
mod operations;
mod subscriptions;
mod timeouts;
mod verifying;
