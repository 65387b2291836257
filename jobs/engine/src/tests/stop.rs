//! Tests of stopping a running job: cancellation, time limit, death of the process.

use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use super::{claim_all, register};
use crate::{
    ActiveAttempts, Answer, AttemptContext, AttemptEnd, Claimed, Done, EffectSpec, EffectState, Interrupt, Job,
    JobContext, JobError, JobState, Kind, NotCompleted, Queue, Remote, Retry, Tx,
    ids::{AccountId, JobId, TenantId},
    ledger,
    testing::Bench,
};

/// Notes of the jobs of these tests.
static DONE: Mutex<BTreeSet<(JobId, &str)>> = Mutex::new(BTreeSet::new());

fn note(cx: &AttemptContext, what: &'static str) {
    assert!(DONE.lock().unwrap().insert((cx.job_id(), what)), "{what} twice");
}

fn has(id: JobId, what: &str) -> bool {
    DONE.lock().unwrap().contains(&(id, what))
}

/// A job whose call takes longer than its time limit.
#[derive(Debug, Serialize, Deserialize)]
struct SlowCall {}

impl Job for SlowCall {
    type Services = ();

    const KIND: &'static str = "slow_call";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_millis(300);

    async fn run(self, cx: &JobContext<()>) -> Result<Done, JobError> {
        let send = |_| async {
            note(cx, "called");
            tokio::time::sleep(Duration::from_millis(900)).await;
            Ok(Remote { id: cx.job_id().to_string(), permalink: None })
        };
        let Answer::Happened(receipt, remote) = cx.once(&effect(cx), send, |_| async { Ok(Vec::new()) }).await? else {
            panic!("it answers");
        };
        let mut tx = cx.begin().await?;
        assert!(tx.confirm(&receipt, &remote).await?);
        tx.complete(json!({})).await
    }
}

pub(super) fn effect(cx: &AttemptContext) -> EffectSpec {
    EffectSpec {
        key: format!("test:{}", cx.job_id()),
        operation: "test.call",
        account_id: AccountId::new(),
        network: "test",
        remote_account: cx.job_id().to_string(),
        request_digest: cx.job_id().to_string(),
        timeout: Duration::from_secs(20),
        lag: Duration::from_secs(20),
        patience: Duration::from_secs(20),
    }
}

/// A job that waits for ever. It reacts to a cancellation if its payload says so.
#[derive(Debug, Serialize, Deserialize)]
struct Wait {
    heeds: bool,
}

impl Job for Wait {
    type Services = ();

    const KIND: &'static str = "wait";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;

