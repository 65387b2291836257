//! Tests of very many jobs at once beside one of another tenant.

use std::time::Duration;

use jobs::{
    engine::NewJob,
    ids::{AccountId, TenantId},
    noop::Noop,
    tenants,
};
use serde_json::json;
use sqlx::PgPool;
use tests::{
    TestApp,
    fault_trial::{FaultTrial, Load, small_or_long},
    ledger,
    report::Group,
};

use crate::TWO_MINUTES;

/// The jobs of the crowd that may end before the lone one: as many as one pass promotes.
const AHEAD: i64 = 2_000;

#[sqlx::test(migrations = "../migrations")]
async fn one_job_is_not_held_up_by_20_000_of_another_tenant_due_in_the_same_second(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Job, "20,000 due in one second, one of another tenant").await;
    let db = trial.app.bench.engine.db.clone();
    let _worker = trial.app.worker(&[]).await;
    for _ in 0..small_or_long(1, 5) {
        trial.begin(Load::default()).await;
        let mut tx = db.system().await.unwrap();
        let lone = tenants::store::insert(&mut tx, "Lone Diner", "lone@example.com", tenants::plans::Plan::Basic)
            .await
            .unwrap()
            .id;
        tx.commit().await.unwrap();
        let due = trial.app.bench.now().await + Duration::from_secs(4);
        let noop = |tenant| NewJob::new(tenant, &Noop::default()).at(due);
        trial.enqueue_jobs(vec![noop(trial.app.bench.tenant_id); 20_000]).await;
        let job = trial.enqueue_jobs(vec![noop(lone)]).await[0];
        trial.settle(TWO_MINUTES).await;
        let before = ledger::count_ended_before(&db, job, trial.app.bench.tenant_id.0, due).await.unwrap();
        println!("{before} of the 20,000 ended before it");
        assert!(before < AHEAD, "{before} of the 20,000 ended before the one job");
    }
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn twenty_thousand_jobs_at_once_are_worked_off_and_each_runs_once(pool: PgPool) {
    let trial = FaultTrial::new(pool, Group::Job, "20,000 at once").await;
    let app = &trial.app;
    let _worker = app.worker(&[]).await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "copies": 20_000 });
    let (status, body) = app.post("/api/v1/jobs", body).await;
    assert_eq!((status.as_u16(), &body["copies"]), (202, &json!(20_000)));
    app.wait_until_all("noop", "completed", TWO_MINUTES).await;
    assert_eq!(app.count_jobs("noop").await, [("completed".to_owned(), 20_000)]);
    let jobs = ledger::list_jobs(&app.bench.engine.db).await.unwrap();
    assert!(jobs.iter().all(|job| job.attempt == 1 && job.failures == 0), "each ran once, without error");
}

/// Pages of the tenant whose calls hang: more than there are slots.
const PAGES: usize = 40;

async fn publish(app: &TestApp, tenant_id: TenantId, account: AccountId, caption: &str) {
    let body = json!({ "tenant_id": tenant_id, "account_ids": [account], "caption": caption });
    let (status, body) = app.post("/api/v1/posts/create", body).await;
    assert_eq!(status, 202, "{body}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lone_tenants_post_goes_out_while_200_calls_of_another_hang(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let pages: Vec<_> =
        (0..40_u64).map(|n| json!({ "id": (10_158_250_000_000_200 + n).to_string(), "name": "Aurora" })).collect();
    let people = json!({ "people": [
        { "id": "10220000000000011", "name": "Ada", "pages": pages },
        { "id": "10220000000000012", "name": "Bea", "pages": [{ "id": "10158250000000301", "name": "Lone Diner" }] },
    ] });
    app.bench.sandbox.control("people", people).await;
    app.bench.sandbox.control("login", json!({ "person_id": "10220000000000011" })).await;
    app.bench.connect_page().await;
    let db = &app.bench.engine.db;
    let mut tx = db.system().await.unwrap();
    let busy = jobs::connections::store::list_accounts(&mut tx, app.bench.tenant_id).await.unwrap();
    let lone =
        tenants::store::insert(&mut tx, "Lone Diner", "lone@example.com", tenants::plans::Plan::Pro).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(busy.len(), PAGES);
    app.bench.sandbox.control("login", json!({ "person_id": "10220000000000012" })).await;
    let bench = app.bench.beside(lone.id);
    let account = bench.connect_page().await;
    app.bench.sandbox.fault("publish_feed", json!({ "containing": "hangs", "times": 200, "delay_ms": 60_000 })).await;
    for number in 0..200 {
        publish(&app, app.bench.tenant_id, busy[number % PAGES].id, &format!("hangs {number}")).await;
    }
    let _worker = app.worker(&[]).await;
    app.wait_until_some("publish_post", "executing", 10).await;
    publish(&app, lone.id, account, "alone").await;
    app.wait_until_some("publish_post", "completed", 1).await;
    let published = app.bench.sandbox.effects().await;
    assert_eq!(published.len(), 1, "the others hang: {published:?}");
    assert_eq!(published[0]["message"], "alone");
    let most = ledger::most_at_once(db, "publish_post").await.unwrap();
    assert!(most <= 11, "half of 20 slots, and the lone one: {most}");
}
