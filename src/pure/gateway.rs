//! What the gateway changes in a request, and nothing more: a context of its own where there is none,
//! and callback URLs that lead to us.
//!
//! Every other member is passed on letter by letter, known or not. Whether a request makes sense is
//! for the call service to say: what cannot be read here is passed on as it is, and refused there.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

use super::operations::takes_context;
use crate::wire::calling::Operation;
use crate::wire::identifiers::OperationContext;

/// The members in which callers say where events shall be posted.
const CALLBACK_MEMBERS: [&str; 3] =
    ["callbackUri", "operationCallbackUri", "recordingStateCallbackUri"];

const CONTEXT_MEMBER: &str = "operationContext";

/// What the gateway puts in.
pub struct Ours<'a> {
    /// A context that no other request has.
    pub context: &'a dyn Fn() -> String,
    /// Our callback URL, from which events are forwarded to the caller's; `None` forwards to nobody.
    pub callback: &'a dyn Fn(Option<&str>) -> Result<String, BadCallback>,
}

/// A caller's URL to which nothing can be posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCallback {
    /// Not a URL of a host.
    #[error("it must be an absolute http or https URL")]
    NotAUrl,
    /// Addresses of the machine's own surroundings, where no application listens.
    #[error("link-local and metadata addresses are not posted to")]
    Forbidden,
    /// It would not fit into a URL.
    #[error("it is longer than 2048 bytes")]
    TooLong,
}

/// Why a request is not passed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member} cannot be used: {reason}")]
pub struct BadRequest {
    /// Which member of the body.
    pub member: &'static str,
    /// What is wrong with it.
    pub reason: BadCallback,
}

/// A request as it is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The body to send.
    pub body: Vec<u8>,
    /// The context that its events will carry, when the operation has one.
    pub context: Option<OperationContext>,
}

/// Puts what is ours into a body.
///
/// # Errors
/// [`BadRequest`] when the caller's own URL is none.
pub fn rewrite(
    operation: Operation,
    body: &[u8],
    ours: &Ours<'_>,
) -> Result<Rewritten, BadRequest> {
    let as_it_is = || Rewritten { body: body.to_vec(), context: None };
    let nothing = body.iter().all(u8::is_ascii_whitespace);
    let mut members: BTreeMap<String, Box<RawValue>> = match serde_json::from_slice(body) {
        Ok(members) => members,
        Err(_) if nothing && takes_context(operation) => BTreeMap::new(),
        Err(_) => return Ok(as_it_is()),
    };
    for member in CALLBACK_MEMBERS {
        let opens = match member {
            "callbackUri" => opens_a_call(operation),
            "recordingStateCallbackUri" => operation == Operation::StartRecording,
            _ => false,
        };
        let target = match members.get(member).map(|value| text(value)) {
            Some(Given::Text(target)) => Some(target),
            // A call or recording whose events nobody asked for can still be waited for.
            Some(Given::Nothing) | None if opens => None,
            Some(Given::Other | Given::Nothing) | None => continue,
        };
        let bad = |reason| BadRequest { member, reason };
        let url = (ours.callback)(target.as_deref()).map_err(bad)?;
        members.insert(member.to_owned(), raw(&url));
    }
    let context = takes_context(operation).then(|| context(&mut members, ours)).flatten();
    let Ok(body) = serde_json::to_vec(&members) else { return Ok(as_it_is()) };
    Ok(Rewritten { body, context })
}

/// The caller's own context, or ours where there is none.
fn context(
    members: &mut BTreeMap<String, Box<RawValue>>,
    ours: &Ours<'_>,
) -> Option<OperationContext> {
    let given = members.get(CONTEXT_MEMBER).map_or(Given::Nothing, |value| text(value));
    match given {
        Given::Text(context) => Some(context.as_str().into()),
        // The call service says what it thinks of that.
        Given::Other => None,
        Given::Nothing => {
            let context = (ours.context)();
            members.insert(CONTEXT_MEMBER.to_owned(), raw(&context));
            Some(context.as_str().into())
        }
    }
}

/// What stands in a member that should hold a text.
enum Given {
    Text(String),
    /// Null, or a text with nothing in it.
    Nothing,
    /// Something else.
    Other,
}

fn text(value: &RawValue) -> Given {
    match serde_json::from_str::<Option<String>>(value.get()) {
        Ok(Some(text)) if !text.is_empty() => Given::Text(text),
        Ok(_) => Given::Nothing,
        Err(_) => Given::Other,
    }
}

fn raw(text: &str) -> Box<RawValue> {
    to_raw_value(text).expect("a text is JSON")
}

/// Whether the operation makes a call of ours, with the callback URL of all that follows.
pub fn opens_a_call(operation: Operation) -> bool {
    matches!(operation, Operation::CreateCall | Operation::AnswerCall | Operation::Connect)
}

/// Gives the links of an answer the origin at which the caller has reached us. They would lead past us
/// otherwise, to where the caller's key is unknown. `None` when there is nothing to change.
pub fn rewrite_links(body: &[u8], origin: &str) -> Option<Vec<u8>> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
    let Given::Text(link) = text(members.get("nextLink")?) else { return None };
    let (_, rest) = link.split_once("://")?;
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    members.insert("nextLink".to_owned(), raw(&format!("{origin}{path}")));
    serde_json::to_vec(&members).ok()
}

