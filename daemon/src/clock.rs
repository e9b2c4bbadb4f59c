//! The time of day, and nothing else that reads it.

/// Milliseconds since 1970-01-01T00:00:00Z; prints as RFC 3339 with milliseconds and `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);
