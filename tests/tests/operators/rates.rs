//! Tests of the rate at which jobs of a queue start.

use std::time::Duration;

use jobs::{engine::NewJob, ids::AccountId, noop::Noop};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, ledger, until};

use super::patch;

const TWO_MINUTES: Duration = Duration::from_mins(2);

/// Enqueues jobs that do nothing. The first starts at once, the next six seconds later.
async fn enqueue(app: &TestApp, jobs: Vec<NewJob>) {
    patch(app, "/api/v1/queues/default", json!({ "max_per_minute": 10 })).await;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    tx.enqueue_all(jobs).await.unwrap();
    tx.commit().await.unwrap();
}

fn noop(app: &TestApp) -> NewJob {
    NewJob::new(app.bench.tenant_id, &Noop::default())
}

async fn count_snoozed(app: &TestApp) -> i64 {
    ledger::count_attempts(&app.bench.engine.db, "later").await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn more_starts_than_a_minute_may_have_are_snoozed_at_no_cost(pool: PgPool) {
    let app = TestApp::new(pool).await;
    enqueue(&app, vec![noop(&app); 3]).await;
    let _worker = app.worker(&[]).await;
    app.wait_until_some("noop", "completed", 1).await;
    until("one is snoozed", TWO_MINUTES, async || (count_snoozed(&app).await > 0).then_some(())).await;
    let waiting = app.get("/api/v1/jobs?state=available").await;
    let snoozed: Vec<&Value> = waiting["items"].as_array().unwrap().iter().filter(|job| job["attempt"] != 0).collect();
    assert!(!snoozed.is_empty(), "{waiting}");
    for job in snoozed {
        assert_eq!((&job["error"]["class"], &job["failures"]), (&json!("rate"), &json!(0)), "{job}");
    }
    patch(&app, "/api/v1/queues/default", json!({ "max_per_minute": null })).await;
    app.wait_until_all("noop", "completed", TWO_MINUTES).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn each_account_has_starts_of_its_own_and_is_not_parked_for_them(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let accounts = [AccountId::new(), AccountId::new()];
    let jobs = accounts.iter().flat_map(|&id| vec![noop(&app).on_account(id); 2]);
    enqueue(&app, jobs.collect()).await;
    let _worker = app.worker(&[]).await;
    app.wait_until_some("noop", "completed", 2).await;
    for id in accounts {
        let ended = app.get(&format!("/api/v1/jobs?state=completed&account_id={id}")).await;
        assert_eq!(ended["items"].as_array().unwrap().len(), 1, "{ended}");
    }
    until("both rest", TWO_MINUTES, async || (count_snoozed(&app).await > 1).then_some(())).await;
    let parked = app.get("/api/v1/parked-accounts").await;
    assert_eq!(parked["items"], json!([]));
    app.wait_until_all("noop", "completed", TWO_MINUTES).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn what_waits_for_its_turn_costs_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    enqueue(&app, vec![noop(&app); 500]).await;
    let _worker = app.worker(&[]).await;
    app.wait_until_some("noop", "completed", 3).await;
    let snoozed = count_snoozed(&app).await;
    assert!(snoozed < 60, "{snoozed} attempts for three starts of 500 jobs");
}
