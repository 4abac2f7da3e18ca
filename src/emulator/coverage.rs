//! What is emulated and what is simplified: operation by operation, event by event.
//!
//! `docs/emulator.md` holds this as tables, and a test compares them. A simplification is one sentence
//! about what a caller can notice; the many small things that Azure leaves open are settings instead
//! (`knobs`).

use crate::wire::calling::Operation;
use crate::wire::events::EventKind;

/// How far something is emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// As documented.
    Emulated,
    /// As documented, but for this.
    Simplified(&'static str),
}

use Coverage::{Emulated, Simplified};

/// An operation of the API.
pub fn of_operation(operation: Operation) -> Coverage {
    use Operation as Op;
    match operation {
        Op::CreateCall => Simplified("Teams users and Teams apps ring like any other phone."),
        Op::AnswerCall
        | Op::RedirectCall
        | Op::RejectCall
        | Op::GetCall
        | Op::HangUpCall
        | Op::TerminateCall
        | Op::GetParticipants
        | Op::AddParticipant
        | Op::RemoveParticipant
        | Op::CancelAddParticipant
        | Op::GetParticipant
        | Op::CancelAllMediaOperations
        | Op::StartContinuousDtmfRecognition
        | Op::StopContinuousDtmfRecognition
        | Op::GetRecordingProperties
        | Op::StopRecording
        | Op::PauseRecording
        | Op::ResumeRecording => Emulated,
        Op::Connect => Simplified(
            "Any group call or room id is taken: there is nothing to join but the calls of the emulator.",
        ),
        Op::TransferToParticipant => {
            Simplified("The target rings as a call of its own, and SIP details are not given.")
        }
        Op::MuteParticipants => Simplified("Nobody hears the difference; the roster shows it."),
        Op::MoveParticipants => Simplified("Both calls must be calls of the same emulator."),
        Op::Play => Simplified(
            "Nothing is heard. WAV files last as long as they are, MP3 files as long as their size suggests, speech by its length in characters; SSML is not checked.",
        ),
        Op::Recognize => Simplified(
            "Phones say texts, not sounds: what is said is understood as it stands, with one confidence.",
        ),
        Op::SendDtmfTones => Simplified("The phone does not react to the keys."),
        Op::Hold => Simplified("Nothing is heard on hold."),
        Op::Unhold => Emulated,
        Op::StartMediaStreaming | Op::StopMediaStreaming => {
            Simplified("The audio is made up: silence, and tones for words and keys.")
        }
        Op::StartTranscription | Op::StopTranscription | Op::UpdateTranscription => Simplified(
            "What phones say by script or by hand is the transcript, word for word, in any language.",
        ),
        Op::StartRecording => Simplified(
            "WAV has a beep for what was said or pressed, MP3 is silence, MP4 an empty container; nothing is put into external storage.",
        ),
    }
}

/// A mid-call event; `None` for a type that is not one of the stable API.
pub fn of_event(kind: &EventKind) -> Option<Coverage> {
    use EventKind as Kind;
    Some(match kind {
        Kind::Unknown(_) => return None,
        Kind::CallTransferFailed | Kind::CreateCallFailed | Kind::AddParticipantFailed => {
            Simplified(
                "Codes are those of the common cases: busy, declined, no answer, unreachable.",
            )
        }
        Kind::RecognizeCompleted => Simplified("Speech results carry one confidence for all."),
        Kind::SendDtmfTonesFailed | Kind::HoldFailed | Kind::TranscriptionFailed => {
            Simplified("Comes only where the reference names a cause that can be produced here.")
        }
        Kind::StartRecordingFailed | Kind::ContinuousDtmfRecognitionToneFailed => {
            Simplified("Never comes: nothing can fail there.")
        }
        _ => Emulated,
    })
}

/// The Event Grid events that are raised, by the name after `Microsoft.Communication.`.
pub const COVERED_GRID_EVENTS: &[&str] = &[
    "IncomingCall",
    "CallStarted",
    "CallParticipantAdded",
    "CallParticipantRemoved",
    "CallEnded",
    "RecordingFileStatusUpdated",
];

