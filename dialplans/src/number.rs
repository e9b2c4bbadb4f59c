//! Telephone numbers in the form of ITU-T E.164.

mod pattern;
pub(crate) mod typed;

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Deref;
use std::str::FromStr;

use thiserror::Error;

use self::typed::NumberError;

/// The fewest digits of a number with its country code that any numbering plan has.
const MIN_DIGITS: usize = 7;
/// The most digits of an international number (ITU-T E.164 section 6).
pub(crate) const MAX_DIGITS: usize = 15;

/// A telephone number with its country code: 7 to 15 digits, the first not zero.
///
/// `Debug` and `Display` print it masked (`+7916*****67`). It is as large as a `u64`
/// and is copied. A value from [`E164::parse`] has the right form; one from
/// [`E164::from_typed`] is also valid in its numbering plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(NonZeroU64);

/// Why a text is not a number in E.164 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum E164Error {
    /// There is no leading plus sign.
    #[error("a number starts with + and its country code")]
    NoPlus,
    /// Something other than a digit follows the plus sign.
    #[error("after the + only digits may follow")]
    NotADigit,
    /// There are fewer than 7 or more than 15 digits.
    #[error("a number has {MIN_DIGITS} to {MAX_DIGITS} digits")]
    Length,
    /// The first digit is zero, and no country code starts with zero.
    #[error("no country code starts with 0")]
    LeadingZero,
}

impl E164 {
    /// Reads the strict form: `+`, then 7 to 15 digits without separators.
    ///
    /// The numbering plan is not asked, so that test ranges pass too.
    pub fn parse(text: &str) -> Result<Self, E164Error> {
        let digits = text.strip_prefix('+').ok_or(E164Error::NoPlus)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(E164Error::NotADigit);
        }
        if !(MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()) {
            return Err(E164Error::Length);
        }
        if digits.starts_with('0') {
            return Err(E164Error::LeadingZero);
        }
        let value = digits.parse().map_err(|_| E164Error::NotADigit)?;
        Ok(Self(value))
    }

    /// Reads the forms that people type, such as `8 (916) 123-45-67`.
    ///
    /// A number without `+` is read by the numbering plan of `region`; without a region
    /// it is refused. Letters, extensions, short codes and everything that the library
    /// would have to guess at is [`NumberError::NotAPhoneNumber`]; a number that its
    /// plan does not know is [`NumberError::NumberInvalid`].
    pub fn from_typed(text: &str, region: Option<Region>) -> Result<Self, NumberError> {
        typed::parse(text, region)
    }

    /// The whole number with its plus sign, for the wire, for sealing and for its owner;
    /// never for a log line.
    pub fn reveal(&self) -> Revealed {
        Revealed::new(true, self.value(), self.digit_count())
    }

    /// How many digits the number has, 7 to 15.
    pub fn digit_count(&self) -> usize {
        self.0.ilog10() as usize + 1
    }

    pub(crate) fn value(self) -> u64 {
        self.0.get()
    }

    /// The number with these digits, if they are a number in E.164 form.
    pub(crate) fn from_value(value: u64) -> Option<Self> {
        let number = NonZeroU64::new(value).map(Self)?;
        (MIN_DIGITS..=MAX_DIGITS).contains(&number.digit_count()).then_some(number)
    }
}

impl FromStr for E164 {
    type Err = E164Error;

    fn from_str(text: &str) -> Result<Self, E164Error> {
        Self::parse(text)
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&mask(&self.reveal()))
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hides all but the first digits (4 at most) and the last two.
pub(crate) fn mask(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('+') {
        Some(digits) => ("+", digits),
        None => ("", number),
    };
    let tail = digits.len().min(2);
    let head = digits.len().saturating_sub(7).min(4);
    let stars = "*".repeat(digits.len() - head - tail);
    format!("{sign}{}{stars}{}", &digits[..head], &digits[digits.len() - tail..])
}

/// Digits in clear, on the stack: what a `reveal` method returns.
///
/// It prints nothing by itself; [`Revealed::as_str`] is the deliberate step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Revealed {
    bytes: [u8; MAX_DIGITS + 1],
    length: u8,
}

