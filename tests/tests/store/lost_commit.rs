//! The answer to a commit is lost on its way: the store finds out what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use daemon::store::{Created, Location};
use dozvon_tests::peers::{Peer, lacking};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, create, open_store};

/// What the network does to a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The server gets it, we do not get the answer.
    Answer,
    /// The server does not get it.
    Commit,
}

/// A way to the server that breaks at the next so many commits.
struct Way {
    port: u16,
    losses: Arc<AtomicUsize>,
}

impl Way {
    async fn to(server: &str, loss: Loss) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let losses = Arc::new(AtomicUsize::new(0));
        let (server, left) = (server.to_owned(), losses.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(&server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = upstream.into_split();
                let back = tokio::spawn(pass(from_server, to_client));
                let left = left.clone();
                tokio::spawn(async move {
                    pass_until_commit(from_client, to_server, loss, &left).await;
                    back.abort();
                });
            }
        });
        Self { port, losses }
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}

async fn pass_until_commit(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    loss: Loss,
    left: &AtomicUsize,
) {
    let mut buffer = vec![0; 65_536];
    // The second commit of a connection is a prepared statement without its text: what tells it
    // apart is that nothing else is bound without a parameter and so short.
    let mut name = None;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        if let Some(at) = find(bytes, b"commit\0") {
            name = Some(bytes[..at].rsplit(|&byte| byte == b'P').next().unwrap()[4..].to_vec());
        }
        let is_commit = find(bytes, b"commit\0").is_some()
            || name.as_ref().is_some_and(|name| find(bytes, name).is_some() && count < 80);
        let loses = is_commit
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        let passes = !loses || loss == Loss::Answer;
        if passes && to.write_all(bytes).await.is_err() {
            return;
        }
        if loses {
            return;
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

async fn run(loss: Loss) {
    let world = World::postgres().await;
    let (server, database) = world.url.split_once('@').unwrap().1.split_once('/').unwrap();
    let way = Way::to(server, loss).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}", way.port);
    let location = Location::Postgres { url, password: None };
    let store = open_store(&location, &world.keys, &world.clock, 9).await;
    for number in 0..10 {
        way.losses.store(1, Ordering::SeqCst);
        let verification = world.verification(&format!("+7916123456{number}"), "+74951230042");
        let created = store.create_verification(create(verification.clone())).await.unwrap();
        assert!(matches!(created, Created::Stored { .. }), "{created:?}");
        assert_eq!(way.losses.load(Ordering::SeqCst), 0, "the commit was cut");
        assert_eq!(world.read(verification.verification_id).await, verification);
    }
    assert_eq!(world.store.open_verifications(None, 100).await.unwrap().len(), 10);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_read_back_and_not_repeated() {
    if !lacking(&[Peer::Postgres]) {
        run(Loss::Answer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrived_is_made_again() {
    if !lacking(&[Peer::Postgres]) {
        run(Loss::Commit).await;
    }
}
