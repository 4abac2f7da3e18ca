//! Every layer, every kind of fault, and the two worked examples.

use std::path::PathBuf;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Given {
    let environment = pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Given { environment: environment.collect(), ..Given::default() }
}

fn in_file(text: &str) -> (tempfile::TempDir, Given) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("switchhook.toml");
    std::fs::write(&file, text).expect("written");
    (folder, Given { file: Some(file), ..Given::default() })
}

/// The keys that are complained about, in order.
#[track_caller]
fn complaints(given: &Given, purpose: Purpose) -> Vec<String> {
    let problems = Settings::load(given, purpose).expect_err("refused");
    problems.0.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn the_defaults_are_good_for_local_use_and_every_key_is_read() {
    let settings = Settings::load(&Given::default(), Purpose::Local).expect("good");
    assert_eq!(settings.calls.wait_timeout, std::time::Duration::from_secs(240));
    assert_eq!(settings.warnings(), Vec::<String>::new());
    assert!(settings.effective().iter().all(|line| line.origin == "default"));
    let sources = [include_str!("sections.rs"), include_str!("reader.rs")].concat();
    for line in settings.effective() {
        let key = line.key.strip_suffix("_file").unwrap_or(&line.key);
        assert!(
            sources.contains(&format!("\"{}\"", line.key))
                || sources.contains(&format!("\"{key}\"")),
            "{} is in the default file, and nobody reads it",
            line.key
        );
    }
}

#[test]
fn every_default_is_documented_in_the_lines_above_it() {
    let mut documented = false;
    for line in DEFAULTS.lines().map(str::trim) {
        documented = match line {
            _ if line.starts_with('#') => true,
            "" => false,
            _ if line.starts_with('[') => {
                assert!(documented, "{line} has no comment");
                false
            }
            // A comment covers the keys right below it.
            _ => documented,
        };
        let is_key = line.contains(" = ") && !line.starts_with('#');
        assert!(!is_key || documented, "{line} has no comment");
    }
}

#[test]
fn serving_needs_what_azure_needs_and_says_all_of_it_at_once() {
    assert_eq!(
        complaints(&Given::default(), Purpose::Serve),
        [
            "azure.connection_string",
            "public.base_url",
            "event_grid.key",
            "callbacks.key",
            "callbacks.audience"
        ]
    );
}

#[test]
fn later_layers_win_and_say_so() {
    let (_folder, mut given) =
        in_file("[calls]\nwaiters = 7\nbacklog_ms = 10\n[log]\nlevel = \"warn\"\n");
    given.environment = vec![
        ("SWITCHHOOK__CALLS__WAITERS".into(), "8".into()),
        ("SWITCHHOOK__LOG__LEVEL".into(), "info".into()),
        ("SWITCHHOOK_TOKEN".into(), "not a setting".into()),
    ];
    given.flags = vec![Flag { name: "--log", key: "log.level".into(), text: "debug".into() }];
    let settings = Settings::load(&given, Purpose::Local).expect("good");
    assert_eq!((settings.calls.waiters, settings.log.level.as_str()), (8, "debug"));
    let origin = |key: &str| {
        let line = settings.effective().iter().find(|line| line.key == key);
        line.map(|line| line.origin.clone()).expect("there")
    };
    assert_eq!(origin("calls.waiters"), "environment SWITCHHOOK__CALLS__WAITERS");
    assert_eq!(origin("log.level"), "flag --log");
    assert_eq!(origin("calls.subscriptions"), "default");
    assert!(origin("calls.backlog_ms").ends_with("switchhook.toml"));
}

#[test]
fn unknown_keys_are_refused_with_a_guess_what_was_meant() {
    let (_folder, given) = in_file(
        "stray = 1\n[calls]\nwaitrs = 7\nring_ms = 1\nzzzzzzzzz = 1\n[cals]\nwhatever = 1\n",
    );
    let problems = Settings::load(&given, Purpose::Local).expect_err("refused").to_string();
    for said in [
        "5 problems",
        "stray (",
        "did you mean calls.waiters?",
        "did you mean incoming.ring_ms?",
        "[calls] has backlog_events",
        "[cals] is not a section; there are azure, callbacks, calls",
    ] {
        assert!(problems.contains(said), "{said:?} is missing in {problems}");
    }
}

#[test]
fn values_of_the_wrong_type_or_size_are_all_told() {
    let (_folder, mut given) = in_file(
        "[calls]\nwaiters = \"many\"\nshards = -1\n[callbacks]\nrequire_jwt = 1\n\
         [event_grid]\nsubscriptions = [1]\n[log]\nformat = \"xml\"\n[public]\nlisten = \"here\"\n",
    );
    given.environment = vec![("SWITCHHOOK__DRAIN__TIMEOUT_MS".into(), "soon".into())];
    let mut found = complaints(&given, Purpose::Local);
    found.sort();
    assert_eq!(
        found,
        [
            "callbacks.require_jwt",
            "calls.shards",
            "calls.waiters",
            "drain.timeout_ms",
            "event_grid.subscriptions[0]",
            "log.format",
            "public.listen"
        ]
    );
}

#[test]
fn broken_toml_names_its_line_and_not_its_content() {
    let (_folder, given) = in_file("[callbacks]\nkey = hunter2hunter2hunter2\n");
    let problems = Settings::load(&given, Purpose::Local).expect_err("refused").to_string();
    assert!(problems.contains("line 2"), "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn a_reachable_private_listener_needs_a_token() {
    let mut given = environment(&[("SWITCHHOOK__PRIVATE__LISTEN", "0.0.0.0:8081")]);
    assert_eq!(complaints(&given, Purpose::Local), ["private.listen"]);
    let tokens = r#"[{name="a",role="admin",secret="0123456789abcdef"}]"#;
    given.environment.push(("SWITCHHOOK__PRIVATE__TOKENS".into(), tokens.into()));
    let settings = Settings::load(&given, Purpose::Local).expect("good");
    assert_eq!(settings.private.tokens[0].role, Role::Admin);
    let shown = format!("{settings:?}");
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn a_certificate_needs_its_key_and_a_key_its_certificate() {
    let given = |name: &str| environment(&[(name, "some.pem")]);
    let cert = given("SWITCHHOOK__PRIVATE__TLS_CERT_FILE");
    assert_eq!(complaints(&cert, Purpose::Local), ["private.tls_key_file"]);
    let key = given("SWITCHHOOK__PRIVATE__TLS_KEY_FILE");
    assert_eq!(complaints(&key, Purpose::Local), ["private.tls_cert_file"]);
}

#[test]
fn subscriptions_of_the_emulator_are_tables_whose_secrets_do_not_show() {
    let (_folder, given) = in_file(
        "[[emulator.subscriptions]]\nname = \"a\"\nendpoint = \"http://127.0.0.1:9/grid?key=hunter2\"\n\
         max_delivery_attempts = 3\nheaders = { x-key = \"hunter2\" }\n\
         advanced_filters = [{ operatorType = \"IsNotNull\", key = \"data.to\" }]\n",
    );
    let settings = Settings::load(&given, Purpose::Local).expect("good");
    let json = settings.emulator.subscriptions[0].expose();
    assert!(
        json.contains(r#""max_delivery_attempts":3"#) && json.contains("key=hunter2"),
        "{json}"
    );
    let line = settings.effective().iter().find(|line| line.key == "emulator.subscriptions");
    let line = line.expect("a line").value.clone();
    assert!(line.contains("http://127.0.0.1:9/grid?***") && line.contains("IsNotNull"), "{line}");
    assert!(!format!("{settings:?}").contains("hunter2"));

    let (_folder, given) = in_file("[[emulator.subscriptions]]\nendpoints = \"x\"\n");
    assert_eq!(complaints(&given, Purpose::Local), ["emulator.subscriptions[0].endpoints"]);
}

#[test]
fn tokens_are_checked_one_by_one() {
    #[track_caller]
    fn check(tokens: &str, said: &str) {
        let given = environment(&[("SWITCHHOOK__PRIVATE__TOKENS", tokens)]);
        let problems = Settings::load(&given, Purpose::Local).expect_err("refused").to_string();
        assert!(problems.contains(said), "{problems}");
    }
    let twice = r#"[{name="a",role="read",secret="0123456789abcdef"},{name="a",role="read",secret="0123456789abcdef"}]"#;
    check(twice, "name of another token");
    check(twice, "secret of another token");
    check(r#"[{name="a",role="boss",secret="0123456789abcdef"}]"#, "\"operate\" or \"admin\"");
    check(r#"[{name="a",role="read",secret="short"}]"#, "shorter than 16");
    check(r#"[{name="a",role="read"}]"#, "needs a secret");
    check(r#"[{role="read",secret="0123456789abcdef"}]"#, "needs a name");
    check(r#"[{name="a",role="read",sekret="0123456789abcdef"}]"#, "tokens[0].sekret");
    check("a,b", "must be a table");
}

#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let (folder, given) = in_file("[callbacks]\nkey_file = \"key\"\n");
    assert_eq!(complaints(&given, Purpose::Local), ["callbacks.key_file"]);
    std::fs::write(folder.path().join("key"), "a-secret-of-some-length\n").expect("written");
    let settings = Settings::load(&given, Purpose::Local).expect("good");
    assert_eq!(settings.callbacks.key.expose(), "a-secret-of-some-length");
    let line = settings.effective().iter().find(|line| line.key == "callbacks.key").unwrap();
    assert_eq!(line.value, "***");
    assert!(line.origin.starts_with("file "));

    let (folder, given) = in_file("[callbacks]\nkey = \"0123456789abcdef\"\nkey_file = \"key\"\n");
    std::fs::write(folder.path().join("key"), "a-secret-of-some-length\n").expect("written");
    assert_eq!(complaints(&given, Purpose::Local), ["callbacks.key"]);
}

#[test]
fn contradictions_are_told() {
    #[track_caller]
    fn check(name: &str, text: &str, key: &str) {
        assert_eq!(complaints(&environment(&[(name, text)]), Purpose::Local), [key]);
    }
    check("SWITCHHOOK__CALLS__BACKLOG_MS", "240001", "calls.backlog_ms");
    check("SWITCHHOOK__CALLS__MAX_WAIT_MS", "1000", "calls.wait_timeout_ms");
    check("SWITCHHOOK__PRIVATE__LISTEN", "127.0.0.1:8080", "private.listen");
    check("SWITCHHOOK__PUBLIC__BASE_URL", "http://example.com", "public.base_url");
    check("SWITCHHOOK__PUBLIC__BASE_URL", "https://example.com/path", "public.base_url");
    check("SWITCHHOOK__PUBLIC__BASE_URL", "https://u:p@example.com", "public.base_url");
    check("SWITCHHOOK__EVENT_GRID__KEY", "short", "event_grid.key");
    check("SWITCHHOOK__AZURE__CONNECTION_STRING", "endpoint=x", "azure.connection_string");
    check("SWITCHHOOK__LOG__LEVEL", "", "log.level");
    check("SWITCHHOOK__LOG__LEVEL", "info,=,loud=", "log.level");
    check("SWITCHHOOK__EMULATOR__ACCESS_KEY", "not base64!", "emulator.access_key");
}

#[test]
fn open_doors_are_warned_about() {
    let given = environment(&[
        ("SWITCHHOOK__CALLBACKS__REQUIRE_KEY", "false"),
        ("SWITCHHOOK__CALLBACKS__REQUIRE_JWT", "false"),
        ("SWITCHHOOK__EVENT_GRID__REQUIRE_KEY", "false"),
    ]);
    let settings = Settings::load(&given, Purpose::Local).expect("good");
    assert_eq!(settings.warnings().len(), 4);
}

#[test]
fn webhook_urls_carry_their_secrets_encoded() {
    let given = environment(&[
        ("SWITCHHOOK__PUBLIC__BASE_URL", "https://calls.example.com/"),
        ("SWITCHHOOK__CALLBACKS__KEY", "sixteen chars & more"),
    ]);
    let settings = Settings::load(&given, Purpose::Local).expect("good");
    let url = settings.callback_url().expect("known");
    let wanted = "https://calls.example.com/webhooks/calls?key=sixteen%20chars%20%26%20more";
    assert_eq!(url.expose(), wanted);
    assert_eq!(format!("{url:?} {url}"), "*** ***");
}

#[test]
fn the_worked_examples_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).expect("a folder");
    let connection = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0c2VjcmV0";
    for name in ["read-token", "operate-token", "admin-token", "event-grid-key", "callback-key"] {
        std::fs::write(secrets.join(name), format!("{name}-0123456789abcdef")).expect("written");
    }
    std::fs::write(secrets.join("connection-string"), connection).expect("written");
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");

    let production = folder.path().join("production.toml");
    std::fs::copy(examples.join("production.toml"), &production).expect("copied");
    let given = Given { file: Some(production), ..Given::default() };
    let settings = Settings::load(&given, Purpose::Serve).expect("production.toml is good");
    assert_eq!(settings.private.tokens.len(), 3);
    assert_eq!(settings.numbers.file, Some(folder.path().join("numbers.json")));

    let mut given = environment(&[("SWITCHHOOK__AZURE__CONNECTION_STRING", connection)]);
    given.file = Some(examples.join("local.toml"));
    Settings::load(&given, Purpose::Serve).expect("local.toml is good");
}

fn with_others(mut given: Given) -> Given {
    given.others = Others {
        defaults: Some(|| {
            let key = |name: &str| format!("emulator.box.{name}");
            vec![
                (key("size_ms"), toml::Value::Integer(5)),
                (key("share"), toml::Value::Float(0.5)),
                (key("name"), toml::Value::String("none".to_owned())),
            ]
        }),
        check: Some(|_, value| match value.as_integer() {
            Some(10..) => Err("is too much".to_owned()),
            _ => Ok(()),
        }),
    };
    given
}

#[test]
fn settings_with_a_table_of_their_own_are_read_like_all_others() {
    let (_folder, mut given) = in_file("[emulator.box]\nsize_ms = 7\nshare = 1\n");
    given.environment = vec![("SWITCHHOOK__EMULATOR__BOX__NAME".into(), "big".into())];
    given.flags =
        vec![Flag { name: "--set", key: "emulator.box.size_ms".into(), text: "9".into() }];
    let settings = Settings::load(&with_others(given), Purpose::Local).expect("good");
    let set: Vec<_> = settings.others.iter().map(|(key, value)| format!("{key} {value}")).collect();
    let expected =
        ["emulator.box.size_ms 9", "emulator.box.share 1.0", "emulator.box.name \"big\""];
    assert_eq!(set, expected);
    let line = settings.effective().iter().find(|line| line.key == "emulator.box.size_ms");
    assert_eq!(line.expect("there").origin, "flag --set");
    let untouched = Settings::load(&with_others(Given::default()), Purpose::Local).expect("good");
    assert_eq!(untouched.others, [], "defaults are for the table's owner to know");
}

#[test]
fn false_stands_for_nothing_in_them() {
    let with_nothing = |mut given: Given| {
        given.others = Others {
            defaults: Some(|| {
                vec![
                    ("emulator.box.url".to_owned(), toml::Value::Boolean(false)),
                    ("emulator.box.pause_ms".to_owned(), toml::Value::Integer(5)),
                ]
            }),
            check: Some(|key, value| match (key, value) {
                ("emulator.box.url", toml::Value::Integer(_)) => Err("is no URL".to_owned()),
                ("emulator.box.pause_ms", toml::Value::Boolean(true)) => {
                    Err("must be a time, or false".to_owned())
                }
                _ => Ok(()),
            }),
        };
        Settings::load(&given, Purpose::Local)
    };
    let text = "[emulator.box]\nurl = \"https://a\"\npause_ms = false\n";
    let (_folder, mut given) = in_file(text);
    let set = |settings: Settings| {
        settings.others.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>()
    };
    let wanted = ["emulator.box.url \"https://a\"", "emulator.box.pause_ms false"];
    assert_eq!(set(with_nothing(given.clone()).expect("good")), wanted);
    given.file = None;
    let variable =
        |name: &str, text: &str| (format!("SWITCHHOOK__EMULATOR__BOX__{name}"), text.into());
    given.environment = vec![variable("URL", "https://a"), variable("PAUSE_MS", "false")];
    assert_eq!(set(with_nothing(given.clone()).expect("good")), wanted);
    given.environment = vec![variable("URL", "7"), variable("PAUSE_MS", "true")];
    let said = with_nothing(given).expect_err("refused").to_string();
    assert!(said.contains("is no URL") && said.contains("must be a whole number"), "{said}");
}

#[test]
fn faults_in_them_are_told_with_all_others() {
    let text =
        "[emulator]\nspeeed = 1\nbox = 3\n[emulator.bux]\nsize_ms = 1\n[calls]\nwaiters = 0\n";
    let (_folder, given) = in_file(text);
    let problems = Settings::load(&with_others(given), Purpose::Local).expect_err("refused");
    assert_eq!(problems.0.len(), 4, "{problems}");
    let (_folder, given) = in_file("[emulator.box]\nsize_ms = 10\nshare = \"half\"\nother = 1\n");
    let said =
        Settings::load(&with_others(given), Purpose::Local).expect_err("refused").to_string();
    for text in [
        "switchhook.toml): is too much",
        "share (",
        "must be a number",
        "[emulator.box] has name, share, size_ms",
    ] {
        assert!(said.contains(text), "{text} is not in {said}");
    }
    // Without the table nobody knows of them.
    let (_folder, given) = in_file("[emulator.box]\nsize_ms = 7\n");
    assert_eq!(complaints(&given, Purpose::Local), ["emulator.box"]);
}
