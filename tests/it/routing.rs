//! The RoutingActor between a pretended Azure and a hand-held clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler};
use jiff::Timestamp;
use serde_json::{Value, json};
use switchhook::actors::routing::{
    AttemptResult, CallAnswered, ChangeError, DecisionRecord, DropNumber, Explain, Fate, GetNumber,
    GetTable, IncomingRang, ListChanges, ListNumbers, Look, NoticeCame, PutNumber, RoutingActor,
    RoutingSettings, RoutingView, TooManyRing,
};
use switchhook::clock::ManualClock;
use switchhook::ports::{
    Answer, CallAutomation, Clock, Later, Position, Request, Tick, UpstreamError, sleep,
};
use switchhook::pure::routing::{Changed, Draft, Key, Party, Table, Verdict, WriteError};
use switchhook::storage::memory::MemoryJournal;
use switchhook::storage::numbers::MemoryNumbers;
use switchhook::wire::calling::Operation;
use switchhook::wire::events::grid::{GridEvent, parse_deliveries};

const CALLER: &str = "4:+12065551212";
const CALLBACK: &str = "https://switchhook.example/webhooks/calls?key=k";

/// How the pretended Azure answers one request.
enum Reply {
    Done(Value),
    Refused(u16),
    Silent,
    /// The same, but only after that time.
    After(Duration, Box<Reply>),
}

/// An Azure that writes down what it is asked, and answers by script; without one it says 204.
struct Azure {
    clock: Arc<ManualClock>,
    asked: Mutex<Vec<Request>>,
    script: Mutex<VecDeque<Reply>>,
}

impl Azure {
    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    fn operations(&self) -> Vec<Operation> {
        self.asked().iter().map(|request| request.operation).collect()
    }

    fn will(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script.lock().unwrap().extend(replies);
    }

    async fn reply(
        &self,
        operation: &'static str,
        mut reply: Reply,
    ) -> Result<Answer, UpstreamError> {
        while let Reply::After(time, next) = reply {
            sleep(&*self.clock, time).await;
            reply = *next;
        }
        match reply {
            Reply::Done(body) => Ok(Answer { status: 200, body: body.to_string().into() }),
            Reply::Refused(status) => Err(UpstreamError::Refused {
                operation,
                status,
                code: "8522".into(),
                message: "Call not found.".into(),
            }),
            _ => Err(UpstreamError::Unreachable { operation, reason: "no route".into() }),
        }
    }
}

impl CallAutomation for Azure {
    fn send(&self, request: Request) -> Later<'_, Result<Answer, UpstreamError>> {
        let operation = request.operation.label();
        self.asked.lock().unwrap().push(request);
        let reply = self.script.lock().unwrap().pop_front().unwrap_or(Reply::Done(json!({})));
        Box::pin(self.reply(operation, reply))
    }
}

