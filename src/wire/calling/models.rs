//! Request and response models of the operations that are built so far.
//!
//! One shape for both directions: the client writes what the emulator reads. Reading ignores unknown
//! members and takes null for absent; writing leaves out what is absent. Enum-like members are texts,
//! because Azure's enums are open.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{MediaStreamingSubscription, TranscriptionSubscription};
use crate::wire::events::Participant;
use crate::wire::identifiers::{
    CallConnectionId, CommunicationUser, CorrelationId, Identifier, IncomingCallContext,
    OperationContext, PhoneNumber, ServerCallId,
};

/// Declares models whose optional members may be missing or null and are left out when absent. Their
/// `Debug` names the members that are there and says nothing of what they hold: numbers, keys, words
/// and URLs with secrets are all among them.
macro_rules! models {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident : $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase", default)]
            pub struct $name {
                $(
                    $(#[$fdoc])*
                    #[serde(skip_serializing_if = "Option::is_none")]
                    pub $field: Option<$type>,
                )*
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(concat!(stringify!($name), " "))?;
                    let mut members = f.debug_set();
                    $(
                        if self.$field.is_some() {
                            members.entry(&format_args!(stringify!($field)));
                        }
                    )*
                    members.finish()
                }
            }
        )*
    };
}

pub(super) use models;

