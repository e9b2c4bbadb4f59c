//! The server's side of a digest: reading what a client presents and judging it.

use super::digest::{Algorithm, DigestInput};
use super::params::{Item, Items};
use crate::trunk::DigestAlgorithm;

/// The parameters of one Authorization or Proxy-Authorization value. Texts are those between
/// the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented<'a> {
    /// Who the client says it is.
    pub user: &'a [u8],
    /// The realm it answers.
    pub realm: &'a [u8],
    /// The nonce it answers.
    pub nonce: &'a [u8],
    /// The digest URI.
    pub uri: &'a [u8],
    /// Its answer.
    pub response: &'a [u8],
    /// The algorithm; MD5 when none is named.
    pub algorithm: Algorithm,
    /// The client's nonce; empty when there is none.
    pub cnonce: &'a [u8],
    /// The nonce count when `qop=auth` is used.
    pub nonce_count: Option<u32>,
    /// What was to be repeated.
    pub opaque: Option<&'a [u8]>,
}

impl<'a> Presented<'a> {
    /// Reads a value; `None` when it is no complete Digest with a known algorithm.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut items = Items::new(value);
        match items.next()? {
            Item::Scheme(name) if name.eq_ignore_ascii_case(b"Digest") => {}
            _ => return None,
        }
        let (mut user, mut realm, mut nonce, mut uri, mut response) =
            (None, None, None, None, None);
        let (mut algorithm, mut cnonce, mut count, mut opaque) = (None, None, None, None);
        let mut qop = None;
        for item in items {
            let Item::Param(param) = item else { return None };
            let value = param.value?;
            match param.name.to_ascii_lowercase().as_slice() {
                b"username" => user = Some(value),
                b"realm" => realm = Some(value),
                b"nonce" => nonce = Some(value),
                b"uri" => uri = Some(value),
                b"response" => response = Some(value),
                b"algorithm" => algorithm = Some(Algorithm::from_token(value)?),
                b"cnonce" => cnonce = Some(value),
                b"nc" => count = Some(read_count(value)?),
                b"qop" => qop = Some(value),
                b"opaque" => opaque = Some(value),
                _ => {}
            }
        }
        let nonce_count = match qop {
            Some(b"auth") => Some(count?),
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            user: user?,
            realm: realm?,
            nonce: nonce?,
            uri: uri?,
            response: response?,
            algorithm: algorithm
                .unwrap_or(Algorithm { hash: DigestAlgorithm::Md5, session: false }),
            cnonce: cnonce.unwrap_or_default(),
            nonce_count,
            opaque,
        })
    }

    /// Whether the answer is the right one for `method` and `password`. The caller compares
    /// user, realm, nonce, URI and count with what it expects.
    pub fn is_right(&self, method: &[u8], password: &[u8]) -> bool {
        let expected = DigestInput {
            algorithm: self.algorithm,
            user: self.user,
            realm: self.realm,
            password,
            nonce: self.nonce,
            cnonce: self.cnonce,
            nonce_count: self.nonce_count,
            method,
            uri: self.uri,
        }
        .response();
        subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), self.response).into()
    }
}

fn read_count(text: &[u8]) -> Option<u32> {
    if text.len() != 8 {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}
