//! What an INVITE holds that may be left out or added, and what a refusal changes of it.

use crate::message::{HeaderName, Message};
use crate::trunk::Rel100;

/// The extension of reliable provisional responses (RFC 3262).
pub(super) const RELIABLE: &str = "100rel";
/// The extension of session timers (RFC 4028).
const TIMER: &str = "timer";
/// The session interval that is asked for when one must be, and the least that is accepted, in
/// seconds. No call here lasts half as long, so that none is ever to be refreshed by us.
const SESSION_S: u32 = 1800;
/// The longest Min-SE that is obeyed, in seconds.
const MIN_SE_CAP: u32 = 3600;

/// The variable part of a call's INVITEs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Whether reliable provisional responses are offered.
    pub(super) rel100: Rel100,
    /// Session-Expires and Min-SE in seconds; `None`: nothing is said of session timers.
    pub(super) session_s: Option<u16>,
    /// Whether everything is left out that the call works without.
    pub(super) is_lean: bool,
    /// Which refusals were obeyed, a bit for each.
    mended: u8,
}

impl Shape {
    /// That of the first INVITE.
    pub(super) fn new(rel100: Rel100) -> Self {
        Self { rel100, session_s: None, is_lean: false, mended: 0 }
    }

    /// Changes it as a refusal asks. `false`: nothing can be changed, or it was before: each
    /// refusal is obeyed once.
    pub(super) fn mend(&mut self, status: u16, refusal: &Message<'_>) -> bool {
        let bit: u8 = match status {
            420 => 1,
            421 => 2,
            422 => 4,
            413 | 513 => 8,
            _ => return false,
        };
        if self.mended & bit != 0 {
            return false;
        }
        let is_changed = match status {
            420 => self.leave_out(refusal),
            421 => self.add(refusal),
            422 => self.lengthen(refusal),
            _ => !std::mem::replace(&mut self.is_lean, true),
        };
        if is_changed {
            self.mended |= bit;
        }
        is_changed
    }

    /// The options of Supported; that of Require is in [`Shape::rel100`].
    pub(super) fn supported(&self) -> impl Iterator<Item = &'static [u8]> {
        let reliable = (self.rel100 == Rel100::Supported).then_some(RELIABLE.as_bytes());
        let timer = self.session_s.map(|_| TIMER.as_bytes());
        reliable.into_iter().chain(timer)
    }

    /// 420: what Unsupported names is left out; all of it, where it names nothing.
    fn leave_out(&mut self, refusal: &Message<'_>) -> bool {
        let names = |option| {
            !refusal.headers.has(HeaderName::Unsupported)
                || refusal.headers.has_token(HeaderName::Unsupported, option)
        };
        let mut is_changed = false;
        if self.rel100 != Rel100::Off && names(RELIABLE) {
            self.rel100 = Rel100::Off;
            is_changed = true;
        }
        if self.session_s.is_some() && names(TIMER) {
            self.session_s = None;
            is_changed = true;
        }
        is_changed
    }

    /// 421: what Require names is offered, when all of it can be.
    fn add(&mut self, refusal: &Message<'_>) -> bool {
        let named = |option| refusal.headers.has_token(HeaderName::Require, option);
        let is_known = |option: &[u8]| {
            [RELIABLE, TIMER].iter().any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
        };
        if !refusal.headers.tokens(HeaderName::Require).all(is_known) {
            return false;
        }
        let mut is_changed = false;
        if named(RELIABLE) && self.rel100 == Rel100::Off {
            self.rel100 = Rel100::Supported;
            is_changed = true;
        }
        if named(TIMER) && self.session_s.is_none() {
            self.session_s = Some(SESSION_S as u16);
            is_changed = true;
        }
        is_changed
    }

    /// 422: the session interval is at least what Min-SE says (RFC 4028 section 7.3).
    fn lengthen(&mut self, refusal: &Message<'_>) -> bool {
        let Some(asked) = refusal.headers.min_se_s().filter(|asked| *asked <= MIN_SE_CAP) else {
            return false;
        };
        let session_s = asked.max(SESSION_S) as u16;
        let is_longer = self.session_s.is_none_or(|before| session_s > before);
        self.session_s = Some(session_s);
        is_longer
    }
}
