//! Binds, starts, drains: the one place that knows all parts.
//!
//! Holds no behaviour of its own: it reads settings, builds each part, and stops them in reverse.

mod answered;
pub mod demo;
pub mod dev;
mod doors;
pub mod emulated;
mod listeners;
mod parts;
mod recovered;
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_web::dev::ServerHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use answered::Answered;
use answered::Greeter;
use doors::Inside;
pub use listeners::Listeners;
use recovered::BroughtBack;

use crate::actors::Calls;
use crate::actors::forwarder::Forwarder;
use crate::actors::recovery::{Rounds, keep_short, round};
use crate::actors::routing::{
    ChangeError, NeededSince, PutNumber, Retire, RoutingActor, RoutingRecovery,
};
use crate::actors::verifier::Verifier;
use crate::client::Client;
use crate::http::private::probes::{Readiness, Unready};
use crate::ports::{
    CallAutomation, Clock, JournalError, JournalState, LineKind, Position, Record, sleep,
};
use crate::pure::forwarding::ForwardReplay;
use crate::pure::routing::{AssignmentError, Draft, Key, KeyError};
use crate::pure::time::Moment;
use crate::settings::Settings;
use crate::storage::StoreError;
use crate::storage::journal::RedbJournal;
use crate::storage::numbers::NumberFile;

/// Changed calls are written down at least this often, so that the journal may forget old events.
const SNAPSHOTS_EVERY: Duration = Duration::from_secs(60 * 60);

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken, or is not this machine's.
    #[error("cannot listen on {address}: {error}; choose another address or port")]
    Listen {
        /// Where it was to listen.
        address: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file of the store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The emulator could not start.
    #[error(transparent)]
    Emulator(#[from] crate::emulator::StartError),
}

/// Why a number could not be assigned.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    /// The key is neither a number, a prefix, a raw id nor `*`.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The plan is not well formed.
    #[error(transparent)]
    Plan(#[from] AssignmentError),
    /// The table does not take it, or it cannot be kept.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The service has stopped.
    #[error("the service has stopped")]
    Stopped,
}

/// What a drain has done.
///
/// ```no_run
/// # async fn example(app: switchhook::app::App) -> Result<(), Box<dyn std::error::Error>> {
/// let drained = app.drain().await;
/// println!("{} of {} calls were still live", drained.left, drained.calls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Calls that were live when it began.
    pub calls: usize,
    /// Calls that were still live at its end.
    pub left: usize,
}

/// A running service.
///
/// ```no_run
/// # use switchhook::app::App;
/// # use switchhook::clock::SystemClock;
/// # use switchhook::settings::{Given, Purpose, Settings};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # actix::System::new().block_on(async {
/// let settings = Settings::load(&Given::default(), Purpose::Serve)?;
/// let app = App::start(&settings, SystemClock::start()).await?;
/// println!("listening on {} and {}", app.public_url(), app.private_url());
/// let _drained = app.run_until(async { let _signal = tokio::signal::ctrl_c().await; }).await;
/// # Ok(())
/// # })
/// # }
/// ```
pub struct App {
    public_url: String,
    private_url: String,
    client: Client,
    calls: Calls,
    routing: Addr<RoutingActor>,
    answered: Answered,
    verifier: Verifier,
    readiness: Arc<Readiness>,
    servers: Vec<ServerHandle>,
    clock: Arc<dyn Clock>,
    drain: Duration,
    keeper: Option<JoinHandle<()>>,
    forwarder: Forwarder,
    file: Option<Arc<RedbJournal>>,
    number_file: Option<Arc<NumberFile>>,
    _greeter: Addr<Greeter>,
}

fn rounds(settings: &Settings) -> Rounds {
    Rounds {
        lines: settings.store.snapshot_lines,
        every: SNAPSHOTS_EVERY.min(settings.store.max_age / 4),
        backlog: settings.calls.backlog,
    }
}

