//! Words with systemd: ready, status, the watchdog, stopping.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

use crate::ua_driver::Driver;

/// How often the status line is renewed when the watchdog asks for nothing quicker.
const STATUS_PERIOD: Duration = Duration::from_secs(5);

/// Tells systemd how the daemon is until it is dropped.
pub(super) struct Notifier {
    task: JoinHandle<()>,
}

impl Notifier {
    /// Says `READY=1` and goes on telling. The watchdog is petted only while the call loop
    /// answers, so a loop that hangs is restarted.
    pub(super) fn start(driver: Driver) -> Self {
        tell(&[NotifyState::Ready]);
        let watchdog = sd_notify::watchdog_enabled();
        let period = watchdog.map_or(STATUS_PERIOD, |limit| (limit / 2).min(STATUS_PERIOD));
        let task = tokio::spawn(async move {
            let mut every = tokio::time::interval(period);
            loop {
                every.tick().await;
                if !driver.is_alive().await {
                    tracing::error!("the call loop does not answer");
                    continue;
                }
                let table = driver.trunks();
                let (up, calls) = (table.up(), table.calls_up());
                let status = format!("{up} trunks up, {calls} calls");
                tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
            }
        });
        Self { task }
    }

    /// Says `STOPPING=1`.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, which is no fault.
    let _ = sd_notify::notify(states);
}
