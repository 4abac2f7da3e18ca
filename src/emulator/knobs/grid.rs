//! `[emulator.grid]`: how the Event Grid side behaves.

use super::kinds::{ANY, HOUR, within};
use super::table;

table! { "grid", config => config.behaviour.grid;
    max_attempts, within(1, 30),
        "Attempts per event, the first included.",
        "A subscription's own setting in Azure (1 to 30). 2 is what Microsoft advises for IncomingCall.";
    time_to_live, within(1000, 24 * HOUR),
        "After this an event is not tried again.",
        "A subscription's own setting in Azure. A minute is what Microsoft advises for IncomingCall.";
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
}
