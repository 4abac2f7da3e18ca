//! What the clients did and what they were answered: the truth that the service is held against.
//!
//! Plain data. Moments are counted, not measured: a later one has the greater stamp. Real time stands only
//! beside what expires.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A moment in the order of this process.
pub type Stamp = u64;

/// An event that was posted, as often as it was.
#[derive(Clone, Debug)]
pub struct Sent {
    pub call: String,
    pub json: Value,
    /// Times it was sent, and times it was acknowledged.
    pub sends: usize,
    pub acks: usize,
    /// When it was sent first, and acknowledged first.
    pub sent: Stamp,
    pub acked: Option<Stamp>,
}

impl Sent {
    pub fn kind(&self) -> &str {
        let kind = self.json["type"].as_str().unwrap_or_default();
        kind.strip_prefix("Microsoft.Communication.").unwrap_or(kind)
    }

    fn context(&self) -> Option<&str> {
        self.json["data"]["operationContext"].as_str()
    }
}

/// What the events of a call say about its end.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// This event says so.
    Told(String),
    /// No event does; only who asks Azure learns it.
    Silent,
}

/// A call, as its only sender knows it.
#[derive(Clone, Debug, Default)]
pub struct CallNote {
    /// Its events in the order in which they were sent first.
    pub events: Vec<String>,
    /// How it ends, once that was sent or happened, and when at the earliest.
    pub end: Option<(End, u64)>,
    /// The last picture of it, taken when nothing of it was under way.
    pub picture: Option<Picture>,
    /// When anything of it was sent last.
    pub touched: Stamp,
}

/// A call as it was seen at that moment.
#[derive(Clone, Debug)]
pub struct Picture {
    pub taken: Stamp,
    pub view: Value,
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With this event.
    Told(String),
    TimedOut,
    /// With the code and subcode of the end.
    CallEnded(Value, Value),
    /// With an answer that is none of these: its status and code.
    Other(u16, String),
}

/// A wait for an event of some types that carries this context, resumed until it ends.
#[derive(Clone, Debug)]
pub struct WaitNote {
    pub call: String,
    pub context: String,
    pub types: Vec<&'static str>,
    /// When it began and how long it may take, milliseconds.
    pub began_ms: u64,
    pub within_ms: u64,
    /// How it ended, when, and on the watch.
    pub ended: Option<(Outcome, Stamp, u64)>,
}

impl WaitNote {
    pub fn wants(&self, sent: &Sent) -> bool {
        sent.call == self.call
            && sent.context() == Some(&self.context)
            && self.types.contains(&sent.kind())
    }
}

/// A ringing call.
#[derive(Clone, Debug)]
pub struct Ring {
    /// When it began to ring, milliseconds.
    pub began_ms: u64,
    pub acked: bool,
    /// The operations of its plan, of which the last one is accepted.
    pub plan: &'static [&'static str],
}

/// One change of a number assignment: the note that it was given, or that it was taken away.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub note: Option<String>,
    pub acked: bool,
    /// The version that the answer told.
    pub version: Option<u64>,
}

/// Everything that was done and answered.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub events: BTreeMap<String, Sent>,
    pub calls: BTreeMap<String, CallNote>,
    pub waits: Vec<WaitNote>,
    pub rings: BTreeMap<String, Ring>,
    /// In the order in which they were asked for.
    pub numbers: BTreeMap<String, Vec<Write>>,
    /// Legs of answered calls that were found to be known.
    pub legs: BTreeSet<String>,
    /// Answers that no client should get: what was asked, and the status.
    pub strange: Vec<(&'static str, u16, String)>,
    stamp: Stamp,
    /// When the request began that was acknowledged last, of those that began last.
    barrier: Stamp,
    /// Requests that were acknowledged.
    pub acks: usize,
}

impl Ledger {
    /// This moment.
    pub fn now(&mut self) -> Stamp {
        self.stamp += 1;
        self.stamp
    }

    /// These events are about to be sent in one array. Gives the moment.
    pub fn sending(&mut self, events: &[Value], now_ms: u64) -> Stamp {
        let stamp = self.now();
        for event in events {
            let id = event["id"].as_str().unwrap_or_default().to_owned();
            let call = event["data"]["callConnectionId"].as_str().unwrap_or_default();
            let note = self.calls.entry(call.to_owned()).or_default();
            note.touched = stamp;
            let sent = self.events.entry(id.clone()).or_insert_with(|| {
                note.events.push(id.clone());
                let (call, json) = (call.to_owned(), event.clone());
                Sent { call, json, sends: 0, acks: 0, sent: stamp, acked: None }
            });
            sent.sends += 1;
            if sent.kind() == "CallDisconnected" && note.end.is_none() {
                note.end = Some((End::Told(id), now_ms));
            }
        }
        stamp
    }

    /// These events, which were sent at that moment, were acknowledged.
    pub fn acknowledged(&mut self, events: &[Value], began: Stamp) {
        let stamp = self.now();
        for event in events {
            if let Some(sent) = self.events.get_mut(event["id"].as_str().unwrap_or_default()) {
                sent.acks += 1;
                sent.acked.get_or_insert(stamp);
            }
        }
        self.passed(began);
    }

    /// A request that wrote something, and began at that moment, was acknowledged.
    pub fn passed(&mut self, began: Stamp) {
        self.acks += 1;
        self.barrier = self.barrier.max(began);
    }

    /// Whether whatever had come of everything before that moment is safe: notes about events are
    /// written with the next thing that is written, and that was acknowledged.
    pub fn is_safe(&self, stamp: Stamp) -> bool {
        self.barrier > stamp
    }

    /// The events of a call that were sent.
    pub fn events_of(&self, call: &str) -> impl Iterator<Item = &Sent> {
        let ids = self.calls.get(call).into_iter().flat_map(|note| &note.events);
        ids.filter_map(|id| self.events.get(id))
    }

    /// Whether anything of a call was acknowledged.
    pub fn is_heard_of(&self, call: &str) -> bool {
        self.events_of(call).any(|sent| sent.acked.is_some())
    }

    /// Whether a wait has no reason to stand any longer.
    pub fn is_over(&self, wait: &WaitNote, now_ms: u64) -> bool {
        let end = self.calls.get(&wait.call).and_then(|note| note.end.as_ref());
        let silent = end.is_some_and(|(end, _)| *end == End::Silent);
        let mut acked = self.events_of(&wait.call).filter(|sent| sent.acked.is_some());
        silent
            || acked.any(|sent| wait.wants(sent) || sent.kind() == "CallDisconnected")
            || now_ms > wait.began_ms + wait.within_ms
    }
}
