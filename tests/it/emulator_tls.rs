//! The emulator over https: with curl's kind of client, with the service's, and towards others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use switchhook::acs::{Azure, AzureConfig, Transport, operations};
use switchhook::clock::SystemClock;
use switchhook::emulator::{Emulator, EmulatorConfig, StartError, Tls};
use switchhook::pure::signing::ConnectionString;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::ear::Ear;
use crate::stage::{Setting, Stage, answer};

const PHONE: &str = "+14255551212";
const OURS: &str = "+18005551212";
const PATH: &str = "/calling/callConnections";
const VERSION: &str = "api-version=2026-03-12";

fn config(folder: &Path) -> EmulatorConfig {
    let tls = Tls { folder: folder.to_owned(), names: Vec::new() };
    EmulatorConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        tls: Some(tls),
        ..EmulatorConfig::default()
    }
}

fn start(config: EmulatorConfig) -> Emulator {
    Emulator::start(config, SystemClock::start()).expect("it starts")
}

/// A client that trusts what stands in a PEM file, and nobody else.
pub fn trusting(path: &Path) -> reqwest::Client {
    let pem = std::fs::read(path).expect("the CA file");
    let found = reqwest::Certificate::from_pem_bundle(&pem).expect("a certificate");
    reqwest::Client::builder().tls_certs_only(found).build().expect("a client")
}

#[actix_web::test]
async fn https_is_served_to_those_who_trust_the_ca_and_to_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let emulator = start(config(folder.path()));
    let url = emulator.base_url();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let string = emulator.connection_string();
    assert!(string.starts_with(&format!("endpoint={url}/;accesskey=")), "{string}");
    let http = trusting(emulator.ca_file().expect("a CA"));
    let port = emulator.address().port();
    for host in ["127.0.0.1", "localhost"] {
        let asked = http.get(format!("https://{host}:{port}/emulator/livez"));
        assert_eq!(answer(asked).await.0, 200, "{host}");
    }
    let stranger = reqwest::Client::new().get(format!("{url}/emulator/livez")).send().await;
    assert!(stranger.is_err(), "nobody trusts it by default");
    let plain = reqwest::Client::new().get(format!("http://127.0.0.1:{port}/emulator/livez"));
    assert!(plain.send().await.is_err(), "no http beside https");

    // Links lead back over https: those of pages, and those of the token documents.
    let (_, document) = answer(http.get(emulator.openid_configuration_url())).await;
    assert_eq!(document["jwks_uri"], format!("{url}/calling/keys"));
    let other_folder = tempfile::tempdir().expect("a folder");
    let other = start(config(other_folder.path()));
    let wrong = trusting(other.ca_file().expect("a CA"));
    assert!(wrong.get(format!("{url}/emulator/livez")).send().await.is_err());
}

#[actix_web::test]
async fn pages_lead_to_their_next_page_over_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(folder.path());
    config.behaviour.page_size = 1;
    config.behaviour.roster_includes_app = true;
    config.default_phone.after = std::time::Duration::ZERO;
    let ear = Ear::start();
    let emulator = start(config);
    let http = trusting(emulator.ca_file().expect("a CA"));
    let ask = |request: reqwest::RequestBuilder| answer(request.bearer_auth("test-caller"));
    let body = json!({
        "targets": [{ "phoneNumber": { "value": PHONE } }],
        "sourceCallerIdNumber": { "value": OURS }, "callbackUri": ear.base_url,
    });
    let url = format!("{}{PATH}?{VERSION}", emulator.base_url());
    let (status, call) = ask(http.post(url).json(&body)).await;
    assert_eq!(status, 201, "{call}");
    let call = call["callConnectionId"].as_str().expect("an id");
    let mut ear = ear;
    ear.next().await;
    let url = format!("{}{PATH}/{call}/participants?{VERSION}", emulator.base_url());
    let (_, first) = ask(http.get(url)).await;
    let next = first["nextLink"].as_str().expect("a second page");
    assert!(next.starts_with(&emulator.base_url()), "{next}");
    assert_eq!(ask(http.get(next)).await.0, 200);
}

#[actix_web::test]
async fn the_services_client_trusts_a_ca_by_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let emulator = start(config(folder.path()));
    let connection = ConnectionString::parse(&emulator.connection_string()).expect("a string");
    let ask = |extra_ca_file| {
        let transport = Transport { extra_ca_file, ..Transport::default() };
        let mut config = AzureConfig { transport, ..AzureConfig::new(connection.clone()) };
        config.rules.attempts = 1;
        let azure = Azure::new(config, SystemClock::start()).expect("a client");
        async move { operations::get_call(&azure, "none".into()).await.expect_err("no such call") }
    };
    let refused = ask(emulator.ca_file().map(Path::to_owned)).await;
    assert!(refused.to_string().contains("8522"), "signed, understood, not found: {refused}");
    let unreachable = ask(None).await.to_string();
    assert!(!unreachable.contains("8522"), "{unreachable}");
}

