//! `[emulator.behaviour]`: what Azure does not document, or documents in two ways.

use super::kinds::{ANY, HOUR, MINUTE, within};
use super::table;

table! { "behaviour", config => config.behaviour;
    latency, within(0, MINUTE),
        "How long after it happened an event is posted.",
        "Azure states no delay. A short one lets events seldom overtake the answer to the request that caused them; 0 lets them.";
    answer_time, within(0, MINUTE),
        "How long after AnswerCall the application's leg is up.",
        "No figure is published; applications must wait for CallConnected.";
    ring, within(1000, HOUR),
        "How long an incoming call rings.",
        "30 seconds are documented for IncomingCall; carriers differ.";
    voip_setup_limit, within(1000, HOUR),
        "Set-up limit of a call to a VoIP user.",
        "Known from the calling client SDK only (85 s), not from Call Automation.";
    pstn_setup_limit, within(1000, HOUR),
        "Set-up limit of a call to a telephone.",
        "Known from the calling client SDK only (115 s), not from Call Automation.";
    invitation_default, within(1000, HOUR),
        "How long an invitation rings when AddParticipant does not say.",
        "The default is not documented, only the range 0 to 180 s.";
    transfer_limit, within(1000, HOUR),
        "How long a transfer target rings.",
        "60 s is the limit of the calling client SDK; the service's is not published.";
    transfer_lingers, within(0, HOUR),
        "How long a call of two stays transferAccepted before it ends for the application.",
        "The state is documented, its length is not.";
    unanswered_create, ANY,
        "What is told of a call that nobody picked up.",
        "One page says that the wait just times out, the event reference has CreateCallFailed and CallDisconnected.";
    create_failed_first, ANY,
        "Whether CreateCallFailed comes before CallDisconnected.",
        "Both are sent, the order is nowhere stated.";
    disconnect_after_answer_failed, ANY,
        "Whether AnswerFailed is followed by CallDisconnected.",
        "Not documented; code that ends its call at either is safe.";
    roster_includes_app, ANY,
        "Whether the roster that an application reads lists the application itself.",
        "Samples show both.";
    pstn_parties_drop_when_app_leaves, ANY,
        "Whether two telephones are cut off when the application that dialled them leaves.",
        "A known issue of Azure, which may be mended there.";
    talk_without_app, within(0, 24 * HOUR),
        "How long the far end talks on when no application is in the call any more.",
        "People's business; a limit keeps calls from piling up.";
    redirect_keeps_correlation, ANY,
        "Whether the second IncomingCall of a redirected call keeps its correlation id.",
        "Not documented; false gives it a new one.";
    voip_party_left, ANY,
        "Code and sub-code of the disconnect when the other party of a 1:1 VoIP call left.",
        "Published tables disagree.";
    media_told_at_call_end, ANY,
        "Whether running media operations report their cancellation when the call ends.",
        "Not documented; nothing is promised after CallDisconnected.";
    inter_digit_timeout_completes, ANY,
        "Whether a pause between keys completes a recognition (code 400) in place of failing it.",
        "Sub-code 8532 is listed once under RecognizeFailed and once under RecognizeCompleted.";
    stop_tone_in_result, ANY,
        "Whether the stop tone is among the tones of the result.",
        "Not documented.";
    sub_leg_per_participant, ANY,
        "Whether operations on different participants may run side by side.",
        "Microsoft's table refuses a second one and does not say whether the participant matters.";
    initial_silence_default, within(0, 300_000),
        "Initial silence when Recognize does not say.",
        "5 s is what one SDK sends; what the service does when nothing is sent is not documented.";
    inter_tone_default, within(0, MINUTE),
        "Longest pause between keys when Recognize does not say.",
        "2 s is what one SDK sends; what the service does when nothing is sent is not documented.";
    end_silence_default, within(0, MINUTE),
        "Silence that ends an utterance when Recognize does not say.",
        "Half a second is documented for one input type.";
    choices_need_speech_resource, ANY,
        "Whether recognising choices needs a speech resource.",
        "Phrases need one; whether choices by keys alone do is not documented.";
    strict_wav, ANY,
        "Whether a WAV prompt must be 16 kHz, mono, 16 bit.",
        "Documented as required; other files are reported to play.";
    nominal_prompt, within(0, HOUR),
        "Length of a prompt that is not fetched, or whose length cannot be told.",
        "Ours: something has to be assumed.";
    speech_per_character, within(0, MINUTE),
        "Length of a spoken text, per character.",
        "Ours: nothing is synthesised.";
    fetch_from_any_host, ANY,
        "Whether prompts are fetched from other hosts than this machine.",
        "Azure fetches all. Here those of other hosts count as fetched, so that flows run offline.";
    fetch_deadline, within(1, HOUR),
        "Real time after which fetching a prompt is given up.",
        "Not documented.";
    prompt_cache, within(0, 24 * HOUR),
        "How long a fetched prompt with a cache id is remembered.",
        "An hour is documented; tests want less.";
    tone_length, within(0, MINUTE),
        "Time to send one key.",
        "Not documented.";
    confidence, within(0, 1),
        "Confidence that is reported for whatever was heard.",
        "Depends on the speech service; here everything is understood.";
    date_tolerance, within(1000, 24 * HOUR),
        "How far the date of a signed request may be from now.",
        "Azure checks it, the tolerance is not published.";
    repeatability_window, within(0, 24 * HOUR),
        "How long answers to repeatable requests are remembered.",
        "Not documented.";
    reused_id_refused, ANY,
        "Whether a Repeatability-Request-ID that comes with another request is refused; if not, it gets the stored answer.",
        "Not documented.";
    half_repeatability_refused, ANY,
        "Whether one repeatability header without the other is refused; if not, it counts for nothing.",
        "The API's text wants both; the code of the refusal is not known.";
    repeatability_result_told, ANY,
        "Whether answers to repeatable requests carry Repeatability-Result.",
        "The OASIS text has it, Azure's does not mention it.";
    busy_leg, ANY,
        "How a media operation is refused that may not run beside the one that runs.",
        "That it is refused is documented, the code is not.";
    https_callbacks_only, ANY,
        "Whether only https callback URIs are taken.",
        "Azure takes https only; on one machine there is seldom a certificate.";
    callback_deadline, within(1, HOUR),
        "Real time after which a callback receiver that does not answer is given up.",
        "Not documented.";
    callback_retries, within(0, 100),
        "How many times a failed callback is posted again.",
        "Whether Azure does at all is not documented; 0 shows what is lost.";
    callback_retry_pause, within(0, HOUR),
        "Pause before a callback is posted again.",
        "Not documented.";
    page_size, within(1, 1000),
        "Participants on one page.",
        "Not documented; a small one makes clients follow nextLink.";
    api_versions, ANY,
        "The API versions that are accepted.",
        "The stable ones that the official SDKs name; a preview can be added.";
}