/// From where on the routing and the forwarder need their lines.
async fn needed_since(routing: Addr<RoutingActor>, forwarder: Forwarder) -> Option<Position> {
    // An actor that is gone is not there to be made again from them.
    let routing = routing.send(NeededSince).await.unwrap_or_default();
    let forwarder = forwarder.needed_since().await;
    routing.into_iter().chain(forwarder).min()
}

/// Unready from the moment on at which nothing can be made safe any more.
async fn watch_journal(mut state: watch::Receiver<JournalState>, readiness: Arc<Readiness>) {
    if state.wait_for(|state| state.failed.is_some()).await.is_ok() {
        readiness.set(Unready::JournalFailed, true);
    }
}

impl App {
    /// Binds both listeners and starts everything. It serves when this returns. Needs a running actix
    /// system.
    ///
    /// # Errors
    /// [`StartError`] says what to change.
    pub async fn start(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Self::start_on(Listeners::bind(settings)?, settings, clock).await
    }

    /// … on listeners that are bound already, so that others may know their ports first.
    ///
    /// # Errors
    /// [`StartError`] says what to change.
    pub async fn start_on(
        listeners: Listeners,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let render = parts::metrics();
        let mut settings = settings.clone();
        if settings.public.base_url.is_empty() {
            settings.public.base_url = listeners.public_url();
        }
        let settings = &settings;
        let (public_url, private_url) = (listeners.public_url(), listeners.private_url());
        let azure: Arc<dyn CallAutomation> = Arc::new(parts::azure(settings, &clock)?);
        // Both files are open before anything lives that would keep one of them open.
        let (journal, file) = parts::journal(settings)?;
        let numbers = parts::numbers(settings, clock.as_ref()).await?;
        let config = parts::calls(settings);
        let calls = Calls::start(&config, Arc::clone(&clock), Arc::clone(&journal));
        let callback_url = settings.callback_url().unwrap_or_default();
        let callback_url = callback_url.expose();
        let ringing = parts::routing(settings, callback_url);
        let now = Moment { tick: clock.now(), wall: clock.wall() };
        let mut rang = RoutingRecovery::new(&ringing, now);
        let mut owed = ForwardReplay::default();
        let mut line = |record: &Record| match record.line.kind {
            LineKind::Forward => owed.line(record.position, &record.line.text),
            _ => {
                rang.line(record);
                true
            }
        };
        let BroughtBack { doubtful, recordings } =
            recovered::bring_back(&calls, &config.limits, clock.as_ref(), &mut line).await?;
        let client =
            Client::new(Arc::clone(&azure), calls.clone(), Arc::clone(&clock), callback_url);
        let (greeter, answered) = Greeter::new(client.clone(), calls.clone());
        let greeter = greeter.start();
        let routing = RoutingActor::new(
            ringing,
            numbers.table,
            numbers.store,
            Arc::clone(&clock),
            Arc::clone(&azure),
            greeter.clone().recipient(),
            Arc::clone(&journal),
        );
        let routing = routing.resuming(rang.finish()).start();
        let verifier = Verifier::start(
            settings.verify.per_second,
            calls.clone(),
            Arc::clone(&azure),
            Arc::clone(&clock),
        );
        verifier.check_all(doubtful);
        let readiness = Arc::new(Readiness::new(Arc::clone(verifier.progress())));
        actix::spawn(watch_journal(journal.state(), Arc::clone(&readiness)));
        let forwarder = parts::forwarder(settings, &clock, &journal)?;
        let forwarder = Forwarder::start(forwarder, owed.finish()).await?;
        let inside = Inside {
            forwarder: forwarder.clone(),
            targets: Arc::new(parts::targets(settings, callback_url)),
            recordings,
            calls: calls.clone(),
            routing: routing.clone(),
            journal,
            azure,
            readiness: Arc::clone(&readiness),
            render,
            clock: Arc::clone(&clock),
        };
        let doors = inside.doors(settings)?;
        let keeper = file.is_some().then(|| {
            let (routing, forwarder) = (routing.clone(), forwarder.clone());
            let needed = move || needed_since(routing.clone(), forwarder.clone());
            actix::spawn(keep_short(calls.clone(), Arc::clone(&clock), rounds(settings), needed))
        });
        let servers = listeners.serve(settings, &doors)?;
        tracing::info!(public = public_url, private = private_url, "switchhook serves");
        Ok(Self {
            public_url,
            private_url,
            client,
            calls,
            routing,
            answered,
            verifier,
            readiness,
            servers,
            clock,
            drain: settings.drain.timeout,
            keeper,
            forwarder,
            file,
            number_file: numbers.file,
            _greeter: greeter,
        })
    }

