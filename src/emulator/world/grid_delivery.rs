//! Event Grid events on their way: at least once, alone or in batches, by the retry table, to the dead
//! letters when that does not help.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::grid_publish::Shaped;
use super::grid_record::GridNote;
use super::grid_retry::{Verdict, probation, verdict};
use super::{Due, Effect, Job, Moment, Outcome, World};
use crate::emulator::config::{DeliveryOrigin, Schema, Subscription};
use crate::emulator::grid_config::is_header_value;
use crate::pure::filter::value_at;
use crate::pure::time::Tick;

/// One event on its way to one subscription.
pub(super) struct GridDelivery {
    pub subscription: String,
    pub shaped: Arc<Shaped>,
    pub attempts: u32,
    since: Tick,
    pub published: Timestamp,
    pub last_attempt: Timestamp,
    pub last_outcome: &'static str,
    /// Whether it waits for its batch.
    ready: bool,
}

impl GridDelivery {
    pub fn new(subscription: &str, shaped: Arc<Shaped>, now: Moment) -> Self {
        Self {
            subscription: subscription.to_owned(),
            shaped,
            attempts: 0,
            since: now.tick,
            published: now.wall,
            last_attempt: now.wall,
            last_outcome: "Aborted",
            ready: false,
        }
    }

    pub fn note(&self, outcome: &'static str) -> GridNote {
        let Shaped { id, kind, .. } = &*self.shaped;
        GridNote::new(&self.subscription, id, kind, outcome).attempt(self.attempts)
    }
}

impl World {
    /// Sends an event on its way.
    pub(super) fn start_delivery(&mut self, delivery: GridDelivery) {
        self.grid.delivery_count += 1;
        let number = self.grid.delivery_count;
        self.grid.deliveries.insert(number, delivery);
        self.attempt_grid_event(number);
    }

    /// An attempt is due. Only now the time to live is looked at, and whether the endpoint is left alone.
    pub(super) fn attempt_grid_event(&mut self, number: u64) {
        let usual = self.config.behaviour.grid.time_to_live;
        let now = self.now;
        let Some(delivery) = self.grid.deliveries.get_mut(&number) else { return };
        let name = delivery.subscription.clone();
        let Some(found) = self.grid.subscriptions.get_mut(&name) else { return };
        let Some(wanted) = found.active.as_ref().map(|agreed| &agreed.wanted) else {
            let note =
                delivery.note("dropped").because("the subscription is not validated any more");
            self.grid.deliveries.remove(&number);
            return self.note_grid(note);
        };
        let minutes = wanted.event_time_to_live_in_minutes;
        let time_to_live =
            minutes.map_or(usual, |minutes| Duration::from_secs(60 * u64::from(minutes)));
        if now.tick.since(delivery.since) >= time_to_live {
            return self.give_up_event(number, "TimeToLiveExceeded");
        }
        if let Some(until) = found.probation.filter(|until| *until > now.tick) {
            delivery.last_outcome = "Probation";
            let pause = until.since(now.tick);
            let note = delivery.note("probation").again_at(now, pause);
            self.agenda.set(until, Due::GridEvent(number));
            return self.note_grid(note);
        }
        if !wanted.batches() {
            return self.send_grid_events(&[number]);
        }
        delivery.ready = true;
        if !std::mem::replace(&mut found.batch_due, true) {
            // At the end of this very moment: a batch takes what is there and waits for nothing.
            self.later(Duration::ZERO, Due::GridBatch(name));
        }
    }

