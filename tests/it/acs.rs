//! The client for Azure against a server that writes down every request and answers by script.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use jiff::Timestamp;
use switchhook::acs::{Azure, AzureConfig, OpenIdKeys, Transport, operations};
use switchhook::clock::ManualClock;
use switchhook::ports::{
    Answer, CallAutomation, Clock, PublishedKeys, Repeatability, Request, Tick, UpstreamError,
};
use switchhook::pure::signing::{AccessKey, ConnectionString, content_hash, string_to_sign};
use switchhook::wire::calling::{Operation, Place, PlayRequest, RejectCallRequest};

const KEY: &str = "c3dpdGNoaG9vay1leGFtcGxlLWFjY2Vzcy1rZXktMCE=";
const NOON: Timestamp = Timestamp::constant(1_763_713_800, 0);

/// One request as it came over the wire.
#[derive(Clone)]
struct Heard {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value)
    }

    /// Recomputes the signature from nothing but what came over the wire.
    #[track_caller]
    fn check_signature(&self) {
        assert_eq!(self.header("x-ms-content-sha256"), content_hash(&self.body));
        let signed = ["x-ms-date", "host", "x-ms-content-sha256"].map(|name| self.header(name));
        let text = string_to_sign(&self.method, &self.target, &signed);
        let prefix = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=";
        let signature = self.header("authorization").strip_prefix(prefix).expect("a signature");
        assert!(AccessKey::from_base64(KEY).expect("a key").verify(&text, signature));
    }
}

/// One prepared answer.
struct Scripted {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn answer(status: u16, body: impl Into<String>) -> Scripted {
    Scripted { status, headers: vec![], body: body.into() }
}

fn later(status: u16, retry_after: impl ToString) -> Scripted {
    Scripted {
        status,
        headers: vec![("retry-after", retry_after.to_string())],
        body: String::new(),
    }
}

#[derive(Default)]
struct Notes {
    script: Mutex<VecDeque<Scripted>>,
    heard: Mutex<Vec<Heard>>,
}

async fn write_down(
    request: HttpRequest,
    body: web::Bytes,
    notes: web::Data<Notes>,
) -> HttpResponse {
    let text = |value: &actix_web::http::header::HeaderValue| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
    notes.heard.lock().expect("whole").push(Heard {
        method: request.method().to_string(),
        target: request.uri().path_and_query().expect("a target").to_string(),
        headers: request.headers().iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
        body: body.to_vec(),
    });
    let scripted = notes.script.lock().expect("whole").pop_front();
    let scripted = scripted.unwrap_or_else(|| answer(418, "the script has ended"));
    let mut response =
        HttpResponse::build(StatusCode::from_u16(scripted.status).expect("a status"));
    for (name, value) in scripted.headers {
        response.insert_header((name, value));
    }
    response.body(scripted.body)
}

/// The server, the client and the clock between them.
struct Desk {
    azure: Azure,
    clock: Arc<ManualClock>,
    notes: web::Data<Notes>,
    server: ServerHandle,
    address: SocketAddr,
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

fn config_for(address: SocketAddr) -> AzureConfig {
    let text = format!("endpoint=http://{address}/;accesskey={KEY}");
    AzureConfig::new(ConnectionString::parse(&text).expect("a connection string"))
}

fn azure_at(address: SocketAddr, clock: &Arc<ManualClock>) -> Azure {
    Azure::new(config_for(address), Arc::clone(clock) as Arc<dyn Clock>).expect("a client")
}

impl Desk {
    fn with(script: impl IntoIterator<Item = Scripted>) -> Self {
        let notes = web::Data::new(Notes::default());
        notes.script.lock().expect("whole").extend(script);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = notes.clone();
        let app = move || App::new().app_data(shared.clone()).default_service(web::to(write_down));
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .listen(listener)
            .expect("a server")
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let clock = ManualClock::starting_at(NOON);
        Self { azure: azure_at(address, &clock), clock, notes, server: handle, address }
    }

