//! Reading what the core sends, and writing answers to it: line by line, with nothing of the
//! core's own parser or writer in it.

/// One message that the core sent. It writes no folds and no compact names, so none are read.
pub(super) struct Packet<'a> {
    pub(super) start: &'a str,
    lines: Vec<(&'a str, &'a str)>,
}

impl<'a> Packet<'a> {
    /// `None`: not a message at all, such as a keep-alive.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, _) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?;
        let lines = lines.map(|line| line.split_once(": ")).collect::<Option<Vec<_>>>()?;
        Some(Self { start, lines })
    }

    /// The method, or `SIP/2.0`.
    pub(super) fn method(&self) -> &'a str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The status of a response.
    pub(super) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub(super) fn request_uri(&self) -> &'a str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The first value of a field; empty without one.
    pub(super) fn header(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(found, _)| *found == name).map(|(_, value)| *value)
    }

    pub(super) fn branch(&self) -> &'a str {
        parameter(self.header("Via"), "branch")
    }

    pub(super) fn call_id(&self) -> &'a str {
        self.header("Call-ID")
    }

    /// Number and method; 0 when there is no number.
    pub(super) fn cseq(&self) -> (u32, &'a str) {
        let (number, method) = self.header("CSeq").split_once(' ').unwrap_or_default();
        (number.parse().unwrap_or(0), method)
    }

    pub(super) fn to_tag(&self) -> &'a str {
        parameter(self.header("To"), "tag")
    }

    /// A response to this request. `to_tag` is left out when empty or when To has one; `lines`
    /// end in CRLF each.
    pub(super) fn answer(&self, status: u16, to_tag: &str, lines: &str) -> Vec<u8> {
        let mut out = format!("SIP/2.0 {status} Said\r\n");
        for via in self.all("Via") {
            out += &format!("Via: {via}\r\n");
        }
        let to = self.header("To");
        let tag = match to_tag.is_empty() || to.contains(";tag=") {
            true => String::new(),
            false => format!(";tag={to_tag}"),
        };
        out += &format!(
            "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{lines}Content-Length: 0\r\n\r\n",
            self.header("From"),
            self.call_id(),
            self.header("CSeq"),
        );
        out.into_bytes()
    }
}

/// The value of `;name=value`; empty without one.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> &'a str {
    value.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}
