//! The wire's identifiers: what derives from a call's identity, and what proves a Call-ID ours.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::call::CallIdentity;
use crate::hex;
use crate::message::MAGIC_COOKIE;

/// What a transaction is for; part of what its branch derives from, so that no two requests with
/// one CSeq number share a branch by chance. A CANCEL and the ACK to a failure have the INVITE's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Invite,
    Message,
}

/// A branch without the magic cookie: 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Branch(pub(crate) [u8; 16]);

/// A tag: 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) [u8; 8]);

/// A Call-ID: 128 bits, and 64 that prove them ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId([u8; 24]);

/// Call-ID and From tag of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identifiers {
    pub(crate) call_id: CallId,
    pub(crate) from_tag: Tag,
}

/// Proves Call-IDs ours, also those of a process that is gone.
#[derive(Clone)]
pub(crate) struct CallIdMark(Hmac<Sha256>);

impl Identifiers {
    /// From an identity: the same ones every time.
    pub(crate) fn derive(identity: &CallIdentity, mark: &CallIdMark) -> Self {
        let mut hmac = keyed(&identity.0);
        hmac.update(b"call");
        let [first, second] = halves(hmac);
        let [from_tag, _] = second.as_chunks().0 else { unreachable!("16 bytes are 2 times 8") };
        Self { call_id: mark.seal(first), from_tag: Tag(*from_tag) }
    }
}

impl Branch {
    /// The branch of the request with this CSeq number: the same every time.
    pub(crate) fn derive(identity: &CallIdentity, purpose: Purpose, cseq: u32) -> Self {
        let mut hmac = keyed(&identity.0);
        hmac.update(match purpose {
            Purpose::Invite => b"INVITE ",
            Purpose::Message => b"MESSAGE",
        });
        hmac.update(&cseq.to_be_bytes());
        let [branch, _] = halves(hmac);
        Self(branch)
    }

    /// As the Via writes it.
    pub(crate) fn text(&self) -> [u8; MAGIC_COOKIE.len() + 32] {
        let mut text = [0; MAGIC_COOKIE.len() + 32];
        let (cookie, digits) = text.split_at_mut(MAGIC_COOKIE.len());
        cookie.copy_from_slice(MAGIC_COOKIE);
        hex::write(&self.0, digits);
        text
    }

    /// Reads a branch that may be ours.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        hex::read(text.strip_prefix(MAGIC_COOKIE)?).map(Self)
    }
}

impl Tag {
    /// As From or To writes it.
    pub(crate) fn text(&self) -> [u8; 16] {
        let mut text = [0; 16];
        hex::write(&self.0, &mut text);
        text
    }
}

impl CallId {
    /// As Call-ID writes it.
    pub(crate) fn text(&self) -> [u8; 48] {
        let mut text = [0; 48];
        hex::write(&self.0, &mut text);
        text
    }
}

impl CallIdMark {
    /// With the key that [`crate::Settings`] holds.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(keyed(key))
    }

    /// Marks 128 bits.
    pub(crate) fn seal(&self, bits: [u8; 16]) -> CallId {
        let mut call_id = [0; 24];
        call_id[..16].copy_from_slice(&bits);
        call_id[16..].copy_from_slice(&self.mark(&bits));
        CallId(call_id)
    }

    /// Reads a received Call-ID, if it bears our mark.
    pub(crate) fn recognise(&self, call_id: &[u8]) -> Option<CallId> {
        let bytes = hex::read::<24>(call_id)?;
        bool::from(self.mark(&bytes[..16]).ct_eq(&bytes[16..])).then_some(CallId(bytes))
    }

    fn mark(&self, bits: &[u8]) -> [u8; 8] {
        let mut hmac = self.0.clone();
        hmac.update(bits);
        let [half, _] = halves(hmac);
        let [mark, _] = half.as_chunks().0 else { unreachable!("16 bytes are 2 times 8") };
        *mark
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("an HMAC key may have any length")
}

fn halves(hmac: Hmac<Sha256>) -> [[u8; 16]; 2] {
    let bytes: [u8; 32] = hmac.finalize().into_bytes().into();
    let [first, second] = bytes.as_chunks().0 else { unreachable!("32 bytes are 2 times 16") };
    [*first, *second]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_id_that_we_marked_is_ours() {
        let mark = CallIdMark::new(&[7; 32]);
        let ids = Identifiers::derive(&CallIdentity([1; 32]), &mark);
        let mut text = ids.call_id.text();
        assert_eq!(mark.recognise(&text), Some(ids.call_id));
        assert_eq!(CallIdMark::new(&[8; 32]).recognise(&text), None);
        assert_eq!(mark.recognise(&text[1..]), None);
        text[0] ^= 1;
        assert_eq!(mark.recognise(&text), None);
    }

    #[test]
    fn every_cseq_and_purpose_has_a_branch_of_its_own_that_comes_back_after_a_crash() {
        let identity = CallIdentity([1; 32]);
        let branches = [
            Branch::derive(&identity, Purpose::Invite, 1),
            Branch::derive(&identity, Purpose::Invite, 2),
            Branch::derive(&identity, Purpose::Message, 1),
            Branch::derive(&CallIdentity([2; 32]), Purpose::Invite, 1),
        ];
        for (at, branch) in branches.iter().enumerate() {
            assert!(!branches[..at].contains(branch));
            assert_eq!(Branch::read(&branch.text()), Some(*branch));
        }
        assert_eq!(Branch::derive(&identity, Purpose::Invite, 1), branches[0]);
    }
}
