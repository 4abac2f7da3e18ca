//! What can go wrong between asking and hearing.

use crate::actors::Refusal;
use crate::ports::UpstreamError;
use crate::pure::call::{Ending, NearMiss};
use crate::pure::codes::Codes;
use crate::wire::calling::Operation;
use crate::wire::identifiers::CallConnectionId;

/// Why something could not be asked for. No wait is left behind.
///
/// ```no_run
/// # use switchhook::client::AskError;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.hang_up().await {
///     Ok(()) => println!("over"),
///     Err(error) if error.is_not_found() => println!("it was over before"),
///     Err(AskError::Upstream(error)) => println!("Azure says no: {error}"),
///     Err(other) => return Err(other.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Azure refused, failed or could not be reached.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Its events could not be waited for, so it was not asked for.
    #[error("the operation was not started: {0}")]
    NotStarted(#[from] Refusal),
    /// The call exists, but there was no room to follow it.
    #[error("call {call} exists but cannot be followed ({reason}); hang it up by its id")]
    Untracked {
        /// The call that Azure made.
        call: CallConnectionId,
        /// Why it cannot be followed.
        reason: Refusal,
    },
}

impl AskError {
    pub(super) fn no_call_id(operation: Operation) -> Self {
        let reason = "no callConnectionId in the answer".to_owned();
        Self::Upstream(UpstreamError::Unreadable { operation: operation.label(), reason })
    }

    /// Whether Azure knows no such call (or participant), or no longer.
    ///
    /// ```no_run
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Err(error) = call.hang_up().await {
    ///     assert!(error.is_not_found(), "the caller was faster");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.status() == Some(404))
    }
}

/// Why an operation's end was not heard.
///
/// ```no_run
/// # use switchhook::client::{Prompt, WaitError};
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// match call.play(Prompt::say("One moment.")).await?.outcome().await {
///     Ok(outcome) => println!("{outcome:?}"),
///     Err(WaitError::CallEnded(ending)) => println!("hung up in the middle: {:?}", ending.code),
///     Err(WaitError::TimedOut { near_misses }) => println!("came instead: {near_misses:?}"),
///     Err(other) => return Err(other.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WaitError {
    /// Nothing came in time. The near misses say what came instead.
    #[error("nothing came in time; {} near misses", near_misses.len())]
    TimedOut {
        /// Events that met all conditions but one.
        near_misses: Vec<NearMiss>,
    },
    /// The call ended first.
    #[error("the call ended first ({})", codes_of(.0))]
    CallEnded(Ending),
    /// The wait was cancelled.
    #[error("the wait was cancelled")]
    Cancelled,
    /// The service stops.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// The call has as many waits as it may have, or the listener was too slow for it.
    #[error("the call has too many waits, or this one did not keep up")]
    Refused,
    /// The call's state was lost to a fault of ours.
    #[error("the call's state was lost")]
    Lost,
}

impl WaitError {
    /// Of a wait that could not even be put up.
    pub(super) fn from_start(error: AskError) -> Self {
        match error {
            AskError::NotStarted(Refusal::ShuttingDown) => Self::ShuttingDown,
            _ => Self::Refused,
        }
    }
}

/// The codes of a call's end, for people and for [`crate::pure::codes`].
pub(super) fn codes_of(ending: &Ending) -> Codes {
    Codes { code: ending.code, sub_code: ending.sub_code }
}