    fn heard(&self) -> Vec<Heard> {
        self.notes.heard.lock().expect("whole").clone()
    }

    /// Sends, and moves the clock on by each of `pauses` in turn, each time once the client waits
    /// for it. Shows that it waits no shorter: nothing is sent a millisecond before.
    async fn send(&self, request: Request, pauses: &[u64]) -> Result<Answer, UpstreamError> {
        let hands = async {
            for (sent, pause) in pauses.iter().enumerate() {
                until(|| self.clock.alarms_set() == 1).await;
                let pause = Duration::from_secs(*pause);
                self.clock.advance(pause - Duration::from_millis(1));
                assert_eq!(self.clock.alarms_set(), 1, "it came back too early");
                assert_eq!(self.heard().len(), sent + 1);
                self.clock.advance(Duration::from_millis(1));
            }
        };
        futures_util::future::join(self.azure.send(request), hands).await.0
    }
}

/// Gives way to the others until it holds; fails after ten seconds.
async fn until(mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < patience, "waited in vain");
        actix_web::rt::task::yield_now().await;
    }
}

fn reject() -> Request {
    let model = RejectCallRequest {
        incoming_call_context: Some("ctx".into()),
        call_reject_reason: Some("busy".into()),
    };
    Request::of(&model, Place::Nowhere)
}

fn play() -> Request {
    Request::of(&PlayRequest::default(), Place::Call("c".into()))
}

fn get() -> Request {
    Request::new(Operation::GetCall, Place::Call("c".into()))
}

