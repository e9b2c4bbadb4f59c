//! The real daemon from HTTP to the row, on SQLite and on a real Postgres.

mod bad_mail;
mod bad_requests;
mod callers;
mod canary;
mod checks_at_once;
mod every_channel;
mod people;
mod reload;
mod spoken;

use dozvon_tests::capture::requests;
use dozvon_tests::gateway::{Engine, Gateway};
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::phones::{Phones, user};
use std::time::Duration;

/// Whether a test of this engine must be skipped.
fn cannot_run(engine: Engine) -> bool {
    engine == Engine::Postgres && lacking(&[Peer::Postgres])
}

/// A flash call to `number` that rings: the verification's id and the caller ID that was shown.
async fn rings(gateway: &Gateway, phones: &Phones, number: &str) -> (String, String) {
    let created = gateway.verify(number).await;
    let is_it = |invite: &&dozvon_tests::capture::Captured| user(invite, "To") == number;
    let rung = |messages: &[_]| requests(messages, "INVITE").iter().any(is_it);
    let messages = phones.until(Duration::from_secs(10), "INVITE", rung).await;
    let invites = requests(&messages, "INVITE");
    let invite = invites.iter().find(|invite| is_it(invite)).expect("it was waited for");
    (created["id"].as_str().expect("an id").to_owned(), user(invite, "From"))
}
