//! The search for what may stand nowhere in clear: full numbers, codes, passwords.

mod unfold;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

use crate::database::Look;
use crate::gateway::{CODE_LENGTH, DESTINATION_PREFIX, POOL_PREFIX};
use crate::kamailio::Account;

/// Texts whose every spelling is searched for.
#[derive(Clone, Debug, Default)]
pub struct Canary {
    secrets: Vec<String>,
    /// A secret and one of its spellings.
    spellings: Vec<(usize, &'static str, Vec<u8>)>,
    /// Digits in front of numbers and codes that are secret whatever follows, with their full
    /// length.
    number_prefixes: Vec<(String, usize)>,
    /// Made of the spellings at the first search.
    search: OnceLock<AhoCorasick>,
}

impl Canary {
    /// Any number of the tests' pool or destinations, any code, and the trunk's password.
    #[must_use]
    pub fn of_all_tests() -> Self {
        let mut canary = Self::default();
        canary.add(&Account::default().password);
        for prefix in [POOL_PREFIX, DESTINATION_PREFIX] {
            canary.number_prefixes.push((prefix.trim_start_matches('+').to_owned(), 11));
        }
        let pool = POOL_PREFIX.trim_start_matches('+');
        let front = &pool[11 - usize::from(CODE_LENGTH)..];
        canary.number_prefixes.push((front.to_owned(), usize::from(CODE_LENGTH)));
        canary
    }

