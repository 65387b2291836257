//! Settling an attempt that did not complete its job: its rows, its effect and the job, in one
//! transaction.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::{
    apply_verdict,
    decide::{Situation, Verdict, death_facts, decide, decide_death, decide_rate_limited},
    list_current,
};
use crate::{
    AttemptEnd, Cause, Claimed, Db, Facts, Interrupt, JobError, KindSpec, NotCompleted, RateLimited, Retry, Scope, Tx,
    effects::{self, CallOutcome},
    failpoint::{self, Failpoint},
    parking::Rest,
};

/// The number of times that the database may refuse to settle an attempt even without its rows.
/// Then the attempt is handed back, to free its slot.
const REFUSALS: u32 = 3;

/// The reason why an attempt did not complete its job.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The error that the job returned, or that cut it short.
    Decided(JobError),
    /// A rate did not let it start.
    RateLimited(RateLimited),
    /// It killed the process in which it ran alone; the text says how.
    Died(String),
}

/// Settles an attempt. Retries while the database is away and the attempt is still the latest.
pub(crate) async fn settle_failed(
    db: &Db,
    kind: &KindSpec,
    job: &Claimed,
    outcome: Option<CallOutcome>,
    ending: Ending,
    interrupt: &watch::Receiver<Option<Interrupt>>,
) -> AttemptEnd {
    if matches!(ending, Ending::Decided(JobError::Superseded)) {
        return AttemptEnd::Lost;
    }
    log(job, &ending);
    let job_id = job.attempt.job_id;
    let mut follow = true;
    let mut refusals = 0;
    loop {
        match try_to_settle(db, kind, job, outcome.as_ref(), &ending, follow).await {
            Ok(Settled::Yes) => return AttemptEnd::Settled,
            Ok(Settled::Overtaken) => return AttemptEnd::Lost,
            Ok(Settled::Changed) => continue,
            Ok(Settled::Panicked) => {
                tracing::error!(%job_id, "its rows could not follow, for a panic; now without them");
                follow = false;
                continue;
            }
            Err(cause) if is_passing(&cause) => {
                tracing::warn!(%job_id, %cause, "could not settle, trying again");
            }
            Err(cause) if follow => {
                tracing::error!(%job_id, %cause, "could not settle; now without its rows");
                follow = false;
                continue;
            }
            Err(cause) => {
                tracing::error!(%job_id, %cause, "could not settle without its rows either");
                refusals += 1;
                if refusals == REFUSALS {
                    return AttemptEnd::Returned;
                }
            }
        }
        let seen = *interrupt.borrow();
        match seen {
            Some(Interrupt::Lost) => return AttemptEnd::Lost,
            Some(Interrupt::Stopping) => return AttemptEnd::Returned,
            Some(Interrupt::Cancelled) | None => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
}

enum Settled {
    Yes,
    /// A request to cancel came in between: decide again.
    Changed,
    /// A later attempt exists.
    Overtaken,
    /// `on_not_completed` of the job's kind panicked.
    Panicked,
}

/// Tries once to settle.
async fn try_to_settle(
    db: &Db,
    kind: &KindSpec,
    job: &Claimed,
    outcome: Option<&CallOutcome>,
    ending: &Ending,
    follow: bool,
) -> Result<Settled, sqlx::Error> {
    let mut tx = db.begin(Scope::of(job.attempt.tenant_id)).await?;
    if let Some(outcome) = outcome {
        effects::record_outcome(&mut tx, job.attempt, outcome).await?;
    }
    let Some(situation) = read_situation(&mut tx, job).await? else {
        return Ok(Settled::Overtaken);
    };
    let Some((verdict, not_completed)) = ending.decide(&kind.retry, job, situation) else {
        return Ok(Settled::Overtaken);
    };
    if follow {
        let rows = (kind.on_not_completed)(job.attempt.tenant_id, job.args.clone(), &mut tx, &not_completed);
        match AssertUnwindSafe(rows).catch_unwind().await {
            Ok(followed) => followed?,
            Err(_) => return Ok(Settled::Panicked),
        }
    }
    let rest = match ending {
        Ending::Decided(_) => Rest::after(job),
        Ending::RateLimited(limited) => Some(Rest::of(job, limited.rest)),
        Ending::Died(_) => {
            count_death(&mut tx, job).await?;
            Rest::after(job)
        }
    };
    if let Some(rest) = rest {
        rest.begin(&mut tx).await?;
    }
    let facts = ending.facts(&not_completed);
    if apply_verdict(&mut tx, job.attempt, &verdict, facts.as_ref(), situation.cancel_requested).await? {
        failpoint::reach(Failpoint::BeforeVerdict);
        tx.commit().await?;
        return Ok(Settled::Yes);
    }
    let is_current = !list_current(&mut tx, &[job.attempt]).await?.is_empty();
    Ok(if is_current { Settled::Changed } else { Settled::Overtaken })
}

impl Ending {
    fn decide(&self, retry: &Retry, job: &Claimed, situation: Situation) -> Option<(Verdict, NotCompleted)> {
        match self {
            Self::Decided(error) => decide(error, retry, situation, rand::random()),
            Self::RateLimited(limited) => decide_rate_limited(&limited.later, retry, situation),
            Self::Died(how) => Some(decide_death(how, job.poison + 1, situation, rand::random())),
        }
    }

    /// Returns the facts to store. A cancellation stores nothing by itself, only the error that
    /// came of it.
    fn facts(&self, not_completed: &NotCompleted) -> Option<Facts> {
        match (not_completed, self) {
            (
                NotCompleted::Again(facts)
                | NotCompleted::Reconciling(facts)
                | NotCompleted::Parked(facts)
                | NotCompleted::Discarded(facts),
                _,
            ) => Some(facts.clone()),
            (
                NotCompleted::Cancelled | NotCompleted::BroughtBack,
                Self::Decided(error) | Self::RateLimited(RateLimited { later: error, .. }),
            ) => error.cause().map(Cause::facts),
            (NotCompleted::Cancelled | NotCompleted::BroughtBack, Self::Died(how)) => {
                Some(death_facts(how, "Somebody had asked to cancel it."))
            }
        }
    }
}

/// Returns true if an error of the database is transient: no connection, a conflict, a shutdown, no
/// resources, or a process that was stopped during a transaction. Errors of a statement itself are
/// not transient.
pub(super) fn is_passing(error: &sqlx::Error) -> bool {
    if let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        return ["08", "25P03", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class));
    }
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
    )
}

