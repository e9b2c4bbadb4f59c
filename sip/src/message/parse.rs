//! The parser: one pass over the header section into an index, then the transaction's keys.

use super::address::Address;
use super::fault::Fault;
use super::headers::{Headers, Index};
use super::method::{Method, Status};
use super::name::HeaderName;
use super::scan;
use super::uri::Uri;
use super::via::Via;
use super::{CSeq, Message, Start, Version};

/// A message is at most 64 KiB, as a UDP datagram is.
pub const MESSAGE_LIMIT: usize = 64 * 1024;
/// On a stream the header section is at most 16 KiB: it is buffered before anything is known of
/// it, while a datagram has arrived already.
pub const HEADER_SECTION_LIMIT: usize = 16 * 1024;
/// More Via values than this are a loop or an attack; RFC 4475 has a good message with 34.
pub const VIA_LIMIT: usize = 64;

/// How the message's end was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A datagram: what follows the Content-Length is discarded, and lines may end in LF alone.
    Datagram,
    /// Exactly one message, cut from a stream by its Content-Length.
    Stream,
}

/// The memory of the parser: about 2 KiB without a pointer in it, made once and used for every
/// message. Reading allocates nothing.
pub struct Parser {
    index: Index,
}

/// A message that cannot be taken, with what could be read of it.
#[derive(Debug)]
pub struct ParseFault<'a> {
    /// The exact reason.
    pub fault: Fault,
    /// The method, when the message is a request whose method could be read.
    pub request: Option<Method<'a>>,
    /// The header lines that could be read, those behind the fault too.
    pub headers: Headers<'a>,
}

impl ParseFault<'_> {
    /// Whether a refusal may be sent: to a request with a Via, but never to an ACK
    /// (RFC 3261 section 17.1.1.3) and never to a response.
    pub fn is_answerable(&self) -> bool {
        self.request.is_some_and(|method| method != Method::Ack)
            && self.headers.has(HeaderName::Via)
    }
}

/// Whether a datagram only keeps a NAT binding open: line ends, or nothing (RFC 5626 section 3.5).
pub fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.len() <= 4 && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// An empty index.
    pub const fn new() -> Self {
        Self { index: Index::new() }
    }

    /// Reads one message. `Ok` means: start line and header lines are well formed, the body is as
    /// long as it claims, and Via, From, To, Call-ID and CSeq are there once, readable, and agree
    /// with the request line. Everything else is read when it is asked for.
    pub fn parse<'a>(
        &'a mut self,
        bytes: &'a [u8],
        framing: Framing,
    ) -> Result<Message<'a>, ParseFault<'a>> {
        self.index.clear();
        if bytes.len() > MESSAGE_LIMIT {
            return Err(ParseFault {
                fault: Fault::MessageTooLong,
                request: None,
                headers: Headers::new(bytes, &self.index),
            });
        }
        let start = start_line(bytes);
        let end = match start.header_at {
            Some(at) => index_headers(&mut self.index, bytes, at, framing),
            None => Err(Fault::NotSip),
        };
        let headers = Headers::new(bytes, &self.index);
        let fault = |fault| ParseFault { fault, request: start.request, headers };
        let start_line = start.line.map_err(fault)?;
        let end = end.map_err(fault)?;
        let body = body(bytes, end, headers, framing).map_err(fault)?;
        message(start_line, headers, body).map_err(fault)
    }
}

/// What the first line says, and where the second one starts.
struct StartLine<'a> {
    line: Result<Start<'a>, Fault>,
    request: Option<Method<'a>>,
    /// `None` when there is no header section to look at.
    header_at: Option<usize>,
}

impl StartLine<'_> {
    const NOT_SIP: StartLine<'static> =
        StartLine { line: Err(Fault::NotSip), request: None, header_at: None };
}

fn start_line(bytes: &[u8]) -> StartLine<'_> {
    // Empty lines in front are passed over (RFC 3261 section 7.5).
    let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    scan::tally(skipped);
    let Some(end) = scan::find(b'\n', &bytes[skipped..]) else { return StartLine::NOT_SIP };
    let line = &bytes[skipped..skipped + end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let header_at = Some(skipped + end + 1);
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return StartLine { line: status_line(line), request: None, header_at };
    }
    let Some((before, version)) = version(line) else { return StartLine::NOT_SIP };
    let method_end = scan::find(b' ', line).unwrap_or(before.len()).min(before.len());
    let Some(method) = Method::from_token(&line[..method_end]) else {
        return StartLine { line: Err(Fault::BadMethod), request: None, header_at };
    };
    let line = request_line(&before[method_end..], line, method, version);
    StartLine { line, request: Some(method), header_at }
}

