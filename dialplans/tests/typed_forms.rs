//! The forms that people type, and the texts that are no number.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use dozvon_dialplans::{E164, NumberError, Region};
use phonenumber::metadata::DATABASE;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const NOT_A_NUMBER: Result<&str, NumberError> = Err(NumberError::NotAPhoneNumber);
const INVALID: Result<&str, NumberError> = Err(NumberError::NumberInvalid);

fn typed(text: &str, region: &str) -> Result<String, NumberError> {
    let region = (!region.is_empty()).then(|| Region::parse(region).unwrap());
    E164::from_typed(text, region).map(|number| number.reveal().as_str().to_owned())
}

#[track_caller]
fn assert_read(cases: &[(&str, &str, Result<&str, NumberError>)]) {
    for (text, region, expected) in cases {
        let expected = expected.map(str::to_owned);
        assert_eq!(typed(text, region), expected, "{text:?} typed in {region:?}");
    }
}

#[test]
fn the_forms_that_people_type_are_the_number_they_mean() {
    assert_read(&[
        ("+79161234567", "", Ok("+79161234567")),
        ("+7 916 123-45-67", "", Ok("+79161234567")),
        ("+7 (916) 123-45-67", "US", Ok("+79161234567")),
        ("  +7.916.123.45.67 ", "RU", Ok("+79161234567")),
        ("8 (916) 123-45-67", "RU", Ok("+79161234567")),
        ("89161234567", "RU", Ok("+79161234567")),
        ("79161234567", "RU", Ok("+79161234567")),
        ("9161234567", "RU", Ok("+79161234567")),
        ("(916) 123/45/67", "RU", Ok("+79161234567")),
        ("tel:+7-916-123-45-67", "", Ok("+79161234567")),
        ("TEL:+79161234567", "", Ok("+79161234567")),
        ("tel:89161234567", "RU", Ok("+79161234567")),
        ("+7 8 916 123 45 67", "RU", Ok("+79161234567")),
        ("8 800 555-35-35", "RU", Ok("+78005553535")),
        ("800 555 35 35", "RU", Ok("+78005553535")),
        ("+7 800 555 35 35", "RU", Ok("+78005553535")),
        ("8442 23-45-67", "RU", Ok("+78442234567")),
        ("8 701 234 56 78", "KZ", Ok("+77012345678")),
        ("8 029 491-19-11", "BY", Ok("+375294911911")),
        ("+375 (29) 491 19 11", "RU", Ok("+375294911911")),
        ("8 10 49 30 901820", "RU", Ok("+4930901820")),
        ("00 49 30 901820", "FR", Ok("+4930901820")),
        ("030 / 90 18 20", "DE", Ok("+4930901820")),
        ("+44 (0)20 7946 0958", "", Ok("+442079460958")),
        ("020 7946 0958", "GB", Ok("+442079460958")),
        ("(650) 253-0000", "US", Ok("+16502530000")),
        ("1-650-253-0000", "US", Ok("+16502530000")),
        ("011 7 916 123 45 67", "US", Ok("+79161234567")),
        ("06 12 34 56 78", "FR", Ok("+33612345678")),
        ("02 3661 8300", "IT", Ok("+390236618300")),
        ("+39 02 3661 8300", "", Ok("+390236618300")),
        ("0 11 96123-4567", "BR", Ok("+5511961234567")),
        ("06 20 123 4567", "HU", Ok("+36201234567")),
        ("050 123 45 67", "UA", Ok("+380501234567")),
        ("03-1234-5678", "JP", Ok("+81312345678")),
        ("321000", "GL", Ok("+299321000")),
        ("201234", "GL", Ok("+299201234")),
    ]);
}

