//! Stories in virtual time, straight at the world: requests as JSON, events as they would be posted.

mod attendance;
mod audio;
mod calls;
mod connecting;
mod faults;
mod grid;
mod keys_and_hold;
mod limits;
mod media;
mod moving;
mod people;
mod recording;
mod streams;
mod trace;
mod transcripts;
mod transfers;

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Effect, Moment, Outcome, SocketEffect, SocketId, SocketNews, World};
use crate::emulator::api::{self, ApiRequest};
use crate::emulator::config::{EmulatorConfig, Schema, Subscription, Unanswered};
use crate::emulator::phone_book::PhoneBook;
use crate::emulator::world::{Deed, IncomingCallWish};
use crate::pure::time::Tick;
use crate::wire::calling::{Operation, Place};
use crate::wire::identifiers::{CallConnectionId, Identifier, RawId};

const CALLER: &str = "+14255551212";
const OURS: &str = "+18005551212";
const AGENT: &str = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_agent";
const CALLBACK: &str = "http://127.0.0.1:9/calls?key=secret";

/// A world with a clock, and with receivers that take everything.
struct Theatre {
    world: World,
    now: Tick,
    /// Every event that was posted: when, where and what.
    posted: Vec<(Tick, String, Value)>,
    grid: Vec<Value>,
    /// What fetching a prompt gives.
    prompt: Outcome,
}

fn answered(status: u16, body: impl Into<Bytes>) -> Outcome {
    let body = body.into();
    let length = u64::try_from(body.len()).ok();
    Outcome::Answered { status, headers: Default::default(), body, length }
}

fn moment(tick: Tick) -> Moment {
    let start: Timestamp = "2025-11-21T08:30:00.1234567Z".parse().expect("a time");
    let wall = start + SignedDuration::from_millis(i64::try_from(tick.0).expect("soon"));
    Moment { tick, wall }
}

impl Theatre {
    fn new(change: impl FnOnce(&mut EmulatorConfig)) -> Self {
        let subscription = Subscription {
            name: "all".into(),
            endpoint: "http://127.0.0.1:9/grid".into(),
            schema: Schema::EventGrid,
            ..Subscription::default()
        };
        let mut config =
            EmulatorConfig { subscriptions: vec![subscription], ..EmulatorConfig::default() };
        config.behaviour.latency = Duration::ZERO;
        change(&mut config);
        let world = World::new(config, 1, "http://emulator".into(), moment(Tick(0)));
        let prompt = answered(404, "");
        let (posted, grid) = (Vec::new(), Vec::new());
        let mut theatre = Self { world, now: Tick(0), posted, grid, prompt };
        theatre.pass(0);
        theatre
    }

