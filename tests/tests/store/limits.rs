//! Limits, counted with what they limit.

use std::time::Duration;

use daemon::store::{
    Applied, Apply, ApplyRefused, Create, CreateRefused, Created, Limit, LimitReached, LimitRule,
    LimitSubject, LimitUse,
};
use daemon::verification::machine::Input;

use crate::on_both;
use crate::world::{World, check, create};

on_both! {
    a_number_gets_so_many_sends_and_then_none_until_the_window_moves_on,
    what_is_refused_counts_nothing,
    only_wrong_checks_count,
    a_look_asks_and_does_not_count,
    forty_creates_over_two_processes_take_exactly_what_is_there,
}

const TO: &str = "+79161234567";

fn rule(max: u32, seconds: u64) -> LimitRule {
    LimitRule { max, window: Duration::from_secs(seconds) }
}

fn sends(to: &str, limit_use: LimitUse) -> Limit {
    let subject = LimitSubject::Number(to.parse().unwrap());
    Limit { scope: "send", subject, rules: vec![rule(1, 15), rule(3, 3_600)], limit_use }
}

fn limited(world: &World, to: &str, shown: u32) -> Create {
    let verification = world.verification(to, &format!("+7495123{shown:04}"));
    Create { limits: vec![sends(to, LimitUse::Take)], max_open: 99, ..create(verification) }
}

async fn reached(world: &World, create: Create) -> Option<LimitReached> {
    match world.store.create_verification(create).await.unwrap() {
        Created::Stored { .. } => None,
        Created::Refused(CreateRefused::Limit(reached)) => Some(reached),
        other => panic!("{other:?}"),
    }
}

async fn a_number_gets_so_many_sends_and_then_none_until_the_window_moves_on(world: World) {
    let start = world.clock.now();
    for shown in 0..3 {
        assert_eq!(reached(&world, limited(&world, TO, shown)).await, None);
        let soon = reached(&world, limited(&world, TO, 100 + shown)).await.unwrap();
        assert_eq!(soon.retry_at, world.clock.now() + Duration::from_secs(15));
        world.clock.advance(Duration::from_secs(15));
    }
    let full = reached(&world, limited(&world, TO, 4)).await.unwrap();
    assert_eq!((full.scope, full.rule), ("send", rule(3, 3_600)));
    assert_eq!(full.retry_at, start + Duration::from_secs(3_600));
    assert_eq!(reached(&world, limited(&world, "+79161234568", 5)).await, None);
    world.clock.advance(Duration::from_secs(3_600 - 45));
    assert_eq!(reached(&world, limited(&world, TO, 6)).await, None);
}

async fn what_is_refused_counts_nothing(world: World) {
    for shown in 0..10 {
        let full = Create { max_open: 0, ..limited(&world, TO, shown) };
        let refused = world.store.create_verification(full).await.unwrap();
        assert!(matches!(refused, Created::Refused(CreateRefused::TooManyOpen)));
    }
    assert_eq!(reached(&world, limited(&world, TO, 1)).await, None);
}

async fn only_wrong_checks_count(world: World) {
    let failed = |limit_use| Limit {
        scope: "failed_check",
        subject: LimitSubject::Account("vats".to_owned()),
        rules: vec![rule(2, 3_600)],
        limit_use,
    };
    let guarded = |id, code: &str| Apply {
        limits: vec![failed(LimitUse::Take)],
        ..Apply::internal(id, check(code))
    };
    let mut ids = Vec::new();
    for number in 0..4 {
        let to = format!("+7916123456{number}");
        ids.push(world.stored(&to, "+74951230042").await.verification_id);
    }
    for (id, code) in [(ids[0], "0042"), (ids[1], "1111"), (ids[2], "1111")] {
        let applied = world.store.apply(guarded(id, code)).await.unwrap();
        assert!(matches!(applied, Applied::Accepted { .. }));
    }
    let Applied::Refused { refusal: ApplyRefused::Limit(reached), verification } =
        world.store.apply(guarded(ids[3], "0042")).await.unwrap()
    else {
        panic!("two wrong checks close the account")
    };
    assert_eq!((reached.scope, verification.checks_used), ("failed_check", 0));
    // What only counts is never refused.
    let counted =
        Apply { limits: vec![failed(LimitUse::Count)], ..Apply::internal(ids[3], check("1111")) };
    let applied = world.store.apply(counted).await.unwrap();
    assert!(matches!(applied, Applied::Accepted { .. }));
}

async fn a_look_asks_and_does_not_count(world: World) {
    let look = [sends(TO, LimitUse::Look)];
    for _ in 0..5 {
        assert_eq!(world.store.limit_reached(&look).await.unwrap(), None);
    }
    assert_eq!(reached(&world, limited(&world, TO, 1)).await, None);
    let reached = world.store.limit_reached(&look).await.unwrap().unwrap();
    assert_eq!(reached.rule, rule(1, 15));
    let id = world.store.open_verifications(None, 1).await.unwrap()[0].verification_id;
    let looking = Apply { limits: look.to_vec(), ..Apply::internal(id, Input::NothingLeft) };
    let applied = world.store.apply(looking).await.unwrap();
    assert!(matches!(applied, Applied::Refused { refusal: ApplyRefused::Limit(_), .. }));
}

async fn forty_creates_over_two_processes_take_exactly_what_is_there(world: World) {
    let second = world.second().await;
    let subject = LimitSubject::Account("vats".to_owned());
    let limit =
        Limit { scope: "all", subject, rules: vec![rule(7, 3_600)], limit_use: LimitUse::Take };
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..40 {
        let store = if place % 2 == 0 { world.store.clone() } else { second.clone() };
        let verification = world.verification(&format!("+7916{place:07}"), "+74951230042");
        let create = Create { limits: vec![limit.clone()], ..create(verification) };
        tasks.spawn(async move { store.create_verification(create).await.unwrap() });
    }
    let mut stored = 0;
    while let Some(created) = tasks.join_next().await {
        stored += usize::from(matches!(created.unwrap(), Created::Stored { .. }));
    }
    assert_eq!(stored, 7);
    second.close().await;
}
