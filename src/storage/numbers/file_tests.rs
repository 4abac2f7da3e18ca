use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::InMemoryBackend;
use serde_json::json;

use super::*;
use crate::pure::routing::Changed;
use crate::storage::numbers::MemoryNumbers;

const PLANS: [&str; 3] = ["answer", "ignore", "reject"];

fn assignment(version: u64, plan: usize) -> Arc<Assignment> {
    let action = json!({"type": PLANS[plan % PLANS.len()]});
    let note = (plan.is_multiple_of(2)).then_some("a note");
    let json = json!({"steps": [{"action": action}], "version": version, "note": note});
    Arc::new(serde_json::from_value(json).unwrap())
}

/// The next change of a table: these keys get these plans.
fn change(table: &Table, keys: &[(&str, Option<usize>)]) -> (Table, Arc<Change>) {
    let version = table.version() + 1;
    let wanted = keys
        .iter()
        .map(|(key, plan)| (Key::parse(key).unwrap(), plan.map(|plan| assignment(version, plan))));
    let keys = table.difference(wanted);
    let next = table.with(&keys).unwrap();
    let at = "2025-11-21T08:30:00Z".parse().unwrap();
    let (what, who, why) = (Changed::Put, "an operator".into(), Some("a test".into()));
    (next, Arc::new(Change { version, at, what, who, why, keys }))
}

fn same(one: &Table, other: &Table) -> bool {
    one.version() == other.version() && one.iter().eq(other.iter())
}

/// A file with three versions, and its table.
async fn three_versions(file: &Path, history: usize) -> Table {
    let (store, table) = NumberFile::open(file, history).unwrap();
    let (table, first) = change(&table, &[("+1425*", Some(0)), ("*", Some(1))]);
    store.commit(first).await.unwrap();
    let (table, second) = change(&table, &[("8:acs:x_y", Some(2))]);
    store.commit(second).await.unwrap();
    let (table, third) = change(&table, &[("+1425*", None), ("*", Some(2))]);
    store.commit(third).await.unwrap();
    table
}

#[actix_web::test]
async fn i11_assignments_and_their_history_survive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.redb");
    let table = three_versions(&file, 100).await;
    let (store, loaded) = NumberFile::open(&file, 100).unwrap();
    assert!(same(&loaded, &table));
    let page = store.history(None, 10).await.unwrap();
    assert_eq!((page.version, page.oldest), (3, 0));
    let versions: Vec<_> = page.changes.iter().map(|listed| listed.change.version).collect();
    assert_eq!(versions, [3, 2, 1]);
    let newest = &page.changes[0];
    assert_eq!(newest.key_count, 2);
    assert_eq!(newest.change.who.as_str(), "an operator");
    assert_eq!(newest.change.keys[0].before, Some(assignment(1, 1)), "* was to ignore");
    assert_eq!(newest.change.keys[1].after, None, "+1425* is gone");
    let page = store.history(Some(3), 1).await.unwrap();
    assert_eq!(page.changes[0].change.version, 2);
    let (_, next) = change(&loaded, &[("+7", Some(0))]);
    store.commit(next).await.expect("versions go on");
}

/// The twin in memory says the same about whatever is asked.
#[actix_web::test]
async fn i11_both_stores_know_every_version_exactly_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.redb");
    let (limit, memory) = (5, MemoryNumbers::new(5));
    let (mut store, mut table) = NumberFile::open(&file, limit).unwrap();
    let mut versions = vec![table.clone()];
    let keys = ["*", "+1425*", "+14255550100", "8:acs:x_y", "+49*"];
    for round in 0..12usize {
        let plan = |at: usize| ((round * 7 + at * 3) % 5 < 3).then_some(round + at);
        let touched = 1 + round % keys.len();
        let wanted: Vec<_> =
            (0..touched).map(|at| (keys[(round + at) % keys.len()], plan(at))).collect();
        let (next, change) = change(&table, &wanted);
        store.commit(Arc::clone(&change)).await.unwrap();
        memory.commit(change).await.unwrap();
        table = next;
        versions.push(table.clone());
        drop(store);
        let (again, loaded) = NumberFile::open(&file, limit).unwrap();
        store = again;
        assert!(same(&loaded, &table) && same(&memory.load().unwrap(), &table), "{round}");
        assert_eq!(store.history(None, 9).await, memory.history(None, 9).await, "{round}");
        for (version, then) in versions.iter().enumerate() {
            let past = store.past(version as u64).await;
            assert_eq!(past, memory.past(version as u64).await, "{round}: {version}");
            match past {
                Ok(past) => {
                    let undone = table.with(&table.difference(past)).unwrap();
                    assert!(undone.iter().eq(then.iter()), "{round}: {version}");
                }
                Err(error) => {
                    let oldest = round as u64 + 1 - limit as u64;
                    assert_eq!(error, NumberStoreError::Gone { oldest });
                    assert!((version as u64) < oldest, "{round}: {version}");
                }
            }
        }
    }
    let newest = table.version();
    assert_eq!(store.past(newest + 1).await, Err(NumberStoreError::NotYet { newest }));
    let reading = store.inner.reading().unwrap();
    let changed = reading.open_table(CHANGED).unwrap();
    let (oldest, _) = changed.first().unwrap().expect("some rows");
    assert_eq!(oldest.value().0, newest - 4, "rows of forgotten changes are gone");
}

