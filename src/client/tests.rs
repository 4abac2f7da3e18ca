//! Call flows against a scripted Azure: what it answers, and which events it posts before that.

mod every;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::actors::CallsConfig;
use crate::clock::ManualClock;
use crate::ports::{Answer, Later, Request, Tick, UpstreamError};
use crate::pure::call::{CallView, Condition, Ending, Wants};
use crate::pure::codes::Codes;
use crate::pure::operations::DEFAULT_PATIENCE;
use crate::storage::memory::MemoryJournal;
use crate::wire::calling::{AddParticipantRequest, Choice, Operation, PlayRequest};
use crate::wire::events::{CallEvent, EventKind};

/// Answers by script. `{ctx}` in an event stands for the context of the request that it answers.
#[derive(Default)]
struct Scripted {
    calls: OnceLock<Calls>,
    turns: Mutex<VecDeque<Turn>>,
    asked: Mutex<Vec<(Request, Option<CallView>)>>,
}

struct Turn {
    /// Posted before the answer.
    events: Vec<Value>,
    answer: Result<Value, UpstreamError>,
}

impl CallAutomation for Scripted {
    fn send(&self, request: Request) -> Later<'_, Result<Answer, UpstreamError>> {
        Box::pin(async move {
            let calls = self.calls.get().expect("the stage is set");
            let view = calls.look(&"c".into()).await.ok();
            let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let context = asked["operationContext"].as_str().unwrap_or("none").to_owned();
            let status = request.operation.success()[0];
            self.asked.lock().expect("whole").push((request, view));
            let turn = self.turns.lock().expect("whole").pop_front().expect("a turn");
            for event in turn.events {
                post(calls, &event.to_string().replace("{ctx}", &context)).await;
            }
            let body = turn.answer?.to_string().into_bytes().into();
            Ok(Answer { status, body })
        })
    }
}

async fn post(calls: &Calls, event: &str) {
    let event = CallEvent::parse(event).expect("an event");
    calls.deliver(vec![event]).await.expect("delivered");
}

/// An event of call `c`; each has an id of its own.
fn event(kind: &str, context: &str, members: Value) -> Value {
    let mut data = json!({"callConnectionId": "c", "operationContext": context});
    data.as_object_mut().expect("an object").extend(members.as_object().expect("members").clone());
    let kind = format!("Microsoft.Communication.{kind}");
    let id = uuid::Uuid::new_v4();
    json!({"id": id, "source": "calling/callConnections/c", "type": kind, "data": data})
}

fn plain(kind: &str, context: &str) -> Value {
    event(kind, context, json!({}))
}

fn coded(kind: &str, context: &str, code: i32, sub_code: i32) -> Value {
    event(kind, context, json!({"resultInformation": {"code": code, "subCode": sub_code}}))
}

/// A client, the scripted Azure behind it, and a clock that is held.
struct Scene {
    client: Client,
    azure: Arc<Scripted>,
    calls: Calls,
    clock: Arc<ManualClock>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.calls.stop();
    }
}

impl Scene {
    fn set() -> Self {
        let clock = ManualClock::starting_now();
        let config = CallsConfig { shards: 1, ..CallsConfig::default() };
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let calls = Calls::start(&config, Arc::clone(&time), MemoryJournal::new(1 << 20, 1));
        let azure = Arc::new(Scripted::default());
        assert!(azure.calls.set(calls.clone()).is_ok());
        let callback_uri = "https://me.example/webhooks/calls?key=secret";
        let client = Client::new(Arc::clone(&azure) as _, calls.clone(), time, callback_uri);
        Self { client, azure, calls, clock }
    }

    fn turn(&self, events: impl IntoIterator<Item = Value>, answer: Result<Value, UpstreamError>) {
        let turn = Turn { events: events.into_iter().collect(), answer };
        self.azure.turns.lock().expect("whole").push_back(turn);
    }

    /// Azure accepts the next request, after posting these events.
    fn accepts(&self, events: impl IntoIterator<Item = Value>) {
        self.turn(events, Ok(json!({})));
    }

