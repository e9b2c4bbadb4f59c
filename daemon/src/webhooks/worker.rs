//! Sends what waits for one webhook.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::task::JoinSet;

use super::client::{self, Answer, Net, Post, PostError};
use super::{Hook, signature};
use crate::app::App;
use crate::clock::Timestamp;
use crate::store::{DeliveryChange, StoreError, WebhookDelivery};

/// Waits between tries; after the last one it is given up.
const WAITS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
    Duration::from_secs(14 * 3_600),
    Duration::from_secs(20 * 3_600),
    Duration::from_secs(24 * 3_600),
];
/// Posts to one webhook at one time.
const AT_ONCE: u32 = 8;
/// How often it is looked when nobody wakes us: another process may store events.
const LOOK: Duration = Duration::from_secs(10);
/// What a webhook may ask to be left alone for at most.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(24 * 3_600);
/// Between two tries to write down what became of a delivery.
const WRITE_RETRY: Duration = Duration::from_secs(1);

/// Works until the process stops or the webhook wants nothing any more.
pub(super) async fn run(app: App, hook: Arc<Hook>, net: Net) {
    while !hook.is_disabled() {
        // Before it is looked, so that nothing is stored unheard between the two.
        let announced = app.store().announced();
        let wait = match look(&app, &hook).await {
            Ok(Look::Due(due)) => {
                tokio::select! {
                    () = send_due(&app, &hook, &net, due) => continue,
                    () = app.stop().cancelled() => return,
                }
            }
            Ok(Look::Wait(wait)) => wait,
            Err(StoreError::Closed) => return,
            Err(_logged_where_it_was_met) => LOOK,
        };
        tokio::select! {
            () = announced => {}
            () = tokio::time::sleep(wait) => {}
            () = app.stop().cancelled() => return,
        }
    }
}

/// What there is to do.
enum Look {
    /// These are due, and ours.
    Due(Vec<WebhookDelivery>),
    /// Nothing for so long.
    Wait(Duration),
}

async fn look(app: &App, hook: &Hook) -> Result<Look, StoreError> {
    let now = app.now();
    let due = app.store().due_deliveries(hook.name(), now, AT_ONCE).await?;
    if !due.is_empty() {
        return Ok(Look::Due(due));
    }
    // What is due and another node's comes back to us, if at all, when its lease ends: the next
    // look is soon enough.
    let later = app.store().webhook_deliveries(hook.name(), now, 1).await?;
    let next = later.first().map(|delivery| delivery.next_at);
    Ok(Look::Wait(next.map_or(LOOK, |next| app.clock().until(next).min(LOOK))))
}

async fn send_due(app: &App, hook: &Arc<Hook>, net: &Net, due: Vec<WebhookDelivery>) {
    let now = app.now();
    let mut posts = JoinSet::new();
    for delivery in due {
        let (app, hook, net) = (app.clone(), Arc::clone(hook), net.clone());
        posts.spawn(async move {
            let answer = send(&hook, &net, now, &delivery).await;
            let change = judge(&app, &hook, app.now(), &delivery, answer);
            settle(&app, change).await;
        });
    }
    while posts.join_next().await.is_some() {}
}

async fn send(
    hook: &Hook,
    net: &Net,
    now: Timestamp,
    delivery: &WebhookDelivery,
) -> Result<Answer, PostError> {
    let id = delivery.event_id.to_string();
    let seconds = now.as_millis().div_euclid(1000);
    let signed = signature::signature(&hook.keys, &id, seconds, &delivery.body);
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signed),
    ];
    let (url, allow_private) = (&hook.settings.url, hook.settings.allow_private);
    client::post(net, Post { url, allow_private, headers, body: delivery.body.clone() }).await
}

/// What a try comes to.
fn judge(
    app: &App,
    hook: &Hook,
    now: Timestamp,
    delivery: &WebhookDelivery,
    answer: Result<Answer, PostError>,
) -> DeliveryChange {
    let attempts = delivery.attempts + 1;
    let (outcome, retry_after) = match &answer {
        Ok(answer) => (format!("http_{}", answer.status.as_u16()), answer.retry_after),
        Err(error) => (error.word().to_owned(), None),
    };
    let ended = |disable| {
        let (event_id, outcome) = (delivery.event_id, outcome.clone());
        DeliveryChange { event_id, attempts, next_at: None, outcome, disable }
    };
    let webhook = hook.name();
    match answer.map(|answer| answer.status) {
        Ok(status) if status.is_success() => return ended(None),
        Ok(StatusCode::GONE) => {
            tracing::warn!(webhook, "its address is gone and gets no events any more");
            hook.disable();
            return ended(Some((webhook.to_owned(), client::shown(&hook.settings.url))));
        }
        Ok(_) | Err(_) => tracing::info!(webhook, outcome, attempts, "an event was not taken"),
    }
    let Some(&wait) = WAITS.get(delivery.attempts as usize) else {
        tracing::warn!(webhook, outcome, "an event is given up");
        return ended(None);
    };
    let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_LIMIT);
    let next_at = Some(now + app.jittered(wait).max(asked));
    DeliveryChange { event_id: delivery.event_id, attempts, next_at, outcome, disable: None }
}

async fn settle(app: &App, change: DeliveryChange) {
    loop {
        match app.store().change_delivery(change.clone()).await {
            Ok(()) | Err(StoreError::Closed) => return,
            // It is sent again after a restart: a receiver knows it by its id.
            Err(error) => tracing::warn!(%error, "a delivery was not written down"),
        }
        tokio::time::sleep(WRITE_RETRY).await;
    }
}
