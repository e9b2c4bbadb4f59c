//! TLS for SIP: who must prove which name (RFC 5922), by rustls.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, UnixTime,
};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Why a TLS session cannot be.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The trunk was given nothing by which its far side could be known.
    #[error("no certificate authority is known for this trunk")]
    NotConfigured,
    /// The name to be proved is no host.
    #[error("the name to be proved is no host")]
    BadName(#[from] InvalidDnsNameError),
    /// A certificate or a key is not in PEM form, or there is none.
    #[error("no certificate or no key in PEM form: {0}")]
    Pem(#[from] pem::Error),
    /// Certificate and key do not fit each other, or neither can be used.
    #[error("{0}")]
    Unusable(#[from] Error),
    /// The handshake failed; what is inside says why.
    #[error("TLS: {0}")]
    Handshake(std::io::Error),
    /// The far side asked for a certificate of ours and got none that it takes.
    #[error(
        "the far side takes no client without a certificate that it knows, which is tls.client_cert: {0}"
    )]
    OurCertificate(std::io::Error),
}

/// Certificate authorities.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// A certificate chain with its key.
#[derive(Debug)]
pub struct TlsIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// How a trunk's far side proves who it is. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// How we prove who we are to those who connect to us. Cheap to clone.
#[derive(Clone)]
pub struct TlsServer(TlsAcceptor);

impl Roots {
    /// Those that the system trusts; what cannot be read is left out.
    pub fn system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::warn!(%error, "a certificate authority of the system cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Self(Arc::new(roots))
    }

    /// Those of a PEM file.
    pub fn from_pem(text: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(text)? {
            roots.add(certificate)?;
        }
        Ok(Self(Arc::new(roots)))
    }
}

impl TlsIdentity {
    /// A chain, our own certificate first, and its key, both in PEM form.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self { chain: certificates(chain)?, key: PrivateKeyDer::from_pem_slice(key)? })
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>()?;
    if found.is_empty() { Err(pem::Error::NoItemsFound.into()) } else { Ok(found) }
}

impl TlsClient {
    /// The far side must prove `name`: the SIP domain, or an address without brackets. It is sent
    /// as SNI too. `identity` is shown when the far side asks for a client's certificate.
    pub fn new(name: &str, roots: Roots, identity: Option<TlsIdentity>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let name = ServerName::try_from(name.trim_end_matches('.').to_owned())?;
        let verifier = DomainVerifier { roots: roots.0, provider: provider.clone() };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match identity {
            Some(TlsIdentity { chain, key }) => config.with_client_auth_cert(chain, key)?,
            None => config.with_no_client_auth(),
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(super) async fn connect(
        &self,
        stream: TcpStream,
    ) -> Result<client::TlsStream<TcpStream>, TlsError> {
        let handshake = self.connector.connect(self.name.clone(), stream);
        handshake.await.map_err(|error| match is_about_our_certificate(&error) {
            true => TlsError::OurCertificate(error),
            false => TlsError::Handshake(error),
        })
    }
}

/// Whether the far side broke a session off because of the certificate that we showed, or that we
/// showed none. Under TLS 1.3 it says so when our handshake is over (RFC 8446 section 4.4.2.4).
pub(super) fn is_about_our_certificate(error: &std::io::Error) -> bool {
    use AlertDescription as Alert;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let Some(Error::AlertReceived(alert)) = inner else { return false };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
    )
}

impl TlsServer {
    /// Shows this certificate to everybody; clients need none, they are known by their address.
    pub fn new(identity: TlsIdentity) -> Result<Self, TlsError> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(identity.chain, identity.key)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<server::TlsStream<TcpStream>, TlsError> {
        self.0.accept(stream).await.map_err(TlsError::Handshake)
    }
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlsClient({:?})", self.name)
    }
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsServer")
    }
}

/// Verifies the chain as the web does, and the name as SIP does (RFC 5922 section 7).
#[derive(Debug)]
struct DomainVerifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for DomainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        let certificate = webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_unparsable| CertificateError::BadEncoding)?;
        let proves = match server_name {
            ServerName::DnsName(domain) => proves_domain(&certificate, domain.as_ref()),
            // An address is no SIP domain; a trunk that is given by one has nothing else.
            address => certificate.verify_is_valid_for_subject_name(address).is_ok(),
        };
        match proves {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate is that of a SIP domain: one of its `sip:` URIs names it, or, when it has
/// none, one of its DNS names (RFC 5922 section 7.1). Names match as a whole and never by a
/// wildcard (section 7.2); the subject's common name counts for nothing.
fn proves_domain(certificate: &webpki::EndEntityCert<'_>, domain: &str) -> bool {
    let mut uris = certificate.valid_uri_names().filter_map(domain_of).peekable();
    let is_it = |name: &str| name.trim_end_matches('.').eq_ignore_ascii_case(domain);
    match uris.peek() {
        Some(_) => uris.any(is_it),
        None => certificate.valid_dns_names().any(is_it),
    }
}

/// The domain of a `sip:` URI that names a domain and nobody in it.
fn domain_of(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_domain = scheme.eq_ignore_ascii_case("sip") && !rest.contains('@');
    let end = rest.find([':', ';', '?']).unwrap_or(rest.len());
    is_domain.then_some(&rest[..end])
}

#[cfg(test)]
mod tests;
