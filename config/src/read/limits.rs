//! Reading `[limits]`.

use std::time::Duration;

use crate::config::limits::Limits;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::section::Section;
use crate::section::scalar::Zero;

pub(crate) fn read(section: &Section<'_>, faults: &mut Faults) -> Limits {
    let between_sends = section.seconds(faults, "between_sends_s", 0..=3_600, Zero::IsRefused);
    let same_tail_hours = section.whole(faults, "same_tail_hours", 24_u64, 1..=24 * 30);
    let limits = Limits {
        between_sends: between_sends.unwrap_or(Duration::from_secs(15)),
        sends_per_minute: section.whole(faults, "sends_per_minute", 4, 1..=60),
        sends_per_day: section.whole(faults, "sends_per_day", 30, 1..=10_000),
        flash_calls_per_day: section.whole(faults, "flash_calls_per_day", 10, 1..=10_000),
        failed_checks_per_day: section.whole(faults, "failed_checks_per_day", 5, 1..=100),
        failed_long_checks_per_day: section.whole(
            faults,
            "failed_long_checks_per_day",
            10,
            1..=100,
        ),
        open_verifications: section.whole(faults, "open_verifications", 3, 1..=100),
        same_tail: Duration::from_secs(same_tail_hours * 3_600),
        http_connections: section.whole(faults, "http_connections", 1_024, 16..=100_000),
        requests_per_second: section.whole(faults, "requests_per_second", 1_000, 1..=1_000_000),
    };
    if limits.flash_calls_per_day > limits.sends_per_day {
        let message = format!(
            "{} flash calls a day can never be placed: all sends together are {}",
            limits.flash_calls_per_day, limits.sends_per_day
        );
        let written = ["flash_calls_per_day", "sends_per_day"];
        let place = written.into_iter().find_map(|key| section.get(key)).map(|value| value.span);
        faults
            .add(Code::LimitsDisagree, place, message)
            .help("\"sends_per_day\" counts flash calls and texts");
    }
    limits
}
