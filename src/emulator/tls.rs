//! TLS for the emulator: a certificate authority of its own, made once and kept in a folder, and a
//! certificate for this run, which is never stored.
//!
//! Owns the files `ca.pem`, for clients to trust, and `ca-key.pem`, which nobody but its owner may
//! read. Whoever has that key can pretend to be any host to those who trust `ca.pem`: trust it in tests
//! and nowhere else.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What clients trust.
const CA_FILE: &str = "ca.pem";
/// What signs.
const KEY_FILE: &str = "ca-key.pem";
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Some clients take no server certificate that is good for longer than 825 days.
const CERTIFICATE_DAYS: i32 = 800;
/// Nobody should have to trust another one some day.
const AUTHORITY_DAYS: i32 = 36_500;

/// How an emulator serves https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Where the authority is kept; made when it is missing.
    pub folder: PathBuf,
    /// Names and addresses beside localhost, 127.0.0.1 and ::1 that the certificate is for.
    pub names: Vec<String>,
}

impl Tls {
    /// The file that clients trust. It is there once an emulator has started.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join(CA_FILE)
    }

    /// A certificate of the authority for somebody who listens there, and how to serve with it. Reads the
    /// authority or makes it. The certificate is for loopback, that address, and the names.
    ///
    /// # Errors
    /// [`TlsError`] says which file to look at.
    pub fn server(&self, listen: IpAddr, now: Timestamp) -> Result<ServerConfig, TlsError> {
        let authority = Authority::open(&self.folder, now)?;
        let names = names(self, listen);
        let (certificate, key) = authority.certificate(names, now)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        authority.check(&certificate, Arc::clone(&provider), now)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        // No session outlives a restart, so that a client that trusts somebody else notices at once.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(config)
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file or folder cannot be used.
    #[error("{} cannot be used for TLS: {reason}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A certificate cannot be made.
    #[error("the certificate cannot be made: {0}; check the names in tls_names")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refuses.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

fn unusable(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// The certificates of a PEM file, for a client to trust.
///
/// # Errors
/// [`TlsError::File`] when there are none in it.
pub fn trusted(path: Option<&Path>) -> Result<Vec<reqwest::Certificate>, TlsError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let pem = fs::read(path).map_err(|error| unusable(path, error))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|_| unusable(path, "it is not a PEM file"))?;
    if found.is_empty() {
        return Err(unusable(path, "it holds no certificate in PEM form"));
    }
    Ok(found)
}

/// What web sockets trust: the machine's authorities and those of a PEM file. `None` without a file:
/// then the library's own choice is the same.
///
/// # Errors
/// [`TlsError`] when the file holds none, or none of them can be used.
pub fn trusted_by_sockets(path: Option<&Path>) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let Some(path) = path else { return Ok(None) };
    let pem = fs::read(path).map_err(|error| unusable(path, error))?;
    let mut roots = RootCertStore::empty();
    // One that cannot be read is missing on this machine for everybody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| unusable(path, "it is not a PEM file"))?;
        roots.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

fn names(tls: &Tls, listen: IpAddr) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        Ipv4Addr::LOCALHOST.to_string(),
        Ipv6Addr::LOCALHOST.to_string(),
    ];
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    names.extend(tls.names.iter().filter(|name| !name.is_empty()).cloned());
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The authority of a folder.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    ca_file: PathBuf,
}

impl Authority {
    /// Reads it, or makes it. Several emulators may do so at once: the first key stays, and any
    /// certificate for it is as good as another.
    fn open(folder: &Path, now: Timestamp) -> Result<Self, TlsError> {
        fs::create_dir_all(folder).map_err(|error| unusable(folder, error))?;
        let (key_file, ca_file) = (folder.join(KEY_FILE), folder.join(CA_FILE));
        let fresh = KeyPair::generate()?.serialize_pem();
        put(folder, &key_file, &fresh, Access::Owner)?;
        let key = fs::read_to_string(&key_file).map_err(|error| unusable(&key_file, error))?;
        let bad_key =
            |_| unusable(&key_file, "it holds no private key; remove it to get a new one");
        let key = KeyPair::from_pem(&key).map_err(bad_key)?;
        let parameters = authority_parameters(now);
        let own = parameters.self_signed(&key)?;
        put(folder, &ca_file, &own.pem(), Access::Everybody)?;
        let certificate = CertificateDer::from_pem_file(&ca_file).map_err(|_| {
            unusable(&ca_file, "it holds no certificate; remove it to get a new one")
        })?;
        Ok(Self { issuer: Issuer::new(parameters, key), certificate, ca_file })
    }

    fn certificate(
        &self,
        names: Vec<String>,
        now: Timestamp,
    ) -> Result<(CertificateDer<'static>, KeyPair), TlsError> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name = named("switchhook emulator");
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        limit(&mut parameters, now, CERTIFICATE_DAYS);
        let signed = parameters.signed_by(&key, &self.issuer)?;
        Ok((signed.der().clone(), key))
    }

