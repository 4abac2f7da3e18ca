use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use redb::backends::InMemoryBackend;
use redb::{ReadableDatabase, StorageBackend};

use super::format::{FORMAT, LINES, META};
use super::*;
use crate::ports::LineKind;
use crate::wire::identifiers::CallConnectionId;

/// A disk that outlives the journals on it.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<InMemoryBackend>);

impl StorageBackend for Shared {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }
}

const QUEUE: usize = 100;

fn config() -> JournalConfig {
    JournalConfig { queue_lines: QUEUE, new_life: 7, ..JournalConfig::default() }
}

fn by_hand(disk: &Shared) -> Arc<RedbJournal> {
    RedbJournal::by_hand(disk.clone(), config()).expect("a journal")
}

fn line_at(second: i64, text: &str) -> Line {
    let at = Timestamp::from_second(1_700_000_000 + second).expect("a time");
    Line { kind: LineKind::Heard, at, text: text.into() }
}

fn line(text: &str) -> Line {
    line_at(0, text)
}

type Kept = Later<'static, Result<(), JournalError>>;

/// Appends, and gives the first place and the answer to come.
fn append(journal: &RedbJournal, texts: &[&str]) -> (Option<u64>, Kept) {
    let mut first = None;
    let lines = texts.iter().map(|text| line(text)).collect();
    let kept = journal.append(lines, &mut |position| first = Some(position.0));
    (first, kept)
}

fn commit_all(journal: &RedbJournal) -> usize {
    std::iter::from_fn(|| journal.commit_next().then_some(())).count()
}

#[track_caller]
fn now<T>(later: impl Future<Output = T>) -> T {
    later.now_or_never().expect("an answer that is there")
}

fn page(journal: &RedbJournal, after: u64) -> (Vec<(u64, String)>, u64) {
    let page = now(journal.read(Position(after), 1000)).expect("a page");
    let of = |record: Record| (record.position.0, record.line.text.to_string());
    (page.records.into_iter().map(of).collect(), page.oldest.0)
}

fn texts(journal: &RedbJournal) -> Vec<String> {
    page(journal, 0).0.into_iter().map(|(_, text)| text).collect()
}

fn snapshot(call: &str, text: &str) -> (CallConnectionId, String) {
    (CallConnectionId::new(call), text.to_owned())
}

type Snapshot = (String, String);
type Remarked = (u64, String, u8);

/// Everything that a restart finds.
fn recovered(journal: &RedbJournal) -> (Vec<Snapshot>, Vec<Remarked>) {
    let (mut snapshots, mut lines) = (Vec::new(), Vec::new());
    journal
        .recover(&mut |found| match found {
            Found::Snapshot(call, text) => snapshots.push((call.to_owned(), text.to_owned())),
            Found::Line(Record { position, line }, remark) => {
                lines.push((position.0, line.text.to_string(), remark.0));
            }
        })
        .expect("readable");
    (snapshots, lines)
}

#[test]
fn what_is_queued_becomes_one_commit_and_nobody_is_told_before_it() {
    let journal = by_hand(&Shared::default());
    let (first, mut a) = append(&journal, &["a", "b"]);
    let (second, mut b) = append(&journal, &["c"]);
    assert_eq!((first, second), (Some(1), Some(3)));
    assert!((&mut a).now_or_never().is_none() && (&mut b).now_or_never().is_none());
    assert_eq!((texts(&journal).len(), journal.waiting()), (0, 3));
    assert_eq!(commit_all(&journal), 1, "one transaction for both");
    assert_eq!((now(a), now(b)), (Ok(()), Ok(())));
    assert_eq!(texts(&journal), ["a", "b", "c"]);
    assert_eq!(journal.state().borrow().newest, Position(3));
}

