//! Connecting to a call that is there already.

use super::calls::has_speech_resource;
use super::{ApiRequest, body, required, required_text, streams, web_address};
use crate::emulator::world::{CallSetup, Locator, Refusal, Reply, World};
use crate::wire::calling::{CallLocator, ConnectRequest};

pub fn connect(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let wish: ConnectRequest = body(request)?;
    let locator = locator(required(wish.call_locator, "CallLocator")?)?;
    let callback_uri = required_text(wish.callback_uri, "CallbackUri")?;
    web_address(world, &callback_uri, "CallbackUri")?;
    let setup = CallSetup {
        callback_uri,
        context: wish.operation_context,
        speech_resource: has_speech_resource(wish.call_intelligence_options),
        streams: streams::setup(world, wish.media_streaming_options, wish.transcription_options)?,
        ..CallSetup::default()
    };
    Ok(Reply::json(200, &world.connect(&locator, setup)?))
}

/// Reads a locator: by its kind, or by the one id that is there.
///
/// # Errors
/// [`Refusal`] when it names no call, or more than one.
pub(super) fn locator(given: CallLocator) -> Result<Locator, Refusal> {
    let text = |id: Option<String>| id.filter(|id| !id.is_empty());
    let (server, group, room) =
        (text(given.server_call_id), text(given.group_call_id), text(given.room_id));
    let kind = given.kind.unwrap_or_default().to_ascii_lowercase();
    match kind.as_str() {
        "servercalllocator" => required(server, "ServerCallId").map(Locator::Server),
        "groupcalllocator" => required(group, "GroupCallId").map(Locator::Group),
        "roomcalllocator" => required(room, "RoomId").map(Locator::Room),
        "" => match (server, group, room) {
            (Some(id), None, None) => Ok(Locator::Server(id)),
            (None, Some(id), None) => Ok(Locator::Group(id)),
            (None, None, Some(id)) => Ok(Locator::Room(id)),
            _ => Err(Refusal::bad(
                "The field CallLocator must hold one of serverCallId, groupCallId and roomId.",
            )),
        },
        _ => Err(Refusal::bad(
            "The field CallLocator.Kind must be one of serverCallLocator, groupCallLocator, roomCallLocator.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Option<Locator>) {
        let given: CallLocator = serde_json::from_str(json).expect("a locator");
        assert!(locator(given).ok() == expected, "{json}");
    }

    #[test]
    fn locators_are_read_by_kind_or_by_what_they_hold() {
        let group = || Some(Locator::Group("g".into()));
        check(r#"{"kind":"groupCallLocator","groupCallId":"g"}"#, group());
        check(r#"{"kind":"GroupCallLocator","groupCallId":"g","serverCallId":"s"}"#, group());
        check(r#"{"groupCallId":"g","kind":null,"roomId":null,"extra":1}"#, group());
        check(r#"{"serverCallId":"s"}"#, Some(Locator::Server("s".into())));
        check(r#"{"kind":"roomCallLocator","roomId":"r"}"#, Some(Locator::Room("r".into())));
        check(r#"{"kind":"roomCallLocator","groupCallId":"g"}"#, None);
        check(r#"{"kind":"teamsLocator","groupCallId":"g"}"#, None);
        check(r#"{"serverCallId":"s","groupCallId":"g"}"#, None);
        check(r#"{"groupCallId":""}"#, None);
    }
}
