//! The HTTPS client below everything here: where it may go, and how it gets there.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Certificate, Client, ClientBuilder, Response, Url, redirect};

use super::errors::causes;

/// Timeouts, pool and trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// A connection that takes longer to stand counts as refused.
    pub connect_timeout: Duration,
    /// An attempt that takes longer counts as unanswered. Real time, whatever the clock says.
    pub attempt_timeout: Duration,
    /// Idle connections kept open to each host.
    pub idle_connections: usize,
    /// PEM file of authorities that are trusted beside the machine's own.
    pub extra_ca_file: Option<PathBuf>,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(30),
            idle_connections: 64,
            extra_ca_file: None,
        }
    }
}

/// Why Azure cannot be talked to in this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTransport {
    /// Not a URL of a host.
    #[error("the address is not a URL; it reads https:// and a host name")]
    BadUrl,
    /// Plain HTTP would send contexts and numbers in the open.
    #[error("the address must be https; plain http is for loopback addresses only")]
    NotHttps,
    /// The file with extra authorities cannot be used.
    #[error("the extra CA file {} cannot be used: {reason}", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The client refused to start.
    #[error("the HTTPS client could not be set up: {0}")]
    Client(String),
}

/// A URL, when requests may be sent there.
pub(super) fn permitted(text: &str) -> Result<Url, BadTransport> {
    let url = Url::parse(text).map_err(|_| BadTransport::BadUrl)?;
    let host = url.host_str().ok_or(BadTransport::BadUrl)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err(BadTransport::NotHttps),
        _ => Err(BadTransport::BadUrl),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Transport {
    /// Sets up a connection pool. Redirects are answers, not orders: a signature must not travel
    /// elsewhere.
    pub(super) fn client(&self) -> Result<Client, BadTransport> {
        self.client_with(|builder| builder)
    }

    /// … with more to say about it.
    pub(super) fn client_with(
        &self,
        more: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, BadTransport> {
        let builder = Client::builder()
            .user_agent(concat!("switchhook/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .timeout(self.attempt_timeout)
            .pool_max_idle_per_host(self.idle_connections)
            .tls_certs_merge(self.extra_authorities()?);
        more(builder).build().map_err(|error| BadTransport::Client(causes(&error)))
    }

    fn extra_authorities(&self) -> Result<Vec<Certificate>, BadTransport> {
        let Some(path) = &self.extra_ca_file else { return Ok(Vec::new()) };
        let bad = |reason: String| BadTransport::CaFile { path: path.clone(), reason };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        let found = Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
        if found.is_empty() {
            return Err(bad("it holds no certificate in PEM form".into()));
        }
        Ok(found)
    }
}

/// Reads an answer to its end; `None` when it is larger than `limit` bytes.
pub(super) async fn whole_body(
    mut response: Response,
    limit: usize,
) -> Result<Option<Bytes>, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for fine in [
            "https://contoso.communication.azure.com",
            "http://127.0.0.1:8082",
            "http://127.9.9.9",
            "http://localhost:1",
            "http://[::1]:8082",
        ] {
            assert!(permitted(fine).is_ok(), "{fine}");
        }
        for open in [
            "http://contoso.communication.azure.com",
            "http://10.0.0.1",
            "http://[::2]",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
        ] {
            assert_eq!(permitted(open), Err(BadTransport::NotHttps), "{open}");
        }
        for bad in ["https://h:port", "ftp://127.0.0.1", "contoso", "file:///etc/passwd"] {
            assert_eq!(permitted(bad), Err(BadTransport::BadUrl), "{bad}");
        }
    }

    #[test]
    fn a_useless_ca_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        let transport = Transport { extra_ca_file: Some(path.clone()), ..Transport::default() };
        assert!(matches!(transport.client(), Err(BadTransport::CaFile { .. })));
        std::fs::write(&path, "no certificate").expect("a file");
        let error = transport.client().expect_err("a file without certificates");
        assert!(error.to_string().contains("holds no certificate"), "{error}");
    }
}
