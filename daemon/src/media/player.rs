//! Lets a talk speak through its line: a task for each call.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sip::RemoteMedia;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::line::Line;
use super::talk::{Output, Talk, TalkCounts, TalkEnd, TalkTerms};

/// The largest packet that is read: audio of 200 ms, or a report.
const PACKET_LIMIT: usize = 2048;
/// Where nothing is due the task looks again this much later.
const IDLE: Duration = Duration::from_secs(60);

/// What a player tells while it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Every digit has been said once.
    Said,
    /// It ended by itself; the call is to be hung up.
    Ended(TalkEnd),
}

/// Plays until `stop`; the line is free afterwards. `seed` makes the stream's numbers. `media` tells what the far side wants.
pub async fn play(
    line: Line,
    (terms, seed): (TalkTerms, [u8; 32]),
    mut media: watch::Receiver<Option<RemoteMedia>>,
    told: mpsc::UnboundedSender<Told>,
    stop: CancellationToken,
) -> TalkCounts {
    let mut talk = Talk::start(Instant::now(), &mut ChaCha20Rng::from_seed(seed), terms);
    let mut packet = Vec::with_capacity(PACKET_LIMIT);
    let (mut rtp, mut rtcp) = ([0; PACKET_LIMIT], [0; PACKET_LIMIT]);
    let mut wait = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    let mut is_telling = true;
    loop {
        let now = Instant::now();
        while let Some(output) = talk.poll(now, &mut packet) {
            match output {
                // A full buffer or an unreachable port is loss like any other.
                Output::Rtp(to) => drop(line.rtp.send_to(&packet, to).await),
                Output::Rtcp(to) => drop(line.rtcp.send_to(&packet, to).await),
                // Whoever asked may have stopped waiting: then `stop` comes.
                Output::Said => drop(told.send(Told::Said)),
                Output::Ended(end) => drop(told.send(Told::Ended(end))),
            }
        }
        wait.as_mut().reset(talk.deadline().unwrap_or(now + IDLE).into());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = &mut wait => {}
            changed = media.changed(), if is_telling => {
                is_telling = changed.is_ok();
                let wanted = *media.borrow_and_update();
                if let Some(wanted) = wanted.filter(|_| is_telling) {
                    talk.change_media(Instant::now(), wanted);
                }
            }
            received = line.rtp.recv_from(&mut rtp) => {
                // What an earlier packet of ours met is no news of theirs.
                if let Ok((length, source)) = received {
                    talk.handle_rtp(Instant::now(), source, &rtp[..length]);
                }
            }
            received = line.rtcp.recv_from(&mut rtcp) => {
                if let Ok((length, source)) = received {
                    talk.handle_rtcp(Instant::now(), source, &rtcp[..length]);
                }
            }
        }
    }
    if let Some(to) = talk.farewell(Instant::now(), &mut packet) {
        // A full buffer is loss like any other.
        let _ = line.rtcp.send_to(&packet, to).await;
    }
    talk.counts()
}
