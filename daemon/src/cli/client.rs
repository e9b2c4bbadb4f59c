//! A small HTTP client: the command line asks the daemon over its local socket, the demo over
//! loopback as any backend would.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

/// An answer is never larger: a list has at most 200 rows.
const ANSWER_LIMIT: usize = 8 << 20;
/// Longer than the longest `?wait=`.
const ANSWER_DEADLINE: Duration = Duration::from_secs(40);

/// Where the daemon listens.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// Its local socket.
    Socket(PathBuf),
    /// Its HTTP address, with the key to show.
    Http {
        /// The address.
        address: SocketAddr,
        /// The bearer key.
        key: String,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no daemon answers at {place}: {cause}")]
    NoDaemon {
        /// The socket or address.
        place: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The connection broke, or the answer is no HTTP.
    #[error("the daemon's answer cannot be read: {0}")]
    Broken(String),
    /// No answer in time.
    #[error("the daemon did not answer within {ANSWER_DEADLINE:?}")]
    Late,
}

/// An answer with its JSON body; `Null` when the body is empty.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The problem's `detail`, else its `title`, else the status.
    pub fn problem(&self) -> String {
        let text = ["detail", "title"].into_iter().find_map(|key| self.body[key].as_str());
        text.map_or_else(|| self.status.to_string(), str::to_owned)
    }
}

impl Endpoint {
    /// The socket at `path`.
    pub fn socket(path: &Path) -> Self {
        Self::Socket(path.to_owned())
    }

    /// GETs `path`.
    pub async fn get(&self, path: &str) -> Result<Answer, AskError> {
        self.ask(Method::GET, path, None).await
    }

    /// POSTs `body` to `path`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, AskError> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, AskError> {
        let exchange = self.exchange(method, path, body);
        tokio::time::timeout(ANSWER_DEADLINE, exchange).await.map_err(|_| AskError::Late)?
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, AskError> {
        let request = self.request(method, path, body)?;
        match self {
            Self::Socket(socket) => {
                let no_daemon =
                    |cause| AskError::NoDaemon { place: socket.display().to_string(), cause };
                let stream = UnixStream::connect(socket).await.map_err(no_daemon)?;
                answer(TokioIo::new(stream), request).await
            }
            Self::Http { address, .. } => {
                let no_daemon = |cause| AskError::NoDaemon { place: address.to_string(), cause };
                let stream = TcpStream::connect(address).await.map_err(no_daemon)?;
                answer(TokioIo::new(stream), request).await
            }
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, AskError> {
        let mut request = Request::builder().method(method).uri(path).header("host", "dozvon");
        if let Self::Http { key, .. } = self {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map_or_else(Bytes::new, |value| value.to_string().into());
        request.body(Full::new(bytes)).map_err(|error| AskError::Broken(error.to_string()))
    }
}

async fn answer<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, AskError>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| AskError::Broken(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT)
        .collect()
        .await
        .map_err(|error| AskError::Broken(error.to_string()))?
        .to_bytes();
    connection.abort();
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).map_err(|error| AskError::Broken(error.to_string()))?
    };
    Ok(Answer { status, body })
}
