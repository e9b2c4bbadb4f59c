//! Media: what an INVITE offers, and what the far side says to it.

mod description;
pub(crate) mod sdp;

pub use description::{Codec, Direction, RemoteMedia};
