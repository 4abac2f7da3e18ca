//! `/emulator/eventgrid/…`: subscriptions, events by hand, what became of events, dead letters.
//!
//! They need no signature, like all of the emulator's own routes. Refusals have the shape and the codes
//! of Azure's resource manager.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::query_value;
use super::config::Subscription;
use super::http::Request;
use super::own_routes::{decoded, no_route};
use super::shell::Shell;
use super::world::{GridEvent, Refusal, Reply};

/// Answers a request to `/emulator/eventgrid/{rest}`.
///
/// # Errors
/// [`Refusal`] in Azure's shape, with what to do.
pub fn answer(
    shell: &Shell,
    request: &Request,
    method: &str,
    rest: &str,
) -> Result<Reply, Refusal> {
    match (method, rest) {
        ("GET", "subscriptions") => {
            Ok(Reply::json(200, &shell.with(|world, _| world.subscriptions())))
        }
        ("GET", "deliveries") => {
            Ok(Reply::json(200, &shell.with(|world, _| world.grid_deliveries())))
        }
        ("GET", "dead-letters") => {
            Ok(Reply::json(200, &shell.with(|world, _| world.dead_letters())))
        }
        ("POST", "dead-letters:replay") => {
            let told = shell.with(|world, now| {
                world.pass_time(now);
                world.replay_letters()
            });
            Ok(Reply::json(202, &told))
        }
        ("POST", "events") => publish(shell, request),
        (_, "subscriptions" | "deliveries" | "dead-letters") => Err(wrong_method("GET")),
        (_, "dead-letters:replay" | "events") => Err(wrong_method("POST")),
        _ => match rest.split_once('/') {
            Some(("subscriptions", rest)) => subscription(shell, request, method, rest),
            Some(("dead-letters", rest)) => replay(shell, method, rest),
            _ => Err(no_route()),
        },
    }
}

fn wrong_method(allowed: &str) -> Refusal {
    Refusal::new(405, "MethodNotAllowed", format!("Use {allowed}."))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidRequest", message)
}

fn subscription(
    shell: &Shell,
    request: &Request,
    method: &str,
    rest: &str,
) -> Result<Reply, Refusal> {
    if let Some(name) = rest.strip_suffix("/validate") {
        if !matches!(method, "GET" | "POST") {
            return Err(wrong_method("GET or POST"));
        }
        let code = query_value(request.query(), "code").unwrap_or_default();
        let name = decoded(name)?;
        let seen = shell.with(|world, now| {
            world.pass_time(now);
            world.validate_by_hand(&name, &code)
        })?;
        return Ok(Reply::json(200, &seen));
    }
    let name = decoded(rest)?;
    if name.is_empty() || name.contains('/') {
        return Err(no_route());
    }
    match method {
        "PUT" => {
            let mut wanted = wanted(&request.body)?;
            wanted.name = name;
            let seen = shell.with(|world, now| {
                world.pass_time(now);
                world.create_subscription(wanted)
            })?;
            Ok(Reply::json(201, &seen))
        }
        "GET" => Ok(Reply::json(200, &shell.with(|world, _| world.subscription(&name))?)),
        "DELETE" => {
            shell.with(|world, now| {
                world.pass_time(now);
                world.delete_subscription(&name)
            })?;
            Ok(Reply::empty(204))
        }
        _ => Err(wrong_method("PUT, GET or DELETE")),
    }
}

/// Reads a subscription. What stands in it is not repeated: endpoint and headers may hold secrets.
fn wanted(body: &[u8]) -> Result<Subscription, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        invalid(format!(
            "The subscription cannot be read (line {}, column {}); it may have endpoint, schema (eventGrid or cloudEvents), includedEventTypes, subjectBeginsWith, subjectEndsWith, isSubjectCaseSensitive, advancedFilters, enableAdvancedFilteringOnArrays, headers, deliveryHeaders (name, and value or path, secret), maxDeliveryAttempts, eventTimeToLiveInMinutes, maxEventsPerBatch, preferredBatchSizeInKilobytes, deadLetter.",
            error.line(),
            error.column()
        ))
    })
}

/// `{id}:replay`
fn replay(shell: &Shell, method: &str, rest: &str) -> Result<Reply, Refusal> {
    let id = rest.strip_suffix(":replay").ok_or_else(no_route)?;
    if method != "POST" {
        return Err(wrong_method("POST"));
    }
    let id = id.parse().map_err(|_| invalid("The id of a dead letter is a number."))?;
    shell.with(|world, now| {
        world.pass_time(now);
        world.replay_letter(id)
    })?;
    Ok(Reply::json(202, &json!({ "replayed": 1 })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventBody {
    #[serde(rename = "type", alias = "eventType")]
    kind: String,
    subject: String,
    #[serde(default)]
    data: Value,
    #[serde(default = "first_version")]
    data_version: String,
}

fn first_version() -> String {
    "1.0".to_owned()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Events {
    Many(Vec<EventBody>),
    One(EventBody),
}

/// Publishes one event, or several at the same moment.
fn publish(shell: &Shell, request: &Request) -> Result<Reply, Refusal> {
    let events = serde_json::from_slice::<Events>(&request.body).map_err(|_| {
        invalid(
            r#"The events cannot be read; one looks like {"type":"Microsoft.Communication.IncomingCall","subject":"/caller/…","data":{}}, and several stand in an array."#,
        )
    })?;
    let events = match events {
        Events::Many(events) => events,
        Events::One(event) => vec![event],
    };
    let printable =
        |text: &str| (1..=256).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    if events.iter().any(|event| !printable(&event.kind) || !printable(&event.data_version)) {
        return Err(invalid(
            "The fields type and dataVersion must hold 1 to 256 visible ASCII characters.",
        ));
    }
    let ids: Vec<_> = shell.with(|world, now| {
        world.pass_time(now);
        let publish = |event: EventBody| {
            let EventBody { kind, subject, data, data_version } = event;
            world.publish(&GridEvent { kind, subject, data, data_version })
        };
        events.into_iter().map(publish).collect()
    });
    Ok(Reply::json(202, &json!({ "ids": ids })))
}
