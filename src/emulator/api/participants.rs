//! Listing, inviting, removing, muting and moving participants.

use std::time::Duration;

use super::headers::custom_context;
use super::{
    ApiRequest, body, check_caller_id, check_participants, check_target, is_telephone, meta,
    query_value, required, required_text, within,
};
use crate::emulator::world::{Invitation, Refusal, Reply, World};
use crate::wire::calling::{
    AddParticipantRequest, AddParticipantResponse, CancelAddParticipantRequest,
    CancelAddParticipantResponse, GetParticipantsResponse, MoveParticipantsRequest,
    MoveParticipantsResponse, MuteParticipantsRequest, OperationContextResponse,
    RemoveParticipantRequest,
};
use crate::wire::events::Participant;
use crate::wire::identifiers::CallConnectionId;

/// Tokens hold letters and digits only: the JS SDK would sign anything else differently than it sends.
pub fn list(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let roster = world.participants(request.call()?)?;
    let token = query_value(request.query, "continuationToken");
    let from = match token.as_deref() {
        None | Some("") => 0,
        Some(token) => token
            .strip_prefix('p')
            .and_then(|from| from.parse::<usize>().ok())
            .ok_or_else(|| Refusal::bad("The continuationToken is not one of this API."))?,
    };
    let size = world.config().behaviour.page_size.max(1);
    let value: Vec<_> = roster.iter().skip(from).take(size).cloned().collect();
    let next = from.saturating_add(value.len());
    let version = query_value(request.query, "api-version").unwrap_or_default();
    let next_link = (next < roster.len()).then(|| {
        format!(
            "{}://{}{}?api-version={version}&continuationToken=p{next}",
            world.config().scheme(),
            request.host,
            request.path
        )
    });
    Ok(Reply::json(200, &GetParticipantsResponse { value: Some(value), next_link }))
}

pub fn get(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    Ok(Reply::json(200, &world.participant(request.call()?, request.participant()?)?))
}

pub fn add(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: AddParticipantRequest = body(request)?;
    let target = required(wish.participant_to_add, "ParticipantToAdd")?;
    check_target(&target, "ParticipantToAdd")?;
    check_caller_id(wish.source_caller_id_number.as_ref(), is_telephone(&target))?;
    let seconds =
        within(wish.invitation_timeout_in_seconds, 0..=180, "InvitationTimeoutInSeconds")?;
    let meta = meta(world, wish.operation_context.clone(), wish.operation_callback_uri)?;
    let invitation = Invitation {
        target: target.clone(),
        lasts: seconds.map(Duration::from_secs),
        number: wish.source_caller_id_number,
        name: wish.source_display_name,
        custom: custom_context(wish.custom_calling_context.as_ref())?,
    };
    let invitation_id = world.add_participant(call, invitation, meta)?;
    let participant = Participant { identifier: target, is_muted: false, is_on_hold: false };
    let answer = AddParticipantResponse {
        participant: Some(participant),
        operation_context: wish.operation_context,
        invitation_id: Some(invitation_id),
    };
    Ok(Reply::json(202, &answer))
}

pub fn remove(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: RemoveParticipantRequest = body(request)?;
    let who = required(wish.participant_to_remove, "ParticipantToRemove")?;
    let meta = meta(world, wish.operation_context.clone(), wish.operation_callback_uri)?;
    world.remove_participant(call, &who, &meta)?;
    let operation_context = wish.operation_context;
    Ok(Reply::json(202, &OperationContextResponse { operation_context }))
}

pub fn mute(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: MuteParticipantsRequest = body(request)?;
    let who = check_participants(world, wish.target_participants, "TargetParticipants")?;
    world.mute(call, &who)?;
    let operation_context = wish.operation_context;
    Ok(Reply::json(200, &OperationContextResponse { operation_context }))
}

pub fn cancel_add(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: CancelAddParticipantRequest = body(request)?;
    let invitation = required_text(wish.invitation_id, "InvitationId")?;
    let meta = meta(world, wish.operation_context.clone(), wish.operation_callback_uri)?;
    world.cancel_add(call, &invitation, &meta)?;
    let answer = CancelAddParticipantResponse {
        invitation_id: Some(invitation),
        operation_context: wish.operation_context,
    };
    Ok(Reply::json(202, &answer))
}

pub fn move_here(world: &mut World, request: &ApiRequest<'_>) -> Result<Reply, Refusal> {
    let call = request.call()?;
    world.connected(call)?;
    let wish: MoveParticipantsRequest = body(request)?;
    let who = check_participants(world, wish.target_participants, "TargetParticipants")?;
    let from = required_text(wish.from_call, "FromCall")?;
    let meta = meta(world, wish.operation_context.clone(), wish.operation_callback_uri)?;
    let from_call = CallConnectionId::new(from.as_str());
    let participants = world.move_participants(call, &from_call, &who, &meta)?;
    let answer = MoveParticipantsResponse {
        participants: Some(participants),
        operation_context: wish.operation_context,
        from_call: Some(from),
    };
    Ok(Reply::json(202, &answer))
}
