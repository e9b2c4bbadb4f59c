//! Durable verifications per second, with 256 clients that each wait for their answer.
//!
//! `cargo bench -p dozvon-tests --profile suite --bench store`. First only creates, as an API
//! request makes them: verification, step, call, place among the open ones, idempotency record,
//! shown tail, two limits. Then whole walks: create, two facts of the call, its end, a wrong check.
//! Both databases sync the disk at each commit.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use daemon::clock::{Clock, Timestamp};
use daemon::ids::{CallId, VerificationId};
use daemon::secrets::{Keys, SecretKey};
use daemon::store::{
    Applied, Apply, Create, Created, Idempotency, Limit, LimitRule, LimitSubject, LimitUse,
    Location, Statistics, Store, StoredResponse, migrate,
};
use daemon::verification::machine::{Input, PresentedCode};
use daemon::verification::model::{
    Call, CallRecord, CallState, Channel, Client, Step, StepCode, StepStatus, Verification,
    VerificationStatus, Wording,
};
use dialplans::{CallerId, CodeLength, E164};
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::postgres::Database;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sip::{CallOutcome, TimelineEntry, TimelineEvent, UserPart};

const CLIENTS: u64 = 256;
const WARM_UP: Duration = Duration::from_secs(1);
const CREATES: Duration = Duration::from_secs(5);
const WALKS: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    bench("SQLite", Location::Sqlite(folder.path().join("dozvon.db")), 30_000.0).await;
    if !lacking(&[Peer::Postgres]) {
        let url = Database::durable().await.url;
        bench("Postgres", Location::Postgres { url, password: None }, 40_000.0).await;
    }
}

async fn bench(name: &str, location: Location, aim: f64) {
    migrate(&location).await.unwrap();
    let (keys, clock) = (Keys::derive(&SecretKey::parse(&[7; 32]).unwrap()), Clock::system());
    let retention = config::Retention {
        calls: Duration::from_secs(90 * 86_400),
        message_text: Duration::from_secs(86_400),
        numbers: Duration::from_secs(30 * 86_400),
    };
    let rng = ChaCha20Rng::from_seed([1; 32]);
    let store = Store::open(&location, keys.clone(), clock.clone(), rng, retention).await.unwrap();
    let load = Load { store, keys, clock, numbers: Arc::default() };
    load.run(WARM_UP, false).await;
    let rows = load.run(CREATES, false).await.print(name, "create");
    load.run(WALKS, true).await.print(name, "walk");
    println!("{name}: {:.0} % of the aim of {aim} rows/s", rows / aim * 100.0);
    load.store.close().await;
}

/// What every client shares.
#[derive(Clone)]
struct Load {
    store: Store,
    keys: Keys,
    clock: Clock,
    /// Each verification is to a number of its own.
    numbers: Arc<AtomicU64>,
}

/// What a phase came to.
struct Phase {
    took: Duration,
    latencies: Vec<Duration>,
    before: Statistics,
    after: Statistics,
}

