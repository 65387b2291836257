//! How often jobs of a queue start.

use std::time::Duration;

use jobs::noop::Noop;
use serde_json::json;
use sqlx::PgPool;
use tests::TestApp;

use super::patch;

const TWO_MINUTES: Duration = Duration::from_mins(2);

#[sqlx::test(migrations = "../migrations")]
async fn more_starts_than_a_minute_may_have_are_put_off_at_no_cost(pool: PgPool) {
    let app = TestApp::new(pool).await;
    patch(&app, "/api/v1/queues/default", json!({ "max_per_minute": 10 })).await;
    for _ in 0..3 {
        app.bench.enqueue(&Noop::default()).await;
    }
    let _worker = app.worker(&[]).await;
    app.wait_until_some("noop", "completed", 1).await;
    app.wait_until_some("noop", "scheduled", 2).await;
    let put_off = app.get("/api/v1/jobs?state=scheduled").await;
    for job in put_off["items"].as_array().unwrap() {
        assert_eq!((&job["error"]["class"], &job["failures"]), (&json!("rate"), &json!(0)), "{job}");
    }
    patch(&app, "/api/v1/queues/default", json!({ "max_per_minute": null })).await;
    app.wait_until_all("noop", "completed", TWO_MINUTES).await;
}
