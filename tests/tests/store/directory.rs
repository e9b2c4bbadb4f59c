//! Users and sign-ins, all of a file or none.

use daemon::clock::Timestamp;
use daemon::email_address::EmailAddress;
use daemon::ids::{SignInId, UserId};
use daemon::store::{
    Applied, Identifier, IdentifierKind, PageFilter, PutUsers, SignIn, SignInStatus, Typed, User,
    UserFault, UserFaultCause, UsersPut, Who,
};
use daemon::verification::model::VerificationStatus;
use dialplans::E164;

use crate::on_both;
use crate::world::{World, check, create};

on_both! {
    users_are_stored_found_changed_and_removed,
    a_file_is_stored_whole_or_not_at_all,
    a_sign_in_ends_with_its_verification,
}

fn user(world: &World, id: u128, phone: Option<&str>, login: Option<&str>) -> User {
    let now = world.clock.now();
    User {
        user_id: UserId(UserId::first_of(now).0 + id),
        account: "vats".to_owned(),
        live: true,
        version: 1,
        name: format!("Иван {id}"),
        phone: phone.map(|text| E164::parse(text).unwrap()),
        email: Some(EmailAddress::parse(&format!("Ivan.{id}@corp.ru")).unwrap()),
        login: login.map(str::to_owned),
        extension: Some("101".to_owned()),
        role: None,
        enabled: true,
        password_hash: None,
        created_at: now,
        updated_at: now,
    }
}

async fn put(world: &World, users: Vec<(User, u32)>) -> UsersPut {
    let put = PutUsers { account: "vats".to_owned(), live: true, users };
    world.store.put_users(put).await.unwrap()
}

fn who(account: &str) -> Who {
    Who::Account { account: account.to_owned(), live: true }
}

async fn users_are_stored_found_changed_and_removed(world: World) {
    let first = user(&world, 1, Some("+79161234567"), Some("ivan"));
    let second = user(&world, 2, None, None);
    let both = vec![(first.clone(), 0), (second.clone(), 0)];
    assert_eq!(put(&world, both).await, UsersPut::Stored);
    let store = &world.store;
    for identifier in [
        Identifier::Phone(first.phone.unwrap()),
        Identifier::Email(EmailAddress::parse("ivan.1@CORP.ru").unwrap()),
        Identifier::Login("ivan".to_owned()),
    ] {
        let found = store.user_by(&who("vats"), &identifier).await.unwrap();
        assert_eq!(found, Some(first.clone()));
        assert_eq!(store.user_by(&who("other"), &identifier).await.unwrap(), None);
    }
    let filter = PageFilter::newest(1);
    let page = store.users(&who("vats"), &filter).await.unwrap();
    assert_eq!((&page.items, page.next), (&vec![second.clone()], Some(second.user_id.0)));
    let changed = User { version: 2, login: None, enabled: false, ..first.clone() };
    assert_eq!(put(&world, vec![(changed.clone(), 1)]).await, UsersPut::Stored);
    assert_eq!(store.user(&who("vats"), first.user_id).await.unwrap(), Some(changed.clone()));
    let late = UserFault { at: 0, cause: UserFaultCause::Changed };
    assert_eq!(put(&world, vec![(changed, 1)]).await, UsersPut::Refused(vec![late]));
    assert!(!store.delete_user(&who("other"), first.user_id).await.unwrap());
    assert!(store.delete_user(&who("vats"), first.user_id).await.unwrap());
    assert_eq!(store.user(&who("vats"), first.user_id).await.unwrap(), None);
    let again = user(&world, 3, Some("+79161234567"), Some("ivan"));
    assert_eq!(put(&world, vec![(again, 0)]).await, UsersPut::Stored);
}

async fn a_file_is_stored_whole_or_not_at_all(world: World) {
    let first = user(&world, 1, Some("+79161234567"), None);
    assert_eq!(put(&world, vec![(first.clone(), 0)]).await, UsersPut::Stored);
    let fine = user(&world, 2, None, Some("b"));
    let clash = user(&world, 3, Some("+79161234567"), None);
    let twice = user(&world, 4, None, Some("b"));
    let gone = user(&world, 5, None, None);
    let file = vec![(fine.clone(), 0), (clash, 0), (twice, 0), (gone, 7)];
    let fault = |at, cause| UserFault { at, cause };
    let faults = vec![
        fault(1, UserFaultCause::Taken(IdentifierKind::Phone)),
        fault(2, UserFaultCause::Taken(IdentifierKind::Login)),
        fault(3, UserFaultCause::Gone),
    ];
    assert_eq!(put(&world, file).await, UsersPut::Refused(faults));
    assert_eq!(world.store.user(&who("vats"), fine.user_id).await.unwrap(), None);
    let many = (10..310).map(|id| (user(&world, id, None, None), 0)).collect();
    assert_eq!(put(&world, many).await, UsersPut::Stored);
}

async fn a_sign_in_ends_with_its_verification(world: World) {
    let now = world.clock.now();
    let owner = user(&world, 1, Some("+79161234567"), None);
    let mailbox = EmailAddress::parse("ivan@corp.ru").unwrap();
    for (place, code, status, concealed) in [
        (1, "0042", SignInStatus::Completed, None),
        (2, "1111", SignInStatus::Failed, None),
        (3, "0042", SignInStatus::Completed, Some(Typed::Phone(owner.phone.unwrap()))),
        (4, "0042", SignInStatus::Completed, Some(Typed::Email(mailbox))),
        (5, "0042", SignInStatus::Completed, Some(Typed::Unkept)),
    ] {
        let sign_in = SignIn {
            sign_in_id: SignInId(SignInId::first_of(now).0 + place),
            account: "vats".to_owned(),
            live: true,
            status: SignInStatus::Open,
            user_id: owner.user_id,
            created_at: now,
            expires_at: Timestamp(now.as_millis() + 600_000),
            ended_at: None,
            verification_id: None,
            concealed,
        };
        world.store.create_sign_in(&sign_in).await.unwrap();
        let read = world.store.sign_in(&who("vats"), sign_in.sign_in_id).await;
        assert_eq!(read.unwrap().as_ref(), Some(&sign_in));
        let number = format!("+7916123456{place}");
        let mut verification = world.verification(&number, "+74951230042");
        verification.sign_in_id = Some(sign_in.sign_in_id);
        verification.user_id = Some(owner.user_id);
        verification.also = Some(EmailAddress::parse("ivan@corp.ru").unwrap().into());
        let id = verification.verification_id;
        let made = world.store.create_verification(create(verification.clone())).await;
        assert!(matches!(made, Ok(daemon::store::Created::Stored { .. })), "{made:?}");
        assert_eq!(world.read(id).await, verification);
        while world.read(id).await.status == VerificationStatus::Pending {
            let checked = world.apply(id, check(code)).await;
            assert!(matches!(checked, Applied::Accepted { .. }), "{checked:?}");
        }
        let ended = world.store.sign_in(&who("vats"), sign_in.sign_in_id).await.unwrap().unwrap();
        assert_eq!((ended.status, ended.verification_id), (status, Some(id)));
        let other = world.store.sign_in(&who("other"), sign_in.sign_in_id).await.unwrap();
        assert_eq!(other, None);
    }
}
