//! The database's clock is set while workers live and die: work goes on, and nothing runs twice.

use std::time::Duration;

use tests::{
    TestApp, Worker,
    fault_trial::{FaultTrial, Load},
    ledger,
    report::Group,
    servers::PrivatePostgres,
    until,
};

use crate::TWO_MINUTES;

/// A lease that a busy machine renews in time.
const LEASE: [(&str, &str); 1] = [("WORKER_LEASE_SECONDS", "3")];

/// Nothing that is due later: by a clock that is set back, that is two minutes later still.
const LOAD: Load = Load { posts: 6, noops: 200, later: 0, failing: 0 };

async fn leads(trial: &FaultTrial, worker: &Worker) {
    until("it leads", Duration::from_mins(1), async || {
        (ledger::leader(&trial.app.bench.engine.db).await.ok()? == Some(worker.id())).then_some(())
    })
    .await;
}

/// The leader dies over running work, and at that moment the clock is set.
async fn set_when_the_leader_dies(seconds: i32) {
    let Some(postgres) = PrivatePostgres::start_with_clock(100).await else {
        println!("skipped: there is no libfaketime on this system");
        return;
    };
    let app = TestApp::new(postgres.pool().await).await;
    let fault = format!("leader killed, the database's clock set by {seconds} s");
    let mut trial = FaultTrial::over(app, Group::PostgreSql, &fault).await;
    let leader = trial.app.worker(&LEASE).await;
    leads(&trial, &leader).await;
    let follower = trial.app.worker(&LEASE).await;
    // No posts: the time of a call before the step says nothing about the provider's after it, so
    // it may stay unknown.
    trial.begin(Load { posts: 0, ..LOAD }).await;
    trial.kill(leader).await;
    postgres.set_clock(seconds);
    leads(&trial, &follower).await;
    trial.enqueue(LOAD).await;
    trial.settle(TWO_MINUTES + TWO_MINUTES).await;
    let jobs = ledger::list_jobs(&trial.app.bench.engine.db).await.unwrap();
    assert!(jobs.iter().all(|job| job.crashes <= 1), "a clock that is set kills nobody: {jobs:?}");
    follower.terminate().await;
    trial.end().await;
}

#[tokio::test]
async fn back_just_after_the_leader_died() {
    set_when_the_leader_dies(-120).await;
}

#[tokio::test]
async fn ahead_just_after_the_leader_died() {
    set_when_the_leader_dies(120).await;
}

/// Nobody dies: no attempt may be taken for one of a dead process.
#[tokio::test]
async fn while_everybody_lives() {
    let Some(postgres) = PrivatePostgres::start_with_clock(100).await else {
        println!("skipped: there is no libfaketime on this system");
        return;
    };
    let app = TestApp::new(postgres.pool().await).await;
    let fault = "the database's clock set back and ahead";
    let mut trial = FaultTrial::over(app, Group::PostgreSql, fault).await;
    let workers = [trial.app.worker(&LEASE).await, trial.app.worker(&LEASE).await];
    for seconds in [-120, 0, 120] {
        trial.begin(LOAD).await;
        postgres.set_clock(seconds);
        until("somebody noticed", Duration::from_mins(1), async || {
            let noticed = |worker: &Worker| worker.log().iter().filter(|line| line.contains("Stepped")).count();
            workers.iter().any(|worker| noticed(worker) > 0).then_some(())
        })
        .await;
        trial.settle(TWO_MINUTES + TWO_MINUTES).await;
    }
    let jobs = ledger::list_jobs(&trial.app.bench.engine.db).await.unwrap();
    let crashed: Vec<_> = jobs.iter().filter(|job| job.crashes > 0).collect();
    assert!(crashed.is_empty(), "nobody died: {crashed:?}");
    trial.end().await;
}