#[test]
fn what_is_no_number_is_not_made_into_one() {
    assert_read(&[
        ("+1 800 FLOWERS", "US", NOT_A_NUMBER),
        ("1-800-FLOWERS", "US", NOT_A_NUMBER),
        ("112", "RU", NOT_A_NUMBER),
        ("+112", "RU", NOT_A_NUMBER),
        ("+7112", "RU", NOT_A_NUMBER),
        ("8 112", "RU", NOT_A_NUMBER),
        ("103", "RU", NOT_A_NUMBER),
        ("0890", "RU", NOT_A_NUMBER),
        ("911", "US", NOT_A_NUMBER),
        ("116117", "DE", NOT_A_NUMBER),
        ("", "RU", NOT_A_NUMBER),
        ("+", "RU", NOT_A_NUMBER),
        ("tel:", "RU", NOT_A_NUMBER),
        ("()-./", "RU", NOT_A_NUMBER),
        ("++79161234567", "RU", NOT_A_NUMBER),
        ("7+9161234567", "RU", NOT_A_NUMBER),
        ("tel:tel:+79161234567", "RU", NOT_A_NUMBER),
        ("+7 916 123-45-67 ext. 12", "RU", NOT_A_NUMBER),
        ("+79161234567x12", "RU", NOT_A_NUMBER),
        ("+7 916 CALL 123-45-67", "RU", NOT_A_NUMBER),
        ("O9161234567", "RU", NOT_A_NUMBER),
        ("+79161234567;ext=12", "RU", NOT_A_NUMBER),
        ("tel:89161234567;phone-context=+7", "RU", NOT_A_NUMBER),
        ("+79161234567,,1", "RU", NOT_A_NUMBER),
        ("*100#", "RU", NOT_A_NUMBER),
        ("+7916\u{a0}1234567", "RU", NOT_A_NUMBER),
        ("+7 ٩١٦ ١٢٣٤٥٦٧", "RU", NOT_A_NUMBER),
        ("\u{ff0b}79161234567", "RU", NOT_A_NUMBER),
        ("+7916123\n4567", "RU", NOT_A_NUMBER),
        ("ivan@corp.ru", "RU", NOT_A_NUMBER),
        ("89161234567", "", NOT_A_NUMBER),
        ("+7 - 9 - 1 - 6 - 1 - 2 - 3 - 4 - 5", "RU", NOT_A_NUMBER),
    ]);
}

#[test]
fn a_number_that_its_plan_does_not_have_is_invalid_but_a_number() {
    assert_read(&[
        ("123-45-67", "RU", INVALID),
        ("+7 916 123-45-6", "RU", INVALID),
        ("+7 916 123-45-678", "RU", INVALID),
        ("+70000000001", "RU", INVALID),
        ("+8 916 123-45-67", "RU", INVALID),
        ("+999 123 456 789", "RU", INVALID),
        ("+0 916 123 45 67", "RU", INVALID),
        ("79161234567", "US", INVALID),
        ("1234567890123456789", "RU", INVALID),
        // Read as people mean them, a carrier code would be dropped, or 9 written for 15.
        ("0 31 21 2345-6789", "BR", INVALID),
        ("011 15 2345-6789", "AR", INVALID),
    ]);
}

#[test]
fn the_example_numbers_of_every_region_are_read_unchanged() {
    let (mut seen, mut refused) = (0, Vec::new());
    for plan in DATABASE.iter().filter(|plan| plan.id() != "001") {
        let types = plan.descriptors();
        for kind in [types.mobile(), types.fixed_line()].into_iter().flatten() {
            let Some(example) = kind.example() else { continue };
            let e164 = format!("+{}{example}", plan.country_code());
            for text in [e164.clone(), example.to_owned()] {
                seen += 1;
                match typed(&text, plan.id()) {
                    Ok(number) => assert_eq!(number, e164, "{text} typed in {}", plan.id()),
                    Err(error) => refused.push(format!("{} {text}: {error}", plan.id())),
                }
            }
        }
    }
    println!("{seen} forms read, {} refused: {refused:#?}", refused.len());
    assert!(seen > 900, "only {seen} forms were seen");
    assert!(refused.len() < 10, "{} of {seen} refused", refused.len());
}

#[test]
fn the_digits_that_come_out_end_the_digits_that_went_in() {
    let seed = 0x7970_6564;
    println!("seed {seed:#x}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let regions = ["RU", "US", "DE", "BR", "AR", "MX", "IT", "BY", "HU", "KZ", "CN", "AU"];
    let alphabet = b"0123456789012345678901234567890123456789 ()-./+telx";
    let mut taken = 0;
    for _ in 0..20_000 {
        let length = rng.next_u32() as usize % 18 + 3;
        let mut text = String::new();
        for at in 0..length {
            let choices = if at == 0 { alphabet.len() } else { 46 };
            text.push(alphabet[rng.next_u32() as usize % choices] as char);
        }
        let region = regions[rng.next_u32() as usize % regions.len()];
        let Ok(number) = typed(&text, region) else { continue };
        taken += 1;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let plan = DATABASE.by_id(region).unwrap();
        let after_code = number[1..].strip_prefix(&plan.country_code().to_string());
        let same = digits.ends_with(&number[1..])
            || after_code.is_some_and(|national| digits.ends_with(national))
            // An international number with a trunk prefix between its code and the rest.
            || (text.contains('+') && digits.ends_with(&number[number.len() - 7..]));
        assert!(same, "{text:?} typed in {region} became {number}");
    }
    println!("{taken} of 20000 random texts are numbers");
    assert!(taken > 100);
}
