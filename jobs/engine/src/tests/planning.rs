//! Tests of a parent that is cancelled or retried just when its children begin or end.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;

use super::{NOOPS, Noop, claim_all, register};
use crate::{
    ActiveAttempts, Attempt, AttemptContext, AttemptEnd, Claimed, Db, EnqueueError, JobError, JobState, NewJob,
    OnFailed,
    ids::JobId,
    ledger::{self, Action, ActionError, JobFilter, JobRow},
    settle,
    testing::Bench,
};

/// Claims a parent whose attempt the test plays.
async fn parent(bench: &Bench) -> (AttemptContext, Claimed) {
    bench.enqueue(&Noop::default()).await;
    let worker = register(bench).await;
    let claimed = claim_all(bench, worker).await.remove(0);
    (AttemptContext::new(&claimed, bench.engine.db.clone()), claimed)
}

fn child(bench: &Bench, parent: &Attempt) -> NewJob {
    NewJob::new(bench.tenant_id, &Noop::default()).child_of(parent)
}

async fn cancel(db: &Db, id: JobId) -> Result<bool, ActionError> {
    let mut tx = db.system().await?;
    let has_ended = ledger::cancel(&mut tx, NOOPS, id).await?;
    tx.commit().await?;
    Ok(has_ended)
}

async fn children(bench: &Bench, id: JobId) -> Vec<JobRow> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let filter = JobFilter { parent_id: Some(id), ..JobFilter::default() };
    ledger::list_jobs::<()>(&mut tx, &[], &filter, 200).await.unwrap().jobs
}

/// Waits until a session of this database waits for a lock, or `task` has ended.
async fn until_it_waits<T>(bench: &Bench, task: &tokio::task::JoinHandle<T>) {
    let waiting = "
        select exists (
          select from pg_locks l join pg_stat_activity a using (pid)
          where not l.granted and a.datname = current_database()
        )";
    let look = async {
        loop {
            let mut tx = bench.engine.db.system().await.unwrap();
            if task.is_finished() || sqlx::query_scalar(waiting).fetch_one(&mut *tx).await.unwrap() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.expect("it waits or ends");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_parent_that_was_cancelled_while_it_planned_has_no_children(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (cx, job) = parent(&bench).await;
    let mut tx = cx.begin().await.unwrap();
    assert!(!cancel(&bench.engine.db, cx.job_id()).await.unwrap(), "it runs");
    let refused = tx.enqueue_all(vec![child(&bench, cx.attempt()); 3]).await.unwrap_err();
    assert!(matches!(refused, EnqueueError::ParentCancelled), "{refused:?}");
    drop(tx);
    let interrupt = ActiveAttempts::default().insert(job.attempt);
    assert!(matches!(bench.engine.decline(&job, refused.into(), &interrupt).await, AttemptEnd::Settled));
    assert_eq!(
        (bench.job(cx.job_id()).await.state.name(), children(&bench, cx.job_id()).await.len()),
        ("cancelled", 0)
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_parent_that_is_cancelled_while_it_commits_its_plan_takes_its_children_along(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    for waits in [true, false] {
        let (cx, _) = parent(&bench).await;
        let mut tx = cx.begin().await.unwrap();
        tx.enqueue_all(vec![child(&bench, cx.attempt()); 3]).await.unwrap();
        let (db, id) = (bench.engine.db.clone(), cx.job_id());
        let cancelling = tokio::spawn(async move { cancel(&db, id).await });
        until_it_waits(&bench, &cancelling).await;
        if waits {
            tx.wait_for_children(OnFailed::GoOn).await.unwrap();
        } else {
            tx.commit().await.unwrap();
        }
        assert_eq!(cancelling.await.unwrap().unwrap(), waits, "what waits ends at once");
        let states: Vec<&str> = children(&bench, id).await.into_iter().map(|child| child.state.name()).collect();
        assert_eq!(states, ["cancelled"; 3]);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_parent_that_was_cancelled_does_not_wait_for_its_children(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (cx, _) = parent(&bench).await;
    let mut tx = cx.begin().await.unwrap();
    tx.enqueue_all(vec![child(&bench, cx.attempt())]).await.unwrap();
    tx.commit().await.unwrap();
    let worker = register(&bench).await;
    assert_eq!(claim_all(&bench, worker).await.len(), 1, "the child runs");
    cancel(&bench.engine.db, cx.job_id()).await.unwrap();
    let error = cx.begin().await.unwrap().wait_for_children(OnFailed::GoOn).await.unwrap_err();
    assert!(matches!(&error, JobError::Later(_, cause) if cause.class == crate::CauseClass::Cancelled), "{error:?}");
    assert_eq!(bench.job(cx.job_id()).await.state, JobState::Executing);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_parent_that_is_brought_back_while_its_child_ends_does_not_wait_for_it(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (cx, _) = parent(&bench).await;
    let mut tx = cx.begin().await.unwrap();
    tx.enqueue_all(vec![child(&bench, cx.attempt())]).await.unwrap();
    tx.wait_for_children(OnFailed::GoOn).await.unwrap();
    let worker = register(&bench).await;
    let child = claim_all(&bench, worker).await.remove(0);
    let id = cx.job_id();
    let mut tx = bench.engine.db.system().await.unwrap();
    ledger::act_on(&mut tx, NOOPS, Action::Discard, id).await.unwrap();
    tx.commit().await.unwrap();

    let mut ending = bench.engine.db.system().await.unwrap();
    assert_eq!(settle::complete(&mut ending, &[(child.attempt, json!(null))]).await.unwrap().len(), 1);
    let db = bench.engine.db.clone();
    let retrying = tokio::spawn(async move {
        let mut tx = db.system().await?;
        ledger::retry(&mut tx, id).await?;
        Ok::<(), ActionError>(tx.commit().await?)
    });
    until_it_waits(&bench, &retrying).await;
    ending.commit().await.unwrap();
    retrying.await.unwrap().unwrap();
    let row = bench.job(id).await;
    assert_eq!((row.state, row.pending), (JobState::Available, 0));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_is_brought_back_goes_on_where_it_was(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (cx, job) = parent(&bench).await;
    cx.begin().await.unwrap().checkpoint(&json!({ "place": 7 })).await.unwrap();
    let interrupt = ActiveAttempts::default().insert(job.attempt);
    let error = JobError::Fail(crate::Cause::plain(crate::CauseClass::Permanent, "scripted"));
    assert!(matches!(bench.engine.decline(&job, error, &interrupt).await, AttemptEnd::Settled));
    bench.retry(cx.job_id()).await;
    assert_eq!(bench.job(cx.job_id()).await.result, Some(json!({ "place": 7 })));
}
