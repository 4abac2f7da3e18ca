//! Who posts mid-call events: each sender has calls of its own and posts one array after the other, so
//! that there is an order to be held against.

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::{Value, json};

use super::dice::Dice;
use super::ledger::Picture;
use super::process::{Addresses, KEY};
use super::waits;
use super::world::{World, answer};
use crate::tidy::files_under;

/// Calls that a sender keeps going.
const LIVE: usize = 5;
/// A call that has ended hears no more when so much time has passed: it may be forgotten soon.
const RECENT_MS: u64 = 5_000;
/// Ends, or never was.
const NOT_IN_BETWEEN: [&str; 4] =
    ["CallDisconnected", "CreateCallFailed", "AnswerFailed", "ConnectFailed"];

/// One real payload of each type of event.
pub fn samples() -> Vec<Value> {
    let files = files_under("tests/wire", "json");
    let is_callback =
        |path: &std::path::PathBuf| path.parent().is_some_and(|at| at.ends_with("wire"));
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("a sample");
        let array: Vec<Value> = serde_json::from_str(&text).expect("an array");
        array.into_iter().next()
    };
    files.into_iter().filter(is_callback).filter_map(read).collect()
}

/// A call that goes on.
struct Going {
    id: String,
    serial: u32,
    /// Contexts of events that somebody waits for.
    prompts: Vec<String>,
}

/// A sender and its calls.
pub struct Sender {
    name: usize,
    world: Rc<World>,
    dice: Dice,
    samples: Rc<Vec<Value>>,
    going: Vec<Going>,
    /// Calls that have ended, and when.
    ended: VecDeque<(Going, u64)>,
    opened: u32,
    waits: u32,
    /// Events that were acknowledged lately.
    lately: VecDeque<Value>,
    /// An array of which it is not known whether it arrived.
    again: Option<Vec<Value>>,
}

impl Sender {
    pub fn new(name: usize, seed: u64, world: &Rc<World>, samples: &Rc<Vec<Value>>) -> Self {
        Self {
            name,
            world: Rc::clone(world),
            dice: Dice::of(seed, &format!("sender {name}")),
            samples: Rc::clone(samples),
            going: Vec::new(),
            ended: VecDeque::new(),
            opened: 0,
            waits: 0,
            lately: VecDeque::new(),
            again: None,
        }
    }

    pub async fn run(mut self) {
        loop {
            let (at, finishing) = self.world.work().await;
            self.forget_the_silent();
            let events = match self.again.take() {
                Some(events) => events,
                None if finishing && self.going.is_empty() => break,
                None if finishing => self.ends(),
                None => self.compose(),
            };
            self.post(&at, events).await;
            if !finishing {
                self.look_around(&at).await;
            }
        }
        self.world.finished.set(self.world.finished.get() + 1);
    }

    fn forget_the_silent(&mut self) {
        let silenced = self.world.silenced.borrow();
        self.going.retain(|call| !silenced.contains(&call.id));
        let is_of = |event: &Value| {
            silenced.contains(event["data"]["callConnectionId"].as_str().unwrap_or_default())
        };
        self.lately.retain(|event| !is_of(event));
    }

    async fn post(&mut self, at: &Addresses, events: Vec<Value>) {
        let began = self.world.ledger.borrow_mut().sending(&events, self.world.now_ms());
        let url = format!("{}/webhooks/calls?key={KEY}", at.public);
        let answered = answer(self.world.post(url, &events.clone().into())).await;
        match answered {
            Some((200, _)) => {
                self.world.ledger.borrow_mut().acknowledged(&events, began);
                self.world.counted();
                self.arrived(events);
            }
            Some((503, _)) => self.again = Some(events),
            Some((status, body)) => self.world.strange("callbacks", status, &body),
            None => {
                // Most senders try again. Whoever has told of an end always does.
                let tells = |event: &Value| event["type"].as_str() == Some(DISCONNECTED);
                let must = events.iter().any(tells);
                self.again = (must || self.dice.chance(70)).then_some(events);
            }
        }
    }

    fn arrived(&mut self, events: Vec<Value>) {
        for event in events {
            let call = event["data"]["callConnectionId"].as_str().unwrap_or_default();
            if event["type"] == DISCONNECTED {
                self.world.azure.forget(call);
            }
            self.lately.push_back(event);
        }
        while self.lately.len() > 30 {
            self.lately.pop_front();
        }
    }

    /// Something about every call that still goes on: its end.
    fn ends(&mut self) -> Vec<Value> {
        let many = self.going.len().min(5);
        (0..many).map(|_| self.end(0)).collect()
    }

    fn compose(&mut self) -> Vec<Value> {
        let many = 1 + self.dice.below(5);
        let mut events = Vec::new();
        for _ in 0..many {
            events.push(self.one());
            if self.dice.chance(5) {
                events.extend(events.last().cloned());
            }
        }
        events
    }

    fn one(&mut self) -> Value {
        let now = self.world.now_ms();
        while self.ended.front().is_some_and(|(_, at)| at + RECENT_MS < now) {
            self.ended.pop_front();
        }
        if self.going.len() < LIVE {
            self.open();
        }
        if self.dice.chance(10)
            && let Some(event) = self.repeat()
        {
            return event;
        }
        if self.dice.chance(3) && !self.ended.is_empty() {
            let place = self.dice.below(self.ended.len() as u64) as usize;
            let (samples, dice) = (&self.samples, &mut self.dice);
            return in_between(&mut self.ended[place].0, samples, dice);
        }
        let place = self.dice.below(self.going.len() as u64) as usize;
        let serial = self.going[place].serial;
        if serial >= 3 && self.dice.chance(12) {
            return self.end(place);
        }
        let (prompted, kind) = (self.dice.chance(50), self.dice.chance(80));
        let call = &mut self.going[place];
        if prompted && let Some(context) = call.prompts.pop() {
            let kind = if kind { "PlayCompleted" } else { "PlayFailed" };
            return of_kind(call, &self.samples, kind, Some(&context));
        }
        in_between(call, &self.samples, &mut self.dice)
    }

