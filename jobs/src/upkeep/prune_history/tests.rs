use std::{sync::Arc, time::Duration};

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::PruneHistory;
use crate::{engine::JobState, ids::JobId, noop::Noop, testing::Bench};

const DAY: Duration = Duration::from_hours(24);

/// Makes finished jobs with an attempt and an event each, all in one state.
async fn finished(bench: &Bench, count: i32, state: &str) {
    let sql = "
        with made as (
          insert into job_history (id, tenant_id, kind, queue, args, state, priority, due_at, attempt, failures, crashes,
            poison, depth, failed_children, counted, created_at, ended_at)
          select gen_random_uuid(), $1, 'noop', 'default', '{}', $2, 2, engine_now(), 1, 0, 0, 0, 0, 0, true,
            engine_now(), engine_stamp()
          from generate_series(1, $3)
          returning tenant_id, id
        ),
        attempts as (
          insert into job_attempts (tenant_id, job_id, attempt, outcome) select tenant_id, id, 1, 'retry' from made
        )
        insert into job_events (tenant_id, job_id, seq, attempt, level, message)
        select tenant_id, id, 1, 1, 'info', 'said' from made";
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query(sql).bind(bench.tenant_id.0).bind(state).bind(count).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Returns the numbers of jobs in the history, attempts and events.
async fn rows(bench: &Bench) -> (i64, i64, i64) {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_as(
        "
        select (select count(*) from job_history where kind = 'noop'), (select count(*) from job_attempts),
          (select count(*) from job_events)
        ",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap()
}

async fn prune(bench: &Bench) -> serde_json::Value {
    let job = bench.enqueue_for_system(&PruneHistory::default()).await;
    let job = bench.run(job).await;
    assert_eq!(job.state, JobState::Completed, "{:?}", job.error);
    job.result.unwrap()
}

#[test]
fn the_payload_keeps_its_form() {
    assert_eq!(serde_json::to_value(PruneHistory::default()).unwrap(), json!({}));
}

#[sqlx::test(migrations = "../migrations")]
async fn finished_jobs_go_after_their_days_with_all_that_belongs_to_them(pool: PgPool) {
    let bench = Bench::new(pool).await;
    finished(&bench, 2_300, "completed").await;
    finished(&bench, 10, "discarded").await;
    bench.engine.db.shift_clock(29 * DAY);
    finished(&bench, 5, "completed").await;
    assert_eq!(prune(&bench).await["jobs"], 0);
    bench.engine.db.shift_clock(2 * DAY);
    assert_eq!(prune(&bench).await["jobs"], 2_300);
    assert_eq!(rows(&bench).await, (15, 15, 15));
    assert_eq!(prune(&bench).await["jobs"], 0, "a second run finds nothing");
    bench.engine.db.shift_clock(60 * DAY);
    prune(&bench).await;
    assert_eq!(rows(&bench).await, (0, 0, 0), "discarded ones after 90 days");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_oldest_go_when_there_are_too_many(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    finished(&bench, 1_200, "discarded").await;
    bench.engine.db.shift_clock(DAY);
    finished(&bench, 1_000, "completed").await;
    Arc::make_mut(&mut bench.engine.services).upkeep.job_history_rows = 1_100;
    assert_eq!(prune(&bench).await["jobs"], 1_100, "also discarded ones");
    assert_eq!(rows(&bench).await, (1_100, 1_100, 1_100));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unfinished_job_loses_nothing_however_old_it_is(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = bench.enqueue(&Noop::default()).await;
    unfinished_rows(&bench, job).await;
    bench.engine.db.shift_clock(1_000 * DAY);
    prune(&bench).await;
    assert_eq!(rows(&bench).await, (0, 1, 1));
    assert_eq!(bench.job(job).await.state, JobState::Available);
    assert_eq!(effects(&bench, job).await, 5, "its effects stay too");
}

/// Makes an attempt, an event and an effect in each state.
async fn unfinished_rows(bench: &Bench, job: JobId) {
    for sql in [
        "insert into job_attempts (tenant_id, job_id, attempt, outcome) select tenant_id, id, 1, 'lost' from jobs where id = $1",
        "
        insert into job_events (tenant_id, job_id, seq, attempt, level, message)
        select tenant_id, id, 1, 1, 'info', 'said' from jobs where id = $1
        ",
        "
        insert into effects (id, tenant_id, job_id, key, operation, state, attempt, request_digest, sent_at, send_until,
          remote_id)
        select gen_random_uuid(), tenant_id, id, effect_state, 'post', effect_state, 1, '', engine_now(), engine_now(),
          effect_state
        from jobs, unnest(array['intended', 'sent', 'confirmed', 'unknown', 'failed']) effect_state
        where id = $1
        ",
    ] {
        bench.execute(sql, job.0).await;
    }
}

async fn effects(bench: &Bench, job: JobId) -> i64 {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_scalar("select count(*) from effects where job_id = $1").bind(job.0).fetch_one(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn effects_outlive_their_jobs_and_open_ones_stay_for_good(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = bench.enqueue(&Noop::default()).await;
    unfinished_rows(&bench, job).await;
    bench.execute("delete from effects where state <> 'confirmed' and job_id = $1", job.0).await;
    assert_eq!(bench.run(job).await.state, JobState::Completed);
    bench.engine.db.shift_clock(399 * DAY);
    assert_eq!(prune(&bench).await, json!({ "jobs": 1, "effects": 0, "taken": 0 }));
    bench.engine.db.shift_clock(2 * DAY);
    assert_eq!(prune(&bench).await["effects"], 1);

    let gone = bench.enqueue(&Noop::default()).await;
    unfinished_rows(&bench, gone).await;
    bench.execute("delete from jobs where id = $1", gone.0).await;
    bench.engine.db.shift_clock(401 * DAY);
    assert_eq!(prune(&bench).await["effects"], 3, "the intended, the confirmed and the failed one");
    assert_eq!(effects(&bench, gone).await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_was_retried_meanwhile_is_not_pruned(pool: PgPool) {
    let bench = Bench::new(pool).await;
    finished(&bench, 1, "discarded").await;
    bench.engine.db.shift_clock(100 * DAY);
    let mut tx = bench.engine.db.system().await.unwrap();
    let id: Uuid = sqlx::query_scalar("select id from job_history").fetch_one(&mut *tx).await.unwrap();
    drop(tx);
    bench.retry(JobId(id)).await;
    prune(&bench).await;
    assert_eq!(rows(&bench).await, (0, 1, 1));
    assert_eq!(bench.run(JobId(id)).await.attempt, 2);
}
