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
mod fault_config;
mod fault_routes;
mod grid_config;
mod grid_routes;
mod http;
mod own_routes;
mod pcm;
mod phone_book;
mod recording_config;
mod recording_routes;
mod router;
mod shell;
mod sockets;
mod sound;
mod stream_config;
mod tokens;
mod trace_routes;
mod world;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

pub use call_config::{
    CallBehaviour, EmptiedCall, EndedCall, Impossible, UsedTicket, VoipToTelephone,
};
pub use config::{
    Behaviour, DEFAULT_ACCESS_KEY, DeliveryHeader, DeliveryOrigin, EmulatorConfig, GridBehaviour,
    Limits, Schema, Subscription, Unanswered,
};
pub use fault_config::{BadFaults, Fault, FaultPlace, FaultRule, Faults};
pub use phone_book::{Action, BadPhoneBook, OnRing, Phone, PhoneBook, Prompt, Step};
pub use recording_config::RecordingBehaviour;
pub use stream_config::{LostSocket, StreamBehaviour};

use auth::Guard;
use http::Door;
use shell::Shell;
use tokens::Tokens;
use world::{Moment, World};

use crate::ports::Clock;
use crate::pure::signing::{AccessKey, BadKey};

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    address: SocketAddr,
    access_key: String,
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
        let tolerance = config.behaviour.date_tolerance;
        let guard = Guard::new(key, config.bearer_prefix.clone(), tolerance);
        let tokens = Tokens::prepare(config.issuer.clone(), config.audience.clone());
        let (access_key, body_limit) = (config.access_key.clone(), config.limits.body);
        let seed = config.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        let now = Moment { tick: clock.now(), wall: clock.wall() };
        let client = shell::client()?;
        let world = World::new(config, seed, format!("http://{address}"), now);
        let shell = Shell::start(world, clock, tokens, client);
        let door = web::Data::new(Door { shell: Arc::clone(&shell), guard, body_limit, address });
        let factory = move || {
            App::new().app_data(web::Data::clone(&door)).default_service(web::to(http::answer))
        };
        let server = HttpServer::new(factory)
            .workers(1)
            .disable_signals()
            .tcp_nodelay(true)
            .client_request_timeout(Duration::from_secs(30))
            .shutdown_timeout(1)
            .listen(listener)
            .map_err(failed)?
            .run();
        let handle = server.handle();
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the emulator's server ended");
            }
        });
        tracing::info!(%address, "emulator listens");
        Ok(Self { address, access_key, shell, server: handle })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:8082`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
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
