//! Faults on demand: what is to go wrong, where, how often. Read from JSON or from a TOML file.
//!
//! Owns the rules and their checks. When a rule strikes, and what then happens, is the world's business.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::calling::Operation;
use crate::wire::events::EventKind;

/// Most rules at a time.
const MOST_RULES: usize = 100;
/// Longest delay: a day.
const LONGEST_MS: u64 = 24 * 3600 * 1000;
/// Furthest that a clock goes wrong, either way: about a century.
const FURTHEST_SKEW_MS: u64 = 100 * 365 * LONGEST_MS;
/// How late something is when the rule does not say.
const USUAL_DELAY: Duration = Duration::from_secs(1);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The same event comes again, `delayMs` later (at once when that is not given).
    Duplicate,
    /// The event comes after the next one of its call, or of its subscription.
    Reorder,
    /// The event comes `delayMs` later (a second); others may overtake it.
    Delay,
    /// The event never comes.
    Drop,
    /// The answer is held until an event that came of its request was delivered, for five seconds at most.
    EventBeforeResponse,
    /// The request is done, but its connection is closed without an answer.
    LostResponse,
    /// 429; nothing is done.
    TooManyRequests,
    /// `status`, 500 when that is not given; nothing is done.
    ServerError,
    /// The answer comes `delayMs` later (a second).
    Slow,
    /// The callback's token is signed wrongly.
    ForgedToken,
    /// The callback's token has run out.
    ExpiredToken,
    /// The callback's token is for somebody else.
    WrongAudience,
    /// `CallDisconnected` never comes.
    LostDisconnect,
    /// The times of an event and of its token are wrong by `skewMs`.
    ClockSkew,
}

/// Where something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPlace {
    /// Callbacks.
    Callback,
    /// Event Grid's events, on their way to one subscription.
    EventGrid,
    /// Answers of the API.
    Response,
}

impl FaultPlace {
    const ALL: [Self; 3] = [Self::Callback, Self::EventGrid, Self::Response];

    /// Its name in rules.
    pub fn word(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::EventGrid => "eventGrid",
            Self::Response => "response",
        }
    }
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Duplicate,
        Self::Reorder,
        Self::Delay,
        Self::Drop,
        Self::EventBeforeResponse,
        Self::LostResponse,
        Self::TooManyRequests,
        Self::ServerError,
        Self::Slow,
        Self::ForgedToken,
        Self::ExpiredToken,
        Self::WrongAudience,
        Self::LostDisconnect,
        Self::ClockSkew,
    ];

    /// Its name in rules.
    pub fn word(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Delay => "delay",
            Self::Drop => "drop",
            Self::EventBeforeResponse => "eventBeforeResponse",
            Self::LostResponse => "lostResponse",
            Self::TooManyRequests => "tooManyRequests",
            Self::ServerError => "serverError",
            Self::Slow => "slow",
            Self::ForgedToken => "forgedToken",
            Self::ExpiredToken => "expiredToken",
            Self::WrongAudience => "wrongAudience",
            Self::LostDisconnect => "lostDisconnect",
            Self::ClockSkew => "clockSkew",
        }
    }

    /// Where it can strike; the first is meant when the rule does not say.
    fn places(self) -> &'static [FaultPlace] {
        use FaultPlace as P;
        match self {
            Self::Duplicate | Self::Reorder | Self::Delay | Self::Drop | Self::ClockSkew => {
                &[P::Callback, P::EventGrid]
            }
            Self::ForgedToken | Self::ExpiredToken | Self::WrongAudience | Self::LostDisconnect => {
                &[P::Callback]
            }
            Self::EventBeforeResponse
            | Self::LostResponse
            | Self::TooManyRequests
            | Self::ServerError
            | Self::Slow => &[P::Response],
        }
    }

    /// Whether it is in a callback's token, and so strikes each attempt anew.
    pub fn is_of_token(self) -> bool {
        matches!(self, Self::ForgedToken | Self::ExpiredToken | Self::WrongAudience)
    }
}

/// A rule as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    fault: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    types: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operations: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    #[serde(alias = "delay_ms", skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(alias = "retry_after_ms", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(alias = "skew_ms", skip_serializing_if = "Option::is_none")]
    skew_ms: Option<i64>,
}

