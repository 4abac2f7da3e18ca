//! Every field has a row, every row works, and wrong values are told apart.

use std::collections::BTreeSet;

use super::*;
use crate::emulator::config::Unanswered;
use std::time::Duration;

const SOURCES: &[&str] = &[
    include_str!("../config.rs"),
    include_str!("../call_config.rs"),
    include_str!("../grid_config.rs"),
    include_str!("../recording_config.rs"),
    include_str!("../stream_config.rs"),
];

/// The fields of a struct in the sources. Coarse, and enough: one field on a line.
fn fields_of(name: &str) -> BTreeSet<String> {
    let head = format!("pub struct {name} {{");
    let found = SOURCES.iter().find_map(|source| source.split_once(&head));
    let (_, rest) = found.unwrap_or_else(|| panic!("no {head} in the sources"));
    let (body, _) = rest.split_once("\n}").expect("an end");
    let field = |line: &str| Some(line.trim().strip_prefix("pub ")?.split_once(':')?.0.to_owned());
    body.lines().filter_map(field).collect()
}

#[track_caller]
fn every_field_has_a_row(name: &str, group: &str, elsewhere: &[&str]) {
    let rows: Vec<_> =
        knobs().filter(|knob| knob.group == group).map(|knob| knob.field.to_owned()).collect();
    let known: BTreeSet<_> = rows.iter().cloned().collect();
    assert_eq!(known.len(), rows.len(), "a field of {name} has two rows");
    let mut fields = fields_of(name);
    for field in elsewhere {
        assert!(fields.remove(*field), "{name} has no {field} any more");
    }
    let missing: Vec<_> = fields.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "give {missing:?} of {name} a row in src/emulator/knobs/{group}.rs"
    );
    let gone: Vec<_> = known.difference(&fields).collect();
    assert!(gone.is_empty(), "{gone:?} are no fields of {name} any more");
}

#[test]
fn every_field_of_the_configuration_can_be_given() {
    every_field_has_a_row("Behaviour", "behaviour", &["calls", "recording", "streams", "grid"]);
    every_field_has_a_row("CallBehaviour", "calls", &[]);
    every_field_has_a_row("RecordingBehaviour", "recording", &[]);
    every_field_has_a_row("StreamBehaviour", "streams", &[]);
    every_field_has_a_row("GridBehaviour", "grid", &[]);
    every_field_has_a_row("Limits", "limits", &[]);
    // These have settings or flags of their own in [emulator], or are given in Rust only.
    let own = [
        "listen",
        "access_key",
        "bearer_prefix",
        "seed",
        "phones",
        "default_phone",
        "faults",
        "subscriptions",
        "manual_clock",
        "callers_clock",
        "tls",
        "trust_ca_file",
        "behaviour",
        "limits",
    ];
    every_field_has_a_row("EmulatorConfig", "resource", &own);
}

#[test]
fn every_setting_says_what_it_is_and_why_and_takes_its_own_default() {
    for knob in knobs() {
        let name = knob.name();
        assert!(knob.what.ends_with('.') && knob.why.ends_with('.'), "{name}: whole sentences");
        assert_eq!(check_knob(&name, &knob.default()), Ok(()), "{name}");
        assert_eq!(name.ends_with("_ms"), knob.unit() == "ms", "{name}");
    }
}

#[test]
fn a_setting_is_written_where_the_world_reads_it() {
    let mut config = EmulatorConfig::default();
    let mut set = |name: &str, value: Value| {
        assert_eq!(set_knob(&mut config, name, &value), Ok(()), "{name}");
        let knob = knobs().find(|knob| knob.name() == name).expect("a row");
        assert_eq!(knob.value(&config), value, "{name}");
    };
    set("behaviour.ring_ms", Value::Integer(20_000));
    set("behaviour.unanswered_create", Value::String("silent".into()));
    set("behaviour.voip_party_left", Value::String("0/7015".into()));
    set("behaviour.stop_tone_in_result", Value::Boolean(true));
    set("behaviour.confidence", Value::Float(0.5));
    set("behaviour.api_versions", Value::Array(vec![Value::String("2026-03-12".into())]));
    set("grid.max_attempts", Value::Integer(30));
    set("limits.calls", Value::Integer(1));
    set("resource.audience", Value::String("somebody".into()));
    assert_eq!(config.behaviour.ring, Duration::from_secs(20));
    assert_eq!(config.behaviour.unanswered_create, Unanswered::Silent);
    assert_eq!(config.behaviour.voip_party_left, (0, 7015));
    assert!(config.behaviour.stop_tone_in_result);
    assert_eq!(config.behaviour.api_versions, ["2026-03-12"]);
    assert_eq!((config.behaviour.grid.max_attempts, config.limits.calls), (30, 1));
    assert_eq!(config.audience, "somebody");
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    #[track_caller]
    fn check(name: &str, value: Value, says: &str) {
        let fault = check_knob(name, &value).expect_err("refused").to_string();
        assert!(fault.contains(says), "{fault}");
    }
    let text = |text: &str| Value::String(text.into());
    check("behaviour.ring_ms", Value::Integer(1), "is 1; choose something from 1000 to 3600000");
    check("behaviour.ring_ms", Value::Integer(-1), "is -1; choose");
    check("behaviour.ring_ms", text("soon"), "must be a whole number");
    check("behaviour.confidence", Value::Float(1.5), "is 1.5; choose something from 0 to 1");
    check("behaviour.confidence", Value::Float(f64::NAN), "choose something from 0 to 1");
    check("behaviour.unanswered_create", text("loud"), "must be \"told\" or \"silent\"");
    check("behaviour.voip_party_left", text("7015"), "such as \"400/8510\"");
    check("behaviour.strict_wav", Value::Integer(1), "must be true or false");
    check("behaviour.api_versions", text("x"), "must be an array of texts");
    check("behaviour.ring", Value::Integer(20_000), "there are behaviour.latency_ms");
    check("limits.nothing", Value::Integer(1), "there are limits.calls, limits.participants");
    check("nothing", Value::Integer(1), "resource.audience");
}
