//! What the emulator can be told: where it listens, who is on the other end, and every behaviour that
//! Azure does not document.
//!
//! Owns plain data with defaults. Durations are virtual unless their text says otherwise.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use super::grid_config::{DeliveryHeader, DeliveryOrigin, GridBehaviour, Schema, Subscription};

use super::call_config::CallBehaviour;
use super::fault_config::Faults;
use super::phone_book::{Phone, PhoneBook};
use super::recording_config::RecordingBehaviour;
use super::stream_config::StreamBehaviour;
use super::tls::Tls;
use crate::clock::ManualClock;
use crate::ports::Clock;

/// The access key that is used when none is given. It protects nothing: it is printed here.
pub const DEFAULT_ACCESS_KEY: &str = "c3dpdGNoaG9vay1lbXVsYXRvci1kZWZhdWx0LWtleSE=";

/// How an emulator is set up. `..EmulatorConfig::default()` is a working one.
#[derive(Clone)]
pub struct EmulatorConfig {
    /// Where it listens; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Base64 key with which callers sign.
    pub access_key: String,
    /// Bearer tokens that begin with this are taken for Entra tokens; `None` refuses all of them.
    pub bearer_prefix: Option<String>,
    /// The same seed gives the same ids and so the same trace; `None` makes one up.
    pub seed: Option<u64>,
    /// Who is at the far end.
    pub phones: PhoneBook,
    /// The phone of everybody who is not in `phones`.
    pub default_phone: Phone,
    /// Event Grid subscriptions that exist from the start.
    pub subscriptions: Vec<Subscription>,
    /// Identities whose raw id begins with this belong to the resource: they raise `IncomingCall`.
    pub identity_prefix: String,
    /// GUID of the resource, a part of the identities that it hands out.
    pub resource_id: String,
    /// Numbers (E.164) of the resource. A number that was called from the far end is one, too.
    pub numbers: Vec<String>,
    /// Whether every number counts as one of the resource.
    pub any_number: bool,
    /// Event Grid topic: the resource's ARM path.
    pub topic: String,
    /// `iss` of the callback tokens.
    pub issuer: String,
    /// `aud` of the callback tokens: the immutable id of the resource.
    pub audience: String,
    /// When given, `POST /emulator/clock:advance` moves it. It should be the clock given to `start`.
    pub manual_clock: Option<Arc<ManualClock>>,
    /// The clock by which callers date their requests and check tokens, when that is another than the
    /// emulator's own: real time beside a fast or a held clock.
    pub callers_clock: Option<Arc<dyn Clock>>,
    /// When given, it serves https and no http.
    pub tls: Option<Tls>,
    /// PEM file of authorities that are trusted, beside the machine's own, by whatever leaves the
    /// emulator.
    pub trust_ca_file: Option<PathBuf>,
    /// What goes wrong from the start; `PUT /emulator/faults` replaces it.
    pub faults: Faults,
    /// What Azure does not document.
    pub behaviour: Behaviour,
    /// How much it holds.
    pub limits: Limits,
}

impl fmt::Debug for EmulatorConfig {
    /// Neither key nor numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmulatorConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl Default for EmulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8082)),
            access_key: DEFAULT_ACCESS_KEY.to_owned(),
            bearer_prefix: Some("test-".to_owned()),
            seed: None,
            phones: PhoneBook::default(),
            default_phone: Phone::default(),
            subscriptions: Vec::new(),
            identity_prefix: "8:acs:".to_owned(),
            resource_id: "b9614373-fd0b-480c-8fd2-cb58b70eab9f".to_owned(),
            numbers: Vec::new(),
            any_number: false,
            topic: "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/emulator/providers/Microsoft.Communication/communicationServices/emulator".to_owned(),
            issuer: "https://acscallautomation.communication.azure.com".to_owned(),
            audience: "7d3c1f52-91b4-4d0a-8a53-0d8f0f1c2e64".to_owned(),
            manual_clock: None,
            callers_clock: None,
            tls: None,
            trust_ca_file: None,
            faults: Faults::default(),
            behaviour: Behaviour::default(),
            limits: Limits::default(),
        }
    }
}

