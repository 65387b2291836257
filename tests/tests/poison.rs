//! Tests of jobs that kill their process, and of jobs that were near one, with real worker
//! processes.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::time::{Duration, Instant};

use jobs::{
    engine::{JobState, ledger},
    fault_probe::{FaultProbe, Probe, ShortTimeoutProbe},
    ids::JobId,
};
use reqwest::Method;
use sqlx::PgPool;
use tests::{TestApp, Worker, answer, parent_of};

const SOON: Duration = Duration::from_mins(1);

async fn probe(app: &TestApp, what: Probe, ms: u64) -> JobId {
    app.bench.enqueue(&FaultProbe { what, ms, attempts: None }).await
}

/// Enqueues a job under which two processes died.
async fn suspect(app: &TestApp, what: Probe, ms: u64) -> JobId {
    let id = probe(app, what, ms).await;
    app.bench.execute("update jobs set crashes = 2 where id = $1", id.0).await;
    id
}

/// Waits until a condition holds for a job.
async fn wait_until(
    app: &TestApp,
    id: JobId,
    at_most: Duration,
    is: impl Fn(&ledger::JobRow) -> bool,
) -> ledger::JobRow {
    let begun = Instant::now();
    loop {
        let job = app.bench.job(id).await;
        if is(&job) {
            return job;
        }
        assert!(begun.elapsed() < at_most, "after {at_most:?}: {job:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the worker's only child runs its job, and returns the child's process id.
async fn child(app: &TestApp, worker: &Worker, id: JobId) -> u32 {
    wait_until(app, id, SOON, |job| job.state == JobState::Executing).await;
    worker.says("runs alone").await;
    let children = worker.children();
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}

async fn wait_until_gone(process: u32) {
    let begun = Instant::now();
    while parent_of(process).is_some() {
        assert!(begun.elapsed() < Duration::from_secs(15), "{process} has not ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn outcomes(app: &TestApp, id: JobId) -> Vec<(String, String)> {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let attempts = ledger::list_attempts(&mut tx, app.bench.tenant_id, id).await.unwrap();
    let class = |error: Option<serde_json::Value>| error.unwrap_or_default()["class"].as_str().unwrap_or("").to_owned();
    attempts.into_iter().map(|attempt| (attempt.outcome.name().to_owned(), class(attempt.error))).collect()
}

async fn poison(app: &TestApp, id: JobId) -> i16 {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    sqlx::query_scalar("select poison from job_ledger where id = $1").bind(id.0).fetch_one(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_aborts_its_process_beside_19_good_ones_ends_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let bad = probe(&app, Probe::Abort, 400).await;
    let mut good = Vec::new();
    for _ in 0..19 {
        good.push(probe(&app, Probe::Sleep, 1_000).await);
    }
    for _ in 0..2 {
        app.worker(&[("WORKER_QUEUES", "default:20")]).await.ended(SOON).await;
    }
    let worker = app.worker(&[("WORKER_QUEUES", "default:20")]).await;
    let ended = wait_until(&app, bad, Duration::from_mins(2), |job| job.state == JobState::Discarded).await;
    assert_eq!((ended.crashes, ended.failures, poison(&app, bad).await), (2, 0, 3));
    assert_eq!(app.bench.error_class(bad).await, "poison");
    let outcomes = outcomes(&app, bad).await;
    let words: Vec<&str> = outcomes.iter().map(|(outcome, _)| outcome.as_str()).collect();
    assert_eq!(words, ["lost", "lost", "lost", "lost", "fail"]);
    for id in good {
        let job = wait_until(&app, id, Duration::from_mins(2), |job| job.state == JobState::Completed).await;
        // Each crash costs one attempt and nothing else.
        assert_eq!((job.attempt, job.failures, poison(&app, id).await), (job.crashes + 1, 0, 0), "{job:?}");
        assert!(job.crashes <= 2, "{job:?}");
    }
    assert_eq!(worker.terminate().await.0, Some(0), "the third worker lives");
}

#[sqlx::test(migrations = "../migrations")]
async fn suspects_hold_nobody_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for _ in 0..6 {
        suspect(&app, Probe::Sleep, 20_000).await;
    }
    let worker = app.worker(&[("WORKER_QUEUES", "default:2")]).await;
    app.wait_until_some("fault_probe", "executing", 3).await;
    let other = probe(&app, Probe::Ok, 0).await;
    wait_until(&app, other, SOON, |job| job.state == JobState::Completed).await;
    let begun = Instant::now();
    while worker.children().len() < 2 {
        assert!(begun.elapsed() < SOON, "two run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(worker.children().len(), 2, "and no more");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_under_which_two_workers_were_killed_completes_alone_and_is_no_poison(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = probe(&app, Probe::Sleep, 1_500).await;
    for attempt in 1..=2 {
        let worker = app.worker(&[]).await;
        wait_until(&app, id, SOON, |job| job.state == JobState::Executing && job.attempt == attempt).await;
        worker.kill().await;
    }
    let worker = app.worker(&[]).await;
    wait_until(&app, id, SOON, |job| job.state == JobState::Executing && job.attempt == 3).await;
    child(&app, &worker, id).await;
    let job = wait_until(&app, id, SOON, |job| job.state == JobState::Completed).await;
    assert_eq!((job.crashes, job.failures, poison(&app, id).await), (2, 0, 0));
    let lost = |class: &str| ("lost".to_owned(), class.to_owned());
    assert_eq!(outcomes(&app, id).await, [lost("lost"), lost("lost")]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_child_ends_with_its_worker_even_if_that_is_killed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = suspect(&app, Probe::Sleep, 30_000).await;
    let worker = app.worker(&[]).await;
    let child = child(&app, &worker, id).await;
    worker.kill().await;
    wait_until_gone(child).await;
    let _successor = app.worker(&[]).await;
    let job = wait_until(&app, id, SOON, |job| job.state == JobState::Retryable).await;
    assert_eq!((job.crashes, poison(&app, id).await), (3, 0), "a crash of the worker does not count as the job's own");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_request_to_cancel_reaches_a_job_that_runs_alone_and_one_that_waits_for_its_turn(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let worker = app.worker(&[("WORKER_LEASE_SECONDS", "60")]).await;
    let first = suspect(&app, Probe::Sleep, 30_000).await;
    child(&app, &worker, first).await;
    let second = suspect(&app, Probe::Sleep, 30_000).await;
    // Only this line shows that both places are taken: a claimed attempt may still wait for one.
    worker.says(&format!("runs alone job_id={second}")).await;
    let waits = suspect(&app, Probe::Abort, 0).await;
    wait_until(&app, waits, SOON, |job| job.state == JobState::Executing).await;
    // The signal may arrive before the claim's result. Then the renewal finds the request, after 20
    // seconds.
    for (id, at_most) in [(waits, Duration::from_mins(1)), (first, Duration::from_secs(10))] {
        cancel(&app, id).await;
        wait_until(&app, id, at_most, |job| job.state == JobState::Cancelled).await;
    }
    assert_eq!(poison(&app, waits).await, 0, "it never ran");
    assert_eq!(outcomes(&app, first).await, [("fail".to_owned(), "cancelled".to_owned())]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_is_asked_to_stop_hands_back_what_runs_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = suspect(&app, Probe::Sleep, 30_000).await;
    let worker = app.worker(&[("WORKER_DRAIN_SECONDS", "1")]).await;
    let child = child(&app, &worker, id).await;
    let (code, took) = worker.terminate().await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(15), "the drain ends after a second, not with the job: {took:?}");
    wait_until_gone(child).await;
    let job = app.bench.job(id).await;
    assert_eq!((job.state, job.crashes, job.failures), (JobState::Available, 2, 0), "a stop costs nothing");
    assert_eq!(poison(&app, id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_signal_ends_worker_and_child_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = suspect(&app, Probe::Sleep, 30_000).await;
    let worker = app.worker(&[]).await;
    let child = child(&app, &worker, id).await;
    let (code, took) = worker.terminate_impatiently().await;
    assert!(code == Some(1) && took < Duration::from_secs(10), "{code:?} after {took:?}");
    wait_until_gone(child).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_runs_alone_has_its_time_limit(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.bench.enqueue(&ShortTimeoutProbe(FaultProbe { what: Probe::Sleep, ms: 30_000, attempts: None })).await;
    app.bench.execute("update jobs set crashes = 2 where id = $1", id.0).await;
    let _worker = app.worker(&[]).await;
    let job = wait_until(&app, id, SOON, |job| job.state == JobState::Retryable).await;
    assert_eq!((job.failures, poison(&app, id).await), (1, 0));
    assert_eq!(outcomes(&app, id).await, [("retry".to_owned(), "timeout".to_owned())]);
}

async fn cancel(app: &TestApp, id: JobId) {
    let (status, body) = answer(app.request(Method::POST, &format!("/api/v1/jobs/{id}/cancel"))).await;
    assert!(status.is_success(), "{status} {body}");
}

/// Cancels a running job by the API, and returns the time until it ended.
async fn cancel_running(app: &TestApp) -> Duration {
    let id = probe(app, Probe::Sleep, 30_000).await;
    wait_until(app, id, SOON, |job| job.state == JobState::Executing).await;
    let asked = Instant::now();
    cancel(app, id).await;
    wait_until(app, id, SOON, |job| job.state == JobState::Cancelled).await;
    asked.elapsed()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_running_job_is_cancelled_long_before_its_worker_renews_its_lease(pool: PgPool) {
    let app = TestApp::new(pool).await;
    // The lease is renewed every 20 seconds.
    let _worker = app.worker(&[("WORKER_LEASE_SECONDS", "60")]).await;
    let took = cancel_running(&app).await;
    assert!(took < Duration::from_secs(10), "the cancellation does not wait for the renewal: {took:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn without_redis_a_running_job_is_cancelled_by_the_renewal(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let _worker = app.worker(&[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    cancel_running(&app).await;
}