    fn open(&mut self) {
        let leg = self.world.legs.borrow_mut().pop_front();
        if let Some(leg) = &leg {
            self.world.ledger.borrow_mut().legs.insert(leg.clone());
        }
        self.opened += 1;
        let id = leg.unwrap_or_else(|| format!("call-{}-{}", self.name, self.opened));
        self.going.push(Going { id, serial: 0, prompts: Vec::new() });
    }

    /// An event that was acknowledged before, of a call that is not forgotten.
    fn repeat(&mut self) -> Option<Value> {
        let lately: Vec<_> = self.lately.iter().cloned().collect();
        let event = self.dice.pick(&lately)?;
        let call = &event["data"]["callConnectionId"];
        let ended = self.ended.iter().map(|(call, _)| call);
        self.going.iter().chain(ended).any(|other| *call == other.id).then(|| event.clone())
    }

    fn end(&mut self, place: usize) -> Value {
        let mut call = self.going.swap_remove(place);
        let mut event = of_kind(&mut call, &self.samples, "CallDisconnected", None);
        let (code, sub_code) = (self.dice.below(600), self.dice.below(6_000));
        event["data"]["resultInformation"] =
            json!({"code": code, "subCode": sub_code, "message": ""});
        self.ended.push_back((call, self.world.now_ms()));
        event
    }

    /// Begins to wait for something, or takes a picture of a call.
    async fn look_around(&mut self, at: &Addresses) {
        if self.again.is_some() || self.going.is_empty() {
            return;
        }
        let place = self.dice.below(self.going.len() as u64) as usize;
        let call = self.going[place].id.clone();
        if !self.world.ledger.borrow().is_heard_of(&call) {
            return;
        }
        if self.dice.chance(25) {
            self.take_picture(at, call).await;
        } else if self.dice.chance(40) {
            self.begin_to_wait(at, place, call).await;
        }
    }

    async fn take_picture(&self, at: &Addresses, call: String) {
        let url = format!("{}/admin/calls/{call}", at.private);
        let Some((200, view)) = answer(self.world.get(url)).await else { return };
        let mut ledger = self.world.ledger.borrow_mut();
        let taken = ledger.now();
        if let Some(note) = ledger.calls.get_mut(&call) {
            note.picture = Some(Picture { taken, view });
        }
    }

    async fn begin_to_wait(&mut self, at: &Addresses, place: usize, call: String) {
        let url = format!("{}/v1/calls/{call}/events?limit=1000", at.private);
        let Some((200, page)) = answer(self.world.get(url)).await else { return };
        let Some(after) = page["next"].as_str() else { return };
        self.waits += 1;
        let context = format!("prompt-{}-{}", self.name, self.waits);
        let in_vain = self.dice.chance(15);
        let within_ms = if in_vain { 50 + self.dice.below(400) } else { 120_000 };
        if !in_vain {
            self.going[place].prompts.push(context.clone());
        }
        waits::begin(&self.world, call, context, after.to_owned(), within_ms);
    }
}

const DISCONNECTED: &str = "Microsoft.Communication.CallDisconnected";

/// An event of any type that does not end the call.
fn in_between(call: &mut Going, samples: &[Value], dice: &mut Dice) -> Value {
    if dice.chance(5) {
        return of_kind(call, samples, "SomethingNew", None);
    }
    let kinds: Vec<_> = samples.iter().filter_map(kind_of).collect();
    let kind = dice.pick(&kinds).filter(|kind| !NOT_IN_BETWEEN.contains(kind));
    let kind = kind.copied().unwrap_or("ParticipantsUpdated");
    let mut event = of_kind(call, samples, kind, None);
    if kind == "ParticipantsUpdated" {
        // Some are older than others.
        event["data"]["sequenceNumber"] = dice.below(20).into();
        event["data"]["participants"][0]["isMuted"] = dice.chance(50).into();
    }
    event
}

fn kind_of(event: &Value) -> Option<&str> {
    event["type"].as_str()?.strip_prefix("Microsoft.Communication.")
}

/// The next event of a call, as Azure would post it.
fn of_kind(call: &mut Going, samples: &[Value], kind: &str, context: Option<&str>) -> Value {
    let sample = samples.iter().find(|sample| kind_of(sample) == Some(kind));
    let mut event = sample.cloned().unwrap_or_else(|| json!({"specversion": "1.0", "data": {}}));
    call.serial += 1;
    let Going { id, serial, .. } = call;
    event["id"] = format!("{id}-{serial}").into();
    event["source"] = format!("calling/callConnections/{id}").into();
    event["type"] = format!("Microsoft.Communication.{kind}").into();
    event["data"]["callConnectionId"] = id.as_str().into();
    event["data"]["serverCallId"] = format!("server-{id}").into();
    event["data"]["correlationId"] = format!("correlation-{id}").into();
    if let Some(context) = context {
        event["data"]["operationContext"] = context.into();
    }
    event
}
