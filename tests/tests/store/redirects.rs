//! Redirects, the letters that they make, and the audit.

use std::time::Duration;

use daemon::email_address::EmailAddress;
use daemon::ids::{LetterId, MessageId, RedirectId};
use daemon::store::{
    AuditFilter, AuditKind, CreateMessage, Direction, EndLetter, LetterKind, LetterOutcome,
    Message, MessageCreated, MessageStatus, PageFilter, PutRedirect, Redirect, RedirectMode,
    StoredLetter, Who,
};
use daemon::verification::model::Proved;
use dozvon_tests::canary::Canary;

use crate::on_both;
use crate::world::{World, check};

on_both! {
    a_redirect_is_stored_changed_found_and_removed_with_its_entries_in_the_audit,
    a_letter_waits_until_it_ends_and_its_text_with_it,
    no_mailbox_stands_in_any_column,
    what_was_proved_is_kept,
}

const PHONE: &str = "+79161234567";
const MAILBOX: &str = "ivan.petrov@corp.ru";

fn who(account: &str) -> Who {
    Who::Account { account: account.to_owned(), live: true }
}

fn redirect(world: &World, id: u128, email: &str) -> Redirect {
    // Each at a moment of its own: lists are in order of time.
    world.clock.advance(Duration::from_millis(1));
    let now = world.clock.now();
    Redirect {
        redirect_id: RedirectId(RedirectId::first_of(now).0 + id),
        account: "vats".to_owned(),
        live: true,
        version: 1,
        phone: PHONE.parse().unwrap(),
        email: EmailAddress::parse(email).unwrap(),
        mode: RedirectMode::Instead,
        is_override: true,
        reason: Some("ticket of Ivan Petrov".to_owned()),
        until: now + Duration::from_secs(86_400),
        created_at: now,
        updated_at: now,
    }
}

fn message(world: &World, id: u128) -> Message {
    let now = world.clock.now();
    Message {
        message_id: MessageId(MessageId::first_of(now).0 + id),
        account: "vats".to_owned(),
        live: true,
        version: 1,
        direction: Direction::Outbound,
        status: MessageStatus::Accepted,
        detail: None,
        to: PHONE.parse::<dialplans::E164>().unwrap().into(),
        sender: None,
        from: None,
        parts: Vec::new(),
        text: Some("a parcel for Ivan".to_owned()),
        encoding: "utf8".to_owned(),
        segments: 1,
        reference: None,
        trunk: None,
        maybe_duplicate: false,
        created_at: now,
        valid_until: now + Duration::from_secs(3_600),
        updated_at: now,
    }
}

fn letter(world: &World, redirect: &Redirect, message: Option<&Message>) -> StoredLetter {
    let now = world.clock.now();
    StoredLetter {
        letter_id: LetterId(LetterId::first_of(now).0 + 1),
        account: "vats".to_owned(),
        live: true,
        kind: if message.is_some() { LetterKind::Text } else { LetterKind::Notice },
        redirect_id: redirect.redirect_id,
        to: redirect.email.clone(),
        subject: "A letter for Ivan".to_owned(),
        text: "a parcel for Ivan".to_owned(),
        message_id: message.map(|message| message.message_id),
        is_instead: message.is_some(),
        created_at: now,
        valid_until: now + Duration::from_secs(3_600),
    }
}

async fn put(world: &World, redirect: &Redirect) -> (Redirect, bool) {
    let (notice, letter) = (message(world, 7), letter(world, redirect, None));
    let actor = "key:abc".to_owned();
    let put = PutRedirect { redirect: redirect.clone(), actor, notice, letter };
    let put = world.store.put_redirect(put).await.unwrap();
    (put.redirect, put.told.is_some())
}

async fn kinds(world: &World, account: &str) -> Vec<AuditKind> {
    let filter = AuditFilter { page: PageFilter::newest(50), kind: None };
    let page = world.store.audit(&who(account), &filter).await.unwrap();
    page.items.iter().rev().map(|entry| entry.kind).collect()
}

