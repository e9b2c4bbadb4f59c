//! Why a message, or a value in it, cannot be read.

use super::method::Status;
use super::name::HeaderName;

/// The exact reason for which a message is refused.
///
/// The text is what a peer reads in the reason phrase of our answer (RFC 3261 section 21.4.1), so
/// it names the fault and never the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are no SIP message at all; nobody is answered.
    #[error("Not SIP")]
    NotSip,
    /// More than [`super::MESSAGE_LIMIT`] bytes.
    #[error("Message Too Large")]
    MessageTooLong,
    /// The header section is longer than [`super::HEADER_SECTION_LIMIT`] on a stream.
    #[error("Header Section Too Large")]
    HeaderSectionTooLong,
    /// More than [`super::HEADERS_LIMIT`] header lines.
    #[error("Too Many Header Fields")]
    TooManyHeaders,
    /// More than [`super::VIA_LIMIT`] Via values.
    #[error("Too Many Via Values")]
    TooManyVias,
    /// The bytes end within the header section.
    #[error("Unfinished Header Section")]
    Unfinished,
    /// The method is not a token.
    #[error("Bad Method")]
    BadMethod,
    /// Something other than one space between the three parts of the request line.
    #[error("Extra Space In Request Line")]
    RequestLineSpacing,
    /// The Request-URI is in angle brackets, or is no URI.
    #[error("Bad Request-URI")]
    BadRequestUri,
    /// The Request-URI carries header fields (RFC 3261 section 19.1.1, table 1).
    #[error("Header Fields In Request-URI")]
    HeadersInRequestUri,
    /// The status is not three digits from 100 to 699.
    #[error("Bad Status Code")]
    BadStatusCode,
    /// A response of another version than SIP/2.0.
    #[error("Unknown Version")]
    UnknownVersion,
    /// A folded line with no header above it.
    #[error("Folded Line Without Header")]
    FoldWithoutHeader,
    /// A header line without a colon, or with a byte in its name that no token has.
    #[error("Bad Header Name")]
    BadHeaderName,
    /// A control character where only a quoted pair may hold one.
    #[error("Control Character In Header")]
    ControlCharacter,
    /// A line that ends in LF alone, on a stream.
    #[error("Bare LF")]
    BareLf,
    /// Two Content-Length fields, equal or not: the classic way to smuggle a message.
    #[error("Two Content-Length Header Fields")]
    TwoContentLengths,
    /// A field that may stand once stands again.
    #[error("Repeated {0} Header Field")]
    Repeated(HeaderName),
    /// Content-Length is no number that a size can hold.
    #[error("Bad Content-Length")]
    BadContentLength,
    /// Content-Length promises more than came.
    #[error("Content-Length Beyond Message")]
    ContentLengthBeyondMessage,
    /// Content-Length promises less than the stream's framing brought.
    #[error("Content-Length Short Of Message")]
    ContentLengthShortOfMessage,
    /// A field that every message must have is not there.
    #[error("Missing {0} Header Field")]
    Missing(HeaderName),
    /// A field is there and cannot be read.
    #[error("Bad {0} Header Field")]
    Bad(HeaderName),
    /// A quoted string has no end.
    #[error("Unterminated Quote In {0}")]
    UnterminatedQuote(HeaderName),
    /// A URI with header fields, outside angle brackets (RFC 3261 section 20.10).
    #[error("URI With Header Fields Needs Angle Brackets In {0}")]
    BareUriWithHeaders(HeaderName),
    /// The CSeq number does not fit 32 bits.
    #[error("CSeq Out Of Range")]
    CseqOutOfRange,
    /// The method of the CSeq is not that of the request line.
    #[error("CSeq Method Mismatch")]
    CseqMethodMismatch,
}

impl Fault {
    /// The status that answers a request with this fault: 400, or 513 for one that is too large.
    pub const fn status(self) -> Status {
        match self {
            Self::MessageTooLong | Self::HeaderSectionTooLong => Status::MESSAGE_TOO_LARGE,
            _ => Status::BAD_REQUEST,
        }
    }
}
