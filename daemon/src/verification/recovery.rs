//! What a start does with what a process that died left behind.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dialplans::{E164, TrunkName};
use sip::{CallOutcome, InterruptedCall, RegistrationState};

use crate::app::App;
use crate::channels::{self, flash_call};
use crate::ids::{CallId, VerificationId};
use crate::store::{Applied, Apply, StoreError, UnfinishedCall};
use crate::ua_driver::TrunkTable;
use crate::verification::machine::Input;
use crate::verification::model::{CallState, Verification};
use crate::verification::service;

/// Rows read at once.
const PAGE: u32 = 500;

/// CSeq number of a call's first INVITE.
const FIRST_CSEQ: u32 = 1;

/// How long a trunk may take to be bound again; later the phone has stopped ringing by itself.
const REGISTRAR_LIMIT: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Calls without an end: each is cancelled once and never dialled again.
    pub calls: usize,
    /// Verifications that are open.
    pub open: usize,
}

/// Reads what is unfinished, and starts to settle it in tasks of its own. Must have returned
/// before the first request is served: a call of this process looks the same in the store.
pub async fn recover(app: &App) -> Result<Recovered, StoreError> {
    // The numbering plans are unpacked at first use: let that be no client's request.
    app.tasks().spawn_blocking(|| E164::from_typed("+79161234567", None).is_ok());
    let mut calls = Vec::new();
    loop {
        let after = calls.last().map(|call: &UnfinishedCall| call.call_id);
        let page = app.store().unfinished_calls(after, PAGE).await?;
        let last = page.len() < PAGE as usize;
        calls.extend(page);
        if last {
            break;
        }
    }
    let interrupted: BTreeSet<VerificationId> =
        calls.iter().map(|call| call.verification_id).collect();
    let (open, decoys) = open(app, &interrupted).await?;
    let found = Recovered { calls: calls.len(), open };
    for call in calls {
        let app = app.clone();
        // A call for nobody never left: there is nothing to cancel.
        let was_placed = !decoys.contains(&call.verification_id);
        app.clone().spawn(async move { interrupt(&app, call, was_placed).await });
    }
    Ok(found)
}

/// Sets the timers of open verifications, goes on with what was to be handed on, and tells those
/// whose workflow stopped between two calls that nothing more comes of their step. Answers how many
/// there are, and those that are nobody's.
async fn open(
    app: &App,
    interrupted: &BTreeSet<VerificationId>,
) -> Result<(usize, BTreeSet<VerificationId>), StoreError> {
    let mut count = 0;
    let mut decoys = BTreeSet::new();
    let mut after = None;
    loop {
        let page = app.store().open_verifications(after, PAGE).await?;
        for verification in &page {
            app.expiry().add(verification);
            if verification.is_decoy() {
                decoys.insert(verification.verification_id);
            }
            service::settle(app, verification).await;
            let goes_on = channels::resume(app, verification);
            if !goes_on && !interrupted.contains(&verification.verification_id) {
                let app = app.clone();
                let id = verification.verification_id;
                app.clone().spawn(async move { nothing_left(&app, id).await });
            }
        }
        count += page.len();
        after = page.last().map(|verification: &Verification| verification.verification_id);
        if page.len() < PAGE as usize {
            return Ok((count, decoys));
        }
    }
}

async fn nothing_left(app: &App, verification_id: VerificationId) {
    let apply = Apply::internal(verification_id, Input::NothingLeft);
    match app.store().apply(apply).await {
        Ok(Applied::Accepted { verification, .. }) => service::settle(app, &verification).await,
        Ok(Applied::Refused { .. } | Applied::NotFound | Applied::Replayed(_)) => {}
        Err(error) => {
            tracing::warn!(%error, %verification_id, "an unfinished workflow was not ended");
        }
    }
}

async fn interrupt(app: &App, call: UnfinishedCall, was_placed: bool) {
    let input = Input::CallEnded {
        call_id: call.call_id,
        record: flash_call::unplaced(app.now(), CallOutcome::Interrupted),
        last: true,
    };
    // The far side may take half a minute to answer the CANCEL; the record does not wait.
    let settled = async {
        if let Some(stored) = flash_call::write(app, call.verification_id, input).await {
            service::settle(app, &stored).await;
        }
    };
    let cancelled = async {
        if was_placed {
            cancel(app, &call).await;
        }
    };
    tokio::join!(cancelled, settled);
}

async fn cancel(app: &App, call: &UnfinishedCall) {
    let call_id: CallId = call.call_id;
    let Some(interrupted) = interrupted_call(app, call).await else {
        tracing::warn!(%call_id, "an interrupted call cannot be cancelled: its trunk is gone");
        return;
    };
    match app.driver().cancel_interrupted(call.trunk.clone(), interrupted).await {
        Some(status) => tracing::info!(%call_id, status, "an interrupted call was cancelled"),
        None => tracing::warn!(%call_id, "the cancel of an interrupted call was not answered"),
    }
}

/// `None`: the trunk is not in the file any more, or nobody knows where it is.
async fn interrupted_call(app: &App, call: &UnfinishedCall) -> Option<InterruptedCall> {
    let CallState::Up { target, last_cseq, .. } = call.state else { return None };
    let settings = app.settings();
    let trunk = settings.config.trunks.get(&call.trunk)?;
    let target = match target {
        Some(target) => target,
        // The process died between the row and the first word of the call loop: the INVITE may
        // have left, and went where calls of this trunk go.
        None => match trunk.targets.first() {
            Some(target) => target.address,
            None => registrar(app, &call.trunk).await?,
        },
    };
    Some(InterruptedCall {
        identity: app.keys().call_identity(call.call_id),
        called: call.dialled.clone(),
        caller_id: trunk.caller_id(&call.caller_id).ok()?,
        target,
        last_cseq: last_cseq.max(FIRST_CSEQ),
        dialog: call.dialog.clone(),
    })
}

/// Where the trunk's binding is, as soon as it has one again.
async fn registrar(app: &App, trunk: &TrunkName) -> Option<SocketAddr> {
    let mut trunks = app.driver().watch_trunks();
    let bound = |table: &Arc<TrunkTable>| target_of(table, trunk).is_some();
    let table = tokio::time::timeout(REGISTRAR_LIMIT, trunks.wait_for(bound)).await.ok()?.ok()?;
    target_of(&table, trunk)
}

fn target_of(table: &TrunkTable, trunk: &TrunkName) -> Option<SocketAddr> {
    let status = table.trunks.iter().find(|status| status.name == *trunk)?;
    match &status.registration {
        Some(RegistrationState::Registered { target, .. }) => Some(*target),
        _ => None,
    }
}
