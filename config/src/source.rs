//! Texts of files, and places in them.

/// A file that the daemon has read.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name as diagnostics should show it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Some bytes of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// Which file, counted in the order they were given.
    pub(crate) file: usize,
    /// The first byte.
    pub(crate) start: usize,
    /// The byte after the last.
    pub(crate) end: usize,
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Spanned<T> {
    /// Another value at the same place.
    pub(crate) fn with<U>(&self, value: U) -> Spanned<U> {
        Spanned { value, span: self.span }
    }
}

impl Source<'_> {
    /// Line and column of a byte, both from 1; the column counts characters.
    pub(crate) fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.line_of(byte);
        let before = &self.text[line.start..self.floor(byte).max(line.start)];
        let number = self.text[..line.start].bytes().filter(|byte| *byte == b'\n').count() + 1;
        (number, before.chars().count() + 1)
    }

    /// The bytes of the line that holds a byte, without its end.
    pub(crate) fn line_of(&self, byte: usize) -> std::ops::Range<usize> {
        let byte = self.floor(byte);
        let start = self.text[..byte].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[byte..].find('\n').map_or(self.text.len(), |at| byte + at);
        let line = &self.text[start..end];
        start..start + line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// The start of the character that holds a byte, so that slicing cannot fail.
    fn floor(&self, byte: usize) -> usize {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_not_bytes() {
        let source = Source { name: "f", text: "a = 1\r\nключ = 2\n" };
        let at = source.text.find('2').unwrap();
        assert_eq!(source.position(at), (2, 8));
        assert_eq!(&source.text[source.line_of(0)], "a = 1");
        assert_eq!(source.position(source.text.len() + 9), (3, 1));
        assert_eq!(source.position(8), (2, 1), "inside a character");
    }
}
