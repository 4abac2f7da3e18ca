//! Stories in virtual time, straight at the world: requests as JSON, events as they would be posted.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Effect, Moment, Outcome, World};
use crate::emulator::api::{self, ApiRequest};
use crate::emulator::config::{EmulatorConfig, Schema, Subscription, Unanswered};
use crate::emulator::phone_book::PhoneBook;
use crate::emulator::world::{Deed, IncomingCallWish};
use crate::pure::time::Tick;
use crate::wire::calling::{Operation, Place};
use crate::wire::identifiers::{CallConnectionId, Identifier, RawId};

const CALLER: &str = "+14255551212";
const OURS: &str = "+18005551212";
const AGENT: &str = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_agent";
const CALLBACK: &str = "http://127.0.0.1:9/calls?key=secret";

/// A world with a clock, and with receivers that take everything.
struct Theatre {
    world: World,
    now: Tick,
    /// Every event that was posted: when, where and what.
    posted: Vec<(Tick, String, Value)>,
    grid: Vec<Value>,
    /// What fetching a prompt gives.
    prompt: Outcome,
}

fn answered(status: u16, body: impl Into<Bytes>) -> Outcome {
    let body = body.into();
    let length = u64::try_from(body.len()).ok();
    Outcome::Answered { status, headers: Default::default(), body, length }
}

fn moment(tick: Tick) -> Moment {
    let start: Timestamp = "2025-11-21T08:30:00.1234567Z".parse().expect("a time");
    let wall = start + SignedDuration::from_millis(i64::try_from(tick.0).expect("soon"));
    Moment { tick, wall }
}

impl Theatre {
    fn new(change: impl FnOnce(&mut EmulatorConfig)) -> Self {
        let subscription = Subscription {
            name: "all".into(),
            endpoint: "http://127.0.0.1:9/grid".into(),
            schema: Schema::EventGrid,
            headers: Default::default(),
            included_event_types: Vec::new(),
        };
        let mut config =
            EmulatorConfig { subscriptions: vec![subscription], ..EmulatorConfig::default() };
        config.behaviour.latency = Duration::ZERO;
        change(&mut config);
        let world = World::new(config, 1, "http://emulator".into(), moment(Tick(0)));
        let prompt = answered(404, "");
        let (posted, grid) = (Vec::new(), Vec::new());
        let mut theatre = Self { world, now: Tick(0), posted, grid, prompt };
        theatre.pass(0);
        theatre
    }

    fn settle(&mut self) {
        loop {
            self.world.pass_time(moment(self.now));
            let effects = self.world.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                let outcome = self.receive(&effect);
                self.world.finished(moment(self.now), effect.job, &outcome);
            }
        }
    }

    fn receive(&mut self, effect: &Effect) -> Outcome {
        if effect.method == "GET" {
            return self.prompt.clone();
        }
        let body: Value = serde_json::from_str(&effect.body).expect("JSON");
        assert_eq!(body.as_array().map(Vec::len), Some(1), "one event in an array");
        if effect.signed {
            self.posted.push((self.now, effect.url.clone(), body[0].clone()));
            return answered(200, "");
        }
        if let Some(code) = body[0]["data"]["validationCode"].as_str() {
            return answered(200, json!({ "validationResponse": code }).to_string());
        }
        self.grid.push(body[0].clone());
        answered(200, "")
    }

    /// Lets time pass, stopping at everything that is due.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        self.settle();
        while let Some(due) = self.world.next_due().filter(|due| *due <= until) {
            self.now = due;
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    fn ask(&mut self, operation: Operation, place: Place, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = operation.path(&place);
        let request = ApiRequest {
            operation,
            place,
            path: &path,
            query: "api-version=2026-03-12",
            host: "emulator",
            body: body.as_bytes(),
            repeat_id: None,
            first_sent: None,
        };
        let reply = api::answer(&mut self.world, moment(self.now), &request).reply;
        self.settle();
        (reply.status, reply.body.unwrap_or_default())
    }

    #[track_caller]
    fn on(&mut self, operation: Operation, call: &str, body: Value) -> Value {
        let place = Place::Call(CallConnectionId::new(call));
        let (status, answer) = self.ask(operation, place, &body);
        assert!(operation.success().contains(&status), "{operation:?}: {status} {answer}");
        answer
    }

    #[track_caller]
    fn refused(&mut self, operation: Operation, call: &str, body: Value) -> (u16, String) {
        let place = if call.is_empty() { Place::Nowhere } else { Place::Call(call.into()) };
        let (status, answer) = self.ask(operation, place, &body);
        assert!(status >= 400, "{operation:?}: {status}");
        (status, answer["error"]["code"].as_str().expect("a code").to_owned())
    }

    #[track_caller]
    fn create(&mut self, targets: &[&str]) -> String {
        let targets: Vec<_> = targets.iter().map(|who| identifier(who)).collect();
        let body = json!({
            "targets": targets, "callbackUri": CALLBACK, "operationContext": "create-1",
            "sourceCallerIdNumber": { "value": OURS },
        });
        let (status, answer) = self.ask(Operation::CreateCall, Place::Nowhere, &body);
        assert_eq!((status, &answer["callConnectionState"]), (201, &json!("connecting")));
        answer["callConnectionId"].as_str().expect("an id").to_owned()
    }

    /// A connected call with these phones, which answer one after the other; forgets how it began.
    #[track_caller]
    fn in_call(&mut self, phones: &[&str]) -> String {
        let call = self.create(phones);
        self.pass(1000);
        self.posted.clear();
        call
    }

    fn ring(&mut self, from: &str, to: &str) -> (String, String) {
        let wish = IncomingCallWish {
            from: Identifier::parse(from),
            to: Identifier::parse(to),
            display_name: String::new(),
            custom: None,
        };
        let (ticket, server, _) = self.world.incoming_call(wish).expect("rings");
        self.settle();
        (ticket.as_str().to_owned(), server.as_str().to_owned())
    }

    #[track_caller]
    fn answer(&mut self, ticket: &str) -> String {
        let body = json!({
            "incomingCallContext": ticket, "callbackUri": CALLBACK, "operationContext": "answer-1",
        });
        let (status, answer) = self.ask(Operation::AnswerCall, Place::Nowhere, &body);
        assert_eq!((status, &answer["callConnectionState"]), (200, &json!("connecting")));
        answer["callConnectionId"].as_str().expect("an id").to_owned()
    }

    fn server_of(&self, call: &str) -> String {
        let properties = self.world.properties(&call.into()).expect("a call");
        properties.server_call_id.expect("an id").as_str().to_owned()
    }

    #[track_caller]
    fn far(&mut self, call: &str, who: &str, deed: Deed) {
        let server = self.server_of(call);
        let who = Identifier::parse(who).raw_id().clone();
        self.world.far_end(&server, &who, &deed).expect("done");
        self.settle();
    }

    /// Takes what was posted: short type, code and subcode.
    fn told(&mut self) -> Vec<String> {
        self.posted.drain(..).map(|(_, _, event)| short(&event)).collect()
    }

    #[track_caller]
    fn check_told(&mut self, expected: &[&str]) {
        assert_eq!(self.told(), expected);
    }
}

