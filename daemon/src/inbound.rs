//! What comes in over the trunks: whose it is, and what follows.

mod numbers;

use std::sync::Arc;
use std::time::Duration;

use config::AccountName;
use dialplans::{E164, TrunkName};
use serde_json::json;
use sip::{Caller, CallerSource, IncomingCall, IncomingText, TextAnswer};
use tokio::sync::{Semaphore, mpsc};

use crate::app::{App, Settings};
use crate::channels::incoming_call;
use crate::facts::Fact;
use crate::ids::VerificationId;
use crate::messages::{self, Arrived, Sender};
use crate::store::{
    Applied, Apply, News, NewsData, PageFilter, StoreError, VerificationFilter, Who,
};
use crate::telemetry;
use crate::ua_driver::Inbound;
use crate::verification::machine::{Answer, Input};
use crate::verification::model::{CallVerdict, Channel};
use crate::verification::service;
pub(crate) use numbers::{international, number, owner};

/// Calls and texts that are worked on at once: what one batch of the store's writer holds well.
/// What comes beyond waits in the call loop's channel, and then its sender is told to try later.
const AT_ONCE: usize = 256;

/// How long after its verification was made a call still counts as late.
const LATE: Duration = Duration::from_secs(3600);

/// Takes what comes in, until the stop.
pub async fn run(app: App, mut inbound: mpsc::Receiver<Inbound>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            Some((inbound.recv().await?, place))
        };
        let next = tokio::select! {
            next = next => next,
            () = app.stop().cancelled() => None,
        };
        let Some((inbound, place)) = next else { return };
        let app_of_task = app.clone();
        app.spawn(async move {
            take(&app_of_task, inbound).await;
            drop(place);
        });
    }
}

async fn take(app: &App, inbound: Inbound) {
    match inbound {
        Inbound::Call { trunk, call } => take_call(app, trunk, &call).await,
        Inbound::Text { trunk, text } => {
            let handle = text.text;
            let answer = take_text(app, trunk, *text).await;
            app.driver().answer_text(handle, answer).await;
        }
    }
}

/// Stores a text before its sender is told that it was accepted.
async fn take_text(app: &App, trunk: TrunkName, text: IncomingText) -> TextAnswer {
    let settings = app.settings();
    let called = text.called.as_ref().map(sip::UserPart::reveal);
    let Some((name, account, to)) = called.and_then(|called| owner(&settings, called)) else {
        telemetry::inbound(&trunk, "text", "unknown_number");
        return TextAnswer::NotFound;
    };
    let key = key(&trunk, &text);
    let arrived = Arrived {
        account: name.to_string(),
        to,
        sender: match &text.caller {
            Caller::Shown { user, .. } => match number(user.reveal(), account.default_region) {
                Some(number) => Sender::Number(number),
                None => Sender::Name(user.reveal().to_owned()),
            },
            Caller::Hidden | Caller::Absent => Sender::Unknown,
        },
        text: text.body,
        encoding: "utf8",
        segments: 1,
        trunk: Some(trunk.clone()),
    };
    match messages::receive(app, arrived, &key).await {
        Ok(()) => {
            telemetry::inbound(&trunk, "text", "received");
            TextAnswer::Accepted
        }
        Err(error) => {
            tracing::warn!(%error, %trunk, "a text from outside was not stored, it may come again");
            telemetry::inbound(&trunk, "text", "not_stored");
            TextAnswer::Unavailable
        }
    }
}

/// What names a text across restarts. The text is part of it: a sender that gives two texts one
/// Call-ID and CSeq loses neither.
fn key(trunk: &TrunkName, text: &IncomingText) -> String {
    let call_id = text.call_id.escape_ascii();
    format!("sip\n{trunk}\n{call_id}\n{}\n{}", text.cseq, text.body)
}

/// Looks who called whom: a call that is awaited approves, and whatever it comes to is told.
async fn take_call(app: &App, trunk: TrunkName, call: &IncomingCall) {
    let heard = Heard::new(&app.settings(), &trunk, call);
    let (verdict, verification_id) = match judge(app, &heard).await {
        Ok(judged) => judged,
        Err(error) => {
            // The user calls again: nothing was promised.
            tracing::warn!(%error, %trunk, "a call from outside was not looked up");
            return telemetry::inbound(&trunk, "call", "not_stored");
        }
    };
    telemetry::inbound(&trunk, "call", verdict.as_str());
    let Heard { account, called, caller, .. } = heard;
    let account = account.map(|account| account.to_string());
    if account.is_some() {
        let number = |number: Option<E164>| number.map(|number| String::from(&*number.reveal()));
        let data = json!({
            "live": true,
            "trunk": trunk.to_string(),
            "called": number(called),
            "caller": number(caller),
            "verdict": verdict.as_str(),
            "verification_id": verification_id.map(|id| id.to_string()),
        });
        let data = NewsData(data);
        let news = News { kind: "call.received", account: account.clone(), data };
        if let Err(error) = app.store().tell(news).await {
            tracing::warn!(%error, %trunk, "nobody is told of a call from outside");
        }
    }
    app.facts().tell(Fact::CallReceived {
        trunk,
        account,
        called,
        caller,
        verdict,
        verification_id,
    });
}

