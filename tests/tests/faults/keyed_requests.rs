//! The admin or PostgreSQL dies at the commit of a request with an `Idempotency-Key`. It still has
//! one effect and one response.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jobs::engine::failpoint::Failpoint;
use rand::RngExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use tests::{
    TestApp,
    fault_trial::small_or_long,
    proxy::{Network, Proxy},
    report::{Group, Measured},
    servers::PrivatePostgres,
    until,
};
use tokio::task::JoinHandle;

use crate::TWO_MINUTES;

/// The time that a commit takes in PostgreSQL here, so that a test can meet it.
const COMMIT: Duration = Duration::from_millis(60);

/// Makes each commit that stores a response slow.
const SLOW_COMMITS: &str = "
    create function dawdle() returns trigger language plpgsql as $$
    begin
      perform pg_sleep(0.06);
      return null;
    end
    $$;
    create constraint trigger dawdle after update on idempotency_keys deferrable initially deferred
      for each row when (new.status is not null) execute function dawdle();
";

/// Requests that each make a tenant with the name of the key.
struct Trial {
    app: TestApp,
    fault: String,
    group: Group,
    crashes: u32,
    /// The response to each first request, if it was no failure.
    first: BTreeMap<String, Option<Value>>,
}

type Answer = (StatusCode, bool, Value);

impl Trial {
    fn over(app: TestApp, group: Group, fault: &str) -> Self {
        Self { app, fault: fault.to_owned(), group, crashes: 0, first: BTreeMap::new() }
    }

    fn next_key(&self) -> String {
        format!("key-{}", self.first.len())
    }

    /// Sends a request under a key. Returns `None` if the process died before it responded.
    async fn ask(&self, url: &str, key: &str) -> Option<Answer> {
        ask(self.app.request_at(url, Method::POST, "/api/v1/tenants"), key.to_owned()).await
    }

    /// Sends the first request under a key while the test goes on.
    fn begin(&self, url: &str, key: &str) -> JoinHandle<Option<Answer>> {
        tokio::spawn(ask(self.app.request_at(url, Method::POST, "/api/v1/tenants"), key.to_owned()))
    }

    fn keep(&mut self, key: String, answer: Option<Answer>) {
        let made = answer.filter(|(status, ..)| *status == StatusCode::CREATED).map(|(_, _, body)| body);
        self.first.insert(key, made);
    }

    /// Repeats every request until it gets a response, and once more. Checks that each has one
    /// effect and one response.
    async fn judge(self) {
        let made = self.first.values().flatten().count();
        let mut duplicated = 0;
        for (key, first) in &self.first {
            let second =
                until("the request is answered", TWO_MINUTES, async || match self.ask(&self.app.url, key).await {
                    Some((StatusCode::CREATED, _, body)) => Some(body),
                    Some((StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE, ..)) | None => None,
                    Some((status, _, body)) => panic!("{key}: {status} {body}"),
                })
                .await;
            assert!(first.as_ref().is_none_or(|first| *first == second), "{key}: {first:?} and then {second}");
            let (status, is_replayed, third) = self.ask(&self.app.url, key).await.expect("an answer");
            assert_eq!((status, is_replayed, &third), (StatusCode::CREATED, true, &second), "{key}");
            duplicated += usize::from(self.count(key).await > 1);
            assert!(self.count(key).await > 0, "{key} is lost");
        }
        println!("{}: {} requests, {made} answered at once", self.fault, self.first.len());
        let measured = Measured {
            group: self.group,
            fault: self.fault.clone(),
            runs: u32::try_from(self.first.len()).expect("a few"),
            jobs: self.first.len(),
            lost: 0,
            duplicated,
            unknown: 0,
            longest_stall_seconds: 0.0,
            crashes: self.crashes,
        };
        measured.append();
        assert_eq!(duplicated, 0, "requests with two effects");
    }

    async fn count(&self, key: &str) -> i64 {
        let mut tx = self.app.bench.engine.db.system().await.expect("a transaction");
        let count = sqlx::query_scalar("select count(*) from tenants where name = $1").bind(key);
        count.fetch_one(&mut *tx).await.expect("a count")
    }
}

