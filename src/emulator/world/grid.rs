//! Event Grid subscriptions: what they want, how far their handshake has come, and which form of them
//! deliveries go by.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::events::seven_digits;
use super::grid_delivery::GridDelivery;
use super::grid_letters::Letters;
use super::grid_record::{GridNote, GridRecord};
use super::postbox::without_query;
use super::{Due, Effect, Job, Outcome, Refusal, World};
use crate::emulator::config::{Schema, Subscription};
use crate::pure::filter::Filter;
use crate::pure::time::Tick;

/// Type of the event that tells an endpoint about its deleted subscription.
const DELETED: &str = "Microsoft.EventGrid.SubscriptionDeletedEvent";

/// Everything of Event Grid.
pub(super) struct GridState {
    pub base_url: String,
    pub subscriptions: BTreeMap<String, Subscribed>,
    lives: u64,
    pub deliveries: BTreeMap<u64, GridDelivery>,
    pub delivery_count: u64,
    pub letters: Letters,
    pub record: GridRecord,
}

/// A subscription and how far its handshake has come.
pub(super) struct Subscribed {
    /// As it was asked for last.
    pub wanted: Agreed,
    /// As its endpoint agreed to it: what deliveries go by.
    pub active: Option<Agreed>,
    pub standing: Standing,
    /// Tells apart two handshakes for the same name.
    pub life: u64,
    pub code: String,
    pub attempts: u32,
    /// What the last handshake came to.
    pub last: &'static str,
    /// Until when its endpoint is left alone.
    pub probation: Option<Tick>,
    /// Whether a batch is about to be put together.
    pub batch_due: bool,
}

/// A subscription with its filter, ready for use.
#[derive(Clone)]
pub(super) struct Agreed {
    pub wanted: Subscription,
    pub filter: Filter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Creating,
    Updating,
    AwaitingManualAction,
    Succeeded,
    Failed,
}

impl Standing {
    /// ARM's `provisioningState`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
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
            letters: Letters::default(),
            record: GridRecord::default(),
        }
    }

    /// The subscriptions as they are, without what is under way.
    pub fn without_events(&mut self) -> Self {
        let mut fresh = Self::new(std::mem::take(&mut self.base_url));
        fresh.subscriptions = std::mem::take(&mut self.subscriptions);
        for found in fresh.subscriptions.values_mut() {
            found.probation = None;
            found.batch_due = false;
        }
        fresh.lives = self.lives;
        fresh.delivery_count = self.delivery_count;
        fresh.letters = self.letters.emptied();
        fresh
    }

    /// The form of a subscription that deliveries go by.
    pub fn active(&self, name: &str) -> Option<&Subscription> {
        let found = self.subscriptions.get(name)?;
        found.active.as_ref().map(|agreed| &agreed.wanted)
    }
}

impl World {
    /// Creates a subscription, or puts it in the place of the one with its name, and shakes hands.
    ///
    /// # Errors
    /// [`Refusal`] when it cannot be one, or when there are too many.
    pub fn create_subscription(&mut self, wanted: Subscription) -> Result<Value, Refusal> {
        let filter = wanted.check().map_err(invalid)?;
        let known = self.grid.subscriptions.contains_key(&wanted.name);
        if !known && self.grid.subscriptions.len() >= self.config.limits.subscriptions {
            return Err(Refusal::full("subscriptions"));
        }
        let name = wanted.name.clone();
        self.begin_subscription(Agreed { wanted, filter });
        self.subscription(&name)
    }

    /// A subscription of the configuration. One that cannot be one is told in the log and left out.
    pub(super) fn subscribe(&mut self, wanted: Subscription) {
        match wanted.check() {
            Ok(filter) => self.begin_subscription(Agreed { wanted, filter }),
            Err(problem) => tracing::warn!(%problem, "an event grid subscription was left out"),
        }
    }

    fn begin_subscription(&mut self, wanted: Agreed) {
        self.grid.lives += 1;
        let (name, life, code) = (wanted.wanted.name.clone(), self.grid.lives, self.ids.guid());
        let old = self.grid.subscriptions.remove(&name);
        let standing = if old.is_some() { Standing::Updating } else { Standing::Creating };
        let keeps = self.config.behaviour.grid.update_keeps_delivering;
        let (active, probation, batch_due) = match old {
            Some(old) => (old.active.filter(|_| keeps), old.probation, old.batch_due),
            None => (None, None, false),
        };
        let last = "none";
        let subscribed = Subscribed {
            wanted,
            active,
            standing,
            life,
            code,
            attempts: 0,
            last,
            probation,
            batch_due,
        };
        self.grid.subscriptions.insert(name.clone(), subscribed);
        let patience = self.config.behaviour.grid.handshake_patience;
        self.later(std::time::Duration::ZERO, Due::Handshake(name.clone(), life));
        self.later(patience, Due::HandshakeOver(name, life));
    }

