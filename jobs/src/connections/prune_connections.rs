//! Deletes what connecting accounts leaves behind.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store;
use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry},
    queues,
    services::Services,
};

/// The number of rows of one sort that one transaction deletes.
const AT_ONCE: i64 = 1_000;

/// Deletes expired logins with their states and codes, and old reports of people who removed our
/// app.
///
/// Safe to repeat: rows that are gone are not found again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PruneConnections {}

impl Job for PruneConnections {
    type Services = Services;

    const KIND: &'static str = "prune_connections";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let (mut logins, mut reports) = (0, 0);
        loop {
            let mut tx = cx.begin().await?;
            let old_logins = store::prune_logins(&mut tx, AT_ONCE).await?;
            let old_reports = store::prune_deauthorizations(&mut tx, AT_ONCE).await?;
            tx.commit().await?;
            logins += old_logins;
            reports += old_reports;
            if old_logins + old_reports == 0 {
                return cx.begin().await?.complete(json!({ "logins": logins, "reports": reports })).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;

    use super::*;
    use crate::{engine::JobState, testing::Bench};

    const DAY: Duration = Duration::from_hours(24);

    async fn prune(bench: &Bench) -> serde_json::Value {
        let job = bench.enqueue_for_system(&PruneConnections {}).await;
        bench.run(job).await.result.unwrap()
    }

    async fn count(bench: &Bench, sql: &'static str) -> i64 {
        let mut tx = bench.engine.db.system().await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
    }

    #[test]
    fn the_payload_keeps_its_form() {
        assert_eq!(serde_json::to_value(PruneConnections {}).unwrap(), json!({}));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn logins_go_a_day_after_their_end_unless_a_job_still_needs_them(pool: PgPool) {
        let bench = Bench::new(pool).await;
        bench.connect_page().await;
        let waiting = bench.begin_login().await;
        bench.engine.db.shift_clock(DAY);
        assert_eq!(prune(&bench).await["logins"], 0, "they ended less than a day ago");
        bench.engine.db.shift_clock(Duration::from_mins(11));
        assert_eq!(prune(&bench).await["logins"], 1, "the one that is done");
        assert_eq!(count(&bench, "select count(*) from oauth_state where code is not null").await, 1);
        bench.drain().await;
        assert_eq!(bench.job(waiting).await.state, JobState::Completed, "the other one still works");
        assert_eq!(prune(&bench).await["logins"], 1);
        assert_eq!(prune(&bench).await, json!({ "logins": 0, "reports": 0 }));
        assert_eq!(count(&bench, "select count(*) from oauth_state").await, 0);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_code_whose_job_is_gone_goes_with_its_login(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.begin_login().await;
        bench.execute("delete from jobs where id = $1", job.0).await;
        bench.engine.db.shift_clock(DAY + Duration::from_mins(11));
        assert_eq!(prune(&bench).await["logins"], 1);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn reports_go_after_a_year(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let insert = "insert into deauthorizations (id, provider, request_sha256, erases_data, issued_at, ended_at)
                      values ($1, 'facebook', '', true, now(), now())";
        bench.execute(insert, uuid::Uuid::now_v7()).await;
        assert_eq!(prune(&bench).await["reports"], 0);
        bench.engine.db.shift_clock(366 * DAY);
        assert_eq!(prune(&bench).await["reports"], 1);
    }
}