fn short(event: &Value) -> String {
    let kind = event["type"].as_str().expect("a type");
    let kind = kind.trim_start_matches("Microsoft.Communication.");
    match &event["data"]["resultInformation"] {
        Value::Null => kind.to_owned(),
        result => format!("{kind} {}/{}", result["code"], result["subCode"]),
    }
}

fn identifier(who: &str) -> Value {
    if who.starts_with('+') {
        json!({ "rawId": format!("4:{who}"), "phoneNumber": { "value": who } })
    } else {
        json!({ "rawId": who, "communicationUser": { "id": who } })
    }
}

fn phones(toml: &str) -> impl FnOnce(&mut EmulatorConfig) {
    let book = PhoneBook::from_toml(toml).expect("a phone book");
    |config| config.phones = book
}

fn file(url: &str) -> Value {
    json!({ "kind": "file", "file": { "uri": url } })
}

const PROMPT: &str = "https://prompts.example.test/welcome.wav";

fn play(context: &str) -> Value {
    json!({ "playSources": [file(PROMPT)], "operationContext": context })
}

fn recognize(options: Value) -> Value {
    let mut all = json!({ "targetParticipant": identifier(CALLER) });
    for (name, value) in options.as_object().expect("options") {
        all[name] = value.clone();
    }
    json!({
        "recognizeInputType": "dtmf", "playPrompt": file(PROMPT), "recognizeOptions": all,
        "operationContext": "ask-1",
    })
}

#[test]
fn a_placed_call_connects_and_lists_who_is_there() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.create(&[CALLER]);
    theatre.pass(999);
    theatre.check_told(&[]);
    theatre.pass(1);
    let event = theatre.posted[0].2.clone();
    let place = format!("calling/callConnections/{call}");
    assert_eq!((&event["source"], &event["subject"]), (&json!(place), &json!(place)));
    assert_eq!(event["time"], "2025-11-21T08:30:01.1234567+00:00");
    assert_eq!(event["data"]["operationContext"], "create-1");
    assert!(event["data"].get("resultInformation").is_none());
    let roster = theatre.posted[1].2["data"].clone();
    assert_eq!(roster["sequenceNumber"], 1);
    assert_eq!(roster["participants"].as_array().map(Vec::len), Some(1));
    assert_eq!(roster["participants"][0]["identifier"]["rawId"], format!("4:{CALLER}"));
    assert!(roster.get("operationContext").is_none());
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["callConnectionState"], "connected");
}

#[test]
fn a_placed_call_that_fails_says_why() {
    #[track_caller]
    fn check(on_ring: &str, target: &str, told_at: u64, codes: &str) {
        let key = if target.starts_with('+') { "number" } else { "rawId" };
        let book = format!("[[phone]]\n{key} = \"{target}\"\nonRing = \"{on_ring}\"");
        let mut theatre = Theatre::new(phones(&book));
        let call = theatre.create(&[target]);
        theatre.pass(told_at - 1);
        theatre.check_told(&[]);
        theatre.pass(1);
        let failed = format!("CreateCallFailed {codes}");
        theatre.check_told(&[&failed, &format!("CallDisconnected {codes}")]);
        let gone = theatre.refused(Operation::GetCall, &call, Value::Null);
        assert_eq!(gone, (404, "8522".to_owned()));
        theatre.pass(600_000);
        theatre.check_told(&[]);
    }
    check("busy", CALLER, 1000, "486/560486");
    check("busy", AGENT, 1000, "486/0");
    check("decline", CALLER, 1000, "603/0");
    check("unreachable", CALLER, 1000, "480/560480");
    check("noAnswer", CALLER, 115_000, "487/10004");
    check("noAnswer", AGENT, 85_000, "487/10004");
    check("manual", AGENT, 85_000, "487/10004");
}