impl Revealed {
    /// `value` in decimal, with leading zeros up to `count` digits.
    pub(crate) fn new(plus: bool, value: u64, count: usize) -> Self {
        let mut bytes = [b'+'; MAX_DIGITS + 1];
        let start = usize::from(plus);
        let mut rest = value;
        for byte in bytes[start..start + count].iter_mut().rev() {
            *byte = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Self { bytes, length: (start + count) as u8 }
    }

    /// The digits, with the plus sign where the number has one.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    /// The digits without a plus sign.
    pub fn digits(&self) -> &str {
        self.as_str().trim_start_matches('+')
    }
}

impl Deref for Revealed {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

/// A region whose numbering plan reads numbers without a country code, such as `RU`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Region(pub(crate) phonenumber::country::Id);

/// The text is not a region that has a numbering plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a region: two letters of ISO 3166, such as RU, are meant")]
pub struct UnknownRegion;

impl Region {
    /// Reads two upper-case letters of ISO 3166-1.
    pub fn parse(text: &str) -> Result<Self, UnknownRegion> {
        let id: phonenumber::country::Id = text.parse().map_err(|_| UnknownRegion)?;
        phonenumber::metadata::DATABASE.by_id(id.as_ref()).map(|_| Self(id)).ok_or(UnknownRegion)
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        Self::parse(text)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_prints_masked_in_every_way() {
        let number = E164::parse("+79161234567").unwrap();
        assert_eq!(format!("{number}"), "+7916*****67");
        assert_eq!(format!("{number:?}"), "+7916*****67");
        assert_eq!(format!("{:#?}", Some(number)), "Some(\n    +7916*****67,\n)");
    }

    #[test]
    fn at_least_five_digits_are_hidden_whatever_the_length() {
        for length in MIN_DIGITS..=MAX_DIGITS {
            let text = format!("+{}", &"987654321987654"[..length]);
            let masked = E164::parse(&text).unwrap().to_string();
            assert_eq!(masked.len(), text.len(), "{length} digits");
            assert!(masked.matches('*').count() >= 5, "{length} digits: {masked}");
        }
    }

    #[test]
    fn the_strict_form_is_a_plus_and_7_to_15_digits() {
        assert_eq!(E164::parse("79161234567"), Err(E164Error::NoPlus));
        assert_eq!(E164::parse("+7 916 1234567"), Err(E164Error::NotADigit));
        assert_eq!(E164::parse("++79161234567"), Err(E164Error::NotADigit));
        assert_eq!(E164::parse("+791612"), Err(E164Error::Length));
        assert_eq!(E164::parse("+7916123456789012"), Err(E164Error::Length));
        assert_eq!(E164::parse("+09161234567"), Err(E164Error::LeadingZero));
        assert_eq!(E164::parse("+999999999999999").unwrap().digit_count(), 15);
        assert!(E164::parse("+70000000001").is_ok(), "test ranges are in no plan");
    }

    #[test]
    fn revealed_digits_are_the_digits_that_were_parsed() {
        for text in ["+7916123", "+79161234567", "+999999999999999", "+100000000000000"] {
            let revealed = E164::parse(text).unwrap().reveal();
            assert_eq!(revealed.as_str(), text);
            assert_eq!(revealed.digits(), &text[1..]);
        }
    }

    #[test]
    fn a_number_is_as_small_as_an_integer() {
        assert_eq!(size_of::<Option<E164>>(), 8);
    }

    #[test]
    fn a_region_is_one_that_has_a_numbering_plan() {
        assert_eq!(Region::parse("RU").unwrap().as_str(), "RU");
        assert_eq!(Region::parse("ru"), Err(UnknownRegion));
        assert_eq!(Region::parse("ZZ"), Err(UnknownRegion));
    }
}
