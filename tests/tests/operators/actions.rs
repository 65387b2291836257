//! Tests of actions on one job: retry, cancel, discard, run now.

use jobs::{engine::JobState, ids::DeliveryId, noop::Noop, operations::ActOnJobs, posts::PublishPost};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{assert_problem, do_to, later, many_later, noop_later};

#[sqlx::test(migrations = "../migrations")]
async fn each_action_does_what_it_says(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = noop_later(&app).await;
    for (action, status, word) in [
        ("retry", 409, "wrong_state"),
        ("cancel", 200, "cancelled"),
        ("cancel", 409, "wrong_state"),
        ("discard", 409, "wrong_state"),
        ("run-now", 409, "wrong_state"),
        ("retry", 200, "available"),
        ("discard", 200, "discarded"),
        ("retry", 200, "available"),
    ] {
        let (answered, body) = do_to(&app, id, action).await;
        let said = if status == 200 { &body["state"] } else { &body["code"] };
        assert_eq!((answered.as_u16(), said), (status, &json!(word)), "{action}: {body}");
    }
    app.bench.drain().await;
    let job = app.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(job["state"], "completed");
    assert_problem(&do_to(&app, id, "retry").await, 409, "wrong_state");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_scheduled_job_runs_now_when_told_to(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = noop_later(&app).await;
    app.bench.drain().await;
    assert_eq!(do_to(&app, id, "run-now").await.1["state"], "available");
    app.bench.drain().await;
    assert_eq!(app.bench.job(id).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_running_job_is_asked_to_stop_and_not_discarded(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = noop_later(&app).await;
    app.bench.execute("update jobs set state = 'executing', worker_id = id where id = $1", id.0).await;
    assert_problem(&do_to(&app, id, "discard").await, 409, "wrong_state");
    let (status, job) = do_to(&app, id, "cancel").await;
    assert_eq!((status.as_u16(), &job["state"]), (200, &json!("executing")));
    assert!(job["cancel_requested_at"].is_string());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_was_given_up_and_made_anew_does_not_come_back_beside_its_twin(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let job = PublishPost { delivery_id: DeliveryId::new() };
    let first = later(&app, &job).await;
    do_to(&app, first, "discard").await;
    later(&app, &job).await;
    assert_problem(&do_to(&app, first, "retry").await, 409, "live_twin");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_parent_takes_a_thousand_unfinished_children_along_and_no_more(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let parent = noop_later(&app).await;
    let children = many_later(&app, app.bench.tenant_id, &Noop::default(), 1_001).await;
    app.bench.execute("update jobs set parent_id = $1, depth = 1 where id <> $1", parent.0).await;
    let sql = "update jobs set state = 'suspended', suspended_on = 'children', pending = 1001 where id = $1";
    app.bench.execute(sql, parent.0).await;
    assert_problem(&do_to(&app, parent, "cancel").await, 409, "too_many_children");
    let untouched = [("scheduled".to_owned(), 1_001), ("suspended".to_owned(), 1)];
    assert_eq!(app.count_jobs("noop").await, untouched);
    assert_eq!(do_to(&app, children[0], "cancel").await.1["state"], "cancelled");
    assert_eq!(do_to(&app, parent, "cancel").await.1["state"], "cancelled");
    assert_eq!(app.count_jobs("noop").await, [("cancelled".to_owned(), 1_002)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_kind_keeps_to_itself_is_not_shown(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let args = json!({
        "action": "cancel", "filter": { "tenant_id": Uuid::now_v7() },
        "actor": { "key_id": Uuid::nil(), "name": "x", "remote_address": "192.0.2.7" },
    });
    let job: ActOnJobs = serde_json::from_value(args).unwrap();
    let id = later(&app, &job).await;
    let unknown = noop_later(&app).await;
    app.bench.execute("update jobs set kind = 'of_tomorrow', args = '{\"secret\": 1}' where id = $1", unknown.0).await;
    let views = [
        app.get(&format!("/api/v1/jobs/{id}")).await,
        app.get(&format!("/api/v1/jobs/{unknown}")).await,
        app.get("/api/v1/jobs").await,
        do_to(&app, id, "cancel").await.1,
    ];
    for view in &views {
        let text = view.to_string();
        assert!(text.contains("[redacted]") && !text.contains("192.0.2.7") && !text.contains("secret"), "{text}");
    }
    assert_eq!(views[0]["args"]["actor"]["name"], "x");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_list_has_filters_and_refuses_nonsense_by_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let waiting = noop_later(&app).await;
    let ended = noop_later(&app).await;
    do_to(&app, ended, "discard").await;
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    for (query, expected) in [
        ("", vec![ended, waiting]),
        ("state=discarded", vec![ended]),
        ("state=scheduled&queue=default&kind=noop", vec![waiting]),
        ("q=somebody", vec![ended]),
        ("until=2000-01-01T00:00:00Z", vec![]),
        ("since=2000-01-01T00:00:00Z", vec![ended, waiting]),
    ] {
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(ids(&app.get(&format!("/api/v1/jobs?{query}")).await), expected, "{query}");
    }
    for (query, field) in [
        ("state=nope", "state"),
        ("since=yesterday", "since"),
        ("since=2001-01-01T00:00:00Z&until=2000-01-01T00:00:00Z", "since"),
        ("q=x", "q"),
        ("q=a%00b", "q"),
        ("parent_id=7", "parent_id"),
        ("account_id=7", "account_id"),
        ("limit=0", "limit"),
        ("after=x", "after"),
    ] {
        let (status, problem) =
            tests::answer(app.request(reqwest::Method::GET, &format!("/api/v1/jobs?{query}"))).await;
        assert!(status.is_client_error(), "{query}: {status} {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(field), "{query}: {problem}");
    }
}