/// Hears of answered calls.
struct Ear(Arc<Mutex<Vec<CallAnswered>>>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<CallAnswered> for Ear {
    type Result = ();

    fn handle(&mut self, news: CallAnswered, _: &mut Self::Context) {
        self.0.lock().unwrap().push(news);
    }
}

struct Desk {
    clock: Arc<ManualClock>,
    azure: Arc<Azure>,
    heard: Arc<Mutex<Vec<CallAnswered>>>,
    routing: Addr<RoutingActor>,
}

impl Desk {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RoutingSettings)) -> Self {
        Self::at(Table::default(), change)
    }

    fn at(table: Table, change: impl FnOnce(&mut RoutingSettings)) -> Self {
        let clock = ManualClock::starting_at("2025-11-21T08:30:00Z".parse().unwrap());
        let azure = Arc::new(Azure {
            clock: Arc::clone(&clock),
            asked: Mutex::default(),
            script: Mutex::default(),
        });
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Ear(Arc::clone(&heard)).start().recipient();
        let mut settings = RoutingSettings::new(CALLBACK);
        change(&mut settings);
        let (ticks, door) = (Arc::clone(&clock), Arc::clone(&azure));
        let store = MemoryNumbers::of(&table, 100);
        let journal = MemoryJournal::new(1 << 20, 1);
        let routing = RoutingActor::new(settings, table, store, ticks, door, ear, journal).start();
        Self { clock, azure, heard, routing }
    }

    async fn put(&self, key: &str, steps: Value) -> Result<u64, ChangeError> {
        let put = PutNumber {
            key: Key::parse(key).unwrap(),
            draft: Draft::parse(&json!({"steps": steps})).unwrap(),
            if_match: None,
            who: "an operator".into(),
            why: Some("a test".into()),
        };
        let written = self.routing.send(put).await.unwrap();
        written.map(|numbered| numbered.assignment.version)
    }

    /// A call rings now, `age` ago by its event.
    async fn ring(&self, to: &str, id: &str, age: Duration) -> Result<u64, TooManyRing> {
        let began = self.clock.wall() - age;
        let event = json!({
            "id": id, "source": "/resource", "type": "Microsoft.Communication.IncomingCall",
            "time": began.to_string(), "specversion": "1.0",
            "data": {
                "to": {"rawId": to}, "from": {"rawId": CALLER},
                "serverCallId": format!("server-{id}"), "correlationId": format!("call-{id}"),
                "incomingCallContext": format!("ticket-{id}")
            }
        });
        let event = GridEvent::parse(&event.to_string()).unwrap();
        self.deliver(event).await
    }

    async fn deliver(&self, event: GridEvent) -> Result<u64, TooManyRing> {
        let rang = IncomingRang::of(event, self.clock.now(), Position(1)).expect("a ringing call");
        self.routing.send(rang).await.unwrap()
    }

    async fn look(&self) -> RoutingView {
        self.routing.send(Look).await.unwrap()
    }

    /// The decision of that number, once it has come to its end.
    async fn settled(&self, id: u64) -> DecisionRecord {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let seen = self.look().await.decisions.into_iter().find(|record| record.id == id);
            let record = seen.expect("a decision");
            if record.fate.is_some() {
                return record;
            }
            assert!(Instant::now() < deadline, "decision {id} never ends: {record:?}");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many requests have left.
    async fn asked(&self, many: usize) -> Vec<Request> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.azure.asked().len() < many {
            assert!(Instant::now() < deadline, "only {} requests", self.azure.asked().len());
            tokio::task::yield_now().await;
        }
        self.azure.asked()
    }
}

fn redirect(target: &str) -> Value {
    json!({"action": {"type": "redirect", "target": target}})
}

fn action(kind: &str) -> Value {
    json!({"action": {"type": kind}})
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

const FRESH: Duration = Duration::from_secs(2);

#[actix_web::test]
async fn i8_a_redirect_says_what_azure_wants_until_the_ringing_ends() {
    let desk = Desk::new();
    desk.put("+14255550100", json!([redirect("8:acs:r_u")])).await.unwrap();
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    let record = desk.settled(id).await;
    assert_eq!((record.fate, record.left_ms), (Some(Fate::Redirected), Some(28_000)));
    let [request] = <[Request; 1]>::try_from(desk.azure.asked()).unwrap();
    assert_eq!(request.operation, Operation::RedirectCall);
    assert_eq!(request.deadline, Some(Tick(28_000)));
    assert!(request.repeatability.is_some());
    let target = json!({
        "rawId": "8:acs:r_u", "kind": "communicationUser", "communicationUser": {"id": "8:acs:r_u"}
    });
    assert_eq!(body(&request), json!({"incomingCallContext": "ticket-a", "target": target}));
}

#[actix_web::test]
async fn i8_an_answer_carries_its_options_and_is_told() {
    let desk = Desk::new();
    let answer = json!({"action": {
        "type": "answer", "cognitiveServicesEndpoint": "https://speech.example",
        "answeredBy": "8:acs:r_app", "operationContext": "desk"
    }});
    desk.put("*", json!([answer])).await.unwrap();
    desk.azure
        .will([Reply::Done(json!({"callConnectionId": "leg-1", "serverCallId": "server-1"}))]);
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    let record = desk.settled(id).await;
    assert_eq!(record.fate, Some(Fate::Answered));
    assert_eq!(record.call_connection_id, Some("leg-1".into()));
    let wanted = json!({
        "incomingCallContext": "ticket-a", "callbackUri": CALLBACK, "operationContext": "desk",
        "callIntelligenceOptions": {"cognitiveServicesEndpoint": "https://speech.example"},
        "answeredBy": {"id": "8:acs:r_app"}
    });
    assert_eq!(body(&desk.azure.asked()[0]), wanted);
    let deadline = Instant::now() + Duration::from_secs(10);
    while desk.heard.lock().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "nobody is told");
        tokio::task::yield_now().await;
    }
    let news = CallAnswered {
        call: "leg-1".into(),
        server_call: Some("server-1".into()),
        correlation: Some("call-a".into()),
        from: CALLER.into(),
        to: "4:+14255550100".into(),
        operation_context: "desk".into(),
        decision: id,
    };
    assert_eq!(*desk.heard.lock().unwrap(), [news]);
}

