//! People's mailboxes: a mail server that takes every letter and tells it (RFC 5321).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::letter::ReadLetter;
use super::report::{Direction, Report};

/// Longest command with its line end (RFC 5321 section 4.5.3.1.4).
const LINE_LIMIT: u64 = 512;
/// Largest letter: ours have a few kilobytes.
const LETTER_LIMIT: u64 = 1 << 20;
/// Conversations at once.
const CONVERSATION_LIMIT: usize = 100;

/// Where what happens is told.
type Tell = Arc<dyn Fn(Report) + Send + Sync>;

/// Serves until it is dropped. An error: the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    tell: impl Fn(Report) + Send + Sync + 'static,
) -> std::io::Result<()> {
    let (tell, begin): (Tell, _) = (Arc::new(tell), Instant::now());
    tell(Report::MailListening { address: listener.local_addr()? });
    let mut conversations = JoinSet::new();
    loop {
        let (stream, client) = listener.accept().await?;
        while conversations.len() >= CONVERSATION_LIMIT {
            conversations.join_next().await;
        }
        let mut conversation = Conversation {
            stream: BufReader::new(stream),
            client,
            tell: tell.clone(),
            begin,
            from: None,
            to: Vec::new(),
        };
        // A client that breaks off ends its own conversation only.
        conversations.spawn(async move { conversation.run().await.ok() });
    }
}

struct Conversation {
    stream: BufReader<TcpStream>,
    client: SocketAddr,
    tell: Tell,
    begin: Instant,
    /// Who the letter is from; `None`: no MAIL was given.
    from: Option<String>,
    to: Vec<String>,
}

impl Conversation {
    async fn run(&mut self) -> std::io::Result<()> {
        self.answer("220 carrier.test").await?;
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(LINE_LIMIT).read_until(b'\n', &mut line).await?;
            if read == 0 || !line.ends_with(b"\n") {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.told(Direction::In, line.clone());
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" | "HELO" => {
                    self.forget();
                    self.answer("250 carrier.test").await?;
                }
                "MAIL" => {
                    self.from = Some(path(&line));
                    self.to.clear();
                    self.answer("250 OK").await?;
                }
                "RCPT" if self.from.is_some() => {
                    self.to.push(path(&line));
                    self.answer("250 OK").await?;
                }
                "DATA" if !self.to.is_empty() => {
                    self.answer("354 Go ahead").await?;
                    if !self.content().await? {
                        return Ok(());
                    }
                    self.forget();
                    self.answer("250 OK").await?;
                }
                "RCPT" | "DATA" => self.answer("503 Bad sequence of commands").await?,
                "RSET" => {
                    self.forget();
                    self.answer("250 OK").await?;
                }
                "NOOP" => self.answer("250 OK").await?,
                "QUIT" => return self.answer("221 Bye").await,
                _ => self.answer("502 Not implemented").await?,
            }
        }
    }

    /// Reads a letter up to its lone point and tells it; false: it is none, or too large.
    async fn content(&mut self) -> std::io::Result<bool> {
        let mut letter = Vec::new();
        let mut limited = (&mut self.stream).take(LETTER_LIMIT);
        loop {
            let begin = letter.len();
            limited.read_until(b'\n', &mut letter).await?;
            let line = &letter[begin..];
            if !line.ends_with(b"\n") {
                return Ok(false);
            }
            if line == b".\r\n" {
                letter.truncate(begin);
                break;
            }
            // A point at the start of a line was doubled (RFC 5321 section 4.5.2).
            if line.starts_with(b"..") {
                letter.remove(begin);
            }
        }
        self.told(Direction::In, format!("a letter of {} bytes", letter.len()));
        let Some(ReadLetter { subject, text }) = ReadLetter::parse(&letter) else {
            return Ok(false);
        };
        for to in &self.to {
            (self.tell)(Report::Letter {
                t_ms: self.t_ms(),
                from: self.from.clone().unwrap_or_default(),
                to: to.clone(),
                subject: subject.clone(),
                text: text.clone(),
            });
        }
        Ok(true)
    }

    async fn answer(&mut self, line: &str) -> std::io::Result<()> {
        self.told(Direction::Out, line.to_owned());
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn told(&self, direction: Direction, line: String) {
        let (t_ms, client) = (self.t_ms(), self.client);
        (self.tell)(Report::Smtp { t_ms, client, direction, line });
    }

    fn t_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What stands between the angle brackets.
fn path(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(path, _)| path).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What each line sent is answered with, and what the server told of letters.
    async fn converse(lines: &[&str]) -> (String, Vec<Report>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told: Arc<Mutex<Vec<Report>>> = Arc::default();
        let teller = told.clone();
        let server = tokio::spawn(serve(listener, move |report| {
            teller.lock().unwrap().push(report);
        }));
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        let mut answers = String::new();
        stream.read_line(&mut answers).await.unwrap();
        for line in lines {
            stream.write_all(line.as_bytes()).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_line(&mut answer).await.unwrap();
            answers.push_str(answer.get(..3).unwrap_or("gone"));
            answers.push(' ');
        }
        server.abort();
        let letters = |report: &Report| matches!(report, Report::Letter { .. });
        let told = told.lock().unwrap().iter().filter(|r| letters(r)).cloned().collect();
        (answers, told)
    }

    #[tokio::test]
    async fn a_letter_is_told_once_for_each_who_gets_it() {
        let (answers, told) = converse(&[
            "EHLO us.example",
            "MAIL FROM:<a@us.example>",
            "RCPT TO:<i@corp.example>",
            "RCPT TO:<j@corp.example>",
            "DATA",
            "Subject: Code\r\n\r\n..012345\r\nmore\r\n.",
            "QUIT",
        ])
        .await;
        assert_eq!(answers, "220 carrier.test\r\n250 250 250 250 354 250 221 ");
        let shown: Vec<_> = told
            .iter()
            .map(|report| match report {
                Report::Letter { from, to, subject, text, .. } => (from, to, subject, text),
                other => panic!("{other:?}"),
            })
            .map(|(from, to, subject, text)| format!("{from} {to} {subject} {text:?}"))
            .collect();
        assert_eq!(
            shown,
            [
                "a@us.example i@corp.example Code \".012345\\nmore\"",
                "a@us.example j@corp.example Code \".012345\\nmore\""
            ]
        );
    }

    #[tokio::test]
    async fn commands_out_of_order_and_lines_without_end_are_refused() {
        let (answers, told) =
            converse(&["RCPT TO:<i@x.example>", "DATA", "WHAT", "NOOP", "RSET"]).await;
        assert_eq!((answers.as_str(), told.len()), ("220 carrier.test\r\n503 503 502 250 250 ", 0));
        let (answers, told) = converse(&[&"x".repeat(600)]).await;
        assert_eq!((answers.as_str(), told.len()), ("220 carrier.test\r\ngone ", 0));
    }
}
