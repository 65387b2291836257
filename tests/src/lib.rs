//! Support for tests of the whole: the API over real HTTP, workers as real processes.
//!
//! `scripts/test` starts the servers and the sandbox and says where the programs are.

mod worker;

use std::time::{Duration, Instant};

use jobs::{engine::Window, tenants::keys, testing::Bench};
use poem::{
    Server,
    listener::{Acceptor as _, Listener as _, TcpListener},
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sqlx::{ConnectOptions as _, PgPool};
use uuid::Uuid;

pub use worker::{Worker, parent_of};

/// What `scripts/test` sets.
///
/// # Panics
/// If it is not set.
#[must_use]
pub fn setting(name: &str) -> String {
    optional_setting(name).unwrap_or_else(|| panic!("{name} is not set: run the tests by scripts/test"))
}

/// What `scripts/test` sets only where it started the servers itself.
#[must_use]
pub fn optional_setting(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
    std::env::var(name).ok()
}

/// The API with a database, a prefix in Redis and a world in the sandbox of its own.
#[derive(Debug)]
pub struct TestApp {
    /// The engine, for what a test does without HTTP.
    pub bench: Bench,
    /// Where the API is.
    pub url: String,
    /// An operator's key.
    pub key: String,
    /// The window's prefix in Redis.
    pub redis_prefix: String,
    database_url: String,
    client: reqwest::Client,
    server: tokio::task::JoinHandle<()>,
}

impl TestApp {
    /// Serves the API on a free port.
    ///
    /// # Panics
    /// If the servers that `scripts/test` starts are not there.
    pub async fn new(pool: PgPool) -> Self {
        let redis_prefix = format!("test:{}:", Uuid::now_v7());
        let window = Window::open(&setting("REDIS_URL"), &redis_prefix).expect("an address");
        let database_url = pool.connect_options().to_url_lossy().to_string();
        let bench = Bench::with_window(pool, Some(window.clone())).await;
        let mut tx = bench.engine.db.system().await.expect("a transaction");
        let key = keys::insert_operator_key(&mut tx, "test").await.expect("a key");
        tx.commit().await.expect("a commit");
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a free port");
        let address = acceptor.local_addr()[0].as_socket_addr().copied().expect("an address");
        let url = format!("http://{address}");
        let state = admin::AppState {
            db: bench.engine.db.clone(),
            streams: admin::Streams::start(window.clone()),
            window,
            services: bench.engine.services.clone(),
            state_life: Duration::from_mins(10),
            public_url: url.clone(),
        };
        let server = tokio::spawn(async move {
            Server::new_with_acceptor(acceptor).run(admin::app(state)).await.expect("it serves");
        });
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        Self { bench, url, key, redis_prefix, database_url, client, server }
    }

    /// A request with the operator's key, to a path below the API's address.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.key)
    }

    /// A request without a key.
    pub fn anonymous(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Gets what is there.
    ///
    /// # Panics
    /// If the answer is no success.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = answer(self.request(Method::GET, path)).await;
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// Posts JSON.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    /// Starts a worker process with a lease of a second, and settings of its own.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn worker(&self, settings: &[(&str, &str)]) -> Worker {
        Worker::start(&self.bench.sandbox, &self.database_url, &self.redis_prefix, settings).await
    }

    /// Runs one of the admin's commands to its end; answers what it prints.
    ///
    /// # Panics
    /// If it fails.
    pub async fn admin(&self, arguments: &[&str]) -> String {
        let output = tokio::process::Command::new(format!("{}/admin", setting("LINECOOK_BIN_DIR")))
            .args(arguments)
            .env("DATABASE_URL", &self.database_url)
            .env("REDIS_URL", setting("REDIS_URL"))
            .env("REDIS_PREFIX", &self.redis_prefix)
            .output()
            .await
            .expect("the admin starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// How many jobs of the bench's tenant are in each state: `[("completed", 20)]`.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn count_jobs(&self, kind: &str) -> Vec<(String, i64)> {
        let mut tx = self.bench.engine.db.system().await.expect("a transaction");
        sqlx::query_as("select state, count(*) from job_ledger where kind = $1 group by state order by state")
            .bind(kind)
            .fetch_all(&mut *tx)
            .await
            .expect("counts")
    }

    /// Waits until all jobs of a kind are in one state.
    ///
    /// # Panics
    /// If they are not within `at_most`.
    pub async fn wait_until_all(&self, kind: &str, state: &str, at_most: Duration) {
        let begun = Instant::now();
        loop {
            let counts = self.count_jobs(kind).await;
            if matches!(counts.as_slice(), [(only, _)] if only == state) {
                return;
            }
            assert!(begun.elapsed() < at_most, "{kind} jobs after {at_most:?}: {counts:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until at least `count` jobs of a kind are in a state.
    ///
    /// # Panics
    /// If they are not within half a minute.
    pub async fn wait_until_some(&self, kind: &str, state: &str, count: i64) {
        let begun = Instant::now();
        loop {
            let counts = self.count_jobs(kind).await;
            if counts.iter().any(|(found, jobs)| found == state && *jobs >= count) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{kind} jobs: {counts:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Sends a request; a body that is no JSON is answered as a string.
///
/// # Panics
/// If there is no answer.
pub async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
