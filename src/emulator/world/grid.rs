//! Event Grid subscriptions and their handshake: nothing is delivered to an endpoint that has not
//! agreed to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::events::seven_digits;
use super::grid_delivery::GridDelivery;
use super::postbox::without_query;
use super::{Due, Effect, Job, Outcome, Refusal, World};
use crate::emulator::audio::is_web_address;
use crate::emulator::config::{Schema, Subscription};
use crate::wire::calling::segment;

/// Everything of Event Grid.
pub(super) struct GridState {
    base_url: String,
    subscriptions: BTreeMap<String, Subscribed>,
    lives: u64,
    pub(super) deliveries: BTreeMap<u64, GridDelivery>,
    pub(super) delivery_count: u64,
    pub(super) dead_letters: VecDeque<Value>,
}

/// A subscription and how far its handshake has come.
pub(super) struct Subscribed {
    pub wanted: Subscription,
    standing: Standing,
    /// Tells apart two subscriptions that had the same name.
    life: u64,
    code: String,
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Validating,
    AwaitingManualAction,
    Succeeded,
    Failed,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Validating => "Creating",
            Self::AwaitingManualAction => "AwaitingManualAction",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

impl GridState {
    pub fn new(base_url: String) -> Self {
        Self {
            base_url,
            subscriptions: BTreeMap::new(),
            lives: 0,
            deliveries: BTreeMap::new(),
            delivery_count: 0,
            dead_letters: VecDeque::new(),
        }
    }

    /// The subscriptions as they are, without what is under way.
    pub fn without_events(&mut self) -> Self {
        let mut fresh = Self::new(std::mem::take(&mut self.base_url));
        fresh.subscriptions = std::mem::take(&mut self.subscriptions);
        fresh.lives = self.lives;
        fresh.delivery_count = self.delivery_count;
        fresh
    }

    /// The validated subscriptions that want events of a type.
    pub fn takers(&self, kind: &str) -> Vec<String> {
        let takes = |found: &&Subscribed| {
            let types = &found.wanted.included_event_types;
            let wanted = types.is_empty() || types.iter().any(|t| t.eq_ignore_ascii_case(kind));
            found.standing == Standing::Succeeded && wanted
        };
        self.subscriptions.values().filter(takes).map(|found| found.wanted.name.clone()).collect()
    }

    pub fn get(&self, name: &str) -> Option<&Subscribed> {
        self.subscriptions.get(name)
    }
}

impl World {
    /// Creates a subscription, or puts it in the place of the one with its name, and shakes hands.
    ///
    /// # Errors
    /// [`Refusal`] when it cannot be one.
    pub fn create_subscription(&mut self, wanted: Subscription) -> Result<Value, Refusal> {
        if !is_web_address(&wanted.endpoint, false) {
            return Err(Refusal::bad("The field endpoint must be an absolute http or https URL."));
        }
        if wanted.headers.len() > 10 || wanted.headers.values().any(|value| value.len() > 4096) {
            return Err(Refusal::bad("At most ten headers of at most 4096 bytes are allowed."));
        }
        let known = self.grid.subscriptions.contains_key(&wanted.name);
        if !known && self.grid.subscriptions.len() >= self.config.limits.subscriptions {
            return Err(Refusal::full("subscriptions"));
        }
        let name = wanted.name.clone();
        self.subscribe(wanted);
        self.subscription(&name)
    }

    pub(super) fn subscribe(&mut self, wanted: Subscription) {
        self.grid.lives += 1;
        let (name, life, code) = (wanted.name.clone(), self.grid.lives, self.ids.guid());
        let standing = Standing::Validating;
        let subscribed = Subscribed { wanted, standing, life, code, attempts: 0 };
        self.grid.subscriptions.insert(name.clone(), subscribed);
        let patience = self.config.behaviour.grid.handshake_patience;
        self.later(Duration::ZERO, Due::Handshake(name.clone(), life));
        self.later(patience, Due::HandshakeOver(name, life));
    }

    /// Removes a subscription.
    ///
    /// # Errors
    /// [`Refusal`] when there is none of that name.
    pub fn delete_subscription(&mut self, name: &str) -> Result<(), Refusal> {
        let removed = self.grid.subscriptions.remove(name);
        removed.map(|_| ()).ok_or_else(no_subscription)
    }

    /// A subscription, its endpoint without the query.
    ///
    /// # Errors
    /// [`Refusal`] when there is none of that name.
    pub fn subscription(&self, name: &str) -> Result<Value, Refusal> {
        self.grid.get(name).map(Subscribed::seen).ok_or_else(no_subscription)
    }

    /// All subscriptions.
    pub fn subscriptions(&self) -> Value {
        json!({ "value": self.grid.subscriptions.values().map(Subscribed::seen).collect::<Vec<_>>() })
    }

