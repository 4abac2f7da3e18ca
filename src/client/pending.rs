//! An operation that is under way, and the future of its outcome.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use uuid::Uuid;

use super::error::WaitError;
use super::outcomes::Ends;
use crate::actors::{Calls, Refusal, WaitOutcome, Waiting};
use crate::ports::Later;
use crate::pure::call::Wants;
use crate::pure::operations::{DEFAULT_PATIENCE, endings};
use crate::wire::calling::WithContext;
use crate::wire::identifiers::{CallConnectionId, OperationContext};

/// An operation that Azure has accepted and whose end is being waited for. Dropping it stops the
/// waiting, not the operation.
///
/// ```no_run
/// # use switchhook::client::Prompt;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let playing = call.play(Prompt::say("One moment, please.")).await?;
/// // … something else that takes a moment …
/// let outcome = playing.outcome().await?;
/// println!("{outcome:?}");
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it stops waiting for the operation's end"]
pub struct Pending<T> {
    waiting: Waiting,
    context: Option<OperationContext>,
    ends: PhantomData<fn() -> T>,
}

impl<T: Ends> Pending<T> {
    /// The wait stands when this returns.
    pub(super) async fn put_up(
        calls: &Calls,
        call: &CallConnectionId,
        wants: Wants,
    ) -> Result<Self, Refusal> {
        let context = wants.context.clone();
        let waiting = calls.wait(call, wants, DEFAULT_PATIENCE, None).await?;
        Ok(Self { waiting, context, ends: PhantomData })
    }

    /// The context by which the operation's events are known; `None` for waits for any context.
    ///
    /// ```no_run
    /// # use switchhook::client::Prompt;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let playing = call.play(Prompt::say("One moment, please.")).await?;
    /// println!("its events carry {:?}", playing.context());
    /// # Ok(())
    /// # }
    /// ```
    pub fn context(&self) -> Option<&OperationContext> {
        self.context.as_ref()
    }

    /// The operation's end: await it, within four minutes or as [`Outcome::within`] says.
    ///
    /// ```no_run
    /// # use switchhook::client::Prompt;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let outcome = call.play(Prompt::say("Good bye.")).await?.outcome().await?;
    /// println!("{outcome:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn outcome(self) -> Outcome<T> {
        Outcome { waiting: self.waiting, ends: PhantomData }
    }
}

/// The end of an operation. Await it.
///
/// ```no_run
/// # use switchhook::client::Prompt;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let outcome = call.play(Prompt::say("Good bye.")).await?.outcome();
/// println!("{:?}", outcome.await?);
/// # Ok(())
/// # }
/// ```
#[must_use = "an outcome does nothing unless it is awaited"]
pub struct Outcome<T> {
    waiting: Waiting,
    ends: PhantomData<fn() -> T>,
}

impl<T> Outcome<T> {
    /// Replaces the timeout. It counts from when the wait was put up, before the request left.
    ///
    /// ```no_run
    /// # use switchhook::client::Prompt;
    /// # use std::time::Duration;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let playing = call.play(Prompt::say("Good bye.")).await?;
    /// let _played = playing.outcome().within(Duration::from_secs(20)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn within(self, time: Duration) -> Self {
        Self { waiting: self.waiting.within(time), ends: PhantomData }
    }
}

impl<T: Ends> IntoFuture for Outcome<T> {
    type Output = Result<T, WaitError>;
    type IntoFuture = Later<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { read(self.waiting.outcome().await) })
    }
}

fn read<T: Ends>(outcome: WaitOutcome) -> Result<T, WaitError> {
    Err(match outcome {
        WaitOutcome::Told(heard) => return Ok(T::with(&heard.event)),
        WaitOutcome::CallEnded(ending) => match T::with_call(&ending) {
            Some(end) => return Ok(end),
            None => WaitError::CallEnded(ending),
        },
        WaitOutcome::TimedOut(near_misses) => WaitError::TimedOut { near_misses },
        WaitOutcome::Cancelled => WaitError::Cancelled,
        WaitOutcome::ShuttingDown => WaitError::ShuttingDown,
        WaitOutcome::Refused => WaitError::Refused,
        WaitOutcome::Lost => WaitError::Lost,
    })
}

/// What ends the operation that a request asks for. A request without a context gets a unique one,
/// so that no other request's events can be taken for its own (rule C4).
pub(super) fn wants_of<M: WithContext>(request: &mut M) -> Wants {
    let context = request.operation_context();
    let given = context.take().filter(|context| !context.as_str().is_empty());
    let unique = || OperationContext::new(Uuid::new_v4().to_string());
    let context = context.insert(given.unwrap_or_else(unique)).clone();
    Wants::kinds(endings(M::OPERATION)).context(context)
}
