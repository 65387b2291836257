//! Tests of one action on many jobs.

use jobs::{engine::JobState, ids::DeliveryId, noop::Noop, posts::PublishPost};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{assert_problem, do_to, later, many_later, noop_later};

async fn bulk(app: &TestApp, body: Value) -> Value {
    let (status, body) = app.post("/api/v1/jobs/bulk", body).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[sqlx::test(migrations = "../migrations")]
async fn by_ids_each_is_done_or_counted_with_the_reason(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let twin = PublishPost { delivery_id: DeliveryId::new() };
    let (first, ended, waiting) = (later(&app, &twin).await, noop_later(&app).await, noop_later(&app).await);
    for id in [first, ended] {
        do_to(&app, id, "discard").await;
    }
    later(&app, &twin).await;
    let body = json!({ "action": "retry", "ids": [first, ended, waiting, Uuid::now_v7()] });
    let dry = bulk(&app, json!({ "action": "retry", "ids": body["ids"], "dry_run": true })).await;
    assert_eq!(app.bench.job(ended).await.state, JobState::Discarded);
    let wet = bulk(&app, body).await;
    for view in [&dry, &wet] {
        assert_eq!((&view["matched"], &view["done"]), (&json!(4), &json!({ "available": 1 })));
        assert_eq!(view["skipped"], json!({ "live_twin": 1, "not_found": 1, "wrong_state": 1 }));
    }
    assert_eq!((&dry["dry_run"], &wet["dry_run"]), (&json!(true), &json!(false)));
    assert_eq!(app.bench.job(ended).await.state, JobState::Available);
}

#[sqlx::test(migrations = "../migrations")]
async fn by_filter_up_to_a_thousand_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    many_later(&app, app.bench.tenant_id, &Noop::default(), 1_000).await;
    let other = later(&app, &PublishPost { delivery_id: DeliveryId::new() }).await;
    let filter = json!({ "kind": "noop", "state": "scheduled" });
    let dry = bulk(&app, json!({ "action": "discard", "filter": filter, "dry_run": true })).await;
    assert_eq!((&dry["matched"], &dry["is_complete"]), (&json!(1_000), &json!(true)));
    let done = bulk(&app, json!({ "action": "discard", "filter": filter })).await;
    assert_eq!(done["done"], json!({ "discarded": 1_000 }));
    assert_eq!(app.count_jobs("noop").await, [("discarded".to_owned(), 1_000)]);
    assert_eq!(app.bench.job(other).await.state, JobState::Scheduled);
}

#[sqlx::test(migrations = "../migrations")]
async fn past_a_thousand_as_a_job_of_its_own(pool: PgPool) {
    let app = TestApp::new(pool).await;
    many_later(&app, app.bench.tenant_id, &Noop::default(), 1_001).await;
    let body = json!({ "action": "cancel", "filter": { "kind": "noop" } });
    let (status, accepted) = app.post("/api/v1/jobs/bulk", body).await;
    assert_eq!(status, 202, "{accepted}");
    assert_eq!((&accepted["matched"], &accepted["is_complete"]), (&json!(1_001), &json!(true)));
    let after = noop_later(&app).await;
    app.bench.drain().await;
    let job = app.get(&format!("/api/v1/jobs/{}", accepted["job_id"].as_str().unwrap())).await;
    assert_eq!((&job["state"], &job["kind"]), (&json!("completed"), &json!("act_on_jobs")));
    assert_eq!(job["tenant_id"], json!(Uuid::nil()), "it concerns every tenant");
    assert_eq!(job["result"]["done"], json!({ "cancelled": 1_001 }));
    assert_eq!((&job["progress"]["done"], &job["progress"]["total"]), (&json!(1_000), &json!(1_001)));
    assert_eq!(app.bench.job(after).await.state, JobState::Scheduled, "made after the request");
}

#[sqlx::test(migrations = "../migrations")]
async fn nonsense_is_refused_by_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids: Vec<Uuid> = (0..1_001).map(|_| Uuid::now_v7()).collect();
    for (body, field) in [
        (json!({ "action": "retry" }), "ids"),
        (json!({ "action": "retry", "ids": [ids[0]], "filter": { "kind": "noop" } }), "filter"),
        (json!({ "action": "retry", "filter": {} }), "filter"),
        (json!({ "action": "retry", "ids": [] }), "ids"),
        (json!({ "action": "retry", "ids": ids }), "ids"),
        (json!({ "action": "explode", "ids": [ids[0]] }), "action"),
        (json!({ "action": "retry", "ids": [ids[0]], "force": true }), "force"),
        (json!({ "action": "retry", "filter": { "state": "nope" } }), "state"),
        (json!({ "action": "retry", "filter": { "kinds": "noop" } }), "kinds"),
    ] {
        let (status, problem) = app.post("/api/v1/jobs/bulk", body).await;
        assert!(status.is_client_error(), "{field}: {status} {problem}");
        assert!(problem["detail"].as_str().unwrap().to_lowercase().contains(field), "{field}: {problem}");
    }
    let body = json!({ "action": "retry", "filter": { "tenant_id": Uuid::nil() } });
    assert_problem(&app.post("/api/v1/jobs/bulk", body).await, 404, "not_found");
}
