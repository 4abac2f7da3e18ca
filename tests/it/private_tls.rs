//! The private listener over https: with a certificate of one's own, and with that of `dev`.

use std::path::Path;

use serde_json::Value;
use switchhook::app::App;
use switchhook::clock::SystemClock;
use switchhook::settings::{Secret, Settings};

use crate::cli::{Running, run};
use crate::emulator_tls::trusting;
use crate::stage::{answer, defaults};

fn settings(cert: &Path, key: &Path) -> Settings {
    let mut settings = defaults();
    settings.azure.connection_string =
        Secret::new("endpoint=http://127.0.0.1:9/;accesskey=c29tZWJvZHk=");
    settings.callbacks.require_jwt = false;
    settings.private.tls_cert_file = Some(cert.to_owned());
    settings.private.tls_key_file = Some(key.to_owned());
    settings
}

#[actix_web::test]
async fn a_certificate_of_ones_own_makes_the_private_listener_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let made = || rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
    let (ours, other) = (made(), made());
    for (name, text) in [
        ("cert.pem", ours.cert.pem()),
        ("key.pem", ours.signing_key.serialize_pem()),
        ("other-key.pem", other.signing_key.serialize_pem()),
        ("empty.pem", String::new()),
    ] {
        std::fs::write(path(name), text).expect("written");
    }
    for (cert, key, named) in [
        ("none.pem", "key.pem", "private.tls_cert_file"),
        ("empty.pem", "key.pem", "private.tls_cert_file"),
        ("cert.pem", "none.pem", "private.tls_key_file"),
        ("cert.pem", "cert.pem", "private.tls_key_file"),
        ("cert.pem", "other-key.pem", "private.tls_key_file"),
    ] {
        let started =
            App::start(&settings(&path(cert), &path(key)), SystemClock::start()).await.err();
        let error = started.expect("refused").to_string();
        let file = if named.contains("cert") { cert } else { key };
        assert!(error.contains(named) && error.contains(file), "{cert}, {key}: {error}");
    }
    let settings = settings(&path("cert.pem"), &path("key.pem"));
    let app = App::start(&settings, SystemClock::start()).await.expect("it starts");
    let url = app.private_url().to_owned();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    assert!(app.public_url().starts_with("http://"), "that one is behind something");
    let http = trusting(&path("cert.pem"));
    assert_eq!(answer(http.get(format!("{url}/admin/calls"))).await.0, 200);
    let stranger = reqwest::Client::new().get(format!("{url}/livez")).send().await;
    assert!(stranger.is_err(), "nobody trusts it by default");
    let plain = reqwest::Client::new().get(format!("{}/livez", url.replace("https", "http")));
    assert!(plain.send().await.is_err(), "no http beside https");
    app.drain().await;
}

#[test]
fn dev_serves_sdks_that_insist_on_https_at_the_gateway_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let tls_folder = folder.path().join("tls");
    let tls_folder = tls_folder.to_str().expect("text");
    let log = ["--log-level", "error", "--json"];
    let words = ["dev", "--ports", "auto", "--tls", "--tls-folder", tls_folder];
    let dev = Running::start(&[&words[..], &log].concat());
    let text = |name: &str| dev.ready[name].as_str().unwrap_or_default().to_owned();
    let (private, ca) = (text("private"), text("caFile"));
    assert!(private.starts_with("https://127.0.0.1:"), "{}", dev.ready);
    let gateway = text("gatewayConnectionString");
    assert!(gateway.starts_with(&format!("endpoint={private}/;accesskey=")), "{gateway}");
    let server = ["--server", private.as_str()];
    let list = |more: &[&str]| run(&[&["calls", "list"][..], &server, more].concat());
    let said = list(&["--ca-file", &ca]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "no calls\n"), "{said:?}");
    assert_eq!(list(&[]).code, Some(6), "nobody trusts it by default");
    let said = list(&["--ca-file", "no-such.pem"]);
    assert_eq!(said.code, Some(9), "{said:?}");
    assert!(said.err.contains("no-such.pem"), "{said:?}");
    let livez = format!("{private}/livez");
    assert_eq!(run(&["healthcheck", "--url", &livez, "--ca-file", &ca]).code, Some(0));
    assert_eq!(dev.stop().code, Some(0));
}

#[test]
fn a_dev_without_https_has_no_authority_to_trust() {
    let words = ["dev", "--ports", "auto", "--json", "--log-level", "error"];
    let dev = Running::start(&words);
    assert_eq!(dev.ready.get("caFile"), None::<&Value>, "{}", dev.ready);
}
