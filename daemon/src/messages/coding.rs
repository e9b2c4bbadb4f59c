//! How a text is cut into short messages: alphabet, length, parts. Pure.

mod charset;
mod gsm;

use gsm::Septets;

pub use charset::{Charset, Piece, join};

/// Most parts of one text: ten are 1530 or 670 characters, and phones bear no more gladly.
pub const PARTS_LIMIT: usize = 10;

/// The alphabet of a short message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// The GSM default alphabet with its extension table.
    Gsm7,
    /// UTF-16, which phones read where the standard says UCS-2.
    Ucs2,
}

impl Alphabet {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }

    /// The alphabet of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Gsm7, Self::Ucs2].into_iter().find(|found| found.as_str() == word)
    }

    /// How many units a short message holds that stands alone (3GPP TS 23.040 section 9.2.3.16:
    /// 140 octets).
    pub fn alone(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// How many it holds behind the six octets that say which part it is (section 9.2.3.24.1).
    pub fn in_part(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// The smallest alphabet that has every character.
    pub fn of(text: &str) -> Self {
        let fits = text.chars().all(|character| gsm::septets(character).is_some());
        if fits { Self::Gsm7 } else { Self::Ucs2 }
    }

    /// The units of one character: septets, or 16-bit words.
    fn units(self, character: char) -> usize {
        match self {
            Self::Ucs2 => character.len_utf16(),
            Self::Gsm7 => match gsm::septets(character) {
                Some(Septets::Escaped(_)) => 2,
                Some(Septets::One(_)) | None => 1,
            },
        }
    }
}

/// A text as short messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// Its alphabet.
    pub alphabet: Alphabet,
    /// At least one: unpacked septets, one in each octet, or UTF-16 with the high octet first.
    pub parts: Vec<Vec<u8>>,
}

/// Cuts a text into parts. A pair that makes one character, by an escape or by surrogates, is
/// never cut; what the alphabet lacks becomes a question mark, so ask [`Alphabet::of`] first.
pub fn code(text: &str, alphabet: Alphabet) -> Coded {
    let whole: usize = text.chars().map(|character| alphabet.units(character)).sum();
    let room = if whole <= alphabet.alone() { alphabet.alone() } else { alphabet.in_part() };
    let mut parts = vec![Vec::new()];
    let mut used = 0;
    for character in text.chars() {
        let units = alphabet.units(character);
        if used + units > room {
            parts.push(Vec::new());
            used = 0;
        }
        used += units;
        let part = parts.last_mut().expect("there is a first part");
        put(alphabet, character, part);
    }
    Coded { alphabet, parts }
}

/// The text in one piece, for a field that holds all of it.
pub fn octets(text: &str, alphabet: Alphabet) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    text.chars().for_each(|character| put(alphabet, character, &mut octets));
    octets
}

