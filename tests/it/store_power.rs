//! The journal on a disk that loses power, fills up, fails and lies.
//!
//! Every trial is made from one seed: a journal is opened, written and cut off a few times, and after
//! each cut everything that was acknowledged must be there. `SWITCHHOOK_POWER_TRIALS` says how many
//! trials there are, `SWITCHHOOK_POWER_SEED` repeats one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use switchhook::ports::{
    Found, Journal, JournalError, Later, Line, LineKind, Position, Remark, Snapshots,
};
use switchhook::storage::StoreError;
use switchhook::storage::journal::{JournalConfig, RedbJournal};
use switchhook::wire::identifiers::CallConnectionId;

use super::disk::{Dice, Faults, SimDisk};

const TRIALS: u64 = 1000;
const QUEUE: usize = 64;

fn config() -> JournalConfig {
    JournalConfig {
        queue_lines: QUEUE,
        max_bytes: 60_000,
        cache_bytes: 1 << 20,
        batch_lines: 16,
        new_life: 7,
        ..JournalConfig::default()
    }
}

type Kept = Later<'static, Result<(), JournalError>>;
type Table = BTreeMap<String, String>;

/// What should be true of a journal, whatever happens to its disk.
struct Model {
    dice: Dice,
    /// All lines that were ever given a place and are not known to be lost.
    placed: BTreeMap<u64, String>,
    /// Those of them that must be there.
    acknowledged: BTreeSet<u64>,
    /// All places that were ever given.
    given: u64,
    /// Bits that were ever noted.
    remarked: BTreeMap<u64, u8>,
    /// The snapshots and what they cover, after each time some were kept.
    rounds: Vec<(Table, u64)>,
    /// The round that must be there, or a later one.
    kept: usize,
    /// Answers to come: for these lines, or this round.
    asked: Vec<(Asked, Kept)>,
    /// Whether the journal was ever there; before, its making may have been cut off.
    opened: bool,
    lines_seen: u64,
}

