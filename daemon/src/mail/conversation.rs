//! One SMTP connection (RFC 5321), a command at a time, each with a deadline.

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use tokio::time::timeout;

use crate::mail::{Composed, Protection, Route, Sender};

/// What a server may ask for a password by; those that show it go only over TLS, or to a server
/// on this machine.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// Why a command did not do.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server said 4xx.
    Transient(u16),
    /// The server said 5xx.
    Permanent(u16),
    /// There is no conversation any more; the word says at which point.
    Broken(&'static str),
}

/// A connection that has said who we are.
pub(super) struct Conversation {
    connection: AsyncSmtpConnection,
}

impl Conversation {
    /// Connects, encrypts and authenticates.
    pub(super) async fn begin(route: &Route) -> Result<Self, Fault> {
        let Route { host, port, hello, limit, .. } = route;
        let wrapped = match &route.protection {
            Protection::Wrapped(tls) => Some(tls.clone()),
            Protection::StartTls(_) | Protection::Off => None,
        };
        let server = (host.as_str(), *port);
        let connect =
            AsyncSmtpConnection::connect_tokio1(server, Some(*limit), hello, wrapped, None);
        let mut connection = answered(*limit, "no_connection", connect).await?;
        if let Protection::StartTls(tls) = &route.protection {
            let upgrade = connection.starttls(tls.clone(), hello);
            answered(*limit, "no_tls", upgrade).await?;
        }
        if let Some(credentials) = &route.credentials {
            let ask = connection.auth(&MECHANISMS, credentials);
            if let Err(fault) = answered(*limit, "no_login", ask).await {
                tracing::warn!(?fault, "the mail server does not let us in");
                return Err(fault);
            }
        }
        Ok(Self { connection })
    }

    /// Names sender and recipient and asks to be let in with the content. A refusal is taken back
    /// to where the connection was before.
    pub(super) async fn offer(
        &mut self,
        route: &Route,
        sender: &Sender,
        letter: &Composed,
    ) -> Result<(), Fault> {
        let limit = route.limit;
        let offered = async {
            let connection = &mut self.connection;
            let from = Mail::new(Some(sender.address().clone()), Vec::new());
            answered(limit, "gone", connection.command(from)).await?;
            let to = Rcpt::new(letter.to().clone(), Vec::new());
            answered(limit, "gone", connection.command(to)).await?;
            answered(limit, "gone", connection.command(Data)).await
        };
        match offered.await {
            // 354 is the one answer that asks for the content (RFC 5321 section 4.3.2).
            Ok(354) => Ok(()),
            Ok(_) => Err(Fault::Broken("no_354")),
            Err(broken @ Fault::Broken(_)) => Err(broken),
            // The server is about to close the connection (RFC 5321 section 3.8).
            Err(Fault::Transient(421)) => Err(Fault::Broken("smtp_421")),
            Err(refusal) => match answered(limit, "gone", self.connection.command(Rset)).await {
                Ok(_) | Err(Fault::Transient(_) | Fault::Permanent(_)) => Err(refusal),
                Err(broken) => {
                    tracing::debug!(?broken, "the mail server left after a refusal");
                    Err(refusal)
                }
            },
        }
    }

    /// Gives the content; the answer's code.
    pub(super) async fn content(&mut self, route: &Route, bytes: &[u8]) -> Result<u16, Fault> {
        // A server may look into a letter before it answers (RFC 5321 section 4.5.3.2.6).
        answered(route.limit * 3, "gone", self.connection.message(bytes)).await
    }
}

async fn answered<T: Answer>(
    limit: Duration,
    point: &'static str,
    command: impl Future<Output = Result<T, Error>>,
) -> Result<T::Said, Fault> {
    match timeout(limit, command).await {
        Ok(Ok(answer)) => Ok(answer.said()),
        Ok(Err(error)) => Err(fault(&error, point)),
        Err(_elapsed) => Err(Fault::Broken("timeout")),
    }
}

fn fault(error: &Error, point: &'static str) -> Fault {
    let code = error.status().map(u16::from);
    match code {
        Some(code) if error.is_permanent() => Fault::Permanent(code),
        Some(code) => Fault::Transient(code),
        None => {
            // The library's errors hold no address and no content.
            tracing::debug!(%error, point, "the mail server is not to be spoken with");
            Fault::Broken(point)
        }
    }
}

/// What is kept of an answer.
trait Answer {
    type Said;
    fn said(self) -> Self::Said;
}

impl Answer for lettre::transport::smtp::response::Response {
    type Said = u16;
    fn said(self) -> u16 {
        self.code().into()
    }
}

impl Answer for AsyncSmtpConnection {
    type Said = Self;
    fn said(self) -> Self {
        self
    }
}

impl Answer for () {
    type Said = ();
    fn said(self) {}
}
