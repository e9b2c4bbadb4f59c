//! Letters against a server that fails where a test wants it to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;

/// Where in a conversation something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Greeting,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    Content,
    Other,
}

/// What happens there instead of the right answer.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Say(&'static str),
    Cut,
    Silence,
}

#[derive(Default)]
struct Record {
    connections: usize,
    /// Commands, each with its first word only.
    commands: Vec<String>,
    letters: Vec<String>,
}

struct Server {
    address: SocketAddr,
    record: Arc<Mutex<Record>>,
    task: tokio::task::JoinHandle<()>,
    /// What a client must trust.
    authority: Option<Vec<u8>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Troubles = Arc<Mutex<VecDeque<(At, Trouble)>>>;

impl Server {
    /// Each trouble happens once, in this order.
    async fn plain(troubles: &[(At, Trouble)]) -> Self {
        Self::start(troubles, None).await
    }

    /// With STARTTLS and a certificate for this name.
    async fn tls(name: &str, troubles: &[(At, Trouble)]) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut server = Self::start(troubles, Some(TlsAcceptor::from(Arc::new(config)))).await;
        server.authority = Some(made.cert.pem().into_bytes());
        server
    }

    async fn start(troubles: &[(At, Trouble)], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::new(Mutex::new(Record::default()));
        let troubles: Troubles = Arc::new(Mutex::new(troubles.iter().copied().collect()));
        let shared = record.clone();
        let task = tokio::spawn(async move {
            let mut conversations = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let (record, troubles, tls) = (shared.clone(), troubles.clone(), tls.clone());
                conversations.spawn(async move {
                    let mut talk = Talk { record, troubles, is_secure: false };
                    let offer = tls.is_some();
                    let Some(stream) = talk.run(BufReader::new(stream), offer, true).await else {
                        return;
                    };
                    let tls = tls.expect("only a server with TLS is asked for it");
                    if let Ok(secure) = tls.accept(stream.into_inner()).await {
                        talk.is_secure = true;
                        talk.run(BufReader::new(secure), false, false).await;
                    }
                });
            }
        });
        Self { address, record, task, authority: None }
    }

    fn mailer(&self, tls: config::MailTls) -> Mailer {
        self.mailer_named("127.0.0.1", tls)
    }

    fn mailer_named(&self, host: &str, tls: config::MailTls) -> Mailer {
        let from = config::Mailbox {
            name: Some("Dozvon".to_owned()),
            address: "noreply@example.ru".to_owned(),
        };
        let email = config::Email {
            host: host.to_owned(),
            port: self.address.port(),
            tls,
            from,
            user: None,
            password: None,
            ca: None,
            connections: 2,
            reply_limit: Duration::from_secs(2),
        };
        let authorities = self.authority.clone();
        Mailer::new(MailSettings { email, password: None, authorities }).unwrap()
    }

    fn letters(&self) -> usize {
        self.record.lock().unwrap().letters.len()
    }

    fn commands(&self) -> String {
        self.record.lock().unwrap().commands.join(" ")
    }
}

struct Talk {
    record: Arc<Mutex<Record>>,
    troubles: Troubles,
    is_secure: bool,
}

impl Talk {
    /// Gives the stream back when the client begins TLS.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        mut stream: BufReader<S>,
        offers_tls: bool,
        greets: bool,
    ) -> Option<BufReader<S>> {
        if greets {
            self.answer(&mut stream, At::Greeting, "220 mail.test ESMTP").await?;
        }
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let word = line.split_whitespace().next().unwrap_or_default().to_uppercase();
            self.record.lock().unwrap().commands.push(word.clone());
            let (at, right) = match word.as_str() {
                "EHLO" if offers_tls => (At::Ehlo, "250-mail.test\r\n250 STARTTLS"),
                "EHLO" => (At::Ehlo, "250 mail.test"),
                "STARTTLS" => {
                    stream.write_all(b"220 go on\r\n").await.ok()?;
                    return Some(stream);
                }
                "MAIL" => (At::Mail, "250 ok"),
                "RCPT" => (At::Rcpt, "250 ok"),
                "DATA" => (At::Data, "354 go on"),
                "QUIT" => return None,
                _ => (At::Other, "250 ok"),
            };
            if self.answer(&mut stream, at, right).await? && at == At::Data {
                let letter = content(&mut stream).await?;
                self.record.lock().unwrap().letters.push(letter);
                self.answer(&mut stream, At::Content, "250 taken").await?;
            }
        }
    }

    /// `None`: the conversation is over. Else whether the answer was the right one.
    async fn answer<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        at: At,
        right: &str,
    ) -> Option<bool> {
        let trouble = {
            let mut troubles = self.troubles.lock().unwrap();
            let is_here = troubles.front().is_some_and(|(place, _)| *place == at);
            if is_here { troubles.pop_front() } else { None }
        };
        let text = match trouble {
            None => right,
            Some((_, Trouble::Say(text))) => text,
            Some((_, Trouble::Cut)) => return None,
            Some((_, Trouble::Silence)) => std::future::pending().await,
        };
        stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
        Some(trouble.is_none())
    }
}

async fn content<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut letter = String::new();
    loop {
        let begin = letter.len();
        if stream.read_line(&mut letter).await.ok()? == 0 {
            return None;
        }
        if &letter[begin..] == ".\r\n" {
            return Some(letter);
        }
    }
}

fn letter(mailer: &Mailer) -> Composed {
    let letter = Letter {
        to: "ivan@corp.example",
        subject: "Code",
        text: "Your code is 012345.",
        emphasis: Some("012345"),
        id: "msg_1",
        date: SystemTime::UNIX_EPOCH,
    };
    Composed::new(mailer.sender(), &letter).unwrap()
}