/// An Event Grid event; `None` for a type that is not raised.
pub fn of_grid_event(name: &str) -> Option<Coverage> {
    let coverage = match name {
        "IncomingCall" => {
            Simplified("On-behalf-of members are there only when the far end gives them.")
        }
        "CallStarted" | "CallEnded" => {
            Simplified("startedBy is whoever was in the call first, an application included.")
        }
        "CallParticipantAdded" | "CallParticipantRemoved" => {
            Simplified("Users have no display names.")
        }
        "RecordingFileStatusUpdated" => {
            Simplified("It comes after a set time and not after real processing.")
        }
        _ => Emulated,
    };
    COVERED_GRID_EVENTS.contains(&name).then_some(coverage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::{EmulatorConfig, knobs};

    /// Set it to have the tables in the document written anew.
    const WRITE: &str = "SWITCHHOOK_WRITE_DOCS";
    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/emulator.md");

    fn row(name: &str, coverage: Coverage) -> String {
        match coverage {
            Emulated => format!("| `{name}` | emulated | |\n"),
            Simplified(how) => format!("| `{name}` | simplified | {how} |\n"),
        }
    }

    fn coverage_tables() -> String {
        let mut text = "| Operation | | What differs |\n|---|---|---|\n".to_owned();
        let operations = Operation::ALL;
        text.extend(operations.iter().map(|op| row(&format!("{op:?}"), of_operation(*op))));
        text.push_str("\n| Mid-call event | | What differs |\n|---|---|---|\n");
        let events = EventKind::KNOWN.iter();
        text.extend(events.filter_map(|kind| Some(row(kind.short_name(), of_event(kind)?))));
        text.push_str("\n| Event Grid event | | What differs |\n|---|---|---|\n");
        let names = COVERED_GRID_EVENTS.iter();
        text.extend(names.filter_map(|name| Some(row(name, of_grid_event(name)?))));
        text
    }

    fn settings_table() -> String {
        let mut text =
            "| Setting | Default | What it is | Why it is a setting |\n|---|---|---|---|\n"
                .to_owned();
        let untouched = EmulatorConfig::default();
        for knob in knobs() {
            let (name, value) = (knob.name(), knob.value(&untouched));
            text.push_str(&format!("| `{name}` | `{value}` | {} | {} |\n", knob.what, knob.why));
        }
        text
    }

    /// Compares what stands between two markers, or writes it.
    fn in_the_document(what: &str, wanted: &str) {
        let (begin, end) = (format!("<!-- {what}: begin -->\n"), format!("<!-- {what}: end -->"));
        let text = std::fs::read_to_string(DOCUMENT).expect("the document");
        let (before, rest) = text.split_once(&begin).expect("a marker where it begins");
        let (found, after) = rest.split_once(&end).expect("a marker where it ends");
        if std::env::var_os(WRITE).is_some() && found != wanted {
            std::fs::write(DOCUMENT, format!("{before}{begin}{wanted}{end}{after}"))
                .expect("written");
            return;
        }
        let same = found == wanted;
        assert!(
            same,
            "docs/emulator.md does not say what the code says about {what}; run the tests once with {WRITE}=1"
        );
    }

    #[test]
    fn the_document_tells_what_the_code_does() {
        in_the_document("coverage", &coverage_tables());
        in_the_document("settings", &settings_table());
    }

    #[test]
    fn everything_has_a_place_and_every_simplification_is_a_sentence() {
        let operations = Operation::ALL.iter().map(|op| of_operation(*op));
        let events = EventKind::KNOWN.iter().map(|kind| of_event(kind).expect("a place"));
        let grid = COVERED_GRID_EVENTS.iter().map(|name| of_grid_event(name).expect("a place"));
        for coverage in operations.chain(events).chain(grid) {
            if let Simplified(how) = coverage {
                assert!(how.ends_with('.') && !how.contains(['\n', '|']), "{how}");
            }
        }
        assert_eq!(of_event(&EventKind::parse("HoldAudioStarted")), None);
        assert_eq!(of_grid_event("SMSReceived"), None);
    }
}
