//! Tshark as the judge of an RTP stream.

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use crate::peers::{Peer, skip};
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A capture on the loopback interface.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    folder: TempDir,
}

/// One stream as `tshark -z rtp,streams` judges it.
#[derive(Clone, Debug, PartialEq)]
pub struct RtpStream {
    /// Port that sent it.
    pub from: u16,
    /// Port to which it went.
    pub to: u16,
    /// Packets that were seen.
    pub packets: u32,
    /// Packets whose number is missing.
    pub lost: i32,
    /// The greatest jitter (RFC 3550), in milliseconds.
    pub max_jitter_ms: f64,
    /// The whole line.
    pub line: String,
}

impl Capture {
    /// Captures what goes from and to this UDP port. `None`, with the reason printed, where the
    /// system does not let us.
    ///
    /// # Panics
    /// When tshark is not installed; ask [`crate::peers::lacking`] first.
    pub async fn start(port: u16) -> Option<Self> {
        let path = Peer::Tshark.path().expect("the test asked whether tshark is installed");
        let folder = TempDir::new().expect("a temporary folder");
        let filter = format!("udp port {port}");
        let mut process = Process::start(path, ["-q", "-i", "lo", "-w", "seen"], |command| {
            command.args(["-f", &filter]).current_dir(folder.path());
        });
        let started = async {
            while process.is_running() && !says(&process, "Capture started") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // A limit that passes is found by the look at the output.
        let _ = tokio::time::timeout(START_LIMIT, started).await;
        if !process.is_running() || !says(&process, "Capture started") {
            skip(&format!("tshark cannot capture: {}", process.output().join(" ")));
            return None;
        }
        Some(Self { process, folder })
    }

    /// Ends the capture and has every stream judged; `port` says that these packets are RTP.
    ///
    /// # Panics
    /// When tshark fails.
    pub async fn streams(mut self, port: u16) -> Vec<RtpStream> {
        self.process.signal(rustix::process::Signal::INT);
        self.process.ended(STOP_LIMIT).await;
        let path = Peer::Tshark.path().expect("it has captured");
        let is_rtp = format!("udp.port=={port},rtp");
        let arguments = ["-q", "-r", "seen", "-d", &is_rtp, "-z", "rtp,streams"];
        let mut judge = Process::start(path, arguments, |command| {
            command.current_dir(self.folder.path()).stderr(Stdio::null());
        });
        let status = judge.ended(STOP_LIMIT).await;
        let output = judge.output();
        assert!(status.success(), "tshark: {}", output.join("\n"));
        output.iter().filter_map(|line| stream(line)).collect()
    }
}

fn says(process: &Process, part: &str) -> bool {
    process.output().iter().any(|line| line.contains(part))
}

/// `start end source port destination port ssrc payload packets lost (share) deltas jitters`.
fn stream(line: &str) -> Option<RtpStream> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let at = fields.iter().position(|field| field.starts_with("0x"))?;
    let lost = fields.iter().position(|field| field.starts_with('(') && field.ends_with("%)"))?;
    Some(RtpStream {
        from: fields.get(at.checked_sub(3)?)?.parse().ok()?,
        to: fields.get(at.checked_sub(1)?)?.parse().ok()?,
        packets: fields.get(lost.checked_sub(2)?)?.parse().ok()?,
        lost: fields.get(lost.checked_sub(1)?)?.parse().ok()?,
        // Behind the share stand three deltas and three jitters: least, mean, most.
        max_jitter_ms: fields.get(lost + 6)?.parse().ok()?,
        line: line.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_tshark_is_a_stream() {
        let line = "     0.000000    16.059987       127.0.0.1 41062       127.0.0.1 12066 \
                    0x6D2C90EE g711A             804     1 (0.1%)         19.011          20.000 \
                    21.005           0.002           0.110           0.900 X";
        let seen = stream(line).unwrap();
        assert_eq!((seen.from, seen.to, seen.packets, seen.lost), (41_062, 12_066, 804, 1));
        assert!((seen.max_jitter_ms - 0.9).abs() < 1e-9);
        assert_eq!(stream("==== RTP Streams ===="), None);
    }
}