#[actix_web::test]
async fn the_whole_service_lives_with_an_emulator_over_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let tls = Tls { folder: folder.path().to_owned(), names: Vec::new() };
    let ca_file = tls.ca_file();
    let setting = Setting {
        emulator: Box::new(move |config| config.tls = Some(tls.clone())),
        // It is there before the app reads it: the stage starts the emulator first.
        settings: Box::new(move |settings| settings.azure.ca_file = Some(ca_file.clone())),
        ..Setting::default()
    };
    let mut stage = Stage::with(setting).await;
    let ca_file = stage.emulator.ca_file().expect("a CA").to_owned();
    stage.http = trusting(&ca_file);
    let plan = json!([{ "action": { "type": "answer" } }]);
    stage.assign(OURS, plan).await;
    let server_call = stage.ring(PHONE, OURS).await;
    // Answered over https, and connected because the callback's token was checked with keys that came
    // over https.
    let connected = crate::stage::eventually("the call", || async {
        let (_, view) = stage.view(&server_call).await;
        (view["state"] == "connected").then_some(view)
    })
    .await;
    assert_eq!(connected["state"], "connected", "{connected}");
}

/// A certificate of somebody else's, for 127.0.0.1: as PEM, and for a server.
fn somebody_elses() -> (String, rustls::ServerConfig) {
    let names = vec!["127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a pair");
    (made.cert.pem(), config)
}

/// Without TLS; phones answer at once.
fn at_once(trust_ca_file: Option<PathBuf>) -> EmulatorConfig {
    let listen = ([127, 0, 0, 1], 0).into();
    let mut config = EmulatorConfig { listen, trust_ca_file, ..EmulatorConfig::default() };
    config.default_phone.after = std::time::Duration::ZERO;
    config
}

async fn first_delivery(emulator: &Emulator, ear: &Ear) -> Value {
    let http = reqwest::Client::new();
    let body = json!({
        "targets": [{ "phoneNumber": { "value": PHONE } }],
        "sourceCallerIdNumber": { "value": OURS }, "callbackUri": ear.base_url,
    });
    let url = format!("{}{PATH}?{VERSION}", emulator.base_url());
    let (status, told) = answer(http.post(url).bearer_auth("test-caller").json(&body)).await;
    assert_eq!(status, 201, "{told}");
    crate::stage::eventually("a delivery", || async {
        let list = answer(http.get(format!("{}/emulator/deliveries", emulator.base_url()))).await;
        let first = list.1["value"][0].clone();
        (!first.is_null()).then_some(first)
    })
    .await
}

#[actix_web::test]
async fn callbacks_reach_an_https_receiver_whose_ca_is_trusted_by_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pem, server) = somebody_elses();
    let ear = Ear::certified(server);
    let path = folder.path().join("receiver.pem");
    std::fs::write(&path, pem).expect("written");
    for (trust_ca_file, outcome) in [(None, "unreachable"), (Some(path), "delivered")] {
        let emulator = start(at_once(trust_ca_file));
        let delivery = first_delivery(&emulator, &ear).await;
        assert_eq!(delivery["outcome"], outcome, "{delivery}");
    }
}

/// Takes one web socket over TLS; gives the kind of the first frame, or nothing when none was opened.
async fn first_frame(listener: &TcpListener, tls: &TlsAcceptor) -> Option<String> {
    let (stream, _) = listener.accept().await.expect("a connection");
    let stream = tls.accept(stream).await.ok()?;
    let mut socket = tokio_tungstenite::accept_async(stream).await.ok()?;
    let frame = socket.next().await?.ok()?.into_text().ok()?;
    let frame: Value = serde_json::from_str(&frame).expect("JSON");
    frame["kind"].as_str().map(str::to_owned)
}

#[actix_web::test]
async fn sockets_reach_a_wss_server_whose_ca_is_trusted_by_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pem, server) = somebody_elses();
    let tls = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("wss://{}/media", listener.local_addr().expect("an address"));
    let path = folder.path().join("receiver.pem");
    std::fs::write(&path, pem).expect("written");
    for (trust_ca_file, wanted) in [(None, None), (Some(path), Some("AudioMetadata"))] {
        let callbacks = Ear::start();
        let emulator = start(at_once(trust_ca_file));
        let body = json!({
            "targets": [{ "phoneNumber": { "value": PHONE } }],
            "sourceCallerIdNumber": { "value": OURS }, "callbackUri": callbacks.base_url,
            "mediaStreamingOptions": {
                "transportType": "websocket", "audioChannelType": "mixed",
                "transportUrl": url, "startMediaStreaming": true,
            },
        });
        let create = format!("{}{PATH}?{VERSION}", emulator.base_url());
        let http = reqwest::Client::new();
        let (status, told) = answer(http.post(create).bearer_auth("test-caller").json(&body)).await;
        assert_eq!(status, 201, "{told}");
        let first = tokio::time::timeout(crate::stage::PATIENCE, first_frame(&listener, &tls));
        assert_eq!(first.await.expect("it is tried").as_deref(), wanted);
        emulator.stop().await;
    }
}

#[actix_web::test]
async fn files_that_are_no_good_keep_it_from_starting() {
    let folder = tempfile::tempdir().expect("a folder");
    let none = folder.path().join("none.pem");
    let trust_ca_file = Some(none.clone());
    let config = EmulatorConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        trust_ca_file,
        ..EmulatorConfig::default()
    };
    let Err(StartError::Tls(error)) = Emulator::start(config, SystemClock::start()) else {
        panic!("it started");
    };
    assert!(error.to_string().contains("none.pem cannot be used for TLS"), "{error}");
    std::fs::write(&none, "a file and no folder").expect("written");
    let Err(StartError::Tls(error)) = Emulator::start(self::config(&none), SystemClock::start())
    else {
        panic!("it started");
    };
    assert!(error.to_string().contains("none.pem"), "{error}");
}
