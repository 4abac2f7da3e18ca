//! The Rust library: call flows as linear code.
//!
//! Owns the conversation of one application with its calls: ask, wait, go on. Each request gets a
//! context of its own and its wait stands before it leaves (rule C13), so nothing is missed and
//! nothing is mistaken for another's. May use the floors below; it never speaks HTTP itself.
//!
//! ```no_run
//! # use switchhook::client::{Client, ConnectOutcome, Listen, NewCall, Prompt, RecognizeOutcome};
//! # use switchhook::wire::identifiers::Identifier;
//! # use std::time::Duration;
//! # async fn flow(client: Client) -> Result<(), Box<dyn std::error::Error>> {
//! let customer = Identifier::phone("+14255551212");
//! let call = client.create_call(NewCall::to(customer.clone()).from_number("+18335550100")).await?;
//! let ConnectOutcome::Connected = call.connected().within(Duration::from_secs(40)).await? else {
//!     return Ok(()); // busy, declined, nobody there
//! };
//! let question = Prompt::say("Press one for yes, two for no.");
//! let answer = call.recognize(Listen::for_keys(customer, 1).after(question)).await?;
//! match answer.outcome().await? {
//!     RecognizeOutcome::Dtmf(tones) if tones.digits() == "1" => {
//!         let _played = call.play(Prompt::say("Thank you.")).await?.outcome().await?;
//!     }
//!     _ => {}
//! }
//! call.hang_up().await?;
//! # Ok(())
//! # }
//! ```

mod call;
mod cancelling;
mod connecting;
mod error;
mod joining;
mod listen;
mod listening;
mod media;
mod new_call;
mod outcomes;
mod pending;
mod people;
mod prompt;
mod recording;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use call::Call;
pub use cancelling::{Cancelled, Cancelling};
pub use connecting::Connecting;
pub use error::{AskError, WaitError};
pub use joining::Joining;
pub use listen::Listen;
pub use listening::Listening;
pub use media::{Holding, Key, Keys};
pub use new_call::{Answering, NewCall};
pub use outcomes::{
    AddOutcome, CancelAddOutcome, ConnectOutcome, Ends, HoldOutcome, PlayOutcome, RecognizeOutcome,
    RecordingOutcome, RemoveOutcome, SendDtmfOutcome, StopKeysOutcome, StreamOutcome, Tones,
    TransferOutcome,
};
pub use pending::{Outcome, Pending};
pub use people::{Invited, Moved, Moving};
pub use prompt::Prompt;
pub use recording::{Recorder, Recording};

use crate::acs::operations;
use crate::actors::Calls;
use crate::ports::{CallAutomation, Clock};
use crate::pure::call::Identity;
use crate::wire::calling::{
    CallConnectionProperties, Place, RedirectCallRequest, RejectCallRequest, RequestModel,
    WithContext,
};
use crate::wire::identifiers::{CallConnectionId, Identifier, IncomingCallContext};

/// Places and answers calls. Cheap to clone.
///
/// ```
/// # use switchhook::app::dev::{self, DevOptions};
/// # use switchhook::client::{ConnectOutcome, NewCall};
/// # use switchhook::settings::{Given, Purpose, Settings};
/// # use switchhook::wire::identifiers::Identifier;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # actix::System::new().block_on(async {
/// let settings = Settings::load(&Given::default(), Purpose::Local)?;
/// let options = DevOptions { ports_auto: true, ..Default::default() };
/// let dev = dev::start(settings, options).await?;
/// let client = dev.app().client();
/// let call = NewCall::to(Identifier::phone("+14255550123")).from_number("+18005550100");
/// let call = client.create_call(call).await?;
/// assert_eq!(call.connected().await?, ConnectOutcome::Connected);
/// call.hang_up().await?;
/// dev.stop().await;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    azure: Arc<dyn CallAutomation>,
    calls: Calls,
    clock: Arc<dyn Clock>,
    /// Holds our own secret in its query; goes to Azure and nowhere else.
    callback_uri: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Why a ringing call is refused, as the caller's side hears it.
///
/// ```no_run
/// # use switchhook::client::RejectReason;
/// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// # let ringing = switchhook::wire::identifiers::IncomingCallContext::new("a ticket");
/// client.reject(ringing, RejectReason::Busy).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// No reason given.
    None,
    /// Busy.
    Busy,
    /// Not allowed.
    Forbidden,
}

impl RejectReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Busy => "busy",
            Self::Forbidden => "forbidden",
        }
    }
}

