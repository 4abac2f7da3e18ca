//! Layers of settings: the default file, your file, the environment, flags. Later ones win.
//!
//! Owns which keys exist (the default file says so), of which type they are, and who set what. The
//! result is flat: `section.key` to a value and its origin.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Problems;

/// The defaults, and the list of all keys.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Variables of the environment that are settings start with this.
pub const ENV_PREFIX: &str = "SWITCHHOOK__";

/// Keys that hold an array of tables, with the keys of each table. The values are texts.
const TABLES: &[(&str, &[&str])] = &[
    ("private.tokens", &["name", "role", "secret", "secret_file"]),
    (
        SUBSCRIPTIONS,
        &[
            "name",
            "endpoint",
            "schema",
            "included_event_types",
            "subject_begins_with",
            "subject_ends_with",
            "is_subject_case_sensitive",
            "advanced_filters",
            "enable_advanced_filtering_on_arrays",
            "headers",
            "delivery_headers",
            "max_delivery_attempts",
            "event_time_to_live_in_minutes",
            "max_events_per_batch",
            "preferred_batch_size_in_kilobytes",
            "dead_letter",
        ],
    ),
];

/// The one array of tables with values of all types, which the emulator itself reads.
pub(super) const SUBSCRIPTIONS: &str = "emulator.subscriptions";

/// What the user gave, before anything is read. May hold secrets, so it has no `Debug`.
#[derive(Clone, Default)]
pub struct Given {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The environment, whole; what does not start with [`ENV_PREFIX`] is not looked at.
    pub environment: Vec<(String, String)>,
    /// What flags say, last and strongest.
    pub flags: Vec<Flag>,
    /// Settings that the default file does not hold, because another room keeps their table.
    pub others: Others,
}

/// Settings with a table of their own: the many small ones of the emulator. They are read like all
/// others; what they mean, and what they may be, is known where the table is.
#[derive(Clone, Copy, Default)]
pub struct Others {
    /// `section.table.key` and default of each.
    pub defaults: Option<Defaults>,
    /// What is wrong with a value, in words that say what to do.
    pub check: Option<Check>,
}

/// Tells keys and defaults.
type Defaults = fn() -> Vec<(String, Value)>;

/// Checks the value of a key.
pub(super) type Check = fn(&str, &Value) -> Result<(), String>;

/// One flag that stands for a setting.
#[derive(Clone)]
pub struct Flag {
    /// As people type it: `--listen`.
    pub name: &'static str,
    /// `section.key`.
    pub key: Cow<'static, str>,
    /// What was given.
    pub text: String,
}

/// A value and who set it; the origin is empty for a default.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) value: Value,
    pub(super) origin: String,
    /// Whether [`Others::check`] says what it may be, its type included.
    pub(super) checked_elsewhere: bool,
}

impl Leaf {
    fn default(value: Value) -> Self {
        Self { value, origin: String::new(), checked_elsewhere: false }
    }
}

/// All keys with their values.
pub(super) type Flat = BTreeMap<String, Leaf>;

/// Puts all layers on top of each other. What is faulty is told and left out.
pub(super) fn read(given: &Given, problems: &mut Problems) -> Flat {
    let mut flat = Flat::new();
    match DEFAULTS.parse::<Table>() {
        Ok(table) => defaults(table, &mut flat),
        Err(error) => problems.add("", "config/default.toml", error.message()),
    }
    let others = given.others.defaults.map(|table| table()).unwrap_or_default();
    for (key, value) in others {
        flat.insert(key, Leaf { checked_elsewhere: true, ..Leaf::default(value) });
    }
    if let Some(path) = &given.file {
        file(path, &mut flat, problems);
    }
    for (name, text) in &given.environment {
        if let Some(key) = name.strip_prefix(ENV_PREFIX) {
            let key = key.to_ascii_lowercase().replace("__", ".");
            set_text(&key, text, &format!("environment {name}"), &mut flat, problems);
        }
    }
    for flag in &given.flags {
        set_text(&flag.key, &flag.text, &format!("flag {}", flag.name), &mut flat, problems);
    }
    flat
}

fn defaults(table: Table, flat: &mut Flat) {
    for (section, values) in table {
        let Value::Table(values) = values else { continue };
        for (key, value) in values {
            flat.insert(format!("{section}.{key}"), Leaf::default(value));
        }
    }
}

fn file(path: &Path, flat: &mut Flat, problems: &mut Problems) {
    let origin = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return problems.add("", &origin, format!("cannot be read: {error}")),
    };
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return problems.add("", &origin, syntax(&error, &text)),
    };
    for (section, values) in table {
        match values {
            Value::Table(values) => {
                for (key, value) in values {
                    set_nested(&format!("{section}.{key}"), value, &origin, flat, problems);
                }
            }
            _ => {
                problems.add(&section, &origin, "stands outside of any [section]; move it into one")
            }
        }
    }
}

/// `[section.table]` holds keys of its own, where there are such.
fn set_nested(key: &str, value: Value, origin: &str, flat: &mut Flat, problems: &mut Problems) {
    match value {
        Value::Table(values) if is_table(key, flat) => {
            for (name, value) in values {
                set(&format!("{key}.{name}"), value, origin, flat, problems);
            }
        }
        value => set(key, value, origin, flat, problems),
    }
}

fn is_table(key: &str, flat: &Flat) -> bool {
    let inside = |known: &String| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    flat.keys().any(inside)
}

