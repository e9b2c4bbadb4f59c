//! A talk in virtual time.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtp_rs::Seq;
use sip::Direction;

use super::super::Prompts;
use super::*;

const PEER: &str = "192.0.2.9:30000";

struct Bench {
    talk: Talk,
    now: Instant,
    started: Instant,
    rtp: Vec<Sent>,
    rtcp: Vec<(SocketAddr, Vec<u8>)>,
    said_at: Option<Duration>,
    end: Option<(Duration, TalkEnd)>,
}

struct Sent {
    at: Duration,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl Sent {
    fn read(&self) -> RtpReader<'_> {
        RtpReader::new(&self.bytes).unwrap()
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn media(codec: Codec) -> RemoteMedia {
    RemoteMedia {
        address: address(PEER),
        codec,
        payload_type: codec.payload_type(),
        telephone_event: Some(101),
        direction: Direction::SendReceive,
    }
}

fn announcement() -> Announcement {
    Prompts::built_in().announce(Some("ru"), "480193")
}

impl Bench {
    fn new(codec: Codec) -> Self {
        let started = Instant::now();
        let terms = TalkTerms {
            media: media(codec),
            trunk: Some("192.0.2.7".parse().unwrap()),
            announcement: announcement(),
            at: Timestamp(1_000),
        };
        let talk = Talk::start(started, &mut ChaCha20Rng::from_seed([3; 32]), terms);
        let (rtp, rtcp) = (Vec::new(), Vec::new());
        Self { talk, now: started, started, rtp, rtcp, said_at: None, end: None }
    }

    fn drain(&mut self) {
        let mut bytes = Vec::new();
        let at = self.now - self.started;
        while let Some(output) = self.talk.poll(self.now, &mut bytes) {
            match output {
                Output::Rtp(to) => self.rtp.push(Sent { at, to, bytes: bytes.clone() }),
                Output::Rtcp(to) => self.rtcp.push((to, bytes.clone())),
                Output::Said => assert!(self.said_at.replace(at).is_none()),
                Output::Ended(end) => assert!(self.end.replace((at, end)).is_none()),
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while let Some(deadline) = self.talk.deadline().filter(|deadline| *deadline <= until) {
            assert!(deadline >= self.now, "the deadline is in the past");
            self.now = deadline;
            self.drain();
        }
        self.now = until;
    }

    fn hear(&mut self, source: &str, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let builder = rtp_rs::RtpPacketBuilder::new();
        let builder = builder.payload_type(payload_type).timestamp(timestamp).payload(payload);
        let packet = builder.build().unwrap();
        self.talk.handle_rtp(self.now, address(source), &packet);
        self.drain();
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn packets_leave_every_20_ms_with_numbers_that_rise_and_one_marker() {
    let mut bench = Bench::new(Codec::Pcma);
    bench.run(Duration::from_secs(60));
    let said = announcement();
    let first = bench.rtp[0].read();
    assert!(first.sequence_number() != Seq::from(0) && first.timestamp() != 0);
    let mut heard = Vec::new();
    for (n, sent) in bench.rtp.iter().enumerate() {
        let packet = sent.read();
        assert_eq!((sent.at, sent.to), (ms(20 * n as u64), address(PEER)));
        assert_eq!((packet.payload_type(), packet.mark()), (8, n == 0));
        assert_eq!(packet.ssrc(), first.ssrc());
        assert_eq!(packet.sequence_number(), first.sequence_number() + n as u16);
        assert_eq!(packet.timestamp(), first.timestamp().wrapping_add(160 * n as u32));
        heard.extend_from_slice(packet.payload());
    }
    assert!(heard.starts_with(said.samples()));
    assert!(heard[said.samples().len()..].iter().all(|byte| *byte == SILENCE));
    assert_eq!(bench.end.unwrap().1, TalkEnd::Played);
    assert_eq!(bench.said_at.unwrap(), ms(20 * (said.whole_at() as u64).div_ceil(160) - 20));
}

#[test]
fn mu_law_is_sent_where_it_is_wanted() {
    let mut bench = Bench::new(Codec::Pcmu);
    bench.run(ms(100));
    assert_eq!(bench.rtp[0].read().payload_type(), 0);
    // The nearest to no sound that A-law has.
    assert_eq!(bench.rtp[0].read().payload()[0], 0xfe);
}

#[test]
fn a_late_task_catches_up_and_a_stalled_one_goes_on_with_a_marker() {
    let mut bench = Bench::new(Codec::Pcma);
    bench.run(ms(100));
    bench.now += ms(60);
    bench.drain();
    assert_eq!(bench.rtp.len(), 9);
    assert_eq!(bench.talk.counts().stalls, 0);
    bench.now += ms(1000);
    bench.drain();
    assert_eq!((bench.rtp.len(), bench.talk.counts().stalls), (10, 1));
    let (before, after) = (bench.rtp[8].read(), bench.rtp[9].read());
    assert!(after.mark());
    assert_eq!(after.timestamp().wrapping_sub(before.timestamp()), 160 + 8 * 980);
    assert!(before.sequence_number().precedes(after.sequence_number()));
}

#[test]
fn audio_follows_the_port_that_theirs_comes_from_and_nobody_elses() {
    let mut bench = Bench::new(Codec::Pcma);
    bench.run(ms(50));
    bench.hear("203.0.113.66:30000", 8, 0, &[0; 160]);
    assert_eq!((bench.talk.counts().strangers, bench.talk.counts().received), (1, 0));
    bench.talk.handle_rtp(bench.now, address("192.0.2.9:30002"), b"no rtp");
    assert_eq!(bench.talk.counts().malformed, 1);
    bench.run(ms(20));
    assert_eq!(bench.rtp.last().unwrap().to, address(PEER));
    bench.hear("192.0.2.7:41000", 8, 0, &[0; 160]);
    bench.run(ms(20));
    assert_eq!(bench.rtp.last().unwrap().to, address("192.0.2.7:41000"));
    bench.hear(PEER, 8, 0, &[0; 160]);
    bench.run(ms(20));
    assert_eq!(bench.rtp.last().unwrap().to, address("192.0.2.7:41000"));
    assert_eq!((bench.talk.counts().strangers, bench.talk.counts().received), (2, 1));
}

#[test]
fn the_key_1_says_it_from_the_start_and_other_keys_do_nothing() {
    let mut bench = Bench::new(Codec::Pcma);
    let length = announcement().samples().len() as u64 / 8;
    bench.run(ms(length + 500));
    bench.hear(PEER, 101, 4000, &[2, 0x0a, 0, 160]);
    bench.hear(PEER, 101, 8000, &[1, 0x0a, 0, 160]);
    bench.hear(PEER, 101, 8000, &[1, 0x8a, 3, 32]);
    assert_eq!(bench.talk.counts().repeats, 1);
    for n in 0..length * 2 / 1000 {
        bench.run(ms(1000));
        bench.hear(PEER, 8, n as u32, &[0; 160]);
    }
    bench.run(ms(5000));
    let (at, end) = bench.end.unwrap();
    assert_eq!(end, TalkEnd::Played);
    assert!(at > ms(2 * length + 2000) && at < ms(2 * length + 3000), "{at:?}");
}

#[test]
fn on_hold_nothing_is_said_and_then_all_of_it_from_the_start() {
    let mut bench = Bench::new(Codec::Pcma);
    bench.run(ms(2010));
    let before = bench.rtp.len();
    let held = RemoteMedia { direction: Direction::SendOnly, ..media(Codec::Pcma) };
    bench.talk.change_media(bench.now, held);
    bench.run(Duration::from_secs(30));
    assert_eq!(bench.rtp.len(), before);
    assert!(bench.rtcp.len() >= 3, "reports go on: {}", bench.rtcp.len());
    bench.talk.change_media(bench.now, media(Codec::Pcma));
    bench.run(Duration::from_secs(40));
    let first = bench.rtp[before].read();
    assert!(first.mark());
    let since = first.timestamp().wrapping_sub(bench.rtp[before - 1].read().timestamp());
    assert!((240_000..241_000).contains(&since), "{since}");
    let length = announcement().samples().len() as u64 / 8;
    assert_eq!(bench.end, Some((ms(32_010 + (length + 2000).div_ceil(20) * 20), TalkEnd::Played)));
    assert_eq!(bench.talk.counts().holds, 1);
}

#[test]
fn a_peer_that_falls_silent_ends_the_talk_and_one_that_only_reports_does_not() {
    let mut bench = Bench::new(Codec::Pcma);
    bench.run(ms(1000));
    bench.hear(PEER, 8, 0, &[0; 160]);
    bench.run(ms(1000));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 0];
    bench.talk.handle_rtcp(bench.now, address("192.0.2.9:30001"), &report);
    bench.run(ms(9900));
    assert_eq!(bench.end, None);
    bench.run(ms(200));
    assert_eq!(bench.end, Some((ms(12_000), TalkEnd::PeerLost)));
    assert_eq!(bench.talk.deadline(), None);
}

#[test]
fn reports_count_what_left_and_the_last_one_says_bye() {
    let mut bench = Bench::new(Codec::Pcma);
    bench.run(Duration::from_secs(10));
    let (to, report) = bench.rtcp.last().unwrap();
    assert_eq!(*to, address("192.0.2.9:30001"));
    let number = |at: usize| u32::from_be_bytes(report[at..at + 4].try_into().unwrap());
    assert_eq!(number(24), 160 * number(20));
    assert!((50..=500).contains(&number(20)));
    let start = bench.rtp[0].read().timestamp();
    assert!(number(16).wrapping_sub(start).abs_diff(160 * number(20)) <= 160);
    let mut bytes = Vec::new();
    assert_eq!(bench.talk.farewell(bench.now, &mut bytes), Some(*to));
    assert_eq!(bytes[bytes.len() - 8..bytes.len() - 6], [0x81, 203]);
}

#[test]
fn reports_tell_what_came_and_who_says_nothing_sends_a_receivers_report() {
    let mut bench = Bench::new(Codec::Pcma);
    for n in (0..50_u16).filter(|n| *n != 20) {
        let builder = rtp_rs::RtpPacketBuilder::new().payload_type(8).ssrc(9).payload(&[0; 160]);
        let builder = builder.sequence(Seq::from(n)).timestamp(u32::from(n) * 160);
        bench.talk.handle_rtp(bench.now, address(PEER), &builder.build().unwrap());
        bench.run(ms(20));
    }
    bench.run(Duration::from_secs(8));
    let (_, report) = bench.rtcp.last().unwrap();
    assert_eq!((report[0] & 31, report[1]), (1, 200));
    assert_eq!((&report[28..32], &report[33..36]), (&[0, 0, 0, 9][..], &[0, 0, 1][..]));
    assert_eq!(report[36..40], [0, 0, 0, 49]);
    let held = RemoteMedia { direction: Direction::SendOnly, ..media(Codec::Pcma) };
    bench.talk.change_media(bench.now, held);
    bench.run(Duration::from_secs(30));
    let (_, report) = bench.rtcp.last().unwrap();
    assert_eq!((report[0] & 31, report[1], &report[8..12]), (1, 201, &[0, 0, 0, 9][..]));
}
