//! `dozvon carrier`.

use std::net::SocketAddr;

use sip::Secret;
use tokio::net::UdpSocket;

use super::{Exit, output};
use crate::carrier::{CarrierSettings, run};

/// Options of the trunk simulator.
#[derive(Debug, clap::Args)]
pub(super) struct CarrierArgs {
    /// Where it listens, by UDP.
    #[arg(long, default_value = "127.0.0.1:5070")]
    listen: SocketAddr,
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
}

/// Serves until SIGINT or SIGTERM, or until standard output is closed.
pub(super) async fn carrier(args: CarrierArgs) -> Exit {
    let socket = match UdpSocket::bind(args.listen).await {
        Ok(socket) => socket,
        Err(error) => {
            output::complain(format_args!("error: cannot listen on {}: {error}", args.listen));
            return Exit::Unavailable;
        }
    };
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
    let served = run(socket, settings, seed, crate::lifecycle::stop_signal(), |report| {
        match serde_json::to_string(&report) {
            Ok(text) => output::line(text),
            Err(error) => output::complain(format_args!("error: {error}")),
        }
    });
    match served.await {
        Ok(()) => Exit::Success,
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            Exit::Failure
        }
    }
}
