//! The trace over HTTP: waiting for news, payloads, lines.

use super::*;

#[actix_web::test]
async fn a_reader_of_the_trace_waits_for_news() {
    let caller = Caller::start(config());
    let (status, begun) = caller.own(Method::GET, "trace", Value::Null).await;
    assert_eq!((status, &begun), (200, &json!({ "value": [], "next": 0, "lost": 0 })));
    let news = caller.own(Method::GET, "trace?after=0&waitMs=30000", Value::Null);
    let call = caller.ask(Method::GET, "/calling/callConnections/none", Value::Null);
    let ((status, news), _) = tokio::join!(news, call);
    assert_eq!((status, &news["next"]), (200, &json!(1)));
    let entry = &news["value"][0];
    assert!(entry["atMs"].is_u64());
    assert_eq!(
        (&entry["what"], &entry["operation"], &entry["status"], &entry["code"]),
        (&json!("request"), &json!("GetCall"), &json!(404), &json!("8522"))
    );
    let (_, late) = caller.own(Method::GET, "trace?after=1&waitMs=1", Value::Null).await;
    assert_eq!(late, json!({ "value": [], "next": 1, "lost": 0 }));
    let target = format!("/calling/callConnections/none?{VERSION}");
    let unsigned = caller.http.get(caller.url(&target)).send().await.expect("an answer");
    assert_eq!(unsigned.status(), 401);
    let (_, refused) = caller.own(Method::GET, "trace?after=1", Value::Null).await;
    assert_eq!(refused["value"][0]["code"], "7509");
}

#[actix_web::test]
async fn stopping_ends_the_wait_of_a_reader() {
    let caller = Caller::start(config());
    let url = caller.url("/emulator/trace?waitMs=30000");
    let (client, reading) = (caller.http.clone(), tokio::sync::oneshot::channel());
    let (done, ended) = reading;
    actix_web::rt::spawn(async move {
        // Whether it is answered or cut off: it does not go on waiting.
        let _ = client.get(url).send().await;
        let _ = done.send(());
    });
    caller.own(Method::GET, "livez", Value::Null).await;
    caller.emulator.stop().await;
    tokio::time::timeout(Duration::from_secs(15), ended).await.expect("it ended").expect("told");
}

#[actix_web::test]
async fn the_trace_comes_with_payloads_and_in_lines() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    caller.create(&receiver, PHONE).await;
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
    let seen = |seen: &Value| seen["value"].as_array().is_some_and(|all| all.len() >= 4);
    let seen = caller.own_until("trace?payloads=true", seen).await;
    let told = &seen["value"][2];
    assert_eq!(told["type"], "Microsoft.Communication.CallConnected");
    assert_eq!((&told["attempt"], &told["outcome"]), (&json!(1), &json!("delivered")));
    assert_eq!(told["payload"]["type"], "Microsoft.Communication.CallConnected");
    assert_eq!(told["payload"]["data"]["callConnectionId"], told["callConnectionId"]);
    let lines = caller.http.get(caller.url("/emulator/trace?after=1"));
    let lines = lines.header("accept", "application/x-ndjson").send().await.expect("an answer");
    assert_eq!(lines.headers()["content-type"], "application/x-ndjson");
    assert_eq!(lines.headers()["x-trace-next"], seen["next"].to_string());
    assert_eq!(lines.headers()["x-trace-lost"], "0");
    let text = lines.text().await.expect("text");
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let sequences: Vec<_> = entries.map(|entry| entry["sequence"].clone()).collect();
    assert_eq!(sequences, [2, 3, 4]);
}

#[actix_web::test]
async fn a_trace_is_asked_for_properly() {
    let caller = Caller::start(config());
    for query in ["waitMs=30001", "waitMs=x", "after=-1", "payloads=yes"] {
        let answer = caller.own(Method::GET, &format!("trace?{query}"), Value::Null).await;
        check_error(&answer, 400, "8523");
    }
    check_error(&caller.own(Method::POST, "trace", Value::Null).await, 405, "MethodNotAllowed");
}
