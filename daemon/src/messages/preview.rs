//! What a text would be cut into, before it is sent.

use super::coding::{self, Alphabet};
use super::{Content, CreateError};
use crate::app::App;

/// A text as short messages would carry it.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// Its alphabet.
    pub alphabet: Alphabet,
    /// How many parts.
    pub segments: usize,
    /// How many septets or 16-bit words.
    pub units: usize,
    /// How many of them a part holds, for so many parts.
    pub units_per_segment: usize,
    /// How many are left in the last part.
    pub units_left: usize,
    /// The characters for which the default alphabet will not do, each once.
    pub forcing: Vec<char>,
    /// The wording, with every place of the template filled in. Not for logs.
    pub text: String,
}

/// Cuts a text as the route of texts would. Nothing is stored and nothing sent.
pub fn preview(app: &App, content: &Content) -> Result<Preview, CreateError> {
    Ok(of(super::wording(&app.settings(), content)?))
}

fn of(text: String) -> Preview {
    let alphabet = Alphabet::of(&text);
    let coded = coding::code(&text, alphabet);
    let octets = match alphabet {
        Alphabet::Gsm7 => 1,
        Alphabet::Ucs2 => 2,
    };
    let room = if coded.parts.len() == 1 { alphabet.alone() } else { alphabet.in_part() };
    let last = coded.parts.last().map_or(0, Vec::len) / octets;
    Preview {
        alphabet,
        segments: coded.parts.len(),
        units: coded.parts.iter().map(Vec::len).sum::<usize>() / octets,
        units_per_segment: room,
        units_left: room - last,
        forcing: coding::forcing(&text),
        text,
    }
}
