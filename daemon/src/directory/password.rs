//! Passwords: argon2id, and words that are drawn for people.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::app::App;

/// Characters of a drawn password: 5 bits each, without those that people confuse.
const ALPHABET: &[u8; 32] = b"23456789abcdefghjkmnpqrstuvwxyz-";
/// How many are drawn: 80 bits.
const DRAWN_LENGTH: usize = 16;

/// Bytes of a salt (RFC 9106 section 3.1 recommends 16).
const SALT_LENGTH: usize = 16;

/// Hashes at once: each takes 19 MiB and a core.
static PLACES: Semaphore = Semaphore::const_new(4);

/// What the password of nobody is compared with.
static NOBODYS: LazyLock<String> = LazyLock::new(|| {
    let hashed: Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(b"nobody", &[0; SALT_LENGTH]);
    hashed.map(|hash| hash.to_string()).unwrap_or_default()
});

/// A password could not be hashed: the process has no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password could not be hashed")]
pub struct HashError;

/// The PHC form of a password's argon2id hash, with 19 MiB and two passes. Takes tens of
/// milliseconds, on a thread of its own.
pub async fn hash(app: &App, password: String) -> Result<String, HashError> {
    let mut salt = [0; SALT_LENGTH];
    app.fill_bytes(&mut salt);
    let _place = PLACES.acquire().await.map_err(|_never_closed| HashError)?;
    let work = tokio::task::spawn_blocking(move || {
        let hashed: Result<PasswordHash, _> =
            Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        hashed.map(|hash| hash.to_string()).map_err(|_no_memory| HashError)
    });
    work.await.unwrap_or(Err(HashError))
}

/// Whether this is the password. Without a hash it is not, which takes as long to find out.
pub async fn is_right(password: String, hash: Option<String>) -> Result<bool, HashError> {
    let _place = PLACES.acquire().await.map_err(|_never_closed| HashError)?;
    let work = tokio::task::spawn_blocking(move || {
        let stored = hash.as_deref().unwrap_or(&NOBODYS);
        let is_it = Argon2::default().verify_password(password.as_bytes(), stored).is_ok();
        is_it && hash.is_some()
    });
    work.await.map_err(|_panicked| HashError)
}

/// Draws a password that nobody has seen.
pub fn draw(app: &App) -> String {
    let mut bytes = [0; DRAWN_LENGTH];
    app.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}