    fn refuses(&self, status: u16) {
        let (code, message) = ("8522".to_owned(), "Call not found.".to_owned());
        let refused = UpstreamError::Refused { operation: "x", status, code, message };
        self.turn([], Err(refused));
    }

    async fn post(&self, event: Value) {
        post(&self.calls, &event.to_string()).await;
    }

    fn call(&self) -> Call {
        self.client.call("c")
    }

    fn asked(&self) -> Vec<(Request, Option<CallView>)> {
        self.azure.asked.lock().expect("whole").clone()
    }

    fn body(&self, place: usize) -> Value {
        serde_json::from_slice(&self.asked()[place].0.body).expect("JSON")
    }

    /// Until so many alarms are set: the call's own, and those of whoever sleeps. The call has dealt with
    /// everything before: a look passes through the same mailbox.
    async fn until_alarms(&self, wanted: usize) {
        self.waits().await;
        let patience = Instant::now() + Duration::from_secs(10);
        while self.clock.alarms_set() < wanted {
            assert!(Instant::now() < patience, "waited in vain");
            tokio::task::yield_now().await;
        }
    }

    async fn waits(&self) -> usize {
        self.calls.look(&"c".into()).await.map_or(0, |view| view.waits.len())
    }

    /// Until the call's actor has seen what was mentioned to it; fails after ten seconds.
    async fn until_waits(&self, wanted: usize) {
        let patience = Instant::now() + Duration::from_secs(10);
        while self.waits().await != wanted {
            assert!(Instant::now() < patience, "waited in vain");
        }
    }
}

fn codes(code: i32, sub_code: i32) -> Codes {
    Codes { code: Some(code), sub_code: Some(sub_code) }
}

#[actix_web::test]
async fn c13_the_wait_stands_before_the_request_leaves() {
    let scene = Scene::set();
    scene.accepts([plain("PlayCompleted", "{ctx}")]);
    let pending = scene.call().play(Prompt::say("hello")).await.expect("accepted");
    assert_eq!(pending.outcome().await, Ok(PlayOutcome::Completed));
    let (request, view) = scene.asked().remove(0);
    assert_eq!(request.operation, Operation::Play);
    let waits = view.expect("the call is known").waits;
    assert_eq!(waits.len(), 1, "the wait stood when the request left");
    let context = waits[0].operation_context.as_ref().expect("a context");
    assert_eq!(scene.body(0)["operationContext"], context.as_str());
}

#[actix_web::test]
async fn c13_a_request_that_fails_takes_its_wait_down_and_yields_the_typed_error() {
    let scene = Scene::set();
    scene.post(plain("CallConnected", "x")).await;
    scene.refuses(404);
    let error = scene.call().play(Prompt::say("hello")).await.err().expect("refused");
    assert!(error.is_not_found(), "{error}");
    scene.until_waits(0).await;
}

#[actix_web::test]
async fn c4_every_request_has_a_context_of_its_own() {
    let scene = Scene::set();
    scene.accepts([]);
    scene.accepts([]);
    let first = scene.call().play(Prompt::say("one")).await.expect("accepted");
    let second = scene.call().play(Prompt::say("two")).await.expect("accepted");
    let contexts = [0, 1].map(|place| scene.body(place)["operationContext"].clone());
    assert_ne!(contexts[0], contexts[1]);
    scene.post(plain("PlayCanceled", contexts[1].as_str().expect("a text"))).await;
    assert_eq!(second.outcome().await, Ok(PlayOutcome::Canceled));
    scene.clock.advance(DEFAULT_PATIENCE);
    let WaitError::TimedOut { near_misses } = first.outcome().await.expect_err("nothing came")
    else {
        panic!("another error")
    };
    assert_eq!(near_misses.len(), 1);
    assert_eq!(near_misses[0].failed, Condition::OperationContext);
}

