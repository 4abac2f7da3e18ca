//! The words of scripts, and what they mean to the call.

use std::time::Duration;

use super::super::testing::{context, heard_with, only, roster};
use super::super::{Cause, Heard, Identity, Input, SubscriptionId, WaiterId, Wants};
use crate::pure::time::Tick;
use crate::wire::events::EventKind;

/// The few types that scripts speak of, by full name or short.
pub const KINDS: [&str; 9] = [
    "PlayCompleted",
    "PlayFailed",
    "ParticipantsUpdated",
    "Microsoft.Communication.HoldAudioStarted",
    "Contoso.Own",
    "CallConnected",
    "CreateCallFailed",
    "AnswerFailed",
    "CallDisconnected",
];
pub const CONTEXTS: [&str; 2] = ["mine", "yours"];
pub const COLOURS: [&str; 2] = ["red", "blue"];

/// What an event says, as far as the rules look at it. Numbers are places in the lists above.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub kind: usize,
    pub context: Option<usize>,
    pub colour: usize,
    /// Of a roster: its number and how many people it lists.
    pub number: Option<i64>,
    pub people: usize,
}

/// An event in both of its shapes.
#[derive(Clone, Debug)]
pub struct Event {
    pub said: Said,
    pub heard: Heard,
}

impl Event {
    pub fn new(n: u64, said: Said) -> Self {
        let kind = EventKind::parse(KINDS[said.kind]);
        let heard = if kind == EventKind::ParticipantsUpdated {
            roster(n, said.number, said.people)
        } else {
            let colour = COLOURS[said.colour];
            let members =
                format!(r#","colour":"{colour}","resultInformation":{{"code":{}}}"#, 200 + n);
            heard_with(n, kind, said.context.map(|place| CONTEXTS[place]), &members)
        };
        Self { said, heard }
    }
}

/// What somebody wants to hear.
#[derive(Clone, Debug)]
pub struct Wish {
    pub kinds: Option<Vec<usize>>,
    pub context: Option<usize>,
    pub colour: Option<usize>,
}

impl Wish {
    pub fn has_kind(&self, said: &Said) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&said.kind))
    }

    /// A roster of the script has neither context nor colour.
    pub fn has_context(&self, said: &Said) -> bool {
        let context = if said.is_roster() { None } else { said.context };
        self.context.is_none() || self.context == context
    }

    pub fn has_colour(&self, said: &Said) -> bool {
        let colour = if said.is_roster() { None } else { Some(said.colour) };
        self.colour.is_none() || self.colour == colour
    }

    pub fn fits(&self, said: &Said) -> bool {
        self.has_kind(said) && self.has_context(said) && self.has_colour(said)
    }
}

impl Said {
    pub fn is_roster(&self) -> bool {
        KINDS[self.kind] == "ParticipantsUpdated"
    }
}

/// What happens to the call. Times are milliseconds.
#[derive(Clone, Debug)]
pub enum Happening {
    Hear(Event),
    Wait {
        id: u64,
        wish: Wish,
        within: u64,
        from_backlog: bool,
    },
    Retime {
        id: u64,
        within: u64,
    },
    Cancel(u64),
    GiveBack(Event),
    Listen {
        id: u64,
        wish: Wish,
    },
    Detach(u64),
    Claim,
    /// Azure says that it lives; and that it does not.
    Verify,
    Reconcile,
    Shutdown,
    Wake,
}

impl Wish {
    /// The same, in the words of the call.
    pub fn wants(&self) -> Wants {
        let named = |places: &Vec<usize>| {
            let kinds: Vec<_> =
                places.iter().map(|place| EventKind::parse(KINDS[*place])).collect();
            Wants::kinds(&kinds)
        };
        let mut wants = self.kinds.as_ref().map_or_else(Wants::any, named);
        wants.context = self.context.map(|place| context(CONTEXTS[place]));
        match self.colour {
            Some(place) => wants.filter(only(COLOURS[place])),
            None => wants,
        }
    }
}

impl Happening {
    /// The same, in the words of the call.
    pub fn input(&self, now: Tick) -> Input {
        let time = Duration::from_millis;
        match self.clone() {
            Self::Hear(event) => Input::Event(event.heard),
            Self::Wait { id, wish, within, from_backlog } => {
                let (id, wants) = (WaiterId(id), wish.wants());
                Input::Wait { id, wants, asked: now, within: time(within), from_backlog }
            }
            Self::Retime { id, within } => Input::Retime { id: WaiterId(id), within: time(within) },
            Self::Cancel(id) => Input::Cancel(WaiterId(id)),
            Self::GiveBack(event) => Input::Return(event.heard),
            Self::Listen { id, wish } => {
                Input::Subscribe { id: SubscriptionId(id), wants: wish.wants() }
            }
            Self::Detach(id) => Input::Unsubscribe(SubscriptionId(id)),
            Self::Claim => Input::Claim(Identity::default()),
            Self::Verify => Input::Verified,
            Self::Reconcile => Input::Close(Cause::Reconciled),
            Self::Shutdown => Input::Shutdown,
            Self::Wake => Input::Woke,
        }
    }
}
