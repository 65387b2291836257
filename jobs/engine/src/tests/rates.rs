//! Tests of rates: a job that may not start keeps its place at no cost, with Redis and without.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{NOOPS, Noop, claim_all, register};
use crate::{
    ActiveAttempts, AttemptEnd, Claimed, JobState, Limiter, NewJob, Window, claim,
    dispatch::{self, Cursor, Order, QueueLimits},
    ids::{AccountId, WorkerId},
    queues::{self, LimitChanges},
    testing::Bench,
};

/// Makes a bench whose queue has a rate of one start in three seconds, and two at once.
async fn bench(pool: PgPool) -> (Bench, WorkerId) {
    let bench = Bench::new(pool, NOOPS).await;
    set_rate(&bench, Some(20)).await;
    let worker = register(&bench).await;
    (bench, worker)
}

async fn set_rate(bench: &Bench, starts: Option<i32>) {
    let mut tx = bench.engine.db.system().await.unwrap();
    let changes = LimitChanges { max_per_minute: Some(starts), ..LimitChanges::default() };
    queues::set_limits(&mut tx, "default", changes).await.unwrap();
    tx.commit().await.unwrap();
}

async fn enqueue(bench: &Bench, count: usize, account: Option<AccountId>) {
    let job = NewJob::new(bench.tenant_id, &Noop::default());
    let job = account.map_or(job.clone(), |id| job.on_account(id));
    let mut tx = bench.engine.db.system().await.unwrap();
    tx.enqueue_all(vec![job; count]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Makes a limiter that counts by itself. It refuses the first start of a lane, since earlier
/// starts are unknown.
fn without_redis() -> Limiter {
    Limiter::new(Window::open("redis://127.0.0.1:1", "").unwrap())
}

async fn refuse(bench: &Bench, job: &Claimed) {
    let refused = without_redis().start(&bench.engine.db, job).await.unwrap_err();
    let interrupt = ActiveAttempts::default().insert(job.attempt);
    assert!(matches!(bench.engine.snooze(job, refused, &interrupt).await, AttemptEnd::Settled));
}

async fn count(bench: &Bench, sql: &'static str) -> i64 {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
}

fn on(claimed: &[Claimed], account: Option<AccountId>) -> Vec<&Claimed> {
    claimed.iter().filter(|job| job.account_id == account).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_rate_refuses_keeps_its_place_while_its_lane_alone_rests(pool: PgPool) {
    let (bench, worker) = bench(pool).await;
    let account = Some(AccountId::new());
    enqueue(&bench, 50, account).await;
    enqueue(&bench, 50, None).await;
    let first = claim_all(&bench, worker).await;
    assert_eq!((on(&first, account).len(), on(&first, None).len()), (2, 2), "as many as may start at once");
    let refused = on(&first, account)[0];
    refuse(&bench, refused).await;
    let row = bench.job(refused.attempt.job_id).await;
    assert_eq!((row.state.name(), row.failures, row.error.unwrap()["class"].clone()), ("available", 0, json!("rate")));
    assert_eq!(count(&bench, "select count(*) from parked_accounts").await, 0);

    let second = claim_all(&bench, worker).await;
    assert_eq!((on(&second, account).len(), on(&second, None).len()), (0, 2), "the other lane goes on");
    bench.engine.db.shift_clock(Duration::from_secs(4));
    let third = claim_all(&bench, worker).await;
    assert!(on(&third, account).iter().any(|job| job.attempt.job_id == refused.attempt.job_id), "it has rested");
    dispatch::forget_rests(&bench.engine.db).await.unwrap();
    assert_eq!(count(&bench, "select count(*) from resting_lanes").await, 0);
}

#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_a_resting_lane_that_are_in_the_window_are_neither_claimed_nor_written(pool: PgPool) {
    let (bench, worker) = bench(pool).await;
    enqueue(&bench, 30, None).await;
    refuse(&bench, &claim_all(&bench, worker).await[0]).await;
    dispatch::forget_rests(&bench.engine.db).await.unwrap();
    let mut tx = bench.engine.db.system().await.unwrap();
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from jobs where state = 'available'").fetch_all(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let versions = "select sum(xmin::text::bigint)::bigint from jobs";
    let before = count(&bench, versions).await;
    let claimed = claim(&bench.engine.db, worker, "default", &bench.engine.kind_names(), &ids).await.unwrap();
    assert_eq!((ids.len(), claimed.len()), (29, 0));
    assert!(claim_all(&bench, worker).await.is_empty());
    assert_eq!(count(&bench, versions).await, before, "no row was written");
    set_rate(&bench, None).await;
    assert_eq!(claim_all(&bench, worker).await.len(), 29, "a rate that is lifted counts at once");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_rate_gives_no_job_up_that_has_been_due_for_days(pool: PgPool) {
    let (bench, worker) = bench(pool).await;
    let id = bench.enqueue(&Noop::default()).await;
    bench.execute("update jobs set due_at = due_at - interval '5 days' where id = $1", id.0).await;
    refuse(&bench, &claim_all(&bench, worker).await[0]).await;
    assert_eq!(bench.job(id).await.state, JobState::Available);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_slow_rate_lets_jobs_start_while_redis_is_away(pool: PgPool) {
    let (bench, worker) = bench(pool).await;
    enqueue(&bench, 1, None).await;
    let (job, limiter, begun) = (claim_all(&bench, worker).await.remove(0), without_redis(), Instant::now());
    while limiter.start(&bench.engine.db, &job).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(15), "it never starts");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(3), "not before its time: {:?}", begun.elapsed());
    assert!(limiter.start(&bench.engine.db, &job).await.is_err(), "the next one waits again");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lane_behind_thousands_that_rest_has_its_turn(pool: PgPool) {
    let (bench, _) = bench(pool).await;
    let resting = "
        with lanes as (
          insert into resting_lanes (queue, tenant_id, lane, until)
          select 'default', $1, gen_random_uuid(), now() + interval '1 hour'
          from generate_series(1, 2500)
          returning lane
        )
        insert into jobs (id, tenant_id, kind, queue, args, state, run_at, due_at, account_id)
        select gen_random_uuid(), $1, 'noop', 'default', '{}', 'available', now(), now(), lane
        from lanes";
    bench.execute(resting, bench.tenant_id.0).await;
    let last = AccountId(Uuid::max());
    enqueue(&bench, 1, Some(last)).await;
    let (kinds, limits, cursor) = (bench.engine.kind_names(), QueueLimits::default(), &mut Cursor::default());
    let order =
        Order { queue: "default", priority: 2, kinds: &kinds, limits, room: 40, at_once: Some(2), is_marked: false };
    let mut released = Vec::new();
    for _ in 0..4 {
        let mut tx = dispatch::begin(&bench.engine.db).await.unwrap();
        released.extend(dispatch::release(&mut tx, &order, cursor).await.unwrap());
        tx.commit().await.unwrap();
    }
    assert_eq!(released.len(), 1, "it is found, and nothing else");
}