    /// `http://…` of the public listener, as seen from this machine.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// `http://…` or `https://…` of the private listener.
    pub fn private_url(&self) -> &str {
        &self.private_url
    }

    /// Places and answers calls.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The calls.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Who decides about ringing calls.
    pub fn routing(&self) -> &Addr<RoutingActor> {
        &self.routing
    }

    /// Who asks Azure whether calls still live.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Assigns a number: `key` and `plan` are those of `PUT /v1/numbers/{key}`.
    ///
    /// ```no_run
    /// # async fn example(app: switchhook::app::App) -> Result<(), Box<dyn std::error::Error>> {
    /// let plan = serde_json::json!({ "steps": [{ "action": { "type": "answer" } }] });
    /// app.assign("+18005550100", &plan).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AssignError`] says what is wrong with them.
    pub async fn assign(&self, key: &str, plan: &serde_json::Value) -> Result<(), AssignError> {
        let (key, draft) = (Key::parse(key)?, Draft::parse(plan)?);
        let (who, why) = ("application".into(), None);
        let put = PutNumber { key, draft, if_match: None, who, why };
        self.routing.send(put).await.map_err(|_| AssignError::Stopped)??;
        Ok(())
    }

    /// The calls that number assignments answer, from now on.
    ///
    /// ```no_run
    /// # async fn example(app: switchhook::app::App) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut answered = app.answered();
    /// while let Some(call) = answered.next().await {
    ///     actix::spawn(async move {
    ///         let _up = call.connected().await;
    ///     });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn answered(&self) -> Answered {
        self.answered.resubscribe()
    }

    /// Resolves when nothing can be made safe any more, with the reason. The service refuses everything
    /// then, and only a new start helps.
    pub async fn failed(&self) -> Arc<str> {
        let mut state = self.calls.journal().state();
        let failed = state.wait_for(|state| state.failed.is_some()).await;
        failed.ok().and_then(|state| state.failed.clone()).unwrap_or_default()
    }

    /// Serves until `stop`, then drains.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Drained {
        stop.await;
        self.drain().await
    }

    /// Takes no new work, ends every wait with "shutting down", gives live calls until the drain's
    /// timeout to end, stops serving.
    pub async fn drain(self) -> Drained {
        self.readiness.set(Unready::Draining, true);
        let calls = self.live().await;
        tracing::info!(calls, "draining");
        let over = async {
            // Callbacks still come in; the end of the last call ends the wait.
            while self.live().await > 0 {
                sleep(self.clock.as_ref(), Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = over => {}
            () = sleep(self.clock.as_ref(), self.drain) => {}
        }
        let left = self.calls.stop_waiting().await;
        for server in &self.servers {
            server.stop(true).await;
        }
        if let Some(keeper) = &self.keeper {
            keeper.abort();
            let newest = self.calls.journal().state().borrow().newest;
            let needed = needed_since(self.routing.clone(), self.forwarder.clone()).await;
            if let Err(error) = round(&self.calls, newest, needed).await {
                tracing::warn!(%error, "calls could not be written down; the next start takes longer");
            }
        }
        let _stopped = self.routing.send(Retire).await;
        self.calls.stop();
        if let Some(file) = &self.file {
            file.close();
        }
        if let Some(file) = &self.number_file {
            file.close();
        }
        if left > 0 {
            tracing::warn!(calls = left, "stopped with calls still live");
        }
        Drained { calls, left }
    }

    async fn live(&self) -> usize {
        self.calls.shards().await.iter().map(|shard| shard.live).sum()
    }
}
