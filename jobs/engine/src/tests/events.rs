//! Tests of events: they stay in order, are written rarely, and never by a superseded attempt.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use super::{Noop, claim_all, register};
use crate::{
    AttemptContext, Cause, CauseClass, Done, Job, JobContext, JobError, JobState, Kind, Level, OnFailed, Queue, Retry,
    events::{self, EventRow, Progress},
    ids::JobId,
    testing::Bench,
};

/// A job that reports progress a thousand times and ends as its payload says.
#[derive(Debug, Serialize, Deserialize)]
struct Chatty {
    ends: String,
}

impl Job for Chatty {
    type Services = ();

    const KIND: &'static str = "chatty";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_millis(300);

    async fn run(self, cx: &JobContext<()>) -> Result<Done, JobError> {
        cx.log(Level::Info, "begins");
        for done in 1..=1_000 {
            cx.progress(done, 1_000, "cooking");
        }
        match self.ends.as_str() {
            "with writes" => cx.begin().await?.complete(json!({})).await,
            "waiting" if cx.attempt().number == 1 => cx.begin().await?.wait_for_children(OnFailed::GoOn).await,
            "retry" => Err(JobError::Retry(Cause::plain(CauseClass::Transient, "scripted"))),
            "panic" => panic!("scripted"),
            "hang" => std::future::pending().await,
            _ => Ok(Done::nothing("scripted")),
        }
    }
}

static CHATTY: &[Kind<()>] = &[Kind::of::<Chatty>(), Kind::of::<Noop>()];

async fn bench(pool: PgPool) -> Bench {
    Bench::new(pool, CHATTY).await
}

async fn chat(bench: &Bench, ends: &str) -> JobId {
    bench.enqueue(&Chatty { ends: ends.to_owned() }).await
}

async fn events(bench: &Bench, id: JobId) -> Vec<EventRow> {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let events = events::list_events(&mut tx, bench.tenant_id, id, 0, 5_000).await.unwrap();
    let numbers: Vec<i32> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<_>>(), "numbered without gaps");
    events
}

/// Claims an attempt, which the test itself then plays.
async fn running(bench: &Bench) -> AttemptContext {
    chat(bench, "").await;
    let worker = register(bench).await;
    let claimed = claim_all(bench, worker).await;
    AttemptContext::new(&claimed[0], bench.engine.db.clone())
}

/// Waits until a job has that many events.
async fn wait_for_events(bench: &Bench, id: JobId, count: usize) -> Vec<EventRow> {
    let begun = Instant::now();
    loop {
        let events = events(bench, id).await;
        if events.len() >= count {
            return events;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{} events", events.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Returns the number of rows that progress makes in this time, beside its first and its last.
fn rows_of_progress(time: Duration) -> usize {
    usize::try_from(time.as_millis() / 500).unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_last_progress_is_written_however_a_job_ends(pool: PgPool) {
    let bench = bench(pool).await;
    for ends in ["with writes", "without", "waiting", "retry", "panic", "hang"] {
        let id = chat(&bench, ends).await;
        let begun = Instant::now();
        bench.run(id).await;
        let most = 3 + rows_of_progress(begun.elapsed());
        let events = events(&bench, id).await;
        assert_eq!((events[0].level.as_str(), events[0].message.as_str()), ("info", "begins"), "{ends}");
        assert!(events.len() <= most, "{ends}: {} rows", events.len());
        assert_eq!(events.iter().filter(|event| event.done == Some(1_000)).count(), 1, "{ends}: the last one, once");
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let progress = events::get_progress(&mut tx, bench.tenant_id, id).await.unwrap();
        assert_eq!(progress, Some(Progress { done: 1_000, total: 1_000, message: "cooking".to_owned() }), "{ends}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_says_nothing_writes_no_event(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&Noop::default()).await;
    bench.drain().await;
    assert!(events(&bench, id).await.is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn progress_makes_two_rows_a_second_while_the_job_runs(pool: PgPool) {
    let bench = bench(pool).await;
    let cx = running(&bench).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_700) {
        cx.progress(u64::try_from(begun.elapsed().as_millis()).unwrap(), 1_700, "cooking");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let written = events(&bench, cx.job_id()).await;
    let most = 2 + rows_of_progress(begun.elapsed());
    assert!((2..=most).contains(&written.len()), "{} rows in {:?}", written.len(), begun.elapsed());
    cx.progress(1_700, 1_700, "done");
    let written = wait_for_events(&bench, cx.job_id(), written.len() + 1).await;
    assert_eq!(written.last().unwrap().message, "done", "nobody has to end for it");
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_overtaken_attempt_writes_none(pool: PgPool) {
    let bench = bench(pool).await;
    let cx = running(&bench).await;
    cx.log(Level::Info, "mine");
    wait_for_events(&bench, cx.job_id(), 1).await;
    bench.execute("update jobs set attempt = attempt + 1 where id = $1", cx.job_id().0).await;
    cx.log(Level::Info, "late");
    cx.progress(1, 2, "late");
    tokio::time::sleep(Duration::from_millis(700)).await;
    cx.log(Level::Info, "later");
    cx.events.flush().await;
    assert!(cx.begin().await.unwrap().complete(json!({})).await.is_err());
    assert_eq!(events(&bench, cx.job_id()).await.len(), 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn numbers_go_on_in_the_next_attempt_and_after_the_job_came_back_from_its_history(pool: PgPool) {
    let bench = bench(pool).await;
    let id = chat(&bench, "retry").await;
    for _ in 0..5 {
        bench.drain_after(Duration::from_secs(80)).await;
    }
    assert_eq!(bench.job(id).await.state, JobState::Discarded);
    bench.retry(id).await;
    bench.drain().await;
    let attempts: Vec<i32> = events(&bench, id).await.iter().map(|event| event.attempt).collect();
    assert!(attempts.is_sorted() && attempts.first() == Some(&1) && attempts.last() == Some(&6), "{attempts:?}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_transaction_of_the_job_that_holds_its_row_is_not_waited_for(pool: PgPool) {
    let bench = bench(pool).await;
    let cx = running(&bench).await;
    let mut tx = cx.begin().await.unwrap();
    sqlx::query("select from jobs where id = $1 for update").bind(cx.job_id().0).execute(&mut **tx).await.unwrap();
    let begun = Instant::now();
    cx.progress(1, 2, "half");
    tokio::time::sleep(Duration::from_millis(600)).await;
    cx.progress(2, 2, "whole");
    tx.complete(json!({})).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let events = events(&bench, cx.job_id()).await;
    assert_eq!((events.len(), events[0].message.as_str()), (1, "whole"), "{events:?}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_log_has_an_end_and_takes_any_words(pool: PgPool) {
    let bench = bench(pool).await;
    let cx = running(&bench).await;
    cx.log(Level::Error, &format!("a \0 and much {}", "x".repeat(5_000)));
    for line in 0..3_000 {
        cx.log(Level::Info, &line.to_string());
    }
    cx.progress(1, 1, "still said");
    let events = wait_for_events(&bench, cx.job_id(), 2_001).await;
    assert_eq!((events.len(), events[0].message.chars().count()), (2_001, 1_000));
    assert_eq!((events[1_999].level.as_str(), events[2_000].message.as_str()), ("warning", "still said"));
}
