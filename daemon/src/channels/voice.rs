//! The code as a voice: a call that is answered and says it digit by digit, twice.
//!
//! The call goes over the same trunks as a flash call, and from trunk to trunk by the same rules;
//! its caller ID means nothing. Its media port is bound before anything is promised and is free
//! again when it ends. A voicemail that answers is told the code as a person is: nobody can tell
//! the two apart with certainty, and the code is of no use to anybody else.

use std::time::Duration;

use dialplans::{CallerIdWish, Plan, PlanRequest, RecentTails};
use rand_core::Rng;
use sip::{CallOutcome, RemoteMedia, SavedDialog};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::flash_call::{Act, Leg, Shows, Way, live_way, write, write_progress};
use crate::app::{App, Settings};
use crate::channels::{
    self, CodeWish, PrepareError, Prepared, PreparedAgain, dispatch, flash_call,
};
use crate::ids::{CallId, VerificationId};
use crate::limits::{self, Guesser};
use crate::media::player::{self, Told};
use crate::media::{Announcement, Line, TalkCounts, TalkTerms};
use crate::store::Apply;
use crate::telemetry;
use crate::ua_driver::{CallEnd, CallOrder, CallProgress, CallWatch};
use crate::verification::machine::{Again, Input};
use crate::verification::model::{
    CallState, Channel, CodeDigits, Step, StepCode, StepStatus, Verification,
};
use crate::verification::service::{self, MagicNumber, Pace, Placement};

/// How long the phone rings: its owner is to pick it up, unlike with a flash call.
const RING_LIMIT: Duration = Duration::from_secs(30);
/// From the INVITE to the answer at the latest.
const CALL_LIMIT: Duration = Duration::from_secs(45);
/// From the answer to the end: four times the code.
const TALK_LIMIT: Duration = Duration::from_secs(60);

/// What a call says, and from where.
#[derive(Debug)]
pub struct Speech {
    line: Line,
    announcement: Announcement,
}

/// Prepares the first call of a step.
pub async fn prepare(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    wish: &CodeWish,
) -> Result<Prepared, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let code = dispatch::code(app, verification, wish)?;
    if verification.live && app.store().is_unallocated(&to).await? {
        return Err(PrepareError::Unallocated);
    }
    let act = act(app, settings, verification, (1, &code))?;
    let step = Step {
        code: Some(StepCode::of_digits(app.keys(), verification.verification_id, &code)),
        secret: Some(code),
        calls: vec![act.leg.call.clone()],
        ..Step::bare(1, Channel::Voice, StepStatus::Queued, app.now())
    };
    let guesser = Guesser { account: &verification.account, client: &verification.client };
    let limits = match verification.live {
        true => limits::for_text(&settings.config.limits, &to, guesser),
        false => Vec::new(),
    };
    Ok(Prepared { step, limits, act: channels::Act::Call(Box::new(act)) })
}

/// Prepares to say the same code once more.
pub fn prepare_again(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    step: &Step,
) -> Result<PreparedAgain, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let code = step.secret.as_ref().ok_or(PrepareError::NothingToRepeat)?;
    let last = step.calls.last().filter(|call| matches!(call.state, CallState::Ended(_)));
    let attempt = last.ok_or(PrepareError::NothingToRepeat)?.attempt.saturating_add(1);
    let act = act(app, settings, verification, (attempt, code))?;
    let limits = match verification.live {
        true => vec![limits::for_send(&settings.config.limits, &to)],
        false => Vec::new(),
    };
    let again = Again::Call(Box::new(act.leg.call.clone()));
    Ok(PreparedAgain { again, limits, act: channels::Act::Call(Box::new(act)) })
}

/// The call with everything that it needs.
fn act(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    (attempt, code): (u8, &CodeDigits),
) -> Result<Act, PrepareError> {
    if !verification.live {
        let to = verification.number().ok_or(PrepareError::NoTarget)?;
        let id = verification.verification_id;
        let Placement { call, order, .. } = service::sandbox_placement(app.now(), app, id, &to);
        let shows = Shows::Speech(None);
        let leg = Leg { attempt, live: false, call, next: None, shows };
        // A number that only rings has nothing to hear: it is played as answered.
        let number = match MagicNumber::of(&to) {
            MagicNumber::Rings | MagicNumber::UndeliveredText => MagicNumber::Answered,
            other => other,
        };
        return Ok(Act { leg, order, way: Way::Play(number) });
    }
    let plan = plan(app, settings, verification)?;
    let Placement { call, mut order, .. } =
        flash_call::place(app, settings, verification, attempt, &plan.first)?;
    if verification.is_decoy() {
        let way = live_way(app, verification, (MagicNumber::Answered, Pace::of_speech()))?;
        let leg = Leg { attempt, live: false, call, next: None, shows: Shows::Speech(None) };
        return Ok(Act { leg, order, way });
    }
    let announcement = app.media().prompts.announce(verification.locale.as_deref(), code.reveal());
    let speech = Speech { line: app.media().lines.bind()?, announcement };
    speech.shape(&mut order);
    let shows = Shows::Speech(Some(speech));
    // A resend has no second trunk, as with a flash call.
    let next = plan.second.filter(|_| attempt == 1);
    let leg = Leg { attempt, live: true, call, next, shows };
    Ok(Act { leg, order, way: Way::Loop(app.driver().reserve()?) })
}

