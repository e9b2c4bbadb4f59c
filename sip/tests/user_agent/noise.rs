//! Damaged packets from the trunk itself: whatever they do to a call, it ends once and leaves
//! nothing behind.

use dozvon_sip as sip;
use sip::Event;

use crate::bench::{Bench, CARRIER, PROXY_CHALLENGE, Sent, call_request, ms};

/// Runs, each with its own seed.
const RUNS: u64 = 100;
const PACKETS: u64 = 60;
/// Seeds that once failed.
const KEPT: [u64; 1] = [1727];

/// A generator of one line; the seed is the run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

fn damage(dice: &mut Dice, packet: &mut Vec<u8>) {
    for _ in 0..dice.roll(4) {
        if packet.is_empty() {
            return;
        }
        let at = dice.roll(packet.len());
        match dice.roll(5) {
            0 => packet[at] = dice.roll(256) as u8,
            1 => drop(packet.remove(at)),
            2 => packet.insert(at, b"\r\n;,<>\"\\ 0"[dice.roll(10)]),
            3 => packet.truncate(at.max(1)),
            _ => {
                let end = (at + dice.roll(40)).min(packet.len());
                let piece = packet[at..end].to_vec();
                packet.splice(at..at, piece);
            }
        }
    }
}

fn answer(dice: &mut Dice, request: &Sent) -> String {
    let status =
        [100, 180, 181, 183, 200, 202, 302, 401, 407, 481, 486, 487, 503, 603][dice.roll(14)];
    let tag = ["a", "b", "", "c"][dice.roll(4)];
    let lines = match dice.roll(5) {
        0 => PROXY_CHALLENGE,
        1 => "Contact: <sip:phone@192.0.2.10:5080>\r\nRecord-Route: <sip:192.0.2.10;lr>\r\n",
        2 => "Retry-After: 99999999999\r\nReason: Q.850;cause=300\r\n",
        3 => "Diversion: <sip:x@y>\r\n",
        _ => "",
    };
    request.answer(status, tag, lines)
}

#[test]
fn damaged_packets_end_no_call_twice_and_leave_nothing_behind() {
    let mut ends = 0;
    for seed in KEPT.into_iter().chain(1..=RUNS) {
        println!("seed {seed}");
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut bench = Bench::new();
        let mut requests = Vec::new();
        for number in 0..3 {
            bench.place(call_request(number));
        }
        for _ in 0..PACKETS {
            requests.extend(bench.take_all().into_iter().filter(|sent| sent.kind() != "ACK"));
            requests.retain(|sent: &Sent| !sent.kind().starts_with(|c: char| c.is_ascii_digit()));
            let at = dice.roll(requests.len());
            let mut packet = match dice.roll(12) {
                // Its own request comes back to it.
                0 => requests[at].text.clone().into_bytes(),
                _ => answer(&mut dice, &requests[at]).into_bytes(),
            };
            damage(&mut dice, &mut packet);
            bench.receive_from(CARRIER, &packet);
            if dice.roll(10) == 0 {
                bench.refuse(CARRIER);
            }
            bench.wait(ms(dice.roll(700) as u64));
        }
        bench.assert_clean();
        assert_eq!(bench.ends().len(), 3, "seed {seed}: {:?}", bench.events);
        ends += bench.count(|event| matches!(event, Event::Ended(_)));
    }
    assert_eq!(ends as u64, 3 * (RUNS + KEPT.len() as u64));
}
