//! Support for end-to-end tests: the API over real HTTP, workers as real processes.
//!
//! `scripts/test` starts the servers and the sandbox, and passes the paths of the programs.

mod background_load;
pub mod catalogue;
pub mod fault_trial;
pub mod invariants;
pub mod ledger;
pub mod people;
pub mod pooler;
pub mod proxy;
pub mod report;
pub mod sample;
pub mod servers;
mod worker;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use admin::{BudgetConfig, Budgets, ConnectionConfig, HttpConfig, Origins, Pace, Rate, RateConfig};
use jobs::{
    engine::Window,
    ids::TenantId,
    tenants::{keys, permissions::Permissions},
    testing::Bench,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sqlx::{ConnectOptions as _, PgPool};
use uuid::Uuid;

pub use worker::{Worker, parent_of};

/// Returns a setting from `scripts/test`.
///
/// # Panics
/// If it is not set.
#[must_use]
pub fn setting(name: &str) -> String {
    optional_setting(name).unwrap_or_else(|| panic!("{name} is not set: run the tests by scripts/test"))
}

/// Returns a setting that `scripts/test` passes only if it started the servers itself.
#[must_use]
pub fn optional_setting(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
    std::env::var(name).ok()
}

/// An API with its own database, Redis prefix and sandbox world.
#[derive(Debug)]
pub struct TestApp {
    /// The engine, for a test's work without HTTP.
    pub bench: Bench,
    /// The address of the API.
    pub url: String,
    /// An operator's key.
    pub key: String,
    /// The window's prefix in Redis.
    pub redis_prefix: String,
    /// The address of Redis for workers.
    pub redis_url: String,
    /// The address of the database for workers.
    pub database_url: String,
    clock_shift: Duration,
    client: reqwest::Client,
    server: tokio::task::JoinHandle<()>,
}

impl TestApp {
    /// Serves the API on a free port.
    ///
    /// # Panics
    /// If the servers that `scripts/test` starts are not running.
    pub async fn new(pool: PgPool) -> Self {
        Self::with_redis(pool, &setting("REDIS_URL")).await
    }

    /// Serves the API with the test's own Redis.
    ///
    /// # Panics
    /// Like [`TestApp::new`].
    pub async fn with_redis(pool: PgPool, redis_url: &str) -> Self {
        Self::with_pace(pool, redis_url, Pace::default()).await
    }

    /// Serves the API with HTTP limits.
    ///
    /// # Panics
    /// Like [`TestApp::new`].
    pub async fn with_http(pool: PgPool, http: HttpConfig) -> Self {
        Self::start_with(pool, &setting("REDIS_URL"), Pace::default(), http).await
    }

    /// Serves the API with other intervals of its event streams.
    ///
    /// # Panics
    /// Like [`TestApp::new`].
    pub async fn with_pace(pool: PgPool, redis_url: &str, pace: Pace) -> Self {
        Self::start_with(pool, redis_url, pace, unlimited()).await
    }

    async fn start_with(pool: PgPool, redis_url: &str, pace: Pace, http: HttpConfig) -> Self {
        let redis_url = redis_url.to_owned();
        let redis_prefix = format!("test:{}:", Uuid::now_v7());
        let window = Window::open(&redis_url, &redis_prefix).expect("an address");
        let database_url = pool.connect_options().to_url_lossy().to_string();
        let bench = Bench::with_window(pool, Some(window.clone())).await;
        let mut tx = bench.engine.db.system().await.expect("a transaction");
        let (_, key) =
            keys::insert(&mut tx, TenantId::SYSTEM, "test", None, &Permissions::full()).await.expect("a key");
        tx.commit().await.expect("a commit");
        let listener = admin::listen("127.0.0.1", 0).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let url = format!("http://{address}");
        let state = admin::AppState {
            db: bench.engine.db.clone().into(),
            streams: admin::Streams::start(window.clone(), pace),
            window,
            services: bench.engine.services.clone(),
            state_life: Duration::from_mins(10),
            public_url: url.clone(),
            trusted_proxies: 0,
            budgets: Budgets::new(http.budgets),
            http: std::sync::Arc::new(http),
        };
        let server = tokio::spawn(async move {
            admin::serve(listener, state, std::future::pending()).await.expect("it serves");
        });
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .read_timeout(Duration::from_mins(1))
            .build()
            .expect("a client");
        Self { bench, url, key, redis_prefix, redis_url, database_url, clock_shift: Duration::ZERO, client, server }
    }

    /// Returns a request with the operator's key, to a path below the API's address.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.key)
    }

    /// Returns a request without a key.
    pub fn anonymous(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Returns a request with the operator's key to an API at another address.
    pub fn request_at(&self, url: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{url}{path}")).bearer_auth(&self.key)
    }

    /// Sends a GET request and returns the JSON.
    ///
    /// # Panics
    /// If the response is not a success.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = answer(self.request(Method::GET, path)).await;
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// Posts JSON.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    /// Starts a worker process with a lease of a second and the given settings.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn worker(&self, settings: &[(&str, &str)]) -> Worker {
        self.launch(settings).ready().await
    }

    /// Runs one of the admin's commands to its end and returns its output.
    ///
    /// # Panics
    /// If it fails.
    pub async fn admin(&self, arguments: &[&str]) -> String {
        let (code, said) = self.try_admin(arguments).await;
        assert_eq!(code, Some(0), "{said}");
        said
    }

    /// Runs an admin command that may fail. Returns the exit code, and its output with its errors.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn try_admin(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = tokio::process::Command::new(format!("{}/admin", setting("LINECOOK_BIN_DIR")))
            .args(arguments)
            .env("DATABASE_URL", &self.database_url)
            .env("REDIS_URL", &self.redis_url)
            .env("REDIS_PREFIX", &self.redis_prefix)
            .env("ENCRYPTION_KEYS", jobs::testing::ENCRYPTION_KEYS)
            .output()
            .await
            .expect("the admin starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("text"))
    }

    /// Starts a worker without waiting until it is ready, for one that may die before.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn launch(&self, settings: &[(&str, &str)]) -> Worker {
        self.start("worker", &[], settings)
    }

    /// Starts the API as a separate process and returns its address.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn serve_apart(&self) -> (Worker, String) {
        self.serve_apart_with(&[]).await
    }

    /// Starts the API as a separate process with the given settings.
    ///
    /// # Panics
    /// Like [`TestApp::serve_apart`].
    pub async fn serve_apart_with(&self, settings: &[(&str, &str)]) -> (Worker, String) {
        let folder = setting("LINECOOK_BIN_DIR");
        self.serve_from(folder.as_ref(), settings).await
    }

    /// The same with the program in another folder, such as a release build.
    ///
    /// # Panics
    /// As [`TestApp::serve_apart`].
    pub async fn serve_from(&self, folder: &Path, settings: &[(&str, &str)]) -> (Worker, String) {
        let settings = [&[("HOST", "127.0.0.1"), ("PORT", "0")], settings].concat();
        let mut command = tokio::process::Command::new(folder.join("admin"));
        let like = self.program("admin", &["serve"], &settings);
        let like = like.as_std();
        command.args(like.get_args());
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let admin = Worker::start(command);
        let listening = admin.says("addr=socket://").await;
        let address = listening.split("addr=socket://").nth(1).and_then(|rest| rest.split_whitespace().next());
        (admin, format!("http://{}", address.expect("an address")))
    }

    fn start(&self, program: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Worker {
        Worker::start(self.program(program, arguments, settings))
    }

    /// Returns the command of one of our programs, with this API's servers and the given settings.
    /// It is not started yet.
    ///
    /// # Panics
    /// If `scripts/test` does not say where the programs are.
    #[must_use]
    pub fn program(&self, program: &str, arguments: &[&str], settings: &[(&str, &str)]) -> tokio::process::Command {
        let mut command = worker::command(program, &self.bench.sandbox);
        command
            .args(arguments)
            .env("DATABASE_URL", &self.database_url)
            .env("REDIS_URL", &self.redis_url)
            .env("REDIS_PREFIX", &self.redis_prefix)
            .envs(settings.iter().copied());
        command
    }

    /// Moves the clock of the API and of workers that start from now on.
    pub fn shift_clock(&mut self, by: Duration) {
        self.bench.engine.db.shift_clock(by);
        self.clock_shift += by;
        // The last value of a repeated option counts.
        let link = if self.database_url.contains('?') { '&' } else { '?' };
        let _ = write!(self.database_url, "{link}options[app.clock_shift]={}ms", self.clock_shift.as_millis());
    }

    /// Counts the jobs of a kind by state: `[("completed", 20)]`.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn count_jobs(&self, kind: &str) -> Vec<(String, i64)> {
        ledger::count_by_state(&self.bench.engine.db, kind).await.expect("counts")
    }

    /// Waits until all jobs of a kind are in one state.
    ///
    /// # Panics
    /// If they are not within `at_most`.
    pub async fn wait_until_all(&self, kind: &str, state: &str, at_most: Duration) {
        until(&format!("all {kind} jobs are {state}"), at_most, async || {
            let counts = self.count_jobs(kind).await;
            matches!(counts.as_slice(), [(only, _)] if only == state).then_some(())
        })
        .await;
    }

    /// Waits until at least `count` jobs of a kind are in a state.
    ///
    /// # Panics
    /// If they are not within a minute.
    pub async fn wait_until_some(&self, kind: &str, state: &str, count: i64) {
        until(&format!("{count} {kind} jobs are {state}"), Duration::from_mins(1), async || {
            let counts = self.count_jobs(kind).await;
            counts.iter().any(|(found, jobs)| found == state && *jobs >= count).then_some(())
        })
        .await;
    }
}

