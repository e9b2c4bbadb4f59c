//! What a message centre delivers: receipts and texts. Each is answered after it is stored.

use std::sync::Arc;
use std::time::Duration;

use dialplans::{E164, TrunkName};
use rusmpp::CommandStatus;
use rusmpp::pdus::DeliverSm;
use rusmpp::tlvs::TlvValue;
use tokio::sync::{Semaphore, mpsc};

use super::incoming;
use super::link::Link;
use super::receipt::{self, Fate, Receipt};
use super::session::Delivery;
use crate::app::App;
use crate::ids::VerificationId;
use crate::store::{Applied, Apply, ChangePart, PartEvent, PartStatus, StoreError, Submitted, Who};
use crate::verification::machine::Input;
use crate::verification::service;

/// Deliveries that are worked on at one time.
const AT_ONCE: usize = 32;
/// A receipt may overtake the writing down of the answer to its submit, by this process or by
/// another that is bound to the same centre: so often it is looked for again, after waits that
/// double.
const LOOKS: u32 = 5;
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// Works until the link's sender is gone.
pub(super) async fn run(app: App, link: TrunkName, mut arrived: mpsc::Receiver<Delivery>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let delivery = tokio::select! {
            delivery = arrived.recv() => delivery,
            () = app.stop().cancelled() => None,
        };
        let Some(delivery) = delivery else { return };
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        let (task_app, link) = (app.clone(), link.clone());
        app.spawn(async move {
            let status = take(&task_app, &link, &delivery).await;
            delivery.answer(status).await;
            drop(permit);
        });
    }
}

async fn take(app: &App, link: &TrunkName, delivery: &Delivery) -> CommandStatus {
    let deliver = &delivery.deliver;
    // Message type, bits 2 to 5 (SMPP 3.4 section 5.2.12): a receipt or an intermediate one. What
    // else there is a user wrote.
    match u8::from(deliver.esm_class) & 0x3c {
        0x04 | 0x20 => settle(app, link, deliver).await,
        _ => incoming::take(app, link, deliver, delivery.bound_at.elapsed()).await,
    }
}

async fn settle(app: &App, link: &TrunkName, deliver: &DeliverSm) -> CommandStatus {
    let Some(receipt) = read(deliver) else {
        tracing::warn!(%link, "a receipt names no part or no state");
        return CommandStatus::EsmeRok;
    };
    let status = match receipt.fate {
        // It says nothing that is not known.
        Fate::Underway => return CommandStatus::EsmeRok,
        Fate::Delivered => PartStatus::Delivered,
        Fate::Expired => PartStatus::Expired,
        Fate::Failed => PartStatus::Failed,
        Fate::Rejected => PartStatus::Rejected,
        Fate::Unknown => PartStatus::Unknown,
    };
    let found = match find(app, link, &receipt.remote_id, phone(deliver)).await {
        Ok(Found::Part(found)) => found,
        Ok(Found::NotYet) => return CommandStatus::EsmeRxTAppn,
        Ok(Found::Nothing) => {
            tracing::info!(%link, "a receipt names a part that we did not submit");
            return CommandStatus::EsmeRok;
        }
        Err(error) => return later(link, error),
    };
    let word = match receipt.error {
        Some(error) => format!("receipt_{error}"),
        None => "receipt".to_owned(),
    };
    let written = match found.code {
        None => tell_text(app, link, &found, status, word).await,
        Some((verification_id, parts)) => {
            tell_code(app, verification_id, &found, parts, status, word).await
        }
    };
    match written {
        Ok(()) => CommandStatus::EsmeRok,
        Err(error) => later(link, error),
    }
}

/// The phone that a receipt names; `None`: in a form that is the centre's own.
fn phone(deliver: &DeliverSm) -> Option<E164> {
    format!("+{}", deliver.source_addr.as_str().trim_start_matches('+')).parse().ok()
}

async fn tell_text(
    app: &App,
    link: &TrunkName,
    found: &Submitted,
    status: PartStatus,
    word: String,
) -> Result<(), StoreError> {
    let change = ChangePart {
        message_id: found.message_id,
        part: found.part,
        link: link.clone(),
        event: PartEvent::Told(status),
        detail: Some(word),
    };
    // A second receipt, or one that comes after the end, changes nothing.
    app.store().change_part(change).await.map(drop)
}

