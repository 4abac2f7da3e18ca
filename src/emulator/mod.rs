//! A pretend Azure Communication Services: Call Automation, its Event Grid side, and a far end that
//! answers, presses keys and hangs up on request.
//!
//! Lives in the garden: it shares `wire`, `pure`, `ports` and the clock with the service and nothing
//! else, because it must not share the service's understanding of a call. `world` decides,
//! `shell` acts, `http` and `own_routes` are the doors.

mod api;
mod audio;
mod auth;
mod call_config;
mod config;
mod coverage;
mod fault_config;
mod fault_routes;
mod grid_config;
mod grid_routes;
mod http;
mod knobs;
mod own_clock;
mod own_routes;
mod page;
mod pcm;
mod phone_book;
mod recording_config;
mod recording_routes;
mod shell;
mod sockets;
mod sound;
mod stream_config;
mod tls;
mod tokens;
mod trace_routes;
mod world;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

pub use call_config::{
    CallBehaviour, EmptiedCall, EndedCall, Impossible, UsedTicket, VoipToTelephone,
};
pub use config::{
    Behaviour, BusyLeg, DEFAULT_ACCESS_KEY, DeliveryHeader, DeliveryOrigin, EmulatorConfig,
    GridBehaviour, Limits, Schema, Subscription, Unanswered,
};
pub use coverage::{COVERED_GRID_EVENTS, Coverage, of_event, of_grid_event, of_operation};
pub use fault_config::{BadFaults, Fault, FaultPlace, FaultRule, Faults};
pub use knobs::{Knob, KnobFault, check_knob, knob_defaults, knobs, set_knob};
pub use phone_book::{Action, BadPhoneBook, OnRing, Phone, PhoneBook, Prompt, Step};
pub use recording_config::{RecordingBehaviour, Shape};
pub use stream_config::{LostSocket, StreamBehaviour};
pub use tls::{Tls, TlsError};

use auth::Guard;
use http::Door;
use shell::Shell;
use tokens::Tokens;
use world::{Moment, World};

use crate::clock::ManualClock;
use crate::ports::Clock;
use crate::pure::signing::{AccessKey, BadKey};

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    address: SocketAddr,
    base_url: String,
    access_key: String,
    ca_file: Option<PathBuf>,
    manual_clock: Option<Arc<ManualClock>>,
    shell: Arc<Shell>,
    server: ServerHandle,
}

