//! What Event Grid can be told: subscriptions, and every behaviour of it that Azure does not document.
//!
//! Owns plain data, its defaults, and what is wrong with a subscription. Durations are virtual unless
//! their text says otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audio::is_web_address;
use crate::pure::filter::Filter;

/// Most delivery headers of one subscription (Event Grid's limit).
const MOST_HEADERS: usize = 10;
/// Most bytes of one header's value (Event Grid's limit).
pub const MOST_HEADER_BYTES: usize = 4096;
/// Longest name of a subscription (Event Grid's limit).
const LONGEST_NAME: usize = 64;
/// How many kilobytes a batch should have when the subscription does not say (Event Grid's default).
const USUAL_BATCH_KILOBYTES: u32 = 64;

/// In which shape a subscription wants its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Schema {
    /// Event Grid's own, always in an array.
    #[default]
    #[serde(alias = "EventGridSchema")]
    EventGrid,
    /// CloudEvents 1.0: one object, or an array when batching is on.
    #[serde(alias = "CloudEventSchemaV1_0")]
    CloudEvents,
}

/// A header that deliveries carry beside Event Grid's own: of a fixed value, or taken from the event.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryHeader {
    /// The header's name.
    pub name: String,
    /// A fixed value.
    pub value: Option<String>,
    /// Where in the event the value stands, such as `data.to.rawId`. An event without it goes without
    /// the header.
    #[serde(alias = "sourceField")]
    pub path: Option<String>,
    /// Whether the value is hidden when the subscription is read.
    #[serde(alias = "isSecret")]
    pub secret: bool,
}

/// An Event Grid subscription as it is asked for. In TOML the names may be written with underscores.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Subscription {
    /// Its name; taken from the path when it is created over HTTP.
    pub name: String,
    /// Where the events go, secrets in the query included.
    pub endpoint: String,
    /// In which shape.
    pub schema: Schema,
    /// Fixed headers, name to value: short for secret `delivery_headers`.
    pub headers: BTreeMap<String, String>,
    /// Headers of every delivery; at most ten, those in `headers` included.
    #[serde(alias = "delivery_headers")]
    pub delivery_headers: Vec<DeliveryHeader>,
    /// Full names of the types that it wants; empty means all.
    #[serde(alias = "included_event_types")]
    pub included_event_types: Vec<String>,
    /// How the subject must begin; empty fits all.
    #[serde(alias = "subject_begins_with")]
    pub subject_begins_with: String,
    /// How the subject must end; empty fits all.
    #[serde(alias = "subject_ends_with")]
    pub subject_ends_with: String,
    /// Whether the case of the subject matters.
    #[serde(alias = "is_subject_case_sensitive")]
    pub is_subject_case_sensitive: bool,
    /// `{operatorType, key, value|values}`, at most 25, which must all hold.
    #[serde(alias = "advanced_filters")]
    pub advanced_filters: Vec<Value>,
    /// Whether advanced filters look into arrays.
    #[serde(alias = "enable_advanced_filtering_on_arrays")]
    pub enable_advanced_filtering_on_arrays: bool,
    /// Attempts per event, the first included: 1 to 30. Absent: [`GridBehaviour::max_attempts`].
    #[serde(alias = "max_delivery_attempts")]
    pub max_delivery_attempts: Option<u32>,
    /// 1 to 1440 minutes. Absent: [`GridBehaviour::time_to_live`].
    #[serde(alias = "event_time_to_live_in_minutes")]
    pub event_time_to_live_in_minutes: Option<u32>,
    /// 1 to 5000; more than 1 turns batching on.
    #[serde(alias = "max_events_per_batch")]
    pub max_events_per_batch: Option<u32>,
    /// 1 to 1024. A batch is closed before it grows beyond this; a larger event goes alone.
    #[serde(alias = "preferred_batch_size_in_kilobytes")]
    pub preferred_batch_size_in_kilobytes: Option<u32>,
    /// Whether undeliverable events are kept. Azure needs a blob container for it and drops them by
    /// default; the emulator has room and keeps them.
    #[serde(alias = "dead_letter")]
    pub dead_letter: bool,
}

impl Default for Subscription {
    fn default() -> Self {
        Self {
            name: String::new(),
            endpoint: String::new(),
            schema: Schema::default(),
            headers: BTreeMap::new(),
            delivery_headers: Vec::new(),
            included_event_types: Vec::new(),
            subject_begins_with: String::new(),
            subject_ends_with: String::new(),
            is_subject_case_sensitive: false,
            advanced_filters: Vec::new(),
            enable_advanced_filtering_on_arrays: false,
            max_delivery_attempts: None,
            event_time_to_live_in_minutes: None,
            max_events_per_batch: None,
            preferred_batch_size_in_kilobytes: None,
            dead_letter: true,
        }
    }
}