#[actix_web::test]
async fn i8_an_answer_without_a_context_gets_one_of_its_own() {
    let desk = Desk::new();
    desk.put("*", json!([action("answer")])).await.unwrap();
    for id in ["a", "b"] {
        let id = desk.ring("4:+14255550100", id, FRESH).await.unwrap();
        desk.settled(id).await;
    }
    let contexts: Vec<Value> = desk
        .azure
        .asked()
        .iter()
        .map(|request| body(request)["operationContext"].clone())
        .collect();
    assert!(contexts.iter().all(|context| context.as_str().is_some_and(|text| text.len() == 36)));
    assert_ne!(contexts[0], contexts[1]);
}

#[actix_web::test]
async fn i8_a_failing_action_falls_to_the_next_step() {
    let desk = Desk::new();
    let reject = json!({"action": {"type": "reject", "reason": "busy"}});
    desk.put("*", json!([redirect("8:acs:r_u"), action("answer"), reject, action("ignore")]))
        .await
        .expect_err("a star that redirects needs an end");
    desk.put("8:acs:r_u", json!([action("ignore")])).await.unwrap();
    desk.put("*", json!([redirect("8:acs:r_u"), action("answer"), reject, action("ignore")]))
        .await
        .unwrap();
    desk.azure.will([Reply::Refused(404), Reply::Silent]);
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    let record = desk.settled(id).await;
    assert_eq!(record.fate, Some(Fate::Rejected));
    let operations = [Operation::RedirectCall, Operation::AnswerCall, Operation::RejectCall];
    assert_eq!(desk.azure.operations(), operations);
    let asked = desk.azure.asked();
    assert_eq!(
        body(&asked[2]),
        json!({"incomingCallContext": "ticket-a", "callRejectReason": "busy"})
    );
    let keys = asked.iter().map(|request| request.repeatability.as_ref().unwrap().request_id);
    assert_eq!(keys.collect::<std::collections::HashSet<_>>().len(), 3, "three requests");
    let results: Vec<_> = record.attempts.iter().map(|attempt| &attempt.result).collect();
    assert!(matches!(results[0], AttemptResult::Failed { status: Some(404), .. }));
    assert!(matches!(results[1], AttemptResult::Failed { status: None, .. }));
    assert_eq!(results[2], &AttemptResult::Succeeded);
}

#[actix_web::test]
async fn i8_when_every_step_fails_the_call_has_failed() {
    let desk = Desk::new();
    desk.put("+1*", json!([action("answer"), action("reject")])).await.unwrap();
    desk.azure.will([Reply::Refused(404), Reply::Refused(404)]);
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    assert_eq!(desk.settled(id).await.fate, Some(Fate::Failed));
    assert_eq!(desk.azure.asked().len(), 2);
    assert_eq!(desk.look().await.acting, 0);
}

#[actix_web::test]
async fn i8_ignore_sends_nothing() {
    let desk = Desk::new();
    desk.put("*", json!([action("ignore")])).await.unwrap();
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    assert_eq!(desk.settled(id).await.fate, Some(Fate::Ignored));
    assert!(desk.azure.asked().is_empty());
}

