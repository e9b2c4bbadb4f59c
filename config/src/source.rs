//! Texts of files, and places in them.

/// A file that the daemon has read.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name as diagnostics should show it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}
