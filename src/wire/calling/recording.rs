//! Models of recording.
//!
//! Read and written like all models; see `models`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::CallLocator;
use super::models::models;
use crate::wire::identifiers::Identifier;

models! {
    /// Body of `StartRecording`. One of `callLocator` and `callConnectionId` is required.
    StartRecordingRequest {
        /// Which call; no room.
        call_locator: CallLocator,
        /// Which call, by an application's leg of it.
        call_connection_id: String,
        /// Where `RecordingStateChanged` goes.
        recording_state_callback_uri: String,
        /// `audio` or `audioVideo`.
        recording_content_type: String,
        /// `mixed` or `unmixed`.
        recording_channel_type: String,
        /// `wav`, `mp3` or `mp4`.
        recording_format_type: String,
        /// Unmixed only: who gets which channel, in this order.
        audio_channel_participant_ordering: Vec<Identifier>,
        /// Unmixed only: who gets which channel.
        channel_affinity: Vec<ChannelAffinity>,
        /// Begins paused.
        pause_on_start: bool,
        /// Where the files go.
        external_storage: ExternalStorage,
    }
    /// A participant's channel of an unmixed recording.
    ChannelAffinity {
        /// Who.
        participant: Identifier,
        /// From 0 to 4.
        channel: i64,
    }
    /// Where the files of a recording go.
    ExternalStorage {
        /// `azureCommunicationServices` or `azureBlobStorage`.
        recording_storage_kind: String,
        /// The container, for `azureBlobStorage`.
        recording_destination_container_url: String,
    }
    /// Answer of the recording operations.
    RecordingStateResponse {
        /// Opaque.
        recording_id: String,
        /// `active` or `inactive`; one that is paused says inactive.
        recording_state: String,
        /// `azureCommunicationServices`.
        recording_kind: String,
    }
}
