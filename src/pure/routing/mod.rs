//! Number assignments and the decision for an incoming call.
