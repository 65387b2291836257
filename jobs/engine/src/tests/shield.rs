//! Tests of the shield: a call on its way is not interrupted, but the job is after it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{claim_all, register, stop::effect};
use crate::{
    ActiveAttempts, Answer, AttemptEnd, Cause, CauseClass, Done, EffectState, Interrupt, Job, JobContext, JobError,
    JobState, Kind, Queue, Remote, Retry, SendError, ids::JobId, ledger, testing::Bench,
};

/// A job that makes a call and then never ends.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum GoesOn {
    Confirmed,
    Refused,
}

impl Job for GoesOn {
    type Services = ();

    const KIND: &'static str = "goes_on";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_secs(4);

    async fn run(self, cx: &JobContext<()>) -> Result<Done, JobError> {
        let send = |_| async {
            match self {
                Self::Confirmed => Ok(Remote { id: cx.job_id().to_string(), permalink: None }),
                Self::Refused => Err(SendError::Refused(JobError::Retry(Cause::plain(CauseClass::Rate, "not now")))),
            }
        };
        if let Ok(Answer::Happened(receipt, remote)) = cx.once(&effect(cx), send, |_| async { Ok(Vec::new()) }).await {
            let mut tx = cx.begin().await?;
            assert!(tx.confirm(&receipt, &remote).await?);
            tx.commit().await?;
        }
        cx.log(crate::Level::Info, "goes on");
        std::future::pending().await
    }
}

static GOES_ON: &[Kind<()>] = &[Kind::of::<GoesOn>()];

async fn bench(pool: PgPool) -> Bench {
    Bench::new(pool, GOES_ON).await
}

async fn has_gone_on(bench: &Bench, id: JobId) -> bool {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_scalar("select exists (select from job_events where job_id = $1)")
        .bind(id.0)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

/// Runs an attempt and interrupts it after its call if `why` is given. Returns its end and the
/// effect's state.
async fn run(bench: &Bench, job: GoesOn, why: Option<Interrupt>) -> (JobId, AttemptEnd, EffectState) {
    let id = bench.enqueue(&job).await;
    let worker = register(bench).await;
    let claimed = claim_all(bench, worker).await.remove(0);
    let active = ActiveAttempts::default();
    let (interrupt, engine) = (active.insert(claimed.attempt), bench.engine.clone());
    let run = tokio::spawn(async move { engine.run(claimed, interrupt).await });
    if let Some(why) = why {
        while !has_gone_on(bench, id).await {
            assert!(!run.is_finished(), "{job:?} goes on");
        }
        if why == Interrupt::Cancelled {
            let mut tx = bench.engine.db.system().await.unwrap();
            assert!(!ledger::cancel(&mut tx, GOES_ON, id).await.unwrap(), "it runs");
            tx.commit().await.unwrap();
        }
        active.interrupt_all(why);
    }
    let outcome = tokio::time::timeout(Duration::from_secs(20), run).await;
    let outcome = outcome.unwrap_or_else(|_| panic!("{job:?} cannot be cut")).unwrap();
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let effects = ledger::list_effects(&mut tx, bench.tenant_id, id).await.unwrap();
    (id, outcome, effects[0].state)
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_goes_on_after_its_call_was_recorded_can_be_cancelled_and_stopped(pool: PgPool) {
    let bench = bench(pool).await;
    let (id, outcome, effect) = run(&bench, GoesOn::Confirmed, Some(Interrupt::Cancelled)).await;
    assert!(matches!(outcome, AttemptEnd::Settled), "{outcome:?}");
    assert_eq!((bench.job(id).await.state, effect), (JobState::Cancelled, EffectState::Confirmed));
    let (_, outcome, effect) = run(&bench, GoesOn::Confirmed, Some(Interrupt::Stopping)).await;
    assert!(matches!(outcome, AttemptEnd::Returned), "{outcome:?}");
    assert_eq!(effect, EffectState::Confirmed);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_goes_on_after_its_call_was_refused_has_a_time_limit(pool: PgPool) {
    let bench = bench(pool).await;
    for job in [GoesOn::Refused, GoesOn::Confirmed] {
        let (id, outcome, effect) = run(&bench, job, None).await;
        assert!(matches!(outcome, AttemptEnd::Settled), "{outcome:?}");
        let expected = if matches!(job, GoesOn::Refused) { EffectState::Intended } else { EffectState::Confirmed };
        assert_eq!((bench.error_class(id).await.as_str(), effect), ("timeout", expected));
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refusal_is_kept_when_the_process_stops(pool: PgPool) {
    let bench = bench(pool).await;
    let (_, outcome, effect) = run(&bench, GoesOn::Refused, Some(Interrupt::Stopping)).await;
    assert!(matches!(outcome, AttemptEnd::Returned), "{outcome:?}");
    assert_eq!(effect, EffectState::Intended, "nothing is to be read back");
}
