//! A store of one test's own, on either database, with a clock that the test moves.

use std::sync::Mutex;
use std::time::Duration;

use daemon::clock::{Clock, Timestamp};
use daemon::ids::{CallId, VerificationId};
use daemon::secrets::{Keys, SecretKey};
use daemon::store::{
    Applied, Apply, Create, Created, Location, Store, StoredResponse, Who, migrate,
};
use daemon::verification::machine::{Input, PresentedCode};
use daemon::verification::model::{
    Call, CallRecord, CallState, Channel, Client, Step, StepCode, StepStatus, Verification,
    VerificationStatus, Wording,
};
use dialplans::{CallerId, CodeLength, E164, TrunkName};
use dozvon_tests::postgres::Database;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sip::{CallOutcome, TimelineEntry, TimelineEvent, UserPart};
use tempfile::TempDir;

/// Saturday, so that a week of partitions ends soon after.
pub(crate) const START: Timestamp = Timestamp(1_769_850_000_000);

pub(crate) const RETENTION: config::Retention = config::Retention {
    calls: Duration::from_secs(90 * 86_400),
    message_text: Duration::from_secs(86_400),
    numbers: Duration::from_secs(30 * 86_400),
};

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) location: Location,
    /// As the canary's scan wants it.
    pub(crate) url: String,
    rng: Mutex<ChaCha20Rng>,
    _folder: TempDir,
}

pub(crate) fn secret(byte: u8) -> SecretKey {
    SecretKey::parse(&[byte; 32]).unwrap()
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dozvon.db");
        let url = format!("sqlite:{}", path.display());
        Self::open(Location::Sqlite(path), url, folder).await
    }

    pub(crate) async fn postgres() -> Self {
        let url = Database::create().await.url;
        let location = Location::Postgres { url: url.clone(), password: None };
        Self::open(location, url, tempfile::tempdir().unwrap()).await
    }

    async fn open(location: Location, url: String, folder: TempDir) -> Self {
        assert_eq!(migrate(&location).await.unwrap(), migrations());
        let (clock, keys) = (Clock::manual(START), Keys::derive(&secret(7)));
        let store = open_store(&location, &keys, &clock, 1).await;
        let rng = Mutex::new(ChaCha20Rng::from_seed([2; 32]));
        Self { store, clock, keys, location, url, rng, _folder: folder }
    }

    /// Another process on the same database.
    pub(crate) async fn second(&self) -> Store {
        open_store(&self.location, &self.keys, &self.clock, 3).await
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.location, Location::Postgres { .. })
    }

    /// A verification to `to` whose phone will show `shown`, not stored.
    pub(crate) fn verification(&self, to: &str, shown: &str) -> Verification {
        let now = self.clock.now();
        let verification_id = VerificationId::generate(now, &mut self.rng.lock().unwrap());
        let code = StepCode::of_caller_id(&self.keys, verification_id, &caller_id(shown), 10_000);
        let step = Step {
            n: 1,
            channel: Channel::FlashCall,
            status: StepStatus::Queued,
            detail: None,
            created_at: now,
            code: Some(code),
            secret: None,
            awaits: None,
            calls: vec![self.call(to, shown)],
            dispatches: Vec::new(),
        };
        Verification {
            verification_id,
            account: "vats".to_owned(),
            live: true,
            version: 1,
            status: VerificationStatus::Pending,
            to: E164::parse(to).unwrap().into(),
            also: None,
            user_id: None,
            sign_in_id: None,
            purpose: "sign_in".to_owned(),
            locale: Some("ru".to_owned()),
            reference: None,
            metadata: Some("{\"k\":\"v\"}".to_owned()),
            client: Client {
                session: None,
                ip: Some("203.0.113.9".parse().unwrap()),
                device_id: Some("phone".to_owned()),
            },
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
            steps: vec![step],
        }
    }

    pub(crate) fn call(&self, to: &str, shown: &str) -> Call {
        let now = self.clock.now();
        Call {
            call_id: CallId::generate(now, &mut self.rng.lock().unwrap()),
            attempt: 1,
            trunk: TrunkName::parse("north").unwrap(),
            dialled: Some(UserPart::new(to).unwrap()),
            caller_id: Some(caller_id(shown)),
            caller_id_masked: caller_id(shown).to_string(),
            dialog: None,
            created_at: now,
            state: CallState::Up { target: None, last_cseq: 0, rang: false },
        }
    }

    pub(crate) async fn create(&self, verification: Verification) -> Created {
        self.store.create_verification(create(verification)).await.unwrap()
    }

    /// Stores a verification that must be accepted.
    pub(crate) async fn stored(&self, to: &str, shown: &str) -> Verification {
        let verification = self.verification(to, shown);
        match self.create(verification.clone()).await {
            Created::Stored { verification: stored, .. } => assert_eq!(*stored, verification),
            other => panic!("not stored: {other:?}"),
        }
        verification
    }

    pub(crate) async fn apply(&self, id: VerificationId, input: Input) -> Applied {
        self.store.apply(Apply::internal(id, input)).await.unwrap()
    }

    /// Applies an input that must be accepted.
    pub(crate) async fn accepted(&self, id: VerificationId, input: Input) -> Verification {
        match self.apply(id, input).await {
            Applied::Accepted { verification, .. } => *verification,
            other => panic!("not accepted: {other:?}"),
        }
    }

    pub(crate) async fn read(&self, id: VerificationId) -> Verification {
        self.store.verification(&Who::Gateway, id).await.unwrap().expect("it is stored")
    }
}

