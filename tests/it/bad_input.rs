//! Everything that a stranger can send: each is answered with a problem that has a stable code, is
//! counted, and does its neighbours no harm.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{KEY, Setting, Stage, answer, event, waits_of};

/// A call that is over.
const ENDED: &str = "bad-ended";

/// At which listener.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Public,
    Private,
}
use At::{Private, Public};

/// One bad request and how it must be answered; an empty code means that it is accepted after all.
struct Row {
    what: &'static str,
    at: At,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    chunked: bool,
    status: u16,
    code: &'static str,
}

impl Row {
    fn new(what: &'static str, at: At, method: Method, path: impl Into<String>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        let (path, body) = (path.into(), Vec::new());
        Self { what, at, method, path, headers, body, chunked: false, status: 200, code: "" }
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    fn without_content_type(mut self) -> Self {
        self.headers.clear();
        self
    }

    fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    fn is(mut self, status: u16, code: &'static str) -> Self {
        (self.status, self.code) = (status, code);
        self
    }

    fn accepted(self) -> Self {
        self.is(200, "")
    }
}

const LIMIT: usize = 64 * 1024;

fn calls_path() -> String {
    format!("/webhooks/calls?key={KEY}")
}

fn grid_path() -> String {
    format!("/webhooks/eventgrid?key={KEY}")
}

fn callback(what: &'static str, body: impl Into<Vec<u8>>) -> Row {
    Row::new(what, Public, Method::POST, calls_path()).body(body)
}

fn delivery(what: &'static str, body: impl Into<Vec<u8>>) -> Row {
    Row::new(what, Public, Method::POST, grid_path()).body(body)
}

fn wait(what: &'static str, body: &Value) -> Row {
    Row::new(what, Private, Method::POST, waits_of("bad-waits")).body(body.to_string())
}

fn put(what: &'static str, key: &str, body: &Value) -> Row {
    let path = format!("/v1/numbers/{key}");
    Row::new(what, Private, Method::PUT, path).body(body.to_string())
}

fn get(what: &'static str, path: &str) -> Row {
    Row::new(what, Private, Method::GET, path)
}

/// `{"a":{"a":…}}`, so deep.
fn nested(depth: usize) -> String {
    let (open, close) = ("{\"a\":".repeat(depth), "}".repeat(depth));
    format!("{open}1{close}")
}

fn good() -> Value {
    event("bad-input", "good", "PlayCompleted", None)
}

/// A good event, but for one member of it or of its data.
fn with(path: &str, value: Value) -> String {
    let mut event = good();
    *event.pointer_mut(path).expect("that member") = value;
    json!([event]).to_string()
}

fn without(member: &str) -> String {
    let mut event = good();
    event.as_object_mut().expect("an object").remove(member);
    json!([event]).to_string()
}

fn bad_bodies(post: fn(&'static str, Vec<u8>) -> Row, good: &Value) -> Vec<Row> {
    let text = json!([good]).to_string();
    let cut = text[..text.len() - 10].to_owned();
    let many = json!(vec![good; 10_000]).to_string();
    let large = " ".repeat(8 << 20);
    let mut not_utf8 = text.clone().into_bytes();
    let place = text.find("\"id\":\"").expect("an id") + 7;
    not_utf8[place] = 0xff;
    let deep = text.replacen("\"data\":{", &format!("\"data\":{{\"deep\":{},", nested(10_000)), 1);
    let p = |what, body: &str| post(what, body.as_bytes().to_vec());
    vec![
        p("nothing at all", "").is(400, "invalid_json"),
        p("cut off", &cut).is(400, "invalid_json"),
        p("no JSON", "hello=world").is(400, "invalid_json"),
        p("two values", "[] []").is(400, "invalid_json"),
        p("a number", "7").is(400, "not_events"),
        p("a text", "\"event\"").is(400, "not_events"),
        p("null", "null").is(400, "not_events"),
        p("an array of numbers", "[1, 2]").is(400, "no_valid_events"),
        p("an empty object", "{}").is(400, "no_valid_events"),
        p("10,000 arrays in each other", &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)))
            .is(400, "no_valid_events"),
        p("an event nested 10,000 deep", &deep).is(400, "no_valid_events"),
        p("10,000 events", &many).is(413, "too_many_events"),
        p("too large, and says so", &large).is(413, "body_too_large"),
        p("too large, in chunks", &large).chunked().is(413, "body_too_large"),
        post("bytes that are no text", not_utf8).is(400, "invalid_json"),
        p("a form", &text)
            .header("content-type", "application/x-www-form-urlencoded")
            .is(415, "unsupported_media_type"),
        p("plain text", &text)
            .header("content-type", "text/plain")
            .is(415, "unsupported_media_type"),
        p("no media type", &text).header("content-type", "?").is(415, "unsupported_media_type"),
        p("an empty array", "[]").accepted(),
        p("without a content type", &text).without_content_type().accepted(),
        p("with a charset", &text)
            .header("content-type", "Application/CloudEvents-batch+JSON; charset=utf-8")
            .accepted(),
        p("in chunks", &text).chunked().accepted(),
    ]
}