impl Client {
    /// A client that sends through `azure`, hears through `calls`, and has its events posted to
    /// `callback_uri`.
    pub(crate) fn new(
        azure: Arc<dyn CallAutomation>,
        calls: Calls,
        clock: Arc<dyn Clock>,
        callback_uri: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Inner { azure, calls, clock, callback_uri: callback_uri.into() }))
    }

    /// Places a call. It rings when this returns; see [`Call::connected`].
    ///
    /// ```no_run
    /// # use switchhook::client::NewCall;
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let new = NewCall::to(Identifier::phone("+14255550123")).from_number("+18005550100");
    /// let call = client.create_call(new).await?;
    /// let _connected = call.connected().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses, or there is no room for another call.
    pub async fn create_call(&self, new: NewCall) -> Result<Call, AskError> {
        self.open(new.into_request(&self.0.callback_uri)).await
    }

    /// Answers a ringing call. Media works once [`Call::connected`] says so.
    ///
    /// ```no_run
    /// # use switchhook::client::Answering;
    /// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// # let ringing = switchhook::wire::identifiers::IncomingCallContext::new("a ticket");
    /// let call = client.answer(Answering::of(ringing).speech("https://speech.example.com")).await?;
    /// let _connected = call.connected().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses, for one because somebody was quicker.
    pub async fn answer(&self, ringing: impl Into<Answering>) -> Result<Call, AskError> {
        self.open(ringing.into().into_request(&self.0.callback_uri)).await
    }

    /// Joins a call that is there already. See [`Call::connected`].
    ///
    /// ```no_run
    /// # use switchhook::client::Joining;
    /// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let call = client.connect(Joining::server_call("an-id-from-its-events")).await?;
    /// let _connected = call.connected().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses, or there is no room for another call.
    pub async fn connect(&self, to: Joining) -> Result<Call, AskError> {
        self.open(to.into_request(&self.0.callback_uri)).await
    }

    /// Sends a ringing call to somebody else.
    ///
    /// ```no_run
    /// # use switchhook::wire::identifiers::Identifier;
    /// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// # let ringing = switchhook::wire::identifiers::IncomingCallContext::new("a ticket");
    /// client.redirect(ringing, Identifier::phone("+14255550123")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses, for one because somebody was quicker.
    pub async fn redirect(
        &self,
        ringing: IncomingCallContext,
        target: Identifier,
    ) -> Result<(), AskError> {
        let request =
            RedirectCallRequest { incoming_call_context: Some(ringing), target: Some(target) };
        operations::ask(&*self.0.azure, &request, Place::Nowhere).await?;
        Ok(())
    }

    /// Refuses a ringing call.
    ///
    /// ```no_run
    /// # use switchhook::client::RejectReason;
    /// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// # let ringing = switchhook::wire::identifiers::IncomingCallContext::new("a ticket");
    /// client.reject(ringing, RejectReason::Busy).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AskError`] when Azure refuses, for one because somebody was quicker.
    pub async fn reject(
        &self,
        ringing: IncomingCallContext,
        reason: RejectReason,
    ) -> Result<(), AskError> {
        let request = RejectCallRequest {
            incoming_call_context: Some(ringing),
            call_reject_reason: Some(reason.as_str().to_owned()),
        };
        operations::ask(&*self.0.azure, &request, Place::Nowhere).await?;
        Ok(())
    }

    /// A call that exists already.
    ///
    /// ```no_run
    /// # async fn example(client: switchhook::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.call("an-id-from-before").hang_up().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call(&self, id: impl Into<CallConnectionId>) -> Call {
        Call::existing(self.clone(), id.into())
    }

    /// The id of a new call is unknown until Azure answers, so its wait can only be put up then;
    /// events that were quicker wait in the call's backlog.
    async fn open<M>(&self, mut request: M) -> Result<Call, AskError>
    where
        M: WithContext + RequestModel<Answer = CallConnectionProperties>,
    {
        let wants = pending::wants_of(&mut request);
        let answer = operations::ask(&*self.0.azure, &request, Place::Nowhere).await?;
        let Some(id) = answer.call_connection_id else {
            return Err(AskError::no_call_id(M::OPERATION));
        };
        let identity =
            Identity { server_call: answer.server_call_id, correlation: answer.correlation_id };
        let untracked = |reason| AskError::Untracked { call: id.clone(), reason };
        self.0.calls.claim(&id, identity).await.map_err(untracked)?;
        let pending = Pending::put_up(&self.0.calls, &id, wants).await.map_err(untracked)?;
        Ok(Call::connecting(self.clone(), id, pending))
    }
}
