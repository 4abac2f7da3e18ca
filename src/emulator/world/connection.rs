//! An application's leg of a call: what is known of it.

use super::media::Media;
use super::ringing::Ring;
use super::roster::ConversationId;
use super::streams::{StreamSetup, Streams};
use super::{Meta, Refusal, World};
use crate::wire::calling::CallConnectionProperties;
use crate::wire::identifiers::{
    CallConnectionId, CommunicationUser, Identifier, IdentifierKind, OperationContext, PhoneNumber,
    RawId,
};

/// Where an application's leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Set up but not there yet.
    Connecting,
    /// In the call.
    Connected,
    /// Handing its party over.
    Transferring,
    /// Its party has been handed over, and it is about to end.
    TransferAccepted,
}

impl State {
    /// Azure's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Transferring => "transferring",
            Self::TransferAccepted => "transferAccepted",
        }
    }
}

/// An application's leg of a call.
pub struct Connection {
    pub(super) conversation: ConversationId,
    pub(super) state: State,
    pub(super) callback_uri: String,
    /// Of the request that made this leg.
    pub(super) context: Option<OperationContext>,
    pub(super) speech_resource: bool,
    pub(super) identity: Identifier,
    pub(super) targets: Vec<Identifier>,
    pub(super) source: Identifier,
    pub(super) source_number: Option<PhoneNumber>,
    pub(super) source_name: Option<String>,
    pub(super) answered_by: Option<CommunicationUser>,
    pub(super) answered_for: Option<PhoneNumber>,
    pub(super) rosters_told: u64,
    pub(super) media: Media,
    /// Whether it came by `Connect`.
    pub(super) joins: bool,
    /// Media streaming and transcription.
    pub(super) streams: Streams,
    /// The ring that this leg answers, until it is up.
    pub(super) answering: Option<Ring>,
}

/// What `CreateCall`, `AnswerCall` and `Connect` have in common.
#[derive(Clone, Debug, Default)]
pub struct CallSetup {
    /// Where events go.
    pub callback_uri: String,
    /// Echoed on the leg's own events.
    pub context: Option<OperationContext>,
    /// Whether there is a speech resource.
    pub speech_resource: bool,
    /// Media streaming and transcription.
    pub streams: StreamSetup,
    /// Identity of the application, when it has one.
    pub identity: Option<RawId>,
    /// Caller id for telephones.
    pub source_number: Option<PhoneNumber>,
    /// Name for VoIP users.
    pub source_name: Option<String>,
}

impl Connection {
    pub(super) fn own_meta(&self) -> Meta {
        Meta { context: self.context.clone(), callback: None }
    }

    /// Whether texts can be spoken and speech recognised.
    pub fn has_speech_resource(&self) -> bool {
        self.speech_resource
    }
}

impl World {
    /// What is known of a leg.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such leg.
    pub fn properties(&self, call: &CallConnectionId) -> Result<CallConnectionProperties, Refusal> {
        let connection = self.connection(call)?;
        let conversation =
            self.conversations.get(connection.conversation).ok_or_else(Refusal::call_not_found)?;
        let (media, transcription) = connection.streams.subscriptions();
        Ok(CallConnectionProperties {
            call_connection_id: Some(call.clone()),
            server_call_id: Some(conversation.server.clone()),
            targets: Some(connection.targets.clone()),
            call_connection_state: Some(connection.state.word().to_owned()),
            callback_uri: Some(connection.callback_uri.clone()),
            source_caller_id_number: connection.source_number.clone(),
            source_display_name: connection.source_name.clone(),
            source: Some(connection.source.clone()),
            correlation_id: Some(conversation.correlation.clone()),
            answered_by: connection.answered_by.clone(),
            answered_for: connection.answered_for.clone(),
            media_streaming_subscription: media,
            transcription_subscription: transcription,
        })
    }

    /// A leg.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such leg.
    pub(super) fn connection(&self, call: &CallConnectionId) -> Result<&Connection, Refusal> {
        self.connections.get(call).ok_or_else(Refusal::call_not_found)
    }

    /// A leg that is up.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such leg, or it is still being set up.
    pub fn connected(&self, call: &CallConnectionId) -> Result<&Connection, Refusal> {
        let connection = self.connections.get(call).ok_or_else(|| self.no_connection(call))?;
        if connection.state == State::Connecting {
            return Err(Refusal::wrong_state("The call is not established yet."));
        }
        Ok(connection)
    }

    pub(super) fn app_identity(
        &mut self,
        given: Option<&RawId>,
        called: Option<&Identifier>,
    ) -> Identifier {
        let called = called.filter(|called| called.kind() == IdentifierKind::CommunicationUser);
        match (given, called) {
            (Some(raw), _) => Identifier::from_raw_id(raw.clone()),
            (None, Some(called)) => called.clone(),
            (None, None) => Identifier::from_raw_id(self.ids.identity(&self.config.resource_id)),
        }
    }

    pub(super) fn open_connection(
        &mut self,
        conversation: ConversationId,
        setup: CallSetup,
        identity: Identifier,
    ) -> CallConnectionId {
        let call = self.ids.connection();
        let streams = self.make_streams(setup.streams);
        let connection = Connection {
            conversation,
            state: State::Connecting,
            callback_uri: setup.callback_uri,
            context: setup.context,
            speech_resource: setup.speech_resource,
            targets: Vec::new(),
            source: identity.clone(),
            identity,
            source_number: setup.source_number,
            source_name: setup.source_name,
            answered_by: None,
            answered_for: None,
            rosters_told: 0,
            media: Media::default(),
            joins: false,
            streams,
            answering: None,
        };
        self.connections.insert(call.clone(), connection);
        call
    }
}
