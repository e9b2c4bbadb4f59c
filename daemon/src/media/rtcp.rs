//! The control packets of a stream (RFC 3550 section 6): what we sent, what came, and that we leave.

use std::time::Duration;

use super::stream::Stream;
use crate::clock::Timestamp;

const VERSION: u8 = 2 << 6;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
/// The first and the last packet type of RTCP in use.
const TYPES: std::ops::RangeInclusive<u8> = 192..=213;
/// Item of a source description: the canonical name.
const CNAME: u8 = 1;
/// Bytes of a reception report block.
pub(super) const BLOCK: usize = 24;
/// From the era of NTP, 1900, to that of Unix, in seconds.
const NTP_OFFSET: u64 = 2_208_988_800;

/// What a report tells.
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// The time of day, and the same moment by the stream's own clock; `None`: nothing was sent
    /// since the last report, so that a receiver report is enough.
    pub(super) sent: Option<(Timestamp, u32)>,
    /// What came; `None`: nothing ever did.
    pub(super) received: Option<[u8; BLOCK]>,
    pub(super) cname: &'a str,
    /// Whether the stream ends.
    pub(super) is_last: bool,
}

/// Writes a compound of report and canonical name; with a BYE where the stream ends.
pub(super) fn write(out: &mut Vec<u8>, stream: &Stream, report: &Report<'_>) {
    let &Report { sent, received, cname, is_last } = report;
    let blocks = u8::from(received.is_some());
    let block_words = u16::from(blocks) * (BLOCK / 4) as u16;
    out.clear();
    match sent {
        Some((at, timestamp)) => {
            header(out, blocks, SENDER_REPORT, 6 + block_words);
            out.extend(stream.ssrc.to_be_bytes());
            out.extend(ntp(at).to_be_bytes());
            out.extend(timestamp.to_be_bytes());
            out.extend(stream.packets.to_be_bytes());
            out.extend(stream.octets.to_be_bytes());
        }
        None => {
            header(out, blocks, RECEIVER_REPORT, 1 + block_words);
            out.extend(stream.ssrc.to_be_bytes());
        }
    }
    out.extend(received.iter().flatten());
    // Chunk: the source, one item, and at least one zero up to a multiple of four bytes.
    let items = 2 + cname.len() + 1;
    let padded = items.next_multiple_of(4);
    header(out, 1, SOURCE_DESCRIPTION, (1 + padded / 4) as u16);
    out.extend(stream.ssrc.to_be_bytes());
    out.extend([CNAME, cname.len() as u8]);
    out.extend(cname.as_bytes());
    out.resize(out.len() + padded - items + 1, 0);
    if is_last {
        header(out, 1, BYE, 1);
        out.extend(stream.ssrc.to_be_bytes());
    }
}

/// The source and the middle of its time in a sender report, which stands first in its compound.
pub(super) fn sender_report(packet: &[u8]) -> Option<(u32, u32)> {
    let (head, _) = packet.split_first_chunk::<28>()?;
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    // Seconds and fraction of NTP, 16 bits of each.
    let middle = (word(8) << 16) | (word(12) >> 16);
    (head[1] == SENDER_REPORT).then(|| (word(4), middle))
}

/// Whether a datagram looks like RTCP.
pub(super) fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, kind, _, _, _, _, _, _, ..]
        if first & 0xc0 == VERSION && TYPES.contains(kind))
}

fn header(out: &mut Vec<u8>, count: u8, kind: u8, words: u16) {
    out.extend([VERSION | count, kind]);
    out.extend(words.to_be_bytes());
}

/// 32 bits of seconds since 1900 and 32 bits of their fraction.
fn ntp(at: Timestamp) -> u64 {
    let since = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0));
    let seconds = since.as_secs() + NTP_OFFSET;
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (seconds << 32) | fraction
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_compound_is_a_report_a_name_and_at_the_end_a_bye() {
        let stream = Stream::start(&mut ChaCha20Rng::from_seed([1; 32]));
        let mut out = Vec::new();
        let last = Report {
            sent: Some((Timestamp(1_500), 77)),
            received: None,
            cname: "abcdef",
            is_last: true,
        };
        write(&mut out, &stream, &last);
        let mut kinds = Vec::new();
        let mut rest = &out[..];
        while !rest.is_empty() {
            assert_eq!(rest[0] >> 6, 2);
            kinds.push((rest[1], rest[0] & 31));
            let words = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            assert_eq!(rest[4..8], stream.ssrc.to_be_bytes());
            rest = &rest[4 * (words + 1)..];
        }
        assert_eq!(kinds, [(200, 0), (202, 1), (203, 1)]);
        // A second and a half after the beginning of 1970.
        assert_eq!(out[8..16], ((2_208_988_801_u64 << 32) | (1 << 31)).to_be_bytes());
        assert!(is_rtcp(&out) && !is_rtcp(&out[..7]) && !is_rtcp(&[0x80, 8, 0, 0, 0, 0, 0, 0]));
        assert_eq!(sender_report(&out), Some((stream.ssrc, 0x7e81_8000)));
        let later = Report { cname: "abcde", is_last: false, ..last };
        write(&mut out, &stream, &later);
        assert_eq!(out.len() % 4, 0);
        write(&mut out, &stream, &Report { sent: None, received: Some([7; BLOCK]), ..later });
        assert_eq!((out[0] & 31, out[1], out[3], &out[8..32]), (1, 201, 7, &[7; BLOCK][..]));
        assert_eq!((out[32] >> 6, out[33], sender_report(&out)), (2, 202, None));
    }
}