/// Offers one letter and, when it is wanted, gives it.
async fn send(mailer: &Mailer) -> Result<MailEnd, Refusal> {
    Ok(mailer.offer(letter(mailer)).await?.send().await)
}

fn sent() -> Result<MailEnd, Refusal> {
    Ok(MailEnd::Sent("smtp_250".to_owned()))
}

#[tokio::test]
async fn letters_one_after_another_share_a_connection() {
    let server = Server::plain(&[]).await;
    let mailer = server.mailer(config::MailTls::Off);
    for _ in 0..3 {
        assert_eq!(send(&mailer).await, sent());
    }
    assert_eq!((server.letters(), server.record.lock().unwrap().connections), (3, 1));
    let given = server.record.lock().unwrap().letters[0].clone();
    assert!(given.contains("To: ivan@corp.example") && given.contains("012345"), "{given}");
}

#[tokio::test]
async fn each_trouble_ends_as_what_it_is_and_the_next_letter_goes() {
    let later = |word: &str| Err(Refusal::Later(word.to_owned()));
    let rejected = |word: &str| Err(Refusal::Rejected(word.to_owned()));
    for (at, trouble, end, given) in [
        (At::Greeting, Trouble::Say("421 busy"), later("smtp_421"), 0),
        // What concerns the connection is no fault of the letter.
        (At::Greeting, Trouble::Say("554 not you"), later("smtp_554"), 0),
        (At::Greeting, Trouble::Cut, later("no_connection"), 0),
        (At::Ehlo, Trouble::Cut, later("no_connection"), 0),
        (At::Mail, Trouble::Say("451 later"), later("smtp_451"), 0),
        (At::Mail, Trouble::Cut, later("gone"), 0),
        (At::Rcpt, Trouble::Say("450 greylisted"), later("smtp_450"), 0),
        (At::Rcpt, Trouble::Say("550 nobody"), rejected("smtp_550"), 0),
        (At::Rcpt, Trouble::Say("421 closing"), later("smtp_421"), 0),
        (At::Data, Trouble::Say("554 no"), rejected("smtp_554"), 0),
        (At::Data, Trouble::Silence, later("timeout"), 0),
        (At::Content, Trouble::Say("452 full"), Ok(MailEnd::Later("smtp_452".to_owned())), 1),
        (At::Content, Trouble::Say("554 spam"), Ok(MailEnd::Rejected("smtp_554".to_owned())), 1),
        (At::Content, Trouble::Cut, Ok(MailEnd::Lost), 1),
    ] {
        let server = Server::plain(&[(at, trouble)]).await;
        let mailer = server.mailer(config::MailTls::Off);
        assert_eq!(send(&mailer).await, end, "{at:?} {trouble:?}");
        assert_eq!(server.letters(), given, "{at:?} {trouble:?}");
        assert_eq!(send(&mailer).await, sent(), "after {at:?} {trouble:?}");
        assert_eq!(server.letters(), given + 1, "{at:?} {trouble:?}");
    }
}

#[tokio::test]
async fn an_offer_that_is_dropped_gives_no_content() {
    let server = Server::plain(&[]).await;
    let mailer = server.mailer(config::MailTls::Off);
    drop(mailer.offer(letter(&mailer)).await.unwrap());
    assert_eq!(send(&mailer).await, sent());
    assert_eq!(server.letters(), 1, "only the second letter");
}

#[tokio::test]
async fn a_connection_that_died_at_rest_is_made_again() {
    let server = Server::plain(&[]).await;
    let mailer = server.mailer(config::MailTls::Off);
    assert_eq!(send(&mailer).await, sent());
    // The server's next word at MAIL is none: it has gone.
    let again = Server::plain(&[(At::Mail, Trouble::Cut)]).await;
    let mailer = again.mailer(config::MailTls::Off);
    assert_eq!(send(&mailer).await, Err(Refusal::Later("gone".to_owned())));
    assert_eq!(send(&mailer).await, sent());
    assert_eq!(again.letters(), 1);
}

#[tokio::test]
async fn without_the_right_certificate_nothing_is_said() {
    let right = Server::tls("localhost", &[]).await;
    let mailer = right.mailer_named("localhost", config::MailTls::StartTls);
    assert_eq!(send(&mailer).await, sent());
    assert_eq!(right.letters(), 1);

    let other = Server::tls("other.example", &[]).await;
    let mut unknown = Server::tls("localhost", &[]).await;
    unknown.authority = None;
    let plain = Server::plain(&[]).await;
    for (server, what) in
        [(&other, "another name"), (&unknown, "an unknown authority"), (&plain, "no STARTTLS")]
    {
        let mailer = server.mailer_named("localhost", config::MailTls::StartTls);
        assert_eq!(send(&mailer).await, Err(Refusal::Later("no_tls".to_owned())), "{what}");
        assert_eq!(server.letters(), 0, "{what}");
        assert!(!server.commands().contains("MAIL"), "{what}: {}", server.commands());
    }
}

#[tokio::test]
async fn no_more_letters_are_under_way_than_there_are_connections() {
    let server = Server::plain(&[]).await;
    let mailer = server.mailer(config::MailTls::Off);
    let first = mailer.offer(letter(&mailer)).await.unwrap();
    let second = mailer.offer(letter(&mailer)).await.unwrap();
    let third = tokio::time::timeout(Duration::from_millis(200), mailer.offer(letter(&mailer)));
    assert!(third.await.is_err(), "two places, two offers");
    assert_eq!(first.send().await, MailEnd::Sent("smtp_250".to_owned()));
    assert_eq!(send(&mailer).await, sent());
    drop(second);
}
