//! Where Azure is, how to sign for it, and how patient to be.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Client, Url, redirect};

use crate::pure::retry::Rules;
use crate::pure::signing::ConnectionString;

/// Everything that [`super::Azure`] wants to know.
#[derive(Clone, Debug)]
pub struct AzureConfig {
    /// Endpoint and key of the communication resource.
    pub connection: ConnectionString,
    /// How often and how patiently requests are repeated.
    pub rules: Rules,
    /// No attempt begins later than this after the request was made, unless the request says so.
    pub patience: Duration,
    /// A connection that takes longer to stand counts as refused.
    pub connect_timeout: Duration,
    /// An attempt that takes longer counts as unanswered.
    pub attempt_timeout: Duration,
    /// Idle connections kept open.
    pub idle_connections: usize,
    /// PEM file of authorities that are trusted beside the machine's own.
    pub extra_ca_file: Option<PathBuf>,
}

impl AzureConfig {
    /// The defaults, for a resource.
    pub fn new(connection: ConnectionString) -> Self {
        Self {
            connection,
            rules: Rules::default(),
            patience: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(30),
            idle_connections: 64,
            extra_ca_file: None,
        }
    }
}

/// Why Azure cannot be talked to in this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAzureConfig {
    /// Not a URL of a host.
    #[error("the endpoint is not a URL; it reads https:// and the resource's host name")]
    BadEndpoint,
    /// Plain HTTP would send contexts and numbers in the open.
    #[error("the endpoint must be https; plain http is for loopback addresses only")]
    NotHttps,
    /// The file with extra authorities cannot be read.
    #[error("the extra CA file {} cannot be used: {reason}", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The transport refused to start.
    #[error("the HTTPS client could not be set up: {0}")]
    Transport(String),
}

/// The endpoint as a URL, when requests may be sent there.
pub(super) fn endpoint(connection: &ConnectionString) -> Result<Url, BadAzureConfig> {
    let url = Url::parse(connection.endpoint()).map_err(|_| BadAzureConfig::BadEndpoint)?;
    let host = url.host_str().ok_or(BadAzureConfig::BadEndpoint)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err(BadAzureConfig::NotHttps),
        _ => Err(BadAzureConfig::BadEndpoint),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The connection pool. Redirects are answers, not orders: a signature must not travel elsewhere.
pub(super) fn transport(config: &AzureConfig) -> Result<Client, BadAzureConfig> {
    let builder = Client::builder()
        .user_agent(concat!("switchhook/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(config.connect_timeout)
        .timeout(config.attempt_timeout)
        .pool_max_idle_per_host(config.idle_connections)
        .tls_certs_merge(extra_authorities(config)?);
    builder.build().map_err(|error| BadAzureConfig::Transport(super::errors::causes(&error)))
}

fn extra_authorities(config: &AzureConfig) -> Result<Vec<Certificate>, BadAzureConfig> {
    let Some(path) = &config.extra_ca_file else { return Ok(Vec::new()) };
    let bad = |reason: String| BadAzureConfig::CaFile { path: path.clone(), reason };
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
    if found.is_empty() {
        return Err(bad("it holds no certificate in PEM form".into()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(endpoint: &str) -> Result<(), BadAzureConfig> {
        let text = format!("endpoint={endpoint};accesskey=c2VjcmV0");
        super::endpoint(&ConnectionString::parse(&text).expect("a connection string")).map(drop)
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for fine in [
            "https://contoso.communication.azure.com",
            "http://127.0.0.1:8082",
            "http://127.9.9.9",
            "http://localhost:1",
            "http://[::1]:8082",
        ] {
            assert_eq!(checked(fine), Ok(()), "{fine}");
        }
        for open in ["http://contoso.communication.azure.com", "http://10.0.0.1", "http://[::2]"] {
            assert_eq!(checked(open), Err(BadAzureConfig::NotHttps), "{open}");
        }
        assert_eq!(checked("http://127.0.0.1.evil.example"), Err(BadAzureConfig::NotHttps));
        assert_eq!(checked("https://h:port"), Err(BadAzureConfig::BadEndpoint));
    }

    #[test]
    fn a_useless_ca_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = ConnectionString::parse("endpoint=https://h;accesskey=c2VjcmV0");
        let mut config = AzureConfig::new(connection.expect("a connection string"));
        let path = folder.path().join("ca.pem");
        config.extra_ca_file = Some(path.clone());
        assert!(matches!(transport(&config), Err(BadAzureConfig::CaFile { .. })));
        std::fs::write(&path, "no certificate").expect("a file");
        let error = transport(&config).expect_err("a file without certificates");
        assert!(error.to_string().contains("holds no certificate"), "{error}");
    }
}
