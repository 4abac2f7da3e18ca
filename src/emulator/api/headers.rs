//! `customCallingContext`: the headers for the invited party, and how many of what form there may be.
//!
//! Owns the documented limits. The texts of its refusals name limits, never what was sent.

use serde_json::Value;

use crate::emulator::world::{Refusal, is_user_to_user};
use crate::wire::events::grid::CustomContext;
use crate::wire::identifiers::Identifier;

/// VoIP headers of one call.
const VOIP_HEADERS: usize = 1000;
/// Characters of a VoIP header's value.
const VOIP_VALUE: usize = 1024;
/// SIP headers of one call beside User-To-User.
const SIP_HEADERS: usize = 5;
/// Characters of a SIP header's value.
const SIP_VALUE: usize = 256;
/// Characters of any header's name.
const NAME: usize = 64;
/// What a SIP header's name may hold beside letters and digits; its value may hold `=` and `;` as well.
const SIP_SIGNS: &str = ".!%*_+~-";
/// Characters of a Teams call's topic.
const CALL_TOPIC: usize = 48;

/// Reads and checks the headers for an invited party. None at all are the same as an absent context.
///
/// # Errors
/// [`Refusal`] when there are too many headers, or one is too long or of the wrong form.
pub fn custom_context(value: Option<&Value>) -> Result<Option<CustomContext>, Refusal> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let read = serde_json::from_value::<CustomContext>(value.clone());
    let read = read.map_err(|_| {
        Refusal::bad(
            "The field CustomCallingContext must hold sipHeaders and voipHeaders, maps of texts.",
        )
    })?;
    check_voip(&read)?;
    check_sip(&read)?;
    check_teams(value.get("teamsPhoneCallDetails"))?;
    let none = read.sip_headers.is_empty() && read.voip_headers.is_empty();
    Ok((!none).then_some(read))
}

fn is_longer(text: &str, most: usize) -> bool {
    text.chars().nth(most).is_some()
}

fn check_voip(read: &CustomContext) -> Result<(), Refusal> {
    if read.voip_headers.len() > VOIP_HEADERS {
        return Err(Refusal::bad(format!("At most {VOIP_HEADERS} voipHeaders are allowed.")));
    }
    let too_long = |(name, value): (&String, &Option<String>)| {
        name.is_empty()
            || is_longer(name, NAME)
            || is_longer(value.as_deref().unwrap_or_default(), VOIP_VALUE)
    };
    if read.voip_headers.iter().any(too_long) {
        return Err(Refusal::bad(format!(
            "The name of a voipHeader has 1 to {NAME} characters, its value at most {VOIP_VALUE}."
        )));
    }
    Ok(())
}

fn check_sip(read: &CustomContext) -> Result<(), Refusal> {
    let (user_to_user, custom): (Vec<_>, Vec<_>) =
        read.sip_headers.iter().partition(|(name, _)| is_user_to_user(name));
    if user_to_user.len() > 1 || custom.len() > SIP_HEADERS {
        return Err(Refusal::bad(format!(
            "At most {SIP_HEADERS} sipHeaders beside one User-To-User are allowed."
        )));
    }
    let wrong_name = |name: &str| {
        let sign = |c: char| c.is_ascii_alphanumeric() || SIP_SIGNS.contains(c);
        // The JavaScript SDK can leave `MS-Custom-` out.
        let prefixed = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-"));
        !prefixed || is_longer(name, NAME) || !name.chars().all(sign)
    };
    if custom.iter().any(|(name, _)| wrong_name(name)) {
        return Err(Refusal::bad(format!(
            "The name of a sipHeader is User-To-User, or begins with X-MS-Custom- and has at most {NAME} characters: letters, digits and {SIP_SIGNS}"
        )));
    }
    let wrong_value = |value: &str| {
        let sign = |c: char| c.is_ascii_alphanumeric() || SIP_SIGNS.contains(c) || "=;".contains(c);
        is_longer(value, SIP_VALUE) || !value.chars().all(sign)
    };
    if read.sip_headers.values().flatten().any(|value| wrong_value(value)) {
        return Err(Refusal::bad(format!(
            "The value of a sipHeader has at most {SIP_VALUE} characters: letters, digits and {SIP_SIGNS}=;"
        )));
    }
    Ok(())
}

