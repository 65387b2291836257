//! Tests of searches and of filters that leave jobs out, over HTTP.

use jobs::engine::JobState;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};

use super::{assert_problem, do_to, noop_later, other_tenant, tenant_key};

/// Returns the ids in a list of jobs.
async fn ids(app: &TestApp, query: &str) -> Vec<Value> {
    let list = app.get(&format!("/api/v1/jobs?{query}")).await;
    list["items"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_list_leaves_out_what_the_request_names(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (ended, waits) = (noop_later(&app).await, noop_later(&app).await);
    do_to(&app, ended, "cancel").await;
    let mine = app.bench.tenant_id;
    assert_eq!(ids(&app, "not_state=cancelled&not_state=completed").await, [json!(waits)]);
    assert_eq!(ids(&app, "ended_since=2020-01-01T00:00:00Z").await, [json!(ended)]);
    for nobody in ["not_kind=noop", "not_queue=default", &format!("not_tenant_id={mine}")] {
        assert!(ids(&app, nobody).await.is_empty(), "{nobody}");
    }
    let discard = json!({ "action": "discard", "filter": { "kind": "noop", "not_state": ["scheduled"] } });
    let (status, body) = app.post("/api/v1/jobs/bulk", discard).await;
    assert_eq!((status.as_u16(), &body["skipped"]), (200, &json!({ "wrong_state": 1 })));
    assert_eq!(app.bench.job(waits).await.state, JobState::Scheduled);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_finds_its_own_jobs_by_a_word_of_their_failure(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let job = noop_later(&app).await;
    let failure = "update jobs set error = '{\"class\": \"transient\", \"message\": \"Oven 7 is off\"}' where id = $1";
    app.bench.execute(failure, job.0).await;
    do_to(&app, job, "cancel").await;
    let other = tenant_key(&app, other_tenant(&app).await).await;
    let mine = tenant_key(&app, app.bench.tenant_id).await;
    for (key, expected) in [(&app.key, vec![json!(job)]), (&mine, vec![json!(job)]), (&other, vec![])] {
        let request = app.anonymous(Method::GET, "/api/v1/jobs?q=OVEN").bearer_auth(key);
        let (status, list) = answer(request).await;
        assert_eq!(status, 200, "{list}");
        let found: Vec<Value> = list["items"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect();
        assert_eq!(found, expected);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_filter_that_makes_no_sense_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let many = "not_kind=noop&".repeat(21);
    for (query, status, code) in [
        ("ended_since=2026-01-02T00:00:00Z&ended_until=2026-01-01T00:00:00Z", 422, "bad_since"),
        ("not_state=done", 400, "malformed"),
        ("not_tenant_id=krusty", 400, "malformed"),
        (many.trim_end_matches('&'), 400, "malformed"),
        ("q=x", 400, "malformed"),
    ] {
        let path = format!("/api/v1/jobs?{query}");
        assert_problem(&answer(app.request(Method::GET, &path)).await, status, code);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_list_that_takes_too_long_says_to_ask_for_less(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut blocker = app.bench.engine.db.system().await.unwrap();
    sqlx::query("set local idle_in_transaction_session_timeout = '60s'").execute(&mut *blocker).await.unwrap();
    sqlx::query("lock table job_history in access exclusive mode").execute(&mut *blocker).await.unwrap();
    let answered = answer(app.request(Method::GET, "/api/v1/jobs?state=completed")).await;
    assert_problem(&answered, 503, "took_too_long");
    assert!(answered.1["detail"].as_str().unwrap().contains("name a tenant"), "{}", answered.1);
}