    async fn run(self, cx: &JobContext<()>) -> Result<Done, JobError> {
        note(cx, "began");
        if !self.heeds {
            std::future::pending::<()>().await;
        }
        let cancelled = cx.cancelled().await;
        note(cx, "tidied up");
        Err(cancelled)
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        if let NotCompleted::Discarded(facts) = not_completed {
            let rename = "update tenants set name = $2 where id = $1";
            sqlx::query(rename).bind(tenant_id.0).bind(facts.class.name()).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

static STOPPED: &[Kind<()>] = &[Kind::of::<SlowCall>(), Kind::of::<Wait>()];

async fn bench(pool: PgPool) -> Bench {
    Bench::new(pool, STOPPED).await
}

/// Claims the only due job.
async fn claim_one(bench: &Bench) -> Claimed {
    let worker = register(bench).await;
    claim_all(bench, worker).await.remove(0)
}

/// Runs a waiting job, cancels it like the API and interrupts it. Returns the time it took to stop.
async fn cancel_running(bench: &Bench, heeds: bool) -> (JobId, Duration) {
    let id = bench.enqueue(&Wait { heeds }).await;
    let job = claim_one(bench).await;
    let active = ActiveAttempts::default();
    let interrupt = active.insert(job.attempt);
    let engine = bench.engine.clone();
    let run = tokio::spawn(async move { engine.run(job, interrupt).await });
    while !has(id, "began") {
        assert!(!run.is_finished(), "it waits");
        tokio::task::yield_now().await;
    }
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(!ledger::cancel(&mut tx, STOPPED, id).await.unwrap(), "it runs");
    tx.commit().await.unwrap();
    let told = Instant::now();
    active.interrupt(&[id], Interrupt::Cancelled);
    let outcome = tokio::time::timeout(Duration::from_secs(10), run).await;
    assert!(matches!(outcome, Ok(Ok(AttemptEnd::Settled))), "{outcome:?}");
    assert_eq!(bench.job(id).await.state, JobState::Cancelled);
    (id, told.elapsed())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_heeds_a_request_to_cancel_tidies_up(pool: PgPool) {
    let bench = bench(pool).await;
    let (id, _) = cancel_running(&bench, true).await;
    assert!(has(id, "tidied up"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_does_not_heed_a_request_to_cancel_is_dropped(pool: PgPool) {
    let bench = bench(pool).await;
    let (_, took) = cancel_running(&bench, false).await;
    assert!(took >= Duration::from_millis(500), "it had time to tidy up: {took:?}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_call_on_its_way_when_the_time_is_over_is_not_cut_but_recorded(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&SlowCall {}).await;
    assert_eq!(bench.drain().await, 1);
    assert!(has(id, "called"));
    assert_eq!(bench.job(id).await.state, JobState::Completed);
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let effects = ledger::list_effects(&mut tx, bench.tenant_id, id).await.unwrap();
    assert_eq!((effects[0].state, effects[0].remote_id.clone()), (EffectState::Confirmed, Some(id.to_string())));
}

async fn settle_crash(bench: &Bench, wait: Duration) {
    bench.engine.db.shift_clock(wait);
    let job = claim_one(bench).await;
    let interrupt = ActiveAttempts::default().insert(job.attempt);
    let how = "signal: 6 (SIGABRT)".to_owned();
    assert!(matches!(bench.engine.settle_crash(&job, how, &interrupt).await, AttemptEnd::Settled));
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_third_death_of_its_process_discards_a_job_with_its_rows(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&Wait { heeds: false }).await;
    settle_crash(&bench, Duration::ZERO).await;
    settle_crash(&bench, Duration::from_secs(3)).await;
    assert_eq!(bench.job(id).await.state, JobState::Retryable);
    settle_crash(&bench, Duration::from_secs(10)).await;
    let row = bench.job(id).await;
    assert_eq!((row.state, row.failures, row.attempt), (JobState::Discarded, 0, 3));
    assert_eq!(bench.error_class(id).await, "poison");
    let mut tx = bench.engine.db.system().await.unwrap();
    let attempts = ledger::list_attempts(&mut tx, bench.tenant_id, id).await.unwrap();
    let outcomes: Vec<&str> = attempts.iter().map(|attempt| attempt.outcome.name()).collect();
    assert_eq!(outcomes, ["lost", "lost", "fail"]);
    let how = json!(["signal: 6 (SIGABRT)"]);
    assert!(attempts.iter().all(|attempt| attempt.error.as_ref().unwrap()["causes"] == how));
    drop(tx);
    assert_eq!(bench.tenant_name().await, "poison", "its rows followed");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_poisonous_job_reads_back_before_it_ends(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&SlowCall {}).await;
    bench.execute("update jobs set crashes = 2, poison = 2 where id = $1", id.0).await;
    let sent = "
        insert into effects (id, tenant_id, job_id, key, operation, state, attempt, request_digest, sent_at, send_until)
        select gen_random_uuid(), tenant_id, id, 'test:' || id, 'test.call', 'sent', 1, '', now(), now() + interval '1 minute'
        from jobs
        where id = $1";
    bench.execute(sent, id.0).await;
    settle_crash(&bench, Duration::ZERO).await;
    let row = bench.job(id).await;
    assert_eq!((row.state, row.suspended_on.as_deref()), (JobState::Suspended, Some("reconcile")));
}
