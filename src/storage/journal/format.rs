//! The format of `journal.redb`: its tables, and how a line is written in them.

use jiff::Timestamp;
use redb::{ReadableTable, Table, TableDefinition};

use crate::ports::{Line, LineKind, Position};

/// The version of the format that is written here. A file with a higher one is refused.
pub(in crate::storage) const FORMAT: u64 = 1;

/// Position to line: a byte for the kind, eight for the time (Unix milliseconds, little endian), the text.
pub(in crate::storage) const LINES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lines");
/// Position of an event to what became of it: bits.
pub(in crate::storage) const REMARKS: TableDefinition<'_, u64, u8> =
    TableDefinition::new("remarks");
/// Connection id of a call to its state, JSON.
pub(in crate::storage) const SNAPSHOTS: TableDefinition<'_, &str, &str> =
    TableDefinition::new("snapshots");
/// `format`, and the members of [`Head`] by name.
pub(in crate::storage) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// What a line costs in the file beside its text, roughly: its key, its kind and time, its share of a page.
const OVERHEAD: u64 = 24;
const PREFIX: usize = 9;

/// The few numbers that are written with every commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Names this journal.
    pub life: u64,
    /// Positions up to this one may have been handed out, whatever became of them.
    pub bound: u64,
    /// No line was trimmed from here on.
    pub oldest: u64,
    /// Snapshots stand for the lines up to here.
    pub covered: u64,
    /// Lines after that.
    pub uncovered: u64,
    /// What all lines cost.
    pub bytes: u64,
}

impl Head {
    fn members(&mut self) -> [(&'static str, &mut u64); 6] {
        [
            ("life", &mut self.life),
            ("bound", &mut self.bound),
            ("oldest", &mut self.oldest),
            ("covered", &mut self.covered),
            ("uncovered", &mut self.uncovered),
            ("bytes", &mut self.bytes),
        ]
    }

    /// As it stands in the file; what is missing is 0.
    pub(super) fn read(
        table: &impl ReadableTable<&'static str, u64>,
    ) -> Result<Self, redb::StorageError> {
        let mut head = Self::default();
        for (name, member) in head.members() {
            *member = table.get(name)?.map_or(0, |found| found.value());
        }
        Ok(head)
    }

    /// Into the file.
    pub(super) fn write(
        mut self,
        table: &mut Table<'_, &'static str, u64>,
    ) -> Result<(), redb::StorageError> {
        for (name, member) in self.members() {
            table.insert(name, *member)?;
        }
        Ok(())
    }
}

/// What a line costs.
pub(super) fn cost(text_bytes: usize) -> u64 {
    text_bytes as u64 + OVERHEAD
}

/// What a line costs that stands in the file like this.
pub(super) fn cost_in_file(value: &[u8]) -> u64 {
    cost(value.len().saturating_sub(PREFIX))
}

/// A line as it stands in the file.
pub(super) fn encode(line: &Line) -> Vec<u8> {
    let mut value = Vec::with_capacity(PREFIX + line.text.len());
    value.push(line.kind.code());
    value.extend_from_slice(&line.at.as_millisecond().to_le_bytes());
    value.extend_from_slice(line.text.as_bytes());
    value
}

/// When a line came, Unix milliseconds.
pub(super) fn time(value: &[u8]) -> Option<i64> {
    let bytes = value.get(1..PREFIX)?;
    Some(i64::from_le_bytes(bytes.try_into().ok()?))
}

/// The line that stands in the file like this.
///
/// # Errors
/// What is wrong with it.
pub(in crate::storage) fn decode(position: Position, value: &[u8]) -> Result<Line, String> {
    let Position(at) = position;
    let (Some(code), Some(ms), Some(text)) = (value.first(), time(value), value.get(PREFIX..))
    else {
        return Err(format!("line {at} has {} bytes, too few for a line", value.len()));
    };
    let kind = LineKind::of_code(*code)
        .ok_or_else(|| format!("line {at} is of kind {code}, which is not known"))?;
    let time = Timestamp::from_millisecond(ms)
        .map_err(|_| format!("line {at} has a time out of all bounds"))?;
    let text = std::str::from_utf8(text).map_err(|_| format!("line {at} is no text"))?;
    Ok(Line { kind, at: time, text: text.into() })
}
