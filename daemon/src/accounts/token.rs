//! The text of an API key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Lower-case Crockford base32.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ID_LENGTH: usize = 10;
const SECRET_BYTES: usize = 32;
/// 32 bytes as base64 without padding.
const SECRET_LENGTH: usize = 43;

/// The public part of a key: names it in lists and logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_LENGTH]);

/// What is stored of a key's secret.
#[derive(Clone, Copy)]
pub struct SecretHash(pub [u8; 32]);

/// A whole key in clear: `dz_live_<id>_<secret>`. Never prints by itself.
#[derive(Clone)]
pub struct Token {
    live: bool,
    id: KeyId,
    secret: [u8; SECRET_LENGTH],
}

impl KeyId {
    /// Reads the ten characters.
    pub fn parse(text: &str) -> Option<Self> {
        let id: [u8; ID_LENGTH] = text.as_bytes().try_into().ok()?;
        id.iter().all(|byte| ALPHABET.contains(byte)).then_some(Self(id))
    }

    /// The ten characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Token {
    /// A new key: 50 random bits of id, 256 of secret.
    pub fn draw(rng: &mut ChaCha20Rng, live: bool) -> Self {
        let mut id = [0; ID_LENGTH];
        rng.fill_bytes(&mut id);
        let id = KeyId(id.map(|byte| ALPHABET[usize::from(byte % 32)]));
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
        let id = KeyId::parse(rest.get(..ID_LENGTH)?)?;
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
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What is stored of it: the kind is hashed too, so that a test key cannot be sent as a
    /// live one.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.reveal().as_bytes()).into())
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

impl SecretHash {
    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(***)")
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
            assert!(read.hash().matches(&token(live).hash()));
        }
    }

    #[test]
    fn a_test_key_sent_as_a_live_one_does_not_match() {
        let disguised = token(false).reveal().replace("dz_test_", "dz_live_");
        assert!(!Token::parse(&disguised).unwrap().hash().matches(&token(false).hash()));
    }

    #[test]
    fn debug_of_a_key_shows_its_id_and_no_secret() {
        let token = token(true);
        let printed = format!("{token:?} {:?}", token.hash());
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
