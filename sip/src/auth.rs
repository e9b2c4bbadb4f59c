//! Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): reading challenges, deciding
//! which of them are answered, writing the answers.
//!
//! A trunk has one [`Authenticator`], which holds its secret, its pinned realms and the nonces
//! that worked; every request has its own [`Credentials`], which count the answers given for it.

mod authenticator;
mod challenge;
mod credentials;
mod digest;
mod params;
mod presented;
mod realm;

pub use authenticator::{AnswerError, AuthRequest, Authenticator};
pub use challenge::{Challenge, Challenges};
pub use credentials::{ChallengeKind, Credentials, challenges};
pub use digest::{Algorithm, DigestInput, HexDigest};
pub use presented::Presented;
