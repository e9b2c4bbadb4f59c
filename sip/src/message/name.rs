//! The names of header fields.

macro_rules! header_names {
    ($($variant:ident $text:literal $($compact:literal)?,)*) => {
        /// A header field that this crate knows by name (RFC 3261 section 20 and later registrations).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HeaderName {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
            /// A name outside this list; its bytes are in the message.
            Other,
        }

        impl HeaderName {
            /// How many variants there are.
            pub(crate) const COUNT: usize = HeaderName::Other as usize + 1;

            /// The name as the RFCs write it; empty for [`HeaderName::Other`].
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(HeaderName::$variant => $text,)*
                    HeaderName::Other => "",
                }
            }

            const ALL: [HeaderName; Self::COUNT] = [$(HeaderName::$variant,)* HeaderName::Other];

            const fn compact(letter: u8) -> HeaderName {
                match letter.to_ascii_lowercase() {
                    $($($compact => HeaderName::$variant,)?)*
                    _ => HeaderName::Other,
                }
            }
        }
    };
}

header_names! {
    Accept "Accept",
    AcceptContact "Accept-Contact" b'a',
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AllowEvents "Allow-Events" b'u',
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallId "Call-ID" b'i',
    CallInfo "Call-Info",
    Contact "Contact" b'm',
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" b'e',
    ContentLanguage "Content-Language",
    ContentLength "Content-Length" b'l',
    ContentType "Content-Type" b'c',
    CSeq "CSeq",
    Date "Date",
    Diversion "Diversion",
    ErrorInfo "Error-Info",
    Event "Event" b'o',
    Expires "Expires",
    From "From" b'f',
    HistoryInfo "History-Info",
    Identity "Identity" b'y',
    MaxForwards "Max-Forwards",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    Organization "Organization",
    PAssertedIdentity "P-Asserted-Identity",
    PAssociatedUri "P-Associated-URI",
    PCalledPartyId "P-Called-Party-ID",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    RSeq "RSeq",
    Reason "Reason",
    RecordRoute "Record-Route",
    ReferTo "Refer-To" b'r',
    ReferredBy "Referred-By" b'b',
    RemotePartyId "Remote-Party-ID",
    ReplyTo "Reply-To",
    Require "Require",
    RetryAfter "Retry-After",
    Route "Route",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" b'x',
    Subject "Subject" b's',
    Supported "Supported" b'k',
    Timestamp "Timestamp",
    To "To" b't',
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    Via "Via" b'v',
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

/// The longest known name, in bytes.
const LONGEST: usize = 20;
/// No length has more known names than this.
const CANDIDATES: usize = 12;

/// Known names by length: a received name is compared with a handful of others only.
const BY_LENGTH: [[(&[u8], HeaderName); CANDIDATES]; LONGEST + 1] = {
    let mut table = [[(&[] as &[u8], HeaderName::Other); CANDIDATES]; LONGEST + 1];
    let mut filled = [0; LONGEST + 1];
    let mut at = 0;
    while at < HeaderName::COUNT - 1 {
        let name = HeaderName::ALL[at];
        let text = name.as_str().as_bytes();
        table[text.len()][filled[text.len()]] = (text, name);
        filled[text.len()] += 1;
        at += 1;
    }
    table
};

impl HeaderName {
    /// Reads a name or its compact form, in any case; what is not known is [`HeaderName::Other`].
    pub fn from_bytes(name: &[u8]) -> Self {
        let [first, .., last] = name else {
            return name.first().map_or(Self::Other, |letter| Self::compact(*letter));
        };
        let Some(candidates) = BY_LENGTH.get(name.len()) else { return Self::Other };
        for (text, candidate) in candidates {
            let [text_first, .., text_last] = text else { break };
            // First and last byte tell most names apart without a walk over them.
            if text_first | 0x20 == first | 0x20
                && text_last | 0x20 == last | 0x20
                && (*text == name || text.eq_ignore_ascii_case(name))
            {
                return *candidate;
            }
        }
        Self::Other
    }

    /// True for a field that a message carries once at most; a second one is an attack or a fault,
    /// and neither value is taken.
    pub(crate) const fn is_single(self) -> bool {
        matches!(
            self,
            Self::CallId
                | Self::CSeq
                | Self::ContentLength
                | Self::ContentType
                | Self::From
                | Self::MaxForwards
                | Self::RAck
                | Self::RSeq
                | Self::To
        )
    }
}

impl std::fmt::Display for HeaderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderName;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        let mut seen = 0;
        for name in HeaderName::ALL.into_iter().filter(|name| *name != HeaderName::Other) {
            assert_eq!(HeaderName::from_bytes(name.as_str().as_bytes()), name);
            assert_eq!(HeaderName::from_bytes(name.as_str().to_uppercase().as_bytes()), name);
            assert_eq!(HeaderName::from_bytes(name.as_str().to_lowercase().as_bytes()), name);
            seen += 1;
        }
        assert_eq!(seen, HeaderName::COUNT - 1);
    }

    #[test]
    fn compact_names_are_the_registered_ones() {
        for (letter, name) in [
            (b"i", HeaderName::CallId),
            (b"m", HeaderName::Contact),
            (b"L", HeaderName::ContentLength),
            (b"c", HeaderName::ContentType),
            (b"f", HeaderName::From),
            (b"t", HeaderName::To),
            (b"V", HeaderName::Via),
            (b"k", HeaderName::Supported),
            (b"s", HeaderName::Subject),
            (b"x", HeaderName::SessionExpires),
        ] {
            assert_eq!(HeaderName::from_bytes(letter), name);
        }
        assert_eq!(HeaderName::from_bytes(b"z"), HeaderName::Other);
        assert_eq!(HeaderName::from_bytes(b""), HeaderName::Other);
        assert_eq!(HeaderName::from_bytes(b"Fromm"), HeaderName::Other);
        assert_eq!(HeaderName::from_bytes(b"From\x60"), HeaderName::Other);
    }
}