/// What a rule looks like, for those who wrote another.
const MEMBERS: &str = "Faults have seed and rules; a rule has fault, on (callback, eventGrid or response), types, operations, call, percent, after, times, delayMs, status, retryAfterMs, skewMs.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    seed: u64,
    #[serde(default, alias = "rule")]
    rules: Vec<Written>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    written: Written,
    /// What goes wrong.
    pub fault: Fault,
    /// Where.
    pub on: FaultPlace,
    operations: Vec<Operation>,
    kinds: Vec<EventKind>,
}

/// What is to go wrong. `Default` is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// The dice are thrown from it.
    pub seed: u64,
    /// The rules; each of them throws dice of its own.
    pub rules: Vec<FaultRule>,
}

/// Why faults were refused. Says which rule and what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFaults(String);

impl Faults {
    /// Reads `{"seed":…,"rules":[…]}`.
    ///
    /// # Errors
    /// [`BadFaults`] with the first thing that is wrong.
    pub fn from_json(text: &[u8]) -> Result<Self, BadFaults> {
        let file: File = serde_json::from_slice(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            BadFaults(format!(
                "The faults cannot be read (line {line}, column {column}). {MEMBERS} {}",
                known()
            ))
        })?;
        file.checked()
    }

    /// Reads a fault file: `seed`, and `[[rules]]`; names may be written with underscores.
    ///
    /// # Errors
    /// [`BadFaults`] with the first thing that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, BadFaults> {
        let file: File = toml::from_str(text).map_err(|error| {
            BadFaults(format!("The fault file cannot be read: {}. {MEMBERS}", error.message()))
        })?;
        file.checked()
    }
}

impl File {
    fn checked(self) -> Result<Faults, BadFaults> {
        if self.rules.len() > MOST_RULES {
            return Err(BadFaults(format!("There may be at most {MOST_RULES} rules.")));
        }
        let read = |(index, rule): (usize, Written)| {
            rule.read().map_err(|problem| BadFaults(format!("rules[{index}]: {problem}")))
        };
        let rules = self.rules.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Faults { seed: self.seed, rules })
    }
}

fn known() -> String {
    format!("Known faults: {}.", Fault::ALL.map(Fault::word).join(", "))
}

/// Whether two names are the same but for case, underscores and hyphens.
fn alike(one: &str, other: &str) -> bool {
    let letters = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    letters(one) == letters(other)
}

impl Written {
    fn read(self) -> Result<FaultRule, String> {
        let fault = Fault::ALL.into_iter().find(|fault| alike(fault.word(), &self.fault));
        let fault = fault.ok_or_else(|| format!("There is no such fault. {}", known()))?;
        let on = self.place(fault)?;
        let operation = |name: &String| {
            let mut all = Operation::ALL.iter().copied();
            all.find(|operation| alike(&format!("{operation:?}"), name)).ok_or_else(|| {
                let all: Vec<_> = Operation::ALL.iter().map(|one| format!("{one:?}")).collect();
                format!("There is no such operation. Known are {}.", all.join(", "))
            })
        };
        let operations = self.operations.iter().map(operation).collect::<Result<Vec<_>, _>>()?;
        let kinds: Vec<_> = self.types.iter().map(|name| EventKind::parse(name)).collect();
        let unknown = kinds.iter().any(|kind| matches!(kind, EventKind::Unknown(_)));
        if unknown && on != FaultPlace::EventGrid {
            let all: Vec<_> = EventKind::KNOWN.iter().map(EventKind::short_name).collect();
            return Err(format!("There is no such event type. Known are {}.", all.join(", ")));
        }
        let rule = FaultRule { written: self, fault, on, operations, kinds };
        rule.check_reach()?;
        rule.check_numbers()?;
        Ok(rule)
    }

    fn place(&self, fault: Fault) -> Result<FaultPlace, String> {
        let places = fault.places();
        let words = places.iter().map(|place| place.word()).collect::<Vec<_>>().join(" or ");
        let Some(name) = &self.on else {
            return Ok(places.first().copied().unwrap_or(FaultPlace::Callback));
        };
        let place = FaultPlace::ALL.into_iter().find(|place| alike(place.word(), name));
        let place = place.filter(|place| places.contains(place));
        place.ok_or_else(|| format!("{} strikes on {words}, nowhere else.", fault.word()))
    }
}

impl FaultRule {
    /// The rule as it was written, for whoever reads it.
    pub fn seen(&self) -> serde_json::Value {
        let mut seen = serde_json::json!(self.written);
        seen["fault"] = self.fault.word().into();
        seen["on"] = self.on.word().into();
        seen
    }

