//! Q.850 causes.

/// The Q.850 cause that a status usually stands for (RFC 3398 section 8.2.6.1), for records of
/// calls whose response has no Reason header field; `None` where the RFC names none. 607 and 608
/// count as rejected, as RFC 8197 and RFC 8688 have it.
pub fn usual_cause(status: u16) -> Option<u8> {
    let cause = match status {
        400 | 481 | 500 | 503 => 41,
        401..=403 | 407 | 603 | 607 | 608 => 21,
        404 | 485 | 604 => 1,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        410 => 22,
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
        480 => 18,
        482 | 483 => 25,
        484 => 28,
        486 | 600 => 17,
        502 => 38,
        _ => return None,
    };
    Some(cause)
}

/// What a cause says by itself, of the causes that name the side that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// 1: the number does not exist.
    Unallocated,
    /// 2, 3: this network has no way there.
    NoRoute,
    /// 17.
    Busy,
    /// 18, 19, 20, 27, 31: the callee cannot be reached.
    Unreachable,
    /// 21.
    Rejected,
    /// 22.
    Changed,
    /// 28.
    BadNumber,
    /// 34, 38, 41, 42, 47: the network is short of something.
    Congestion,
    /// One that names no side.
    Other,
}

impl Cause {
    pub(super) fn of(cause: u8) -> Self {
        match cause {
            1 => Self::Unallocated,
            2 | 3 => Self::NoRoute,
            17 => Self::Busy,
            18 | 19 | 20 | 27 | 31 => Self::Unreachable,
            21 => Self::Rejected,
            22 => Self::Changed,
            28 => Self::BadNumber,
            34 | 38 | 41 | 42 | 47 => Self::Congestion,
            _ => Self::Other,
        }
    }
}
