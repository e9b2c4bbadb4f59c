//! Certificates of a test's own, and a registrar behind TLS that may demand one of its clients.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozvon_tests::capture::Captured;
use dozvon_tests::phones::answer;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// A certificate that is its own authority, with its key.
pub(crate) struct Identity {
    certificate: String,
    key: String,
}

impl Identity {
    pub(crate) fn of(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]);
        let made = made.expect("a certificate");
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// Its files: the certificate, and the key that only we may read.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let paths = ["cert", "key"].map(|kind| folder.join(format!("{name}.{kind}.pem")));
        for (path, text) in paths.iter().zip([&self.certificate, &self.key]) {
            std::fs::write(path, text).expect("the folder is ours");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(path, mode).expect("the file is ours");
        }
        let [certificate, key] = paths;
        (certificate, key)
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("we wrote it")
    }
}

/// Shows `identity`, and takes only a client that shows `client`.
pub(crate) fn acceptor(
    identity: &Identity,
    client: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_protocol_versions(versions).expect("versions of the provider");
    let config = match client {
        None => config.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.der()).expect("a certificate");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().expect("one authority"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("we wrote it");
    let config = config.with_single_cert(vec![identity.der()], key).expect("they fit");
    TlsAcceptor::from(Arc::new(config))
}

/// Grants every REGISTER that comes through its handshake. It is gone when the value is dropped.
pub(crate) struct Registrar {
    address: SocketAddr,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Seen {
    attempts: Vec<Instant>,
    /// The certificate of each client that was taken.
    shown: Vec<CertificateDer<'static>>,
}

impl Registrar {
    pub(crate) async fn start(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (sender, seen) = watch::channel(Seen::default());
        let task = tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                sender.send_modify(|seen| seen.attempts.push(Instant::now()));
                clients.spawn(serve(acceptor.clone(), stream, sender.clone()));
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificates of clients that were taken.
    pub(crate) fn shown(&self) -> Vec<CertificateDer<'static>> {
        self.seen.borrow().shown.clone()
    }

    /// When connections came, once so many have.
    pub(crate) async fn until_attempts(&self, count: usize, limit: Duration) -> Vec<Instant> {
        let mut seen = self.seen.clone();
        let enough = seen.wait_for(|seen| seen.attempts.len() >= count);
        let in_time = tokio::time::timeout(limit, enough).await.is_ok();
        assert!(in_time, "not {count} connections in {limit:?}");
        self.seen.borrow().attempts.clone()
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, seen: watch::Sender<Seen>) {
    // Whoever has no certificate is told so by the handshake.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    seen.send_modify(|seen| seen.shown.extend(shown));
    while let Some(request) = Captured::read(&mut stream).await {
        // A client that left has no use for an answer.
        let _ = stream.write_all(&answer(&request, "200 OK")).await;
        let _ = stream.flush().await;
    }
}