impl fmt::Debug for Subscription {
    /// Endpoint, headers and filters may carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({}, {:?})", self.name, self.schema)
    }
}

impl Subscription {
    /// Reads the subscriptions of the settings, each of them JSON.
    ///
    /// # Errors
    /// Which of them cannot be read. What stands there is not repeated: it may be a secret.
    pub fn read_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, String> {
        let read = |(index, text)| {
            serde_json::from_str(text).map_err(|_| {
                format!("emulator.subscriptions[{index}] holds a value of the wrong type; config/default.toml says what belongs there")
            })
        };
        texts.into_iter().enumerate().map(read).collect()
    }

    /// Checks everything that it says, and reads its filter.
    ///
    /// # Errors
    /// The first thing that is wrong and what to do about it; values are not repeated.
    pub fn check(&self) -> Result<Filter, String> {
        let of_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let fits = (1..=LONGEST_NAME).contains(&self.name.len());
        if !fits || !self.name.chars().all(of_name) {
            return Err("The name of an event subscription has 1 to 64 letters, digits, hyphens, underscores or dots.".to_owned());
        }
        if !is_web_address(&self.endpoint, false) {
            return Err("The field endpoint must be an absolute http or https URL.".to_owned());
        }
        self.check_headers()?;
        for (member, value, most) in [
            ("maxDeliveryAttempts", self.max_delivery_attempts, 30),
            ("eventTimeToLiveInMinutes", self.event_time_to_live_in_minutes, 1440),
            ("maxEventsPerBatch", self.max_events_per_batch, 5000),
            ("preferredBatchSizeInKilobytes", self.preferred_batch_size_in_kilobytes, 1024),
        ] {
            if value.is_some_and(|value| !(1..=most).contains(&value)) {
                return Err(format!("The field {member} must be between 1 and {most}."));
            }
        }
        let filter = json!({
            "includedEventTypes": self.included_event_types,
            "subjectBeginsWith": self.subject_begins_with,
            "subjectEndsWith": self.subject_ends_with,
            "isSubjectCaseSensitive": self.is_subject_case_sensitive,
            "advancedFilters": self.advanced_filters,
            "enableAdvancedFilteringOnArrays": self.enable_advanced_filtering_on_arrays,
        });
        Filter::parse(&filter).map_err(|error| format!("The filter cannot be used: {error}."))
    }

    fn check_headers(&self) -> Result<(), String> {
        /// What belongs to HTTP or to Event Grid itself.
        const TAKEN: [&str; 6] = [
            "host",
            "connection",
            "content-length",
            "content-type",
            "transfer-encoding",
            "webhook-request-origin",
        ];
        let headers = self.all_headers();
        if headers.len() > MOST_HEADERS {
            return Err(format!("At most {MOST_HEADERS} delivery headers are allowed."));
        }
        for (index, header) in headers.iter().enumerate() {
            let name = header.name.to_ascii_lowercase();
            if !is_header_name(&name) || name.starts_with("aeg-") || TAKEN.contains(&&*name) {
                return Err(format!(
                    "Delivery header {index} needs a name of letters, digits and hyphens that is not one of Event Grid's own."
                ));
            }
            match (&header.value, &header.path) {
                (Some(value), None) if is_header_value(value) => {}
                (None, Some(path)) if !path.is_empty() => {}
                _ => {
                    return Err(format!(
                        "Delivery header {index} needs either a value of at most {MOST_HEADER_BYTES} visible ASCII characters, or a path into the event such as data.to.rawId."
                    ));
                }
            }
        }
        Ok(())
    }

    /// The headers of both kinds of notation.
    pub fn all_headers(&self) -> Vec<DeliveryHeader> {
        let short = self.headers.iter().map(|(name, value)| DeliveryHeader {
            name: name.clone(),
            value: Some(value.clone()),
            path: None,
            secret: true,
        });
        short.chain(self.delivery_headers.iter().cloned()).collect()
    }

    /// Whether several events may go in one request.
    pub fn batches(&self) -> bool {
        self.max_events_per_batch.is_some_and(|most| most > 1)
    }

    /// Most events of one request, and the bytes that it should not exceed.
    pub fn batch_bounds(&self) -> (usize, usize) {
        let kilobytes = self.preferred_batch_size_in_kilobytes.unwrap_or(USUAL_BATCH_KILOBYTES);
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        (size(self.max_events_per_batch.unwrap_or(1)), size(kilobytes).saturating_mul(1024))
    }
}

/// A token as HTTP defines it, in lower case.
fn is_header_name(name: &str) -> bool {
    let of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.len() <= 256 && name.chars().all(of_token)
}