/// Any number that the trunk may show will do: the code is not in it.
fn plan(app: &App, settings: &Settings, verification: &Verification) -> Result<Plan, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let request = flash_call::request(app, settings, verification, CallerIdWish::Drawn)?;
    let request = PlanRequest { min_endings: 1, ..request };
    let (health, recent) = (app.driver().health(), RecentTails::none());
    let dialplan = &settings.dialplan;
    Ok(app.with_plans_rng(|rng| dialplan.plan(rng, &to, &request, &recent, &health))?)
}

impl Speech {
    /// Makes an order for a call that stays up and speaks from this line.
    pub(super) fn shape(&self, order: &mut CallOrder) {
        order.request.media_port = self.line.port();
        order.request.ring_limit = RING_LIMIT;
        order.request.call_limit = CALL_LIMIT;
        order.talk_limit = Some(TALK_LIMIT);
    }
}

/// Writes down progress and speaks where the call is answered, until its end is told; `None`: the
/// call loop died. What is left in `speech` was never said.
pub(super) async fn follow_call(
    app: &App,
    verification_id: VerificationId,
    call_id: CallId,
    speech: &mut Option<Speech>,
    watch: &mut CallWatch,
) -> Option<CallEnd> {
    let was_live = speech.is_some();
    let mut playing: Option<Playing> = None;
    let (mut telling, mut dialog) = (true, None);
    let end = loop {
        tokio::select! {
            biased;
            changed = watch.progress.changed(), if telling => {
                telling = changed.is_ok();
                let progress = watch.progress.borrow_and_update().clone();
                if telling && progress != CallProgress::default() {
                    write_progress(app, verification_id, call_id, &progress).await;
                }
                if progress.dialog != dialog {
                    dialog = progress.dialog.clone();
                    write_dialog(app, verification_id, call_id, dialog.clone()).await;
                }
                match (&playing, progress.media) {
                    (Some(playing), media) => drop(playing.media.send_replace(media)),
                    (None, Some(_)) => {
                        let speech = speech.take();
                        playing = speech.map(|speech| Playing::start(app, speech, &progress));
                    }
                    (None, None) => {}
                }
            }
            Some(told) = told(&mut playing) => match told {
                Told::Said => said(app, verification_id, call_id).await,
                Told::Ended(_) => app.driver().hang_up(call_id).await,
            },
            end = &mut watch.ended => break end.ok(),
        }
    };
    let is_answered = |end: &CallEnd| matches!(end, CallEnd::Ended(summary) if summary.outcome == CallOutcome::Answered);
    match (playing, end) {
        (Some(playing), end) => {
            if playing.stop().await {
                said(app, verification_id, call_id).await;
            }
            end
        }
        (None, Some(end)) if is_answered(&end) && !was_live => {
            said(app, verification_id, call_id).await;
            Some(end)
        }
        // It was answered by somebody to whom nothing can be said.
        (None, Some(CallEnd::Ended(mut summary))) if summary.outcome == CallOutcome::Answered => {
            summary.outcome = CallOutcome::Format;
            Some(CallEnd::Ended(summary))
        }
        (None, end) => end,
    }
}

/// What hangs the call up is written down before it speaks: a restart ends it with that. One that
/// is not written down speaks all the same, and ends by its far side's timer after a crash.
async fn write_dialog(
    app: &App,
    verification_id: VerificationId,
    call_id: CallId,
    dialog: Option<SavedDialog>,
) {
    let Some(dialog) = dialog else { return };
    let input = Input::Talking { call_id, dialog };
    if let Err(error) = app.store().apply(Apply::internal(verification_id, input)).await {
        tracing::warn!(%error, %call_id, "an answered call was not written down");
    }
}

async fn said(app: &App, verification_id: VerificationId, call_id: CallId) {
    write(app, verification_id, Input::Said { call_id }).await;
}

/// What the player tells next; waits for ever where none plays.
async fn told(playing: &mut Option<Playing>) -> Option<Told> {
    match playing {
        Some(playing) => match playing.told.recv().await {
            Some(told) => Some(told),
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// A player at work, in a task of its own: its pace waits for no database.
struct Playing {
    media: watch::Sender<Option<RemoteMedia>>,
    told: mpsc::UnboundedReceiver<Told>,
    stop: CancellationToken,
    task: JoinHandle<TalkCounts>,
}

impl Playing {
    fn start(app: &App, speech: Speech, progress: &CallProgress) -> Self {
        let (media, wanted) = watch::channel(progress.media);
        // A player tells at most twice.
        let (tell, told) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let Speech { line, announcement } = speech;
        let trunk = progress.target.map(|target| target.ip());
        let media_wanted = progress.media.expect("a player starts where audio is wanted");
        let terms = TalkTerms { media: media_wanted, trunk, announcement, at: app.now() };
        let mut seed = [0; 32];
        app.with_ids_rng(|rng| rng.fill_bytes(&mut seed));
        let play = player::play(line, (terms, seed), wanted, tell, stop.clone());
        let task = app.spawn(play);
        Self { media, told, stop, task }
    }

    /// Ends it. Answers whether it said the whole code and nobody heard of that yet.
    async fn stop(mut self) -> bool {
        self.stop.cancel();
        match self.task.await {
            Ok(counts) => telemetry::talk_ended(counts),
            Err(error) => tracing::error!(%error, "a player ended by a panic"),
        }
        std::iter::from_fn(|| self.told.try_recv().ok()).any(|told| told == Told::Said)
    }
}