#[actix_web::test]
async fn i4_nothing_is_sent_once_the_telephone_is_silent() {
    let desk = Desk::new();
    desk.put("*", json!([action("answer"), action("reject")])).await.unwrap();
    let slow = Duration::from_secs(28);
    desk.azure.will([Reply::After(slow, Box::new(Reply::Refused(500)))]);
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    desk.asked(1).await;
    assert_eq!(desk.look().await.decisions[0].fate, None, "the answer is under way");
    desk.clock.advance(slow);
    assert_eq!(desk.settled(id).await.fate, Some(Fate::Failed));
    assert_eq!(desk.azure.operations(), [Operation::AnswerCall]);

    desk.azure.will([Reply::After(slow - Duration::from_millis(1), Box::new(Reply::Refused(500)))]);
    let id = desk.ring("4:+14255550100", "b", FRESH).await.unwrap();
    desk.asked(2).await;
    desk.clock.advance(slow - Duration::from_millis(1));
    assert_eq!(desk.settled(id).await.fate, Some(Fate::Rejected), "a millisecond is enough");
}

#[actix_web::test]
async fn i4_a_stale_event_is_counted_and_not_acted_on() {
    let desk = Desk::new();
    desk.put("*", json!([action("answer")])).await.unwrap();
    let id = desk.ring("4:+14255550100", "a", Duration::from_secs(30)).await.unwrap();
    let record = desk.settled(id).await;
    assert_eq!((record.fate, record.left_ms), (Some(Fate::Stale), Some(0)));
    assert!(desk.azure.asked().is_empty());
}

#[actix_web::test]
async fn i5_a_repeated_event_acts_once() {
    let desk = Desk::new();
    desk.put("*", json!([action("answer")])).await.unwrap();
    let first = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    let again = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    assert_eq!(desk.settled(first).await.fate, Some(Fate::Answered));
    assert_eq!(desk.settled(again).await.fate, Some(Fate::Repeated));
    assert_eq!(desk.azure.asked().len(), 1);
}

#[actix_web::test]
async fn i5_a_call_that_was_refused_for_want_of_room_is_no_repeat_when_it_comes_again() {
    let desk = Desk::with(|settings| settings.acting = 1);
    desk.put("*", json!([action("answer")])).await.unwrap();
    let slow = Duration::from_secs(5);
    desk.azure.will([Reply::After(slow, Box::new(Reply::Done(json!({}))))]);
    let first = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    let refused = desk.ring("4:+14255550100", "b", FRESH).await;
    assert_eq!(refused, Err(TooManyRing { limit: 1 }));
    desk.asked(1).await;
    desk.clock.advance(slow);
    desk.settled(first).await;
    let second = desk.ring("4:+14255550100", "b", FRESH).await.unwrap();
    assert_eq!(desk.settled(second).await.fate, Some(Fate::Answered));
}

#[actix_web::test]
async fn i7_a_call_for_nobody_is_unassigned() {
    let desk = Desk::new();
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    let record = desk.settled(id).await;
    assert_eq!(record.fate, Some(Fate::Unassigned));
    assert_eq!(record.explanation.verdict, Verdict::NoAssignment);
}

#[actix_web::test]
async fn i7_every_decision_during_writes_is_by_one_whole_table() {
    let desk = Desk::new();
    let held = desk.routing.send(GetTable).await.unwrap();
    let reason = |version: u64| if version.is_multiple_of(2) { "busy" } else { "forbidden" };
    let write = |version: u64| {
        let reject = json!({"action": {"type": "reject", "reason": reason(version)}});
        desk.put("+14255550100", json!([reject]))
    };
    write(1).await.unwrap();
    for version in 2..=100 {
        let id = format!("r{version}");
        let (written, decision) =
            futures_util::join!(write(version), desk.ring("4:+14255550100", &id, FRESH));
        assert_eq!(written, Ok(version));
        let by = desk.settled(decision.unwrap()).await.explanation.table_version;
        // It does not wait for the write, and comes before it or after it.
        assert!([version - 1, version].contains(&by), "{by} while {version} is written");
        let request = desk.azure.asked().pop().unwrap();
        assert_eq!(body(&request)["callRejectReason"], reason(by));
    }
    assert_eq!((held.version(), held.len()), (0, 0), "a held table never changes");
    assert_eq!(desk.look().await.table_version, 100);
}

