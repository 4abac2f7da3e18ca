//! Publishing to Event Grid: every subscription that was agreed to and whose filter fits gets the event,
//! in its own shape; for the others the record says why not.

use std::sync::Arc;

use serde_json::{Value, json};

use super::World;
use super::events::seven_digits;
use super::grid_record::GridNote;
use crate::emulator::config::Schema;
use crate::pure::filter::Unsaid;

/// An event of any type.
#[derive(Clone, Debug)]
pub struct GridEvent {
    /// Full name of its type.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// Its payload.
    pub data: Value,
    /// Version of the payload, for Event Grid's schema.
    pub data_version: String,
}

/// An event in the shape of a schema, as it travels.
#[derive(Clone)]
pub(super) struct Shaped {
    pub id: String,
    pub kind: String,
    pub data_version: String,
    pub schema: Schema,
    pub event: Value,
    /// Length of `event` as text.
    pub bytes: usize,
}

impl World {
    /// Raises an event of the service for every validated subscription that wants it.
    pub(super) fn raise(&mut self, kind: &str, subject: String, data: Value) {
        let (kind, data_version) = (kind.to_owned(), "1.0".to_owned());
        self.publish(&GridEvent { kind, subject, data, data_version });
    }

    /// Publishes an event, and gives its id.
    pub fn publish(&mut self, event: &GridEvent) -> String {
        let id = self.ids.guid();
        let names: Vec<String> = self.grid.subscriptions.keys().cloned().collect();
        let mut shapes: Vec<Arc<Shaped>> = Vec::new();
        let mut taken = false;
        for name in &names {
            taken |= self.offer(name, &id, event, &mut shapes);
        }
        if names.is_empty() {
            let note = GridNote::new("", &id, &event.kind, "noSubscription");
            self.note_grid(note.because("there is no event subscription"));
        }
        // Nobody need want to know who comes and goes.
        if !taken && event.kind != "Microsoft.Communication.IncomingCall" {
            tracing::debug!(kind = event.kind, "no event grid subscription takes this event");
        } else if !taken {
            tracing::warn!(
                kind = event.kind,
                subscriptions = names.len(),
                "no validated event grid subscription takes this event; create one with PUT /emulator/eventgrid/subscriptions/{{name}}, or see GET /emulator/eventgrid/deliveries for the reason"
            );
        }
        id
    }

    /// Offers an event to one subscription. False when that does not take it.
    fn offer(
        &mut self,
        name: &str,
        id: &str,
        event: &GridEvent,
        shapes: &mut Vec<Arc<Shaped>>,
    ) -> bool {
        let Some(found) = self.grid.subscriptions.get(name) else { return false };
        let note = |outcome| GridNote::new(name, id, &event.kind, outcome);
        let Some(agreed) = &found.active else {
            let note = note("notValidated").because(found.standing.word());
            self.note_grid(note);
            return false;
        };
        let schema = agreed.wanted.schema;
        let shaped = match shapes.iter().find(|shaped| shaped.schema == schema) {
            Some(shaped) => Arc::clone(shaped),
            None => {
                let shaped = Arc::new(self.shaped(schema, id, event));
                shapes.push(Arc::clone(&shaped));
                shaped
            }
        };
        let not_in_range_without_key = self.config.behaviour.grid.not_in_range_without_key;
        if let Some(miss) = agreed.filter.miss(&shaped.event, Unsaid { not_in_range_without_key }) {
            self.note_grid(note("filtered").because(miss));
            return false;
        }
        let most = self.config.limits.grid_event_bytes;
        if shaped.bytes > most {
            let reason = format!("an event may have at most {most} bytes");
            self.note_grid(note("dropped").because(reason));
            return false;
        }
        self.grid_event_sets_out(name, shaped);
        true
    }

    fn shaped(&self, schema: Schema, id: &str, event: &GridEvent) -> Shaped {
        let time = seven_digits(self.now.wall, "Z");
        let topic = &self.config.topic;
        let GridEvent { kind, subject, data, data_version } = event;
        let event = match schema {
            Schema::EventGrid => json!({
                "id": id, "topic": topic, "subject": subject, "data": data, "eventType": kind,
                "dataVersion": data_version, "metadataVersion": "1", "eventTime": time,
            }),
            Schema::CloudEvents => json!({
                "id": id, "source": topic, "subject": subject, "data": data, "type": kind,
                "specversion": "1.0", "time": time,
            }),
        };
        Shaped {
            id: id.to_owned(),
            kind: kind.clone(),
            data_version: data_version.clone(),
            schema,
            bytes: event.to_string().len(),
            event,
        }
    }
}
