//! The emulator's time: held by hand, over HTTP and inside of a test, shared with the service.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchhook::app::{App, Listeners};
use switchhook::client::{ConnectOutcome, Listen, NewCall, RecognizeOutcome};
use switchhook::clock::ManualClock;
use switchhook::emulator::{Emulator, EmulatorConfig, Phone, PhoneBook};
use switchhook::ports::Clock;
use switchhook::settings::Secret;
use switchhook::wire::identifiers::Identifier;

use crate::ear::Ear;
use crate::stage::{answer, defaults};

const PHONE: &str = "+14255551212";
const OURS: &str = "+18005551212";

/// An emulator that is held, and somebody who has called through it.
struct Held {
    emulator: Emulator,
    http: reqwest::Client,
    ear: Ear,
}

impl Held {
    fn start(config: EmulatorConfig) -> Self {
        let clock = ManualClock::starting_now();
        let emulator = Emulator::start_in_process(config, clock).expect("it starts");
        Self { emulator, http: reqwest::Client::new(), ear: Ear::start() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.emulator.base_url())
    }

    async fn api(&self, path: &str, body: Value) -> (u16, Value) {
        let url = self.url(&format!("/calling/callConnections{path}?api-version=2026-03-12"));
        answer(self.http.post(url).bearer_auth("test-caller").json(&body)).await
    }

    /// Dials the phone; gives the call's path.
    async fn dial(&self) -> String {
        let body = json!({
            "targets": [{ "phoneNumber": { "value": PHONE } }],
            "sourceCallerIdNumber": { "value": OURS },
            "callbackUri": format!("{}/calls", self.ear.base_url),
        });
        let (status, call) = self.api("", body).await;
        assert_eq!(status, 201, "{call}");
        format!("/{}", call["callConnectionId"].as_str().expect("an id"))
    }

    async fn clock(&self, body: Value) -> (u16, Value) {
        answer(self.http.post(self.url("/emulator/clock:advance")).json(&body)).await
    }
}

#[actix_web::test]
async fn when_time_has_passed_everything_that_was_due_has_been_told() {
    let mut held = Held::start(EmulatorConfig::default());
    held.dial().await;
    let (_, before) = answer(held.http.get(held.url("/emulator/clock"))).await;
    assert_eq!((&before["manual"], &before["nextDueInMs"]), (&json!(true), &json!(1000)));
    let (status, after) = held.clock(json!({ "ms": 1025 })).await;
    // Both letters left at the end of that time, one after the other: nothing is still to come.
    assert_eq!(held.ear.all_there(), ["CallConnected", "ParticipantsUpdated"]);
    let passed = after["nowMs"].as_u64().zip(before["nowMs"].as_u64()).map(|(a, b)| a - b);
    assert_eq!((status, passed), (200, Some(1025)));
    assert_eq!(after["requestsUnderWay"], 0);
    let time = |clock: &Value| clock["time"].as_str().expect("a time").parse::<jiff::Timestamp>();
    let passed = time(&after).expect("a time").duration_since(time(&before).expect("a time"));
    assert_eq!(passed.as_millis(), 1025);
}

#[actix_web::test]
async fn a_prompt_is_fetched_at_its_moment_however_far_the_clock_goes() {
    let mut held = Held::start(EmulatorConfig::default());
    let call = held.dial().await;
    held.emulator.advance(Duration::from_secs(2)).await;
    held.ear.all_there();
    let file = json!({ "uri": format!("{}/second.wav", held.ear.base_url) });
    let sources = [json!({ "kind": "file", "file": file })];
    let (status, told) = held.api(&format!("{call}:play"), json!({ "playSources": sources })).await;
    assert_eq!(status, 202, "{told}");
    held.emulator.advance(Duration::from_secs(3600)).await;
    let heard = held.ear.all_there();
    assert_eq!(heard, ["GET /second.wav", "PlayStarted", "PlayCompleted"]);
    let (_, list) = answer(held.http.get(held.url("/emulator/deliveries"))).await;
    let time = |at: usize| list["value"][at]["at"].as_str().expect("a time").parse();
    let (started, completed): (jiff::Timestamp, jiff::Timestamp) =
        (time(2).expect("a time"), time(3).expect("a time"));
    let lasted = completed.duration_since(started).as_millis();
    assert_eq!(lasted, 1000, "it lasts a second, though the clock went an hour");
}

