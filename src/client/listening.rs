//! Ongoing handlers.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::actors::{Gone, Subscription};
use crate::wire::events::CallEvent;

/// A handler that listens to a call. Dropping it detaches it, and only it.
///
/// ```no_run
/// # use switchhook::client::Prompt;
/// # use switchhook::wire::events::EventKind;
/// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
/// let listening = call.on(&[EventKind::ParticipantsUpdated], |event| async move {
///     println!("{} came or went", event.call);
/// });
/// let listening = listening.await?;
/// let _played = call.play(Prompt::say("Welcome.")).await?.outcome().await?;
/// listening.detach().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it detaches the handler"]
pub struct Listening(JoinHandle<Gone>);

impl Listening {
    /// Runs the handler for one event after the other, in the order of their arrival.
    pub(super) fn start<F, Fut>(mut events: Subscription, mut handler: F) -> Self
    where
        F: FnMut(Arc<CallEvent>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(tokio::spawn(async move {
            loop {
                match events.next().await {
                    Ok(heard) => handler(heard.event).await,
                    Err(gone) => return gone,
                }
            }
        }))
    }

    /// Detaches the handler and returns once it has stopped; an event that it is busy with is given
    /// up at its next await.
    ///
    /// ```no_run
    /// # use switchhook::wire::events::EventKind;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let listening = call.on(&[EventKind::PlayStarted], |_| async {}).await?;
    /// listening.detach().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn detach(mut self) {
        self.0.abort();
        let _aborted = (&mut self.0).await;
    }

    /// Waits until there is nothing more to hear, and says why: the call ended, or the handler was
    /// too slow or panicked.
    ///
    /// ```no_run
    /// # use switchhook::wire::events::EventKind;
    /// # async fn example(call: switchhook::client::Call) -> Result<(), Box<dyn std::error::Error>> {
    /// let listening = call.on(&[EventKind::PlayStarted], |_| async {}).await?;
    /// println!("heard all there was: {:?}", listening.ended().await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ended(mut self) -> Gone {
        (&mut self.0).await.unwrap_or(Gone::Lost)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}
