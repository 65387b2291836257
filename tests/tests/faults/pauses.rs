//! Tests of `SIGSTOP` past the lease: the woken worker writes nothing and sends nothing.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    Worker,
    fault_trial::{FaultTrial, Load, small_or_long},
    ledger,
    report::Group,
};

use crate::TWO_MINUTES;

const ONE_POST: Load = Load { posts: 1, noops: 5, later: 0, failing: 0 };

/// Starts a worker that stops at the failpoint, and one that takes over. Returns both once the
/// first attempt at the post was rescued.
async fn stopped_at(trial: &mut FaultTrial, point: &str) -> (Worker, Worker) {
    trial.begin(ONE_POST).await;
    let stopped = trial.app.launch(&[("LINECOOK_FAILPOINTS", &format!("{point}:stop"))]);
    stopped.stops().await;
    let successor = trial.app.worker(&[]).await;
    let already = rescued(trial).await;
    tests::until("the attempt is rescued", Duration::from_mins(1), async || {
        (rescued(trial).await > already).then_some(())
    })
    .await;
    (stopped, successor)
}

async fn rescued(trial: &FaultTrial) -> i64 {
    ledger::count_attempts(&trial.app.bench.engine.db, "lost").await.unwrap()
}

/// Wakes the stopped worker, and waits until it has lost its lease and released everything.
async fn wake(stopped: Worker) {
    stopped.signal("CONT").await;
    stopped.says("lost the lease").await;
    let (code, _) = stopped.terminate().await;
    assert_eq!(code, Some(0));
}

async fn last_post(trial: &FaultTrial) -> Value {
    trial.app.get("/api/v1/jobs?kind=publish_post&limit=1").await["items"][0].clone()
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_was_stopped_before_a_call_is_written_down_sends_nothing(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Pause, "past the lease, before the call is written down").await;
    for _ in 0..small_or_long(1, 10) {
        let (stopped, successor) = stopped_at(&mut trial, "before_sent").await;
        trial.app.wait_until_all("publish_post", "completed", TWO_MINUTES).await;
        let settled = last_post(&trial).await;
        wake(stopped).await;
        trial.settle(TWO_MINUTES).await;
        assert_eq!(last_post(&trial).await, settled, "the woken worker changed nothing");
        assert!(settled["attempt"].as_i64() > Some(1), "{settled}");
        successor.terminate().await;
    }
    let (asked, posts) = (trial.app.bench.sandbox.calls("publish_feed").await, trial.published().await.len());
    assert_eq!(usize::try_from(asked).unwrap(), posts, "each post was sent once");
    trial.end().await;
}

/// A worker woken past its lease but within the call's timeout still sends. So the worker that
/// finds `sent` waits for the timeout.
#[sqlx::test(migrations = "../migrations")]
async fn one_that_was_stopped_before_the_first_byte_may_send_in_time_and_records_nothing(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Pause, "past the lease, before the first byte").await;
    for _ in 0..small_or_long(1, 10) {
        let (stopped, successor) = stopped_at(&mut trial, "sent").await;
        wake(stopped).await;
        trial.settle(TWO_MINUTES).await;
        assert_eq!(last_post(&trial).await["result"]["read_back"], json!(true), "the successor recorded it");
        successor.terminate().await;
    }
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_was_stopped_past_the_time_of_the_call_sends_nothing(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Pause, "past the call's time, before the first byte").await;
    for _ in 0..small_or_long(1, 5) {
        let (stopped, successor) = stopped_at(&mut trial, "sent").await;
        // The successor waits for the call's timeout before it looks.
        trial.settle(TWO_MINUTES).await;
        let settled = last_post(&trial).await;
        assert_eq!(settled["suspended_on"], json!("unknown_effect"), "{settled}");
        wake(stopped).await;
        assert_eq!(last_post(&trial).await, settled, "the woken worker changed nothing");
        successor.terminate().await;
    }
    assert_eq!(trial.app.bench.sandbox.calls("publish_feed").await, 0, "nothing was sent");
    assert_eq!(trial.judge().await, small_or_long(1, 5));
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_was_stopped_after_a_call_records_nothing(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Pause, "past the lease, after the call").await;
    for _ in 0..small_or_long(1, 10) {
        let (stopped, successor) = stopped_at(&mut trial, "answered").await;
        let rescued = last_post(&trial).await;
        wake(stopped).await;
        assert_eq!(last_post(&trial).await, rescued, "the woken worker changed nothing");
        trial.settle(TWO_MINUTES).await;
        assert_eq!(last_post(&trial).await["result"]["read_back"], json!(true), "the successor recorded it");
        successor.terminate().await;
    }
    assert_eq!(trial.app.bench.sandbox.calls("publish_feed").await, u64::from(small_or_long(1_u32, 10)));
    trial.end().await;
}
