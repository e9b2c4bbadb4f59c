//! Messages cut from a stream by their Content-Length (RFC 3261 section 18.3), and the keep-alives
//! between them (RFC 5626 section 3.5.1).

use memchr::memmem;

use super::name::HeaderName;
use super::parse::{HEADER_SECTION_LIMIT, MESSAGE_LIMIT, line};
use super::scan;

/// The bytes of one connection that do not make a message yet.
///
/// Push what was read, then take pieces until there is none; only then push again. What is kept
/// never grows beyond one message and one push.
#[derive(Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the first piece that was not taken starts.
    start: usize,
    /// How much behind `start` was searched for the end of the header section, in vain.
    searched: usize,
    /// How long the message at `start` is, once its header section is complete.
    length: Option<usize>,
}

/// What stands in a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// One message, for [`super::Parser::parse`] with [`super::Framing::Stream`].
    Message(&'a [u8]),
    /// Two line ends: the peer wants one back.
    Ping,
}

/// What the connection is in the middle of; whoever owns the clock gives each its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaiting {
    /// Nothing was begun.
    Message,
    /// The rest of a header section.
    HeaderSection,
    /// The rest of a body.
    Body,
}

/// Why nobody can tell where the next message starts; the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingLost {
    /// The header section does not end within [`super::HEADER_SECTION_LIMIT`] bytes.
    #[error("header section too long")]
    HeaderSectionTooLong,
    /// The message would be longer than [`super::MESSAGE_LIMIT`]; nothing was allocated for it.
    #[error("message too long")]
    MessageTooLong,
    /// Content-Length is no number.
    #[error("bad content length")]
    BadContentLength,
    /// Two Content-Length fields, equal or not.
    #[error("two content lengths")]
    TwoContentLengths,
}

impl Framer {
    /// For a new connection.
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, length: None }
    }

    /// Takes what was read from the connection, up to a few KiB at a time.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece; `None` until more bytes are pushed. After an error the framer stays where
    /// it is and says the same again.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, FramingLost> {
        if self.searched == 0 && self.length.is_none() && self.skip_line_ends() {
            return Ok(Some(Piece::Ping));
        }
        let length = match self.length {
            Some(length) => length,
            None => match self.find_length()? {
                Some(length) => *self.length.insert(length),
                None => return Ok(None),
            },
        };
        let start = self.start;
        if self.buffer.len() - start < length {
            return Ok(None);
        }
        self.start += length;
        self.searched = 0;
        self.length = None;
        Ok(Some(Piece::Message(&self.buffer[start..start + length])))
    }

    /// What the connection waits for.
    pub fn awaiting(&self) -> Awaiting {
        match (&self.buffer[self.start..], self.length) {
            (_, Some(_)) => Awaiting::Body,
            ([] | b"\r" | b"\r\n" | b"\r\n\r", None) => Awaiting::Message,
            (_, None) => Awaiting::HeaderSection,
        }
    }

    /// Passes over line ends in front of a message; true when they were a ping. A single one is
    /// the answer to ours, or the first half of a ping, and stays until it is clear which.
    fn skip_line_ends(&mut self) -> bool {
        loop {
            match &self.buffer[self.start..] {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.start += 4;
                    return true;
                }
                [] | b"\r" | b"\r\n" | b"\r\n\r" => return false,
                [b'\r', b'\n', ..] => self.start += 2,
                _ => return false,
            }
        }
    }

    fn find_length(&mut self) -> Result<Option<usize>, FramingLost> {
        let bytes = &self.buffer[self.start..];
        if matches!(bytes, [] | b"\r" | b"\r\n" | b"\r\n\r") {
            return Ok(None);
        }
        // The end may have begun in what was searched before.
        let from = self.searched.saturating_sub(3);
        let unsearched = &bytes[from..bytes.len().min(HEADER_SECTION_LIMIT)];
        scan::tally(unsearched.len());
        let Some(at) = memmem::find(unsearched, b"\r\n\r\n") else {
            self.searched = bytes.len();
            return match bytes.len() {
                0..HEADER_SECTION_LIMIT => Ok(None),
                _ => Err(FramingLost::HeaderSectionTooLong),
            };
        };
        let header_end = from + at + 4;
        let body = content_length(&bytes[..header_end])?;
        match header_end.checked_add(body) {
            Some(length) if length <= MESSAGE_LIMIT => Ok(Some(length)),
            _ => Err(FramingLost::MessageTooLong),
        }
    }
}

/// Reads Content-Length alone: faults elsewhere cost the message, not the connection. Without the
/// field there is no body.
fn content_length(section: &[u8]) -> Result<usize, FramingLost> {
    let mut found = None;
    let mut at = 0;
    while let Some(line) = line(section, at) {
        let text = &section[at..line.end];
        at = line.next;
        let Some(colon) = scan::find(b':', text) else { continue };
        if HeaderName::from_bytes(scan::trim(&text[..colon])) != HeaderName::ContentLength {
            continue;
        }
        if found.is_some() {
            return Err(FramingLost::TwoContentLengths);
        }
        let value = scan::trim(&text[colon + 1..]);
        found = Some(scan::number(value).ok_or(FramingLost::BadContentLength)?);
    }
    Ok(found.unwrap_or(0))
}

