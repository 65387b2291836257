//! Tests of `kill -9` at failpoints in a job's life.

use std::time::Duration;

use jobs::engine::failpoint::Failpoint;
use serde_json::json;
use sqlx::PgPool;
use tests::{
    fault_trial::{FaultTrial, Load, small_or_long},
    report::Group,
    until,
};

use crate::TWO_MINUTES;

/// Returns the number of passes of a failpoint that the load certainly causes.
fn sure_passes(failpoint: Failpoint) -> u32 {
    match failpoint {
        Failpoint::Promoted => 2,
        Failpoint::BeforeTick => 1,
        Failpoint::BeforeCommit | Failpoint::Committed => unreachable!("no worker passes these"),
        Failpoint::BeforeVerdict => 3,
        Failpoint::BeforeSent
        | Failpoint::Sent
        | Failpoint::Answered
        | Failpoint::BeforeRecord
        | Failpoint::Recorded => 6,
        Failpoint::Released
        | Failpoint::Popped
        | Failpoint::Claimed
        | Failpoint::Started
        | Failpoint::BeforeSettle
        | Failpoint::Settled => 8,
    }
}

fn plan(trial: &mut FaultTrial, failpoints: &[Failpoint]) -> String {
    let mut plan = Vec::new();
    for &failpoint in failpoints {
        let pass = trial.number(1..=sure_passes(failpoint));
        plan.push(format!("{}:kill@{pass}", failpoint.name()));
    }
    plan.join(",")
}

/// Runs the load with a worker that kills itself at the failpoint, and then with one that takes
/// over.
async fn killed_at(pool: PgPool, failpoint: Failpoint) -> (FaultTrial, usize) {
    let mut trial = FaultTrial::new(pool, Group::Kill, &format!("at `{}`", failpoint.name())).await;
    for _ in 0..small_or_long(1, 20) {
        let plan = plan(&mut trial, &[failpoint]);
        trial.begin(Load::MIXED).await;
        let worker = trial.app.launch(&[("LINECOOK_FAILPOINTS", &plan)]);
        trial.dies(worker).await;
        let successor = trial.app.worker(&[]).await;
        trial.settle(TWO_MINUTES).await;
        successor.terminate().await;
    }
    let unknown = trial.judge().await;
    (trial, unknown)
}

/// Calls of other jobs in flight may become unknown; the invariants say when.
macro_rules! the_law_holds_after_a_kill_at {
    ($($name:ident: $failpoint:expr,)*) => {$(
        #[sqlx::test(migrations = "../migrations")]
        async fn $name(pool: PgPool) {
            killed_at(pool, $failpoint).await;
        }
    )*};
}

the_law_holds_after_a_kill_at! {
    killed_after_jobs_became_available: Failpoint::Promoted,
    killed_before_ids_reach_redis: Failpoint::Released,
    killed_before_the_claim: Failpoint::Popped,
    killed_after_the_claim: Failpoint::Claimed,
    killed_when_the_job_starts: Failpoint::Started,
    killed_before_a_call_is_written_down: Failpoint::BeforeSent,
    killed_before_the_answer_is_recorded: Failpoint::Answered,
    killed_before_the_record_is_committed: Failpoint::BeforeRecord,
    killed_after_the_record: Failpoint::Recorded,
    killed_before_a_batch_is_settled: Failpoint::BeforeSettle,
    killed_after_a_batch_is_settled: Failpoint::Settled,
    killed_before_a_failure_is_recorded: Failpoint::BeforeVerdict,
}

/// No byte was sent, but nobody can prove that, so a person has to look.
#[sqlx::test(migrations = "../migrations")]
async fn a_call_whose_first_byte_never_left_is_unknown_and_is_not_made_again(pool: PgPool) {
    let (trial, unknown) = killed_at(pool, Failpoint::Sent).await;
    assert!(unknown > 0, "the call that was cut");
    let (asked, out) = (trial.app.bench.sandbox.calls("publish_feed").await, trial.published().await.len());
    assert_eq!(usize::try_from(asked).unwrap(), out, "each call was made once");
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_at_several_points_at_once(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Kill, "at several points, three workers").await;
    for _ in 0..small_or_long(1, 20) {
        trial.begin(Load::MIXED).await;
        let mut workers = Vec::new();
        for _ in 0..3 {
            let mut failpoints = Vec::new();
            for _ in 0..2 {
                failpoints.push(Failpoint::ALL[usize::try_from(trial.number(0..=12)).unwrap()]);
            }
            // Each worker dies here, whatever the others do.
            failpoints.push(Failpoint::Popped);
            let plan = plan(&mut trial, &failpoints);
            workers.push(trial.app.launch(&[("LINECOOK_FAILPOINTS", &plan)]));
        }
        for worker in workers {
            trial.dies(worker).await;
        }
        let successor = trial.app.worker(&[]).await;
        trial.settle(TWO_MINUTES).await;
        successor.terminate().await;
    }
    trial.judge().await;
}

/// The posts are published, and the worker has not yet recorded them.
#[sqlx::test(migrations = "../migrations")]
async fn killed_over_20_calls_in_flight(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Kill, "over 20 calls in flight").await;
    for run in 1..=small_or_long(1_u64, 20) {
        let sandbox = &trial.app.bench.sandbox;
        sandbox.fault("publish_feed", json!({ "times": 10, "reply_delay_ms": 15_000 })).await;
        sandbox.fault("publish_feed", json!({ "nth": 11, "times": 10, "delay_ms": 15_000 })).await;
        let worker = trial.app.worker(&[("WORKER_QUEUES", "posting:40,oauth:2,default:20")]).await;
        trial.begin(Load { posts: 20, ..Load::default() }).await;
        // A job may be executing before its call has left; a kill then would leave it unknown.
        until("20 calls in flight", Duration::from_mins(1), async || {
            (trial.app.bench.sandbox.calls("publish_feed").await == 20 * run).then_some(())
        })
        .await;
        trial.kill(worker).await;
        let successor = trial.app.worker(&[]).await;
        trial.settle(TWO_MINUTES).await;
        successor.terminate().await;
    }
    let jobs = trial.app.get("/api/v1/jobs?kind=publish_post&limit=200").await;
    let crashed = jobs["items"].as_array().unwrap().iter().filter(|job| job["crashes"] == json!(1)).count();
    assert!(crashed >= 20, "each attempt that died is counted: {crashed}");
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn two_workers_share_the_work_and_nothing_runs_twice(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Job, "none, two workers").await;
    let _workers = (trial.app.worker(&[]).await, trial.app.worker(&[]).await);
    trial.begin(Load { posts: 30, ..Load::MIXED }).await;
    trial.settle(TWO_MINUTES).await;
    trial.end().await;
}
