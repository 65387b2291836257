//! Tests of enqueueing, unique keys, children, retries and the rescue.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use super::{any_time, claim_all, register};
use crate::{
    Cause, CauseClass, Done, Job, JobContext, JobError, JobState, Kind, NewJob, OnFailed, Parked, Queue, Retry,
    dispatch,
    ids::JobId,
    lease,
    ledger::{self, ActionError},
    rescue,
    testing::Bench,
};

/// A job that does what its payload says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Scripted {
    key: Option<String>,
    children: u32,
    child_fails: bool,
    what: String,
}

impl Job for Scripted {
    type Services = ();

    const KIND: &'static str = "scripted";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_millis(200);

    fn unique_key(&self) -> Option<String> {
        self.key.clone()
    }

    async fn run(self, cx: &JobContext<()>) -> Result<Done, JobError> {
        match self.what.as_str() {
            "panic" => panic!("scripted"),
            "hang" => std::future::pending().await,
            "nul" => Err(JobError::Fail(Cause::plain(CauseClass::Permanent, "a body with a \0 in it"))),
            "nul result" => Ok(Done::nothing("a body with a \0 in it")),
            "fail" => Err(JobError::Fail(Cause::plain(CauseClass::Permanent, "scripted"))),
            "park" => Err(JobError::Park(Parked::Job, None, Cause::plain(CauseClass::Reauth, "scripted"))),
            "again" => cx.begin().await?.complete(json!("ran")).await,
            _ if self.children > 0 && cx.attempt().number == 1 => {
                let what = if self.child_fails { "fail" } else { "" }.to_owned();
                let child = Self { what, ..Self::default() };
                let children = (0..self.children).map(|_| NewJob::new(cx.tenant_id(), &child).child_of(cx.attempt()));
                let mut tx = cx.begin().await?;
                tx.enqueue_all(children.collect()).await?;
                tx.wait_for_children(OnFailed::GoOn).await
            }
            _ => Ok(Done::nothing("scripted")),
        }
    }
}

static SCRIPTED: &[Kind<()>] = &[Kind::of::<Scripted>()];

async fn bench(pool: PgPool) -> Bench {
    Bench::new(pool, SCRIPTED).await
}

fn scripted(what: &str) -> Scripted {
    Scripted { what: what.to_owned(), ..Scripted::default() }
}

