//! A dialog as bytes, so that a process that starts after a crash can end the call.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Dialog;
use crate::transport::{Remote, Transport};

/// The form of the bytes; another one is not read.
const FORM: u8 = 1;
/// Larger ones are not saved: nobody's Record-Route is as long.
const SIZE_LIMIT: usize = 8192;

/// What it takes to hang up an answered call of a process that is gone: tags, Call-ID, CSeq number,
/// route set, remote target, next hop. It holds the called number and the caller ID in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct SavedDialog(Arc<[u8]>);

impl SavedDialog {
    /// As [`SavedDialog::reveal`] gave it; bytes of another origin end nothing.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes, to be kept sealed.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Of a dialog in which this many requests of ours followed the INVITE. `None`: it is larger
    /// than any that is meant.
    pub(crate) fn of(dialog: &Dialog, sent: u32) -> Option<Self> {
        let mut bytes = vec![FORM, u8::from(dialog.is_strict)];
        bytes.extend(dialog.invite_cseq.to_be_bytes());
        bytes.extend(sent.to_be_bytes());
        let next_hop = dialog.next_hop.address.to_string();
        let fields = [next_hop.as_bytes(), &dialog.request_uri, &dialog.from, &dialog.to];
        let routes = dialog.routes.iter().map(|route| &**route);
        for field in fields.into_iter().chain([&*dialog.call_id]).chain(routes) {
            bytes.extend(u32::try_from(field.len()).ok()?.to_be_bytes());
            bytes.extend(field);
        }
        (bytes.len() <= SIZE_LIMIT).then(|| Self(bytes.into()))
    }

    /// The host to which its requests go.
    pub(crate) fn next_hop(&self) -> Option<IpAddr> {
        let (dialog, _) = self.restore(Transport::Udp)?;
        Some(dialog.next_hop.address.ip())
    }

    /// The dialog, and how many requests of ours followed the INVITE. `None`: the bytes are none
    /// of ours.
    pub(crate) fn restore(&self, transport: Transport) -> Option<(Dialog, u32)> {
        let (&[form, is_strict], rest) = self.0.split_first_chunk()?;
        let (invite_cseq, rest) = rest.split_first_chunk()?;
        let (sent, mut rest) = rest.split_first_chunk()?;
        let mut next = || {
            let (length, after) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (field, after) = after.split_at_checked(length)?;
            rest = after;
            Some(field)
        };
        let next_hop: SocketAddr = std::str::from_utf8(next()?).ok()?.parse().ok()?;
        let dialog = Dialog {
            request_uri: next()?.into(),
            is_strict: is_strict != 0,
            from: next()?.into(),
            to: next()?.into(),
            call_id: next()?.into(),
            routes: std::iter::from_fn(next).map(Box::from).collect(),
            invite_cseq: u32::from_be_bytes(*invite_cseq),
            next_hop: Remote { transport, ..Remote::udp(next_hop) },
        };
        (form == FORM).then_some((dialog, u32::from_be_bytes(*sent)))
    }
}

impl fmt::Debug for SavedDialog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SavedDialog({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(routes: &[&str]) -> Dialog {
        Dialog {
            request_uri: b"sip:phone@192.0.2.10:5080".as_slice().into(),
            is_strict: true,
            routes: routes.iter().map(|route| route.as_bytes().into()).collect(),
            from: b"<sip:a@b>;tag=1".as_slice().into(),
            to: b"\xff <sip:c@d>;tag=2".as_slice().into(),
            call_id: b"0102".as_slice().into(),
            invite_cseq: 3,
            next_hop: Remote::udp("[2001:db8::1]:5060".parse().unwrap()),
        }
    }

    #[test]
    fn what_was_saved_is_restored() {
        for routes in [&[][..], &["<sip:one;lr>", "<sip:two>"]] {
            let dialog = dialog(routes);
            let saved = SavedDialog::of(&dialog, 2).unwrap();
            let (restored, sent) =
                SavedDialog::new(saved.reveal()).restore(Transport::Udp).unwrap();
            assert_eq!((format!("{restored:?}"), sent), (format!("{dialog:?}"), 2));
            let (over_tls, _) = saved.restore(Transport::Tls).unwrap();
            let next_hop = Remote { transport: Transport::Tls, ..dialog.next_hop };
            assert_eq!(over_tls.next_hop, next_hop);
        }
    }

    #[test]
    fn bytes_of_another_origin_are_no_dialog_and_a_huge_one_is_not_saved() {
        let saved = SavedDialog::of(&dialog(&[]), 0).unwrap();
        for length in 0..saved.reveal().len() {
            assert!(SavedDialog::new(&saved.reveal()[..length]).restore(Transport::Udp).is_none());
        }
        let mut other = saved.reveal().to_vec();
        other[0] += 1;
        assert!(SavedDialog::new(&other).restore(Transport::Udp).is_none());
        assert_eq!(SavedDialog::of(&dialog(&["r".repeat(9000).as_str()]), 0), None);
    }
}