    /// Somebody opened the validation URL.
    ///
    /// # Errors
    /// [`Refusal`] when the code is not that of the subscription.
    pub fn validate_by_hand(&mut self, name: &str, code: &str) -> Result<Value, Refusal> {
        let found = self.grid.subscriptions.get_mut(name).ok_or_else(no_subscription)?;
        if found.code != code {
            return Err(Refusal::bad("The validation code is not that of this subscription."));
        }
        if found.standing == Standing::Failed {
            return Err(Refusal::new(
                409,
                "ValidationExpired",
                "The handshake was given up; create the subscription again.",
            ));
        }
        found.standing = Standing::Succeeded;
        self.subscription(name)
    }

    /// Asks the endpoint whether it wants the events.
    pub(super) fn shake_hands(&mut self, name: &str, life: u64) {
        let origin = self.config.behaviour.grid.origin.clone();
        let deadline = self.config.behaviour.grid.deadline;
        let id = self.ids.guid();
        let Some(found) = self.grid.subscriptions.get(name).filter(|found| found.waits(life))
        else {
            return;
        };
        let manual = format!(
            "{}/emulator/eventgrid/subscriptions/{}/validate?code={}",
            self.grid.base_url,
            segment(name),
            found.code
        );
        let url = found.wanted.endpoint.clone();
        let mut headers = self.grid_headers(&found.wanted, "SubscriptionValidation");
        let (method, body) = match found.wanted.schema {
            Schema::EventGrid => {
                let event = json!([{
                    "id": id,
                    "topic": self.config.topic,
                    "subject": "",
                    "data": { "validationCode": found.code, "validationUrl": manual },
                    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
                    "dataVersion": "1",
                    "metadataVersion": "1",
                    "eventTime": seven_digits(self.now.wall, "Z"),
                }]);
                ("POST", event.to_string())
            }
            Schema::CloudEvents => {
                headers.retain(|(name, _)| !name.starts_with("aeg-") && name != "content-type");
                headers.push(("webhook-request-origin".to_owned(), origin));
                headers.push(("webhook-request-callback".to_owned(), manual));
                ("OPTIONS", String::new())
            }
        };
        self.send(Job::Handshake(name.to_owned(), life), |job| Effect {
            job,
            method,
            url,
            headers,
            body,
            signed: false,
            deadline,
        });
    }

    pub(super) fn handshake_finished(&mut self, name: &str, life: u64, outcome: &Outcome) {
        let origin = self.config.behaviour.grid.origin.clone();
        let pause = self.config.behaviour.grid.handshake_pause;
        let Some(found) = self.grid.subscriptions.get_mut(name).filter(|found| found.waits(life))
        else {
            return;
        };
        match found.answer(outcome, &origin) {
            Some(standing) => found.standing = standing,
            None => {
                let pause = pause * 2_u32.pow(found.attempts.min(16));
                found.attempts += 1;
                if found.attempts == 1 {
                    tracing::warn!(subscription = name, endpoint = %without_query(&found.wanted.endpoint), "the event grid handshake got no consent, it is tried again; start the receiver or check its validation answer");
                }
                let pause = pause.min(Duration::from_secs(5));
                self.later(pause, Due::Handshake(name.to_owned(), life));
            }
        }
    }

    pub(super) fn give_up_handshake(&mut self, name: &str, life: u64) {
        let found = self.grid.subscriptions.get_mut(name).filter(|found| found.life == life);
        let Some(found) = found.filter(|found| found.standing != Standing::Succeeded) else {
            return;
        };
        found.standing = Standing::Failed;
        tracing::warn!(
            subscription = name,
            "the event grid handshake was given up; create the subscription again"
        );
    }
}

impl Subscribed {
    fn waits(&self, life: u64) -> bool {
        self.life == life && self.standing == Standing::Validating
    }

    /// What an answer to the handshake means; `None` is to try again.
    fn answer(&self, outcome: &Outcome, origin: &str) -> Option<Standing> {
        let Outcome::Answered { status, headers, body, .. } = outcome else { return None };
        match self.wanted.schema {
            Schema::EventGrid if *status == 200 => {
                let read: Value = serde_json::from_slice(body).unwrap_or_default();
                let echoed = read.get("validationResponse").and_then(Value::as_str);
                match echoed {
                    Some(code) if code.eq_ignore_ascii_case(&self.code) => {
                        Some(Standing::Succeeded)
                    }
                    Some(_) => None,
                    None => Some(Standing::AwaitingManualAction),
                }
            }
            Schema::EventGrid => None,
            Schema::CloudEvents => {
                let allowed = headers.get("webhook-allowed-origin")?;
                let consents = allowed == "*" || allowed.eq_ignore_ascii_case(origin);
                consents.then_some(Standing::Succeeded)
            }
        }
    }

    fn seen(&self) -> Value {
        json!({
            "name": self.wanted.name,
            "endpoint": without_query(&self.wanted.endpoint),
            "schema": self.wanted.schema,
            "includedEventTypes": self.wanted.included_event_types,
            "provisioningState": self.standing.word(),
        })
    }
}

fn no_subscription() -> Refusal {
    Refusal::new(404, "ResourceNotFound", "There is no event subscription of that name.")
}
