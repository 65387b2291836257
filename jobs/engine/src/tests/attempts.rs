//! Tests of `job_attempts`: each attempt that did not complete its job is noted with its facts.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use super::{any_time, claim_all, register};
use crate::{
    ActiveAttempts, AttemptEnd, Cause, CauseClass, Done, Job, JobContext, JobError, JobState, Kind, Parked, Queue,
    Retry, hand_back,
    ids::JobId,
    lease,
    ledger::{self, AttemptRow},
    rescue,
    testing::Bench,
};

/// A job that ends as its payload says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Ends {
    Retry,
    Later,
    Fail,
    Park,
    Reconcile,
    Wait,
}

impl Job for Ends {
    type Services = ();

    const KIND: &'static str = "ends";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;

    async fn run(self, _cx: &JobContext<()>) -> Result<Done, JobError> {
        let source = anyhow::anyhow!("the wire is cut").context("no answer");
        let cause = Cause::new(CauseClass::Transient, "It did not answer.", source);
        Err(match self {
            Self::Retry => JobError::Retry(cause),
            Self::Later => JobError::Later(Duration::from_mins(1), cause),
            Self::Fail => JobError::Fail(cause),
            Self::Park => JobError::Park(Parked::Job, None, cause),
            Self::Reconcile => JobError::Reconcile(Duration::from_mins(1), cause),
            Self::Wait => std::future::pending().await,
        })
    }
}

static ENDS: &[Kind<()>] = &[Kind::of::<Ends>()];

async fn bench(pool: PgPool) -> Bench {
    Bench::new(pool, ENDS).await
}

/// Returns the only noted attempt of a job.
async fn attempt(bench: &Bench, id: JobId) -> AttemptRow {
    let mut tx = bench.engine.db.system().await.unwrap();
    let mut attempts = ledger::list_attempts(&mut tx, bench.tenant_id, id).await.unwrap();
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    attempts.remove(0)
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_an_author_decides_is_written_down_with_its_facts(pool: PgPool) {
    let bench = bench(pool).await;
    let facts = json!({
        "class": "transient", "message": "It did not answer.", "causes": ["no answer", "the wire is cut"],
    });
    let table = [
        (Ends::Retry, "retry", "retryable"),
        (Ends::Later, "later", "scheduled"),
        (Ends::Fail, "fail", "discarded"),
        (Ends::Park, "park", "suspended"),
        (Ends::Reconcile, "later", "scheduled"),
    ];
    for (ends, outcome, state) in table {
        let id = bench.enqueue(&ends).await;
        bench.drain().await;
        let row = attempt(&bench, id).await;
        assert_eq!((row.outcome.name(), row.attempt, row.error), (outcome, 1, Some(facts.clone())), "{ends:?}");
        assert!(row.worker_id.is_some() && row.started_at.is_some_and(|begun| begun <= row.ended_at), "{ends:?}");
        let job = bench.job(id).await;
        assert_eq!((job.state.name(), job.error), (state, Some(facts.clone())), "{ends:?}");
    }
}

async fn class_and_outcome(bench: &Bench, id: JobId) -> (String, String) {
    let row = attempt(bench, id).await;
    let error = row.error.unwrap();
    assert!(!error["message"].as_str().unwrap().is_empty());
    (row.outcome.name().to_owned(), error["class"].as_str().unwrap().to_owned())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_whose_process_died_or_was_stopped_is_written_down_too(pool: PgPool) {
    let bench = bench(pool).await;
    let lost = bench.enqueue(&Ends::Wait).await;
    let worker = register(&bench).await;
    assert_eq!(claim_all(&bench, worker).await.len(), 1);
    lease::deregister(&bench.engine.db, worker).await.unwrap();
    assert_eq!(rescue(&bench.engine.db, any_time()).await.unwrap(), 1);
    assert_eq!(class_and_outcome(&bench, lost).await, ("lost".to_owned(), "lost".to_owned()));

    let returned = bench.enqueue(&Ends::Wait).await;
    let worker = register(&bench).await;
    // The retry of the lost attempt may be due by now.
    let claimed = claim_all(&bench, worker).await;
    let job = claimed.iter().find(|job| job.attempt.job_id == returned).unwrap();
    let mut tx = bench.engine.db.system().await.unwrap();
    hand_back(&mut tx, &[job.attempt]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(class_and_outcome(&bench, returned).await, ("returned".to_owned(), "stopped".to_owned()));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_cancelled_attempt_is_written_down_as_cancelled(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&Ends::Wait).await;
    let worker = register(&bench).await;
    let job = claim_all(&bench, worker).await.remove(0);
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(!ledger::cancel(&mut tx, ENDS, id).await.unwrap());
    tx.commit().await.unwrap();
    let interrupt = ActiveAttempts::default().insert(job.attempt);
    let declined = bench.engine.decline(&job, JobError::cancelled(), &interrupt).await;
    assert!(matches!(declined, AttemptEnd::Settled), "{declined:?}");
    assert_eq!(bench.job(id).await.state, JobState::Cancelled);
    assert_eq!(class_and_outcome(&bench, id).await, ("fail".to_owned(), "cancelled".to_owned()));
}