impl EmulatorConfig {
    /// `http` or `https`: how its own URLs begin.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// What happens when nobody picks up a call that the application placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// `CreateCallFailed` and `CallDisconnected`, at the platform's set-up limit.
    Told,
    /// No event at all; the call is gone.
    Silent,
}

/// How a media operation is refused that may not run beside the one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusyLeg {
    /// 400 with `8501`.
    WrongState,
    /// 409 with `8519`.
    Conflict,
}

/// What Azure does not document, or documents in two ways. Each default is the safe reading.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How long after it happened an event is posted, so that it seldom overtakes the answer to the
    /// request that caused it.
    pub latency: Duration,
    /// How long after `AnswerCall` the application's leg is up.
    pub answer_time: Duration,
    /// How long an incoming call rings.
    pub ring: Duration,
    /// Set-up limit of a call to a VoIP user.
    pub voip_setup_limit: Duration,
    /// Set-up limit of a call to a telephone.
    pub pstn_setup_limit: Duration,
    /// How long an invitation rings when the request does not say.
    pub invitation_default: Duration,
    /// How long a transfer target rings.
    pub transfer_limit: Duration,
    /// How long a call of two stays `transferAccepted` before it ends for the application.
    pub transfer_lingers: Duration,
    /// What is told of a call that nobody picked up.
    pub unanswered_create: Unanswered,
    /// Whether `CreateCallFailed` comes before `CallDisconnected`.
    pub create_failed_first: bool,
    /// Whether `AnswerFailed` and `ConnectFailed` are followed by `CallDisconnected`.
    pub disconnect_after_answer_failed: bool,
    /// Calls and who is in them.
    pub calls: CallBehaviour,
    /// Whether the roster that an application reads lists the application itself.
    pub roster_includes_app: bool,
    /// Whether two telephones are cut off when the application that dialled them leaves.
    pub pstn_parties_drop_when_app_leaves: bool,
    /// How long the far end talks on by itself when no application is in the call any more.
    pub talk_without_app: Duration,
    /// Whether the second `IncomingCall` of a redirected call keeps its `serverCallId` and
    /// `correlationId`. When false it gets a new correlation id.
    pub redirect_keeps_correlation: bool,
    /// `(code, subCode)` of the disconnect when the other party of a 1:1 VoIP call left.
    pub voip_party_left: (i32, i32),
    /// Whether running media operations report their cancellation when the call ends.
    pub media_told_at_call_end: bool,
    /// Whether a pause between keys completes a recognition (code 400) in place of failing it.
    pub inter_digit_timeout_completes: bool,
    /// Whether the stop tone is among the tones of the result.
    pub stop_tone_in_result: bool,
    /// Whether operations on different participants may run side by side. Microsoft's table refuses
    /// a second one whomever it is for.
    pub sub_leg_per_participant: bool,
    /// Initial silence when the request does not say.
    pub initial_silence_default: Duration,
    /// Longest pause between keys when the request does not say.
    pub inter_tone_default: Duration,
    /// Silence that ends an utterance when the request does not say.
    pub end_silence_default: Duration,
    /// Whether recognising choices needs a speech resource. Keys alone would not.
    pub choices_need_speech_resource: bool,
    /// Whether a WAV prompt must be 16 kHz, mono, 16 bit.
    pub strict_wav: bool,
    /// Length of a prompt that is not really fetched, or whose length cannot be told.
    pub nominal_prompt: Duration,
    /// Length of a spoken text, per character.
    pub speech_per_character: Duration,
    /// Whether prompts are fetched from other hosts than this machine. When false those count as
    /// fetched, so that flows run offline.
    pub fetch_from_any_host: bool,
    /// Real time after which fetching a prompt is given up.
    pub fetch_deadline: Duration,
    /// How long a fetched prompt with a cache id is remembered.
    pub prompt_cache: Duration,
    /// Time to send one key, and for which a pressed key sounds on a media stream.
    pub tone_length: Duration,
    /// Media streaming and transcription.
    pub streams: StreamBehaviour,
    /// Confidence that is reported for whatever was heard.
    pub confidence: f64,
    /// How far the date of a signed request may be from now.
    pub date_tolerance: Duration,
    /// How long answers to repeatable requests are remembered.
    pub repeatability_window: Duration,
    /// Whether a `Repeatability-Request-ID` that comes with another request is refused. When false it
    /// gets the stored answer.
    pub reused_id_refused: bool,
    /// Whether one repeatability header without the other is refused. When false it counts for nothing.
    pub half_repeatability_refused: bool,
    /// Whether answers to repeatable requests carry `Repeatability-Result: accepted`.
    pub repeatability_result_told: bool,
    /// How a media operation is refused that may not run beside the one that runs.
    pub busy_leg: BusyLeg,
    /// Whether only https callback URIs are taken, as Azure does. Locally there is seldom a certificate.
    pub https_callbacks_only: bool,
    /// Real time after which a callback receiver that does not answer is given up.
    pub callback_deadline: Duration,
    /// How many times a failed callback is posted again.
    pub callback_retries: u32,
    /// Pause before a callback is posted again.
    pub callback_retry_pause: Duration,
    /// Participants on one page.
    pub page_size: usize,
    /// The API versions that are accepted.
    pub api_versions: Vec<String>,
    /// How calls are recorded.
    pub recording: RecordingBehaviour,
    /// What Event Grid does.
    pub grid: GridBehaviour,
}

