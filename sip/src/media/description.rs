//! What the far side's session description says of its audio (RFC 8866, RFC 3264).

use std::net::{IpAddr, SocketAddr};

/// A codec of one audio channel at 8000 Hz that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// G.711 A-law; payload type 8.
    Pcma,
    /// G.711 µ-law; payload type 0.
    Pcmu,
}

impl Codec {
    /// Its static payload type (RFC 3551 section 6).
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    /// Its name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    fn of_payload_type(payload_type: u8) -> Option<Self> {
        [Self::Pcma, Self::Pcmu].into_iter().find(|codec| codec.payload_type() == payload_type)
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Pcma, Self::Pcmu].into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }
}

/// Which way audio flows, seen from the far side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendReceive,
    /// It sends and does not listen: we are on hold, perhaps with music.
    SendOnly,
    /// It listens and does not send.
    ReceiveOnly,
    /// Neither: we are on hold.
    Inactive,
}

impl Direction {
    /// The attribute that says it.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::SendReceive => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same way seen from here, as an answer says it (RFC 3264 section 6.1).
    pub(crate) fn mirrored(self) -> Self {
        match self {
            Self::SendReceive => Self::SendReceive,
            Self::SendOnly => Self::ReceiveOnly,
            Self::ReceiveOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }

    fn of_attribute(attribute: &str) -> Option<Self> {
        [Self::SendReceive, Self::SendOnly, Self::ReceiveOnly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.attribute() == attribute)
    }
}

/// Where the far side wants its audio, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where RTP goes. An unspecified address says hold, as RFC 2543 had it.
    pub address: SocketAddr,
    /// The first codec that both sides know.
    pub codec: Codec,
    /// Its payload type, which may be a dynamic one.
    pub payload_type: u8,
    /// The payload type of telephone events (RFC 4733); `None`: it takes none.
    pub telephone_event: Option<u8>,
    /// Which way audio flows.
    pub direction: Direction,
}

/// `m=` lines that are read: more are no call of a telephone network.
const MEDIA_LIMIT: usize = 8;
/// Formats of one `m=` line that are read.
const FORMATS_LIMIT: usize = 32;

impl RemoteMedia {
    /// Whether the far side does not listen.
    pub fn is_hold(&self) -> bool {
        matches!(self.direction, Direction::SendOnly | Direction::Inactive)
            || self.address.ip().is_unspecified()
    }

    /// Reads a session description: its first audio stream over RTP with a codec of ours. `None`:
    /// there is none that could be used. Bytes that are no UTF-8 are read as if they were; lines
    /// may end in LF alone.
    pub fn read(description: &[u8], codecs: &[Codec]) -> Option<Self> {
        let text = String::from_utf8_lossy(description);
        let mut session = Scope::default();
        let mut streams: Vec<Stream<'_>> = Vec::new();
        for line in text.lines() {
            let Some((kind, value)) = line.trim_end().split_once('=') else { continue };
            if kind == "m" {
                if streams.len() == MEDIA_LIMIT {
                    break;
                }
                streams.push(Stream::start(value));
                continue;
            }
            match streams.last_mut() {
                Some(stream) => stream.take(kind, value),
                None => session.take(kind, value),
            }
        }
        streams.iter().find_map(|stream| stream.read(&session, codecs))
    }

    /// The kinds of the `m=` lines of an offer, in order, with whether it is the one that is read:
    /// an answer has a line for each (RFC 3264 section 6).
    pub(crate) fn lines(description: &[u8], codecs: &[Codec]) -> Vec<(String, bool)> {
        let text = String::from_utf8_lossy(description);
        let mut taken = false;
        let mut lines = Vec::new();
        let sections = text.split("\nm=").enumerate().take(MEDIA_LIMIT + 1).skip(1);
        for (_, section) in sections {
            let mut words = section.split_ascii_whitespace();
            let kind = words.next().unwrap_or("audio");
            let protocol = words.nth(1).unwrap_or("RTP/AVP");
            let format = words.next().unwrap_or("0");
            let session = Scope { address: Some(IpAddr::from([0, 0, 0, 0])), direction: None };
            let mut stream = Stream::start(section.lines().next().unwrap_or_default());
            for line in section.lines().skip(1) {
                if let Some((kind, value)) = line.trim_end().split_once('=') {
                    stream.take(kind, value);
                }
            }
            let is_ours = !taken && stream.read(&session, codecs).is_some();
            taken |= is_ours;
            let is_clean = |word: &str| word.bytes().all(|byte| byte.is_ascii_graphic());
            if [kind, protocol, format].into_iter().all(is_clean) {
                lines.push((format!("{kind} 0 {protocol} {format}"), is_ours));
            }
        }
        lines
    }
}

/// What may be said of the whole session, or of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Scope {
    address: Option<IpAddr>,
    direction: Option<Direction>,
}

impl Scope {
    fn take(&mut self, kind: &str, value: &str) {
        match kind {
            // `IN IP4 192.0.2.1/127`
            "c" => {
                let address = value.split_ascii_whitespace().nth(2);
                let address = address.and_then(|text| text.split('/').next()?.parse().ok());
                self.address = address.or(self.address);
            }
            "a" => self.direction = Direction::of_attribute(value.trim()).or(self.direction),
            _ => {}
        }
    }
}

