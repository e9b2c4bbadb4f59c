//! What every test of the API stands on.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use config::Source;
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::accounts::{KeyWish, Scopes, create_key};
use crate::app::{App, Parts, Settings};
use crate::clock::Clock;
use crate::mail::{MailSettings, Mailer};
use crate::media::{Lines, Media, Prompts};
use crate::plans;
use crate::randomness::{Randomness, Stream};
use crate::secrets::{Keys, SecretKey};
use crate::store::{Location, Store, migrate};
use crate::telemetry::canary;
use crate::ua_driver::scripted::{self, Script};

/// Two trunks that may show the same numbers, and texts over one of them.
const CONFIG: &str = r#"
[trunks.north]
domain = "north.test"
targets = ["127.0.0.1:5060"]
user = "gateway"
sms = "message"
cli_trusted = true
[trunks.south]
domain = "south.test"
targets = ["127.0.0.1:5062"]
user = "gateway"
[pools.all]
numbers = ["+74951230000-+74951239999"]
trunks = ["north", "south"]
code_length = 4
[pools.few]
numbers = ["+74951240000-+74951240999"]
trunks = ["north"]
code_length = 4
[[routes]]
prefix = "+79"
trunks = ["north", "south"]
pools = ["all"]
[[routes]]
prefix = "+7901"
trunks = ["north"]
pools = ["few"]
[sms]
default = "north"
[purposes.sign_up]
workflow = ["incoming_call", "flash_call"]
[accounts.default]
pools = ["all", "few"]
default_region = "RU"
senders = ["EXAMPLE"]
inbound_numbers = ["+74951250000-+74951250001"]
[accounts.other]
pools = ["all"]
"#;

/// The number that most tests call.
pub(super) const NUMBER: &str = "+79161234567";

/// An API over an empty database.
pub(super) struct Bench {
    pub(super) app: App,
    pub(super) script: Script,
    router: Router,
    folder: TempDir,
    config: String,
    /// A key of the account `default` with every scope of an account.
    pub(super) key: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Panics unless it has this status.
    #[track_caller]
    pub(super) fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status.as_u16(), "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    /// Panics unless it is this problem.
    #[track_caller]
    pub(super) fn expect_problem(self, status: u16, code: &str) -> Self {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{body}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        self
    }
}

impl Bench {
    pub(super) async fn start() -> Self {
        Self::with_room(64).await
    }

    /// A call loop that takes so many commands at once.
    pub(super) async fn with_room(room: usize) -> Self {
        Self::with_config(room, CONFIG.to_owned()).await
    }

    /// Texts go to this message centre, whose link is up when it has been accepted.
    pub(super) async fn with_centre(section: &str) -> Self {
        let config = CONFIG.replace("default = \"north\"", "default = \"centre\"");
        Self::with_config(64, format!("{config}{section}")).await
    }

    /// With more in the file.
    pub(super) async fn with_more(section: &str) -> Self {
        Self::with_config(64, format!("{CONFIG}{section}")).await
    }

    async fn with_config(room: usize, config: String) -> Self {
        canary::watch();
        let folder = tempfile::tempdir().unwrap();
        let (app, script) = open(&folder, room, &config, Clock::system()).await;
        let router = crate::http::router(&app);
        let mut bench = Self { app, script, router, folder, config, key: String::new() };
        bench.key = bench.make_key(Some("default"), true, "verify,messages,calls").await;
        bench
    }

    /// Lets workflows go on by themselves, as in a running daemon.
    pub(super) fn goes_on(&self) {
        tokio::spawn(crate::verification::workflow::run(self.app.clone()));
    }

    /// The process dies, and another starts on its database.
    pub(super) async fn restart(&mut self) {
        self.restart_at(Clock::system()).await;
    }

    /// The same, at another time of day.
    pub(super) async fn restart_at(&mut self, clock: Clock) {
        self.app.stop().cancel();
        self.app.store().close().await;
        let (app, script) = open(&self.folder, 64, &self.config, clock).await;
        self.router = crate::http::router(&app);
        (self.app, self.script) = (app, script);
    }

