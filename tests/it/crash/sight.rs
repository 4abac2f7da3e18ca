//! Looks at a service after a restart, and waits until it has done what it owes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;

use super::azure::{Asked, Azure};
use super::check::{Observed, Seen};
use super::ledger::End;
use super::process::Addresses;
use super::world::{World, answer, until};

/// Calls that are looked at side by side.
const AT_ONCE: usize = 8;

/// Looks at the service that is there now.
pub struct Sight<'a> {
    pub world: &'a World,
    pub at: &'a Addresses,
    pub tombstone_ms: u64,
}

impl Sight<'_> {
    /// Waits until every wait has ended that has a reason to, every accepted call is acted on, every leg
    /// is known, and every call that ended silently is found out; or until that time is over. What is
    /// still owed then, the judge finds.
    pub async fn settle(&self, patience: Duration) -> Observed {
        until(patience, || self.owes_nothing()).await;
        // Calls that were never acknowledged may still be acted on: what is asked from here on belongs
        // to the next look.
        let asked = self.world.azure.asked();
        let wanted = legs_of(&asked);
        let mut legs = BTreeSet::new();
        let found = RefCell::new(&mut legs);
        until(patience, || async {
            let known = self.legs(&wanted).await;
            let all = wanted.is_subset(&known);
            **found.borrow_mut() = known;
            all
        })
        .await;
        self.pass_on(&legs);
        Observed { asked, legs, tombstone_ms: self.tombstone_ms, ..Observed::default() }
    }

    async fn owes_nothing(&self) -> bool {
        // A glance over the network, so that this never turns faster than the service.
        self.get("/readyz").await;
        for call in self.silent() {
            let view = self.get(&format!("/admin/calls/{call}")).await;
            if view.is_some_and(|view| view["state"] != "disconnected") {
                return false;
            }
        }
        let (ledger, now) = (self.world.ledger.borrow(), self.world.now_ms());
        let asked = self.world.azure.asked();
        let done: BTreeSet<_> = asked.iter().filter(|a| a.done).map(|a| &a.ticket).collect();
        ledger.waits.iter().all(|wait| wait.ended.is_some() || !ledger.is_over(wait, now))
            && ledger.rings.iter().all(|(ticket, ring)| !ring.acked || done.contains(ticket))
    }

    /// Calls that ended silently and are not forgotten yet.
    fn silent(&self) -> Vec<String> {
        let (ledger, now) = (self.world.ledger.borrow(), self.world.now_ms());
        let silent = ledger.calls.iter().filter(
            |(_, note)| matches!(note.end, Some((End::Silent, at)) if now < at + self.tombstone_ms),
        );
        silent.map(|(call, _)| call.clone()).collect()
    }

    /// Those of these legs that are known: those that a sender has, and those of which the service says so.
    async fn legs(&self, wanted: &BTreeSet<String>) -> BTreeSet<String> {
        let taken = self.world.ledger.borrow().legs.clone();
        let open = wanted.difference(&taken).cloned();
        let ask = |leg: String| async move {
            self.get(&format!("/admin/calls/{leg}")).await.map(|_| leg)
        };
        let open: Vec<_> = stream::iter(open).map(ask).buffer_unordered(AT_ONCE).collect().await;
        taken.into_iter().chain(open.into_iter().flatten()).collect()
    }

    /// Whoever sends events may take these.
    fn pass_on(&self, legs: &BTreeSet<String>) {
        let (mut open, ledger) = (self.world.legs.borrow_mut(), self.world.ledger.borrow());
        for leg in legs {
            if !ledger.legs.contains(leg) && !open.contains(leg) {
                open.push_back(leg.clone());
            }
        }
    }

    /// Everything that can be seen.
    pub async fn look(&self, observed: &mut Observed) {
        let calls: Vec<_> = {
            let (ledger, now) = (self.world.ledger.borrow(), self.world.now_ms());
            let kept = ledger.calls.iter().filter(|(_, note)| {
                note.end.as_ref().is_none_or(|(_, at)| now < at + self.tombstone_ms)
            });
            kept.map(|(call, _)| call.clone()).collect()
        };
        let look = |call: String| async move {
            let seen = self.look_at(&call).await;
            (call, seen)
        };
        observed.calls = stream::iter(calls).map(look).buffer_unordered(AT_ONCE).collect().await;
        observed.all = self.pages().await;
        if let Some(page) = self.get("/v1/numbers?limit=1000").await {
            observed.table_version = page["version"].as_u64().unwrap_or(0);
            observed.numbers = numbers(&page);
        }
        observed.now_ms = self.world.now_ms();
    }

    async fn look_at(&self, call: &str) -> Seen {
        let page = self.get(&format!("/v1/calls/{call}/events?limit=1000")).await;
        let timeline = page.and_then(|mut page| match page["events"].take() {
            Value::Array(events) => Some(events),
            _ => None,
        });
        let view = self.get(&format!("/admin/calls/{call}")).await;
        Seen { timeline, view, at_ms: self.world.now_ms() }
    }

    async fn pages(&self) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let Some(mut page) = self.get(&format!("/v1/events?limit=1000{after}")).await else {
                return all;
            };
            let next = page["next"].as_str().map(|next| format!("&after={next}"));
            if let Value::Array(events) = page["events"].take() {
                all.extend(events);
            }
            match next {
                Some(next) if next != after => after = next,
                _ => return all,
            }
        }
    }

    /// `None` for a 404. Whatever else is no answer is one that nobody should get.
    async fn get(&self, path: &str) -> Option<Value> {
        match answer(self.world.get(format!("{}{path}", self.at.private))).await {
            Some((200, body)) => Some(body),
            Some((404, _)) => None,
            Some((status, body)) => {
                self.world.strange("a look", status, &body);
                None
            }
            None => {
                self.world.strange("a look", 0, &Value::Null);
                None
            }
        }
    }
}

/// The legs of calls that were answered.
fn legs_of(asked: &[Asked]) -> BTreeSet<String> {
    let answered = asked.iter().filter(|asked| asked.operation == "answer");
    answered.map(|asked| Azure::leg_of(&asked.ticket)).collect()
}

fn numbers(page: &Value) -> BTreeMap<String, (u64, String)> {
    let numbers = page["numbers"].as_array().into_iter().flatten();
    let one = |number: &Value| {
        let text = |name: &str| number[name].as_str().unwrap_or_default().to_owned();
        (text("key"), (number["version"].as_u64().unwrap_or(0), text("note")))
    };
    numbers.map(one).collect()
}
