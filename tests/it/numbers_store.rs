//! Changes of number assignments: safe before they are in force, and nobody waits for them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use serde_json::json;
use switchhook::actors::routing::{
    CallAnswered, ChangeError, DropNumber, Explain, GetNumber, IncomingRang, ListChanges, Look,
    PutNumber, RollBack, RolledBack, RoutingActor, RoutingSettings,
};
use switchhook::clock::ManualClock;
use switchhook::ports::{
    Answer, CallAutomation, Clock, HistoryPage, Later, NumberStore, NumberStoreError, Past,
    Position, Request, UpstreamError,
};
use switchhook::pure::routing::{Change, Changed, Draft, Key, Party, Table, Verdict, WriteError};
use switchhook::storage::memory::MemoryJournal;
use switchhook::storage::numbers::MemoryNumbers;
use switchhook::wire::events::grid::GridEvent;
use tokio::sync::oneshot;

use crate::stage::eventually;

type Outcome = Result<(), NumberStoreError>;

/// A store whose commits hang until they are told how to end, when it is told to hang.
struct Hanging {
    memory: Arc<MemoryNumbers>,
    hangs: Mutex<bool>,
    held: Mutex<Vec<oneshot::Sender<Outcome>>>,
}

impl Hanging {
    fn new(memory: Arc<MemoryNumbers>) -> Arc<Self> {
        Arc::new(Self { memory, hangs: Mutex::default(), held: Mutex::default() })
    }

    fn hang(&self, hangs: bool) {
        *self.hangs.lock().unwrap() = hangs;
    }

    /// Commits that hang now.
    fn holds(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    fn end(&self, outcome: Outcome) {
        let _asked = self.held.lock().unwrap().remove(0).send(outcome);
    }
}

impl NumberStore for Hanging {
    fn load(&self) -> Result<Table, NumberStoreError> {
        self.memory.load()
    }

    fn commit(&self, change: Arc<Change>) -> Later<'static, Outcome> {
        if !*self.hangs.lock().unwrap() {
            return self.memory.commit(change);
        }
        let (end, ended) = oneshot::channel();
        self.held.lock().unwrap().push(end);
        let memory = Arc::clone(&self.memory);
        Box::pin(async move {
            ended.await.expect("an outcome")?;
            memory.commit(change).await
        })
    }

    fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Later<'static, Result<HistoryPage, NumberStoreError>> {
        self.memory.history(before, limit)
    }

    fn past(&self, version: u64) -> Later<'static, Result<Past, NumberStoreError>> {
        self.memory.past(version)
    }

    fn failed(&self) -> Option<Arc<str>> {
        None
    }
}

/// An Azure that takes everything.
struct Azure;

impl CallAutomation for Azure {
    fn send(&self, _: Request) -> Later<'_, Result<Answer, UpstreamError>> {
        let answer = Answer { status: 204, body: Default::default() };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

struct Ear;

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<CallAnswered> for Ear {
    type Result = ();
    fn handle(&mut self, _: CallAnswered, _: &mut Self::Context) {}
}

struct Desk {
    clock: Arc<ManualClock>,
    store: Arc<Hanging>,
    routing: Addr<RoutingActor>,
}

impl Desk {
    fn new() -> Self {
        Self::with(100, |_| {})
    }

    fn with(history: usize, change: impl FnOnce(&mut RoutingSettings)) -> Self {
        let clock = ManualClock::starting_at("2025-11-21T08:30:00Z".parse().unwrap());
        let store = Hanging::new(MemoryNumbers::new(history));
        let mut settings = RoutingSettings::new("https://switchhook.example/webhooks/calls");
        change(&mut settings);
        let (door, ear) = (Arc::<Hanging>::clone(&store), Ear.start().recipient());
        let ticks = Arc::<ManualClock>::clone(&clock);
        let table = Table::default();
        let (azure, journal) = (Arc::new(Azure), MemoryJournal::new(1 << 20, 1));
        let routing = RoutingActor::new(settings, table, door, ticks, azure, ear, journal).start();
        Self { clock, store, routing }
    }

    async fn put(&self, key: &str, action: &str) -> Result<u64, ChangeError> {
        let written = self.routing.send(put(key, action, None)).await.unwrap();
        written.map(|numbered| numbered.assignment.version)
    }

    async fn remove(&self, key: &str) -> Result<u64, ChangeError> {
        let (key, who) = (Key::parse(key).unwrap(), "another".into());
        self.routing.send(DropNumber { key, if_match: None, who, why: None }).await.unwrap()
    }

    async fn roll_back(&self, to: u64, if_match: Option<u64>) -> Result<RolledBack, ChangeError> {
        let (who, why) = ("a third".into(), Some("it was wrong".into()));
        self.routing.send(RollBack { to, if_match, who, why }).await.unwrap()
    }