    /// Removes a subscription. Events that wait for it are dropped, and its endpoint is told.
    ///
    /// # Errors
    /// [`Refusal`] when there is none of that name.
    pub fn delete_subscription(&mut self, name: &str) -> Result<(), Refusal> {
        let removed = self.grid.subscriptions.remove(name).ok_or_else(no_subscription)?;
        let theirs = |delivery: &GridDelivery| delivery.subscription == name;
        let gone: Vec<u64> = self
            .grid
            .deliveries
            .iter()
            .filter(|(_, delivery)| theirs(delivery))
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            if let Some(delivery) = self.grid.deliveries.remove(&number) {
                let note = delivery.note("dropped").because("the subscription was deleted");
                self.note_grid(note);
            }
        }
        if let Some(agreed) = removed.active
            && self.config.behaviour.grid.deletion_told
        {
            self.tell_deleted(&agreed.wanted);
        }
        Ok(())
    }

    /// Posts Event Grid's farewell, once.
    fn tell_deleted(&mut self, wanted: &Subscription) {
        let id = self.ids.guid();
        let topic = &self.config.topic;
        let resource =
            format!("{topic}/providers/Microsoft.EventGrid/eventSubscriptions/{}", wanted.name);
        let data = json!({ "eventSubscriptionId": resource });
        let time = seven_digits(self.now.wall, "Z");
        let body = match wanted.schema {
            Schema::EventGrid => json!([{
                "id": id, "topic": topic, "subject": "", "data": data, "eventType": DELETED,
                "dataVersion": "1", "metadataVersion": "1", "eventTime": time,
            }]),
            Schema::CloudEvents => json!({
                "id": id, "source": topic, "subject": "", "data": data, "type": DELETED,
                "specversion": "1.0", "time": time,
            }),
        };
        let mut headers = self.grid_headers(wanted, "SubscriptionDeletion");
        headers.extend(self.event_headers(wanted.schema, "1", 0, &id));
        let deadline = self.config.behaviour.grid.deadline;
        let (url, body) = (wanted.endpoint.clone(), body.to_string());
        self.send(Job::GridFarewell(wanted.name.clone(), id), |job| Effect {
            job,
            method: "POST",
            url,
            headers,
            body,
            signed: false,
            flaw: Default::default(),
            deadline,
        });
    }

    pub(super) fn farewell_finished(&mut self, name: &str, id: &str, outcome: &Outcome) {
        let note = GridNote::new(name, id, DELETED, "deletionTold").answered(outcome).attempt(1);
        self.note_grid(note);
    }

    /// A subscription, without its secrets.
    ///
    /// # Errors
    /// [`Refusal`] when there is none of that name.
    pub fn subscription(&self, name: &str) -> Result<Value, Refusal> {
        let found = self.grid.subscriptions.get(name).ok_or_else(no_subscription)?;
        Ok(self.seen(found))
    }

    /// All subscriptions.
    pub fn subscriptions(&self) -> Value {
        let all: Vec<_> = self.grid.subscriptions.values().map(|found| self.seen(found)).collect();
        json!({ "value": all })
    }

    fn seen(&self, found: &Subscribed) -> Value {
        let wanted = &found.wanted.wanted;
        let grid = &self.config.behaviour.grid;
        let headers: Vec<_> = wanted
            .all_headers()
            .iter()
            .map(|header| {
                let kind = if header.path.is_some() { "dynamic" } else { "static" };
                let value = header.value.as_ref().filter(|_| !header.secret);
                json!({
                    "name": header.name, "type": kind, "value": value, "path": header.path,
                    "secret": header.secret,
                })
            })
            .collect();
        let minutes = grid.time_to_live.as_secs_f64() / 60.0;
        let (most, _) = wanted.batch_bounds();
        let manual = (found.standing == Standing::AwaitingManualAction)
            .then(|| self.validation_url(&wanted.name, &found.code));
        json!({
            "name": wanted.name,
            "endpoint": without_query(&wanted.endpoint),
            "schema": wanted.schema,
            "includedEventTypes": wanted.included_event_types,
            "subjectBeginsWith": wanted.subject_begins_with,
            "subjectEndsWith": wanted.subject_ends_with,
            "isSubjectCaseSensitive": wanted.is_subject_case_sensitive,
            "advancedFilters": wanted.advanced_filters,
            "enableAdvancedFilteringOnArrays": wanted.enable_advanced_filtering_on_arrays,
            "deliveryHeaders": headers,
            "maxDeliveryAttempts": wanted.max_delivery_attempts.unwrap_or(grid.max_attempts),
            "eventTimeToLiveInMinutes":
                wanted.event_time_to_live_in_minutes.map_or(json!(minutes), |given| json!(given)),
            "maxEventsPerBatch": most,
            "preferredBatchSizeInKilobytes": wanted.preferred_batch_size_in_kilobytes,
            "deadLetter": wanted.dead_letter,
            "provisioningState": found.standing.word(),
            "handshake": { "attempts": found.attempts, "last": found.last, "validationUrl": manual },
            "delivers": found.active.is_some(),
        })
    }
}

/// Something that Azure's resource manager does not take.
pub(super) fn invalid(message: String) -> Refusal {
    Refusal::new(400, "InvalidRequest", message)
}

pub(super) fn no_subscription() -> Refusal {
    Refusal::new(
        404,
        "ResourceNotFound",
        "There is no event subscription of that name; GET /emulator/eventgrid/subscriptions lists them.",
    )
}
