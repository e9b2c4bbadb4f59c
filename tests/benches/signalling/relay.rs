//! TLS in front of a carrier that speaks TCP only: this very program, started once more, so that
//! its CPU time is its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use daemon::ua_driver::{Roots, TlsClient};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const OPTION: &str = "--relay";
const NAME: &str = "carrier.example";

/// The carrier behind the relay that this process is to be.
pub(crate) fn wanted() -> Option<SocketAddr> {
    let mut arguments = std::env::args().skip_while(|argument| argument != OPTION).skip(1);
    arguments.next().map(|carrier| carrier.parse().unwrap())
}

/// Prints its certificate and its address, and relays until it is killed.
pub(crate) fn run(carrier: SocketAddr) {
    let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", made.cert.pem());
        println!("{}", listener.local_addr().unwrap());
        while let Ok((stream, _)) = listener.accept().await {
            let mut near = acceptor.accept(stream).await.unwrap();
            let mut far = TcpStream::connect(carrier).await.unwrap();
            // Either side may end it.
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    });
}

/// A relay that ends when dropped.
pub(crate) struct Relay {
    child: Child,
    pub(crate) address: SocketAddr,
    authority: String,
}

impl Relay {
    pub(crate) fn start(carrier: SocketAddr) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([OPTION, &carrier.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut relay = Self { child, address, authority: String::new() };
        for line in BufReader::new(relay.child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Ok(address) = line.parse() {
                relay.address = address;
                return relay;
            }
            relay.authority.push_str(&line);
            relay.authority.push('\n');
        }
        panic!("the relay ended");
    }

    pub(crate) fn client(&self, name: &str) -> TlsClient {
        let roots = Roots::from_pem(self.authority.as_bytes()).unwrap();
        TlsClient::new(name, roots, None).unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
