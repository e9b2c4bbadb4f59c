//! The work for the worst session descriptions grows with their size and no faster, counted in
//! instructions by valgrind. That of messages is counted in `src/message/linear.rs`.

#![expect(clippy::disallowed_methods, reason = "a test runs itself under valgrind")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use dozvon_sip::{Codec, RemoteMedia};

const KIB: usize = 1024;
/// Names the size for the process that is counted.
const SIZE: &str = "DOZVON_SDP_SIZE";
/// Far more seconds than one size takes: a hundredth of it is usual.
const LIMIT_S: &str = "200";

/// What stands in front, what is repeated, what stands behind.
const SHAPES: [(&str, &str, &str); 10] = [
    ("v=0\r\n", "m=audio 4000 RTP/AVP 8\r\n", ""),
    ("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP", " 97", "\r\n"),
    ("v=0\r\nm=audio 4000 RTP/AVP 97\r\n", "a=rtpmap:97 X/8000\r\n", "c=IN IP4 192.0.2.1\r\n"),
    ("v=0\r\nm=audio 4000 RTP/AVP 8\r\n", "c=IN IP4 192.0.2.1/1/1\r\n", ""),
    ("v=0\r\nc=IN IP4 192.0.2.1", "/1", "\r\nm=audio 4000 RTP/AVP 8\r\n"),
    ("v=0\r\nm=audio", " ", "4000 RTP/AVP 8\r\n"),
    ("v=0\r\n", "\n", "m=audio 4000 RTP/AVP 8\r\n"),
    ("v=0\r\nm=audio 4000 RTP/AVP 8\r\n", "a=sendonly\r\n", "c=IN IP4 192.0.2.1\r\n"),
    ("v=0\r\ns=", "=", "\r\nm=audio 4000 RTP/AVP 8\r\n"),
    // Each of these is no UTF-8 by itself.
    ("v=0\r\ns=", "\u{80}", "\r\nm=audio 4000 RTP/AVP 8\r\n"),
];

fn description((front, repeated, behind): (&str, &str, &str), size: usize) -> Vec<u8> {
    let count = (size - front.len() - behind.len()) / repeated.len();
    let text = [front, &repeated.repeat(count), behind].concat();
    // The first byte of each two-byte letter goes, and what is left of it stands alone.
    text.bytes().filter(|byte| *byte != 0xc2).collect()
}

/// Valgrind counts while this runs. A closure would bear its name and be left out.
#[inline(never)]
fn read_descriptions(descriptions: &[Vec<u8>]) -> usize {
    let codecs = [Codec::Pcma, Codec::Pcmu];
    let mut usable = 0;
    for bytes in descriptions {
        usable += usize::from(RemoteMedia::read(bytes, &codecs).is_some());
    }
    usable
}

#[test]
fn what_valgrind_counts() {
    let size = std::env::var(SIZE).map_or(KIB, |size| size.parse().unwrap());
    let descriptions: Vec<_> = SHAPES.iter().map(|shape| description(*shape, size)).collect();
    println!("{} of them can be used", read_descriptions(&descriptions));
}

/// Instructions for all shapes at one size. Work that grows too fast is cut off, and says so.
fn instructions(size: usize) -> u64 {
    let counted = Command::new("timeout")
        .args([LIMIT_S, "valgrind"])
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*read_descriptions*")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "what_valgrind_counts", "--test-threads=1"])
        .env(SIZE, size.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&counted.stderr).into_owned();
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1));
    let collected = collected.unwrap_or_else(|| panic!("{size} bytes, {}: {said}", counted.status));
    collected.trim().parse().unwrap()
}

#[test]
fn work_grows_with_the_size_of_the_description_and_no_faster() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: not installed: valgrind");
        return;
    }
    let counts = [KIB, 16 * KIB, 64 * KIB].map(instructions);
    println!("instructions for 1, 16 and 64 KiB of {} shapes: {counts:?}", SHAPES.len());
    // Each figure is of real work: an optimiser that took it away would pass silently.
    assert!(counts[1] > 16 * KIB as u64 * SHAPES.len() as u64 / 4);
    // Four times the bytes, four times the work, and a little for what does not grow.
    assert!(counts[2] <= counts[1] * 9 / 2, "{counts:?}");
}
