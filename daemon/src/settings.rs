//! From files on disk to a valid configuration, and from named secrets to their values.
//!
//! The `config` crate opens no file and reads no environment: this module does it for it.

pub mod tls;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use config::{Checked, Report, SecretRef, Source};
use sip::Secret;

/// Where a configuration is looked for when no `--config` is given.
pub const DEFAULT_PATH: &str = "/etc/dozvon/dozvon.toml";
/// A secret's file is never larger: a key has 32 bytes, a password fewer than 4096.
const SECRET_LIMIT: u64 = 4096;
/// Files of one `include`.
const INCLUDE_LIMIT: usize = 256;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The files are wrong; the report says where and why.
    #[error("{0}")]
    Faults(Report),
    /// An `include` names more files than anybody meant.
    #[error("include names more than {INCLUDE_LIMIT} files")]
    TooManyFiles,
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The process was not started by systemd with `LoadCredential`.
    #[error("the credential \"{0}\" is wanted, but $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials(String),
    /// The file cannot be read.
    #[error("cannot read the secret in {}: {cause}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Others than its owner and group may read the file.
    #[error("{} can be read by everybody: chmod o= it", .0.display())]
    ReadableByAll(PathBuf),
    /// It is too large to be a secret.
    #[error("{} has more than {SECRET_LIMIT} bytes", .0.display())]
    TooLarge(PathBuf),
    /// The variable is not set.
    #[error("the environment has no variable {0}")]
    NoVariable(String),
    /// It is not UTF-8.
    #[error("a password must be UTF-8 text")]
    NotText,
}

/// Reads `path` and the files it includes, and checks them all.
pub fn load(path: &Path) -> Result<Checked, LoadError> {
    let main = read(path)?;
    let name = path.display().to_string();
    let mut files = vec![(name, main)];
    let globs = config::includes(&Source { name: &files[0].0, text: &files[0].1 });
    for glob in globs {
        for included in matching(path, &glob)? {
            files.push((included.display().to_string(), read(&included)?));
        }
        if files.len() > INCLUDE_LIMIT {
            return Err(LoadError::TooManyFiles);
        }
    }
    let sources: Vec<Source<'_>> = files.iter().map(|(name, text)| Source { name, text }).collect();
    config::parse(&sources).map_err(LoadError::Faults)
}

fn read(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|cause| LoadError::Read { path: path.to_owned(), cause })
}

/// Files that `conf.d/*.toml` names, seen from the main file's folder, in the order of their
/// names. A folder that is not there has none.
fn matching(main: &Path, glob: &str) -> Result<Vec<PathBuf>, LoadError> {
    let base = main.parent().unwrap_or(Path::new("."));
    let wanted = base.join(glob);
    let folder = wanted.parent().unwrap_or(base);
    let pattern = wanted.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some((before, after)) = pattern.as_deref().and_then(|pattern| pattern.split_once('*'))
    else {
        return Ok(vec![wanted]);
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(LoadError::Read { path: folder.to_owned(), cause }),
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}

/// The bytes that `secret` names, without one trailing line end.
pub fn secret_bytes(secret: &SecretRef) -> Result<Vec<u8>, SecretError> {
    match secret {
        SecretRef::Credential(name) => {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                .ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
            secret_file(&Path::new(&folder).join(name), false)
        }
        SecretRef::File(path) => secret_file(path, true),
        SecretRef::Env(name) => std::env::var_os(name)
            .map(|value| value.into_encoded_bytes())
            .ok_or_else(|| SecretError::NoVariable(name.clone())),
        SecretRef::Inline(secret) => Ok(secret.reveal().as_bytes().to_vec()),
    }
}

/// The password that `secret` names.
pub fn password(secret: &SecretRef) -> Result<Secret, SecretError> {
    let bytes = secret_bytes(secret)?;
    std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| SecretError::NotText)
}

/// Systemd guards a credential's file itself; any other file must not be readable by all.
fn secret_file(path: &Path, check_mode: bool) -> Result<Vec<u8>, SecretError> {
    use std::os::unix::fs::PermissionsExt;
    let read_error = |cause| SecretError::Read { path: path.to_owned(), cause };
    let metadata = fs::metadata(path).map_err(read_error)?;
    if check_mode && metadata.permissions().mode() & 0o004 != 0 {
        return Err(SecretError::ReadableByAll(path.to_owned()));
    }
    if metadata.len() > SECRET_LIMIT {
        return Err(SecretError::TooLarge(path.to_owned()));
    }
    let mut bytes = fs::read(path).map_err(read_error)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_file_that_everybody_can_read_is_refused_and_its_line_end_is_not_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "pass word\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let secret = SecretRef::File(path.clone());
        assert!(matches!(secret_bytes(&secret), Err(SecretError::ReadableByAll(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&secret).unwrap().reveal(), "pass word");
    }

    #[test]
    fn an_include_takes_the_files_of_its_folder_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let conf_d = folder.path().join("conf.d");
        fs::create_dir(&conf_d).unwrap();
        for name in ["20-b.toml", "10-a.toml", "notes.txt"] {
            fs::write(conf_d.join(name), "").unwrap();
        }
        let main = folder.path().join("dozvon.toml");
        let found = matching(&main, "conf.d/*.toml").unwrap();
        assert_eq!(found, [conf_d.join("10-a.toml"), conf_d.join("20-b.toml")]);
        assert!(matching(&main, "elsewhere/*.toml").unwrap().is_empty());
    }
}
