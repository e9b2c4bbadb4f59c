//! Passwords: argon2id, and words that are drawn for people.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;

use crate::app::App;

/// Characters of a drawn password: 5 bits each, without those that people confuse.
const ALPHABET: &[u8; 32] = b"23456789abcdefghjkmnpqrstuvwxyz-";
/// How many are drawn: 80 bits.
const DRAWN_LENGTH: usize = 16;

/// Bytes of a salt (RFC 9106 section 3.1 recommends 16).
const SALT_LENGTH: usize = 16;

/// A password could not be hashed: the process has no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password could not be hashed")]
pub struct HashError;

/// The PHC form of a password's argon2id hash, with 19 MiB and two passes. Takes tens of
/// milliseconds, on a thread of its own.
pub async fn hash(app: &App, password: String) -> Result<String, HashError> {
    let mut salt = [0; SALT_LENGTH];
    app.fill_bytes(&mut salt);
    let work = tokio::task::spawn_blocking(move || {
        let hashed: Result<PasswordHash, _> =
            Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        hashed.map(|hash| hash.to_string()).map_err(|_no_memory| HashError)
    });
    work.await.unwrap_or(Err(HashError))
}

/// Draws a password that nobody has seen.
pub fn draw(app: &App) -> String {
    let mut bytes = [0; DRAWN_LENGTH];
    app.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}
