//! Identifiers: a prefix and 26 characters of Crockford base32 over a UUIDv7, so they sort by
//! time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use crate::clock::Timestamp;

/// Crockford's alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in digits of 5 bits; the first digit holds only 3.
const DIGITS: usize = 26;

/// Why a text is not an identifier of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It begins with another kind's prefix, or none.
    #[error("the identifier does not begin with {expected}")]
    Prefix {
        /// What it should begin with.
        expected: &'static str,
    },
    /// After the prefix there are not 26 lower-case Crockford characters of 128 bits. Each
    /// identifier has one spelling only.
    #[error("after its prefix an identifier has 26 lower-case characters of Crockford base32")]
    Digits,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh UUIDv7 of this moment (RFC 9562 section 5.7).
            pub fn generate(now: Timestamp, rng: &mut ChaCha20Rng) -> Self {
                Self(uuid_v7(now, rng))
            }

            /// The smallest one that this moment could have; for bounds of a search.
            pub fn first_of(moment: Timestamp) -> Self {
                Self(first_of(moment))
            }

            /// The smallest one that the moment `after` its own creation could have.
            pub fn bound_after(self, after: Duration) -> Self {
                Self(first_of(self.created_at() + after))
            }

            /// When it was generated.
            pub fn created_at(self) -> Timestamp {
                Timestamp((self.0 >> 80) as i64)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&encode(self.0)).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text
                    .strip_prefix($prefix)
                    .ok_or(IdError::Prefix { expected: $prefix })?;
                decode(digits).map(Self).ok_or(IdError::Digits)
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(uuid: uuid::Uuid) -> Self {
                Self(uuid.as_u128())
            }
        }

        impl From<$name> for uuid::Uuid {
            fn from(id: $name) -> Self {
                Self::from_u128(id.0)
            }
        }
    };
}

id!(
    /// A verification.
    VerificationId, "vrf_"
);
id!(
    /// One call over one trunk.
    CallId, "cal_"
);
id!(
    /// A user of the directory.
    UserId, "usr_"
);
id!(
    /// A sign-in.
    SignInId, "sgn_"
);
id!(
    /// A text, in or out.
    MessageId, "msg_"
);

id!(
    /// An event that is told to a webhook.
    EventId, "evt_"
);

id!(
    /// A redirect of texts.
    RedirectId, "rdr_"
);
id!(
    /// A letter that a redirect makes.
    LetterId, "ltr_"
);
id!(
    /// An entry of the audit.
    AuditId, "aud_"
);

fn uuid_v7(now: Timestamp, rng: &mut ChaCha20Rng) -> u128 {
    const RANDOM: u128 = (0xfff << 64) | (u128::MAX >> 66);
    const VERSION_AND_VARIANT: u128 = (7 << 76) | (2 << 62);
    let random = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
    first_of(now) | VERSION_AND_VARIANT | (random & RANDOM)
}

fn first_of(moment: Timestamp) -> u128 {
    u128::from(u64::try_from(moment.as_millis()).unwrap_or(0)) << 80
}

fn encode(value: u128) -> [u8; DIGITS] {
    let mut text = [0; DIGITS];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        *digit = ALPHABET[(value >> (5 * place)) as usize & 31];
    }
    text
}

fn decode(text: &str) -> Option<u128> {
    // Only digits 0 to 7 fit into the three bits of the first place.
    if text.len() != DIGITS || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0, |value: u128, byte| {
        let digit = ALPHABET.iter().position(|&known| known == byte)?;
        Some((value << 5) | digit as u128)
    })
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn an_identifier_is_read_back_from_its_only_spelling() {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        for millis in [0, 1, 1_769_850_000_042, (1 << 48) - 1] {
            let id = VerificationId::generate(Timestamp(millis), &mut rng);
            let text = id.to_string();
            assert_eq!(text.len(), 4 + 26);
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(id.created_at(), Timestamp(millis));
            assert_eq!(text.to_uppercase().parse::<VerificationId>().ok(), None);
        }
        assert_eq!(VerificationId(u128::MAX).to_string(), "vrf_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn texts_that_are_no_identifier_are_refused_by_cause() {
        let call = format!("cal_{}", "0".repeat(26));
        let wrong_kind = IdError::Prefix { expected: "vrf_" };
        assert_eq!(call.parse::<VerificationId>(), Err(wrong_kind));
        for digits in ["", "0", "80000000000000000000000000", "0000000000000000000000000u"] {
            let text = format!("cal_{digits}");
            assert_eq!(text.parse::<CallId>(), Err(IdError::Digits), "{text}");
        }
        assert_eq!(format!("cal_{}", "é".repeat(13)).parse::<CallId>(), Err(IdError::Digits));
    }

    #[test]
    fn identifiers_sort_by_time_as_values_and_as_texts() {
        let mut rng = ChaCha20Rng::from_seed([8; 32]);
        let early = CallId::generate(Timestamp(1_000), &mut rng);
        let late = CallId::generate(Timestamp(1_001), &mut rng);
        assert!(early < late && early.to_string() < late.to_string());
        assert!(CallId::first_of(Timestamp(1_001)) > early);
        assert!(CallId::first_of(Timestamp(1_001)) <= late);
        assert!(early.bound_after(Duration::from_millis(1)) <= late);
    }

    #[test]
    fn a_generated_identifier_has_the_version_and_variant_of_uuid_7() {
        let mut rng = ChaCha20Rng::from_seed([9; 32]);
        for _ in 0..1_000 {
            let uuid = uuid::Uuid::from(MessageId::generate(Timestamp(1), &mut rng));
            assert_eq!(uuid.get_version_num(), 7);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
    }
}
