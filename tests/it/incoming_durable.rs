//! Ringing calls over restarts: decided once, acted on once, whatever was lost in between.
//!
//! A journal in memory that outlives the actor, an Azure that can lose its answers, and a clock that is
//! held. A restart is what it is in life: a new actor that knows nothing but the journal's lines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler, ResponseFuture};
use actix_web::http::StatusCode;
use actix_web::{App, test, web};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use switchhook::actors::routing::{
    AttemptResult, CallAnswered, DecisionRecord, Fate, IncomingRang, Look, NeededSince,
    RoutingActor, RoutingRecovery, RoutingSettings, RoutingView,
};
use switchhook::clock::ManualClock;
use switchhook::http::public::grid;
use switchhook::ports::{
    Answer, CallAutomation, Clock, Found, Journal, JournalError, JournalState, Later, Line,
    LineKind, Page, Placed, Position, Record, Remark, Request, Snapshots, Tick, UpstreamError,
};
use switchhook::pure::notes::{Settled, Trying};
use switchhook::pure::routing::{Draft, Key, Moment, Table};
use switchhook::storage::numbers::MemoryNumbers;
use switchhook::wire::calling::Operation;
use switchhook::wire::events::grid::GridEvent;
use tokio::sync::watch;
use uuid::Uuid;

/// What the journal does with the next lines.
#[derive(Clone, Debug, PartialEq)]
enum Mood {
    /// Keeps them.
    Good,
    /// Takes them, and does not say yet that they are safe.
    Slow,
    /// Has no room.
    Full,
    /// Fails.
    Broken,
}

/// Keeps lines in memory, longer than any actor lives.
struct Disk {
    lines: Mutex<Vec<Record>>,
    mood: watch::Sender<Mood>,
    state: watch::Sender<JournalState>,
}

impl Disk {
    fn notes(&self, kind: LineKind) -> Vec<Arc<str>> {
        let lines = self.lines.lock().unwrap();
        let of_kind = lines.iter().filter(|record| record.line.kind == kind);
        of_kind.map(|record| Arc::clone(&record.line.text)).collect()
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.lines.lock().unwrap().iter().map(|record| record.line.kind.label()).collect()
    }

    fn settled(&self) -> Vec<Settled> {
        let read = |text: &Arc<str>| serde_json::from_str(text).unwrap();
        self.notes(LineKind::Settled).iter().map(read).collect()
    }

    fn trying(&self) -> Vec<Trying> {
        let read = |text: &Arc<str>| serde_json::from_str(text).unwrap();
        self.notes(LineKind::Trying).iter().map(read).collect()
    }
}

impl Journal for Disk {
    fn append(
        &self,
        lines: Vec<Line>,
        placed: Placed<'_>,
    ) -> Later<'static, Result<(), JournalError>> {
        match *self.mood.borrow() {
            Mood::Full => return Box::pin(async { Err(JournalError::Full) }),
            Mood::Broken => {
                return Box::pin(async { Err(JournalError::Failed("no space left".into())) });
            }
            Mood::Good | Mood::Slow => {}
        }
        let mut kept = self.lines.lock().unwrap();
        let first = kept.len() as u64 + 1;
        for (place, line) in (first..).zip(lines) {
            kept.push(Record { position: Position(place), line });
        }
        placed(Position(first));
        let mut mood = self.mood.subscribe();
        Box::pin(async move {
            let _gone = mood.wait_for(|mood| *mood != Mood::Slow).await;
            Ok(())
        })
    }

    fn remark(&self, _: Position, _: Remark) {}

    fn keep(&self, _: Snapshots) -> Later<'static, Result<(), JournalError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn read(&self, _: Position, _: usize) -> Later<'_, Result<Page, JournalError>> {
        Box::pin(std::future::ready(Err(JournalError::Unreadable("not asked for".into()))))
    }

    fn get(&self, _: &[Position]) -> Later<'_, Result<Vec<Option<Record>>, JournalError>> {
        Box::pin(std::future::ready(Err(JournalError::Unreadable("not asked for".into()))))
    }

    fn recover(&self, found: &mut dyn FnMut(Found<'_>)) -> Result<(), JournalError> {
        for record in self.lines.lock().unwrap().iter() {
            found(Found::Line(record.clone(), Remark::default()));
        }
        Ok(())
    }

    fn state(&self) -> watch::Receiver<JournalState> {
        self.state.subscribe()
    }

    fn life(&self) -> u32 {
        1
    }
}