/// The line without its last word, when that is `SIP/x.y`, and this version.
fn version(line: &[u8]) -> Option<(&[u8], Version)> {
    let trimmed = scan::trim(line);
    let at = memchr::memrchr(b' ', trimmed)?;
    let [name @ .., major, b'.', minor] = &trimmed[at + 1..] else { return None };
    if !name.eq_ignore_ascii_case(b"SIP/") || !major.is_ascii_digit() || !minor.is_ascii_digit() {
        return None;
    }
    Some((&trimmed[..at], Version { major: major - b'0', minor: minor - b'0' }))
}

/// `rest` is what stands between method and the last space: a space and the Request-URI.
fn request_line<'a>(
    rest: &'a [u8],
    line: &[u8],
    method: Method<'a>,
    version: Version,
) -> Result<Start<'a>, Fault> {
    let [b' ', uri_raw @ ..] = rest else { return Err(Fault::RequestLineSpacing) };
    if line.last().is_some_and(|byte| scan::is_lws(*byte))
        || memchr::memchr(b' ', uri_raw).is_some()
    {
        return Err(Fault::RequestLineSpacing);
    }
    let uri = Uri::parse(uri_raw).map_err(|_| Fault::BadRequestUri)?;
    if uri.headers.is_some() {
        return Err(Fault::HeadersInRequestUri);
    }
    Ok(Start::Request { method, uri, version })
}

fn status_line(line: &[u8]) -> Result<Start<'_>, Fault> {
    if line.get(4..8).is_none_or(|version| version != b"2.0 ") {
        return Err(Fault::UnknownVersion);
    }
    let rest = &line[8..];
    let end = scan::find(b' ', rest).unwrap_or(rest.len());
    let status = (end == 3)
        .then(|| scan::number(&rest[..end]).and_then(Status::new))
        .flatten()
        .ok_or(Fault::BadStatusCode)?;
    let reason = rest.get(end + 1..).unwrap_or_default();
    if scan::has_control(reason) {
        return Err(Fault::ControlCharacter);
    }
    Ok(Start::Response { status, reason })
}

/// Where the header section ended.
struct SectionEnd {
    body_at: usize,
    has_blank_line: bool,
}

/// Goes through the header lines. A line that is faulty is left out and the rest is read all the
/// same, so that the refusal can carry what it must; the first fault is the one reported.
fn index_headers(
    index: &mut Index,
    bytes: &[u8],
    start: usize,
    framing: Framing,
) -> Result<SectionEnd, Fault> {
    let mut at = start;
    let mut first_fault = None;
    let mut vias = 0;
    let end = loop {
        if let Some(body_at) = blank_line(bytes, at) {
            break SectionEnd { body_at, has_blank_line: true };
        }
        if at == bytes.len() {
            break SectionEnd { body_at: at, has_blank_line: false };
        }
        let line = match line(bytes, at) {
            Some(line) => line,
            None => return Err(first_fault.unwrap_or(Fault::Unfinished)),
        };
        if framing == Framing::Stream && line.next > start + HEADER_SECTION_LIMIT {
            return Err(first_fault.unwrap_or(Fault::HeaderSectionTooLong));
        }
        if index.is_full() {
            return Err(first_fault.unwrap_or(Fault::TooManyHeaders));
        }
        if let Err(fault) = index_line(index, bytes, at, &line, framing, &mut vias) {
            first_fault.get_or_insert(fault);
        }
        at = line.next;
    };
    first_fault.map_or(Ok(end), Err)
}

/// Where the body starts, when the line at `at` is empty.
fn blank_line(bytes: &[u8], at: usize) -> Option<usize> {
    match &bytes[at..] {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    }
}

/// A header line with its folds.
pub(super) struct Line {
    /// Where its bytes end, without the line end.
    pub(super) end: usize,
    /// Where the next line starts.
    pub(super) next: usize,
    /// Whether some line of it ends in LF alone.
    has_bare_lf: bool,
}

/// The header line at `start`, with its folds; `None` when its last line has no end.
pub(super) fn line(bytes: &[u8], start: usize) -> Option<Line> {
    let mut at = start;
    let mut has_bare_lf = false;
    loop {
        let lf = at + scan::find(b'\n', &bytes[at..])?;
        let has_cr = lf > start && bytes[lf - 1] == b'\r';
        has_bare_lf |= !has_cr;
        at = lf + 1;
        if !matches!(bytes.get(at), Some(b' ' | b'\t')) {
            return Some(Line { end: lf - usize::from(has_cr), next: at, has_bare_lf });
        }
    }
}