#[actix_web::test]
async fn i7_writers_who_saw_an_older_version_are_refused() {
    let desk = Desk::new();
    desk.put("+1", json!([action("ignore")])).await.unwrap();
    let put = |if_match| PutNumber {
        key: Key::parse("+1").unwrap(),
        draft: Draft::parse(&json!({"steps": [action("reject")]})).unwrap(),
        if_match: Some(if_match),
        who: "another".into(),
        why: None,
    };
    let refused = desk.routing.send(put(0)).await.unwrap();
    assert_eq!(refused.unwrap_err(), WriteError::VersionConflict { current: 1 }.into());
    let written = desk.routing.send(put(1)).await.unwrap().unwrap();
    assert_eq!(written.assignment.version, 2);
    let key = || Key::parse("+1").unwrap();
    let found = desk.routing.send(GetNumber(key())).await.unwrap();
    assert_eq!(found, Some(written));
    let page = desk.routing.send(ListNumbers { after: None, limit: 10 }).await.unwrap();
    assert_eq!((page.value.len(), page.version, page.total), (1, 2, 1));
    let drop = |if_match| DropNumber { key: key(), if_match, who: "a third".into(), why: None };
    assert!(desk.routing.send(drop(Some(1))).await.unwrap().is_err());
    assert_eq!(desk.routing.send(drop(Some(2))).await.unwrap(), Ok(3));
    assert_eq!(desk.routing.send(drop(None)).await.unwrap(), Err(WriteError::NotFound.into()));
    let history = desk.routing.send(ListChanges { before: None, limit: 10 }).await.unwrap();
    let history = history.unwrap().changes;
    let told: Vec<_> = history
        .iter()
        .map(|listed| (listed.change.version, listed.change.what, listed.change.who.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (3, Changed::Dropped, "a third"),
            (2, Changed::Put, "another"),
            (1, Changed::Put, "an operator")
        ]
    );
}

#[actix_web::test]
async fn i7_there_is_a_limit_to_the_assignments() {
    let desk = Desk::with(|settings| settings.assignments = 1);
    desk.put("+1", json!([action("ignore")])).await.unwrap();
    let full = desk.put("+2", json!([action("ignore")])).await;
    assert_eq!(full, Err(WriteError::Full { limit: 1 }.into()));
    desk.put("+1", json!([action("reject")])).await.expect("a change is no growth");
}

#[actix_web::test]
async fn i7_a_loaded_table_is_listed_in_pages_of_bounded_size() {
    let stored = |number: u32| {
        let json =
            json!({"key": format!("+1{number:04}"), "steps": [action("ignore")], "version": 9});
        Draft::parse(&json).unwrap().into_stored().unwrap()
    };
    let desk = Desk::at(Table::load(0, (0..1_001).map(stored)).unwrap(), |_| {});
    let list = |after| ListNumbers { after, limit: usize::MAX };
    let first = desk.routing.send(list(None)).await.unwrap();
    assert_eq!((first.value.len(), first.version, first.total), (1_000, 9, 1_001));
    let last = first.value.last().map(|numbered| numbered.key.clone());
    let second = desk.routing.send(list(last)).await.unwrap();
    assert_eq!(second.value.iter().map(|found| found.key.text()).collect::<Vec<_>>(), ["+11000"]);
    assert_eq!(desk.put("+1", json!([action("ignore")])).await, Ok(10), "versions go on");
}

