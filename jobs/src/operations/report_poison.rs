//! Alerts the operators about jobs that were discarded because they killed their process.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry, stats},
    mail, queues,
    services::Services,
};

/// The maximum number of jobs named in one email.
const NAMED: i64 = 20;

/// Reports jobs that killed their process.
///
/// Safe to repeat: operators are told at most once an hour. An alert covers everything since
/// shortly before the last one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ReportPoison {}

impl Job for ReportPoison {
    type Services = Services;

    const KIND: &'static str = "report_poison";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let jobs = stats::list_poisoned(&mut tx, NAMED).await?;
        if jobs.is_empty() {
            return Ok(Done::nothing("no job killed its process"));
        }
        let mut words =
            "These jobs were discarded, because each killed the process in which it ran alone. Look at them, and \
            report them to the developers:\n"
                .to_owned();
        for (kind, id) in &jobs {
            write!(words, "\n{kind} {id}").expect("a string takes it");
        }
        let told = mail::alert(&mut tx, "Jobs killed their process", &words).await?;
        tx.complete(json!({ "jobs": jobs.len(), "told": told })).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;

    use super::*;
    use crate::{engine::JobState, ids::JobId, noop::Noop, testing::Bench};

    /// Makes a job that ended because it killed its third process.
    async fn poisoned(bench: &Bench) -> JobId {
        let id = bench.enqueue(&Noop::default()).await;
        bench.drain().await;
        let sql = "
            update job_history
            set state = 'discarded', poison = 3, error = '{\"class\": \"poison\", \"message\": \"died\"}'
            where id = $1";
        bench.execute(sql, id.0).await;
        id
    }

    /// Returns the alerts that operators would get.
    async fn alerts(bench: &Bench) -> Vec<mail::SendMail> {
        let job = bench.enqueue_for_system(&ReportPoison::default()).await;
        let job = bench.run(job).await;
        assert_eq!(job.state, JobState::Completed, "{:?}", job.error);
        bench.enqueued::<mail::SendMail>().await
    }

    #[test]
    fn the_payload_keeps_its_form() {
        assert_eq!(serde_json::to_value(ReportPoison::default()).unwrap(), json!({}));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_job_that_killed_its_process_is_reported_once_an_hour(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let failed = bench.enqueue(&Noop::default()).await;
        bench.drain().await;
        bench.execute("update job_history set state = 'discarded' where id = $1", failed.0).await;
        assert!(alerts(&bench).await.is_empty(), "an ordinary failure is none");
        let id = poisoned(&bench).await;
        let told = alerts(&bench).await;
        assert_eq!(told.len(), 1);
        let mail::Email::OperatorAlert { words, .. } = &told[0].email else { panic!("{told:?}") };
        assert!(words.contains(&format!("noop {id}")) && !words.contains(&failed.to_string()), "{words}");
        bench.drain().await;
        assert!(alerts(&bench).await.is_empty(), "within the hour");
        bench.engine.db.shift_clock(Duration::from_mins(61));
        assert_eq!(alerts(&bench).await.len(), 1, "what came after the last email must not be missed");
        bench.drain().await;
        bench.engine.db.shift_clock(Duration::from_mins(130));
        assert!(alerts(&bench).await.is_empty(), "long over");
    }
}
