//! Texts from outside that come in parts.

use std::time::Duration;

use daemon::messages::Sender;
use daemon::messages::coding::Charset;
use daemon::store::{
    Message, MessageFilter, MessageStatus, PageFilter, PartContent, ReceivePart, Repeats, Store,
    Who,
};
use dozvon_tests::canary::Canary;

use crate::on_both;
use crate::world::World;

on_both! {
    parts_that_come_at_once_in_any_order_and_doubled_make_one_text,
    a_restart_between_two_parts_loses_none,
    two_senders_with_one_reference_have_a_text_each,
    a_text_with_a_missing_part_is_given_as_it_is_and_says_so,
    a_reference_that_comes_round_is_another_text,
    the_same_words_an_hour_later_are_another_text,
    what_waits_is_sealed_and_goes_once_its_text_is_given,
}

/// Of `text`, which names sender and reference.
fn part(world: &World, text: &str, place: (u8, u8), words: &str) -> ReceivePart {
    // Each at a moment of its own: lists are in order of time.
    world.clock.advance(Duration::from_millis(1));
    let now = world.clock.now();
    let (part, total) = place;
    let repeats = if total == 1 { Repeats::of_words(now, now) } else { Repeats::of_reference(now) };
    let content = PartContent {
        account: "vats".to_owned(),
        to: "+74951230000".parse().unwrap(),
        sender: Sender::Number("+79161234567".parse().unwrap()),
        charset: Charset::Gsm7,
        link: "centre".parse().unwrap(),
        octets: words.as_bytes().to_vec(),
    };
    ReceivePart { text: text.as_bytes().to_vec(), part, total, content, repeats }
}

/// Takes a part in; how many texts that came to.
async fn take(store: &Store, part: ReceivePart) -> usize {
    store.receive_part(part).await.unwrap().len()
}

/// What is stored, oldest first.
async fn stored(store: &Store) -> Vec<Message> {
    let filter = MessageFilter { page: PageFilter::newest(50), ..MessageFilter::default() };
    let mut found = store.messages(&Who::Gateway, &filter).await.unwrap().items;
    found.reverse();
    found
}

async fn words(store: &Store) -> Vec<String> {
    stored(store).await.into_iter().map(|it| it.text.unwrap()).collect()
}

async fn parts_that_come_at_once_in_any_order_and_doubled_make_one_text(world: World) {
    let texts: [(u8, &str); 6] = [(3, "c"), (1, "a"), (3, "c"), (2, "b"), (1, "a"), (2, "b")];
    let mut tasks = Vec::new();
    for (place, text) in texts {
        let (store, part) = (world.store.clone(), part(&world, "one", (place, 3), text));
        tasks.push(tokio::spawn(async move { take(&store, part).await }));
    }
    let mut given = 0;
    for task in tasks {
        given += task.await.unwrap();
    }
    let found = stored(&world.store).await;
    assert_eq!((given, found.len()), (1, 1));
    let text = &found[0];
    assert_eq!((text.text.as_deref(), text.segments), (Some("abc"), 3));
    assert_eq!((text.status, text.detail.as_deref()), (MessageStatus::Received, None));
    assert_eq!(text.trunk.as_ref().map(|link| link.as_str()), Some("centre"));
    // Minutes later the message centre repeats what it heard no answer to.
    world.clock.advance(Duration::from_secs(300));
    for (place, text) in texts {
        assert_eq!(take(&world.store, part(&world, "one", (place, 3), text)).await, 0);
    }
    assert_eq!(words(&world.store).await, ["abc"]);
}

async fn a_restart_between_two_parts_loses_none(world: World) {
    take(&world.store, part(&world, "one", (2, 2), "b")).await;
    let second = world.second().await;
    assert_eq!(take(&second, part(&world, "one", (1, 2), "a")).await, 1);
    assert_eq!(words(&second).await, ["ab"]);
    second.close().await;
}

async fn two_senders_with_one_reference_have_a_text_each(world: World) {
    for (sender, place, text) in [("x", 1, "a"), ("y", 2, "B"), ("x", 2, "b"), ("y", 1, "A")] {
        take(&world.store, part(&world, sender, (place, 2), text)).await;
    }
    assert_eq!(words(&world.store).await, ["ab", "AB"]);
}

async fn a_text_with_a_missing_part_is_given_as_it_is_and_says_so(world: World) {
    take(&world.store, part(&world, "one", (1, 3), "a")).await;
    world.clock.advance(Duration::from_secs(200));
    take(&world.store, part(&world, "one", (3, 3), "c")).await;
    let patience = || world.store.inbound_patience();
    assert!(world.store.settle_inbound(patience(), 10).await.unwrap().is_empty());
    world.clock.advance(Duration::from_secs(101));
    assert_eq!(world.store.settle_inbound(patience(), 10).await.unwrap().len(), 1);
    assert!(world.store.settle_inbound(patience(), 10).await.unwrap().is_empty());
    let found = stored(&world.store).await;
    assert_eq!(found[0].text.as_deref(), Some("a[…]c"));
    assert_eq!((found[0].detail.as_deref(), found[0].segments), (Some("incomplete"), 3));
    // The late part is lost to that text, but not to its reader.
    take(&world.store, part(&world, "one", (2, 3), "b")).await;
    world.clock.advance(Duration::from_secs(301));
    world.store.settle_inbound(patience(), 10).await.unwrap();
    assert_eq!(words(&world.store).await, ["a[…]c", "[…]b[…]"]);
}

async fn a_reference_that_comes_round_is_another_text(world: World) {
    take(&world.store, part(&world, "one", (1, 2), "a")).await;
    assert_eq!(take(&world.store, part(&world, "one", (1, 2), "x")).await, 1);
    assert_eq!(take(&world.store, part(&world, "one", (2, 2), "y")).await, 1);
    // The same end under another beginning.
    take(&world.store, part(&world, "one", (1, 2), "z")).await;
    assert_eq!(take(&world.store, part(&world, "one", (2, 2), "y")).await, 1);
    assert_eq!(words(&world.store).await, ["a[…]", "xy", "zy"]);
    // What has waited too long belongs to an older text.
    take(&world.store, part(&world, "one", (1, 2), "p")).await;
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(take(&world.store, part(&world, "one", (2, 2), "q")).await, 1);
    assert_eq!(words(&world.store).await[3..], ["p[…]"]);
}

async fn the_same_words_an_hour_later_are_another_text(world: World) {
    let whole = |world: &World| part(world, "yes", (1, 1), "yes");
    assert_eq!(take(&world.store, whole(&world)).await, 1);
    assert_eq!(take(&world.store, whole(&world)).await, 0);
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(take(&world.store, whole(&world)).await, 1);
    assert_eq!(words(&world.store).await, ["yes", "yes"]);
}

async fn what_waits_is_sealed_and_goes_once_its_text_is_given(world: World) {
    let secret = "a secret that waits";
    let mut canary = Canary::default();
    for number in ["+79161234567", "+74951230000"] {
        canary.add_number(number);
    }
    canary.add(secret);
    take(&world.store, part(&world, "one", (1, 2), secret)).await;
    assert_eq!(canary.scan_database(&world.url).await.hits, Vec::<String>::new());
    take(&world.store, part(&world, "one", (2, 2), "")).await;
    assert_eq!(words(&world.store).await, [secret]);
    assert_eq!(canary.scan_database(&world.url).await.hits, Vec::<String>::new());
}
