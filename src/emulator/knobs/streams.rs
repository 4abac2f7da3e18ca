//! `[emulator.streams]`: media streaming and transcription.

use super::kinds::{ANY, HOUR, MANY, within};
use super::table;

table! { "streams", config => config.behaviour.streams;
    lost_socket, ANY,
        "What becomes of a stream whose socket is lost.",
        "Whether Azure connects again is not published.";
    reconnect_attempts, within(0, MANY),
        "How often a lost socket is opened again.",
        "The policy is not published.";
    reconnect_pause, within(0, 24 * HOUR),
        "Pause before each attempt.",
        "The policy is not published.";
    missing_url_refused, ANY,
        "Whether options without transportUrl, which the schema allows, are refused at once.",
        "When false, starting fails with streamUrlMissing.";
    stopped_told_at_call_end, ANY,
        "Whether a stream that ends with its call is told as stopped before CallDisconnected.",
        "Documented nowhere.";
    transcription_needs_speech_resource, ANY,
        "Whether transcription without callIntelligenceOptions fails with speechServicesConnectionError.",
        "Azure needs a speech resource; what happens without one is told nowhere.";
    mixed_names_speaker, ANY,
        "Whether frames of mixed audio name the one who speaks.",
        "Samples differ.";
    keys_as_words, ANY,
        "Whether DtmfData says three and pound in place of 3 and #.",
        "Only digits are documented, as printed.";
    metadata_after_update, ANY,
        "Whether UpdateTranscription is followed by another metadata frame.",
        "Documented nowhere.";
    ws_to_any_host, ANY,
        "Whether plain ws may go to other hosts than this machine.",
        "Azure takes wss only, and so does the emulator everywhere when https_callbacks_only is set.";
    connect_deadline, within(0, 24 * HOUR),
        "Real time after which opening a socket is given up.",
        "No deadline is published.";
}
