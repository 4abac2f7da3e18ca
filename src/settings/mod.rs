//! Reading, checking and explaining configuration.
//!
//! The default file is compiled in and *is* the defaults. Your file, the environment and flags lie on
//! top of it. Unknown keys are refused, every problem is told at once, secrets show as `***`. Reads
//! files; never opens a socket.

mod check;
mod layers;
mod problems;
mod reader;
mod secret;
mod sections;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use layers::{DEFAULTS, ENV_PREFIX, Flag, Given, Others};
pub use problems::{Problem, Problems};
pub use secret::Secret;
pub use sections::{
    Azure, Callbacks, Calls, Drain, Emulator, EventGrid, Forward, Gateway, Incoming, Journal, Log,
    LogFormat, Numbers, Private, Public, Role, Store, Token, Verify,
};

use layers::{Flat, Leaf};
use reader::Reader;

/// Keys whose values never show.
const SECRETS: &[&str] = &[
    "event_grid.key",
    "callbacks.key",
    "azure.connection_string",
    "gateway.access_key",
    "emulator.access_key",
];

/// What the settings are for: a service needs more of them than a look at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A service that talks to Azure: everything must be there.
    Serve,
    /// Something that brings its own Azure, or merely looks.
    Local,
}

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The listener that faces the internet.
    pub public: Public,
    /// The listener for your own people and programs.
    pub private: Private,
    /// Event Grid's deliveries.
    pub event_grid: EventGrid,
    /// Mid-call callbacks.
    pub callbacks: Callbacks,
    /// The Communication Services resource.
    pub azure: Azure,
    /// The way to it for official SDKs.
    pub gateway: Gateway,
    /// Events for the URLs of the gateway's callers.
    pub forward: Forward,
    /// Live calls.
    pub calls: Calls,
    /// Ringing calls.
    pub incoming: Incoming,
    /// The record of what came in.
    pub journal: Journal,
    /// Where everything is kept that must survive.
    pub store: Store,
    /// Asking Azure whether a call still lives.
    pub verify: Verify,
    /// Number assignments.
    pub numbers: Numbers,
    /// How to log.
    pub log: Log,
    /// Stopping.
    pub drain: Drain,
    /// The pretend Azure.
    pub emulator: Emulator,
    /// What somebody set of the settings that have a table of their own ([`Given::others`]), by
    /// `section.table.key`.
    pub others: Vec<(String, toml::Value)>,
    effective: Vec<Effective>,
}

/// One setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// `section.key`.
    pub key: String,
    /// As TOML; `***` for a secret.
    pub value: String,
    /// `default`, a file, `environment NAME` or `flag --NAME`.
    pub origin: String,
}

impl Settings {
    /// Reads all layers and checks them.
    ///
    /// # Errors
    /// Every problem there is, at once.
    pub fn load(given: &Given, purpose: Purpose) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut flat = layers::read(given, &mut problems);
        let own = given.others.defaults.map(|table| table()).unwrap_or_default();
        let mut reader = Reader::new(&mut flat, &mut problems, given.file.as_deref());
        let mut settings = Self::read(&mut reader);
        check::across(&settings, purpose, &mut reader);
        settings.others = reader.others(&own, given.others.check);
        settings.effective = effective(&flat);
        if problems.0.is_empty() { Ok(settings) } else { Err(problems) }
    }

    fn read(from: &mut Reader<'_>) -> Self {
        Self {
            public: Public::read(from),
            private: Private::read(from),
            event_grid: EventGrid::read(from),
            callbacks: Callbacks::read(from),
            azure: Azure::read(from),
            gateway: Gateway::read(from),
            forward: Forward::read(from),
            calls: Calls::read(from),
            incoming: Incoming::read(from),
            journal: Journal::read(from),
            store: Store::read(from),
            verify: Verify::read(from),
            numbers: Numbers::read(from),
            log: Log::read(from),
            drain: Drain::read(from),
            emulator: Emulator::read(from),
            others: Vec::new(),
            effective: Vec::new(),
        }
    }

    /// What is in force and who set it, in order of the keys, secrets masked.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// What is allowed and still worth a loud word at every start.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }

    /// Where Azure sends mid-call events, the secret included; `None` while no base URL is known.
    pub fn callback_url(&self) -> Option<Secret> {
        self.webhook("calls", &self.callbacks.key)
    }

    /// Where Event Grid sends its deliveries, the secret included; `None` while no base URL is known.
    pub fn event_grid_url(&self) -> Option<Secret> {
        self.webhook("eventgrid", &self.event_grid.key)
    }

    fn webhook(&self, door: &str, key: &Secret) -> Option<Secret> {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let base = (!self.public.base_url.is_empty()).then_some(&self.public.base_url)?;
        let url = format!("{base}/webhooks/{door}");
        if key.is_empty() {
            return Some(Secret::new(url));
        }
        let key = utf8_percent_encode(key.expose(), NON_ALPHANUMERIC);
        Some(Secret::new(format!("{url}?key={key}")))
    }
}

fn effective(flat: &Flat) -> Vec<Effective> {
    let line = |(key, leaf): (&String, &Leaf)| Effective {
        key: key.clone(),
        value: shown(key, &leaf.value),
        origin: if leaf.origin.is_empty() { "default".to_owned() } else { leaf.origin.clone() },
    };
    flat.iter().map(line).collect()
}

/// Hides the headers of subscriptions and the queries of their URLs.
fn mask_subscriptions(value: &mut toml::Value) {
    let hidden = || toml::Value::String("***".to_owned());
    for table in value.as_array_mut().into_iter().flatten().filter_map(toml::Value::as_table_mut) {
        for name in ["headers", "delivery_headers"] {
            if let Some(headers) = table.get_mut(name) {
                *headers = hidden();
            }
        }
        match table.get_mut("endpoint") {
            Some(toml::Value::String(url)) => {
                if let Some((before, _)) = url.split_once(['?', '#']) {
                    *url = format!("{before}?***");
                }
            }
            Some(other) => *other = hidden(),
            None => {}
        }
    }
}

/// A value as TOML; what is secret in it, masked.
fn shown(key: &str, value: &toml::Value) -> String {
    if SECRETS.contains(&key) && value.as_str().is_some_and(|text| !text.is_empty()) {
        return "***".to_owned();
    }
    let mut value = value.clone();
    if key == layers::SUBSCRIPTIONS {
        mask_subscriptions(&mut value);
    }
    if let Some(items) = value.as_array_mut() {
        for secret in items.iter_mut().filter_map(|item| item.get_mut("secret")) {
            *secret = toml::Value::String("***".to_owned());
        }
    }
    value.to_string()
}