/// Whether a text can be a header's value.
pub fn is_header_value(value: &str) -> bool {
    let visible = |c: char| c == ' ' || c.is_ascii_graphic();
    value.len() <= MOST_HEADER_BYTES && value.chars().all(visible)
}

/// Which header names the sender of a CloudEvents delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOrigin {
    /// `WebHook-Request-Origin`, as CloudEvents 1.0.2 has it.
    WebHookRequestOrigin,
    /// `Origin`, as Microsoft's copy of that text has it.
    Origin,
    /// None at all.
    Neither,
}

/// How the Event Grid side behaves.
#[derive(Clone, Debug)]
pub struct GridBehaviour {
    /// Attempts per event, the first included, when the subscription does not say. Azure's default is
    /// 30; for ringing telephones its own guide advises 2.
    pub max_attempts: u32,
    /// After this an event is not tried again; looked at only when an attempt is due. Azure's default
    /// is a day; for ringing telephones its own guide advises a minute.
    pub time_to_live: Duration,
    /// Whether calls of VoIP users raise `CallStarted`, `CallEnded` and who comes and goes.
    pub call_events: bool,
    /// Real time after which a receiver that does not answer is given up.
    pub deadline: Duration,
    /// Pauses after the first, second, … attempt; the last one is repeated.
    pub retry_steps: Vec<Duration>,
    /// Up to so much of a pause is added to it, drawn by the seed: 0.1 is a tenth.
    pub jitter: f64,
    /// Least pause after a 401; `None` gives up. The documentation's other table has five minutes.
    pub unauthorized_pause: Option<Duration>,
    /// Least pause after a 403; `None` gives up. An older page has five minutes.
    pub forbidden_pause: Option<Duration>,
    /// Least pause after a 404. Five minutes is said of Azure's own endpoints only.
    pub not_found_pause: Duration,
    /// Whether a failing endpoint is left alone for a while: 10 s when it is busy or slow, 30 s when it
    /// cannot be reached, 5 min when it is missing or refuses. Azure does so, roughly.
    pub probation: bool,
    /// `aeg-delivery-count` of the first attempt.
    pub first_delivery_count: u32,
    /// Whether `aeg-subscription-name` is written in capitals.
    pub capital_names: bool,
    /// What `WebHook-Request-Origin` says.
    pub origin: String,
    /// What `WebHook-Request-Rate` asks for, events per minute; `None` does not ask.
    pub request_rate: Option<u32>,
    /// Whether consent needs `WebHook-Allowed-Rate` when a rate was asked for, as CloudEvents demands.
    pub rate_consent_required: bool,
    /// Which header names the sender of CloudEvents deliveries.
    pub delivery_origin: DeliveryOrigin,
    /// How long a handshake is tried again, or waits for somebody to open the validation URL.
    pub handshake_patience: Duration,
    /// First pause between two handshakes; it doubles up to five seconds.
    pub handshake_pause: Duration,
    /// `dataVersion` of the validation event; "2" was seen, too.
    pub validation_data_version: String,
    /// Whether the validation event's `topic` names the whole resource and not just the Azure
    /// subscription (`/subscriptions/{id}`). The sample and the description disagree.
    pub validation_names_resource: bool,
    /// Whether an updated subscription goes on delivering in its old form during the new handshake.
    pub update_keeps_delivering: bool,
    /// Whether an endpoint is told that its subscription was deleted.
    pub deletion_told: bool,
    /// How long after its last attempt an event is dead-lettered. Azure: five minutes.
    pub dead_letter_delay: Duration,
    /// Whether an event without the key passes `NumberNotInRange`.
    pub not_in_range_without_key: bool,
}

impl Default for GridBehaviour {
    fn default() -> Self {
        Self {
            max_attempts: 2,
            time_to_live: Duration::from_secs(60),
            call_events: true,
            deadline: Duration::from_secs(30),
            retry_steps: RETRY_SECONDS.map(Duration::from_secs).to_vec(),
            jitter: 0.0,
            unauthorized_pause: None,
            forbidden_pause: None,
            not_found_pause: Duration::from_secs(300),
            probation: false,
            first_delivery_count: 0,
            capital_names: true,
            origin: "eventgrid.azure.net".to_owned(),
            request_rate: Some(120),
            rate_consent_required: false,
            delivery_origin: DeliveryOrigin::WebHookRequestOrigin,
            handshake_patience: Duration::from_secs(600),
            handshake_pause: Duration::from_millis(250),
            validation_data_version: "1".to_owned(),
            validation_names_resource: true,
            update_keeps_delivering: true,
            deletion_told: true,
            dead_letter_delay: Duration::ZERO,
            not_in_range_without_key: false,
        }
    }
}

/// Event Grid's schedule: 10 s, 30 s, 1, 5, 10, 30 min, 1, 3, 6 h, and then every 12 h.
const RETRY_SECONDS: [u64; 10] = [10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600];
