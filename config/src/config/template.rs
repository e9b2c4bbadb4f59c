//! `[templates.NAME]`: texts with places for variables.

/// A text with places for variables, such as `{code} is your {app} code.`
///
/// `{{` and `}}` stand for the braces themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

/// A variable of the template was not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template's variable {name} is not given")]
pub struct MissingVariable {
    /// Its name.
    pub name: String,
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is nothing to send.
    #[error("a template cannot be empty")]
    Empty,
    /// A `{` without its `}`.
    #[error("a {{ has no }}")]
    Open,
    /// A `}` without its `{`.
    #[error("a }} has no {{")]
    Close,
    /// Between the braces stands something other than a name.
    #[error("a variable is named with letters a to z, digits and underscore")]
    Name,
}

impl Template {
    /// Reads a template. Variables are named with `a-z 0-9 _`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(TemplateError::Close);
            }
            let end = rest.find('}').ok_or(TemplateError::Open)?;
            let name = &rest[..end];
            if !is_variable_name(name) {
                return Err(TemplateError::Name);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Variable(name.to_owned()));
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// The text with each variable's value in its place.
    pub fn render<'a>(
        &self,
        value_of: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<String, MissingVariable> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Variable(name) => match value_of(name) {
                    Some(value) => text.push_str(value),
                    None => return Err(MissingVariable { name: name.clone() }),
                },
            }
        }
        Ok(text)
    }

    /// The names of its variables, in order, each as often as it stands there.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable(name) => Some(name.as_str()),
        })
    }

    /// The template as the file spells it.
    pub fn source(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => {
                    text.push_str(&literal.replace('{', "{{").replace('}', "}}"));
                }
                Piece::Variable(name) => text.push_str(&format!("{{{name}}}")),
            }
        }
        text
    }
}

fn is_variable_name(name: &str) -> bool {
    let is_name_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= 32 && name.bytes().all(is_name_byte)
}
