//! Writes the words by which finished jobs are found.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry, ledger},
    queues,
    services::Services,
};

/// The number of jobs whose words one transaction writes.
const JOBS_AT_ONCE: i64 = 1_000;

/// Writes the words of jobs that have finished since the last run.
///
/// Safe to repeat: a job leaves the list in the transaction that writes its words.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct IndexWords {}

impl Job for IndexWords {
    type Services = Services;

    const KIND: &'static str = "index_words";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::NEVER;
    const TIMEOUT: Duration = Duration::from_mins(10);

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let (mut jobs, mut after) = (0, None);
        loop {
            let mut tx = cx.begin().await?;
            let (indexed, last) = ledger::index_words(&mut tx, after, JOBS_AT_ONCE).await?;
            tx.commit().await?;
            jobs += indexed;
            if last.is_none() {
                break;
            }
            after = last;
        }
        cx.begin().await?.complete(json!({ "jobs": jobs })).await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{engine::JobState, testing::Bench};

    /// Makes finished jobs with a word each.
    async fn finished(bench: &Bench, jobs: i32) {
        let sql = "
            insert into job_history (id, tenant_id, kind, queue, args, state, priority, due_at, attempt, failures, crashes,
              poison, depth, failed_children, counted, created_at, ended_at)
            select gen_random_uuid(), $1, 'noop', 'default', jsonb_build_object('n', 'word' || n), 'completed', 2, engine_now(),
              1, 0, 0, 0, 0, 0, true, engine_now(), engine_stamp()
            from generate_series(1, $2) as n";
        let mut tx = bench.engine.db.system().await.unwrap();
        sqlx::query(sql).bind(bench.tenant_id.0).bind(jobs).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn words(bench: &Bench) -> i64 {
        let mut tx = bench.engine.db.system().await.unwrap();
        sqlx::query_scalar("select count(*) from job_words").fetch_one(&mut *tx).await.unwrap()
    }

    #[test]
    fn the_payload_keeps_its_form() {
        assert_eq!(serde_json::to_value(IndexWords::default()).unwrap(), json!({}));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn the_words_of_all_that_finished_are_written_once(pool: PgPool) {
        let bench = Bench::new(pool).await;
        finished(&bench, 2_300).await;
        for expected in [2_300, 0] {
            let job = bench.enqueue_for_system(&IndexWords::default()).await;
            let job = bench.run(job).await;
            assert_eq!((job.state, job.result), (JobState::Completed, Some(json!({ "jobs": expected }))));
            assert_eq!(words(&bench).await, 2_300);
        }
    }
}
