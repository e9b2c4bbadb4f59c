//! How often what may happen: the limits of sending and of guessing, for the store to count.

use std::time::Duration;

use config::Limits;
use dialplans::E164;

use crate::email_address::EmailAddress;
use crate::ids::{SignInId, UserId};
use crate::store::{Limit, LimitReached, LimitRule, LimitSubject, LimitUse};
use crate::verification::model::{Channel, Client};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Sends to one number, whatever the channel.
const SEND: &str = "send";
/// Flash calls to one number.
const FLASH_CALL: &str = "flash_call";
/// Wrong short codes for one number.
const FAILED_CHECK: &str = "failed_check";
/// Wrong long codes for one number or mailbox.
const FAILED_LONG_CHECK: &str = "failed_long_check";
/// Passwords tried in one sign-in.
const PASSWORD_TRY: &str = "password_try";
/// Wrong passwords of one user.
const WRONG_PASSWORD: &str = "wrong_password";
/// A proof that is spent.
const PROOF: &str = "proof";
/// A device proved a number or mailbox.
const KNOWN_DEVICE: &str = "known_device";
/// Wrong codes by one account, address or device.
const FAILED_GUESS: &str = "failed_guess";

const MINUTE: Duration = Duration::from_secs(60);

/// Passwords that one sign-in takes, over more than it lives.
const PASSWORD_TRIES: LimitRule = LimitRule { max: 5, window: Duration::from_secs(3600) };

/// Wrong passwords that a user bears: NIST SP 800-63B-4 wants at most 100 in a row.
const WRONG_PASSWORDS: LimitRule = LimitRule { max: 30, window: DAY };

/// How long a device that proved a number or mailbox is known there: strangers' wrong codes do not
/// keep its owner out.
const KNOWN: LimitRule = LimitRule { max: 1, window: Duration::from_secs(90 * 24 * 3600) };

/// Codes up to this length are guessed too easily to be tried often.
const SHORT_CODE: u8 = 5;

/// Wrong codes over all numbers of one account. An honest account has a few in a hundred
/// verifications; a sprayer has nothing else. At four digits and three checks for each number
/// this lets a sprayer hit once in two weeks.
const ACCOUNT_FAILED_CHECKS: [LimitRule; 2] = [
    LimitRule { max: 300, window: Duration::from_secs(600) },
    LimitRule { max: 3_000, window: DAY },
];

/// Wrong codes from one address of an end user, behind which a whole office may sit.
const ADDRESS_FAILED_CHECKS: [LimitRule; 1] = [LimitRule { max: 50, window: DAY }];

/// Wrong codes from one device of an end user.
const DEVICE_FAILED_CHECKS: [LimitRule; 1] = [LimitRule { max: 20, window: DAY }];

/// What a refused limit means to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Two sends too close to each other.
    BetweenSends,
    /// Too many sends to a number.
    Sends,
    /// Flash calls to a number are closed after wrong codes.
    FlashCallClosed,
    /// Written and spoken codes to a number or mailbox are closed after wrong ones.
    LongCodesClosed,
    /// A user was tried with too many wrong passwords.
    WrongPasswords,
    /// The account, address or device presented too many wrong codes.
    FailedChecks,
}

impl LimitKind {
    /// Its word in a step's `detail`.
    pub fn word(self) -> &'static str {
        match self {
            Self::BetweenSends => "too_soon",
            Self::Sends => "number_limit",
            Self::FlashCallClosed => "flash_call_closed",
            Self::LongCodesClosed => "codes_closed",
            Self::WrongPasswords => "too_many_passwords",
            Self::FailedChecks => "too_many_failed_checks",
        }
    }
}

/// Whether another channel may have room where this one has none.
pub fn is_of_channel(reached: &LimitReached) -> bool {
    matches!(reached.scope, FLASH_CALL | FAILED_CHECK | FAILED_LONG_CHECK)
}

/// The subjects that wrong codes are counted for, beside the number.
#[derive(Clone, Copy, Debug)]
pub struct Guesser<'a> {
    /// The account's name.
    pub account: &'a str,
    /// The end user, as the client tells.
    pub client: &'a Client,
}

/// What a wrong code could have hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// A code that is guessed easily: the tail of a number.
    Short,
    /// One of six digits and more.
    Long,
}

