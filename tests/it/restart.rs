//! The service stops and starts again; nobody should notice more than that.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchhook::clock::ManualClock;
use switchhook::pure::time::Tick;
use switchhook::settings::Secret;
use tempfile::TempDir;

use crate::stage::{Setting, Stage, event};

const CALL: &str = "call-of-two-lives";

/// A stage whose service keeps everything in a folder, and stops without waiting for calls.
async fn stage(folder: &TempDir, clock: &Arc<ManualClock>) -> Stage {
    let path = folder.path().to_owned();
    let setting = Setting::untokened(move |settings| {
        settings.store.ephemeral = false;
        settings.store.folder = Some(path.clone());
        settings.drain.timeout = Duration::ZERO;
    });
    let mut stage = Stage::with(setting.held(clock)).await;
    // The emulator knows nothing of these calls, and would say so after the restart.
    let nobody = "endpoint=http://127.0.0.1:9/;accesskey=c29tZWJvZHk=";
    stage.settings.azure.connection_string = Secret::new(nobody);
    stage
}

/// A clock that can tell times from before it started.
fn clock() -> Arc<ManualClock> {
    ManualClock::starting(Tick(1_000_000_000), jiff::Timestamp::now())
}

/// One call in depth, without what a restart may change.
async fn view(stage: &Stage) -> Value {
    view_of(stage, CALL).await
}

async fn view_of(stage: &Stage, call: &str) -> Value {
    let (status, mut view) = stage.view(call).await;
    assert_eq!(status, 200, "{view}");
    for changing in ["unverified", "wakesInMs"] {
        view.as_object_mut().expect("an object").remove(changing);
    }
    view
}

fn roster(id: &str, number: u64) -> Value {
    let mut event = event(CALL, id, "ParticipantsUpdated", None);
    event["data"]["sequenceNumber"] = number.into();
    event["data"]["participants"] =
        json!([{"identifier": {"rawId": "8:acs:someone", "kind": "communicationUser"}}]);
    event
}

#[actix_web::test]
async fn c2_to_c14_a_call_is_the_same_after_a_restart() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let stage = stage(&folder, &clock).await;
    let waiting = stage.begin_to_wait(CALL, json!({"types": ["CallConnected"]}), 1).await;
    stage.told(&[event(CALL, "e1", "CallConnected", Some("create"))]).await;
    assert_eq!(waiting.await.unwrap().0, 200);
    stage.told(&[roster("e2", 7), event(CALL, "e3", "PlayCompleted", Some("play"))]).await;
    clock.advance(Duration::from_secs(2));
    let before = view(&stage).await;
    assert_eq!(before["events"][0]["fate"], "matched");
    assert_eq!(before["backlog"], 2);

    let stage = stage.restarted().await;
    assert_eq!(view(&stage).await, before);
    let (_, body) = stage.view(CALL).await;
    assert_eq!(body["unverified"], true, "{body}");
    // A repeat is a repeat, an old roster is stale, and the backlog has the rest of its five seconds.
    stage.told(&[event(CALL, "e1", "CallConnected", Some("create")), roster("e4", 6)]).await;
    let after = view(&stage).await;
    assert_eq!(after["events"].as_array().unwrap().len(), 4, "{after}");
    assert_eq!(after["events"][3]["stale"], true);
    clock.advance(Duration::from_millis(2_999));
    let (status, told) = stage.wait(CALL, json!({"types": ["PlayCompleted"]})).await;
    assert_eq!((status, &told["event"]["id"]), (200, &json!("e3")));
    let stage = stage.restarted().await;
    let late = json!({"types": ["PlayCompleted"], "timeoutMs": 0});
    assert_eq!(stage.wait(CALL, late).await.0, 408, "it was taken before the restart");
}

/// Calls are written down a few at a time, and go to the journal in several parts.
#[actix_web::test]
async fn many_calls_with_much_to_tell_are_all_the_same_after_a_restart() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let stage = stage(&folder, &clock).await;
    let calls: Vec<_> = (0..50).map(|n| format!("call-of-many-{n}")).collect();
    for call in &calls {
        let events: Vec<_> = (0..100)
            .map(|n| {
                event(call, &format!("{call}-{n}"), "PlayStarted", Some("a rather long context"))
            })
            .collect();
        stage.told(&events).await;
    }
    let mut before = Vec::new();
    for call in &calls {
        before.push(view_of(&stage, call).await);
    }
    let stage = stage.restarted().await;
    for (call, before) in calls.iter().zip(before) {
        assert_eq!(before["events"].as_array().map(Vec::len), Some(100), "{call}");
        assert_eq!(view_of(&stage, call).await, before);
    }
}

#[actix_web::test]
async fn c9_a_tombstone_keeps_its_minute_across_a_restart() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let stage = stage(&folder, &clock).await;
    let mut end = event(CALL, "end", "CallDisconnected", None);
    end["data"]["resultInformation"] = json!({"code": 487, "subCode": 5300, "message": "gone"});
    stage.told(&[event(CALL, "e1", "CallConnected", None), end]).await;
    clock.advance(Duration::from_secs(30));
    let stage = stage.restarted().await;
    let (status, told) = stage.wait(CALL, json!({"types": ["CallDisconnected"]})).await;
    assert_eq!((status, &told["event"]["id"]), (200, &json!("end")));
    let (status, problem) = stage.wait(CALL, json!({"types": ["PlayCompleted"]})).await;
    assert_eq!((status, &problem["ending"]["subCode"]), (410, &json!(5300)), "{problem}");
    clock.advance(Duration::from_secs(29));
    assert_eq!(stage.view(CALL).await.0, 200);
    let stage = stage.restarted().await;
    clock.advance(Duration::from_secs(1));
    assert_eq!(stage.view(CALL).await.0, 404, "a minute is a minute");
}

#[actix_web::test]
async fn a_wait_goes_on_by_its_cursor_after_a_restart() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let stage = stage(&folder, &clock).await;
    stage.told(&[event(CALL, "e1", "CallConnected", None)]).await;
    let (_, page) = stage.get(&format!("/v1/calls/{CALL}/events")).await;
    let after = page["next"].as_str().expect("a cursor").to_owned();
    let wants = json!({"types": ["PlayCompleted"], "after": after});
    let waiting = stage.begin_to_wait(CALL, wants.clone(), 1).await;
    let stage = stage.restarted().await;
    let (status, problem) = waiting.await.unwrap();
    assert_eq!((status, &problem["code"]), (503, &json!("shutting_down")));
    // The answer comes while nobody waits, and the service stops once more.
    stage.told(&[event(CALL, "e2", "PlayCompleted", None)]).await;
    let stage = stage.restarted().await;
    let (status, told) = stage.wait(CALL, wants).await;
    assert_eq!((status, &told["event"]["id"]), (200, &json!("e2")), "{told}");
    let (_, all) = stage.get(&format!("/v1/events?after={after}")).await;
    assert_eq!(all["events"][0]["event"]["id"], "e2");
    assert_eq!(all["missed"], 0, "{all}");
}

#[actix_web::test]
async fn one_service_at_a_time_uses_a_folder() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let first = stage(&folder, &clock).await;
    let mut settings = crate::stage::defaults();
    settings.store.ephemeral = false;
    settings.store.folder = Some(folder.path().to_owned());
    settings.azure.connection_string = Secret::new(first.emulator.connection_string());
    settings.callbacks.require_jwt = false;
    let second = switchhook::app::App::start(&settings, clock).await;
    let error = second.err().expect("refused").to_string();
    assert!(error.contains("in use by another process"), "{error}");
}