#[actix_web::test]
async fn a_request_is_signed_over_what_is_sent() {
    let desk = Desk::with([answer(204, "")]);
    desk.send(reject(), &[]).await.expect("rejected");
    let [heard] = &desk.heard()[..] else { panic!("one request") };
    heard.check_signature();
    assert_eq!(heard.method, "POST");
    assert_eq!(heard.target, "/calling/callConnections:reject?api-version=2026-03-12");
    assert_eq!(heard.header("host"), desk.address.to_string(), "with its port");
    assert_eq!(heard.header("x-ms-date"), "Fri, 21 Nov 2025 08:30:00 GMT");
    assert_eq!(heard.header("repeatability-first-sent"), "Fri, 21 Nov 2025 08:30:00 GMT");
    assert_eq!(heard.header("content-type"), "application/json");
    assert_eq!(heard.body, br#"{"incomingCallContext":"ctx","callRejectReason":"busy"}"#);
}

#[actix_web::test]
async fn raw_ids_are_signed_and_sent_percent_encoded() {
    let desk = Desk::with([answer(200, r#"{"identifier":{"rawId":"4:+14255551212"}}"#)]);
    let found = operations::get_participant(&desk.azure, "c/1".into(), "4:+14255551212".into());
    assert_eq!(found.await.expect("found").identifier.raw_id().as_str(), "4:+14255551212");
    let [heard] = &desk.heard()[..] else { panic!("one request") };
    heard.check_signature();
    assert_eq!(
        heard.target,
        "/calling/callConnections/c%2F1/participants/4%3A%2B14255551212?api-version=2026-03-12"
    );
    assert_eq!(heard.header("repeatability-request-id"), "", "reading needs none");
}

#[actix_web::test]
async fn requests_without_a_body_say_so() {
    let desk = Desk::with([answer(204, ""), answer(204, "")]);
    operations::terminate(&desk.azure, "c".into()).await.expect("terminated");
    operations::hang_up(&desk.azure, "c".into()).await.expect("hung up");
    let [terminated, hung_up] = &desk.heard()[..] else { panic!("two requests") };
    terminated.check_signature();
    hung_up.check_signature();
    assert_eq!(terminated.header("content-length"), "0");
    assert_eq!((hung_up.method.as_str(), hung_up.header("content-type")), ("DELETE", ""));
}

#[actix_web::test]
async fn a_retry_keeps_its_identity_and_is_signed_anew() {
    let desk =
        Desk::with([later(429, 7), later(503, "Fri, 21 Nov 2025 08:30:16 GMT"), answer(204, "")]);
    desk.send(reject(), &[7, 9]).await.expect("rejected in the end");
    let heard = desk.heard();
    assert_eq!(heard.len(), 3);
    heard.iter().for_each(Heard::check_signature);
    let dates: Vec<_> = heard.iter().map(|h| h.header("x-ms-date")).collect();
    assert_eq!(
        dates,
        [
            "Fri, 21 Nov 2025 08:30:00 GMT",
            "Fri, 21 Nov 2025 08:30:07 GMT",
            "Fri, 21 Nov 2025 08:30:16 GMT"
        ]
    );
    for name in ["repeatability-request-id", "repeatability-first-sent", "x-ms-client-request-id"] {
        assert!(!heard[0].header(name).is_empty(), "{name} is there");
        assert!(heard.iter().all(|h| h.header(name) == heard[0].header(name)), "{name} stays");
    }
}

#[actix_web::test]
async fn a_repeatability_pair_that_is_given_is_used() {
    let desk = Desk::with([answer(204, "")]);
    let request_id = uuid::Uuid::new_v4();
    let first_sent = Timestamp::constant(1_763_713_700, 0);
    let repeatability = Some(Repeatability { request_id, first_sent });
    desk.send(Request { repeatability, ..reject() }, &[]).await.expect("rejected");
    let [heard] = &desk.heard()[..] else { panic!("one request") };
    assert_eq!(heard.header("repeatability-request-id"), request_id.to_string());
    assert_eq!(heard.header("repeatability-first-sent"), "Fri, 21 Nov 2025 08:28:20 GMT");
}

#[actix_web::test]
async fn what_may_have_been_done_is_not_done_again() {
    let desk = Desk::with([answer(500, ""), answer(202, "")]);
    let failed = desk.send(play(), &[]).await.expect_err("not repeated");
    assert_eq!(failed, UpstreamError::Failing { operation: "play", status: 500, attempts: 1 });
    assert_eq!(desk.heard().len(), 1);
    assert_eq!(desk.heard()[0].header("repeatability-request-id"), "", "play has none");

    let desk = Desk::with([later(429, 3), answer(202, "")]);
    desk.send(play(), &[3]).await.expect("a play that was turned away is repeated");
    assert_eq!(desk.heard().len(), 2);
}

/// A server that takes requests and hangs up without a word.
fn hangs_up() -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let taken = Arc::new(Mutex::new(0));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut first_bytes = [0; 16];
            let read = std::io::Read::read(&mut connection.expect("taken"), &mut first_bytes);
            if read.is_ok_and(|read| read > 0) {
                *count.lock().expect("whole") += 1;
            }
        }
    });
    (address, taken)
}

/// Drives a request to its end, ringing every alarm on the way.
async fn drive<T>(clock: &ManualClock, request: impl Future<Output = T>) -> T {
    let mut request = std::pin::pin!(request);
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let turn = actix_web::rt::task::yield_now();
        match futures_util::future::select(&mut request, std::pin::pin!(turn)).await {
            futures_util::future::Either::Left((done, _)) => return done,
            futures_util::future::Either::Right(_) => {}
        }
        assert!(Instant::now() < patience, "waited in vain");
        if let Some(at) = clock.next_alarm() {
            clock.advance(at - clock.now());
        }
    }
}

