//! `[accounts.NAME]`: who may use what.

use dialplans::{NumberRange, PoolChoice, Region};
use sip::UserPart;

use crate::name::PurposeName;

/// What a sign-in is told whose identifier nobody in the directory has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownUser {
    /// That nobody has it.
    #[default]
    Reveal,
    /// Nothing: it looks as if somebody had it, and nothing is sent.
    Conceal,
}

impl UnknownUser {
    /// As the file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reveal => "reveal",
            Self::Conceal => "conceal",
        }
    }
}

/// What the keys of one account may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The pools its calls may show.
    pub pools: PoolChoice,
    /// The purposes it may name; at least one.
    pub purposes: Vec<PurposeName>,
    /// The sender names its texts may carry; empty: only the trunk's own.
    pub senders: Vec<UserPart>,
    /// Its own numbers: texts to them are its texts, and its users call them to prove theirs. No
    /// number is in two accounts.
    pub inbound_numbers: Vec<NumberRange>,
    /// The region by which numbers without `+` are read; `None`: such numbers are refused.
    pub default_region: Option<Region>,
    /// What a sign-in is told about somebody who is not in the directory, or disabled there.
    pub unknown_user: UnknownUser,
}