#[test]
fn a_commit_takes_no_more_than_its_limits_and_never_half_of_an_append() {
    let limits = JournalConfig { batch_lines: 3, ..config() };
    let journal = RedbJournal::by_hand(Shared::default(), limits).expect("a journal");
    let kept = [&["a", "b"][..], &["c", "d"], &["e"], &["f", "g", "h", "i"]]
        .map(|texts| append(&journal, texts).1);
    let mut newest = Vec::new();
    while journal.commit_next() {
        newest.push(journal.state().borrow().newest.0);
    }
    assert_eq!(newest, [2, 5, 9]);
    kept.into_iter().for_each(|kept| assert_eq!(now(kept), Ok(())));

    let limits = JournalConfig { batch_bytes: 100, ..config() };
    let journal = RedbJournal::by_hand(Shared::default(), limits).expect("a journal");
    let long = "x".repeat(60);
    let kept = [(); 2].map(|()| append(&journal, &[&long]).1);
    assert_eq!(commit_all(&journal), 2);
    kept.into_iter().for_each(|kept| assert_eq!(now(kept), Ok(())));
}

#[test]
fn nothing_appended_is_safe_at_once_and_needs_no_commit() {
    let journal = by_hand(&Shared::default());
    let (first, kept) = append(&journal, &[]);
    assert_eq!((first, now(kept), journal.commit_next()), (None, Ok(()), false));
}

#[test]
fn a_full_queue_takes_nothing_and_gives_no_place() {
    let journal = by_hand(&Shared::default());
    let many = vec!["x"; QUEUE - 1];
    let (_, kept) = append(&journal, &many);
    let (place, refused) = append(&journal, &["y", "z"]);
    assert_eq!((place, now(refused)), (None, Err(JournalError::Full)));
    let (place, last) = append(&journal, &["y"]);
    assert_eq!(place, Some(QUEUE as u64));
    commit_all(&journal);
    assert_eq!((now(kept), now(last)), (Ok(()), Ok(())));
    assert_eq!(append(&journal, &["z"]).0, Some(QUEUE as u64 + 1), "there is room again");

    let limits = JournalConfig { queue_bytes: 100, ..config() };
    let journal = RedbJournal::by_hand(Shared::default(), limits).expect("a journal");
    let long = "x".repeat(200);
    assert_eq!(append(&journal, &[&long]).0, Some(1), "alone it may be of any size");
    assert_eq!(append(&journal, &["y"]).0, None);
}

#[test]
fn places_are_in_the_order_of_the_lock_and_the_committer_keeps_it() {
    let disk = Shared::default();
    let journal = RedbJournal::on(disk.clone(), JournalConfig::default()).expect("a journal");
    let order = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let (journal, order) = (&journal, &order);
            threads.spawn(move || {
                for turn in 0..50 {
                    let text = format!("{thread} {turn}");
                    let kept = journal.append(vec![line(&text), line(&text)], &mut |first| {
                        order.lock().expect("whole").push((first.0, text.clone()));
                    });
                    assert_eq!(
                        futures_util::FutureExt::now_or_never(kept).unwrap_or(Ok(())),
                        Ok(())
                    );
                }
            });
        }
    });
    journal.close();
    let order = order.into_inner().expect("whole");
    let expected: Vec<_> =
        order.into_iter().flat_map(|(at, text)| [(at, text.clone()), (at + 1, text)]).collect();
    assert!(expected.is_sorted_by_key(|(at, _)| *at));
    assert_eq!(page(&by_hand(&disk), 0).0, expected);
}

#[test]
fn closing_writes_what_is_queued_and_refuses_what_comes_later() {
    let disk = Shared::default();
    let journal = RedbJournal::on(disk.clone(), config()).expect("a journal");
    let (_, kept) = append(&journal, &["a"]);
    journal.close();
    assert_eq!(now(kept), Ok(()));
    let (place, refused) = append(&journal, &["b"]);
    assert_eq!(place, None);
    assert!(matches!(now(refused), Err(JournalError::Failed(_))));
    assert!(matches!(now(journal.read(Position(0), 1)), Err(JournalError::Unreadable(_))));
    assert_eq!(texts(&by_hand(&disk)), ["a"]);
}