#[test]
fn an_unanswered_call_may_end_silently() {
    let book = format!("[[phone]]\nnumber = \"{CALLER}\"\nonRing = \"noAnswer\"");
    let mut theatre = Theatre::new(|config| {
        phones(&book)(config);
        config.behaviour.unanswered_create = Unanswered::Silent;
    });
    let call = theatre.create(&[CALLER]);
    theatre.pass(200_000);
    theatre.check_told(&[]);
    assert_eq!(theatre.refused(Operation::GetCall, &call, Value::Null).0, 404);
}

#[test]
fn in_a_group_call_answerers_join_one_by_one() {
    let book = format!("[[phone]]\nnumber = \"{CALLER}\"\nafterMs = 3000");
    let mut theatre = Theatre::new(phones(&book));
    theatre.create(&[CALLER, "+16045550123"]);
    theatre.pass(1000);
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    theatre.pass(2000);
    let participants = &theatre.posted[0].2["data"]["participants"];
    assert_eq!(participants.as_array().map(Vec::len), Some(2));
    theatre.check_told(&["ParticipantsUpdated"]);
}

#[test]
fn an_incoming_call_rings_is_answered_and_ends_when_the_caller_leaves() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, server) = theatre.ring(CALLER, OURS);
    let event = theatre.grid[0].clone();
    assert_eq!(event["eventType"], "Microsoft.Communication.IncomingCall");
    assert_eq!(event["subject"], format!("/caller/4:{CALLER}/recipient/4:{OURS}"));
    assert_eq!(event["data"]["incomingCallContext"], ticket);
    assert_eq!(event["data"]["serverCallId"], server);
    let call = theatre.answer(&ticket);
    theatre.pass(49);
    theatre.check_told(&[]);
    theatre.pass(1);
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["answeredFor"]["value"], OURS);
    assert_eq!(properties["source"]["rawId"], format!("4:{CALLER}"));
    theatre.far(&call, CALLER, Deed::HangUp);
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "answer-1");
    theatre.check_told(&["CallDisconnected 0/560000"]);
}

#[test]
fn a_ticket_is_good_once_and_for_thirty_seconds() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, _) = theatre.ring(CALLER, OURS);
    let reject = |ticket: &str| json!({ "incomingCallContext": ticket });
    theatre.pass(29_999);
    let (status, _) = theatre.ask(Operation::RejectCall, Place::Nowhere, &reject(&ticket));
    assert_eq!(status, 204);
    let gone = (404, "8522".to_owned());
    assert_eq!(theatre.refused(Operation::RejectCall, "", reject(&ticket)), gone);
    let (late, _) = theatre.ring(CALLER, OURS);
    theatre.pass(30_000);
    assert_eq!(theatre.refused(Operation::RejectCall, "", reject(&late)), gone);
    theatre.check_told(&[]);
    assert_eq!(theatre.world.view()["calls"], json!([]), "nothing is left");
}

#[test]
fn a_redirect_to_an_own_identity_rings_again() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, server) = theatre.ring(CALLER, OURS);
    let body = json!({ "incomingCallContext": ticket, "target": identifier(AGENT) });
    let (status, _) = theatre.ask(Operation::RedirectCall, Place::Nowhere, &body);
    assert_eq!(status, 204);
    let second = theatre.grid[1]["data"].clone();
    assert_eq!(second["to"]["rawId"], AGENT);
    assert_eq!(second["from"]["rawId"], format!("4:{CALLER}"));
    assert_eq!(second["serverCallId"], server);
    assert_ne!(second["incomingCallContext"], ticket);
    theatre.pass(1000);
    let seen = theatre.world.view();
    assert_eq!(seen["calls"][0]["participants"].as_array().map(Vec::len), Some(2));
    theatre.check_told(&[]);
    let refused = theatre.refused(
        Operation::AnswerCall,
        "",
        json!({ "incomingCallContext": second["incomingCallContext"], "callbackUri": CALLBACK }),
    );
    assert_eq!(refused.0, 404, "the agent's phone was first");
}

#[test]
fn a_voip_call_is_not_redirected_to_a_telephone_and_keeps_ringing() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, _) = theatre.ring(AGENT, OURS);
    let body = json!({ "incomingCallContext": ticket, "target": identifier(CALLER) });
    assert_eq!(theatre.refused(Operation::RedirectCall, "", body).0, 400);
    theatre.answer(&ticket);
}

#[test]
fn a_caller_who_gives_up_before_the_leg_is_up_makes_the_answer_fail() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, _) = theatre.ring(CALLER, OURS);
    let call = theatre.answer(&ticket);
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["AnswerFailed 404/8522", "CallDisconnected 404/8522"]);
    theatre.pass(60_000);
    theatre.check_told(&[]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn hanging_up_ends_a_call_of_two_and_leaves_a_group() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
    assert_eq!(theatre.world.view()["calls"], json!([]));

    let call = theatre.in_call(&[CALLER, AGENT]);
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
    let left = theatre.world.view()["calls"][0]["participants"].clone();
    assert_eq!(left.as_array().map(Vec::len), Some(2), "the others talk on");
}

#[test]
fn terminating_ends_a_group_for_everyone() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    theatre.on(Operation::TerminateCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/4097"]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn someone_leaving_a_group_changes_its_roster_and_the_last_one_ends_it() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["ParticipantsUpdated"]);
    theatre.far(&call, AGENT, Deed::HangUp);
    theatre.check_told(&["CallDisconnected 0/7000"]);
}