#[actix_web::test]
async fn a_change_of_very_many_keys_is_listed_in_part_and_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.redb");
    let (store, table) = NumberFile::open(&file, 100).unwrap();
    let keys: Vec<String> = (0..250).map(|n| format!("+1425555{n:04}")).collect();
    let wanted: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(0))).collect();
    let (table, change) = change(&table, &wanted);
    store.commit(change).await.unwrap();
    let page = store.history(None, 10).await.unwrap();
    let shown = page.changes[0].change.keys.len();
    assert_eq!((shown, page.changes[0].key_count), (ListedChange::MAX_KEYS, 250));
    let past = store.past(0).await.unwrap();
    assert!(table.with(&table.difference(past)).unwrap().is_empty());
}

#[actix_web::test]
async fn a_file_of_a_newer_version_or_of_something_else_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.redb");
    three_versions(&file, 100).await;
    let newer = Database::open(&file).unwrap();
    let writing = newer.begin_write().unwrap();
    writing.open_table(META).unwrap().insert(FORMAT_ROW, FORMAT + 1).unwrap();
    writing.commit().unwrap();
    drop(newer);
    let refused = NumberFile::open(&file, 100).err().expect("refused").to_string();
    assert!(refused.contains("has format 2") && refused.contains("newer program"), "{refused}");
    let other = folder.path().join("other.redb");
    let strange: TableDefinition<u64, u64> = TableDefinition::new("strange");
    let database = Database::create(&other).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(strange).unwrap();
    writing.commit().unwrap();
    drop(database);
    let refused = NumberFile::open(&other, 100).err().expect("refused").to_string();
    assert!(refused.contains("something else"), "{refused}");
}

#[actix_web::test]
async fn a_file_that_is_in_use_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.redb");
    let _held = NumberFile::open(&file, 100).unwrap();
    let refused = NumberFile::open(&file, 100).err().expect("refused").to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
}

/// Whatever byte is turned round: the file is refused, or nothing is different.
#[actix_web::test]
async fn a_damaged_file_is_refused_and_never_read_wrongly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.redb");
    let table = three_versions(&file, 100).await;
    let whole = std::fs::read(&file).unwrap();
    let hurt = folder.path().join("hurt.redb");
    let told = |bytes: &[u8]| {
        std::fs::write(&hurt, bytes).unwrap();
        let (store, table) = NumberFile::open(&hurt, 100).map_err(|error| error.to_string())?;
        // The engine may notice what it has not read when it closes the file.
        let _noticed = catch_unwind(AssertUnwindSafe(|| drop(store)));
        Ok::<_, String>(table)
    };
    for bytes in [b"no such thing".to_vec(), whole[..whole.len() / 2].to_vec(), vec![7; 8_192]] {
        let refused = told(&bytes).unwrap_err();
        assert!(refused.contains("store verify"), "{refused}");
    }
    let text = |bytes: &[u8]| {
        let rows = bytes.windows(6).enumerate().filter(|(_, found)| *found == b"reject");
        rows.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let mut places: Vec<usize> = (0..whole.len()).step_by(1_021).collect();
    places.extend((0..512).step_by(7));
    places.extend(text(&whole));
    let mut refused = 0;
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        match told(&bytes) {
            Ok(read) => assert!(same(&read, &table), "byte {at}"),
            Err(error) => {
                refused += 1;
                assert!(!error.contains("1425"), "{error}");
            }
        }
    }
    assert!(refused > 0, "some byte mattered");
}

/// A disk that takes nothing any more once it is told so.
#[derive(Debug)]
struct Disk {
    memory: InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> std::io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(std::io::Error::new(ErrorKind::StorageFull, "the disk is full")),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        self.memory.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.memory.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.memory.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.check()?;
        self.memory.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.check()?;
        self.memory.write(offset, data)
    }
}

#[actix_web::test]
async fn after_a_failed_write_nothing_is_written_until_a_restart() {
    let full = Arc::new(AtomicBool::new(false));
    let disk = Disk { memory: InMemoryBackend::new(), full: Arc::clone(&full) };
    let (store, table) = NumberFile::open_on(disk, Path::new("config.redb"), 100).unwrap();
    let (_, first) = change(&table, &[("*", Some(0))]);
    full.store(true, Ordering::Relaxed);
    let failed = store.commit(Arc::clone(&first)).await.unwrap_err();
    assert!(matches!(&failed, NumberStoreError::Failed(why) if why.contains("full")), "{failed}");
    full.store(false, Ordering::Relaxed);
    assert_eq!(store.commit(first).await, Err(failed), "what reached the disk is not known");
    assert!(store.failed().is_some_and(|why| why.contains("full")));
}

#[actix_web::test]
async fn a_change_that_does_not_follow_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.redb");
    let (store, table) = NumberFile::open(&file, 100).unwrap();
    let (table, first) = change(&table, &[("*", Some(0))]);
    store.commit(first).await.unwrap();
    let (_, second) = change(&table, &[("*", Some(1))]);
    let late = Arc::new(Change { version: 3, ..Change::clone(&second) });
    assert!(store.commit(late).await.is_err());
    drop(store);
    assert!(same(&NumberFile::open(&file, 100).unwrap().1, &table));
}

/// The routing may keep the store for a moment longer than the service lives.
#[actix_web::test]
async fn a_closed_file_is_free_whoever_still_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.redb");
    let (store, table) = NumberFile::open(&file, 100).unwrap();
    store.close();
    let (_, first) = change(&table, &[("*", Some(0))]);
    assert!(NumberFile::open(&file, 100).is_ok());
    assert!(matches!(store.load(), Err(NumberStoreError::Unreadable(_))));
    assert!(matches!(store.commit(first).await, Err(NumberStoreError::Failed(_))));
}
