//! Timelines of one call and of all calls: as pages, and as streams that resume without a gap.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use switchhook::clock::ManualClock;

use crate::stage::{PATIENCE, Setting, Stage, event, eventually};

const CALL: &str = "streamed";
const OF_CALL: &str = "/v1/calls/streamed/events";
const OF_ALL: &str = "/v1/events";

fn numbered(n: usize) -> Value {
    event(CALL, &format!("e{n}"), "PlayStarted", None)
}

fn disconnected() -> Value {
    event(CALL, "the-end", "CallDisconnected", None)
}

/// What a page holds: ids of events, the next cursor, and how many were missed.
#[track_caller]
fn page((status, body): (u16, Value)) -> (Vec<String>, Option<String>, u64) {
    assert_eq!(status, 200, "{body}");
    let id = |line: &Value| line["event"]["id"].as_str().expect("an id").to_owned();
    let ids = body["events"].as_array().expect("events").iter().map(id).collect();
    (ids, body["next"].as_str().map(str::to_owned), body["missed"].as_u64().expect("a count"))
}

fn ids(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("e{n}")).collect()
}

/// One message of a stream.
#[derive(Debug)]
struct Message {
    id: Option<String>,
    event: String,
    data: Value,
}

impl Message {
    fn event_id(&self) -> &str {
        self.data["event"]["id"].as_str().unwrap_or_default()
    }
}

/// A reader of server-sent events, as a browser is one.
struct Reader {
    response: reqwest::Response,
    text: String,
    last_id: Option<String>,
}

