//! `switchhook emulator` as a program: beside a command, held, over https, and its settings.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli::{Running, Said, ended, run, switchhook};

/// Runs a script of bash beside an emulator.
fn exec(flags: &[&str], script: &str) -> Said {
    let emulator = ["emulator", "exec", "--log-level", "error"];
    let script = ["--", "bash", "-uc", script];
    ended(&mut switchhook(&[&emulator[..], flags, &script[..]].concat()))
}

#[test]
fn a_command_finds_the_emulator_in_its_environment() {
    let said = exec(
        &[],
        "echo \"$ACS_CONNECTION_STRING\" && echo \"$SWITCHHOOK_EMULATOR_URL\" \
         && echo \"CA:${SWITCHHOOK_EMULATOR_CA:-none}\" \
         && curl --fail --silent \"$SWITCHHOOK_EMULATOR_URL/emulator/livez\"",
    );
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!((said.code, lines.len()), (Some(0), 4), "{said:?}");
    assert!(lines[1].starts_with("http://127.0.0.1:") && !lines[1].ends_with(":8082"), "{said:?}");
    assert!(lines[0].starts_with(&format!("endpoint={}/;accesskey=", lines[1])), "{said:?}");
    assert_eq!((lines[2], lines[3]), ("CA:none", "{\"status\":\"alive\"}"));
    assert_eq!(said.err, "", "nothing but the command speaks");
}

#[test]
fn the_exit_code_is_the_commands() {
    assert_eq!(exec(&[], "exit 0").code, Some(0));
    assert_eq!(exec(&[], "exit 3").code, Some(3));
    assert_eq!(exec(&[], "kill -KILL $$").code, Some(137));
    let said = exec(&[], "exit 3");
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""), "the command said all there is");
}

#[test]
fn a_command_that_cannot_be_started_is_told_apart() {
    let missing = run(&["emulator", "exec", "--log-level", "error", "--", "no-such-command-here"]);
    assert_eq!(missing.code, Some(127), "{missing:?}");
    assert!(missing.err.contains("there is no command no-such-command-here"), "{missing:?}");
    let folder = env!("CARGO_MANIFEST_DIR");
    let said = run(&["emulator", "exec", "--log-level", "error", "--", folder]);
    assert_eq!(said.code, Some(126), "{said:?}");
    assert!(said.err.contains("cannot be run"), "{said:?}");
    let said = run(&["emulator", "exec"]);
    assert_eq!(said.code, Some(2), "{said:?}");
}

