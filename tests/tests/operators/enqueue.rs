//! Tests of jobs enqueued by hand.

use jobs::{
    ids::{DeliveryId, JobId},
    posts::PublishPost,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{assert_problem, later};

/// Enqueues the publishing of a delivery.
async fn publish(app: &TestApp, delivery: &Value) -> (reqwest::StatusCode, Value) {
    let args = json!({ "delivery_id": delivery });
    app.post("/api/v1/jobs", json!({ "tenant_id": app.bench.tenant_id, "kind": "publish_post", "args": args })).await
}

#[sqlx::test(migrations = "../migrations")]
async fn beside_a_suspended_job_that_does_the_same_nothing_is_enqueued(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let delivery_id = DeliveryId::new();
    let waiting = later(&app, &PublishPost { delivery_id }).await;
    let (status, same) = publish(&app, &json!(delivery_id)).await;
    assert_eq!((status.as_u16(), &same["job_id"], &same["is_new"]), (202, &json!(waiting), &json!(false)), "{same}");
    app.bench.execute("update jobs set state = 'suspended', suspended_on = 'person' where id = $1", waiting.0).await;
    let refused = publish(&app, &json!(delivery_id)).await;
    assert_problem(&refused, 409, "job_suspended");
    let detail = refused.1["detail"].as_str().unwrap();
    assert!(detail.contains(&waiting.to_string()) && detail.contains("person"), "{detail}");
    assert_eq!(app.count_jobs("publish_post").await, [("suspended".to_owned(), 1)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_publication_is_on_the_account_of_its_delivery(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.bench.connect_page().await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "account_ids": [account], "caption": "Two for one" });
    let (_, created) = app.post("/api/v1/posts/create", body).await;
    let scheduled: JobId = serde_json::from_value(created["job_ids"][0].clone()).unwrap();
    let delivery = app.bench.job(scheduled).await.args["delivery_id"].clone();
    // Without this the response would name the existing job.
    app.bench.execute("delete from jobs where id = $1", scheduled.0).await;
    let (status, made) = publish(&app, &delivery).await;
    assert_eq!((status.as_u16(), &made["is_new"]), (202, &json!(true)), "{made}");
    let path = format!("/api/v1/jobs/{}", made["job_id"].as_str().unwrap());
    assert_eq!(app.get(&path).await["account_id"], json!(account));
    let (_, missing) = publish(&app, &json!(Uuid::now_v7())).await;
    let path = format!("/api/v1/jobs/{}", missing["job_id"].as_str().unwrap());
    assert_eq!(app.get(&path).await["account_id"], json!(null));
}
