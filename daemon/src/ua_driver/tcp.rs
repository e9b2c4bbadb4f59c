//! Opening a stream connection and running it to its end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use sip::TransportError;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connections::transport_error;
use super::stream::{self, End, News, Told, Wires};
use super::tls::{self, TlsClient, TlsError, TlsServer};

/// Connecting takes no longer. Shorter than `no_answer_timeout`, so that a call has time left for
/// its next target.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// The same for an INVITE that is too large for a datagram, at a target over UDP: a firewall that
/// swallows TCP must leave its call time to ring after all. One lost SYN is allowed for.
pub(super) const DETOUR_LIMIT: Duration = Duration::from_millis(1_500);
/// A TLS handshake takes no longer, on either side.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Bytes that nobody acknowledged for so long mean that the connection is dead (RFC 5482).
const UNACKNOWLEDGED_LIMIT_MS: u32 = 20_000;

/// What is to be done on a connection before the first message.
#[derive(Debug)]
pub(super) enum Security {
    /// Nothing: TCP in clear.
    Clear,
    /// A handshake in which the far side proves its name.
    Client(TlsClient),
    /// A handshake in which we prove ours.
    Server(TlsServer),
}

/// Why a connection was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The network refused.
    #[error(transparent)]
    Network(#[from] io::Error),
    /// The far side did not prove its name, or no handshake was possible.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No end of it within its limit.
    #[error("{what} took too long")]
    TooLong {
        /// What.
        what: &'static str,
    },
}

/// A far end to be called.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) address: SocketAddr,
    /// Connecting takes no longer.
    pub(super) limit: Duration,
    pub(super) security: Result<Security, TlsError>,
}

impl Dial {
    /// Connects.
    pub(super) async fn connect(self) -> Result<(TcpStream, Security), OpenError> {
        let security = self.security?;
        let connecting = timeout(self.limit, TcpStream::connect(self.address)).await;
        let stream = connecting.map_err(|_elapsed| OpenError::TooLong { what: "connecting" })??;
        prepare(&stream)?;
        Ok((stream, security))
    }
}

/// Small messages leave at once, and a dead peer is noticed.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    setsockopt(stream, sockopt::TcpUserTimeout, &UNACKNOWLEDGED_LIMIT_MS)?;
    Ok(())
}

/// Opens a connection and runs it, telling the call loop of both.
pub(super) async fn run(
    remote: SocketAddr,
    stream: impl Future<Output = Result<(TcpStream, Security), OpenError>>,
    wires: Wires<'_>,
) {
    let (connection, told) = (wires.connection, wires.told);
    let news = match opened_and_served(stream, wires).await {
        Ok(end) => {
            match end {
                End::Finished | End::Dropped => {
                    tracing::debug!(%remote, "a connection ended: {end}");
                }
                _ => tracing::info!(%remote, "a connection ended: {end}"),
            }
            News::Closed
        }
        Err(error) => News::Failed { kind: error.kind(), cause: error.to_string() },
    };
    // The call loop is gone only when the process ends.
    let _ = told.send(Told { connection, news }).await;
}

async fn opened_and_served(
    stream: impl Future<Output = Result<(TcpStream, Security), OpenError>>,
    wires: Wires<'_>,
) -> Result<End, OpenError> {
    let (stream, security) = stream.await?;
    let opened =
        Told { connection: wires.connection, news: News::Opened { local: stream.local_addr()? } };
    let told = wires.told;
    let too_long = |_elapsed| OpenError::TooLong { what: "the TLS handshake" };
    match security {
        Security::Clear => {
            // The call loop is gone only when the process ends.
            let _ = told.send(opened).await;
            Ok(stream::serve(stream, wires).await)
        }
        Security::Client(tls) => {
            let handshake = timeout(HANDSHAKE_LIMIT, tls.connect(stream));
            let stream = handshake.await.map_err(too_long)??;
            let _ = told.send(opened).await;
            match stream::serve(stream, wires).await {
                End::Broken(error) if tls::is_about_our_certificate(&error) => {
                    Err(TlsError::OurCertificate(error).into())
                }
                end => Ok(end),
            }
        }
        Security::Server(tls) => {
            let handshake = timeout(HANDSHAKE_LIMIT, tls.accept(stream));
            let stream = handshake.await.map_err(too_long)??;
            let _ = told.send(opened).await;
            Ok(stream::serve(stream, wires).await)
        }
    }
}

impl OpenError {
    fn kind(&self) -> TransportError {
        match self {
            Self::Network(error) => transport_error(error),
            Self::TooLong { .. } => TransportError::Unreachable,
            Self::Tls(_) => TransportError::Untrusted,
        }
    }
}
