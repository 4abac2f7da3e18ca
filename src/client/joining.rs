//! Joining a call that is there already.

use std::fmt;

use super::new_call::speech_at;
use crate::wire::calling::{CallLocator, ConnectRequest};
use crate::wire::identifiers::OperationContext;

/// A call to be joined. It is not rung: the application is in it at once.
///
/// ```no_run
/// # use switchhook::client::{Client, Joining};
/// # async fn join(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let call = client.connect(Joining::room("99424242424242")).await?;
/// let _connected = call.connected().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Joining(ConnectRequest);

impl fmt::Debug for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Joining(…)")
    }
}

impl Joining {
    /// A call, by the server call id that its events tell.
    ///
    /// ```
    /// # use switchhook::client::Joining;
    /// let joining = Joining::server_call("aHR0cHM6Ly9jb252LmV4YW1wbGU");
    /// ```
    pub fn server_call(id: impl Into<String>) -> Self {
        Self::at("serverCallLocator", |locator| locator.server_call_id = Some(id.into()))
    }

    /// A group call, by the GUID that its participants have agreed on.
    ///
    /// ```
    /// # use switchhook::client::Joining;
    /// let joining = Joining::group("29228d3e-040e-4656-a70e-890ab4e173e5");
    /// ```
    pub fn group(id: impl Into<String>) -> Self {
        Self::at("groupCallLocator", |locator| locator.group_call_id = Some(id.into()))
    }

    /// A room.
    ///
    /// ```
    /// # use switchhook::client::Joining;
    /// let joining = Joining::room("99424242424242");
    /// ```
    pub fn room(id: impl Into<String>) -> Self {
        Self::at("roomCallLocator", |locator| locator.room_id = Some(id.into()))
    }

    fn at(kind: &str, set: impl FnOnce(&mut CallLocator)) -> Self {
        let mut locator = CallLocator { kind: Some(kind.to_owned()), ..CallLocator::default() };
        set(&mut locator);
        Self(ConnectRequest { call_locator: Some(locator), ..ConnectRequest::default() })
    }

    /// … with prompts and recognition by the speech resource at this endpoint.
    ///
    /// ```
    /// # use switchhook::client::Joining;
    /// let joining = Joining::room("99424242424242").speech("https://ours.cognitiveservices.azure.com");
    /// ```
    #[must_use]
    pub fn speech(mut self, endpoint: impl Into<String>) -> Self {
        self.0.call_intelligence_options = Some(speech_at(endpoint.into()));
        self
    }

    /// … with this operationContext instead of a generated one. It must be unique.
    ///
    /// ```
    /// # use switchhook::client::Joining;
    /// let joining = Joining::room("99424242424242").context("stand-up of Monday");
    /// ```
    #[must_use]
    pub fn context(mut self, context: impl Into<OperationContext>) -> Self {
        self.0.operation_context = Some(context.into());
        self
    }

    pub(super) fn into_request(self, callback_uri: &str) -> ConnectRequest {
        ConnectRequest { callback_uri: Some(callback_uri.to_owned()), ..self.0 }
    }
}
