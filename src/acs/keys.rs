//! The keys with which callbacks are signed: from the issuer's OpenID configuration to its key set.

use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::errors::causes;
use super::transport::{BadTransport, Transport, permitted, whole_body};
use crate::ports::{Later, PublishedKeys, SigningKey};

/// Where the public cloud publishes its configuration.
pub const AZURE_OPENID_CONFIGURATION: &str =
    "https://acscallautomation.communication.azure.com/calling/.well-known/acsopenidconfiguration";

/// Larger documents are not read to their end.
const MAX_DOCUMENT_BYTES: usize = 256 << 10;

/// Fetches keys by way of an OpenID configuration.
pub struct OpenIdKeys {
    client: Client,
    configuration: Url,
}

#[derive(Deserialize)]
struct Configuration {
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// One key of the set, as RFC 7517 has it.
#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: String,
    n: String,
    e: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
}

impl OpenIdKeys {
    /// Nothing is fetched yet.
    ///
    /// # Errors
    /// [`BadTransport`] when the address is neither https nor loopback, or a CA file is useless.
    pub fn new(configuration: &str, transport: &Transport) -> Result<Self, BadTransport> {
        let configuration = permitted(configuration)?;
        Ok(Self { client: transport.client()?, configuration })
    }

    async fn fetch_keys(&self) -> Result<Vec<SigningKey>, String> {
        let found: Configuration = self.document(self.configuration.clone()).await?;
        let keys = self.permitted_next(&found.jwks_uri)?;
        let found: KeySet = self.document(keys).await?;
        // A set without a usable key must not replace one that has some.
        let usable: Vec<_> = found.keys.into_iter().filter_map(usable).collect();
        if usable.is_empty() { Err("the key set holds no usable key".into()) } else { Ok(usable) }
    }

    /// A configuration that came over TLS may not lead us off it, nor to this machine.
    fn permitted_next(&self, text: &str) -> Result<Url, String> {
        let url = permitted(text).map_err(|error| format!("jwks_uri: {error}"))?;
        if url.scheme() != "https" && self.configuration.scheme() == "https" {
            return Err("jwks_uri: not https".into());
        }
        Ok(url)
    }

    async fn document<T: DeserializeOwned>(&self, url: Url) -> Result<T, String> {
        let response = self.client.get(url).send().await.map_err(|error| causes(&error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("answered with status {status}"));
        }
        let body = whole_body(response, MAX_DOCUMENT_BYTES).await.map_err(|e| causes(&e))?;
        let body = body.ok_or_else(|| "the document is too large".to_owned())?;
        serde_json::from_slice(&body).map_err(|_| "the document is not what it should be".into())
    }
}

/// Keys of other types and purposes, and ones that are not even keys, are left out one by one.
fn usable(key: serde_json::Value) -> Option<SigningKey> {
    let key: Key = serde_json::from_value(key).ok()?;
    let signs = key.purpose.is_none_or(|purpose| purpose == "sig");
    let usable = key.kty == "RSA" && signs;
    usable.then_some(SigningKey { id: key.kid, modulus: key.n, exponent: key.e })
}

impl PublishedKeys for OpenIdKeys {
    fn fetch(&self) -> Later<'_, Result<Vec<SigningKey>, String>> {
        Box::pin(self.fetch_keys())
    }
}
