//! One POST: the name is resolved once, every address is checked, and the connection goes to one
//! of those. Redirects are answers like others; what is answered is not read but for its status.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use config::WebhookUrl;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::address::is_public;

/// From the resolution to the answer.
const DEADLINE: Duration = Duration::from_secs(15);
/// Longest head of an answer.
const HEAD_LIMIT: usize = 64 * 1024;

type Doing<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// The doors to the network.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) resolve: Arc<dyn Fn(String, u16) -> Doing<Vec<SocketAddr>> + Send + Sync>,
    pub(crate) connect: Arc<dyn Fn(SocketAddr) -> Doing<TcpStream> + Send + Sync>,
}

impl Net {
    /// Those of the system.
    pub(crate) fn system() -> Self {
        Self {
            resolve: Arc::new(|host, port| {
                Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
            }),
            connect: Arc::new(|address| Box::pin(TcpStream::connect(address))),
        }
    }
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// How long it wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("the name has no address")]
    NoAddress,
    #[error("the name has a private address")]
    PrivateAddress,
    #[error("there was no answer in time")]
    TooSlow,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the answer is not understood: {0}")]
    Http(#[from] hyper::Error),
}

impl PostError {
    /// In a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::NoAddress => "no_address",
            Self::PrivateAddress => "private_address",
            Self::TooSlow => "too_slow",
            Self::Io(_) => "no_connection",
            Self::Http(_) => "bad_answer",
        }
    }
}

/// What is posted.
pub(super) struct Post<'a> {
    pub(super) url: &'a WebhookUrl,
    pub(super) allow_private: bool,
    pub(super) headers: [(&'static str, String); 3],
    pub(super) body: Vec<u8>,
}

/// The address as text.
pub(super) fn shown(url: &WebhookUrl) -> String {
    let scheme = if url.is_tls { "https" } else { "http" };
    format!("{scheme}://{}{}", authority(url), url.path)
}

fn authority(url: &WebhookUrl) -> String {
    let host = &url.host.host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    url.host.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// Posts once.
pub(super) async fn post(net: &Net, post: Post<'_>) -> Result<Answer, PostError> {
    let work = async {
        let url = post.url;
        let stream = reach(net, url, post.allow_private).await?;
        if !url.is_tls {
            return exchange(stream, post).await;
        }
        let name = tokio_rustls::rustls::pki_types::ServerName::try_from(url.host.host.clone());
        let name = name.map_err(io::Error::other)?;
        let stream = crate::tls_client::connector()?.connect(name, stream).await?;
        exchange(stream, post).await
    };
    tokio::time::timeout(DEADLINE, work).await.unwrap_or(Err(PostError::TooSlow))
}

async fn reach(net: &Net, url: &WebhookUrl, allow_private: bool) -> Result<TcpStream, PostError> {
    let port = url.host.port.unwrap_or(if url.is_tls { 443 } else { 80 });
    let addresses = (net.resolve)(url.host.host.clone(), port).await?;
    if addresses.is_empty() {
        return Err(PostError::NoAddress);
    }
    if !allow_private && addresses.iter().any(|address| !is_public(address.ip())) {
        return Err(PostError::PrivateAddress);
    }
    let mut last = None;
    for address in addresses {
        match (net.connect)(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or(PostError::NoAddress, PostError::Io))
}

async fn exchange<S>(stream: S, post: Post<'_>) -> Result<Answer, PostError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut request = Request::post(post.url.path.as_str())
        .header(HOST, authority(post.url))
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("dozvon/", env!("CARGO_PKG_VERSION")));
    for (name, value) in post.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(post.body))).map_err(io::Error::other)?;
    // With the answer's head in hand the connection is dropped: nothing more is read.
    let response = tokio::select! {
        response = sender.send_request(request) => response?,
        Err(error) = connection => return Err(error.into()),
    };
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok(Answer { status: response.status(), retry_after: retry_after.map(Duration::from_secs) })
}
