//! Waiting for a call to come up.

use std::future::IntoFuture;
use std::time::Duration;

use super::call::Call;
use super::error::WaitError;
use super::outcomes::ConnectOutcome;
use crate::ports::Later;
use crate::pure::call::{Phase, Wants};
use crate::pure::operations::endings;
use crate::wire::calling::Operation;

/// Whether a call came up. Await it.
///
/// ```no_run
/// # use switchhook::client::ConnectOutcome;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// if call.connected().await? != ConnectOutcome::Connected {
///     println!("nobody there");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing unless it is awaited"]
pub struct Connecting<'a> {
    call: &'a Call,
    within: Option<Duration>,
}

impl<'a> Connecting<'a> {
    pub(super) fn of(call: &'a Call) -> Self {
        Self { call, within: None }
    }

    /// Replaces the timeout of four minutes. It counts from when the call was made.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let outcome = call.connected().within(Duration::from_secs(40)).await?;
    /// println!("{outcome:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn within(self, time: Duration) -> Self {
        Self { within: Some(time), ..self }
    }

    /// Looks at the call too, because `CallConnected` may have come and gone before anybody waited.
    async fn outcome(self) -> Result<ConnectOutcome, WaitError> {
        let call = self.call;
        let pending = match call.take_connecting() {
            Some(pending) => pending,
            None => {
                let kinds = [Operation::CreateCall, Operation::AnswerCall, Operation::Connect]
                    .map(endings)
                    .concat();
                call.put_up(Wants::kinds(&kinds)).await.map_err(WaitError::from_start)?
            }
        };
        let view = call.inner().calls.look(call.id()).await;
        if view.is_ok_and(|view| view.state == Phase::Connected) {
            return Ok(ConnectOutcome::Connected);
        }
        let outcome = pending.outcome();
        match self.within {
            Some(time) => outcome.within(time).await,
            None => outcome.await,
        }
    }
}

impl<'a> IntoFuture for Connecting<'a> {
    type Output = Result<ConnectOutcome, WaitError>;
    type IntoFuture = Later<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outcome())
    }
}
