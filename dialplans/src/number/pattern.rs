//! The patterns of numbering plans, matched without compiling them.
//!
//! The library compiles its patterns to regular expressions as they are used, keeps a
//! hundred of them behind one lock, needs milliseconds for numbers of many countries in
//! turn, and is content when a pattern matches the first digits. The patterns are a small language over digits: digits, `\d`, classes, groups,
//! alternatives, `?`, `{n}`, `{n,m}` and a closing `$`. So they are walked as they stand,
//! with the set of all places reached in the bits of one integer.

/// The most digits that a text may have: a place before each and one at the end.
const DIGITS_LIMIT: usize = u64::BITS as usize - 1;

/// Whether a pattern matches all of the digits.
pub(super) fn is_match(pattern: &str, digits: &str) -> bool {
    ends(pattern, digits, Captures::Taken) >> digits.len() & 1 == 1
}

/// The places where a pattern ends that starts at the first digit, in order; whatever
/// needs a capturing group does not count.
pub(super) fn ends_without_captures(pattern: &str, digits: &str) -> impl Iterator<Item = usize> {
    let ends = ends(pattern, digits, Captures::Barred);
    (0..=digits.len()).filter(move |place| ends >> place & 1 == 1)
}

/// What a capturing group is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Captures {
    Taken,
    Barred,
}

fn ends(pattern: &str, digits: &str, captures: Captures) -> u64 {
    if digits.len() > DIGITS_LIMIT {
        return 0;
    }
    let mut places = [0; 10];
    for (place, byte) in digits.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => places[usize::from(byte - b'0')] |= 1 << place,
            _ => return 0,
        }
    }
    let mut walk =
        Walk { pattern: pattern.as_bytes(), at: 0, places, end: 1 << digits.len(), captures };
    let ends = walk.alternatives(1);
    // A sign that is not of the language leaves something unread, and then nothing matches.
    if walk.at == walk.pattern.len() { ends } else { 0 }
}

/// A walk along a pattern. Bit n of a set of places is the place before digit n.
struct Walk<'a> {
    pattern: &'a [u8],
    at: usize,
    /// The places before each of the ten digits.
    places: [u64; 10],
    /// The place after the last digit.
    end: u64,
    captures: Captures,
}

impl Walk<'_> {
    /// `a|b|c`, up to the end of the pattern or of the group.
    fn alternatives(&mut self, starts: u64) -> u64 {
        let (mut ends, mut reached) = (0, starts);
        loop {
            match self.peek() {
                None | Some(b')') => return ends | reached,
                Some(b'|') => {
                    self.at += 1;
                    ends |= reached;
                    reached = starts;
                }
                Some(_) => match self.repeated(reached) {
                    Some(places) => reached = places,
                    None => return 0,
                },
            }
        }
    }

    /// An atom, and how often; `None` where the pattern is not of the language.
    fn repeated(&mut self, starts: u64) -> Option<u64> {
        let atom = self.at;
        let once = self.atom(starts)?;
        match self.peek() {
            Some(b'?') => {
                self.at += 1;
                Some(starts | once)
            }
            Some(b'{') => {
                let (least, most) = self.bounds()?;
                let after = self.at;
                let mut reached = once;
                let mut ends = if least <= 1 { once } else { 0 };
                for times in 2..=most {
                    self.at = atom;
                    reached = self.atom(reached)?;
                    if times >= least {
                        ends |= reached;
                    }
                }
                self.at = after;
                Some(if least == 0 { ends | starts } else { ends })
            }
            _ => Some(once),
        }
    }

    fn atom(&mut self, starts: u64) -> Option<u64> {
        let sign = self.next()?;
        match sign {
            b'0'..=b'9' => Some(self.step(starts, 1 << (sign - b'0'))),
            b'\\' => (self.next()? == b'd').then(|| self.step(starts, 0x3ff)),
            b'[' => {
                let class = self.class()?;
                Some(self.step(starts, class))
            }
            b'$' => Some(starts & self.end),
            b'(' => {
                let silent = self.pattern[self.at..].starts_with(b"?:");
                self.at += if silent { 2 } else { 0 };
                let ends = self.alternatives(starts);
                let counts = silent || self.captures == Captures::Taken;
                (self.next()? == b')').then_some(if counts { ends } else { 0 })
            }
            _ => None,
        }
    }

    /// Over one digit of a class; bit n of the class is the digit n.
    fn step(&self, starts: u64, class: u16) -> u64 {
        let digits = self.places.iter().enumerate().filter(|(digit, _)| class >> digit & 1 == 1);
        (starts & digits.fold(0, |all, (_, places)| all | places)) << 1
    }

    /// The rest of `[0-35]`.
    fn class(&mut self) -> Option<u16> {
        let mut class = 0_u16;
        loop {
            let first = match self.next()? {
                b']' => return Some(class),
                sign => digit(sign)?,
            };
            let mut last = first;
            if self.peek() == Some(b'-') {
                self.at += 1;
                last = digit(self.next()?)?;
            }
            for member in first..=last {
                class |= 1 << member;
            }
        }
    }

    /// `{n}` or `{n,m}`.
    fn bounds(&mut self) -> Option<(u32, u32)> {
        self.at += 1;
        let least = self.number()?;
        let most = match self.next()? {
            b'}' => return Some((least, least)),
            b',' => self.number()?,
            _ => return None,
        };
        (self.next()? == b'}' && least <= most).then_some((least, most))
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = digit(self.next()?)?;
        while let Some(next) = self.peek().and_then(digit) {
            self.at += 1;
            // No bound is above the count of places.
            number = (number * 10 + next).min(u64::BITS);
        }
        Some(number)
    }

    fn peek(&mut self) -> Option<u8> {
        // Patterns are written over several lines for readers.
        while self.pattern.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.pattern.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let sign = self.peek()?;
        self.at += 1;
        Some(sign)
    }
}

