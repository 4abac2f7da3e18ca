//! What `docs/emulator.md` says can be done, done.

use switchhook::emulator::{Fault, Faults, OnRing, PhoneBook, Prompt};
use switchhook::wire::identifiers::RawId;

use crate::cli::{ended, switchhook};

fn blocks(kind: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/emulator.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let begin = format!("```{kind}\n");
    let blocks = text.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

#[test]
fn the_phones_of_the_document_are_read_with_every_field() {
    let files = blocks("toml phones");
    assert_eq!(files.len(), 1);
    let book = PhoneBook::from_toml(&files[0]).expect("a phone file");
    let caller = book.get(&RawId::of_number("+14255550123")).expect("the caller");
    assert_eq!((caller.on_ring, caller.after.as_millis()), (OnRing::Answer, 500));
    let prompts: Vec<_> = caller.script.iter().map(|step| step.on_prompt).collect();
    assert_eq!(prompts[..3], [Some(Prompt::Recognize), Some(Prompt::Any), Some(Prompt::Play)]);
    let agent = RawId::new("8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_agent");
    assert_eq!(book.get(&agent).expect("the agent").on_ring, OnRing::NoAnswer);
    // Every field that the reader knows stands in the example.
    let source = include_str!("../../src/emulator/phone_book.rs");
    for entry in ["struct Entry {", "struct StepEntry {"] {
        let (_, rest) = source.split_once(entry).expect("the entry");
        let (fields, _) = rest.split_once("\n}").expect("its end");
        for line in fields.lines().filter(|line| line.contains(": ")) {
            let (field, _) = line.trim().split_once(':').expect("a field");
            assert!(files[0].contains(&camel(field)), "{field} is not in the document's example");
        }
    }
}

#[test]
fn the_faults_of_the_document_are_read() {
    let files = blocks("toml faults");
    assert_eq!(files.len(), 1);
    let faults = Faults::from_toml(&files[0]).expect("faults");
    assert_eq!(faults.rules.len(), 2);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/emulator.md");
    let text = std::fs::read_to_string(path).expect("the document");
    for fault in Fault::ALL {
        assert!(text.contains(&format!("`{}`", fault.word())), "{} is not told of", fault.word());
    }
}

fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

#[test]
fn the_five_commands_of_the_document_work_as_written() {
    let script = blocks("sh tour");
    assert_eq!(script.len(), 5);
    let mut command = switchhook(&["emulator", "exec", "--log-level", "error", "--"]);
    command.args(["timeout", "60", "bash", "-euo", "pipefail", "-c", &script.concat()]);
    let said = ended(&mut command);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("\"ringing\"") || said.out.contains("incoming"), "{said:?}");
}

#[test]
fn every_flag_that_the_document_names_is_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/emulator.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let help = ended(&mut switchhook(&["emulator", "exec", "--help"])).out;
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
    let others = ["--fail", "--silent", "--show-error", "--header", "--data", "--cacert"];
    for flag in words.filter(|word| word.starts_with("--") && word.len() > 3) {
        assert!(others.contains(&flag) || help.contains(flag), "{flag} is no flag of the emulator");
    }
}