/// How Azure answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reply {
    /// As it should.
    Done,
    /// Does it, and the answer never comes.
    Lost,
    /// Refuses.
    Refused,
}

/// An Azure that counts a request once, however often it comes.
struct Azure {
    asked: Mutex<Vec<Request>>,
    done: Mutex<HashMap<Uuid, usize>>,
    reply: Mutex<Reply>,
}

impl Azure {
    fn will(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests it has counted.
    fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }

    fn answer(&self, request: &Request) -> Result<Answer, UpstreamError> {
        let id = request.repeatability.as_ref().expect("always").request_id;
        let mut done = self.done.lock().unwrap();
        let next = done.len() + 1;
        let leg = *done.entry(id).or_insert(next);
        let body = json!({"callConnectionId": format!("leg-{leg}"), "serverCallId": "server"});
        Ok(Answer { status: 200, body: body.to_string().into() })
    }
}

impl CallAutomation for Azure {
    fn send(&self, request: Request) -> Later<'_, Result<Answer, UpstreamError>> {
        self.asked.lock().unwrap().push(request.clone());
        let reply = *self.reply.lock().unwrap();
        Box::pin(async move {
            match reply {
                Reply::Done => self.answer(&request),
                Reply::Lost => {
                    let _lost = self.answer(&request);
                    std::future::pending().await
                }
                Reply::Refused => Err(UpstreamError::Refused {
                    operation: request.operation.label(),
                    status: 404,
                    code: "8522".into(),
                    message: "Call not found.".into(),
                }),
            }
        })
    }
}

/// Hears of answered calls. A deaf one never comes to claiming them.
struct Ear {
    heard: Arc<Mutex<Vec<CallAnswered>>>,
    deaf: bool,
}

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<CallAnswered> for Ear {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, news: CallAnswered, _: &mut Self::Context) -> Self::Result {
        if self.deaf {
            return Box::pin(std::future::pending());
        }
        self.heard.lock().unwrap().push(news);
        Box::pin(std::future::ready(()))
    }
}

/// What outlives the service: its journal, the world, and the time.
struct World {
    clock: Arc<ManualClock>,
    disk: Arc<Disk>,
    azure: Arc<Azure>,
    heard: Arc<Mutex<Vec<CallAnswered>>>,
    deaf: bool,
    settings: RoutingSettings,
    table: Table,
}

const FRESH: Duration = Duration::from_secs(2);
const CALLEE: &str = "4:+14255550100";

impl World {
    fn new(steps: &Value) -> Self {
        let draft = Draft::parse(&json!({ "steps": steps })).unwrap();
        let (table, _) = Table::default().put(&Key::parse("*").unwrap(), draft, None).unwrap();
        let start: Timestamp = "2025-11-21T08:30:00Z".parse().unwrap();
        Self {
            clock: ManualClock::starting(Tick(1_000_000_000), start),
            disk: Arc::new(Disk {
                lines: Mutex::default(),
                mood: watch::Sender::new(Mood::Good),
                state: watch::Sender::default(),
            }),
            azure: Arc::new(Azure {
                asked: Mutex::default(),
                done: Mutex::default(),
                reply: Mutex::new(Reply::Done),
            }),
            heard: Arc::default(),
            deaf: false,
            settings: RoutingSettings::new("https://switchhook.example/webhooks/calls?key=k"),
            table,
        }
    }

    /// Starts the service, which reads the journal first.
    fn start(&self) -> Addr<RoutingActor> {
        let now = Moment { tick: self.clock.now(), wall: self.clock.wall() };
        let mut recovery = RoutingRecovery::new(&self.settings, now);
        self.disk
            .recover(&mut |found| {
                if let Found::Line(record, _) = found {
                    recovery.line(&record);
                }
            })
            .unwrap();
        let ear = Ear { heard: Arc::clone(&self.heard), deaf: self.deaf }.start().recipient();
        let (clock, azure) = (Arc::clone(&self.clock), Arc::clone(&self.azure));
        let journal = Arc::clone(&self.disk);
        let (settings, table) = (self.settings.clone(), self.table.clone());
        let store = MemoryNumbers::of(&table, 100);
        let actor = RoutingActor::new(settings, table, store, clock, azure, ear, journal);
        actor.resuming(recovery.finish()).start()
    }