/// A call in our own terms.
struct Heard {
    account: Option<AccountName>,
    called: Option<E164>,
    /// `None`: withheld, or not a number.
    caller: Option<E164>,
    is_hidden: bool,
    /// Whether the trunk vouches for the caller and its word counts.
    is_trusted: bool,
}

impl Heard {
    fn new(settings: &Settings, trunk: &TrunkName, call: &IncomingCall) -> Self {
        let called = call.called.as_ref().map(sip::UserPart::reveal);
        let owned = called.and_then(|called| owner(settings, called));
        let region = owned.as_ref().and_then(|(_, account, _)| account.default_region);
        let counts = settings.config.trunks.get(trunk).is_some_and(|trunk| trunk.cli_trusted);
        let (caller, is_vouched_for) = match &call.caller {
            Caller::Shown { user, source } => {
                (number(user.reveal(), region), *source != CallerSource::From)
            }
            Caller::Hidden | Caller::Absent => (None, false),
        };
        Self {
            account: owned.as_ref().map(|(name, ..)| (*name).clone()),
            called: owned.map(|(.., called)| called),
            caller,
            is_hidden: !matches!(call.caller, Caller::Shown { .. }),
            is_trusted: counts && is_vouched_for,
        }
    }
}

/// What a call comes to, and which verification it concerns.
async fn judge(
    app: &App,
    heard: &Heard,
) -> Result<(CallVerdict, Option<VerificationId>), StoreError> {
    let (Some(account), Some(called)) = (&heard.account, heard.called) else {
        return Ok((CallVerdict::UnknownNumber, None));
    };
    let Some(caller) = heard.caller else {
        let hidden = CallVerdict::HiddenNumber;
        return Ok((if heard.is_hidden { hidden } else { CallVerdict::WrongCaller }, None));
    };
    let who = Who::Account { account: account.to_string(), live: true };
    let mut waiting = incoming_call::waiting(app, &who, caller).await?;
    if waiting.iter().any(|(_, awaited)| *awaited == called) {
        waiting.retain(|(_, awaited)| *awaited == called);
    }
    match &waiting[..] {
        [] => Ok((of_the_past(app, &who, caller).await?, None)),
        [(verification, _)] => apply(app, heard, called, verification.verification_id).await,
        // Each of them gave out a number of its own, save two that were made at one instant. The
        // call could be meant for a stranger's.
        [..] => Ok((CallVerdict::Ambiguous, None)),
    }
}

async fn apply(
    app: &App,
    heard: &Heard,
    called: E164,
    verification_id: VerificationId,
) -> Result<(CallVerdict, Option<VerificationId>), StoreError> {
    let input = Input::IncomingCall { called, is_trusted: heard.is_trusted };
    let verdict = match app.store().apply(Apply::internal(verification_id, input)).await? {
        Applied::Accepted { verification, answer, .. } => {
            service::settle(app, &verification).await;
            match answer {
                Answer::Called(verdict) => verdict,
                Answer::Done | Answer::Checked { .. } => CallVerdict::Late,
            }
        }
        // It ended while the call was looked up.
        Applied::Refused { .. } | Applied::Replayed(_) | Applied::NotFound => CallVerdict::Late,
    };
    Ok((verdict, Some(verification_id)))
}

/// Whether the caller was awaited lately.
async fn of_the_past(app: &App, who: &Who, caller: E164) -> Result<CallVerdict, StoreError> {
    let filter = VerificationFilter {
        to: Some(caller),
        channel: Some(Channel::IncomingCall),
        page: PageFilter { created_after: Some(app.now() - LATE), ..PageFilter::newest(1) },
        ..VerificationFilter::default()
    };
    let page = app.store().verifications(who, &filter).await?;
    let was_awaited = !page.items.is_empty();
    Ok(if was_awaited { CallVerdict::Late } else { CallVerdict::WrongCaller })
}
