//! What the codes of `resultInformation` and of error bodies mean, and what to do about them.
//!
//! Owns a table in our own words. The sub-code decides when there is one, because the code beside it
//! differs between tables of the vendor for the same cause. Never fails: what is not in the table
//! has no explanation.

use std::fmt;
use std::str::FromStr;

/// What a pair of codes says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// What happened.
    pub meaning: &'static str,
    /// What to do about it, empty when nothing needs to be done.
    pub advice: &'static str,
}

/// A `code` and a `subCode`, either of which may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    /// HTTP- or SIP-like class.
    pub code: Option<i32>,
    /// Why.
    pub sub_code: Option<i32>,
}

impl Codes {
    /// What they mean, if that is known.
    pub fn explain(self) -> Option<Explanation> {
        explain(self.code, self.sub_code)
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<i32>| number.map_or_else(|| "-".into(), |n| n.to_string());
        write!(f, "{}/{}", number(self.code), number(self.sub_code))
    }
}

/// A text that is not a pair of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("codes are written as code/subCode, like 400/8510; one number alone will do too")]
pub struct BadCodes;

impl FromStr for Codes {
    type Err = BadCodes;

    /// `400/8510`, `8510` (a sub-code, being four digits or more) or `404` (a code).
    fn from_str(text: &str) -> Result<Self, BadCodes> {
        if let Some((code, sub_code)) = text.split_once('/') {
            return Ok(Self { code: Some(number(code)?), sub_code: Some(number(sub_code)?) });
        }
        let alone = Some(number(text)?);
        Ok(match alone {
            Some(0..1000) => Self { code: alone, sub_code: None },
            _ => Self { code: None, sub_code: alone },
        })
    }
}

fn number(text: &str) -> Result<i32, BadCodes> {
    text.trim().parse().ok().filter(|number| *number >= 0).ok_or(BadCodes)
}

/// The explanation of a pair, if there is one: the pair itself, else the sub-code whatever the code,
/// else the telephone network's answer inside the sub-code, else the code.
pub fn explain(code: Option<i32>, sub_code: Option<i32>) -> Option<Explanation> {
    let find = |code: Option<i32>, sub_code: Option<i32>| {
        let row = TABLE.iter().find(|row| (row.0, row.1) == (code, sub_code))?;
        Some(Explanation { meaning: row.2, advice: row.3 })
    };
    find(code, sub_code)
        .or_else(|| find(None, Some(sub_code?)))
        .or_else(|| telephone_network(sub_code?))
        .or_else(|| find(Some(code?), None))
}

/// Sub-codes from 560000 on hold the SIP answer of the telephone network in their last three digits.
fn telephone_network(sub_code: i32) -> Option<Explanation> {
    let (meaning, advice) = match sub_code.checked_sub(560_000)? {
        404 | 410 | 484 | 604 => (
            "the telephone network does not know the number",
            "check that it is complete and in E.164 form",
        ),
        408 | 480 => (
            "the telephone could not be reached",
            "it may be switched off or without service; try again later",
        ),
        487 => ("the call over the telephone network was cancelled while it rang", ""),
        403 | 603 | 607 | 608 => (
            "the telephone network or the called party refused the call",
            "check that the caller id is yours and that the number accepts such calls",
        ),
        500..600 => (
            "the telephone network had a fault",
            "try again later; if it lasts, report it with the correlation id",
        ),
        300..700 => (
            "the telephone network ended the call; the last three digits are its SIP answer",
            "look at sipDetails and q850Details of the event",
        ),
        _ => return None,
    };
    Some(Explanation { meaning, advice })
}

const SPEECH: &str = "check the speech resource's endpoint, region and access rights";
const LATER: &str = "try again after a pause; report it with the correlation id if it lasts";
const NETWORK: &str = "look at the network of the endpoint that left";

/// code, subCode, meaning, advice.
type Row = (Option<i32>, Option<i32>, &'static str, &'static str);

