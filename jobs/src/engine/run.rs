//! Running one claimed job: the attempt from its start to its settlement.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use anyhow::anyhow;
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    Cause, Claimed, Db, Done, JobContext, JobError, Kind, Scope, Setback, Tx, effects, settle,
    verdict::{Standing, decide},
};
use crate::services::Services;

/// Why a running attempt is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Somebody cancelled the job.
    Cancelled,
    /// The process stops: the attempt is handed back at no cost.
    Stopping,
    /// The process lost its lease or the attempt was overtaken: nothing may be written any more.
    Lost,
}

/// How an attempt left its worker.
#[derive(Debug)]
pub enum Outcome {
    /// It completed without writes of its own; the caller settles it, in a batch.
    Completed(Value),
    /// It is settled.
    Settled,
    /// It is to be handed back.
    Returned,
    /// It must not write anything any more.
    Lost,
}

/// What runs jobs: the ledger, the clients and the kinds.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The ledger.
    pub db: Db,
    /// Clients of the outside world.
    pub services: Services,
    /// Every kind that this process runs.
    pub kinds: &'static [Kind],
}

impl Engine {
    /// The names of the kinds that this process runs.
    #[must_use]
    pub fn kind_names(&self) -> Vec<String> {
        self.kinds.iter().map(|kind| kind.name.to_owned()).collect()
    }

    fn kind(&self, name: &str) -> Option<&'static Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// Runs an attempt and settles what did not complete.
    pub async fn run(&self, job: Claimed, interrupt: watch::Receiver<Option<Interrupt>>) -> Outcome {
        let Some(kind) = self.kind(&job.kind) else {
            return Outcome::Returned;
        };
        let cx = JobContext::new(&job, self.db.clone(), self.services.clone());
        let error = match attempt(kind, &job, &cx, interrupt.clone()).await {
            Ok(Done { settled: true, .. }) => return Outcome::Settled,
            Ok(Done { result, .. }) => return Outcome::Completed(result),
            Err(Stop::Failed(error)) => error,
            Err(Stop::Interrupted(Interrupt::Stopping)) => return Outcome::Returned,
            Err(Stop::Interrupted(Interrupt::Lost)) => return Outcome::Lost,
            Err(Stop::Interrupted(Interrupt::Cancelled)) => cancelled(),
        };
        self.settle_setback(kind, &job, &cx, error, interrupt).await
    }

    /// Settles a setback, trying again while the database is away and the attempt is still ours.
    async fn settle_setback(
        &self,
        kind: &Kind,
        job: &Claimed,
        cx: &JobContext,
        error: JobError,
        interrupt: watch::Receiver<Option<Interrupt>>,
    ) -> Outcome {
        if matches!(error, JobError::Superseded) {
            return Outcome::Lost;
        }
        log_setback(job, &error);
        let outcome = cx.take_outcome();
        let mut follow = true;
        loop {
            match set_back(&self.db, kind, job, outcome.as_ref(), &error, follow).await {
                Ok(Settled::Yes) => return Outcome::Settled,
                Ok(Settled::Overtaken) => return Outcome::Lost,
                Ok(Settled::Changed) => continue,
                Err(cause) if is_passing(&cause) => {
                    tracing::warn!(job_id = %job.attempt.job_id, %cause, "could not settle, trying again");
                }
                Err(cause) => {
                    tracing::error!(job_id = %job.attempt.job_id, %cause, "could not settle; now without its rows");
                    follow = false;
                }
            }
            let seen = *interrupt.borrow();
            match seen {
                Some(Interrupt::Lost) => return Outcome::Lost,
                Some(Interrupt::Stopping) => return Outcome::Returned,
                Some(Interrupt::Cancelled) | None => tokio::time::sleep(Duration::from_millis(250)).await,
            }
        }
    }
}

enum Stop {
    Failed(JobError),
    Interrupted(Interrupt),
}

/// Runs the job until it ends, panics, takes too long or is interrupted; while a call of an effect is on its way it is
/// left alone, as the call has a time limit of its own.
async fn attempt(
    kind: &Kind,
    job: &Claimed,
    cx: &JobContext,
    mut interrupt: watch::Receiver<Option<Interrupt>>,
) -> Result<Done, Stop> {
    if job.cancel_requested && !has_open_effect(cx, job).await? {
        return Err(Stop::Failed(cancelled()));
    }
    if job.fails_with_children && job.failed_children > 0 {
        return Err(Stop::Failed(children_failed(job.failed_children)));
    }
    let mut run = AssertUnwindSafe((kind.run)(job.args.clone(), cx)).catch_unwind();
    let timeout = tokio::time::sleep(kind.timeout);
    tokio::pin!(timeout);
    let mut over = false;
    let mut stop = None;
    // A request to cancel that came before an open effect is read back does not cut the reading.
    let heeds = |interrupt: Interrupt| !(interrupt == Interrupt::Cancelled && job.cancel_requested);
    loop {
        tokio::select! {
            biased;
            result = &mut run => {
                return match result {
                    Ok(done) => done.map_err(Stop::Failed),
                    Err(panic) => Err(Stop::Failed(panicked(panic.as_ref()))),
                };
            }
            changed = interrupt.wait_for(Option::is_some), if stop.is_none() => {
                stop = changed.ok().and_then(|seen| *seen).or(Some(Interrupt::Lost));
            }
            () = &mut timeout, if !over => over = true,
            // Shielded: look again soon.
            () = tokio::time::sleep(Duration::from_millis(20)), if over || stop.is_some() => {}
        }
        if cx.is_shielded() {
            continue;
        }
        if stop == Some(Interrupt::Cancelled) {
            stop = *interrupt.borrow();
        }
        if let Some(interrupt) = stop.filter(|&interrupt| heeds(interrupt)) {
            return Err(Stop::Interrupted(interrupt));
        }
        if over {
            return Err(Stop::Failed(timed_out(kind)));
        }
    }
}