impl Guess {
    /// What a guess at a code of so many digits is: a short one closes its channel.
    pub fn at(channel: Channel, code_length: u8) -> Self {
        match channel == Channel::FlashCall || code_length <= SHORT_CODE {
            true => Self::Short,
            false => Self::Long,
        }
    }
}

/// What a new verification by flash call must find room in, and is counted for.
pub fn for_flash_call(limits: &Limits, to: &E164, guesser: Guesser<'_>) -> Vec<Limit> {
    let mut all = for_resend(limits, to);
    let at = LimitSubject::Number(*to);
    all.push(failed_checks_at(limits, at.clone(), Guess::Short, LimitUse::LookUnlessExcused));
    all.extend(known_device(guesser, at, LimitUse::Excuse));
    all.extend(failed_checks_of(guesser, LimitUse::Look));
    all
}

/// What a code that is written must find room in, and is counted for. Wrong short codes do not
/// close this way: else a stranger could keep the owner out.
pub fn for_text(limits: &Limits, to: &E164, guesser: Guesser<'_>) -> Vec<Limit> {
    for_long_code(limits, for_send(limits, to), guesser)
}

fn for_long_code(limits: &Limits, send: Limit, guesser: Guesser<'_>) -> Vec<Limit> {
    let at = send.subject.clone();
    let mut all = vec![send];
    all.push(failed_checks_at(limits, at.clone(), Guess::Long, LimitUse::LookUnlessExcused));
    all.extend(known_device(guesser, at, LimitUse::Excuse));
    all.extend(failed_checks_of(guesser, LimitUse::Look));
    all
}

/// The same limits for a channel that the workflow begins by itself: what came before it showed
/// nothing, or long ago, so the distance between two sends does not hold it back.
pub fn without_distance(mut all: Vec<Limit>, limits: &Limits) -> Vec<Limit> {
    for limit in all.iter_mut().filter(|limit| limit.scope == SEND) {
        limit.rules.retain(|rule| rule.window != limits.between_sends);
    }
    all
}

/// What a flash call once more must find room in, and is counted for.
pub fn for_resend(limits: &Limits, to: &E164) -> Vec<Limit> {
    vec![
        for_send(limits, to),
        Limit {
            scope: FLASH_CALL,
            subject: LimitSubject::Number(*to),
            rules: vec![LimitRule { max: limits.flash_calls_per_day, window: DAY }],
            limit_use: LimitUse::Take,
        },
    ]
}

/// What a text must find room in, and is counted for.
pub fn for_send(limits: &Limits, to: &E164) -> Limit {
    Limit {
        scope: SEND,
        subject: LimitSubject::Number(*to),
        rules: rules_of_send(limits).to_vec(),
        limit_use: LimitUse::Take,
    }
}

/// The same for a code that is mailed.
pub fn for_mail(limits: &Limits, to: &EmailAddress, guesser: Guesser<'_>) -> Vec<Limit> {
    for_long_code(limits, for_mail_send(limits, to), guesser)
}

/// What a mail must find room in, and is counted for.
pub fn for_mail_send(limits: &Limits, to: &EmailAddress) -> Limit {
    Limit {
        scope: SEND,
        subject: LimitSubject::Mailbox(to.clone()),
        rules: rules_of_send(limits).to_vec(),
        limit_use: LimitUse::Take,
    }
}

/// What a wrong code is counted for, beside a right one, which makes the device known; `at` is
/// where the code went. A destination and an account never refuse a check: else a stranger's wrong
/// codes would stop the owner's right one. They refuse the next call, text or mail.
pub fn for_check(
    limits: &Limits,
    at: Option<LimitSubject>,
    guess: Guess,
    guesser: Guesser<'_>,
) -> Vec<Limit> {
    let mut all = failed_checks_of(guesser, LimitUse::Take);
    for limit in &mut all {
        if matches!(limit.subject, LimitSubject::Account(_)) {
            limit.limit_use = LimitUse::Count;
        }
    }
    if let Some(at) = at {
        all.push(failed_checks_at(limits, at.clone(), guess, LimitUse::Count));
        all.extend(known_device(guesser, at, LimitUse::CountApproval));
    }
    all
}

