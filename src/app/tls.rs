//! How the private listener proves itself: a certificate and its key from PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::StartError;
use crate::settings::Private;

/// What the settings say; `None` for plain http.
///
/// # Errors
/// [`StartError::Setting`] names the file that does not do.
pub(super) fn configured(given: &Private) -> Result<Option<ServerConfig>, StartError> {
    let (Some(chain), Some(key)) = (&given.tls_cert_file, &given.tls_key_file) else {
        return Ok(None);
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad("tls_cert_file", chain, &error))?;
    if certificates.is_empty() {
        return Err(bad("tls_cert_file", chain, &"it holds no certificate in PEM form"));
    }
    let read = PrivateKeyDer::from_pem_file(key);
    let read = read.map_err(|error| bad("tls_key_file", key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, read));
    config.map(Some).map_err(|error| bad("tls_key_file", key, &error))
}

fn bad(setting: &str, path: &Path, error: &dyn std::fmt::Display) -> StartError {
    StartError::Setting(format!("private.{setting}: {}: {error}", path.display()))
}
