//! What a handset that was answered hears.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtp_rs::RtpReader;

use super::report::Report;
use crate::media::{Ear, Prompts, RATE, SILENCE};

/// A minute of talk and some room.
const SAMPLE_LIMIT: usize = 90 * RATE;
/// Recordings kept at once; a handset beyond it is deaf.
const RECORDING_LIMIT: usize = 1000;
/// From packet to packet.
const PACE: Duration = Duration::from_millis(20);

/// Every handset that listens, by the address that its caller's audio is to come from.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    by_source: BTreeMap<SocketAddr, Recording>,
}

/// One call as its handset heard it.
#[derive(Debug)]
pub struct Recording {
    call: String,
    /// A-law, each packet at the place that its timestamp says.
    samples: Vec<u8>,
    /// Sequence number, timestamp and moment of the first packet.
    first: Option<(u16, u32, Instant)>,
    packets: u32,
    /// The highest sequence number, counted from the first.
    highest: u16,
    /// How far the packets were off their pace at most, either way.
    jitter: Duration,
}

impl Recordings {
    /// A handset of `call` listens to what comes from `source`.
    pub(super) fn start(&mut self, source: SocketAddr, call: String) {
        if self.by_source.len() < RECORDING_LIMIT {
            self.by_source.insert(source, Recording::new(call));
        }
    }

    /// A packet came to the handsets' port.
    pub(super) fn take(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) {
        if let (Some(recording), Ok(packet)) =
            (self.by_source.get_mut(&source), RtpReader::new(packet))
        {
            recording.take(now, &packet);
        }
    }

    /// The call is over.
    pub(super) fn end(&mut self, call: &str) -> Option<Recording> {
        let is_it = |(source, recording): (&SocketAddr, &Recording)| {
            (recording.call == call).then_some(*source)
        };
        let source = self.by_source.iter().find_map(is_it)?;
        self.by_source.remove(&source)
    }
}

impl Recording {
    fn new(call: String) -> Self {
        let (samples, jitter) = (Vec::new(), Duration::ZERO);
        Self { call, samples, first: None, packets: 0, highest: 0, jitter }
    }

    fn take(&mut self, now: Instant, packet: &RtpReader<'_>) {
        let (sequence, timestamp) = (u16::from(packet.sequence_number()), packet.timestamp());
        let (first, start, at) = *self.first.get_or_insert((sequence, timestamp, now));
        let nth = sequence.wrapping_sub(first);
        let from = timestamp.wrapping_sub(start) as usize;
        let to = from + packet.payload().len();
        if to > SAMPLE_LIMIT {
            return;
        }
        self.packets += 1;
        self.highest = self.highest.max(nth);
        let due = PACE * u32::from(nth);
        let came = now.saturating_duration_since(at);
        self.jitter = self.jitter.max(came.abs_diff(due));
        self.samples.resize(self.samples.len().max(to), SILENCE);
        self.samples[from..to].copy_from_slice(packet.payload());
    }

    /// Listens to it: takes as long as a second.
    pub(super) fn listen(self, t_ms: u64) -> Report {
        let expected = self.first.map_or(0, |_| u32::from(self.highest) + 1);
        let codes = Ear::new(&Prompts::built_in()).codes(&self.samples);
        Report::Heard {
            t_ms,
            call: self.call,
            packets: self.packets,
            lost: expected.saturating_sub(self.packets),
            jitter_ms: u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX),
            codes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let builder = rtp_rs::RtpPacketBuilder::new().sequence(sequence.into());
        builder.timestamp(timestamp).payload_type(8).payload(payload).build().unwrap()
    }

    #[test]
    fn a_recording_counts_what_is_missing_and_hears_the_code() {
        let start = Instant::now();
        let (source, stranger) =
            (SocketAddr::from(([127, 0, 0, 1], 1)), ([127, 0, 0, 1], 2).into());
        let mut recordings = Recordings::default();
        recordings.start(source, "a".to_owned());
        let said = Prompts::built_in().announce(Some("ru"), "705133");
        for (n, frame) in said.samples().chunks_exact(160).enumerate() {
            let late = if n == 70 { 7 } else { 0 };
            let now = start + PACE * n as u32 + Duration::from_millis(late);
            let (sequence, timestamp) = (65_530_u16.wrapping_add(n as u16), n as u32 * 160);
            let bytes = packet(sequence, timestamp.wrapping_sub(500), frame);
            recordings.take(now, stranger, &packet(1, 1, &[0; 160]));
            if n != 5 {
                recordings.take(now, source, &bytes);
            }
        }
        assert!(recordings.end("b").is_none());
        let Report::Heard { packets, lost, jitter_ms, codes, .. } =
            recordings.end("a").unwrap().listen(0)
        else {
            panic!("a recording tells what was heard")
        };
        assert_eq!((packets as usize, lost), (said.samples().len() / 160 - 1, 1));
        assert_eq!((jitter_ms, codes), (7, vec!["705133".to_owned(); 2]));
        assert!(recordings.end("a").is_none());
    }
}
