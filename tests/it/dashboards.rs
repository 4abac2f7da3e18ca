//! Dashboards and alerts ask only for what is counted, and every alert has a runbook.
//!
//! Queries are read just far enough to find the metrics, the labels and the values they name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use switchhook::observability::catalogue::{self, Kind, Metric};

use crate::tidy::{files_under, root};

/// Labels that Prometheus itself adds.
const ADDED: &[&str] = &["instance", "job"];

/// A metric as a query names it: `rate(name_bucket{a="b"}[5m])`.
#[derive(Debug)]
struct Named {
    series: String,
    /// Label, operator, value.
    matchers: Vec<(String, String, String)>,
}

/// Every `switchhook_…` of a query with what stands in its braces.
fn named(query: &str) -> Vec<Named> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in query.match_indices("switchhook_") {
        let rest = &query[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let braces = rest[end..].strip_prefix('{').and_then(|inside| inside.split_once('}'));
        found.push(Named {
            series: rest[..end].to_owned(),
            matchers: braces.map(|(inside, _)| matchers(inside)).unwrap_or_default(),
        });
    }
    found
}

fn matchers(inside: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for part in inside.split("\",").map(|part| part.trim().trim_end_matches('"')) {
        let at = part.find(['=', '!']).expect("an operator");
        let (label, rest) = part.split_at(at);
        let (operator, value) = rest.split_once('"').expect("a value in quotes");
        found.push((label.to_owned(), operator.to_owned(), value.to_owned()));
    }
    found
}

/// The labels of `by (a, b)` and `without (a, b)`.
fn grouped_by(query: &str) -> Vec<String> {
    let groups = query.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    groups.flat_map(|(inside, _)| inside.split(',').map(|label| label.trim().to_owned())).collect()
}

/// The metric behind a series: a histogram shows itself as three.
fn metric_of(series: &str) -> Option<&'static Metric> {
    let whole = catalogue::find(series).filter(|metric| !matches!(metric.kind, Kind::Histogram(_)));
    whole.or_else(|| {
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end))?;
        catalogue::find(name).filter(|metric| matches!(metric.kind, Kind::Histogram(_)))
    })
}

fn fault_of_matcher(
    metric: &Metric,
    (label, operator, value): &(String, String, String),
) -> Option<String> {
    if ADDED.contains(&label.as_str()) {
        return None;
    }
    let Some(known) = metric.labels.iter().find(|known| known.name == label) else {
        return Some(format!("{} has no label {label}", metric.name));
    };
    let values: Vec<_> =
        if operator.ends_with('~') { value.split('|').collect() } else { vec![value] };
    let stranger = values.into_iter().find(|value| !known.values.contains(value))?;
    Some(format!("{} never says {label}={stranger:?}", metric.name))
}

/// What is wrong with a query.
fn faults(query: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut labels: BTreeSet<&str> = ADDED.iter().copied().collect();
    let named = named(query);
    if named.is_empty() {
        faults.push("asks for nothing of ours".to_owned());
    }
    for one in &named {
        let Some(metric) = metric_of(&one.series) else {
            faults.push(format!("{} is not in the catalogue", one.series));
            continue;
        };
        labels.extend(metric.labels.iter().map(|label| label.name));
        labels.extend(one.series.ends_with("_bucket").then_some("le"));
        faults.extend(one.matchers.iter().filter_map(|matcher| fault_of_matcher(metric, matcher)));
        let counted = metric.kind != Kind::Gauge;
        if counted && !query.contains("rate(") && !query.contains("increase(") {
            faults.push(format!("{} only grows: ask for its rate", one.series));
        }
    }
    let strange = grouped_by(query).into_iter().filter(|label| !labels.contains(label.as_str()));
    faults.extend(strange.map(|label| format!("groups by {label}, which nothing here has")));
    faults
}

