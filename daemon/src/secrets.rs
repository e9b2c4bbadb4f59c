//! The secret key and what is derived from it (HKDF-SHA256 with labels).
//!
//! The key lives outside the database: in a systemd credential, or for SQLite in a file beside
//! it. Whoever reads the database without it learns neither a number nor a code.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use dialplans::{E164, Tail, TrunkName};

use crate::ids::{CallId, MessageId, VerificationId};

/// Bytes of the secret key.
const KEY_LEN: usize = 32;
/// Bytes of the nonce in front of a sealed value.
const NONCE_LEN: usize = 24;
/// Bytes that name the key, in front of the nonce.
const KEY_NAME_LEN: usize = 4;

/// The 32 bytes from which everything else derives. Never prints.
#[derive(Clone)]
pub struct SecretKey([u8; KEY_LEN]);

/// Why a secret key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    /// The file cannot be read or made.
    #[error("the key file {path} cannot be used: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("the key file {path} can be read by others: its mode must be 0600 or less")]
    Readable {
        /// Which file.
        path: PathBuf,
    },
    /// It is neither 32 bytes nor 64 hexadecimal digits.
    #[error("a secret key is 32 bytes, or 64 hexadecimal digits")]
    Length,
}

impl SecretKey {
    /// Takes 32 bytes as they are, or 64 hexadecimal digits with white space around them.
    pub fn parse(bytes: &[u8]) -> Result<Self, SecretKeyError> {
        if let Ok(key) = bytes.try_into() {
            return Ok(Self(key));
        }
        let digits = bytes.trim_ascii();
        let mut key = [0; KEY_LEN];
        if digits.len() != 2 * KEY_LEN {
            return Err(SecretKeyError::Length);
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let high = hex_value(pair[0]).ok_or(SecretKeyError::Length)?;
            let low = hex_value(pair[1]).ok_or(SecretKeyError::Length)?;
            *byte = high << 4 | low;
        }
        Ok(Self(key))
    }

    /// Draws a fresh one.
    pub fn generate(rng: &mut ChaCha20Rng) -> Self {
        let mut key = [0; KEY_LEN];
        rng.fill_bytes(&mut key);
        Self(key)
    }

    /// Where the key of an SQLite database is kept when the configuration names none.
    pub fn path_beside(database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push(".key");
        PathBuf::from(name)
    }

    /// Reads the key file; at the first start it is made, with mode 0600 and synced to the disk
    /// with its folder before this returns, so that no row can outlive its key.
    pub fn load_or_create(path: &Path, rng: &mut ChaCha20Rng) -> Result<Self, SecretKeyError> {
        let failed = |source| SecretKeyError::File { path: path.to_owned(), source };
        match File::open(path) {
            Ok(file) => Self::read(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate(rng);
                match key.create(path) {
                    Ok(()) => Ok(key),
                    // Another process was quicker; its key is the one.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        Self::read(File::open(path).map_err(failed)?, path)
                    }
                    Err(error) => Err(failed(error)),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn read(mut file: File, path: &Path) -> Result<Self, SecretKeyError> {
        let failed = |source| SecretKeyError::File { path: path.to_owned(), source };
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(SecretKeyError::Readable { path: path.to_owned() });
        }
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(256).read_to_end(&mut bytes).map_err(failed)?;
        Self::parse(&bytes)
    }

    fn create(&self, path: &Path) -> io::Result<()> {
        // A name of its own first: a file that was only half written must never be a key.
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        // One that a crash left behind under the same process number is nobody's.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = file
            .write_all(&self.0)
            .and_then(|()| file.sync_all())
            // Unlike a rename, a link fails when the name is taken.
            .and_then(|()| std::fs::hard_link(&temporary, path));
        std::fs::remove_file(&temporary)?;
        written?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The keys derived from one secret key. Cloning it copies a few hundred bytes. Never prints.
#[derive(Clone)]
pub struct Keys {
    code: HmacKey,
    number: HmacKey,
    line: HmacKey,
    call: HmacKey,
    proof: HmacKey,
    seal: SealKey,
    /// Keys that were replaced: they open what they sealed and match codes that are still open.
    old: Vec<OldKeys>,
}

#[derive(Clone)]
struct SealKey {
    check: [u8; 32],
    name: [u8; KEY_NAME_LEN],
    cipher: XChaCha20Poly1305,
}

#[derive(Clone)]
struct OldKeys {
    code: HmacKey,
    seal: SealKey,
}

type HmacKey = Hmac<Sha256>;

/// Which column a sealed value stands in: part of what the seal binds it to, beside the row's
/// id, so that a value cannot be moved to another column or row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedColumn(pub &'static str);

/// A sealed value was not made with this key, or for another row, or was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value cannot be opened")]
pub struct UnsealError;

impl Keys {
    /// Derives all keys.
    pub fn derive(secret: &SecretKey) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, &secret.0);
        let expand = |label: &str| {
            let mut key = [0; 32];
            hkdf.expand(label.as_bytes(), &mut key).expect("HKDF-SHA256 gives up to 8160 bytes");
            key
        };
        let hmac = |label| {
            <HmacKey as hmac::KeyInit>::new_from_slice(&expand(label))
                .expect("HMAC takes a key of any length")
        };
        let check = expand("key-check/v1");
        let mut name = [0; KEY_NAME_LEN];
        name.copy_from_slice(&Sha256::digest(check)[..KEY_NAME_LEN]);
        let cipher = XChaCha20Poly1305::new(&expand("seal/v1").into());
        Self {
            code: hmac("code-hmac/v1"),
            number: hmac("number-hmac/v1"),
            line: hmac("line/v1"),
            call: hmac("call-id/v1"),
            proof: hmac("proof/v1"),
            seal: SealKey { check, name, cipher },
            old: Vec::new(),
        }
    }

    /// Adds keys that were replaced: what they sealed opens and open codes still match, while
    /// all that is written uses the present key. What is only searched by equality (limits, the
    /// tails of 24 hours, lists by number) begins anew.
    pub fn with_old(mut self, secrets: &[SecretKey]) -> Self {
        self.old = secrets
            .iter()
            .map(|secret| {
                let Self { code, seal, .. } = Self::derive(secret);
                OldKeys { code, seal }
            })
            .collect();
        self
    }

    /// What is stored of a code: over the verification's id and the digits.
    pub fn code_hmac(&self, verification_id: VerificationId, digits: &str) -> [u8; 32] {
        code_mac(&self.code, verification_id, digits)
    }

    /// Whether these digits are the code that is stored, in constant time.
    pub fn code_matches(
        &self,
        verification_id: VerificationId,
        digits: &str,
        stored: &[u8; 32],
    ) -> bool {
        std::iter::once(&self.code)
            .chain(self.old.iter().map(|old| &old.code))
            .any(|key| code_mac(key, verification_id, digits).ct_eq(stored).into())
    }

    /// What stands for a number where equality is searched.
    pub fn number_hmac(&self, number: &E164) -> [u8; 32] {
        mac(&self.number, &[b"number", number.reveal().as_bytes()])
    }

    /// What is kept for 24 hours of a tail that a number was shown.
    pub fn tail_hmac(&self, to: &E164, tail: &Tail) -> [u8; 32] {
        let tail = tail.reveal();
        mac(&self.number, &[b"tail", to.reveal().as_bytes(), b"/", tail.as_bytes()])
    }

    /// What stands for a client's text where equality is searched: an idempotency key, a
    /// request's body, a limit's subject. `purpose` keeps uses apart.
    pub fn text_hmac(&self, purpose: &'static str, parts: &[&[u8]]) -> [u8; 32] {
        let mut hmac = self.number.clone();
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part);
        }
        hmac.finalize().into_bytes().into()
    }

