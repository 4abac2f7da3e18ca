//! One call: waiters, backlog, subscriptions, roster, timeline.