#[test]
fn participants_are_invited_and_removed() {
    let book = "[[phone]]\nnumber = \"+16045550123\"\nonRing = \"decline\"";
    let mut theatre = Theatre::new(phones(book));
    let call = theatre.in_call(&[CALLER]);
    let add = |who: &str| {
        json!({
            "participantToAdd": identifier(who), "operationContext": "add-1",
            "sourceCallerIdNumber": { "value": OURS }, "invitationTimeoutInSeconds": 20,
        })
    };
    let answer = theatre.on(Operation::AddParticipant, &call, add(AGENT));
    assert!(answer["invitationId"].is_string());
    assert_eq!(answer["participant"]["identifier"]["rawId"], AGENT);
    theatre.pass(1000);
    assert_eq!(theatre.posted[0].2["data"]["participant"]["rawId"], AGENT);
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "add-1");
    theatre.check_told(&["AddParticipantSucceeded 200/0", "ParticipantsUpdated"]);
    let twice = theatre.refused(Operation::AddParticipant, &call, add(AGENT));
    assert_eq!(twice, (409, "8519".to_owned()));

    theatre.on(Operation::AddParticipant, &call, add("+16045550123"));
    theatre.pass(1000);
    theatre.check_told(&["AddParticipantFailed 603/0"]);

    let remove = json!({ "participantToRemove": identifier(AGENT), "operationContext": "rm-1" });
    theatre.on(Operation::RemoveParticipant, &call, remove.clone());
    theatre.check_told(&["RemoveParticipantSucceeded 200/0", "ParticipantsUpdated"]);
    assert_eq!(theatre.refused(Operation::RemoveParticipant, &call, remove).0, 404);
}

#[test]
fn an_invitation_rings_as_long_as_it_says() {
    let book = format!("[[phone]]\nrawId = \"{AGENT}\"\nonRing = \"noAnswer\"");
    let mut theatre = Theatre::new(phones(&book));
    let call = theatre.in_call(&[CALLER]);
    let add = json!({ "participantToAdd": identifier(AGENT), "invitationTimeoutInSeconds": 7 });
    theatre.on(Operation::AddParticipant, &call, add);
    theatre.pass(6_999);
    theatre.check_told(&[]);
    theatre.pass(1);
    assert!(theatre.posted[0].2["data"].get("operationContext").is_none());
    theatre.check_told(&["AddParticipantFailed 487/10004"]);
}

#[test]
fn a_transfer_takes_the_application_out_of_a_call_of_two() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let body = json!({ "targetParticipant": identifier(AGENT), "operationContext": "move-1" });
    let answer = theatre.on(Operation::TransferToParticipant, &call, body);
    assert_eq!(answer["operationContext"], "move-1");
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["callConnectionState"], "transferring");
    theatre.pass(1000);
    let accepted = theatre.posted[0].2["data"].clone();
    assert_eq!(accepted["transferTarget"]["rawId"], AGENT);
    assert_eq!(accepted["transferee"]["rawId"], format!("4:{CALLER}"));
    theatre.check_told(&["CallTransferAccepted 200/0", "CallDisconnected 0/7015"]);
    let seen = theatre.world.view();
    assert_eq!(seen["calls"][0]["participants"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_failed_transfer_leaves_the_call_as_it_was() {
    let book = format!("[[phone]]\nrawId = \"{AGENT}\"\nonRing = \"decline\"");
    let mut theatre = Theatre::new(phones(&book));
    let call = theatre.in_call(&[CALLER]);
    let body = json!({ "targetParticipant": identifier(AGENT) });
    theatre.on(Operation::TransferToParticipant, &call, body.clone());
    let second = theatre.refused(Operation::TransferToParticipant, &call, body);
    assert_eq!(second, (400, "8501".to_owned()));
    theatre.pass(1000);
    theatre.check_told(&["CallTransferFailed 603/0"]);
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["callConnectionState"], "connected");
}

#[test]
fn in_a_group_the_transferee_is_named_and_the_others_stay() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, "8:acs:r_other"]);
    let body = json!({ "targetParticipant": identifier(AGENT) });
    assert_eq!(theatre.refused(Operation::TransferToParticipant, &call, body).0, 400);
    let body = json!({ "targetParticipant": identifier(AGENT), "transferee": identifier(CALLER) });
    theatre.on(Operation::TransferToParticipant, &call, body);
    theatre.pass(1000);
    theatre.check_told(&["CallTransferAccepted 200/0", "ParticipantsUpdated"]);
}

#[test]
fn two_applications_in_one_call_each_see_the_other() {
    let mut theatre = Theatre::new(|config| {
        config.default_phone.after = Duration::from_secs(20);
    });
    theatre.create(&[AGENT]);
    let ticket = theatre.grid[0]["data"]["incomingCallContext"].clone();
    let second = theatre.answer(ticket.as_str().expect("a ticket"));
    theatre.pass(50);
    theatre.check_told(&[
        "CallConnected",
        "CallConnected",
        "ParticipantsUpdated",
        "ParticipantsUpdated",
    ]);
    theatre.on(Operation::HangUpCall, &second, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0", "CallDisconnected 0/7000"]);
}

#[test]
fn a_play_starts_lasts_and_completes() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::Play, &call, play("p-1"));
    theatre.check_told(&["PlayStarted 200/0"]);
    theatre.pass(2_999);
    theatre.check_told(&[]);
    theatre.pass(1);
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "p-1");
    theatre.check_told(&["PlayCompleted 200/0"]);
}

