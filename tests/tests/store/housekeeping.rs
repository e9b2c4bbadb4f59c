//! What is made ahead, and what is forgotten in time.

use std::time::Duration;

use daemon::ids::{MessageId, SignInId, UserId};
use daemon::store::{
    CallFilter, CreateMessage, Direction, Message, MessageStatus, PageFilter, SignIn, SignInStatus,
    Typed, VerificationFilter, Who,
};
use daemon::verification::machine::Input;
use daemon::verification::model::{StoredNumber, StoredTarget};
use dozvon_tests::database::Look;
use sqlx::{Connection, PgConnection};

use crate::on_both;
use crate::world::{World, ended};

on_both! {
    numbers_are_blanked_and_records_go_when_their_time_has_come,
    what_was_typed_in_a_concealed_sign_in_goes_with_the_numbers,
    the_wording_of_a_text_goes_after_a_day,
    a_tail_that_was_shown_is_forgotten_in_time,
}

const DAY: Duration = Duration::from_secs(86_400);

/// A process that starts does its housekeeping first.
async fn keep_house(world: &World) {
    world.second().await.close().await;
}

async fn numbers_are_blanked_and_records_go_when_their_time_has_come(world: World) {
    let stored = world.stored("+79161234567", "+74951230042").await;
    let (id, call) = (stored.verification_id, &stored.steps[0].calls[0]);
    world.accepted(id, Input::Cancel).await;
    let end = ended(call, world.clock.now(), sip::CallOutcome::Canceled, true);
    world.accepted(id, end).await;
    world.clock.advance(29 * DAY);
    keep_house(&world).await;
    assert_eq!(world.read(id).await.to, stored.to);
    world.clock.advance(2 * DAY);
    let young = world.stored("+79161234567", "+74951230042").await;
    keep_house(&world).await;
    let blanked = StoredNumber::Blanked("+7916*****67".to_owned());
    assert_eq!(world.read(id).await.to, StoredTarget::Number(blanked.clone()));
    let call = world.store.call(&Who::Gateway, call.call_id).await.unwrap().unwrap();
    assert_eq!(call.to, blanked);
    assert_eq!(world.read(young.verification_id).await.to, stored.to);
    let to = stored.number();
    let filter =
        VerificationFilter { to, page: PageFilter::newest(10), ..VerificationFilter::default() };
    let found = world.store.verifications(&Who::Gateway, &filter).await.unwrap();
    assert_eq!(found.items.len(), 1, "the blanked one is not found by its number");
    world.clock.advance(70 * DAY);
    keep_house(&world).await;
    assert_eq!(world.store.verification(&Who::Gateway, id).await.unwrap(), None);
    world.read(young.verification_id).await;
    let filter = CallFilter { page: PageFilter::newest(10), ..CallFilter::default() };
    let all = world.store.calls(&Who::Gateway, &filter).await.unwrap();
    assert_eq!(all.items.len(), 1);
}

async fn what_was_typed_in_a_concealed_sign_in_goes_with_the_numbers(world: World) {
    let now = world.clock.now();
    let who = Who::Account { account: "vats".to_owned(), live: true };
    let sign_in = SignIn {
        sign_in_id: SignInId(SignInId::first_of(now).0 + 1),
        account: "vats".to_owned(),
        live: true,
        status: SignInStatus::Open,
        user_id: UserId(1),
        created_at: now,
        expires_at: now + Duration::from_secs(600),
        ended_at: None,
        verification_id: None,
        concealed: Some(Typed::Phone("+79161234567".parse().unwrap())),
    };
    world.store.create_sign_in(&sign_in).await.unwrap();
    world.clock.advance(29 * DAY);
    keep_house(&world).await;
    let read = world.store.sign_in(&who, sign_in.sign_in_id).await.unwrap();
    assert_eq!(read.as_ref(), Some(&sign_in));
    world.clock.advance(2 * DAY);
    keep_house(&world).await;
    let read = world.store.sign_in(&who, sign_in.sign_in_id).await.unwrap();
    assert_eq!(read, Some(SignIn { concealed: Some(Typed::Unkept), ..sign_in }));
}

async fn the_wording_of_a_text_goes_after_a_day(world: World) {
    let now = world.clock.now();
    let message = Message {
        message_id: MessageId::first_of(now),
        account: "vats".to_owned(),
        live: true,
        version: 1,
        direction: Direction::Outbound,
        status: MessageStatus::Sent,
        detail: None,
        to: "+79161234567".parse::<dialplans::E164>().unwrap().into(),
        sender: None,
        from: None,
        parts: Vec::new(),
        text: Some("hello".to_owned()),
        encoding: "gsm7".to_owned(),
        segments: 1,
        reference: None,
        trunk: None,
        maybe_duplicate: false,
        created_at: now,
        valid_until: now,
        updated_at: now,
    };
    let id = message.message_id;
    let create = CreateMessage { message, limits: Vec::new(), idempotency: None };
    world.store.create_message(create).await.unwrap();
    for (days, text) in [(0, Some("hello")), (2, None)] {
        world.clock.advance(days * DAY);
        keep_house(&world).await;
        let read = world.store.message(&Who::Gateway, id).await.unwrap().unwrap();
        assert_eq!(read.text.as_deref(), text, "after {days} days");
    }
}

async fn a_tail_that_was_shown_is_forgotten_in_time(world: World) {
    let tails = async |world: &World| {
        let counts = Look::into(&world.url).await.row_counts().await;
        let count = counts.iter().find(|(table, _)| table.contains("shown_tail"));
        *count.expect("there is such a table").1
    };
    world.stored("+79161234567", "+74951230042").await;
    keep_house(&world).await;
    assert_eq!(tails(&world).await, 1);
    world.clock.advance(8 * DAY);
    world.stored("+79161234567", "+74951230043").await;
    keep_house(&world).await;
    assert_eq!(tails(&world).await, 1, "only the new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_there_four_weeks_ahead_and_go_after_their_retention() {
    if dozvon_tests::peers::lacking(&[dozvon_tests::peers::Peer::Postgres]) {
        return;
    }
    let world = World::postgres().await;
    let weeks = || async {
        let mut connection = PgConnection::connect(&world.url).await.unwrap();
        let weeks: Vec<String> = sqlx::query_scalar(
            "select right(inhrelid::regclass::text, 8) from pg_inherits \
             join pg_class on pg_class.oid = inhparent where relname = 'step' order by 1",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        weeks
    };
    let first = ["20260119", "20260126", "20260202", "20260209", "20260216", "20260223"];
    assert_eq!(weeks().await, first);
    world.clock.advance(100 * DAY);
    keep_house(&world).await;
    let kept = weeks().await;
    assert_eq!(kept.first().map(String::as_str), Some("20260209"), "{kept:?}");
    assert_eq!(kept.last().map(String::as_str), Some("20260608"), "{kept:?}");
    world.stored("+79161234567", "+74951230042").await;
}
