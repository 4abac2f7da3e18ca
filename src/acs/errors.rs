//! What Azure and the transport say when something goes wrong, made fit to be repeated.
//!
//! Azure's error bodies come in several shapes, or not at all. Its sentences sometimes quote the
//! request; whatever could be a number, an id of a person, a ticket or a URL is left out of them.

use std::error::Error as _;

use serde::Deserialize;

/// Longer sentences are cut.
const MAX_MESSAGE_CHARS: usize = 400;

/// What an error body says. Both parts may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Azure's code, a text even when it looks like a number.
    pub code: String,
    /// Azure's sentence, made discreet.
    pub message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Option<Box<Body>>,
    code: serde_json::Value,
    message: Option<String>,
    #[serde(rename = "Message")]
    old_message: Option<String>,
}

impl Said {
    /// Reads `{"error":{"code","message"}}`, the flat form, or nothing at all.
    pub fn read(body: &[u8]) -> Self {
        let Ok(outer) = serde_json::from_slice::<Body>(body) else { return Self::default() };
        let inner = outer.error.map_or_else(Body::default, |inner| *inner);
        let code = match (inner.code, outer.code) {
            (serde_json::Value::String(code), _) | (_, serde_json::Value::String(code)) => code,
            (serde_json::Value::Number(code), _) | (_, serde_json::Value::Number(code)) => {
                code.to_string()
            }
            _ => String::new(),
        };
        let message = inner.message.or(inner.old_message).or(outer.message).or(outer.old_message);
        Self { code: discreet(&code), message: discreet(&message.unwrap_or_default()) }
    }
}

/// A sentence without the words that may identify a person or open a door.
fn discreet(sentence: &str) -> String {
    let between = |c: char| c.is_whitespace() || "'\"(),;<>[]{}".contains(c);
    let mut kept = String::new();
    for piece in sentence.split_inclusive(between) {
        let word = piece.trim_end_matches(between);
        kept.push_str(if is_private(word) { "…" } else { word });
        kept.push_str(&piece[word.len()..]);
    }
    kept.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect()
}

fn is_private(word: &str) -> bool {
    let longest_number = word.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    let is_raw_id = ["4:", "8:", "28:"].iter().any(|prefix| word.starts_with(prefix));
    longest_number >= 7
        || (word.contains('+') && longest_number >= 4)
        || is_raw_id
        || word.contains("://")
        || word.len() > 64
}

/// What the transport says, down to the last cause; never with the URL.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.last().is_some_and(|last| last.contains(&text)) {
            said.push(text);
        }
        next = cause.source();
    }
    if said.is_empty() {
        return if error.is_timeout() { "timed out".into() } else { "transport error".into() };
    }
    discreet(&said.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, code: &str, message: &str) {
        let said = Said::read(body.as_bytes());
        assert_eq!((said.code.as_str(), said.message.as_str()), (code, message));
    }

    #[test]
    fn error_bodies_are_read_in_every_shape() {
        check(
            r#"{"error":{"code":"8522","message":"Call not found."}}"#,
            "8522",
            "Call not found.",
        );
        check(r#"{"code":"8523","message":"Bad."}"#, "8523", "Bad.");
        check(r#"{"error":{"code":8522}}"#, "8522", "");
        check(r#"{"Message":"No HTTP resource was found."}"#, "", "No HTTP resource was found.");
        check(r#"{"error":null,"extra":[1]}"#, "", "");
        check(r#"{"error":"nope"}"#, "", "");
        check("<html>Bad gateway</html>", "", "");
        check("", "", "");
        check("[]", "", "");
    }

    #[test]
    fn sentences_are_repeated_without_numbers_tickets_and_urls() {
        for (said, kept) in [
            ("The number +14255551212 is not yours.", "The number … is not yours."),
            ("Participant '8:acs:r_u' not found", "Participant '…' not found"),
            ("bad CallbackUri: https://h/?key=s, sorry", "bad CallbackUri: …, sorry"),
            ("retry in 30 seconds (8522)", "retry in 30 seconds (8522)"),
            ("two\nlines", "twolines"),
        ] {
            assert_eq!(discreet(said), kept);
        }
        assert_eq!(discreet(&format!("ctx {}", "x".repeat(65))), "ctx …");
        assert_eq!(discreet(&"long ".repeat(1_000)).chars().count(), MAX_MESSAGE_CHARS);
    }
}