/// Sends a signal to the emulator while its command waits; gives how that ended.
fn signalled(signal: &str, script: &str) -> Said {
    let mut command = switchhook(&["emulator", "exec", "--log-level", "error", "--"]);
    command.args(["bash", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let ready = lines.next().expect("a line").expect("text");
    assert_eq!(ready, "ready");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    let out = lines.map(|line| line.expect("text") + "\n").collect();
    let ended = child.wait_with_output().expect("an end");
    let err = String::from_utf8(ended.stderr).expect("text");
    Said { code: ended.status.code(), out, err }
}

#[test]
fn signals_are_passed_on_and_the_command_decides() {
    // A signal that comes while bash is busy elsewhere is heard when the short wait is over.
    let wait = "echo ready; for _ in {1..200}; do timeout 0.1 tail -f /dev/null & wait $!; done";
    for (signal, name) in [("-TERM", "TERM"), ("-INT", "INT"), ("-HUP", "HUP")] {
        let traps = format!("trap 'echo heard {name}; exit 9' {name}; {wait}");
        let said = signalled(signal, &traps);
        assert_eq!((said.code, said.out), (Some(9), format!("heard {name}\n")), "{}", said.err);
    }
    let said = signalled("-TERM", wait);
    assert_eq!(said.code, Some(128 + 15), "{said:?}");
}

#[test]
fn with_tls_the_command_is_told_whom_to_trust() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tls");
    let tls = ["--tls", "--tls-folder", path.to_str().expect("text"), "--tls-name", "acs.test"];
    let said = exec(
        &tls,
        "port=${SWITCHHOOK_EMULATOR_URL##*:} \
         && curl --fail --silent --cacert \"$SWITCHHOOK_EMULATOR_CA\" \
              \"$SWITCHHOOK_EMULATOR_URL/emulator/livez\" \
         && curl --fail --silent --cacert \"$SWITCHHOOK_EMULATOR_CA\" \
              --resolve \"acs.test:$port:127.0.0.1\" \"https://acs.test:$port/emulator/livez\" \
         && echo \"$SWITCHHOOK_EMULATOR_URL\"",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.ends_with('\n') && said.out.contains("https://127.0.0.1:"), "{said:?}");
    let first = std::fs::read(path.join("ca.pem")).expect("the CA");
    let emulator = [&["emulator", "--json", "--listen", "127.0.0.1:0"], &tls[..]].concat();
    let running = Running::start(&emulator);
    let told = running.ready["caFile"].as_str().expect("a path").to_owned();
    assert_eq!(std::fs::read(told).expect("the CA"), first, "made once");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn files_for_tls_that_are_no_good_are_named_before_it_starts() {
    let listen = ["emulator", "--log-level", "error", "--listen", "127.0.0.1:0"];
    let trusting = run(&[&listen[..], &["--trust-ca-file", "no-such.pem"]].concat());
    assert_eq!((trusting.code, trusting.out.as_str()), (Some(64), ""), "{trusting:?}");
    assert!(trusting.err.contains("no-such.pem cannot be used for TLS"), "{trusting:?}");
    let nowhere = run(&[&listen[..], &["--tls", "--tls-folder", ""]].concat());
    assert_eq!(nowhere.code, Some(64), "{nowhere:?}");
    assert!(nowhere.err.contains("emulator.tls_folder"), "{nowhere:?}");
}

#[test]
fn service_and_emulator_live_together_over_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let dev = ["dev", "--ports", "auto", "--json", "--log-level", "error"];
    let dev = Running::start(&[&dev[..], &["--tls", "--tls-folder", path]].concat());
    let string = dev.ready["connectionString"].as_str().expect("a string");
    assert!(string.starts_with("endpoint=https://127.0.0.1:"), "{string}");
    assert_eq!(dev.stop().code, Some(0));
}

#[test]
fn a_held_clock_is_moved_over_http() {
    let said = exec(
        &["--manual-clock"],
        "clock=\"$SWITCHHOOK_EMULATOR_URL/emulator/clock\"; \
         curl --fail --silent \"$clock\" && echo && \
         curl --fail --silent --data '{\"ms\": 240000}' \"$clock:advance\"",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let clocks: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let now = |at: usize| clocks[at]["nowMs"].as_u64().expect("a number");
    assert_eq!((clocks[0]["manual"].as_bool(), now(1) - now(0)), (Some(true), 240_000));
    let both = run(&["emulator", "--manual-clock", "--speed", "10"]);
    assert_eq!(both.code, Some(2), "{both:?}");
    let mut command = switchhook(&["emulator", "--manual-clock"]);
    let both = ended(command.env("SWITCHHOOK__EMULATOR__SPEED", "10"));
    assert_eq!(both.code, Some(64), "{both:?}");
    assert!(both.err.contains("a held clock has no speed"), "{both:?}");
}

#[test]
fn bearer_tokens_begin_as_was_said() {
    let ask = "url=\"$SWITCHHOOK_EMULATOR_URL/calling/callConnections/none?api-version=2026-03-12\"; \
         for token in test-a mine-a; do \
         curl --silent --output /dev/null --write-out '%{http_code} ' \
             --header \"authorization: Bearer $token\" \"$url\"; done";
    assert_eq!(exec(&[], ask).out, "404 401 ");
    assert_eq!(exec(&["--bearer-prefix", "mine-"], ask).out, "401 404 ");
    assert_eq!(exec(&["--bearer-prefix", ""], ask).out, "401 401 ");
}

/// The lines of `emulator settings --json`, by name.
fn settings(command: &mut Command) -> BTreeMap<String, Value> {
    let said = ended(command);
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines = said.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| (line["name"].as_str().expect("a name").to_owned(), line)).collect()
}

#[test]
fn settings_are_listed_with_what_is_in_force_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("switchhook.toml");
    let behaviour = "[emulator.behaviour]\nring_ms = 10000\nconfidence = 1\n";
    let text = format!("{behaviour}[emulator.grid]\nmax_attempts = 3\n");
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("text");
    let mut command = switchhook(&["emulator", "settings", "--json", "--config", file]);
    command.args(["--set", "behaviour.page_size=7", "--set", "limits.calls=2"]);
    command.env("SWITCHHOOK__EMULATOR__BEHAVIOUR__UNANSWERED_CREATE", "silent");
    command.env("SWITCHHOOK__EMULATOR__RESOURCE__NUMBERS", "+18005550100, +18005550101");
    let lines = settings(&mut command);
    let value = |name: &str| lines[name]["value"].clone();
    assert_eq!(value("behaviour.ring_ms"), 10_000);
    assert_eq!(lines["behaviour.ring_ms"]["default"], 30_000);
    assert_eq!(lines["behaviour.ring_ms"]["unit"], "ms");
    assert_eq!(lines["behaviour.ring_ms"]["setBy"], file);
    assert!(lines.values().all(|line| line["reason"].as_str().is_some_and(|why| !why.is_empty())));
    assert_eq!(value("behaviour.confidence"), 1.0);
    assert_eq!((value("grid.max_attempts"), value("limits.calls")), (3.into(), 2.into()));
    assert_eq!(value("behaviour.page_size"), 7);
    assert_eq!(lines["behaviour.page_size"]["setBy"], "flag --set");
    assert_eq!(value("behaviour.unanswered_create"), "silent");
    assert_eq!(value("resource.numbers"), serde_json::json!(["+18005550100", "+18005550101"]));
    let table = run(&["emulator", "settings"]);
    assert!(table.out.starts_with("SETTING"), "{table:?}");
    assert!(table.out.contains("behaviour.ring_ms"), "{table:?}");
}