    /// A text that may stand nowhere: as it is, in hex, in base64 at each of its three places, and
    /// in both orders of UTF-16.
    pub fn add(&mut self, secret: &str) {
        self.search = OnceLock::new();
        let index = self.secrets.len();
        self.secrets.push(secret.to_owned());
        let bytes = secret.as_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut spell = |name, spelling| self.spellings.push((index, name, spelling));
        spell("text", bytes.to_vec());
        spell("upper-case hex", hex.to_uppercase().into_bytes());
        spell("hex", hex.into_bytes());
        spell("utf-16", secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
        spell("utf-16 big-endian", secret.encode_utf16().flat_map(u16::to_be_bytes).collect());
        for offset in 0..3 {
            spell("base64", base64_core(bytes, offset));
        }
    }

    /// A number in E.164: its digits with and without the plus, and as an integer in eight bytes.
    ///
    /// # Panics
    /// When `number` is not a plus and digits.
    pub fn add_number(&mut self, number: &str) {
        // The digits are inside the form with the plus, so they cover both.
        let digits = number.trim_start_matches('+');
        self.add(digits);
        let index = self.secrets.len() - 1;
        let value: u64 = digits.parse().expect("a number has digits");
        self.spellings.push((index, "integer", value.to_be_bytes().to_vec()));
        self.spellings.push((index, "little-endian integer", value.to_le_bytes().to_vec()));
    }

    /// Where secrets stand in `bytes`: one line for each spelling found, without the secret.
    #[must_use]
    pub fn hits(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let search = self.search.get_or_init(|| {
            let spellings = self.spellings.iter().map(|(_, _, spelling)| spelling);
            AhoCorasick::new(spellings).expect("the spellings are few and short")
        });
        // Nearly every line has none, whatever the number of spellings.
        let found = search.find_overlapping_iter(bytes).map(|hit| hit.pattern().as_usize());
        let found: BTreeSet<usize> = found.collect();
        let spelled = found.into_iter().map(|at| &self.spellings[at]);
        let mut hits: Vec<_> =
            spelled.map(|(index, name, _)| format!("{place}: secret {index} as {name}")).collect();
        for (prefix, length) in &self.number_prefixes {
            if has_number(bytes, prefix.as_bytes(), *length) {
                hits.push(format!("{place}: a number {prefix}…"));
            }
        }
        hits
    }

    /// The lines that hold a secret, each with what it holds: as it stands there, or inside of what
    /// the line has in hex, in base64, in UTF-16 or as a list of bytes.
    #[must_use]
    pub fn hits_in_lines(&self, lines: &[String]) -> Vec<String> {
        let mut hits = Vec::new();
        for line in lines {
            hits.extend(self.hits(line, line.as_bytes()));
            for (spelling, inner) in unfold::unfolded(line.as_bytes()) {
                hits.extend(self.hits(&format!("{line} (in its {spelling})"), &inner));
            }
        }
        hits
    }

    /// Whether any number with these digits is searched for in clear without being added.
    #[must_use]
    pub fn knows(&self, number: &str) -> bool {
        let digits = number.trim_start_matches('+').as_bytes();
        let prefixes = self.number_prefixes.iter();
        prefixes.clone().any(|(prefix, length)| has_number(digits, prefix.as_bytes(), *length))
    }

    /// Reads every column of every table of the database and searches each value, and then the files
    /// in which the database and its log lie; returns how much was read, and the hits.
    ///
    /// # Panics
    /// When the database cannot be read.
    pub async fn scan_database(&self, url: &str) -> Scan {
        let (mut look, mut scan) = (Look::into(url).await, Scan::default());
        for (table, column) in look.columns().await {
            scan.columns += 1;
            for value in look.values(&table, &column).await {
                scan.values += 1;
                scan.hits.extend(self.hits(&format!("{table}.{column}"), &value));
            }
        }
        for (path, bytes) in look.files().await {
            scan.files += 1;
            scan.hits.extend(self.hits(&path, &bytes));
        }
        scan
    }
}

/// What a search of a database read and found.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Columns of all tables.
    pub columns: usize,
    /// Values that were not null.
    pub values: usize,
    /// Files of the database and of its log.
    pub files: usize,
    /// Where a secret stood.
    pub hits: Vec<String>,
}

/// The part of the base64 of `secret` that does not depend on its neighbours, when `offset` bytes
/// of them share its first group.
fn base64_core(secret: &[u8], offset: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut padded = vec![0; offset];
    padded.extend(secret);
    let bit = |at: usize| padded.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let sextet = |n: usize| (0..6).fold(0, |value, b| value << 1 | usize::from(bit(n * 6 + b)));
    let first = (offset * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    (first..last).map(|n| ALPHABET[sextet(n)]).collect()
}

/// Whether a run of exactly `length` digits that begins with `prefix` stands in `bytes`.
fn has_number(bytes: &[u8], prefix: &[u8], length: usize) -> bool {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    memchr::memmem::find_iter(bytes, prefix).any(|at| {
        let whole = (at..at + length).all(is_digit);
        whole && !is_digit(at + length) && !at.checked_sub(1).is_some_and(is_digit)
    })
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, SqliteConnection};

    use super::*;

    #[test]
    fn a_number_is_found_in_every_spelling_and_place() {
        let mut canary = Canary::default();
        canary.add_number("+74951230042");
        let utf_16: Vec<u8> = "a74951230042b".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [
            b"x +74951230042;".to_vec(),
            b"3734393531323330303432".to_vec(),
            utf_16,
            // The same number behind nothing, one and two other bytes, as base64 writes it.
            b"NzQ5NTEyMzAwNDI=".to_vec(),
            b"eDc0OTUxMjMwMDQy".to_vec(),
            b"eHg3NDk1MTIzMDA0Mg==".to_vec(),
            74_951_230_042_u64.to_be_bytes().to_vec(),
        ] {
            assert!(!canary.hits("here", &bytes).is_empty(), "{bytes:?}");
        }
        assert!(canary.hits("here", b"74951230043 7495*****42").is_empty());
    }

    #[test]
    fn any_full_number_of_the_tests_is_found_and_a_masked_one_is_not() {
        let canary = Canary::of_all_tests();
        let lines = [
            "to +79161234567 ok",
            "code 951230042",
            "to +7916*****67",
            "t=1795287316708806",
            "74951239999",
            // The first number in hex, in base64 and as Debug prints bytes.
            "id 3739313631323334353637",
            "body eyJ0byI6Iis3OTE2MTIzNDU2NyJ9",
            "[55, 57, 49, 54, 49, 50, 51, 52, 53, 54, 55]",
            "7\\09\\01\\06\\01\\02\\03\\04\\05\\06\\07",
        ];
        for (line, secret) in lines.into_iter().zip([1, 1, 0, 0, 1, 1, 1, 1, 1]) {
            assert_eq!(canary.hits_in_lines(&[line.to_owned()]).len(), secret, "{line}");
        }
    }

    #[tokio::test]
    async fn a_value_in_any_column_of_sqlite_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db?mode=rwc", folder.path().display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        for statement in [
            "create table a (n integer, t text) strict",
            "create table b (b blob) strict",
            "insert into a values (74951230042, 'none')",
            "insert into b values (x'3734393531323330303432'), (null)",
        ] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        let mut canary = Canary::default();
        canary.add_number("+74951230042");
        let scan = canary.scan_database(&url).await;
        assert_eq!((scan.columns, scan.values), (3, 3));
        assert_eq!(
            scan.hits[..2],
            ["\"a\".\"n\": secret 0 as text", "\"b\".\"b\": secret 0 as text"]
        );
        assert!(
            scan.files == 1 && scan.hits.len() > 2,
            "the file itself was not searched: {scan:?}"
        );
    }
}
