//! Tests of a failing `on_not_completed`: the attempt is settled all the same.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{claim_all, register};
use crate::{
    ActiveAttempts, AttemptEnd, Cause, CauseClass, Done, Job, JobContext, JobError, JobState, Kind, NotCompleted,
    Queue, Retry, Tx,
    ids::{JobId, TenantId},
    testing::Bench,
};

/// A job that fails, and whose `on_not_completed` does what its payload says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Clumsy {
    Panics,
    Misses,
    Misreads,
    IsRefused,
    Recovers,
}

static TRIES: AtomicU32 = AtomicU32::new(0);

impl Job for Clumsy {
    type Services = ();

    const KIND: &'static str = "clumsy";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, _cx: &JobContext<()>) -> Result<Done, JobError> {
        Err(JobError::Fail(Cause::plain(CauseClass::Permanent, "scripted")))
    }

    async fn on_not_completed(&self, tenant_id: TenantId, tx: &mut Tx, _: &NotCompleted) -> Result<(), sqlx::Error> {
        let rename = "update tenants set name = 'followed' where id = $1";
        sqlx::query(rename).bind(tenant_id.0).execute(&mut **tx).await?;
        match self {
            Self::Panics => panic!("scripted"),
            Self::Misses => sqlx::query("select 1 where false").fetch_one(&mut **tx).await.map(|_| ()),
            Self::Misreads => Err(sqlx::Error::Decode("scripted".into())),
            Self::IsRefused => sqlx::query("select 1 / 0").execute(&mut **tx).await.map(|_| ()),
            Self::Recovers if TRIES.fetch_add(1, Ordering::Relaxed) < 2 => Err(sqlx::Error::PoolTimedOut),
            Self::Recovers => Ok(()),
        }
    }
}

static CLUMSY: &[Kind<()>] = &[Kind::of::<Clumsy>()];

/// Runs one attempt of a new job.
async fn run(bench: &Bench, job: Clumsy, before: &'static str) -> (JobId, AttemptEnd) {
    let id = bench.enqueue(&job).await;
    let worker = register(bench).await;
    let claimed = claim_all(bench, worker).await.remove(0);
    bench.execute(before, id.0).await;
    let active = ActiveAttempts::default();
    let interrupt = active.insert(claimed.attempt);
    let outcome = tokio::time::timeout(Duration::from_secs(20), bench.engine.run(claimed, interrupt)).await;
    (id, outcome.unwrap_or_else(|_| panic!("{job:?} is tried again for ever")))
}

async fn bench(pool: PgPool) -> Bench {
    Bench::new(pool, CLUMSY).await
}

const NOTHING: &str = "select from jobs where id = $1";

#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_settles_without_rows_that_cannot_follow(pool: PgPool) {
    let bench = bench(pool).await;
    for job in [Clumsy::Panics, Clumsy::Misses, Clumsy::Misreads, Clumsy::IsRefused] {
        let (id, outcome) = run(&bench, job, NOTHING).await;
        assert!(matches!(outcome, AttemptEnd::Settled), "{job:?}: {outcome:?}");
        assert_eq!(bench.job(id).await.state, JobState::Discarded, "{job:?}");
        assert_eq!(bench.tenant_name().await, "Krusty Pizza", "{job:?}: what was written before is rolled back");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn rows_follow_when_the_database_is_back(pool: PgPool) {
    let bench = bench(pool).await;
    let (id, _) = run(&bench, Clumsy::Recovers, NOTHING).await;
    assert_eq!((bench.job(id).await.state, bench.tenant_name().await.as_str()), (JobState::Discarded, "followed"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_that_cannot_be_settled_at_all_is_handed_back(pool: PgPool) {
    let bench = bench(pool).await;
    // The database refuses a second note of the attempt.
    let noted = "insert into job_attempts (tenant_id, job_id, attempt, outcome) select tenant_id, id, 1, 'fail' from jobs where id = $1";
    let (id, outcome) = run(&bench, Clumsy::Misses, noted).await;
    assert!(matches!(outcome, AttemptEnd::Returned), "{outcome:?}");
    assert_eq!(bench.job(id).await.state, JobState::Executing, "until the next renewal");
}
