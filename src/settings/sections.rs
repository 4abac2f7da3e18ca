//! The sections of the configuration as plain types, read and range-checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::Secret;
use super::reader::{HOUR, Reader};

/// The listener that faces the internet.
#[derive(Clone, Debug)]
pub struct Public {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its URL as Azure sees it, without a slash at the end; empty when not known yet.
    pub base_url: String,
    /// Connections beyond this wait to be accepted.
    pub max_connections: usize,
    /// How long a client may take for the head of its request.
    pub client_timeout: Duration,
}

/// The listener for your own people and programs.
#[derive(Clone, Debug)]
pub struct Private {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may come in; empty only on loopback.
    pub tokens: Vec<Token>,
    /// The chain of its certificate, PEM; with it and its key it serves https, and no http.
    pub tls_cert_file: Option<PathBuf>,
    /// The private key of that certificate, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Larger bodies are refused.
    pub max_body_bytes: usize,
}

/// One accepted bearer token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who uses it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The token itself.
    pub secret: Secret,
}

/// What a token may do. Each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Read,
    /// Wait, and change number assignments.
    Operate,
    /// Act on live calls.
    Admin,
}

impl FromStr for Role {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read" => Ok(Self::Read),
            "operate" => Ok(Self::Operate),
            "admin" => Ok(Self::Admin),
            _ => Err("\"read\", \"operate\" or \"admin\""),
        }
    }
}

/// Event Grid's deliveries.
#[derive(Clone, Debug)]
pub struct EventGrid {
    /// What deliveries must carry.
    pub key: Secret,
    /// Whether they must.
    pub require_key: bool,
    /// Accepted subscription names; empty accepts any.
    pub subscriptions: Vec<String>,
    /// Larger deliveries are refused.
    pub max_body_bytes: usize,
    /// Deliveries with more events are refused.
    pub max_events: usize,
}

/// Mid-call callbacks.
#[derive(Clone, Debug)]
pub struct Callbacks {
    /// What callbacks must carry.
    pub key: Secret,
    /// Whether they must.
    pub require_key: bool,
    /// Whether they must carry Azure's signed token.
    pub require_jwt: bool,
    /// Who signs.
    pub issuer: String,
    /// For whom.
    pub audience: String,
    /// Where the keys are announced.
    pub openid_url: String,
    /// How far the clocks may differ.
    pub clock_skew: Duration,
    /// Larger callbacks are refused.
    pub max_body_bytes: usize,
    /// Callbacks with more events are refused.
    pub max_events: usize,
}

/// The way to the call service for official SDKs.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The key with which callers sign, base64; empty lets only bearers in.
    pub access_key: Secret,
    /// How far the clocks of callers may be off.
    pub clock_skew: Duration,
    /// Larger bodies are refused.
    pub max_body_bytes: usize,
    /// So many requests in a row without an answer, and the next are turned away for a while.
    pub breaker_failures: u32,
    /// For how long.
    pub breaker_pause: Duration,
}

/// Events for the URLs of the gateway's callers.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Time of one attempt.
    pub request_timeout: Duration,
    /// The pause after the first attempt, doubled for each one that follows.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// After so long an event is given up.
    pub give_up_after: Duration,
    /// Events that may be on their way.
    pub pending: usize,
    /// Events that are posted at the same time.
    pub at_once: usize,
    /// Events given up that are kept.
    pub dead_letters: usize,
    /// Whether link-local addresses may be posted to.
    pub allow_link_local: bool,
}

/// The Communication Services resource.
#[derive(Clone, Debug)]
pub struct Azure {
    /// Endpoint and access key.
    pub connection_string: Secret,
    /// What speaks and understands; empty for none.
    pub cognitive_services_endpoint: String,
    /// Time of one attempt.
    pub request_timeout: Duration,
    /// Attempts of one request, the first included.
    pub max_attempts: u32,
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
}

