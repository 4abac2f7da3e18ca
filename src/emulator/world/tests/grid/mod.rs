//! Event Grid in virtual time: subscriptions, handshakes, filters, batches, retries, dead letters.

mod batches;
mod filters;
mod handshakes;
mod headers;
mod letters;
mod limits;
mod retries;

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::emulator::config::{GridBehaviour, Limits};
use crate::emulator::world::{GridEvent, Refusal};

const KIND: &str = "Microsoft.Communication.IncomingCall";
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// What a receiver got.
struct Sent {
    at: u64,
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Sent {
    fn kind(&self) -> &str {
        self.headers.get("aeg-event-type").map_or("", String::as_str)
    }

    fn is_hello(&self) -> bool {
        self.method == "OPTIONS" || self.kind() == "SubscriptionValidation"
    }
}

/// A world of which only Event Grid is looked at, with one receiver for everything.
struct Office {
    world: World,
    now: Tick,
    /// What came, handshakes apart.
    sent: Vec<Sent>,
    hellos: Vec<Sent>,
    /// Answers to the next handshakes; afterwards everything is agreed to.
    hello_answers: VecDeque<Outcome>,
    /// Answers to the next messages; afterwards everything is taken.
    answers: VecDeque<Outcome>,
    /// The answer when there are no others.
    usual: Outcome,
}

fn status(status: u16) -> Outcome {
    answered(status, "")
}

fn allowing(headers: &[(&str, &str)], status: u16) -> Outcome {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Outcome::Answered { status, headers, body: Bytes::new(), length: None }
}

fn wanted(more: Value) -> Subscription {
    let mut json = json!({ "name": "calls", "endpoint": "http://127.0.0.1:9/grid?key=secret" });
    for (name, value) in more.as_object().expect("an object") {
        json[name] = value.clone();
    }
    serde_json::from_value(json).expect("a subscription")
}

impl Office {
    fn new(more: Value) -> Self {
        Self::with(more, |_, _| ())
    }

    /// With one subscription, agreed to.
    fn with(more: Value, change: impl FnOnce(&mut GridBehaviour, &mut Limits)) -> Self {
        let mut office = Self::bare(change);
        office.put(more).expect("a subscription");
        office.pass(0);
        assert_eq!(office.standing(), "Succeeded");
        office
    }

    fn bare(change: impl FnOnce(&mut GridBehaviour, &mut Limits)) -> Self {
        let mut config = EmulatorConfig::default();
        change(&mut config.behaviour.grid, &mut config.limits);
        Self {
            world: World::new(config, 1, "http://emulator".into(), moment(Tick(0))),
            now: Tick(0),
            sent: Vec::new(),
            hellos: Vec::new(),
            hello_answers: VecDeque::new(),
            answers: VecDeque::new(),
            usual: status(200),
        }
    }

    fn put(&mut self, more: Value) -> Result<Value, Refusal> {
        self.world.create_subscription(wanted(more))
    }

    fn seen(&self) -> Value {
        self.world.subscription("calls").expect("a subscription")
    }

    fn standing(&self) -> String {
        self.seen()["provisioningState"].as_str().expect("a word").to_owned()
    }

    fn publish(&mut self, data: Value) -> String {
        self.publish_as(KIND, "/caller/4:+1/recipient/4:+2", data)
    }

    fn publish_as(&mut self, kind: &str, subject: &str, data: Value) -> String {
        let event = GridEvent {
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            data,
            data_version: "1.0".to_owned(),
        };
        let id = self.world.publish(&event);
        self.settle();
        id
    }

    fn settle(&mut self) {
        loop {
            self.world.pass_time(moment(self.now));
            let effects = self.world.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                let sent = Sent {
                    at: self.now.0,
                    method: effect.method,
                    url: effect.url.clone(),
                    headers: effect.headers.iter().cloned().collect(),
                    body: serde_json::from_str(&effect.body).unwrap_or_default(),
                };
                assert!(!effect.signed, "Event Grid has no callback tokens");
                let outcome = self.answer_to(&sent);
                if sent.is_hello() { &mut self.hellos } else { &mut self.sent }.push(sent);
                self.world.finished(moment(self.now), effect.job, &outcome);
            }
        }
    }

    fn answer_to(&mut self, sent: &Sent) -> Outcome {
        if !sent.is_hello() {
            return self.answers.pop_front().unwrap_or_else(|| self.usual.clone());
        }
        self.hello_answers.pop_front().unwrap_or_else(|| {
            match sent.body[0]["data"]["validationCode"].as_str() {
                Some(code) => answered(200, json!({ "validationResponse": code }).to_string()),
                None => allowing(&[("webhook-allowed-origin", "*")], 200),
            }
        })
    }

    /// Lets time pass, stopping at everything that is due.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        self.settle();
        while let Some(due) = self.world.next_due().filter(|due| *due <= until) {
            self.now = due;
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    /// The record: outcome, status and reason of each line.
    fn record(&self) -> Vec<String> {
        let record = self.world.grid_deliveries();
        let word = |line: &Value| {
            let mut words = line["outcome"].as_str().expect("an outcome").to_owned();
            for more in [&line["status"], &line["reason"]] {
                match more {
                    Value::Null => {}
                    Value::String(text) => words += &format!(" {text}"),
                    other => words += &format!(" {other}"),
                }
            }
            words
        };
        record["value"].as_array().expect("lines").iter().map(word).collect()
    }

    fn letters(&self) -> Vec<Value> {
        self.world.dead_letters()["value"].as_array().expect("letters").clone()
    }

    /// When everything was sent, in seconds.
    fn seconds(&self) -> Vec<u64> {
        self.sent.iter().map(|sent| sent.at / 1000).collect()
    }
}
