//! SIP messages as a peer saw them, read without our own parser.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Which way a message went, seen from the peer that recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer received it.
    Received,
    /// The peer sent it.
    Sent,
}

/// One datagram in a peer's record.
#[derive(Clone, Debug)]
pub struct Captured {
    /// When, since the Unix epoch by the peer's clock, to the microsecond.
    pub at: Duration,
    /// Which way.
    pub direction: Direction,
    /// The far end, where the record names it (Kamailio's does, SIPp's does not).
    pub remote: Option<SocketAddr>,
    /// The whole message.
    pub bytes: Vec<u8>,
}

impl Captured {
    /// What a test received itself, just now.
    #[must_use]
    pub fn now(remote: SocketAddr, bytes: &[u8]) -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let bytes = bytes.to_vec();
        Self { at, direction: Direction::Received, remote: Some(remote), bytes }
    }

    /// The next message of a stream whose far side waits for an answer to each. `None`: it ended.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut read = Self { at, direction: Direction::Received, remote: None, bytes: Vec::new() };
        loop {
            let mut byte = [0; 1];
            if stream.read(&mut byte).await.ok()? == 0 {
                return None;
            }
            read.bytes.extend(byte);
            let is_ping = read.bytes.iter().all(|byte| b"\r\n".contains(byte));
            if is_ping {
                read.bytes.clear();
            } else if read.bytes.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let length = read.header("Content-Length")?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        read.bytes.extend(body);
        Some(read)
    }

    /// How an answer to this request begins: its first line, such as `200 OK`, and what it takes over
    /// from the request (RFC 3261 section 8.2.6.2). All but a 100 tag a To that has no tag yet.
    #[must_use]
    pub fn answer_head(&self, status: &str, to_tag: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for mut value in self.headers(name) {
                if name == "To" && !status.starts_with("100") && !value.contains(";tag=") {
                    let _ = write!(value, ";tag={to_tag}");
                }
                let _ = write!(text, "{name}: {value}\r\n");
            }
        }
        text
    }

    /// The first line.
    #[must_use]
    pub fn start_line(&self) -> String {
        self.head().lines().next().unwrap_or_default().to_owned()
    }

    /// The method of a request.
    #[must_use]
    pub fn method(&self) -> Option<String> {
        let line = self.start_line();
        let (method, rest) = line.split_once(' ')?;
        rest.ends_with("SIP/2.0").then(|| method.to_owned())
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.start_line().strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The value of the first header of this name, which is compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// The values of all headers of this name.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<String> {
        let head = self.head();
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let named = fields.filter(|(field, _)| field.trim().eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim().to_owned()).collect()
    }

    /// The Call-ID; empty when there is none.
    #[must_use]
    pub fn call_id(&self) -> String {
        self.header("Call-ID").unwrap_or_default()
    }

    /// Number and method of CSeq.
    #[must_use]
    pub fn cseq(&self) -> Option<(u32, String)> {
        let value = self.header("CSeq")?;
        let (number, method) = value.split_once(' ')?;
        Some((number.parse().ok()?, method.trim().to_owned()))
    }

    /// What follows the empty line.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(&[], |at| &self.bytes[at + 4..])
    }

    fn head(&self) -> String {
        let end = self.bytes.len() - self.body().len();
        String::from_utf8_lossy(&self.bytes[..end]).into_owned()
    }
}

/// The messages that the peer received, in order.
pub fn received(messages: &[Captured]) -> impl Iterator<Item = &Captured> {
    messages.iter().filter(|message| message.direction == Direction::Received)
}

/// The requests of one method that the peer received, in order.
#[must_use]
pub fn requests<'a>(messages: &'a [Captured], method: &str) -> Vec<&'a Captured> {
    received(messages).filter(|m| m.method().as_deref() == Some(method)).collect()
}

/// The most lines that a ladder shows: the last ones, where a scenario failed.
const LADDER_LIMIT: usize = 60;

/// A line for each message: time since the first, direction, start line and CSeq.
#[must_use]
pub fn ladder(messages: &[Captured]) -> String {
    let mut text = String::new();
    let begin = messages.first().map_or(Duration::ZERO, |first| first.at);
    let left_out = messages.len().saturating_sub(LADDER_LIMIT);
    if left_out > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "        … {left_out} earlier messages");
    }
    for message in &messages[left_out..] {
        let arrow = if message.direction == Direction::Received { "-->" } else { "<--" };
        let cseq = message.header("CSeq").unwrap_or_default();
        let elapsed = message.at.saturating_sub(begin).as_millis();
        let _ = writeln!(text, "{elapsed:>7} ms {arrow} {} ({cseq})", message.start_line());
    }
    text
}