#[actix_web::test]
async fn a_lost_answer_is_asked_for_again_only_where_that_does_no_harm() {
    let (address, taken) = hangs_up();
    let clock = ManualClock::starting_at(NOON);
    let azure = azure_at(address, &clock);
    let lost = drive(&clock, azure.send(play())).await;
    assert!(matches!(lost, Err(UpstreamError::Unreachable { operation: "play", .. })));
    assert_eq!(*taken.lock().expect("whole"), 1);
    let lost = drive(&clock, azure.send(get())).await;
    assert!(matches!(lost, Err(UpstreamError::Unreachable { operation: "get_call", .. })));
    assert_eq!(*taken.lock().expect("whole"), 1 + 4);
}

#[actix_web::test]
async fn a_play_that_is_not_answered_in_time_is_not_played_again() {
    // Connections are taken by the machine, and nobody ever reads from them.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut config = config_for(listener.local_addr().expect("an address"));
    config.transport.attempt_timeout = Duration::from_millis(20);
    let clock = ManualClock::starting_at(NOON);
    let azure = Azure::new(config, Arc::clone(&clock) as Arc<dyn Clock>).expect("a client");
    let lost = azure.send(play()).await.expect_err("no answer");
    let UpstreamError::Unreachable { reason, .. } = lost else { panic!("{lost}") };
    assert!(reason.contains("timed out"), "{reason}");
    assert_eq!(clock.alarms_set(), 0, "nothing is planned");
}

#[actix_web::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let endless = " ".repeat(5 << 20);
    let script = [answer(200, endless.clone()), answer(500, endless), answer(200, "{}")];
    let desk = Desk::with(script);
    let error = desk.send(get(), &[]).await.expect_err("too large");
    assert!(matches!(error, UpstreamError::Unreadable { .. }), "{error}");
    let in_the_end = drive(&desk.clock, desk.azure.send(get())).await;
    assert!(in_the_end.is_ok(), "a refusal stands, however long its reasons are");
}

#[actix_web::test]
async fn a_request_that_never_left_is_sent_again_whatever_it_is() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let clock = ManualClock::starting_at(NOON);
    let azure = azure_at(free, &clock);
    let error = drive(&clock, azure.send(play())).await.expect_err("nobody is there");
    let UpstreamError::Unreachable { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains("refused") && !reason.contains("http:"), "{reason}");
    // Pauses of 200 to 400, 400 to 800 and 800 to 1,600 ms lie behind it.
    assert!((Tick(1_400)..=Tick(2_800)).contains(&clock.now()), "{:?}", clock.now());
}

#[actix_web::test]
async fn no_attempt_begins_after_the_deadline() {
    let desk = Desk::with([later(429, 7), answer(204, "")]);
    let deadline = Some(Tick(6_999));
    let failed = desk.send(Request { deadline, ..reject() }, &[]).await.expect_err("too late");
    assert_eq!(failed.status(), Some(429));
    assert_eq!(desk.heard().len(), 1);

    let desk = Desk::with([later(429, 7), answer(204, "")]);
    let deadline = Some(Tick(7_000));
    desk.send(Request { deadline, ..reject() }, &[7]).await.expect("just in time");

    let desk = Desk::with([answer(204, "")]);
    desk.clock.advance(Duration::from_secs(31));
    let deadline = Some(Tick(30_000));
    let failed = desk.send(Request { deadline, ..reject() }, &[]).await.expect_err("too late");
    assert!(matches!(failed, UpstreamError::Unreachable { .. }));
    assert!(desk.heard().is_empty(), "nothing was sent");
}

#[actix_web::test]
async fn errors_are_typed() {
    let said = r#"{"error":{"code":"8522","message":"Call of +14255551212 not found."}}"#;
    let desk = Desk::with([answer(404, said), answer(400, "<html>"), answer(202, "{}")]);
    let refused = |status, code: &str, message: &str| UpstreamError::Refused {
        operation: "get_call",
        status,
        code: code.into(),
        message: message.into(),
    };
    let error = desk.send(get(), &[]).await.expect_err("404");
    assert_eq!(error, refused(404, "8522", "Call of … not found."));
    assert_eq!(desk.send(get(), &[]).await.expect_err("400"), refused(400, "", ""));
    let error = desk.send(get(), &[]).await.expect_err("202 is no success of GetCall");
    assert!(matches!(error, UpstreamError::Unreadable { .. }), "{error}");
}

