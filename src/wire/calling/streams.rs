//! Models of media streaming and transcription.
//!
//! Read and written like all models; see `models`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::models::models;
use crate::wire::identifiers::OperationContext;

models! {
    /// Azure's `WebSocketMediaStreamingOptions`. `transportType` and `audioChannelType` are required.
    MediaStreamingOptions {
        /// `websocket`.
        transport_type: String,
        /// `mixed` or `unmixed`.
        audio_channel_type: String,
        /// Where the socket goes.
        transport_url: String,
        /// `audio`.
        content_type: String,
        /// Whether it starts by itself when the call is connected.
        start_media_streaming: bool,
        /// Whether the application may send audio into the call.
        enable_bidirectional: bool,
        /// `pcm16KMono` or `pcm24KMono`.
        audio_format: String,
        /// Whether pressed keys are told on the socket.
        enable_dtmf_tones: bool,
    }
    /// Azure's `WebSocketTranscriptionOptions`. `transportType` and `locale` are required.
    TranscriptionOptions {
        /// `websocket`.
        transport_type: String,
        /// Language, like `en-US`.
        locale: String,
        /// Where the socket goes.
        transport_url: String,
        /// A model of the application's own.
        speech_model_endpoint_id: String,
        /// Whether it starts by itself when the call is connected.
        start_transcription: bool,
        /// Whether unfinished results are told too.
        enable_intermediate_results: bool,
    }
    /// Body of `StartMediaStreaming`.
    StartMediaStreamingRequest {
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Body of `StopMediaStreaming`.
    StopMediaStreamingRequest {
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Body of `StartTranscription`.
    StartTranscriptionRequest {
        /// Replaces the language of the options.
        locale: String,
        /// Replaces the model of the options.
        speech_model_endpoint_id: String,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Body of `StopTranscription`.
    StopTranscriptionRequest {
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Body of `UpdateTranscription`.
    UpdateTranscriptionRequest {
        /// The new language.
        locale: String,
        /// The new model.
        speech_model_endpoint_id: String,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Azure's `MediaStreamingSubscription`, a part of `CallConnectionProperties`.
    MediaStreamingSubscription {
        /// Names it; the first frame on the socket does too.
        id: String,
        /// `disabled`, `inactive` or `active`.
        state: String,
        /// `audio`.
        subscribed_content_types: Vec<String>,
    }
    /// Azure's `TranscriptionSubscription`, a part of `CallConnectionProperties`.
    TranscriptionSubscription {
        /// Names it; the first frame on the socket does too.
        id: String,
        /// `disabled`, `inactive` or `active`.
        state: String,
        /// `final`, and `intermediate` when asked for.
        subscribed_result_types: Vec<String>,
        /// Language.
        locale: String,
    }
}
