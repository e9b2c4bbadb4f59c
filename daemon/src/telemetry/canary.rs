//! For tests: a layer that panics where a number, a code or a key comes near the log, at any level.
//!
//! The daemon as a process is searched by its tests from outside; this one watches what runs in
//! the test itself, and sees each field before a formatter could cut or hide it.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Write as _};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// In front of every number that the tests call or show, with eleven digits in all.
const NUMBERS: [&str; 2] = ["79", "7495"];
const NUMBER_DIGITS: usize = 11;
/// A shorter secret counts only where it is a whole value: four digits stand in many a text.
const LONG: usize = 8;
/// The smallest number of so many digits.
const SMALLEST_LONG: u64 = 10_000_000;

/// Whose events are watched.
const OURS: [&str; 3] = ["daemon", "sip", "dozvon"];

static SECRETS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Watches every thread of this process from now on.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let watching = tracing_subscriber::registry().with(Canary);
        // Another subscriber would see to it that nothing is watched: better no test at all.
        tracing::subscriber::set_global_default(watching).expect("no test logs");
    });
}

/// From now on this text may stand in no log.
pub(crate) fn register(secret: &str) {
    locked(&SECRETS).insert(secret.to_owned());
}

/// What was found so far: a panic in a task of its own is seen by nobody else.
pub(crate) fn found() -> Vec<String> {
    locked(&FOUND).clone()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Canary;

impl<S: Subscriber> Layer<S> for Canary {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if !is_ours(attributes.metadata().target()) {
            return;
        }
        let mut look = Look::default();
        attributes.record(&mut look);
        look.panic_if_found(attributes.metadata().target());
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut look = Look::default();
        values.record(&mut look);
        look.panic_if_found("a span");
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !is_ours(event.metadata().target()) {
            return;
        }
        let mut look = Look::default();
        event.record(&mut look);
        look.panic_if_found(event.metadata().target());
    }
}

/// Libraries log counts and times of any digits; their lines are searched in the process.
fn is_ours(target: &str) -> bool {
    OURS.iter().any(|ours| target.starts_with(ours))
}

/// The names of fields that hold a secret.
#[derive(Default)]
struct Look(Vec<&'static str>);

impl Visit for Look {
    // A count of bytes or a port may be any four digits; a number of that length is no code.
    fn record_i64(&mut self, field: &Field, value: i64) {
        if value.unsigned_abs() >= SMALLEST_LONG {
            self.record_debug(field, &value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if value >= SMALLEST_LONG {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        if write!(text, "{value:?}").is_ok() && holds_secret(&text) {
            self.0.push(field.name());
        }
    }
}

impl Look {
    fn panic_if_found(self, place: &str) {
        if self.0.is_empty() {
            return;
        }
        let what = Found { place, fields: &self.0 }.to_string();
        locked(&FOUND).push(what.clone());
        panic!("{what}");
    }
}

/// Says where, never what.
struct Found<'a> {
    place: &'a str,
    fields: &'a [&'static str],
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a secret in {}'s {}", self.place, self.fields.join(", "))
    }
}

fn holds_secret(text: &str) -> bool {
    // Whole words: the hexadecimal digits of an id hold eleven decimal ones now and then.
    let mut words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let is_number = |word: &str| {
        word.len() == NUMBER_DIGITS
            && NUMBERS.iter().any(|front| word.starts_with(front))
            && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let whole = text.trim_matches('"');
    let is_in =
        |secret: &String| whole == secret || (secret.len() >= LONG && text.contains(secret));
    words.any(is_number) || locked(&SECRETS).iter().any(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_registered_secrets_are_found_and_masked_ones_are_not() {
        register("0427");
        register("a secret of many letters");
        for text in
            ["+79161234567", "to 74951230042.", "\"0427\"", "0427", "x=a secret of many letters"]
        {
            assert!(holds_secret(text), "{text}");
        }
        for text in ["+7916*****67", "1795287316708", "port 0427 of many", "req_a79161234567f"] {
            assert!(!holds_secret(text), "{text}");
        }
    }

    #[test]
    #[should_panic(expected = "a secret in dozvon-test's to")]
    fn a_number_in_a_field_panics() {
        let watching = tracing_subscriber::registry().with(Canary);
        let subscriber = tracing::subscriber::set_default(watching);
        let logged = std::panic::catch_unwind(|| {
            tracing::trace!(target: "dozvon-test", to = "+79161234567", "dialling");
        });
        drop(subscriber);
        // What this test put there on purpose must not fail the others.
        locked(&FOUND).retain(|found| !found.contains("dozvon-test"));
        std::panic::resume_unwind(logged.expect_err("it panicked"));
    }
}