/// Says where the fault is, and not what stands there: it could be a secret.
fn syntax(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {} is not valid TOML: {}", before.matches('\n').count() + 1, error.message())
}

/// A text from the environment or a flag takes the type of the default.
fn set_text(key: &str, text: &str, origin: &str, flat: &mut Flat, problems: &mut Problems) {
    let leaf = flat.get(key);
    let elsewhere = leaf.is_some_and(|leaf| leaf.checked_elsewhere);
    let value = match leaf.map(|leaf| &leaf.value) {
        // `false` may stand for nothing, in place of whatever else there can be.
        Some(Value::Boolean(_)) if elsewhere => Some(anything(text)),
        Some(_) if elsewhere && text.trim() == "false" => Some(Value::Boolean(false)),
        Some(Value::Integer(_)) => text.trim().parse().map(Value::Integer).ok(),
        Some(Value::Boolean(_)) => text.trim().parse().map(Value::Boolean).ok(),
        Some(Value::Float(_)) => text.trim().parse().map(Value::Float).ok(),
        Some(Value::Array(_)) => array(text),
        _ => Some(Value::String(text.to_owned())),
    };
    match value {
        Some(value) => set(key, value, origin, flat, problems),
        None => problems.add(key, origin, format!("must be {}", wanted(flat, key))),
    }
}

/// What a text looks like.
fn anything(text: &str) -> Value {
    let trimmed = text.trim();
    let truth = trimmed.parse().map(Value::Boolean);
    let number = || trimmed.parse().map(Value::Integer);
    let fraction = || trimmed.parse().map(Value::Float);
    truth
        .or_else(|_| number())
        .or_else(|_| fraction())
        .unwrap_or_else(|_| Value::String(text.into()))
}

/// `a,b`, or a TOML array for what commas cannot say.
fn array(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('[') {
        return format!("it = {text}").parse::<Table>().ok()?.remove("it");
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
}

fn set(key: &str, value: Value, origin: &str, flat: &mut Flat, problems: &mut Problems) {
    let Some(leaf) = flat.get(key) else {
        return problems.add(key, origin, unknown(key, flat));
    };
    let value = match (&leaf.value, value) {
        (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
        (_, value) => value,
    };
    let checked_elsewhere = leaf.checked_elsewhere;
    let nothing = |value: &Value| matches!(value, Value::Boolean(_));
    let from_or_to_nothing = checked_elsewhere && (nothing(&leaf.value) || nothing(&value));
    if !from_or_to_nothing && !leaf.value.same_type(&value) {
        problems.add(key, origin, format!("must be {}", wanted(flat, key)));
    } else if from_or_to_nothing || items_fit(key, &value, origin, problems) {
        let leaf = Leaf { value, origin: origin.to_owned(), checked_elsewhere };
        flat.insert(key.to_owned(), leaf);
    }
}

fn wanted(flat: &Flat, key: &str) -> &'static str {
    match flat.get(key).map(|leaf| &leaf.value) {
        Some(Value::Integer(_)) => "a whole number",
        Some(Value::Boolean(_)) => "true or false",
        Some(Value::Float(_)) => "a number",
        Some(Value::Array(_)) if TABLES.iter().any(|(known, _)| *known == key) => {
            "an array of tables"
        }
        Some(Value::Array(_)) => "an array of texts",
        _ => "a text in quotes",
    }
}

fn items_fit(key: &str, value: &Value, origin: &str, problems: &mut Problems) -> bool {
    let Value::Array(items) = value else { return true };
    let known = TABLES.iter().find(|(table, _)| *table == key).map(|(_, keys)| *keys);
    let before = problems.0.len();
    for (index, item) in items.iter().enumerate() {
        let place = format!("{key}[{index}]");
        match (known, item) {
            (None, Value::String(_)) => {}
            (None, _) => problems.add(&place, origin, "must be a text in quotes"),
            (Some(known), Value::Table(table)) => {
                for (name, value) in table {
                    if !known.contains(&name.as_str()) {
                        let text = format!("is not a setting; there are {}", known.join(", "));
                        problems.add(&format!("{place}.{name}"), origin, text);
                    } else if key != SUBSCRIPTIONS && !value.is_str() {
                        problems.add(
                            &format!("{place}.{name}"),
                            origin,
                            "must be a text in quotes",
                        );
                    }
                }
            }
            (Some(known), _) => {
                let text = format!("must be a table with {}", known.join(", "));
                problems.add(&place, origin, text);
            }
        }
    }
    problems.0.len() == before
}

/// Says what may have been meant.
fn unknown(key: &str, flat: &Flat) -> String {
    let (section, name) = key.rsplit_once('.').unwrap_or((key, ""));
    let nearest = flat
        .keys()
        .map(|known| (distance(key, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known);
    let elsewhere =
        flat.keys().find(|known| known.rsplit_once('.').is_some_and(|(_, n)| n == name));
    if let Some(known) = nearest.or(elsewhere) {
        return format!("is not a setting; did you mean {known}?");
    }
    let prefix = format!("{section}.");
    let mut siblings: Vec<_> =
        flat.keys().filter_map(|known| known.strip_prefix(&prefix)?.split('.').next()).collect();
    siblings.dedup();
    match siblings.as_slice() {
        [] => {
            let mut sections: Vec<_> =
                flat.keys().filter_map(|key| key.split('.').next()).collect();
            sections.dedup();
            format!("[{section}] is not a section; there are {}", sections.join(", "))
        }
        names => format!("is not a setting; [{section}] has {}", names.join(", ")),
    }
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
