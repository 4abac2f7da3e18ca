//! Strict reading of assignments: every fault is told with its place, and never with its content.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::assignment::{
    Action, AnswerOptions, AssignmentError, Callers, Conditions, Draft, MAX_CALLERS, MAX_NOTE,
    MAX_STEPS, RejectReason, Step,
};
use super::{Digits, Key, Party};
use crate::wire::identifiers::{IdentifierKind, OperationContext, RawId, RedactedText};

type Read<T> = Result<T, AssignmentError>;

/// Longest operation context or endpoint that is taken, in bytes.
const MAX_TEXT: usize = 2_048;

fn wrong(at: &str, wants: &'static str) -> AssignmentError {
    AssignmentError::Wrong { at: at.to_owned(), wants }
}

/// The members of an object whose place and known names are given. Null is the same as absent.
struct Members<'a> {
    at: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Members<'a> {
    fn of(json: &'a Value, at: &'a str, known: &'static [&'static str]) -> Read<Self> {
        let map = json.as_object().ok_or_else(|| wrong(at, "an object"))?;
        if map.keys().any(|name| !known.contains(&name.as_str())) {
            return Err(AssignmentError::UnknownMember { at: at.to_owned(), known });
        }
        Ok(Self { at, map })
    }

    fn get(&self, name: &str) -> Option<(String, &'a Value)> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some((self.place(name), value))
    }

    fn place(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    fn text(&self, name: &str) -> Read<Option<(String, &'a str)>> {
        let read = |(at, value): (String, &'a Value)| match value.as_str() {
            Some(text) if text.len() <= MAX_TEXT => Ok((at, text)),
            _ => Err(wrong(&at, "a text of at most 2048 bytes")),
        };
        self.get(name).map(read).transpose()
    }
}

pub(super) fn draft(json: &Value) -> Read<Draft> {
    let members = Members::of(json, "", &["key", "steps", "version", "note"])?;
    let key = members
        .text("key")?
        .map(|(at, text)| Key::parse(text).map_err(|problem| AssignmentError::Key { at, problem }));
    let version = members
        .get("version")
        .map(|(at, value)| value.as_u64().ok_or_else(|| wrong(&at, "the number of a version")));
    let note = members.text("note")?.map(|(at, note)| match note.chars().count() {
        0..=MAX_NOTE => Ok(RedactedText::new(note)),
        _ => Err(wrong(&at, "a text of at most 500 characters")),
    });
    let steps = members.get("steps").ok_or(AssignmentError::NoSteps)?;
    let steps = steps.1.as_array().ok_or_else(|| wrong(&steps.0, "an array of steps"))?;
    Ok(Draft {
        key: key.transpose()?,
        steps: all_steps(steps)?,
        version: version.transpose()?,
        note: note.transpose()?,
    })
}

pub(super) fn all_steps(steps: &[Value]) -> Read<Arc<[Step]>> {
    match steps.len() {
        0 => Err(AssignmentError::NoSteps),
        1..=MAX_STEPS => {
            steps.iter().enumerate().map(|(at, json)| step(json, &format!("steps[{at}]"))).collect()
        }
        found => Err(AssignmentError::TooManySteps { found }),
    }
}

