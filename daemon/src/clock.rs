//! The time of day, and nothing else that reads it.
//!
//! The wall time is read once at start; from then on it is that time plus the monotonic time
//! since, slewed towards the system's clock. A jump of the system's clock therefore moves no
//! deadline and never makes time go backwards.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The slew, as a divisor of the time that passed: at most 0.5 ms in each second.
const SLEW_DIVISOR: i64 = 2_000;

/// Milliseconds since 1970-01-01T00:00:00Z; prints as RFC 3339 with milliseconds and `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A text is no RFC 3339 time between the years 0 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time in the form of RFC 3339, such as 2026-01-31T09:30:00Z")]
pub struct TimestampError;

impl Timestamp {
    /// The largest one whose year has four digits.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to this one; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(timestamp: Timestamp) -> Self {
        let nanos = i128::from(timestamp.0.clamp(0, Timestamp::MAX.0)) * 1_000_000;
        Self::from_unix_timestamp_nanos(nanos).unwrap_or(Self::UNIX_EPOCH)
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(time: OffsetDateTime) -> Self {
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
        Self(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from(*self);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.millisecond()
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        OffsetDateTime::parse(text, &Rfc3339).map(Self::from).map_err(|_| TimestampError)
    }
}

/// The daemon's clock. Cheap to clone; all clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System { started: Instant, slewed: Mutex<Slewed> },
    Manual(AtomicI64),
}

impl Clock {
    /// Reads the wall time once and follows it from there.
    pub fn system() -> Self {
        let slewed = Slewed { wall_us: system_us(), monotonic_us: 0 };
        Self(Arc::new(Source::System { started: Instant::now(), slewed: Mutex::new(slewed) }))
    }

    /// A clock for tests: it stands still until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Arc::new(Source::Manual(AtomicI64::new(start.0))))
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System { started, slewed } => {
                let monotonic = i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
                let mut slewed = slewed.lock().unwrap_or_else(PoisonError::into_inner);
                Timestamp(slewed.follow(monotonic, system_us()) / 1_000)
            }
            Source::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// How long it is until `deadline`; zero when it has passed.
    pub fn until(&self, deadline: Timestamp) -> Duration {
        deadline.since(self.now())
    }

    /// Moves a manual clock forward; a system clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(millis) = &*self.0 {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(0), Ordering::SeqCst);
        }
    }
}

fn system_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

/// The last time shown, and when on the monotonic clock.
#[derive(Debug)]
struct Slewed {
    wall_us: i64,
    monotonic_us: i64,
}

impl Slewed {
    /// Adds the monotonic time that passed and at most 1/2000 of it in the system's direction.
    fn follow(&mut self, monotonic_us: i64, system_us: i64) -> i64 {
        // Two threads may have read the monotonic clock in the other order.
        let passed = (monotonic_us - self.monotonic_us).max(0);
        let slew = passed / SLEW_DIVISOR;
        if slew == 0 {
            // Too short for a whole microsecond of slew: let it add up before it counts.
            return self.wall_us + passed;
        }
        let unslewed = self.wall_us + passed;
        let error = system_us.saturating_sub(unslewed);
        self.wall_us = unslewed + error.clamp(-slew, slew);
        self.monotonic_us = monotonic_us;
        self.wall_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    #[test]
    fn a_timestamp_prints_milliseconds_and_z_and_is_read_back() {
        let timestamp = Timestamp(1_769_850_000_042);
        assert_eq!(timestamp.to_string(), "2026-01-31T09:00:00.042Z");
        assert_eq!("2026-01-31T09:00:00.042Z".parse(), Ok(timestamp));
        assert_eq!("2026-01-31T12:00:00.042+03:00".parse(), Ok(timestamp));
        assert_eq!("yesterday".parse::<Timestamp>(), Err(TimestampError));
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_day_of_jump_moves_the_clock_by_half_a_millisecond_a_second() {
        for jump in [DAY_US, -DAY_US] {
            let mut slewed = Slewed { wall_us: 0, monotonic_us: 0 };
            let mut shown = 0;
            for second in 1..=60 {
                let monotonic = second * 1_000_000;
                shown = slewed.follow(monotonic, monotonic + jump);
            }
            assert_eq!(shown, 60_000_000 + 60 * 500 * jump.signum());
        }
    }

    #[test]
    fn a_small_error_is_mended_and_not_overshot() {
        let mut slewed = Slewed { wall_us: 0, monotonic_us: 0 };
        for second in 1..=10 {
            slewed.follow(second * 1_000_000, second * 1_000_000 + 1_200);
        }
        assert_eq!(slewed.follow(11_000_000, 11_001_200), 11_001_200);
    }

    #[test]
    fn frequent_readings_slew_as_far_as_rare_ones_and_never_go_back() {
        let mut slewed = Slewed { wall_us: 0, monotonic_us: 0 };
        let mut last = 0;
        for step in 1..=1_000_000 {
            let shown = slewed.follow(step * 7, step * 7 - DAY_US);
            assert!(shown >= last);
            last = shown;
        }
        let slew = 7_000_000 - last;
        assert!((3_400..=3_500).contains(&slew), "{slew}");
    }

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved() {
        let clock = Clock::manual(Timestamp(1_000));
        let other = clock.clone();
        assert_eq!(clock.now(), Timestamp(1_000));
        other.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp(2_000));
        assert_eq!(clock.until(Timestamp(2_500)), Duration::from_millis(500));
        assert_eq!(clock.until(Timestamp(1)), Duration::ZERO);
    }
}