#[test]
fn after_a_restart_no_place_is_given_that_might_have_been_given_before() {
    let disk = Shared::default();
    let queue = QUEUE as u64;
    let journal = by_hand(&disk);
    let _kept = append(&journal, &["a", "b"]);
    commit_all(&journal);
    let (lost, _) = append(&journal, &["lost"]);
    assert_eq!(lost, Some(3));
    let life = journal.life();
    std::mem::forget(journal);

    let journal = by_hand(&disk);
    assert_eq!((journal.life(), life), (7, 7));
    let (place, _) = append(&journal, &["lost too"]);
    assert_eq!(place, Some(2 + queue + 1));
    std::mem::forget(journal);

    // Nothing was committed in the last run, and its places count all the same; a smaller queue does
    // not change what an earlier run may have given.
    let small = JournalConfig { queue_lines: 1, new_life: 8, ..config() };
    let journal = RedbJournal::by_hand(disk.clone(), small).expect("a journal");
    let (place, kept) = append(&journal, &["c"]);
    assert_eq!(place, Some(2 + 2 * queue + 1));
    commit_all(&journal);
    assert_eq!((now(kept), journal.life()), (Ok(()), 7));
    let (lines, oldest) = page(&journal, 0);
    let places: Vec<_> = lines.iter().map(|(at, _)| *at).collect();
    assert_eq!((places, oldest), (vec![1, 2, 2 + 2 * queue + 1], 1), "a gap is no loss");
}

#[test]
fn lines_are_found_by_their_places_before_they_are_safe_and_after() {
    let journal = by_hand(&Shared::default());
    let odd = Timestamp::new(1_700_000_000, 123_456_789).expect("a time");
    let odd = Line { kind: LineKind::Settled, at: odd, text: "odd".into() };
    let _kept = journal.append(vec![odd], &mut |_| {});
    let places = [Position(0), Position(1), Position(2), Position(9)];
    let before = now(journal.get(&places)).expect("readable");
    commit_all(&journal);
    let _kept = append(&journal, &["later"]);
    let after = now(journal.get(&places)).expect("readable");
    assert_eq!(before[1], after[1], "the time is the same too");
    let found = after[1].as_ref().expect("the first line");
    assert_eq!((found.line.kind, &*found.line.text), (LineKind::Settled, "odd"));
    assert_eq!(after[2].as_ref().map(|record| &*record.line.text), Some("later"));
    assert_eq!((&before[0], &before[2], &after[3]), (&None, &None, &None));
}

