//! The files that `tls` tables name.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{SecretError, secret_bytes};
use crate::ua_driver::{Roots, TlsClient, TlsError, TlsIdentity, TlsServer};

/// Why a `tls` table cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The key cannot be had.
    #[error("the key: {0}")]
    Key(#[from] SecretError),
    /// What the files hold is of no use.
    #[error("{}: {cause}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        cause: TlsError,
    },
    /// The name that the far side is to prove is no name.
    #[error(transparent)]
    Name(#[from] TlsError),
}

/// What we show to those who connect to us.
pub fn listener(certificate: &config::Certificate) -> Result<TlsServer, TlsFileError> {
    let unusable = |cause| TlsFileError::Unusable { path: certificate.cert.clone(), cause };
    TlsServer::new(identity(certificate)?).map_err(unusable)
}

/// How a trunk's far side is known. The system's authorities are read once into `system`.
pub fn trunk(trunk: &config::Trunk, system: &mut Option<Roots>) -> Result<TlsClient, TlsFileError> {
    let roots = match &trunk.tls.ca {
        Some(path) => {
            let unusable = |cause| TlsFileError::Unusable { path: path.clone(), cause };
            Roots::from_pem(&read(path)?).map_err(unusable)?
        }
        None => system.get_or_insert_with(Roots::system).clone(),
    };
    let identity = trunk.tls.client_cert.as_ref().map(identity).transpose()?;
    Ok(TlsClient::new(trunk.tls_name(), roots, identity)?)
}

fn identity(certificate: &config::Certificate) -> Result<TlsIdentity, TlsFileError> {
    let chain = read(&certificate.cert)?;
    let key = secret_bytes(&certificate.key)?;
    let unusable = |cause| TlsFileError::Unusable { path: certificate.cert.clone(), cause };
    TlsIdentity::from_pem(&chain, &key).map_err(unusable)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).map_err(|cause| TlsFileError::Read { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_listener_shows_what_its_files_hold_and_says_which_of_them_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(vec!["dozvon.test".to_owned()]).unwrap();
        fs::write(path("cert.pem"), made.cert.pem()).unwrap();
        fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(path("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        let key = config::SecretRef::File(path("key.pem"));
        let right = config::Certificate { cert: path("cert.pem"), key: key.clone() };
        assert!(listener(&right).is_ok());
        let none = listener(&config::Certificate { cert: path("none.pem"), ..right.clone() });
        assert!(matches!(none, Err(TlsFileError::Read { .. })), "{none:?}");
        let swapped = config::Certificate { cert: path("key.pem"), key };
        let swapped = listener(&swapped).unwrap_err().to_string();
        assert!(swapped.contains("key.pem: no certificate"), "{swapped}");
        fs::set_permissions(path("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(listener(&right), Err(TlsFileError::Key(_))));
    }
}
