//! The house rules, as tests: floors, purity, clocks, words, metrics, sizes.
//!
//! They read the sources as text. That is coarse, and it is enough: a rule that is broken by accident
//! is found, and nobody breaks one here on purpose.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use switchhook::observability::catalogue::{self, Kind, Metric, Values};

/// Imports go down these floors, never up, never sideways. The emulator lives in the garden: it may
/// use what stands on floors 0 to 2, and only `app` and `cli` may use it.
const FLOORS: &[(&str, u8)] = &[
    ("cli", 7),
    ("app", 6),
    ("client", 5),
    ("acs", 4),
    ("http", 4),
    ("storage", 4),
    ("actors", 3),
    ("emulator", 3),
    ("clock", 2),
    ("observability", 2),
    ("ports", 2),
    ("settings", 2),
    ("pure", 1),
    ("wire", 0),
];

/// The one step sideways: the clocks stand behind the door of that name.
const SIDEWAYS: &[(&str, &str)] = &[("clock", "ports")];

/// No file grows beyond this; start wondering at 300.
const LONGEST_FILE: usize = 600;
/// No function grows beyond this; start wondering at 40.
const LONGEST_FUNCTION: usize = 100;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with that ending, sorted; none when the folder is not there.
pub fn files_under(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn rust_files() -> Vec<PathBuf> {
    ["src", "tests", "benches", "examples"].iter().flat_map(|at| files_under(at, "rs")).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The code of a file: comments left out, lines kept.
fn code(path: &Path) -> String {
    let text = read(path);
    text.lines().map(|line| without_comment(line).to_owned() + "\n").collect()
}

/// Cuts at `//`, but not inside of a URL.
fn without_comment(line: &str) -> &str {
    let starts = line.match_indices("//").map(|(at, _)| at);
    let comment = |at: &usize| !line[..*at].ends_with(':') && !line[..*at].ends_with('"');
    starts.into_iter().find(comment).map_or(line, |at| &line[..at])
}

/// … and without the unit tests at its end.
fn code_in_use(path: &Path) -> String {
    let code = code(path);
    match code.find("#[cfg(test)]\nmod tests {") {
        Some(at) => code[..at].to_owned(),
        None => code,
    }
}

/// Unit tests that stand in a file of their own.
fn is_unit_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name.ends_with("tests") || name == "testing" || name == "model"
}

/// The room of the house that a source file belongs to; `None` for `lib` and `main`.
fn room(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_string_lossy().into_owned();
    let name = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
    (name != "lib" && name != "main").then_some(name)
}

fn floor(room: &str) -> u8 {
    let found = FLOORS.iter().find(|(name, _)| *name == room);
    found.unwrap_or_else(|| panic!("{room} has no floor: give it one in tests/it/tidy.rs")).1
}

/// The first segments of all paths that begin with `crate::`, groups included.
fn rooms_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => used.extend(heads_of_group(group)),
            None => used.extend(word(rest)),
        }
    }
    used
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// `a::{b, c}, d}` → a, d
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut at_head, mut heads) = (0, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            c if at_head && c.is_alphanumeric() => {
                heads.extend(word(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn imports_go_down_the_floors() {
    let mut climbers = Vec::new();
    for path in files_under("src", "rs") {
        let Some(here) = room(&path) else { continue };
        for there in rooms_used(&code(&path)) {
            // A macro or a re-export at the root is not a room.
            if there == here || !FLOORS.iter().any(|(name, _)| *name == there) {
                continue;
            }
            let garden = there == "emulator" && here != "app" && here != "cli";
            let sideways = SIDEWAYS.contains(&(here.as_str(), there.as_str()));
            if garden || (floor(&there) >= floor(&here) && !sideways) {
                climbers.push(format!("{} uses {there}", shown(&path)));
            }
        }
    }
    assert_eq!(climbers, Vec::<String>::new(), "imports go down the floors, never up or sideways");
}

#[test]
fn every_room_has_a_floor_and_every_floor_a_room() {
    let rooms: BTreeSet<_> =
        files_under("src", "rs").iter().filter_map(|path| room(path)).collect();
    let floors: BTreeSet<_> = FLOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(rooms, floors);
}

#[test]
fn groups_of_imports_are_understood() {
    let used =
        rooms_used("use crate::{wire::events::{a, b}, pure}; crate::ports::sleep(); crate::x!()");
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["ports", "pure", "wire", "x"]);
}

#[track_caller]
fn nobody_mentions(words: &[&str], files: &[PathBuf], text: fn(&Path) -> String, why: &str) {
    let mut found = Vec::new();
    for path in files {
        let text = text(path);
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                found.push(format!("{}:{} mentions {word}", shown(path), number + 1));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new(), "{why}");
}

#[test]
fn decisions_stay_pure_and_shapes_stay_shapes() {
    let banned = [
        "actix",
        "tokio",
        "reqwest",
        "metrics::",
        "tracing",
        "::now()",
        "new_v4",
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "async fn",
    ];
    let mut files = files_under("src/pure", "rs");
    files.extend(files_under("src/wire", "rs"));
    assert!(files.len() > 30);
    nobody_mentions(&banned, &files, code, "data in, effects out, time as an argument");
}

#[test]
fn nobody_but_the_clocks_asks_the_machine_for_the_time() {
    let clocks = root().join("src/clock.rs");
    let files: Vec<_> = files_under("src", "rs")
        .into_iter()
        .filter(|path| *path != clocks && !is_unit_test(path))
        .collect();
    let banned = ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", "Utc::now"];
    nobody_mentions(&banned, &files, code_in_use, "time comes through ports::Clock");
}

#[test]
fn nobody_sleeps_on_the_machines_time() {
    let this = root().join("tests/it/tidy.rs");
    let mut files = files_under("src", "rs");
    files.extend(files_under("tests", "rs").into_iter().filter(|path| *path != this));
    nobody_mentions(
        &["thread::sleep", "time::sleep", "actix_rt::time::sleep"],
        &files,
        code,
        "wait on ports::Clock, or poll with a deadline",
    );
}

#[test]
fn no_debts_and_no_excuses() {
    let this = root().join("tests/it/tidy.rs");
    let files: Vec<_> = rust_files().into_iter().filter(|path| *path != this).collect();
    nobody_mentions(
        &["#[allow(", "#![allow(", "#[ignore", "TODO", "FIXME", "XXX", "HACK"],
        &files,
        read,
        "mend it instead",
    );
}

#[test]
fn every_file_says_what_it_owns() {
    let silent: Vec<_> = rust_files()
        .into_iter()
        .filter(|path| !is_unit_test(path) && !read(path).starts_with("//! "))
        .map(|path| shown(&path))
        .collect();
    assert_eq!(silent, Vec::<String>::new(), "open with a sentence about what the module owns");
}

#[test]
fn texts_speak_of_the_product_and_not_of_somebodys_machine() {
    let this = root().join("tests/it/tidy.rs");
    let mut files: Vec<_> = rust_files().into_iter().filter(|path| *path != this).collect();
    for (folder, ending) in [
        ("config", "toml"),
        ("dashboards", "json"),
        ("dashboards", "md"),
        ("dashboards", "yml"),
        ("docs", "md"),
        ("tests", "json"),
        ("tests", "py"),
        ("tests", "mjs"),
    ] {
        files.extend(files_under(folder, ending));
    }
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "Cargo.toml", "deny.toml"] {
        files.extend(Some(root().join(name)).filter(|path| path.exists()));
    }
    let banned = ["/root/", "/home/", "/Users/", "C:\\Users"];
    nobody_mentions(&banned, &files, read, "a path of one machine helps nobody else");
}

/// What a user of the library can name or call, so that its documentation must show it used.
fn begins_public_item(line: &str) -> bool {
    let item = line.trim_start().strip_prefix("pub ").map(|rest| rest.trim_start_matches("async "));
    let words = ["fn ", "struct ", "enum ", "trait ", "const ", "type "];
    item.is_some_and(|item| words.iter().any(|word| item.starts_with(word)))
}

#[test]
fn every_public_item_of_the_library_has_an_example() {
    let mut without = Vec::new();
    for path in files_under("src/client", "rs").iter().filter(|path| !is_unit_test(path)) {
        let text = read(path);
        let lines: Vec<_> = text.lines().collect();
        for (n, line) in lines.iter().enumerate().filter(|(_, line)| begins_public_item(line)) {
            let above = lines[..n].iter().rev().map(|line| line.trim_start());
            let mut about =
                above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
            if !about.any(|line| line.starts_with("/// ```")) {
                without.push(format!("{}: {}", shown(path), line.trim()));
            }
        }
    }
    assert!(without.is_empty(), "show in an example how these are used: {without:#?}");
}

#[test]
fn files_and_functions_keep_a_size_that_can_be_read() {
    let mut long = Vec::new();
    for path in files_under("src", "rs") {
        let text = read(&path);
        let lines: Vec<_> = text.lines().collect();
        if lines.len() > LONGEST_FILE {
            long.push(format!("{} has {} lines", shown(&path), lines.len()));
        }
        for (first, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            let length = lines[first..].iter().position(|line| *line == end).map_or(1, |at| at + 1);
            if length > LONGEST_FUNCTION {
                let name = line.trim();
                long.push(format!("{}:{} {name} has {length} lines", shown(&path), first + 1));
            }
        }
    }
    assert_eq!(long, Vec::<String>::new(), "start wondering earlier");
}

fn begins_function(line: &str) -> bool {
    let words = line.trim_start();
    !words.starts_with("//")
        && !words.ends_with(';')
        && words.split(' ').take(5).any(|word| word == "fn")
        && !words.contains("Box<dyn")
}

/// One place that counts something.
struct Counting {
    place: String,
    macro_name: &'static str,
    metric: String,
    /// Names, and the value where it stands there in plain text.
    labels: Vec<(String, Option<String>)>,
}

/// Every `counter!("…")`, `gauge!("…")` and `histogram!("…")` of the sources.
fn countings() -> Vec<Counting> {
    let mut found = Vec::new();
    for path in files_under("src", "rs") {
        let code = code(&path);
        for macro_name in ["counter!(", "gauge!(", "histogram!("] {
            for (at, _) in code.match_indices(macro_name) {
                if code[..at].ends_with("describe_") {
                    continue;
                }
                let arguments = arguments_of(&code[at + macro_name.len()..]);
                let Some(metric) = quoted(arguments) else {
                    panic!("{}: name the metric in plain text: {arguments}", shown(&path));
                };
                found.push(Counting {
                    place: shown(&path),
                    macro_name,
                    metric,
                    labels: arguments
                        .split("=>")
                        .collect::<Vec<_>>()
                        .windows(2)
                        .map(label)
                        .collect(),
                });
            }
        }
    }
    found
}

/// Up to the bracket that closes.
fn arguments_of(text: &str) -> &str {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// The first text in quotes, when there is nothing but space before it.
fn quoted(text: &str) -> Option<String> {
    let text = text.trim_start().strip_prefix('"')?;
    text.split_once('"').map(|(inside, _)| inside.to_owned())
}

fn label(around: &[&str]) -> (String, Option<String>) {
    let name = around[0].rsplit('"').nth(1).expect("a label's name stands in quotes");
    (name.to_owned(), quoted(around[1]))
}

fn fault(counting: &Counting, metric: &Metric) -> Option<String> {
    let wanted = match metric.kind {
        Kind::Counter => "counter!(",
        Kind::Gauge => "gauge!(",
        Kind::Histogram(_) => "histogram!(",
    };
    if counting.macro_name != wanted {
        return Some(format!("is counted with {}…)", counting.macro_name));
    }
    let given: BTreeSet<_> = counting.labels.iter().map(|(name, _)| name.as_str()).collect();
    let known: BTreeSet<_> = metric.labels.iter().map(|label| label.name).collect();
    if given != known {
        return Some(format!("has the labels {given:?}, the catalogue says {known:?}"));
    }
    counting.labels.iter().find_map(|(name, value)| {
        let label = metric.labels.iter().find(|label| label.name == name)?;
        let value = value.as_ref().filter(|value| !label.values.contains(value))?;
        Some(format!("says {name}={value:?}, which is not in the closed set"))
    })
}

#[test]
fn what_is_counted_is_in_the_catalogue_and_the_other_way_round() {
    let countings = countings();
    let mut faults = Vec::new();
    for counting in &countings {
        let fault = match catalogue::find(&counting.metric) {
            None => Some("is not in the catalogue".to_owned()),
            Some(metric) => fault(counting, metric),
        };
        faults.extend(fault.map(|it| format!("{}: {} {it}", counting.place, counting.metric)));
    }
    for metric in catalogue::ALL {
        if !countings.iter().any(|counting| counting.metric == metric.name) {
            faults.push(format!("{} is in the catalogue, and nobody counts it", metric.name));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn closed_sets_are_those_of_the_types() {
    use switchhook::ports::LineKind;
    use switchhook::pure::call::Fate;
    let values_of = |metric: &str, label: &str| {
        let metric = catalogue::find(metric).expect("in the catalogue");
        let label = metric.labels.iter().find(|found| found.name == label).expect("its label");
        let Values::These(values) = label.values else { panic!("{label:?} has no list") };
        values.iter().copied().collect::<BTreeSet<_>>()
    };
    let fates = Fate::ALL.iter().map(|fate| fate.label()).collect::<BTreeSet<_>>();
    assert_eq!(values_of("switchhook_events_received_total", "fate"), fates);
    let kinds = LineKind::ALL.iter().map(|kind| kind.label()).collect::<BTreeSet<_>>();
    assert_eq!(values_of("switchhook_journal_lines_total", "kind"), kinds);
}
