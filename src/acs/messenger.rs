//! Posting events to the URLs of callers.
//!
//! Neither redirects nor proxies: what a caller may be told is for that URL alone. Names that lead to
//! link-local addresses are not followed, whatever a resolver says.

use std::net::SocketAddr;

use bytes::Bytes;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{BadTransport, Transport};
use crate::ports::{Later, Messenger, Posted};
use crate::pure::forwarding::is_link_local;

/// What a refusal of ours is called on its way through the transport.
const FORBIDDEN: &str = "a link-local address is not posted to";

/// Posts over HTTP.
pub struct HttpMessenger {
    client: Client,
}

impl HttpMessenger {
    /// Sets up a connection pool; nothing is sent yet.
    ///
    /// # Errors
    /// [`BadTransport`] when a CA file is useless.
    pub fn new(transport: &Transport, allow_link_local: bool) -> Result<Self, BadTransport> {
        let resolver = (!allow_link_local).then_some(Careful);
        Ok(Self {
            client: transport.client_with(|builder| {
                let builder = builder.no_proxy();
                match resolver {
                    Some(resolver) => builder.dns_resolver(resolver),
                    None => builder,
                }
            })?,
        })
    }
}

impl Messenger for HttpMessenger {
    fn post(&self, url: &str, body: Bytes, authorization: Option<&str>) -> Later<'static, Posted> {
        // The type that the call service gives its callbacks.
        let mut request =
            self.client.post(url).header("content-type", "application/json").body(body);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        Box::pin(async move {
            match request.send().await {
                Ok(answer) => Posted::Answered(answer.status().as_u16()),
                Err(error) if is_forbidden(&error) => Posted::Forbidden,
                Err(_) => Posted::Unanswered,
            }
        })
    }
}

fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        if cause.to_string() == FORBIDDEN {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Resolves names as the machine does, and leaves out what may not be posted to.
#[derive(Clone, Copy)]
struct Careful;

impl Resolve for Careful {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (bad, good): (Vec<SocketAddr>, Vec<_>) =
                found.partition(|address| is_link_local(address.ip()));
            if good.is_empty() && !bad.is_empty() {
                return Err(FORBIDDEN.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}
