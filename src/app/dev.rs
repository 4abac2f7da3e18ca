//! Service and emulator in one process, wired to each other: nothing to install, nothing to set.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::demo::{self, Demo, Narrator};
use super::{App, Drained, Listeners, StartError, emulated};
use crate::clock::SystemClock;
use crate::emulator::{Emulator, PhoneBook, Subscription};
use crate::ports::{Clock, sleep};
use crate::settings::{Secret, Settings};

/// How long the handshake of the emulated Event Grid may take.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// How the development setup differs from the settings.
#[derive(Clone, Default)]
pub struct DevOptions {
    /// Keeps placing scripted calls, and tells of them here.
    pub demo: Option<Narrator>,
    /// Takes any free ports instead of those in the settings.
    pub ports_auto: bool,
    /// Keep what must survive in `store.folder`, and not in memory.
    pub keep: bool,
    /// The far ends, when a file says how they behave.
    pub phones: Option<PhoneBook>,
}

/// Where everything is, for people and for scripts. Names are part of the contract.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Base URL of the public listener.
    pub public: String,
    /// Base URL of the private listener.
    pub private: String,
    /// Base URL of the emulator.
    pub emulator: String,
    /// What SDKs take to talk to the emulator.
    pub connection_string: String,
    /// What SDKs take to talk to Switchhook's gateway.
    pub gateway_connection_string: String,
    /// Where Event Grid delivers, with its key.
    pub event_grid_url: String,
    /// Where mid-call events are posted, with its key.
    pub callback_url: String,
    /// The token of the private listener; `None` because loopback needs none.
    pub admin_token: Option<String>,
    /// With https, the PEM file of the authority to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// A running development setup.
pub struct Dev {
    app: App,
    emulator: Emulator,
    demo: Option<Demo>,
    ready: Ready,
}

/// Starts service and emulator, wired to each other.
///
/// # Errors
/// [`StartError`] says what to change.
pub async fn start(mut settings: Settings, options: DevOptions) -> Result<Dev, StartError> {
    let clock: Arc<dyn Clock> = SystemClock::start();
    if options.ports_auto {
        settings.public.listen = ([127, 0, 0, 1], 0).into();
        settings.private.listen = ([127, 0, 0, 1], 0).into();
        settings.emulator.listen = ([127, 0, 0, 1], 0).into();
    }
    settings.store.ephemeral = !options.keep;
    fill_secret(&mut settings.event_grid.key);
    fill_secret(&mut settings.callbacks.key);
    if settings.gateway.access_key.is_empty() {
        // The emulator's well-known key: it protects nothing here either.
        settings.gateway.access_key = settings.emulator.access_key.clone();
    }
    let mut listeners = Listeners::bind(&settings)?;
    if let Some(tls) = emulated::tls(&settings) {
        // As the emulator, so that SDKs which insist on https can reach the gateway, too.
        let tls = tls.server(settings.private.listen.ip(), clock.wall());
        listeners.secure(tls.map_err(|error| bad_tls(&error))?);
    }
    settings.public.base_url = listeners.public_url();
    let url = |url: Option<Secret>| url.map(|url| url.expose().to_owned()).unwrap_or_default();
    let event_grid_url = url(settings.event_grid_url());
    let callback_url = url(settings.callback_url());
    let emulator = start_emulator(&mut settings, &options, &event_grid_url)?;
    settings.azure.connection_string = Secret::new(emulator.connection_string());
    settings.callbacks.openid_url = emulator.openid_configuration_url();
    if let Some(path) = emulator.ca_file() {
        settings.azure.ca_file = Some(path.to_owned());
    }
    let app = App::start_on(listeners, &settings, Arc::clone(&clock)).await?;
    let http = client(&emulator)?;
    until_event_grid_delivers(&emulator.base_url(), &http, clock.as_ref()).await?;
    let ready = Ready {
        public: app.public_url().to_owned(),
        private: app.private_url().to_owned(),
        emulator: emulator.base_url(),
        connection_string: emulator.connection_string(),
        gateway_connection_string: format!(
            "endpoint={}/;accesskey={}",
            app.private_url(),
            settings.gateway.access_key.expose()
        ),
        event_grid_url,
        callback_url,
        admin_token: None,
        ca_file: emulator.ca_file().map(Path::to_owned),
    };
    let demo = options.demo.map(|tell| Demo::start(&app, emulator.base_url(), http, clock, tell));
    Ok(Dev { app, emulator, demo, ready })
}

/// Event Grid delivers nothing before its handshake with the service is done; a call that rings earlier
/// would ring in vain.
async fn until_event_grid_delivers(
    emulator: &str,
    client: &reqwest::Client,
    clock: &dyn Clock,
) -> Result<(), StartError> {
    let url = format!("{emulator}/emulator/eventgrid/subscriptions/switchhook");
    let until = clock.now() + HANDSHAKE;
    while clock.now() < until {
        let answer = client.get(&url).send().await;
        let seen = match answer {
            Ok(answer) => answer.json::<serde_json::Value>().await.unwrap_or_default(),
            Err(_) => serde_json::Value::Null,
        };
        if seen["provisioningState"] == "Succeeded" {
            return Ok(());
        }
        sleep(clock, Duration::from_millis(10)).await;
    }
    Err(StartError::Setting("the emulated event grid could not validate its endpoint".to_owned()))
}

fn start_emulator(
    settings: &mut Settings,
    options: &DevOptions,
    event_grid_url: &str,
) -> Result<Emulator, StartError> {
    let phones = options.phones.clone();
    let phones = phones.or_else(|| options.demo.as_ref().map(|_| demo::phones()));
    let phones = phones.unwrap_or_default();
    let mut config = emulated::config(settings)?;
    config.phones = phones;
    config.numbers.extend(demo::numbers());
    config.subscriptions.push(Subscription {
        name: "switchhook".to_owned(),
        endpoint: event_grid_url.to_owned(),
        ..Subscription::default()
    });
    settings.callbacks.audience.clone_from(&config.audience);
    settings.callbacks.issuer.clone_from(&config.issuer);
    let clock = emulated::clock(settings, &config);
    Ok(Emulator::start(config, clock)?)
}

/// A client that trusts the emulator's certificate.
fn client(emulator: &Emulator) -> Result<reqwest::Client, StartError> {
    let mut builder = reqwest::Client::builder();
    if let Some(path) = emulator.ca_file() {
        let pem = std::fs::read(path).map_err(|error| bad_tls(&error))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad_tls(&error))?;
        builder = builder.tls_certs_merge(found);
    }
    builder.build().map_err(|error| bad_tls(&error))
}

fn bad_tls(error: &dyn std::fmt::Display) -> StartError {
    StartError::Setting(format!("emulator.tls: {error}"))
}

/// A development setup makes up the secrets that nobody gave.
fn fill_secret(secret: &mut Secret) {
    if secret.is_empty() {
        *secret = Secret::new(uuid::Uuid::new_v4().simple().to_string());
    }
}

impl Dev {
    /// Where everything is.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The service.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Runs until `stop`, then drains.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Drained {
        stop.await;
        self.stop().await
    }

    /// Stops the demo, drains the service, stops the emulator.
    pub async fn stop(self) -> Drained {
        if let Some(demo) = self.demo {
            demo.stop().await;
        }
        let drained = self.app.drain().await;
        self.emulator.stop().await;
        drained
    }
}