/// Why an emulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The access key cannot be used.
    #[error("the emulator's access key is no good: {0}")]
    BadKey(#[from] BadKey),
    /// An Event Grid subscription of the configuration cannot be one.
    #[error("the emulator's event grid subscription {index} is no good: {problem}")]
    BadSubscription {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The address is taken or is not this machine's.
    #[error("the emulator cannot listen on {address}: {error}; choose another address or port")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The HTTP client cannot be made.
    #[error("the emulator's http client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    /// A certificate, a key or a file with authorities is no good.
    #[error("{0}")]
    Tls(#[from] TlsError),
}

/// With it, what happens in a test happens again with the same ids.
const IN_PROCESS_SEED: u64 = 1;

/// A wildcard address is reached by loopback from here.
fn base_url(scheme: &str, address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("{scheme}://127.0.0.1:{}", address.port());
    }
    format!("{scheme}://{address}")
}

impl Emulator {
    /// Starts on the caller's actix or tokio runtime. It serves when this returns.
    ///
    /// # Errors
    /// [`StartError`] when the key or a subscription is no good, or the address cannot be listened on.
    ///
    /// # Panics
    /// When there is no runtime.
    pub fn start(config: EmulatorConfig, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let key = AccessKey::from_base64(&config.access_key)?;
        for (index, subscription) in config.subscriptions.iter().enumerate() {
            let wrong = |problem| StartError::BadSubscription { index, problem };
            subscription.check().map_err(wrong)?;
        }
        let listen = config.listen;
        let failed = |error| StartError::Listen { address: listen, error };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let base_url = base_url(config.scheme(), address);
        let tolerance = config.behaviour.date_tolerance;
        let guard = Guard::new(key, config.bearer_prefix.clone(), tolerance);
        let tokens = Tokens::prepare(config.issuer.clone(), config.audience.clone());
        let (access_key, body_limit) = (config.access_key.clone(), config.limits.body);
        let (tls, manual_clock) = (config.tls.clone(), config.manual_clock.clone());
        let ca_file = tls.as_ref().map(Tls::ca_file);
        let seed = config.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        let now = Moment { tick: clock.now(), wall: clock.wall() };
        let trusted = config.trust_ca_file.as_deref();
        let client = shell::client(tls::trusted(trusted)?)?;
        let sockets_trust = tls::trusted_by_sockets(trusted)?;
        let scheme = config.scheme();
        let world = World::new(config, seed, base_url.clone(), now);
        let shell = Shell::start(world, clock, tokens, client, sockets_trust);
        let door =
            web::Data::new(Door { shell: Arc::clone(&shell), guard, body_limit, address, scheme });
        let factory = move || {
            App::new().app_data(web::Data::clone(&door)).default_service(web::to(http::answer))
        };
        let server = HttpServer::new(factory)
            .workers(1)
            .disable_signals()
            .tcp_nodelay(true)
            .client_request_timeout(Duration::from_secs(30))
            .shutdown_timeout(1);
        let server = match &tls {
            None => server.listen(listener),
            Some(tls) => {
                let certified = tls.server(address.ip(), shell.callers_wall())?;
                server.listen_rustls_0_23(listener, certified)
            }
        };
        let server = server.map_err(failed)?.run();
        let handle = server.handle();
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the emulator's server ended");
            }
        });
        tracing::info!(%address, scheme, "emulator listens");
        // Programs that run elsewhere in the file system read it, too.
        let ca_file = ca_file.map(|path| path.canonicalize().unwrap_or(path));
        Ok(Self { address, base_url, access_key, ca_file, manual_clock, shell, server: handle })
    }

    /// Starts an emulator inside of a test, on any free port and on the clock that the test holds. Give
    /// the service the same clock, and both live in the same time.
    ///
    /// [`Self::advance`] moves the clock. An hour costs no more than the requests that are made in it.
    /// Unless a seed is given, it is always the same one.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use switchhook::app::{App, Listeners};
    /// # use switchhook::client::{ConnectOutcome, NewCall, WaitError};
    /// # use switchhook::clock::ManualClock;
    /// # use switchhook::emulator::{Emulator, EmulatorConfig};
    /// # use switchhook::pure::call::Wants;
    /// # use switchhook::settings::{Given, Purpose, Secret, Settings};
    /// # use switchhook::wire::events::EventKind;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # actix::System::new().block_on(async {
    /// # let mut settings = Settings::load(&Given::default(), Purpose::Local)?;
    /// # settings.public.listen = ([127, 0, 0, 1], 0).into();
    /// # settings.private.listen = ([127, 0, 0, 1], 0).into();
    /// # settings.store.ephemeral = true;
    /// # settings.drain.timeout = Duration::ZERO;
    /// # settings.callbacks.key = Secret::new("a-key-of-the-example");
    /// # let listeners = Listeners::bind(&settings)?;
    /// # settings.public.base_url = listeners.public_url();
    /// let clock = ManualClock::starting_now();
    /// let emulator = Emulator::start_in_process(EmulatorConfig::default(), clock.clone())?;
    /// settings.azure.connection_string = Secret::new(emulator.connection_string());
    /// settings.callbacks.openid_url = emulator.openid_configuration_url();
    /// settings.callbacks.audience = EmulatorConfig::default().audience;
    /// let service = App::start_on(listeners, &settings, clock.clone()).await?;
    ///
    /// // A phone is dialled, which picks up after a second.
    /// let who = Identifier::phone("+14255551212");
    /// let call = service.client().create_call(NewCall::to(who).from_number("+18335550100")).await?;
    /// emulator.advance(Duration::from_secs(2)).await;
    /// assert_eq!(call.connected().await?, ConnectOutcome::Connected);
    ///
    /// // Nobody presses a key. The service waits for four minutes, and we do not.
    /// let keys = call.wait_for(Wants::kinds(&[EventKind::RecognizeCompleted])).await?;
    /// emulator.advance(Duration::from_secs(4 * 60)).await;
    /// assert!(matches!(keys.outcome().await, Err(WaitError::TimedOut { .. })));
    /// # service.drain().await;
    /// # emulator.stop().await;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StartError`] when the key is no good.
    ///
    /// # Panics
    /// When there is no runtime.
    pub fn start_in_process(
        config: EmulatorConfig,
        clock: Arc<ManualClock>,
    ) -> Result<Self, StartError> {
        let config = EmulatorConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: Some(config.seed.unwrap_or(IN_PROCESS_SEED)),
            manual_clock: Some(Arc::clone(&clock)),
            ..config
        };
        Self::start(config, clock)
    }

    /// Lets time pass on the held clock: everything that is due within `time` happens, each thing at
    /// its own moment, and what leaves the emulator because of it has been answered when this returns.
    /// Nothing happens when its clock is not held.
    ///
    /// What the receivers of events do after they have answered is not waited for.
    pub async fn advance(&self, time: Duration) {
        if let Some(clock) = &self.manual_clock {
            own_clock::advance(&self.shell, clock, time).await;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:8082`, without a slash at the end. `https` with TLS.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// The PEM file of the authority that clients have to trust, as a whole path; `None` without TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// The base64 key with which callers sign.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// What SDKs take.
    pub fn connection_string(&self) -> String {
        format!("endpoint={}/;accesskey={}", self.base_url(), self.access_key)
    }

    /// Where the emulator publishes the configuration with which its callback tokens are checked.
    pub fn openid_configuration_url(&self) -> String {
        format!("{}/calling/.well-known/acsopenidconfiguration", self.base_url())
    }

    /// Stops it: nothing is served or sent afterwards.
    pub async fn stop(self) {
        self.shell.stop();
        self.server.stop(false).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shell.stop();
        // The command is sent at once; the answer to it is for those who can wait.
        drop(self.server.stop(false));
    }
}