    /// Looks at a certificate as a client does that trusts `ca.pem`: a file that does not belong to
    /// the key is noticed here and not by each client.
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        provider: Arc<CryptoProvider>,
        now: Timestamp,
    ) -> Result<(), TlsError> {
        let advice = |error: &dyn std::fmt::Display| {
            let advice = "remove it and the key beside it to get new ones";
            unusable(
                &self.ca_file,
                format!("it does not vouch for the emulator ({error}); {advice}"),
            )
        };
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(|error| advice(&error))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| advice(&error))?;
        let since_epoch = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(since_epoch));
        let host = ServerName::try_from("localhost").map_err(|error| advice(&error))?;
        verifier
            .verify_server_cert(certificate, &[], &host, &[], now)
            .map(|_verified| ())
            .map_err(|error| advice(&error))
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "switchhook");
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn authority_parameters(now: Timestamp) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = named("switchhook emulator, for tests only");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut parameters, now, AUTHORITY_DAYS);
    parameters
}

/// Good from yesterday on, because clocks differ, and for so many days.
fn limit(parameters: &mut CertificateParams, now: Timestamp, days: i32) {
    let day = |at: Timestamp| {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    parameters.not_before = day(now.saturating_sub(DAY).unwrap_or(now));
    parameters.not_after = day(now.saturating_add(DAY * days).unwrap_or(now));
}

#[derive(Clone, Copy)]
enum Access {
    Owner,
    Everybody,
}

/// Writes a file whole, unless it is there already.
fn put(folder: &Path, path: &Path, text: &str, access: Access) -> Result<(), TlsError> {
    if path.exists() {
        return Ok(());
    }
    let unfinished = folder.join(format!(".{}", uuid::Uuid::new_v4().simple()));
    let mut how = OpenOptions::new();
    how.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        how.mode(match access {
            Access::Owner => 0o600,
            Access::Everybody => 0o644,
        });
    }
    #[cfg(not(unix))]
    let _the_folder_decides = access;
    let written = how.open(&unfinished).and_then(|mut file| file.write_all(text.as_bytes()));
    // A link does not replace what somebody else has put there meanwhile; a rename would.
    let put = written.and_then(|()| fs::hard_link(&unfinished, path));
    let _gone_already = fs::remove_file(&unfinished);
    match put {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(unusable(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-02-03T04:05:06Z";

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn tls() -> (tempfile::TempDir, Tls) {
        let folder = tempfile::tempdir().expect("a folder");
        let tls = Tls { folder: folder.path().join("deep/tls"), names: vec!["acs.test".into()] };
        (folder, tls)
    }

    #[test]
    fn the_authority_is_made_once_and_its_key_is_for_its_owner() {
        let (_folder, tls) = tls();
        tls.server(Ipv4Addr::LOCALHOST.into(), at(NOW)).expect("made");
        let read = |name: &str| fs::read_to_string(tls.folder.join(name)).expect("a file");
        let (certificate, key) = (read(CA_FILE), read(KEY_FILE));
        tls.server(Ipv4Addr::LOCALHOST.into(), at(NOW)).expect("used again");
        assert_eq!((read(CA_FILE), read(KEY_FILE)), (certificate, key.clone()));
        assert_eq!(fs::read_dir(&tls.folder).expect("a folder").count(), 2, "nothing else stays");
        fs::remove_file(tls.ca_file()).expect("removed");
        tls.server(Ipv4Addr::LOCALHOST.into(), at(NOW)).expect("the key is enough");
        assert_eq!(read(KEY_FILE), key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(tls.folder.join(KEY_FILE)).expect("a file").permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
    }

    #[track_caller]
    fn refused(tls: &Tls, says: &str) {
        let error = tls.server(Ipv4Addr::LOCALHOST.into(), at(NOW)).expect_err("refused");
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn files_that_cannot_work_are_named() {
        let (_folder, tls) = tls();
        let (_other_folder, other) = self::tls();
        tls.server(Ipv4Addr::LOCALHOST.into(), at(NOW)).expect("made");
        other.server(Ipv4Addr::LOCALHOST.into(), at(NOW)).expect("made");
        fs::copy(other.ca_file(), tls.ca_file()).expect("copied");
        refused(&tls, "ca.pem cannot be used for TLS: it does not vouch");
        fs::write(tls.ca_file(), "nothing").expect("written");
        refused(&tls, "it holds no certificate");
        fs::write(tls.folder.join(KEY_FILE), "nothing").expect("written");
        refused(&tls, "ca-key.pem cannot be used for TLS: it holds no private key");
        let names = vec!["näme".to_owned()];
        refused(&Tls { names, ..other }, "tls_names");
        let error = trusted(Some(&tls.ca_file())).expect_err("no certificate in it");
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }

    #[test]
    fn the_certificate_is_for_loopback_the_address_and_the_names() {
        let (_folder, tls) = tls();
        let listen = IpAddr::from([192, 0, 2, 7]);
        let names = names(&tls, listen);
        assert_eq!(names, ["localhost", "127.0.0.1", "::1", "192.0.2.7", "acs.test"]);
        assert_eq!(super::names(&tls, Ipv4Addr::UNSPECIFIED.into()).len(), 4);
    }
}
