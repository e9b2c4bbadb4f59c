//! `tls` tables: certificates and names. Files are named here and opened by the daemon.

use std::path::PathBuf;

use crate::config::secret::SecretRef;

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// PEM file: our certificate first, then those up to the authority.
    pub cert: PathBuf,
    /// Its private key, in PEM form.
    pub key: SecretRef,
}

/// How a trunk's far side is known under TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkTls {
    /// PEM file of the authorities that may vouch for it; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// The name that it must prove; `None`: the host that is asked for, see
    /// [`crate::Trunk::tls_name`].
    pub name: Option<String>,
    /// What we show when it asks who we are.
    pub client_cert: Option<Certificate>,
}