/// Reads what `sipp -trace_msg` wrote.
///
/// # Panics
/// When a block is not of that form.
#[must_use]
pub fn parse_sipp_messages(record: &[u8]) -> Vec<Captured> {
    const MARK: &[u8] = b"----------------------------------------------- ";
    let mut messages = Vec::new();
    let mut at = find(record, MARK, 0);
    while let Some(start) = at {
        let time_end = find(record, b"\n", start).expect("the time ends its line");
        let what_end = find(record, b"\n\n", time_end).expect("an empty line precedes the message");
        let time = text(&record[start + MARK.len()..time_end]);
        let what = text(&record[time_end + 1..what_end]);
        // "UDP message sent (293 bytes):" and "UDP message received [410] bytes :".
        let length = what.split(['(', '[']).nth(1).expect("a length stands in brackets");
        let digits: String = length.chars().take_while(char::is_ascii_digit).collect();
        let length: usize = digits.parse().expect("the length is a number");
        let direction =
            if what.contains("received") { Direction::Received } else { Direction::Sent };
        let begin = what_end + 2;
        let end = (begin + length).min(record.len());
        let bytes = record[begin..end].to_vec();
        messages.push(Captured { at: sipp_time(&time), direction, remote: None, bytes });
        at = find(record, MARK, end);
    }
    messages
}

/// Reads what Kamailio's module sipdump wrote. The processes of Kamailio write when they are done,
/// so the record is put into the order of time.
///
/// # Panics
/// When a block is not of that form.
#[must_use]
pub fn parse_sipdump(record: &[u8]) -> Vec<Captured> {
    const BEGIN: &[u8] = b"====================\n";
    const MESSAGE: &[u8] = b"~~~~~~~~~~~~~~~~~~~~\n";
    const END: &[u8] = b"||||||||||||||||||||\n";
    let mut messages = Vec::new();
    let mut at = find(record, BEGIN, 0);
    while let Some(start) = at {
        // A block that is still being written has no end.
        let Some(end) = find(record, END, start) else { break };
        let message = find(record, MESSAGE, start).expect("a message follows its facts");
        let facts = text(&record[start + BEGIN.len()..message]);
        let fact = |name: &str| {
            let mut lines = facts.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(field, _)| *field == name).map(|(_, value)| value).expect("a known fact")
        };
        let direction = if fact("tag") == "rcv" { Direction::Received } else { Direction::Sent };
        let far = if direction == Direction::Received { "src" } else { "dst" };
        let (ip, port) = (fact(&format!("{far}ip")), fact(&format!("{far}port")));
        let is_bare_v6 = ip.contains(':') && !ip.starts_with('[');
        let remote = if is_bare_v6 { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
        messages.push(Captured {
            at: Duration::from_secs_f64(fact("time").parse().expect("time is a number")),
            direction,
            remote: remote.parse().ok(),
            bytes: record[message + MESSAGE.len()..end].to_vec(),
        });
        at = find(record, BEGIN, end);
    }
    messages.sort_by_key(|message| message.at);
    messages
}

/// `2026-11-21 18:55:16.708705` as a duration; only differences count, so a month has 31 days.
fn sipp_time(time: &str) -> Duration {
    let mut numbers = time.split(['-', ' ', ':', '.']).map(|part| part.parse().unwrap_or(0_u64));
    let mut next = || numbers.next().unwrap_or(0);
    let days = (next() * 12 + next()) * 31 + next();
    let seconds = ((days * 24 + next()) * 60 + next()) * 60 + next();
    Duration::from_secs(seconds) + Duration::from_micros(next())
}

fn find(record: &[u8], part: &[u8], from: usize) -> Option<usize> {
    record.get(from..)?.windows(part.len()).position(|window| window == part).map(|at| from + at)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_sipp_is_read_by_its_lengths() {
        let first = "ACK sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 2 ACK\r\n\r\n";
        let second = "SIP/2.0 487 Gone\r\nVia: x\r\nVIA: y\r\n\r\nbody\n---";
        let line = "-----------------------------------------------";
        let record = format!(
            "{line} 2026-11-21 18:55:16.500000\nUDP message received [{}] bytes :\n\n{first}\n\
             {line} 2026-11-21 18:55:17.000001\nUDP message sent ({} bytes):\n\n{second}\n",
            first.len(),
            second.len()
        );
        let messages = parse_sipp_messages(record.as_bytes());
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].method().as_deref(), Some("ACK"));
        assert_eq!(messages[0].cseq(), Some((2, "ACK".to_owned())));
        assert_eq!(messages[1].status(), Some(487));
        assert_eq!(messages[1].headers("via"), ["x", "y"]);
        assert_eq!(messages[1].body(), b"body\n---");
        assert_eq!((messages[1].at - messages[0].at).as_micros(), 500_001);
    }

    #[test]
    fn a_record_of_kamailio_is_read_in_the_order_of_time() {
        let block = |tag: &str, time: &str| {
            format!(
                "====================\ntag: {tag}\npid: 1\nprocess: 2\ntime: {time}\ndate: x\n\
                 proto: udp ipv4\nsrcip: 127.0.0.1\nsrcport: 1\ndstip: 127.0.0.1\ndstport: 2\n\
                 ~~~~~~~~~~~~~~~~~~~~\nBYE sip:a SIP/2.0\r\n\r\n||||||||||||||||||||\n"
            )
        };
        let record = block("snd", "7.25") + &block("rcv", "7.125") + "====================\ntag";
        let messages = parse_sipdump(record.as_bytes());
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].direction, Direction::Received);
        assert_eq!(messages[0].remote, Some("127.0.0.1:1".parse().unwrap()));
        assert_eq!(messages[1].remote, Some("127.0.0.1:2".parse().unwrap()));
        assert_eq!(messages[0].bytes, b"BYE sip:a SIP/2.0\r\n\r\n");
    }
}
