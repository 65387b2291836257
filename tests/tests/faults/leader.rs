//! Tests of a leader that stops or loses the database, and of a worker with a wrong clock.

use std::time::Duration;

use sqlx::PgPool;
use tests::{
    Worker,
    fault_trial::{FaultTrial, Load, small_or_long},
    ledger, optional_setting,
    proxy::{Network, Proxy},
    report::Group,
    until,
};

use crate::TWO_MINUTES;

/// The longest stall: another worker leads within five seconds, and the old one's attempts are
/// rescued after its lease and a wait.
const LONGEST_STALL: Duration = Duration::from_secs(10);

async fn leads(trial: &FaultTrial, worker: &Worker) {
    until("it leads", Duration::from_mins(1), async || {
        (ledger::leader(&trial.app.bench.engine.db).await.unwrap() == Some(worker.id())).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn stopped(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Leader, "stopped by `SIGSTOP`").await;
    for _ in 0..small_or_long(1, 10) {
        let leader = trial.app.worker(&[]).await;
        leads(&trial, &leader).await;
        let follower = trial.app.worker(&[]).await;
        trial.begin(Load { noops: 200, ..Load::MIXED }).await;
        leader.signal("STOP").await;
        leads(&trial, &follower).await;
        leader.signal("CONT").await;
        leader.says("lost the lease").await;
        trial.enqueue(Load::MIXED).await;
        trial.settle(TWO_MINUTES).await;
        leader.terminate().await;
        follower.terminate().await;
    }
    assert!(trial.longest_stall() < LONGEST_STALL, "{:?}", trial.longest_stall());
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn cut_off_from_the_database(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Leader, "cut off from the database").await;
    for _ in 0..small_or_long(1, 10) {
        let proxy = Proxy::before(&trial.app.database_url).await;
        let leader = trial.app.worker(&[("DATABASE_URL", &proxy.url)]).await;
        leads(&trial, &leader).await;
        let follower = trial.app.worker(&[]).await;
        trial.begin(Load { noops: 200, ..Load::MIXED }).await;
        proxy.make(Network::Silent);
        leads(&trial, &follower).await;
        leader.says("lost the lease").await;
        trial.enqueue(Load::MIXED).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        proxy.make(Network::Whole);
        leader.says("registered anew").await;
        trial.settle(TWO_MINUTES).await;
        leader.terminate().await;
        follower.terminate().await;
    }
    assert!(trial.longest_stall() < LONGEST_STALL, "{:?}", trial.longest_stall());
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn its_clock_is_an_hour_off(pool: PgPool) {
    let Some(library) = optional_setting("LINECOOK_FAKETIME") else {
        println!("skipped: there is no libfaketime on this system");
        return;
    };
    let mut trial = FaultTrial::new(pool, Group::Leader, "its clock is an hour off").await;
    for hour in ["+1h", "-1h"] {
        let settings = [("LD_PRELOAD", library.as_str()), ("FAKETIME", hour), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let leader = trial.app.worker(&settings).await;
        leads(&trial, &leader).await;
        let follower = trial.app.worker(&[]).await;
        trial.begin(Load::MIXED).await;
        trial.settle(TWO_MINUTES).await;
        follower.terminate().await;
        leader.terminate().await;
    }
    let jobs = ledger::list_jobs(&trial.app.bench.engine.db).await.unwrap();
    let odd: Vec<_> = jobs.iter().filter(|job| job.crashes > 0 || job.attempt > 2).collect();
    assert!(odd.is_empty(), "{odd:?}");
    trial.end().await;
}