async fn a_redirect_is_stored_changed_found_and_removed_with_its_entries_in_the_audit(
    world: World,
) {
    let (store, phone) = (&world.store, PHONE.parse().unwrap());
    let first = redirect(&world, 1, MAILBOX);
    assert_eq!(put(&world, &first).await, (first.clone(), true));
    assert_eq!(store.redirect_of(&who("vats"), &phone).await.unwrap(), Some(first.clone()));
    assert_eq!(store.redirect(first.redirect_id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.redirect_of(&who("other"), &phone).await.unwrap(), None);
    let longer = Redirect { until: first.until + Duration::from_secs(60), ..first.clone() };
    let (second, told) = put(&world, &Redirect { redirect_id: RedirectId(5), ..longer }).await;
    assert!(!told, "phone and mailbox know");
    assert_eq!((second.redirect_id, second.version), (first.redirect_id, 2));
    let elsewhere = redirect(&world, 3, "petr@corp.ru");
    let (third, told) = put(&world, &elsewhere).await;
    assert!(told && third.redirect_id == first.redirect_id);
    let filter = PageFilter::newest(10);
    assert_eq!(store.redirects(&who("vats"), &filter).await.unwrap().items, vec![third]);
    assert!(store.redirects(&who("other"), &filter).await.unwrap().items.is_empty());
    let delete = |account: &str| {
        let who = who(account);
        async move { store.delete_redirect(&who, &phone, "operator".to_owned()).await.unwrap() }
    };
    assert!(!delete("other").await);
    world.clock.advance(Duration::from_millis(1));
    assert!(delete("vats").await);
    assert!(!delete("vats").await);
    assert_eq!(store.redirect_of(&who("vats"), &phone).await.unwrap(), None);
    let put = AuditKind::RedirectPut;
    assert_eq!(kinds(&world, "vats").await, [put, put, put, AuditKind::RedirectDeleted]);
    assert!(kinds(&world, "other").await.is_empty());
}

async fn a_letter_waits_until_it_ends_and_its_text_with_it(world: World) {
    let redirect = redirect(&world, 1, MAILBOX);
    let message = message(&world, 1);
    let letter = letter(&world, &redirect, Some(&message));
    let create = CreateMessage { message: message.clone(), limits: Vec::new(), idempotency: None };
    let created = world.store.create_message_with_letter(create, letter.clone()).await.unwrap();
    assert!(matches!(created, MessageCreated::Stored { .. }));
    let second = world.second().await;
    assert_eq!(second.open_letters(None, 10).await.unwrap(), vec![letter.clone()]);
    assert!(second.unfinished_messages(None, 10).await.unwrap().is_empty(), "no phone gets it");
    let end = EndLetter {
        letter_id: letter.letter_id,
        message_id: letter.message_id,
        outcome: LetterOutcome::Sent,
        detail: "smtp_250".to_owned(),
    };
    second.end_letter(end.clone()).await.unwrap();
    // Told twice, it changes nothing.
    second.end_letter(EndLetter { outcome: LetterOutcome::Rejected, ..end }).await.unwrap();
    assert!(second.open_letters(None, 10).await.unwrap().is_empty());
    let read = second.message(&Who::Gateway, message.message_id).await.unwrap().unwrap();
    assert_eq!((read.status, read.version), (MessageStatus::Redirected, 2));
    assert_eq!(read.detail.as_deref(), Some("smtp_250"));
    assert_eq!(kinds(&world, "vats").await, [AuditKind::RedirectUsed]);
    second.close().await;
}

async fn no_mailbox_stands_in_any_column(world: World) {
    let redirect = redirect(&world, 1, MAILBOX);
    put(&world, &redirect).await;
    let mut canary = Canary::default();
    canary.add(MAILBOX);
    canary.add_number(PHONE);
    for words in ["ticket of Ivan Petrov", "a parcel for Ivan", "A letter for Ivan"] {
        canary.add(words);
    }
    assert_eq!(canary.scan_database(&world.url).await.hits, Vec::<String>::new());
}

async fn what_was_proved_is_kept(world: World) {
    let stored = world.stored(PHONE, "+74951230042").await;
    let approved = world.accepted(stored.verification_id, check("0042")).await;
    assert_eq!(approved.proved, Some(Proved::Phone));
    assert_eq!(world.read(stored.verification_id).await.proved, Some(Proved::Phone));
}