#[actix_web::test]
async fn whoever_moves_the_clock_can_do_without_the_answers() {
    let mut held = Held::start(EmulatorConfig::default());
    held.dial().await;
    let (status, clock) = held.clock(json!({ "ms": 1025, "settle": false })).await;
    assert_eq!(status, 200, "{clock}");
    let (_, body) = held.ear.next().await;
    assert_eq!(body[0]["type"], "Microsoft.Communication.CallConnected");
    for (body, says) in [
        (json!({}), "it looks like {\"ms\":1000}"),
        (json!({ "ms": -1 }), "it looks like"),
        (json!({ "ms": 604_800_001_u64 }), "may be at most 604800000"),
    ] {
        let (status, refused) = held.clock(body).await;
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(says), "{refused}");
    }
    for request in [
        held.http.get(held.url("/emulator/clock:advance")),
        held.http.put(held.url("/emulator/clock")),
    ] {
        let (status, refused) = answer(request).await;
        assert_eq!((status, &refused["error"]["code"]), (405, &json!("MethodNotAllowed")));
    }
}

#[actix_web::test]
async fn two_who_move_the_clock_at_once_do_it_one_after_the_other() {
    let held = Held::start(EmulatorConfig::default());
    held.dial().await;
    let (one, other) =
        futures_util::join!(held.clock(json!({ "ms": 1000 })), held.clock(json!({ "ms": 1000 })));
    assert_eq!((one.0, other.0), (200, 200));
    let (_, clock) = answer(held.http.get(held.url("/emulator/clock"))).await;
    assert_eq!(clock["nowMs"], 2000);
}

/// Service and emulator on one clock.
async fn together(phones: PhoneBook) -> (App, Emulator, Arc<ManualClock>) {
    let clock = ManualClock::starting_now();
    let mut settings = defaults();
    settings.drain.timeout = Duration::ZERO;
    let listeners = Listeners::bind(&settings).expect("free ports");
    settings.public.base_url = listeners.public_url();
    let config = EmulatorConfig { phones, ..EmulatorConfig::default() };
    settings.callbacks.audience.clone_from(&config.audience);
    let emulator = Emulator::start_in_process(config, Arc::clone(&clock)).expect("it starts");
    settings.azure.connection_string = Secret::new(emulator.connection_string());
    settings.callbacks.openid_url = emulator.openid_configuration_url();
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let app = App::start_on(listeners, &settings, shared).await.expect("the app starts");
    (app, emulator, clock)
}

#[actix_web::test]
async fn four_minutes_of_a_call_pass_on_a_shared_clock() {
    let who = Identifier::phone(PHONE);
    let mut phones = PhoneBook::default();
    phones.set(&who, Phone { after: Duration::from_secs(20), ..Phone::default() });
    let (app, emulator, clock) = together(phones).await;
    let new = NewCall::to(who.clone()).from_number(OURS);
    let call = app.client().create_call(new).await.expect("it rings");
    emulator.advance(Duration::from_secs(21)).await;
    assert_eq!(call.connected().await.expect("an outcome"), ConnectOutcome::Connected);
    let listen = Listen::for_keys(who, 1).first_within(Duration::from_secs(200));
    let keys = call.recognize(listen).await.expect("it listens");
    let asked = clock.now();
    emulator.advance(Duration::from_secs(239)).await;
    // Both clocks are one: the service's wait of four minutes has a second left.
    let RecognizeOutcome::Failed { codes, .. } = keys.outcome().await.expect("an outcome") else {
        panic!("nobody pressed a key");
    };
    assert_eq!(codes.to_string(), "400/8510");
    assert_eq!(clock.now().since(asked), Duration::from_secs(239));
    app.drain().await;
    emulator.stop().await;
}

#[actix_web::test]
async fn the_same_test_gives_the_same_ids() {
    let call = || async { Held::start(EmulatorConfig::default()).dial().await };
    assert_eq!(call().await, call().await);
}