#[actix_web::test]
async fn i9_a_redirected_call_is_not_sent_back_when_the_table_changes_in_between() {
    let desk = Desk::new();
    desk.put("+14255550100", json!([redirect("8:acs:r_u")])).await.unwrap();
    let back = json!([redirect("+14255550100"), action("reject")]);
    let error = desk.put("8:acs:r_u", back.clone()).await.unwrap_err();
    assert!(matches!(&error, ChangeError::Refused(refused) if refused.code() == "redirect_cycle"));
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    assert_eq!(desk.settled(id).await.fate, Some(Fate::Redirected));
    assert_eq!(desk.look().await.journeys, 1);
    desk.put("+14255550100", json!([action("answer")])).await.unwrap();
    desk.put("8:acs:r_u", json!([redirect("+14255550100")])).await.unwrap();
    let id = desk.ring("8:acs:r_u", "b", FRESH).await.unwrap();
    assert_eq!(desk.settled(id).await.fate, Some(Fate::LoopPrevented));
    desk.put("8:acs:r_u", back).await.unwrap();
    let id = desk.ring("8:acs:r_u", "c", FRESH).await.unwrap();
    assert_eq!(desk.settled(id).await.fate, Some(Fate::Rejected), "the next step is taken");
}

#[actix_web::test]
async fn i9_somebody_who_dials_again_is_served_again_where_the_settings_say_so() {
    let desk = Desk::with(|settings| settings.guard.max_repeats = 5);
    desk.put("8:acs:r_v", json!([action("ignore")])).await.unwrap();
    desk.put("8:acs:r_u", json!([redirect("8:acs:r_v")])).await.unwrap();
    desk.put("+14255550100", json!([redirect("8:acs:r_u")])).await.unwrap();
    for round in 0..3 {
        for (callee, wanted) in [
            ("4:+14255550100", Fate::Redirected),
            ("8:acs:r_u", Fate::Redirected),
            ("8:acs:r_v", Fate::Ignored),
        ] {
            let id = desk.ring(callee, &format!("{round}{callee}"), FRESH).await.unwrap();
            assert_eq!(desk.settled(id).await.fate, Some(wanted), "round {round}");
        }
        desk.clock.advance(Duration::from_secs(10));
    }
}

#[actix_web::test]
async fn i9_the_same_caller_and_target_within_a_minute_are_not_followed_again() {
    let desk = Desk::new();
    desk.put("+14255550100", json!([redirect("8:acs:r_u"), action("ignore")])).await.unwrap();
    for (id, after_s, wanted) in
        [("a", 0, Fate::Redirected), ("b", 59, Fate::Ignored), ("c", 1, Fate::Redirected)]
    {
        desk.clock.advance(Duration::from_secs(after_s));
        let id = desk.ring("4:+14255550100", id, FRESH).await.unwrap();
        assert_eq!(desk.settled(id).await.fate, Some(wanted), "{after_s} s later");
    }
}

#[actix_web::test]
async fn i9_a_refused_redirect_is_forgotten_and_one_without_an_answer_is_not() {
    let desk = Desk::new();
    desk.put("+14255550100", json!([redirect("8:acs:r_u"), action("reject")])).await.unwrap();
    for round in 0..8 {
        desk.azure.will([Reply::Refused(404)]);
        let id = desk.ring("4:+14255550100", &format!("refused {round}"), FRESH).await.unwrap();
        let record = desk.settled(id).await;
        assert_eq!((record.fate, record.attempts.len()), (Some(Fate::Rejected), 2), "{round}");
    }
    desk.azure.will([Reply::Silent]);
    let id = desk.ring("4:+14255550100", "silent", FRESH).await.unwrap();
    desk.settled(id).await;
    desk.put("+14255550100", json!([action("answer")])).await.unwrap();
    desk.put("8:acs:r_u", json!([redirect("+14255550100")])).await.unwrap();
    let id = desk.ring("8:acs:r_u", "it rings after all", FRESH).await.unwrap();
    assert_eq!(desk.settled(id).await.fate, Some(Fate::LoopPrevented));
}