models! {
    /// Body of `CreateCall`. `targets` and `callbackUri` are required.
    CreateCallRequest {
        /// Who is rung; all ring together.
        targets: Vec<Identifier>,
        /// Caller id shown to telephone targets.
        source_caller_id_number: PhoneNumber,
        /// Name shown to VoIP targets.
        source_display_name: String,
        /// Identity that places the call.
        source: CommunicationUser,
        /// Teams application on whose behalf the call is placed: `{appId, cloud}`.
        teams_app_source: serde_json::Value,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Where the call's events go.
        callback_uri: String,
        /// Speech services for prompts and recognition.
        call_intelligence_options: CallIntelligenceOptions,
        /// Audio streaming options, passed through.
        media_streaming_options: serde_json::Value,
        /// Transcription options, passed through.
        transcription_options: serde_json::Value,
    }
    /// Body of `AnswerCall`. `incomingCallContext` and `callbackUri` are required.
    AnswerCallRequest {
        /// The ticket of the ringing call.
        incoming_call_context: IncomingCallContext,
        /// Where the call's events go.
        callback_uri: String,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Speech services for prompts and recognition.
        call_intelligence_options: CallIntelligenceOptions,
        /// Identity that answers.
        answered_by: CommunicationUser,
        /// Audio streaming options, passed through.
        media_streaming_options: serde_json::Value,
        /// Transcription options, passed through.
        transcription_options: serde_json::Value,
    }
    /// Body of `RedirectCall`. Both members are required.
    RedirectCallRequest {
        /// The ticket of the ringing call.
        incoming_call_context: IncomingCallContext,
        /// Where the call goes.
        target: Identifier,
    }
    /// Body of `RejectCall`. `incomingCallContext` is required.
    RejectCallRequest {
        /// The ticket of the ringing call.
        incoming_call_context: IncomingCallContext,
        /// `none`, `busy` or `forbidden`; absent means `none`.
        call_reject_reason: String,
    }
    /// Azure's `CallIntelligenceOptions`.
    CallIntelligenceOptions {
        /// Endpoint of the speech resource.
        cognitive_services_endpoint: String,
    }
    /// Azure's `CallConnectionProperties`: the answer to create, answer, connect and get.
    CallConnectionProperties {
        /// The application's leg.
        call_connection_id: CallConnectionId,
        /// The call.
        server_call_id: ServerCallId,
        /// Who was rung.
        targets: Vec<Identifier>,
        /// `connecting`, `connected`, `transferring`, `transferAccepted`, `disconnecting`, `disconnected`.
        call_connection_state: String,
        /// Where the call's events go.
        callback_uri: String,
        /// Caller id shown to telephone targets.
        source_caller_id_number: PhoneNumber,
        /// Name shown to VoIP targets.
        source_display_name: String,
        /// Who placed the call.
        source: Identifier,
        /// Azure's log correlation.
        correlation_id: CorrelationId,
        /// Identity that answered.
        answered_by: CommunicationUser,
        /// The number originally dialled.
        answered_for: PhoneNumber,
        /// Audio streaming of this leg, when it was set up.
        media_streaming_subscription: MediaStreamingSubscription,
        /// Transcription of this leg, when it was set up.
        transcription_subscription: TranscriptionSubscription,
    }
    /// Body of `AddParticipant`. `participantToAdd` is required.
    AddParticipantRequest {
        /// Caller id shown to a telephone target.
        source_caller_id_number: PhoneNumber,
        /// Name shown to a VoIP target.
        source_display_name: String,
        /// Who is invited.
        participant_to_add: Identifier,
        /// How long it rings, 0 to 180 seconds.
        invitation_timeout_in_seconds: i64,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
        /// Headers for the invited party, passed through.
        custom_calling_context: serde_json::Value,
    }
    /// Answer to `AddParticipant`.
    AddParticipantResponse {
        /// Who was invited.
        participant: Participant,
        /// As in the request.
        operation_context: OperationContext,
        /// What `CancelAddParticipant` needs.
        invitation_id: String,
    }
    /// Body of `RemoveParticipant`. `participantToRemove` is required.
    RemoveParticipantRequest {
        /// Who is removed.
        participant_to_remove: Identifier,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Answer of the operations that only echo their context.
    OperationContextResponse {
        /// As in the request.
        operation_context: OperationContext,
    }
    /// Body of `TransferToParticipant`. `targetParticipant` is required.
    TransferToParticipantRequest {
        /// Who the call goes to.
        target_participant: Identifier,
        /// Who is transferred; needed in group calls.
        transferee: Identifier,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
        /// Headers for the target, passed through.
        custom_calling_context: serde_json::Value,
        /// Caller id shown to a telephone target.
        source_caller_id_number: PhoneNumber,
    }
    /// Answer to `GetParticipants`.
    GetParticipantsResponse {
        /// One page of the roster.
        value: Vec<Participant>,
        /// Where the next page is; absent on the last.
        next_link: String,
    }
    /// Body of `Play`. `playSources` is required.
    PlayRequest {
        /// What is played, in order.
        play_sources: Vec<PlaySource>,
        /// To whom; absent or empty means everybody.
        play_to: Vec<Identifier>,
        /// Whether running and queued prompts are cut off.
        interrupt_call_media_operation: bool,
        /// Looping.
        play_options: PlayOptions,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Azure's `PlayOptions`.
    PlayOptions {
        /// Whether the prompt starts again until it is cancelled.
        r#loop: bool,
    }
    /// Azure's `PlaySource`: one of file, text or SSML, told by `kind`.
    PlaySource {
        /// `file`, `text` or `ssml`.
        kind: String,
        /// Audio under the same id is cached by Azure for an hour.
        play_source_cache_id: String,
        /// For `file`.
        file: FileSource,
        /// For `text`.
        text: TextSource,
        /// For `ssml`.
        ssml: SsmlSource,
    }
    /// Azure's `FileSource`.
    FileSource {
        /// WAV or MP3 to fetch.
        uri: String,
    }
    /// Azure's `TextSource`.
    TextSource {
        /// What is said.
        text: String,
        /// BCP-47 language.
        source_locale: String,
        /// `male` or `female`.
        voice_kind: String,
        /// Name of a voice.
        voice_name: String,
        /// Custom voice.
        custom_voice_endpoint_id: String,
    }
    /// Azure's `SsmlSource`.
    SsmlSource {
        /// The SSML document.
        ssml_text: String,
        /// Custom voice.
        custom_voice_endpoint_id: String,
    }
    /// Body of `Recognize`. `recognizeInputType` and `recognizeOptions` are required.
    RecognizeRequest {
        /// `dtmf`, `speech`, `speechOrDtmf` or `choices`.
        recognize_input_type: String,
        /// What is played first.
        play_prompt: PlaySource,
        /// What is played first, several sources.
        play_prompts: Vec<PlaySource>,
        /// Whether running and queued prompts are cut off.
        interrupt_call_media_operation: bool,
        /// How to listen.
        recognize_options: RecognizeOptions,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Azure's `RecognizeOptions`. `targetParticipant` is required.
    RecognizeOptions {
        /// Whether input stops the prompt.
        interrupt_prompt: bool,
        /// How long to wait for the first input after the prompt, 0 to 300 seconds.
        initial_silence_timeout_in_seconds: i64,
        /// Whom to listen to.
        target_participant: Identifier,
        /// BCP-47 language.
        speech_language: String,
        /// Custom speech model.
        speech_recognition_model_endpoint_id: String,
        /// For keys.
        dtmf_options: DtmfOptions,
        /// For choices.
        choices: Vec<Choice>,
        /// For speech.
        speech_options: SpeechOptions,
    }
    /// Azure's `DtmfOptions`.
    DtmfOptions {
        /// Longest pause between keys, 1 to 60 seconds.
        inter_tone_timeout_in_seconds: i64,
        /// How many keys end the recognition.
        max_tones_to_collect: i64,
        /// Keys that end the recognition.
        stop_tones: Vec<String>,
    }
    /// Azure's `Choice`. `label` and `phrases` are required.
    Choice {
        /// Name of the choice.
        label: String,
        /// What the caller may say for it.
        phrases: Vec<String>,
        /// The key that stands for it.
        tone: String,
    }
    /// Azure's `SpeechOptions`.
    SpeechOptions {
        /// Silence that ends the utterance, in milliseconds.
        end_silence_timeout_in_ms: i64,
    }
    /// Body of `SendDtmfTones`. `tones` and `targetParticipant` are required.
    SendDtmfTonesRequest {
        /// Lower-case words, at most 18.
        tones: Vec<String>,
        /// The telephone participant that hears them.
        target_participant: Identifier,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Body of `StartContinuousDtmfRecognition` and `StopContinuousDtmfRecognition`. `targetParticipant`
    /// is required.
    ContinuousDtmfRecognitionRequest {
        /// Whose keys are told.
        target_participant: Identifier,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Body of `Hold`, and without `playSourceInfo` of `Unhold`. `targetParticipant` is required.
    HoldRequest {
        /// Who is held.
        target_participant: Identifier,
        /// What the held one hears, again and again; silence when absent.
        play_source_info: PlaySource,
        /// Echoed on the events of this request.
        operation_context: OperationContext,
        /// Replaces the call's callback URI for this request's events.
        operation_callback_uri: String,
    }
    /// Azure's `CommunicationErrorResponse`.
    ErrorResponse {
        /// The error.
        error: CommunicationError,
    }
    /// Azure's `CommunicationError`. `code` is a text, even when it looks like a number.
    CommunicationError {
        /// `8522` and the like.
        code: String,
        /// For people.
        message: String,
        /// The member at fault.
        target: String,
        /// More of them.
        details: Vec<CommunicationError>,
        /// What is behind it.
        innererror: Box<CommunicationError>,
    }
}

impl PlaySource {
    /// An audio file that Azure fetches from `uri`.
    pub fn file(uri: impl Into<String>) -> Self {
        let file = FileSource { uri: Some(uri.into()) };
        Self { kind: Some("file".into()), file: Some(file), ..Self::default() }
    }

    /// A sentence that is read out; needs a speech resource.
    pub fn text(text: impl Into<String>) -> Self {
        let text = TextSource { text: Some(text.into()), ..TextSource::default() };
        Self { kind: Some("text".into()), text: Some(text), ..Self::default() }
    }
}

/// The keys of a telephone, as Azure spells them.
pub const TONES: &[&str] = &[
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "a", "b", "c",
    "d", "pound", "asterisk",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_shows_which_members_it_has_and_nothing_of_them() {
        let play = PlayRequest {
            play_sources: Some(vec![PlaySource::text("private words")]),
            operation_callback_uri: Some("https://example.com/?key=secret".into()),
            ..PlayRequest::default()
        };
        assert_eq!(format!("{play:?}"), "PlayRequest {play_sources, operation_callback_uri}");
        assert_eq!(format!("{:?}", PlaySource::text("private words")), "PlaySource {kind, text}");
        assert_eq!(format!("{:?}", ErrorResponse::default()), "ErrorResponse {}");
    }
}