#[test]
fn a_restart_finds_snapshots_and_then_the_lines_after_them_with_remarks() {
    let disk = Shared::default();
    let journal = by_hand(&disk);
    let _kept = append(&journal, &["a", "b", "c", "d"]);
    journal.remark(Position(2), Remark::MATCHED);
    journal.remark(Position(3), Remark::TOLD_ONGOING);
    journal.remark(Position(99), Remark::TAKEN); // was never placed
    commit_all(&journal);
    assert_eq!(journal.state().borrow().uncovered, 4);
    journal.remark(Position(3), Remark::TAKEN);
    assert!(journal.commit_next(), "a remark needs no line to be written");
    assert!(!journal.commit_next());
    let round = Snapshots {
        of: vec![snapshot("x", "{}"), snapshot("y", "{}"), snapshot("z", "{}")],
        ..Snapshots::default()
    };
    let first = journal.keep(round);
    let last = journal.keep(Snapshots {
        of: vec![snapshot("x", r#"{"n":2}"#)],
        gone: vec![CallConnectionId::new("y")],
        covers: Some(Position(2)),
    });
    assert_eq!(commit_all(&journal), 1);
    assert_eq!((now(first), now(last)), (Ok(()), Ok(())));
    let state = journal.state().borrow().clone();
    assert_eq!((state.covered, state.uncovered), (Position(2), 2));
    drop(journal);

    let journal = by_hand(&disk);
    assert_eq!(*journal.state().borrow(), state, "the state survives too");
    let (snapshots, lines) = recovered(&journal);
    let snapshots: Vec<_> = snapshots.iter().map(|(c, t)| (c.as_str(), t.as_str())).collect();
    assert_eq!(snapshots, [("x", r#"{"n":2}"#), ("z", "{}")]);
    let both = Remark::TOLD_ONGOING.and(Remark::TAKEN).0;
    assert_eq!(lines, [(3, "c".to_owned(), both), (4, "d".to_owned(), 0)]);
}

#[test]
fn a_round_covers_no_more_than_was_placed_and_never_less_than_before() {
    let journal = by_hand(&Shared::default());
    let cover = |at| {
        let covers = Some(Position(at));
        let kept = journal.keep(Snapshots { covers, ..Snapshots::default() });
        commit_all(&journal);
        assert_eq!(now(kept), Ok(()));
        journal.state().borrow().covered.0
    };
    let _kept = append(&journal, &["a", "b"]);
    assert_eq!(cover(99), 2);
    assert_eq!(cover(1), 2);
}

/// Lines of 100 bytes, one a second; those up to `covered` are covered.
fn trimmed(config: JournalConfig, count: i64, covered: u64) -> (Vec<u64>, u64, Arc<RedbJournal>) {
    let journal = RedbJournal::by_hand(Shared::default(), config).expect("a journal");
    let text = "x".repeat(76);
    for second in 0..count {
        let _kept = journal.append(vec![line_at(second, &text)], &mut |_| {});
        commit_all(&journal);
        journal.remark(Position(second as u64 + 1), Remark::MATCHED);
    }
    let covers = Some(Position(covered));
    let _kept = journal.keep(Snapshots { covers, ..Snapshots::default() });
    commit_all(&journal);
    let (lines, oldest) = page(&journal, 0);
    (lines.into_iter().map(|(at, _)| at).collect(), oldest, journal)
}

#[test]
fn the_oldest_lines_leave_when_there_are_too_many_bytes() {
    let limits = JournalConfig { max_bytes: 500, ..config() };
    let (kept, oldest, journal) = trimmed(limits.clone(), 10, 10);
    assert_eq!((kept, oldest), ((6..=10).collect(), 6));
    assert_eq!(journal.state().borrow().uncovered, 0);
    let db = journal.shared.db();
    let txn = db.as_ref().expect("open").begin_read().expect("a read");
    let remarks = txn.open_table(format::REMARKS).expect("a table");
    let first = redb::ReadableTable::first(&remarks).expect("readable").expect("one").0.value();
    assert_eq!(first, 6, "remarks leave with their lines");

    let (kept, oldest, journal) = trimmed(limits, 10, 3);
    assert_eq!((kept, oldest), ((4..=10).collect(), 4), "what no snapshot covers stays");
    assert_eq!(journal.state().borrow().uncovered, 7);
}

#[test]
fn the_oldest_lines_leave_when_they_are_too_old_and_the_newest_never_does() {
    let limits = JournalConfig { max_age: Duration::from_secs(3), ..config() };
    assert_eq!(trimmed(limits.clone(), 10, 10).0, [7, 8, 9, 10]);
    assert_eq!(trimmed(limits, 10, 0).0.len(), 10);
    let limits = JournalConfig { max_bytes: 1, ..config() };
    assert_eq!(trimmed(limits, 10, 10).0, [10]);
}

#[test]
fn after_a_failure_nothing_is_kept_any_more_and_everybody_is_told_why() {
    let journal = by_hand(&Shared::default());
    let _kept = append(&journal, &["safe"]);
    commit_all(&journal);
    // What the gate does to the engine is what a broken disk does.
    journal.shared.shutter.shut();
    let (_, a) = append(&journal, &["a"]);
    let mut state = journal.state();
    state.mark_unchanged();
    journal.commit_next();
    assert!(matches!(now(a), Err(JournalError::Failed(_))));
    assert!(state.has_changed().expect("alive") && state.borrow().failed.is_some());
    let (place, refused) = append(&journal, &["b"]);
    assert_eq!(place, None);
    assert!(matches!(now(refused), Err(JournalError::Failed(_))));
    let kept = journal.keep(Snapshots::default());
    assert!(matches!(now(kept), Err(JournalError::Failed(_))));
    journal.remark(Position(1), Remark::TAKEN);
    assert!(!journal.commit_next());
    assert_eq!(state.borrow().newest, Position(1));
}

#[test]
fn whoever_waits_behind_a_failed_batch_is_told_at_once() {
    let limits = JournalConfig { batch_lines: 1, ..config() };
    let journal = RedbJournal::by_hand(Shared::default(), limits).expect("a journal");
    let (_, a) = append(&journal, &["a"]);
    let (_, b) = append(&journal, &["b"]);
    journal.shared.shutter.shut();
    assert!(journal.commit_next());
    assert!(matches!(now(a), Err(JournalError::Failed(_))));
    assert!(matches!(now(b), Err(JournalError::Failed(_))));
    assert!(!journal.commit_next());
}

#[track_caller]
fn refusal(folder: &Path) -> StoreError {
    match RedbJournal::open(folder, config()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn one_process_at_a_time_uses_a_file() {
    let folder = folder();
    let journal = RedbJournal::open(folder.path(), config()).expect("a journal");
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    journal.close();
    assert!(RedbJournal::open(folder.path(), config()).is_ok());
}

#[test]
fn a_file_of_a_newer_format_is_refused_with_advice_and_left_as_it_is() {
    let folder = folder();
    RedbJournal::open(folder.path(), config()).expect("a journal").close();
    let db = Database::open(folder.path().join(FILE)).expect("a file");
    let txn = db.begin_write().expect("a write");
    txn.open_table(META).expect("a table").insert("format", FORMAT + 1).expect("written");
    txn.commit().expect("committed");
    drop(db);
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("store export"), "{error}");
}

#[test]
fn a_damaged_file_is_refused_with_advice() {
    let folder = folder();
    let file = folder.path().join(FILE);
    for garbage in [&b"not a database, but long enough to be taken for one"[..], &[0; 100_000]] {
        std::fs::write(&file, garbage).expect("written");
        let error = refusal(folder.path());
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("store verify"), "{error}");
    }
    // Cut off in the middle.
    std::fs::remove_file(&file).expect("removed");
    let journal = RedbJournal::open(folder.path(), config()).expect("a journal");
    let _kept = append(&journal, &[&"x".repeat(100_000)]);
    journal.close();
    let whole = std::fs::read(&file).expect("readable");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("written");
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[test]
fn another_kind_of_file_is_no_journal() {
    let folder = folder();
    let db = Database::create(folder.path().join(FILE)).expect("a file");
    let txn = db.begin_write().expect("a write");
    let other = redb::TableDefinition::<u64, u64>::new("other");
    txn.open_table(other).expect("a table");
    txn.commit().expect("committed");
    drop(db);
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let error = refusal(&file.join("below"));
    assert!(matches!(error, StoreError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("below"), "{error}");
}

#[test]
fn a_line_that_cannot_be_understood_is_told_and_not_left_out() {
    let disk = Shared::default();
    let journal = by_hand(&disk);
    let _kept = append(&journal, &["a"]);
    commit_all(&journal);
    drop(journal);
    let db = redb::Builder::new().create_with_backend(disk.clone()).expect("a file");
    let txn = db.begin_write().expect("a write");
    txn.open_table(LINES).expect("a table").insert(2, &b"\xff12345678text"[..]).expect("written");
    txn.commit().expect("committed");
    drop(db);
    let journal = by_hand(&disk);
    let error = journal.recover(&mut |_| {}).expect_err("unreadable");
    assert!(error.to_string().contains("line 2 is of kind 255"), "{error}");
    assert!(matches!(now(journal.read(Position(0), 10)), Err(JournalError::Unreadable(_))));
}
