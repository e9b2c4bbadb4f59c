//! What our reports say of the stream that comes (RFC 3550 section 6.4.1, appendices A.1, A.3, A.8).

use std::time::Instant;

use super::rtcp::BLOCK;

/// A gap of more packets than this is another start (appendix A.1).
const DROPOUT_LIMIT: u16 = 3000;
/// A packet that is late by more than this is one, too.
const MISORDER_LIMIT: u16 = 100;
/// Samples by which two packets' transit may differ; more is a clock that was set.
const TRANSIT_LIMIT: u32 = 8000;

/// One source, counted.
#[derive(Debug)]
pub(super) struct Reception {
    ssrc: u32,
    origin: Instant,
    base: u16,
    highest: u16,
    wraps: u32,
    /// Behind a jump: where it would go on.
    jumped_to: Option<u16>,
    received: u32,
    /// Expected and received when the last block was made.
    told: (u32, u32),
    transit: Option<u32>,
    /// In samples, times 16.
    jitter: u32,
}

/// A sender report of the far side: the middle of its time, and when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct TheirReport {
    pub(super) ssrc: u32,
    pub(super) middle: u32,
    pub(super) at: Instant,
}

impl Reception {
    /// Begins with a packet of this source.
    pub(super) fn start(now: Instant, (ssrc, sequence): (u32, u16)) -> Self {
        Self {
            ssrc,
            origin: now,
            base: sequence,
            // The first packet is the next one.
            highest: sequence.wrapping_sub(1),
            wraps: 0,
            jumped_to: None,
            received: 0,
            told: (0, 0),
            transit: None,
            jitter: 0,
        }
    }

    /// Counts a packet. `timestamp` is that of audio; events repeat theirs.
    pub(super) fn take(
        &mut self,
        now: Instant,
        (ssrc, sequence): (u32, u16),
        timestamp: Option<u32>,
    ) {
        if ssrc != self.ssrc || self.jumped_to == Some(sequence) {
            *self = Self::start(now, (ssrc, sequence));
        }
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < DROPOUT_LIMIT {
            // The very first packet is no wrap, whatever its number.
            self.wraps += u32::from(sequence < self.highest && self.received > 0);
            self.highest = sequence;
        } else if ahead <= u16::MAX - MISORDER_LIMIT {
            self.jumped_to = Some(sequence.wrapping_add(1));
            return;
        }
        self.jumped_to = None;
        self.received = self.received.wrapping_add(1);
        if let Some(timestamp) = timestamp {
            self.time(now, timestamp);
        }
    }

    /// The block of 24 bytes; what was lost is counted from the last one on.
    pub(super) fn block(&mut self, now: Instant, report: Option<TheirReport>) -> [u8; BLOCK] {
        let expected = self.extended().wrapping_sub(u32::from(self.base)).wrapping_add(1);
        let (expected_before, received_before) = self.told;
        self.told = (expected, self.received);
        let due = expected.wrapping_sub(expected_before);
        let came = self.received.wrapping_sub(received_before);
        let missing = due.saturating_sub(came);
        let fraction = if due == 0 { 0 } else { (missing << 8).checked_div(due).unwrap_or(0) };
        let lost = i64::from(expected) - i64::from(self.received);
        let lost = lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        let report = report.filter(|report| report.ssrc == self.ssrc);
        let (middle, delay) = report.map_or((0, 0), |report| {
            let delay = now.saturating_duration_since(report.at);
            (report.middle, u32::try_from(delay.as_micros() * 65_536 / 1_000_000).unwrap_or(0))
        });
        let words =
            [self.ssrc, fraction.min(255) << 24 | lost, self.extended(), self.jitter >> 4, middle];
        let mut block = [0; BLOCK];
        for (place, word) in block.chunks_exact_mut(4).zip(words.into_iter().chain([delay])) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        block
    }

    fn extended(&self) -> u32 {
        self.wraps << 16 | u32::from(self.highest)
    }

