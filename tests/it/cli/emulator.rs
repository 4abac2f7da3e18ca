//! The emulator's own command line.

use super::*;

#[test]
fn the_emulator_has_the_subscriptions_of_its_settings_and_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("emulator.toml");
    let text = |filter: &str| {
        format!(
            "[[emulator.subscriptions]]\nname = \"from-file\"\nschema = \"cloudEvents\"\n\
             endpoint = \"http://127.0.0.1:9/grid\"\nmax_delivery_attempts = 7\n\
             delivery_headers = [{{ name = \"X-To\", path = \"data.to.rawId\" }}]\n\
             advanced_filters = [{filter}]\n"
        )
    };
    let filter = "{ operatorType = \"StringIn\", key = \"data.to.rawId\", values = [\"4:+1\"] }";
    std::fs::write(&file, text(filter)).expect("written");
    let file = file.to_str().expect("text");
    let base = ["emulator", "--listen", "127.0.0.1:0", "--json", "--config", file, "--subscribe"];
    let emulator = Running::start(&[&base[..], &["http://127.0.0.1:9/flag"]].concat());
    let url = emulator.ready["emulator"].as_str().expect("a URL");
    let url = format!("{url}/emulator/eventgrid/subscriptions");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let seen: Value = runtime
        .block_on(async { reqwest::get(&url).await?.json().await })
        .expect("the subscriptions");
    let (first, second) = (&seen["value"][0], &seen["value"][1]);
    assert_eq!((&first["name"], &first["schema"]), (&json!("from-file"), &json!("cloudEvents")));
    assert_eq!(first["maxDeliveryAttempts"], 7);
    assert_eq!(first["deliveryHeaders"][0]["path"], "data.to.rawId");
    assert_eq!(first["advancedFilters"][0]["operatorType"], "StringIn");
    assert_eq!(
        (&second["name"], &second["endpoint"]),
        (&json!("subscribe-1"), &json!("http://127.0.0.1:9/flag"))
    );
    assert_eq!(emulator.stop().code, Some(0));

    for (filter, said) in [
        ("{ operatorType = \"StringIs\", key = \"id\" }", "no known operatorType"),
        ("7", "must be an object"),
    ] {
        std::fs::write(file, text(filter)).expect("written");
        let ended = run(&base[..6]);
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    std::fs::write(file, "[[emulator.subscriptions]]\nmax_delivery_attempts = \"7\"\n")
        .expect("written");
    let ended = run(&base[..6]);
    assert!(ended.code == Some(64) && ended.err.contains("wrong type"), "{ended:?}");
}

#[test]
fn the_emulator_has_the_faults_of_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("faults.toml");
    std::fs::write(&file, "seed = 7\n[[rules]]\nfault = \"slow\"\ndelay_ms = 5\n")
        .expect("written");
    let path = file.to_str().expect("text");
    let args = ["emulator", "--listen", "127.0.0.1:0", "--json", "--faults", path];
    let emulator = Running::start(&args);
    let url = emulator.ready["emulator"].as_str().expect("a URL");
    let url = format!("{url}/emulator/faults");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let seen: Value =
        runtime.block_on(async { reqwest::get(&url).await?.json().await }).expect("the faults");
    assert_eq!((&seen["seed"], &seen["rules"][0]["delayMs"]), (&json!(7), &json!(5)));
    assert_eq!(emulator.stop().code, Some(0));
    std::fs::write(&file, "[[rules]]\nfault = \"flood\"\n").expect("written");
    let ended = run(&args);
    assert_eq!(ended.code, Some(9), "{ended:?}");
    assert!(ended.err.contains("Known faults"), "{}", ended.err);
}
