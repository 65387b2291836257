//! Tests of the figures of the past.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::*;
use crate::{Kind, testing::Bench, tests::Noop};

static KINDS: &[Kind<()>] = &[Kind::of::<Noop>()];

fn time(text: &str) -> DateTime<Utc> {
    format!("2026-01-05T{text}Z").parse().unwrap()
}

/// Inserts finished jobs of a queue that ended at a time, after a wait each.
async fn ended(bench: &Bench, queue: &str, state: &str, at: &str, waits_ms: &[f64]) {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query(
        "insert into job_history (id, tenant_id, kind, queue, args, state, priority, run_at, due_at, attempt, failures,
           crashes, poison, depth, failed_children, counted, created_at, started_at, ended_at)
         select gen_random_uuid(), $1, 'noop', $2, '{}', $3, 2, $4::timestamptz - wait, $4, 1, 0, 0, 0, 0, 0, true, $4, $4, $4
         from unnest($5::float8[]) as ms
         cross join lateral (select make_interval(secs => ms / 1000) as wait) given",
    )
    .bind(bench.tenant_id.0)
    .bind(queue)
    .bind(state)
    .bind(time(at))
    .bind(waits_ms)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

async fn count(bench: &Bench, since: &str, until: &str) {
    let mut tx = bench.engine.db.system().await.unwrap();
    count_minutes(&mut tx, time(since), time(until)).await.unwrap();
    count_hours(&mut tx, time(since), time(until)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn list(bench: &Bench, resolution: Resolution, by: Series) -> Vec<FiguresRow> {
    let (since, until) = (time("00:00:00"), time("23:00:00"));
    let query = FiguresQuery { resolution, since, until, queue: None, kind: None, by, step: None };
    let mut tx = bench.engine.db.system().await.unwrap();
    list_figures(&mut tx, &query).await.unwrap()
}

fn sums(rows: &[FiguresRow]) -> Vec<(DateTime<Utc>, &str, i64, i64)> {
    rows.iter().map(|row| (row.starts_at, row.series.as_str(), row.completed, row.discarded)).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn figures_are_counted_by_minute_and_hour_however_often(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    ended(&bench, "default", "completed", "10:00:59", &[1.0; 3]).await;
    ended(&bench, "default", "completed", "10:01:00", &[1.0; 2]).await;
    ended(&bench, "posting", "discarded", "10:01:30", &[1.0]).await;
    ended(&bench, "default", "completed", "11:00:00", &[1.0]).await;
    for (since, until) in [("10:00:00", "10:01:00"), ("10:00:00", "11:01:00"), ("10:59:00", "11:01:00")] {
        count(&bench, since, until).await;
    }
    let (first, second, third) = (time("10:00:00"), time("10:01:00"), time("11:00:00"));
    let minutes = list(&bench, Resolution::Minute, Series::All).await;
    assert_eq!(sums(&minutes), [(first, "", 3, 0), (second, "", 2, 1), (third, "", 1, 0)]);
    let hours = list(&bench, Resolution::Hour, Series::Queue).await;
    assert_eq!(sums(&hours), [(first, "default", 5, 0), (first, "posting", 0, 1), (third, "default", 1, 0)]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn waits_are_ranked_over_all_that_is_added_up(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    ended(&bench, "default", "completed", "10:00:10", &[100.0; 90]).await;
    ended(&bench, "posting", "completed", "10:30:10", &[8_000.0; 10]).await;
    count(&bench, "10:00:00", "11:00:00").await;
    let hours = list(&bench, Resolution::Hour, Series::All).await;
    let near = |ms: Option<f64>, wanted: f64| ms.is_some_and(|ms| ms >= wanted && ms < wanted * 1.19);
    assert_eq!(hours.len(), 1);
    assert!(near(hours[0].wait_p50_ms, 100.0) && near(hours[0].wait_p95_ms, 8_000.0), "{hours:?}");
    let kinds = list(&bench, Resolution::Minute, Series::Kind).await;
    assert!(kinds.iter().all(|row| row.series == "noop") && near(kinds[0].wait_p95_ms, 100.0), "{kinds:?}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn failed_attempts_are_counted_where_they_ended(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let job = bench.enqueue(&Noop::default()).await;
    let sql = "
        insert into job_attempts (tenant_id, job_id, attempt, outcome, ended_at)
        select tenant_id, id, n, outcome, timestamptz '2026-01-05 10:00:05Z'
        from jobs
        cross join (values (1, 'retry'), (2, 'lost'), (3, 'later')) as attempts (n, outcome)
        where id = $1";
    bench.execute(sql, job.0).await;
    count(&bench, "10:00:00", "10:01:00").await;
    let minutes = list(&bench, Resolution::Minute, Series::Queue).await;
    assert_eq!((minutes.len(), minutes[0].failures, minutes[0].wait_p50_ms), (1, 2, None));
}

#[sqlx::test(migrations = "../../migrations")]
async fn old_figures_are_deleted(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    ended(&bench, "default", "completed", "10:00:59", &[1.0]).await;
    count(&bench, "10:00:00", "10:01:00").await;
    let mut tx = bench.engine.db.system().await.unwrap();
    assert_eq!(prune_figures(&mut tx, 1_000).await.unwrap(), 1, "of the minute; the hour stays");
    assert_eq!(prune_figures(&mut tx, 1_000).await.unwrap(), 0);
}

#[sqlx::test(migrations = "../../migrations")]
async fn points_are_added_up_over_a_longer_time(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    for (at, ms) in [("10:00:30", 100.0), ("10:14:30", 100.0), ("10:15:30", 8_000.0)] {
        ended(&bench, "default", "completed", at, &[ms]).await;
    }
    count(&bench, "10:00:00", "10:20:00").await;
    let query = FiguresQuery {
        resolution: Resolution::Minute,
        since: time("10:00:00"),
        until: time("11:00:00"),
        queue: None,
        kind: None,
        by: Series::All,
        step: Some(TimeDelta::minutes(15)),
    };
    let mut tx = bench.engine.db.system().await.unwrap();
    let points = list_figures(&mut tx, &query).await.unwrap();
    assert_eq!(sums(&points), [(time("10:00:00"), "", 2, 0), (time("10:15:00"), "", 1, 0)]);
    assert!(points[0].wait_p95_ms < points[1].wait_p50_ms, "{points:?}");
    assert_eq!(find_newest(&mut tx).await.unwrap(), Some(time("10:15:00")));
}
