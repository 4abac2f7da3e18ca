//! Playing, recognising, holding, sending and telling keys, and cancelling.

use std::time::Duration;

use super::{ApiRequest, body, is_telephone, meta, required, within};
use crate::emulator::audio::is_web_address;
use crate::emulator::phone_book::tone;
use crate::emulator::world::{
    Listening, MediaWish, MediaWork, Menu, Meta, Refusal, Reply, Source, World,
};
use crate::wire::calling::{
    Choice, ContinuousDtmfRecognitionRequest, HoldRequest, OperationContextResponse, PlayRequest,
    PlaySource, RecognizeOptions, RecognizeRequest, SendDtmfTonesRequest,
};
use crate::wire::identifiers::RawId;

/// Most keys of one `sendDtmfTones`.
const MOST_TONES: usize = 18;

pub fn play(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    let speech = world.connected(call)?.has_speech_resource();
    let wish: PlayRequest = body(request)?;
    let sources = required(wish.play_sources.filter(|sources| !sources.is_empty()), "PlaySources")?;
    let sources = sources.into_iter().map(|one| source(one, speech)).collect::<Result<_, _>>()?;
    let mut targets: Vec<_> =
        wish.play_to.unwrap_or_default().iter().map(|who| who.raw_id().clone()).collect();
    targets.sort();
    targets.dedup();
    let looped = wish.play_options.and_then(|options| options.r#loop).unwrap_or_default();
    let media = MediaWish {
        targets,
        work: MediaWork::Play { sources, looped },
        interrupt: wish.interrupt_call_media_operation.unwrap_or_default(),
        meta: meta(world, wish.operation_context, wish.operation_callback_uri)?,
    };
    world.start_media(call, media)?;
    Ok(Reply::empty(202))
}

/// One thing to play. Spoken ones need a speech resource.
fn source(wish: PlaySource, speech: bool) -> Result<Source, Refusal> {
    let spoken = |text: Option<String>, member: &str| {
        let text = required(text, member)?;
        if !speech {
            return Err(needs_speech_resource());
        }
        Ok(Source::Spoken { characters: text.trim().chars().count() })
    };
    match required(wish.kind, "PlaySources.Kind")?.as_str() {
        "file" => {
            let url = wish.file.and_then(|file| file.uri);
            let url = required(url, "PlaySources.File.Uri")?;
            if !is_web_address(&url, false) {
                return Err(Refusal::bad(
                    "The field PlaySources.File.Uri must be an absolute URL.",
                ));
            }
            Ok(Source::File { url, cache_id: wish.play_source_cache_id })
        }
        "text" => spoken(wish.text.and_then(|text| text.text), "PlaySources.Text.Text"),
        "ssml" => spoken(wish.ssml.and_then(|ssml| ssml.ssml_text), "PlaySources.Ssml.SsmlText"),
        _ => Err(Refusal::bad("The field PlaySources.Kind must be one of file, text, ssml.")),
    }
}

fn needs_speech_resource() -> Refusal {
    Refusal::bad(
        "Speech needs a cognitive services endpoint; give callIntelligenceOptions when the call is created or answered.",
    )
}

pub fn recognize(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    let speech = world.connected(call)?.has_speech_resource();
    let wish: RecognizeRequest = body(request)?;
    let kind = required(wish.recognize_input_type, "RecognizeInputType")?;
    let options = required(wish.recognize_options, "RecognizeOptions")?;
    let target = options.target_participant.clone();
    let target = required(target, "RecognizeOptions.TargetParticipant")?;
    let menu = menu(world, &kind, options, speech)?;
    let prompts = wish.play_prompts.filter(|prompts| !prompts.is_empty());
    let prompts = prompts.unwrap_or_else(|| wish.play_prompt.into_iter().collect());
    let prompts = prompts.into_iter().map(|one| source(one, speech)).collect::<Result<_, _>>()?;
    let media = MediaWish {
        targets: vec![target.raw_id().clone()],
        work: MediaWork::Recognize(Box::new(Listening::new(prompts, menu))),
        interrupt: wish.interrupt_call_media_operation.unwrap_or_default(),
        meta: meta(world, wish.operation_context, wish.operation_callback_uri)?,
    };
    world.start_media(call, media)?;
    Ok(Reply::empty(202))
}

fn menu(
    world: &World,
    kind: &str,
    options: RecognizeOptions,
    speech: bool,
) -> Result<Menu, Refusal> {
    let behaviour = &world.config().behaviour;
    let (keys, words) = match kind {
        "dtmf" => (true, false),
        "speech" => (false, true),
        "speechOrDtmf" => (true, true),
        "choices" => (false, false),
        _ => {
            return Err(Refusal::bad(
                "The field RecognizeInputType must be one of dtmf, speech, speechOrDtmf, choices.",
            ));
        }
    };
    let is_choices = kind == "choices";
    if !speech && (words || (is_choices && behaviour.choices_need_speech_resource)) {
        return Err(needs_speech_resource());
    }
    let longest = if keys { 300 } else { 20 };
    let silence = options.initial_silence_timeout_in_seconds;
    let silence = within(silence, 0..=longest, "InitialSilenceTimeoutInSeconds")?;
    let dtmf = options.dtmf_options.unwrap_or_default();
    let pause = within(dtmf.inter_tone_timeout_in_seconds, 1..=60, "InterToneTimeoutInSeconds")?;
    let most = within(dtmf.max_tones_to_collect, 1..=i64::from(i32::MAX), "MaxTonesToCollect")?;
    let end = options.speech_options.and_then(|options| options.end_silence_timeout_in_ms);
    let end = within(end, 0..=i64::from(i32::MAX), "EndSilenceTimeoutInMs")?;
    let choices = if is_choices { Some(choices(options.choices)?) } else { None };
    Ok(Menu {
        keys,
        words,
        choices,
        interrupt_prompt: options.interrupt_prompt.unwrap_or_default(),
        initial_silence: silence.map_or(behaviour.initial_silence_default, Duration::from_secs),
        inter_tone: pause.map_or(behaviour.inter_tone_default, Duration::from_secs),
        end_silence: end.map_or(behaviour.end_silence_default, Duration::from_millis),
        max_tones: most.and_then(|most| usize::try_from(most).ok()),
        stop_tones: tones(dtmf.stop_tones.unwrap_or_default(), "StopTones")?,
    })
}

fn choices(given: Option<Vec<Choice>>) -> Result<Vec<Choice>, Refusal> {
    let given = required(given.filter(|choices| !choices.is_empty()), "Choices")?;
    for choice in &given {
        if choice.label.as_deref().is_none_or(str::is_empty) {
            return Err(Refusal::missing("Choices.Label"));
        }
        if choice.phrases.as_deref().is_none_or(<[String]>::is_empty) {
            return Err(Refusal::missing("Choices.Phrases"));
        }
        if choice.tone.as_deref().is_some_and(|word| tone(word).is_none()) {
            return Err(not_a_tone("Choices.Tone"));
        }
    }
    Ok(given)
}

fn tones(words: Vec<String>, member: &str) -> Result<Vec<&'static str>, Refusal> {
    words.iter().map(|word| tone(word).ok_or_else(|| not_a_tone(member))).collect()
}

