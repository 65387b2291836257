//! Tests of settling in batches.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{NOOPS, Noop, claim_all, register};
use crate::{ActiveAttempts, JobState, Settler, testing::Bench};

#[sqlx::test(migrations = "../../migrations")]
async fn a_result_that_the_database_refuses_holds_up_no_other(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    for _ in 0..3 {
        bench.enqueue(&Noop::default()).await;
    }
    let worker = register(&bench).await;
    let claimed = claim_all(&bench, worker).await;
    let active = ActiveAttempts::default();
    let (settler, settling) = Settler::start(bench.engine.db.clone(), active.clone(), CancellationToken::new());
    for (job, result) in claimed.iter().zip(["before", "a \0 in it", "after"]) {
        let _interrupt = active.insert(job.attempt);
        settler.complete(job.attempt, json!({ "nothing": result })).await;
    }
    drop(settler);
    tokio::time::timeout(Duration::from_secs(20), settling).await.expect("all is written").unwrap();
    assert!(active.is_empty());
    let mut states = Vec::new();
    for job in &claimed {
        states.push(bench.job(job.attempt.job_id).await.state);
    }
    assert_eq!(states, [JobState::Completed, JobState::Retryable, JobState::Completed]);
    assert_eq!(bench.error_class(claimed[1].attempt.job_id).await, "database");
}
