//! Tests of very many jobs at once beside one of another tenant.

use std::time::Duration;

use jobs::{engine::NewJob, noop::Noop, tenants};
use serde_json::json;
use sqlx::PgPool;
use tests::{
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
