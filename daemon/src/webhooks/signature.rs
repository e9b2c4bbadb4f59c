//! Signatures as Standard Webhooks has them: HMAC-SHA256 over id, time and body. Pure.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A secret of 24 to 64 bytes, as the specification asks. Never prints.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

/// Why a text is no secret of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// It does not begin as such secrets do.
    #[error("a webhook's secret begins with whsec_")]
    Prefix,
    /// What follows is not base64.
    #[error("behind whsec_ a webhook's secret is base64")]
    Base64,
    /// It is too short or too long.
    #[error("a webhook's secret has 24 to 64 bytes in base64")]
    Length,
}

impl SigningKey {
    /// Reads `whsec_` and base64.
    pub fn parse(text: &str) -> Result<Self, SigningKeyError> {
        let encoded = text.strip_prefix("whsec_").ok_or(SigningKeyError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SigningKeyError::Base64)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(SigningKeyError::Length);
        }
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| SigningKeyError::Length)
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut hmac = self.0.clone();
        hmac.update(id.as_bytes());
        hmac.update(format!(".{timestamp}.").as_bytes());
        hmac.update(body);
        format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// The value of `webhook-signature`: one signature for each key, so that a receiver may hold the
/// old secret or the new one. `timestamp` is in seconds since 1970.
pub fn signature(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries.
    #[test]
    fn the_vector_of_the_specification_is_signed_as_it_says() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let found = signature(&[key], id, 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_make_two_signatures() {
        let keys =
            ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
                .map(|text| SigningKey::parse(text).unwrap());
        let both = signature(&keys, "evt_1", 1, b"{}");
        let alone = keys.map(|key| signature(&[key], "evt_1", 1, b"{}"));
        assert_eq!(both, alone.join(" "));
    }

    #[test]
    fn what_is_no_secret_says_why() {
        let read = |text: &str| SigningKey::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(read("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), SigningKeyError::Prefix);
        assert_eq!(read("whsec_?"), SigningKeyError::Base64);
        assert_eq!(read("whsec_AAAA"), SigningKeyError::Length);
    }
}