#[test]
fn queries_are_judged_rightly() {
    #[track_caller]
    fn check(query: &str, fault: &str) {
        let found = faults(query).join("; ");
        assert!(found.contains(fault) && found.is_empty() == fault.is_empty(), "{query}: {found}");
    }
    check("sum by (state) (switchhook_calls_live)", "");
    check("sum by (le) (rate(switchhook_wait_seconds_bucket{instance=~\"$i\"}[5m]))", "");
    check("rate(switchhook_waits_total{outcome=~\"told|lost\"}[5m])", "");
    check(
        "rate(switchhook_waits_total{outcome=~\"told|gone\"}[5m])",
        "never says outcome=\"gone\"",
    );
    check("rate(switchhook_waits_total{reason=\"told\"}[5m])", "no label reason");
    check("rate(switchhook_wait_seconds[5m])", "not in the catalogue");
    check("rate(switchhook_calls_live_bucket[5m])", "not in the catalogue");
    check("sum by (fate) (switchhook_calls_live)", "groups by fate");
    check("switchhook_waits_total", "only grows");
    check("up == 0", "nothing of ours");
}

fn dashboards() -> Vec<(String, Value)> {
    let files = files_under("dashboards", "json");
    assert!(!files.is_empty());
    let load = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).expect("readable");
        (path.display().to_string(), serde_json::from_str(&text).expect("JSON"))
    };
    files.iter().map(load).collect()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn every_panel_asks_for_what_is_counted() {
    let mut wrong = Vec::new();
    for (file, dashboard) in dashboards() {
        let panels: Vec<_> =
            list(&dashboard, "panels").iter().filter(|panel| panel["type"] != "row").collect();
        assert!(panels.len() > 5, "{file}");
        for panel in panels {
            let title = panel["title"].as_str().expect("a title");
            assert!(panel["description"].as_str().is_some_and(|it| !it.is_empty()), "{title}");
            assert!(!list(panel, "targets").is_empty(), "{title} asks for nothing");
            for target in list(panel, "targets") {
                let query = target["expr"].as_str().expect("a query");
                wrong.extend(faults(query).into_iter().map(|fault| format!("{title}: {fault}")));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn dashboards_can_be_imported_anywhere() {
    for (file, dashboard) in dashboards() {
        let variables = list(&dashboard["templating"], "list");
        assert!(
            variables.iter().any(|it| it["type"] == "datasource"),
            "{file} names its datasource"
        );
        let mut ids = BTreeSet::new();
        for panel in list(&dashboard, "panels") {
            assert!(ids.insert(panel["id"].as_u64()), "{file}: ids of panels differ");
            let source = &panel["datasource"]["uid"];
            assert!(panel["type"] == "row" || source == "${datasource}", "{file}: {source}");
        }
        assert!(dashboard["uid"].is_string() && dashboard["title"].is_string(), "{file}");
        assert!(dashboard["id"].is_null(), "{file}: an id belongs to one Grafana");
    }
}

#[test]
fn every_metric_is_shown_somewhere() {
    let everything: String =
        dashboards().iter().map(|(_, dashboard)| dashboard.to_string()).collect();
    let hidden: Vec<_> = catalogue::ALL
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !everything.contains(name))
        .collect();
    assert_eq!(hidden, Vec::<&str>::new(), "counted, and on no dashboard");
}

/// The rules of `alerts.yml`, each a map of `key: value`. The file keeps to one line per value.
fn alerts() -> Vec<BTreeMap<String, String>> {
    let text =
        fs::read_to_string(root().join("dashboards/alerts.yml")).expect("the alerts are there");
    let mut rules: Vec<BTreeMap<String, String>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim().trim_matches(['\'', '"']).to_owned();
        if let Some(key) = key.strip_prefix("- ").filter(|key| *key == "alert") {
            rules.push(BTreeMap::from([(key.to_owned(), value)]));
        } else if let Some(rule) = rules.last_mut() {
            let twice = rule.insert(key.to_owned(), value);
            assert_eq!(twice, None, "{key} of {:?} is there twice", rule.get("alert"));
        }
    }
    rules
}

#[test]
fn every_alert_asks_for_what_is_counted() {
    let rules = alerts();
    assert!(rules.len() >= 10);
    for rule in rules {
        let faults = faults(&rule["expr"]);
        assert_eq!(faults, Vec::<String>::new(), "{}", rule["alert"]);
        assert!(["page", "ticket"].contains(&rule["severity"].as_str()), "{}", rule["alert"]);
        assert!(!rule["summary"].is_empty() && !rule["for"].is_empty(), "{}", rule["alert"]);
    }
}

/// As Markdown viewers make them from headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        words.replace(' ', "-").replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let mut unused =
        anchors(&fs::read_to_string(root().join("dashboards/RUNBOOKS.md")).expect("there"));
    unused.remove("runbooks");
    let known = unused.clone();
    for rule in alerts() {
        let (file, anchor) = rule["runbook"].split_once('#').expect("a file and an anchor");
        assert_eq!(file, "dashboards/RUNBOOKS.md", "{}", rule["alert"]);
        assert!(known.contains(anchor), "{}: there is no #{anchor}", rule["alert"]);
        assert_eq!(anchor, rule["alert"].to_lowercase());
        unused.remove(anchor);
    }
    assert_eq!(unused, BTreeSet::new(), "runbooks for alerts that do not exist");
}

#[test]
fn runbooks_link_to_each_other_and_name_settings_that_exist() {
    let text = fs::read_to_string(root().join("dashboards/RUNBOOKS.md")).expect("there");
    let known = anchors(&text);
    for link in text.split("](#").skip(1).filter_map(|rest| rest.split_once(')')) {
        assert!(known.contains(link.0), "there is no #{}", link.0);
    }
    let settings = switchhook::settings::Settings::load(
        &switchhook::settings::Given::default(),
        switchhook::settings::Purpose::Local,
    )
    .expect("the defaults are good");
    let keys: BTreeSet<_> = settings.effective().iter().map(|line| line.key.as_str()).collect();
    let sections: BTreeSet<_> = keys.iter().filter_map(|key| key.split('.').next()).collect();
    for word in text.split('`').skip(1).step_by(2) {
        let is_setting =
            word.split_once('.').is_some_and(|(section, _)| sections.contains(section));
        assert!(!is_setting || keys.contains(word), "{word} is not a setting");
    }
}

/// The series of a rendered `/metrics` that the catalogue does not know: name, label or value.
pub fn strangers(exposition: &str) -> Vec<String> {
    let lines = exposition.lines().filter(|line| line.starts_with("switchhook_"));
    lines.filter_map(|line| stranger(line).map(|fault| format!("{fault}: {line}"))).collect()
}

fn stranger(line: &str) -> Option<String> {
    let one = named(line).into_iter().next()?;
    let Some(metric) = metric_of(&one.series) else {
        return Some("not in the catalogue".to_owned());
    };
    let own = |(label, ..): &&(String, String, String)| label != "le";
    one.matchers.iter().filter(own).find_map(|matcher| fault_of_matcher(metric, matcher))
}

#[test]
fn strangers_on_the_metrics_page_are_noticed() {
    let recorder = switchhook::observability::recorder();
    metrics::with_local_recorder(&recorder, || {
        switchhook::observability::describe();
        metrics::histogram!("switchhook_wait_seconds").record(1.0);
        metrics::counter!("switchhook_waits_total", "outcome" => "told").increment(1);
    });
    let text = recorder.handle().render();
    assert!(text.contains("switchhook_wait_seconds_bucket"), "{text}");
    assert_eq!(strangers(&text), Vec::<String>::new());

    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("switchhook_waits_total", "outcome" => "+14255551212").increment(1);
        metrics::counter!("switchhook_nobody_knows_total").increment(1);
    });
    assert_eq!(strangers(&recorder.handle().render()).len(), 2);
}
