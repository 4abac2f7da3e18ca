//! Placing, answering, redirecting, rejecting, ending and transferring calls.

use super::{
    ApiRequest, body, check_target, is_telephone, meta, required, required_text, streams,
    web_address,
};
use crate::emulator::world::{CallSetup, Refusal, Reply, World, custom_context};
use crate::wire::calling::{
    AnswerCallRequest, CallIntelligenceOptions, CreateCallRequest, OperationContextResponse,
    RedirectCallRequest, RejectCallRequest, TransferToParticipantRequest,
};

pub fn create(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let wish: CreateCallRequest = body(request)?;
    let targets = required(wish.targets.filter(|targets| !targets.is_empty()), "Targets")?;
    let callback_uri = required_text(wish.callback_uri, "CallbackUri")?;
    web_address(world, &callback_uri, "CallbackUri")?;
    if targets.len() >= world.config().limits.participants {
        return Err(Refusal::bad("The field Targets holds more participants than a call can."));
    }
    for target in &targets {
        check_target(target, "Targets")?;
    }
    if targets.iter().any(is_telephone) && wish.source_caller_id_number.is_none() {
        return Err(Refusal::missing("SourceCallerIdNumber"));
    }
    let setup = CallSetup {
        callback_uri,
        context: wish.operation_context,
        speech_resource: has_speech_resource(wish.call_intelligence_options),
        streams: streams::setup(world, wish.media_streaming_options, wish.transcription_options)?,
        identity: wish.source.map(|source| source.id),
        source_number: wish.source_caller_id_number,
        source_name: wish.source_display_name,
    };
    let mut targets_once = Vec::with_capacity(targets.len());
    for target in targets {
        if !targets_once.contains(&target) {
            targets_once.push(target);
        }
    }
    Ok(Reply::json(201, &world.create_call(setup, targets_once)?))
}

pub fn answer(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let wish: AnswerCallRequest = body(request)?;
    let ticket = required(wish.incoming_call_context, "IncomingCallContext")?;
    let callback_uri = required_text(wish.callback_uri, "CallbackUri")?;
    web_address(world, &callback_uri, "CallbackUri")?;
    let setup = CallSetup {
        callback_uri,
        context: wish.operation_context,
        speech_resource: has_speech_resource(wish.call_intelligence_options),
        streams: streams::setup(world, wish.media_streaming_options, wish.transcription_options)?,
        identity: wish.answered_by.map(|identity| identity.id),
        source_number: None,
        source_name: None,
    };
    Ok(Reply::json(200, &world.answer_call(&ticket, setup)?))
}

fn has_speech_resource(options: Option<CallIntelligenceOptions>) -> bool {
    options
        .and_then(|options| options.cognitive_services_endpoint)
        .is_some_and(|endpoint| !endpoint.is_empty())
}

pub fn redirect(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let wish: RedirectCallRequest = body(request)?;
    let ticket = required(wish.incoming_call_context, "IncomingCallContext")?;
    let target = required(wish.target, "Target")?;
    check_target(&target, "Target")?;
    world.redirect_call(&ticket, target)?;
    Ok(Reply::empty(204))
}

pub fn reject(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let wish: RejectCallRequest = body(request)?;
    let ticket = required(wish.incoming_call_context, "IncomingCallContext")?;
    let reason = wish.call_reject_reason.unwrap_or_else(|| "none".to_owned());
    if !["none", "busy", "forbidden"].contains(&reason.as_str()) {
        return Err(Refusal::bad(
            "The field CallRejectReason must be one of none, busy, forbidden.",
        ));
    }
    world.reject_call(&ticket, &reason)?;
    Ok(Reply::empty(204))
}

pub fn get(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    Ok(Reply::json(200, &world.properties(request.call()?)?))
}

pub fn hang_up(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    world.hang_up(request.call()?)?;
    Ok(Reply::empty(204))
}

pub fn terminate(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    world.terminate(request.call()?)?;
    Ok(Reply::empty(204))
}

pub fn transfer(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: TransferToParticipantRequest = body(request)?;
    let target = required(wish.target_participant, "TargetParticipant")?;
    check_target(&target, "TargetParticipant")?;
    let custom = custom_context(wish.custom_calling_context.as_ref());
    let meta = meta(world, wish.operation_context.clone(), wish.operation_callback_uri)?;
    world.transfer(call, target, wish.transferee, custom, meta)?;
    let operation_context = wish.operation_context;
    Ok(Reply::json(202, &OperationContextResponse { operation_context }))
}
