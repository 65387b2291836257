//! Tests of failures of PostgreSQL: accepted jobs survive, and no job is charged for the outage.

use std::time::{Duration, Instant};

use jobs::{
    engine::{NewJob, Window, dispatch::Released},
    fault_probe::{FaultProbe, Probe},
};
use sqlx::{Connection as _, PgConnection, PgPool};
use tests::{
    TestApp,
    fault_trial::{FaultTrial, Load, small_or_long},
    ledger,
    proxy::{Network, Proxy},
    report::Group,
    servers::PrivatePostgres,
};
use uuid::Uuid;

use crate::TWO_MINUTES;

/// A lease longer than a second. Rescues wait for one lease after the database came back, and a
/// busy machine may need more than a second to reconnect.
const LONGER_LEASE: [(&str, &str); 1] = [("WORKER_LEASE_SECONDS", "3")];

/// Enqueues running jobs that take `ms` each.
async fn sleepers(trial: &mut FaultTrial, count: usize, ms: u64) {
    let probe = FaultProbe { what: Probe::Sleep, ms, attempts: None };
    let jobs = vec![NewJob::new(trial.app.bench.tenant_id, &probe); count];
    trial.enqueue_jobs(jobs).await;
    trial.app.wait_until_some("fault_probe", "executing", i64::try_from(count).unwrap()).await;
}

/// Returns the database's address with an application name that identifies the workers' backends.
fn as_worker(trial: &FaultTrial) -> String {
    format!("{}&application_name=worker", trial.app.database_url)
}

/// Terminates the workers' backends and returns their number.
async fn terminate_workers(by: &mut PgConnection) -> i64 {
    let terminate = "
        select count(pg_terminate_backend(pid))
        from pg_stat_activity
        where datname = current_database() and application_name = 'worker'
        ";
    sqlx::query_scalar(terminate).fetch_one(by).await.unwrap()
}

async fn assert_no_crash_is_counted(trial: &FaultTrial) {
    let jobs = ledger::list_jobs(&trial.app.bench.engine.db).await.unwrap();
    let crashed: Vec<_> = jobs.iter().filter(|job| job.crashes > 0).collect();
    assert!(crashed.is_empty(), "the database failed, no process: {crashed:?}");
}

#[tokio::test]
async fn stopped_at_once_and_away_for_a_while() {
    let mut postgres = PrivatePostgres::start(100).await;
    let away = small_or_long(Duration::from_secs(5), Duration::from_secs(30));
    let app = TestApp::new(postgres.pool().await).await;
    let mut trial = FaultTrial::over(app, Group::PostgreSql, &format!("immediate stop for {} s", away.as_secs())).await;
    let _workers = (trial.app.worker(&LONGER_LEASE).await, trial.app.worker(&LONGER_LEASE).await);
    for _ in 0..small_or_long(1, 5) {
        trial.begin(Load { noops: 300, ..Load::MIXED }).await;
        sleepers(&mut trial, 20, 4_000).await;
        postgres.stop_immediately();
        tokio::time::sleep(away).await;
        postgres.start_again().await;
        trial.enqueue(Load::MIXED).await;
        trial.settle(TWO_MINUTES).await;
    }
    assert_no_crash_is_counted(&trial).await;
    trial.judge().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn backends_are_terminated_again_and_again(pool: PgPool) {
    let times = small_or_long(10, 100);
    let mut trial = FaultTrial::new(pool, Group::PostgreSql, &format!("backends terminated {times} times")).await;
    let url = as_worker(&trial);
    let settings = [("DATABASE_URL", url.as_str()), LONGER_LEASE[0]];
    let _workers = (trial.app.worker(&settings).await, trial.app.worker(&settings).await);
    let mut terminator = PgConnection::connect(&trial.app.database_url).await.unwrap();
    trial.begin(Load { noops: 300, ..Load::MIXED }).await;
    let mut terminated = 0;
    for _ in 0..times {
        terminated += terminate_workers(&mut terminator).await;
        trial.enqueue(Load { posts: 1, noops: 20, ..Load::default() }).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(terminated >= i64::from(times), "workers had connections to lose: {terminated}");
    trial.settle(TWO_MINUTES).await;
    assert_no_crash_is_counted(&trial).await;
    trial.judge().await;
}

/// The test takes every free connection at once, so the worker can neither claim, settle nor renew
/// its lease.
#[tokio::test]
async fn all_connections_in_use() {
    let postgres = PrivatePostgres::start(30).await;
    let app = TestApp::new(postgres.pool().await).await;
    let mut trial = FaultTrial::over(app, Group::PostgreSql, "all connections in use for 5 s").await;
    let url = as_worker(&trial);
    let worker = trial.app.worker(&[("DATABASE_URL", &url), LONGER_LEASE[0]]).await;
    for _ in 0..small_or_long(1, 5) {
        trial.begin(Load::MIXED).await;
        sleepers(&mut trial, 20, 4_000).await;
        let (mut taken, begun) = (Vec::new(), Instant::now());
        while begun.elapsed() < Duration::from_secs(5) {
            while let Ok(connection) = PgConnection::connect(&postgres.url).await {
                taken.push(connection);
            }
            terminate_workers(&mut taken[0]).await;
        }
        drop(taken);
        trial.enqueue(Load::MIXED).await;
        trial.settle(TWO_MINUTES).await;
    }
    worker.says("lost the lease").await;
    assert_no_crash_is_counted(&trial).await;
    trial.judge().await;
}

/// A worker without a database must not pop jobs. A popped job that cannot be claimed returns after
/// two seconds only, so other workers would have nothing to do.
#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_reaches_redis_alone_leaves_the_window_to_others(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let proxy = Proxy::before(&app.database_url).await;
    let direct = std::mem::replace(&mut app.database_url, proxy.url.clone());
    let worker = app.worker(&[]).await;
    app.database_url = direct;
    proxy.make(Network::Cut);
    worker.says("lost the lease").await;
    // A pop that is already in flight then ends within a second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let window = Window::open(&app.redis_url, &app.redis_prefix).unwrap();
    let jobs: Vec<Released> = (0..5).map(|place| Released { id: Uuid::now_v7(), place }).collect();
    window.push("default", &jobs).await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(window.sizes(&["default".to_owned()]).await.unwrap(), [5]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
