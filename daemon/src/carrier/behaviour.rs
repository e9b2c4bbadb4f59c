//! What a handset does, by the last two digits of its number.

use std::time::Duration;

/// How a handset behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 100, then 180, then 487 when cancelled.
    Ring,
    /// 183 with a session description, then 180.
    ProgressThenRing,
    /// 180, and 200 a second later.
    Answer,
    /// 180; the CANCEL meets a 200 on its way.
    AnswerAcrossCancel,
    /// 100 and nothing else.
    TryingOnly,
    /// Nothing at all.
    Silence,
    /// This final response, with Retry-After where a number of seconds is given.
    Refuse {
        /// The status.
        status: u16,
        /// Seconds of Retry-After.
        retry_after_s: Option<u32>,
    },
    /// 180, then 486.
    RingThenBusy,
    /// 181.
    Forward,
    /// 180; the CANCEL is answered, and no 487 ever comes.
    RingWithoutEnd,
    /// 180 from two handsets with To tags of their own.
    TwoHandsets,
    /// The first INVITE is lost, and every answer comes twice.
    LossyRing,
    /// 180, 200 a second later, and somebody who listens until the far side hangs up.
    Listen,
}

/// One thing a handset does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// A provisional response; `second` with the second handset's To tag.
    Provisional { status: u16, second: bool },
    /// A final response.
    Final { status: u16 },
}

/// From INVITE to the first ringing: what a mobile network is quick at.
const POST_DIAL_DELAY: Duration = Duration::from_millis(600);
/// A handset that nobody picks up gives in after this long.
const NO_REPLY: Duration = Duration::from_secs(60);

impl Behaviour {
    /// The behaviour of a number: 80–95 are special, everything else rings.
    pub fn of(called: &str) -> Self {
        let digits: Vec<u8> = called.bytes().filter(u8::is_ascii_digit).collect();
        let [.., tens, ones] = digits[..] else { return Self::Ring };
        let refuse = |status| Self::Refuse { status, retry_after_s: None };
        match (tens - b'0') * 10 + (ones - b'0') {
            80 => Self::ProgressThenRing,
            81 => Self::Answer,
            82 => Self::AnswerAcrossCancel,
            83 => Self::TryingOnly,
            84 => Self::Silence,
            85 => refuse(486),
            86 => refuse(404),
            87 => refuse(480),
            88 => Self::Refuse { status: 503, retry_after_s: Some(5) },
            89 => refuse(603),
            90 => Self::RingThenBusy,
            91 => Self::Forward,
            92 => Self::RingWithoutEnd,
            93 => Self::TwoHandsets,
            94 => Self::LossyRing,
            95 => Self::Listen,
            _ => Self::Ring,
        }
    }

    /// What the handset does without being asked, counted from the INVITE.
    pub(super) fn script(self) -> Vec<(Duration, Act)> {
        let at = |ms: u64| POST_DIAL_DELAY + Duration::from_millis(ms);
        let provisional = |status| Act::Provisional { status, second: false };
        let trying = (Duration::ZERO, provisional(100));
        let ring = (at(0), provisional(180));
        let no_reply = (NO_REPLY, Act::Final { status: 480 });
        match self {
            Self::Ring | Self::AnswerAcrossCancel | Self::RingWithoutEnd | Self::LossyRing => {
                vec![trying, ring, no_reply]
            }
            Self::ProgressThenRing => {
                vec![trying, (at(0), provisional(183)), (at(300), provisional(180)), no_reply]
            }
            Self::Answer | Self::Listen => {
                vec![trying, ring, (at(1000), Act::Final { status: 200 })]
            }
            Self::TryingOnly => vec![trying, no_reply],
            Self::Silence => Vec::new(),
            Self::Refuse { status, .. } => {
                vec![trying, (Duration::from_millis(200), Act::Final { status })]
            }
            Self::RingThenBusy => vec![trying, ring, (at(1000), Act::Final { status: 486 })],
            Self::Forward => vec![trying, (at(0), provisional(181)), no_reply],
            Self::TwoHandsets => {
                let second = Act::Provisional { status: 180, second: true };
                vec![trying, ring, (at(200), second), no_reply]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_80_to_95_are_special() {
        let special = (0..100)
            .filter(|n| Behaviour::of(&format!("+791612345{n:02}")) != Behaviour::Ring)
            .collect::<Vec<_>>();
        assert_eq!(special, (80..=95).collect::<Vec<_>>());
        assert_eq!(Behaviour::of(""), Behaviour::Ring);
    }
}
