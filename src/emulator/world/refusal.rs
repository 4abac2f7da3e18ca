//! Answers of the API: a status with a body, or a refusal in Azure's shape.

use serde::Serialize;
use serde_json::{Value, json};

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON, or nothing.
    pub body: Option<Value>,
}

impl Reply {
    /// A status without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, body: None }
    }

    /// A status with a body.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self { status, body: serde_json::to_value(body).ok() }
    }
}

/// Why something was refused. The text says what to do and never repeats what the caller sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Azure's code, a text even when it looks like a number.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// Any refusal.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// An argument that Azure does not take.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "8523", message)
    }

    /// A member that must be there and is not.
    pub fn missing(member: &str) -> Self {
        Self::bad(format!("The field {member} is required."))
    }

    /// No such call, or it has ended.
    pub fn call_not_found() -> Self {
        Self::new(404, "8522", "Call not found.")
    }

    /// Nobody of that name in the call.
    pub fn participant_not_found() -> Self {
        Self::new(404, "8522", "Participant not found.")
    }

    /// The call cannot do this now.
    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(400, "8501", message)
    }

    /// What is asked for is so already.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "8519", message)
    }

    /// A call takes no more participants.
    pub fn call_full() -> Self {
        Self::bad("The call has as many participants as it can hold.")
    }

    /// A limit of the emulator.
    pub fn full(what: &str) -> Self {
        Self::new(429, "TooManyRequests", format!("The emulator holds no more {what}."))
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let error = json!({ "code": refusal.code, "message": refusal.message });
        Self { status: refusal.status, body: Some(json!({ "error": error })) }
    }
}