fn failed_checks_at(limits: &Limits, at: LimitSubject, guess: Guess, limit_use: LimitUse) -> Limit {
    let (scope, max) = match guess {
        Guess::Short => (FAILED_CHECK, limits.failed_checks_per_day),
        Guess::Long => (FAILED_LONG_CHECK, limits.failed_long_checks_per_day),
    };
    Limit { scope, subject: at, rules: vec![LimitRule { max, window: DAY }], limit_use }
}

fn known_device(guesser: Guesser<'_>, at: LimitSubject, limit_use: LimitUse) -> Option<Limit> {
    let device = guesser.client.device_id.clone()?;
    let subject = LimitSubject::DeviceAt(guesser.account.to_owned(), device, Box::new(at));
    Some(Limit { scope: KNOWN_DEVICE, subject, rules: vec![KNOWN], limit_use })
}

/// What a password must find room in: the try is counted before it is looked at.
pub fn for_password(sign_in: SignInId, user: UserId, guesser: Guesser<'_>) -> Vec<Limit> {
    let mut all = tries_of(sign_in);
    all.push(wrong_passwords_of(user, LimitUse::Look));
    all.extend(failed_checks_of(guesser, LimitUse::Look));
    all
}

/// The tries of one sign-in.
pub fn tries_of(sign_in: SignInId) -> Vec<Limit> {
    let (subject, limit_use) = (LimitSubject::SignIn(sign_in), LimitUse::Take);
    vec![Limit { scope: PASSWORD_TRY, subject, rules: vec![PASSWORD_TRIES], limit_use }]
}

/// What a wrong password is counted for.
pub fn for_wrong_password(user: UserId, guesser: Guesser<'_>) -> Vec<Limit> {
    let mut all = failed_checks_of(guesser, LimitUse::Count);
    all.push(wrong_passwords_of(user, LimitUse::Count));
    all
}

fn wrong_passwords_of(user: UserId, limit_use: LimitUse) -> Limit {
    let subject = LimitSubject::User(user);
    Limit { scope: WRONG_PASSWORD, subject, rules: vec![WRONG_PASSWORDS], limit_use }
}

/// A proof is spent once in the time that it lives.
pub fn of_proof(id: u128, ttl: Duration) -> Limit {
    Limit {
        scope: PROOF,
        subject: LimitSubject::Proof(id),
        rules: vec![LimitRule { max: 1, window: ttl }],
        limit_use: LimitUse::Take,
    }
}

fn failed_checks_of(guesser: Guesser<'_>, limit_use: LimitUse) -> Vec<Limit> {
    let account = guesser.account.to_owned();
    let limit = |subject, rules: &[LimitRule]| Limit {
        scope: FAILED_GUESS,
        subject,
        rules: rules.to_vec(),
        limit_use,
    };
    let mut all = vec![limit(LimitSubject::Account(account.clone()), &ACCOUNT_FAILED_CHECKS)];
    if let Some(address) = guesser.client.ip {
        let subject = LimitSubject::Address(account.clone(), address);
        all.push(limit(subject, &ADDRESS_FAILED_CHECKS));
    }
    if let Some(device) = &guesser.client.device_id {
        let subject = LimitSubject::Device(account, device.clone());
        all.push(limit(subject, &DEVICE_FAILED_CHECKS));
    }
    all
}

/// What a rule of a limit is called in header fields: `send`, `send-minute`, `send-day`.
pub fn rule_name(scope: &str, rule: LimitRule) -> String {
    match rule.window {
        MINUTE => format!("{scope}-minute"),
        DAY => format!("{scope}-day"),
        _ => scope.to_owned(),
    }
}