#[test]
fn plays_wait_for_each_other_unless_one_interrupts() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::Play, &call, play("p-1"));
    theatre.on(Operation::Play, &call, play("p-2"));
    theatre.pass(3_000);
    theatre.check_told(&["PlayStarted 200/0", "PlayCompleted 200/0", "PlayStarted 200/0"]);
    theatre.on(Operation::Play, &call, play("p-3"));
    let mut barge_in = play("p-4");
    barge_in["interruptCallMediaOperation"] = true.into();
    theatre.on(Operation::Play, &call, barge_in);
    let contexts: Vec<_> = theatre
        .posted
        .iter()
        .map(|(_, _, event)| event["data"]["operationContext"].clone())
        .collect();
    assert_eq!(contexts, ["p-2", "p-3", "p-4"]);
    let canceled = "PlayCanceled 400/8508";
    theatre.check_told(&[canceled, canceled, "PlayStarted 200/0"]);
}

#[test]
fn a_loop_goes_on_until_it_is_cancelled() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let mut looped = play("music");
    looped["playOptions"] = json!({ "loop": true });
    theatre.on(Operation::Play, &call, looped);
    theatre.on(Operation::Recognize, &call, recognize(json!({})));
    theatre.pass(600_000);
    theatre.check_told(&["PlayStarted 200/0"]);
    theatre.on(Operation::CancelAllMediaOperations, &call, Value::Null);
    theatre.check_told(&["PlayCanceled 400/8508", "RecognizeCanceled 400/8508"]);
    theatre.on(Operation::CancelAllMediaOperations, &call, Value::Null);
    theatre.pass(60_000);
    theatre.check_told(&[]);
}

#[test]
fn the_events_of_a_request_may_go_elsewhere() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let mut elsewhere = play("p-1");
    elsewhere["operationCallbackUri"] = "http://127.0.0.1:9/other".into();
    theatre.on(Operation::Play, &call, elsewhere);
    theatre.pass(3_000);
    theatre.far(&call, CALLER, Deed::HangUp);
    let urls: Vec<_> = theatre.posted.iter().map(|(_, url, _)| url.as_str()).collect();
    assert_eq!(urls, ["http://127.0.0.1:9/other", "http://127.0.0.1:9/other", CALLBACK]);
}

#[test]
fn prompts_of_this_machine_are_really_fetched() {
    let local = "http://127.0.0.1:9/prompt.wav";
    let both = |first: &str, second: &str| json!({ "playSources": [file(first), file(second)], "operationContext": "p" });
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::Play, &call, both(local, PROMPT));
    assert_eq!(theatre.posted[0].2["data"]["failedPlaySourceIndex"], 0);
    theatre.check_told(&["PlayFailed 400/8536"]);

    theatre.on(Operation::Play, &call, both(PROMPT, local));
    theatre.pass(3_000);
    assert_eq!(theatre.posted[1].2["data"]["failedPlaySourceIndex"], 1);
    theatre.check_told(&["PlayStarted 200/0", "PlayFailed 400/8536"]);

    theatre.prompt = answered(200, "<html>not audio</html>");
    theatre.on(Operation::Play, &call, both(local, PROMPT));
    theatre.check_told(&["PlayFailed 400/8535"]);

    theatre.prompt = answered(200, [b"ID3".as_slice(), &[0; 15_997]].concat());
    theatre.on(Operation::Play, &call, json!({ "playSources": [file(local)] }));
    theatre.pass(1_000);
    theatre.check_told(&["PlayStarted 200/0", "PlayCompleted 200/0"]);
}

#[test]
fn a_cached_prompt_is_not_fetched_again_for_an_hour() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let mut source = file("http://127.0.0.1:9/prompt.mp3");
    source["playSourceCacheId"] = "welcome".into();
    let body = json!({ "playSources": [source] });
    theatre.prompt = answered(200, [b"ID3".as_slice(), &[0; 15_997]].concat());
    theatre.on(Operation::Play, &call, body.clone());
    theatre.pass(1_000);
    theatre.prompt = answered(404, "");
    theatre.on(Operation::Play, &call, body.clone());
    theatre.pass(1_000);
    theatre.told();
    theatre.pass(3_600_000);
    theatre.on(Operation::Play, &call, body);
    theatre.check_told(&["PlayFailed 400/8536"]);
}

#[test]
fn spoken_prompts_need_a_speech_resource() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let text = json!({ "playSources": [{ "kind": "text", "text": { "text": "0123456789" } }] });
    assert_eq!(theatre.refused(Operation::Play, &call, text.clone()).0, 400);
    let body = json!({
        "targets": [identifier(CALLER)], "callbackUri": CALLBACK,
        "sourceCallerIdNumber": { "value": OURS },
        "callIntelligenceOptions": { "cognitiveServicesEndpoint": "https://speech.example.test" },
    });
    let (_, answer) = theatre.ask(Operation::CreateCall, Place::Nowhere, &body);
    let call = answer["callConnectionId"].as_str().expect("an id").to_owned();
    theatre.pass(1_000);
    theatre.told();
    theatre.on(Operation::Play, &call, text);
    theatre.pass(600);
    theatre.check_told(&["PlayStarted 200/0", "PlayCompleted 200/0"]);
    let empty = json!({ "playSources": [{ "kind": "ssml", "ssml": { "ssmlText": " " } }] });
    theatre.on(Operation::Play, &call, empty);
    theatre.check_told(&["PlayFailed 400/8582"]);
}

