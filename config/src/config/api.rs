//! `[api]`: where the daemon is asked.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Addresses of the HTTP interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Where backend services call; at least one, none twice.
    pub listen: Vec<SocketAddr>,
    /// Where health and metrics are served without a key; at least one, perhaps the same
    /// addresses as `listen`.
    pub operator_listen: Vec<SocketAddr>,
    /// The socket of the command line, an absolute path.
    pub socket: PathBuf,
}