impl Reader {
    async fn open(stage: &Stage, path: &str, last_id: Option<&str>) -> Self {
        let http = reqwest::Client::new();
        let mut request = http.get(stage.private(path)).header("accept", "text/event-stream");
        if let Some(last_id) = last_id {
            request = request.header("last-event-id", last_id);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        Self { response, text: String::new(), last_id: None }
    }

    /// The next message that is not a comment; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                let Some(data) = field("data: ") else { continue };
                let message = Message {
                    id: field("id: "),
                    event: field("event: ").unwrap_or_default(),
                    data: serde_json::from_str(&data).expect("JSON"),
                };
                self.last_id = message.id.clone().or(self.last_id.take());
                return Some(message);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("in time").expect("no fault")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    /// The ids of the next so many events.
    async fn take(&mut self, many: usize) -> Vec<String> {
        let mut taken = Vec::new();
        while taken.len() < many {
            let message = self.next().await.expect("more");
            assert_eq!(message.event, "PlayStarted", "{message:?}");
            taken.push(message.event_id().to_owned());
        }
        taken
    }
}

#[actix_web::test]
async fn timelines_come_in_pages_that_follow_each_other_without_gap_or_repeat() {
    for path in [OF_CALL, OF_ALL] {
        let stage = Stage::untokened().await;
        let events: Vec<_> = (0..25).map(numbered).collect();
        stage.told(&events).await;
        let mut seen = Vec::new();
        let mut query = "?limit=10".to_owned();
        for wanted in [10, 10, 5, 0, 0] {
            let (ids, next, missed) = page(stage.get(&format!("{path}{query}")).await);
            assert_eq!((ids.len(), missed), (wanted, 0));
            seen.extend(ids);
            query = format!("?limit=10&after={}", next.expect("a cursor"));
        }
        assert_eq!(seen, ids(0..25), "{path}");
        stage.told(&[numbered(25)]).await;
        let (more, ..) = page(stage.get(&format!("{path}{query}")).await);
        assert_eq!(more, ["e25"]);
        let (one, ..) = page(stage.get(&format!("{path}?limit=0")).await);
        assert_eq!(one, ["e0"], "a page is never empty while there is more");
        let (all, ..) = page(stage.get(&format!("{path}?limit=1000000")).await);
        assert_eq!(all, ids(0..26));
        assert_eq!(stage.get("/v1/calls/nobody/events").await.0, 404);
    }
}

#[actix_web::test]
async fn types_choose_what_pages_and_streams_hold() {
    let stage = Stage::untokened().await;
    let kinds = ["PlayStarted", "PlayCompleted", "HoldAudioRewound", "CallConnected"];
    let events: Vec<_> =
        kinds.iter().enumerate().map(|(n, kind)| event(CALL, &n.to_string(), kind, None)).collect();
    stage.told(&events).await;
    let query = "?types=PlayCompleted,%20Microsoft.Communication.CallConnected,HoldAudioRewound";
    for path in [OF_CALL, OF_ALL] {
        let (ids, ..) = page(stage.get(&format!("{path}{query}")).await);
        assert_eq!(ids, ["1", "2", "3"], "{path}");
        let (first, next, _) = page(stage.get(&format!("{path}?limit=1")).await);
        assert_eq!(first, ["0"]);
        let after = format!("{path}{query}&after={}", next.unwrap());
        let mut reader = Reader::open(&stage, &after, None).await;
        for wanted in ["PlayCompleted", "HoldAudioRewound", "CallConnected"] {
            let message = reader.next().await.unwrap();
            assert_eq!(message.event, wanted, "{message:?}");
        }
    }
}

#[actix_web::test]
async fn a_stream_begins_at_the_calls_beginning_and_ends_with_the_call() {
    let stage = Stage::untokened().await;
    stage.told(&[numbered(0), numbered(1)]).await;
    let mut reader = Reader::open(&stage, OF_CALL, None).await;
    assert_eq!(reader.take(2).await, ids(0..2));
    let (_, view) = stage.view(CALL).await;
    assert_eq!(view["subscriptions"].as_array().map(Vec::len), Some(1));
    stage.told(&[numbered(2), disconnected()]).await;
    assert_eq!(reader.take(1).await, ids(2..3));
    assert_eq!(reader.next().await.unwrap().event, "CallDisconnected");
    let end = reader.next().await.unwrap();
    assert_eq!((end.event.as_str(), &end.data["reason"]), ("switchhook.end", &json!("call_ended")));
    assert!(end.id.is_none(), "an end is no place to resume from");
    assert!(reader.next().await.is_none());
    // Whoever comes within the grace time gets the whole story, and its end.
    let mut late = Reader::open(&stage, OF_CALL, None).await;
    assert_eq!(late.take(3).await, ids(0..3));
    assert_eq!(late.next().await.unwrap().event, "CallDisconnected");
    assert_eq!(late.next().await.unwrap().event, "switchhook.end");
}

#[actix_web::test]
async fn streams_resume_by_header_and_by_query_while_events_keep_coming() {
    for path in [OF_CALL, OF_ALL] {
        let stage = Stage::untokened().await;
        stage.told(&[numbered(0)]).await;
        let (_, first, _) = page(stage.get(&format!("{path}?limit=1")).await);
        let posting = async {
            for n in 1..120 {
                stage.told(&[numbered(n)]).await;
            }
        };
        let reading = async {
            let mut seen = vec!["e0".to_owned()];
            let mut cursor = first.expect("a cursor");
            while seen.len() < 120 {
                let by_header = seen.len() % 2 == 0;
                let (path, header) = if by_header {
                    // What a browser sends goes before what stands in its URL.
                    (format!("{path}?after={}", "ignored"), Some(cursor.as_str()))
                } else {
                    (format!("{path}?after={cursor}"), None)
                };
                let mut reader = Reader::open(&stage, &path, header).await;
                let many = 13.min(120 - seen.len());
                seen.extend(reader.take(many).await);
                cursor = reader.last_id.expect("an id");
            }
            seen
        };
        let ((), seen) = tokio::join!(posting, reading);
        assert_eq!(seen, ids(0..120), "{path}");
    }
}

#[actix_web::test]
async fn a_reader_is_told_what_it_missed() {
    let setting = Setting::untokened(|settings| settings.calls.timeline_events = 3);
    let stage = Stage::with(setting).await;
    stage.told(&[numbered(0)]).await;
    let (_, cursor, _) = page(stage.get(OF_CALL).await);
    let cursor = cursor.unwrap();
    let events: Vec<_> = (1..8).map(numbered).collect();
    stage.told(&events).await;
    let (left, _, missed) = page(stage.get(OF_CALL).await);
    assert_eq!((left, missed), (ids(5..8), 5));
    let (left, _, missed) = page(stage.get(&format!("{OF_CALL}?after={cursor}")).await);
    assert_eq!(left, ids(5..8));
    assert!(missed >= 4, "{missed}");
    let mut reader = Reader::open(&stage, OF_CALL, Some(&cursor)).await;
    let note = reader.next().await.unwrap();
    assert_eq!(note.event, "switchhook.missed");
    assert!(note.data["missed"].as_u64().is_some_and(|missed| missed >= 4), "{note:?}");
    assert_eq!(reader.take(3).await, ids(5..8));

    // Whoever has read everything that left has missed nothing.
    let (_, up_to_date, _) = page(stage.get(OF_CALL).await);
    let up_to_date = up_to_date.unwrap();
    let (none, next, missed) = page(stage.get(&format!("{OF_CALL}?after={up_to_date}")).await);
    assert_eq!((none, next, missed), (vec![], Some(up_to_date.clone()), 0));
    let more: Vec<_> = (8..11).map(numbered).collect();
    stage.told(&more).await;
    let (all, _, missed) = page(stage.get(&format!("{OF_CALL}?after={up_to_date}")).await);
    assert_eq!((all, missed), (ids(8..11), 0), "the three that left had been read before");
}

#[actix_web::test]
async fn a_small_journal_tells_how_much_has_left_it() {
    let setting = Setting::untokened(|settings| settings.journal.memory_bytes = 4_000);
    let stage = Stage::with(setting).await;
    stage.told(&[numbered(0)]).await;
    let (_, cursor, _) = page(stage.get(OF_ALL).await);
    let cursor = cursor.unwrap();
    for n in 1..40 {
        stage.told(&[numbered(n)]).await;
    }
    let (left, _, missed) = page(stage.get(&format!("{OF_ALL}?after={cursor}")).await);
    assert!(!left.is_empty() && left.len() < 30, "{left:?}");
    assert_eq!(usize::try_from(missed).unwrap(), 39 - left.len(), "exactly those between");
    let mut reader = Reader::open(&stage, OF_ALL, Some(&cursor)).await;
    let note = reader.next().await.unwrap();
    assert_eq!(
        (note.event.as_str(), note.data["missed"].as_u64()),
        ("switchhook.missed", Some(missed))
    );
    assert_eq!(reader.take(left.len()).await, left);
    // The call's own timeline still has its lines, without payloads.
    let (status, body) = stage.get(OF_CALL).await;
    let lines = body["events"].as_array().unwrap();
    assert_eq!((status, lines.len(), &lines[0]["event"]), (200, 40, &Value::Null));
    assert_eq!(lines[0]["type"], "Microsoft.Communication.PlayStarted");
    // A stream of the call says that those payloads are gone.
    let mut reader = Reader::open(&stage, OF_CALL, None).await;
    let note = reader.next().await.unwrap();
    assert_eq!(
        (note.event.as_str(), note.data["missed"].as_u64()),
        ("switchhook.missed", Some(missed + 1))
    );
    assert_eq!(reader.take(left.len()).await, left);
}

#[actix_web::test]
async fn c7_a_reader_that_is_too_slow_is_let_go_and_nobody_waits_for_it() {
    let setting = Setting::untokened(|settings| {
        settings.calls.subscription_buffer = 4;
        settings.callbacks.max_body_bytes = 8 << 20;
    });
    let stage = Stage::with(setting).await;
    stage.told(&[numbered(0)]).await;
    let mut slow = Reader::open(&stage, OF_CALL, None).await;
    assert_eq!(slow.take(1).await, ids(0..1));
    // Enough to fill every buffer between here and there, so that the stream cannot go on.
    let mut large = Vec::new();
    for n in 1..120 {
        let mut event = numbered(n);
        event["data"]["padding"] = "x".repeat(200_000).into();
        large.push(event);
    }
    for events in large.chunks(20) {
        stage.told(events).await;
    }
    eventually("the slow reader to be let go", || async {
        let (_, view) = stage.view(CALL).await;
        view["subscriptions"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    assert!(
        stage.metric("switchhook_subscriptions_dropped_total", &["reason=\"slow\""]).await >= 1.0
    );
    // It reads what was on its way, learns why there is no more, and resumes where it was.
    let mut seen = 1;
    let end = loop {
        let message = slow.next().await.expect("an end is told");
        if message.event == "switchhook.end" {
            break message;
        }
        assert_eq!(message.event_id(), format!("e{seen}"));
        seen += 1;
    };
    assert_eq!(end.data["reason"], "too_slow");
    assert!(seen < 120);
    let mut again = Reader::open(&stage, OF_CALL, slow.last_id.as_deref()).await;
    assert_eq!(again.take(120 - seen).await, ids(seen..120));
}

#[actix_web::test]
async fn cursors_of_another_life_are_gone_and_malformed_ones_are_refused() {
    let stage = Stage::untokened().await;
    stage.told(&[numbered(0)]).await;
    let (_, cursor, _) = page(stage.get(OF_CALL).await);
    let cursor = cursor.unwrap();
    let (life, position) = cursor.split_once('-').unwrap();
    let other = u32::from_str_radix(life, 16).unwrap().wrapping_add(1);
    let other = format!("{other:08x}-{position}");
    for path in [OF_CALL, OF_ALL] {
        for (cursor, status, code) in [
            (other.as_str(), 410, "cursor_gone"),
            ("42", 400, "invalid_cursor"),
            ("zzzzzzzz-1", 400, "invalid_cursor"),
            ("00000001-18446744073709551616", 400, "invalid_cursor"),
        ] {
            let answer = stage.get(&format!("{path}?after={cursor}")).await;
            assert_eq!((answer.0, answer.1["code"].as_str()), (status, Some(code)), "{cursor}");
            let stream = stage.http.get(stage.private(path)).header("last-event-id", cursor);
            let answer = stream.header("accept", "text/event-stream").send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{cursor}");
        }
        // A cursor that is ahead of everything just has nothing after it.
        let ahead = format!("{path}?after={life}-18446744073709551615");
        let (none, ..) = page(stage.get(&ahead).await);
        assert_eq!(none, Vec::<String>::new());
    }
    let wait = json!({"after": other});
    let (status, body) = stage.wait(CALL, wait).await;
    assert_eq!((status, body["code"].as_str()), (410, Some("cursor_gone")));
}

#[actix_web::test]
async fn a_silent_stream_is_kept_open_with_comments() {
    let clock = ManualClock::starting_now();
    let stage = Stage::with(Setting::untokened(|_| {}).held(&clock)).await;
    stage.told(&[numbered(0)]).await;
    for path in [OF_CALL, OF_ALL] {
        let stream = reqwest::Client::new().get(stage.private(path));
        let stream = stream.header("accept", "text/event-stream").send().await.unwrap();
        let alarms = clock.alarms_set();
        let mut chunks = stream.bytes_stream();
        if path == OF_CALL {
            let first = chunks.next().await.unwrap().unwrap();
            assert!(first.starts_with(b"id: "));
        }
        eventually("the stream to be silent", || async {
            (clock.alarms_set() >= alarms && clock.next_alarm().is_some()).then_some(())
        })
        .await;
        let heartbeat = async {
            loop {
                clock.advance(Duration::from_secs(15));
                tokio::task::yield_now().await;
                if let Some(chunk) = futures_util::FutureExt::now_or_never(chunks.next()) {
                    break chunk.unwrap().unwrap();
                }
            }
        };
        let heartbeat = tokio::time::timeout(PATIENCE, heartbeat).await.expect("in time");
        assert!(heartbeat.starts_with(b": "), "{heartbeat:?}");
    }
}
