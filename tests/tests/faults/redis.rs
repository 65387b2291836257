//! Tests of failures of Redis: it is disposable, and jobs run whatever happens to it.

use std::time::Duration;

use jobs::{
    engine::NewJob,
    fault_probe::{FaultProbe, Probe},
    noop::Noop,
};
use sqlx::PgPool;
use tests::{
    TestApp,
    fault_trial::{FaultTrial, Load, small_or_long},
    ledger,
    proxy::{Network, Proxy},
    report::Group,
    servers::PrivateRedis,
};

use crate::TWO_MINUTES;

/// Prepares a trial whose API and workers use Redis at this address.
async fn trial(pool: PgPool, redis_url: &str, fault: &str) -> FaultTrial {
    FaultTrial::over(TestApp::with_redis(pool, redis_url).await, Group::Redis, fault).await
}

/// Begins a run with a backlog: 20 slow jobs run while `waiting` others wait.
async fn begin_with_backlog(trial: &mut FaultTrial, waiting: usize) {
    trial.begin(Load::default()).await;
    let tenant = trial.app.bench.tenant_id;
    let probe = FaultProbe { what: Probe::Sleep, ms: 3_000, attempts: None };
    trial.enqueue_jobs(vec![NewJob::new(tenant, &probe); 20]).await;
    trial.app.wait_until_some("fault_probe", "executing", 20).await;
    trial.enqueue_jobs(vec![NewJob::new(tenant, &Noop::default()); waiting]).await;
}

async fn assert_each_ran_once(trial: &FaultTrial) {
    let jobs = ledger::list_jobs(&trial.app.bench.engine.db).await.unwrap();
    let again: Vec<_> =
        jobs.iter().filter(|job| job.kind == "fault_probe" && job.failures == 0 && job.attempt > 1).collect();
    assert!(again.is_empty(), "each job that ran while Redis failed ran once: {again:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn flushed_with_10_000_waiting_and_20_running(pool: PgPool) {
    let redis = PrivateRedis::start().await;
    let mut trial = trial(pool, &redis.url, "`FLUSHALL` with 10,000 waiting, 20 running").await;
    let _worker = trial.app.worker(&[]).await;
    for _ in 0..small_or_long(1, 5) {
        begin_with_backlog(&mut trial, 10_000).await;
        redis.command(&["FLUSHALL"]).await;
        trial.settle(TWO_MINUTES).await;
    }
    assert_each_ran_once(&trial).await;
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_and_empty_when_it_comes_back(pool: PgPool) {
    let mut redis = PrivateRedis::start().await;
    let mut trial = trial(pool, &redis.url, "killed, comes back empty").await;
    let _worker = trial.app.worker(&[]).await;
    for _ in 0..small_or_long(1, 10) {
        begin_with_backlog(&mut trial, 1_000).await;
        redis.restart_empty().await;
        trial.enqueue(Load::MIXED).await;
        trial.settle(TWO_MINUTES).await;
    }
    assert_each_ran_once(&trial).await;
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn out_of_memory(pool: PgPool) {
    let redis = PrivateRedis::start().await;
    let mut trial = trial(pool, &redis.url, "out of memory (`noeviction`)").await;
    let _worker = trial.app.worker(&[]).await;
    for _ in 0..small_or_long(1, 5) {
        redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
        begin_with_backlog(&mut trial, 200).await;
        trial.enqueue(Load::MIXED).await;
        trial.settle(TWO_MINUTES).await;
        redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    }
    assert_each_ran_once(&trial).await;
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn its_connections_are_cut_again_and_again(pool: PgPool) {
    let redis = PrivateRedis::start().await;
    let proxy = Proxy::before(&redis.url).await;
    let mut trial = trial(pool, &proxy.url, "connections cut 10 times").await;
    let _worker = trial.app.worker(&[]).await;
    for _ in 0..small_or_long(1, 10) {
        begin_with_backlog(&mut trial, 2_000).await;
        for _ in 0..10 {
            proxy.make(Network::Cut);
            tokio::time::sleep(Duration::from_millis(100)).await;
            proxy.make(Network::Whole);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        trial.enqueue(Load::MIXED).await;
        trial.settle(TWO_MINUTES).await;
    }
    assert_each_ran_once(&trial).await;
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn slow(pool: PgPool) {
    let redis = PrivateRedis::start().await;
    let proxy = Proxy::before(&redis.url).await;
    let mut trial = trial(pool, &proxy.url, "slow: 300 ms each way").await;
    let _worker = trial.app.worker(&[]).await;
    proxy.make(Network::Slow(Duration::from_millis(300)));
    for _ in 0..small_or_long(1, 5) {
        begin_with_backlog(&mut trial, 100).await;
        trial.enqueue(Load::MIXED).await;
        trial.settle(TWO_MINUTES).await;
    }
    assert_each_ran_once(&trial).await;
    trial.end().await;
}

/// Redis fails for a while: first its connections hang, then they are refused.
#[sqlx::test(migrations = "../migrations")]
async fn away_for_a_while(pool: PgPool) {
    let redis = PrivateRedis::start().await;
    let proxy = Proxy::before(&redis.url).await;
    let away = small_or_long(Duration::from_secs(10), Duration::from_mins(1));
    let mut trial = trial(pool, &proxy.url, &format!("away for {} s", away.as_secs())).await;
    let _worker = trial.app.worker(&[]).await;
    begin_with_backlog(&mut trial, 500).await;
    proxy.make(Network::Silent);
    trial.enqueue(Load::MIXED).await;
    tokio::time::sleep(away / 2).await;
    proxy.make(Network::Cut);
    trial.enqueue(Load::MIXED).await;
    tokio::time::sleep(away / 2).await;
    proxy.make(Network::Whole);
    trial.settle(TWO_MINUTES).await;
    assert_each_ran_once(&trial).await;
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn never_there(pool: PgPool) {
    let mut trial = trial(pool, "redis://127.0.0.1:1", "never there").await;
    let _worker = trial.app.worker(&[]).await;
    trial.begin(Load { noops: 50, ..Load::MIXED }).await;
    trial.settle(TWO_MINUTES).await;
    trial.end().await;
}
