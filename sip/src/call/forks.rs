//! What a 2xx set up: every dialog of it is acknowledged, and ended with a BYE unless the call is to
//! stay up.

use std::time::Instant;

use crate::auth::{AuthRequest, Authenticator, Credentials, challenges};
use crate::dialog::Dialog;
use crate::dialog::saved::SavedDialog;
use crate::message::Message;
use crate::request::{Progress, Request};
use crate::timer::earlier;
use crate::transport::{Loss, Remote};
use crate::trunk::wire::Wire;
use crate::user_agent::common::{Common, Owner};

/// Dialogs that one INVITE may open: more than any forking proxy makes, few enough that an
/// endless row of To tags does not fill our memory.
const FORKS_LIMIT: usize = 8;
/// BYEs of one dialog: the first, and one for each challenge that is answered.
const BYES_LIMIT: u32 = 3;

/// The dialogs of one INVITE, each on its way out.
#[derive(Debug, Default)]
pub(crate) struct Forks {
    list: Vec<Fork>,
}

#[derive(Debug)]
struct Fork {
    to_tag: Box<[u8]>,
    dialog: Dialog,
    /// The ACK as it left: a repeated 2xx gets the same one. `None`: the 2xx was so damaged that
    /// none can be built from it.
    ack: Option<Box<[u8]>>,
    credentials: Credentials,
    /// Requests that left within it before the 2xx.
    sent_before: u32,
    /// How many BYEs left; none while the call stays up.
    byes: u32,
    bye: Option<Request>,
}

/// What is to become of the dialog of a 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destiny {
    /// It is ended at once.
    Released,
    /// It stays.
    Kept,
}

/// For whom a dialog is released.
#[derive(Clone, Copy)]
pub(crate) struct Releaser<'a> {
    pub(crate) owner: Owner,
    pub(crate) trunk: u32,
    pub(crate) wire: &'a Wire,
}

impl Forks {
    /// A 2xx came, behind `sent_before` requests within its dialog. Returns whether its dialog is
    /// new, and so an ACK left, and a BYE unless it is kept; a repeat gets its ACK again.
    pub(crate) fn release(
        &mut self,
        now: Instant,
        common: &mut Common,
        by: Releaser<'_>,
        (success, sent_before, destiny): (&Message<'_>, u32, Destiny),
        (peer, credentials): (Remote, &Credentials),
        is_trusted: impl Fn(std::net::IpAddr) -> bool,
    ) -> bool {
        let to_tag = success.to.tag().unwrap_or_default();
        if let Some(fork) = self.list.iter().find(|fork| *fork.to_tag == *to_tag) {
            if let Some(ack) = &fork.ack {
                let transmit = common.transmit(fork.dialog.next_hop(), by.trunk);
                common.outbox.send(transmit, ack);
            }
            return false;
        }
        if self.list.len() >= FORKS_LIMIT {
            common.counters.forks_refused += 1;
            return false;
        }
        let dialog = Dialog::from_response(success, peer, is_trusted);
        let branch = common.random_branch();
        let transmit = common.transmit(dialog.next_hop(), by.trunk);
        let ack = common
            .outbox
            .write(transmit, |out| dialog.write_ack(out, by.wire, branch, credentials))
            .map(Box::from);
        let mut fork = Fork {
            to_tag: to_tag.into(),
            dialog,
            ack,
            credentials: Credentials::default(),
            sent_before,
            byes: 0,
            bye: None,
        };
        if destiny == Destiny::Released {
            fork.send_bye(now, common, by);
        }
        // A call is answered by one phone: room for several would be room for nobody.
        self.list.reserve_exact(1);
        self.list.push(fork);
        true
    }

    /// Ends the dialog that was kept.
    pub(crate) fn hang_up(&mut self, now: Instant, common: &mut Common, by: Releaser<'_>) {
        for fork in self.list.iter_mut().filter(|fork| fork.byes == 0) {
            fork.send_bye(now, common, by);
        }
    }

    /// Ends the dialog that a process left up, behind `sent_before` requests within it.
    pub(crate) fn hang_up_left(
        &mut self,
        now: Instant,
        common: &mut Common,
        by: Releaser<'_>,
        (dialog, sent_before): (Dialog, u32),
    ) {
        let mut fork = Fork {
            to_tag: Box::default(),
            dialog,
            ack: None,
            credentials: Credentials::default(),
            sent_before,
            byes: 0,
            bye: None,
        };
        fork.send_bye(now, common, by);
        self.list.push(fork);
    }

    /// What it takes to end the dialog that was kept.
    pub(crate) fn saved(&self) -> Option<SavedDialog> {
        let kept = self.list.iter().find(|fork| fork.byes == 0)?;
        SavedDialog::of(&kept.dialog, kept.sent_before)
    }

    /// The far side changed the dialog that was kept. Returns it where it has moved.
    pub(crate) fn refresh(&mut self, request: &Message<'_>) -> Option<SavedDialog> {
        let kept = self.list.iter_mut().find(|fork| fork.byes == 0)?;
        let has_moved = kept.dialog.refresh(request);
        has_moved.then(|| SavedDialog::of(&kept.dialog, kept.sent_before)).flatten()
    }

    /// A response to one of the BYEs came. `false`: to none of them.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        by: Releaser<'_>,
        authenticator: &mut Authenticator,
        (response, status): (&Message<'_>, u16),
    ) -> bool {
        let branch = crate::identity::Branch::read(response.via.branch.unwrap_or_default());
        let Some(fork) = self
            .list
            .iter_mut()
            .find(|fork| fork.bye.as_ref().map(Request::branch) == branch && branch.is_some())
        else {
            return false;
        };
        let Some(bye) = &mut fork.bye else { return false };
        let progress = bye.handle_response(now, common, status);
        if progress == Progress::Response && matches!(status, 401 | 407) {
            fork.answer_challenge(now, common, by, authenticator, response);
        }
        true
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, common: &mut Common) {
        for bye in self.list.iter_mut().filter_map(|fork| fork.bye.as_mut()) {
            let _: Progress = bye.handle_timeout(now, common);
        }
    }

    /// The network lost what went to a far end. `false`: no BYE went there.
    pub(crate) fn handle_transport_error(
        &mut self,
        now: Instant,
        common: &mut Common,
        (trunk, loss): (u32, &Loss),
    ) -> bool {
        let byes = self.list.iter_mut().filter_map(|fork| fork.bye.as_mut());
        let mut is_concerned = false;
        for bye in byes.filter(|bye| loss.concerns(trunk, &bye.remote())) {
            let _: Progress = bye.handle_transport_error(now, common, loss.kind);
            is_concerned = true;
        }
        is_concerned
    }

    /// The earliest deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.byes().fold(None, |first, bye| earlier(first, bye.deadline()))
    }

