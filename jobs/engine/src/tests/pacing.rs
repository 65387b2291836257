//! One job of a lane at a time, with a rest after it; lanes that jobs name themselves.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{NOOPS, Noop, claim_all, register};
use crate::{
    ActiveAttempts, AttemptContext, AttemptEnd, Cause, CauseClass, Claimed, JobError, NewJob,
    ids::{AccountId, JobId},
    queues::{self, LimitChanges},
    settle,
    testing::Bench,
};

/// A bench whose lanes run one job at a time and rest for three seconds after it.
async fn paced(pool: PgPool) -> Bench {
    let bench = Bench::new(pool, NOOPS).await;
    let changes =
        LimitChanges { max_per_account: Some(Some(1)), rest_seconds: Some(Some(3)), ..LimitChanges::default() };
    let mut tx = bench.engine.db.system().await.unwrap();
    queues::set_limits(&mut tx, "default", changes).await.unwrap();
    tx.commit().await.unwrap();
    bench
}

/// Enqueues jobs that were due so many seconds ago.
async fn enqueue(bench: &Bench, account: AccountId, overdue: &[i64]) -> Vec<JobId> {
    let now = bench.now().await;
    let job = |&seconds| {
        NewJob::new(bench.tenant_id, &Noop::default()).on_account(account).at(now - TimeDelta::seconds(seconds))
    };
    let mut tx = bench.engine.db.system().await.unwrap();
    let jobs = tx.enqueue_all(overdue.iter().map(job).collect()).await.unwrap();
    tx.commit().await.unwrap();
    jobs.into_iter().map(|job| job.id).collect()
}

async fn complete(bench: &Bench, job: &Claimed) {
    let cx = AttemptContext::new(job, bench.engine.db.clone());
    cx.begin().await.unwrap().complete(json!({})).await.unwrap();
}

async fn fail(bench: &Bench, job: &Claimed) {
    let interrupt = ActiveAttempts::default().insert(job.attempt);
    let error = JobError::Retry(Cause::plain(CauseClass::Transient, "scripted"));
    assert!(matches!(bench.engine.decline(job, error, &interrupt).await, AttemptEnd::Settled));
}

#[sqlx::test(migrations = "../../migrations")]
async fn overdue_jobs_of_an_account_run_one_at_a_time_in_their_order(pool: PgPool) {
    let bench = paced(pool).await;
    let (account, other) = (AccountId::new(), AccountId::new());
    let jobs = enqueue(&bench, account, &[10, 40, 20, 30]).await;
    enqueue(&bench, other, &[5]).await;
    let worker = register(&bench).await;
    let mut order = Vec::new();
    for round in 0..4 {
        let claimed = claim_all(&bench, worker).await;
        let (mine, others): (Vec<_>, Vec<_>) = claimed.iter().partition(|job| job.account_id == Some(account));
        assert_eq!((mine.len(), others.len()), (1, usize::from(round == 0)), "the other account goes on");
        assert!(claim_all(&bench, worker).await.is_empty(), "one at a time");
        order.push(mine[0].attempt.job_id);
        complete(&bench, mine[0]).await;
        assert!(claim_all(&bench, worker).await.is_empty(), "it rests");
        bench.engine.db.shift_clock(Duration::from_secs(3));
    }
    assert_eq!(order, [jobs[1], jobs[3], jobs[2], jobs[0]]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_waits_for_its_retry_blocks_no_lane(pool: PgPool) {
    let bench = paced(pool).await;
    let account = AccountId::new();
    let jobs = enqueue(&bench, account, &[20, 10]).await;
    bench.execute("update jobs set failures = 3 where id = $1", jobs[0].0).await;
    let worker = register(&bench).await;
    fail(&bench, &claim_all(&bench, worker).await[0]).await;
    assert!(claim_all(&bench, worker).await.is_empty(), "it rests after a failure too");
    bench.engine.db.shift_clock(Duration::from_secs(3));
    assert_eq!(claim_all(&bench, worker).await[0].attempt.job_id, jobs[1]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_wrote_nothing_has_no_rest_after_it(pool: PgPool) {
    let bench = paced(pool).await;
    enqueue(&bench, AccountId::new(), &[20, 10]).await;
    let worker = register(&bench).await;
    let job = claim_all(&bench, worker).await.remove(0);
    let mut tx = bench.engine.db.system().await.unwrap();
    settle::complete(&mut tx, &[(job.attempt, json!({}))]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(claim_all(&bench, worker).await.len(), 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lane_that_jobs_name_holds_up_only_itself_and_outlives_a_failure(pool: PgPool) {
    let bench = paced(pool).await;
    let (slow, quick) = (Uuid::now_v7(), Uuid::now_v7());
    let job = || NewJob::new(bench.tenant_id, &Noop::default());
    let mut tx = bench.engine.db.system().await.unwrap();
    let jobs = vec![job().in_lane(slow), job().in_lane(slow), job().in_lane(quick), job()];
    tx.enqueue_all(jobs).await.unwrap();
    tx.commit().await.unwrap();
    let worker = register(&bench).await;
    let mut claimed = claim_all(&bench, worker).await;
    claimed.sort_by_key(|job| job.lane);
    let mut lanes = [slow, quick, bench.tenant_id.0];
    lanes.sort();
    assert_eq!(claimed.iter().map(|job| job.lane).collect::<Vec<_>>(), lanes);

    let id = claimed.iter().find(|job| job.lane == slow).unwrap().attempt.job_id;
    bench.execute("update jobs set failures = 100 where id = $1", id.0).await;
    for job in &claimed {
        fail(&bench, job).await;
    }
    bench.retry(id).await;
    bench.engine.db.shift_clock(Duration::from_mins(5));
    let again = claim_all(&bench, worker).await;
    assert!(again.iter().all(|job| job.attempt.job_id != id), "behind the other job of its lane");
    assert_eq!(again.iter().filter(|job| job.lane == slow).count(), 1);
}
