//! The text of an API key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::store::ApiKeyId;

/// Lower-case Crockford base32.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ID_LENGTH: usize = ApiKeyId::LEN;
const SECRET_BYTES: usize = 32;
/// 32 bytes as base64 without padding.
const SECRET_LENGTH: usize = 43;

/// A whole key in clear: `dz_live_<id>_<secret>`. Never prints by itself.
#[derive(Clone)]
pub struct Token {
    live: bool,
    id: ApiKeyId,
    secret: [u8; SECRET_LENGTH],
}

impl Token {
    /// A new key: 50 random bits of id, 256 of secret.
    pub fn draw(rng: &mut ChaCha20Rng, live: bool) -> Self {
        let mut id = [0; ID_LENGTH];
        rng.fill_bytes(&mut id);
        let id: String =
            id.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        let id = ApiKeyId::parse(&id).expect("ten characters of the alphabet are an id");
        let mut secret = [0; SECRET_BYTES];
        rng.fill_bytes(&mut secret);
        let mut text = [0; SECRET_LENGTH];
        let written = URL_SAFE_NO_PAD.encode_slice(secret, &mut text);
        debug_assert_eq!(written, Ok(SECRET_LENGTH));
        Self { live, id, secret: text }
    }

    /// Reads a key as a client sends it.
    pub fn parse(text: &str) -> Option<Self> {
        let (live, rest) = match text.strip_prefix("dz_live_") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("dz_test_")?),
        };
        let id = ApiKeyId::parse(rest.get(..ID_LENGTH)?).ok()?;
        let secret = rest.get(ID_LENGTH..)?.strip_prefix('_')?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let secret: [u8; SECRET_LENGTH] = secret.as_bytes().try_into().ok()?;
        secret.iter().all(|byte| fits(*byte)).then_some(Self { live, id, secret })
    }

    /// False for a test key.
    pub fn live(&self) -> bool {
        self.live
    }

    /// The public part.
    pub fn id(&self) -> &ApiKeyId {
        &self.id
    }

    /// What is stored of it: SHA-256 of the secret part. 256 random bits need no slow hash.
    pub fn secret_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// Whether this is the stored secret, in constant time.
    pub fn matches(&self, stored: &[u8; 32]) -> bool {
        self.secret_sha256().ct_eq(stored).into()
    }

    /// The whole key, to be shown once.
    pub fn reveal(&self) -> String {
        let kind = if self.live { "live" } else { "test" };
        let secret = std::str::from_utf8(&self.secret).unwrap_or_default();
        format!("dz_{kind}_{}_{secret}", self.id)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, ***)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    fn token(live: bool) -> Token {
        Token::draw(&mut ChaCha20Rng::from_seed([7; 32]), live)
    }

    #[test]
    fn a_key_reads_back_as_it_was_shown() {
        for live in [true, false] {
            let text = token(live).reveal();
            assert_eq!(text.len(), 8 + 10 + 1 + 43);
            let read = Token::parse(&text).unwrap();
            assert_eq!(read.live(), live);
            assert_eq!(read.id(), token(live).id());
            assert!(read.matches(&token(live).secret_sha256()));
            assert!(!read.matches(&[0; 32]));
        }
    }

    #[test]
    fn debug_of_a_key_shows_its_id_and_no_secret() {
        let token = token(true);
        let printed = format!("{token:?}");
        assert!(printed.contains(token.id().as_str()));
        assert!(!printed.contains(&token.reveal()[19..]));
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        let good = token(true).reveal();
        for text in [
            "",
            "dz_live_",
            "Bearer",
            &good[1..],
            &good[..61],
            &format!("{good}x"),
            "dz_live_ёёёёёёёёёё",
        ] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