    /// The event `id` of the call `call`, which began to ring so long ago.
    fn event(&self, id: &str, call: &str, age: Duration) -> Value {
        let began = self.clock.wall() - age;
        json!({
            "id": id, "source": "/resource", "type": "Microsoft.Communication.IncomingCall",
            "time": began.to_string(), "specversion": "1.0",
            "data": {
                "to": {"rawId": CALLEE}, "from": {"rawId": "4:+12065551212"},
                "serverCallId": format!("server-{call}"),
                "correlationId": format!("call-{call}"),
                "incomingCallContext": format!("ticket-{call}"),
            },
        })
    }

    /// Accepts it as the door does: into the journal, and into the mailbox if somebody is there.
    async fn ring(&self, routing: Option<&Addr<RoutingActor>>, id: &str) -> Option<u64> {
        let event = self.event(id, id, FRESH);
        let event = GridEvent::parse(&event.to_string()).unwrap();
        let text = Arc::clone(&event.raw);
        let line = Line { kind: LineKind::Rang, at: self.clock.wall(), text };
        let mut place = Position::default();
        self.disk.append(vec![line], &mut |first| place = first).await.unwrap();
        let rang = IncomingRang::of(event, self.clock.now(), place).unwrap();
        Some(routing?.send(rang).await.unwrap().unwrap())
    }

    async fn until(&self, what: &str, mut seen: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !seen(self) {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            tokio::task::yield_now().await;
        }
    }

    async fn until_asked(&self, many: usize) {
        self.until("the requests", |world| world.azure.asked().len() >= many).await;
    }

    async fn until_settled(&self, many: usize) {
        self.until("the end", |world| world.disk.settled().len() >= many).await;
    }
}

async fn look(routing: &Addr<RoutingActor>) -> RoutingView {
    routing.send(Look).await.unwrap()
}

/// The newest decision that is no repeat.
async fn decision(routing: &Addr<RoutingActor>) -> DecisionRecord {
    let all = look(routing).await.decisions;
    all.into_iter().find(|record| record.fate != Some(Fate::Repeated)).expect("a decision")
}

fn action(kind: &str) -> Value {
    json!({"action": {"type": kind}})
}

#[actix_web::test]
async fn i5_a_call_that_was_accepted_and_not_decided_is_decided_after_a_restart_and_once() {
    let world = World::new(&json!([action("answer")]));
    world.ring(None, "a").await;
    world.clock.advance(Duration::from_secs(5));
    let routing = world.start();
    world.until_settled(1).await;
    world.ring(Some(&routing), "a").await;
    let view = look(&routing).await;
    assert_eq!((world.azure.asked().len(), world.heard.lock().unwrap().len()), (1, 1));
    let fates: Vec<_> = view.decisions.iter().map(|record| record.fate.unwrap()).collect();
    assert_eq!(fates, [Fate::Repeated, Fate::Answered]);
    assert_eq!(view.decisions[1].left_ms, Some(23_000), "it has rung on meanwhile");
    let deadline = world.clock.now() + Duration::from_secs(23);
    assert_eq!(world.azure.asked()[0].deadline, Some(deadline));
}

#[actix_web::test]
async fn i5_a_call_that_was_told_twice_before_the_restart_is_acted_on_once() {
    let world = World::new(&json!([action("answer")]));
    world.ring(None, "a").await;
    world.ring(None, "a").await;
    let routing = world.start();
    world.until_settled(1).await;
    assert_eq!(look(&routing).await.decisions.len(), 1);
    assert_eq!(world.azure.asked().len(), 1);
    // A second restart finds nothing left to do.
    let routing = world.start();
    assert_eq!(decision(&routing).await.fate, Some(Fate::Answered));
    assert_eq!((look(&routing).await.acting, world.azure.asked().len()), (0, 1));
}