/// What a Teams Phone call says of its caller and its source. More than ten pairs of additional
/// information are allowed, and ignored.
fn check_teams(details: Option<&Value>) -> Result<(), Refusal> {
    let Some(details) = details.filter(|details| !details.is_null()) else { return Ok(()) };
    let topic = details.get("callTopic").and_then(Value::as_str).unwrap_or_default();
    if is_longer(topic, CALL_TOPIC) {
        return Err(Refusal::bad(format!(
            "The field CallTopic has at most {CALL_TOPIC} characters."
        )));
    }
    check_part(details, "teamsPhoneCallerDetails", "caller", &["name", "phoneNumber"])?;
    check_part(details, "teamsPhoneSourceDetails", "source", &["language", "status"])
}

fn check_part(details: &Value, part: &str, who: &str, texts: &[&str]) -> Result<(), Refusal> {
    let Some(part) = details.get(part).filter(|part| !part.is_null()) else { return Ok(()) };
    let identifier = part.get(who).cloned().unwrap_or_default();
    let named = serde_json::from_value::<Identifier>(identifier).is_ok();
    let text = |member: &&&str| part.get(**member).and_then(Value::as_str).is_none();
    match texts.iter().find(text) {
        _ if !named => Err(Refusal::missing(who)),
        Some(member) => Err(Refusal::missing(member)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn many(prefix: &str, count: usize) -> Value {
        let pair = |number| (format!("{prefix}{number}"), json!("x"));
        Value::Object((0..count).map(pair).collect::<Map<_, _>>())
    }

    #[track_caller]
    fn check(context: Value, taken: bool) {
        let read = custom_context(Some(&context));
        assert_eq!(read.is_ok(), taken, "{:?}", read.err().map(|refusal| refusal.message));
    }

    #[test]
    fn the_documented_limits_hold() {
        check(json!({ "voipHeaders": many("k", 1000) }), true);
        check(json!({ "voipHeaders": many("k", 1001) }), false);
        check(json!({ "voipHeaders": { "k".repeat(64): "v".repeat(1024) } }), true);
        check(json!({ "voipHeaders": { "k".repeat(65): "v" } }), false);
        check(json!({ "voipHeaders": { "k": "v".repeat(1025) } }), false);
        let mut sip = many("X-MS-Custom-", 5);
        sip["User-To-User"] = json!("616d;encoding=hex");
        check(json!({ "sipHeaders": sip }), true);
        check(json!({ "sipHeaders": many("X-MS-Custom-", 6) }), false);
        check(json!({ "sipHeaders": { "User-To-User": "1", "userToUser": "2" } }), false);
        check(json!({ "sipHeaders": { "Queue": "1" } }), false);
        check(json!({ "sipHeaders": { "x-queue": "1" } }), true);
        check(json!({ "sipHeaders": { "X-MS-Custom-a b": "1" } }), false);
        check(json!({ "sipHeaders": { format!("X-MS-Custom-{}", "k".repeat(52)): "1" } }), true);
        check(json!({ "sipHeaders": { format!("X-MS-Custom-{}", "k".repeat(53)): "1" } }), false);
        check(json!({ "sipHeaders": { "X-MS-Custom-a": "v".repeat(256) } }), true);
        check(json!({ "sipHeaders": { "X-MS-Custom-a": "v".repeat(257) } }), false);
        check(json!({ "sipHeaders": { "X-MS-Custom-a": "two words" } }), false);
        check(json!({ "sipHeaders": [1] }), false);
        let topic =
            |length| json!({ "teamsPhoneCallDetails": { "callTopic": "t".repeat(length) } });
        check(topic(48), true);
        check(topic(49), false);
        let caller = |details: Value| json!({ "teamsPhoneCallDetails": { "teamsPhoneCallerDetails": details } });
        let named =
            json!({ "caller": { "rawId": "4:+1425" }, "name": "n", "phoneNumber": "+1425" });
        check(caller(named), true);
        check(caller(json!({ "name": "n", "phoneNumber": "+1425" })), false);
        check(caller(json!({ "caller": { "rawId": "4:+1425" }, "name": "n" })), false);
    }

    #[test]
    fn no_headers_are_no_context() {
        for empty in [json!(null), json!({}), json!({ "voipHeaders": {}, "sipHeaders": null })] {
            assert_eq!(custom_context(Some(&empty)).expect("taken"), None);
        }
        assert_eq!(custom_context(None).expect("taken"), None);
    }
}