#[actix_web::test]
async fn a_context_that_is_given_is_kept_and_an_empty_one_replaced() {
    let scene = Scene::set();
    scene.accepts([plain("PlayCompleted", "mine")]);
    scene.accepts([]);
    let played = scene.call().play(Prompt::say("x").context("mine")).await.expect("accepted");
    assert_eq!(played.outcome().await, Ok(PlayOutcome::Completed));
    let pending = scene.call().play(Prompt::say("x").context("")).await.expect("accepted");
    assert_eq!(scene.body(0)["operationContext"], "mine");
    let context = pending.context().expect("a context").as_str();
    assert!(!context.is_empty());
    assert_eq!(scene.body(1)["operationContext"], context);
}

#[actix_web::test]
async fn a_timeout_that_is_given_counts_from_the_wait_s_beginning() {
    let scene = Scene::set();
    scene.accepts([]);
    let pending = scene.call().play(Prompt::say("x")).await.expect("accepted");
    scene.clock.advance(Duration::from_secs(6));
    scene.until_waits(1).await;
    let outcome = pending.outcome().within(Duration::from_secs(5)).await;
    assert!(matches!(outcome, Err(WaitError::TimedOut { .. })));
    assert_eq!(scene.clock.now(), Tick(6_000), "it did not wait any longer");
}

#[actix_web::test]
async fn a_created_call_is_followed_though_its_events_were_quicker() {
    let scene = Scene::set();
    let answer = json!({"callConnectionId": "c", "serverCallId": "s", "correlationId": "r"});
    scene.turn([plain("CallConnected", "{ctx}")], Ok(answer));
    let customer = Identifier::phone("+14255551212");
    let new = NewCall::to(customer).from_number("+18335550100");
    let call = scene.client.create_call(new).await.expect("created");
    assert_eq!(call.connected().await, Ok(ConnectOutcome::Connected));
    assert_eq!(call.connected().await, Ok(ConnectOutcome::Connected), "asked twice");
    let body = scene.body(0);
    assert_eq!(body["callbackUri"], "https://me.example/webhooks/calls?key=secret");
    assert_eq!(body["sourceCallerIdNumber"]["value"], "+18335550100");
    let view = scene.calls.look(&"c".into()).await.expect("a call");
    assert_eq!(view.server_call_id, Some("s".into()), "claimed with its other names");
    assert_eq!(view.correlation_id, Some("r".into()));
}

#[actix_web::test]
async fn connecting_ends_in_one_of_three_ways() {
    for (posted, wanted) in [
        (coded("CallConnected", "mine", 200, 0), ConnectOutcome::Connected),
        (coded("AnswerFailed", "mine", 404, 8522), ConnectOutcome::Failed(codes(404, 8522))),
        (coded("CallDisconnected", "", 487, 10_004), ConnectOutcome::Ended(codes(487, 10_004))),
    ] {
        let scene = Scene::set();
        scene.turn([], Ok(json!({"callConnectionId": "c"})));
        let ringing = Answering::of("ticket".into()).context("mine");
        let call = scene.client.answer(ringing).await.expect("answered");
        scene.post(posted).await;
        assert_eq!(call.connected().await, Ok(wanted));
        assert_eq!(scene.body(0)["incomingCallContext"], "ticket");
    }
}

#[actix_web::test]
async fn an_answer_without_a_call_id_is_an_error() {
    let scene = Scene::set();
    scene.accepts([]);
    let created = scene.client.create_call(NewCall::to(Identifier::phone("+1"))).await;
    let unreadable = |e| matches!(e, AskError::Upstream(UpstreamError::Unreadable { .. }));
    assert!(created.is_err_and(unreadable));
}

#[actix_web::test]
async fn c9_the_call_s_end_is_not_the_operation_s() {
    let scene = Scene::set();
    scene.accepts([coded("CallDisconnected", "", 0, 560_000)]);
    let pending = scene.call().play(Prompt::say("x")).await.expect("accepted");
    let Err(WaitError::CallEnded(ending)) = pending.outcome().await else { panic!("it ended") };
    assert_eq!((ending.code, ending.sub_code), (Some(0), Some(560_000)));
}

