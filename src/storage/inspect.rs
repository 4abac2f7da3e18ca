//! Looking into the files of a store that no service uses, without changing them.
//!
//! Every row is decoded for itself, so that a damaged one hides none of the others, as far as the engine
//! still finds its way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    TableHandle,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::disk::{self, Opened, guarded};
use super::journal::format as lines;
use super::numbers::file as rows;
use super::overlay::Overlay;
use super::{StoreError, journal, numbers};
use crate::ports::Position;
use crate::pure::call::{Call, Limits};
use crate::pure::time::{Moment, Tick};

const CACHE_BYTES: usize = 64 << 20;
/// Faults that are told one by one; the others are counted.
const TOLD: usize = 20;
/// What every file of the engine begins with.
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Events, notes and snapshots of calls.
    Journal,
    /// Number assignments and their history.
    Numbers,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Journal, Self::Numbers];

    /// The name of the file in its folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Journal => journal::FILE,
            Self::Numbers => numbers::FILE,
        }
    }

    /// The newest version of its format that is known here.
    pub fn format(self) -> u64 {
        match self {
            Self::Journal => lines::FORMAT,
            Self::Numbers => numbers::FORMAT,
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::Journal => lines::LINES.name(),
            Self::Numbers => rows::ASSIGNMENTS.name(),
        }
    }
}

/// One row of a file.
#[derive(Debug)]
pub struct Item {
    /// `heard`, `rang`, …, `snapshot`, `assignment`, `change`, `changed`.
    pub kind: &'static str,
    /// Where a line stands.
    pub position: Option<u64>,
    /// The call that it is about, where it says so.
    pub call: Option<String>,
    /// All of it, an object. Personal data.
    pub json: Value,
}

/// What was found in a file.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Its name.
    pub file: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// The version of its format.
    pub format: u64,
    /// It was not closed in order: its process was killed, or it is a copy of a file in use.
    pub unclean: bool,
    /// Readable rows by kind. `snapshot` counts the calls that lived at the last round of snapshots.
    pub rows: BTreeMap<&'static str, u64>,
    /// First and last readable line.
    pub positions: Option<(u64, u64)>,
    /// Earliest and latest time of a readable line.
    pub times: Option<(Timestamp, Timestamp)>,
    /// The first faults, in words without anything that is kept.
    pub faults: Vec<String>,
    /// All faults.
    pub fault_count: u64,
}

impl Report {
    fn fault(&mut self, what: impl Into<String>) {
        self.fault_count += 1;
        if self.faults.len() < TOLD {
            self.faults.push(what.into());
        }
    }

    fn count(&mut self, kind: &'static str) {
        *self.rows.entry(kind).or_default() += 1;
    }
}

/// A file that is looked at.
pub struct View {
    db: Database,
    part: Part,
    report: Report,
}

/// Opens a file for looking at it. The file stays as it is; no service may use it meanwhile.
///
/// # Errors
/// [`StoreError`]: also when the engine finds nothing in it any more.
pub fn look(folder: &Path, part: Part) -> Result<View, StoreError> {
    let file = folder.join(part.file());
    let overlay = Overlay::open(&file)?;
    let bytes = fs::metadata(&file).map_err(|error| StoreError::unusable(&file, &error))?.len();
    let mut begin = [0; MAGIC.len()];
    let known = bytes >= MAGIC.len() as u64
        && redb::StorageBackend::read(&overlay, 0, &mut begin).is_ok()
        && begin == MAGIC;
    if !known {
        let why = "it does not begin like one".to_owned();
        return Err(StoreError::Foreign { file, why });
    }
    let (opened, unclean) = disk::open_to_look(overlay, &file, CACHE_BYTES)?;
    let format = match guarded(|| format(&opened.db, &file, part)) {
        Ok(Ok(format)) => format,
        Ok(Err(error)) => {
            opened.leave();
            return Err(error);
        }
        Err(panic) => {
            opened.leave();
            return Err(StoreError::damaged(&file, panic));
        }
    };
    let report = Report { file, bytes, format, unclean, ..Report::default() };
    Ok(View { db: opened.db, part, report })
}

