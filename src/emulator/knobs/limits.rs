//! `[emulator.limits]`: how much the emulator holds before it refuses or forgets.

use super::kinds::{HOUR, MANY, within};
use super::table;

table! { "limits", config => config.limits;
    calls, within(1, MANY),
        "Calls at a time; more are refused with 429.",
        "Azure's quota is a resource's own.";
    participants, within(2, MANY),
        "Participants of one call.",
        "350 is the documented size of a group call.";
    numbers, within(1, MANY),
        "Numbers that are known to belong to the resource because they were called.",
        "Memory.";
    media_queue, within(1, MANY),
        "Media operations that wait on one leg; more are refused with 429.",
        "Azure's limit is not published.";
    callbacks_waiting, within(1, MANY),
        "Callbacks that wait for one call; the oldest leaves.",
        "Memory.";
    deliveries, within(1, MANY),
        "Deliveries that are remembered; the oldest leaves.",
        "Memory.";
    grid_events, within(1, MANY),
        "Event Grid events in delivery; more are dead-lettered at once.",
        "Memory.";
    dead_letters, within(1, MANY),
        "Dead letters that are remembered; the oldest leaves.",
        "Memory.";
    subscriptions, within(1, 10_000),
        "Event Grid subscriptions; more are refused.",
        "500 per topic in Azure; every one of them gets every event.";
    repeatability, within(1, MANY),
        "Answers to repeatable requests that are remembered; the oldest leaves.",
        "Memory.";
    cached_prompts, within(1, MANY),
        "Prompts that are remembered by their cache id; all are forgotten when there are more.",
        "Memory.";
    body, within(1024, 1 << 30),
        "Bytes of a request body.",
        "Azure's limit is not published.";
    prompt, within(1024, 1 << 30),
        "Bytes of a prompt that are looked at.",
        "Enough to tell its format and its length.";
    past, within(1, MANY),
        "Calls that have ended, and tickets that were used, that are remembered; the oldest leave.",
        "Memory.";
    sockets, within(1, MANY),
        "Sockets of media streaming and transcription at a time; more are refused with 429.",
        "Memory.";
    socket_frames, within(1, MANY),
        "Frames that wait on one socket; the oldest audio leaves, or the oldest frame when there is none.",
        "Memory.";
    socket_frame, within(1, 1 << 30),
        "Bytes of a frame of the application; a larger one closes the socket.",
        "Memory.";
    stream_catch_up, within(0, 24 * HOUR),
        "When time moves further than this at once, streams leave out the audio before it.",
        "Memory.";
    sounds_waiting, within(1, MANY),
        "Sounds and utterances that wait on one stream to be heard; more are not.",
        "Memory.";
    intermediate_results, within(1, MANY),
        "Unfinished results of one utterance.",
        "Memory.";
    grid_event_bytes, within(1, 1 << 30),
        "Bytes of one Event Grid event; a larger one is told to nobody.",
        "Memory.";
    grid_record, within(1, MANY),
        "Lines of Event Grid's record; the oldest leaves.",
        "Memory.";
    recordings, within(1, MANY),
        "Recordings at a time; more are refused with 429.",
        "Memory.";
    recorded, within(1, MANY),
        "Recordings that have ended and whose files are kept; the oldest leaves with its files.",
        "Memory.";
    recorded_sounds, within(1, MANY),
        "Sounds of one recording; later ones are silence.",
        "Memory.";
    recording_pieces, within(1, MANY),
        "Files of one recording; the last one is cut off.",
        "Memory.";
    recording_bytes, within(1, 1 << 30),
        "Bytes of one file of a recording; it is cut off there.",
        "Memory.";
    trace, within(1, MANY),
        "Entries of the trace; the oldest leaves.",
        "Memory.";
    trace_payload_bytes, within(1, 1 << 30),
        "Bytes of the callbacks that the trace remembers; the oldest entries leave.",
        "Memory.";
    detours, within(1, MANY),
        "Events that faults hold up; more go on at once.",
        "Memory.";
    held_answers, within(1, MANY),
        "Answers that faults hold; more go at once.",
        "Memory.";
}