#[actix_web::test]
async fn waits_for_the_call_s_end_are_told_how_it_ended() {
    let scene = Scene::set();
    let ended = scene.call().ended().await.expect("waiting");
    scene.post(coded("CallDisconnected", "", 0, 560_000)).await;
    let ending: Ending = ended.outcome().await.expect("ended");
    assert_eq!((ending.code, ending.sub_code), (Some(0), Some(560_000)));
}

#[actix_web::test]
async fn stopping_is_told_apart_from_everything_else() {
    let scene = Scene::set();
    let wait = scene.call().wait_for(Wants::any()).await.expect("waiting");
    scene.calls.stop_waiting().await;
    assert_eq!(wait.outcome().await.err(), Some(WaitError::ShuttingDown));
}

#[actix_web::test]
async fn recognition_is_read_as_what_was_heard() {
    let heard = |members: Value| event("RecognizeCompleted", "{ctx}", members);
    let choice = json!({"label": "yes", "recognizedPhrase": "yeah", "confidence": 0.9});
    let codes_8510 = coded("RecognizeFailed", "{ctx}", 400, 8510);
    for (posted, wanted) in [
        (
            heard(json!({"recognitionType": "choices", "choiceResult": choice})),
            RecognizeOutcome::Choice { label: "yes".into(), phrase: Some("yeah".into()) },
        ),
        (
            heard(json!({"recognitionType": "speech", "speechResult": {"speech": "hello"}})),
            RecognizeOutcome::Speech("hello".into()),
        ),
        (codes_8510, RecognizeOutcome::Failed { codes: codes(400, 8510), failed_source: None }),
        (plain("RecognizeCanceled", "{ctx}"), RecognizeOutcome::Canceled),
    ] {
        let scene = Scene::set();
        scene.accepts([posted]);
        let listen = Listen::for_keys(Identifier::phone("+1425"), 4);
        let pending = scene.call().recognize(listen).await.expect("accepted");
        assert_eq!(pending.outcome().await, Ok(wanted));
    }
}

#[actix_web::test]
async fn keys_are_given_as_digits_and_do_not_show_in_debug_output() {
    let scene = Scene::set();
    let tones = json!({"dtmfResult": {"tones": ["one", "zero", "pound", "asterisk", "d"]}});
    scene.accepts([event("RecognizeCompleted", "{ctx}", tones)]);
    let listen = Listen::for_keys(Identifier::phone("+1425"), 5);
    let pending = scene.call().recognize(listen).await.expect("accepted");
    let outcome = pending.outcome().await.expect("heard");
    let RecognizeOutcome::Dtmf(tones) = &outcome else { panic!("keys") };
    assert_eq!(tones.digits(), "10#*D");
    assert_eq!(format!("{outcome:?}"), "Dtmf(5 tones)");
    assert_eq!(format!("{:?}", RecognizeOutcome::Speech("my pin".into())), "Speech(…)");
}

#[actix_web::test]
async fn the_other_operations_end_as_their_events_say() {
    let scene = Scene::set();
    let bob = || Identifier::from_raw_id("8:acs:bob");
    let call = scene.call();

    let who = json!({"transferTarget": {"rawId": "8:acs:bob"}});
    scene.accepts([event("CallTransferAccepted", "{ctx}", who)]);
    let outcome = call.transfer(bob()).await.expect("accepted").outcome().await;
    let accepted = TransferOutcome::Accepted { transferee: None, target: Some(bob()) };
    assert_eq!(outcome, Ok(accepted));

    scene.accepts([coded("AddParticipantFailed", "{ctx}", 487, 10_004)]);
    let request = AddParticipantRequest::from(bob());
    let outcome = call.add_participant(request).await.expect("accepted").outcome().await;
    assert_eq!(outcome, Ok(AddOutcome::Failed(codes(487, 10_004))));

    scene.accepts([plain("RemoveParticipantSucceeded", "{ctx}")]);
    let outcome = call.remove_participant(bob()).await.expect("accepted").outcome().await;
    assert_eq!(outcome, Ok(RemoveOutcome::Removed));

    scene.accepts([plain("SendDtmfTonesCompleted", "{ctx}")]);
    let outcome = call.send_dtmf(bob(), ["one", "pound"]).await.expect("accepted").outcome().await;
    assert_eq!(outcome, Ok(SendDtmfOutcome::Sent));

    let broken = json!({"failedPlaySourceIndex": 1, "resultInformation": {"code": 400}});
    scene.accepts([event("PlayFailed", "{ctx}", broken)]);
    let outcome = call.play(Prompt::file("https://h/x.wav")).await.expect("ok").outcome().await;
    let why = Codes { code: Some(400), sub_code: None };
    assert_eq!(outcome, Ok(PlayOutcome::Failed { codes: why, failed_source: Some(1) }));
}

