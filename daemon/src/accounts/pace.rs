//! How many requests each key may make in a second.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::ApiKeyId;

/// Keys whose pace is remembered; those that rest are forgotten first.
const KEYS_LIMIT: usize = 4096;
const SECOND_MS: u64 = 1000;

/// What one request left of its key's allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a second, and at once after a quiet one.
    pub quota: u32,
    /// Requests that could be made now.
    pub left: u32,
    /// Until the whole quota is there again.
    pub full_in: Duration,
}

/// A request came too soon; this says what its key has left, which is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key makes too many requests")]
pub struct TooFast(pub Allowance);

/// The pace of every key that was used lately.
#[derive(Debug, Default)]
pub struct Paces(Mutex<HashMap<ApiKeyId, Bucket>>);

/// Thousandths of a request, which are what a quota of one a second gains in a millisecond.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    milli: u64,
    at: Timestamp,
}

impl Bucket {
    fn refilled(self, now: Timestamp, quota: u32) -> Self {
        // A clock that was set back gives nothing, and nothing is owed to it either.
        let gained = now.since(self.at).as_millis().min(u128::from(SECOND_MS)) as u64;
        let most = u64::from(quota) * SECOND_MS;
        Self { milli: (self.milli + gained * u64::from(quota)).min(most), at: now }
    }

    fn allowance(self, quota: u32) -> Allowance {
        let missing = u64::from(quota) * SECOND_MS - self.milli;
        Allowance {
            quota,
            left: u32::try_from(self.milli / SECOND_MS).unwrap_or(quota),
            full_in: Duration::from_millis(missing.div_ceil(u64::from(quota))),
        }
    }
}

impl Paces {
    /// Takes one request of this key, of `quota` (at least 1) in a second.
    pub fn take(&self, key: &ApiKeyId, quota: u32, now: Timestamp) -> Result<Allowance, TooFast> {
        let quota = quota.max(1);
        let full = Bucket { milli: u64::from(quota) * SECOND_MS, at: now };
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEYS_LIMIT && !buckets.contains_key(key) {
            buckets.retain(|_, bucket| now.since(bucket.at) < Duration::from_secs(1));
            if buckets.len() >= KEYS_LIMIT {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key.clone()).or_insert(full);
        *bucket = bucket.refilled(now, quota);
        if bucket.milli < SECOND_MS {
            return Err(TooFast(bucket.allowance(quota)));
        }
        bucket.milli -= SECOND_MS;
        Ok(bucket.allowance(quota))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> ApiKeyId {
        ApiKeyId::parse(&format!("{n:010}")).unwrap()
    }

    #[test]
    fn a_key_has_its_quota_at_once_and_then_as_time_gives_it_back() {
        let paces = Paces::default();
        let start = Timestamp(1_000_000);
        for left in (0..10).rev() {
            assert_eq!(paces.take(&key(1), 10, start).unwrap().left, left);
        }
        let refused = paces.take(&key(1), 10, start).unwrap_err().0;
        assert_eq!((refused.left, refused.full_in), (0, Duration::from_secs(1)));
        assert!(paces.take(&key(2), 10, start).is_ok(), "another key is not concerned");
        assert!(paces.take(&key(1), 10, Timestamp(1_000_099)).is_err());
        assert!(paces.take(&key(1), 10, Timestamp(1_000_100)).is_ok());
        assert!(paces.take(&key(1), 10, Timestamp(1_000_100)).is_err());
        assert_eq!(paces.take(&key(1), 10, Timestamp(1_900_000)).unwrap().left, 9);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nobody_for_long() {
        let paces = Paces::default();
        for _ in 0..2 {
            paces.take(&key(1), 2, Timestamp(90_000_000)).unwrap();
        }
        assert!(paces.take(&key(1), 2, Timestamp(1_000)).is_err());
        assert!(paces.take(&key(1), 2, Timestamp(1_500)).is_ok());
    }

    #[test]
    fn ten_thousand_keys_take_no_more_room_than_the_limit() {
        let paces = Paces::default();
        for n in 0..10_000 {
            paces.take(&key(n), 5, Timestamp(5)).unwrap();
        }
        assert!(paces.0.lock().unwrap().len() <= KEYS_LIMIT);
    }
}