#[rustfmt::skip] // a table keeps its columns
const TABLE: &[Row] = &[
    // Media operations.
    (Some(200), Some(0),     "the operation succeeded", ""),
    (None,      Some(8508),  "the operation was cancelled, by a cancel request or by another operation that cut it off", ""),
    (None,      Some(8510),  "nothing was keyed in or said before the initial silence ran out", "repeat the prompt, or give more time with initialSilenceTimeoutInSeconds"),
    (None,      Some(8511),  "the prompt of the recognition could not be played", "check the prompt's source; failedPlaySourceIndex says which one"),
    (None,      Some(8512),  "the service failed inside", LATER),
    (None,      Some(8514),  "a stop tone ended the input", ""),
    (None,      Some(8531),  "the wanted number of keys was pressed", ""),
    (None,      Some(8532),  "the pause between two keys grew too long", "use the keys that came, or give more time with interToneTimeoutInSeconds"),
    (None,      Some(8533),  "a key chose one of the options", ""),
    (None,      Some(8534),  "the key pressed stands for no option", "repeat the prompt and name the keys"),
    (None,      Some(8535),  "the audio file has a format that cannot be played", "offer WAV (16 kHz, 16 bit, mono) or MP3"),
    (None,      Some(8536),  "the audio file could not be fetched", "check that its URL answers without a login and from outside your network"),
    (None,      Some(8545),  "what was said chose one of the options", ""),
    (None,      Some(8547),  "what was said matches none of the options", "repeat the prompt, or add phrases to the choices"),
    (None,      Some(8563),  "the speech was not understood", "repeat the prompt; check speechLanguage"),
    (None,      Some(8564),  "the connection to the speech service failed", SPEECH),
    (Some(400), Some(8565),  "the speech service refused the request as invalid", "check voice, language and SSML"),
    (Some(401), Some(8565),  "the speech service did not accept the credentials", "give the communication resource's managed identity access to the speech resource"),
    (Some(403), Some(8565),  "the speech service's quota is used up", "raise the quota of the speech resource"),
    (Some(408), Some(8565),  "the speech service did not answer in time", LATER),
    (Some(429), Some(8565),  "too many requests run at the speech service at once", "raise its concurrency limit, or play files instead of text"),
    (None,      Some(8565),  "the speech service failed", SPEECH),
    (None,      Some(8572),  "the playing service was shutting down", "play again"),
    (None,      Some(8582),  "the text or SSML to speak is empty", "give it some words"),
    (None,      Some(9999),  "the service failed for a reason it does not name", LATER),
    // Refusals of requests.
    (None,      Some(8522),  "the call, participant or recording does not exist, or no longer", "check the id; after CallDisconnected a call answers like this"),
    (None,      Some(8523),  "a member of the request is invalid", "the message names it"),
    (None,      Some(8501),  "the call is over or in a state that does not allow the operation", "wait for CallConnected, and stop after CallDisconnected"),
    (None,      Some(8528),  "the call is over", "stop after CallDisconnected"),
    (None,      Some(8585),  "the call is over or in a state that does not allow the operation", "stop after CallDisconnected"),
    (None,      Some(8519),  "the request conflicts with another one", "wait for the other one to end"),
    (None,      Some(7509),  "the signature of the request was not accepted", "check the access key, the clock of this machine, and proxies that rewrite URLs"),
    // Ends of calls.
    (Some(0),   Some(0),     "the local party ended the call", ""),
    (Some(487), Some(0),     "the caller gave up before anybody answered", ""),
    (None,      Some(540487), "the caller gave up before anybody answered", ""),
    (Some(603), Some(0),     "the called party declined", ""),
    (None,      Some(4097),  "the organiser ended the call for everyone", ""),
    (None,      Some(5000),  "another participant removed this one", ""),
    (None,      Some(5300),  "another participant removed this one", ""),
    (None,      Some(5003),  "all endpoints of the called party declined", ""),
    (None,      Some(10024), "all endpoints of the called party declined", ""),
    (None,      Some(7000),  "the platform ended the call", ""),
    (None,      Some(7015),  "the call was transferred away", ""),
    (None,      Some(18503), "the other party left, and with it the call ended", ""),
    (None,      Some(10003), "the call was answered by another endpoint", ""),
    (None,      Some(10004), "nobody answered in time", "try again later, or ring somebody else"),
    (None,      Some(10057), "an endpoint stopped answering the platform", NETWORK),
    (None,      Some(8537),  "an endpoint stopped sending signs of life", NETWORK),
    (None,      Some(560000), "the telephone party hung up", ""),
    (None,      Some(560486), "the telephone is busy", "try again later"),
    (None,      Some(510403), "the call was blocked as spam", "register the caller id with the carriers"),
    (None,      Some(301005), "the media connection was lost", NETWORK),
    (None,      Some(4507),  "the endpoint's access token was not accepted any more", "renew tokens before they expire"),
    // Codes alone.
    (Some(0),   None,        "the call ended normally", ""),
    (Some(200), None,        "the operation succeeded", ""),
    (Some(400), None,        "the request is invalid", "the message names the member at fault"),
    (Some(401), None,        "the credentials were not accepted", "check the access key or token, and the clock of this machine"),
    (Some(403), None,        "the resource may not do this", "check that the number is yours and that the resources are linked"),
    (Some(404), None,        "the call, participant, recording or number was not found", "check the id; after CallDisconnected a call answers like this"),
    (Some(408), None,        "somebody did not answer in time", LATER),
    (Some(409), None,        "the request conflicts with another one", "wait for the other one to end"),
    (Some(410), None,        "the media connection could not be made or was lost", NETWORK),
    (Some(429), None,        "too many requests", "wait as long as Retry-After says, then slow down"),
    (Some(430), None,        "the call could not be delivered to the called party's endpoint", "check that the endpoint is online"),
    (Some(480), None,        "the called party has no endpoint that is online", "try again later, or ring somebody else"),
    (Some(481), None,        "the endpoint could not handle the call any more", LATER),
    (Some(486), None,        "the called party is busy", "try again later"),
    (Some(487), None,        "the call was cancelled before anybody answered", ""),
    (Some(490), None,        "an endpoint's network failed", NETWORK),
    (Some(491), None,        "an endpoint's network failed", NETWORK),
    (Some(495), None,        "the endpoint's access token was not accepted any more", "renew tokens before they expire"),
    (Some(496), None,        "an endpoint's network failed", NETWORK),
    (Some(497), None,        "an endpoint's network failed", NETWORK),
    (Some(498), None,        "an endpoint's network failed", NETWORK),
    (Some(500), None,        "the service failed inside", LATER),
    (Some(502), None,        "the service failed behind its gateway", LATER),
    (Some(503), None,        "the service is overloaded or being maintained", LATER),
    (Some(504), None,        "the service did not answer its gateway in time", LATER),
    (Some(603), None,        "the called party declined", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, meaning: &str) {
        let codes: Codes = text.parse().expect("codes");
        let found = explain(codes.code, codes.sub_code).map_or("", |found| found.meaning);
        assert!(found.contains(meaning), "{text}: {found:?} does not say {meaning:?}");
    }

    #[test]
    fn the_sub_code_decides_and_the_code_refines() {
        check("400/8510", "initial silence");
        check("8510", "initial silence");
        check("200/8510", "initial silence");
        check("403/8565", "quota");
        check("418/8565", "speech service failed");
        check("0/0", "local party");
        check("200/0", "succeeded");
        check("487/0", "gave up");
        check("404/0", "not found");
        check("404", "not found");
        check("486/560486", "busy");
        check("200/560000", "hung up");
        check("404/560404", "does not know the number");
        check("503/560503", "had a fault");
        check("421/560421", "its SIP answer");
        check("404/424242", "not found");
    }

    #[test]
    fn what_is_not_in_the_table_has_no_explanation() {
        assert_eq!(explain(None, None), None);
        assert_eq!(explain(Some(299), Some(1)), None);
        assert_eq!(explain(None, Some(i32::MIN)), None);
        assert_eq!(explain(None, Some(569_999)), None);
    }

    #[test]
    fn codes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Codes>();
        let pair = |code, sub_code| Ok(Codes { code, sub_code });
        assert_eq!(read("400/8510"), pair(Some(400), Some(8510)));
        assert_eq!(read(" 0 / 560000 "), pair(Some(0), Some(560_000)));
        assert_eq!(read("560486"), pair(None, Some(560_486)));
        assert_eq!(read("0"), pair(Some(0), None));
        for bad in ["", "/", "400/", "/8510", "-1", "a/b", "400/8510/1", "99999999999"] {
            assert_eq!(read(bad), Err(BadCodes), "{bad}");
        }
    }

    #[test]
    fn the_table_has_no_pair_twice_and_no_empty_meaning() {
        let mut pairs: Vec<_> = TABLE.iter().map(|row| (row.0, row.1)).collect();
        pairs.sort_unstable();
        let all = pairs.len();
        pairs.dedup();
        assert_eq!(pairs.len(), all);
        assert!(TABLE.iter().all(|row| !row.2.is_empty()));
    }
}
