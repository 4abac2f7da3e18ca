//! `[emulator.recording]`: how calls are recorded.

use super::kinds::{ANY, HOUR, within};
use super::table;

table! { "recording", config => config.behaviour.recording;
    accepted_first, ANY,
        "Whether StartRecording answers 202 and the recording begins a moment later, in place of 200.",
        "Both answers are documented.";
    file_delay, within(0, 24 * HOUR),
        "How long after the end RecordingFileStatusUpdated comes.",
        "Azure needs minutes.";
    kept, within(0, 1000 * HOUR),
        "How long files are kept: 48 h on the page of 2021, perhaps 24 h since.",
        "Pages disagree.";
    piece, within(1, 24 * HOUR),
        "A longer recording is cut into pieces of this length.",
        "Azure cuts by size.";
    told_to_call, ANY,
        "Whether RecordingStateChanged goes to the call's own callback URI when the request names none.",
        "Nothing says where they go then.";
    survives_application, ANY,
        "Whether a recording goes on when the application that began it leaves a group call.",
        "Nothing says so; sessionEndReason knows InitiatorLeft.";
    one_per_call, ANY,
        "Whether a second recording of a call that is being recorded is refused.",
        "Nothing says so.";
    default_shape, ANY,
        "Content, channel and format of a request that names none.",
        "The default is documented nowhere.";
    content_url, ANY,
        "Scheme and host in the locations of files; the emulator's own when absent; false for none.",
        "The official SDKs fetch from Azure's hosts only: with https://emulator.asm.skype.com here and that name mapped to the emulator in the SDK's transport they do.";
}
