//! Where chance comes from: 32 bytes of the operating system at start, and from them a stream
//! for each user. Codes never share a stream with what leaves on the wire.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Who draws. Each has a ChaCha20 stream of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Tags, branches and Call-IDs of the user agent.
    UserAgent = 1,
    /// Caller IDs, which are the codes.
    Plans = 2,
    /// Identifiers of records.
    Ids = 3,
    /// Nonces of sealed values.
    Seals = 4,
    /// API keys.
    ApiKeys = 5,
    /// Jitter of retries.
    Jitter = 6,
}

/// The seed of one process. Never printed.
pub struct Randomness([u8; 32]);

impl Randomness {
    /// Asks the operating system once.
    pub fn from_system() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self(seed))
    }

    /// A known seed, for tests.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The stream of one user.
    pub fn stream(&self, user: Stream) -> ChaCha20Rng {
        let mut rng = ChaCha20Rng::from_seed(self.0);
        rng.set_stream(user as u64);
        rng
    }

    /// 32 bytes for a user that makes its own generator.
    pub fn seed(&self, user: Stream) -> [u8; 32] {
        let mut seed = [0; 32];
        self.stream(user).fill_bytes(&mut seed);
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_never_draw_the_same_numbers() {
        let randomness = Randomness::from_seed([7; 32]);
        let plans = randomness.stream(Stream::Plans).next_u64();
        assert_ne!(plans, randomness.stream(Stream::UserAgent).next_u64());
        assert_eq!(plans, randomness.stream(Stream::Plans).next_u64());
    }
}
