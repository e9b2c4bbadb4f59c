//! Content-Type and Accept.

use super::params::Params;
use super::scan;

/// A media type, or a range of them (`*/*`, `application/*`) in Accept.
#[derive(Clone, Copy)]
pub struct MediaType<'a> {
    /// Before the slash, as written.
    pub main: &'a [u8],
    /// Behind the slash, as written.
    pub sub: &'a [u8],
    /// Such as `boundary` or `charset`.
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let end = scan::find(b';', value).unwrap_or(value.len());
        let slash = scan::find(b'/', &value[..end])?;
        let main = scan::trim(&value[..slash]);
        let sub = scan::trim(&value[slash + 1..end]);
        (scan::is_token_run(main) && scan::is_token_run(sub)).then_some(Self {
            main,
            sub,
            params: Params::new(&value[end..]),
        })
    }

    /// Whether this is `main/sub`, in any case.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main.eq_ignore_ascii_case(main.as_bytes())
            && self.sub.eq_ignore_ascii_case(sub.as_bytes())
    }

    /// Whether this range holds `main/sub` and does not shut it out with `q=0`.
    pub fn allows(&self, main: &str, sub: &str) -> bool {
        let main_fits = self.main == b"*" || self.main.eq_ignore_ascii_case(main.as_bytes());
        let sub_fits = self.sub == b"*" || self.sub.eq_ignore_ascii_case(sub.as_bytes());
        let is_shut = self.params.value("q").is_some_and(|q| {
            q.first() == Some(&b'0') && q.iter().all(|byte| matches!(byte, b'0' | b'.'))
        });
        main_fits && sub_fits && !is_shut
    }
}
