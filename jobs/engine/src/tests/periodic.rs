//! Tests of periodic jobs: each tick becomes one job, even with several leaders.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use serde_json::json;
use sqlx::PgPool;

use super::{NOOPS, Noop};
use crate::{
    JobState, Periodic,
    periodic::{self, PeriodicRow},
    testing::Bench,
};

const HOURLY: &[Periodic] = &[Periodic::of::<Noop>("tidy", "0 * * * *")];

const HOUR: Duration = Duration::from_hours(1);

async fn tick(bench: &Bench) -> usize {
    periodic::tick(&bench.engine.db, HOURLY, false).await.unwrap()
}

async fn list(bench: &Bench) -> Vec<PeriodicRow> {
    let mut tx = bench.engine.db.system().await.unwrap();
    periodic::list_periodic(&mut tx).await.unwrap()
}

/// Makes a bench with a mirrored list, half an hour before a tick.
async fn bench(pool: PgPool) -> Bench {
    let bench = Bench::new(pool, NOOPS).await;
    let minute = u64::from(bench.now().await.minute());
    bench.engine.db.shift_clock(Duration::from_mins(90 - minute));
    assert_eq!(periodic::tick(&bench.engine.db, HOURLY, true).await.unwrap(), 0, "what is new waits for its tick");
    bench
}

async fn count_jobs(bench: &Bench) -> i64 {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_scalar("select count(*) from job_ledger").fetch_one(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_tick_becomes_one_job_however_many_leaders_tick(pool: PgPool) {
    let bench = bench(pool).await;
    for ticks in 1..=3 {
        bench.engine.db.shift_clock(HOUR);
        let taken = futures_util::future::join_all((0..8).map(|_| tick(&bench))).await;
        assert_eq!(taken.iter().sum::<usize>(), 1, "{taken:?}");
        assert_eq!(tick(&bench).await, 0);
        bench.drain().await;
        assert_eq!(count_jobs(&bench).await, ticks);
    }
    let row = &list(&bench).await[0];
    assert_eq!((row.last_tick.minute(), row.now - row.last_tick < TimeDelta::hours(1)), (0, true));
}

#[sqlx::test(migrations = "../../migrations")]
async fn after_a_downtime_only_the_latest_tick_is_caught_up_on(pool: PgPool) {
    let bench = bench(pool).await;
    bench.engine.db.shift_clock(240 * HOUR);
    assert_eq!((tick(&bench).await, tick(&bench).await), (1, 0));
    assert_eq!((bench.drain().await, count_jobs(&bench).await), (1, 1));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_tick_finds_the_last_job_waiting_and_does_not_make_another(pool: PgPool) {
    let bench = bench(pool).await;
    for _ in 0..3 {
        bench.engine.db.shift_clock(HOUR);
        assert_eq!(tick(&bench).await, 1);
    }
    assert_eq!(count_jobs(&bench).await, 1);
    bench
        .execute("update jobs set state = 'suspended', suspended_on = 'person' where id <> $1", uuid::Uuid::nil())
        .await;
    bench.engine.db.shift_clock(HOUR);
    assert_eq!((tick(&bench).await, tick(&bench).await), (1, 0), "a suspended one makes the tick pass");
    assert_eq!(count_jobs(&bench).await, 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_paused_has_no_ticks_and_catches_up_once(pool: PgPool) {
    let bench = bench(pool).await;
    let pause = async |paused| {
        let mut tx = bench.engine.db.system().await.unwrap();
        let row = periodic::set_paused(&mut tx, "tidy", paused).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        row.paused_at
    };
    assert!(pause(true).await.is_some());
    bench.engine.db.shift_clock(5 * HOUR);
    assert_eq!(tick(&bench).await, 0);
    assert!(pause(false).await.is_none());
    assert_eq!((tick(&bench).await, tick(&bench).await), (1, 0));
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_list_is_the_one_in_code_and_what_people_said_stays(pool: PgPool) {
    let bench = bench(pool).await;
    let mut tx = bench.engine.db.system().await.unwrap();
    periodic::set_paused(&mut tx, "tidy", true).await.unwrap();
    tx.commit().await.unwrap();
    let before = list(&bench).await[0].last_tick;
    let changed = [Periodic::of::<Noop>("added", "5 4 * * *"), Periodic::of::<Noop>("tidy", "30 * * * *")];
    periodic::tick(&bench.engine.db, &changed, true).await.unwrap();
    let rows = list(&bench).await;
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["added", "tidy"]);
    assert_eq!((rows[1].cron.as_str(), rows[1].last_tick, rows[1].paused_at.is_some()), ("30 * * * *", before, true));
    periodic::tick(&bench.engine.db, &changed[..1], true).await.unwrap();
    assert_eq!(list(&bench).await.len(), 1, "what is gone from the code is gone");
}

#[sqlx::test(migrations = "../../migrations")]
async fn it_runs_at_once_when_somebody_asks_and_keeps_its_ticks(pool: PgPool) {
    let bench = bench(pool).await;
    let before = list(&bench).await[0].last_tick;
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(periodic::run_now(&mut tx, HOURLY, "nope").await.unwrap().is_none());
    let job = periodic::run_now(&mut tx, HOURLY, "tidy").await.unwrap().unwrap();
    assert_eq!(periodic::run_now(&mut tx, HOURLY, "tidy").await.unwrap().unwrap().id, job.id);
    tx.commit().await.unwrap();
    let row = bench.run(job.id).await;
    assert_eq!((row.state, row.tenant_id, row.args), (JobState::Completed, crate::ids::TenantId::SYSTEM, json!({})));
    assert_eq!(list(&bench).await[0].last_tick, before);
}

#[test]
fn ticks_are_in_utc() {
    let time: DateTime<Utc> = "2026-03-29T01:59:59Z".parse().unwrap();
    let ticks: Vec<String> =
        std::iter::successors(periodic::next_tick("30 2 * * *", time), |&tick| periodic::next_tick("30 2 * * *", tick))
            .take(2)
            .map(|tick| tick.to_rfc3339())
            .collect();
    assert_eq!(ticks, ["2026-03-29T02:30:00+00:00", "2026-03-30T02:30:00+00:00"]);
    assert_eq!(periodic::next_tick("30 2 30 2 *", time), None, "there is no such day");
}