    async fn history(&self) -> HistoryPage {
        self.routing.send(ListChanges { before: None, limit: 100 }).await.unwrap().unwrap()
    }

    /// What is decided about a call to that number, by whose assignment.
    async fn decided(&self, callee: &str) -> (Verdict, u64) {
        let [caller, callee] = ["+12065551212", callee].map(|text| Party::parse(text).unwrap());
        let told = self.routing.send(Explain { caller, callee, at: None }).await.unwrap();
        (told.verdict, told.table_version)
    }

    /// Everything that is assigned, in order.
    async fn assigned(&self) -> serde_json::Value {
        let list = switchhook::actors::routing::ListNumbers { after: None, limit: 1_000 };
        json!(self.routing.send(list).await.unwrap().value)
    }
}

fn put(key: &str, action: &str, if_match: Option<u64>) -> PutNumber {
    PutNumber {
        key: Key::parse(key).unwrap(),
        draft: Draft::parse(&json!({"steps": [{"action": {"type": action}}]})).unwrap(),
        if_match,
        who: "an operator".into(),
        why: Some("a test".into()),
    }
}

#[actix_web::test]
async fn i11_lookups_and_decisions_never_wait_for_a_write() {
    let desk = Desk::new();
    desk.put("*", "ignore").await.unwrap();
    desk.store.hang(true);
    let writing = desk.routing.send(put("+14255550100", "answer", None));
    let next = desk.routing.send(put("+14255550100", "reject", Some(0)));
    let (writing, next) = (actix_web::rt::spawn(writing), actix_web::rt::spawn(next));
    eventually("the commit", async || (desk.store.holds() == 1).then_some(())).await;
    // With the old table, as long as the new one is not safe.
    for _ in 0..3 {
        assert_eq!(desk.decided("+14255550100").await, (Verdict::Act, 1));
        let key = Key::parse("+14255550100").unwrap();
        assert_eq!(desk.routing.send(GetNumber(key)).await.unwrap(), None);
        assert_eq!(desk.assigned().await.as_array().map(Vec::len), Some(1));
        assert_eq!(desk.history().await.version, 1);
    }
    let began = desk.clock.wall() - Duration::from_secs(1);
    let event = json!({
        "id": "e1", "source": "/resource", "type": "Microsoft.Communication.IncomingCall",
        "time": began.to_string(), "specversion": "1.0",
        "data": {
            "to": {"rawId": "4:+14255550100"}, "from": {"rawId": "4:+12065551212"},
            "serverCallId": "s", "correlationId": "c", "incomingCallContext": "ticket"
        }
    });
    let event = GridEvent::parse(&event.to_string()).unwrap();
    let rang = IncomingRang::of(event, desk.clock.now(), Position(1)).unwrap();
    desk.routing.send(rang).await.unwrap().expect("a decision");
    let view = desk.routing.send(Look).await.unwrap();
    assert_eq!((view.decisions.len(), view.table_version, view.writing), (1, 1, 2));
    assert_eq!(desk.store.holds(), 1, "one write at a time");
    desk.store.hang(false);
    desk.store.end(Ok(()));
    let written = writing.await.unwrap().unwrap().expect("written");
    assert_eq!(written.assignment.version, 2);
    let conflict = next.await.unwrap().unwrap().unwrap_err();
    assert_eq!(conflict, WriteError::VersionConflict { current: 2 }.into(), "thought out anew");
    assert_eq!(desk.decided("+14255550100").await, (Verdict::Act, 2));
    assert_eq!(desk.routing.send(Look).await.unwrap().writing, 0);
}

#[actix_web::test]
async fn i11_a_change_that_cannot_be_kept_never_was() {
    let desk = Desk::new();
    desk.put("*", "ignore").await.unwrap();
    let before = desk.assigned().await;
    desk.store.hang(true);
    let changes = [desk.routing.send(put("+1", "answer", None))];
    let mut begun: Vec<_> = changes.into_iter().map(actix_web::rt::spawn).collect();
    eventually("the commit", async || (desk.store.holds() == 1).then_some(())).await;
    let failure = NumberStoreError::Failed("the disk is full".into());
    desk.store.end(Err(failure.clone()));
    let refused = begun.remove(0).await.unwrap().unwrap().unwrap_err();
    assert_eq!(refused, ChangeError::Store(failure));
    assert_eq!(desk.assigned().await, before);
    assert_eq!(desk.decided("+1").await.1, 1);
    desk.store.hang(false);
    assert_eq!(desk.put("+1", "answer").await, Ok(2), "the next one gets the version");
}

#[actix_web::test]
async fn i11_a_change_goes_on_when_whoever_asked_has_gone() {
    let desk = Desk::new();
    desk.store.hang(true);
    let asking = actix_web::rt::spawn(desk.routing.send(put("+1", "answer", None)));
    eventually("the commit", async || (desk.store.holds() == 1).then_some(())).await;
    asking.abort();
    assert!(asking.await.is_err_and(|error| error.is_cancelled()));
    desk.store.end(Ok(()));
    eventually("the change", async || (desk.decided("+1").await.1 == 1).then_some(())).await;
}

#[actix_web::test]
async fn i11_changes_that_wait_for_the_store_have_a_limit() {
    let desk = Desk::with(100, |settings| settings.mailbox = 2);
    desk.store.hang(true);
    let begun = ["+1", "+2"].map(|key| {
        let routing = desk.routing.clone();
        actix_web::rt::spawn(async move { routing.send(put(key, "answer", None)).await.unwrap() })
    });
    eventually("two writers", async || {
        (desk.routing.send(Look).await.unwrap().writing == 2).then_some(())
    })
    .await;
    assert_eq!(desk.put("+3", "answer").await, Err(ChangeError::TooMany { limit: 2 }));
    desk.store.hang(false);
    desk.store.end(Ok(()));
    for begun in begun {
        begun.await.unwrap().expect("written");
    }
    assert_eq!(desk.put("+3", "answer").await, Ok(3));
}

#[actix_web::test]
async fn i11_history_tells_who_when_why_and_what_was_before() {
    let desk = Desk::new();
    desk.put("+1425*", "ignore").await.unwrap();
    desk.clock.advance(Duration::from_secs(60));
    desk.put("+1425*", "answer").await.unwrap();
    desk.remove("+1425*").await.unwrap();
    let page = json!(desk.history().await);
    let plan = |action: &str, version: u64| json!({"steps": [{"action": {"type": action}}], "version": version});
    let key = |before, after| json!([{"key": "+1425*", "before": before, "after": after}]);
    let wanted = json!({ "version": 3, "oldest": 0, "changes": [
        {"version": 3, "at": "2025-11-21T08:31:00Z", "what": "dropped", "who": "another",
            "keyCount": 1, "keys": key(plan("answer", 2), json!(null))},
        {"version": 2, "at": "2025-11-21T08:31:00Z", "what": "put", "who": "an operator",
            "why": "a test", "keyCount": 1, "keys": key(plan("ignore", 1), plan("answer", 2))},
        {"version": 1, "at": "2025-11-21T08:30:00Z", "what": "put", "who": "an operator",
            "why": "a test", "keyCount": 1, "keys": key(json!(null), plan("ignore", 1))},
    ]});
    assert_eq!(page, wanted);
}

#[actix_web::test]
async fn i11_a_rollback_is_exact_and_can_be_rolled_back() {
    let desk = Desk::new();
    let mut states = vec![desk.assigned().await];
    for (key, action) in [("*", "ignore"), ("+1", "answer"), ("+1", "reject"), ("+2*", "ignore")] {
        desk.put(key, action).await.unwrap();
        states.push(desk.assigned().await);
    }
    desk.remove("*").await.unwrap();
    states.push(desk.assigned().await);
    for to in [2, 0, 5, 3, 6, 1, 4] {
        let before = desk.history().await.version;
        let done = desk.roll_back(to, None).await.unwrap();
        assert_eq!((done.version, done.to), (before + 1, to));
        states.push(desk.assigned().await);
        let newest = desk.history().await.changes.swap_remove(0).change;
        assert_eq!(newest.what, Changed::RolledBack { to });
        assert_eq!((newest.version, newest.keys.len()), (before + 1, done.key_count));
        let to = usize::try_from(to).unwrap();
        assert_eq!(states.last(), Some(&states[to]), "as it was after version {to}");
        assert_eq!(desk.decided("+1").await.1, before + 1);
    }
    let version = desk.history().await.version;
    let undone = desk.roll_back(version - 1, None).await.unwrap();
    assert_eq!(Some(&desk.assigned().await), states.get(states.len() - 2), "{undone:?}");
}

#[actix_web::test]
async fn i11_a_rollback_that_cannot_be_made_changes_nothing() {
    let desk = Desk::with(2, |settings| settings.assignments = 2);
    for (key, action) in [("*", "ignore"), ("+1", "answer"), ("+1", "reject"), ("*", "answer")] {
        desk.put(key, action).await.unwrap();
    }
    let before = desk.assigned().await;
    let store = |error| Err(ChangeError::Store(error));
    assert_eq!(desk.roll_back(5, None).await, store(NumberStoreError::NotYet { newest: 4 }));
    assert_eq!(desk.roll_back(1, None).await, store(NumberStoreError::Gone { oldest: 2 }));
    assert_eq!(desk.roll_back(4, None).await, Err(ChangeError::NothingToDo { to: 4 }));
    assert_eq!(desk.roll_back(2, Some(3)).await, Err(ChangeError::Moved { current: 4 }));
    assert_eq!(desk.assigned().await, before);
    assert_eq!(desk.history().await.version, 4);
    assert!(desk.roll_back(2, Some(4)).await.is_ok(), "the oldest that is known");
}
