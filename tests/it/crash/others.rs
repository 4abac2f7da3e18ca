//! Who rings, and who assigns numbers.

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::{Value, json};
use switchhook::wire::calling::segment;

use super::azure::REFUSES;
use super::dice::Dice;
use super::ledger::{Ring, Write};
use super::process::{Addresses, KEY};
use super::world::{World, answer};

/// What is assigned from the beginning: number, steps, and the operations that Azure sees.
type Plan = (&'static str, fn() -> Value, &'static [&'static str]);

const PLANS: [Plan; 5] = [
    ("+18005550100", || json!([redirect("8:acs:somebody")]), &["redirect"]),
    ("+18005550101", || json!([act("answer")]), &["answer"]),
    ("+18005550102", || json!([act("reject")]), &["reject"]),
    ("+18005550103", || json!([redirect(REFUSES), act("answer")]), &["redirect", "answer"]),
    ("+18005550104", || json!([redirect(REFUSES), act("reject")]), &["redirect", "reject"]),
];

fn act(kind: &str) -> Value {
    json!({"action": {"type": kind}})
}

fn redirect(target: &str) -> Value {
    json!({"action": {"type": "redirect", "target": target}})
}

/// A repeat of a call that began to ring so long ago is none of our business.
const RECENT_MS: u64 = 5_000;

/// Event Grid, with one delivery after the other.
pub struct Ringer {
    world: Rc<World>,
    dice: Dice,
    count: u32,
    lately: VecDeque<(Value, u64)>,
    again: Option<Vec<Value>>,
}

impl Ringer {
    pub fn new(seed: u64, world: &Rc<World>) -> Self {
        let (world, dice) = (Rc::clone(world), Dice::of(seed, "ringer"));
        Self { world, dice, count: 0, lately: VecDeque::new(), again: None }
    }

    pub async fn run(mut self) {
        loop {
            let (at, finishing) = self.world.work().await;
            let events = match self.again.take() {
                Some(events) => events,
                None if finishing => break,
                None => (0..=self.dice.below(3)).map(|_| self.one()).collect(),
            };
            self.deliver(&at, events).await;
        }
        self.world.finished.set(self.world.finished.get() + 1);
    }

    fn one(&mut self) -> Value {
        let now = self.world.now_ms();
        self.lately.retain(|(_, at)| at + RECENT_MS > now);
        if self.dice.chance(20) {
            let lately: Vec<_> = self.lately.iter().map(|(event, _)| event).collect();
            if let Some(event) = self.dice.pick(&lately) {
                let mut event = (*event).clone();
                // Azure may tell of one call in two events.
                if self.dice.chance(50) {
                    event["id"] =
                        format!("{}-again", event["id"].as_str().unwrap_or_default()).into();
                }
                return event;
            }
        }
        self.count += 1;
        let (number, _, plan) = PLANS[self.dice.below(PLANS.len() as u64) as usize];
        let ticket = format!("ticket-{}", self.count);
        let ring = Ring { began_ms: now, acked: false, plan };
        self.world.ledger.borrow_mut().rings.insert(ticket.clone(), ring);
        let event = json!({
            "id": format!("ring-{}", self.count), "source": "/resource", "specversion": "1.0",
            "type": "Microsoft.Communication.IncomingCall", "time": jiff::Timestamp::now(),
            "data": {
                "to": {"kind": "phoneNumber", "rawId": format!("4:{number}")},
                "from": {"kind": "phoneNumber", "rawId": format!("4:+1206{:07}", self.count)},
                "serverCallId": format!("server-{ticket}"),
                "correlationId": format!("correlation-{ticket}"),
                "incomingCallContext": ticket,
            },
        });
        self.lately.push_back((event.clone(), now));
        event
    }

    async fn deliver(&mut self, at: &Addresses, events: Vec<Value>) {
        let began = self.world.ledger.borrow_mut().now();
        let url = format!("{}/webhooks/eventgrid?key={KEY}", at.public);
        match answer(self.world.post(url, &events.clone().into())).await {
            Some((200, _)) => {
                let mut ledger = self.world.ledger.borrow_mut();
                for event in &events {
                    let ticket = event["data"]["incomingCallContext"].as_str().unwrap_or_default();
                    if let Some(ring) = ledger.rings.get_mut(ticket) {
                        ring.acked = true;
                    }
                }
                ledger.passed(began);
                drop(ledger);
                self.world.counted();
            }
            Some((503, _)) => self.again = Some(events),
            Some((status, body)) => self.world.strange("event grid", status, &body),
            None => self.again = self.dice.chance(80).then_some(events),
        }
    }
}

/// Assigns the numbers that ring.
pub async fn assign(world: &World, at: &Addresses) {
    for (number, steps, _) in PLANS {
        put(world, at, number, "a plan", steps()).await;
    }
}

/// Somebody who assigns numbers, one after the other.
pub struct Clerk {
    world: Rc<World>,
    dice: Dice,
    count: u32,
}

impl Clerk {
    pub fn new(seed: u64, world: &Rc<World>) -> Self {
        Self { world: Rc::clone(world), dice: Dice::of(seed, "clerk"), count: 0 }
    }

    pub async fn run(mut self) {
        loop {
            let (at, finishing) = self.world.work().await;
            if finishing {
                break;
            }
            self.count += 1;
            let key = format!("+1999000000{}", self.dice.below(8));
            let there = {
                let ledger = self.world.ledger.borrow();
                ledger.numbers.get(&key).and_then(|writes| writes.last()?.note.clone()).is_some()
            };
            if there && self.dice.chance(20) {
                take_away(&self.world, &at, &key).await;
            } else {
                let note = format!("change {}", self.count);
                put(&self.world, &at, &key, &note, json!([act("ignore")])).await;
            }
        }
        self.world.finished.set(self.world.finished.get() + 1);
    }
}

fn open(world: &World, key: &str, note: Option<&str>) {
    let mut ledger = world.ledger.borrow_mut();
    let write = Write { note: note.map(str::to_owned), acked: false, version: None };
    ledger.numbers.entry(key.to_owned()).or_default().push(write);
}

fn kept(world: &World, key: &str, version: Option<u64>) {
    let mut ledger = world.ledger.borrow_mut();
    if let Some(write) = ledger.numbers.get_mut(key).and_then(|writes| writes.last_mut()) {
        (write.acked, write.version) = (true, version);
    }
    // Assignments have a file of their own: they say nothing of what the journal has written.
    ledger.passed(0);
    drop(ledger);
    world.counted();
}

async fn put(world: &World, at: &Addresses, key: &str, note: &str, steps: Value) {
    open(world, key, Some(note));
    let url = format!("{}/v1/numbers/{}", at.private, segment(key));
    match answer(world.put(url, &json!({"note": note, "steps": steps}))).await {
        Some((200 | 201, body)) => kept(world, key, body["version"].as_u64()),
        Some((503, _)) | None => {}
        Some((status, body)) => world.strange("numbers", status, &body),
    }
}

async fn take_away(world: &World, at: &Addresses, key: &str) {
    open(world, key, None);
    let url = format!("{}/v1/numbers/{}", at.private, segment(key));
    match answer(world.delete(url)).await {
        // It was not there: whether an earlier change had arrived was not known.
        Some((204 | 404, _)) => kept(world, key, None),
        Some((503, _)) | None => {}
        Some((status, body)) => world.strange("numbers", status, &body),
    }
}