    /// What makes an id a proof of an account.
    pub fn proof_mark(&self, account: &str, id: &str) -> [u8; 32] {
        // Neither holds a NUL.
        mac(&self.proof, &[account.as_bytes(), &[0], id.as_bytes()])
    }

    /// Whether this is the mark of an id, in constant time.
    pub fn proof_matches(&self, account: &str, id: &str, mark: &[u8]) -> bool {
        self.proof_mark(account, id).as_slice().ct_eq(mark).into()
    }

    /// From which the wire's identifiers of a call derive.
    pub fn call_identity(&self, call_id: CallId) -> sip::CallIdentity {
        sip::CallIdentity(mac(&self.call, &[b"call", &call_id.0.to_be_bytes()]))
    }

    /// From which the wire's identifiers of a text derive.
    pub fn message_identity(&self, message_id: MessageId) -> sip::CallIdentity {
        sip::CallIdentity(mac(&self.call, &[b"message", &message_id.0.to_be_bytes()]))
    }

    /// The `line` token of a trunk's Contact: 32 hexadecimal digits that a restart keeps.
    pub fn line_token(&self, trunk: &TrunkName) -> String {
        let token = mac(&self.line, &[trunk.as_str().as_bytes()]);
        token[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals a value for one row and column (XChaCha20-Poly1305).
    pub fn seal(
        &self,
        rng: &mut ChaCha20Rng,
        column: SealedColumn,
        row_id: u128,
        plain: &[u8],
    ) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let aad = associated_data(column, row_id);
        let sealed = self
            .seal
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad })
            .expect("XChaCha20-Poly1305 seals values of up to 256 GiB");
        [&self.seal.name[..], &nonce, &sealed].concat()
    }

    /// Opens what [`Keys::seal`] made for the same row and column.
    pub fn unseal(
        &self,
        column: SealedColumn,
        row_id: u128,
        sealed: &[u8],
    ) -> Result<Vec<u8>, UnsealError> {
        let (name, rest) = sealed.split_first_chunk::<KEY_NAME_LEN>().ok_or(UnsealError)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError)?;
        let key = std::iter::once(&self.seal)
            .chain(self.old.iter().map(|old| &old.seal))
            .find(|key| key.name == *name)
            .ok_or(UnsealError)?;
        let aad = associated_data(column, row_id);
        key.cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad })
            .map_err(|_| UnsealError)
    }

    /// What the database keeps to notice another key at start.
    pub fn check_value(&self) -> [u8; 32] {
        self.seal.check
    }

    /// Whether a stored key-check value is that of a replaced key.
    pub fn is_old_check_value(&self, stored: &[u8; 32]) -> bool {
        self.old.iter().any(|old| old.seal.check == *stored)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(***)")
    }
}