impl Default for Behaviour {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            latency: Duration::from_millis(25),
            answer_time: Duration::from_millis(50),
            ring: seconds(30),
            voip_setup_limit: seconds(85),
            pstn_setup_limit: seconds(115),
            invitation_default: seconds(30),
            transfer_limit: seconds(60),
            transfer_lingers: Duration::from_millis(50),
            unanswered_create: Unanswered::Told,
            create_failed_first: true,
            disconnect_after_answer_failed: true,
            calls: CallBehaviour::default(),
            roster_includes_app: false,
            pstn_parties_drop_when_app_leaves: true,
            talk_without_app: seconds(60),
            redirect_keeps_correlation: true,
            voip_party_left: (0, 7000),
            media_told_at_call_end: false,
            inter_digit_timeout_completes: false,
            stop_tone_in_result: false,
            sub_leg_per_participant: false,
            initial_silence_default: seconds(5),
            inter_tone_default: seconds(2),
            end_silence_default: Duration::from_millis(500),
            choices_need_speech_resource: false,
            strict_wav: true,
            nominal_prompt: seconds(3),
            speech_per_character: Duration::from_millis(60),
            fetch_from_any_host: false,
            fetch_deadline: seconds(5),
            prompt_cache: seconds(3600),
            tone_length: Duration::from_millis(200),
            streams: StreamBehaviour::default(),
            confidence: 0.9,
            date_tolerance: seconds(15 * 60),
            repeatability_window: seconds(10 * 60),
            reused_id_refused: true,
            half_repeatability_refused: true,
            repeatability_result_told: true,
            busy_leg: BusyLeg::WrongState,
            https_callbacks_only: false,
            callback_deadline: seconds(5),
            callback_retries: 0,
            callback_retry_pause: seconds(1),
            page_size: 100,
            api_versions: API_VERSIONS.iter().map(|version| (*version).to_owned()).collect(),
            recording: RecordingBehaviour::default(),
            grid: GridBehaviour::default(),
        }
    }
}

/// The stable API versions that the official SDKs name.
const API_VERSIONS: &[&str] = &[
    "2023-03-06",
    "2023-10-15",
    "2024-04-15",
    "2024-09-15",
    "2025-05-15",
    "2025-06-15",
    crate::wire::calling::API_VERSION,
];

