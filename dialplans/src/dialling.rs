//! The digits that a trunk wants in the request line.

use std::fmt;

use thiserror::Error;

use crate::name::TrunkName;
use crate::number::{E164, MAX_DIGITS, mask};

/// The longest technical prefix, in characters.
const PREFIX_LIMIT: usize = 16;
/// A plus sign or a technical prefix, then a whole number.
const DIALLED_LIMIT: usize = PREFIX_LIMIT + MAX_DIGITS;

/// How one trunk wants numbers dialled, and how it stands to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkDialling {
    /// The trunk.
    pub trunk: TrunkName,
    /// Lower is tried first, on routes that go by priority.
    pub priority: u16,
    /// Its share of the calls among trunks of its priority; 0 has hardly any.
    pub weight: u16,
    /// The form of the number before translation.
    pub format: DialFormat,
    /// What is stripped from it and put in front of it.
    pub translation: Translation,
}

/// The form in which a trunk wants the called number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFormat {
    /// `+79161234567`.
    PlusE164,
    /// `79161234567`.
    E164,
    /// `9161234567`: the number without its country code, for numbers of this country
    /// only; a trunk prefix such as `8` is the translation's matter.
    National(CountryCode),
}

/// A country code of ITU-T E.164: 1 to 3 digits, the first not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountryCode(u16);

/// Digits stripped from the front of the formatted number, then characters put there.
///
/// The default changes nothing. Any other drops the plus sign of [`DialFormat::PlusE164`],
/// for what is left is no international number; the plus sign is not counted as a digit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Translation {
    strip: u8,
    prefix: Box<str>,
}

/// Why a dial format or translation cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DiallingError {
    /// A country code has 1 to 3 digits, the first not zero.
    #[error("a country code has 1 to 3 digits, the first not 0")]
    CountryCode,
    /// More digits are to be stripped than a number has.
    #[error("at most {MAX_DIGITS} digits can be stripped")]
    StripTooLong,
    /// The prefix is longer than 16 characters.
    #[error("a dial prefix has at most {PREFIX_LIMIT} characters")]
    PrefixTooLong,
    /// The prefix has a character that is not dialled.
    #[error("a dial prefix is made of digits, * and #, and may start with +")]
    PrefixCharacter,
}

/// Why a trunk cannot dial this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DialError {
    /// The trunk dials national numbers of another country only.
    #[error("it dials national numbers of +{} only", country.digits())]
    AnotherCountry {
        /// The trunk's country.
        country: CountryCode,
    },
    /// The translation strips every digit.
    #[error("its translation strips every digit")]
    NothingLeft,
}

impl CountryCode {
    /// Reads 1 to 3 digits, without a plus sign.
    pub fn parse(text: &str) -> Result<Self, DiallingError> {
        let fits = (1..=3).contains(&text.len()) && !text.starts_with('0');
        if fits && text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map(Self).map_err(|_| DiallingError::CountryCode)
        } else {
            Err(DiallingError::CountryCode)
        }
    }

    /// The code as a number, 1 to 999.
    pub fn digits(self) -> u16 {
        self.0
    }
}

impl Translation {
    /// Strips `strip` digits (0 to 15), then puts `prefix` (digits, `*`, `#`, one leading
    /// `+`; 16 characters at most) in front.
    pub fn new(strip: u8, prefix: &str) -> Result<Self, DiallingError> {
        if usize::from(strip) > MAX_DIGITS {
            return Err(DiallingError::StripTooLong);
        }
        if prefix.len() > PREFIX_LIMIT {
            return Err(DiallingError::PrefixTooLong);
        }
        let dialled = |byte: u8| byte.is_ascii_digit() || byte == b'*' || byte == b'#';
        if !prefix.strip_prefix('+').unwrap_or(prefix).bytes().all(dialled) {
            return Err(DiallingError::PrefixCharacter);
        }
        Ok(Self { strip, prefix: prefix.into() })
    }

    /// How many digits are stripped, 0 to 15.
    pub fn strip(&self) -> u8 {
        self.strip
    }

    /// What is put in front, at most 16 characters.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn is_identity(&self) -> bool {
        self.strip == 0 && self.prefix.is_empty()
    }
}

impl TrunkDialling {
    /// A trunk that wants numbers as they are, with a plus sign; of priority 0 and weight 1.
    pub fn plain(trunk: TrunkName) -> Self {
        let translation = Translation::default();
        Self { trunk, priority: 0, weight: 1, format: DialFormat::PlusE164, translation }
    }

