//! The guard between what people type and the numbering-plan library.
//!
//! The library is made to find a number in almost any text: its parser makes another number
//! of `+1 800 FLOWERS`, `+7112` of `112`, drops carrier codes, and takes the trunk prefix
//! of `8 800 555-35-35` off twice. A gateway must not call a number that nobody typed. So
//! only texts that can be nothing but a number are looked at, the library lends the tables
//! of the plans and not its parser, and the digits that come out are the digits that went
//! in but for trunk, country and international prefix, by construction.

use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Descriptor};
use thiserror::Error;

use super::pattern::{ends_without_captures, is_match};
use super::{E164, Region};

/// The longest text that is looked at, in bytes: a number with its separators is shorter.
const TYPED_LIMIT: usize = 32;
/// A number with its country code has more digits than this; a short code has not.
const SHORT_CODE_DIGITS: usize = 6;
/// No plan has so few digits in a national number; the emergency services have.
const EMERGENCY_DIGITS: usize = 3;

/// Why a typed text is not taken as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumberError {
    /// It does not have the form of a telephone number: letters, an extension, a short
    /// code, a national form without a region to read it by, or digits that the plan
    /// would exchange for others.
    #[error("this is not a phone number")]
    NotAPhoneNumber,
    /// It has the form, but its numbering plan has no such number.
    #[error("this number does not exist in its numbering plan")]
    NumberInvalid,
}

pub(super) fn parse(text: &str, region: Option<Region>) -> Result<E164, NumberError> {
    let typed = Typed::read(text)?;
    if typed.international {
        international(typed.digits())
    } else {
        national(typed.digits(), region.ok_or(NumberError::NotAPhoneNumber)?)
    }
}

/// The digits of a text that has nothing but digits and separators.
struct Typed {
    international: bool,
    digits: [u8; TYPED_LIMIT],
    length: usize,
}

impl Typed {
    fn read(text: &str) -> Result<Self, NumberError> {
        if text.len() > TYPED_LIMIT {
            return Err(NumberError::NotAPhoneNumber);
        }
        let text = text.trim_matches(' ');
        let text = match text.get(..4) {
            // Scheme names are compared without case (RFC 3986 section 3.1).
            Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
            _ => text,
        };
        let (international, text) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut typed = Self { international, digits: [0; TYPED_LIMIT], length: 0 };
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    typed.digits[typed.length] = byte;
                    typed.length += 1;
                }
                b' ' | b'(' | b')' | b'-' | b'.' | b'/' => {}
                _ => return Err(NumberError::NotAPhoneNumber),
            }
        }
        Ok(typed)
    }

    fn digits(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.length]).unwrap_or_default()
    }
}

/// Reads digits that start with a country code, perhaps with a trunk prefix after it, as
/// in `+44 (0)20 7946 0958`.
fn international(digits: &str) -> Result<E164, NumberError> {
    if digits.len() <= SHORT_CODE_DIGITS {
        return Err(NumberError::NotAPhoneNumber);
    }
    let (code, after_code) = split_country_code(digits).ok_or(NumberError::NumberInvalid)?;
    let plans = Plans::of(code);
    plans.find(after_code).ok_or(NumberError::NumberInvalid)
}

/// Reads digits as they are dialled within `region`: the number, a trunk prefix and the
/// number, the country code and the number, or an international prefix and all of it.
fn national(digits: &str, region: Region) -> Result<E164, NumberError> {
    if digits.len() <= EMERGENCY_DIGITS {
        return Err(NumberError::NotAPhoneNumber);
    }
    let home = DATABASE.by_id(region.as_str()).ok_or(NumberError::NotAPhoneNumber)?;
    let plans = Plans::of(home.country_code());
    let after_code = || digits.strip_prefix(&home.country_code().to_string());
    let international_prefix = home.international_prefix().map_or("", |prefix| prefix.as_str());
    let from_abroad = || {
        ends_without_captures(international_prefix, digits)
            .filter(|end| *end > 0)
            .find_map(|end| international(&digits[end..]).ok())
    };
    plans.find(digits).or_else(|| plans.find(after_code()?)).or_else(from_abroad).ok_or(
        match digits.len() {
            // Few digits that are no number of the region are meant as a short code.
            ..=SHORT_CODE_DIGITS => NumberError::NotAPhoneNumber,
            _ => NumberError::NumberInvalid,
        },
    )
}

/// The country code, which is the only one that the digits can start with.
fn split_country_code(digits: &str) -> Option<(u16, &str)> {
    (1..=3).find_map(|length| {
        let (code, rest) = digits.split_at_checked(length)?;
        let code = code.parse().ok()?;
        DATABASE.region(&code).map(|_| (code, rest))
    })
}

/// The numbering plans that share one country code.
struct Plans {
    code: u16,
    plans: Vec<&'static Metadata>,
}

impl Plans {
    fn of(code: u16) -> Self {
        Self { code, plans: DATABASE.by_code(&code).unwrap_or_default() }
    }

    /// The number that these digits are, as they stand or after a trunk prefix. As they
    /// stand comes first: what looks like a trunk prefix may belong to the number.
    fn find(&self, digits: &str) -> Option<E164> {
        let as_it_stands = self.plans.iter().any(|plan| has_number(plan, digits));
        let national = if as_it_stands {
            digits
        } else {
            self.plans.iter().find_map(|plan| after_trunk_prefix(plan, digits))?
        };
        // A few plans of small islands have whole numbers of 6 digits and fewer; those are
        // left out, for everywhere else they are short codes.
        E164::parse(&format!("+{}{national}", self.code)).ok()
    }
}

/// The number of the plan that follows its trunk prefix.
fn after_trunk_prefix<'a>(plan: &Metadata, digits: &'a str) -> Option<&'a str> {
    // A capturing group holds a carrier code or an area code that would be lost or put
    // elsewhere, so what needs one is no trunk prefix here.
    let pattern = plan.national_prefix_for_parsing().map_or("", |pattern| pattern.as_str());
    let by_pattern = ends_without_captures(pattern, digits).map(|end| &digits[end..]);
    plan.national_prefix()
        .and_then(|prefix| digits.strip_prefix(prefix))
        .into_iter()
        .chain(by_pattern)
        .find(|national| has_number(plan, national))
}

/// Whether the plan has this national number as it stands.
fn has_number(plan: &Metadata, national: &str) -> bool {
    let types = plan.descriptors();
    is_of(types.general(), national)
        && [
            types.mobile(),
            types.fixed_line(),
            types.toll_free(),
            types.premium_rate(),
            types.shared_cost(),
            types.personal_number(),
            types.voip(),
            types.pager(),
            types.uan(),
            types.voicemail(),
        ]
        .into_iter()
        .flatten()
        .any(|kind| is_of(kind, national))
}

fn is_of(kind: &Descriptor, national: &str) -> bool {
    let lengths = kind.possible_length();
    (lengths.is_empty() || lengths.contains(&(national.len() as u16)))
        && is_match(kind.national_number().as_str(), national)
}