/// Live calls and their limits.
#[derive(Clone, Debug)]
pub struct Calls {
    /// Registry shards; 0 for one for every two cores.
    pub shards: usize,
    /// Timeout of a wait that names none.
    pub wait_timeout: Duration,
    /// The longest timeout.
    pub max_wait: Duration,
    /// How long early events are kept.
    pub backlog: Duration,
    /// How many of them per call.
    pub backlog_events: usize,
    /// How long an ended call still answers.
    pub tombstone: Duration,
    /// When a silent call is given up.
    pub silent_after: Duration,
    /// Live calls at once.
    pub max_calls: usize,
    /// Waits of one call at once.
    pub waiters: usize,
    /// Subscriptions of one call at once.
    pub subscriptions: usize,
    /// Operations of one call whose outcome is kept.
    pub operations: usize,
    /// When an operation of which nothing was heard has timed out.
    pub operation_timeout: Duration,
    /// For how long no failure must come of an operation that only reports failure.
    pub operation_grace: Duration,
    /// Events that a subscriber may fall behind.
    pub subscription_buffer: usize,
    /// Lines of a call's timeline.
    pub timeline_events: usize,
    /// Event ids remembered per call.
    pub remembered_events: usize,
    /// Messages that may queue at a call.
    pub call_mailbox: usize,
    /// Messages that may queue at a shard of the registry.
    pub registry_mailbox: usize,
}

/// Ringing calls.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// How long a phone rings.
    pub ring: Duration,
    /// Redirects that are followed.
    pub max_hops: usize,
    /// Redirects of one caller to one target within that memory.
    pub max_repeats: usize,
    /// For how long redirects are remembered.
    pub redirect_memory: Duration,
    /// Messages that may queue at the routing actor.
    pub mailbox: usize,
    /// Decided calls remembered.
    pub remembered: usize,
    /// Calls acted on at once.
    pub acting: usize,
    /// Decisions kept for people.
    pub records: usize,
}

/// Where everything is kept that must survive.
#[derive(Clone, Debug)]
pub struct Store {
    /// Folder of both files.
    pub folder: Option<PathBuf>,
    /// Memory only.
    pub ephemeral: bool,
    /// How long the journal keeps lines.
    pub max_age: Duration,
    /// How many bytes of lines it keeps.
    pub max_bytes: u64,
    /// Lines that may wait to be written.
    pub queue_lines: usize,
    /// Their bytes.
    pub queue_bytes: usize,
    /// Memory for reading it back.
    pub cache_bytes: usize,
    /// Lines between two rounds of snapshots.
    pub snapshot_lines: u64,
    /// Changes of number assignments that are kept.
    pub history: usize,
}

/// Asking Azure whether a call still lives.
#[derive(Clone, Debug)]
pub struct Verify {
    /// Questions a second.
    pub per_second: u32,
    /// Silence after which a call is asked about.
    pub silent: Duration,
    /// Age after which a call is asked about.
    pub max_age: Duration,
}

/// The record of what came in.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Memory it may take.
    pub memory_bytes: usize,
}

/// Number assignments.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// JSON assignments loaded at start.
    pub file: Option<PathBuf>,
    /// Assignments that there may be.
    pub max_assignments: usize,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct Log {
    /// For people or machines.
    pub format: LogFormat,
    /// A level or directives.
    pub level: String,
}

/// For people or machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("\"auto\", \"text\" or \"json\""),
        }
    }
}

/// Stopping.
#[derive(Clone, Debug)]
pub struct Drain {
    /// How long live waits may take to finish.
    pub timeout: Duration,
}

/// The pretend Azure.
#[derive(Clone, Debug)]
pub struct Emulator {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its access key, base64.
    pub access_key: Secret,
    /// Seconds in each real one.
    pub speed: u32,
    /// Who answers and how, a TOML file.
    pub phones: Option<PathBuf>,
    /// Event Grid subscriptions that exist from the start, each as JSON; their URLs may hold keys.
    pub subscriptions: Vec<Secret>,
    /// Whether time passes only on request.
    pub manual_clock: bool,
    /// How bearer tokens begin that pass; empty refuses all.
    pub bearer_prefix: String,
    /// Whether it serves https.
    pub tls: bool,
    /// Where its certificate authority is kept.
    pub tls_folder: Option<PathBuf>,
    /// Names beside loopback that its certificate is for.
    pub tls_names: Vec<String>,
    /// Authorities that it trusts when it posts to https, PEM.
    pub trust_ca_file: Option<PathBuf>,
}

