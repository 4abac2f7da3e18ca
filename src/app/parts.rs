//! From settings to the parts they describe.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::value::RawValue;

use super::StartError;
use crate::acs::{Azure, AzureConfig, HttpMessenger, OpenIdKeys, Relay, Transport};
use crate::actors::CallsConfig;
use crate::actors::forwarder::ForwarderParts;
use crate::actors::routing::RoutingSettings;
use crate::http::private::auth::{Role, Token};
use crate::http::public::secret::Secret;
use crate::http::public::token::{TokenCheck, TokenConfig};
use crate::ports::{Clock, Journal, NumberStore, Past};
use crate::pure::breaker::BreakerRules;
use crate::pure::call::Limits;
use crate::pure::forwarding::{ForwardLimits, Patience, Targets};
use crate::pure::routing::{Change, Changed, Draft, GuardLimits, MemoryLimits, Table, WriteError};
use crate::pure::signing::{AccessKey, ConnectionString};
use crate::settings::{self, Settings};
use crate::storage::journal::{JournalConfig, RedbJournal};
use crate::storage::memory::MemoryJournal;
use crate::storage::numbers::{self, MemoryNumbers, NumberFile};

/// Samples of histograms are folded into buckets this often, so that they do not pile up when nobody
/// scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

fn bad(what: &str, error: impl std::fmt::Display) -> StartError {
    StartError::Setting(format!("{what}: {error}"))
}

fn transport(settings: &Settings) -> Transport {
    Transport {
        attempt_timeout: settings.azure.request_timeout,
        extra_ca_file: settings.azure.ca_file.clone(),
        ..Transport::default()
    }
}

fn azure_config(settings: &Settings) -> Result<AzureConfig, StartError> {
    let given = settings.azure.connection_string.expose();
    let connection =
        ConnectionString::parse(given).map_err(|error| bad("azure.connection_string", error))?;
    let mut config = AzureConfig { transport: transport(settings), ..AzureConfig::new(connection) };
    config.rules.attempts = settings.azure.max_attempts;
    Ok(config)
}

