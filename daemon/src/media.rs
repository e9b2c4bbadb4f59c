//! What a call says and hears: prompts, paced RTP, telephone events.
//!
//! [`Talk`] is one call's audio without a socket: instants and packets in, packets out, so that
//! its pace is tested in virtual time. A [`Line`] is its pair of ports, and [`player`] lets the
//! one speak through the other, in a task of its own for each call.

mod clip;
mod ear;
mod events;
mod line;
pub mod player;
mod prompts;
mod reception;
mod rtcp;
mod stream;
mod talk;

pub use clip::{Clip, WavFault};
pub use ear::Ear;
pub use line::{Line, Lines, NoFreePort};
pub use prompts::{Announcement, Prompts, PromptsError, Word};
pub use talk::{Output, Talk, TalkCounts, TalkEnd, TalkTerms};

/// What every call for a voice is made from.
#[derive(Debug)]
pub struct Media {
    /// What can be said.
    pub prompts: Prompts,
    /// Where it can be said from.
    pub lines: Lines,
}

/// Samples in a second: G.711 has no other rate.
pub const RATE: usize = 8000;

/// A-law of no sound.
pub const SILENCE: u8 = 0xd5;
