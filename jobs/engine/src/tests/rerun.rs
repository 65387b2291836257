//! Tests of a unique key that is enqueued and cancelled: the later request wins.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use super::{any_time, claim_all, register};
use crate::{
    ActiveAttempts, Attempt, AttemptEnd, Cause, CauseClass, Claimed, Done, Job, JobContext, JobError, JobState, Kind,
    NewJob, Priority, Queue, Retry,
    ids::{JobId, WorkerId},
    lease, ledger, rescue, settle,
    testing::Bench,
};

/// A job of which only one exists at a time.
#[derive(Debug, Serialize, Deserialize)]
struct Single {}

impl Job for Single {
    type Services = ();

    const KIND: &'static str = "single";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;

    fn unique_key(&self) -> Option<String> {
        Some("k".to_owned())
    }

    async fn run(self, cx: &JobContext<()>) -> Result<Done, JobError> {
        assert_eq!(cx.last_checkpoint().await?, None, "it begins at the beginning");
        cx.begin().await?.complete(json!("ran")).await
    }
}

static SINGLE: &[Kind<()>] = &[Kind::of::<Single>()];

async fn bench(pool: PgPool) -> Bench {
    Bench::new(pool, SINGLE).await
}

/// Returns the job, which is executing.
async fn running(bench: &Bench) -> (JobId, WorkerId, Claimed) {
    let id = bench.enqueue(&Single {}).await;
    let worker = register(bench).await;
    let claimed = claim_all(bench, worker).await.remove(0);
    (id, worker, claimed)
}

/// Leaves what a checkpoint and a failed child would leave, an hour ago.
async fn leave_place(bench: &Bench, id: JobId) {
    bench.execute("update jobs set result = '{\"place\": 7}', failed_children = 1 where id = $1", id.0).await;
    bench.engine.db.shift_clock(Duration::from_hours(1));
}

async fn cancel(bench: &Bench, id: JobId) {
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(!ledger::cancel(&mut tx, SINGLE, id).await.unwrap(), "it runs");
    tx.commit().await.unwrap();
}

async fn complete(bench: &Bench, attempt: Attempt) {
    let mut tx = bench.engine.db.system().await.unwrap();
    assert_eq!(settle::complete(&mut tx, &[(attempt, json!("first"))]).await.unwrap().len(), 1);
    tx.commit().await.unwrap();
}

async fn decline(bench: &Bench, job: &Claimed, error: JobError) {
    let interrupt = ActiveAttempts::default().insert(job.attempt);
    assert!(matches!(bench.engine.decline(job, error, &interrupt).await, AttemptEnd::Settled));
}

/// Asserts that the job waits like a new one, and completes when it runs.
async fn assert_begins_anew(bench: &Bench, id: JobId) {
    let row = bench.job(id).await;
    assert_eq!((row.state, row.cancel_requested_at, row.result), (JobState::Available, None, None));
    assert_eq!(row.failed_children, 0);
    let mut tx = bench.engine.db.system().await.unwrap();
    let due_for: f64 =
        sqlx::query_scalar("select extract(epoch from engine_now() - due_at)::float8 from jobs where id = $1")
            .bind(id.0)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    drop(tx);
    assert!(due_for < 60.0, "due for {due_for} seconds");
    assert_eq!(bench.drain().await, 1);
    let row = bench.job(id).await;
    assert_eq!((row.state, row.result), (JobState::Completed, Some(json!("ran"))));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_asked_for_again_after_it_was_cancelled_runs_though_its_worker_died(pool: PgPool) {
    let bench = bench(pool).await;
    let (id, worker, _) = running(&bench).await;
    cancel(&bench, id).await;
    lease::deregister(&bench.engine.db, worker).await.unwrap();
    assert_eq!(rescue(&bench.engine.db, any_time()).await.unwrap(), 1);
    assert_eq!(bench.enqueue(&Single {}).await, id);
    assert_begins_anew(&bench, id).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_asked_for_again_after_it_was_cancelled_runs_though_it_completed(pool: PgPool) {
    let bench = bench(pool).await;
    let (id, _, job) = running(&bench).await;
    leave_place(&bench, id).await;
    cancel(&bench, id).await;
    assert_eq!(bench.enqueue(&Single {}).await, id);
    complete(&bench, job.attempt).await;
    assert_begins_anew(&bench, id).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_asked_for_again_after_it_was_cancelled_runs_when_it_has_stopped(pool: PgPool) {
    let bench = bench(pool).await;
    let (id, _, job) = running(&bench).await;
    leave_place(&bench, id).await;
    cancel(&bench, id).await;
    assert_eq!(bench.enqueue(&Single {}).await, id);
    decline(&bench, &job, JobError::cancelled()).await;
    assert_begins_anew(&bench, id).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_cancelled_after_it_was_asked_for_again_ends(pool: PgPool) {
    let bench = bench(pool).await;
    let (id, _, job) = running(&bench).await;
    assert_eq!(bench.enqueue(&Single {}).await, id);
    cancel(&bench, id).await;
    decline(&bench, &job, JobError::Retry(Cause::plain(CauseClass::Transient, "scripted"))).await;
    assert_eq!(bench.job(id).await.state, JobState::Cancelled);

    let (id, _, job) = running(&bench).await;
    assert_eq!(bench.enqueue(&Single {}).await, id);
    cancel(&bench, id).await;
    complete(&bench, job.attempt).await;
    assert_eq!(bench.job(id).await.state, JobState::Completed, "the first commit wins");
    assert_eq!(bench.drain().await, 0);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_waiting_job_asked_for_again_keeps_the_earlier_time_and_the_higher_priority(pool: PgPool) {
    let bench = bench(pool).await;
    let now = bench.now().await;
    let hour = |n| now + Duration::from_hours(n);
    let ask = async |at, priority| {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let job = NewJob::new(bench.tenant_id, &Single {}).at(at).with_priority(priority);
        let id = tx.enqueue(job).await.unwrap().id;
        tx.commit().await.unwrap();
        let row = bench.job(id).await;
        (id, row.state, row.run_at.unwrap(), row.priority)
    };
    let (id, ..) = ask(hour(3), Priority::Normal).await;
    let scheduled = JobState::Scheduled;
    for (at, priority, run_at, kept) in [
        (hour(2), Priority::Low, hour(2), 2),
        (hour(4), Priority::High, hour(2), 1),
        (hour(1), Priority::Normal, hour(1), 1),
    ] {
        assert_eq!(ask(at, priority).await, (id, scheduled, run_at, kept));
    }
    assert_eq!(ask(now, Priority::Low).await, (id, JobState::Available, now, 1));
    assert_eq!(bench.drain().await, 1);
}