fn put(alphabet: Alphabet, character: char, octets: &mut Vec<u8>) {
    match alphabet {
        Alphabet::Gsm7 => match gsm::septets(character) {
            Some(Septets::One(septet)) => octets.push(septet),
            Some(Septets::Escaped(septet)) => octets.extend([gsm::ESCAPE, septet]),
            None => octets.push(b'?'),
        },
        Alphabet::Ucs2 => {
            let mut words = [0; 2];
            let words = character.encode_utf16(&mut words);
            octets.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
    }
}

/// The characters for which the default alphabet will not do, each once, in order of appearance.
pub fn forcing(text: &str) -> Vec<char> {
    let mut found = Vec::new();
    for character in text.chars().filter(|&character| gsm::septets(character).is_none()) {
        if !found.contains(&character) {
            found.push(character);
        }
    }
    found
}

/// What a phone shows for these octets. Half a surrogate pair is shown as U+FFFD, and an odd last
/// octet as nothing.
pub fn decode(octets: &[u8], alphabet: Alphabet) -> String {
    match alphabet {
        Alphabet::Gsm7 => gsm::decode(octets),
        Alphabet::Ucs2 => {
            let (words, _odd) = octets.as_chunks::<2>();
            let words: Vec<u16> = words.iter().map(|word| u16::from_be_bytes(*word)).collect();
            String::from_utf16_lossy(&words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> (Alphabet, Vec<usize>) {
        let coded = code(text, Alphabet::of(text));
        let unit = if coded.alphabet == Alphabet::Ucs2 { 2 } else { 1 };
        (coded.alphabet, coded.parts.iter().map(|part| part.len() / unit).collect())
    }

    #[test]
    fn a_text_alone_has_160_septets_and_each_of_several_parts_153() {
        assert_eq!(lengths(&"a".repeat(160)), (Alphabet::Gsm7, vec![160]));
        assert_eq!(lengths(&"a".repeat(161)), (Alphabet::Gsm7, vec![153, 8]));
        assert_eq!(lengths(&"a".repeat(306)), (Alphabet::Gsm7, vec![153, 153]));
        assert_eq!(lengths(&"a".repeat(307)), (Alphabet::Gsm7, vec![153, 153, 1]));
        assert_eq!(lengths(""), (Alphabet::Gsm7, vec![0]));
    }

    #[test]
    fn a_text_in_cyrillic_alone_has_70_characters_and_each_of_several_parts_67() {
        assert_eq!(lengths(&"ж".repeat(70)), (Alphabet::Ucs2, vec![70]));
        assert_eq!(lengths(&"ж".repeat(71)), (Alphabet::Ucs2, vec![67, 4]));
        assert_eq!(lengths(&"ж".repeat(135)), (Alphabet::Ucs2, vec![67, 67, 1]));
    }

    #[test]
    fn an_escape_pair_counts_two_and_is_never_cut() {
        assert_eq!(lengths(&"€".repeat(80)), (Alphabet::Gsm7, vec![160]));
        assert_eq!(lengths(&"€".repeat(81)), (Alphabet::Gsm7, vec![152, 10]));
        let coded = code(&("a".repeat(152) + "€" + &"b".repeat(20)), Alphabet::Gsm7);
        assert_eq!(coded.parts[0].len(), 152);
        assert_eq!(coded.parts[1][..3], [0x1b, 0x65, b'b']);
    }

    #[test]
    fn a_surrogate_pair_is_never_cut() {
        assert_eq!(lengths(&"😀".repeat(35)), (Alphabet::Ucs2, vec![70]));
        assert_eq!(lengths(&"😀".repeat(36)), (Alphabet::Ucs2, vec![66, 6]));
    }

    #[test]
    fn every_part_of_every_mixture_fits_and_together_they_are_the_text() {
        for (step, set) in [(7, "aé€[😀ж\n"), (3, "a€]"), (5, "ж😀ёa")] {
            let set: Vec<char> = set.chars().collect();
            for length in 0..400 {
                let text: String =
                    (0..length).map(|place| set[(place * step + place / 9) % set.len()]).collect();
                let coded = code(&text, Alphabet::of(&text));
                let unit = if coded.alphabet == Alphabet::Ucs2 { 2 } else { 1 };
                let is_alone = coded.parts.len() == 1;
                let room = if is_alone { coded.alphabet.alone() } else { coded.alphabet.in_part() };
                assert!(coded.parts.iter().all(|part| part.len() <= room * unit), "{text}");
                let shown = coded.parts.iter().map(|part| decode(part, coded.alphabet));
                assert_eq!(shown.collect::<String>(), text);
                assert_eq!(coded.parts.concat(), octets(&text, coded.alphabet));
            }
        }
    }

    #[test]
    fn the_characters_that_force_ucs2_are_named_once() {
        assert_eq!(forcing("Код «1» и Код"), "Код«»и".chars().collect::<Vec<_>>());
        assert!(forcing("Hello {world} for 5 €\n").is_empty());
    }

    #[test]
    fn half_a_surrogate_pair_and_an_odd_octet_are_no_text() {
        assert_eq!(decode(&[0xd8, 0x3d, 0x00, 0x41, 0x00], Alphabet::Ucs2), "\u{fffd}A");
    }
}