async fn state(bench: &Bench, id: JobId) -> JobState {
    bench.job(id).await.state
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_exists_only_if_its_transaction_committed(pool: PgPool) {
    let bench = bench(pool).await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    tx.enqueue(NewJob::new(bench.tenant_id, &scripted(""))).await.unwrap();
    drop(tx);
    assert_eq!(bench.drain().await, 0);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_for_later_waits_for_its_time(pool: PgPool) {
    let bench = bench(pool).await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let now: DateTime<Utc> = sqlx::query_scalar("select engine_now()").fetch_one(&mut *tx).await.unwrap();
    let job = NewJob::new(bench.tenant_id, &scripted("")).at(now + Duration::from_hours(1));
    let id = tx.enqueue(job).await.unwrap().id;
    tx.commit().await.unwrap();
    assert_eq!((bench.drain().await, state(&bench, id).await), (0, JobState::Scheduled));
    assert_eq!(bench.drain_after(Duration::from_secs(3601)).await, 1);
    assert_eq!(state(&bench, id).await, JobState::Completed);
}

#[sqlx::test(migrations = "../../migrations")]
async fn one_unfinished_job_has_a_key(pool: PgPool) {
    let bench = bench(pool).await;
    let keyed = || Scripted { key: Some("k".to_owned()), ..Scripted::default() };
    let first = bench.enqueue(&keyed()).await;
    assert_eq!(bench.enqueue(&keyed()).await, first);
    bench.drain().await;
    let second = bench.enqueue(&keyed()).await;
    assert_ne!(second, first, "a finished job does not count");

    let parked = bench.enqueue(&Scripted { key: Some("p".to_owned()), ..scripted("park") }).await;
    bench.drain().await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let again = Scripted { key: Some("p".to_owned()), ..scripted("park") };
    let refused = tx.enqueue(NewJob::new(bench.tenant_id, &again)).await.unwrap_err();
    assert!(refused.to_string().contains(&parked.to_string()), "{refused}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn jobs_are_answered_in_their_order(pool: PgPool) {
    let bench = bench(pool).await;
    let job = |key: Option<&str>, what: &str| Scripted { key: key.map(str::to_owned), ..scripted(what) };
    let waiting = bench.enqueue(&job(Some("m"), "waits")).await;
    let asked = [
        job(Some("z"), "first"),
        job(None, "second"),
        job(Some("m"), "waits"),
        job(Some("z"), "not another"),
        job(Some("a"), "fourth"),
        job(None, "fifth"),
    ];
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let jobs = asked.iter().map(|job| NewJob::new(bench.tenant_id, job)).collect();
    let enqueued = tx.enqueue_all(jobs).await.unwrap();
    tx.commit().await.unwrap();
    let mut answered = Vec::new();
    for job in &enqueued {
        answered.push((bench.job(job.id).await.args["what"].as_str().unwrap().to_owned(), job.is_new));
    }
    let expected = [("first", true), ("second", true), ("waits", false), ("fourth", true), ("fifth", true)];
    assert_eq!(answered, expected.map(|(what, is_new)| (what.to_owned(), is_new)));
    assert_eq!(enqueued[2].id, waiting);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_running_job_that_is_asked_for_again_runs_again(pool: PgPool) {
    let bench = bench(pool).await;
    let keyed = || Scripted { key: Some("k".to_owned()), ..scripted("again") };
    let id = bench.enqueue(&keyed()).await;
    bench.execute("update jobs set state = 'executing', attempt = 1, worker_id = id where id = $1", id.0).await;
    assert_eq!(bench.enqueue(&keyed()).await, id);
    let mut tx = bench.engine.db.system().await.unwrap();
    let attempt = crate::Attempt { job_id: id, tenant_id: bench.tenant_id, number: 1, depth: 0 };
    crate::settle::complete(&mut tx, &[(attempt, json!(null))]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bench.drain().await, state(&bench, id).await), (1, JobState::Completed));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_parent_goes_on_when_its_children_ended(pool: PgPool) {
    let bench = bench(pool).await;
    for child_fails in [false, true] {
        let parent = bench.enqueue(&Scripted { children: 3, child_fails, ..Scripted::default() }).await;
        assert_eq!(bench.drain().await, 5, "the parent twice, each child once");
        let row = bench.job(parent).await;
        assert_eq!((row.state, row.pending, row.attempt), (JobState::Completed, 0, 2));
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_child_counts_once_in_its_life(pool: PgPool) {
    let bench = bench(pool).await;
    let parent = bench.enqueue(&Scripted { children: 1, child_fails: true, ..Scripted::default() }).await;
    bench.drain().await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let filter = ledger::JobFilter { parent_id: Some(parent), ..ledger::JobFilter::default() };
    let child = ledger::list_jobs::<()>(&mut tx, &[], &filter, 10).await.unwrap().jobs[0].id;
    drop(tx);
    bench.retry(child).await;
    bench.drain().await;
    assert_eq!((bench.job(child).await.state, bench.job(parent).await.pending), (JobState::Discarded, 0));
}

#[sqlx::test(migrations = "../../migrations")]
async fn panics_and_timeouts_are_failures_that_are_tried_again(pool: PgPool) {
    let bench = bench(pool).await;
    for (what, class) in [("panic", "panic"), ("hang", "timeout")] {
        let id = bench.enqueue(&scripted(what)).await;
        bench.drain().await;
        assert_eq!((state(&bench, id).await, bench.error_class(id).await.as_str()), (JobState::Retryable, class));
        for _ in 0..4 {
            bench.drain_after(Duration::from_secs(80)).await;
        }
        let row = bench.job(id).await;
        assert_eq!((row.state, row.failures, row.attempt), (JobState::Discarded, 5, 5));
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_payload_that_cannot_be_read_ends_the_job(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&scripted("")).await;
    bench.execute("update jobs set args = '[1]' where id = $1", id.0).await;
    bench.drain().await;
    assert_eq!((state(&bench, id).await, bench.error_class(id).await.as_str()), (JobState::Discarded, "payload"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn words_that_the_database_could_not_store_settle_their_job(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&scripted("nul")).await;
    bench.drain().await;
    assert_eq!(state(&bench, id).await, JobState::Discarded);
    let id = bench.enqueue(&scripted("nul result")).await;
    bench.drain().await;
    assert_eq!(bench.job(id).await.result, Some(json!({ "nothing": "a body with a  in it" })));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_kind_that_nobody_runs_holds_nobody_up(pool: PgPool) {
    let bench = bench(pool).await;
    let unknown = bench.enqueue(&scripted("")).await;
    bench.execute("update jobs set kind = 'of_tomorrow' where id = $1", unknown.0).await;
    let known = bench.enqueue(&scripted("")).await;
    assert_eq!(bench.drain().await, 1);
    assert_eq!((state(&bench, unknown).await, state(&bench, known).await), (JobState::Suspended, JobState::Completed));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_running_job_that_is_asked_for_again_runs_again_even_if_it_fails(pool: PgPool) {
    let bench = bench(pool).await;
    let keyed = || Scripted { key: Some("k".to_owned()), ..scripted("fail") };
    let id = bench.enqueue(&keyed()).await;
    bench.execute("update jobs set rerun_requested = true where id = $1", id.0).await;
    assert_eq!(bench.drain().await, 2);
    assert_eq!(state(&bench, id).await, JobState::Discarded);
}

#[sqlx::test(migrations = "../../migrations")]
async fn staff_retry_what_ended_and_cancel_what_waits(pool: PgPool) {
    let bench = bench(pool).await;
    let failed = bench.enqueue(&scripted("fail")).await;
    let done = bench.enqueue(&scripted("")).await;
    bench.drain().await;
    bench.retry(failed).await;
    assert_eq!(state(&bench, failed).await, JobState::Available);
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(
        matches!(ledger::retry(&mut tx, done).await, Err(ActionError::State(state)) if state == JobState::Completed)
    );
    assert!(matches!(ledger::retry(&mut tx, JobId::new()).await, Err(ActionError::Missing)));
    assert!(ledger::cancel(&mut tx, SCRIPTED, failed).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!((bench.drain().await, state(&bench, failed).await), (0, JobState::Cancelled));
}

/// Claims one due job for a process whose lease ends at once.
async fn claim_and_die(bench: &Bench) {
    let worker = register(bench).await;
    assert_eq!(claim_all(bench, worker).await.len(), 1);
    lease::deregister(&bench.engine.db, worker).await.unwrap();
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_job_of_a_dead_process_runs_again_and_counts_a_crash(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&scripted("")).await;
    claim_and_die(&bench).await;
    assert_eq!(rescue(&bench.engine.db, any_time()).await.unwrap(), 1);
    bench.drain_after(Duration::from_secs(3)).await;
    let row = bench.job(id).await;
    assert_eq!((row.state, row.attempt, row.crashes, row.failures), (JobState::Completed, 2, 1, 0));
}

#[sqlx::test(migrations = "../../migrations")]
async fn nothing_is_rescued_while_the_clock_is_not_where_it_should_be(pool: PgPool) {
    let bench = bench(pool).await;
    bench.enqueue(&scripted("")).await;
    claim_and_die(&bench).await;
    let (past, future) = (*any_time().start(), *any_time().end());
    for elsewhere in [past..=past, future..=future] {
        assert_eq!(rescue(&bench.engine.db, elsewhere).await.unwrap(), 0);
    }
    assert_eq!(rescue(&bench.engine.db, any_time()).await.unwrap(), 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lease_from_before_the_clock_was_set_back_is_over(pool: PgPool) {
    let bench = bench(pool).await;
    bench.enqueue(&scripted("")).await;
    let (db, worker) = (&bench.engine.db, register(&bench).await);
    assert_eq!(claim_all(&bench, worker).await.len(), 1);
    assert_eq!(rescue(db, any_time()).await.unwrap(), 0, "it lives");
    let ahead = "
        update workers
        set renewed_at = renewed_at + interval '2 minutes', expires_at = expires_at + interval '2 minutes'
        where id = $1";
    bench.execute(ahead, worker.0).await;
    assert!(dispatch::capacity(db).await.unwrap().kinds.is_empty());
    assert_eq!(rescue(db, any_time()).await.unwrap(), 1);
    let lease = Duration::from_mins(1);
    assert!(lease::renew(db, worker, lease, true, &[], lease).await.unwrap().is_alive, "its process may renew it");
    assert!(!dispatch::capacity(db).await.unwrap().kinds.is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lease_that_the_clock_overtook_stands_for_its_process(pool: PgPool) {
    let bench = bench(pool).await;
    let (db, worker, lease) = (&bench.engine.db, register(&bench).await, Duration::from_mins(1));
    lease::deregister(db, worker).await.unwrap();
    assert!(!lease::renew(db, worker, lease, false, &[], lease).await.unwrap().is_alive);
    let renewal = lease::renew(db, worker, lease, true, &[], lease).await.unwrap();
    assert!(renewal.is_alive && renewal.was_overtaken);
    assert!(!lease::renew(db, worker, lease, true, &[], lease).await.unwrap().was_overtaken);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_leadership_from_before_the_clock_was_set_back_is_taken_over(pool: PgPool) {
    let bench = bench(pool).await;
    let (db, lease) = (&bench.engine.db, Duration::from_secs(4));
    let (first, second) = (register(&bench).await, register(&bench).await);
    assert!(dispatch::lead(db, first, lease, false).await.unwrap().0);
    assert!(!dispatch::lead(db, second, lease, false).await.unwrap().0);
    bench
        .execute("update leadership set expires_at = expires_at + interval '2 minutes' where holder = $1", first.0)
        .await;
    assert!(dispatch::lead(db, second, lease, false).await.unwrap().0);
}