    fn time(&mut self, now: Instant, timestamp: u32) {
        let since = now.saturating_duration_since(self.origin);
        // Eight samples are a millisecond; the clock may wrap.
        let transit = ((since.as_micros() * 8 / 1000) as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let change = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            if change < TRANSIT_LIMIT {
                self.jitter = (self.jitter + change).saturating_sub((self.jitter + 8) >> 4);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PACE: Duration = Duration::from_millis(20);

    /// Fraction lost, lost in all, highest number, jitter, middle of their time, delay.
    fn read(block: [u8; BLOCK]) -> (u32, u32, u32, u32, u32, u32) {
        let word = |n: usize| u32::from_be_bytes(block[4 * n..4 * n + 4].try_into().unwrap());
        (word(1) >> 24, word(1) & 0xff_ffff, word(2), word(3), word(4), word(5))
    }

    /// Packets with these numbers, each in its place in time.
    fn received(start: Instant, numbers: impl IntoIterator<Item = u16>) -> Reception {
        let mut numbers = numbers.into_iter().peekable();
        let first = *numbers.peek().unwrap();
        let mut reception = Reception::start(start, (7, first));
        for number in numbers {
            let nth = u32::from(number.wrapping_sub(first));
            reception.take(start + PACE * nth, (7, number), Some(nth * 160));
        }
        reception
    }

    #[test]
    fn a_whole_stream_over_the_end_of_its_numbers_has_lost_nothing() {
        let start = Instant::now();
        let mut reception = received(start, (0..10).map(|n| 65_530_u16.wrapping_add(n)));
        let block = read(reception.block(start, None));
        assert_eq!(block, (0, 0, 65_536 + 3, 0, 0, 0));
    }

    #[test]
    fn what_is_lost_is_told_as_a_share_since_the_last_report_and_in_all() {
        let start = Instant::now();
        let mut reception = received(start, (0..8).filter(|n| n % 4 != 1));
        assert_eq!(read(reception.block(start, None)).0, 64);
        reception.take(start, (7, 8), None);
        let (fraction, lost, highest, ..) = read(reception.block(start, None));
        assert_eq!((fraction, lost, highest), (0, 2, 8));
        // A late one and a doubled one are no loss.
        reception.take(start, (7, 1), None);
        reception.take(start, (7, 8), None);
        assert_eq!(read(reception.block(start, None)).1, 0);
    }

    #[test]
    fn jitter_is_that_of_the_standard() {
        let start = Instant::now();
        let mut reception = Reception::start(start, (7, 0));
        // Each second packet is late by 4 ms, 32 samples.
        for n in 0..200 {
            let late = Duration::from_millis(u64::from(n % 2) * 4);
            reception.take(start + PACE * u32::from(n) + late, (7, n), Some(u32::from(n) * 160));
        }
        let jitter = read(reception.block(start, None)).3;
        assert!((30..=32).contains(&jitter), "{jitter}");
    }

    #[test]
    fn a_jump_counts_once_it_goes_on_and_another_source_starts_anew() {
        let start = Instant::now();
        let mut reception = received(start, 0..5);
        reception.take(start, (7, 30_000), None);
        assert_eq!(read(reception.block(start, None)).2, 4);
        reception.take(start, (7, 30_001), None);
        assert_eq!(read(reception.block(start, None)), (0, 0, 30_001, 0, 0, 0));
        reception.take(start, (8, 5), None);
        assert_eq!(reception.block(start, None)[..4], [0, 0, 0, 8]);
    }

    #[test]
    fn their_last_report_comes_back_with_its_age() {
        let start = Instant::now();
        let mut reception = received(start, 0..5);
        let report = TheirReport { ssrc: 7, middle: 0x1234_5678, at: start };
        let now = start + Duration::from_millis(1500);
        let (.., middle, delay) = read(reception.block(now, Some(report)));
        assert_eq!((middle, delay), (0x1234_5678, 98_304));
        let other = TheirReport { ssrc: 8, ..report };
        assert_eq!(read(reception.block(now, Some(other))).4, 0);
    }
}