/// Whether a header belongs to one connection, or to the proof of one caller, and is not passed on.
/// The name is in lower case.
pub fn stays_here(header: &str) -> bool {
    matches!(
        header,
        "authorization"
            | "accept-encoding"
            | "connection"
            | "content-length"
            | "cookie"
            | "date"
            | "expect"
            | "host"
            | "keep-alive"
            | "prefer"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "x-ms-content-sha256"
            | "x-ms-date"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pass(operation: Operation, body: &str) -> Result<Rewritten, BadRequest> {
        let callback = |target: Option<&str>| match target {
            Some("nonsense") => Err(BadCallback::NotAUrl),
            Some(target) => Ok(format!("https://ours.example/?to={target}")),
            None => Ok("https://ours.example/".to_owned()),
        };
        rewrite(
            operation,
            body.as_bytes(),
            &Ours { context: &|| "made-up".into(), callback: &callback },
        )
    }

    #[track_caller]
    fn passed(operation: Operation, body: Value) -> (Value, Option<String>) {
        let rewritten = pass(operation, &body.to_string()).expect("passed on");
        let body = serde_json::from_slice(&rewritten.body).expect("JSON");
        (body, rewritten.context.map(|context| context.as_str().to_owned()))
    }

    #[test]
    fn c4_every_request_that_has_a_context_has_one_of_its_own() {
        for operation in Operation::ALL.iter().copied().filter(|it| takes_context(*it)) {
            for missing in
                [json!({}), json!({ "operationContext": null }), json!({ "operationContext": "" })]
            {
                let (body, context) = passed(operation, missing);
                assert_eq!(body["operationContext"], "made-up", "{}", operation.label());
                assert_eq!(context.as_deref(), Some("made-up"));
            }
            let (body, context) = passed(operation, json!({ "operationContext": "mine" }));
            assert_eq!(body["operationContext"], "mine");
            assert_eq!(context.as_deref(), Some("mine"));
            let rewritten = pass(operation, "").expect("passed on");
            assert!(rewritten.context.is_some(), "a body of nothing gets one, too");
        }
    }

    #[test]
    fn operations_without_a_context_get_none() {
        let body = json!({ "incomingCallContext": "x" });
        assert_eq!(passed(Operation::RejectCall, body.clone()), (body, None));
        assert_eq!(pass(Operation::CancelAllMediaOperations, "").expect("passed").body, b"");
    }

    #[test]
    fn callbacks_lead_to_us_and_know_where_they_are_to_go() {
        let (body, _) = passed(Operation::CreateCall, json!({ "callbackUri": "https://app/" }));
        assert_eq!(body["callbackUri"], "https://ours.example/?to=https://app/");
        let (body, _) = passed(Operation::CreateCall, json!({}));
        assert_eq!(
            body["callbackUri"], "https://ours.example/",
            "waits need no URL of the caller's"
        );
        let (body, _) = passed(Operation::Play, json!({}));
        assert!(body.get("operationCallbackUri").is_none() && body.get("callbackUri").is_none());
        let (body, _) = passed(Operation::Play, json!({ "operationCallbackUri": "https://op/" }));
        assert_eq!(body["operationCallbackUri"], "https://ours.example/?to=https://op/");
        let given = json!({ "recordingStateCallbackUri": "https://r/" });
        let (body, _) = passed(Operation::StartRecording, given);
        assert_eq!(body["recordingStateCallbackUri"], "https://ours.example/?to=https://r/");
        let bad =
            pass(Operation::CreateCall, r#"{"callbackUri":"nonsense"}"#).expect_err("refused");
        assert_eq!(bad, BadRequest { member: "callbackUri", reason: BadCallback::NotAUrl });
    }

    #[test]
    fn everything_else_is_passed_on_letter_by_letter() {
        let given = r#"{"future":{"b":1.50,"a":12345678901234567890123,"c":"\u00e9"},"loop":true}"#;
        let rewritten = pass(Operation::Play, given).expect("passed on");
        let text = String::from_utf8(rewritten.body).expect("a text");
        assert!(
            text.contains(r#""future":{"b":1.50,"a":12345678901234567890123,"c":"\u00e9"}"#),
            "{text}"
        );
        for unreadable in ["[1]", "{", "null", r#"{"operationContext":7}"#] {
            let rewritten = pass(Operation::Play, unreadable).expect("passed on");
            assert_eq!(rewritten.body, unreadable.as_bytes(), "{unreadable}");
            assert_eq!(rewritten.context, None);
        }
    }

    #[test]
    fn the_next_page_is_asked_from_us() {
        let page = br#"{"value":[],"nextLink":"https://contoso.example/calling/x?token=a%2Bb"}"#;
        let ours = rewrite_links(page, "http://127.0.0.1:8081").expect("a link");
        let ours: Value = serde_json::from_slice(&ours).expect("JSON");
        assert_eq!(ours["nextLink"], "http://127.0.0.1:8081/calling/x?token=a%2Bb");
        for none in [r#"{"value":[]}"#, r#"{"nextLink":null}"#, r#"{"nextLink":"/rooted"}"#, "x"] {
            assert_eq!(rewrite_links(none.as_bytes(), "http://h"), None, "{none}");
        }
    }
}
