//! The search for what may stand nowhere in clear: full numbers, codes, passwords.

use crate::database::Look;
use crate::gateway::{DESTINATION_PREFIX, POOL_PREFIX};
use crate::kamailio::Account;

/// Texts whose every spelling is searched for.
#[derive(Clone, Debug, Default)]
pub struct Canary {
    secrets: Vec<String>,
    /// A secret and one of its spellings.
    spellings: Vec<(usize, &'static str, Vec<u8>)>,
    /// Digits in front of numbers that are secret whatever follows, with their full length.
    number_prefixes: Vec<(String, usize)>,
}

impl Canary {
    /// Any number of the tests' pool or destinations, and the trunk's password.
    #[must_use]
    pub fn of_all_tests() -> Self {
        let mut canary = Self::default();
        canary.add(&Account::default().password);
        for prefix in [POOL_PREFIX, DESTINATION_PREFIX] {
            canary.number_prefixes.push((prefix.trim_start_matches('+').to_owned(), 11));
        }
        canary
    }

    /// A text that may stand nowhere: as it is, in hex, in base64 at each of its three places, and
    /// in both orders of UTF-16.
    pub fn add(&mut self, secret: &str) {
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
        let spelled = self.spellings.iter().filter(|(_, _, spelling)| contains(bytes, spelling));
        let mut hits: Vec<_> =
            spelled.map(|(index, name, _)| format!("{place}: secret {index} as {name}")).collect();
        for (prefix, length) in &self.number_prefixes {
            if has_number(bytes, prefix.as_bytes(), *length) {
                hits.push(format!("{place}: a number {prefix}…"));
            }
        }
        hits
    }

    /// The lines that hold a secret, each with what it holds.
    #[must_use]
    pub fn hits_in_lines(&self, lines: &[String]) -> Vec<String> {
        lines.iter().flat_map(|line| self.hits(line, line.as_bytes())).collect()
    }

    /// Reads every column of every table of the database and searches each value; returns how many
    /// columns and values were read, and the hits.
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
    bytes
        .split(|byte| !byte.is_ascii_digit())
        .any(|run| run.len() == length && run.starts_with(prefix))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
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
        let lines = ["to +79161234567 ok", "to +7916*****67", "t=1795287316708806", "74951239999"];
        assert_eq!(canary.hits_in_lines(&lines.map(str::to_owned)).len(), 2);
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
        assert_eq!(scan.hits, ["\"a\".\"n\": secret 0 as text", "\"b\".\"b\": secret 0 as text"]);
    }
}
