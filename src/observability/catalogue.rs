//! Every metric there is: name, kind, help, labels as closed sets, buckets. One value each.
//!
//! Base units; counters end in `_total`; label values come from enums. Never an id, a telephone number,
//! a path or a name that somebody sent. Dashboards and alerts are tested against this list, and so is
//! every place in the source that counts something.

use crate::wire::calling::Operation;
use crate::wire::events::EventKind;

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// As Prometheus shows it.
    pub name: &'static str,
    /// What it is, with buckets where it has some.
    pub kind: Kind,
    /// What it tells, for people.
    pub help: &'static str,
    /// What it is split by.
    pub labels: &'static [Label],
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size; the upper bounds of the buckets.
    Histogram(&'static [f64]),
}

/// One label and what it can say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its closed set of values.
    pub values: Values,
}

/// A closed set of label values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// These.
    These(&'static [&'static str]),
    /// The short names of mid-call event types, and `other`.
    EventKinds,
    /// The labels of the API's operations.
    Operations,
    /// Route patterns as they stand in the source, and `other`.
    Routes,
    /// HTTP statuses.
    Statuses,
    /// This program's version.
    Version,
}

impl Values {
    /// Whether a value belongs to the set.
    pub fn contains(self, value: &str) -> bool {
        match self {
            Self::These(values) => values.contains(&value),
            Self::EventKinds => {
                value == "other" || EventKind::KNOWN.iter().any(|kind| kind.label() == value)
            }
            Self::Operations => Operation::ALL.iter().any(|operation| operation.label() == value),
            Self::Routes => value == "other" || value.starts_with('/'),
            Self::Statuses => value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Version => value == env!("CARGO_PKG_VERSION"),
        }
    }
}

/// The metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name == name)
}

const fn counter(name: &'static str, help: &'static str, labels: &'static [Label]) -> Metric {
    Metric { name, kind: Kind::Counter, help, labels }
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [Label]) -> Metric {
    Metric { name, kind: Kind::Gauge, help, labels }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    labels: &'static [Label],
    buckets: &'static [f64],
) -> Metric {
    Metric { name, kind: Kind::Histogram(buckets), help, labels }
}

const fn these(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::These(values) }
}

const OPERATION: Label = Label { name: "operation", values: Values::Operations };
const DOOR: Label = these("door", &["calls", "eventgrid"]);

/// From a local emulator's fraction of a millisecond to the timeout of an attempt.
const REQUEST_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Waits are for people: from a key press to an hour.
const WAIT_SECONDS: &[f64] = &[
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0, 600.0, 1800.0,
    3600.0,
];
/// A phone rings for thirty seconds; the first of them are the interesting ones.
const RING_SECONDS: &[f64] = &[0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 27.0, 28.0, 29.0, 30.0];
/// From a flush that only reaches memory to a disk that is about to fail.
const COMMIT_SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 5.0];
/// From snapshots or remarks alone to a full batch.
const BATCH_LINES: &[f64] =
    &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// All of them.