#[test]
fn one_participant_at_a_time_hears_something_of_its_own() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    let mut to_one = play("one");
    to_one["playTo"] = json!([identifier(CALLER)]);
    theatre.on(Operation::Play, &call, to_one.clone());
    theatre.on(Operation::Play, &call, play("all"));
    theatre.check_told(&["PlayStarted 200/0", "PlayStarted 200/0"]);
    let busy = (400, "8501".to_owned());
    assert_eq!(theatre.refused(Operation::Play, &call, to_one.clone()), busy);
    assert_eq!(theatre.refused(Operation::Recognize, &call, recognize(json!({}))), busy);
    let keys = json!({ "tones": ["one"], "targetParticipant": identifier(CALLER) });
    assert_eq!(theatre.refused(Operation::SendDtmfTones, &call, keys.clone()), busy);
    theatre.pass(3_000);
    theatre.told();
    theatre.on(Operation::SendDtmfTones, &call, keys);
    theatre.pass(200);
    theatre.check_told(&["SendDtmfTonesCompleted 200/0"]);
    to_one["playTo"] = json!([identifier("8:acs:nobody_here")]);
    assert_eq!(theatre.refused(Operation::Play, &call, to_one), (404, "8522".to_owned()));
}

#[test]
fn an_operation_for_somebody_who_leaves_fails_and_the_next_one_starts() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT, "8:acs:r_third"]);
    theatre.on(Operation::Recognize, &call, recognize(json!({})));
    theatre.told();
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["RecognizeFailed 404/8522", "ParticipantsUpdated"]);
}

#[test]
fn media_that_runs_when_the_call_ends_is_silent_or_cancelled_as_configured() {
    for told in [false, true] {
        let mut theatre = Theatre::new(|config| config.behaviour.media_told_at_call_end = told);
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::Play, &call, play("p-1"));
        theatre.told();
        theatre.on(Operation::HangUpCall, &call, Value::Null);
        let expected = ["PlayCanceled 400/8508", "CallDisconnected 0/0"];
        theatre.check_told(if told { &expected } else { &expected[1..] });
        theatre.pass(60_000);
        theatre.check_told(&[]);
    }
}

