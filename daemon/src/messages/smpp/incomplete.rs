//! Texts of which a part never comes: they are given on as they are.

use std::time::Duration;

use crate::app::App;
use crate::messages::receive;

/// How often it is looked.
const ROUND: Duration = Duration::from_secs(15);

/// Looks until the process stops.
pub(super) async fn run(app: App) {
    loop {
        let before = app.store().inbound_patience();
        if let Err(error) = receive::settle_parts(&app, before).await {
            // The next round finds them again.
            tracing::warn!(%error, "texts with missing parts were not looked for");
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = app.stop().cancelled() => return,
        }
    }
}