pub const ALL: &[Metric] = &[
    gauge(
        "switchhook_calls_live",
        "Calls that live now, by how far they have come.",
        &[these("state", &["connecting", "connected"])],
    ),
    counter("switchhook_calls_opened_total", "Calls that were heard of for the first time.", &[]),
    counter(
        "switchhook_calls_ended_total",
        "Calls that ended, by what ended them; died means a fault in switchhook.",
        &[these("cause", &["disconnected", "setup_failed", "silent", "reconciled", "died"])],
    ),
    gauge(
        "switchhook_recovered_calls",
        "Calls that the last start brought back, those that had just ended included.",
        &[],
    ),
    gauge("switchhook_recovered_events", "Events that the last start went through again.", &[]),
    gauge("switchhook_recovery_seconds", "How long the last start took to bring them back.", &[]),
    counter(
        "switchhook_recovery_unreadable_total",
        "Lines and snapshots of the journal that a start could not read and passed over.",
        &[],
    ),
    counter(
        "switchhook_snapshot_rounds_total",
        "Rounds in which the calls that had changed were written down whole.",
        &[],
    ),
    counter("switchhook_snapshots_total", "Calls that were written down whole.", &[]),
    gauge(
        "switchhook_recovery_unverified_calls",
        "Calls restored at the start about which the call service has not been asked yet.",
        &[],
    ),
    counter(
        "switchhook_verifications_total",
        "Questions to the call service whether a call still lives, by what it said.",
        &[these("outcome", &["alive", "ended", "failed"])],
    ),
    gauge(
        "switchhook_unready",
        "1 while the service is not ready for this reason, 0 otherwise.",
        &[these("reason", &["recovering", "draining", "journal_failed"])],
    ),
    counter(
        "switchhook_events_received_total",
        "Mid-call events accepted, by type and by what became of them.",
        &[
            Label { name: "kind", values: Values::EventKinds },
            these("fate", &["matched", "told_ongoing", "kept", "repeated", "late"]),
        ],
    ),
    counter(
        "switchhook_events_rejected_total",
        "Elements of deliveries that could not be read, by door and reason.",
        &[
            DOOR,
            these(
                "code",
                &[
                    "not_an_event",
                    "missing_id",
                    "missing_type",
                    "missing_source",
                    "missing_data",
                    "missing_call_connection_id",
                    "missing_member",
                    "id_too_long",
                    "too_deep",
                ],
            ),
        ],
    ),
    counter(
        "switchhook_waits_total",
        "Waits that ended, by outcome; lost and refused never reached their call.",
        &[these(
            "outcome",
            &["told", "timed_out", "cancelled", "call_ended", "shutting_down", "refused", "lost"],
        )],
    ),
    histogram("switchhook_wait_seconds", "How long waits over HTTP stood.", &[], WAIT_SECONDS),
    counter(
        "switchhook_operations_total",
        "Operations asked for through the gateway that are over, by how they ended.",
        &[
            OPERATION,
            these("outcome", &["succeeded", "failed", "canceled", "call_ended", "timed_out"]),
        ],
    ),
    counter(
        "switchhook_operations_corrected_total",
        "Operations that had been given up when their event came after all.",
        &[OPERATION],
    ),
    histogram(
        "switchhook_operation_seconds",
        "From the request of an operation to its end.",
        &[OPERATION],
        WAIT_SECONDS,
    ),
    counter(
        "switchhook_backlog_dropped_total",
        "Early events that nobody took, by why they left the backlog.",
        &[these("reason", &["expired", "full", "call_ended"])],
    ),
    gauge("switchhook_subscriptions", "Ongoing subscriptions to the events of calls.", &[]),
    counter(
        "switchhook_subscriptions_dropped_total",
        "Subscriptions ended from our side: the reader was too slow, or had gone.",
        &[these("reason", &["slow", "closed"])],
    ),
    counter(
        "switchhook_incoming_calls_total",
        "Ringing calls, by what became of them.",
        &[these(
            "decision",
            &[
                "redirected",
                "answered",
                "rejected",
                "ignored",
                "stale",
                "repeated",
                "unassigned",
                "failed",
                "loop_prevented",
            ],
        )],
    ),
    counter(
        "switchhook_incoming_resumed_total",
        "Ringing calls that were unsettled at a restart, by how they went on.",
        &[these("how", &["resent", "decided", "expired"])],
    ),
    histogram(
        "switchhook_incoming_ring_left_seconds",
        "Ringing time that was left when a call was decided.",
        &[],
        RING_SECONDS,
    ),
    gauge("switchhook_number_assignments", "Number assignments in force.", &[]),
    gauge(
        "switchhook_gateway_breaker_open",
        "1 while requests of the gateway are turned away because the call service does not answer.",
        &[],
    ),
    counter(
        "switchhook_forwards_total",
        "Attempts to forward an event to a caller of the gateway, by what became of them.",
        &[these("result", &["delivered", "refused", "unanswered", "forbidden"])],
    ),
    counter(
        "switchhook_forwards_given_up_total",
        "Events that could not be forwarded and became dead letters.",
        &[],
    ),
    counter(
        "switchhook_forward_targets_refused_total",
        "Callbacks that name a target which we have not signed; their events are not forwarded.",
        &[],
    ),
    gauge("switchhook_forwards_pending", "Events that are still to be forwarded.", &[]),
    gauge("switchhook_dead_letters", "Events given up that can be sent again.", &[]),
    counter(
        "switchhook_upstream_requests_total",
        "Attempts at the call service, by operation and result.",
        &[OPERATION, these("class", &["success", "refused", "throttled", "failed", "unreachable"])],
    ),
    histogram(
        "switchhook_upstream_request_seconds",
        "Time of one attempt at the call service.",
        &[OPERATION],
        REQUEST_SECONDS,
    ),
    counter(
        "switchhook_upstream_retries_total",
        "Attempts at the call service that repeat an earlier one.",
        &[OPERATION],
    ),
    counter(
        "switchhook_callback_auth_failures_total",
        "Callbacks refused because the sender did not prove itself, by reason.",
        &[these(
            "reason",
            &[
                "missing_key",
                "wrong_key",
                "missing_token",
                "malformed",
                "wrong_algorithm",
                "unknown_key",
                "bad_signature",
                "wrong_issuer",
                "wrong_audience",
                "expired",
                "not_yet",
                "no_keys",
            ],
        )],
    ),
    counter(
        "switchhook_grid_auth_failures_total",
        "Event Grid deliveries refused because the sender did not prove itself, by reason.",
        &[these("reason", &["missing_key", "wrong_key", "unknown_subscription"])],
    ),
    counter(
        "switchhook_http_requests_total",
        "Requests answered, by listener, route and status.",
        &[
            these("listener", &["public", "private"]),
            Label { name: "route", values: Values::Routes },
            Label { name: "status", values: Values::Statuses },
        ],
    ),
    counter(
        "switchhook_mailbox_refusals_total",
        "Messages refused because a mailbox, or the house, was full.",
        &[these("actor", &["registry", "call", "calls", "routing", "verifier"])],
    ),
    histogram(
        "switchhook_journal_commit_seconds",
        "Time to write and flush one batch of the journal.",
        &[],
        COMMIT_SECONDS,
    ),
    histogram("switchhook_journal_batch_lines", "Lines of one commit.", &[], BATCH_LINES),
    counter(
        "switchhook_journal_lines_total",
        "Lines that the journal has made safe, by what they are about.",
        &[these(
            "kind",
            &["heard", "rang", "claimed", "closed", "trying", "settled", "operation", "forward"],
        )],
    ),
    gauge("switchhook_journal_bytes", "Bytes of all lines that the journal keeps.", &[]),
    gauge(
        "switchhook_journal_span_seconds",
        "Time between the oldest and the newest line that the journal keeps.",
        &[],
    ),
    counter(
        "switchhook_journal_trimmed_lines_total",
        "Lines that left the journal because they were too old or too many.",
        &[],
    ),
    gauge("switchhook_journal_queue_lines", "Lines that were taken and are not safe yet.", &[]),
    counter(
        "switchhook_journal_refusals_total",
        "Appends refused because too much waited to be written.",
        &[],
    ),
    gauge(
        "switchhook_build_info",
        "Always 1; the label says which version runs.",
        &[Label { name: "version", values: Values::Version }],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for metric in ALL {
            let name = metric.name;
            assert!(name.starts_with("switchhook_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(name.ends_with("_seconds") || name.ends_with("_lines"), "{name}");
                assert!(buckets.is_sorted(), "{name}");
            }
            assert!(metric.help.ends_with('.'), "{name} is explained in a sentence");
            assert_eq!(
                ALL.iter().filter(|other| other.name == name).count(),
                1,
                "{name} is there twice"
            );
        }
    }

    #[test]
    fn label_values_are_words_of_closed_sets() {
        assert!(Values::EventKinds.contains("PlayCompleted"));
        assert!(!Values::EventKinds.contains("Whatever"));
        assert!(Values::Operations.contains("play"));
        assert!(!Values::Routes.contains("+14255551212"));
        assert!(Values::Statuses.contains("503") && !Values::Statuses.contains("5xx"));
        for label in ALL.iter().flat_map(|metric| metric.labels) {
            if let Values::These(values) = label.values {
                let plain =
                    |value: &&str| value.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                assert!(values.iter().all(plain), "{}", label.name);
            }
        }
    }
}
