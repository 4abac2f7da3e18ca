//! The client: signs each attempt, asks `pure::retry` about it, waits on the clock it was given.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use uuid::Uuid;

use super::attempt::Draft;
use super::telling;
use super::transport::{BadTransport, Transport, permitted};
use crate::ports::{self, Answer, CallAutomation, Clock, Later, Request, UpstreamError};
use crate::pure::retry::{Again, Attempt, Rules, Verdict};
use crate::pure::signing::ConnectionString;

/// Where Azure is, how to sign for it, and how patient to be.
#[derive(Clone, Debug)]
pub struct AzureConfig {
    /// Endpoint and key of the communication resource.
    pub connection: ConnectionString,
    /// How often and how patiently requests are repeated.
    pub rules: Rules,
    /// No attempt begins later than this after the request was made, unless the request says so.
    pub patience: Duration,
    /// Timeouts, pool and trust.
    pub transport: Transport,
}

impl AzureConfig {
    /// The defaults, for a resource.
    pub fn new(connection: ConnectionString) -> Self {
        let (rules, transport) = (Rules::default(), Transport::default());
        Self { connection, rules, patience: Duration::from_secs(60), transport }
    }
}

/// Azure's Call Automation over HTTP. Share one: it holds the connection pool.
pub struct Azure {
    client: Client,
    base: Url,
    config: AzureConfig,
    clock: Arc<dyn Clock>,
}

impl Azure {
    /// Sets up the connection pool; nothing is sent yet.
    ///
    /// # Errors
    /// [`BadTransport`] when the endpoint is neither https nor loopback, or a CA file is useless.
    pub fn new(config: AzureConfig, clock: Arc<dyn Clock>) -> Result<Self, BadTransport> {
        let base = permitted(config.connection.endpoint())?;
        let client = config.transport.client()?;
        Ok(Self { client, base, config, clock })
    }

    async fn perform(&self, request: Request) -> Result<Answer, UpstreamError> {
        let operation = request.operation;
        let deadline = request.deadline.unwrap_or(self.clock.now() + self.config.patience);
        let draft = Draft::of(&self.base, request, self.clock.wall())?;
        if self.clock.now() > deadline {
            let reason = "its deadline passed before it was sent".to_owned();
            return Err(UpstreamError::Unreachable { operation: operation.label(), reason });
        }
        let mut made = 0;
        loop {
            made += 1;
            let began = self.clock.now();
            let key = self.config.connection.key();
            let reply = draft.send(&self.client, key, self.clock.wall()).await;
            let now = self.clock.now();
            telling::attempted(operation, draft.id, &reply, now - began);
            let attempt = Attempt { made, outcome: reply.outcome(), again: Again::of(operation) };
            match self.config.rules.verdict(attempt, now, deadline, dice()) {
                Verdict::Done | Verdict::GiveUp => return reply.into_result(operation, made),
                Verdict::Retry { after } => {
                    telling::retrying(operation, draft.id, &reply, after);
                    ports::sleep(&*self.clock, after).await;
                    // An alarm may ring late, and then there is nothing left to try for.
                    if self.clock.now() > deadline {
                        return reply.into_result(operation, made);
                    }
                }
            }
        }
    }
}

impl CallAutomation for Azure {
    fn send(&self, request: Request) -> Later<'_, Result<Answer, UpstreamError>> {
        Box::pin(self.perform(request))
    }
}

/// Something from 0 to 1, different each time.
fn dice() -> f64 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    // The upper 32 bits are all random; the version stands among the lower ones.
    f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}