#[actix_web::test]
async fn c12_cancelling_collects_what_it_cancelled() {
    let scene = Scene::set();
    scene.accepts([plain("PlayCanceled", "a"), plain("RecognizeCanceled", "b")]);
    let cancelling = scene.call().cancel_media().await.expect("accepted");
    scene.calls.look(&"c".into()).await.expect("a call that has heard both");
    let quiet = Duration::from_secs(2);
    let time_passes = async {
        let patience = Instant::now() + Duration::from_secs(10);
        while scene.clock.next_alarm() != Some(Tick(0) + quiet) {
            assert!(Instant::now() < patience, "waited in vain");
            actix_web::rt::task::yield_now().await;
        }
        scene.clock.advance(quiet);
    };
    let (collected, ()) =
        futures_util::future::join(cancelling.quiet_for(quiet).into_future(), time_passes).await;
    let collected = collected.expect("a list");
    let contexts: Vec<_> = collected.iter().map(|c| (c.kind.short_name(), &c.context)).collect();
    let [a, b] = ["a", "b"].map(|context| Some(context.into()));
    assert_eq!(contexts, [("PlayCanceled", &a), ("RecognizeCanceled", &b)]);
}

#[actix_web::test]
async fn c12_cancelling_ends_with_the_call() {
    let scene = Scene::set();
    scene.accepts([plain("PlayCanceled", "a"), plain("CallDisconnected", "")]);
    let cancelled = scene.call().cancel_media().await.expect("accepted").await.expect("a list");
    assert_eq!(cancelled.len(), 1);
}

#[actix_web::test]
async fn c7_handlers_hear_in_order_and_detach_exactly() {
    let scene = Scene::set();
    let call = scene.call();
    let (first, mut first_ears) = tokio::sync::mpsc::unbounded_channel();
    let (second, mut second_ears) = tokio::sync::mpsc::unbounded_channel();
    let tell = |ears: tokio::sync::mpsc::UnboundedSender<String>| {
        move |event: Arc<CallEvent>| {
            let _deaf = ears.send(event.kind.to_string());
            std::future::ready(())
        }
    };
    let plays = [EventKind::PlayStarted, EventKind::PlayCompleted];
    let listening = call.on(&plays, tell(first)).await.expect("listening");
    let other = call.on(&[], tell(second)).await.expect("listening");
    scene.post(plain("PlayStarted", "x")).await;
    scene.post(plain("ParticipantsUpdated", "")).await;
    scene.post(plain("PlayCompleted", "x")).await;
    assert_eq!(first_ears.recv().await.as_deref(), Some("PlayStarted"));
    assert_eq!(first_ears.recv().await.as_deref(), Some("PlayCompleted"));
    listening.detach().await;
    scene.post(plain("PlayStarted", "y")).await;
    assert_eq!(first_ears.recv().await, None, "detached");
    for wanted in ["PlayStarted", "ParticipantsUpdated", "PlayCompleted", "PlayStarted"] {
        assert_eq!(second_ears.recv().await.as_deref(), Some(wanted));
    }
    scene.post(plain("CallDisconnected", "")).await;
    let gone = other.ended().await;
    assert_eq!(gone, crate::actors::Gone::Closed(crate::pure::call::CloseReason::CallEnded));
}