#[actix_web::test]
async fn i8_a_request_whose_answer_was_lost_is_sent_again_as_the_same_and_counts_once() {
    let world = World::new(&json!([action("answer"), action("reject")]));
    world.azure.will(Reply::Lost);
    let routing = world.start();
    let id = world.ring(Some(&routing), "a").await;
    world.until_asked(1).await;
    assert_eq!(world.disk.kinds(), ["rang", "trying"]);
    drop(routing);

    world.clock.advance(Duration::from_secs(10));
    world.azure.will(Reply::Done);
    let routing = world.start();
    world.until_settled(1).await;
    let [first, again] = <[Request; 2]>::try_from(world.azure.asked()).unwrap();
    assert_eq!(first.repeatability, again.repeatability);
    assert_eq!((first.operation, &first.body), (again.operation, &again.body));
    assert_eq!(first.deadline, again.deadline, "it rings no longer for the restart");
    assert_eq!(world.azure.done(), 1);
    assert_eq!(world.disk.trying().len(), 1);
    let record = decision(&routing).await;
    assert_eq!((Some(record.id), record.fate), (id, Some(Fate::Answered)));
    assert_eq!(record.call_connection_id, Some("leg-1".into()));
    let results: Vec<_> = record.attempts.iter().map(|attempt| &attempt.result).collect();
    assert_eq!(results, [&AttemptResult::Succeeded]);
    let heard = world.heard.lock().unwrap();
    assert_eq!(heard.len(), 1);
    let sent: Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!(sent["operationContext"], heard[0].operation_context.as_str());
}

