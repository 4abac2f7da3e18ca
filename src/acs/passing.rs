//! Requests of the gateway's callers: signed with our key, sent once, answered with whatever comes.
//!
//! Repeating is up to the caller, who would repeat anyhow. Only when nobody answers at all, several
//! times in a row, requests are turned away for a while.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use reqwest::{Client, Url};

use super::attempt::{host, http_date, verb};
use super::errors::causes;
use super::telling;
use super::transport::permitted;
use super::{AzureConfig, BadTransport};
use crate::ports::{Clock, Later, NotPassed, Passage, Passed, Passing};
use crate::pure::breaker::{Breaker, BreakerRules};
use crate::pure::signing::{authorization, content_hash, string_to_sign};

/// The way to Azure for requests that are not ours.
pub struct Relay {
    client: Client,
    base: Url,
    config: AzureConfig,
    breaker: Mutex<Breaker>,
    clock: Arc<dyn Clock>,
}

impl Relay {
    /// Sets up a connection pool of its own; nothing is sent yet.
    ///
    /// # Errors
    /// [`BadTransport`] when the endpoint is neither https nor loopback, or a CA file is useless.
    pub fn new(
        config: AzureConfig,
        rules: BreakerRules,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadTransport> {
        let base = permitted(config.connection.endpoint())?;
        let client = config.transport.client()?;
        let breaker = Mutex::new(Breaker::new(rules));
        Ok(Self { client, base, config, breaker, clock })
    }

    /// A poisoned lock only says that somebody panicked while counting.
    fn breaker<T>(&self, deed: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let done = deed(&mut breaker);
        telling::breaker(breaker.is_open());
        done
    }

    fn url(&self, target: &str) -> Result<Url, NotPassed> {
        let text = format!("{}{target}", self.config.connection.endpoint());
        let url = Url::parse(&text).map_err(|_| NotPassed::BadTarget)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // What is signed must be what is sent, and dots in a path would climb to another resource.
        let same = url.path() == path && url.query().unwrap_or_default() == query;
        if same && url.origin() == self.base.origin() { Ok(url) } else { Err(NotPassed::BadTarget) }
    }

    async fn send(&self, passage: Passage) -> Result<Passed, NotPassed> {
        let url = self.url(&passage.target)?;
        let method = passage.operation.method();
        let (date, hash) = (http_date(self.clock.wall()), content_hash(&passage.body));
        let values = [date.as_str(), &host(&url), &hash];
        let text = string_to_sign(method.as_str(), &passage.target, &values);
        let signature = self.config.connection.key().sign(&text);
        let mut request = self.client.request(verb(method), url);
        for (name, value) in &passage.headers {
            request = request.header(name, value);
        }
        request = request
            .header("x-ms-date", &date)
            .header("x-ms-content-sha256", &hash)
            .header("authorization", authorization(&signature));
        // Front doors answer 411 to a POST that does not say how long it is.
        request = match passage.body.is_empty() {
            true => request.header("content-length", 0),
            false => request.body(passage.body),
        };
        let response = request.send().await.map_err(|error| not_passed(&error))?;
        let text = |value: &reqwest::header::HeaderValue| value.to_str().map(str::to_owned).ok();
        let headers = response.headers().iter();
        let headers = headers.filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
        Ok(Passed {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: Box::pin(response.bytes_stream().map_err(|error| causes(&error))),
        })
    }

    async fn perform(&self, passage: Passage) -> Result<Passed, NotPassed> {
        let began = self.clock.now();
        self.breaker(|breaker| breaker.admit(began)).map_err(NotPassed::Resting)?;
        let operation = passage.operation;
        let passed = self.send(passage).await;
        let now = self.clock.now();
        match &passed {
            Ok(_) => self.breaker(Breaker::answered),
            Err(NotPassed::BadTarget) => {}
            Err(_) => self.breaker(|breaker| breaker.silent(now)),
        }
        telling::passed(operation, passed.as_ref().map(|passed| passed.status), now - began);
        passed
    }
}

fn not_passed(error: &reqwest::Error) -> NotPassed {
    if error.is_connect() || error.is_builder() {
        NotPassed::NotSent(causes(error))
    } else if error.is_timeout() {
        NotPassed::TimedOut
    } else {
        NotPassed::BrokenOff(causes(error))
    }
}

impl Passing for Relay {
    fn pass(&self, passage: Passage) -> Later<'_, Result<Passed, NotPassed>> {
        Box::pin(self.perform(passage))
    }
}