#[actix_web::test]
async fn i10_an_explanation_knows_the_redirects_of_the_minute_before_its_instant() {
    let desk = Desk::new();
    desk.put("+14255550100", json!([redirect("8:acs:r_u")])).await.unwrap();
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    desk.settled(id).await;
    desk.put("+14255550100", json!([action("answer")])).await.unwrap();
    desk.put("8:acs:r_u", json!([redirect("+14255550100")])).await.unwrap();
    let now = desk.clock.wall();
    let minute = Duration::from_secs(60);
    for (at, wanted) in [
        (None, Verdict::LoopPrevented),
        (Some(now), Verdict::LoopPrevented),
        (Some(now + minute - Duration::from_millis(1)), Verdict::LoopPrevented),
        (Some(now + minute), Verdict::Act),
        (Some(Timestamp::MAX), Verdict::Act),
    ] {
        let (caller, callee) = (CALLER, "8:acs:r_u");
        let [caller, callee] = [caller, callee].map(|text| Party::parse(text).unwrap());
        let told = desk.routing.send(Explain { caller, callee, at }).await.unwrap();
        assert_eq!(told.verdict, wanted, "{at:?}");
    }
}

#[actix_web::test]
async fn i10_an_explanation_is_what_is_decided_live_and_changes_nothing() {
    let desk = Desk::new();
    desk.put("+1425*", json!([action("answer"), action("ignore")])).await.unwrap();
    let ask = |at| Explain {
        caller: Party::parse(CALLER).unwrap(),
        callee: Party::parse("+14255550100").unwrap(),
        at,
    };
    let told = desk.routing.send(ask(None)).await.unwrap();
    let view = desk.look().await;
    assert_eq!((view.decisions.len(), view.remembered, view.journeys), (0, 0, 0));
    let id = desk.ring("4:+14255550100", "a", FRESH).await.unwrap();
    let mut live = desk.settled(id).await.explanation;
    assert_eq!(live.ring.take().map(|ring| ring.left_ms), Some(28_000));
    assert_eq!(live, told);
    let long_ago: Timestamp = "1999-12-31T23:59:59Z".parse().unwrap();
    let then = desk.routing.send(ask(Some(long_ago))).await.unwrap();
    assert_eq!((then.at, then.verdict), (long_ago, Verdict::Act));
}

/// The samples as they come off the wire.
fn sample(name: &str) -> GridEvent {
    let path = format!("{}/tests/wire/eventgrid/{name}", env!("CARGO_MANIFEST_DIR"));
    let body = std::fs::read(path).unwrap();
    parse_deliveries(&body, 1).unwrap().remove(0).unwrap()
}

#[actix_web::test]
async fn i12_notices_are_joined_to_the_decision_about_their_call() {
    let desk = Desk::new();
    desk.put("*", json!([action("answer")])).await.unwrap();
    let call = sample("IncomingCall.pstn-to-pstn.eventgrid-schema.json");
    desk.clock.advance(Duration::from_secs(1));
    let id = desk.deliver(call.clone()).await.unwrap();
    let again = desk.deliver(call).await.unwrap();
    assert_eq!(desk.settled(again).await.fate, Some(Fate::Repeated));
    let kinds = ["CallStarted", "CallEnded", "RecordingFileStatusUpdated"];
    for kind in kinds {
        let notice = sample(&format!("{kind}.cloudevents-schema.json"));
        let (event, position) = (Arc::new(notice), Position(1));
        desk.routing.send(NoticeCame { event, position }).await.unwrap();
    }
    let record = desk.settled(id).await;
    assert_eq!(record.notices.iter().map(|notice| notice.kind).collect::<Vec<_>>(), kinds);
    assert!(record.notices[1].duration_of_call.is_some());
    let stranger =
        IncomingRang::of(sample("CallEnded.eventgrid-schema.json"), Tick(0), Position(1));
    assert!(stranger.is_none(), "only IncomingCall rings");
}

#[actix_web::test]
async fn decisions_are_kept_for_people_within_bounds() {
    let desk = Desk::with(|settings| settings.records = 3);
    for round in 0..5 {
        desk.ring("4:+14255550100", &round.to_string(), FRESH).await.unwrap();
    }
    let view = desk.look().await;
    assert_eq!(view.decisions.iter().map(|record| record.id).collect::<Vec<_>>(), [5, 4, 3]);
    let shown = serde_json::to_value(&view).unwrap();
    assert_eq!(shown["decisions"][0]["fate"], "unassigned");
    assert_eq!(shown["decisions"][0]["leftMs"], 28_000);
    assert!(!format!("{view:?}").contains("206555"), "numbers stay out of debug output");
}
