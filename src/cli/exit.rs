//! Exit codes, and what is told when a command fails.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Map, Value};

/// How a command ends. The numbers are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// It failed for a reason that has no number of its own.
    Failed = 1,
    /// The arguments cannot be read.
    Usage = 2,
    /// There is no such call, number or code.
    NotFound = 3,
    /// Somebody else was quicker, or it contradicts what is there.
    Conflict = 4,
    /// The token is missing, unknown or too weak.
    NotPermitted = 5,
    /// Nobody answers at that address.
    Unreachable = 6,
    /// It took longer than allowed.
    TimedOut = 7,
    /// It is not as was expected.
    Unexpected = 8,
    /// A file or value given is not well formed.
    InvalidInput = 9,
    /// The settings are faulty.
    Configuration = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What commands return.
pub(super) type Done<T = ()> = Result<T, Failure>;

/// Why a command ends without being done.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    /// In place of the exit's own number.
    code: Option<u8>,
    told: Told,
}

#[derive(Debug)]
enum Told {
    /// Whoever read the output has gone, which is no fault.
    Nothing,
    Text(String),
    /// A problem document (RFC 9457).
    Problem(Map<String, Value>),
}

impl Failure {
    /// With a sentence that says what to do.
    pub(super) fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, code: None, told: Told::Text(text.to_string()) }
    }

    /// Another program's exit code, passed on. That program has said why itself.
    pub(super) fn passed_on(code: u8) -> Self {
        Self { exit: Exit::Failed, code: Some(code), told: Told::Nothing }
    }

    /// The same with this exit code, where another convention than ours is expected.
    pub(super) fn with_code(self, code: u8) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The reader of standard output has gone, as `head` does when it has enough.
    pub(super) fn reader_gone() -> Self {
        Self { exit: Exit::Done, code: None, told: Told::Nothing }
    }

    /// A problem that the service answered with.
    pub(super) fn problem(status: u16, problem: Map<String, Value>) -> Self {
        let code = problem.get("code").and_then(Value::as_str).unwrap_or_default();
        Self { exit: exit_of(status, code), code: None, told: Told::Problem(problem) }
    }

    /// The number with which it ends.
    pub(super) fn code(&self) -> u8 {
        self.code.unwrap_or(self.exit as u8)
    }

    /// For people: the sentence, then what belongs to it. `None` when there is nothing to say.
    pub(super) fn text(&self) -> Option<String> {
        match &self.told {
            Told::Nothing => None,
            Told::Text(text) => Some(text.clone()),
            Told::Problem(problem) => Some(problem_text(problem)),
        }
    }

    /// For scripts.
    pub(super) fn json(&self) -> Option<Value> {
        match &self.told {
            Told::Nothing => None,
            Told::Text(text) => Some(serde_json::json!({ "exit": self.code(), "detail": text })),
            Told::Problem(problem) => Some(Value::Object(problem.clone())),
        }
    }
}

/// The code tells more than the status where one status has several meanings.
fn exit_of(status: u16, code: &str) -> Exit {
    match (status, code) {
        (_, "wait_cancelled" | "call_ended") => Exit::Failed,
        (_, "cursor_gone") => Exit::InvalidInput,
        (_, "version_gone") => Exit::NotFound,
        (401 | 403, _) => Exit::NotPermitted,
        (404, _) => Exit::NotFound,
        (408 | 504, _) => Exit::TimedOut,
        (409 | 412, _) => Exit::Conflict,
        (400..=499, _) => Exit::InvalidInput,
        _ => Exit::Failed,
    }
}

fn problem_text(problem: &Map<String, Value>) -> String {
    let member = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("{} ({})", member("title"), member("code"));
    if !member("detail").is_empty() {
        text.push_str(&format!("\n  {}", member("detail")));
    }
    let known = ["type", "title", "status", "code", "detail"];
    let nothing = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    for (name, value) in problem {
        if !known.contains(&name.as_str()) && !nothing(value) {
            text.push_str(&format!("\n  {name}: {value}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Code;

    #[test]
    fn every_problem_of_the_service_has_an_exit_code() {
        for code in Code::ALL {
            let (status, name, _) = code.face();
            let exit = exit_of(status, name);
            let expected = match name {
                "unauthorized" | "forbidden" => Exit::NotPermitted,
                "not_found"
                | "call_not_found"
                | "number_not_found"
                | "version_not_found"
                | "letter_not_found"
                | "operation_not_found"
                | "version_gone" => Exit::NotFound,
                "wait_timed_out" => Exit::TimedOut,
                "redirect_cycle"
                | "too_many_numbers"
                | "version_conflict"
                | "nothing_to_roll_back" => Exit::Conflict,
                "call_ended" | "wait_cancelled" => Exit::Failed,
                _ if status >= 500 => Exit::Failed,
                _ => Exit::InvalidInput,
            };
            assert_eq!(exit, expected, "{name}");
        }
    }

    #[test]
    fn a_problem_is_told_with_code_detail_and_what_else_it_says() {
        let problem = serde_json::json!({"type": "urn:x", "title": "no such event came in time",
            "status": 408, "code": "wait_timed_out", "nearMisses": ["x"], "others": []});
        let failure = Failure::problem(408, problem.as_object().cloned().unwrap_or_default());
        let text = "no such event came in time (wait_timed_out)\n  nearMisses: [\"x\"]";
        assert_eq!(failure.text().as_deref(), Some(text));
        assert_eq!(failure.json(), Some(problem));
    }
}
