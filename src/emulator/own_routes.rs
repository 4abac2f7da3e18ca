//! The emulator's own routes: the far end by hand, a look inside, and time. Event Grid's are next door.
//!
//! They need no signature: whoever reaches the emulator's port may use them.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::fault_routes;
use super::grid_routes;
use super::http::Request;
use super::phone_book::{tone, tones};
use super::shell::Shell;
use super::world::{Deed, IncomingCallWish, Locator, Refusal, Reply};
use crate::wire::events::grid::CustomContext;
use crate::wire::identifiers::{Identifier, RawId};

/// Answers a request to `/emulator/…`.
///
/// # Errors
/// [`Refusal`] in Azure's shape, with what to do.
pub fn answer(shell: &Shell, request: &Request) -> Result<Reply, Refusal> {
    let path = request.path().strip_prefix("/emulator/").unwrap_or_default();
    match (request.method(), path) {
        ("GET", "livez") => Ok(Reply::json(200, &json!({ "status": "alive" }))),
        ("GET", "calls") => Ok(Reply::json(
            200,
            &shell.with(|world, now| {
                world.pass_time(now);
                world.view()
            }),
        )),
        ("GET", "deliveries") => Ok(Reply::json(200, &shell.with(|world, _| world.deliveries()))),
        ("GET", "recordings") => {
            Ok(Reply::json(200, &shell.with(|world, _| world.recordings_seen())))
        }
        (_, "faults") => fault_routes::answer(shell, request),
        ("POST", "incoming-calls") => incoming_call(shell, request),
        ("POST", "joins") => join(shell, request),
        ("POST", "reset") => {
            shell.with(|world, now| world.reset(now));
            Ok(Reply::empty(204))
        }
        (method, path) => match path.split_once('/') {
            Some(("calls", rest)) if method == "POST" => deed(shell, request, rest),
            Some(("eventgrid", rest)) => grid_routes::answer(shell, request, method, rest),
            _ => Err(no_route()),
        },
    }
}

pub(super) fn no_route() -> Refusal {
    Refusal::new(
        404,
        "NotFound",
        "The emulator has no such route; see GET /emulator/calls, POST /emulator/incoming-calls.",
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IncomingCallBody {
    from: String,
    to: String,
    #[serde(default)]
    caller_display_name: Option<String>,
    #[serde(default)]
    custom_context: Option<CustomContext>,
}

fn incoming_call(shell: &Shell, request: &Request) -> Result<Reply, Refusal> {
    let body: IncomingCallBody = read(request, r#"{"from":"+1…","to":"+1…"}"#)?;
    let wish = IncomingCallWish {
        from: who(&body.from, "from")?,
        to: who(&body.to, "to")?,
        display_name: body.caller_display_name.unwrap_or_default(),
        custom: body.custom_context,
    };
    let (ticket, server, correlation) = shell.with(|world, now| {
        world.pass_time(now);
        world.incoming_call(wish)
    })?;
    Ok(Reply::json(
        201,
        &json!({
            "incomingCallContext": ticket, "serverCallId": server, "correlationId": correlation,
        }),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JoinBody {
    who: String,
    server_call_id: Option<String>,
    group_call_id: Option<String>,
    room_id: Option<String>,
}

/// Somebody joins a group call, a room or any other call by themselves.
fn join(shell: &Shell, request: &Request) -> Result<Reply, Refusal> {
    let body: JoinBody = read(request, r#"{"who":"8:acs:…","groupCallId":"…"}"#)?;
    let locator = match (body.server_call_id, body.group_call_id, body.room_id) {
        (Some(id), None, None) => Locator::Server(id),
        (None, Some(id), None) => Locator::Group(id),
        (None, None, Some(id)) => Locator::Room(id),
        _ => return Err(Refusal::bad("Give one of serverCallId, groupCallId and roomId.")),
    };
    let who = who(&body.who, "who")?;
    let (server, correlation) = shell.with(|world, now| {
        world.pass_time(now);
        world.far_join(&locator, who)
    })?;
    Ok(Reply::json(201, &json!({ "serverCallId": server, "correlationId": correlation })))
}

/// `+1425…` or a raw id.
fn who(text: &str, member: &str) -> Result<Identifier, Refusal> {
    let text = text.trim();
    if text.starts_with('+') || text.contains(':') {
        return Ok(Identifier::parse(text));
    }
    Err(Refusal::bad(format!(
        "The field {member} must be a phone number that begins with '+', or a raw id like 8:acs:…"
    )))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Keys {
    Words(Vec<String>),
    Printed(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PressBody {
    tones: Keys,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SayBody {
    text: String,
}

/// `{serverCallId}/participants/{rawId}:{action}`. Ids should be percent-encoded; as no action and no
/// encoded id holds a slash or a colon of its own, unencoded ones are found as well.
fn deed(shell: &Shell, request: &Request, rest: &str) -> Result<Reply, Refusal> {
    let (server, rest) = rest.rsplit_once("/participants/").ok_or_else(no_route)?;
    let (raw, action) = rest.rsplit_once(':').ok_or_else(no_route)?;
    let (server, raw) = (decoded(server)?, decoded(raw)?);
    let raw = if raw.starts_with('+') { RawId::of_number(&raw) } else { RawId::new(raw) };
    let deed = match action {
        "answer" => Deed::Answer,
        "decline" => Deed::Decline,
        "busy" => Deed::Busy,
        "hold" => Deed::Hold,
        "resume" => Deed::Resume,
        "hangup" => Deed::HangUp,
        "mute" => Deed::Mute,
        "unmute" => Deed::Unmute,
        "press" => Deed::Press(pressed(read(request, r##"{"tones":"12#"}"##)?)?),
        "say" => Deed::Say(read::<SayBody>(request, r#"{"text":"…"}"#)?.text),
        _ => {
            return Err(Refusal::bad(
                "The action must be one of answer, decline, busy, press, say, hold, resume, mute, unmute, hangup.",
            ));
        }
    };
    shell.with(|world, now| {
        world.pass_time(now);
        world.far_end(&server, &raw, &deed)
    })?;
    Ok(Reply::empty(204))
}

fn pressed(body: PressBody) -> Result<Vec<&'static str>, Refusal> {
    match body.tones {
        Keys::Printed(keys) => tones(&keys).map_err(|problem| Refusal::bad(format!("{problem}."))),
        Keys::Words(words) => words
            .iter()
            .map(|word| tone(word))
            .collect::<Option<Vec<_>>>()
            .filter(|tones| !tones.is_empty())
            .ok_or_else(|| {
                Refusal::bad(
                    "The field tones may hold zero to nine, a to d, pound and asterisk, or be a text like 12#.",
                )
            }),
    }
}

pub(super) fn decoded(segment: &str) -> Result<String, Refusal> {
    let text = percent_decode_str(segment).decode_utf8();
    text.map(Into::into).map_err(|_| Refusal::bad("The path is not valid UTF-8."))
}

/// Reads a body, and shows what one looks like when it cannot.
pub(super) fn read<T: DeserializeOwned>(request: &Request, example: &str) -> Result<T, Refusal> {
    serde_json::from_slice(&request.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Refusal::bad(format!(
            "The request body cannot be read (line {line}, column {column}); it looks like {example}."
        ))
    })
}
