//! Cancelling everything that plays or listens, and hearing what that was.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::error::WaitError;
use crate::actors::{Gone, Subscription};
use crate::ports::{self, Clock, Later};
use crate::pure::call::CloseReason;
use crate::pure::operations::DEFAULT_GRACE;
use crate::wire::events::EventKind;
use crate::wire::identifiers::OperationContext;

/// One operation that was cancelled.
///
/// ```no_run
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// for cancelled in call.cancel_media().await?.await? {
///     println!("{} of {:?}", cancelled.kind.short_name(), cancelled.context);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// `PlayCanceled` or `RecognizeCanceled`.
    pub kind: EventKind,
    /// The context of the operation.
    pub context: Option<OperationContext>,
}

/// A cancellation that Azure has accepted. Await it to hear what it cancelled (rule C12).
///
/// ```no_run
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let cancelled = call.cancel_media().await?.await?;
/// println!("{} operations were cut off", cancelled.len());
/// # Ok(())
/// # }
/// ```
#[must_use = "await it to hear what was cancelled"]
pub struct Cancelling {
    events: Subscription,
    clock: Arc<dyn Clock>,
    quiet: Duration,
}

impl Cancelling {
    pub(super) fn new(events: Subscription, clock: Arc<dyn Clock>) -> Self {
        Self { events, clock, quiet: DEFAULT_GRACE }
    }

    /// How long nothing more must have come for the list to be complete; 2 s unless given. Azure
    /// does not say how many cancellations there will be, and says nothing when there are none.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let cancelling = call.cancel_media().await?.quiet_for(Duration::from_millis(500));
    /// println!("{} operations were cut off", cancelling.await?.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn quiet_for(self, quiet: Duration) -> Self {
        Self { quiet, ..self }
    }

    async fn collect(mut self) -> Result<Vec<Cancelled>, WaitError> {
        let mut cancelled = Vec::new();
        loop {
            let quiet = pin!(ports::sleep(&*self.clock, self.quiet));
            match select(pin!(self.events.next()), quiet).await {
                Either::Left((Ok(heard), _)) => {
                    let (kind, context) = (heard.event.kind.clone(), heard.event.context.clone());
                    cancelled.push(Cancelled { kind, context });
                }
                // Whatever still ran has ended with the call.
                Either::Left((Err(Gone::Closed(CloseReason::CallEnded)), _)) | Either::Right(_) => {
                    return Ok(cancelled);
                }
                Either::Left((Err(gone), _)) => return Err(disturbance(gone)),
            }
        }
    }
}

/// Why somebody who listens hears nothing more.
pub(super) fn disturbance(gone: Gone) -> WaitError {
    match gone {
        Gone::Closed(CloseReason::ShuttingDown) => WaitError::ShuttingDown,
        Gone::Closed(CloseReason::Refused) | Gone::Slow => WaitError::Refused,
        Gone::Closed(CloseReason::CallEnded) | Gone::Lost => WaitError::Lost,
    }
}

impl IntoFuture for Cancelling {
    type Output = Result<Vec<Cancelled>, WaitError>;
    type IntoFuture = Later<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.collect())
    }
}
