//! Prices, exact to a millionth.

use std::fmt;

/// An amount of money, such as `0.40 RUB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price {
    currency: [u8; 3],
    micros: u64,
}

/// Why a text is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not an amount, a space and a currency.
    #[error("a price is an amount and a currency, such as \"0.40 RUB\"")]
    Form,
    /// More than six decimals, or above a million.
    #[error("a price has at most 6 decimals and is at most 1000000")]
    Amount,
    /// The currency is not three upper-case letters.
    #[error("a currency is three upper-case letters of ISO 4217, such as RUB")]
    Currency,
}

impl Price {
    /// The largest amount, in millionths.
    pub const MAX_MICROS: u64 = 1_000_000_000_000;

    /// Reads an amount with at most six decimals, a space, and an ISO 4217 currency.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        let (amount, currency) = text.split_once(' ').ok_or(PriceError::Form)?;
        let currency: [u8; 3] = currency.as_bytes().try_into().map_err(|_| PriceError::Currency)?;
        if !currency.iter().all(u8::is_ascii_uppercase) {
            return Err(PriceError::Currency);
        }
        let (whole, decimals) = amount.split_once('.').unwrap_or((amount, "0"));
        let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !are_digits(whole) || !are_digits(decimals) {
            return Err(PriceError::Form);
        }
        if decimals.len() > 6 || whole.len() > 7 {
            return Err(PriceError::Amount);
        }
        let micros = format!("{whole}{decimals:0<6}").parse().map_err(|_| PriceError::Amount)?;
        if micros > Self::MAX_MICROS {
            return Err(PriceError::Amount);
        }
        Ok(Self { currency, micros })
    }

    /// The amount in millionths of the currency's unit.
    pub fn micros(&self) -> u64 {
        self.micros
    }

    /// Three upper-case letters.
    pub fn currency(&self) -> &str {
        std::str::from_utf8(&self.currency).unwrap_or_default()
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.micros % 1_000_000);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{} {}", self.micros / 1_000_000, &decimals[..kept], self.currency())
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_reads_and_prints_alike() {
        for text in ["0.40 RUB", "12.00 EUR", "0.000001 USD", "1000000.00 RUB"] {
            assert_eq!(Price::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Price::parse("2 RUB").unwrap().micros(), 2_000_000);
    }

    #[test]
    fn a_text_that_is_no_price_is_refused_by_cause() {
        for (text, error) in [
            ("0.40", PriceError::Form),
            ("-1 RUB", PriceError::Form),
            (".5 RUB", PriceError::Form),
            ("1. RUB", PriceError::Form),
            ("1 rub", PriceError::Currency),
            ("1 RUBLE", PriceError::Currency),
            ("0.0000001 RUB", PriceError::Amount),
            ("1000000.01 RUB", PriceError::Amount),
        ] {
            assert_eq!(Price::parse(text), Err(error), "{text}");
        }
    }
}
