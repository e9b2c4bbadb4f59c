//! TLS towards others: the host's name is checked, and who vouches for it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A connector that trusts what the system trusts. An error: the system has no roots.
pub fn connector() -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _unreadable) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(io::Error::other("the system has no root certificates"));
    }
    with_roots(roots)
}

/// A connector that trusts the authorities of a PEM file alone. An error: the file cannot be
/// read, or has none.
pub fn connector_trusting(authorities: &Path) -> io::Result<TlsConnector> {
    let of_file = |what: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {what}", authorities.display()))
    };
    let pem = std::fs::read(authorities).map_err(|error| of_file(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| of_file(&error))?;
        roots.add(certificate).map_err(|error| of_file(&error))?;
    }
    if roots.is_empty() {
        return Err(of_file(&"there is no certificate in it"));
    }
    with_roots(roots)
}

fn with_roots(roots: RootCertStore) -> io::Result<TlsConnector> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
