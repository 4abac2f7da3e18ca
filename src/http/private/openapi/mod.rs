//! `/openapi.json`: every route of the private listener.
//!
//! `base.json` says what the routes are; what is known here as data is put in by code: the problems with
//! their statuses, and the operations of the call service, of which `bodies.json` has an example each. A
//! test holds it against the routes that there are, and requests made up from it are sent to a running
//! service.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use crate::http::problem::Code;
use crate::pure::operations::{endings, has_outcome};
use crate::wire::calling::{Method, Operation};

const BASE: &str = include_str!("base.json");
const BODIES: &str = include_str!("bodies.json");

/// What may go wrong at any route.
const ANYWHERE: [Code; 5] =
    [Code::Unauthorized, Code::Forbidden, Code::NotFound, Code::MethodNotAllowed, Code::Internal];

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The document.
pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.as_str())
}

/// The whole document, put together.
pub fn document() -> Value {
    let mut document: Value = serde_json::from_str(BASE).unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["components"]["schemas"]["ProblemCode"] = json!({
        "enum": Code::ALL.iter().map(|code| code.face().1).collect::<Vec<_>>(),
    });
    let empty = &mut Map::new();
    let paths = document["paths"].as_object_mut().unwrap_or(empty);
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let codes = operation.as_object_mut().and_then(|it| it.remove("x-problems"));
        let codes = codes.and_then(|codes| codes.as_array().cloned()).unwrap_or_default();
        let named = |code: &Code| codes.iter().any(|name| name == code.face().1);
        let codes = Code::ALL.iter().filter(|code| named(code) || ANYWHERE.contains(code));
        describe_problems(&mut operation["responses"], codes.copied());
    }
    let bodies: Value = serde_json::from_str(BODIES).unwrap_or_default();
    for operation in Operation::ALL.iter().copied() {
        let path = &mut paths
            .entry(operation.path_template())
            .or_insert_with(|| Value::Object(Map::new()));
        path[operation.method().as_str().to_ascii_lowercase()] =
            of_gateway(operation, &bodies[operation.label()]);
    }
    document
}

/// One answer for each status, with an example for each code.
fn describe_problems(responses: &mut Value, codes: impl Iterator<Item = Code>) {
    let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
    for code in codes {
        by_status.entry(code.face().0).or_default().push(code);
    }
    for (status, codes) in by_status {
        let names: Vec<_> = codes.iter().map(|code| format!("`{}`", code.face().1)).collect();
        let examples: Map<_, _> = codes.iter().map(|code| example(*code)).collect();
        let problem = json!({
            "schema": { "$ref": "#/components/schemas/Problem" },
            "examples": examples,
        });
        let response = &mut responses[status.to_string()];
        if response.is_null() {
            *response = json!({ "description": names.join(", ") });
        }
        response["content"]["application/problem+json"] = problem;
    }
}

fn example(code: Code) -> (String, Value) {
    let (status, name, title) = code.face();
    let problem = json!({
        "type": format!("urn:switchhook:problem:{name}"),
        "title": title,
        "status": status,
        "code": name,
    });
    (name.to_owned(), json!({ "summary": title, "value": problem }))
}

fn parameter(name: &str, place: &str, description: &str, required: bool) -> Value {
    json!({
        "name": name, "in": place, "description": description, "required": required,
        "schema": { "type": "string", "minLength": 1 },
    })
}

/// An operation of the call service. What it takes and answers is the call service's to say.
fn of_gateway(operation: Operation, body: &Value) -> Value {
    let template = operation.path_template();
    let ids = [
        ("call", "The callConnectionId."),
        ("participant", "The raw id of a participant."),
        ("recording", "The id of a recording."),
    ];
    let mut parameters: Vec<_> = ids
        .iter()
        .filter(|(name, _)| template.contains(&format!("{{{name}}}")))
        .map(|(name, description)| parameter(name, "path", description, true))
        .collect();
    parameters.push(parameter("api-version", "query", "Such as 2026-03-12.", true));
    let mut responses = Map::new();
    for status in operation.success() {
        let answer = json!({ "description": "As the call service answered." });
        responses.insert(status.to_string(), answer);
    }
    if has_outcome(operation) {
        let wait =
            "`wait=30`: the outcome in place of the answer, if it is over in so many seconds.";
        parameters.push(parameter("Prefer", "header", wait, false));
        let outcome = json!({ "$ref": "#/components/schemas/Operation" });
        let answer = json!({
            "description": "As the call service answered; with `Preference-Applied`, the outcome.",
            "content": { "application/json": { "schema": { "anyOf": [outcome, {}] } } },
        });
        responses.insert("200".to_owned(), answer);
    }
    let error = json!({ "$ref": "#/components/schemas/AzureError" });
    let refused = json!({
        "description": "As the call service, or the gateway in its place, refused.",
        "content": { "application/json": { "schema": error } },
    });
    responses.insert("default".to_owned(), refused);
    let events: Vec<_> =
        endings(operation).iter().map(|kind| format!("`{}`", kind.short_name())).collect();
    let description = match events.is_empty() {
        true => "The answer is the outcome.".to_owned(),
        false => format!("Ended by {}.", events.join(", ")),
    };
    let mut described = json!({
        "tags": ["Gateway"],
        "summary": operation.label().replace('_', " "),
        "operationId": operation.label(),
        "description": description,
        "parameters": parameters,
        "responses": responses,
    });
    if operation.method() == Method::Post {
        described["requestBody"] = json!({
            "description": "As the call service takes it. Members that are not known here pass, too.",
            "content": { "application/json": { "schema": { "type": "object" }, "example": body } },
        });
    }
    described
}
