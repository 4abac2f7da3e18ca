//! Azure's result codes, each with its sentence.
//!
//! Owns the table. Which of them applies is decided where it happens.

use crate::wire::events::{ResultInformation, SipDiagnostics};

/// How something went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    code: i32,
    sub_code: i32,
    message: &'static str,
    sip: Option<(i32, &'static str)>,
    q850: Option<(i32, &'static str)>,
}

const fn outcome(code: i32, sub_code: i32, message: &'static str) -> Outcome {
    Outcome { code, sub_code, message, sip: None, q850: None }
}

/// Done.
pub const DONE: Outcome = outcome(200, 0, "Action completed successfully.");
/// Cancelled by request or by another operation.
pub const CANCELED: Outcome = outcome(400, 8508, "Action failed, the operation was canceled.");
/// Nothing was heard after the prompt.
pub const INITIAL_SILENCE: Outcome =
    outcome(400, 8510, "Action failed, initial silence timeout reached.");
/// The prompt of a recognition could not be played.
pub const PROMPT_FAILED: Outcome =
    outcome(500, 8511, "Action failed, encountered failure while trying to play the prompt.");
/// The stop tone was pressed.
pub const STOP_TONE: Outcome = outcome(200, 8514, "Action completed, stop tone detected.");
/// As many keys as asked for were pressed.
pub const MAX_TONES: Outcome = outcome(200, 8531, "Action completed, max digits received.");
/// The pause between two keys was too long.
pub const INTER_DIGIT: Outcome =
    outcome(400, 8532, "Action failed, inter-digit silence timeout reached.");
/// A key chose.
pub const CHOICE_BY_TONE: Outcome = outcome(200, 8533, "Action completed, DTMF option matched.");
/// A key chose nothing.
pub const WRONG_TONE: Outcome = outcome(400, 8534, "Action failed, incorrect tone entered.");
/// The audio file is not one that can be played.
pub const WRONG_FORMAT: Outcome = outcome(400, 8535, "Action failed, file format is invalid.");
/// The audio file could not be fetched.
pub const NOT_FETCHED: Outcome = outcome(400, 8536, "Action failed, file could not be downloaded.");
/// A phrase chose.
pub const CHOICE_BY_PHRASE: Outcome =
    outcome(200, 8545, "Action completed, speech option matched.");
/// A phrase chose nothing.
pub const WRONG_PHRASE: Outcome = outcome(400, 8547, "Action failed, speech option not matched.");
/// What was said could not be understood.
pub const NOT_UNDERSTOOD: Outcome =
    outcome(400, 8563, "Action failed, speech could not be recognized.");
/// Nothing to say.
pub const EMPTY_TEXT: Outcome =
    outcome(400, 8582, "Action failed, the text or SSML to play is empty.");
/// A stream could not be opened or kept up; Azure's code for what it cannot tell.
pub const STREAM_FAILED: Outcome =
    outcome(500, 9999, "Action failed, the stream could not be established or was interrupted.");
/// The participant that an operation was for has left.
pub const PARTY_GONE: Outcome = outcome(404, 8522, "Participant not found.");
/// The call that an operation was for is not there.
pub const CALL_GONE: Outcome = outcome(404, 8522, "Call not found.");

/// There are as many participants as a call can hold.
pub const CALL_FULL: Outcome =
    outcome(400, 8523, "The call has as many participants as it can hold.");
/// Whoever is to be added or moved is there already.
pub const PARTY_THERE: Outcome = outcome(409, 8519, "The participant is in the call already.");
/// An invitation that is to be withdrawn was answered, is over, or never was.
pub const INVITATION_OVER: Outcome =
    outcome(404, 8522, "There is no pending invitation with this id.");

/// The application hung up.
pub const LOCAL_ENDED: Outcome = outcome(0, 0, "Call ended successfully by local participant.");
/// The application ended the call for everyone.
pub const ENDED_FOR_ALL: Outcome =
    outcome(0, 4097, "Call ended for all participants by the organizer.");
/// The participant was removed.
pub const REMOVED: Outcome =
    outcome(0, 5300, "Call ended for this participant as it was removed from the conversation.");
/// The caller gave up.
pub const CANCELED_BY_CALLER: Outcome =
    outcome(487, 540_487, "Call canceled by the caller before it was answered.");
/// The callee refused.
pub const DECLINED: Outcome =
    outcome(603, 0, "Call ended successfully as it was declined from callee.");
/// Nobody picked up.
pub const NO_ANSWER: Outcome =
    outcome(487, 10_004, "Call was canceled on timeout, no callee endpoint accepted on time.");
/// The callee may not be called.
pub const FORBIDDEN: Outcome = outcome(403, 0, "Call was refused as forbidden.");
/// The app was transferred out.
pub const TRANSFERRED: Outcome = outcome(0, 7015, "Call ended as the transfer was completed.");
/// A telephone hung up.
pub const PSTN_ENDED: Outcome =
    outcome(0, 560_000, "Call ended successfully by remote PSTN participant.");

/// The callee is in another call.
pub const fn busy(telephone: bool) -> Outcome {
    if telephone {
        Outcome {
            code: 486,
            sub_code: 560_486,
            message: "Call ended because remote PSTN participant was busy.",
            sip: Some((486, "Busy Here")),
            q850: Some((17, "User busy")),
        }
    } else {
        outcome(486, 0, "Call ended because the callee was busy.")
    }
}

/// The callee cannot be reached.
pub const fn unreachable(telephone: bool) -> Outcome {
    if telephone {
        Outcome {
            code: 480,
            sub_code: 560_480,
            message: "Call ended because remote PSTN participant could not be reached.",
            sip: Some((480, "Temporarily Unavailable")),
            q850: Some((20, "Subscriber absent")),
        }
    } else {
        outcome(480, 0, "Call ended because the callee's endpoint is not registered.")
    }
}

/// The other VoIP party of a two-party call left, with the codes that were configured.
pub const fn voip_ended((code, sub_code): (i32, i32)) -> Outcome {
    outcome(code, sub_code, "Call ended successfully, the other participant left.")
}

impl Outcome {
    /// As the `resultInformation` of an event.
    pub fn information(&self) -> ResultInformation {
        let details = |given: Option<(i32, &str)>| {
            given.map(|(code, message)| SipDiagnostics {
                code: Some(code),
                message: Some(message.to_owned()),
            })
        };
        ResultInformation {
            code: Some(self.code),
            sub_code: Some(self.sub_code),
            message: Some(self.message.to_owned()),
            sip_details: details(self.sip),
            q850_details: details(self.q850),
        }
    }
}
