//! Texts: stored, moved once, listed.

use std::sync::Arc;
use std::time::Duration;

use daemon::ids::MessageId;
use daemon::store::{
    ChangeMessage, ChangePart, CreateMessage, Direction, Idempotency, Message, MessageChange,
    MessageChanged, MessageCreated, MessageFilter, MessageStatus, PageFilter, Part, PartEvent,
    PartStatus, Who,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::on_both;
use crate::world::{World, response};

on_both! {
    a_text_reads_back_as_it_was_stored_and_moves_to_its_end,
    a_repeated_text_is_stored_once,
    texts_are_listed_narrowed_and_the_unfinished_ones_apart,
    parts_move_by_themselves_and_are_found_by_the_id_of_the_message_centre,
}

fn message(world: &World, place: u8) -> Message {
    let now = world.clock.now();
    Message {
        message_id: MessageId::generate(now, &mut ChaCha20Rng::from_seed([place; 32])),
        account: "vats".to_owned(),
        live: true,
        version: 1,
        direction: Direction::Outbound,
        status: MessageStatus::Accepted,
        detail: None,
        to: format!("+7916123456{place}").parse::<dialplans::E164>().unwrap().into(),
        sender: Some("EXAMPLE".to_owned()),
        from: None,
        parts: Vec::new(),
        text: Some("Ваш код 4711".to_owned()),
        encoding: "utf8".to_owned(),
        segments: 1,
        reference: Some(format!("order-{place}")),
        trunk: None,
        maybe_duplicate: false,
        created_at: now,
        valid_until: now + Duration::from_secs(3_600),
        updated_at: now,
    }
}

async fn create(world: &World, message: &Message) {
    let create = CreateMessage { message: message.clone(), limits: Vec::new(), idempotency: None };
    let created = world.store.create_message(create).await.unwrap();
    assert!(matches!(created, MessageCreated::Stored { .. }));
}

fn change(status: MessageStatus) -> MessageChange {
    let trunk = Some("north".parse().unwrap());
    MessageChange { status, detail: Some("sip_202".to_owned()), trunk, maybe_duplicate: false }
}

async fn a_text_reads_back_as_it_was_stored_and_moves_to_its_end(world: World) {
    let message = message(&world, 1);
    let id = message.message_id;
    create(&world, &message).await;
    assert_eq!(world.store.message(&Who::Gateway, id).await.unwrap(), Some(message.clone()));
    let other = Who::Account { account: "other".to_owned(), live: true };
    assert_eq!(world.store.message(&other, id).await.unwrap(), None);
    world.clock.advance(Duration::from_secs(1));
    for (status, version) in [(MessageStatus::Sent, 2), (MessageStatus::Delivered, 3)] {
        let change = ChangeMessage { message_id: id, change: change(status) };
        let MessageChanged::Stored(stored) = world.store.change_message(change).await.unwrap()
        else {
            panic!("an open text changes")
        };
        assert_eq!((stored.status, stored.version), (status, version));
        assert_eq!(world.store.message(&Who::Gateway, id).await.unwrap(), Some(*stored));
    }
    let late = ChangeMessage { message_id: id, change: change(MessageStatus::Failed) };
    let changed = world.store.change_message(late).await.unwrap();
    assert!(matches!(changed, MessageChanged::Ended(it) if it.status == MessageStatus::Delivered));
    let unknown = ChangeMessage { message_id: MessageId(1), change: change(MessageStatus::Sent) };
    let changed = world.store.change_message(unknown).await.unwrap();
    assert!(matches!(changed, MessageChanged::NotFound));
}

async fn a_repeated_text_is_stored_once(world: World) {
    let keyed = |place| CreateMessage {
        message: message(&world, place),
        limits: Vec::new(),
        idempotency: Some(Idempotency {
            key: "key-1".to_owned(),
            request: b"body".to_vec(),
            render: Arc::new(|message: &Message| Some(response(&message.message_id.to_string()))),
        }),
    };
    let created = world.store.create_message(keyed(1)).await.unwrap();
    let MessageCreated::Stored { response: Some(first), .. } = created else {
        panic!("the first one is stored")
    };
    let repeated = world.store.create_message(keyed(2)).await.unwrap();
    assert!(matches!(repeated, MessageCreated::Replayed(replayed) if replayed == first));
    let all = world.store.messages(&Who::Gateway, &MessageFilter::default()).await.unwrap();
    assert_eq!(all.items.len(), 1);
}

async fn texts_are_listed_narrowed_and_the_unfinished_ones_apart(world: World) {
    let mut stored = Vec::new();
    for place in 0..4 {
        let mut message = message(&world, place);
        if place == 3 {
            (message.direction, message.status) = (Direction::Inbound, MessageStatus::Received);
        }
        create(&world, &message).await;
        stored.push(message);
        world.clock.advance(Duration::from_millis(5));
    }
    let rejected = change(MessageStatus::Rejected);
    let rejected = ChangeMessage { message_id: stored[1].message_id, change: rejected };
    world.store.change_message(rejected).await.unwrap();
    let all = || MessageFilter { page: PageFilter::newest(50), ..MessageFilter::default() };
    let cases: [(MessageFilter, &[usize]); 5] = [
        (all(), &[3, 2, 1, 0]),
        (MessageFilter { to: stored[2].to.full(), ..all() }, &[2]),
        (MessageFilter { reference: Some("order-0".to_owned()), ..all() }, &[0]),
        (MessageFilter { status: Some(MessageStatus::Rejected), ..all() }, &[1]),
        (MessageFilter { direction: Some(Direction::Inbound), ..all() }, &[3]),
    ];
    for (filter, expected) in &cases {
        let page = world.store.messages(&Who::Gateway, filter).await.unwrap();
        let listed: Vec<_> = page.items.iter().map(|item| item.message_id).collect();
        let expected: Vec<_> = expected.iter().map(|&n| stored[n].message_id).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
    let unfinished = world.store.unfinished_messages(None, 10).await.unwrap();
    let ids: Vec<_> = unfinished.iter().map(|message| message.message_id).collect();
    assert_eq!(ids, [stored[0].message_id, stored[2].message_id]);
    assert_eq!(unfinished[0].text.as_deref(), Some("Ваш код 4711"));
    let rest = world.store.unfinished_messages(Some(ids[0]), 10).await.unwrap();
    assert_eq!(rest.len(), 1);
}

async fn parts_move_by_themselves_and_are_found_by_the_id_of_the_message_centre(world: World) {
    let mut message = message(&world, 1);
    message.parts = vec![Part::accepted(world.clock.now()); 2];
    message.from = Some("+79161234560".parse::<dialplans::E164>().unwrap().into());
    create(&world, &message).await;
    let id = message.message_id;
    let read = || async { world.store.message(&Who::Gateway, id).await.unwrap().unwrap() };
    assert_eq!(read().await, message);
    let change = |part, event| {
        let detail = Some("smpp_0".to_owned());
        let change =
            ChangePart { message_id: id, part, link: "centre".parse().unwrap(), event, detail };
        async { world.store.change_part(change).await.unwrap() }
    };
    let refused = change(0, PartEvent::Told(PartStatus::Delivered)).await;
    assert!(matches!(refused, MessageChanged::Ended(_)), "nobody has it");
    for (part, remote) in [(0, "3e8"), (1, "3e9")] {
        let sending = change(part, PartEvent::Sending).await;
        assert!(matches!(sending, MessageChanged::Stored(_)));
        let again = change(part, PartEvent::Sending).await;
        assert!(matches!(again, MessageChanged::Ended(_)), "one hand at a time");
        change(part, PartEvent::Taken(Some(remote.to_owned()))).await;
    }
    assert_eq!(read().await.status, MessageStatus::Sent);
    let ids = ["1001", "3e9", "4097"].map(str::to_owned);
    let found = world.store.submitted("centre", &ids).await.unwrap();
    assert_eq!(found.iter().map(|it| (it.message_id, it.part)).collect::<Vec<_>>(), [(id, 1)]);
    assert!(world.store.submitted("other", &ids).await.unwrap().is_empty());
    let (until, second) = (message.valid_until, Duration::from_secs(1));
    let overdue = |before| world.store.overdue_messages(until, before, 10);
    assert_eq!(overdue(until).await.unwrap().len(), 0);
    assert_eq!(overdue(until + second).await.unwrap()[0].message_id, id);
    change(0, PartEvent::Told(PartStatus::Delivered)).await;
    change(1, PartEvent::Told(PartStatus::Failed)).await;
    let ended = read().await;
    assert_eq!((ended.status, ended.version), (MessageStatus::Failed, 7));
    assert_eq!(overdue(until + second).await.unwrap().len(), 0);
}