    /// Sends everything that is ready for a subscription, in as few requests as its bounds allow.
    pub(super) fn send_grid_batches(&mut self, name: &str) {
        let Some(found) = self.grid.subscriptions.get_mut(name) else { return };
        found.batch_due = false;
        let Some(agreed) = &found.active else { return };
        let (most, bytes) = agreed.wanted.batch_bounds();
        let mut batches: Vec<(Schema, usize, Vec<u64>)> = Vec::new();
        let ready = self
            .grid
            .deliveries
            .iter_mut()
            .filter(|(_, delivery)| delivery.ready && delivery.subscription == name);
        for (number, delivery) in ready {
            delivery.ready = false;
            let Shaped { schema, bytes: more, .. } = *delivery.shaped;
            match batches.last_mut() {
                Some((of, size, batch))
                    if *of == schema && batch.len() < most && *size + more <= bytes =>
                {
                    *size += more;
                    batch.push(*number);
                }
                _ => batches.push((schema, more, vec![*number])),
            }
        }
        for (_, _, batch) in batches {
            self.send_grid_events(&batch);
        }
    }

    /// Posts events of one schema to one subscription. Headers that concern an event are those of the
    /// first one; what Azure writes there for a batch is not documented.
    fn send_grid_events(&mut self, numbers: &[u64]) {
        let now = self.now;
        let mut events: Vec<Arc<Shaped>> = Vec::new();
        let mut first = None;
        for number in numbers {
            let Some(delivery) = self.grid.deliveries.get_mut(number) else { continue };
            first.get_or_insert((delivery.subscription.clone(), delivery.attempts));
            delivery.attempts += 1;
            delivery.last_attempt = now.wall;
            events.push(Arc::clone(&delivery.shaped));
        }
        let (Some((name, count)), Some(head)) = (first, events.first().map(Arc::clone)) else {
            return;
        };
        let Some(wanted) = self.grid.active(&name).cloned() else { return };
        let batches = wanted.batches();
        let list: Vec<&Value> = events.iter().map(|shaped| &shaped.event).collect();
        let body = match (head.schema, batches) {
            (Schema::CloudEvents, false) => serde_json::to_string(&head.event),
            _ => serde_json::to_string(&list),
        };
        let mut headers = self.grid_headers(&wanted, "Notification");
        if let Some((_, content_type)) = headers.first_mut() {
            *content_type = content_type_of(head.schema, batches).to_owned();
        }
        headers.extend(self.event_headers(head.schema, &head.data_version, count, &head.id));
        for header in wanted.all_headers() {
            let value = header.path.as_deref().and_then(|path| header_value(&head.event, path));
            headers.extend(value.map(|value| (header.name.to_lowercase(), value)));
        }
        let deadline = self.config.behaviour.grid.deadline;
        self.send(Job::GridEvents(numbers.to_vec()), |job| Effect {
            job,
            method: "POST",
            url: wanted.endpoint,
            headers,
            body: body.unwrap_or_default(),
            signed: false,
            flaw: Default::default(),
            deadline,
        });
    }