/// Reads the state of the job now, or `None` if it has ended.
pub(crate) async fn read_situation(tx: &mut Tx, job: &Claimed) -> Result<Option<Situation>, sqlx::Error> {
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
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Situation {
        failures: u32::try_from(job.failures).unwrap_or(0),
        due_for: job.due_for,
        cancel_requested: row.cancel_requested,
        open_effect: row.open_seconds.map(|left| Duration::try_from_secs_f64(left).unwrap_or_default()),
        unknown_effect: row.unknown,
    }))
}

async fn count_death(tx: &mut Tx, job: &Claimed) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update jobs
        set poison = poison + 1
        where id = $1 and attempt = $2 and state is not distinct from 'executing'
        ",
        job.attempt.job_id.0,
        job.attempt.number
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Logs a failed attempt with its whole chain of causes. No other place logs it.
fn log(job: &Claimed, ending: &Ending) {
    let (error, facts) = match ending {
        Ending::Decided(error) => (error.to_string(), error.cause().map(Cause::facts)),
        Ending::RateLimited(_) => {
            tracing::debug!(job_id = %job.attempt.job_id, queue = job.queue, "snoozed: the rate of its lane is used up");
            return;
        }
        Ending::Died(how) => (format!("took its process down: {how}"), None),
    };
    let (class, causes) = facts.map(|facts| (facts.class.name(), facts.causes.join(": "))).unwrap_or_default();
    tracing::warn!(
        job_id = %job.attempt.job_id, tenant_id = %job.attempt.tenant_id, kind = job.kind, attempt = job.attempt.number,
        class, causes, "{error}"
    );
}
