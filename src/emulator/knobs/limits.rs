//! `[emulator.limits]`: how much the emulator holds before it refuses or forgets.

use super::kinds::{MANY, within};
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
}