/// Presses keys, one each at these times after the recognition was asked for, with a prompt of 3 s.
#[track_caller]
fn check_keys(options: Value, presses: &[(u64, &'static str)], at: u64, outcome: &str) -> Value {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let began = theatre.now;
    theatre.on(Operation::Recognize, &call, recognize(options));
    theatre.check_told(&["PlayStarted 200/0"]);
    for (when, key) in presses {
        theatre.pass(began.0 + when - theatre.now.0);
        theatre.far(&call, CALLER, Deed::Press(vec![key]));
    }
    theatre.pass(120_000);
    assert_eq!(theatre.posted.len(), 1, "one outcome");
    let (posted, _, event) = theatre.posted.remove(0);
    assert_eq!((short(&event).as_str(), posted.0 - began.0), (outcome, at));
    event["data"].clone()
}

#[test]
fn silence_counts_from_the_end_of_the_prompt() {
    let silence = "RecognizeFailed 400/8510";
    check_keys(json!({}), &[], 8_000, silence);
    check_keys(json!({ "initialSilenceTimeoutInSeconds": 9 }), &[], 12_000, silence);
    check_keys(json!({ "initialSilenceTimeoutInSeconds": 0 }), &[], 3_000, silence);
}

#[test]
fn keys_end_a_recognition_by_number_by_stop_tone_or_by_pause() {
    let three = json!({ "dtmfOptions": { "maxTonesToCollect": 3, "stopTones": ["pound"] } });
    let presses = [(3_500, "one"), (4_000, "two"), (4_500, "three"), (4_600, "four")];
    let data = check_keys(three.clone(), &presses, 4_500, "RecognizeCompleted 200/8531");
    assert_eq!(data["recognitionType"], "dtmf");
    assert_eq!(data["dtmfResult"]["tones"], json!(["one", "two", "three"]));

    let presses = [(3_500, "one"), (4_000, "pound")];
    let data = check_keys(three.clone(), &presses, 4_000, "RecognizeCompleted 200/8514");
    assert_eq!(data["dtmfResult"]["tones"], json!(["one"]));

    let presses = [(7_999, "one"), (9_998, "two")];
    check_keys(three, &presses, 11_998, "RecognizeFailed 400/8532");
}

#[test]
fn keys_stop_the_prompt_only_when_they_may() {
    let one = |interrupt: bool| json!({ "interruptPrompt": interrupt, "dtmfOptions": { "maxTonesToCollect": 1 } });
    check_keys(one(true), &[(1_000, "one")], 1_000, "RecognizeCompleted 200/8531");
    check_keys(one(false), &[(1_000, "one")], 8_000, "RecognizeFailed 400/8510");
}

#[test]
fn a_long_pause_between_keys_may_complete_a_recognition() {
    let mut theatre = Theatre::new(|config| config.behaviour.inter_digit_timeout_completes = true);
    let call = theatre.in_call(&[CALLER]);
    let mut silent = recognize(json!({ "dtmfOptions": { "maxTonesToCollect": 4 } }));
    silent["playPrompt"] = Value::Null;
    theatre.on(Operation::Recognize, &call, silent);
    theatre.far(&call, CALLER, Deed::Press(vec!["one"]));
    theatre.pass(2_000);
    assert_eq!(theatre.posted[0].2["data"]["dtmfResult"]["tones"], json!(["one"]));
    theatre.check_told(&["RecognizeCompleted 400/8532"]);
}

#[test]
fn a_stop_tone_may_be_part_of_the_result() {
    let mut theatre = Theatre::new(|config| config.behaviour.stop_tone_in_result = true);
    let call = theatre.in_call(&[CALLER]);
    let mut ask = recognize(json!({ "dtmfOptions": { "stopTones": ["pound"] } }));
    ask["playPrompt"] = Value::Null;
    theatre.on(Operation::Recognize, &call, ask);
    theatre.far(&call, CALLER, Deed::Press(vec!["one", "pound"]));
    assert_eq!(theatre.posted[0].2["data"]["dtmfResult"]["tones"], json!(["one", "pound"]));
}

#[test]
fn choices_are_made_by_key_or_by_phrase() {
    let ask = || {
        let mut ask = recognize(json!({ "choices": [
            { "label": "Confirm", "phrases": ["yes please", "confirm"], "tone": "one" },
            { "label": "Cancel", "phrases": ["no"], "tone": "two" },
        ] }));
        ask["recognizeInputType"] = "choices".into();
        ask["playPrompt"] = Value::Null;
        ask
    };
    let check = |deed: Deed, outcome: &str, result: Value| {
        let mut theatre = Theatre::new(|_| ());
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::Recognize, &call, ask());
        theatre.far(&call, CALLER, deed);
        assert_eq!(theatre.posted[0].2["data"]["choiceResult"], result);
        theatre.check_told(&[outcome]);
    };
    check(Deed::Press(vec!["two"]), "RecognizeCompleted 200/8533", json!({ "label": "Cancel" }));
    check(Deed::Press(vec!["nine"]), "RecognizeFailed 400/8534", Value::Null);
    check(
        Deed::Say("Well, YES please!".into()),
        "RecognizeCompleted 200/8545",
        json!({ "label": "Confirm", "recognizedPhrase": "yes please", "confidence": 0.9 }),
    );
    check(Deed::Say("nothing of that".into()), "RecognizeFailed 400/8547", Value::Null);
}

#[test]
fn speech_ends_with_silence_and_the_first_input_fixes_the_mode() {
    let start = |theatre: &mut Theatre| {
        let body = json!({
            "targets": [identifier(CALLER)], "callbackUri": CALLBACK,
            "sourceCallerIdNumber": { "value": OURS },
            "callIntelligenceOptions": { "cognitiveServicesEndpoint": "https://s.example.test" },
        });
        let (_, answer) = theatre.ask(Operation::CreateCall, Place::Nowhere, &body);
        theatre.pass(1_000);
        theatre.told();
        let call = answer["callConnectionId"].as_str().expect("an id").to_owned();
        let mut ask = recognize(json!({ "speechOptions": { "endSilenceTimeoutInMs": 700 } }));
        ask["recognizeInputType"] = "speechOrDtmf".into();
        ask["playPrompt"] = Value::Null;
        theatre.on(Operation::Recognize, &call, ask);
        call
    };
    let mut theatre = Theatre::new(|_| ());
    let call = start(&mut theatre);
    theatre.far(&call, CALLER, Deed::Say("I would like".into()));
    theatre.pass(600);
    theatre.far(&call, CALLER, Deed::Press(vec!["one"]));
    theatre.far(&call, CALLER, Deed::Say("to change my booking".into()));
    theatre.pass(699);
    theatre.check_told(&[]);
    theatre.pass(1);
    let data = theatre.posted[0].2["data"].clone();
    assert_eq!(data["speechResult"]["speech"], "I would like to change my booking");
    theatre.check_told(&["RecognizeCompleted 200/0"]);

    let mut theatre = Theatre::new(|_| ());
    let call = start(&mut theatre);
    theatre.far(&call, CALLER, Deed::Press(vec!["one"]));
    theatre.far(&call, CALLER, Deed::Say("too late".into()));
    theatre.pass(2_000);
    theatre.check_told(&["RecognizeFailed 400/8532"]);
}

#[test]
fn a_scripted_phone_answers_the_prompt_and_hangs_up() {
    let book = format!(
        "[[phone]]\nnumber = \"{CALLER}\"\nscript = [\
         {{ onPrompt = \"recognize\", press = \"12#\", afterMs = 400 }},\
         {{ afterMs = 5000, hangup = true }}]"
    );
    let mut theatre = Theatre::new(phones(&book));
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::Play, &call, play("p-1"));
    theatre.pass(3_000);
    theatre.told();
    let ask = recognize(json!({ "dtmfOptions": { "stopTones": ["pound"] } }));
    theatre.on(Operation::Recognize, &call, ask);
    theatre.pass(3_399);
    theatre.check_told(&["PlayStarted 200/0"]);
    theatre.pass(1);
    theatre.check_told(&["RecognizeCompleted 200/8514"]);
    theatre.pass(5_000);
    theatre.check_told(&["CallDisconnected 0/560000"]);
}

