//! Numbers as trunks write them.

use config::{Account, AccountName};
use dialplans::{E164, Region};

use crate::app::Settings;

/// The account that has the number which was called.
pub(crate) fn owner<'a>(
    settings: &'a Settings,
    called: &str,
) -> Option<(&'a AccountName, &'a Account, E164)> {
    settings.config.accounts.iter().find_map(|(name, account)| {
        let own = |number: &E164| account.inbound_numbers.iter().any(|own| own.contains(number));
        let readings = [number(called, account.default_region), international(called)];
        let number = readings.into_iter().flatten().find(own)?;
        Some((name, account, number))
    })
}

/// A number as it stands in a request: with a plus sign, or without one as people of `region`
/// dial it, or without one and yet international. The last is taken only when the numbering plan
/// knows it: a national number must not pass for another country's.
pub(crate) fn number(written: &str, region: Option<Region>) -> Option<E164> {
    if written.starts_with('+') {
        return E164::parse(written).ok();
    }
    let national = || E164::from_typed(written, Some(region?)).ok();
    national().or_else(|| E164::from_typed(&format!("+{written}"), None).ok())
}

/// Digits that are international although no plus sign says so.
pub(crate) fn international(written: &str) -> Option<E164> {
    E164::parse(&format!("+{}", written.strip_prefix('+').unwrap_or(written))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &str, region: Option<&str>) -> Option<String> {
        let region = region.map(|region| Region::parse(region).unwrap());
        number(written, region).map(|number| number.reveal().to_string())
    }

    #[test]
    fn every_form_of_a_number_is_the_same_number() {
        for written in ["+79161234567", "79161234567", "89161234567", "9161234567"] {
            assert_eq!(read(written, Some("RU")).as_deref(), Some("+79161234567"), "{written}");
        }
        assert_eq!(read("79161234567", None).as_deref(), Some("+79161234567"));
    }

    #[test]
    fn a_national_number_is_no_other_countrys() {
        // As an Indian number it would have two digits too few.
        assert_eq!(read("9161234567", None), None);
        assert_eq!(read("112", Some("RU")), None);
        assert_eq!(read("EXAMPLE", Some("RU")), None);
    }
}
