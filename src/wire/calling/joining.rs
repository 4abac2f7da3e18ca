//! Models of connecting to a call that is there already, and of muting, cancelling and moving.
//!
//! Read and written like all models; see `models`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::CallIntelligenceOptions;
use super::models::models;
use crate::wire::events::Participant;
use crate::wire::identifiers::{Identifier, OperationContext};

models! {
    /// Body of `Connect`. `callLocator` and `callbackUri` are required.
    ConnectRequest {
        /// Which call.
        call_locator: CallLocator,
        /// Where the call's events go.
        callback_uri: String,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Speech services for prompts and recognition.
        call_intelligence_options: CallIntelligenceOptions,
        /// Audio streaming options, passed through.
        media_streaming_options: serde_json::Value,
        /// Transcription options, passed through.
        transcription_options: serde_json::Value,
    }
    /// Azure's `CallLocator`: names a call by one of three ids, told by `kind`.
    CallLocator {
        /// `serverCallLocator`, `groupCallLocator` or `roomCallLocator`.
        kind: String,
        /// A call, as its events name it.
        server_call_id: String,
        /// A group call: a GUID that its participants have agreed on.
        group_call_id: String,
        /// A room.
        room_id: String,
    }
    /// Body of `Mute`. `targetParticipants` is required.
    MuteParticipantsRequest {
        /// Communication users only.
        target_participants: Vec<Identifier>,
        /// Echoed in the answer.
        operation_context: OperationContext,
    }
    /// Body of `CancelAddParticipant`. `invitationId` is required.
    CancelAddParticipantRequest {
        /// As the answer to `AddParticipant` gave it.
        invitation_id: String,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Answer to `CancelAddParticipant`.
    CancelAddParticipantResponse {
        /// As in the request.
        invitation_id: String,
        /// As in the request.
        operation_context: OperationContext,
    }
    /// Body of `MoveParticipants`. `targetParticipants` and `fromCall` are required.
    MoveParticipantsRequest {
        /// Who moves to the call that is asked.
        target_participants: Vec<Identifier>,
        /// Connection id of the call that they leave.
        from_call: String,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Answer to `MoveParticipants`.
    MoveParticipantsResponse {
        /// Who is to move.
        participants: Vec<Participant>,
        /// As in the request.
        operation_context: OperationContext,
        /// As in the request.
        from_call: String,
    }
}