async fn has_open_effect(cx: &JobContext, job: &Claimed) -> Result<bool, Stop> {
    let read = async {
        let mut tx = cx.begin().await?;
        let standing = standing(&mut tx, job).await?;
        Ok::<_, sqlx::Error>(standing.open_effect.is_some() || standing.unknown_effect)
    };
    read.await.map_err(|error| Stop::Failed(error.into()))
}

enum Settled {
    Yes,
    /// A request to cancel came in between: decide again.
    Changed,
    /// A later attempt exists.
    Overtaken,
}

/// One try to settle: the job's rows, its effect and the job in one transaction.
async fn set_back(
    db: &Db,
    kind: &Kind,
    job: &Claimed,
    outcome: Option<&effects::CallOutcome>,
    error: &JobError,
    follow: bool,
) -> Result<Settled, sqlx::Error> {
    let mut tx = db.begin(Scope::of(job.attempt.tenant_id)).await?;
    if let Some(outcome) = outcome {
        effects::record_outcome(&mut tx, job.attempt, outcome).await?;
    }
    let standing = standing(&mut tx, job).await?;
    let Some((verdict, setback)) = decide(error, &kind.retry, standing, rand::random()) else {
        return Ok(Settled::Overtaken);
    };
    if follow {
        (kind.on_setback)(job.attempt.tenant_id, job.args.clone(), &mut tx, &setback).await?;
    }
    let facts = match &setback {
        Setback::Again(facts) | Setback::Reconciling(facts) | Setback::Parked(facts) | Setback::Discarded(facts) => {
            Some(facts)
        }
        Setback::Cancelled => None,
    };
    if settle::set_back(&mut tx, job.attempt, &verdict, facts, standing.cancel_requested).await? {
        tx.commit().await?;
        return Ok(Settled::Yes);
    }
    let is_current = !settle::list_current(&mut tx, &[job.attempt]).await?.is_empty();
    Ok(if is_current { Settled::Changed } else { Settled::Overtaken })
}

/// Whether an error of the database passes by itself: no connection, a conflict, shutting down, out of resources.
fn is_passing(error: &sqlx::Error) -> bool {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) => ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class)),
        None => true,
    }
}

/// What the ledger knows about the job now.
async fn standing(tx: &mut Tx, job: &Claimed) -> Result<Standing, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select j.cancel_requested_at is not null as "cancel_requested!",
          extract(epoch from max(e.send_until) filter (where e.state = 'sent') - clock_timestamp())::float8
            as open_seconds,
          coalesce(bool_or(e.state = 'unknown'), false) as "unknown!"
        from jobs j
        left join effects e on e.tenant_id = j.tenant_id and e.job_id = j.id and e.state in ('sent', 'unknown')
        where j.id = $1
        group by j.id
        "#,
        job.attempt.job_id.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Standing {
        failures: u32::try_from(job.failures).unwrap_or(0),
        due_for: job.due_for,
        cancel_requested: row.cancel_requested,
        open_effect: row.open_seconds.map(|left| Duration::try_from_secs_f64(left).unwrap_or_default()),
        unknown_effect: row.unknown,
    })
}

fn cancelled() -> JobError {
    JobError::Later(Duration::ZERO, Cause::plain("cancelled", "Somebody asked to cancel it."))
}

fn children_failed(count: u32) -> JobError {
    JobError::Fail(Cause::plain("children", format!("{count} of its children did not complete.")))
}

fn timed_out(kind: &Kind) -> JobError {
    let message = format!("It took longer than {} seconds.", kind.timeout.as_secs());
    JobError::Retry(Cause::plain("timeout", message))
}

fn panicked(panic: &(dyn Any + Send)) -> JobError {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words".to_owned());
    JobError::Retry(Cause::new("panic", "A bug on our side stopped it; it is tried again.", anyhow!(words)))
}

/// The one place where a failed attempt is logged, with its whole chain.
fn log_setback(job: &Claimed, error: &JobError) {
    let facts = error.cause().map(Cause::facts);
    let (class, causes) = facts.map(|facts| (facts.class, facts.causes.join(": "))).unwrap_or_default();
    tracing::warn!(
        job_id = %job.attempt.job_id, tenant_id = %job.attempt.tenant_id, kind = job.kind, attempt = job.attempt.number,
        class, causes, "{error}"
    );
}
