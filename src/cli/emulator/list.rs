//! `switchhook emulator settings`: what can be set, what it is now, and why it can be set at all.

use serde::Serialize;
use toml::Value;

use crate::app::emulated;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::screen::Screen;
use crate::cli::table::Table;
use crate::emulator::knobs;
use crate::settings::Settings;

/// One setting, for scripts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    name: String,
    value: Value,
    default: Value,
    unit: &'static str,
    set_by: String,
    what: &'static str,
    reason: &'static str,
}

pub(super) fn run(settings: &Settings, screen: Screen) -> Done {
    let config = emulated::config(settings);
    let config = config.map_err(|error| Failure::new(Exit::Configuration, error))?;
    let lines = knobs().map(|knob| Line {
        set_by: set_by(settings, &knob.name()),
        name: knob.name(),
        value: knob.value(&config),
        default: knob.default(),
        unit: knob.unit(),
        what: knob.what,
        reason: knob.why,
    });
    if screen.is_json() {
        return lines.into_iter().try_for_each(|line| screen.object(&line));
    }
    let mut table = Table::new(&["SETTING", "VALUE", "DEFAULT", "UNIT", "WHAT IT IS, AND WHY"]);
    for line in lines {
        let text = format!("{} {}", line.what, line.reason);
        let (value, default) = (line.value.to_string(), line.default.to_string());
        table.row(vec![line.name, value, default, line.unit.to_owned(), text]);
    }
    screen.line(table.text())
}

fn set_by(settings: &Settings, name: &str) -> String {
    let key = format!("emulator.{name}");
    let found = settings.effective().iter().find(|setting| setting.key == key);
    found.map(|setting| setting.origin.clone()).unwrap_or_default()
}