impl std::fmt::Debug for Framer {
    /// Without the bytes, as below.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Framer({} bytes, {:?})", self.buffer.len() - self.start, self.awaiting())
    }
}

impl std::fmt::Debug for Piece<'_> {
    /// Without the bytes: they may hold a number, a code or a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(bytes) => write!(f, "Message({} bytes)", bytes.len()),
            Self::Ping => f.write_str("Ping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Awaiting, Framer, FramingLost, HEADER_SECTION_LIMIT, MESSAGE_LIMIT, Piece};
    use crate::message::scan::work;

    const ONE: &str = "OPTIONS sip:a SIP/2.0\r\nContent-Length:\r\n 5\r\n\r\nabcde";
    const TWO: &str = "SIP/2.0 200 OK\r\nX: \r\n\r\n";

    fn pieces(framer: &mut Framer) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(piece) = framer.next_piece().unwrap() {
            all.push(match piece {
                Piece::Message(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Piece::Ping => "ping".to_owned(),
            });
        }
        all
    }

    #[test]
    fn messages_and_pings_are_cut_the_same_however_the_bytes_arrive() {
        let text = format!("{ONE}\r\n{TWO}\r\n\r\n{TWO}{ONE}\r\n\r\n\r\n{ONE}");
        for step in 1..=text.len() {
            let mut framer = Framer::new();
            let mut all = Vec::new();
            for chunk in text.as_bytes().chunks(step) {
                framer.push(chunk);
                all.extend(pieces(&mut framer));
            }
            assert_eq!(all, [ONE, TWO, "ping", TWO, ONE, "ping", ONE], "in steps of {step}");
            assert_eq!(framer.awaiting(), Awaiting::Message);
        }
    }

    #[test]
    fn one_bad_message_does_not_close_the_connection() {
        let bad = "OPTIONS sip:a SIP/2.0\r\nno colon\r\nContent-Length: 2\r\n\r\nab";
        let mut framer = Framer::new();
        framer.push(format!("{bad}{TWO}").as_bytes());
        assert_eq!(pieces(&mut framer), [bad, TWO]);
    }

    #[test]
    fn content_length_above_the_limit_is_refused_before_allocation() {
        for length in ["2147483648", "65536", "18446744073709551615"] {
            let mut framer = Framer::new();
            framer.push(format!("A\r\nContent-Length: {length}\r\n\r\n").as_bytes());
            assert_eq!(framer.next_piece(), Err(FramingLost::MessageTooLong));
            assert!(framer.buffer.capacity() < 1024);
        }
    }

    #[test]
    fn framing_is_lost_by_lengths_that_nobody_can_trust() {
        let lost = |lines: &str| {
            let mut framer = Framer::new();
            framer.push(format!("A\r\n{lines}\r\n\r\n").as_bytes());
            let first = framer.next_piece().err();
            assert_eq!(first, framer.next_piece().err(), "the loss is remembered");
            first
        };
        assert_eq!(lost("l: 5\r\nContent-Length: 5"), Some(FramingLost::TwoContentLengths));
        assert_eq!(lost("l: -5"), Some(FramingLost::BadContentLength));
        assert_eq!(lost("l: 99999999999999999999"), Some(FramingLost::BadContentLength));
        assert_eq!(lost("l : 0"), None);
    }

    #[test]
    fn an_endless_header_section_is_refused_at_its_limit_with_linear_work() {
        let mut framer = Framer::new();
        let mut pushed = 0;
        let looks = work::of(|| {
            while framer.next_piece() == Ok(None) {
                framer.push(b"\n");
                pushed += 1;
            }
        });
        assert_eq!(framer.next_piece(), Err(FramingLost::HeaderSectionTooLong));
        assert_eq!(pushed, HEADER_SECTION_LIMIT);
        assert!(looks < 8 * HEADER_SECTION_LIMIT, "{looks} looks");
    }

    #[test]
    fn what_is_kept_stays_below_one_message_and_one_push() {
        let mut framer = Framer::new();
        let body = "x".repeat(40_000);
        let text = format!("A\r\nl: {}\r\n\r\n{body}", body.len());
        let mut seen = 0;
        for chunk in text.repeat(20).as_bytes().chunks(4096) {
            framer.push(chunk);
            seen += pieces(&mut framer).len();
            assert!(framer.buffer.len() <= MESSAGE_LIMIT + 4096);
        }
        assert_eq!(seen, 20);
    }

    #[test]
    fn what_the_connection_waits_for_is_known() {
        let mut framer = Framer::new();
        assert_eq!(framer.awaiting(), Awaiting::Message);
        framer.push(b"\r\nA\r\nl: 3\r\n");
        assert_eq!(framer.next_piece(), Ok(None));
        assert_eq!(framer.awaiting(), Awaiting::HeaderSection);
        framer.push(b"\r\nab");
        assert_eq!(framer.next_piece(), Ok(None));
        assert_eq!(framer.awaiting(), Awaiting::Body);
        framer.push(b"c");
        assert_eq!(framer.next_piece(), Ok(Some(Piece::Message(b"A\r\nl: 3\r\n\r\nabc"))));
        assert_eq!(framer.awaiting(), Awaiting::Message);
    }
}