impl Load {
    async fn run(&self, limit: Duration, walks: bool) -> Phase {
        let (start, before) = (Instant::now(), self.store.statistics());
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            let load = self.clone();
            clients.spawn(async move { load.client(client, start, limit, walks).await });
        }
        let mut latencies = Vec::new();
        while let Some(own) = clients.join_next().await {
            latencies.extend(own.unwrap());
        }
        latencies.sort_unstable();
        Phase { took: start.elapsed(), latencies, before, after: self.store.statistics() }
    }

    /// Gives how long each create, or each request of the walks, took.
    async fn client(
        &self,
        client: u64,
        start: Instant,
        limit: Duration,
        walks: bool,
    ) -> Vec<Duration> {
        let mut rng =
            ChaCha20Rng::seed_from_u64(self.numbers.load(Ordering::Relaxed) ^ client << 32);
        let mut latencies = Vec::new();
        while start.elapsed() < limit {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let create = self.create(number, &mut rng);
            let (id, call) = {
                let verification = &create.verification;
                (verification.verification_id, verification.steps[0].calls[0].call_id)
            };
            let asked = Instant::now();
            let created = self.store.create_verification(create).await.unwrap();
            assert!(matches!(created, Created::Stored { .. }), "{created:?}");
            latencies.push(asked.elapsed());
            if walks {
                for input in walk(call, &self.clock) {
                    let asked = Instant::now();
                    let applied = self.store.apply(Apply::internal(id, input)).await.unwrap();
                    assert!(matches!(applied, Applied::Accepted { .. }), "{applied:?}");
                    latencies.push(asked.elapsed());
                }
            }
        }
        latencies
    }

    fn create(&self, number: u64, rng: &mut ChaCha20Rng) -> Create {
        let now = self.clock.now();
        let to: E164 = format!("+79{number:09}").parse().unwrap();
        let shown = format!("+7495123{:04}", number % 10_000).parse().unwrap();
        let caller_id = CallerId::new(shown, CodeLength::new(4).unwrap()).unwrap();
        let verification_id = VerificationId::generate(now, rng);
        let code = StepCode::of_caller_id(&self.keys, verification_id, &caller_id, 10_000);
        let call = Call {
            call_id: CallId::generate(now, rng),
            attempt: 1,
            trunk: "north".parse().unwrap(),
            dialled: Some(UserPart::new(&to.reveal()).unwrap()),
            caller_id: Some(caller_id),
            caller_id_masked: caller_id.to_string(),
            dialog: None,
            created_at: now,
            state: CallState::Up { target: None, last_cseq: 0, rang: false },
        };
        let client = Client {
            session: Some(format!("session-{number}")),
            ip: Some("203.0.113.9".parse().unwrap()),
            device_id: None,
        };
        let verification = Verification {
            verification_id,
            account: "vats".to_owned(),
            live: true,
            version: 1,
            status: VerificationStatus::Pending,
            to: to.into(),
            also: None,
            user_id: None,
            sign_in_id: None,
            purpose: "sign_in".to_owned(),
            locale: Some("ru".to_owned()),
            reference: Some(format!("order-{number}")),
            metadata: None,
            client,
            created_at: now,
            expires_at: now + Duration::from_secs(300),
            ended_at: None,
            code_length: 4,
            code_space: 10_000,
            checks_max: 3,
            checks_used: 0,
            sends_max: 5,
            sends_used: 1,
            next_send_allowed_at: now + Duration::from_secs(15),
            wording: Wording::default(),
            own_code: false,
            proved: None,
            workflow: Vec::new(),
            next_at: None,
            steps: vec![step(now, code, call)],
        };
        let limit = |scope, max, seconds| Limit {
            scope,
            subject: LimitSubject::Number(to),
            rules: vec![LimitRule { max, window: Duration::from_secs(seconds) }],
            limit_use: LimitUse::Take,
        };
        Create {
            verification,
            max_open: 3,
            tails_since: now - Duration::from_secs(86_400),
            limits: vec![limit("send", 30, 86_400), limit("flash_call", 10, 86_400)],
            idempotency: Some(idempotency(number)),
        }
    }
}

fn step(now: Timestamp, code: StepCode, call: Call) -> Step {
    let bare = Step::bare(1, Channel::FlashCall, StepStatus::Queued, now);
    Step { code: Some(code), calls: vec![call], ..bare }
}

/// A record of about the size that the API keeps.
fn idempotency(number: u64) -> Idempotency<Verification> {
    Idempotency {
        key: format!("key-{number}"),
        request: format!("POST /v1/verifications {number}").into_bytes(),
        render: Arc::new(|verification: &Verification| {
            let body = format!("{{\"id\":\"{}\"}}", verification.verification_id);
            Some(StoredResponse {
                status: 201,
                headers: vec![("location".to_owned(), "/v1/verifications".to_owned())],
                body: body.repeat(12).into_bytes(),
            })
        }),
    }
}

/// What follows a create until a code is checked.
fn walk(call_id: CallId, clock: &Clock) -> [Input; 4] {
    let target = Some("192.0.2.1:5060".parse().unwrap());
    let fact =
        |cseq, ringing| Input::Progress { call_id, target, cseq, ringing, cancelled: ringing };
    let entry = |ms, event| TimelineEntry { at: Duration::from_millis(ms), event };
    let record = CallRecord {
        ended_at: clock.now(),
        outcome: CallOutcome::Rang,
        rang: true,
        status: Some(487),
        q850: None,
        retry_after: None,
        target,
        timeline: vec![
            entry(0, TimelineEvent::Invite { cseq: 1 }),
            entry(640, TimelineEvent::Response { status: 100 }),
            entry(2_310, TimelineEvent::Response { status: 180 }),
            entry(6_310, TimelineEvent::Cancel),
        ],
    };
    [
        fact(1, false),
        fact(2, true),
        Input::CallEnded { call_id, record, last: true },
        Input::Check(PresentedCode::parse("99999").unwrap()),
    ]
}

impl Phase {
    /// Gives the rows per second.
    fn print(&self, database: &str, what: &str) -> f64 {
        let seconds = self.took.as_secs_f64();
        let requests = self.after.requests - self.before.requests;
        let batches = (self.after.batches - self.before.batches).max(1);
        let rows = (self.after.rows - self.before.rows) as f64 / seconds;
        let percentile = |part: usize| {
            let place = (self.latencies.len() * part / 100).min(self.latencies.len() - 1);
            self.latencies[place].as_secs_f64() * 1_000.0
        };
        println!(
            "{database}, {what}: {:.0} requests/s, {rows:.0} rows/s, {} requests in a batch, \
             p50 {:.1} ms, p99 {:.1} ms",
            requests as f64 / seconds,
            requests / batches,
            percentile(50),
            percentile(99)
        );
        rows
    }
}
