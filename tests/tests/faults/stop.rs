//! Tests of `SIGTERM`: running jobs may end, the others are handed back.

use std::time::Duration;

use jobs::{
    engine::{JobState, NewJob, Window, dispatch::Released},
    fault_probe::{FaultProbe, Probe},
    noop::Noop,
};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, PgPool};
use tests::{
    TestApp,
    fault_trial::{FaultTrial, Load, small_or_long},
    ledger,
    report::Group,
    until,
};

use crate::TWO_MINUTES;

/// Enqueues jobs that take `ms` at their first attempt, and no time later.
async fn sleepers(trial: &mut FaultTrial, count: usize, ms: u64) {
    let probe = FaultProbe { what: Probe::Sleep, ms, attempts: Some(1) };
    let jobs = vec![NewJob::new(trial.app.bench.tenant_id, &probe); count];
    trial.enqueue_jobs(jobs).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn twenty_running_jobs_end_or_are_handed_back_at_no_cost(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Stop, "with 20 running jobs").await;
    for _ in 0..small_or_long(1, 5) {
        trial.app.bench.sandbox.fault("publish_feed", json!({ "times": 4, "reply_delay_ms": 3000 })).await;
        let worker = trial.app.worker(&[]).await;
        trial.begin(Load { posts: 4, ..Load::default() }).await;
        sleepers(&mut trial, 8, 4_000).await;
        sleepers(&mut trial, 8, 50_000).await;
        trial.app.wait_until_some("fault_probe", "executing", 16).await;
        trial.app.wait_until_some("publish_post", "executing", 4).await;
        let (code, took) = worker.terminate().await;
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(25), "the platform kills after 30 seconds: {took:?}");
        let expected = |done: i64| [("available".to_owned(), 8), ("completed".to_owned(), done)];
        let done = trial.app.count_jobs("fault_probe").await.last().unwrap().1;
        assert_eq!(trial.app.count_jobs("fault_probe").await, expected(done), "what could end in time did");
        let successor = trial.app.worker(&[]).await;
        trial.settle(TWO_MINUTES).await;
        successor.terminate().await;
    }
    let jobs = ledger::list_jobs(&trial.app.bench.engine.db).await.unwrap();
    let costly: Vec<_> = jobs.iter().filter(|job| job.failures > 0 || job.crashes > 0).collect();
    assert!(costly.is_empty(), "a stop costs nothing: {costly:?}");
    let twice = jobs.iter().filter(|job| job.kind == "fault_probe" && job.attempt == 2).count();
    assert_eq!(twice, small_or_long(8, 40), "only the jobs that were handed back ran again");
    assert!(jobs.iter().all(|job| job.kind != "publish_post" || job.attempt == 1), "calls in flight were not cut");
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_signal_ends_the_process_at_once(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Stop, "twice").await;
    for _ in 0..small_or_long(1, 5) {
        let worker = trial.app.worker(&[]).await;
        trial.begin(Load::default()).await;
        sleepers(&mut trial, 5, 50_000).await;
        trial.app.wait_until_some("fault_probe", "executing", 5).await;
        worker.signal("TERM").await;
        worker.says("no new work from here on").await;
        let (code, took) = worker.terminate().await;
        assert_eq!(code, Some(1));
        assert!(took < Duration::from_secs(10), "at once: {took:?}");
        let successor = trial.app.worker(&[]).await;
        trial.settle(TWO_MINUTES).await;
        successor.terminate().await;
    }
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn calls_that_can_be_repeated_are_cut_when_the_grace_is_over(pool: PgPool) {
    let trial = FaultTrial::new(pool, Group::Stop, "over calls of a language model").await;
    let app = &trial.app;
    app.bench.sandbox.fault("chat_completion", json!({ "times": 3, "delay_ms": 20_000 })).await;
    let worker = app.worker(&[("WORKER_DRAIN_SECONDS", "1"), ("WORKER_QUEUES", "ai:6")]).await;
    let path = format!("/api/v1/tenants/{}/calendars", app.bench.tenant_id);
    for _ in 0..3 {
        let (status, body) = app.post(&path, json!({ "month": "2027-03", "posts": 2 })).await;
        assert_eq!(status, 202, "{body}");
    }
    app.wait_until_some("generate_calendar", "executing", 3).await;
    let (code, took) = worker.terminate().await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(app.count_jobs("generate_calendar").await, [("available".to_owned(), 3)]);
    let _successor = app.worker(&[]).await;
    app.wait_until_all("generate_calendar", "completed", TWO_MINUTES).await;
    let jobs = app.get("/api/v1/jobs?kind=generate_calendar").await;
    let free = |job: &Value| job["failures"] == json!(0) && job["crashes"] == json!(0);
    assert!(jobs["items"].as_array().unwrap().iter().all(free), "a stop costs nothing");
}

/// The claim waits for a lock at the signal, and succeeds while the worker deregisters.
#[sqlx::test(migrations = "../migrations")]
async fn a_claim_on_its_way_at_the_signal_is_handed_back_at_no_cost(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let worker = app.worker(&[("WORKER_LEASE_SECONDS", "30")]).await;
    let (mut claims, mut leases) = (lock(&app, "lock table queues").await, lock(&app, "select").await);
    let id = app.bench.enqueue(&Noop::default()).await;
    let window = Window::open(&app.redis_url, &app.redis_prefix).unwrap();
    window.push("default", &[Released { id: id.0, place: 0 }]).await.unwrap();
    let mut observer = PgConnection::connect(&app.database_url).await.unwrap();
    until("the claim waits", Duration::from_mins(1), async || {
        let waiting = "
            select true from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%claimable%' and pid <> pg_backend_pid()";
        sqlx::query_scalar::<_, bool>(waiting).fetch_optional(&mut observer).await.unwrap()
    })
    .await;
    // Deregistering is delayed, and the claim succeeds meanwhile.
    sqlx::query("select from workers for update").execute(&mut leases).await.unwrap();
    worker.signal("TERM").await;
    worker.says("no new work from here on").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    sqlx::query("rollback").execute(&mut claims).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    sqlx::query("rollback").execute(&mut leases).await.unwrap();
    worker.ended(Duration::from_mins(1)).await;
    let job = app.bench.job(id).await;
    assert_eq!((job.state, job.attempt, job.crashes), (JobState::Available, 1, 0));
}

/// Opens a transaction that holds a lock.
async fn lock(app: &TestApp, statement: &'static str) -> PgConnection {
    let mut holder = PgConnection::connect(&app.database_url).await.unwrap();
    sqlx::query("begin").execute(&mut holder).await.unwrap();
    sqlx::query(statement).execute(&mut holder).await.unwrap();
    holder
}