fn format(db: &Database, file: &Path, part: Part) -> Result<u64, StoreError> {
    let of = |error: redb::Error| StoreError::of(file, error);
    let foreign = |why: &str| StoreError::Foreign { file: file.to_owned(), why: why.to_owned() };
    let txn = db.begin_read().map_err(|error| of(error.into()))?;
    let tables = txn.list_tables().map_err(|error| of(error.into()))?;
    let names: Vec<String> = tables.map(|table| table.name().to_owned()).collect();
    let has = |name: &str| names.iter().any(|found| found == name);
    if !has(lines::META.name()) || !has(part.table()) {
        return Err(foreign("it is the database of something else"));
    }
    let meta = txn.open_table(lines::META).map_err(|error| of(error.into()))?;
    let found = meta.get("format").map_err(|error| of(error.into()))?.map(|row| row.value());
    match found {
        None | Some(0) => Err(StoreError::damaged(file, "it does not say which format it has")),
        Some(found) if found > part.format() => {
            Err(StoreError::Newer { file: file.to_owned(), found, known: part.format() })
        }
        Some(found) => Ok(found),
    }
}

impl View {
    /// Reads everything, hands over what can be read, and says what was found. `found` says whether to
    /// go on.
    pub fn read(mut self, found: &mut dyn FnMut(Item) -> bool) -> Report {
        self.rows(found);
        self.check_engine();
        let Self { db, report, .. } = self;
        let _it_was_only_looked_at = guarded(|| drop(db));
        report
    }

    /// … without the check of every page, which takes long.
    pub fn rows(&mut self, found: &mut dyn FnMut(Item) -> bool) -> &Report {
        let Self { db, part, report } = self;
        let read = guarded(|| {
            let txn = db.begin_read().map_err(|error| error.to_string())?;
            match part {
                Part::Journal => read_journal(&txn, report, found),
                Part::Numbers => read_numbers(&txn, report, found),
            }
            Ok::<_, String>(())
        });
        if let Err(why) | Ok(Err(why)) = read {
            report.fault(why);
        }
        report
    }

    /// The engine's own check: every page has its sum.
    fn check_engine(&mut self) {
        let Self { db, report, .. } = self;
        match guarded(|| db.check_integrity()) {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                report.fault("the engine's own tables are damaged, and can be repaired")
            }
            Ok(Err(error)) => report.fault(format!("pages are not as they were written ({error})")),
            Err(panic) => report.fault(format!("pages do not hang together ({panic})")),
        }
    }
}

/// Goes through a table until its end, or to where the engine cannot go on. `found` says whether to.
fn each<K: redb::Key + 'static, V: redb::Value + 'static>(
    txn: &ReadTransaction,
    definition: TableDefinition<'_, K, V>,
    report: &mut Report,
    mut found: impl FnMut(&mut Report, K::SelfType<'_>, V::SelfType<'_>) -> bool,
) {
    let name = definition.name().to_owned();
    let unreadable = |why: String| format!("table {name} cannot be read ({why})");
    let opened = guarded(|| txn.open_table(definition).map_err(|error| error.to_string()));
    let table: ReadOnlyTable<K, V> = match opened.and_then(|opened| opened) {
        Ok(table) => table,
        Err(why) => return report.fault(unreadable(why)),
    };
    let opened = guarded(|| table.iter().map_err(|error| error.to_string()));
    let mut iter = match opened.and_then(|opened| opened) {
        Ok(iter) => iter,
        Err(why) => return report.fault(unreadable(why)),
    };
    let mut row = 0u64;
    loop {
        let going = guarded(|| match iter.next() {
            None => Ok(false),
            Some(Ok((key, value))) => Ok(found(report, key.value(), value.value())),
            Some(Err(error)) => Err(error.to_string()),
        });
        match going {
            Ok(Ok(true)) => row += 1,
            Ok(Ok(false)) => return,
            Ok(Err(why)) | Err(why) => {
                return report.fault(format!("table {name} ends after row {row} ({why})"));
            }
        }
    }
}

