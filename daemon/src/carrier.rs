//! The built-in trunk simulator: a registrar with digest, a proxy that challenges INVITE with
//! 407, and a handset whose behaviour is chosen by the last two digits of the dialled number.
//!
//! For `dozvon demo` and for integrators who want to see every outcome without a carrier. What
//! the handset saw, and every message that crossed the wire, is told as [`Report`]s, which the
//! command prints as JSON lines. People on the network call the gateway and write to it as
//! [`Wish`]es say, and have mailboxes beside ([`serve_mail`]).

mod behaviour;
mod challenge;
mod leg;
mod legs;
mod letter;
mod mailbox;
mod recording;
mod report;
mod switchboard;
mod user;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use behaviour::Behaviour;
pub use letter::ReadLetter;
pub use mailbox::serve as serve_mail;
pub use recording::Recording;
pub use report::{Direction, Report};
pub use switchboard::Switchboard;
pub use user::{Shown, Wish};

/// Packets handled before timers have their turn.
const PACKETS_PER_TURN: usize = 100;
const DATAGRAM_LIMIT: usize = 65_536;

/// Who may register and call.
#[derive(Clone, Debug)]
pub struct CarrierSettings {
    /// User name of the digest.
    pub user: String,
    /// Its password.
    pub password: sip::Secret,
    /// Realm of the challenges.
    pub realm: String,
    /// Whether INVITE and MESSAGE are challenged with 407.
    pub challenge_calls: bool,
}

impl Default for CarrierSettings {
    fn default() -> Self {
        Self {
            user: "dozvon".to_owned(),
            password: sip::Secret::new("dozvon"),
            realm: "carrier.test".to_owned(),
            challenge_calls: true,
        }
    }
}

/// Serves `socket` until `stop` ends, and lets people on the network do what `wishes` brings.
/// Reports go to `report` in the order of the wire.
pub async fn run(
    socket: UdpSocket,
    settings: CarrierSettings,
    seed: [u8; 32],
    stop: impl Future<Output = ()>,
    mut wishes: mpsc::Receiver<Wish>,
    mut report: impl FnMut(Report),
) -> io::Result<()> {
    let address = socket.local_addr()?;
    report(Report::Listening { address });
    // The handsets' ears: one port for all of them.
    let media = UdpSocket::bind((address.ip(), 0)).await?;
    let mut switchboard = Switchboard::new(address, settings, seed, Instant::now());
    switchboard.listen_at(media.local_addr()?.port());
    let mut listeners = JoinSet::new();
    let (mut packet, mut audio) = (vec![0; DATAGRAM_LIMIT], vec![0; DATAGRAM_LIMIT]);
    let mut stop = std::pin::pin!(stop);
    let mut wait = std::pin::pin!(tokio::time::sleep(std::time::Duration::ZERO));
    loop {
        let now = Instant::now();
        switchboard.handle_timeout(now);
        carry_out(&socket, &mut switchboard, &mut report)?;
        while let Some(recording) = switchboard.poll_recording() {
            let t_ms = switchboard.t_ms(now);
            listeners.spawn_blocking(move || recording.listen(t_ms));
        }
        let idle = now + std::time::Duration::from_secs(60);
        wait.as_mut().reset(switchboard.next_deadline().unwrap_or(idle).into());
        tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            () = &mut wait => {}
            heard = media.recv_from(&mut audio) => {
                let (length, source) = heard?;
                switchboard.handle_media(Instant::now(), source, &audio[..length]);
            }
            Some(Ok(heard)) = listeners.join_next(), if !listeners.is_empty() => report(heard),
            Some(wish) = wishes.recv() => {
                switchboard.reach(Instant::now(), wish);
                carry_out(&socket, &mut switchboard, &mut report)?;
            }
            ready = socket.readable() => {
                ready?;
                for _ in 0..PACKETS_PER_TURN {
                    let Some((length, source)) = receive(&socket, &mut packet)? else { break };
                    switchboard.handle_packet(Instant::now(), source, &packet[..length]);
                    carry_out(&socket, &mut switchboard, &mut report)?;
                }
            }
        }
    }
}

fn receive(socket: &UdpSocket, packet: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
    match socket.try_recv_from(packet) {
        Ok(received) => Ok(Some(received)),
        // Nothing came, or an earlier packet of ours met a closed port.
        Err(error) if is_loss(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the network lost a packet, which the far side's transactions mend.
fn is_loss(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

fn carry_out(
    socket: &UdpSocket,
    switchboard: &mut Switchboard,
    report: &mut impl FnMut(Report),
) -> io::Result<()> {
    while let Some((to, bytes)) = switchboard.poll_transmit() {
        match socket.try_send_to(&bytes, to) {
            Ok(_) => {}
            Err(error) if is_loss(&error) => {}
            Err(error) => return Err(error),
        }
    }
    while let Some(line) = switchboard.poll_report() {
        report(line);
    }
    Ok(())
}
