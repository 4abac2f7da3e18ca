//! The description of the private listener, held against what there is.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use switchhook::http::private::ROUTES;
use switchhook::http::problem::Code;
use switchhook::pure::operations::takes_context;
use switchhook::wire::calling::*;

use crate::stage::Stage;

async fn document(stage: &Stage) -> Value {
    let (status, document) = stage.get("/openapi.json").await;
    assert_eq!(status, 200);
    document
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("operations");
        item.iter().map(move |(method, it)| (method.to_ascii_uppercase(), path, it))
    })
}

#[actix_web::test]
async fn every_route_is_described_and_every_description_has_its_route() {
    let stage = Stage::untokened().await;
    let document = document(&stage).await;
    let described: BTreeSet<_> =
        operations(&document).map(|(method, path, _)| (method, path.clone())).collect();
    let routes = ROUTES.iter().map(|(method, path)| (method.to_string(), path.to_string()));
    let gateway = Operation::ALL.iter().map(|operation| {
        (operation.method().as_str().to_owned(), operation.path_template().to_owned())
    });
    assert_eq!(described, routes.chain(gateway).collect());
    // The list of routes is the one that is served.
    for (method, path) in ROUTES {
        let method = method.parse().expect("a method");
        let path = path.replace("{id}", "1").replace(['{', '}'], "");
        let response = stage.http.request(method, stage.private(&path)).send().await;
        let text = response.expect("an answer").text().await.expect("a body");
        let code = serde_json::from_str::<Value>(&text).unwrap_or_default()["code"].clone();
        assert!(code != "not_found" && code != "method_not_allowed", "{path}: {text}");
    }
}

#[actix_web::test]
async fn every_description_is_whole() {
    let stage = Stage::untokened().await;
    let document = document(&stage).await;
    for (method, path, operation) in operations(&document) {
        let what = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let is_it = |it: &Value| it["name"] == name && it["in"] == "path";
            assert!(parameters.iter().any(is_it), "{what} has a {name}");
        }
        if let Some(body) = operation.get("requestBody") {
            assert!(!body["content"]["application/json"]["example"].is_null(), "{what}");
        }
        assert!(operation.get("x-problems").is_none(), "{what}");
    }
    let mut references = BTreeSet::new();
    refer(&document, &mut references);
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let defined: BTreeSet<_> =
        schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    assert_eq!(references, defined);
}

fn refer(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| refer(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| refer(value, into)),
        _ => {}
    }
}

/// An example of a body, read as the model of its operation, is still the same.
fn keeps<M: RequestModel + DeserializeOwned>(bodies: &Value, seen: &mut BTreeSet<&'static str>) {
    let name = M::OPERATION.label();
    let read: M = serde_json::from_value(bodies[name].clone()).expect(name);
    assert_eq!(serde_json::to_value(read).expect("JSON"), bodies[name], "{name}");
    seen.insert(name);
}

/// Hold's model asks for the opposite, too; and so does that of continuous keys.
fn keeps_as<M: RequestModel + DeserializeOwned>(
    bodies: &Value,
    operation: Operation,
    seen: &mut BTreeSet<&'static str>,
) {
    let own = Value::Object(Map::from_iter([(
        M::OPERATION.label().to_owned(),
        bodies[operation.label()].clone(),
    )]));
    keeps::<M>(&own, &mut BTreeSet::new());
    seen.insert(operation.label());
}

#[test]
fn every_body_of_the_gateway_is_shown_as_the_call_service_takes_it() {
    let bodies: Value =
        serde_json::from_str(include_str!("../../src/http/private/openapi/bodies.json"))
            .expect("JSON");
    let mut seen = BTreeSet::new();
    let all = [
        keeps::<CreateCallRequest>,
        keeps::<AnswerCallRequest>,
        keeps::<RedirectCallRequest>,
        keeps::<RejectCallRequest>,
        keeps::<ConnectRequest>,
        keeps::<TransferToParticipantRequest>,
        keeps::<AddParticipantRequest>,
        keeps::<RemoveParticipantRequest>,
        keeps::<MuteParticipantsRequest>,
        keeps::<CancelAddParticipantRequest>,
        keeps::<MoveParticipantsRequest>,
        keeps::<PlayRequest>,
        keeps::<RecognizeRequest>,
        keeps::<StartTranscriptionRequest>,
        keeps::<StopTranscriptionRequest>,
        keeps::<UpdateTranscriptionRequest>,
        keeps::<StartMediaStreamingRequest>,
        keeps::<StopMediaStreamingRequest>,
        keeps::<ContinuousDtmfRecognitionRequest>,
        keeps::<SendDtmfTonesRequest>,
        keeps::<HoldRequest>,
        keeps::<StartRecordingRequest>,
    ];
    all.iter().for_each(|keeps| keeps(&bodies, &mut seen));
    keeps_as::<HoldRequest>(&bodies, Operation::Unhold, &mut seen);
    let stop = Operation::StopContinuousDtmfRecognition;
    keeps_as::<ContinuousDtmfRecognitionRequest>(&bodies, stop, &mut seen);
    for (name, body) in bodies.as_object().expect("bodies") {
        let operation = Operation::of_label(name).expect(name);
        assert_eq!(operation.method(), Method::Post, "{name}");
        assert_eq!(body["operationContext"].is_string(), takes_context(operation), "{name}");
        // What takes no members has no model.
        assert!(seen.contains(name.as_str()) || *body == json!({}), "{name}");
    }
    let posted = Operation::ALL.iter().filter(|it| it.method() == Method::Post);
    assert_eq!(posted.count(), bodies.as_object().map_or(0, Map::len));
}

/// Problems that only the public listener has.
const PUBLIC: [Code; 3] = [Code::NotEvents, Code::NoValidEvents, Code::TooManyEvents];

#[actix_web::test]
async fn every_problem_is_told_at_some_route_and_none_is_made_up() {
    let base: Value =
        serde_json::from_str(include_str!("../../src/http/private/openapi/base.json"))
            .expect("JSON");
    let named: BTreeSet<_> = operations(&base)
        .flat_map(|(_, _, operation)| operation["x-problems"].as_array().expect("a list"))
        .map(|code| code.as_str().expect("a code").to_owned())
        .collect();
    let known: BTreeSet<_> = Code::ALL.iter().map(|code| code.face().1.to_owned()).collect();
    assert!(named.is_subset(&known), "{:?}", named.difference(&known));
    let stage = Stage::untokened().await;
    let document = document(&stage).await;
    let mut told = BTreeSet::new();
    for (_, _, operation) in operations(&document) {
        for response in operation["responses"].as_object().expect("responses").values() {
            let examples = &response["content"]["application/problem+json"]["examples"];
            let empty = Map::new();
            told.extend(examples.as_object().unwrap_or(&empty).keys().cloned());
        }
    }
    let public: BTreeSet<_> = PUBLIC.iter().map(|code| code.face().1.to_owned()).collect();
    assert_eq!(told.union(&public).cloned().collect::<BTreeSet<_>>(), known);
}
