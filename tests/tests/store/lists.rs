//! Lists: newest first, by pages, narrowed.

use std::time::Duration;

use daemon::store::{CallFilter, PageFilter, VerificationFilter, Who};
use daemon::verification::machine::Input;
use daemon::verification::model::{Channel, VerificationStatus};
use sip::CallOutcome;

use crate::on_both;
use crate::world::{World, create, ended};

on_both! {
    pages_hold_everything_once_and_newest_first,
    each_filter_narrows_and_all_together_hold,
    calls_are_listed_masked_and_narrowed,
}

fn account() -> Who {
    Who::Account { account: "vats".to_owned(), live: true }
}

async fn pages_hold_everything_once_and_newest_first(world: World) {
    let mut ids = Vec::new();
    for number in 0..7 {
        let to = format!("+7916123456{number}");
        ids.push(world.stored(&to, "+74951230042").await.verification_id);
        world.clock.advance(Duration::from_millis(5));
    }
    ids.reverse();
    for who in [account(), Who::Gateway] {
        let page = PageFilter::newest(3);
        let mut filter = VerificationFilter { page, ..VerificationFilter::default() };
        let (mut listed, mut pages) = (Vec::new(), Vec::new());
        loop {
            let page = world.store.verifications(&who, &filter).await.unwrap();
            pages.push(page.items.len());
            listed.extend(page.items.iter().map(|item| item.verification_id));
            let Some(next) = page.next else { break };
            filter.page.cursor = Some(next);
        }
        assert_eq!((listed, pages), (ids.clone(), vec![3, 3, 1]));
    }
    let other = Who::Account { account: "vats".to_owned(), live: false };
    let page = world.store.verifications(&other, &VerificationFilter::default()).await.unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
}

async fn each_filter_narrows_and_all_together_hold(world: World) {
    let start = world.clock.now();
    let mut stored = Vec::new();
    for number in 0..4 {
        let mut verification = world.verification(&format!("+7916123456{number}"), "+74951230042");
        verification.reference = (number % 2 == 0).then(|| format!("order-{}", number / 2));
        world.store.create_verification(create(verification.clone())).await.unwrap();
        stored.push(verification);
        world.clock.advance(Duration::from_secs(10));
    }
    world.accepted(stored[1].verification_id, Input::Cancel).await;
    let page = PageFilter::newest(50);
    let all = || VerificationFilter { page, ..VerificationFilter::default() };
    let ten = |tens: u64| start + Duration::from_secs(10 * tens);
    let to = stored[2].number();
    let cases: [(VerificationFilter, &[usize]); 9] = [
        (all(), &[3, 2, 1, 0]),
        (
            VerificationFilter {
                page: PageFilter { created_after: Some(ten(2)), ..page },
                ..all()
            },
            &[3, 2],
        ),
        (
            VerificationFilter {
                page: PageFilter { created_before: Some(ten(2)), ..page },
                ..all()
            },
            &[1, 0],
        ),
        (VerificationFilter { to, ..all() }, &[2]),
        (VerificationFilter { reference: Some("order-1".to_owned()), ..all() }, &[2]),
        (VerificationFilter { status: Some(VerificationStatus::Canceled), ..all() }, &[1]),
        (VerificationFilter { channel: Some(Channel::FlashCall), ..all() }, &[3, 2, 1, 0]),
        (VerificationFilter { channel: Some(Channel::Sms), ..all() }, &[]),
        (
            VerificationFilter {
                to,
                reference: Some("order-1".to_owned()),
                status: Some(VerificationStatus::Canceled),
                ..all()
            },
            &[],
        ),
    ];
    for who in [account(), Who::Gateway] {
        for (filter, expected) in &cases {
            let page = world.store.verifications(&who, filter).await.unwrap();
            let listed: Vec<_> = page.items.iter().map(|item| item.verification_id).collect();
            let expected: Vec<_> = expected.iter().map(|&n| stored[n].verification_id).collect();
            assert_eq!(listed, expected, "{filter:?}");
        }
    }
}

async fn calls_are_listed_masked_and_narrowed(world: World) {
    let mut calls = Vec::new();
    for number in 0..3 {
        let stored = world.stored(&format!("+7916123456{number}"), "+74951230042").await;
        calls.push(stored.steps[0].calls[0].clone());
        if number == 1 {
            let end = ended(&calls[1], world.clock.now(), CallOutcome::Busy, true);
            world.accepted(stored.verification_id, end).await;
        }
        world.clock.advance(Duration::from_millis(5));
    }
    let page = PageFilter::newest(50);
    let all = || CallFilter { page, ..CallFilter::default() };
    let to = Some("+79161234562".parse().unwrap());
    let cases: [(CallFilter, &[usize]); 5] = [
        (all(), &[2, 1, 0]),
        (CallFilter { outcome: Some(CallOutcome::Busy), ..all() }, &[1]),
        (CallFilter { trunk: Some("north".parse().unwrap()), ..all() }, &[2, 1, 0]),
        (CallFilter { trunk: Some("south".parse().unwrap()), ..all() }, &[]),
        (CallFilter { to, ..all() }, &[2]),
    ];
    for (filter, expected) in &cases {
        let page = world.store.calls(&account(), filter).await.unwrap();
        let listed: Vec<_> = page.items.iter().map(|item| item.call_id).collect();
        let expected: Vec<_> = expected.iter().map(|&n| calls[n].call_id).collect();
        assert_eq!(listed, expected, "{filter:?}");
        assert!(page.items.iter().all(|item| item.caller_id_masked == "+7495123****"));
    }
    let two = CallFilter { page: PageFilter::newest(2), ..all() };
    let first = world.store.calls(&Who::Gateway, &two).await.unwrap();
    let rest = PageFilter { cursor: first.next, ..two.page };
    let rest = CallFilter { page: rest, ..two };
    let rest = world.store.calls(&Who::Gateway, &rest).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (2, 1, None));
}
