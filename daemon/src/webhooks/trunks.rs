//! Tells when a trunk can take calls, and when it cannot any more.

use std::collections::BTreeMap;

use dialplans::{TrunkName, TrunkState};
use serde_json::json;
use sip::RegistrationState;

use crate::app::App;
use crate::http::trunks::TrunkView;
use crate::store::{News, NewsData};
use crate::ua_driver::TrunkStatus;

/// Watches the trunks until the process stops.
pub(super) async fn run(app: App) {
    let mut table = app.driver().watch_trunks();
    let mut known = BTreeMap::new();
    loop {
        let now = table.borrow_and_update().clone();
        for trunk in &now.trunks {
            if let Some(kind) = turned(&mut known, trunk) {
                let data = NewsData(json!(TrunkView::new(trunk)));
                if let Err(error) = app.store().tell(News { kind, account: None, data }).await {
                    tracing::warn!(%error, trunk = %trunk.name, "nobody is told of a trunk");
                }
            }
        }
        tokio::select! {
            changed = table.changed() => if changed.is_err() { return },
            () = app.stop().cancelled() => return,
        }
    }
}

/// The event, when a trunk turned. One that was never up has not gone down before its registrar
/// refused it or left it without an answer.
fn turned(known: &mut BTreeMap<TrunkName, bool>, trunk: &TrunkStatus) -> Option<&'static str> {
    let before = known.get(&trunk.name).copied();
    let is_up = match trunk.state {
        TrunkState::Up | TrunkState::Full => true,
        TrunkState::Down | TrunkState::Paused | TrunkState::Cooling => false,
    };
    let is_told = before.is_some() || is_up || has_failed(trunk);
    if before == Some(is_up) || !is_told {
        return None;
    }
    known.insert(trunk.name.clone(), is_up);
    Some(if is_up { "trunk.up" } else { "trunk.down" })
}

fn has_failed(trunk: &TrunkStatus) -> bool {
    match trunk.registration {
        Some(
            RegistrationState::Failed { .. }
            | RegistrationState::Rejected { .. }
            | RegistrationState::AuthFailed { .. },
        ) => true,
        Some(
            RegistrationState::Static
            | RegistrationState::Registering
            | RegistrationState::Registered { .. }
            | RegistrationState::Unregistered,
        )
        | None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::ua_driver::TrunkCounts;

    fn trunk(state: TrunkState, registration: Option<RegistrationState>) -> TrunkStatus {
        TrunkStatus {
            name: "north".parse().unwrap(),
            state,
            registration,
            registration_since: Instant::now(),
            calls_up: 0,
            counts: TrunkCounts::default(),
        }
    }

    #[test]
    fn a_trunk_is_told_up_and_down_once_each_and_not_before_it_is_known() {
        let mut known = BTreeMap::new();
        let mut told = |state, registration| turned(&mut known, &trunk(state, registration));
        let fixed = || Some(RegistrationState::Static);
        assert_eq!(told(TrunkState::Down, None), None);
        assert_eq!(told(TrunkState::Down, Some(RegistrationState::Registering)), None);
        assert_eq!(told(TrunkState::Up, fixed()), Some("trunk.up"));
        assert_eq!(told(TrunkState::Full, fixed()), None, "a full trunk is up");
        assert_eq!(told(TrunkState::Cooling, fixed()), Some("trunk.down"));
        assert_eq!(told(TrunkState::Down, fixed()), None);
        assert_eq!(told(TrunkState::Up, fixed()), Some("trunk.up"));
    }

    #[test]
    fn a_trunk_whose_registrar_refuses_it_from_the_start_is_told_down() {
        let mut known = BTreeMap::new();
        let refused = RegistrationState::Rejected { retry_in: Duration::from_secs(120) };
        let told = turned(&mut known, &trunk(TrunkState::Down, Some(refused)));
        assert_eq!(told, Some("trunk.down"));
    }
}