#[actix_web::test]
async fn hanging_up_a_call_that_is_over_is_no_error() {
    let scene = Scene::set();
    scene.refuses(404);
    scene.refuses(404);
    scene.refuses(403);
    let call = scene.call();
    assert_eq!(call.hang_up().await, Ok(()));
    assert_eq!(call.terminate().await, Ok(()));
    assert!(call.hang_up().await.is_err());
}

#[actix_web::test]
async fn redirecting_and_rejecting_name_the_ticket() {
    let scene = Scene::set();
    scene.accepts([]);
    scene.accepts([]);
    let target = Identifier::phone("+14255551212");
    scene.client.redirect("t1".into(), target).await.expect("redirected");
    scene.client.reject("t2".into(), RejectReason::Busy).await.expect("rejected");
    assert_eq!(scene.body(0)["target"]["rawId"], "4:+14255551212");
    let rejected = json!({"incomingCallContext": "t2", "callRejectReason": "busy"});
    assert_eq!(scene.body(1), rejected);
}

#[test]
fn what_the_application_says_does_not_show_in_debug_output() {
    let who = || Identifier::phone("+14255551212");
    let prompt = || Prompt::say("your balance is 12").then(Prompt::file("https://h/?sig=x"));
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        prompt().to(who()),
        Listen::for_keys(who(), 4).after(prompt()),
        NewCall::to(who()).from_number("+18335550100").from_name("Contoso"),
        Answering::of("a-long-ticket".into()),
        Request::of(&PlayRequest::from(prompt()), Place::Call("c".into())),
    );
    let wanted = "Prompt(2 sources) Listen(dtmf) NewCall(…) Answering(…) play of Call(c)";
    assert_eq!(shown, wanted);
}

#[test]
fn prompts_and_listening_become_what_azure_reads() {
    let who = Identifier::from_raw_id("8:acs:x");
    let prompt = Prompt::say("a").then(Prompt::file("https://h/b.wav")).to(who.clone()).looping();
    let play = serde_json::to_value(PlayRequest::from(prompt)).expect("JSON");
    assert_eq!(play["playSources"][1]["file"]["uri"], "https://h/b.wav");
    assert_eq!(play["playTo"][0]["rawId"], "8:acs:x");
    assert_eq!(play["interruptCallMediaOperation"], false);
    assert_eq!(play["playOptions"]["loop"], true);

    let yes = Choice { label: Some("yes".into()), ..Choice::default() };
    let listen = Listen::for_choice(who.clone(), [yes])
        .after(Prompt::say("well?"))
        .first_within(Duration::from_millis(7_001))
        .interrupting();
    let request = crate::wire::calling::RecognizeRequest::from(listen);
    let listen = serde_json::to_value(request).expect("JSON");
    assert_eq!(listen["recognizeInputType"], "choices");
    assert_eq!(listen["playPrompt"]["text"]["text"], "well?");
    assert_eq!(listen["interruptCallMediaOperation"], true);
    let options = &listen["recognizeOptions"];
    assert_eq!(options["initialSilenceTimeoutInSeconds"], 8);
    assert_eq!(options["interruptPrompt"], true);
    assert_eq!(options["targetParticipant"]["rawId"], "8:acs:x");

    let keys = Listen::for_keys(who, 4).until("pound").next_within(Duration::from_secs(3));
    let keys = keys.after(Prompt::say("a").then(Prompt::say("b"))).to_the_end();
    let request = crate::wire::calling::RecognizeRequest::from(keys);
    let keys = serde_json::to_value(request).expect("JSON");
    assert_eq!(keys["playPrompts"].as_array().map(Vec::len), Some(2));
    let wanted =
        json!({"interToneTimeoutInSeconds": 3, "maxTonesToCollect": 4, "stopTones": ["pound"]});
    assert_eq!(keys["recognizeOptions"]["dtmfOptions"], wanted);
}
