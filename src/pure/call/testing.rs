//! What the tests of this folder share: events, a call on a stage, and short names for effects.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Call, CallView, Cause, CloseReason, Condition, DropReason, Effect, Ending, Fate, Heard, Input,
    Limits, NearMiss, SubscriptionId, WaitEnd, WaiterId, Wants,
};
use crate::pure::filter::Filter;
use crate::pure::time::{Position, Tick};
use crate::wire::events::{CallEvent, EventKind};
use crate::wire::identifiers::OperationContext;

pub const SECOND: u64 = 1000;
pub const MINUTE: u64 = 60 * SECOND;
pub const DAY: u64 = 24 * 60 * MINUTE;

/// The defaults, but that Azure is never asked: that has tests of its own.
pub fn limits() -> Limits {
    Limits { verify_silent: Duration::MAX, verify_max_age: Duration::MAX, ..Limits::default() }
}

/// An event as it would be read from the wire; `n` is its id and its position.
pub fn heard(n: u64, kind: EventKind, context: Option<&str>) -> Heard {
    heard_with(n, kind, context, "")
}

/// … with more members of `data` (a text that begins with a comma).
pub fn heard_with(n: u64, kind: EventKind, context: Option<&str>, members: &str) -> Heard {
    let context =
        context.map(|text| format!(r#","operationContext":"{text}""#)).unwrap_or_default();
    let json = format!(
        r#"{{"id":"{n}","source":"calling/callConnections/c","type":"{}",
            "data":{{"callConnectionId":"c","serverCallId":"s","correlationId":"k"{context}{members}}}}}"#,
        kind.full_name()
    );
    let event = CallEvent::parse(&json).expect("a good event");
    Heard { position: Position(n), received_ms: 0, event: Arc::new(event) }
}

/// The same event once more, at a later place in the journal.
pub fn again(heard: &Heard, n: u64) -> Heard {
    Heard { position: Position(n), ..heard.clone() }
}

/// A `PlayCompleted` of no operation.
pub fn play(n: u64) -> Heard {
    heard(n, EventKind::PlayCompleted, None)
}

/// A `CallDisconnected` with code 487 and subcode 5300.
pub fn disconnect(n: u64) -> Heard {
    let result = r#","resultInformation":{"code":487,"subCode":5300,"message":"gone"}"#;
    heard_with(n, EventKind::CallDisconnected, None, result)
}

/// How [`disconnect`] ends a call.
pub fn disconnected() -> Ending {
    Ending { cause: Cause::Disconnected, code: Some(487), sub_code: Some(5300) }
}

pub fn context(text: &str) -> OperationContext {
    OperationContext::new(text)
}