#[actix_web::test]
async fn i8_after_a_restart_the_rest_of_the_plan_is_there_and_the_table_is_not_asked_again() {
    let mut world = World::new(&json!([action("answer"), action("reject"), action("ignore")]));
    world.azure.will(Reply::Lost);
    let routing = world.start();
    world.ring(Some(&routing), "a").await;
    world.until_asked(1).await;
    drop(routing);

    world.azure.will(Reply::Refused);
    world.table = Table::default();
    let routing = world.start();
    world.until_settled(1).await;
    let operations: Vec<_> = world.azure.asked().iter().map(|request| request.operation).collect();
    let wanted = [Operation::AnswerCall, Operation::AnswerCall, Operation::RejectCall];
    assert_eq!(operations, wanted);
    let record = decision(&routing).await;
    assert_eq!(record.fate, Some(Fate::Ignored));
    assert_eq!(record.attempts.iter().map(|attempt| attempt.step).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(record.explanation.table_version, 1, "why it was decided, then");

    let routing = world.start();
    assert_eq!(decision(&routing).await, record, "nothing is left to do");
    assert_eq!(world.azure.asked().len(), 3);
}

#[actix_web::test]
async fn i5_a_settled_call_that_is_told_again_after_a_restart_is_a_repeat() {
    let world = World::new(&json!([action("answer")]));
    let routing = world.start();
    world.ring(Some(&routing), "a").await;
    world.until_settled(1).await;
    let before = decision(&routing).await;
    drop(routing);

    let routing = world.start();
    let view = look(&routing).await;
    assert_eq!((view.decisions.as_slice(), view.acting), ([before].as_slice(), 0));
    world.ring(Some(&routing), "a").await;
    let newest = look(&routing).await.decisions.remove(0);
    assert_eq!((newest.id, newest.fate), (2, Some(Fate::Repeated)));
    assert_eq!(world.azure.asked().len(), 1);
}

#[actix_web::test]
async fn i4_what_rings_no_more_after_a_restart_is_settled_and_not_acted_on() {
    for (away_ms, asked) in [(27_999, 4), (28_000, 2)] {
        let world = World::new(&json!([action("answer")]));
        world.azure.will(Reply::Lost);
        let routing = world.start();
        for id in ["tried", "tried too"] {
            world.ring(Some(&routing), id).await;
        }
        world.until_asked(2).await;
        drop(routing);
        world.ring(None, "never tried").await;
        world.ring(None, "never tried either").await;
        world.clock.advance(Duration::from_millis(away_ms));
        let routing = world.start();
        look(&routing).await;
        if asked == 4 {
            world.until_asked(6).await;
            assert!(world.disk.settled().is_empty(), "a millisecond is enough");
            continue;
        }
        world.until_settled(4).await;
        assert_eq!(world.azure.asked().len(), asked);
        let fates: Vec<_> = world.disk.settled().iter().map(|settled| settled.fate).collect();
        assert_eq!(fates, [Fate::Failed, Fate::Failed, Fate::Stale, Fate::Stale]);
        let record = world.disk.settled().remove(0).record.expect("its record");
        assert!(matches!(record.attempts[0].result, AttemptResult::Failed { undone: false, .. }));
        // They were settled for good.
        let routing = world.start();
        look(&routing).await;
        assert_eq!((world.disk.settled().len(), world.azure.asked().len()), (4, asked));
    }
}

#[actix_web::test]
async fn i8_nothing_is_sent_before_the_journal_has_kept_it() {
    let world = World::new(&json!([action("answer"), action("reject")]));
    let routing = world.start();
    world.disk.mood.send_replace(Mood::Slow);
    let event = GridEvent::parse(&world.event("a", "a", FRESH).to_string()).unwrap();
    let rang = IncomingRang::of(event, world.clock.now(), Position(1)).unwrap();
    routing.send(rang).await.unwrap().unwrap();
    world.until("the note", |world| world.disk.trying().len() == 1).await;
    for _ in 0..10 {
        look(&routing).await;
    }
    assert!(world.azure.asked().is_empty());
    world.disk.mood.send_replace(Mood::Good);
    world.until_settled(1).await;
    assert_eq!(world.azure.asked().len(), 1);
    let key = world.azure.asked()[0].repeatability.clone().unwrap();
    let note = world.disk.trying().remove(0);
    assert_eq!((note.request_id, note.first_sent), (key.request_id, key.first_sent));
    assert_eq!(note.deadline, world.clock.wall() + Duration::from_secs(28));
    assert_eq!(note.plan.len(), 2, "this step and the next");
}

#[actix_web::test]
async fn i8_what_the_journal_keeps_too_late_is_not_sent() {
    let world = World::new(&json!([action("answer"), action("reject")]));
    let routing = world.start();
    world.disk.mood.send_replace(Mood::Slow);
    let event = GridEvent::parse(&world.event("a", "a", FRESH).to_string()).unwrap();
    let rang = IncomingRang::of(event, world.clock.now(), Position(1)).unwrap();
    routing.send(rang).await.unwrap().unwrap();
    world.until("the note", |world| world.disk.trying().len() == 1).await;
    world.clock.advance(Duration::from_secs(28));
    world.disk.mood.send_replace(Mood::Good);
    world.until_settled(1).await;
    assert!(world.azure.asked().is_empty());
    assert_eq!(decision(&routing).await.fate, Some(Fate::Failed));
}

#[actix_web::test]
async fn i8_when_the_journal_fails_nothing_is_sent_and_the_record_says_so() {
    let world = World::new(&json!([action("answer"), action("reject")]));
    let routing = world.start();
    world.disk.mood.send_replace(Mood::Broken);
    let event = GridEvent::parse(&world.event("a", "a", FRESH).to_string()).unwrap();
    let rang = IncomingRang::of(event, world.clock.now(), Position(1)).unwrap();
    routing.send(rang).await.unwrap().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while decision(&routing).await.fate.is_none() {
        assert!(Instant::now() < deadline, "it never ends");
    }
    let record = decision(&routing).await;
    assert_eq!(record.fate, Some(Fate::Failed));
    let [attempt] = record.attempts.as_slice() else { panic!("{record:?}") };
    let AttemptResult::Failed { undone: true, problem, .. } = &attempt.result else {
        panic!("{attempt:?}")
    };
    assert!(problem.contains("nothing was sent"), "{problem}");
    assert!(world.azure.asked().is_empty());
    assert_eq!(look(&routing).await.acting, 0);
}

#[actix_web::test]
async fn i8_a_journal_that_is_full_for_a_moment_costs_no_step_of_the_plan() {
    let world = World::new(&json!([action("answer"), action("reject")]));
    let routing = world.start();
    world.disk.mood.send_replace(Mood::Full);
    let event = GridEvent::parse(&world.event("a", "a", FRESH).to_string()).unwrap();
    let rang = IncomingRang::of(event, world.clock.now(), Position(1)).unwrap();
    routing.send(rang).await.unwrap().unwrap();
    world.until("an alarm", |world| world.clock.next_alarm().is_some()).await;
    world.disk.mood.send_replace(Mood::Good);
    world.clock.advance(Duration::from_secs(1));
    world.until_settled(1).await;
    let operations: Vec<_> = world.azure.asked().iter().map(|request| request.operation).collect();
    assert_eq!(operations, [Operation::AnswerCall]);
}

#[actix_web::test]
async fn i8_an_answered_call_is_settled_only_when_it_was_claimed() {
    let mut world = World::new(&json!([action("answer")]));
    world.deaf = true;
    let routing = world.start();
    world.ring(Some(&routing), "a").await;
    world.until_asked(1).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while decision(&routing).await.fate.is_none() {
        assert!(Instant::now() < deadline, "it never ends");
    }
    for _ in 0..10 {
        look(&routing).await;
    }
    assert!(world.disk.settled().is_empty(), "nobody has claimed it");
    drop(routing);

    world.deaf = false;
    let _routing = world.start();
    world.until_settled(1).await;
    let heard: Vec<_> = world.heard.lock().unwrap().iter().map(|it| it.call.clone()).collect();
    assert_eq!(heard, ["leg-1".into()]);
    assert_eq!(world.disk.settled()[0].call, Some("leg-1".into()));
    assert_eq!((world.azure.asked().len(), world.azure.done()), (2, 1));
}

#[actix_web::test]
async fn i9_a_redirect_that_may_have_been_made_is_followed_after_a_restart() {
    let redirect = json!({"action": {"type": "redirect", "target": "8:acs:r_u"}});
    let mut world = World::new(&json!([action("ignore")]));
    let steps = json!({"steps": [redirect, action("reject")]});
    let key = Key::parse("+14255550100").unwrap();
    let (table, _) = world.table.put(&key, Draft::parse(&steps).unwrap(), None).unwrap();
    world.table = table;
    let routing = world.start();
    world.ring(Some(&routing), "a").await;
    world.until_settled(1).await;
    drop(routing);
    world.clock.advance(Duration::from_secs(59));
    // The same caller to the same target within a minute is held back, also over a restart.
    for (id, operation) in [("b", Operation::RejectCall), ("c", Operation::RedirectCall)] {
        let routing = world.start();
        world.ring(Some(&routing), id).await;
        let asked = world.azure.asked().len().max(1);
        world.until_settled(asked).await;
        world
            .until("its request", |world| {
                world.azure.asked().last().is_some_and(|request| request.operation == operation)
            })
            .await;
        world.clock.advance(Duration::from_secs(1));
    }
}

#[actix_web::test]
async fn i5_the_journal_is_needed_for_as_long_as_calls_are_remembered() {
    let world = World::new(&json!([action("reject")]));
    let routing = world.start();
    assert_eq!(routing.send(NeededSince).await.unwrap(), None);
    world.ring(Some(&routing), "a").await;
    world.until_settled(1).await;
    world.clock.advance(Duration::from_secs(300));
    world.ring(Some(&routing), "b").await;
    world.until_settled(2).await;
    let second = world.disk.settled()[1].rang;
    let age = world.settings.memory.age;
    assert_eq!(routing.send(NeededSince).await.unwrap(), Some(Position(1)));
    // Nothing of it is forgotten by a restart.
    let routing = world.start();
    assert_eq!(routing.send(NeededSince).await.unwrap(), Some(Position(1)));
    world.clock.advance(age - Duration::from_secs(300));
    assert_eq!(routing.send(NeededSince).await.unwrap(), Some(second));
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(routing.send(NeededSince).await.unwrap(), None);
}

/// The door in front of a world, in this thread: nothing happens while nobody waits.
macro_rules! door {
    ($world:expr, $routing:expr) => {{
        let (clock, journal) = (Arc::clone(&$world.clock), Arc::clone(&$world.disk));
        let door = grid::Door {
            routing: $routing.clone(),
            journal,
            clock,
            secret: None,
            subscriptions: Vec::new(),
            max_body_bytes: 1 << 20,
            max_events: 100,
        };
        let route = web::post().to(grid::receive);
        let app = App::new().app_data(web::Data::new(door)).route("/webhooks/eventgrid", route);
        test::init_service(app).await
    }};
}

macro_rules! delivered {
    ($app:expr, $body:expr) => {{
        let (app, body) = (&$app, $body);
        async move {
            let post = test::TestRequest::post().uri("/webhooks/eventgrid").set_json(body);
            match test::try_call_service(app, post.to_request()).await {
                Ok(response) => response.status(),
                Err(error) => error.as_response_error().status_code(),
            }
        }
    }};
}

#[actix_web::test]
async fn i2_every_event_about_calls_is_in_the_journal_when_it_is_acknowledged() {
    let world = World::new(&json!([action("reject")]));
    let routing = world.start();
    let app = door!(world, routing);
    let notice = json!({
        "id": "n", "source": "/resource", "type": "Microsoft.Communication.CallStarted",
        "specversion": "1.0", "data": {"correlationId": "call-a"},
    });
    let other = json!({"id": "o", "source": "/r", "type": "Else.Where", "data": {}});
    let batch = json!([world.event("a", "a", FRESH), 7, notice, other]);
    assert_eq!(delivered!(app, &batch).await, StatusCode::OK);
    let kept: Vec<Value> = world.disk.notes(LineKind::Rang).iter().map(read).collect();
    assert_eq!(kept, [batch[0].clone(), notice]);
    world.until_settled(1).await;
    assert_eq!(decision(&routing).await.notices.len(), 1);
    assert_eq!(world.disk.trying()[0].rang, Position(1));

    let validation = json!([{
        "id": "v", "topic": "/s", "subject": "", "eventTime": "2025-11-21T08:00:00Z",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "the-code"},
    }]);
    assert_eq!(delivered!(app, &validation).await, StatusCode::OK);
    assert_eq!(world.disk.notes(LineKind::Rang).len(), 2);

    let routing = world.start();
    assert_eq!(decision(&routing).await.notices.len(), 1, "joined again");
}

