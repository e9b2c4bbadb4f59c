//! One call's audio without a socket.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_core::Rng;
use rtp_rs::RtpReader;
use sip::{Codec, RemoteMedia};

use super::events::Events;
use super::prompts::Announcement;
use super::reception::{Reception, TheirReport};
use super::stream::{FRAME, Stream};
use super::{RATE, SILENCE, rtcp};
use crate::clock::Timestamp;

/// From one packet to the next.
const PACE: Duration = Duration::from_millis(20);
/// A packet later than this is not made up for: a burst would only fill the far side's buffer.
const LATE_LIMIT: Duration = Duration::from_millis(100);
/// Silence after the last word, in which a key may still ask for it once more.
const LISTEN_AFTER: usize = 2 * RATE;
/// A far side that was heard and then sends neither sound nor reports is gone. Phones that
/// suppress silence send nothing while their owner listens, so this is not short.
const PEER_LOST_AFTER: Duration = Duration::from_secs(10);
/// The key that says it all once more.
const REPEAT_KEY: char = '1';
/// The shortest distance of two reports; up to 5 s more are drawn for each call.
const REPORT_FLOOR: Duration = Duration::from_millis(2500);
/// Comfort noise (RFC 3389): some phones send it while nobody speaks.
const COMFORT_NOISE: u8 = 13;

/// What a call's audio is made from.
#[derive(Clone, Debug)]
pub struct TalkTerms {
    /// Where the far side wants its audio.
    pub media: RemoteMedia,
    /// An address of the trunk beside that: audio may come from there too.
    pub trunk: Option<IpAddr>,
    /// What is said.
    pub announcement: Announcement,
    /// The time of day at the start, for reports.
    pub at: Timestamp,
}

/// One call's audio. After each input, take everything from [`Talk::poll`].
#[derive(Debug)]
pub struct Talk {
    media: RemoteMedia,
    trunk: Option<IpAddr>,
    /// Where our audio goes: where it was asked to, or where theirs comes from.
    target: SocketAddr,
    is_latched: bool,
    announcement: Announcement,
    /// The next sample of it.
    place: usize,
    is_said: bool,
    phase: Phase,
    stream: Stream,
    events: Events,
    heard_at: Option<Instant>,
    reception: Option<Reception>,
    their_report: Option<TheirReport>,
    report_at: Instant,
    report_every: Duration,
    /// Packets of ours when the last report left.
    reported: u32,
    cname: String,
    started: (Instant, Timestamp),
    counts: TalkCounts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next packet is due at `next`.
    Speaking { next: Instant },
    /// They do not listen; silent since the packet that was due at `since`.
    Held { since: Instant },
    /// Nothing is sent any more.
    Over,
}

/// What [`Talk::poll`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send what was written as audio.
    Rtp(SocketAddr),
    /// Send what was written as a report.
    Rtcp(SocketAddr),
    /// Every digit has been said once. Told once.
    Said,
    /// There is nothing left to say, or nobody to say it to. Told once.
    Ended(TalkEnd),
}

/// Why a talk ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TalkEnd {
    /// All was said.
    Played,
    /// The far side fell silent.
    PeerLost,
}

/// What passed in a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TalkCounts {
    /// Packets of ours.
    pub sent: u64,
    /// Times that the pace was lost by more than 100 ms.
    pub stalls: u64,
    /// Packets of theirs.
    pub received: u64,
    /// Packets from somewhere else, which were ignored.
    pub strangers: u64,
    /// Packets of theirs that are no RTP or RTCP.
    pub malformed: u64,
    /// Times that they asked for it once more.
    pub repeats: u64,
    /// Times that they put us on hold.
    pub holds: u64,
}

