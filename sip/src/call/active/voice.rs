//! What an answered call does while it is up.

use std::sync::Arc;
use std::time::Instant;

use super::{ActiveCall, Final};
use crate::call::forks::Destiny;
use crate::call::machine::{Input, State};
use crate::call::talk::{Reinvite, Talk, Unacked, Voice};
use crate::event::Event;
use crate::identity::CallId;
use crate::media::RemoteMedia;
use crate::message::Message;
use crate::transport::Remote;
use crate::trunk::state::Trunk;
use crate::user_agent::common::Common;

/// What a call that stayed up was answered with.
const ANSWERED: Final = Final { status: 200, cause: None, retry_after: None };

impl ActiveCall {
    /// Whether the far side may change or end it: it is up.
    pub(crate) fn is_in_dialog(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Its Call-ID.
    pub(crate) fn call_id(&self) -> CallId {
        self.ids.call_id
    }

    /// The URI of our Contact in its dialog.
    pub(crate) fn contact(&self) -> &str {
        &self.wire.contact
    }

    /// Whether a request belongs to its dialog.
    pub(crate) fn holds(&self, request: &Message<'_>) -> bool {
        self.talk().is_some_and(|talk| talk.holds(self.ids.from_tag, request))
    }

    /// The far side hung up.
    pub(crate) fn far_hang_up(&mut self, now: Instant, common: &mut Common) {
        self.step(now, common, Input::FarHangUp, Some(ANSWERED));
    }

    /// A further INVITE of the far side. `None`: the call is not up.
    pub(crate) fn reinvite(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &Trunk,
        request: &Message<'_>,
    ) -> Option<Reinvite> {
        let mut voice = self.voice.take()?;
        let answer = voice.talk.as_mut().map(|talk| {
            let own = (&self.lines(&self.round), self.media_port);
            talk.reinvite(request, own, |media| trunk.takes_media_at(now, media))
        });
        self.voice = Some(voice);
        if let Some(Reinvite::Accepted { changed, .. }) = &answer {
            if let Some(dialog) = self.forks.refresh(request) {
                common.events.push_back(Event::DialogMoved { call: self.handle, dialog });
            }
            self.tell_changed(common, *changed);
        }
        answer
    }

    /// Our 200 to a further INVITE left.
    pub(crate) fn reinvite_answered(
        &mut self,
        now: Instant,
        common: &Common,
        request: &Message<'_>,
        sent: (Remote, &[u8]),
    ) {
        if let Some(talk) = self.talk_mut() {
            talk.answered(now, common.settings.timings, request, sent);
        }
    }

    /// The ACK to a 200 of ours.
    pub(crate) fn reinvite_acked(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &Trunk,
        ack: &Message<'_>,
    ) {
        let wire = Arc::clone(&self.wire);
        let Some(talk) = self.talk_mut() else { return };
        let changed = talk.acked(ack, &wire.codecs, |media| trunk.takes_media_at(now, media));
        self.tell_changed(common, changed);
    }

    /// What becomes of a 2xx: a call for a voice stays up when its far side can be heard where it
    /// may be heard. Another 2xx of its INVITE is released.
    pub(super) fn destiny(&mut self, now: Instant, trunk: &Trunk, answer: &Message<'_>) -> Destiny {
        if !self.state.may_stay(&self.limits) {
            return Destiny::Released;
        }
        let Some(voice) = &mut self.voice else { return Destiny::Released };
        let media = match answer.body.is_empty() {
            true => voice.early,
            false => RemoteMedia::read(answer.body, &self.wire.codecs),
        };
        match media.filter(|media| trunk.takes_media_at(now, media)) {
            Some(media) => {
                let far_tag = answer.to.tag().unwrap_or_default();
                voice.talk = Some(Talk::new(far_tag, media));
                Destiny::Kept
            }
            None => Destiny::Released,
        }
    }

    /// Remembers what a provisional response says of the far side's media.
    pub(super) fn hear_early(&mut self, trunk: &Trunk, response: &Message<'_>) {
        if let Some(voice) = &mut self.voice
            && !response.body.is_empty()
        {
            let media = RemoteMedia::read(response.body, &trunk.settings.codecs);
            voice.early = media.or(voice.early);
        }
    }

    pub(super) fn tell_answered(&self, now: Instant, common: &mut Common) {
        let Some(media) = self.talk().map(Talk::media) else { return };
        let after = self.timeline.as_ref().map(|timeline| timeline.start_of_call());
        let after = now.saturating_duration_since(after.unwrap_or(now));
        let (call, dialog) = (self.handle, self.forks.saved());
        common.events.push_back(Event::Answered { call, after, media, dialog });
    }

    /// Repeats a 200 of ours, or hangs up where nobody acknowledges it.
    pub(super) fn talk_timeout(&mut self, now: Instant, common: &mut Common) {
        let t2 = common.settings.timings.t2;
        let trunk = self.trunk;
        let Some(talk) = self.talk_mut() else { return };
        match talk.due(now, t2) {
            Unacked::Nothing => {}
            Unacked::Repeat => {
                if let Some((remote, bytes)) = talk.answer() {
                    let transmit = common.transmit(remote, trunk);
                    common.outbox.send(transmit, bytes);
                    common.counters.retransmissions += 1;
                }
            }
            Unacked::GivenUp => self.step(now, common, Input::Deadline, Some(ANSWERED)),
        }
    }

    /// The answer of a call that is up.
    pub(super) fn answered(&self) -> Option<Final> {
        matches!(self.state, State::Up { .. }).then_some(ANSWERED)
    }

    pub(super) fn talk(&self) -> Option<&Talk> {
        self.voice.as_ref().and_then(|voice| voice.talk.as_ref())
    }

    fn talk_mut(&mut self) -> Option<&mut Talk> {
        self.voice.as_mut().and_then(|voice: &mut Box<Voice>| voice.talk.as_mut())
    }

    fn tell_changed(&self, common: &mut Common, changed: Option<RemoteMedia>) {
        if let Some(media) = changed {
            common.events.push_back(Event::MediaChanged { call: self.handle, media });
        }
    }

    /// Its last words as an answered call: no repeat of ours is wanted any more.
    pub(super) fn stop_talking(&mut self) {
        self.voice = None;
    }
}