fn read(text: &Arc<str>) -> Value {
    serde_json::from_str(text).unwrap()
}

#[actix_web::test]
async fn i2_a_journal_that_cannot_keep_an_event_is_no_receipt() {
    let world = World::new(&json!([action("reject")]));
    let routing = world.start();
    let app = door!(world, routing);
    let event = world.event("a", "a", FRESH);
    for mood in [Mood::Full, Mood::Broken] {
        world.disk.mood.send_replace(mood.clone());
        let status = delivered!(app, &event).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{mood:?}");
    }
    assert_eq!(look(&routing).await.decisions.len(), 0, "nobody heard of it");
    // A slow one is not waited for longer than Event Grid's patience allows.
    world.disk.mood.send_replace(Mood::Slow);
    let mut status = Box::pin(async { delivered!(app, &event).await });
    assert!(futures_util::poll!(&mut status).is_pending());
    world.until("an alarm", |world| world.clock.next_alarm().is_some()).await;
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(status.await, StatusCode::SERVICE_UNAVAILABLE);
    world.disk.mood.send_replace(Mood::Good);
    // It comes again, and was decided meanwhile.
    assert_eq!(delivered!(app, &event).await, StatusCode::OK);
    world.until("the decisions", |world| world.disk.settled().len() == 2).await;
    let mut fates: Vec<_> = world.disk.settled().iter().map(|it| it.fate.label()).collect();
    fates.sort_unstable();
    assert_eq!(fates, ["rejected", "repeated"]);
    assert_eq!(world.azure.asked().len(), 1);
}