impl Talk {
    /// A call that was answered at `now`.
    pub fn start(now: Instant, rng: &mut impl Rng, terms: TalkTerms) -> Self {
        let TalkTerms { media, trunk, announcement, at } = terms;
        let stream = Stream::start(rng);
        // A name that lives as long as the call (RFC 7022 section 4.2).
        let cname = format!("{:016x}{:08x}", rng.next_u64(), rng.next_u32());
        let report_every = REPORT_FLOOR + Duration::from_millis(u64::from(rng.next_u32() % 5000));
        let mut talk = Self {
            media,
            trunk: trunk.map(|ip| ip.to_canonical()),
            target: media.address,
            is_latched: false,
            announcement,
            place: 0,
            is_said: false,
            phase: Phase::Speaking { next: now },
            stream,
            events: Events::default(),
            heard_at: None,
            reception: None,
            their_report: None,
            report_at: now + report_every / 2,
            report_every,
            reported: 0,
            cname,
            started: (now, at),
            counts: TalkCounts::default(),
        };
        if media.is_hold() {
            talk.hold(now);
        }
        talk
    }

    /// The far side wants its audio elsewhere or otherwise. After a hold all is said from the
    /// start: they have not heard it.
    pub fn change_media(&mut self, now: Instant, media: RemoteMedia) {
        if media.address != self.media.address {
            self.target = media.address;
            self.is_latched = false;
        }
        self.media = media;
        match self.phase {
            Phase::Speaking { .. } if media.is_hold() => self.hold(now),
            Phase::Held { since } if !media.is_hold() => {
                let silent = now.saturating_duration_since(since);
                self.stream.pause(samples(silent));
                self.place = 0;
                // Held parties send nothing: their silence counts from here.
                self.heard_at = self.heard_at.map(|_| now);
                self.phase = Phase::Speaking { next: now };
            }
            Phase::Speaking { .. } | Phase::Held { .. } | Phase::Over => {}
        }
    }

    /// A datagram came to the port for audio.
    pub fn handle_rtp(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) {
        let is_elsewhere = self.is_latched && source != self.target;
        if is_elsewhere || !self.is_peer(source.ip()) {
            self.counts.strangers += 1;
            return;
        }
        let Ok(packet) = RtpReader::new(packet) else {
            self.counts.malformed += 1;
            return;
        };
        let kind = packet.payload_type();
        let is_event = self.media.telephone_event == Some(kind);
        let is_audio = [self.media.payload_type, COMFORT_NOISE].contains(&kind)
            || [Codec::Pcma, Codec::Pcmu].iter().any(|codec| codec.payload_type() == kind);
        if !is_event && !is_audio {
            self.counts.malformed += 1;
            return;
        }
        // From where their audio comes, ours finds its way back, whatever stands between.
        (self.target, self.is_latched) = (source, true);
        self.counts.received += 1;
        self.heard_at = Some(now);
        let number = (packet.ssrc(), u16::from(packet.sequence_number()));
        let reception = self.reception.get_or_insert_with(|| Reception::start(now, number));
        reception.take(now, number, is_audio.then(|| packet.timestamp()));
        if is_event
            && self.events.take(packet.timestamp(), packet.payload()) == Some(REPEAT_KEY)
            && self.phase != Phase::Over
        {
            self.counts.repeats += 1;
            self.place = 0;
        }
    }

    /// A datagram came to the port for reports.
    pub fn handle_rtcp(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) {
        if !self.is_peer(source.ip()) {
            self.counts.strangers += 1;
        } else if rtcp::is_rtcp(packet) {
            self.heard_at = self.heard_at.map(|_| now);
            if let Some((ssrc, middle)) = rtcp::sender_report(packet) {
                self.their_report = Some(TheirReport { ssrc, middle, at: now });
            }
        } else {
            self.counts.malformed += 1;
        }
    }

    /// What is due; `packet` is written anew where something is to be sent.
    pub fn poll(&mut self, now: Instant, packet: &mut Vec<u8>) -> Option<Output> {
        if self.phase == Phase::Over {
            return None;
        }
        if self.report_at <= now && !self.media.address.ip().is_unspecified() {
            self.report_at = now + self.report_every;
            self.write_report(now, packet, false);
            return Some(Output::Rtcp(self.report_target()));
        }
        let Phase::Speaking { next } = self.phase else { return None };
        if self.heard_at.is_some_and(|heard| heard + PEER_LOST_AFTER <= now) {
            self.phase = Phase::Over;
            return Some(Output::Ended(TalkEnd::PeerLost));
        }
        if !self.is_said && self.place >= self.announcement.whole_at() {
            self.is_said = true;
            return Some(Output::Said);
        }
        if next > now {
            return None;
        }
        if self.place >= self.announcement.samples().len() + LISTEN_AFTER {
            self.phase = Phase::Over;
            return Some(Output::Ended(TalkEnd::Played));
        }
        self.speak(now, next, packet);
        Some(Output::Rtp(self.target))
    }

