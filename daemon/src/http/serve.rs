//! Listeners: accepts connections, holds them to deadlines and to a cap, and hands requests to
//! the router.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// From the first byte we wait for, or from the end of the last answer, to a whole header: a
/// client that says nothing, or says it slowly, is cut off then.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// Longest header section, in bytes; hyper answers 431 above it.
const HEADER_LIMIT: usize = 16 * 1024;

/// Most header fields.
const HEADER_FIELD_LIMIT: usize = 64;

/// How long an answer that has begun may go on after the stop.
const GRACE: Duration = Duration::from_secs(5);

/// How long to rest when the system refuses to accept, as with too many open files.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What a connection above the cap is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
Content-Type: application/problem+json\r\nContent-Length: 127\r\nConnection: close\r\n\r\n\
{\"type\":\"urn:dozvon:problem:overloaded\",\"title\":\"Too much to do at the moment\",\"status\":503,\
\"instance\":\"/\",\"code\":\"overloaded\"}";

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on the network.
    Network(SocketAddr),
    /// A process of this machine, at the local socket, whose user may operate the gateway.
    Operator {
        /// Its user id.
        uid: u32,
    },
}

/// What all listeners share.
#[derive(Clone, Debug)]
pub struct Connections {
    places: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Connections {
    /// At most `cap` connections at once over all listeners, until `stop`.
    pub fn new(cap: u32, stop: CancellationToken, tasks: TaskTracker) -> Self {
        Self { places: Arc::new(Semaphore::new(cap as usize)), stop, tasks }
    }

    /// Serves one TCP listener until the stop.
    pub async fn serve_tcp(self, listener: TcpListener, router: Router) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, address)) => self.take_tcp(stream, address, &router),
                Err(error) => rest_after(&error).await,
            }
        }
    }

    /// Serves the local socket until the stop. Only root and our own user are let in.
    pub async fn serve_unix(self, listener: UnixListener, router: Router) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _unnamed)) => self.take_unix(stream, &router),
                Err(error) => rest_after(&error).await,
            }
        }
    }

    fn take_tcp(&self, stream: TcpStream, address: SocketAddr, router: &Router) {
        // Answers are small and written whole; waiting for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection broke before it was served");
            return;
        }
        self.take(stream, Peer::Network(address), router);
    }

    fn take_unix(&self, stream: UnixStream, router: &Router) {
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == 0 || Some(peer.uid()) == own_uid() => {
                self.take(stream, Peer::Operator { uid: peer.uid() }, router);
            }
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "a foreign user was turned away at the socket");
            }
            Err(error) => tracing::warn!(%error, "a peer at the socket would not say who it is"),
        }
    }

    fn take<S>(&self, stream: S, peer: Peer, router: &Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.tasks.spawn(turn_away(stream));
            return;
        };
        let router = router.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            serve_connection(stream, peer, router, stop).await;
            drop(place);
        });
    }
}

async fn serve_connection<S>(stream: S, peer: Peer, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move { Ok::<Response, Infallible>(answer(router, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_header_size(HEADER_LIMIT)
        .max_headers(HEADER_FIELD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_elapsed) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

async fn answer(router: Router, request: hyper::Request<Body>) -> Response {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn turn_away<S: AsyncWrite + Unpin>(mut stream: S) {
    // A peer that does not take it is let go all the same.
    let _ = tokio::time::timeout(HEADER_DEADLINE, async {
        stream.write_all(FULL).await?;
        stream.shutdown().await
    })
    .await;
}

async fn rest_after(error: &io::Error) {
    tracing::warn!(%error, "the system refused to accept a connection");
    tokio::time::sleep(ACCEPT_REST).await;
}

/// Our own user id, by the owner of our entry in /proc.
fn own_uid() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|entry| entry.uid())
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::AsyncReadExt;

    use super::*;

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        tasks: TaskTracker,
    }

    async fn server(cap: u32) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let connections = Connections::new(cap, stop.clone(), tasks.clone());
        let router = Router::new().route("/", get(|| async { "hello" }));
        tasks.spawn(connections.serve_tcp(listener, router));
        Server { address, stop, tasks }
    }

    async fn read_all(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_header_and_a_silent_connection_are_closed_at_five_seconds() {
        let server = server(8).await;
        for sent in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
            let started = tokio::time::Instant::now();
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            read_all(&mut stream).await;
            let took = started.elapsed();
            assert!((4..=6).contains(&took.as_secs()), "{sent:?} was cut off after {took:?}");
        }
        server.stop.cancel();
    }

    #[tokio::test]
    async fn a_connection_above_the_cap_is_told_to_come_back() {
        let server = server(1).await;
        let mut first = TcpStream::connect(server.address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        first.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        let mut second = TcpStream::connect(server.address).await.unwrap();
        let refused = read_all(&mut second).await;
        let (head, body) = refused.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503") && head.contains("Retry-After: 1"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head} {body}");
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
        server.stop.cancel();
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_by_the_stop() {
        let server = server(8).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        server.stop.cancel();
        read_all(&mut stream).await;
        server.tasks.close();
        server.tasks.wait().await;
    }
}