#[actix_web::test]
async fn redirects_are_not_followed() {
    let elsewhere = Desk::with([answer(200, "{}")]);
    let location = ("location", format!("http://{}/", elsewhere.address));
    let moved = Scripted { status: 307, headers: vec![location], body: String::new() };
    let desk = Desk::with([moved]);
    let error = desk.send(get(), &[]).await.expect_err("a redirect is no answer");
    assert!(matches!(error, UpstreamError::Unreadable { .. }), "{error}");
    assert!(elsewhere.heard().is_empty(), "no signature travels elsewhere");
}

#[actix_web::test]
async fn pages_are_asked_for_at_the_same_host_and_signed() {
    let first = r#"{"value":[{"identifier":{"rawId":"4:+1"}}],
        "nextLink":"https://evil.example/calling?token=a%2Bb"}"#;
    let desk = Desk::with([answer(200, first), answer(200, r#"{"value":[]}"#)]);
    let everybody = operations::list_participants(&desk.azure, "c".into()).await.expect("a roster");
    assert_eq!(everybody.len(), 1);
    let heard = desk.heard();
    heard.iter().for_each(Heard::check_signature);
    assert_eq!(
        heard[1].target,
        "/calling/callConnections/c/participants?api-version=2026-03-12&token=a%2Bb"
    );
}

fn keys_at(address: SocketAddr) -> OpenIdKeys {
    let configuration = format!("http://{address}/calling/.well-known/acsopenidconfiguration");
    OpenIdKeys::new(&configuration, &Transport::default()).expect("an address")
}

#[actix_web::test]
async fn callback_keys_are_found_by_way_of_the_configuration() {
    let desk = Desk::with([]);
    let configuration = format!(r#"{{"jwks_uri":"http://{}/calling/keys"}}"#, desk.address);
    let keys = r#"{"keys":[
        {"kty":"EC","kid":"other","crv":"P-256","x":"x","y":"y"},
        {"kty":"RSA","kid":"for-secrets","use":"enc","n":"n","e":"AQAB"},
        "not a key",
        {"kty":"RSA","kid":"good","use":"sig","n":"modulus","e":"AQAB","x5c":["…"]}]}"#;
    desk.notes
        .script
        .lock()
        .expect("whole")
        .extend([answer(200, configuration), answer(200, keys)]);
    let [key] = &keys_at(desk.address).fetch().await.expect("keys")[..] else { panic!("one key") };
    assert_eq!((&*key.id, &*key.modulus, &*key.exponent), ("good", "modulus", "AQAB"));
    let targets: Vec<_> = desk.heard().into_iter().map(|heard| heard.target).collect();
    assert_eq!(targets, ["/calling/.well-known/acsopenidconfiguration", "/calling/keys"]);
}

#[actix_web::test]
async fn callback_keys_that_cannot_be_had_are_told_and_never_empty() {
    let desk = Desk::with([]);
    let configuration = format!(r#"{{"jwks_uri":"http://{}/calling/keys"}}"#, desk.address);
    let elsewhere = r#"{"jwks_uri":"http://169.254.169.254/keys"}"#;
    for (script, why) in [
        (vec![answer(503, "")], "status 503"),
        (vec![answer(200, "<html>")], "not what it should be"),
        (vec![answer(200, " ".repeat(300 << 10))], "too large"),
        (vec![answer(200, elsewhere)], "must be https"),
        (vec![answer(200, configuration), answer(200, r#"{"keys":[]}"#)], "no usable key"),
    ] {
        desk.notes.script.lock().expect("whole").extend(script);
        let told = keys_at(desk.address).fetch().await.expect_err("no keys");
        assert!(told.contains(why), "{told}");
    }
}