enum Asked {
    Lines(std::ops::Range<u64>),
    Round(usize),
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            placed: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            given: 0,
            remarked: BTreeMap::new(),
            rounds: vec![(Table::new(), 0)],
            kept: 0,
            asked: Vec::new(),
            opened: false,
            lines_seen: 0,
        }
    }

    /// One thing that a service does.
    fn act(&mut self, journal: &RedbJournal) -> Result<(), String> {
        match self.dice.below(10) {
            0..=3 => self.append(journal)?,
            4 => self.remark(journal),
            5 => self.keep(journal),
            _ => {
                journal.commit_next();
            }
        }
        self.listen()
    }

    fn append(&mut self, journal: &RedbJournal) -> Result<(), String> {
        let texts: Vec<String> = (0..=self.dice.below(6)).map(|_| self.text()).collect();
        let at = Timestamp::from_second(1_700_000_000).expect("a time");
        let line = |text: &String| Line { kind: LineKind::Heard, at, text: text.as_str().into() };
        let mut first = None;
        let kept = journal.append(texts.iter().map(line).collect(), &mut |at| first = Some(at.0));
        let Some(first) = first else { return Ok(()) }; // full, or it failed
        let given = self.given;
        ensure(first > given, || format!("place {first} was given, and {given} was before"))?;
        self.given = first + texts.len() as u64 - 1;
        self.asked.push((Asked::Lines(first..first + texts.len() as u64), kept));
        self.placed.extend((first..).zip(texts));
        Ok(())
    }

    fn text(&mut self) -> String {
        let letter = char::from(b'a' + u8::try_from(self.dice.below(26)).expect("a letter"));
        let length = if self.dice.chance(10) { 9000 } else { 400 };
        let length = usize::try_from(self.dice.below(length)).expect("small");
        format!("{} {}", self.dice.roll(), letter.to_string().repeat(length))
    }

    fn remark(&mut self, journal: &RedbJournal) {
        let at = self.given.saturating_sub(self.dice.below(10)).max(1);
        let bits = 1 << self.dice.below(3);
        *self.remarked.entry(at).or_default() |= bits;
        journal.remark(Position(at), Remark(bits));
    }

    fn keep(&mut self, journal: &RedbJournal) {
        let (mut table, mut covered) = self.rounds.last().cloned().expect("the first one");
        let mut snapshots = Snapshots::default();
        for _ in 0..self.dice.below(4) {
            let call = format!("call-{}", self.dice.below(6));
            if self.dice.chance(30) && table.remove(&call).is_some() {
                // Whoever goes in the same part must not come in it too.
                snapshots.of.retain(|(of, _)| of.as_str() != call);
                snapshots.gone.push(CallConnectionId::new(call.as_str()));
            } else if !snapshots.gone.iter().any(|gone| gone.as_str() == call) {
                let text = format!("{{\"n\":{}}}", self.dice.roll());
                table.insert(call.clone(), text.clone());
                snapshots.of.push((CallConnectionId::new(call.as_str()), text));
            }
        }
        if self.dice.chance(50) {
            let covers = self.given.saturating_sub(self.dice.below(20));
            snapshots.covers = Some(Position(covers));
            covered = covered.max(covers);
        }
        self.rounds.push((table, covered));
        self.asked.push((Asked::Round(self.rounds.len() - 1), journal.keep(snapshots)));
    }

    /// Takes the answers that have come. What is acknowledged must be readable too.
    fn listen(&mut self) -> Result<(), String> {
        for (asked, mut kept) in std::mem::take(&mut self.asked) {
            match ((&mut kept).now_or_never(), asked) {
                (None, asked) => self.asked.push((asked, kept)),
                (Some(Ok(())), Asked::Lines(places)) => self.acknowledged.extend(places),
                (Some(Ok(())), Asked::Round(round)) => self.kept = self.kept.max(round),
                (Some(Err(JournalError::Failed(_))), _) => {}
                (Some(Err(error)), _) => return Err(format!("an odd refusal: {error}")),
            }
        }
        Ok(())
    }

    /// Compares what is found with what should be, and takes what is found for granted from now on.
    fn check(&mut self, journal: &RedbJournal) -> Result<(), String> {
        let unreadable = |error: JournalError| format!("unreadable: {error}");
        let mut found = BTreeMap::new();
        let (mut after, mut oldest) = (Position(0), 0);
        loop {
            let page = journal.read(after, 7).now_or_never().expect("at once");
            let page = page.map_err(unreadable)?;
            oldest = page.oldest.0.max(oldest);
            let Some(last) = page.records.last() else { break };
            ensure(last.position > after, || "a page goes backwards".to_owned())?;
            after = last.position;
            found.extend(page.records.iter().map(|r| (r.position.0, r.line.text.to_string())));
        }
        let covered = journal.state().borrow().covered.0;
        self.check_lines(&found, oldest, covered)?;
        self.check_recovery(journal, &found, covered)?;
        self.lines_seen += found.len() as u64;
        self.acknowledged = found.keys().copied().collect();
        self.placed = found;
        self.asked.clear();
        Ok(())
    }

    fn check_lines(
        &self,
        found: &BTreeMap<u64, String>,
        oldest: u64,
        covered: u64,
    ) -> Result<(), String> {
        ensure(oldest <= covered + 1, || format!("trimmed to {oldest}, covered to {covered}"))?;
        for at in self.acknowledged.range(oldest..) {
            ensure(found.contains_key(at), || format!("acknowledged line {at} is lost"))?;
        }
        for (at, text) in found {
            let right = self.placed.get(at) == Some(text);
            ensure(right, || format!("line {at} was never appended like this"))?;
        }
        let last = found.last_key_value().map_or(0, |(at, _)| *at);
        for at in self.placed.range(oldest..=last.max(oldest)).map(|(at, _)| at) {
            let whole = *at > last || found.contains_key(at);
            ensure(whole, || format!("line {at} is lost, and a later one is not"))?;
        }
        Ok(())
    }

    fn check_recovery(
        &mut self,
        journal: &RedbJournal,
        found: &BTreeMap<u64, String>,
        covered: u64,
    ) -> Result<(), String> {
        let (mut table, mut lines, mut remarks) = (Table::new(), BTreeMap::new(), BTreeMap::new());
        let recovered = journal.recover(&mut |found| match found {
            Found::Snapshot(call, text) => {
                table.insert(call.to_owned(), text.to_owned());
            }
            Found::Line(record, remark) => {
                lines.insert(record.position.0, record.line.text.to_string());
                remarks.insert(record.position.0, remark.0);
            }
        });
        recovered.map_err(|error| format!("not recovered: {error}"))?;
        let expected = found.range(covered + 1..).map(|(at, text)| (*at, text.clone())).collect();
        ensure(lines == expected, || "recovery gives other lines than reading".to_owned())?;
        for (at, bits) in remarks {
            let noted = self.remarked.get(&at).copied().unwrap_or_default();
            ensure(bits & !noted == 0, || format!("line {at} has remark {bits}, never made"))?;
        }
        let round = (table, covered);
        let at = (self.kept..self.rounds.len()).find(|at| self.rounds[*at] == round);
        let at = at.ok_or("the snapshots are those of no round that may be there")?;
        self.rounds.truncate(at + 1);
        self.kept = at;
        Ok(())
    }
}

/// Opens a journal, which must succeed on a disk that works.
fn open(disk: &SimDisk) -> Result<Option<Arc<RedbJournal>>, String> {
    match RedbJournal::by_hand(disk.clone(), config()) {
        Ok(journal) => Ok(Some(journal)),
        Err(_) if disk.is_off() => Ok(None),
        Err(error) => Err(format!("not opened: {error}")),
    }
}