/// A roster of so many people.
pub fn roster(n: u64, number: Option<i64>, people: usize) -> Heard {
    let people: Vec<_> = (0..people)
        .map(|who| format!(r#"{{"identifier":{{"rawId":"8:acs:{who}"}},"isMuted":false}}"#))
        .collect();
    let number = number.map(|number| format!(r#","sequenceNumber":{number}"#)).unwrap_or_default();
    let members = format!(r#","participants":[{}]{number}"#, people.join(","));
    heard_with(n, EventKind::ParticipantsUpdated, None, &members)
}

/// An event with `data.colour`, which [`only`] looks at.
pub fn coloured(n: u64, kind: EventKind, context: Option<&str>, colour: &str) -> Heard {
    heard_with(n, kind, context, &format!(r#","colour":"{colour}""#))
}

/// A filter that lets one colour pass.
pub fn only(colour: &str) -> Filter {
    Filter::parse(&serde_json::json!([
        {"operatorType": "StringIn", "key": "data.colour", "values": [colour]}
    ]))
    .expect("a good filter")
}

pub fn kinds(kinds: &[EventKind]) -> Wants {
    Wants::kinds(kinds)
}

/// A call, its limits, and a clock in our hand. Times are milliseconds since the call was opened.
pub struct Stage {
    pub call: Call,
    pub limits: Limits,
    pub now: Tick,
}

const OPENED: Tick = Tick(1_000_000);

impl Stage {
    pub fn new() -> Self {
        Self::with(limits())
    }

    pub fn with(limits: Limits) -> Self {
        Self { call: Call::open(OPENED), limits, now: OPENED }
    }

    pub fn at(&mut self, ms: u64) -> &mut Self {
        self.now = OPENED + Duration::from_millis(ms);
        self
    }

    /// What is done at once. Remarks are for restarts; their tests are those of the replay.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = self.call.step(self.now, input, &self.limits);
        effects.retain(|effect| !matches!(effect, Effect::Remark(..)));
        effects
    }

    pub fn hear(&mut self, heard: &Heard) -> Vec<Effect> {
        self.step(Input::Event(heard.clone()))
    }

    /// Waits for four minutes.
    pub fn wait(&mut self, id: u64, wants: Wants) -> Vec<Effect> {
        self.wait_for(id, wants, 4 * MINUTE)
    }

    pub fn wait_for(&mut self, id: u64, wants: Wants, ms: u64) -> Vec<Effect> {
        let within = Duration::from_millis(ms);
        let (id, asked) = (WaiterId(id), self.now);
        self.step(Input::Wait { id, wants, asked, within, from_backlog: true })
    }

    pub fn poll(&mut self, id: u64, wants: Wants) -> Vec<Effect> {
        self.wait_for(id, wants, 0)
    }

    /// Waits from a cursor on: what came before does not count.
    pub fn wait_on(&mut self, id: u64, wants: Wants, ms: u64) -> Vec<Effect> {
        let within = Duration::from_millis(ms);
        let (id, asked) = (WaiterId(id), self.now);
        self.step(Input::Wait { id, wants, asked, within, from_backlog: false })
    }

    /// A wait for four minutes that gets here only now.
    pub fn wait_asked(&mut self, id: u64, asked: Tick, wants: Wants) -> Vec<Effect> {
        let (id, within) = (WaiterId(id), Duration::from_millis(4 * MINUTE));
        self.step(Input::Wait { id, wants, asked, within, from_backlog: true })
    }

    pub fn retime(&mut self, id: u64, ms: u64) -> Vec<Effect> {
        self.step(Input::Retime { id: WaiterId(id), within: Duration::from_millis(ms) })
    }

    pub fn cancel(&mut self, id: u64) -> Vec<Effect> {
        self.step(Input::Cancel(WaiterId(id)))
    }

    pub fn listen(&mut self, id: u64, wants: Wants) -> Vec<Effect> {
        self.step(Input::Subscribe { id: SubscriptionId(id), wants })
    }

    pub fn detach(&mut self, id: u64) -> Vec<Effect> {
        self.step(Input::Unsubscribe(SubscriptionId(id)))
    }

    pub fn give_back(&mut self, heard: &Heard) -> Vec<Effect> {
        self.step(Input::Return(heard.clone()))
    }

    pub fn claim(&mut self) -> Vec<Effect> {
        self.step(Input::Claim(super::Identity::default()))
    }

    pub fn wake(&mut self) -> Vec<Effect> {
        self.step(Input::Woke)
    }

    pub fn view(&self) -> CallView {
        self.call.view(self.now, &self.limits)
    }

    /// When the call wants to be woken, in milliseconds since it was opened.
    pub fn wakes_at(&self) -> Option<u64> {
        self.call.deadline(&self.limits).map(|at| at.0 - OPENED.0)
    }

    /// What time it is.
    pub fn tick(&self) -> Tick {
        self.now
    }

    /// The fates on the timeline, oldest first.
    pub fn fates(&self) -> Vec<Fate> {
        self.call.timeline().entries().map(|entry| entry.fate).collect()
    }
}

pub fn tell(id: u64, heard: &Heard) -> Effect {
    Effect::Tell(WaiterId(id), heard.clone())
}

pub fn end(id: u64, end: WaitEnd) -> Effect {
    Effect::End(WaiterId(id), end)
}

/// Timed out, and nothing came near.
pub fn timed_out(id: u64) -> Effect {
    end(id, WaitEnd::TimedOut(Vec::new()))
}

pub fn inform(id: u64, heard: &Heard) -> Effect {
    Effect::Inform(SubscriptionId(id), heard.clone())
}

pub fn close(id: u64, reason: CloseReason) -> Effect {
    Effect::Close(SubscriptionId(id), reason)
}

pub fn count(heard: &Heard, fate: Fate) -> Effect {
    Effect::Count(heard.event.kind.clone(), fate)
}

pub fn expired(count: usize) -> Effect {
    Effect::Dropped(DropReason::Expired, count)
}

pub fn near(heard: &Heard, failed: Condition) -> NearMiss {
    NearMiss { position: heard.position, kind: heard.event.kind.clone(), failed }
}
