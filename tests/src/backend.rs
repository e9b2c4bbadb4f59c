//! A backend that takes the events of webhooks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A secret of a webhook, in the form of the configuration.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Longest event.
const LIMIT: usize = 256 * 1024;

/// An event as it was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Posted {
    /// The value of a header.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{name} is missing"))
    }

    /// The event.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.body))
    }

    /// Headers and body as one JSON value.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), json!(value)));
        json!({"headers": Value::Object(headers.collect()), "body": self.body})
    }
}

/// A backend on a loopback port; it ends when it is dropped.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    posted: watch::Receiver<Vec<Posted>>,
    task: AbortHandle,
}

impl Backend {
    /// Listens, and answers whatever is posted with 204.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (posts, posted) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let posts = posts.clone();
                tokio::spawn(async move {
                    if let Some(post) = take(stream).await {
                        posts.send_modify(|all: &mut Vec<Posted>| all.push(post));
                    }
                });
            }
        });
        Self { address, posted, task: task.abort_handle() }
    }

    /// The part of a configuration that sends events of these types here.
    #[must_use]
    pub fn section(&self, events: &str) -> String {
        format!(
            "\n[webhooks.test]\nurl = \"http://{}/hook\"\nsecret = \"{SECRET}\"\n\
             allow_private = true\nevents = [{events}]\n",
            self.address
        )
    }

    /// Everything that was posted so far.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.borrow().clone()
    }

    /// Waits until what was posted fulfils `condition`, and returns it; an error is what was posted
    /// when it does not within `limit`.
    pub async fn within(
        &self,
        limit: Duration,
        mut condition: impl FnMut(&[Posted]) -> bool,
    ) -> Result<Vec<Posted>, Vec<Posted>> {
        let mut posted = self.posted.clone();
        let waited = posted.wait_for(|posted| condition(posted));
        let arrived = tokio::time::timeout(limit, waited).await.is_ok_and(|seen| seen.is_ok());
        if arrived { Ok(self.posted()) } else { Err(self.posted()) }
    }

    /// Waits until what was posted fulfils `condition`, and returns it.
    ///
    /// # Panics
    /// When it does not within `limit`; `what` says what was waited for.
    pub async fn until(
        &self,
        limit: Duration,
        what: &str,
        condition: impl FnMut(&[Posted]) -> bool,
    ) -> Vec<Posted> {
        self.within(limit, condition).await.unwrap_or_else(|posted| {
            let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
            for post in &posted {
                *kinds.entry(post.event()["type"].to_string()).or_default() += 1;
            }
            panic!("no {what} in {limit:?}: {kinds:?}")
        })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(mut stream: TcpStream) -> Option<Posted> {
    let mut bytes = Vec::new();
    loop {
        if bytes.len() > LIMIT || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: Vec<_> =
            fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let length = headers.iter().find(|(name, _)| name == "content-length")?;
        let begin = head.len() + 4;
        if bytes.len() < begin + length.1.parse::<usize>().ok()? {
            continue;
        }
        let body = String::from_utf8_lossy(&bytes[begin..]).into_owned();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.ok()?;
        return Some(Posted { headers, body });
    }
}