fn digit(sign: u8) -> Option<u32> {
    sign.is_ascii_digit().then(|| u32::from(sign - b'0'))
}

#[cfg(test)]
mod tests {
    use phonenumber::metadata::DATABASE;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};
    use regex::Regex;

    use super::*;

    #[test]
    fn each_sign_of_the_language_means_what_it_means_in_a_regular_expression() {
        for (pattern, matches, fails) in [
            ("12", &["12"][..], &["1", "123", ""][..]),
            ("1\\d3", &["103", "193"], &["13"]),
            ("[0-24]9", &["09", "29", "49"], &["39", "59"]),
            ("1?2", &["12", "2"], &["1", "112"]),
            ("1{3}", &["111"], &["11", "1111"]),
            ("1{0,2}2", &["2", "12", "112"], &["1112"]),
            ("\\d{2,4}", &["12", "1234"], &["1", "12345"]),
            ("(?:12|3)4", &["124", "34"], &["4", "123"]),
            ("1(?:2(?:3|4))?5", &["15", "1235", "1245"], &["125"]),
            ("(?:12){2}", &["1212"], &["12", "121212"]),
            ("(1)2|3", &["12", "3"], &["2"]),
            ("  1\n  (?:\n 2 )", &["12"], &["1"]),
            ("1|12|123", &["1", "12", "123"], &["1234"]),
            ("(12)$|1", &["12", "1"], &["123"]),
        ] {
            for digits in matches {
                assert!(is_match(pattern, digits), "{pattern} {digits}");
            }
            for digits in fails {
                assert!(!is_match(pattern, digits), "{pattern} {digits}");
            }
        }
    }

    #[test]
    fn a_pattern_that_is_not_of_the_language_matches_nothing() {
        for pattern in
            ["1+", "1*", "[^1]", "1)", "(1", "[1", "1{", "1{2", "1{2,1}", ".", "\\D", "^1"]
        {
            assert!(!is_match(pattern, "1") && !is_match(pattern, "11"), "{pattern}");
        }
    }

    #[test]
    fn the_ends_without_captures_leave_no_digit_in_a_group() {
        let ends = |pattern, digits| ends_without_captures(pattern, digits).collect::<Vec<_>>();
        assert_eq!(ends("0|80?", "80291"), [1, 2]);
        assert_eq!(ends("0(1\\d)?", "0123"), [1]);
        assert_eq!(ends("([457]\\d{6})$|1", "12345"), [1]);
        assert_eq!(ends("([457]\\d{6})$|1", "4123456"), [0; 0]);
    }

    #[test]
    fn every_pattern_of_every_plan_answers_like_its_regular_expression() {
        let seed = 40;
        println!("seed {seed}");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (mut patterns, mut matches) = (0, 0);
        for plan in DATABASE.iter() {
            let types = plan.descriptors();
            let kinds = [types.mobile(), types.fixed_line(), types.toll_free(), types.voip()];
            for kind in std::iter::once(types.general()).chain(kinds.into_iter().flatten()) {
                let pattern = kind.national_number().as_str();
                let whole = Regex::new(&format!("^(?x-u:{pattern})$")).unwrap();
                let Some(example) = kind.example().or(types.general().example()) else { continue };
                patterns += 1;
                for _ in 0..40 {
                    let digits = nearly(&mut rng, example);
                    let ours = is_match(pattern, &digits);
                    assert_eq!(ours, whole.is_match(&digits), "{} {pattern} {digits}", plan.id());
                    matches += usize::from(ours);
                }
            }
        }
        println!("{patterns} patterns, {matches} matches");
        assert!(patterns > 700 && matches > 10_000);
    }

    /// The digits of an example, a few of them exchanged, added or taken away.
    fn nearly(rng: &mut ChaCha20Rng, example: &str) -> String {
        let mut digits = example.to_owned();
        for _ in 0..rng.next_u32() % 4 {
            let place = rng.next_u32() as usize % digits.len();
            let digit = char::from(b'0' + (rng.next_u32() % 10) as u8);
            match rng.next_u32() % 6 {
                0 => digits.insert(place, digit),
                1 if digits.len() > 1 => drop(digits.remove(place)),
                _ => digits.replace_range(place..=place, digit.encode_utf8(&mut [0])),
            }
        }
        digits
    }
}