#[test]
fn what_azure_refuses_is_refused() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let user = identifier(AGENT);
    let phone = identifier(CALLER);
    let target = |options: Value| recognize(options);
    let many: Vec<_> = std::iter::repeat_n("one", 19).collect();
    let cases = [
        (Operation::CreateCall, json!({ "callbackUri": CALLBACK })),
        (Operation::CreateCall, json!({ "targets": [], "callbackUri": CALLBACK })),
        (Operation::CreateCall, json!({ "targets": [user], "callbackUri": "/calls" })),
        (Operation::CreateCall, json!({ "targets": [user], "callbackUri": "ftp://h/calls" })),
        (Operation::CreateCall, json!({ "targets": [phone], "callbackUri": CALLBACK })),
        (Operation::CreateCall, json!({ "targets": [{}], "callbackUri": CALLBACK })),
        (Operation::AnswerCall, json!({ "callbackUri": CALLBACK })),
        (Operation::RejectCall, json!({ "incomingCallContext": "x", "callRejectReason": "no" })),
        (Operation::AddParticipant, json!({})),
        (Operation::AddParticipant, json!({ "participantToAdd": identifier("+16045550123") })),
        (
            Operation::AddParticipant,
            json!({ "participantToAdd": user, "invitationTimeoutInSeconds": 181 }),
        ),
        (
            Operation::AddParticipant,
            json!({ "participantToAdd": user, "operationCallbackUri": "x" }),
        ),
        (Operation::RemoveParticipant, json!({})),
        (Operation::TransferToParticipant, json!({})),
        (Operation::TransferToParticipant, json!({ "targetParticipant": phone })),
        (Operation::Play, json!({})),
        (Operation::Play, json!({ "playSources": [{ "kind": "radio" }] })),
        (Operation::Play, json!({ "playSources": [file("prompt.wav")] })),
        (Operation::Play, json!({ "playSources": "all" })),
        (Operation::Recognize, json!({ "recognizeInputType": "dtmf" })),
        (Operation::Recognize, json!({ "recognizeInputType": "dtmf", "recognizeOptions": {} })),
        (Operation::Recognize, target(json!({ "initialSilenceTimeoutInSeconds": 301 }))),
        (
            Operation::Recognize,
            target(json!({ "dtmfOptions": { "interToneTimeoutInSeconds": 0 } })),
        ),
        (
            Operation::Recognize,
            target(json!({ "dtmfOptions": { "interToneTimeoutInSeconds": 61 } })),
        ),
        (Operation::Recognize, target(json!({ "dtmfOptions": { "maxTonesToCollect": 0 } }))),
        (Operation::Recognize, target(json!({ "dtmfOptions": { "stopTones": ["#"] } }))),
        (Operation::SendDtmfTones, json!({ "tones": many, "targetParticipant": phone })),
        (Operation::SendDtmfTones, json!({ "tones": ["1"], "targetParticipant": phone })),
        (Operation::SendDtmfTones, json!({ "tones": ["one"], "targetParticipant": user })),
    ];
    for (operation, body) in cases {
        let has_call = operation.path_template().contains("{call}");
        let place = if has_call { call.as_str() } else { "" };
        let (status, code) = theatre.refused(operation, place, body.clone());
        assert_eq!((status, code.as_str()), (400, "8523"), "{operation:?} {body}");
    }
    theatre.pass(10_000);
    theatre.check_told(&[]);
}

#[test]
fn a_call_that_is_not_up_takes_no_operations_and_an_unknown_one_is_not_found() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.create(&[CALLER]);
    let early = theatre.refused(Operation::Play, &call, play("p"));
    assert_eq!(early, (400, "8501".to_owned()));
    for operation in Operation::ALL {
        let template = operation.path_template();
        if !template.contains("{call}") || template.contains("{participant}") {
            continue;
        }
        let (status, code) = theatre.refused(*operation, "no-such-call", json!({}));
        let expected = if status == 501 { "NotImplemented" } else { "8522" };
        assert_eq!(code, expected, "{operation:?} {status}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = || {
        let mut theatre = Theatre::new(|_| ());
        let call = theatre.create(&[CALLER, AGENT]);
        theatre.pass(1_000);
        theatre.on(Operation::Play, &call, play("p-1"));
        theatre.pass(5_000);
        theatre.on(Operation::TerminateCall, &call, Value::Null);
        theatre.posted
    };
    assert_eq!(trace(), trace());
    assert_eq!(trace().len(), 6);
}

#[test]
fn nothing_is_left_of_calls_that_are_over() {
    let mut theatre = Theatre::new(|_| ());
    for _ in 0..100 {
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::Play, &call, play("p-1"));
        theatre.on(Operation::Recognize, &call, recognize(json!({})));
        theatre.far(&call, CALLER, Deed::HangUp);
        theatre.ring(CALLER, OURS);
    }
    theatre.pass(700_000);
    let world = &theatre.world;
    assert_eq!(world.agenda.next(), None);
    assert!(world.jobs.is_empty() && world.rings.is_empty() && world.tickets.is_empty());
    assert!(world.connections.is_empty() && world.conversations.len() == 0);
    assert!(world.postbox.is_idle());
}

#[test]
fn a_full_emulator_says_so() {
    let mut theatre = Theatre::new(|config| config.limits.calls = 1);
    theatre.create(&[CALLER]);
    let body = json!({ "targets": [identifier(AGENT)], "callbackUri": CALLBACK });
    let full = theatre.refused(Operation::CreateCall, "", body);
    assert_eq!(full, (429, "TooManyRequests".to_owned()));
}

#[test]
fn far_end_deeds_need_somebody_to_do_them() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let server = theatre.server_of(&call);
    let mut status = |server: &str, who: &RawId, deed: Deed| {
        theatre.world.far_end(server, who, &deed).err().map(|refusal| refusal.status)
    };
    let caller = RawId::of_number(CALLER);
    assert_eq!(status("no-such-call", &caller, Deed::HangUp), Some(404));
    assert_eq!(status(&server, &RawId::new("8:acs:a_b"), Deed::HangUp), Some(404));
    assert_eq!(status(&server, &caller, Deed::Answer), Some(404));
    assert_eq!(status(&server, &caller, Deed::Press(vec!["one"])), None);
}
