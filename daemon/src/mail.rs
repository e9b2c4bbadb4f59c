//! Letters to people: what they look like, and the way to the operator's mail server.
//!
//! A letter is handed over in two steps, as a call is placed. [`Mailer::offer`] goes as far as
//! the server's 354: it takes this sender and this recipient, and nothing has left. Then the
//! caller writes down that the letter is about to leave, and only then [`Offered::send`] gives
//! its content. So whatever breaks before may be tried again, and what breaks after the content
//! began and before the answer came is known as unknown: it is never sent twice.

mod conversation;
mod letter;
mod pool;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::Semaphore;

use conversation::{Conversation, Fault};
use pool::Pool;

pub use letter::{ComposeError, Composed, Letter, Sender};

/// How the server is reached, with the secrets that the file names.
pub struct MailSettings {
    /// Host, port and protection.
    pub email: config::Email,
    /// The password that goes with [`config::Email::user`].
    pub password: Option<sip::Secret>,
    /// Certificates that may sign the server's beside the system's, as PEM.
    pub authorities: Option<Vec<u8>>,
}

/// Why letters cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum MailSettingsError {
    /// The sender's address is none that a letter could carry.
    #[error("the sender's address cannot be written")]
    Sender,
    /// The file of authorities holds no certificate.
    #[error("the file of authorities holds no certificate: {0}")]
    Authorities(String),
    /// The file of authorities cannot be read.
    #[error("the file of authorities cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// TLS cannot be prepared.
    #[error("TLS cannot be prepared: {0}")]
    Tls(String),
}

/// What became of an offer that was not taken. Nothing has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not now: the server is away, slow, or said so (4xx). May be tried again.
    Later(String),
    /// The server does not want this letter (5xx).
    Rejected(String),
}

/// What became of a letter whose content was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailEnd {
    /// The server has it.
    Sent(String),
    /// The server looked at it and does not take it (5xx).
    Rejected(String),
    /// The server did not take it this time (4xx): it may be offered again.
    Later(String),
    /// The answer was lost: it may have been taken.
    Lost,
}

/// The way to one mail server. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    sender: Sender,
    route: Route,
    places: Arc<Semaphore>,
    pool: Pool,
}

/// Where the server is and how we speak to it.
pub(crate) struct Route {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) protection: Protection,
    pub(crate) hello: ClientId,
    pub(crate) credentials: Option<Credentials>,
    /// For each connection and each answer.
    pub(crate) limit: Duration,
}

/// When the connection is encrypted.
pub(crate) enum Protection {
    /// From its first byte.
    Wrapped(TlsParameters),
    /// By STARTTLS, without which nothing is said.
    StartTls(TlsParameters),
    /// Never: a server on this machine.
    Off,
}

impl Mailer {
    /// Prepares the way; nothing is connected yet.
    pub fn new(settings: MailSettings) -> Result<Self, MailSettingsError> {
        let config::Email { from, user, connections, reply_limit, .. } = &settings.email;
        let sender = Sender::new(from).map_err(|_| MailSettingsError::Sender)?;
        let credentials = user.as_ref().zip(settings.password.as_ref());
        let credentials = credentials
            .map(|(user, password)| Credentials::new(user.clone(), password.reveal().to_owned()));
        let route = Route {
            host: settings.email.host.clone(),
            port: settings.email.port,
            protection: protection(&settings)?,
            hello: ClientId::Domain(sender.domain().to_owned()),
            credentials,
            limit: *reply_limit,
        };
        let places = Arc::new(Semaphore::new(usize::from(*connections)));
        Ok(Self(Arc::new(Inner { sender, route, places, pool: Pool::default() })))
    }

    /// Who letters are from.
    pub fn sender(&self) -> &Sender {
        &self.0.sender
    }