fn callbacks() -> Vec<Row> {
    let deep_enough = with("/data", serde_json::from_str(&nested(80)).expect("JSON"));
    let long = "x".repeat(4_097);
    let mut rows = bad_bodies(callback, &good());
    let keyless = |what, path: &str| {
        Row::new(what, Public, Method::POST, path).body(json!([good()]).to_string())
    };
    rows.extend([
        callback("no id", without("id")).is(400, "no_valid_events"),
        callback("an empty id", with("/id", json!(""))).is(400, "no_valid_events"),
        callback("no type", without("type")).is(400, "no_valid_events"),
        callback("no source", without("source")).is(400, "no_valid_events"),
        callback("no data", without("data")).is(400, "no_valid_events"),
        callback("null for data", with("/data", Value::Null)).is(400, "no_valid_events"),
        callback("an array for data", with("/data", json!([]))).is(400, "no_valid_events"),
        callback("no call", with("/data/callConnectionId", json!(""))).is(400, "no_valid_events"),
        callback("a number for a call", with("/data/callConnectionId", json!(7)))
            .is(400, "no_valid_events"),
        callback("a huge id", with("/id", json!(long))).is(400, "no_valid_events"),
        callback("a huge call id", with("/data/callConnectionId", json!(long)))
            .is(400, "no_valid_events"),
        callback("80 levels", deep_enough).is(400, "no_valid_events"),
        callback("a result of another shape", with("/data/resultInformation", json!([1])))
            .accepted(),
        callback("a code of another shape", with("/data/resultInformation/code", json!("x")))
            .accepted(),
        callback(
            "numbers beyond every integer",
            with("/data/resultInformation/code", json!(1e300)),
        )
        .accepted(),
        callback("a time that is none", with("/time", json!("yesterday"))).accepted(),
        callback("slashes and percent signs", with("/data/callConnectionId", json!("a/b%2F%zz")))
            .accepted(),
        callback("a stranger's type", with("/type", json!("Contoso.Sneezed"))).accepted(),
        callback("a member of tomorrow", with("/data/serverCallId", json!("new"))).accepted(),
        keyless("no key", "/webhooks/calls").is(401, "unauthorized"),
        keyless("an empty key", "/webhooks/calls?key=").is(401, "unauthorized"),
        keyless("a wrong key", "/webhooks/calls?key=wrong").is(401, "unauthorized"),
        keyless("a key with more", &format!("/webhooks/calls?key={KEY}x")).is(401, "unauthorized"),
        keyless("a wrong key in the header", &calls_path())
            .header("x-switchhook-key", "wrong")
            .is(401, "unauthorized"),
        keyless("the key in the header", "/webhooks/calls")
            .header("x-switchhook-key", KEY)
            .accepted(),
        keyless("garbage in the query", &format!("/webhooks/calls?%ff=&&&=%&key={KEY}")).accepted(),
        Row::new("GET", Public, Method::GET, calls_path()).is(405, "method_not_allowed"),
        Row::new("PUT", Public, Method::PUT, calls_path()).is(405, "method_not_allowed"),
        Row::new("another route", Public, Method::POST, "/webhooks/").is(404, "not_found"),
        Row::new("the root", Public, Method::GET, "/").is(404, "not_found"),
        Row::new("private on public", Public, Method::GET, "/metrics").is(404, "not_found"),
        Row::new("bytes in the path", Public, Method::GET, "/%ff%00/../%2e%2e")
            .is(404, "not_found"),
    ]);
    rows
}

