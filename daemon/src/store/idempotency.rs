//! `Idempotency-Key`: a repeated request gets the very bytes that the first one got.

use std::fmt;
use std::sync::Arc;

/// A response as it is kept (sealed, for it holds a full number) and sent again.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The HTTP status.
    pub status: u16,
    /// Header field values that belong to the body, such as Location.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl StoredResponse {
    /// As it is sealed: status, number of headers, each text with its length, then the body.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.status.to_be_bytes().to_vec();
        bytes.extend((self.headers.len() as u16).to_be_bytes());
        for text in self.headers.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend((text.len() as u16).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(&self.body);
        bytes
    }

    /// Reads what [`StoredResponse::to_bytes`] wrote.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let status = take_u16(&mut bytes)?;
        let count = take_u16(&mut bytes)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((take_text(&mut bytes)?, take_text(&mut bytes)?));
        }
        Some(Self { status, headers, body: bytes.to_vec() })
    }
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(u16::from_be_bytes(*number))
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::from(take_u16(bytes)?);
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

/// Renders the response from what is about to be committed. It may be called again when a batch
/// has to be repeated, so it must give the same bytes for the same value.
type Render<T> = Arc<dyn Fn(&T) -> Option<StoredResponse> + Send + Sync>;

/// What a request with an `Idempotency-Key` brings along. Kept for 24 hours for its account.
#[derive(Clone)]
pub struct Idempotency<T> {
    /// The client's key; the store keeps an HMAC of it.
    pub key: String,
    /// Method, path and canonical body; the store keeps an HMAC of it.
    pub request: Vec<u8>,
    /// Renders the response inside the transaction; `None`: this answer is not kept.
    pub render: Render<T>,
}

impl<T> fmt::Debug for Idempotency<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idempotency(***)")
    }
}

/// What is known of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Nothing: go on.
    Fresh,
    /// The same request was answered with this.
    Response(StoredResponse),
    /// The key was used for another request.
    OtherRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_reads_back_and_a_cut_one_does_not() {
        let location = ("location".to_owned(), "/v1/verifications/vrf_1".to_owned());
        let response =
            StoredResponse { status: 201, headers: vec![location], body: b"{}".to_vec() };
        let bytes = response.to_bytes();
        assert_eq!(StoredResponse::from_bytes(&bytes), Some(response));
        assert_eq!(StoredResponse::from_bytes(&bytes[..20]), None);
    }
}
