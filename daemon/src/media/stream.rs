//! The RTP stream that leaves (RFC 3550 section 5.1): numbers that rise from a random start.

use audio_codec_algorithms::convert_alaw_to_ulaw;
use rand_core::Rng;
use rtp_rs::{RtpPacketBuilder, Seq};
use sip::Codec;

/// Samples of one packet: 20 ms.
pub(super) const FRAME: usize = 160;

/// What is next on the wire, and what has left.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    sequence: u16,
    pub(super) timestamp: u32,
    /// The next packet begins a spurt of talk (RFC 3551 section 4.1).
    marks: bool,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

impl Stream {
    pub(super) fn start(rng: &mut impl Rng) -> Self {
        Self {
            ssrc: rng.next_u32(),
            sequence: rng.next_u32() as u16,
            timestamp: rng.next_u32(),
            marks: true,
            packets: 0,
            octets: 0,
        }
    }

    /// Writes the next packet; `frame` is A-law.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        (codec, payload_type): (Codec, u8),
        frame: &[u8; FRAME],
    ) {
        let payload = match codec {
            Codec::Pcma => *frame,
            Codec::Pcmu => frame.map(convert_alaw_to_ulaw),
        };
        let builder = RtpPacketBuilder::new()
            .payload_type(payload_type)
            .marked(self.marks)
            .sequence(Seq::from(self.sequence))
            .timestamp(self.timestamp)
            .ssrc(self.ssrc)
            .payload(&payload);
        out.clear();
        out.resize(builder.target_length(), 0);
        let written = builder.build_into(out);
        written.expect("a payload type of 7 bits and room for the whole packet make a packet");
        self.marks = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(FRAME as u32);
    }

    /// Nothing left for so many samples: the clock went on, and a spurt of talk begins.
    pub(super) fn pause(&mut self, samples: u32) {
        self.timestamp = self.timestamp.wrapping_add(samples);
        self.marks = true;
    }
}
