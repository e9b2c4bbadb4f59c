//! The GSM default alphabet and its extension table (3GPP TS 23.038 sections 6.2.1 and 6.2.1.1).

/// The septet that announces one of the extension table.
pub(super) const ESCAPE: u8 = 0x1b;

/// The character of each septet; the one at [`ESCAPE`] is never looked up.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', 'Δ', '_',
    'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', ' ', '!', '"', '#',
    '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', '0', '1', '2', '3', '4', '5', '6',
    '7', '8', '9', ':', ';', '<', '=', '>', '?', '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I',
    'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö',
    'Ñ', 'Ü', '§', '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// The septets of a character: one, or an escape and one; `None`: it is in neither table.
pub(super) fn septets(character: char) -> Option<Septets> {
    let plain = BASIC.iter().position(|&found| found == character);
    match plain {
        Some(septet) if septet != usize::from(ESCAPE) => {
            Some(Septets::One(u8::try_from(septet).expect("the table has 128 places")))
        }
        Some(_escape) => None,
        None => {
            let found = EXTENSION.iter().find(|(_, found)| *found == character);
            found.map(|&(septet, _)| Septets::Escaped(septet))
        }
    }
}

/// How a character stands in the default alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Septets {
    /// In the basic table.
    One(u8),
    /// In the extension table, behind an escape.
    Escaped(u8),
}

/// What a handset shows for unpacked septets: an unknown extension is shown as the character of
/// the basic table (section 6.2.1.1), a lone escape as a space, an octet above 127 as nothing.
pub(super) fn decode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        if octet != ESCAPE {
            text.extend(basic(octet));
            continue;
        }
        match octets.next() {
            None | Some(ESCAPE) => text.push(' '),
            Some(octet) => {
                let found = EXTENSION.iter().find(|(septet, _)| *septet == octet);
                text.extend(found.map(|&(_, character)| character).or_else(|| basic(octet)));
            }
        }
    }
    text
}

fn basic(octet: u8) -> Option<char> {
    BASIC.get(usize::from(octet)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_septet_of_both_tables_goes_there_and_back() {
        for septet in (0..128).filter(|&septet| septet != ESCAPE) {
            let character = BASIC[usize::from(septet)];
            assert_eq!(septets(character), Some(Septets::One(septet)), "{character:?}");
            assert_eq!(decode(&[septet]), character.to_string());
        }
        for (septet, character) in EXTENSION {
            assert_eq!(septets(character), Some(Septets::Escaped(septet)), "{character:?}");
            assert_eq!(decode(&[ESCAPE, septet]), character.to_string());
        }
    }

    #[test]
    fn exactly_137_characters_of_all_that_exist_have_septets() {
        let found = ('\0'..=char::MAX).filter(|&character| septets(character).is_some());
        assert_eq!(found.count(), 127 + 10);
    }

    #[test]
    fn places_of_the_standard_are_where_it_has_them() {
        for (character, septet) in
            [('@', 0x00), ('Δ', 0x10), (' ', 0x20), ('¡', 0x40), ('¿', 0x60), ('à', 0x7f)]
        {
            assert_eq!(septets(character), Some(Septets::One(septet)));
        }
        assert_eq!(septets('ç'), None, "0x09 is the capital one");
    }

    #[test]
    fn what_no_table_has_is_shown_as_a_handset_shows_it() {
        assert_eq!(decode(&[ESCAPE, 0x41]), "A");
        assert_eq!(decode(&[ESCAPE]), " ");
        assert_eq!(decode(&[ESCAPE, ESCAPE]), " ");
        assert_eq!(decode(&[0x41, 0xff, 0x42]), "AB");
    }
}
