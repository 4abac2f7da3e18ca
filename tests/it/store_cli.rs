//! `switchhook store`: on the files of a stopped service, of a running one, on copies, and on what is left
//! of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use switchhook::ports::{Journal, Line, LineKind, NumberStore, Position, Remark};
use switchhook::pure::routing::{Assignment, Change, Changed, Key};
use switchhook::storage::journal::{JournalConfig, RedbJournal};
use switchhook::storage::numbers::NumberFile;
use tempfile::TempDir;

const CALL: &str = "401f0200-aaaa";
const OTHER: &str = "401f0200-bbbb";

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    }
}

fn store(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchhook"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SWITCHHOOK_") {
            command.env_remove(name);
        }
    }
    command.arg("store").args(arguments).arg("--data").arg(folder).stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn line(kind: LineKind, text: Value) -> Line {
    let at = Timestamp::from_second(1_763_700_000).expect("a time");
    Line { kind, at, text: text.to_string().into() }
}

fn heard(call: &str, number: usize) -> Line {
    line(
        LineKind::Heard,
        json!({"id": format!("e{number}"), "type": "Microsoft.Communication.CallConnected",
        "source": "calling", "specversion": "1.0",
        "data": {"callConnectionId": call, "note": "LEGIBLE-TEXT-IN-A-LINE"}}),
    )
}

async fn written(folder: &Path, lines: usize) -> Arc<RedbJournal> {
    let journal = RedbJournal::open(folder, JournalConfig::default()).expect("a journal");
    let mut first = Position(0);
    let mut all = vec![line(LineKind::Claimed, json!({"call": CALL}))];
    all.extend((0..lines).map(|number| heard(if number % 2 == 0 { CALL } else { OTHER }, number)));
    let kept = journal.append(all, &mut |position| first = position);
    kept.await.expect("kept");
    journal.remark(Position(first.0 + 1), Remark::MATCHED);
    journal
}

async fn numbered(folder: &Path) -> Arc<NumberFile> {
    let (file, table) = NumberFile::open(&folder.join("config.redb"), 10).expect("a file");
    let plan = json!({"steps": [{"action": {"type": "answer"}}], "version": 1, "note": "a note"});
    let plan: Assignment = serde_json::from_value(plan).expect("an assignment");
    let key = Key::parse("+1425*").expect("a key");
    let keys = table.difference([(key, Some(Arc::new(plan)))]);
    let at = Timestamp::from_second(1_763_700_000).expect("a time");
    let (who, why) = ("an operator".into(), None);
    let change = Change { version: 1, at, what: Changed::Put, who, why, keys };
    file.commit(Arc::new(change)).await.expect("kept");
    file
}

/// A store that was used and stopped.
async fn stopped(lines: usize) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    written(folder.path(), lines).await.close();
    numbered(folder.path()).await.close();
    folder
}

fn bytes_of(folder: &Path) -> Vec<Vec<u8>> {
    let read = |file: &&str| std::fs::read(folder.join(file)).expect("a file");
    ["journal.redb", "config.redb"].iter().map(read).collect()
}