fn read_journal(txn: &ReadTransaction, report: &mut Report, found: &mut dyn FnMut(Item) -> bool) {
    let mut remarks = BTreeMap::new();
    each(txn, lines::REMARKS, report, |_, at, bits| {
        remarks.insert(at, bits);
        true
    });
    each(txn, lines::LINES, report, |report, at, value| {
        let line = match lines::decode(Position(at), value) {
            Ok(line) => line,
            Err(why) => {
                report.fault(why);
                return true;
            }
        };
        let Ok(text) = serde_json::from_str::<Value>(&line.text) else {
            report.fault(format!("line {at} is no JSON"));
            return true;
        };
        let kind = line.kind.label();
        report.count(kind);
        report.positions = Some((report.positions.map_or(at, |(first, _)| first), at));
        let (from, to) = report.times.unwrap_or((line.at, line.at));
        report.times = Some((from.min(line.at), to.max(line.at)));
        let call = text.pointer("/data/callConnectionId").or_else(|| text.get("call"));
        let call = call.and_then(Value::as_str).map(str::to_owned);
        let remark = remarks.remove(&at);
        let json = json!({ "kind": kind, "position": at, "at": line.at, "call": call,
            "remark": remark, "text": text });
        found(Item { kind, position: Some(at), call, json })
    });
    each(txn, lines::SNAPSHOTS, report, |report, call, text| {
        let never = Moment { tick: Tick(0), wall: Timestamp::UNIX_EPOCH };
        if let Err(error) = Call::from_snapshot(text, never, &Limits::default()) {
            report.fault(error.to_string());
        }
        let Ok(state) = serde_json::from_str::<Value>(text) else { return true };
        report.count("snapshot");
        let json = json!({ "kind": "snapshot", "call": call, "state": state });
        found(Item { kind: "snapshot", position: None, call: Some(call.to_owned()), json })
    });
}

fn read_numbers(txn: &ReadTransaction, report: &mut Report, found: &mut dyn FnMut(Item) -> bool) {
    if let Err(why) = rows::load(txn) {
        report.fault(why);
    }
    let mut give = |report: &mut Report, kind, json| {
        report.count(kind);
        found(Item { kind, position: None, call: None, json })
    };
    each(txn, rows::ASSIGNMENTS, report, |report, key, (version, note, steps)| {
        let Ok(steps) = serde_json::from_str::<Value>(steps) else {
            report.fault("a plan is no JSON");
            return true;
        };
        let json = json!({ "kind": "assignment", "key": key, "version": version, "note": note,
            "steps": steps });
        give(report, "assignment", json)
    });
    each(txn, rows::CHANGES, report, |report, version, text| match rows::check_change(text) {
        Err(why) => {
            report.fault(format!("change {version} cannot be read ({why})"));
            true
        }
        Ok(change) => give(report, "change", json!({ "kind": "change", "change": change })),
    });
    each(txn, rows::CHANGED, report, |report, (version, key), text| match rows::check_row(text) {
        Err(why) => {
            report.fault(format!("a key of change {version} cannot be read ({why})"));
            true
        }
        Ok(row) => {
            let json = json!({ "kind": "changed", "version": version, "key": key, "row": row });
            give(report, "changed", json)
        }
    });
}

/// Gives back the space in a file that is not used. Says its length before and after.
///
/// # Errors
/// [`StoreError`], also when the file cannot be used as it is.
pub fn compact(folder: &Path, part: Part) -> Result<(u64, u64), StoreError> {
    drop(look(folder, part)?);
    let file = folder.join(part.file());
    let length = || {
        let found = fs::metadata(&file).map_err(|error| StoreError::unusable(&file, &error))?;
        Ok::<_, StoreError>(found.len())
    };
    let before = length()?;
    let Opened { mut db, .. } = disk::open_file(&file, CACHE_BYTES, Duration::ZERO)?;
    let compacted = guarded(|| {
        while db.compact().map_err(redb::Error::from)? {}
        Ok::<_, redb::Error>(())
    });
    compacted
        .map_err(|panic| StoreError::damaged(&file, panic))?
        .map_err(|error| StoreError::of(&file, error))?;
    guarded(|| drop(db)).map_err(|panic| StoreError::damaged(&file, panic))?;
    Ok((before, length()?))
}
