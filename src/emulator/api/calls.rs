//! Placing, answering, redirecting, rejecting, ending and transferring calls.

use super::headers::custom_context;
use super::{
    ApiRequest, body, check_caller_id, check_participants, check_target, is_telephone, meta,
    required, required_text, streams, web_address,
};
use crate::emulator::world::{CallSetup, Handover, Refusal, Reply, World};
use crate::wire::calling::{
    AnswerCallRequest, CallIntelligenceOptions, CreateCallRequest, OperationContextResponse,
    RedirectCallRequest, RejectCallRequest, TransferToParticipantRequest,
};
use crate::wire::identifiers::{Identifier, IdentifierKind, RawId};

pub fn create(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let wish: CreateCallRequest = body(request)?;
    let targets = check_participants(world, wish.targets, "Targets")?;
    let callback_uri = required_text(wish.callback_uri, "CallbackUri")?;
    web_address(world, &callback_uri, "CallbackUri")?;
    for target in &targets {
        check_target(target, "Targets")?;
    }
    let any_telephone = targets.iter().any(is_telephone);
    check_caller_id(wish.source_caller_id_number.as_ref(), any_telephone)?;
    let source = wish.source.map(|source| source.id);
    let teams_source = wish.teams_app_source.map(teams_app).transpose()?;
    let setup = CallSetup {
        callback_uri,
        context: wish.operation_context,
        speech_resource: has_speech_resource(wish.call_intelligence_options),
        streams: streams::setup(world, wish.media_streaming_options, wish.transcription_options)?,
        identity: source.or(teams_source),
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

/// The raw id of a Teams application: `{appId, cloud}`.
fn teams_app(given: serde_json::Value) -> Result<RawId, Refusal> {
    let model = serde_json::json!({ "microsoftTeamsApp": given });
    let read = serde_json::from_value::<Identifier>(model);
    let app = read.map_err(|_| Refusal::missing("TeamsAppSource.AppId"))?;
    Ok(app.raw_id().clone())
}

pub fn has_speech_resource(options: Option<CallIntelligenceOptions>) -> bool {
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
    let reason = reason.to_ascii_lowercase();
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
    if target.kind() == IdentifierKind::Unknown {
        return Err(Refusal::bad(
            "The field TargetParticipant is of a kind that cannot be called.",
        ));
    }
    check_caller_id(wish.source_caller_id_number.as_ref(), false)?;
    let custom = custom_context(wish.custom_calling_context.as_ref())?;
    let meta = meta(world, wish.operation_context.clone(), wish.operation_callback_uri)?;
    let (transferee, number) = (wish.transferee, wish.source_caller_id_number);
    world.transfer(call, Handover { target, transferee, number, custom }, meta)?;
    let operation_context = wish.operation_context;
    Ok(Reply::json(202, &OperationContextResponse { operation_context }))
}
