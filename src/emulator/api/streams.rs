//! Media streaming and transcription: options of a call, and the five operations.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ApiRequest, body, meta, required, required_text};
use crate::emulator::audio::is_socket_address;
use crate::emulator::pcm::Rate;
use crate::emulator::world::{
    Feed, MediaStreamingWish, Refusal, Reply, StreamSetup, TranscriptionWish, World,
};
use crate::wire::calling::{
    MediaStreamingOptions, StartMediaStreamingRequest, StartTranscriptionRequest,
    StopMediaStreamingRequest, StopTranscriptionRequest, TranscriptionOptions,
    UpdateTranscriptionRequest,
};

/// Longest language tag that is taken (RFC 5646 asks for no more).
const LONGEST_LOCALE: usize = 35;

/// Checks the options that `CreateCall`, `AnswerCall` and `Connect` may give.
///
/// # Errors
/// [`Refusal`] that names the member to change.
pub fn setup(
    world: &World,
    media: Option<Value>,
    transcription: Option<Value>,
) -> Result<StreamSetup, Refusal> {
    let media = options(media, "MediaStreamingOptions")?;
    let transcription = options(transcription, "TranscriptionOptions")?;
    Ok(StreamSetup {
        media: media.map(|options| media_wish(world, options)).transpose()?,
        transcription: transcription.map(|options| word_wish(world, options)).transpose()?,
    })
}

fn options<T: DeserializeOwned>(value: Option<Value>, member: &str) -> Result<Option<T>, Refusal> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    serde_json::from_value(value)
        .map(Some)
        .map_err(|_| Refusal::bad(format!("The field {member} holds a member of the wrong type.")))
}

fn media_wish(world: &World, given: MediaStreamingOptions) -> Result<MediaStreamingWish, Refusal> {
    transport(given.transport_type, "MediaStreamingOptions.TransportType")?;
    let channels =
        required_text(given.audio_channel_type, "MediaStreamingOptions.AudioChannelType")?;
    let mixed = match channels.as_str() {
        "mixed" => true,
        "unmixed" => false,
        _ => {
            return Err(Refusal::bad(
                "The field MediaStreamingOptions.AudioChannelType must be one of mixed, unmixed.",
            ));
        }
    };
    if given.content_type.is_some_and(|kind| kind != "audio") {
        return Err(Refusal::bad("The field MediaStreamingOptions.ContentType must be audio."));
    }
    let rate = match given.audio_format.as_deref() {
        None | Some("pcm16KMono") => Rate::K16,
        Some("pcm24KMono") => Rate::K24,
        Some(_) => {
            return Err(Refusal::bad(
                "The field MediaStreamingOptions.AudioFormat must be one of pcm16KMono, pcm24KMono.",
            ));
        }
    };
    Ok(MediaStreamingWish {
        url: url(world, given.transport_url, "MediaStreamingOptions.TransportUrl")?,
        start: given.start_media_streaming.unwrap_or_default(),
        mixed,
        rate,
        bidirectional: given.enable_bidirectional.unwrap_or_default(),
        keys: given.enable_dtmf_tones.unwrap_or_default(),
    })
}

fn word_wish(world: &World, given: TranscriptionOptions) -> Result<TranscriptionWish, Refusal> {
    transport(given.transport_type, "TranscriptionOptions.TransportType")?;
    let locale = locale(given.locale, "TranscriptionOptions.Locale")?;
    Ok(TranscriptionWish {
        url: url(world, given.transport_url, "TranscriptionOptions.TransportUrl")?,
        start: given.start_transcription.unwrap_or_default(),
        locale: required(locale, "TranscriptionOptions.Locale")?,
        model: given.speech_model_endpoint_id.filter(|model| !model.is_empty()),
        intermediate: given.enable_intermediate_results.unwrap_or_default(),
    })
}

fn transport(given: Option<String>, member: &str) -> Result<(), Refusal> {
    match required_text(given, member)?.as_str() {
        "websocket" => Ok(()),
        _ => Err(Refusal::bad(format!("The field {member} must be websocket."))),
    }
}

fn url(world: &World, given: Option<String>, member: &str) -> Result<Option<String>, Refusal> {
    let behaviour = &world.config().behaviour;
    let Some(url) = given.filter(|url| !url.is_empty()) else {
        if behaviour.streams.missing_url_refused {
            return Err(Refusal::missing(member));
        }
        return Ok(None);
    };
    let (secure_only, anywhere) =
        (behaviour.https_callbacks_only, behaviour.streams.ws_to_any_host);
    if is_socket_address(&url, secure_only, anywhere) {
        return Ok(Some(url));
    }
    Err(Refusal::bad(format!(
        "The field {member} is invalid; it must be an absolute wss URL, or a ws URL of this machine."
    )))
}

/// A language tag, as far as its form goes.
fn locale(given: Option<String>, member: &str) -> Result<Option<String>, Refusal> {
    let Some(tag) = given.filter(|tag| !tag.is_empty()) else { return Ok(None) };
    let part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|sign| sign.is_ascii_alphanumeric())
    };
    if tag.len() <= LONGEST_LOCALE && tag.split('-').all(part) {
        return Ok(Some(tag));
    }
    Err(Refusal::bad(format!("The field {member} must be a language tag like en-US.")))
}

pub fn start_media(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: StartMediaStreamingRequest = body(request)?;
    let meta = meta(world, wish.operation_context, wish.operation_callback_uri)?;
    world.start_media_streaming(call, meta)?;
    Ok(Reply::empty(202))
}

pub fn stop_media(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: StopMediaStreamingRequest = body(request)?;
    let meta = meta(world, wish.operation_context, wish.operation_callback_uri)?;
    world.stop_stream(call, Feed::Media, &meta)?;
    Ok(Reply::empty(202))
}

pub fn start_transcription(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: StartTranscriptionRequest = body(request)?;
    let locale = locale(wish.locale, "Locale")?;
    let model = wish.speech_model_endpoint_id.filter(|model| !model.is_empty());
    let meta = meta(world, wish.operation_context, wish.operation_callback_uri)?;
    world.start_transcription(call, locale, model, meta)?;
    Ok(Reply::empty(202))
}

pub fn stop_transcription(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: StopTranscriptionRequest = body(request)?;
    let meta = meta(world, wish.operation_context, wish.operation_callback_uri)?;
    world.stop_stream(call, Feed::Transcription, &meta)?;
    Ok(Reply::empty(202))
}

pub fn update_transcription(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: UpdateTranscriptionRequest = body(request)?;
    let locale = locale(wish.locale, "Locale")?;
    let model = wish.speech_model_endpoint_id.filter(|model| !model.is_empty());
    if locale.is_none() && model.is_none() {
        return Err(Refusal::missing("Locale"));
    }
    let meta = meta(world, wish.operation_context, wish.operation_callback_uri)?;
    world.update_transcription(call, locale, model, &meta)?;
    Ok(Reply::empty(202))
}