fn index_line(
    index: &mut Index,
    bytes: &[u8],
    start: usize,
    line: &Line,
    framing: Framing,
    vias: &mut usize,
) -> Result<(), Fault> {
    let text = &bytes[start..line.end];
    if framing == Framing::Stream && line.has_bare_lf {
        return Err(Fault::BareLf);
    }
    if matches!(text.first(), Some(b' ' | b'\t')) {
        return Err(Fault::FoldWithoutHeader);
    }
    let name_len = text.iter().position(|byte| !scan::is_token(*byte)).unwrap_or(text.len());
    let spaces = text[name_len..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    scan::tally(name_len + spaces);
    let colon = name_len + spaces;
    if name_len == 0 || text.get(colon) != Some(&b':') {
        return Err(Fault::BadHeaderName);
    }
    let value_start = line.end - scan::trim_start(&text[colon + 1..]).len();
    let value = scan::trim_end(&bytes[value_start..line.end]);
    if scan::has_control(value) && !has_only_allowed_controls(value) {
        return Err(Fault::ControlCharacter);
    }
    let name = HeaderName::from_bytes(&text[..name_len]);
    if name.is_single() && index.has(name) {
        return Err(match name {
            HeaderName::ContentLength => Fault::TwoContentLengths,
            name => Fault::Repeated(name),
        });
    }
    if name == HeaderName::Via {
        *vias += scan::List::new(value).count();
        if *vias > VIA_LIMIT {
            return Err(Fault::TooManyVias);
        }
    }
    index.push(name, (start, start + name_len), (value_start, value_start + value.len()));
    Ok(())
}

/// Whether every control character is part of a fold, or of a quoted pair in a quoted string.
fn has_only_allowed_controls(value: &[u8]) -> bool {
    scan::tally(value.len());
    let mut is_quoted = false;
    let mut rest = value;
    loop {
        rest = match rest {
            [] => return true,
            // No fold inside a pair: the backslash would then hide the line end.
            [b'\\', b'\r' | b'\n', ..] => return false,
            [b'\\', _, tail @ ..] if is_quoted => tail,
            [b'\r', b'\n', tail @ ..] | [b'\n' | b'\t', tail @ ..] => tail,
            [0..=31 | 0x7f, ..] => return false,
            [b'"', tail @ ..] => {
                is_quoted = !is_quoted;
                tail
            }
            [_, tail @ ..] => tail,
        };
    }
}

fn body<'a>(
    bytes: &'a [u8],
    end: SectionEnd,
    headers: Headers<'a>,
    framing: Framing,
) -> Result<&'a [u8], Fault> {
    let rest = &bytes[end.body_at..];
    let Some(value) = headers.get(HeaderName::ContentLength) else {
        return match framing {
            // Without the empty line, only a Content-Length of 0 tells a whole message from a cut
            // one.
            _ if !end.has_blank_line => Err(Fault::Unfinished),
            Framing::Datagram => Ok(rest),
            Framing::Stream if rest.is_empty() => Ok(rest),
            Framing::Stream => Err(Fault::Missing(HeaderName::ContentLength)),
        };
    };
    let length: usize = scan::number(value.bytes()).ok_or(Fault::BadContentLength)?;
    match framing {
        Framing::Stream if length < rest.len() => Err(Fault::ContentLengthShortOfMessage),
        _ => rest.get(..length).ok_or(Fault::ContentLengthBeyondMessage),
    }
}

/// Reads what every message must have.
fn message<'a>(
    start: Start<'a>,
    headers: Headers<'a>,
    body: &'a [u8],
) -> Result<Message<'a>, Fault> {
    let required = |name| headers.get(name).map(|raw| raw.bytes()).ok_or(Fault::Missing(name));
    let via_line = required(HeaderName::Via)?;
    let from_line = required(HeaderName::From)?;
    let to_line = required(HeaderName::To)?;
    let call_id = required(HeaderName::CallId)?;
    let cseq_line = required(HeaderName::CSeq)?;
    let top = scan::List::new(via_line).next().unwrap_or_default();
    // An empty element is no Via, and behind it the list cannot be trusted.
    if top.len() != via_line.len() && scan::List::new(via_line).any(<[u8]>::is_empty) {
        return Err(Fault::Bad(HeaderName::Via));
    }
    let via = Via::parse(top)?;
    let from = Address::parse(from_line, HeaderName::From)?;
    let to = Address::parse(to_line, HeaderName::To)?;
    if call_id.is_empty() || scan::has_space_or_control(call_id) {
        return Err(Fault::Bad(HeaderName::CallId));
    }
    let cseq = cseq(cseq_line)?;
    if let Start::Request { method, .. } = start
        && method != cseq.method
    {
        return Err(Fault::CseqMethodMismatch);
    }
    Ok(Message { start, headers, body, via, from, to, call_id, cseq })
}

fn cseq(value: &[u8]) -> Result<CSeq<'_>, Fault> {
    const BAD: Fault = Fault::Bad(HeaderName::CSeq);
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = value.split_at(digits);
    if number.is_empty() || !rest.first().is_some_and(|byte| scan::is_lws(*byte)) {
        return Err(BAD);
    }
    let method = Method::from_token(scan::trim(rest)).ok_or(BAD)?;
    let number = scan::number(number).ok_or(Fault::CseqOutOfRange)?;
    Ok(CSeq { number, method })
}
