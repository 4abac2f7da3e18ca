//! The history of number assignments through the real doors, and across restarts.

use reqwest::Method;
use serde_json::{Value, json};
use switchhook::app::App;
use switchhook::clock::SystemClock;
use switchhook::settings::{Role, Secret, Settings, Token};

use crate::stage::{Setting, Stage, answer, defaults, eventually};

fn plan(action: &str) -> Value {
    json!({"steps": [{"action": {"type": action}}]})
}

/// The settings of a service that keeps its numbers in that folder.
fn kept_in(folder: &std::path::Path) -> Settings {
    let mut settings = defaults();
    settings.store.ephemeral = false;
    settings.store.folder = Some(folder.join("data"));
    settings.callbacks.require_jwt = false;
    let key = "c3dpdGNoaG9vay1kZXZlbG9wbWVudC1rZXktMDAwMDE=";
    let azure = format!("endpoint=http://127.0.0.1:1/;accesskey={key}");
    settings.azure.connection_string = Secret::new(azure);
    settings
}

/// A service that was started for one story.
struct Service(App);

impl Service {
    /// The one before lets go of its files when its last connection has gone.
    async fn start(settings: &Settings) -> Self {
        eventually("the store", async || match App::start(settings, SystemClock::start()).await {
            Ok(app) => Some(Self(app)),
            Err(error) if error.to_string().contains("is in use by another process") => None,
            Err(error) => panic!("{error}"),
        })
        .await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let http = reqwest::Client::new();
        let mut request = http.request(method, format!("{}{path}", self.0.private_url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}

#[actix_web::test]
async fn i7_assignments_and_their_history_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = kept_in(folder.path());
    let first = Service::start(&settings).await;
    for action in ["ignore", "answer"] {
        let (status, _) =
            first.send(Method::PUT, "/v1/numbers/+18005550100", Some(plan(action))).await;
        assert!(status < 300);
    }
    let (numbers, history) =
        (first.get("/v1/numbers").await, first.get("/v1/numbers/history").await);
    assert_eq!((&numbers["version"], &history["version"]), (&json!(2), &json!(2)));
    first.0.drain().await;
    let second = Service::start(&settings).await;
    assert_eq!(second.get("/v1/numbers").await, numbers);
    assert_eq!(second.get("/v1/numbers/history").await, history);
    let back = json!({"version": 1, "why": "the answer was wrong"});
    let (status, done) = second.send(Method::POST, "/v1/numbers:rollback", Some(back)).await;
    assert_eq!((status, done), (200, json!({"version": 3, "to": 1, "keyCount": 1})));
    second.0.drain().await;
    let third = Service::start(&settings).await;
    let number = third.get("/v1/numbers/+18005550100").await;
    assert_eq!(number["steps"], plan("ignore")["steps"]);
    assert_eq!(third.get("/v1/numbers").await["version"], 3);
    third.0.drain().await;
}

#[actix_web::test]
async fn a_file_of_numbers_fills_a_store_that_never_had_any() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = kept_in(folder.path());
    let file = folder.path().join("numbers.json");
    let number = |key: &str, action: &str| {
        let mut number = plan(action);
        (number["key"], number["version"]) = (key.into(), 9.into());
        number
    };
    let given = json!([number("*", "ignore"), number("+1", "answer")]);
    std::fs::write(&file, given.to_string()).unwrap();
    settings.numbers.file = Some(file.clone());
    let first = Service::start(&settings).await;
    let page = first.get("/v1/numbers/history").await;
    let change = &page["changes"][0];
    assert_eq!((&page["version"], &change["what"]), (&json!(1), &json!("loaded")));
    assert_eq!((&change["who"], &change["keyCount"]), (&json!("numbers.file"), &json!(2)));
    for key in ["*", "+1"] {
        let (status, _) = first.send(Method::DELETE, &format!("/v1/numbers/{key}"), None).await;
        assert_eq!(status, 204);
    }
    first.0.drain().await;
    // Whoever removed them does not want them back.
    let second = Service::start(&settings).await;
    let numbers = second.get("/v1/numbers").await;
    assert_eq!((&numbers["total"], &numbers["version"]), (&json!(0), &json!(3)));
    second.0.drain().await;
    std::fs::remove_file(&file).unwrap();
    let third = Service::start(&settings).await;
    assert_eq!(third.get("/v1/numbers").await["version"], 3, "the file is not even looked at");
    third.0.drain().await;
}

#[actix_web::test]
async fn a_store_that_cannot_be_opened_stops_the_start_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let settings = kept_in(folder.path());
    let data = settings.store.folder.clone().unwrap();
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("config.redb"), "no such thing").unwrap();
    let refused = App::start(&settings, SystemClock::start()).await.err().expect("refused");
    let told = refused.to_string();
    assert!(told.contains("config.redb is damaged") && told.contains("store verify"), "{told}");
}