    /// When [`Talk::poll`] has something; `None`: only an input changes that.
    pub fn deadline(&self) -> Option<Instant> {
        let lost_at = self.heard_at.map(|heard| heard + PEER_LOST_AFTER);
        match self.phase {
            Phase::Speaking { next } => Some(next.min(self.report_at).min(lost_at.unwrap_or(next))),
            Phase::Held { .. } if self.media.address.ip().is_unspecified() => None,
            Phase::Held { .. } => Some(self.report_at),
            Phase::Over => None,
        }
    }

    /// The last report, with a BYE; `None`: nobody wants it.
    pub fn farewell(&mut self, now: Instant, packet: &mut Vec<u8>) -> Option<SocketAddr> {
        if self.media.address.ip().is_unspecified() {
            return None;
        }
        self.write_report(now, packet, true);
        Some(self.report_target())
    }

    /// What passed.
    pub fn counts(&self) -> TalkCounts {
        self.counts
    }

    fn hold(&mut self, now: Instant) {
        let since = match self.phase {
            Phase::Speaking { next } => next.max(now),
            Phase::Held { since } => since,
            Phase::Over => return,
        };
        self.counts.holds += 1;
        self.phase = Phase::Held { since };
    }

    fn speak(&mut self, now: Instant, due: Instant, packet: &mut Vec<u8>) {
        let mut due = due;
        let late = now.saturating_duration_since(due);
        if late > LATE_LIMIT {
            self.counts.stalls += 1;
            self.stream.pause(samples(late));
            due = now;
        }
        let mut frame = [SILENCE; FRAME];
        let rest = self.announcement.samples().get(self.place..).unwrap_or_default();
        let length = rest.len().min(FRAME);
        frame[..length].copy_from_slice(&rest[..length]);
        self.place += FRAME;
        self.stream.write(packet, (self.media.codec, self.media.payload_type), &frame);
        self.counts.sent += 1;
        self.phase = Phase::Speaking { next: due + PACE };
    }

    fn write_report(&mut self, now: Instant, packet: &mut Vec<u8>, is_last: bool) {
        let (start, at) = self.started;
        let at = at + now.saturating_duration_since(start);
        // The stream's clock at this moment: that of the next packet, less what is left to it.
        let timestamp = match self.phase {
            Phase::Speaking { next } => {
                self.stream.timestamp.wrapping_sub(samples(next.saturating_duration_since(now)))
            }
            Phase::Held { since } => {
                self.stream.timestamp.wrapping_add(samples(now.saturating_duration_since(since)))
            }
            Phase::Over => self.stream.timestamp,
        };
        let has_sent =
            self.stream.packets != std::mem::replace(&mut self.reported, self.stream.packets);
        let their_report = self.their_report;
        let report = rtcp::Report {
            sent: has_sent.then_some((at, timestamp)),
            received: self.reception.as_mut().map(|reception| reception.block(now, their_report)),
            cname: &self.cname,
            is_last,
        };
        rtcp::write(packet, &self.stream, &report);
    }

    /// The port beside the one for audio (RFC 3550 section 11).
    fn report_target(&self) -> SocketAddr {
        SocketAddr::new(self.target.ip(), self.target.port().saturating_add(1))
    }

    fn is_peer(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip == self.media.address.ip().to_canonical() || self.trunk == Some(ip)
    }
}

fn samples(time: Duration) -> u32 {
    // A call lasts a minute; eight samples are a millisecond.
    u32::try_from(time.as_millis() * 8).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