    fn settle(&mut self) {
        loop {
            self.world.pass_time(moment(self.now));
            let effects = self.world.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                let outcome = self.receive(&effect);
                self.world.finished(moment(self.now), effect.job, &outcome);
            }
        }
    }

    fn receive(&mut self, effect: &Effect) -> Outcome {
        if effect.method == "GET" {
            return self.prompt.clone();
        }
        let body: Value = serde_json::from_str(&effect.body).expect("JSON");
        assert_eq!(body.as_array().map(Vec::len), Some(1), "one event in an array");
        if effect.signed {
            self.posted.push((self.now, effect.url.clone(), body[0].clone()));
            return answered(200, "");
        }
        if let Some(code) = body[0]["data"]["validationCode"].as_str() {
            return answered(200, json!({ "validationResponse": code }).to_string());
        }
        self.grid.push(body[0].clone());
        answered(200, "")
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

    fn ask(&mut self, operation: Operation, place: Place, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = operation.path(&place);
        let request = ApiRequest {
            operation,
            place,
            path: &path,
            query: "api-version=2026-03-12",
            host: "emulator",
            body: body.as_bytes(),
            repeat_id: None,
            first_sent: None,
        };
        let reply = api::answer(&mut self.world, moment(self.now), &request).reply;
        self.settle();
        (reply.status, reply.body.unwrap_or_default())
    }

    #[track_caller]
    fn on(&mut self, operation: Operation, call: &str, body: Value) -> Value {
        let place = Place::Call(CallConnectionId::new(call));
        let (status, answer) = self.ask(operation, place, &body);
        assert!(operation.success().contains(&status), "{operation:?}: {status} {answer}");
        answer
    }

    #[track_caller]
    fn refused(&mut self, operation: Operation, call: &str, body: Value) -> (u16, String) {
        let place = if call.is_empty() { Place::Nowhere } else { Place::Call(call.into()) };
        let (status, answer) = self.ask(operation, place, &body);
        assert!(status >= 400, "{operation:?}: {status}");
        (status, answer["error"]["code"].as_str().expect("a code").to_owned())
    }

    #[track_caller]
    fn create(&mut self, targets: &[&str]) -> String {
        let targets: Vec<_> = targets.iter().map(|who| identifier(who)).collect();
        let body = json!({
            "targets": targets, "callbackUri": CALLBACK, "operationContext": "create-1",
            "sourceCallerIdNumber": { "value": OURS },
        });
        let (status, answer) = self.ask(Operation::CreateCall, Place::Nowhere, &body);
        assert_eq!((status, &answer["callConnectionState"]), (201, &json!("connecting")));
        answer["callConnectionId"].as_str().expect("an id").to_owned()
    }

    /// A connected call with these phones, which answer one after the other; forgets how it began.
    #[track_caller]
    fn in_call(&mut self, phones: &[&str]) -> String {
        let call = self.create(phones);
        self.pass(1000);
        self.posted.clear();
        call
    }

    fn ring(&mut self, from: &str, to: &str) -> (String, String) {
        let wish = IncomingCallWish {
            from: Identifier::parse(from),
            to: Identifier::parse(to),
            display_name: String::new(),
            custom: None,
        };
        let (ticket, server, _) = self.world.incoming_call(wish).expect("rings");
        self.settle();
        (ticket.as_str().to_owned(), server.as_str().to_owned())
    }

    #[track_caller]
    fn answer(&mut self, ticket: &str) -> String {
        let body = json!({
            "incomingCallContext": ticket, "callbackUri": CALLBACK, "operationContext": "answer-1",
        });
        let (status, answer) = self.ask(Operation::AnswerCall, Place::Nowhere, &body);
        assert_eq!((status, &answer["callConnectionState"]), (200, &json!("connecting")));
        answer["callConnectionId"].as_str().expect("an id").to_owned()
    }

    fn server_of(&self, call: &str) -> String {
        let properties = self.world.properties(&call.into()).expect("a call");
        properties.server_call_id.expect("an id").as_str().to_owned()
    }

    #[track_caller]
    fn far(&mut self, call: &str, who: &str, deed: Deed) {
        let server = self.server_of(call);
        let who = Identifier::parse(who).raw_id().clone();
        self.world.far_end(&server, &who, &deed).expect("done");
        self.settle();
    }

    /// Takes what was posted: short type, code and subcode.
    fn told(&mut self) -> Vec<String> {
        self.posted.drain(..).map(|(_, _, event)| short(&event)).collect()
    }

    #[track_caller]
    fn check_told(&mut self, expected: &[&str]) {
        assert_eq!(self.told(), expected);
    }
}

fn short(event: &Value) -> String {
    let kind = event["type"].as_str().expect("a type");
    let kind = kind.trim_start_matches("Microsoft.Communication.");
    match &event["data"]["resultInformation"] {
        Value::Null => kind.to_owned(),
        result => format!("{kind} {}/{}", result["code"], result["subCode"]),
    }
}

fn identifier(who: &str) -> Value {
    if who.starts_with('+') {
        json!({ "rawId": format!("4:{who}"), "phoneNumber": { "value": who } })
    } else {
        json!({ "rawId": who, "communicationUser": { "id": who } })
    }
}

fn phones(toml: &str) -> impl FnOnce(&mut EmulatorConfig) {
    let book = PhoneBook::from_toml(toml).expect("a phone book");
    |config| config.phones = book
}

fn file(url: &str) -> Value {
    json!({ "kind": "file", "file": { "uri": url } })
}

const PROMPT: &str = "https://prompts.example.test/welcome.wav";

fn play(context: &str) -> Value {
    json!({ "playSources": [file(PROMPT)], "operationContext": context })
}

fn recognize(options: Value) -> Value {
    let mut all = json!({ "targetParticipant": identifier(CALLER) });
    for (name, value) in options.as_object().expect("options") {
        all[name] = value.clone();
    }
    json!({
        "recognizeInputType": "dtmf", "playPrompt": file(PROMPT), "recognizeOptions": all,
        "operationContext": "ask-1",
    })
}