    /// A rule that cannot strike is a mistake.
    fn check_reach(&self) -> Result<(), String> {
        let Written { types, operations, percent, times, .. } = &self.written;
        let of_events = self.on != FaultPlace::Response || self.fault == Fault::EventBeforeResponse;
        if !types.is_empty() && !of_events {
            return Err("It strikes answers, which have no types; give operations.".to_owned());
        }
        if !operations.is_empty() && self.on != FaultPlace::Response {
            return Err("It strikes events, which have no operations; give types.".to_owned());
        }
        let disconnect = self.kinds.is_empty() || self.kinds.contains(&EventKind::CallDisconnected);
        if self.fault == Fault::LostDisconnect && !disconnect {
            return Err("It strikes CallDisconnected only; leave types out.".to_owned());
        }
        if percent.is_some_and(|percent| !(percent > 0.0 && percent <= 100.0)) {
            return Err("percent must be more than 0 and at most 100.".to_owned());
        }
        if *times == Some(0) {
            return Err("times must be at least 1; leave it out for no end.".to_owned());
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), String> {
        let Written { delay_ms, status, retry_after_ms, skew_ms, .. } = &self.written;
        if delay_ms.max(retry_after_ms).is_some_and(|ms| ms > LONGEST_MS) {
            return Err(format!("delayMs and retryAfterMs may be at most {LONGEST_MS}."));
        }
        if self.fault == Fault::Delay && *delay_ms == Some(0) {
            return Err("delayMs must be at least 1.".to_owned());
        }
        let statuses: &[u16] = match self.fault {
            Fault::ServerError => &[500, 502, 503, 504],
            Fault::TooManyRequests => &[429],
            _ => &[],
        };
        if status.is_some_and(|status| !statuses.contains(&status)) {
            return Err("status is 500, 502, 503 or 504, and for serverError only.".to_owned());
        }
        let skew = skew_ms.map_or(0, i64::unsigned_abs);
        if self.fault == Fault::ClockSkew && !(1..=FURTHEST_SKEW_MS).contains(&skew) {
            let most = FURTHEST_SKEW_MS;
            return Err(format!("skewMs must be given, not 0, and between -{most} and {most}."));
        }
        Ok(())
    }

    /// Whether it is for a callback of this type.
    pub fn wants_kind(&self, kind: &EventKind) -> bool {
        let disconnect =
            self.fault != Fault::LostDisconnect || *kind == EventKind::CallDisconnected;
        disconnect && (self.kinds.is_empty() || self.kinds.contains(kind))
    }

    /// Whether it is for an Event Grid event of this full type.
    pub fn wants_type(&self, name: &str) -> bool {
        let short = name.strip_prefix("Microsoft.Communication.").unwrap_or(name);
        let wanted = |wanted: &String| wanted == name || wanted == short;
        self.written.types.is_empty() || self.written.types.iter().any(wanted)
    }

    /// Whether it is for this operation.
    pub fn wants_operation(&self, operation: Operation) -> bool {
        self.operations.is_empty() || self.operations.contains(&operation)
    }

    /// Whether it is for this call; `None` is a call without a name yet.
    pub fn wants_call(&self, call: Option<&str>) -> bool {
        self.written.call.as_deref().is_none_or(|wanted| call == Some(wanted))
    }

    /// The chance with which a candidate is struck, from 0 to 1.
    pub fn chance(&self) -> f64 {
        self.written.percent.unwrap_or(100.0) / 100.0
    }

    /// How many candidates are spared first, and how many are struck at most.
    pub fn bounds(&self) -> (u64, u64) {
        (self.written.after.unwrap_or(0), self.written.times.unwrap_or(u64::MAX))
    }

    /// How late something is.
    pub fn delay(&self) -> Duration {
        let usual = if self.fault == Fault::Duplicate { Duration::ZERO } else { USUAL_DELAY };
        self.written.delay_ms.map_or(usual, Duration::from_millis)
    }

    /// The status of an answer that refuses.
    pub fn status(&self) -> u16 {
        let usual = if self.fault == Fault::TooManyRequests { 429 } else { 500 };
        self.written.status.unwrap_or(usual)
    }

    /// What `Retry-After` says, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.written.retry_after_ms
    }

    /// How far the clock is wrong, in milliseconds.
    pub fn skew_ms(&self) -> i64 {
        self.written.skew_ms.unwrap_or_default()
    }

    /// The types of events that it names.
    pub fn kinds(&self) -> &[EventKind] {
        &self.kinds
    }
}