pub(crate) async fn open_store(location: &Location, keys: &Keys, clock: &Clock, seed: u8) -> Store {
    let rng = ChaCha20Rng::from_seed([seed; 32]);
    Store::open(location, keys.clone(), clock.clone(), rng, RETENTION).await.unwrap()
}

pub(crate) fn caller_id(number: &str) -> CallerId {
    CallerId::new(E164::parse(number).unwrap(), CodeLength::new(4).unwrap()).unwrap()
}

pub(crate) fn create(verification: Verification) -> Create {
    Create {
        tails_since: verification.created_at - Duration::from_secs(86_400),
        verification,
        max_open: 3,
        limits: Vec::new(),
        idempotency: None,
    }
}

pub(crate) fn check(code: &str) -> Input {
    Input::Check(PresentedCode::parse(code).unwrap())
}

pub(crate) fn progress(call: &Call, cseq: u32, ringing: bool, cancelled: bool) -> Input {
    let target = Some("192.0.2.1:5060".parse().unwrap());
    Input::Progress { call_id: call.call_id, target, cseq, ringing, cancelled }
}

pub(crate) fn record(at: Timestamp, outcome: CallOutcome) -> CallRecord {
    let entry = |ms, event| TimelineEntry { at: Duration::from_millis(ms), event };
    CallRecord {
        ended_at: at,
        outcome,
        rang: outcome == CallOutcome::Rang,
        status: Some(487),
        q850: Some(16),
        retry_after: Some(Duration::from_secs(5)),
        target: Some("[2001:db8::1]:5060".parse().unwrap()),
        timeline: vec![
            entry(0, TimelineEvent::Invite { cseq: 1 }),
            entry(2_310, TimelineEvent::Response { status: 180 }),
            entry(6_310, TimelineEvent::Cancel),
        ],
    }
}

pub(crate) fn ended(call: &Call, at: Timestamp, outcome: CallOutcome, last: bool) -> Input {
    Input::CallEnded { call_id: call.call_id, record: record(at, outcome), last }
}

pub(crate) fn response(body: &str) -> StoredResponse {
    StoredResponse {
        status: 201,
        headers: vec![("location".to_owned(), "/v1/somewhere".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

/// How many migrations stand in the tree.
fn migrations() -> usize {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/migrations/sqlite");
    std::fs::read_dir(folder).unwrap().count()
}
