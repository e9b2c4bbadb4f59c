//! Verifications of one number side by side, and the tails that it was shown.

use std::time::Duration;

use daemon::store::{CreateRefused, Created, Who};
use daemon::verification::machine::{Again, Input};
use daemon::verification::model::{Verification, VerificationStatus};
use dialplans::Tail;
use sip::CallOutcome;

use crate::on_both;
use crate::world::{World, create, ended};

on_both! {
    a_create_of_the_same_session_supersedes_its_own_and_nobody_elses,
    three_sessions_live_side_by_side_and_a_fourth_is_refused,
    without_a_session_nothing_is_superseded,
    an_expired_one_holds_no_place,
    sixty_creates_at_once_leave_three_open,
    a_tail_is_not_shown_twice_to_one_number_within_its_time,
    a_resend_shows_the_same_tail_again,
    a_plan_is_told_which_tails_the_number_saw,
}

const TO: &str = "+79161234567";

fn of_session(world: &World, session: Option<&str>, shown: u32) -> Verification {
    let mut verification = world.verification(TO, &format!("+7495123{shown:04}"));
    verification.client.session = session.map(str::to_owned);
    verification
}

async fn open_count(world: &World) -> usize {
    world.store.open_verifications(None, 100).await.unwrap().len()
}

async fn a_create_of_the_same_session_supersedes_its_own_and_nobody_elses(world: World) {
    let (first, other) = (of_session(&world, Some("a"), 1), of_session(&world, Some("b"), 2));
    let second = of_session(&world, Some("a"), 3);
    world.create(first.clone()).await;
    world.create(other.clone()).await;
    let Created::Stored { superseded: Some(superseded), .. } = world.create(second).await else {
        panic!("the first one of session a is superseded")
    };
    assert_eq!(superseded.verification_id, first.verification_id);
    assert_eq!(superseded.status, VerificationStatus::Superseded);
    assert_eq!(world.read(first.verification_id).await, *superseded);
    assert_eq!(world.read(other.verification_id).await, other);
    assert_eq!(open_count(&world).await, 2);
}

async fn three_sessions_live_side_by_side_and_a_fourth_is_refused(world: World) {
    for (place, session) in ["a", "b", "c"].into_iter().enumerate() {
        let created = world.create(of_session(&world, Some(session), place as u32)).await;
        assert!(matches!(created, Created::Stored { .. }));
    }
    let fourth = of_session(&world, Some("d"), 4);
    let refused = world.create(fourth.clone()).await;
    assert!(matches!(refused, Created::Refused(CreateRefused::TooManyOpen)));
    let missing = world.store.verification(&Who::Gateway, fourth.verification_id).await;
    assert_eq!(missing.unwrap(), None);
    // Another purpose, another account and a test key count apart; a session of its own has room.
    let mut purpose = of_session(&world, Some("d"), 5);
    purpose.purpose = "password_reset".to_owned();
    let mut account = of_session(&world, Some("d"), 6);
    account.account = "other".to_owned();
    let mut test = of_session(&world, Some("d"), 7);
    test.live = false;
    let own = of_session(&world, Some("b"), 8);
    for verification in [purpose, account, test, own] {
        assert!(matches!(world.create(verification).await, Created::Stored { .. }));
    }
    let open = world.store.open_verifications(None, 100).await.unwrap();
    let first = open.iter().find(|open| open.client.session.as_deref() == Some("a")).unwrap();
    world.accepted(first.verification_id, Input::Cancel).await;
    assert!(matches!(world.create(fourth).await, Created::Stored { .. }));
}

async fn without_a_session_nothing_is_superseded(world: World) {
    for shown in 0..3 {
        let created = world.create(of_session(&world, None, shown)).await;
        assert!(matches!(created, Created::Stored { superseded: None, .. }));
    }
    let refused = world.create(of_session(&world, None, 9)).await;
    assert!(matches!(refused, Created::Refused(CreateRefused::TooManyOpen)));
}