#[test]
fn a_setting_changes_what_the_emulator_does() {
    let ask = "curl --silent --output /dev/null --write-out '%{http_code}' \
         --header 'authorization: Bearer test-a' \
         \"$SWITCHHOOK_EMULATOR_URL/calling/callConnections/none?api-version=2030-01-01\"";
    assert_eq!(exec(&[], ask).out, "400");
    assert_eq!(exec(&["--set", "behaviour.api_versions=2030-01-01"], ask).out, "404");
}

#[test]
fn settings_that_cannot_be_are_all_told_with_those_that_can() {
    let mut command = switchhook(&["emulator", "--set", "behaviour.ring_ms=soon"]);
    command.args(["--set", "behaviour.confidence=2", "--set", "limits.nonsense=1"]);
    command.args(["--set", "behaviour.unanswered_create=loud", "--set", "nonsense.ring_ms=1"]);
    command.env("SWITCHHOOK__EMULATOR__GRID__MAX_ATEMPTS", "2");
    command.env("SWITCHHOOK__EMULATOR__GRID__MAX_ATTEMPTS", "31");
    let said = ended(&mut command);
    assert_eq!((said.code, said.out.as_str()), (Some(64), ""), "{said:?}");
    for text in [
        "emulator.behaviour.ring_ms (flag --set): must be a whole number",
        "emulator.behaviour.confidence (flag --set): is 2; choose something from 0 to 1",
        "emulator.limits.nonsense (flag --set): is not a setting; [emulator.limits] has body, cached_prompts",
        "emulator.behaviour.unanswered_create (flag --set): must be \"told\" or \"silent\"",
        "did you mean emulator.grid.max_attempts?",
        "is 31; choose something from 1 to 30",
        "emulator.nonsense.ring_ms (flag --set): is not a setting",
    ] {
        assert!(said.err.contains(text), "{text} is not in {}", said.err);
    }
    let said = run(&["emulator", "--set", "behaviour.ring_ms"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("write NAME=VALUE"), "{said:?}");
}