/// The plan of one redirect, written without blanks and escapes; `None` for everything else.
pub(super) fn plain_redirect(text: &str) -> Option<Arc<[Step]>> {
    let target = text.strip_prefix(r#"[{"action":{"type":"redirect","target":""#)?;
    let target = target.strip_suffix(r#""}}]"#)?;
    if target.contains(['"', '\\']) {
        return None;
    }
    let target = Party::parse(target).ok().filter(|target| !target.is_anonymous())?;
    Some(Arc::new([Step { when: None, action: Action::Redirect { target } }]))
}

fn step(json: &Value, at: &str) -> Read<Step> {
    let members = Members::of(json, at, &["when", "action"])?;
    let when = members.get("when").map(|(at, json)| conditions(json, &at)).transpose()?;
    let (at, json) =
        members.get("action").ok_or_else(|| wrong(&members.place("action"), "an action"))?;
    Ok(Step { when: when.flatten().map(Box::new), action: action(json, &at)? })
}

/// No condition at all is the same as no `when`.
fn conditions(json: &Value, at: &str) -> Read<Option<Conditions>> {
    let members = Members::of(json, at, &["caller"])?;
    let caller = members.get("caller").map(|(at, json)| callers(json, &at)).transpose()?;
    Ok(caller.map(|caller| Conditions { caller: Some(caller) }))
}

fn callers(json: &Value, at: &str) -> Read<Callers> {
    let members = Members::of(json, at, &["exact", "prefix", "anonymous"])?;
    let anonymous = members
        .get("anonymous")
        .map(|(at, value)| value.as_bool().ok_or_else(|| wrong(&at, "true or false")));
    let exact = each(&members, "exact", |text| Party::parse(text).ok())?;
    let prefix =
        each(&members, "prefix", |text| Digits::parse(text.strip_suffix('*').unwrap_or(text)))?;
    let found = exact.len() + prefix.len();
    if found > MAX_CALLERS {
        return Err(AssignmentError::TooManyCallers { at: at.to_owned(), found });
    }
    let callers = Callers { exact, prefix, anonymous: anonymous.transpose()?.unwrap_or(false) };
    if callers.is_nobody() {
        return Err(AssignmentError::Nobody { at: at.to_owned() });
    }
    Ok(callers)
}

fn each<T>(members: &Members<'_>, name: &str, read: impl Fn(&str) -> Option<T>) -> Read<Vec<T>> {
    let Some((at, value)) = members.get(name) else { return Ok(Vec::new()) };
    let texts = value.as_array().ok_or_else(|| wrong(&at, "an array of texts"))?;
    let one = |(index, text): (usize, &Value)| {
        text.as_str().and_then(&read).ok_or_else(|| match name {
            "prefix" => wrong(&format!("{at}[{index}]"), "+ and up to 15 digits, such as +1425"),
            _ => wrong(&format!("{at}[{index}]"), "a number (+14255551212) or a raw id"),
        })
    };
    texts.iter().enumerate().map(one).collect()
}

fn action(json: &Value, at: &str) -> Read<Action> {
    const TYPES: &str = "one of redirect, answer, reject, ignore";
    let kind = json.get("type").and_then(Value::as_str);
    match kind.ok_or_else(|| wrong(&format!("{at}.type"), TYPES))? {
        "redirect" => redirect(json, at),
        "answer" => answer(json, at),
        "reject" => reject(json, at),
        "ignore" => Members::of(json, at, &["type"]).map(|_| Action::Ignore),
        _ => Err(wrong(&format!("{at}.type"), TYPES)),
    }
}

fn redirect(json: &Value, at: &str) -> Read<Action> {
    let members = Members::of(json, at, &["type", "target"])?;
    let wants = "the number (+14255551212) or raw id (8:acs:...) that is rung instead";
    let target = members.text("target")?.and_then(|(_, text)| Party::parse(text).ok());
    let target = target.filter(|target| !target.is_anonymous());
    target
        .map(|target| Action::Redirect { target })
        .ok_or_else(|| wrong(&members.place("target"), wants))
}

fn answer(json: &Value, at: &str) -> Read<Action> {
    let known = &["type", "cognitiveServicesEndpoint", "answeredBy", "operationContext"];
    let members = Members::of(json, at, known)?;
    let endpoint = members.text("cognitiveServicesEndpoint")?.map(|(at, text)| {
        let host = text.strip_prefix("https://").is_some_and(|host| !host.is_empty());
        host.then(|| text.into()).ok_or_else(|| wrong(&at, "an https URL"))
    });
    let answered_by = members.text("answeredBy")?.map(|(at, text)| {
        let user = IdentifierKind::of_raw_id(text) == IdentifierKind::CommunicationUser;
        user.then(|| RawId::new(text)).ok_or_else(|| wrong(&at, "an identity, 8:acs:..."))
    });
    let context = members.text("operationContext")?.map(|(at, text)| {
        let filled = (!text.is_empty()).then(|| OperationContext::new(text));
        filled.ok_or_else(|| wrong(&at, "a text that is not empty"))
    });
    Ok(Action::Answer(Box::new(AnswerOptions {
        cognitive_services_endpoint: endpoint.transpose()?,
        answered_by: answered_by.transpose()?,
        operation_context: context.transpose()?,
    })))
}

fn reject(json: &Value, at: &str) -> Read<Action> {
    let members = Members::of(json, at, &["type", "reason"])?;
    let reason = match members.text("reason")? {
        None => RejectReason::None,
        Some((at, text)) => RejectReason::ALL
            .into_iter()
            .find(|reason| reason.wire() == text)
            .ok_or_else(|| wrong(&at, "one of none, busy, forbidden"))?,
    };
    Ok(Action::Reject { reason })
}
