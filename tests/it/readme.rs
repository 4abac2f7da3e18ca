//! The tour of the README and the examples, run as a newcomer would run them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A service and an emulator in a process of their own, on any free ports.
struct Demo {
    child: Child,
    ready: Value,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_switchhook"))
            .args(["dev", "--ports", "auto", "--json"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("one line, once it is ready");
        // Nobody reads the story; it must not block the teller.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let ready = serde_json::from_str(&line).expect("an object");
        Self { child, ready }
    }

    fn url(&self, name: &str) -> &str {
        self.ready[name].as_str().expect("a URL")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn tour() -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(readme).expect("the README");
    let blocks = text.split("```sh tour\n").skip(1);
    let blocks: Vec<_> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 6, "the tour has its steps");
    blocks.concat()
}

#[test]
fn the_tour_of_the_readme_works_as_written() {
    let demo = Demo::start(&["--demo"]);
    let script = tour()
        .replace("http://127.0.0.1:8081", demo.url("private"))
        .replace("http://127.0.0.1:8082", demo.url("emulator"));
    let out = Command::new("timeout")
        .args(["90", "bash", "-euo", "pipefail", "-c", &script])
        .env("SWITCHHOOK", env!("CARGO_BIN_EXE_switchhook"))
        .env("SWITCHHOOK_SERVER", demo.url("private"))
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&out.stdout);
    let complained = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}\n{said}\n{complained}", out.status);
    for wanted in ["connected", "RecognizeCompleted", "switchhook_waits_total", "silence"] {
        assert!(said.contains(wanted), "{wanted} is missing in:\n{said}");
    }
}

#[test]
fn the_default_ports_of_the_readme_are_those_of_the_settings() {
    let text = tour();
    let settings = crate::stage::defaults_untouched();
    for (name, port) in
        [("private", settings.private.listen.port()), ("emulator", settings.emulator.listen.port())]
    {
        assert!(text.contains(&format!("127.0.0.1:{port}")), "the {name} port is {port}");
    }
}

/// Runs an example, which must end well and say these things in this order.
#[track_caller]
fn tells(name: &str, story: &[&str]) {
    // `cargo test` builds the examples beside the binary.
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_switchhook"));
    let example = binary.with_file_name("examples").join(name);
    let out = Command::new("timeout").arg("60").arg(&example).output().expect("timeout runs");
    let said = String::from_utf8_lossy(&out.stdout);
    let complained = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{example:?}: {}\n{said}\n{complained}", out.status);
    let mut rest = said.as_ref();
    for step in story {
        let (_, after) = rest.split_once(step).unwrap_or_else(|| panic!("no {step:?} in:\n{said}"));
        rest = after;
    }
}

#[test]
fn the_ivr_example_tells_its_story_to_the_end() {
    tells("ivr", &["ringing", "connected", "pressed 1", "answer was played", "call has ended"]);
}

#[test]
fn the_reminder_reaches_whom_it_can() {
    let told = ["0001: Confirmed", "0002: NotReached", "0003: Confirmed", "0004: Silent"];
    tells("reminder", &told);
}

#[test]
fn the_queue_serves_everybody_in_turn() {
    tells("queue", &["0003 waits", "0001 talked", "0002 talked", "0003 talked to the agent"]);
}

#[test]
fn the_masked_are_connected() {
    tells("masking", &["driver and guest are connected", "the call has ended"]);
}

#[actix_web::test]
async fn what_dev_is_given_a_folder_for_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("a path").to_owned();
    let http = reqwest::Client::new();
    let number = |dev: &Demo| format!("{}/v1/numbers/+18005550100", dev.url("private"));
    let dev = Demo::start(&["--data", &folder]);
    let plan = serde_json::json!({ "steps": [{ "action": { "type": "ignore" } }] });
    let made = http.put(number(&dev)).json(&plan).send().await.expect("an answer");
    assert_eq!(made.status().as_u16(), 201);
    // Killed, not asked to stop.
    drop(dev);
    let dev = Demo::start(&["--data", &folder]);
    let found = http.get(number(&dev)).send().await.expect("an answer");
    assert_eq!(found.status().as_u16(), 200);
}

/// That example runs with the official SDK, from `.ci/run`.
#[test]
fn the_python_of_the_readme_is_that_of_the_example() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| std::fs::read_to_string(format!("{folder}/{path}")).expect("a file");
    let (readme, example) = (read("README.md"), read("examples/python/ivr.py"));
    let blocks: Vec<_> = readme.split("```python\n").skip(1).collect();
    assert_eq!(blocks.len(), 1);
    let (block, _) = blocks[0].split_once("```").expect("its end");
    assert!(example.contains(block), "not in the example:\n{block}");
}

#[test]
fn the_example_for_curl_tells_its_story() {
    let phones = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/phones.toml");
    let demo = Demo::start(&["--phones", phones]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/curl/ivr.sh");
    let out = Command::new("timeout")
        .args(["60", "bash", script])
        .env("SWITCHHOOK_URL", demo.url("private"))
        .env("SWITCHHOOK_EMULATOR_URL", demo.url("emulator"))
        .output()
        .expect("bash runs");
    let told = String::from_utf8_lossy(&out.stdout);
    let expected = "connected\nthe caller pressed one\nthe answer was played: succeeded\n\
                    the call has ended\n";
    assert_eq!(told, expected, "{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success());
}