/// How much the emulator holds before it refuses or forgets.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls at a time; more are refused with 429.
    pub calls: usize,
    /// Participants of one call.
    pub participants: usize,
    /// Numbers that are known to belong to the resource because they were called.
    pub numbers: usize,
    /// Calls that have ended, and tickets that were used, that are remembered; the oldest leave.
    pub past: usize,
    /// Media operations that wait on one leg; more are refused with 429.
    pub media_queue: usize,
    /// Sockets of media streaming and transcription at a time; more are refused with 429.
    pub sockets: usize,
    /// Frames that wait on one socket; the oldest audio leaves, or the oldest frame when there is none.
    pub socket_frames: usize,
    /// Bytes of a frame of the application; a larger one closes the socket.
    pub socket_frame: usize,
    /// When time moves further than this at once, streams leave out the audio before it.
    pub stream_catch_up: Duration,
    /// Sounds and utterances that wait on one stream to be heard; more are not.
    pub sounds_waiting: usize,
    /// Unfinished results of one utterance.
    pub intermediate_results: usize,
    /// Callbacks that wait for one call; the oldest leaves.
    pub callbacks_waiting: usize,
    /// Deliveries that are remembered; the oldest leaves.
    pub deliveries: usize,
    /// Entries of the trace; the oldest leaves.
    pub trace: usize,
    /// Bytes of the callbacks that the trace remembers; the oldest entries leave.
    pub trace_payload_bytes: usize,
    /// Events that faults hold up; more go on at once.
    pub detours: usize,
    /// Answers that faults hold; more go at once.
    pub held_answers: usize,
    /// Event Grid events in delivery; more are dead-lettered at once.
    pub grid_events: usize,
    /// Bytes of one Event Grid event; a larger one is told to nobody. Azure's limit is 1 MB.
    pub grid_event_bytes: usize,
    /// Lines of Event Grid's record; the oldest leaves.
    pub grid_record: usize,
    /// Dead letters that are remembered; the oldest leaves.
    pub dead_letters: usize,
    /// Event Grid subscriptions; more are refused.
    pub subscriptions: usize,
    /// Answers to repeatable requests that are remembered; the oldest leaves.
    pub repeatability: usize,
    /// Prompts that are remembered by their cache id; all are forgotten when there are more.
    pub cached_prompts: usize,
    /// Recordings at a time; more are refused with 429.
    pub recordings: usize,
    /// Recordings that have ended and whose files are kept; the oldest leaves with its files.
    pub recorded: usize,
    /// Sounds of one recording; later ones are silence.
    pub recorded_sounds: usize,
    /// Files of one recording; the last one is cut off.
    pub recording_pieces: usize,
    /// Bytes of one file of a recording; it is cut off there.
    pub recording_bytes: usize,
    /// Bytes of a request body.
    pub body: usize,
    /// Bytes of a prompt that are looked at.
    pub prompt: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 10_000,
            participants: 350,
            numbers: 10_000,
            past: 1_000,
            media_queue: 100,
            sockets: 2_000,
            socket_frames: 25_000,
            socket_frame: 1 << 20,
            stream_catch_up: Duration::from_secs(120),
            sounds_waiting: 1_000,
            intermediate_results: 20,
            callbacks_waiting: 1_000,
            deliveries: 5_000,
            trace: 10_000,
            detours: 10_000,
            held_answers: 1_000,
            trace_payload_bytes: 16 << 20,
            grid_events: 10_000,
            grid_event_bytes: 1 << 20,
            grid_record: 5_000,
            dead_letters: 500,
            subscriptions: 100,
            repeatability: 10_000,
            recordings: 1_000,
            recorded: 1_000,
            recorded_sounds: 10_000,
            recording_pieces: 100,
            recording_bytes: 64 << 20,
            cached_prompts: 1_000,
            body: 1 << 20,
            prompt: 64 << 10,
        }
    }
}
