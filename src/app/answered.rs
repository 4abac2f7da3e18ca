//! Calls that a number assignment has answered, on their way to the application.

use actix::{Actor, Context, Handler, ResponseFuture};
use tokio::sync::broadcast;

use crate::actors::Calls;
use crate::actors::routing::CallAnswered;
use crate::client::{Call, Client};
use crate::pure::call::Identity;

/// Answered calls that an application may be behind before it misses some.
const BUFFER: usize = 1024;

/// Receives the calls that number assignments answer. Each receiver gets each call.
pub struct Answered(broadcast::Receiver<Call>);

impl Answered {
    /// The next answered call; `None` when the service has stopped. A receiver that fell far behind
    /// misses calls, which is logged; they can still be found over the admin interface.
    pub async fn next(&mut self) -> Option<Call> {
        loop {
            match self.0.recv().await {
                Ok(call) => return Some(call),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::error!(missed, "answered calls were missed by a slow application");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    pub(super) fn resubscribe(&self) -> Self {
        Self(self.0.resubscribe())
    }
}

/// Makes an answered call known to the registry and tells the application of it.
pub(super) struct Greeter {
    client: Client,
    calls: Calls,
    application: broadcast::Sender<Call>,
}

impl Greeter {
    pub(super) fn new(client: Client, calls: Calls) -> (Self, Answered) {
        let (application, answered) = broadcast::channel(BUFFER);
        (Self { client, calls, application }, Answered(answered))
    }
}

impl Actor for Greeter {
    type Context = Context<Self>;
}

impl Handler<CallAnswered> for Greeter {
    /// Comes when the call is claimed: before that, its answer counts as not heard of.
    type Result = ResponseFuture<()>;

    fn handle(&mut self, answered: CallAnswered, _: &mut Self::Context) -> Self::Result {
        let call = self.client.call(answered.call.clone());
        let (calls, application) = (self.calls.clone(), self.application.clone());
        let identity =
            Identity { server_call: answered.server_call, correlation: answered.correlation };
        Box::pin(async move {
            if let Err(refusal) = calls.claim(&answered.call, identity).await {
                tracing::error!(call = %answered.call, %refusal, "an answered call finds no room");
            }
            let _nobody_listens = application.send(call);
        })
    }
}