#[actix_web::test]
async fn i11_history_is_paged_and_names_the_token_that_changed_what() {
    let token = |name: &str, role, secret: &str| Token {
        name: name.to_owned(),
        role,
        secret: Secret::new(secret),
    };
    let setting = Setting::untokened(move |settings| {
        settings.private.tokens = vec![
            token("dashboard", Role::Read, "the-token-of-a-reader"),
            token("night desk", Role::Operate, "the-token-of-an-operator"),
        ];
        settings.store.history = 4;
    });
    let stage = Stage::with(setting).await;
    let send = async |method: Method, path: &str, body: Option<&Value>, if_match: Option<u64>| {
        let mut request = stage.http.request(method, stage.private(path));
        request = request.bearer_auth("the-token-of-an-operator");
        request = request.header("x-switchhook-reason", "night shift");
        if let Some(seen) = if_match {
            request = request.header("if-match", format!("\"{seen}\""));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    };
    for n in 0..6 {
        let path = format!("/v1/numbers/+1800555010{n}");
        assert_eq!(send(Method::PUT, &path, Some(&plan("answer")), None).await.0, 201);
    }
    let page = async |query: &str| {
        send(Method::GET, &format!("/v1/numbers/history{query}"), None, None).await.1
    };
    let versions = |page: &Value| {
        let changes = page["changes"].as_array().cloned().unwrap_or_default();
        changes.iter().map(|change| change["version"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let first = page("?limit=3").await;
    assert_eq!((versions(&first), &first["next"]), (vec![6, 5, 4], &json!(4)));
    let change = &first["changes"][0];
    assert_eq!(change["who"], "night desk");
    assert_eq!(change["why"], "night shift");
    assert_eq!(change["keys"][0]["key"], "+18005550105");
    let second = page("?limit=3&before=4").await;
    assert_eq!((versions(&second), &second["next"]), (vec![3], &Value::Null));
    assert_eq!((&second["oldest"], &second["version"]), (&json!(2), &json!(6)));
    let back = |version: u64| json!({"version": version, "why": "fürs Protokoll"});
    let path = "/v1/numbers:rollback";
    for (to, if_match, status, code) in [
        (7, None, 404, "version_not_found"),
        (1, None, 410, "version_gone"),
        (6, None, 409, "nothing_to_roll_back"),
        (2, Some(5), 412, "version_conflict"),
    ] {
        let (told, problem) = send(Method::POST, path, Some(&back(to)), if_match).await;
        assert_eq!((told, &problem["code"]), (status, &json!(code)), "{problem}");
    }
    let (status, done) = send(Method::POST, path, Some(&back(2)), Some(6)).await;
    assert_eq!((status, done), (200, json!({"version": 7, "to": 2, "keyCount": 4})));
    let newest = page("?limit=1").await;
    let change = &newest["changes"][0];
    assert_eq!((&change["what"], &change["to"]), (&json!("rolledBack"), &json!(2)));
    assert_eq!((&change["who"], &change["why"]), (&json!("night desk"), &json!("fürs Protokoll")));
    let reader = stage.http.post(stage.private(path)).bearer_auth("the-token-of-a-reader");
    assert_eq!(answer(reader.json(&back(6))).await.0, 403);
    let reader = stage.http.get(stage.private("/v1/numbers/history"));
    assert_eq!(answer(reader.bearer_auth("the-token-of-a-reader")).await.0, 200);
}
