//! `[emulator.grid]`: how the Event Grid side behaves.

use super::kinds::{ANY, HOUR, MANY, within};
use super::table;

table! { "grid", config => config.behaviour.grid;
    max_attempts, within(1, 30),
        "Attempts per event, the first included.",
        "A subscription's own setting in Azure (1 to 30). 2 is what Microsoft advises for IncomingCall.";
    time_to_live, within(1000, 24 * HOUR),
        "After this an event is not tried again.",
        "A subscription's own setting in Azure. A minute is what Microsoft advises for IncomingCall.";
    call_events, ANY,
        "Whether calls of VoIP users raise CallStarted, CallEnded, CallParticipantAdded and CallParticipantRemoved.",
        "They do in Azure; a test that counts deliveries may want to do without.";
    deadline, within(1, HOUR),
        "Real time after which a receiver that does not answer is given up.",
        "30 s are documented; tests want less.";
    capital_names, ANY,
        "Whether aeg-subscription-name is written in capitals.",
        "Seen in capitals, documented nowhere: compare without regard to case.";
    origin, ANY,
        "What WebHook-Request-Origin says.",
        "Documented by example only.";
    handshake_patience, within(0, 24 * HOUR),
        "How long a handshake is tried again, or waits for somebody to open the validation URL.",
        "Ten minutes are documented for the URL, nothing for tries.";
    handshake_pause, within(1, HOUR),
        "First pause between two handshakes; it doubles up to five seconds.",
        "Ours: a receiver that starts together with the emulator is found quickly.";
    retry_steps, within(1, 24 * HOUR),
        "Pauses after the first, second, … attempt; the last one is repeated.",
        "Best effort in Azure; a page of 2020 has other steps.";
    jitter, within(0, 1),
        "Up to so much of a pause is added to it, drawn by the seed: 0.1 is a tenth.",
        "Azure adds some; a test wants to know when.";
    unauthorized_pause, within(0, 24 * HOUR),
        "Least pause after a 401; None gives up; false for none.",
        "The documentation's other table has five minutes.";
    forbidden_pause, within(0, 24 * HOUR),
        "Least pause after a 403; None gives up; false for none.",
        "An older page has five minutes.";
    not_found_pause, within(0, 24 * HOUR),
        "Least pause after a 404.",
        "Five minutes is said of Azure's own endpoints only.";
    probation, ANY,
        "Whether a failing endpoint is left alone for a while: 10 s when it is busy or slow, 30 s when it cannot be reached, 5 min when it is missing or refuses.",
        "Azure does so, roughly.";
    first_delivery_count, within(0, 10),
        "aeg-delivery-count of the first attempt.",
        "0 is documented by example only.";
    request_rate, within(1, MANY),
        "What WebHook-Request-Rate asks for, events per minute; None does not ask; false for none.",
        "Documented as optional.";
    rate_consent_required, ANY,
        "Whether consent needs WebHook-Allowed-Rate when a rate was asked for, as CloudEvents demands.",
        "CloudEvents demands it; many receivers leave it out.";
    delivery_origin, ANY,
        "Which header names the sender of CloudEvents deliveries.",
        "Microsoft's copy of the text names another header than CloudEvents.";
    validation_data_version, ANY,
        "dataVersion of the validation event; \"2\" was seen, too.",
        "1 and 2 have been seen.";
    validation_names_resource, ANY,
        "Whether the validation event's topic names the whole resource and not just the Azure subscription (/subscriptions/{id}).",
        "The sample and the description disagree.";
    update_keeps_delivering, ANY,
        "Whether an updated subscription goes on delivering in its old form during the new handshake.",
        "Documented nowhere.";
    deletion_told, ANY,
        "Whether an endpoint is told that its subscription was deleted.",
        "Known from SDKs only.";
    dead_letter_delay, within(0, 24 * HOUR),
        "How long after its last attempt an event is dead-lettered.",
        "Azure waits five minutes; tests want them at once.";
    not_in_range_without_key, ANY,
        "Whether an event without the key passes NumberNotInRange.",
        "Documented nowhere.";
}