    /// Offers a letter, as far as its content. Waits for one of the connections to be free.
    pub async fn offer(&self, letter: Composed) -> Result<Offered, Refusal> {
        let inner = &self.0;
        let closed = |_| Refusal::Later("stopping".to_owned());
        let place = inner.places.clone().acquire_owned().await.map_err(closed)?;
        // A connection that rested may be gone, which shows at its first command: then a new one
        // is made, once.
        if let Some(mut rested) = inner.pool.take() {
            match rested.offer(&inner.route, &inner.sender, &letter).await {
                Ok(()) => return Ok(self.offered(rested, letter, place)),
                Err(Fault::Broken(_)) => {}
                Err(fault) => return Err(self.refused(rested, fault)),
            }
        }
        let mut fresh = match Conversation::begin(&inner.route).await {
            Ok(fresh) => fresh,
            Err(fault) => return Err(later(&fault)),
        };
        match fresh.offer(&inner.route, &inner.sender, &letter).await {
            Ok(()) => Ok(self.offered(fresh, letter, place)),
            Err(fault) => Err(self.refused(fresh, fault)),
        }
    }

    fn offered(
        &self,
        conversation: Conversation,
        letter: Composed,
        place: tokio::sync::OwnedSemaphorePermit,
    ) -> Offered {
        Offered { mailer: self.clone(), conversation, letter, _place: place }
    }

    /// A refusal of the letter leaves the connection as it was.
    fn refused(&self, conversation: Conversation, fault: Fault) -> Refusal {
        match fault {
            Fault::Permanent(code) => {
                self.0.pool.put(conversation);
                Refusal::Rejected(word(code))
            }
            Fault::Transient(code) => {
                self.0.pool.put(conversation);
                Refusal::Later(word(code))
            }
            broken @ Fault::Broken(_) => later(&broken),
        }
    }
}

/// A letter that the server is ready to take. Dropped, it was never sent.
pub struct Offered {
    mailer: Mailer,
    conversation: Conversation,
    letter: Composed,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Offered {
    /// Gives the content and waits for the answer.
    pub async fn send(mut self) -> MailEnd {
        let answer = self.conversation.content(&self.mailer.0.route, self.letter.bytes()).await;
        let end = match answer {
            Ok(code) => MailEnd::Sent(word(code)),
            Err(Fault::Permanent(code)) => MailEnd::Rejected(word(code)),
            Err(Fault::Transient(code)) => MailEnd::Later(word(code)),
            Err(Fault::Broken(_)) => return MailEnd::Lost,
        };
        self.mailer.0.pool.put(self.conversation);
        end
    }
}

/// The connection itself could not be had: no fault of the letter, whatever the code.
fn later(fault: &Fault) -> Refusal {
    Refusal::Later(match fault {
        Fault::Permanent(code) | Fault::Transient(code) => word(*code),
        Fault::Broken(what) => (*what).to_owned(),
    })
}

fn word(code: u16) -> String {
    format!("smtp_{code}")
}

fn protection(settings: &MailSettings) -> Result<Protection, MailSettingsError> {
    let tls = || {
        let mut builder = TlsParameters::builder(settings.email.host.clone());
        if let Some(pem) = &settings.authorities {
            let failed =
                |error: &dyn fmt::Display| MailSettingsError::Authorities(error.to_string());
            let certificate = Certificate::from_pem(pem).map_err(|error| failed(&error))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build_rustls().map_err(|error| MailSettingsError::Tls(error.to_string()))
    };
    Ok(match settings.email.tls {
        config::MailTls::Wrapped => Protection::Wrapped(tls()?),
        config::MailTls::StartTls => Protection::StartTls(tls()?),
        config::MailTls::Off => Protection::Off,
    })
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailer({}:{})", self.0.route.host, self.0.route.port)
    }
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offered(***)")
    }
}

/// The text is an address that a letter can go to: what lettre writes into `RCPT TO`.
pub(crate) fn address(text: &str) -> Option<Address> {
    // Other scripts need SMTPUTF8, which few servers on the way have (RFC 6531).
    text.is_ascii().then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
