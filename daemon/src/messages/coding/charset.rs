//! In which ways the octets of a text from outside may be read. Pure.

use super::{Alphabet, decode};
use crate::verification::status::words;

words! {
    /// How the octets of a text from outside are read (SMPP 3.4 section 5.2.19).
    Charset {
        /// The GSM default alphabet, a septet in each octet.
        Gsm7 = "gsm7",
        /// UTF-16 with the high octet first.
        Ucs2 = "ucs2",
        /// ASCII; what is above it is read as Latin 1.
        Ascii = "ascii",
        /// ISO 8859-1.
        Latin1 = "latin1",
        /// ISO 8859-5.
        Cyrillic = "cyrillic",
    }
}

impl Charset {
    /// By the data coding of a delivery. `None`: it is no text, or an alphabet that nobody here
    /// reads. What a message centre calls its own default is the GSM alphabet.
    pub fn of_data_coding(data_coding: u8) -> Option<Self> {
        // Groups of 3GPP TS 23.038 section 4: general with or without a message class, and the
        // one that has nothing but a class.
        match data_coding {
            0x00 | 0x10..=0x13 | 0xf0..=0xf3 => Some(Self::Gsm7),
            0x01 => Some(Self::Ascii),
            0x03 => Some(Self::Latin1),
            0x06 => Some(Self::Cyrillic),
            0x08 | 0x18..=0x1b => Some(Self::Ucs2),
            _ => None,
        }
    }

    fn read(self, octets: &[u8]) -> String {
        match self {
            Self::Gsm7 => decode(octets, Alphabet::Gsm7),
            Self::Ucs2 => decode(octets, Alphabet::Ucs2),
            Self::Ascii | Self::Latin1 => octets.iter().map(|&octet| char::from(octet)).collect(),
            Self::Cyrillic => octets.iter().map(|&octet| cyrillic(octet)).collect(),
        }
    }
}

/// The Cyrillic block stands at 0xa1 in its own order, but for three places.
fn cyrillic(octet: u8) -> char {
    match octet {
        0xf0 => '№',
        0xfd => '§',
        0x00..=0xa0 | 0xad => char::from(octet),
        _ => char::from_u32(u32::from(octet) - 0xa0 + 0x400).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// A part of a text.
pub enum Piece<'a> {
    /// It came.
    Octets(&'a [u8], Charset),
    /// It did not; this stands for it.
    Missing(&'static str),
}

/// The text of its parts, in order. Octets that are read alike are read in one go, for a pair that
/// makes one character may have been cut; control characters but line ends and tabs are left out.
pub fn join<'a>(pieces: impl IntoIterator<Item = Piece<'a>>) -> String {
    let mut text = String::new();
    let mut run: Option<(Charset, Vec<u8>)> = None;
    for piece in pieces {
        match (piece, &mut run) {
            (Piece::Octets(octets, charset), Some((present, all))) if charset == *present => {
                all.extend(octets);
            }
            (Piece::Octets(octets, charset), run) => {
                finish(&mut text, run.replace((charset, octets.to_vec())));
            }
            (Piece::Missing(gap), run) => {
                finish(&mut text, run.take());
                if !text.ends_with(gap) {
                    text.push_str(gap);
                }
            }
        }
    }
    finish(&mut text, run);
    text
}

fn finish(text: &mut String, run: Option<(Charset, Vec<u8>)>) {
    let Some((charset, octets)) = run else { return };
    let is_plain = |c: &char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.extend(charset.read(&octets).chars().filter(is_plain));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(octets: &[u8], charset: Charset) -> String {
        join([Piece::Octets(octets, charset)])
    }

    #[test]
    fn each_alphabet_is_read_as_its_standard_has_it() {
        assert_eq!(one(&[0x00, 0x1b, 0x65, b'a'], Charset::Gsm7), "@€a");
        assert_eq!(one(&[0x04, 0x16, 0, b'1'], Charset::Ucs2), "Ж1");
        assert_eq!(one(b"caf\xe9", Charset::Latin1), "café");
        let cyrillic = [0xa1, 0xb6, 0xd6, 0xf1, 0xf0, b' ', 0xfd, 0xff];
        assert_eq!(one(&cyrillic, Charset::Cyrillic), "ЁЖжё№ §џ");
    }

    #[test]
    fn a_character_that_was_cut_between_two_parts_is_whole_again() {
        let smile = [0xd8, 0x3d, 0xde, 0x00];
        let (high, low) = smile.split_at(2);
        let pieces = [Piece::Octets(high, Charset::Ucs2), Piece::Octets(low, Charset::Ucs2)];
        assert_eq!(join(pieces), "😀");
        let pieces = [Piece::Octets(&[0x1b], Charset::Gsm7), Piece::Octets(&[0x65], Charset::Gsm7)];
        assert_eq!(join(pieces), "€");
    }

    #[test]
    fn parts_in_several_alphabets_are_each_read_in_their_own_and_gaps_show() {
        let pieces = [
            Piece::Missing("[…]"),
            Piece::Missing("[…]"),
            Piece::Octets(b"a", Charset::Gsm7),
            Piece::Octets(&[0x04, 0x16], Charset::Ucs2),
            Piece::Missing("[…]"),
            Piece::Octets(b"b", Charset::Gsm7),
        ];
        assert_eq!(join(pieces), "[…]aЖ[…]b");
    }

    #[test]
    fn control_characters_are_no_part_of_a_text() {
        assert_eq!(one(&[0, 7, 0, b'a', 0, b'\n', 0, 0], Charset::Ucs2), "a\n");
        assert_eq!(one(b"a\x1b[31m", Charset::Latin1), "a[31m");
    }

    #[test]
    fn data_of_machines_is_no_text() {
        for (coding, expected) in [
            (0x00, Some(Charset::Gsm7)),
            (0xf1, Some(Charset::Gsm7)),
            (0x11, Some(Charset::Gsm7)),
            (0x08, Some(Charset::Ucs2)),
            (0x18, Some(Charset::Ucs2)),
            (0x02, None),
            (0x04, None),
            (0x05, None),
            (0xf5, None),
        ] {
            assert_eq!(Charset::of_data_coding(coding), expected, "{coding:#x}");
        }
    }
}