pub(super) fn azure(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Azure, StartError> {
    Azure::new(azure_config(settings)?, Arc::clone(clock)).map_err(|error| bad("azure", error))
}

/// The gateway's way to Azure.
pub(super) fn relay(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Relay, StartError> {
    let given = &settings.gateway;
    let rules = BreakerRules { failures: given.breaker_failures, pause: given.breaker_pause };
    Relay::new(azure_config(settings)?, rules, Arc::clone(clock))
        .map_err(|error| bad("azure", error))
}

/// Where events of the gateway's callers go. Whoever knows the secret of the callback URL may say so.
pub(super) fn targets(settings: &Settings, callback_url: &str) -> Targets {
    let secret = settings.callbacks.key.expose();
    Targets::new(callback_url, secret, settings.forward.allow_link_local)
}

/// How they get there.
pub(super) fn forwarder(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    journal: &Arc<dyn Journal>,
) -> Result<ForwarderParts, StartError> {
    let given = &settings.forward;
    let transport = Transport { attempt_timeout: given.request_timeout, ..transport(settings) };
    let messenger = HttpMessenger::new(&transport, given.allow_link_local)
        .map_err(|error| bad("forward", error))?;
    let limits = ForwardLimits {
        patience: Patience {
            first_pause: given.first_pause,
            longest_pause: given.longest_pause,
            give_up_after: given.give_up_after,
        },
        pending: given.pending,
        at_once: given.at_once,
        dead_letters: given.dead_letters,
    };
    let (clock, journal) = (Arc::clone(clock), Arc::clone(journal));
    Ok(ForwarderParts { limits, messenger: Arc::new(messenger), clock, journal })
}

/// The key with which callers of the gateway sign.
pub(super) fn gateway_key(settings: &Settings) -> Result<Option<AccessKey>, StartError> {
    let given = &settings.gateway.access_key;
    let read = || AccessKey::from_base64(given.expose());
    (!given.is_empty()).then(read).transpose().map_err(|error| bad("gateway.access_key", error))
}

pub(super) fn token_check(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<TokenCheck>>, StartError> {
    let given = &settings.callbacks;
    if !given.require_jwt {
        return Ok(None);
    }
    let keys = OpenIdKeys::new(&given.openid_url, &transport(settings))
        .map_err(|error| bad("callbacks.openid_url", error))?;
    let config = TokenConfig {
        issuer: given.issuer.clone(),
        audience: given.audience.clone(),
        clock_skew: given.clock_skew,
    };
    Ok(Some(TokenCheck::new(config, Arc::new(keys), Arc::clone(clock))))
}

pub(super) fn secret(required: bool, key: &settings::Secret) -> Option<Secret> {
    required.then(|| Secret::new(key.expose()))
}

pub(super) fn calls(settings: &Settings) -> CallsConfig {
    let given = &settings.calls;
    CallsConfig {
        shards: given.shards,
        limits: Limits {
            backlog_events: given.backlog_events,
            backlog_age: given.backlog,
            waiters: given.waiters,
            subscriptions: given.subscriptions,
            operations: given.operations,
            operation_patience: given.operation_timeout,
            operation_grace: given.operation_grace,
            timeline_events: given.timeline_events,
            remembered_events: given.remembered_events,
            tombstone: given.tombstone,
            silent: given.silent_after,
            verify_silent: settings.verify.silent,
            verify_max_age: settings.verify.max_age,
        },
        call_mailbox: given.call_mailbox,
        registry_mailbox: given.registry_mailbox,
        max_calls: given.max_calls,
        subscription_buffer: given.subscription_buffer,
    }
}

pub(super) fn routing(settings: &Settings, callback_url: &str) -> RoutingSettings {
    let given = &settings.incoming;
    RoutingSettings {
        ring_time: given.ring,
        memory: MemoryLimits { entries: given.remembered, ..MemoryLimits::default() },
        guard: GuardLimits {
            window: given.redirect_memory,
            max_hops: given.max_hops,
            max_repeats: given.max_repeats,
            ..GuardLimits::default()
        },
        mailbox: given.mailbox,
        acting: given.acting,
        records: given.records,
        assignments: settings.numbers.max_assignments,
        ..RoutingSettings::new(callback_url)
    }
}

/// Where number assignments are kept, and those that are in force.
pub(super) struct Numbers {
    pub(super) store: Arc<dyn NumberStore>,
    pub(super) table: Table,
    /// The store when it is a file, because that is to be closed.
    pub(super) file: Option<Arc<NumberFile>>,
}

/// The number assignments. The file in the settings fills a store that never had any.
pub(super) async fn numbers(settings: &Settings, clock: &dyn Clock) -> Result<Numbers, StartError> {
    let found = number_store(settings)?;
    let table = filled(settings, clock, found.store.as_ref(), found.table).await?;
    Ok(Numbers { table, ..found })
}

async fn filled(
    settings: &Settings,
    clock: &dyn Clock,
    store: &dyn NumberStore,
    table: Table,
) -> Result<Table, StartError> {
    let Some(file) = &settings.numbers.file else { return Ok(table) };
    if table.version() > 0 {
        let version = table.version();
        tracing::info!(version, "numbers.file is not read: the store has assignments of its own");
        return Ok(table);
    }
    let keys = table.difference(assignments(file)?);
    let limit = settings.numbers.max_assignments;
    if keys.len() > limit {
        return Err(bad("numbers.file", WriteError::Full { limit }));
    }
    if keys.is_empty() {
        return Ok(table);
    }
    let table = table.with(&keys).map_err(|error| bad("numbers.file", error))?;
    let (version, at, what) = (table.version(), clock.wall(), Changed::Loaded);
    let who = "numbers.file".into();
    let change = Change { version, at, what, who, why: None, keys };
    store.commit(Arc::new(change)).await.map_err(|error| bad("numbers.file", error))?;
    Ok(table)
}

fn number_store(settings: &Settings) -> Result<Numbers, StartError> {
    let given = &settings.store;
    if given.ephemeral {
        let store = MemoryNumbers::new(given.history);
        return Ok(Numbers { store, table: Table::default(), file: None });
    }
    let Some(folder) = &given.folder else {
        return Err(bad("store.folder", "name a folder, or set store.ephemeral"));
    };
    let (file, table) = NumberFile::open(&folder.join(numbers::FILE), given.history)?;
    let store = Arc::clone(&file) as Arc<dyn NumberStore>;
    Ok(Numbers { store, table, file: Some(file) })
}

/// The assignments of a file, all at version 1.
fn assignments(file: &Path) -> Result<Past, StartError> {
    let text = std::fs::read_to_string(file).map_err(|error| bad("numbers.file", error))?;
    let drafts: Vec<Draft> =
        serde_json::from_str(&text).map_err(|error| bad("numbers.file", error))?;
    let stored = drafts.into_iter().enumerate().map(|(place, mut draft)| {
        draft.version = Some(1);
        let stored = draft.into_stored().ok_or_else(|| {
            StartError::Setting(format!("numbers.file: assignment {place} names no key"))
        });
        stored.map(|(key, assignment)| (key, Some(Arc::new(assignment))))
    });
    stored.collect()
}

pub(super) fn tokens(settings: &Settings) -> Vec<Token> {
    let token = |given: &settings::Token| Token {
        name: given.name.clone(),
        role: match given.role {
            settings::Role::Read => Role::Read,
            settings::Role::Operate => Role::Operate,
            settings::Role::Admin => Role::Admin,
        },
        secret: given.secret.expose().to_owned(),
    };
    settings.private.tokens.iter().map(token).collect()
}

pub(super) fn config(settings: &Settings) -> Result<Box<RawValue>, StartError> {
    serde_json::value::to_raw_value(&settings.effective()).map_err(|error| bad("settings", error))
}

/// A journal; the file too, when it is one, because it is to be closed.
pub(super) type Opened = (Arc<dyn Journal>, Option<Arc<RedbJournal>>);

/// The journal that the settings name.
pub(super) fn journal(settings: &Settings) -> Result<Opened, StartError> {
    let config = JournalConfig {
        queue_lines: settings.store.queue_lines,
        queue_bytes: settings.store.queue_bytes,
        max_age: settings.store.max_age,
        max_bytes: settings.store.max_bytes,
        cache_bytes: settings.store.cache_bytes,
        ..JournalConfig::default()
    };
    let Some(folder) = settings.store.folder.as_ref().filter(|_| !settings.store.ephemeral) else {
        let journal = MemoryJournal::new(settings.journal.memory_bytes, config.new_life);
        return Ok((journal, None));
    };
    let file = RedbJournal::open(folder, config)?;
    Ok((Arc::clone(&file) as Arc<dyn Journal>, Some(file)))
}

/// Prometheus' own metrics of any process: its age, memory, processor time, open files.
#[cfg(target_os = "linux")]
fn process() -> impl Fn() + Send + Sync {
    let process = metrics_process::Collector::default();
    process.describe();
    move || process.collect()
}

#[cfg(not(target_os = "linux"))]
fn process() -> impl Fn() + Send + Sync {
    || ()
}

/// Installs the recorder once in the process; says how to render it.
pub(super) fn metrics() -> Box<dyn Fn() -> String + Send + Sync> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let handle = HANDLE.get_or_init(crate::observability::install).clone();
    let upkeep = handle.clone();
    actix::spawn(async move {
        let mut every = tokio::time::interval(UPKEEP);
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    let measure_process = process();
    Box::new(move || {
        measure_process();
        handle.render()
    })
}