    /// Whether no BYE has a transaction left.
    pub(crate) fn is_over(&self) -> bool {
        self.byes().all(Request::is_over)
    }

    /// Whether every BYE was answered or given up.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.byes().any(Request::is_open)
    }

    /// Forgets all of it.
    pub(crate) fn drop_transactions(&mut self, common: &mut Common) {
        for bye in self.list.drain(..).filter_map(|fork| fork.bye) {
            bye.drop_transaction(common);
        }
    }

    fn byes(&self) -> impl Iterator<Item = &Request> {
        self.list.iter().filter_map(|fork| fork.bye.as_ref())
    }
}

impl Fork {
    fn send_bye(&mut self, now: Instant, common: &mut Common, by: Releaser<'_>) {
        self.byes += 1;
        let branch = common.random_branch();
        let nth = self.sent_before + self.byes;
        let (dialog, credentials) = (&self.dialog, &self.credentials);
        let hop = (branch, dialog.next_hop());
        let bye = Request::send(now, common, (by.owner, by.trunk), hop, |out| {
            dialog.write_bye(out, by.wire, branch, (nth, credentials))
        });
        if let Some(old) = std::mem::replace(&mut self.bye, bye) {
            old.drop_transaction(common);
        }
    }

    /// Only a pinned realm is answered, and only where the trunk is: a peer that was merely called
    /// must not harvest an answer by challenging our BYE.
    fn answer_challenge(
        &mut self,
        now: Instant,
        common: &mut Common,
        by: Releaser<'_>,
        authenticator: &mut Authenticator,
        response: &Message<'_>,
    ) {
        if self.byes >= BYES_LIMIT {
            common.counters.challenges_refused += 1;
            return;
        }
        let uri = self.dialog.request_uri();
        let request = AuthRequest { method: "BYE", uri: &uri, in_dialog: true };
        let answered = authenticator.answer(
            &mut common.rng,
            challenges(response),
            request,
            &mut self.credentials,
        );
        match answered {
            Ok(()) => self.send_bye(now, common, by),
            Err(_) => common.counters.challenges_refused += 1,
        }
    }
}