const MIB: u64 = 1 << 20;
const MANY: u64 = 100_000_000;

impl Public {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            listen: from.address("public.listen"),
            base_url: from.url("public.base_url"),
            max_connections: from.count("public.max_connections", 1..=1_000_000),
            client_timeout: from.time("public.client_timeout_ms", 100..=600_000),
        }
    }
}

impl Private {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            listen: from.address("private.listen"),
            tokens: from.tokens("private.tokens"),
            tls_cert_file: from.path("private.tls_cert_file"),
            tls_key_file: from.path("private.tls_key_file"),
            max_body_bytes: from.count("private.max_body_bytes", 1024..=64 * MIB),
        }
    }
}

impl EventGrid {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            key: from.strong_secret("event_grid.key"),
            require_key: from.flag("event_grid.require_key"),
            subscriptions: from.texts("event_grid.subscriptions"),
            max_body_bytes: from.count("event_grid.max_body_bytes", 1024..=64 * MIB),
            max_events: from.count("event_grid.max_events", 1..=100_000),
        }
    }
}

impl Callbacks {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            key: from.strong_secret("callbacks.key"),
            require_key: from.flag("callbacks.require_key"),
            require_jwt: from.flag("callbacks.require_jwt"),
            issuer: from.text("callbacks.issuer"),
            audience: from.text("callbacks.audience"),
            openid_url: from.url("callbacks.openid_url"),
            clock_skew: from.time("callbacks.clock_skew_ms", 0..=600_000),
            max_body_bytes: from.count("callbacks.max_body_bytes", 1024..=64 * MIB),
            max_events: from.count("callbacks.max_events", 1..=100_000),
        }
    }
}

impl Azure {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let attempts = from.number("azure.max_attempts", 1..=20);
        Self {
            connection_string: from.secret("azure.connection_string"),
            cognitive_services_endpoint: from.url("azure.cognitive_services_endpoint"),
            request_timeout: from.time("azure.request_timeout_ms", 100..=600_000),
            max_attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            ca_file: from.path("azure.ca_file"),
        }
    }
}

impl Gateway {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let failures = from.number("gateway.breaker_failures", 1..=10_000);
        Self {
            access_key: from.secret("gateway.access_key"),
            clock_skew: from.time("gateway.clock_skew_ms", 0..=24 * HOUR),
            max_body_bytes: from.count("gateway.max_body_bytes", 1024..=64 << 20),
            breaker_failures: u32::try_from(failures).unwrap_or(u32::MAX),
            breaker_pause: from.time("gateway.breaker_pause_ms", 1..=HOUR),
        }
    }
}

impl Forward {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            request_timeout: from.time("forward.request_timeout_ms", 100..=600_000),
            first_pause: from.time("forward.first_pause_ms", 1..=HOUR),
            longest_pause: from.time("forward.longest_pause_ms", 1..=24 * HOUR),
            give_up_after: from.time("forward.give_up_after_ms", 1..=7 * 24 * HOUR),
            pending: from.count("forward.pending", 1..=10_000_000),
            at_once: from.count("forward.at_once", 1..=10_000),
            dead_letters: from.count("forward.dead_letters", 1..=1_000_000),
            allow_link_local: from.flag("forward.allow_link_local"),
        }
    }
}