fn not_a_tone(member: &str) -> Refusal {
    Refusal::bad(format!("The field {member} may hold zero to nine, a to d, pound and asterisk."))
}

pub fn send_tones(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: SendDtmfTonesRequest = body(request)?;
    let words = required(wish.tones.filter(|tones| !tones.is_empty()), "Tones")?;
    let target = required(wish.target_participant, "TargetParticipant")?;
    let count = tones(words, "Tones")?.len();
    if count > MOST_TONES {
        return Err(Refusal::bad(format!("The field Tones may hold at most {MOST_TONES} tones.")));
    }
    if !is_telephone(&target) {
        return Err(Refusal::bad("The field TargetParticipant must be a phone number."));
    }
    let media = MediaWish {
        targets: vec![target.raw_id().clone()],
        work: MediaWork::SendTones(count),
        interrupt: false,
        meta: meta(world, wish.operation_context.clone(), wish.operation_callback_uri)?,
    };
    world.start_media(call, media)?;
    let operation_context = wish.operation_context;
    Ok(Reply::json(202, &OperationContextResponse { operation_context }))
}

pub fn cancel_all(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    world.cancel_all_media(request.call()?)?;
    Ok(Reply::empty(202))
}

pub fn watch_keys(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let (who, meta) = watched(world, request)?;
    world.watch_keys(request.call()?, &who, meta)?;
    Ok(Reply::empty(200))
}

pub fn stop_watching_keys(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let (who, meta) = watched(world, request)?;
    world.stop_watching_keys(request.call()?, &who, meta)?;
    Ok(Reply::empty(200))
}

fn watched(world: &World, request: &ApiRequest<'_>) -> Result<(RawId, Meta), Refusal> {
    world.connected(request.call()?)?;
    let wish: ContinuousDtmfRecognitionRequest = body(request)?;
    let who = required(wish.target_participant, "TargetParticipant")?;
    let meta = meta(world, wish.operation_context, wish.operation_callback_uri)?;
    Ok((who.raw_id().clone(), meta))
}

pub fn hold(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    let speech = world.connected(call)?.has_speech_resource();
    let wish: HoldRequest = body(request)?;
    let who = required(wish.target_participant, "TargetParticipant")?;
    let music = wish.play_source_info.map(|info| source(info, speech)).transpose()?;
    let meta = meta(world, wish.operation_context, wish.operation_callback_uri)?;
    world.hold(call, who.raw_id(), music, meta)?;
    Ok(Reply::empty(200))
}

pub fn unhold(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: HoldRequest = body(request)?;
    let who = required(wish.target_participant, "TargetParticipant")?;
    meta(world, wish.operation_context, wish.operation_callback_uri)?;
    world.unhold(call, who.raw_id())?;
    Ok(Reply::empty(200))
}
