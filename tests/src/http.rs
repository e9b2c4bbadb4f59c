//! A small HTTP client for the API, each request on a connection of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// The longest that any answer may take: the API itself waits 30 s at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

/// Shorter targets and codes are not searched for.
const SHORTEST_SECRET: usize = 7;

/// Where the API is, and the key that is shown to it.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    key: Option<String>,
    /// What was sent and must not be seen again in a log.
    secrets: Arc<Mutex<Vec<String>>>,
}

/// Status, headers and body of an answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|fault| panic!("{}: {fault}: {}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header, empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The answer itself, if its status is `status`.
    ///
    /// # Panics
    /// When it is another.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    /// A client without a key.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, key: None, secrets: Arc::default() }
    }

    /// The same client with `key` as its bearer token.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        let client = Self { key: Some(key.to_owned()), ..self.clone() };
        client.remember(key.rsplit('_').next().unwrap_or_default());
        client
    }

    /// The keys shown and the targets and codes sent by this client and those made from it.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is too short would be met in a log by chance.
    fn remember(&self, secret: &str) {
        if secret.len() >= SHORTEST_SECRET {
            let secret = secret.trim_start_matches('+').to_owned();
            self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret);
        }
    }

    fn remember_body(&self, body: &[u8]) {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return };
        for name in ["to", "code", "email", "phone", "identifier", "password"] {
            let text = fields.get(name).and_then(Value::as_str);
            // A word without a digit or sign is a test's wrong input, and may be a word of a log.
            let is_word = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
            text.filter(|text| !is_word(text)).inspect(|text| self.remember(text));
        }
    }

    /// GET.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// POST of a JSON value.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body).await
    }

    /// POST of a JSON value with further headers.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send(Method::POST, path, headers, body.to_string().into_bytes()).await
    }

    /// Any request; a body is called JSON unless `headers` name another type.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let name = format!("{method} {path}");
        tokio::time::timeout(ANSWER_LIMIT, self.try_send(method, path, headers, body))
            .await
            .unwrap_or_else(|_| panic!("{name}: no answer in {ANSWER_LIMIT:?}"))
            .unwrap_or_else(|fault| panic!("{name}: {fault}"))
    }

    /// Any request, with the fault if the server cannot be reached or hangs up.
    ///
    /// # Errors
    /// What the connection met.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the exchange; a fault of it is the sender's fault too.
        tokio::spawn(async move { connection.await.ok() });
        let has_body = !body.is_empty();
        self.remember_body(&body);
        let mut request =
            Request::builder().method(method).uri(path).body(Full::<Bytes>::from(body))?;
        let fields = request.headers_mut();
        fields.insert(HOST, HeaderValue::from_str(&self.address.to_string())?);
        if has_body {
            fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = &self.key {
            fields.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))?);
        }
        for (name, value) in headers {
            fields.insert(HeaderName::try_from(*name)?, HeaderValue::from_str(value)?);
        }
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}
