//! Calls under TLS.

use daemon::ua_driver::{Roots, TlsClient, TlsIdentity, TlsServer};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use sip::{CallOutcome, Transport};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::peer::{Peer, driver, listener, outcome, place, secured, soon, trunk};

/// A certificate that is its own authority, in PEM form, with its key.
fn certificate(name: &str) -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

fn acceptor((chain, key): &(String, String)) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn client(name: &str, (authority, _): &(String, String)) -> TlsClient {
    TlsClient::new(name, Roots::from_pem(authority.as_bytes()).unwrap(), None).unwrap()
}

fn server((chain, key): &(String, String)) -> TlsServer {
    TlsServer::new(TlsIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_flash_call_goes_over_tls_to_a_carrier_that_proves_its_domain() {
    let (carrier, address) = listener().await;
    let certificate = certificate("carrier.test");
    let tls = client("carrier.test", &certificate);
    let north = secured(trunk("north", Transport::Tls, address), tls);
    let driver = driver(&[], None, vec![north]);
    let watch = place(&driver, "north", 1);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let stream = acceptor(&certificate).accept(stream).await.unwrap();
    assert_eq!(stream.get_ref().1.server_name(), Some("carrier.test"));
    Peer::new(stream).ring_once().await;
    assert_eq!(outcome(watch).await, CallOutcome::Rang);
}

#[tokio::test]
async fn not_a_byte_of_a_call_reaches_a_carrier_of_another_name() {
    let (carrier, address) = listener().await;
    let certificate = certificate("other.test");
    let tls = client("carrier.test", &certificate);
    let north = secured(trunk("north", Transport::Tls, address), tls);
    let driver = driver(&[], None, vec![north]);
    let watch = place(&driver, "north", 1);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let stream = acceptor(&certificate).accept(stream).await;
    if let Ok(stream) = stream {
        assert_eq!(Peer::new(stream).message().await, None);
    }
    assert_eq!(outcome(watch).await, CallOutcome::TrunkDown);
}

#[tokio::test]
async fn a_session_that_proved_one_name_serves_no_trunk_that_wants_another() {
    let (carrier, address) = listener().await;
    let certificate = certificate("carrier.test");
    let trunks = [("north", "carrier.test"), ("south", "other.test")].map(|(name, domain)| {
        secured(trunk(name, Transport::Tls, address), client(domain, &certificate))
    });
    let driver = driver(&[], None, trunks.into());
    let north = place(&driver, "north", 1);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let mut peer = Peer::new(acceptor(&certificate).accept(stream).await.unwrap());
    peer.ring_once().await;
    assert_eq!(outcome(north).await, CallOutcome::Rang);

    let south = place(&driver, "south", 2);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    if let Ok(stream) = acceptor(&certificate).accept(stream).await {
        assert_eq!(Peer::new(stream).message().await, None);
    }
    assert_eq!(outcome(south).await, CallOutcome::TrunkDown);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_the_next_connection() {
    let (_carrier, address) = listener().await;
    let ours = listener().await.1;
    let (old, new) = (certificate("old.test"), certificate("new.test"));
    let north = trunk("north", Transport::Tcp, address);
    let driver = driver(&[(Transport::Tls, ours)], Some(server(&old)), vec![north]);
    assert!(shows(ours, "old.test", &old).await);
    assert!(!shows(ours, "new.test", &new).await);
    driver.replace_certificate(server(&new));
    assert!(shows(ours, "new.test", &new).await);
    assert!(!shows(ours, "old.test", &old).await);
}

/// Whether a listener shows this certificate.
async fn shows(
    address: std::net::SocketAddr,
    name: &str,
    (authority, _): &(String, String),
) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = name.to_owned().try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_ok()
}