async fn an_expired_one_holds_no_place(world: World) {
    let first = of_session(&world, Some("a"), 0);
    world.create(first.clone()).await;
    for shown in 1..3 {
        world.create(of_session(&world, None, shown)).await;
    }
    world.clock.advance(Duration::from_secs(300));
    let Created::Stored { superseded: None, .. } =
        world.create(of_session(&world, Some("a"), 4)).await
    else {
        panic!("what has expired is not superseded")
    };
    assert_eq!(open_count(&world).await, 1);
    let expired = world.read(first.verification_id).await;
    assert_eq!(expired.status, VerificationStatus::Expired);
    assert_eq!(expired.ended_at, Some(first.expires_at));
}

async fn sixty_creates_at_once_leave_three_open(world: World) {
    let second = world.second().await;
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..60 {
        let store = if place % 2 == 0 { world.store.clone() } else { second.clone() };
        let verification = of_session(&world, Some(&format!("s{place}")), place);
        tasks.spawn(async move { store.create_verification(create(verification)).await.unwrap() });
    }
    let mut stored = 0;
    while let Some(created) = tasks.join_next().await {
        match created.unwrap() {
            Created::Stored { .. } => stored += 1,
            Created::Refused(CreateRefused::TooManyOpen) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((stored, open_count(&world).await), (3, 3));
    second.close().await;
}

async fn a_tail_is_not_shown_twice_to_one_number_within_its_time(world: World) {
    let first = world.stored(TO, "+74951230042").await;
    // The same tail of another number of the pool is the same code.
    let again = world.create(world.verification(TO, "+74959990042")).await;
    assert!(matches!(again, Created::Refused(CreateRefused::TailShown)));
    world.stored("+79161234568", "+74951230042").await;
    world.accepted(first.verification_id, Input::Cancel).await;
    let ended = world.create(world.verification(TO, "+74951230042")).await;
    assert!(matches!(ended, Created::Refused(CreateRefused::TailShown)));
    world.clock.advance(Duration::from_secs(86_400));
    world.stored(TO, "+74951230042").await;
}

async fn a_resend_shows_the_same_tail_again(world: World) {
    let stored = world.stored(TO, "+74951230042").await;
    let (id, call) = (stored.verification_id, &stored.steps[0].calls[0]);
    world.accepted(id, ended(call, world.clock.now(), CallOutcome::Rang, true)).await;
    world.clock.advance(Duration::from_secs(20));
    let again = Again::Call(Box::new(world.call(TO, "+74951230042")));
    let next_send_allowed_at = world.clock.now() + Duration::from_secs(15);
    world.accepted(id, Input::Resend { again, next_send_allowed_at }).await;
    // Counted from the last time that it was shown.
    world.clock.advance(Duration::from_secs(86_390));
    let refused = world.create(world.verification(TO, "+74951230042")).await;
    assert!(matches!(refused, Created::Refused(CreateRefused::TailShown)));
}

async fn a_plan_is_told_which_tails_the_number_saw(world: World) {
    let to = TO.parse().unwrap();
    let since = world.clock.now() - Duration::from_secs(86_400);
    assert_eq!(world.store.recent_tails(&to, since).await.unwrap().count(), 0);
    world.stored(TO, "+74951230042").await;
    world.stored(TO, "+74951230043").await;
    let recent = world.store.recent_tails(&to, since).await.unwrap();
    assert_eq!(recent.count(), 2);
    for (tail, shown) in [("0042", true), ("0043", true), ("0044", false), ("00042", false)] {
        assert_eq!(recent.contains(&Tail::parse(tail).unwrap()), shown, "{tail}");
    }
    world.clock.advance(Duration::from_secs(86_400));
    let since = world.clock.now() - Duration::from_secs(86_400);
    assert_eq!(world.store.recent_tails(&to, since).await.unwrap().count(), 0);
}