/// Returns the HTTP configuration without limits: tests send more requests than a restaurant.
#[must_use]
pub fn unlimited() -> HttpConfig {
    HttpConfig {
        rates: RateConfig { basic: Rate::ANY, pro: Rate::ANY, enterprise: Rate::ANY, client: Rate::ANY },
        cors_origins: Origins::default(),
        body_time: Duration::from_mins(1),
        connections: ConnectionConfig::default(),
        budgets: BudgetConfig::default(),
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Sends a request and returns its response. A body that is not JSON is returned as a string.
///
/// # Panics
/// If there is no response, or a problem that docs/ERRORS.md does not explain.
pub async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("a response");
    let status = answer.status();
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let text = answer.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if kind == "application/problem+json" {
        let code = body["code"].as_str().expect("a code");
        assert!(documented_codes().contains(code), "docs/ERRORS.md does not say what {code} means");
    }
    (status, body)
}

/// Returns the codes that docs/ERRORS.md explains.
#[must_use]
pub fn documented_codes() -> BTreeSet<String> {
    let table = include_str!("../../docs/ERRORS.md").lines().filter_map(|line| line.strip_prefix("| `"));
    table.filter_map(|line| line.split('`').next()).map(str::to_owned).collect()
}

/// Polls `look` until it returns something.
///
/// # Panics
/// If there is nothing within `at_most`.
pub async fn until<T>(what: &str, at_most: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < at_most, "timed out after {at_most:?}, waiting until {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}
