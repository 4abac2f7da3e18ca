//! Where counted things go: a Prometheus recorder with the catalogue's buckets and help texts.

use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::catalogue::{self, Kind};

/// Makes the process's recorder and describes every metric to it. Whoever holds the handle renders it,
/// and calls `run_upkeep` every few seconds.
///
/// A process has one recorder: when there is another one already, it stays, and the handle returned
/// here renders nothing.
pub fn install() -> PrometheusHandle {
    let recorder = recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("metrics are recorded elsewhere, /metrics stays empty");
    }
    describe();
    handle
}

/// A recorder with the catalogue's buckets, installed nowhere. For tests, with
/// [`metrics::with_local_recorder`].
pub fn recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for metric in catalogue::ALL {
        if let Kind::Histogram(buckets) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder
                .set_buckets_for_metric(name, buckets)
                .expect("every histogram of the catalogue has buckets");
        }
    }
    builder.build_recorder()
}

/// Tells the recorder in force what every metric means, and which version runs.
pub fn describe() {
    for metric in catalogue::ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => describe_histogram!(metric.name, metric.help),
        }
    }
    gauge!("switchhook_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_the_buckets_and_everything_the_help_of_the_catalogue() {
        let recorder = recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::histogram!("switchhook_wait_seconds").record(0.2);
            metrics::counter!("switchhook_calls_opened_total").increment(3);
        });
        let text = recorder.handle().render();
        for line in [
            "# HELP switchhook_calls_opened_total Calls that were heard of for the first time.",
            "# TYPE switchhook_calls_opened_total counter",
            "switchhook_calls_opened_total 3",
            "switchhook_wait_seconds_bucket{le=\"0.1\"} 0",
            "switchhook_wait_seconds_bucket{le=\"0.25\"} 1",
            concat!("switchhook_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
    }
}
