//! The service, reached over its private listener.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::{Map, Value};

use super::exit::{Done, Exit, Failure};

/// Time to be let in, and for an ordinary answer. Waits and streams take as long as they take.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// A problem document is small; more than this is somebody else's page.
const MAX_PROBLEM: usize = 64 << 10;

/// What stays as it is in a path: the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the service is, and who asks.
#[derive(Args)]
pub(super) struct Connection {
    /// Base URL of the private listener
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "SWITCHHOOK_SERVER",
        default_value = "http://127.0.0.1:8081",
        value_parser = base_url
    )]
    server: Url,
    /// Bearer token; not needed on loopback without private.tokens
    #[arg(long, global = true, env = "SWITCHHOOK_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// PEM file of further authorities to trust when the server is https
    #[arg(long, global = true, value_name = "FILE", env = "SWITCHHOOK_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// Reads the base URL of a server.
///
/// # Errors
/// A sentence that shows what one looks like.
pub(super) fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "write a URL like http://127.0.0.1:8081".to_owned())
}

/// One segment of a path, whatever stands in it.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A client of one service.
pub(super) struct Remote {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Remote {
    /// Prepares; nothing is sent yet.
    ///
    /// # Errors
    /// When no TLS can be set up on this machine.
    pub(super) fn new(connection: Connection) -> Done<Self> {
        let base = connection.server.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            http: client(&connection.server, connection.ca_file.as_deref())?,
            base,
            token: connection.token,
        })
    }

    /// A request that has to be answered soon.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.patient(method, path).timeout(ANSWER)
    }

    /// A request that may be answered late.
    pub(super) fn patient(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// A [`Failure`] with its exit code.
    pub(super) async fn get(&self, path: &str) -> Done<Value> {
        self.json(self.request(Method::GET, path)).await
    }

    /// Sends, and reads a JSON answer.
    ///
    /// # Errors
    /// A [`Failure`] with its exit code.
    pub(super) async fn json(&self, request: RequestBuilder) -> Done<Value> {
        let answer = self.send(request).await?;
        answer.json().await.map_err(|error| {
            if error.is_decode() { self.stranger() } else { self.unreachable(&error) }
        })
    }

    /// Sends, and gives a successful answer.
    ///
    /// # Errors
    /// A [`Failure`] with its exit code.
    pub(super) async fn send(&self, request: RequestBuilder) -> Done<Response> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        Err(self
            .problem(answer)
            .await
            .map_or_else(|| self.stranger(), |problem| Failure::problem(status, problem)))
    }

    async fn problem(&self, mut answer: Response) -> Option<Map<String, Value>> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_PROBLEM {
                return None;
            }
        }
        let problem: Map<String, Value> = serde_json::from_slice(&body).ok()?;
        problem.contains_key("code").then_some(problem)
    }

    fn stranger(&self) -> Failure {
        let base = &self.base;
        Failure::new(
            Exit::Failed,
            format!("what answers at {base} is not switchhook's private listener; check --server"),
        )
    }

    /// Nobody answered, or not to the end.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let base = &self.base;
        if error.is_builder() {
            return Failure::new(Exit::InvalidInput, "a value given cannot be sent in a header");
        }
        if error.is_timeout() && !error.is_connect() {
            return Failure::new(Exit::TimedOut, format!("{base} did not answer in time"));
        }
        Failure::new(
            Exit::Unreachable,
            format!("{base} cannot be reached ({}); is it running?", root_cause(error)),
        )
    }
}

/// A client that follows nobody elsewhere with a token. This machine is reached without a proxy.
///
/// # Errors
/// When no TLS can be set up on this machine, or the file of authorities does not do.
pub(super) fn client(server: &Url, ca_file: Option<&Path>) -> Done<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("switchhook/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT);
    if is_loopback(server) {
        builder = builder.no_proxy();
    }
    if let Some(path) = ca_file {
        let bad = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::InvalidInput, format!("{}: {error}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|error| bad(&error))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(&error))?;
        if found.is_empty() {
            return Err(bad(&"it holds no certificate in PEM form"));
        }
        builder = builder.tls_certs_merge(found);
    }
    builder.build().map_err(|error| {
        Failure::new(Exit::Failed, format!("https cannot be set up: {}", root_cause(&error)))
    })
}

fn is_loopback(server: &Url) -> bool {
    let host = server.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The innermost error says what really happened; those around it repeat the URL.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_in_a_path() {
        assert_eq!(segment("+1425*"), "%2B1425%2A");
        assert_eq!(segment("8:acs:a/b?c#d e"), "8%3Aacs%3Aa%2Fb%3Fc%23d%20e");
        assert_eq!(segment("a-b_c.d~e"), "a-b_c.d~e");
    }

    #[test]
    fn a_server_is_a_web_address() {
        assert!(base_url("http://127.0.0.1:8081").is_ok());
        for bad in ["", "127.0.0.1:8081", "ftp://host", "http://"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