    /// What this trunk dials for a number.
    pub fn dial(&self, to: &E164) -> Result<DialledNumber, DialError> {
        let revealed = to.reveal();
        let mut digits = revealed.digits();
        if let DialFormat::National(country) = self.format {
            let code = country.0.to_string();
            digits = digits.strip_prefix(&code).ok_or(DialError::AnotherCountry { country })?;
        }
        let digits = digits.get(usize::from(self.translation.strip)..).unwrap_or_default();
        if digits.is_empty() {
            return Err(DialError::NothingLeft);
        }
        let plus = self.format == DialFormat::PlusE164 && self.translation.is_identity();
        let mut dialled = DialledNumber { bytes: [0; DIALLED_LIMIT], length: 0 };
        dialled.push(if plus { "+" } else { &self.translation.prefix });
        dialled.push(digits);
        Ok(dialled)
    }
}

/// What goes into the user part of the request line.
///
/// `Debug` and `Display` mask it, as it holds the called number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DialledNumber {
    bytes: [u8; DIALLED_LIMIT],
    length: u8,
}

impl DialledNumber {
    /// All its characters: digits, `*`, `#` and perhaps a leading `+`, for the request
    /// line; never for a log line.
    pub fn reveal(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    fn push(&mut self, text: &str) {
        let start = usize::from(self.length);
        self.bytes[start..start + text.len()].copy_from_slice(text.as_bytes());
        self.length += text.len() as u8;
    }
}

impl fmt::Display for DialledNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&mask(self.reveal()))
    }
}

impl fmt::Debug for DialledNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(format: DialFormat, strip: u8, prefix: &str, to: &str) -> Result<String, DialError> {
        let trunk = TrunkName::parse("north").unwrap();
        let translation = Translation::new(strip, prefix).unwrap();
        let dialling = TrunkDialling { format, translation, ..TrunkDialling::plain(trunk) };
        dialling.dial(&E164::parse(to).unwrap()).map(|dialled| dialled.reveal().to_owned())
    }

    #[test]
    fn each_format_and_translation_dials_what_the_carrier_expects() {
        let russia = DialFormat::National(CountryCode::parse("7").unwrap());
        for (format, strip, prefix, dialled) in [
            (DialFormat::PlusE164, 0, "", "+79161234567"),
            (DialFormat::E164, 0, "", "79161234567"),
            (russia, 0, "", "9161234567"),
            (russia, 0, "8", "89161234567"),
            (DialFormat::E164, 1, "8", "89161234567"),
            (DialFormat::PlusE164, 1, "8", "89161234567"),
            (DialFormat::PlusE164, 0, "5500#", "5500#79161234567"),
            (DialFormat::E164, 0, "+", "+79161234567"),
        ] {
            assert_eq!(dial(format, strip, prefix, "+79161234567").as_deref(), Ok(dialled));
        }
    }

    #[test]
    fn a_foreign_number_is_not_dialled_in_national_form() {
        let country = CountryCode::parse("7").unwrap();
        let refused = dial(DialFormat::National(country), 0, "8", "+4930123456");
        assert_eq!(refused, Err(DialError::AnotherCountry { country }));
    }

    #[test]
    fn a_translation_that_strips_every_digit_dials_nothing() {
        assert_eq!(dial(DialFormat::E164, 15, "112", "+79161234567"), Err(DialError::NothingLeft));
    }

    #[test]
    fn the_longest_prefix_and_the_longest_number_fit_together() {
        let longest = dial(DialFormat::E164, 0, &"9".repeat(16), "+999999999999999");
        assert_eq!(longest.unwrap().len(), DIALLED_LIMIT);
    }

    #[test]
    fn a_dialled_number_prints_masked() {
        let trunk = TrunkDialling::plain(TrunkName::parse("north").unwrap());
        let dialled = trunk.dial(&E164::parse("+79161234567").unwrap()).unwrap();
        assert_eq!(format!("{dialled} {dialled:?}"), "+7916*****67 +7916*****67");
    }

    #[test]
    fn a_prefix_that_cannot_be_dialled_is_refused_by_cause() {
        assert_eq!(Translation::new(16, ""), Err(DiallingError::StripTooLong));
        assert_eq!(Translation::new(0, "00000000000000000"), Err(DiallingError::PrefixTooLong));
        assert_eq!(Translation::new(0, "8;x"), Err(DiallingError::PrefixCharacter));
        assert_eq!(Translation::new(0, "8+"), Err(DiallingError::PrefixCharacter));
        for text in ["", "0", "07", "1234", "+7", "7a"] {
            assert_eq!(CountryCode::parse(text), Err(DiallingError::CountryCode), "{text}");
        }
    }
}
