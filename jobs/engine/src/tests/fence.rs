//! Tests of the fence: only the latest attempt of a job writes.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;

use super::{NOOPS, Noop, claim_all, register};
use crate::{AttemptContext, JobError, JobState, ids::JobId, lease, testing::Bench};

/// Returns a job that executes its first attempt.
async fn executing(bench: &Bench) -> (JobId, AttemptContext) {
    let id = bench.enqueue(&Noop::default()).await;
    let worker = register(bench).await;
    let claimed = claim_all(bench, worker).await;
    (id, AttemptContext::new(&claimed[0], bench.engine.db.clone()))
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_superseded_attempt_wrote_does_not_land(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (id, cx) = executing(&bench).await;
    bench.execute("update jobs set attempt = 2 where id = $1", id.0).await;

    let rename = "update tenants set name = 'written by attempt 1' where id = $1";
    let mut tx = cx.begin().await.unwrap();
    sqlx::query(rename).bind(bench.tenant_id.0).execute(&mut **tx).await.unwrap();
    assert!(matches!(tx.commit().await, Err(JobError::Superseded)));

    let mut tx = cx.begin().await.unwrap();
    sqlx::query(rename).bind(bench.tenant_id.0).execute(&mut **tx).await.unwrap();
    assert!(matches!(tx.complete(json!(null)).await, Err(JobError::Superseded)));

    assert_eq!(bench.tenant_name().await, "Krusty Pizza");
    assert_eq!(bench.job(id).await.state, JobState::Executing);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_and_its_writes_commit_together(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (id, cx) = executing(&bench).await;
    let mut tx = cx.begin().await.unwrap();
    sqlx::query("update tenants set name = 'new' where id = $1")
        .bind(bench.tenant_id.0)
        .execute(&mut **tx)
        .await
        .unwrap();
    tx.complete(json!({ "ok": true })).await.unwrap();
    assert_eq!(bench.job(id).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_expired_lease_claims_nothing_and_is_never_renewed(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    bench.enqueue(&Noop::default()).await;
    let (db, lease) = (&bench.engine.db, Duration::from_mins(1));
    let worker = register(&bench).await;
    lease::deregister(db, worker).await.unwrap();
    assert!(!lease::renew(db, worker, lease, false, &[], lease).await.unwrap().is_alive);
    assert_eq!(claim_all(&bench, worker).await.len(), 0);
    let alive = register(&bench).await;
    assert_eq!(claim_all(&bench, alive).await.len(), 1);
}
