//! Counts the figures of the past.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry, figures},
    queues,
    services::Services,
};

/// The minutes that one transaction counts.
const MINUTES_AT_ONCE: i64 = 10;

/// The rows that one run deletes.
const PRUNED_AT_ONCE: i64 = 5_000;

/// Counts the minutes that are over, adds them up to hours, and deletes what is too old.
///
/// Safe to repeat: a minute that is counted again replaces what was counted before.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CountFigures {}

impl Job for CountFigures {
    type Services = Services;

    const KIND: &'static str = "count_figures";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let (mut since, until) = figures::find_uncounted(&mut tx).await?;
        let pruned = figures::prune_figures(&mut tx, PRUNED_AT_ONCE).await?;
        tx.commit().await?;
        let mut rows = 0;
        while since < until {
            let end = until.min(since + TimeDelta::minutes(MINUTES_AT_ONCE));
            let mut tx = cx.begin().await?;
            rows += figures::count_minutes(&mut tx, since, end).await?;
            figures::count_hours(&mut tx, since, end).await?;
            tx.commit().await?;
            since = end;
        }
        cx.begin().await?.complete(json!({ "rows": rows, "pruned": pruned })).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;

    use super::*;
    use crate::{
        engine::{
            JobState,
            figures::{FiguresQuery, Resolution, Series},
        },
        noop::Noop,
        testing::Bench,
    };

    #[test]
    fn the_payload_keeps_its_form() {
        assert_eq!(serde_json::to_value(CountFigures::default()).unwrap(), json!({}));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn what_ended_in_the_last_minutes_is_counted_once(pool: PgPool) {
        let bench = Bench::new(pool).await;
        for _ in 0..3 {
            bench.enqueue(&Noop::default()).await;
        }
        bench.drain().await;
        bench.engine.db.shift_clock(Duration::from_mins(1));
        for _ in 0..2 {
            let job = bench.enqueue_for_system(&CountFigures::default()).await;
            let job = bench.run(job).await;
            assert_eq!(job.state, JobState::Completed, "{:?}", job.error);
        }
        let now = bench.now().await;
        let query = FiguresQuery {
            resolution: Resolution::Hour,
            since: now - TimeDelta::hours(3),
            until: now,
            queue: None,
            kind: Some("noop".to_owned()),
            by: Series::All,
            step: None,
        };
        let mut tx = bench.engine.db.system().await.unwrap();
        let hours = figures::list_figures(&mut tx, &query).await.unwrap();
        assert_eq!(hours.iter().map(|row| row.completed).sum::<i64>(), 3, "{hours:?}");
    }
}