    /// What every message to a subscription carries; the content type comes first.
    pub(super) fn grid_headers(&self, wanted: &Subscription, kind: &str) -> Vec<(String, String)> {
        let name = if self.config.behaviour.grid.capital_names {
            wanted.name.to_uppercase()
        } else {
            wanted.name.clone()
        };
        let own = [
            ("content-type", content_type_of(wanted.schema, false)),
            ("aeg-event-type", kind),
            ("aeg-subscription-name", &name),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let given = wanted.all_headers().into_iter();
        let given = given.filter_map(|given| Some((given.name.to_lowercase(), given.value?)));
        own.chain(given).collect()
    }

    /// What a message about an event carries beside that.
    pub(super) fn event_headers(
        &self,
        schema: Schema,
        data_version: &str,
        attempts_before: u32,
        id: &str,
    ) -> Vec<(String, String)> {
        let grid = &self.config.behaviour.grid;
        let count = attempts_before.saturating_add(grid.first_delivery_count).to_string();
        let mut headers =
            vec![("aeg-delivery-count", count), ("aeg-output-event-id", id.to_owned())];
        match schema {
            Schema::EventGrid => {
                headers.push(("aeg-metadata-version", "1".to_owned()));
                headers.push(("aeg-data-version", data_version.to_owned()));
            }
            Schema::CloudEvents => {
                headers.push(("aeg-metadata-version", "1.0".to_owned()));
                match grid.delivery_origin {
                    DeliveryOrigin::WebHookRequestOrigin => {
                        headers.push(("webhook-request-origin", grid.origin.clone()));
                    }
                    DeliveryOrigin::Origin => headers.push(("origin", grid.origin.clone())),
                    DeliveryOrigin::Neither => {}
                }
            }
        }
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// All or nothing: one answer counts for every event of the request.
    pub(super) fn grid_events_finished(&mut self, numbers: &[u64], outcome: &Outcome) {
        for number in numbers {
            self.grid_event_finished(*number, outcome);
        }
    }

    fn grid_event_finished(&mut self, number: u64, outcome: &Outcome) {
        let usual = self.config.behaviour.grid.max_attempts;
        let Some(delivery) = self.grid.deliveries.get_mut(&number) else { return };
        let name = delivery.subscription.clone();
        let given = self.grid.subscriptions.get(&name).and_then(|found| found.active.as_ref());
        let given = given.and_then(|agreed| agreed.wanted.max_delivery_attempts);
        let grid = &self.config.behaviour.grid;
        let fate = verdict(outcome, delivery.attempts, grid);
        let told = match (fate, outcome) {
            (Verdict::Delivered, _) => "delivered",
            (_, Outcome::Answered { .. }) => "refused",
            (_, Outcome::TimedOut) => "timedOut",
            (_, Outcome::Unreachable) => "unreachable",
        };
        let note = delivery.note(told).answered(outcome);
        match fate {
            Verdict::Delivered => {
                self.grid.deliveries.remove(&number);
                self.leave_alone(&name, None);
                self.note_grid(note);
            }
            Verdict::Never(word) => {
                delivery.last_outcome = word;
                self.leave_alone(&name, Some(word));
                self.note_grid(note);
                self.give_up_event(number, "UndeliverableDueToClientError");
            }
            Verdict::After(_, word) if delivery.attempts >= given.unwrap_or(usual) => {
                delivery.last_outcome = word;
                self.leave_alone(&name, Some(word));
                self.note_grid(note);
                self.give_up_event(number, "MaxDeliveryAttemptsExceeded");
            }
            Verdict::After(pause, word) => {
                delivery.last_outcome = word;
                let pause = self.with_jitter(pause);
                self.leave_alone(&name, Some(word));
                self.note_grid(note.again_at(self.now, pause));
                self.later(pause, Due::GridEvent(number));
            }
        }
    }

    fn with_jitter(&mut self, pause: Duration) -> Duration {
        let most = self.config.behaviour.grid.jitter;
        if most.is_nan() || most <= 0.0 {
            return pause;
        }
        let longer = pause.as_secs_f64() * (1.0 + most.min(10.0) * self.ids.fraction());
        Duration::try_from_secs_f64(longer).unwrap_or(pause)
    }

    /// Puts an endpoint on probation after a failure, and takes it off after a success.
    fn leave_alone(&mut self, name: &str, failure: Option<&str>) {
        if !self.config.behaviour.grid.probation {
            return;
        }
        let until = failure.and_then(probation).map(|time| self.now.tick + time);
        if let Some(found) = self.grid.subscriptions.get_mut(name) {
            found.probation = until;
        }
    }

    fn give_up_event(&mut self, number: u64, reason: &'static str) {
        if let Some(delivery) = self.grid.deliveries.remove(&number) {
            self.bury(delivery, reason);
        }
    }
}

fn content_type_of(schema: Schema, batches: bool) -> &'static str {
    match (schema, batches) {
        (Schema::EventGrid, _) => "application/json; charset=utf-8",
        (Schema::CloudEvents, false) => "application/cloudevents+json; charset=utf-8",
        (Schema::CloudEvents, true) => "application/cloudevents-batch+json; charset=utf-8",
    }
}

/// A scalar of the event as a header's value; `None` when there is none that can be one.
fn header_value(event: &Value, path: &str) -> Option<String> {
    let value = match value_at(event, path.trim_start_matches("$."))? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    is_header_value(&value).then_some(value)
}