fn code_mac(key: &HmacKey, verification_id: VerificationId, digits: &str) -> [u8; 32] {
    mac(key, &[&verification_id.0.to_be_bytes(), digits.as_bytes()])
}

fn mac(key: &HmacKey, parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = key.clone();
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

fn associated_data(column: SealedColumn, row_id: u128) -> Vec<u8> {
    [column.0.as_bytes(), b"/", &row_id.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    const COLUMN: SealedColumn = SealedColumn("verification.to");

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([1; 32])
    }

    fn keys(byte: u8) -> Keys {
        Keys::derive(&SecretKey([byte; 32]))
    }

    #[test]
    fn a_sealed_value_opens_only_for_its_row_column_and_key() {
        let sealed = keys(1).seal(&mut rng(), COLUMN, 7, b"+79161234567");
        assert_eq!(keys(1).unseal(COLUMN, 7, &sealed).unwrap(), b"+79161234567");
        assert_eq!(keys(1).unseal(COLUMN, 8, &sealed), Err(UnsealError));
        assert_eq!(keys(1).unseal(SealedColumn("call.dialled"), 7, &sealed), Err(UnsealError));
        assert_eq!(keys(2).unseal(COLUMN, 7, &sealed), Err(UnsealError));
        for place in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[place] ^= 1;
            assert_eq!(keys(1).unseal(COLUMN, 7, &damaged), Err(UnsealError), "{place}");
            assert_eq!(keys(1).unseal(COLUMN, 7, &sealed[..place]), Err(UnsealError), "{place}");
        }
    }

    #[test]
    fn the_same_value_sealed_twice_differs() {
        let mut rng = rng();
        let first = keys(1).seal(&mut rng, COLUMN, 7, b"+79161234567");
        assert_ne!(first, keys(1).seal(&mut rng, COLUMN, 7, b"+79161234567"));
    }

    #[test]
    fn the_same_code_of_two_verifications_is_stored_differently() {
        let keys = keys(1);
        let stored = keys.code_hmac(VerificationId(1), "1234");
        assert!(keys.code_matches(VerificationId(1), "1234", &stored));
        assert!(!keys.code_matches(VerificationId(2), "1234", &stored));
        assert!(!keys.code_matches(VerificationId(1), "1235", &stored));
    }

    #[test]
    fn parts_of_a_hashed_text_cannot_be_shifted_into_each_other() {
        let keys = keys(1);
        assert_ne!(keys.text_hmac("key", &[b"ab", b"c"]), keys.text_hmac("key", &[b"a", b"bc"]));
        assert_ne!(keys.text_hmac("key", &[b"a"]), keys.text_hmac("body", &[b"a"]));
    }

    #[test]
    fn a_key_is_32_bytes_or_64_hexadecimal_digits() {
        let hex = "0f".repeat(32);
        assert_eq!(SecretKey::parse(format!(" {hex}\n").as_bytes()).unwrap().0, [15; 32]);
        assert_eq!(SecretKey::parse(&[15; 32]).unwrap().0, [15; 32]);
        for bytes in [&b""[..], &[0; 31], &[0; 33], "0g".repeat(32).as_bytes()] {
            assert!(matches!(SecretKey::parse(bytes), Err(SecretKeyError::Length)));
        }
    }

    #[test]
    fn a_replaced_key_opens_what_it_sealed_and_seals_nothing_more() {
        let old = keys(1);
        let rotated = keys(2).with_old(&[SecretKey([1; 32])]);
        let sealed = old.seal(&mut rng(), COLUMN, 7, b"+79161234567");
        assert_eq!(rotated.unseal(COLUMN, 7, &sealed).unwrap(), b"+79161234567");
        let stored = old.code_hmac(VerificationId(1), "1234");
        assert!(rotated.code_matches(VerificationId(1), "1234", &stored));
        assert!(rotated.is_old_check_value(&old.check_value()));
        let sealed = rotated.seal(&mut rng(), COLUMN, 7, b"+79161234567");
        assert_eq!(old.unseal(COLUMN, 7, &sealed), Err(UnsealError));
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone_and_read_from_then_on() {
        let folder = std::env::temp_dir().join(format!("dozvon-key-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = SecretKey::path_beside(&folder.join("dozvon.db"));
        let made = SecretKey::load_or_create(&path, &mut rng()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = &mut ChaCha20Rng::from_seed([2; 32]);
        assert_eq!(SecretKey::load_or_create(&path, other).unwrap().0, made.0);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = SecretKey::load_or_create(&path, other);
        assert!(matches!(refused, Err(SecretKeyError::Readable { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn neither_key_prints_a_byte() {
        assert_eq!(format!("{:?} {:?}", SecretKey([7; 32]), keys(7)), "SecretKey(***) Keys(***)");
    }
}