    pub(super) async fn make_key(&self, account: Option<&str>, live: bool, scopes: &str) -> String {
        let wish = KeyWish {
            account: account.map(str::to_owned),
            live,
            scopes: Scopes::parse(scopes).unwrap(),
            networks: Vec::new(),
            label: None,
            valid_for: None,
        };
        let mut rng = Randomness::from_system().unwrap().stream(Stream::ApiKeys);
        let token = create_key(self.app.store(), self.app.now(), &mut rng, wish).await.unwrap();
        let token = token.reveal();
        canary::register(token.rsplit('_').next().unwrap());
        token
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, &self.key, None)).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(request("POST", path, &self.key, Some(body))).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(request("PUT", path, &self.key, Some(body))).await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(request("PATCH", path, &self.key, Some(body))).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(request("DELETE", path, &self.key, None)).await
    }

    /// Sends a file of users.
    pub(super) async fn send_csv(&self, text: &str) -> Answer {
        let mut request = request("POST", "/v1/directory/users.csv", &self.key, None);
        request.headers_mut().insert("content-type", "text/csv".parse().unwrap());
        *request.body_mut() = Body::from(text.to_owned());
        self.send(request).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        answer(self.router.clone(), request).await
    }

    /// The same in a task of its own, for answers that are held back.
    pub(super) fn send_later(&self, request: Request<Body>) -> tokio::task::JoinHandle<Answer> {
        tokio::spawn(answer(self.router.clone(), request))
    }

    /// Makes a verification and answers its id.
    pub(super) async fn create(&self, to: &str) -> String {
        let created = self.post("/v1/verifications", serde_json::json!({"to": to})).await;
        let created = created.expect(StatusCode::CREATED).json();
        created["id"].as_str().unwrap().to_owned()
    }

    /// Waits for a verification to be as `condition` wants it.
    pub(super) async fn until(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut path = format!("/v1/verifications/{id}");
        for _ in 0..50 {
            let seen = self.get(&path).await.expect(StatusCode::OK).json();
            if condition(&seen) {
                return seen;
            }
            path = format!("/v1/verifications/{id}?wait=5&after={}", seen["version"]);
        }
        panic!("it never came: {}", self.get(&path).await.json());
    }

    /// Waits for the end of the step's last call.
    pub(super) async fn until_call_ended(&self, id: &str) -> Value {
        self.until(id, |seen| {
            let calls = seen["steps"][0]["calls"].as_array().unwrap();
            calls.last().unwrap()["outcome"].is_string()
        })
        .await
    }

    pub(super) async fn check(&self, id: &str, code: &str) -> Answer {
        canary::register(code);
        self.post(&format!("/v1/verifications/{id}/check"), serde_json::json!({"code": code})).await
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(canary::found(), Vec::<String>::new());
        }
    }
}

async fn answer(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
}

/// A request with a key.
pub(super) fn request(method: &str, path: &str, key: &str, body: Option<Value>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {key}"));
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    request.body(body).unwrap()
}

/// The same request with an idempotency key.
pub(super) fn with_idempotency(mut request: Request<Body>, key: &str) -> Request<Body> {
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

async fn open(folder: &TempDir, room: usize, text: &str, clock: Clock) -> (App, Script) {
    let source = Source { name: "test.toml", text };
    let config = config::parse(&[source]).unwrap_or_else(|report| panic!("{report}")).config;
    let location = Location::Sqlite(folder.path().join("dozvon.db"));
    let randomness = Randomness::from_system().unwrap();
    let keys = Keys::derive(&SecretKey::parse(&[7; 32]).unwrap());
    migrate(&location).await.unwrap();
    let seals = randomness.stream(Stream::Seals);
    let retention = config.database.retention;
    let store = Store::open(&location, keys.clone(), clock.clone(), seals, retention);
    let (driver, script) = scripted::door(&["north", "south"], room);
    let dialplan = Arc::new(plans::dialplan(&config).unwrap());
    let mailer = config.email.clone().map(|email| {
        Mailer::new(MailSettings { email, password: None, authorities: None }).unwrap()
    });
    let app = App::new(Parts {
        settings: Settings { config: Arc::new(config), dialplan },
        store: store.await.unwrap(),
        driver,
        media: Media {
            prompts: Prompts::built_in(),
            lines: Lines::new([127, 0, 0, 1].into(), &[]),
        },
        mailer,
        clock,
        keys,
        plans_rng: randomness.stream(Stream::Plans),
        ids_rng: randomness.stream(Stream::Ids),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
        metrics: None,
    });
    crate::messages::smpp::start(&app, std::collections::BTreeMap::new());
    (app, script)
}

/// Longest time that any of these tests needs; only a hanging one meets it.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