/// One `m=` line with those that belong to it.
#[derive(Debug)]
struct Stream<'a> {
    is_audio: bool,
    port: u16,
    formats: Vec<u8>,
    /// Payload type and encoding of each `a=rtpmap`.
    maps: Vec<(u8, &'a str)>,
    scope: Scope,
}

impl<'a> Stream<'a> {
    /// `audio 49170 RTP/AVP 8 0 101`
    fn start(value: &'a str) -> Self {
        let mut words = value.split_ascii_whitespace();
        let is_audio = words.next() == Some("audio");
        let port = words.next().and_then(|port| port.split('/').next()?.parse().ok());
        let is_rtp = words.next().is_some_and(|protocol| protocol.starts_with("RTP/AVP"));
        let formats = words.take(FORMATS_LIMIT).filter_map(|format| format.parse().ok()).collect();
        Self {
            is_audio: is_audio && is_rtp,
            port: port.unwrap_or(0),
            formats,
            maps: Vec::new(),
            scope: Scope::default(),
        }
    }

    fn take(&mut self, kind: &'a str, value: &'a str) {
        let map = value.strip_prefix("rtpmap:").filter(|_| kind == "a");
        match map.and_then(|map| map.split_once(' ')) {
            Some((payload_type, encoding)) if self.maps.len() < FORMATS_LIMIT => {
                if let Ok(payload_type) = payload_type.trim().parse() {
                    self.maps.push((payload_type, encoding.trim()));
                }
            }
            _ => self.scope.take(kind, value),
        }
    }

    fn read(&self, session: &Scope, codecs: &[Codec]) -> Option<RemoteMedia> {
        if !self.is_audio || self.port == 0 {
            return None;
        }
        let known = |payload_type: &u8| Some((*payload_type, self.codec_of(*payload_type)?));
        let mut formats = self.formats.iter().filter_map(known);
        let (payload_type, codec) = formats.find(|(_, codec)| codecs.contains(codec))?;
        let is_event = |payload_type: &&u8| {
            let name = self.encoding_of(**payload_type);
            name.is_some_and(|name| name.eq_ignore_ascii_case("telephone-event/8000"))
        };
        let address = self.scope.address.or(session.address)?;
        let direction = self.scope.direction.or(session.direction);
        Some(RemoteMedia {
            address: SocketAddr::new(address, self.port),
            codec,
            payload_type,
            telephone_event: self.formats.iter().find(is_event).copied(),
            direction: direction.unwrap_or(Direction::SendReceive),
        })
    }

    /// A map wins over the static meaning of its number.
    fn codec_of(&self, payload_type: u8) -> Option<Codec> {
        let Some(encoding) = self.encoding_of(payload_type) else {
            return Codec::of_payload_type(payload_type);
        };
        let mut parts = encoding.split('/');
        let codec = Codec::of_name(parts.next()?)?;
        (parts.next() == Some("8000") && parts.next().is_none_or(|channels| channels == "1"))
            .then_some(codec)
    }

    fn encoding_of(&self, payload_type: u8) -> Option<&str> {
        self.maps.iter().find(|(mapped, _)| *mapped == payload_type).map(|(_, encoding)| *encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Codec; 2] = [Codec::Pcma, Codec::Pcmu];

    fn read(text: &str) -> Option<RemoteMedia> {
        RemoteMedia::read(text.as_bytes(), &BOTH)
    }

    #[test]
    fn an_ordinary_answer_is_read() {
        let media = read(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
             m=audio 30000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n",
        );
        let media = media.unwrap();
        assert_eq!(media.address, "192.0.2.9:30000".parse().unwrap());
        assert_eq!((media.codec, media.payload_type), (Codec::Pcmu, 0));
        assert_eq!(media.telephone_event, Some(101));
        assert!(!media.is_hold());
    }

    #[test]
    fn a_streams_own_address_and_direction_win_over_the_sessions() {
        let media = read(
            "v=0\no=john doe 1 1 IN IP4 h\ns=\u{fffd}\nc=IN IP4 192.0.2.9/127\na=inactive\n\
             m=video 4 RTP/AVP 31\nm=audio 0 RTP/AVP 8\nm=audio 30000/2 RTP/AVP 3 97 8\n\
             c=IN IP6 2001:db8::1\na=rtpmap:97 pcma/8000/1\na=sendonly\n",
        );
        let media = media.unwrap();
        assert_eq!(media.address, "[2001:db8::1]:30000".parse().unwrap());
        assert_eq!((media.codec, media.payload_type), (Codec::Pcma, 97));
        assert_eq!((media.telephone_event, media.is_hold()), (None, true));
    }

    #[test]
    fn what_cannot_be_spoken_is_no_media() {
        for body in [
            "",
            "v=0",
            "c=IN IP4 192.0.2.9\nm=audio 30000 RTP/AVP 18\n",
            "c=IN IP4 192.0.2.9\nm=audio 30000 RTP/AVP 8\na=rtpmap:8 PCMA/16000\n",
            "c=IN IP4 name.example\nm=audio 30000 RTP/AVP 8\n",
            "c=IN IP4 192.0.2.9\nm=audio 30000 udp 8\n",
            "c=IN IP4 192.0.2.9\nm=image 30000 udptl t38\n",
            "m=audio 30000 RTP/AVP 8\n",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
        let only_pcma = "c=IN IP4 192.0.2.9\nm=audio 30000 RTP/AVP 0\n";
        assert_eq!(RemoteMedia::read(only_pcma.as_bytes(), &[Codec::Pcma]), None);
    }
}