#[actix_web::test]
async fn i2_a_full_mailbox_is_answered_with_503_at_once_and_costs_nobody_a_call() {
    let mut world = World::new(&json!([action("reject")]));
    world.settings.mailbox = 1;
    let routing = world.start();
    look(&routing).await;
    let app = door!(world, routing);
    let events: Vec<_> =
        (0..20).map(|i| world.event(&format!("e{i}"), &format!("c{i}"), FRESH)).collect();
    // The clock stands still: nobody's patience ends.
    let statuses = join_all(events.iter().map(|event| delivered!(app, event))).await;
    let refused = statuses.iter().filter(|it| **it == StatusCode::SERVICE_UNAVAILABLE).count();
    let accepted = statuses.iter().filter(|it| **it == StatusCode::OK).count();
    assert_eq!(refused + accepted, 20, "{statuses:?}");
    assert!(refused > 0 && accepted > 0, "{statuses:?}");
    assert_eq!(look(&routing).await.decisions.len(), accepted);
    // Event Grid comes again with each of them.
    for (event, status) in events.iter().zip(&statuses) {
        if *status != StatusCode::OK {
            assert_eq!(delivered!(app, event).await, StatusCode::OK);
        }
    }
    world.until_settled(20).await;
    assert_eq!((world.azure.done(), world.azure.asked().len()), (20, 20));

    // All lines of the refused ones are in the journal, too; after a restart nothing is left to do.
    assert_eq!(world.disk.notes(LineKind::Rang).len(), 20 + refused);
    let routing = world.start();
    assert_eq!(look(&routing).await.acting, 0);
    assert_eq!((world.disk.settled().len(), world.azure.asked().len()), (20, 20));
}