async fn tell_code(
    app: &App,
    verification_id: VerificationId,
    found: &Submitted,
    parts: usize,
    status: PartStatus,
    detail: String,
) -> Result<(), StoreError> {
    let delivered = match status {
        PartStatus::Delivered => true,
        PartStatus::Failed | PartStatus::Expired | PartStatus::Rejected => false,
        // The centre does not know: the code may be shown, and stays checkable.
        PartStatus::Accepted | PartStatus::Sending | PartStatus::Sent | PartStatus::Unknown => {
            return Ok(());
        }
    };
    let (dispatch_id, part) = (found.message_id, found.part);
    let input = Input::Receipt { dispatch_id, part, parts, delivered, detail };
    match app.store().apply(Apply::internal(verification_id, input)).await? {
        Applied::Accepted { verification, .. } => service::settle(app, &verification).await,
        Applied::Refused { .. } | Applied::Replayed(_) | Applied::NotFound => {}
    }
    Ok(())
}

/// The centre keeps it and delivers it again.
pub(super) fn later(link: &TrunkName, error: StoreError) -> CommandStatus {
    tracing::warn!(%link, %error, "a delivery was not stored");
    CommandStatus::EsmeRxTAppn
}

fn read(deliver: &DeliverSm) -> Option<Receipt> {
    let (mut remote_id, mut state, mut payload) = (None, None, None);
    for value in deliver.tlvs().iter().filter_map(|tlv| tlv.value()) {
        match value {
            TlvValue::ReceiptedMessageId(id) => remote_id = Some(id.as_str()),
            TlvValue::MessageState(found) => state = Some(u8::from(*found)),
            TlvValue::MessagePayload(found) => payload = Some(found.value.as_ref()),
            _ => {}
        }
    }
    let text: &[u8] = payload.unwrap_or_else(|| deliver.short_message().as_ref());
    receipt::read(text, remote_id, state)
}

/// What a receipt means.
enum Found {
    /// This part.
    Part(Submitted),
    /// Perhaps a part that has left and of which nothing else is known yet.
    NotYet,
    /// Nothing that we submitted.
    Nothing,
}

/// The part that a receipt means. Where an id may be read in two ways or has come again, the part
/// that went to the phone which the receipt names is meant.
async fn find(
    app: &App,
    link: &TrunkName,
    remote_id: &str,
    phone: Option<E164>,
) -> Result<Found, StoreError> {
    let door = app.links().get(link);
    let mark = door.as_ref().map(Link::mark);
    let is_hexadecimal = door.as_ref().is_some_and(Link::ids_are_hexadecimal);
    let ids = receipt::candidates(remote_id, is_hexadecimal);
    let mut wait = FIRST_LOOK;
    let mut end = Found::Nothing;
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        // Asked before the look: what is written in between would be missed by both.
        let all_written = door.as_ref().zip(mark).is_none_or(|(door, mark)| door.has_written(mark));
        end = if all_written { Found::Nothing } else { Found::NotYet };
        let mut found = app.store().submitted(link.as_str(), &ids).await?;
        // The likeliest reading of the id first, and of one reading the newest.
        found.sort_by_key(|part| ids.iter().position(|id| *id == part.remote_id));
        let mut plain = None;
        for submitted in found {
            // Another reading counts only once no part can come to have the likeliest.
            if !all_written && submitted.remote_id != ids[0] {
                continue;
            }
            let Some(to) = called(app, &submitted).await? else { continue };
            if phone.is_some() && to == phone {
                return Ok(Found::Part(submitted));
            }
            // A centre may write the phone in a form of its own: then only the very id counts.
            if all_written && submitted.remote_id == receipt::plain_id(remote_id) && plain.is_none()
            {
                plain = Some(submitted);
            }
        }
        if let Some(plain) = plain {
            return Ok(Found::Part(plain));
        }
    }
    Ok(end)
}

/// The phone that a part went to; the inner `None`: its retention ran out. The outer one: nobody
/// remembers the text.
async fn called(app: &App, submitted: &Submitted) -> Result<Option<Option<E164>>, StoreError> {
    let who = &Who::Gateway;
    Ok(match submitted.code {
        None => {
            let message = app.store().message(who, submitted.message_id).await?;
            message.map(|message| message.to.full())
        }
        Some((verification_id, _)) => {
            let verification = app.store().verification(who, verification_id).await?;
            verification.map(|verification| verification.number())
        }
    })
}