async fn ask(request: reqwest::RequestBuilder, key: String) -> Option<Answer> {
    let body = json!({ "name": key, "email": "krusty@example.com" });
    let answer = request.header("idempotency-key", key).json(&body).send().await.ok()?;
    let is_replayed = answer.headers().contains_key("idempotent-replayed");
    Some((answer.status(), is_replayed, answer.json().await.ok()?))
}

/// Waits until a transaction is in its slow commit; returns the process that does it.
async fn committing(by: &mut PgConnection) -> i32 {
    let find = "
        select pid
        from pg_stat_activity
        where datname = current_database() and query ilike 'commit%' and wait_event = 'PgSleep'
        ";
    let begun = Instant::now();
    loop {
        if let Some(id) = sqlx::query_scalar(find).fetch_optional(&mut *by).await.expect("PostgreSQL answers") {
            return id;
        }
        assert!(begun.elapsed() < TWO_MINUTES, "nothing commits");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Admins that kill themselves at a point of their first request with a key.
async fn killed_at(pool: PgPool, failpoint: Failpoint) {
    let fault = format!("at `{}` of a request", failpoint.name());
    let mut trial = Trial::over(TestApp::new(pool).await, Group::Kill, &fault);
    let plan = format!("{}:kill", failpoint.name());
    for _ in 0..small_or_long(5, 100) {
        let (admin, url) = trial.app.serve_apart_with(&[("LINECOOK_FAILPOINTS", &plan)]).await;
        let key = trial.next_key();
        let answer = trial.ask(&url, &key).await;
        assert_eq!(admin.dies().await, Some(9), "{answer:?}");
        trial.crashes += 1;
        trial.keep(key, answer);
    }
    trial.judge().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_admin_killed_before_it_commits(pool: PgPool) {
    killed_at(pool, Failpoint::BeforeCommit).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_admin_killed_after_it_committed(pool: PgPool) {
    killed_at(pool, Failpoint::Committed).await;
}

#[tokio::test]
async fn postgresql_stopped_in_the_commit() {
    let mut postgres = PrivatePostgres::start(100).await;
    let app = TestApp::new(postgres.pool().await).await;
    let (_admin, url) = app.serve_apart().await;
    let mut trial = Trial::over(app, Group::PostgreSql, "immediate stop in the commit of a request");
    PgConnection::connect(&postgres.url).await.unwrap().execute(SLOW_COMMITS).await.unwrap();
    for _ in 0..small_or_long(5, 100) {
        let key = trial.next_key();
        let mut watcher = PgConnection::connect(&postgres.url).await.unwrap();
        let request = trial.begin(&url, &key);
        committing(&mut watcher).await;
        let into_it = rand::rng().random_range(0..2 * COMMIT.as_millis());
        tokio::time::sleep(Duration::from_millis(u64::try_from(into_it).unwrap())).await;
        postgres.stop_immediately();
        postgres.start_again().await;
        let answer = request.await.unwrap();
        let (status, _, body) = answer.as_ref().expect("the admin lives");
        assert!(matches!(status.as_u16(), 201 | 503), "{status} {body}");
        trial.keep(key, answer);
    }
    trial.judge().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_backend_terminated_in_the_commit(pool: PgPool) {
    let mut trial = Trial::over(TestApp::new(pool).await, Group::PostgreSql, "backend terminated in a commit");
    let mut terminator = PgConnection::connect(&trial.app.database_url).await.unwrap();
    terminator.execute(SLOW_COMMITS).await.unwrap();
    for _ in 0..small_or_long(5, 100) {
        let key = trial.next_key();
        let request = trial.begin(&trial.app.url, &key);
        let backend = committing(&mut terminator).await;
        let terminate = sqlx::query("select pg_terminate_backend($1)").bind(backend);
        terminate.execute(&mut terminator).await.unwrap();
        let answer = request.await.unwrap();
        // Nothing was committed for certain: the same request runs at once.
        let (status, is_replayed, body) = answer.as_ref().unwrap();
        assert_eq!((status.as_u16(), is_replayed), (503, &false), "{body}");
        assert_eq!(trial.count(&key).await, 0);
        let (status, is_replayed, body) = trial.ask(&trial.app.url, &key).await.unwrap();
        assert_eq!((status.as_u16(), is_replayed), (201, false), "{body}");
        trial.keep(key, answer);
    }
    trial.judge().await;
}

/// The commit arrives, and its reply is lost. The row of the key tells if it happened.
#[sqlx::test(migrations = "../migrations")]
async fn the_connection_cut_in_the_commit(pool: PgPool) {
    let mut trial = Trial::over(TestApp::new(pool).await, Group::PostgreSql, "connection cut in a commit");
    let proxy = Proxy::before(&trial.app.database_url).await;
    let (_admin, url) = trial.app.serve_apart_with(&[("DATABASE_URL", &proxy.url)]).await;
    let mut watcher = PgConnection::connect(&trial.app.database_url).await.unwrap();
    watcher.execute(SLOW_COMMITS).await.unwrap();
    for _ in 0..small_or_long(5, 100) {
        let key = trial.next_key();
        let request = trial.begin(&url, &key);
        committing(&mut watcher).await;
        proxy.make(Network::Cut);
        tokio::time::sleep(COMMIT).await;
        proxy.make(Network::Whole);
        let answer = request.await.unwrap();
        let (status, is_replayed, body) = answer.as_ref().unwrap();
        assert_eq!((status.as_u16(), is_replayed), (201, &false), "looked up: {body}");
        trial.keep(key, answer);
    }
    trial.judge().await;
}

/// While the database is away, nobody can tell if the commit happened, and no response claims to.
#[sqlx::test(migrations = "../migrations")]
async fn the_database_away_after_the_commit(pool: PgPool) {
    let mut trial = Trial::over(TestApp::new(pool).await, Group::PostgreSql, "cut off after a commit was sent");
    let proxy = Proxy::before(&trial.app.database_url).await;
    let (_admin, url) = trial.app.serve_apart_with(&[("DATABASE_URL", &proxy.url)]).await;
    let mut watcher = PgConnection::connect(&trial.app.database_url).await.unwrap();
    watcher.execute(SLOW_COMMITS).await.unwrap();
    let key = trial.next_key();
    let request = trial.begin(&url, &key);
    committing(&mut watcher).await;
    proxy.make(Network::Cut);
    let answer = request.await.unwrap();
    let (status, _, body) = answer.as_ref().unwrap();
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("unavailable")));
    assert!(body["detail"].as_str().unwrap().contains("may have had its effect"), "{body}");
    let (status, is_replayed, _) = trial.ask(&trial.app.url, &key).await.unwrap();
    assert_eq!((status.as_u16(), is_replayed), (201, true), "it was");
    trial.keep(key, answer);
    trial.judge().await;
}

/// A request that was overtaken while its process was stopped does not commit when it goes on.
#[sqlx::test(migrations = "../migrations")]
async fn the_admin_stopped_before_it_commits(pool: PgPool) {
    let mut trial =
        Trial::over(TestApp::new(pool).await, Group::Pause, "a request before its commit, past its key's lock");
    let settings = [("LINECOOK_FAILPOINTS", "before_commit:stop")];
    let (admin, url) = trial.app.serve_apart_with(&settings).await;
    let key = trial.next_key();
    let request = trial.begin(&url, &key);
    admin.stops().await;
    until("another takes the key over", TWO_MINUTES, async || {
        let answer = trial.ask(&trial.app.url, &key).await;
        answer.filter(|(status, ..)| *status == StatusCode::CREATED)
    })
    .await;
    admin.signal("CONT").await;
    let answer = request.await.unwrap();
    let (status, _, body) = answer.as_ref().unwrap();
    assert_eq!(status.as_u16(), 503, "{body}");
    trial.keep(key, answer);
    trial.judge().await;
}
