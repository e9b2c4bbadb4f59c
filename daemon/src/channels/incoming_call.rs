//! The user calls us: the number is proved by the call itself, which is refused unanswered.

use dialplans::E164;

use crate::app::{App, Settings};
use crate::channels::{self, CodeWish, PrepareError, Prepared, flash_call};
use crate::ids::VerificationId;
use crate::store::{PageFilter, VerificationFilter, Who};
use crate::verification::machine::Input;
use crate::verification::model::{Channel, Step, StepStatus, Verification, VerificationStatus};
use crate::verification::service::{self, MagicNumber};

/// A number for test keys of accounts that have none; no numbering plan has it.
const TEST_NUMBER: &str = "+70000000000";

/// Most open verifications of one number that are looked at: configurations allow fewer.
const OPEN_LIMIT: u32 = 100;

/// What is done once the number was given out: nothing, save under a test key.
#[derive(Debug)]
pub struct Act {
    /// The call of a user who calls by himself.
    play: Option<E164>,
}

/// Whether some account has numbers and some trunk's word counts.
pub fn is_offered(settings: &Settings) -> bool {
    let config = &settings.config;
    config.trunks.values().any(|trunk| trunk.cli_trusted)
        && config.accounts.values().any(|account| !account.inbound_numbers.is_empty())
}

/// Draws the number that the user is to call. No other open verification of the same target
/// waits for a call at this number: a call is meant for one of them alone.
pub async fn prepare(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    wish: &CodeWish,
) -> Result<Prepared, PrepareError> {
    if !matches!(wish, CodeWish::Drawn) {
        return Err(PrepareError::OwnCode);
    }
    // Its open verifications are found by their target when the call comes.
    let to = verification.to.number().ok_or(PrepareError::NoTarget)?;
    let account = settings.account(&verification.account).ok_or(PrepareError::RulesGone)?;
    let purpose = service::purpose_of(settings, verification).ok_or(PrepareError::RulesGone)?;
    // The file never lets a password's purpose name it, and no request may bring it in.
    let is_named = |step: &config::WorkflowStep| step.channel == config::Channel::IncomingCall;
    if !purpose.workflow.iter().any(is_named) || verification.purpose == config::PASSWORD_RESET {
        return Err(PrepareError::NotOffered);
    }
    let number = if verification.live {
        let taken = awaited(app, verification, to).await?;
        let places: u64 = account.inbound_numbers.iter().map(|range| range.count()).sum();
        if places == 0 {
            return Err(PrepareError::NotOffered);
        }
        let start = app.draw_below(places);
        let offered =
            (0..places.min(u64::from(OPEN_LIMIT) + 1)).map(|step| (start + step) % places);
        let mut offered = offered.filter_map(|place| nth(account, place));
        offered.find(|number| !taken.contains(number)).ok_or(PrepareError::NumbersTaken)?
    } else {
        let first = account.inbound_numbers.first().and_then(|range| range.nth(0));
        first.unwrap_or_else(|| E164::parse(TEST_NUMBER).expect("it has the form of a number"))
    };
    let play = !verification.live && MagicNumber::of(&to) == MagicNumber::Rings;
    let bare = Step::bare(1, Channel::IncomingCall, StepStatus::Waiting, app.now());
    let step = Step { awaits: Some(number), ..bare };
    let act = channels::Act::IncomingCall(Act { play: play.then_some(number) });
    // Nothing goes out, so nothing is counted but what is open.
    Ok(Prepared { step, limits: Vec::new(), act })
}

/// The open verifications of a number that wait for its call, with the numbers they gave out.
pub async fn waiting(
    app: &App,
    who: &Who,
    to: E164,
) -> Result<Vec<(Verification, E164)>, crate::store::StoreError> {
    let filter = VerificationFilter {
        to: Some(to),
        status: Some(VerificationStatus::Pending),
        page: PageFilter::newest(OPEN_LIMIT),
        ..VerificationFilter::default()
    };
    let now = app.now();
    let open = app.store().verifications(who, &filter).await?.items.into_iter();
    let open = open.filter(|verification| verification.expires_at > now);
    Ok(open
        .filter_map(|verification| {
            let waits = |step: &&Step| step.status == StepStatus::Waiting;
            let awaited = verification.steps.iter().rfind(waits)?.awaits?;
            Some((verification, awaited))
        })
        .collect())
}

async fn awaited(
    app: &App,
    verification: &Verification,
    to: E164,
) -> Result<Vec<E164>, PrepareError> {
    let who = Who::Account { account: verification.account.clone(), live: true };
    let waiting = waiting(app, &who, to).await?.into_iter();
    let others = waiting.filter(|(other, _)| other.verification_id != verification.verification_id);
    // One of the same session gives way to this one, and its number with it.
    let session = &verification.client.session;
    let others = others.filter(|(other, _)| {
        other.client.session != *session || other.purpose != verification.purpose
    });
    Ok(others.map(|(_, number)| number).collect())
}

fn nth(account: &config::Account, mut place: u64) -> Option<E164> {
    for range in &account.inbound_numbers {
        if place < range.count() {
            return range.nth(place);
        }
        place -= range.count();
    }
    None
}

impl Act {
    /// Lets a user under a test key call.
    pub fn start(self, app: &App, verification_id: VerificationId) {
        let Some(called) = self.play else { return };
        let task_app = app.clone();
        app.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(service::PLAY) => {}
                () = task_app.stop().cancelled() => return,
            }
            let input = Input::IncomingCall { called, is_trusted: true };
            if let Some(stored) = flash_call::write(&task_app, verification_id, input).await {
                service::settle(&task_app, &stored).await;
            }
        });
    }
}
