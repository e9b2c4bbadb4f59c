//! The arithmetic of a digest (RFC 7616 section 3.4).

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

use crate::hex;
use crate::trunk::DigestAlgorithm;

/// A digest algorithm in its plain or its session form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// The hash.
    pub hash: DigestAlgorithm,
    /// Whether it is the `-sess` form (RFC 7616 section 3.4.2).
    pub session: bool,
}

impl Algorithm {
    /// Reads the token of an `algorithm` parameter, in any case; `None` for an unknown one.
    pub fn from_token(token: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.token().as_bytes().eq_ignore_ascii_case(token))
    }

    /// The token as the RFCs write it.
    pub fn token(self) -> &'static str {
        match (self.hash, self.session) {
            (DigestAlgorithm::Md5, false) => "MD5",
            (DigestAlgorithm::Md5, true) => "MD5-sess",
            (DigestAlgorithm::Sha256, false) => "SHA-256",
            (DigestAlgorithm::Sha256, true) => "SHA-256-sess",
            (DigestAlgorithm::Sha512Trunc256, false) => "SHA-512-256",
            (DigestAlgorithm::Sha512Trunc256, true) => "SHA-512-256-sess",
        }
    }

    /// Every algorithm that can be answered, weakest first.
    pub const ALL: [Self; 6] = [
        Self { hash: DigestAlgorithm::Md5, session: false },
        Self { hash: DigestAlgorithm::Md5, session: true },
        Self { hash: DigestAlgorithm::Sha256, session: false },
        Self { hash: DigestAlgorithm::Sha256, session: true },
        Self { hash: DigestAlgorithm::Sha512Trunc256, session: false },
        Self { hash: DigestAlgorithm::Sha512Trunc256, session: true },
    ];
}

/// Everything that goes into a `response` parameter. Texts are those between the quotes.
#[derive(Clone, Copy)]
pub struct DigestInput<'a> {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The user name.
    pub user: &'a [u8],
    /// The realm.
    pub realm: &'a [u8],
    /// The password.
    pub password: &'a [u8],
    /// The server's nonce.
    pub nonce: &'a [u8],
    /// Our nonce; read only by the `-sess` forms and with a nonce count.
    pub cnonce: &'a [u8],
    /// The nonce count when `qop=auth` is used; `None`: the form of RFC 2069.
    pub nonce_count: Option<u32>,
    /// The method.
    pub method: &'a [u8],
    /// The digest URI.
    pub uri: &'a [u8],
}

impl DigestInput<'_> {
    /// The value of the `response` parameter.
    pub fn response(&self) -> HexDigest {
        let hash = self.algorithm.hash;
        let mut secret = hash_of(hash, &[self.user, self.realm, self.password]);
        if self.algorithm.session {
            secret = hash_of(hash, &[secret.as_bytes(), self.nonce, self.cnonce]);
        }
        let matter = hash_of(hash, &[self.method, self.uri]);
        match self.nonce_count {
            Some(count) => {
                let count = nonce_count_text(count);
                let (secret, matter) = (secret.as_bytes(), matter.as_bytes());
                hash_of(hash, &[secret, self.nonce, &count, self.cnonce, b"auth", matter])
            }
            None => hash_of(hash, &[secret.as_bytes(), self.nonce, matter.as_bytes()]),
        }
    }
}

/// A hash as lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HexDigest {
    digits: [u8; 64],
    len: usize,
}

impl HexDigest {
    /// The digits: 32 for MD5, 64 for the others.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.len]
    }
}

/// The eight hexadecimal digits of an `nc` parameter.
pub(super) fn nonce_count_text(count: u32) -> [u8; 8] {
    let mut text = [0; 8];
    hex::write(&count.to_be_bytes(), &mut text);
    text
}

fn hash_of(algorithm: DigestAlgorithm, parts: &[&[u8]]) -> HexDigest {
    match algorithm {
        DigestAlgorithm::Md5 => hash_with::<Md5>(parts),
        DigestAlgorithm::Sha256 => hash_with::<Sha256>(parts),
        DigestAlgorithm::Sha512Trunc256 => hash_with::<Sha512_256>(parts),
    }
}

fn hash_with<D: Digest>(parts: &[&[u8]]) -> HexDigest {
    let mut hash = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    let bytes = hash.finalize();
    let len = bytes.len() * 2;
    let mut digits = [0; 64];
    hex::write(&bytes, &mut digits[..len]);
    HexDigest { digits, len }
}