impl Calls {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            shards: from.count("calls.shards", 0..=1024),
            wait_timeout: from.time("calls.wait_timeout_ms", 1..=24 * HOUR),
            max_wait: from.time("calls.max_wait_ms", 1..=24 * HOUR),
            backlog: from.time("calls.backlog_ms", 0..=HOUR),
            backlog_events: from.count("calls.backlog_events", 1..=100_000),
            tombstone: from.time("calls.tombstone_ms", 0..=24 * HOUR),
            silent_after: from.time("calls.silent_after_ms", 60_000..=30 * 24 * HOUR),
            max_calls: from.count("calls.max_calls", 1..=MANY),
            waiters: from.count("calls.waiters", 1..=100_000),
            subscriptions: from.count("calls.subscriptions", 1..=100_000),
            operations: from.count("calls.operations", 1..=100_000),
            operation_timeout: from.time("calls.operation_timeout_ms", 1..=24 * HOUR),
            operation_grace: from.time("calls.operation_grace_ms", 0..=HOUR),
            subscription_buffer: from.count("calls.subscription_buffer", 1..=100_000),
            timeline_events: from.count("calls.timeline_events", 1..=1_000_000),
            remembered_events: from.count("calls.remembered_events", 2..=1_000_000),
            call_mailbox: from.count("calls.call_mailbox", 1..=1_000_000),
            registry_mailbox: from.count("calls.registry_mailbox", 1..=10_000_000),
        }
    }
}

impl Incoming {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            ring: from.time("incoming.ring_ms", 1000..=600_000),
            max_hops: from.count("incoming.max_hops", 1..=100),
            max_repeats: from.count("incoming.max_repeats", 1..=1000),
            redirect_memory: from.time("incoming.redirect_memory_ms", 1000..=HOUR),
            mailbox: from.count("incoming.mailbox", 1..=1_000_000),
            remembered: from.count("incoming.remembered", 1..=MANY),
            acting: from.count("incoming.acting", 1..=1_000_000),
            records: from.count("incoming.records", 1..=100_000),
        }
    }
}

impl Journal {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self { memory_bytes: from.count("journal.memory_bytes", MIB..=1024 * 1024 * MIB) }
    }
}

impl Store {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            folder: from.path("store.folder"),
            ephemeral: from.flag("store.ephemeral"),
            max_age: from.time("store.max_age_ms", 60_000..=10 * 365 * 24 * HOUR),
            max_bytes: from.number("store.max_bytes", MIB..=1024 * 1024 * MIB),
            queue_lines: from.count("store.queue_lines", 1..=MANY),
            queue_bytes: from.count("store.queue_bytes", MIB..=64 * 1024 * MIB),
            cache_bytes: from.count("store.cache_bytes", MIB..=64 * 1024 * MIB),
            snapshot_lines: from.number("store.snapshot_lines", 1..=MANY),
            history: from.count("store.history", 1..=MANY),
        }
    }
}

impl Verify {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            per_second: u32::try_from(from.number("verify.per_second", 1..=10_000)).unwrap_or(1),
            silent: from.time("verify.silent_ms", 1000..=30 * 24 * HOUR),
            max_age: from.time("verify.max_age_ms", 60_000..=365 * 24 * HOUR),
        }
    }
}

impl Numbers {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self {
            file: from.path("numbers.file"),
            max_assignments: from.count("numbers.max_assignments", 1..=MANY),
        }
    }
}

impl Log {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self { format: from.choice("log.format"), level: from.text("log.level") }
    }
}

impl Drain {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self { timeout: from.time("drain.timeout_ms", 0..=HOUR) }
    }
}

impl Emulator {
    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let speed = from.number("emulator.speed", 1..=10_000);
        Self {
            listen: from.address("emulator.listen"),
            access_key: from.secret("emulator.access_key"),
            speed: u32::try_from(speed).unwrap_or(1),
            phones: from.path("emulator.phones"),
            subscriptions: from.tables_as_json("emulator.subscriptions"),
            manual_clock: from.flag("emulator.manual_clock"),
            bearer_prefix: from.text("emulator.bearer_prefix"),
            tls: from.flag("emulator.tls"),
            tls_folder: from.path("emulator.tls_folder"),
            tls_names: from.texts("emulator.tls_names"),
            trust_ca_file: from.path("emulator.trust_ca_file"),
        }
    }
}
