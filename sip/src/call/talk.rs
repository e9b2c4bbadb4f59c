//! An answered call that stays up: what the far side may change of it, and its end by them.

use std::time::{Duration, Instant};

use super::wire::Lines;
use crate::identity::Tag;
use crate::media::sdp::Description;
use crate::media::{Codec, RemoteMedia};
use crate::message::{Message, Method};
use crate::timer::{Repeat, Timings};
use crate::transport::Remote;

/// What a call for a voice has beyond a flash call.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    /// What a provisional response said of the far side's media: some 200 say it no more.
    pub(super) early: Option<RemoteMedia>,
    /// Once it was answered.
    pub(super) talk: Option<Talk>,
}

/// The dialog of an answered call, as its far side sees it.
#[derive(Debug)]
pub(crate) struct Talk {
    /// The far side's tag.
    far_tag: Box<[u8]>,
    /// The CSeq number of its last INVITE.
    far_cseq: Option<u32>,
    media: RemoteMedia,
    /// The version of our last session description.
    version: u32,
    answer: Option<Answer>,
}

/// A 200 of ours to an INVITE of the far side, repeated until its ACK comes (RFC 3261 section
/// 13.3.1.4).
#[derive(Debug)]
struct Answer {
    bytes: Box<[u8]>,
    remote: Remote,
    cseq: u32,
    /// Whether the ACK brings the far side's description.
    is_offer: bool,
    repeat: Repeat,
    until: Instant,
}

/// What a further INVITE of the far side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reinvite {
    /// 200 with this description; `changed` when their media is another than before.
    Accepted {
        /// The body.
        description: String,
        /// What is news of their media.
        changed: Option<RemoteMedia>,
    },
    /// 488: nothing of their offer can be spoken here.
    NotAcceptable,
    /// 500: its CSeq is not above the last one (RFC 3261 section 12.2.2).
    OutOfOrder,
}

/// What became of a 200 of ours that time has passed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unacked {
    /// Nothing is due.
    Nothing,
    /// It is to be sent again.
    Repeat,
    /// No ACK came within 64·T1: the call ends (RFC 3261 section 13.3.1.4).
    GivenUp,
}

impl Talk {
    pub(super) fn new(far_tag: &[u8], media: RemoteMedia) -> Self {
        Self { far_tag: far_tag.into(), far_cseq: None, media, version: 1, answer: None }
    }

    /// Where the far side wants its audio.
    pub(super) fn media(&self) -> RemoteMedia {
        self.media
    }

    /// Whether a request belongs to this dialog.
    pub(super) fn holds(&self, own_tag: Tag, request: &Message<'_>) -> bool {
        request.from.tag().unwrap_or_default() == &*self.far_tag
            && request.to.tag() == Some(&own_tag.text()[..])
    }

    /// A further INVITE of the far side. `is_trusted` says to whom audio may go.
    pub(super) fn reinvite(
        &mut self,
        request: &Message<'_>,
        (lines, media_port): (&Lines<'_>, u16),
        is_trusted: impl Fn(&RemoteMedia) -> bool,
    ) -> Reinvite {
        if self.far_cseq.is_some_and(|last| request.cseq.number <= last) {
            return Reinvite::OutOfOrder;
        }
        self.far_cseq = Some(request.cseq.number);
        let mut description = String::new();
        if request.body.is_empty() {
            lines.description(media_port, self.version).write_offer(&mut description, false);
            return Reinvite::Accepted { description, changed: None };
        }
        // The codec in use stays in use where it can: our end speaks it already.
        let in_use = [self.media.codec];
        let mut codecs: &[Codec] = &in_use;
        let media = RemoteMedia::read(request.body, codecs).or_else(|| {
            codecs = &lines.wire.codecs;
            RemoteMedia::read(request.body, codecs)
        });
        let Some(media) = media.filter(|media| media.is_hold() || is_trusted(media)) else {
            return Reinvite::NotAcceptable;
        };
        let changed = (media != self.media).then_some(media);
        self.version += u32::from(changed.is_some());
        self.media = media;
        let described: Description<'_> = lines.description(media_port, self.version);
        let streams = RemoteMedia::lines(request.body, codecs);
        described.write_answer(&mut description, &media, &streams);
        Reinvite::Accepted { description, changed }
    }

    /// Our 200 left: it is repeated until its ACK comes.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        timings: Timings,
        request: &Message<'_>,
        (remote, bytes): (Remote, &[u8]),
    ) {
        self.answer = Some(Answer {
            bytes: bytes.into(),
            remote,
            cseq: request.cseq.number,
            is_offer: request.body.is_empty(),
            repeat: Repeat::start(now, timings.t1),
            until: now + timings.transaction(),
        });
    }

    /// The ACK to a 200 of ours. Returns what is news of their media.
    pub(super) fn acked(
        &mut self,
        ack: &Message<'_>,
        codecs: &[Codec],
        is_trusted: impl Fn(&RemoteMedia) -> bool,
    ) -> Option<RemoteMedia> {
        let answer = self.answer.take_if(|answer| answer.cseq == ack.cseq.number)?;
        let media = RemoteMedia::read(ack.body, codecs).filter(|_| answer.is_offer)?;
        if media == self.media || !(media.is_hold() || is_trusted(&media)) {
            return None;
        }
        self.media = media;
        Some(media)
    }

    /// What is due of a 200 of ours.
    pub(super) fn due(&mut self, now: Instant, t2: Duration) -> Unacked {
        let Some(answer) = &mut self.answer else { return Unacked::Nothing };
        if answer.until <= now {
            self.answer = None;
            return Unacked::GivenUp;
        }
        if answer.repeat.at > now {
            return Unacked::Nothing;
        }
        answer.repeat = answer.repeat.next(now, Some(t2));
        Unacked::Repeat
    }

    /// The 200 that is to be sent again.
    pub(super) fn answer(&self) -> Option<(Remote, &[u8])> {
        self.answer.as_ref().map(|answer| (answer.remote, &*answer.bytes))
    }

    /// When a 200 of ours is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.answer.as_ref().map(|answer| answer.repeat.at.min(answer.until))
    }
}

/// Whether a request may change or end an answered call.
pub(crate) fn concerns_a_talk(method: Method<'_>) -> bool {
    matches!(method, Method::Bye | Method::Invite | Method::Ack)
}
