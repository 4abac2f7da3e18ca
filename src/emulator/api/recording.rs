//! Starting, pausing, resuming, stopping and looking at recordings.

use super::connect::locator;
use super::{ApiRequest, body, required, required_text, web_address};
use crate::emulator::recording_config::Shape;
use crate::emulator::world::{Locator, Recorded, RecordingWish, Refusal, Reply, World};
use crate::wire::calling::{ExternalStorage, Place, RecordingStateResponse, StartRecordingRequest};
use crate::wire::identifiers::{CallConnectionId, RawId};

pub fn start(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let wish: StartRecordingRequest = body(request)?;
    let call = match (wish.call_locator, wish.call_connection_id.filter(|id| !id.is_empty())) {
        (Some(given), None) => match locator(given)? {
            Locator::Room(_) => {
                return Err(Refusal::bad("The field CallLocator may not name a room."));
            }
            found => Recorded::Located(found),
        },
        (None, Some(call)) => Recorded::Leg(CallConnectionId::new(call)),
        _ => {
            return Err(Refusal::bad(
                "One of the fields CallLocator and CallConnectionId is required, not both.",
            ));
        }
    };
    let callback = wish.recording_state_callback_uri.filter(|url| !url.is_empty());
    if let Some(url) = &callback {
        web_address(world, url, "RecordingStateCallbackUri")?;
    }
    let (content, channel, format) = world.config().behaviour.recording.default_shape.asked();
    let or = |given: Option<String>, default: &str| given.unwrap_or_else(|| default.to_owned());
    let named = wish.recording_content_type.is_some() || wish.recording_format_type.is_some();
    let content = match wish.recording_content_type {
        // A sound format says what is recorded.
        None if named && wish.recording_format_type.as_deref() != Some("mp4") => "audio".to_owned(),
        given => or(given, content),
    };
    let format = match wish.recording_format_type {
        None if content.eq_ignore_ascii_case("audio") => "wav".to_owned(),
        given => or(given, format),
    };
    let channel = or(wish.recording_channel_type, channel);
    let shape = Shape::of(&content, &channel, &format).ok_or_else(|| {
        Refusal::bad(
            "The fields RecordingContentType, RecordingChannelType and RecordingFormatType must be audioVideo, mixed, mp4; audio, mixed, mp3; audio, mixed, wav; or audio, unmixed, wav.",
        )
    })?;
    let channels = channels(
        wish.audio_channel_participant_ordering.unwrap_or_default().iter().map(|who| who.raw_id()),
        wish.channel_affinity.unwrap_or_default().into_iter().map(|one| {
            let who = required(one.participant, "ChannelAffinity.Participant")?;
            Ok((who.raw_id().clone(), required(one.channel, "ChannelAffinity.Channel")?))
        }),
    )?;
    if !channels.is_empty() && !shape.is_unmixed() {
        return Err(Refusal::bad("Channels are given to participants in unmixed recordings only."));
    }
    let container = storage(world, wish.external_storage)?;
    let paused = wish.pause_on_start.unwrap_or_default();
    let accepted = world.config().behaviour.recording.accepted_first;
    let wish = RecordingWish { call, callback, shape, channels, paused, container };
    let id = world.start_recording(wish)?;
    let mut answer = world.recording_state(&id)?;
    if accepted {
        answer.recording_state = Some("inactive".to_owned());
    }
    Ok(Reply::json(if accepted { 202 } else { 200 }, &answer))
}

/// Who speaks on which channel, where that was said.
fn channels<'a>(
    ordering: impl Iterator<Item = &'a RawId>,
    affinity: impl Iterator<Item = Result<(RawId, i64), Refusal>>,
) -> Result<Vec<(RawId, u8)>, Refusal> {
    let range =
        || Refusal::bad("Channels are numbered from 0 to 4, and each is for one participant.");
    let mut found: Vec<(RawId, u8)> = Vec::new();
    let ordered = ordering.zip(0..).map(|(who, channel)| Ok((who.clone(), channel)));
    for one in ordered.chain(affinity) {
        let (who, channel) = one?;
        let channel =
            u8::try_from(channel).ok().filter(|channel| *channel <= 4).ok_or_else(range)?;
        if found.iter().any(|(other, taken)| *other == who || *taken == channel) {
            return Err(range());
        }
        found.push((who, channel));
    }
    Ok(found)
}

fn storage(world: &World, given: Option<ExternalStorage>) -> Result<Option<String>, Refusal> {
    let Some(given) = given else { return Ok(None) };
    match required_text(given.recording_storage_kind, "ExternalStorage.RecordingStorageKind")?
        .as_str()
    {
        "azureCommunicationServices" => Ok(None),
        "azureBlobStorage" => {
            let member = "ExternalStorage.RecordingDestinationContainerUrl";
            let url = required_text(given.recording_destination_container_url, member)?;
            web_address(world, &url, member)?;
            Ok(Some(url))
        }
        _ => Err(Refusal::bad(
            "The field ExternalStorage.RecordingStorageKind must be azureCommunicationServices or azureBlobStorage.",
        )),
    }
}

fn id<'a>(request: &'a ApiRequest<'_>) -> Result<&'a str, Refusal> {
    match &request.place {
        Place::Recording(id) => Ok(id),
        _ => Err(Refusal::recording_not_found()),
    }
}

pub fn get(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let state: RecordingStateResponse = world.recording_state(id(request)?)?;
    Ok(Reply::json(200, &state))
}

pub fn pause(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    world.pause_recording(id(request)?)?;
    Ok(Reply::empty(202))
}

pub fn resume(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    world.resume_recording(id(request)?)?;
    Ok(Reply::empty(202))
}

pub fn stop(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    world.stop_recording(id(request)?)?;
    Ok(Reply::empty(204))
}
