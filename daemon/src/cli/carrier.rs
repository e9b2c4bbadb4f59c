//! `dozvon carrier`.

use std::net::SocketAddr;

use sip::Secret;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Exit, output};
use crate::carrier::{CarrierSettings, Report, Wish, run, serve_mail};

/// Options of the trunk simulator.
#[derive(Debug, clap::Args)]
pub(super) struct CarrierArgs {
    /// Where it listens, by UDP.
    #[arg(long, default_value = "127.0.0.1:5070")]
    listen: SocketAddr,
    /// Where a mail server listens that takes every letter in clear and tells it; left out: there
    /// is none.
    #[arg(long)]
    mail: Option<SocketAddr>,
    /// User name that may register and call.
    #[arg(long, default_value = "dozvon")]
    user: String,
    /// Its password; this is a simulator, so it may stand on the command line.
    #[arg(long, default_value = "dozvon")]
    password: String,
    /// Realm of its challenges.
    #[arg(long, default_value = "carrier.test")]
    realm: String,
    /// Take calls and texts without a 407.
    #[arg(long)]
    no_challenge: bool,
    /// Read wishes from standard input, one JSON object a line: somebody calls the gateway,
    /// {"wish": "call", "from": "+79161234567", "to": "+74951230000"}, or writes to it,
    /// {"wish": "text", "from": …, "to": …, "text": "…"}. A call may be "shown" as "asserted",
    /// "claimed" (From alone) or "hidden".
    #[arg(long)]
    wishes: bool,
}

/// Wishes that may wait to be carried out.
const WISH_LIMIT: usize = 1000;

/// Serves until SIGINT or SIGTERM, or until standard output is closed.
pub(super) async fn carrier(args: CarrierArgs) -> Exit {
    let socket = match UdpSocket::bind(args.listen).await {
        Ok(socket) => socket,
        Err(error) => {
            output::complain(format_args!("error: cannot listen on {}: {error}", args.listen));
            return Exit::Unavailable;
        }
    };
    // Dropped with this function, which ends the mail server.
    let mut mail = JoinSet::new();
    if let Some(address) = args.mail {
        match TcpListener::bind(address).await {
            Ok(listener) => mail.spawn(async {
                if let Err(error) = serve_mail(listener, |report| tell(&report)).await {
                    output::complain(format_args!("error: no letter is taken any more: {error}"));
                }
            }),
            Err(error) => {
                output::complain(format_args!("error: cannot listen on {address}: {error}"));
                return Exit::Unavailable;
            }
        };
    }
    let settings = CarrierSettings {
        user: args.user,
        password: Secret::new(&args.password),
        realm: args.realm,
        challenge_calls: !args.no_challenge,
    };
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        output::complain(format_args!("error: the system has no randomness: {error}"));
        return Exit::Unavailable;
    }
    let (wisher, wishes) = mpsc::channel(WISH_LIMIT);
    if args.wishes
        && let Err(error) = std::thread::Builder::new().spawn(move || read_wishes(&wisher))
    {
        output::complain(format_args!("error: no thread for standard input: {error}"));
        return Exit::Unavailable;
    }
    let stop = crate::lifecycle::stop_signal();
    let served = run(socket, settings, seed, stop, wishes, |report| tell(&report));
    match served.await {
        Ok(()) => Exit::Success,
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            Exit::Failure
        }
    }
}

fn tell(report: &Report) {
    match serde_json::to_string(report) {
        Ok(text) => output::line(text),
        Err(error) => output::complain(format_args!("error: {error}")),
    }
}

/// Reads wishes until the end. On a thread of its own: a read of standard input cannot be ended,
/// and must not keep the process up.
fn read_wishes(wisher: &mpsc::Sender<Wish>) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(wish) => {
                if wisher.blocking_send(wish).is_err() {
                    return;
                }
            }
            Err(error) => output::complain(format_args!("error: this is no wish: {error}")),
        }
    }
}