fn deliveries() -> Vec<Row> {
    let notice = json!({
        "id": "n1", "topic": "/t", "subject": "call/x", "eventTime": "2025-11-21T08:30:18Z",
        "eventType": "Microsoft.Communication.CallStarted", "dataVersion": "1.0",
        "metadataVersion": "1", "data": {"serverCallId": "s", "correlationId": "c"},
    });
    let validation = |data: Value| {
        json!([{"id": "v", "topic": "/t", "subject": "", "eventTime": "2025-11-21T08:30:18Z",
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": data}])
        .to_string()
    };
    let ringing = |data: Value| {
        let mut event = notice.clone();
        event["eventType"] = "Microsoft.Communication.IncomingCall".into();
        event["data"] = data;
        json!([event]).to_string()
    };
    let mut unknown = notice.clone();
    unknown["aMemberOfTomorrow"] = json!({"x": [1]});
    unknown["data"]["another"] = Value::Null;
    let mut rows = bad_bodies(delivery, &notice);
    rows.extend([
        delivery("validation without a code", validation(json!({}))).is(400, "no_valid_events"),
        delivery("validation with a number", validation(json!({"validationCode": 7})))
            .is(400, "no_valid_events"),
        delivery("validation without data", validation(Value::Null)).is(400, "no_valid_events"),
        delivery("validation with an empty code", validation(json!({"validationCode": ""})))
            .is(400, "no_valid_events"),
        delivery("ringing without anything", ringing(json!({}))).is(400, "no_valid_events"),
        delivery(
            "ringing without a context",
            ringing(json!({
            "to": {"rawId": "4:+18005550100"}, "from": {"rawId": "4:+14255550001"}})),
        )
        .is(400, "no_valid_events"),
        delivery(
            "ringing with an empty callee",
            ringing(json!({
            "to": {}, "from": {"rawId": "4:+1"}, "incomingCallContext": "x"})),
        )
        .is(400, "no_valid_events"),
        delivery(
            "ringing with texts for people",
            ringing(json!({
            "to": "+1", "from": "+2", "incomingCallContext": "x"})),
        )
        .is(400, "no_valid_events"),
        delivery("members of tomorrow", json!([unknown]).to_string()).accepted(),
        Row::new("no key", Public, Method::POST, "/webhooks/eventgrid")
            .body(json!([notice]).to_string())
            .is(401, "unauthorized"),
        Row::new("a wrong key", Public, Method::POST, "/webhooks/eventgrid?key=wrong")
            .body(json!([notice]).to_string())
            .is(401, "unauthorized"),
        Row::new("consent without a key", Public, Method::OPTIONS, "/webhooks/eventgrid")
            .is(401, "unauthorized"),
        Row::new("GET", Public, Method::GET, grid_path()).is(405, "method_not_allowed"),
    ]);
    rows
}

fn waits() -> Vec<Row> {
    let filters = |many: usize| vec![json!({"operatorType": "IsNotNull", "key": "subject"}); many];
    let long = "x".repeat(5_000);
    let post = |what, path: &str| Row::new(what, Private, Method::POST, path).body("{}");
    let body = |what, body: &str| post(what, &waits_of("bad-waits")).body(body);
    vec![
        wait("an unknown member", &json!({"timeout": 5})).is(400, "invalid_request"),
        wait("a negative timeout", &json!({"timeoutMs": -1})).is(400, "invalid_request"),
        wait("half a millisecond", &json!({"timeoutMs": 0.5})).is(400, "invalid_request"),
        wait("a text for a timeout", &json!({"timeoutMs": "5"})).is(400, "invalid_request"),
        wait("a huge timeout", &json!({"timeoutMs": u64::MAX})).is(400, "wait_too_long"),
        body("a timeout beyond 64 bits", r#"{"timeoutMs": 18446744073709551616}"#)
            .is(400, "invalid_request"),
        wait("one type without its list", &json!({"types": "PlayCompleted"}))
            .is(400, "invalid_request"),
        wait("a type without a name", &json!({"types": [""]})).is(400, "invalid_wait"),
        wait("a type with a huge name", &json!({"types": [long]})).is(400, "invalid_wait"),
        wait("too many types", &json!({"types": vec!["PlayCompleted"; 65]}))
            .is(400, "invalid_wait"),
        wait("a huge context", &json!({"operationContext": long, "timeoutMs": 0}))
            .is(400, "invalid_wait"),
        wait("a filter that is none", &json!({"filter": 7})).is(400, "invalid_filter"),
        wait(
            "an operator that is none",
            &json!({"filter": [
            {"operatorType": "StringIs", "key": "id", "values": ["x"]}]}),
        )
        .is(400, "invalid_filter"),
        wait(
            "a filter with too many values",
            &json!({"filter": [{"operatorType": "StringIn", "key": "id", "values": vec!["x"; 26]}]}),
        )
        .is(400, "invalid_filter"),
        wait("a cursor from another life", &json!({"after": "00000000-1"})).is(410, "cursor_gone"),
        post("an ended call", &waits_of(ENDED))
            .body(r#"{"types": ["PlayCompleted"]}"#)
            .is(410, "call_ended"),
        get("an unknown operation of an ended call", &format!("/v1/calls/{ENDED}/operations/x"))
            .is(404, "operation_not_found"),
        wait("too many filters", &json!({"filter": filters(26)})).is(400, "invalid_filter"),
        wait("a cursor that is none", &json!({"after": "x"})).is(400, "invalid_cursor"),
        body("an array", "[]").is(400, "invalid_request"),
        body("nothing", "").is(400, "invalid_json"),
        body("cut off", "{\"types\":[").is(400, "invalid_json"),
        body("nested 10,000 deep", &format!("{{\"filter\":{}}}", nested(10_000)))
            .is(400, "invalid_json"),
        body("too large", &" ".repeat(LIMIT + 1)).is(413, "body_too_large"),
        body("too large in chunks", &" ".repeat(LIMIT + 1)).chunked().is(413, "body_too_large"),
        body("a form", "{}").header("content-type", "text/plain").is(415, "unsupported_media_type"),
        body("no content type", "{}").without_content_type().is(415, "unsupported_media_type"),
        post("a huge call id", &waits_of(&long)).is(400, "invalid_request"),
        post("no call id", "/v1/calls//waits").is(404, "not_found"),
        get("GET of a wait", &waits_of("bad-waits")).is(405, "method_not_allowed"),
        get("an operation of an unknown call", "/v1/calls/nobody/operations/x")
            .is(404, "call_not_found"),
        get("a huge context of an operation", &format!("/v1/calls/c/operations/{long}"))
            .is(400, "invalid_request"),
        get("too long a wait for it", "/v1/calls/c/operations/x?waitMs=99999999999")
            .is(400, "wait_too_long"),
        get("a negative wait for it", "/v1/calls/c/operations/x?waitMs=-1")
            .is(400, "invalid_request"),
        get("another parameter", "/v1/calls/c/operations/x?wait=1").is(400, "invalid_request"),
        post("POST of an operation", "/v1/calls/c/operations/x").is(405, "method_not_allowed"),
        get("no context", "/v1/calls/c/operations/").is(404, "not_found"),
        wait("a good one in the end", &json!({"timeoutMs": 0})).is(408, "wait_timed_out"),
    ]
}

fn numbers() -> Vec<Row> {
    let steps = |steps: Value| json!({ "steps": steps });
    let good = || steps(json!([{"action": {"type": "reject"}}]));
    let redirect =
        |target: &str| steps(json!([{"action": {"type": "redirect", "target": target}}]));
    let explain = |what, body: Value| {
        Row::new(what, Private, Method::POST, "/v1/routes:explain").body(body.to_string())
    };
    let key = "+18005550100";
    let back = |what, body: Value| {
        Row::new(what, Private, Method::POST, "/v1/numbers:rollback").body(body.to_string())
    };
    vec![
        put("a key that is none", "hello", &good()).is(400, "invalid_number"),
        put("a key with letters", "+1800CALLNOW", &good()).is(400, "invalid_number"),
        put("a key that is too long", &format!("+{}", "1".repeat(40)), &good())
            .is(400, "invalid_number"),
        put("bytes for a key", "%ff%fe", &good()).is(400, "invalid_number"),
        put("no steps", key, &json!({})).is(400, "invalid_number"),
        put("an empty plan", key, &steps(json!([]))).is(400, "invalid_number"),
        put("an action that is none", key, &steps(json!([{"action": {"type": "sing"}}])))
            .is(400, "invalid_number"),
        put("an unknown member", key, &json!({"steps": [], "color": 1})).is(400, "invalid_number"),
        put("a target that is none", key, &redirect("nobody")).is(400, "invalid_number"),
        put("a number that redirects to itself", key, &redirect(key)).is(409, "redirect_cycle"),
        put("a version that is none", key, &good())
            .header("if-match", "\"x\"")
            .is(400, "invalid_request"),
        put("another version", key, &good())
            .header("if-match", "\"7\"")
            .is(412, "version_conflict"),
        put("an array", key, &json!([])).is(400, "invalid_request"),
        put("no content type", key, &good())
            .without_content_type()
            .is(415, "unsupported_media_type"),
        get("a number without an assignment", "/v1/numbers/+18005550100")
            .is(404, "number_not_found"),
        Row::new("taking away nothing", Private, Method::DELETE, "/v1/numbers/+18005550100")
            .is(404, "number_not_found"),
        Row::new("POST of a number", Private, Method::POST, "/v1/numbers/+18005550100")
            .is(405, "method_not_allowed"),
        get("a page after no key", "/v1/numbers?after=hello").is(400, "invalid_number"),
        get("a page of a negative size", "/v1/numbers?limit=-1").is(400, "invalid_request"),
        get("changes before no version", "/v1/numbers/history?before=x").is(400, "invalid_request"),
        get("an unknown member of the query", "/v1/numbers/history?from=1")
            .is(400, "invalid_request"),
        put("a number called history", "history", &good()).is(405, "method_not_allowed"),
        back("back to no version", json!({"why": "x"})).is(400, "invalid_request"),
        back("back without a reason", json!({"version": 0})).is(400, "invalid_request"),
        back("back for an empty reason", json!({"version": 0, "why": ""}))
            .is(400, "invalid_request"),
        back("back for a reason of two lines", json!({"version": 0, "why": "a\nb"}))
            .is(400, "invalid_request"),
        back("back for a long reason", json!({"version": 0, "why": "x".repeat(501)}))
            .is(400, "invalid_request"),
        back("back to before everything", json!({"version": -1, "why": "x"}))
            .is(400, "invalid_request"),
        back("back to the future", json!({"version": 1_000_000, "why": "x"}))
            .is(404, "version_not_found"),
        back("back for an unknown member", json!({"version": 0, "why": "x", "to": 1}))
            .is(400, "invalid_request"),
        back("back from another version", json!({"version": 0, "why": "x"}))
            .header("if-match", "\"7\"")
            .is(412, "version_conflict"),
        back("back to where it is", json!({"version": 0, "why": "x"}))
            .is(409, "nothing_to_roll_back"),
        explain("nobody calls", json!({"callee": key})).is(400, "invalid_request"),
        explain("a caller that is none", json!({"caller": "", "callee": key}))
            .is(400, "invalid_number"),
        explain("a time that is none", json!({"caller": key, "callee": key, "at": "noon"}))
            .is(400, "invalid_request"),
        explain("an unknown member", json!({"caller": key, "callee": key, "why": 1}))
            .is(400, "invalid_request"),
    ]
}

fn pages() -> Vec<Row> {
    let hang_up = |what, id: &str, body: &str| {
        Row::new(what, Private, Method::POST, format!("/admin/calls/{id}:hangup")).body(body)
    };
    vec![
        get("a cursor that is none", "/v1/events?after=x").is(400, "invalid_cursor"),
        get("a cursor of another life", "/v1/events?after=00000000-1").is(410, "cursor_gone"),
        get("a limit that is none", "/v1/events?limit=ten").is(400, "invalid_request"),
        get("a limit beyond 64 bits", "/v1/events?limit=99999999999999999999")
            .is(400, "invalid_request"),
        get("garbage in the query", "/v1/events?%ff=%zz&&=&limit").is(400, "invalid_request"),
        get("garbage that is not asked for", "/v1/events?color=%ff&x=y&&&").accepted(),
        get("events of nobody", "/v1/calls/nobody/events").is(404, "call_not_found"),
        get("calls in no state", "/admin/calls?state=happy").is(400, "invalid_request"),
        get("calls after no number", "/admin/calls?after=x").is(400, "invalid_request"),
        get("nobody", "/admin/calls/nobody").is(404, "call_not_found"),
        get("nobody, in bytes", "/admin/calls/%ff%00%0a").is(404, "call_not_found"),
        hang_up("without a reason", "bad-input", "{}").is(400, "invalid_request"),
        hang_up("with an empty reason", "bad-input", r#"{"reason":"  "}"#)
            .is(400, "invalid_request"),
        hang_up(
            "with a book for a reason",
            "bad-input",
            &json!({"reason": "x".repeat(501)}).to_string(),
        )
        .is(400, "invalid_request"),
        hang_up("with more than a reason", "bad-input", r#"{"reason":"x","by":"me"}"#)
            .is(400, "invalid_request"),
        hang_up("nobody", "nobody", r#"{"reason":"x"}"#).is(404, "call_not_found"),
        get("no such route", "/v1").is(404, "not_found"),
        get("public on private", "/webhooks/calls").is(404, "not_found"),
        get("outside", "/admin/%2e%2e/%2e%2e/etc/passwd").is(404, "not_found"),
        Row::new("POST of metrics", Private, Method::POST, "/metrics")
            .is(405, "method_not_allowed"),
        Row::new("DELETE of a call", Private, Method::DELETE, "/admin/calls/x")
            .is(405, "method_not_allowed"),
        Row::new("a method of nobody", Private, Method::from_bytes(b"BREW").unwrap(), "/v1/events")
            .is(405, "method_not_allowed"),
    ]
}

fn panics() -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Other tests of this process may fail by panicking; only faults of the service count.
        if info.location().is_some_and(|place| place.file().starts_with("src/")) {
            counting.fetch_add(1, Ordering::Relaxed);
        }
        before(info);
    }));
    count
}

async fn send(stage: &Stage, row: &Row) -> (u16, String, Value) {
    let url = if row.at == Public { stage.public(&row.path) } else { stage.private(&row.path) };
    let mut request = stage.http.request(row.method.clone(), url);
    for (name, value) in &row.headers {
        request = request.header(*name, value);
    }
    let body = row.body.clone();
    let request = if row.chunked {
        let chunks: Vec<_> =
            body.chunks(1000).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect();
        request.body(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks)))
    } else {
        request.body(body)
    };
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return (0, String::new(), format!("{error:?}").into()),
    };
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type");
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let text = response.text().await.expect("a body");
    (status, kind, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A neighbour goes on undisturbed: its event is taken and told.
async fn neighbour_is_well(stage: &Stage, n: usize) {
    let id = format!("n{n}");
    stage.told(&[event("neighbour", &id, "PlayCompleted", None)]).await;
    let (status, body) = stage.wait("neighbour", json!({"timeoutMs": 0})).await;
    assert_eq!((status, body["event"]["id"].as_str()), (200, Some(id.as_str())), "{body}");
}

#[actix_web::test]
async fn every_bad_input_has_its_answer_is_counted_and_harms_nobody() {
    let panics = panics();
    let setting = Setting::untokened(|settings| {
        settings.private.max_body_bytes = LIMIT;
        // Room for an array that is refused for its length, not for its size.
        settings.callbacks.max_body_bytes = 6 << 20;
        settings.event_grid.max_body_bytes = 6 << 20;
    });
    let stage = Stage::with(setting).await;
    stage.told(&[event("bad-input", "first", "CallConnected", None)]).await;
    stage.told(&[event(ENDED, "over", "CallDisconnected", None)]).await;
    let mut failures = Vec::new();
    let rows = [callbacks(), deliveries(), waits(), numbers(), pages()].into_iter().flatten();
    for (n, row) in rows.enumerate() {
        let name = format!(
            "{:?} {} {}: {}",
            row.at,
            row.method,
            &row.path[..row.path.len().min(60)],
            row.what
        );
        let listener =
            if row.at == Public { "listener=\"public\"" } else { "listener=\"private\"" };
        let labels = [listener, &format!("status=\"{}\"", row.status)];
        let before = stage.metric("switchhook_http_requests_total", &labels).await;
        let (status, kind, body) = send(&stage, &row).await;
        let code = body["code"].as_str().unwrap_or_default();
        if (status, code) != (row.status, row.code) {
            failures
                .push(format!("{name}: {} {} wanted, got {status} {body}", row.status, row.code));
        } else if !row.code.is_empty() {
            let whole = kind == "application/problem+json"
                && body["status"] == row.status
                && body["type"] == format!("urn:switchhook:problem:{code}")
                && body["title"].is_string();
            if !whole {
                failures.push(format!("{name}: no problem document: {kind} {body}"));
            }
            if stage.metric("switchhook_http_requests_total", &labels).await <= before {
                failures.push(format!("{name}: not counted"));
            }
        }
        neighbour_is_well(&stage, n).await;
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(panics.load(Ordering::Relaxed), 0);
}

/// What no HTTP library would send.
#[actix_web::test]
async fn broken_http_is_closed_and_harms_nobody() {
    let stage = Stage::untokened().await;
    let host = stage.app.public_url().trim_start_matches("http://").to_owned();
    let requests: [&[u8]; 6] = [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"POST /webhooks/calls HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n[]",
        b"POST /webhooks/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        b"POST /webhooks/calls HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /livez\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for (n, request) in requests.into_iter().enumerate() {
        let host = host.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(host).expect("a connection");
            stream.set_read_timeout(Some(crate::stage::PATIENCE)).expect("a timeout");
            stream.write_all(request).expect("written");
            stream.shutdown(std::net::Shutdown::Write).expect("shut");
            let mut answer = Vec::new();
            let _closed = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        });
        let answer = answer.await.unwrap();
        assert!(!answer.starts_with("HTTP/1.1 2"), "{n}: {answer}");
        neighbour_is_well(&stage, n).await;
    }
    let (status, _) = answer(stage.http.get(stage.public("/livez"))).await;
    assert_eq!(status, 200);
}

/// A body whose sender stops in the middle.
#[actix_web::test]
async fn a_body_that_is_cut_off_is_not_acted_on() {
    let stage = Stage::untokened().await;
    let host = stage.app.public_url().trim_start_matches("http://").to_owned();
    let body = json!([event("cut", "e1", "CallConnected", None)]).to_string();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        calls_path(),
        body.len() + 10,
    );
    tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(host).expect("a connection");
        stream.write_all(head.as_bytes()).expect("written");
        stream.shutdown(std::net::Shutdown::Write).expect("shut");
        let _closed = stream.read_to_end(&mut Vec::new());
    })
    .await
    .unwrap();
    assert_eq!(stage.view("cut").await.0, 404);
    neighbour_is_well(&stage, 0).await;
}