/// A few lives of one journal. Gives the lines that were looked at.
fn trial(seed: u64, lying: bool) -> Result<u64, String> {
    let mut model = Model::new(seed);
    let mut disk = SimDisk::new();
    disk.set_faults(Faults { lying, ..Faults::default() });
    for _ in 0..=model.dice.below(3) {
        let operations = 1 + model.dice.below(400);
        disk.cut_after(operations);
        if let Some(journal) = open(&disk)? {
            model.opened = true;
            for _ in 0..model.dice.below(60) {
                model.act(&journal)?;
                if disk.is_off() {
                    break;
                }
            }
            if model.dice.chance(20) {
                journal.close(); // in order, unless the power goes off in the middle of it
                model.listen()?;
            }
            disk.cut();
        }
        disk = disk.crash(model.dice.roll());
        if !model.opened {
            disk = SimDisk::new();
            continue;
        }
        let journal = open(&disk)?.ok_or("no power")?;
        model.check(&journal)?;
        // What is there was found; from now on it must stay, although this run ends without a word.
        disk.cut();
        drop(journal);
        disk = disk.crash(model.dice.roll());
    }
    Ok(model.lines_seen)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn what_is_acknowledged_survives_every_power_cut() {
    let seeds = match number("SWITCHHOOK_POWER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SWITCHHOOK_POWER_TRIALS").unwrap_or(TRIALS),
    };
    let trials = seeds.end - seeds.start;
    let mut seen = 0;
    for seed in seeds {
        seen += trial(seed, false).unwrap_or_else(|why| {
            panic!(
                "{why}; again with: SWITCHHOOK_POWER_SEED={seed} cargo test --test it \
                 store_power::what_is_acknowledged_survives_every_power_cut"
            )
        });
    }
    assert!(
        trials < 20 || seen > trials,
        "only {seen} lines were looked at: the trials try nothing"
    );
}

#[test]
fn a_disk_that_lies_about_flushes_is_found_out() {
    let failures: Vec<_> = (0..100).filter_map(|seed| trial(seed, true).err()).collect();
    assert!(failures.iter().any(|why| why.contains("lost") || why.contains("not opened")));
}

/// Appends and commits one line after the other; gives the answers.
fn write_lines(journal: &RedbJournal, lines: usize) -> Vec<Result<(), JournalError>> {
    let at = Timestamp::from_second(1_700_000_000).expect("a time");
    let text: Arc<str> = "x".repeat(3000).into();
    let mut answers = Vec::new();
    for _ in 0..lines {
        let line = Line { kind: LineKind::Rang, at, text: Arc::clone(&text) };
        let kept = journal.append(vec![line], &mut |_| {});
        journal.commit_next();
        answers.push(kept.now_or_never().expect("committed or refused"));
    }
    answers
}

/// After the first refusal there is no acknowledgement, the state says why, and everything that was
/// acknowledged is there when the disk works again.
#[track_caller]
fn breaks_for_good(disk: &SimDisk, lines: usize, why: &str, seed: u64) -> bool {
    let journal = match RedbJournal::by_hand(disk.clone(), config()) {
        Ok(journal) => journal,
        Err(error) => {
            assert!(matches!(error, StoreError::Unusable { .. }), "{error:?}");
            assert!(error.to_string().contains(why), "{error}");
            return true;
        }
    };
    let answers = write_lines(&journal, lines);
    let good = answers.iter().take_while(|answer| answer.is_ok()).count();
    let broke = good < lines;
    assert!(
        answers[good..].iter().all(Result::is_err),
        "acknowledged after a failure: {answers:?}"
    );
    let failed = journal.state().borrow().failed.clone();
    assert_eq!(failed.is_some(), broke);
    assert!(failed.is_none_or(|failed| failed.contains(why)), "the state says why");
    drop(journal);
    let journal = RedbJournal::by_hand(disk.crash(seed), config()).expect("a journal");
    let page = journal.read(Position(0), lines + 1).now_or_never().expect("at once");
    assert!(page.expect("readable").records.len() >= good, "acknowledged lines are lost");
    broke
}

#[test]
fn a_full_disk_ends_the_journal_with_the_reason_and_loses_nothing() {
    for (seed, capacity) in (0..).zip([0, 4096, 100_000, 1 << 20, 1_200_000, 1_500_000]) {
        let disk = SimDisk::new();
        disk.set_faults(Faults { capacity: Some(capacity), ..Faults::default() });
        assert!(breaks_for_good(&disk, 400, "storage", seed), "{capacity} bytes were enough");
    }
}

#[test]
fn a_write_or_flush_that_fails_once_ends_the_journal_with_the_reason_and_loses_nothing() {
    let disk = SimDisk::new();
    assert!(!breaks_for_good(&disk, 20, "", 0));
    let (_, writes, flushes) = disk.counts();
    for at in 1..writes {
        let disk = SimDisk::new();
        disk.set_faults(Faults { fail_write: Some(at), ..Faults::default() });
        breaks_for_good(&disk, 20, "this write failed", at);
        let (_, after, _) = disk.counts();
        assert!(after <= at + 1, "it went on to write after write {at}: {after}");
    }
    for at in 1..flushes {
        let disk = SimDisk::new();
        disk.set_faults(Faults { fail_flush: Some(at), ..Faults::default() });
        breaks_for_good(&disk, 20, "this flush failed", at);
        let (_, _, after) = disk.counts();
        assert!(after <= at, "flush {at} was followed by another");
    }
}