/// Every rule of what is sent to one number.
pub fn send_rules(limits: &Limits) -> [(&'static str, LimitRule); 4] {
    let [between, minute, day] = rules_of_send(limits);
    let calls = LimitRule { max: limits.flash_calls_per_day, window: DAY };
    [(SEND, between), (SEND, minute), (SEND, day), (FLASH_CALL, calls)]
}

fn rules_of_send(limits: &Limits) -> [LimitRule; 3] {
    [
        LimitRule { max: 1, window: limits.between_sends },
        LimitRule { max: limits.sends_per_minute, window: MINUTE },
        LimitRule { max: limits.sends_per_day, window: DAY },
    ]
}

/// Which limit it was that had no room.
pub fn kind(reached: &LimitReached) -> LimitKind {
    match reached.scope {
        // The rules of a minute and of a day have their own windows.
        SEND if ![MINUTE, DAY].contains(&reached.rule.window) => LimitKind::BetweenSends,
        FAILED_CHECK => LimitKind::FlashCallClosed,
        FAILED_LONG_CHECK => LimitKind::LongCodesClosed,
        PASSWORD_TRY | WRONG_PASSWORD => LimitKind::WrongPasswords,
        FAILED_GUESS => LimitKind::FailedChecks,
        _ => LimitKind::Sends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn limits() -> Limits {
        Limits {
            between_sends: Duration::from_secs(15),
            sends_per_minute: 4,
            sends_per_day: 30,
            flash_calls_per_day: 10,
            failed_checks_per_day: 5,
            failed_long_checks_per_day: 10,
            open_verifications: 3,
            same_tail: DAY,
            http_connections: 100,
            requests_per_second: 100,
        }
    }

    fn number() -> E164 {
        E164::parse("+79161234567").unwrap()
    }

    #[test]
    fn a_strangers_wrong_codes_never_refuse_the_owners_check() {
        let client = Client { ip: Some("203.0.113.9".parse().unwrap()), ..Client::default() };
        let guesser = Guesser { account: "default", client: &client };
        let at = LimitSubject::Number(number());
        let all = for_check(&limits(), Some(at), Guess::Short, guesser);
        for limit in &all {
            let refuses = limit.limit_use == LimitUse::Take;
            let personal =
                matches!(limit.subject, LimitSubject::Address(..) | LimitSubject::Device(..));
            assert_eq!(refuses, personal, "{limit:?}");
        }
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn a_long_code_does_not_close_the_flash_call_nor_a_short_one_the_text() {
        let client = Client::default();
        let guesser = Guesser { account: "default", client: &client };
        for (guess, closes) in [(Guess::Short, FAILED_CHECK), (Guess::Long, FAILED_LONG_CHECK)] {
            let at = LimitSubject::Number(number());
            let counted = for_check(&limits(), Some(at), guess, guesser);
            let its = counted.iter().filter(|l| matches!(l.subject, LimitSubject::Number(_)));
            assert_eq!(its.map(|limit| limit.scope).collect::<Vec<_>>(), [closes]);
        }
        let calls = for_flash_call(&limits(), &number(), guesser);
        assert!(calls.iter().all(|limit| limit.scope != FAILED_LONG_CHECK));
        let texts = for_text(&limits(), &number(), guesser);
        assert!(texts.iter().all(|limit| limit.scope != FAILED_CHECK));
    }

    #[test]
    fn the_rules_of_one_count_are_alike_wherever_it_is_used() {
        let client = Client { device_id: Some("d".to_owned()), ..Client::default() };
        let guesser = Guesser { account: "default", client: &client };
        let mut all = for_flash_call(&limits(), &number(), guesser);
        for guess in [Guess::Short, Guess::Long] {
            let at = LimitSubject::Number(number());
            all.extend(for_check(&limits(), Some(at), guess, guesser));
        }
        all.extend(for_text(&limits(), &number(), guesser));
        all.extend(for_resend(&limits(), &number()));
        for one in &all {
            for other in &all {
                if one.scope == other.scope && one.subject == other.subject {
                    assert_eq!(one.rules, other.rules);
                }
            }
        }
    }

    #[test]
    fn a_refused_limit_is_named_by_what_it_means() {
        let reached = |limit: &Limit, rule: usize| LimitReached {
            scope: limit.scope,
            rule: limit.rules[rule],
            retry_at: Timestamp(0),
        };
        let send = for_send(&limits(), &number());
        assert_eq!(kind(&reached(&send, 0)), LimitKind::BetweenSends);
        assert_eq!(kind(&reached(&send, 1)), LimitKind::Sends);
        assert_eq!(kind(&reached(&send, 2)), LimitKind::Sends);
        for (guess, closed) in
            [(Guess::Short, LimitKind::FlashCallClosed), (Guess::Long, LimitKind::LongCodesClosed)]
        {
            let at = LimitSubject::Number(number());
            let limit = failed_checks_at(&limits(), at, guess, LimitUse::Look);
            assert_eq!(kind(&reached(&limit, 0)), closed);
        }
        let account = Guesser { account: "default", client: &Client::default() };
        let account = failed_checks_of(account, LimitUse::Look);
        assert_eq!(kind(&reached(&account[0], 0)), LimitKind::FailedChecks);
    }
}
