//! Tests of the clock with several workers: each tick is taken once.

use std::time::Duration;

use chrono::Timelike as _;
use sqlx::PgPool;
use tests::{TestApp, Worker, ledger, until};
use uuid::Uuid;

/// The kind that the clock enqueues here.
const KIND: &str = "refresh_tokens";

/// Returns an app whose clock is far from every real tick, so that only the test causes ticks.
async fn app(pool: PgPool) -> TestApp {
    let mut app = TestApp::new(pool).await;
    let minute = u64::from(app.bench.now().await.minute());
    app.shift_clock(Duration::from_mins((113 - minute) % 60));
    app
}

/// Makes the latest tick due again: moves the last tick back by more than the time between two
/// ticks.
async fn make_a_tick_due(app: &TestApp) {
    until("the list is there", Duration::from_mins(1), async || {
        let list = app.get("/api/v1/periodic").await;
        list["items"].as_array().filter(|items| !items.is_empty()).map(|_| ())
    })
    .await;
    let sql = "update periodic set last_tick = last_tick - interval '2 hours' where kind = 'refresh_tokens' and $1::uuid is not null";
    app.bench.execute(sql, Uuid::nil()).await;
}

async fn leads(app: &TestApp, worker: &Worker) {
    until("it leads", Duration::from_mins(1), async || {
        (ledger::leader(&app.bench.engine.db).await.unwrap() == Some(worker.id())).then_some(())
    })
    .await;
}

/// Waits until as many jobs have completed as ticks were due.
async fn one_job_a_tick(app: &TestApp, ticks: i64) {
    app.wait_until_some(KIND, "completed", ticks).await;
    assert_eq!(app.count_jobs(KIND).await, [("completed".to_owned(), ticks)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn each_tick_is_one_job_with_three_workers_whose_leader_dies(pool: PgPool) {
    let app = app(pool).await;
    let leader = app.worker(&[]).await;
    leads(&app, &leader).await;
    let (second, third) = (app.worker(&[]).await, app.worker(&[]).await);
    for ticks in 1..=3 {
        make_a_tick_due(&app).await;
        one_job_a_tick(&app, ticks).await;
    }
    leader.kill().await;
    for ticks in 4..=6 {
        make_a_tick_due(&app).await;
        one_job_a_tick(&app, ticks).await;
    }
    second.terminate().await;
    third.terminate().await;
    // Any duplicate would be there by now.
    one_job_a_tick(&app, 6).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_leader_that_stopped_over_a_tick_does_not_take_it_after_its_successor(pool: PgPool) {
    let app = app(pool).await;
    let leader = app.worker(&[("LINECOOK_FAILPOINTS", "before_tick:stop")]).await;
    leads(&app, &leader).await;
    let follower = app.worker(&[]).await;
    make_a_tick_due(&app).await;
    leader.stops().await;
    leads(&app, &follower).await;
    one_job_a_tick(&app, 1).await;
    leader.signal("CONT").await;
    leader.says("lost the lease").await;
    make_a_tick_due(&app).await;
    one_job_a_tick(&app, 2).await;
    leader.terminate().await;
    follower.terminate().await;
    one_job_a_tick(&app, 2).await;
}
