//! What a MESSAGE carries (RFC 3428).

use crate::message::{HeaderName, Message};

/// Bytes of the longest text that is taken: six times what RFC 3428 section 8 lets travel over
/// paths whose congestion nobody controls, so that a carrier that joins segments is heard.
pub(crate) const TEXT_LIMIT: usize = 8 * 1024;

/// Why a body of type text/plain cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextFault {
    /// 513.
    TooLarge,
    /// 488: nothing is written.
    Empty,
    /// 488: another character set than UTF-8, or bytes that are not UTF-8.
    Charset,
    /// 488: base64 or quoted-printable, which SIP has no need of.
    Encoding,
    /// 488: a NUL, which no text has.
    Nul,
}

impl TextFault {
    /// What a 488 says about it.
    pub(crate) const fn warning(self) -> &'static str {
        match self {
            Self::TooLarge => "399 dozvon \"the text is too long\"",
            Self::Empty => "399 dozvon \"the text is empty\"",
            Self::Charset => "399 dozvon \"only UTF-8 is read here\"",
            Self::Encoding => "399 dozvon \"no transfer encoding is read here\"",
            Self::Nul => "399 dozvon \"a text holds no NUL\"",
        }
    }
}

/// Reads the body of a MESSAGE whose type was checked.
pub(crate) fn read<'a>(request: &Message<'a>) -> Result<&'a str, TextFault> {
    let headers = &request.headers;
    if request.body.is_empty() {
        return Err(TextFault::Empty);
    }
    if request.body.len() > TEXT_LIMIT {
        return Err(TextFault::TooLarge);
    }
    let charset = headers.content_type().and_then(|media| media.params.get("charset"));
    let is_read = |charset: &[u8]| {
        charset.eq_ignore_ascii_case(b"utf-8") || charset.eq_ignore_ascii_case(b"us-ascii")
    };
    if charset.is_some_and(|charset| !is_read(&charset.text())) {
        return Err(TextFault::Charset);
    }
    let is_plain = |coding: &[u8]| {
        [&b"7bit"[..], b"8bit", b"binary"].iter().any(|plain| coding.eq_ignore_ascii_case(plain))
    };
    let coding = headers.get_named("Content-Transfer-Encoding");
    if coding.is_some_and(|coding| !is_plain(coding.bytes())) {
        return Err(TextFault::Encoding);
    }
    // The optional body of another type was passed by the check and is no text.
    if headers.has(HeaderName::ContentType)
        && !headers.content_type().is_some_and(|media| media.is("text", "plain"))
    {
        return Err(TextFault::Empty);
    }
    let text = std::str::from_utf8(request.body).map_err(|_| TextFault::Charset)?;
    if text.contains('\0') { Err(TextFault::Nul) } else { Ok(text) }
}