#[actix_web::test]
async fn a_stopped_store_is_verified_dumped_and_exported_and_stays_as_it_is() {
    let folder = stopped(20).await;
    let before = bytes_of(folder.path());
    let said = store(folder.path(), &["verify", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let [journal, numbers] = <[Value; 2]>::try_from(said.objects()).expect("both files");
    assert_eq!(journal["rows"], json!({"claimed": 1, "heard": 20}));
    assert_eq!((&journal["positions"], &journal["unclean"]), (&json!([1, 21]), &json!(false)));
    assert_eq!(numbers["rows"], json!({"assignment": 1, "change": 1, "changed": 1}));
    let said = store(folder.path(), &["dump", "--call", OTHER, "--after", "5", "--limit", "2"]);
    let found: Vec<_> = said.objects().iter().map(|line| line["position"].clone()).collect();
    assert_eq!((said.code, found), (Some(0), vec![json!(7), json!(9)]));
    let said = store(folder.path(), &["dump", "--kind", "heard", "--limit", "1"]);
    assert_eq!(said.objects()[0]["remark"], 1, "it was matched");
    let said = store(folder.path(), &["dump", "--numbers", "--kind", "assignment"]);
    assert_eq!(said.objects()[0]["key"], "+1425*");
    let file = folder.path().join("all.jsonl");
    let to = file.to_string_lossy();
    assert_eq!(store(folder.path(), &["export", "--to", &to]).code, Some(0));
    let text = std::fs::read_to_string(&file).expect("an export");
    assert_eq!(text.lines().count(), 1 + 21 + 3, "a header, and everything");
    assert_eq!(store(folder.path(), &["export", "--to", &to]).code, Some(1), "never overwritten");
    assert_eq!(bytes_of(folder.path()), before, "looking changes nothing");
}

#[actix_web::test]
async fn a_store_in_use_is_left_alone_and_a_copy_of_it_can_be_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = written(folder.path(), 50).await;
    let numbers = numbered(folder.path()).await;
    for command in ["verify", "dump", "export", "compact"] {
        let said = store(folder.path(), &[command]);
        assert_eq!(said.code, Some(4), "{command}: {}", said.err);
        assert!(said.err.contains("copy the files"), "{}", said.err);
    }
    let copy = tempfile::tempdir().expect("a folder");
    for file in ["journal.redb", "config.redb"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).expect("copied");
    }
    let before = bytes_of(copy.path());
    let said = store(copy.path(), &["verify", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.objects()[0]["rows"]["heard"], 50);
    assert_eq!(bytes_of(copy.path()), before, "it is repaired in memory");
    journal.append(vec![heard(CALL, 51)], &mut |_| {}).await.expect("the service goes on");
    drop(numbers);
}

#[actix_web::test]
async fn damage_is_told_and_what_can_be_read_is_exported() {
    let folder = stopped(200).await;
    let file = folder.path().join("journal.redb");
    let whole = std::fs::read(&file).expect("a file");
    let text = b"LEGIBLE-TEXT-IN-A-LINE";
    let places = whole.windows(text.len()).enumerate().filter(|(_, found)| found == text);
    let at = places.map(|(at, _)| at).nth(100).expect("many lines");
    // One letter that is still a letter: only the engine's sums tell.
    let mut hurt = whole.clone();
    hurt[at] ^= 0x20;
    std::fs::write(&file, &hurt).expect("written");
    let said = store(folder.path(), &["verify"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.err.contains("damaged") && said.err.contains("export"), "{}", said.err);
    let said = store(folder.path(), &["export"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.objects().len() > 150, "{} rows", said.objects().len());
    // The row that is no JSON any more is left out, and the others are there.
    let mut hurt = whole.clone();
    hurt[at - 1] ^= 0x20;
    std::fs::write(&file, &hurt).expect("written");
    let said = store(folder.path(), &["verify"]);
    assert!(said.err.contains("is no JSON"), "{}", said.err);
    assert!(!said.err.contains("LEGIBLE"), "nothing that is kept is told: {}", said.err);
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("written");
    let said = store(folder.path(), &["verify"]);
    assert_eq!(said.code, Some(1), "cut off: {}", said.out);
    assert!(said.err.contains("is damaged"), "{}", said.err);
    assert!(said.out.contains("config.redb: good"), "the other file is whole: {}", said.out);
}

#[actix_web::test]
async fn missing_foreign_and_newer_files_have_exit_codes_and_advice() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = store(folder.path(), &["verify"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    let file = folder.path().join("journal.redb");
    std::fs::write(&file, vec![b'x'; 9000]).expect("written");
    let said = store(folder.path(), &["verify"]);
    assert_eq!(said.code, Some(9), "{}", said.err);
    std::fs::remove_file(&file).expect("removed");
    written(folder.path(), 1).await.close();
    {
        let meta = redb::TableDefinition::<&str, u64>::new("meta");
        let db = redb::Database::open(&file).expect("a database");
        let writing = db.begin_write().expect("a transaction");
        writing.open_table(meta).expect("a table").insert("format", 2).expect("written");
        writing.commit().expect("committed");
    }
    for command in ["verify", "dump", "export", "compact"] {
        let said = store(folder.path(), &[command]);
        assert_eq!(said.code, Some(9), "{command}: {}", said.err);
        assert!(said.err.contains("use the newer program"), "{}", said.err);
    }
}

#[actix_web::test]
async fn compaction_loses_nothing() {
    let folder = stopped(5000).await;
    let before = store(folder.path(), &["dump"]).out;
    let said = store(folder.path(), &["compact", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let journal = &said.objects()[0];
    assert!(journal["after"].as_u64() < journal["before"].as_u64(), "{journal}");
    assert_eq!(store(folder.path(), &["dump"]).out, before);
    assert_eq!(store(folder.path(), &["verify"]).code, Some(0));
}

fn kept_files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1")
}

/// Small files as this version writes them: once for each format, before its first release.
async fn make_kept_files() {
    let folder = stopped(4).await;
    assert_eq!(store(folder.path(), &["compact"]).code, Some(0));
    std::fs::create_dir_all(kept_files()).expect("a folder");
    for file in ["journal.redb", "config.redb"] {
        std::fs::copy(folder.path().join(file), kept_files().join(file)).expect("copied");
    }
}

#[actix_web::test]
async fn every_released_format_stays_readable() {
    if !kept_files().exists() {
        make_kept_files().await;
        panic!("{} was not there; keep what was made now", kept_files().display());
    }
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["journal.redb", "config.redb"] {
        std::fs::copy(kept_files().join(file), folder.path().join(file)).expect("copied");
    }
    let said = store(folder.path(), &["verify", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let journal = RedbJournal::open(folder.path(), JournalConfig::default()).expect("a journal");
    let mut found = 0;
    journal.recover(&mut |_| found += 1).expect("recovered");
    assert_eq!(found, 5);
    let page = journal.read(Position(0), 10).now_or_never().expect("at once").expect("a page");
    assert_eq!(page.records[0].line.kind, LineKind::Claimed);
    let (_, table) = NumberFile::open(&folder.path().join("config.redb"), 10).expect("a file");
    assert_eq!((table.version(), table.len()), (1, 1));
}
