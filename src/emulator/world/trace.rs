//! The trace: what happened, in order, for people, for the page and for tests that compare two stories.
//!
//! Owns its entries and their bounds. An entry is flat JSON; keys that were pressed and words that were
//! said are not in it. The payload of a callback is kept beside its entry and shown on request only.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::roster::ConversationId;
use super::{Refusal, Reply, World};
use crate::pure::time::Tick;
use crate::wire::calling::{Operation, Place};

/// Longest id from outside that an entry repeats, in bytes. Real ones are far shorter.
const LONGEST_ID: usize = 256;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A request to the API, and its answer.
    Request,
    /// An attempt to post a callback.
    Callback,
    /// A line of Event Grid's record.
    EventGrid,
    /// Something that somebody at the far end did.
    Deed,
    /// A fault that struck.
    Fault,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Callback => "callback",
            Self::EventGrid => "eventGrid",
            Self::Deed => "deed",
            Self::Fault => "fault",
        }
    }
}

struct Entry {
    sequence: u64,
    at_ms: u64,
    what: What,
    members: Map<String, Value>,
    /// JSON, as it was posted.
    payload: Option<String>,
}

/// All entries that are still remembered.
pub(super) struct Trace {
    entries: VecDeque<Entry>,
    began: Tick,
    count: u64,
    /// What was swept away on purpose is not lost.
    swept: u64,
    payload_bytes: usize,
}

/// A part of the trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traced {
    /// The entries, oldest first.
    pub value: Vec<Value>,
    /// Sequence of the newest entry that was looked at: what to ask after next time.
    pub next: u64,
    /// Newer entries than asked for that had to be forgotten.
    pub lost: u64,
}

impl Trace {
    pub fn new(began: Tick) -> Self {
        Self { entries: VecDeque::new(), began, count: 0, swept: 0, payload_bytes: 0 }
    }

    /// Forgets everything; the sequence goes on.
    pub fn sweep(&mut self) {
        self.entries.clear();
        self.payload_bytes = 0;
        self.swept = self.count;
    }

    fn forget_oldest(&mut self) {
        let gone = self.entries.pop_front().and_then(|entry| entry.payload);
        self.payload_bytes = self.payload_bytes.saturating_sub(gone.map_or(0, |gone| gone.len()));
    }
}

impl Entry {
    fn seen(&self, payloads: bool) -> Value {
        let mut all = self.members.clone();
        all.insert("sequence".to_owned(), self.sequence.into());
        all.insert("atMs".to_owned(), self.at_ms.into());
        all.insert("what".to_owned(), self.what.word().into());
        let payload = self.payload.as_deref().filter(|_| payloads);
        let payload = payload.and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let Some(mut payload) = payload {
            // Callbacks travel as arrays of one.
            let event = payload.get_mut(0).map(Value::take).unwrap_or(payload);
            all.insert("payload".to_owned(), event);
        }
        Value::Object(all)
    }
}

impl World {
    /// Adds an entry; members without a value are left out.
    pub(super) fn trace(&mut self, what: What, members: Value, payload: Option<String>) {
        let mut members = match members {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        members.retain(|_, value| !value.is_null());
        let limits = &self.config.limits;
        let trace = &mut self.trace;
        trace.count += 1;
        trace.payload_bytes += payload.as_ref().map_or(0, String::len);
        let at_ms = u64::try_from(self.now.tick.since(trace.began).as_millis()).unwrap_or(u64::MAX);
        trace.entries.push_back(Entry { sequence: trace.count, at_ms, what, members, payload });
        let too_much = |trace: &Trace| {
            trace.entries.len() > limits.trace || trace.payload_bytes > limits.trace_payload_bytes
        };
        while !trace.entries.is_empty() && too_much(trace) {
            trace.forget_oldest();
        }
    }

    /// What happened after an entry. A number that no entry has had yet is of another emulator: its
    /// reader begins again.
    pub fn trace_after(&self, after: u64, payloads: bool) -> Traced {
        let trace = &self.trace;
        let after = if after > trace.count { 0 } else { after };
        let from = trace.entries.partition_point(|entry| entry.sequence <= after);
        let value = trace.entries.range(from..).map(|entry| entry.seen(payloads)).collect();
        let first = trace.entries.front().map_or(trace.count + 1, |entry| entry.sequence);
        let lost = (first - 1).saturating_sub(after.max(trace.swept));
        Traced { value, next: trace.count, lost }
    }

    /// Grows whenever somebody who waits may find something new.
    pub fn pulse(&self) -> u64 {
        self.trace.count.wrapping_add(self.answers.freed())
    }

    /// A request to the API was answered.
    pub fn trace_request(
        &mut self,
        operation: Operation,
        place: &Place,
        answer: Result<&Reply, &Refusal>,
    ) {
        let (status, code, body) = match answer {
            Ok(reply) => (reply.status, None, reply.body.as_ref()),
            Err(refusal) => (refusal.status, Some(refusal.code), None),
        };
        let asked = match place {
            Place::Call(call) | Place::Participant(call, _) => Some(call.as_str()),
            Place::Nowhere | Place::Recording(_) => None,
        };
        let made = || body.and_then(|body| body["callConnectionId"].as_str());
        let call = asked.or_else(made).filter(|call| call.len() <= LONGEST_ID);
        let entry = json!({
            "operation": format!("{operation:?}"), "status": status, "code": code,
            "callConnectionId": call,
        });
        self.trace(What::Request, entry, None);
    }

    /// Somebody at the far end did something.
    pub(super) fn trace_deed(&mut self, deed: &str, conversation: ConversationId) {
        let server = self.conversations.get(conversation).map(|found| &found.server);
        let entry = json!({ "deed": deed, "serverCallId": server });
        self.trace(What::Deed, entry, None);
    }
}
