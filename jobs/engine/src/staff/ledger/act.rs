//! Actions of staff on one or many jobs, in the caller's transaction.
//!
//! Locks are taken in the engine's order: first the rows that belong to the jobs
//! ([`crate::Job::on_not_completed`]), then the jobs by depth descending and id. A job may change
//! its state between reading and locking. Then a savepoint rolls back what was written and all is
//! decided again. After some tries, jobs that keep changing are left out.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Action, ActionError, Resolution,
    plan::{ActionPlan, JobSnapshot, Step, plan},
};
use crate::{
    Cause, CauseClass, Facts, JobState, Kind, NotCompleted, Tx,
    ids::{JobId, TenantId},
    settle::{self, EndedChild},
};

/// The number of tries after which jobs that keep changing their state are left out.
const PATIENT_TRIES: usize = 3;

/// The number of tries after which nothing is done.
const MAX_TRIES: usize = 20;

/// The result of an action.
#[derive(Debug, Default)]
pub struct Acted {
    /// The jobs that the action was done to.
    pub done: Vec<ActedJob>,
    /// Unfinished descendants of cancelled jobs that were cancelled too.
    pub descendants: Vec<ActedJob>,
    /// The jobs that were left out, each with the reason.
    pub skipped: Vec<(JobId, ActionError)>,
}

/// A job and its new state.
#[derive(Debug, Clone, Copy)]
pub struct ActedJob {
    /// The job.
    pub id: JobId,
    /// The tenant that owns it.
    pub tenant_id: TenantId,
    /// The outcome: `available`, `scheduled`, `cancelled`, `cancel_requested` or `discarded`.
    pub outcome: &'static str,
}

impl Acted {
    fn of(plan: ActionPlan) -> Self {
        let done = |(job, step): &(JobSnapshot, Step)| ActedJob {
            id: JobId(job.id),
            tenant_id: job.tenant_id,
            outcome: step.outcome(),
        };
        Self {
            done: plan.steps.iter().map(done).collect(),
            descendants: plan.descendants.iter().map(done).collect(),
            skipped: plan.skipped,
        }
    }
}

/// Does `action` to one job.
///
/// # Errors
/// An [`ActionError`] says why the action was refused. Nothing has changed then.
pub async fn act_on<S>(tx: &mut Tx, kinds: &[Kind<S>], action: Action, id: JobId) -> Result<Acted, ActionError> {
    let mut acted = act(tx, kinds, action, &[id]).await?;
    match acted.skipped.pop() {
        Some((_, refused)) => Err(refused),
        None => Ok(acted),
    }
}

/// Runs a job again now: a cancelled, discarded, retryable or suspended one. Its counters stay.
///
/// # Errors
/// An [`ActionError`] says why the action was refused. Nothing has changed then.
pub async fn retry(tx: &mut Tx, id: JobId) -> Result<(), ActionError> {
    act_on::<()>(tx, &[], Action::Retry, id).await.map(|_| ())
}

/// Cancels a waiting job with its unfinished descendants, or asks an executing one to stop. The
/// rows that belong to the jobs follow. Returns true if the job has ended.
///
/// # Errors
/// An [`ActionError`] says why the action was refused. Nothing has changed then.
pub async fn cancel<S>(tx: &mut Tx, kinds: &[Kind<S>], id: JobId) -> Result<bool, ActionError> {
    let acted = act_on(tx, kinds, Action::Cancel, id).await?;
    Ok(acted.done.iter().any(|done| done.outcome == "cancelled"))
}

/// Returns the result that [`act`] would have now, without changing anything.
pub async fn preview<S>(tx: &mut Tx, kinds: &[Kind<S>], action: Action, ids: &[JobId]) -> Result<Acted, sqlx::Error> {
    Ok(Acted::of(plan(tx, kinds, action, &distinct(ids), &[]).await?))
}

/// Does `action` to the jobs of `ids` that allow it. The number of statements does not grow with
/// the number of jobs. Only the rows that a kind changes for its own jobs are written job by job.
pub async fn act<S>(tx: &mut Tx, kinds: &[Kind<S>], action: Action, ids: &[JobId]) -> Result<Acted, sqlx::Error> {
    let ids = distinct(ids);
    let mut changing = Vec::new();
    for tries in 0..MAX_TRIES {
        sqlx::query!("savepoint acting").execute(&mut **tx).await?;
        let planned = plan(tx, kinds, action, &ids, &changing).await?;
        follow(tx, kinds, &planned).await?;
        lock(tx, &planned).await?;
        let again = plan(tx, kinds, action, &ids, &changing).await?;
        let changed = planned.differences(&again);
        if changed.is_empty() {
            return apply(tx, action, again).await;
        }
        sqlx::query!("rollback to savepoint acting").execute(&mut **tx).await?;
        if tries >= PATIENT_TRIES {
            changing.extend(changed);
        }
    }
    let skipped = ids.into_iter().map(|id| (JobId(id), ActionError::Changing)).collect();
    Ok(Acted { skipped, ..Acted::default() })
}

fn distinct(ids: &[JobId]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn discarded_by_staff() -> Facts {
    Cause::plain(CauseClass::DiscardedByStaff, "Somebody discarded it.").facts()
}

/// Lets each kind update the rows that belong to jobs which end or are brought back.
async fn follow<S>(tx: &mut Tx, kinds: &[Kind<S>], plan: &ActionPlan) -> Result<(), sqlx::Error> {
    for (job, step) in plan.all() {
        let not_completed = match step {
            Step::Cancel => NotCompleted::Cancelled,
            Step::Discard => NotCompleted::Discarded(discarded_by_staff()),
            Step::BringBack | Step::BringBackEarly => NotCompleted::BroughtBack,
            Step::MakeAvailable | Step::Resolve | Step::RequestCancel => continue,
        };
        if let Some(kind) = kinds.iter().find(|kind| kind.name == job.kind) {
            (kind.on_not_completed)(job.tenant_id, job.args.clone(), tx, &not_completed).await?;
        }
    }
    Ok(())
}

async fn lock(tx: &mut Tx, plan: &ActionPlan) -> Result<(), sqlx::Error> {
    let mut ids: Vec<Uuid> = plan.all().map(|(job, _)| job.id).collect();
    ids.append(&mut list_uncounted_children(tx, plan).await?);
    sqlx::query!("select id from jobs where id = any($1) order by depth desc, id for update", &ids)
        .fetch_all(&mut **tx)
        .await?;
    sqlx::query!("select id from job_history where id = any($1) order by depth desc, id for update", &ids)
        .fetch_all(&mut **tx)
        .await?;
    Ok(())
}

/// Lists the children that jobs which are brought back have to wait for, to lock them.
///
/// Without the lock a child that ends right now would not be counted at all: its own settlement
/// does not find the parent, and the parent, brought back later, finds the child counted already.
async fn list_uncounted_children(tx: &mut Tx, plan: &ActionPlan) -> Result<Vec<Uuid>, sqlx::Error> {
    let (tenants, parents): (Vec<Uuid>, Vec<Uuid>) =
        plan.all().filter(|(_, step)| step.brings_back()).map(|(job, _)| (job.tenant_id.0, job.id)).unzip();
    if parents.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        "
        select child.id
        from unnest($1::uuid[], $2::uuid[]) as parent (tenant_id, id)
        cross join lateral (
          select id
          from jobs
          where tenant_id = parent.tenant_id and parent_id = parent.id and not counted
          offset 0
        ) child
        ",
        &tenants,
        &parents
    )
    .fetch_all(&mut **tx)
    .await
}

/// Carries out a plan on rows that are locked.
async fn apply(tx: &mut Tx, action: Action, mut plan: ActionPlan) -> Result<Acted, sqlx::Error> {
    let of = |plan: &ActionPlan, wanted: fn(Step) -> bool| -> Vec<Uuid> {
        plan.all().filter(|(_, step)| wanted(*step)).map(|(job, _)| job.id).collect()
    };
    make_available(tx, &of(&plan, |step| step == Step::MakeAvailable)).await?;
    if let Some(resolution) = action.resolution() {
        let unseen = of(&plan, |step| step == Step::Resolve);
        resolve_unseen(tx, &unseen, &resolution).await?;
        make_available(tx, &unseen).await?;
    }
    let asked = of(&plan, Step::brings_back);
    let back = bring_back(tx, &asked, &of(&plan, |step| step == Step::BringBackEarly)).await?;
    if back.len() < asked.len() {
        let (stay, steps) = std::mem::take(&mut plan.steps)
            .into_iter()
            .partition(|(job, step)| step.brings_back() && !back.contains(&job.id));
        plan.steps = steps;
        let stay: Vec<(JobSnapshot, Step)> = stay;
        plan.skipped.extend(stay.into_iter().map(|(job, _)| (JobId(job.id), ActionError::LiveTwin)));
    }
    request_cancel(tx, &of(&plan, |step| step == Step::RequestCancel)).await?;
    end(tx, &plan, Step::Cancel, JobState::Cancelled, None).await?;
    end(tx, &plan, Step::Discard, JobState::Discarded, Some(&discarded_by_staff().to_json())).await?;
    if plan.all().any(|(_, step)| step.outcome() == "available") {
        tx.wake_after_commit();
    }
    Ok(Acted::of(plan))
}

async fn make_available(tx: &mut Tx, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update jobs
        set state = 'available', suspended_on = null, run_at = engine_stamp(),
          -- Whoever the network told to slow down does not get its time anew.
          due_at = case when error ->> 'class' = 'policy' then least(due_at, engine_stamp()) else engine_stamp() end,
          cancel_requested_at = null, dispatched_at = null
        where id = any($1)
        ",
        ids
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Moves finished jobs back to `jobs`, with their place and their counters. The attempt number
/// never starts over, because it is the fence. Jobs in `early` wait for their time again.
///
/// Returns the jobs that were moved. A job stays if an unfinished one has the same unique key.
async fn bring_back(tx: &mut Tx, ids: &[Uuid], early: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        r#"
        with back as (
          insert into jobs (id, tenant_id, kind, queue, args, state, priority, account_id, own_lane, run_at, due_at, attempt, failures,
            crashes, poison, unique_key, parent_id, depth, failed_children, counted, result, error, created_at, started_at,
            pending)
          select id, tenant_id, kind, queue, args, case when is_early then 'scheduled' else 'available' end, priority,
            account_id, own_lane, case when is_early then run_at else engine_stamp() end,
            case
              when is_early then due_at
              when error ->> 'class' = 'policy' then least(due_at, engine_stamp())
              else engine_stamp()
            end,
            attempt, failures, crashes, poison, unique_key, parent_id, depth, failed_children, counted, result, error,
            created_at, started_at,
            (
              select count(*)
              from jobs child
              where child.tenant_id = job_history.tenant_id and child.parent_id = job_history.id and not child.counted
            )
          from job_history
          cross join lateral (
            select id = any($2) as is_early
          ) place
          where id = any($1)
          order by tenant_id, kind, unique_key, created_at desc
          on conflict (tenant_id, kind, unique_key) where unique_key is not null do nothing
          returning id
        )
        delete from job_history
        using back
        where job_history.id = back.id
        returning job_history.id
        "#,
        ids,
        early
    )
    .fetch_all(&mut **tx)
    .await
}

/// Records that open calls of jobs did not happen.
async fn resolve_unseen(tx: &mut Tx, ids: &[Uuid], resolution: &Resolution) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update effects
        set state = $2, facts = facts || $3
        from jobs j
        where j.id = any($1) and effects.tenant_id = j.tenant_id and effects.job_id = j.id
          and effects.state in ('sent', 'unknown')
        ",
        ids,
        resolution.state().name(),
        json!([{ "resolved": resolution.state(), "in_bulk": true }])
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn request_cancel(tx: &mut Tx, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update jobs
        set cancel_requested_at = coalesce(cancel_requested_at, engine_stamp()), rerun_requested = false
        where id = any($1)
        ",
        ids
    )
    .execute(&mut **tx)
    .await?;
    tx.cancel_after_commit(ids.iter().map(|&id| JobId(id)));
    Ok(())
}

/// Ends waiting jobs: moves them to the history and counts them at their parents.
async fn end(
    tx: &mut Tx,
    plan: &ActionPlan,
    step: Step,
    state: JobState,
    error: Option<&Value>,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = plan.all().filter(|(_, planned)| *planned == step).map(|(job, _)| job.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ended = sqlx::query!(
        r#"
        update jobs
        set state = $2,
          suspended_on = null,
          cancel_requested_at = case when $2 = 'cancelled' then coalesce(jobs.cancel_requested_at, engine_stamp()) end,
          ended_at = engine_stamp(),
          dispatched_at = null,
          error = coalesce($3, jobs.error),
          counted = true
        from jobs as before
        where jobs.id = any($1) and before.id = jobs.id
        returning jobs.id, jobs.tenant_id as "tenant_id: TenantId", jobs.parent_id, not before.counted as "counts!"
        "#,
        &ids,
        state.name(),
        error
    )
    .fetch_all(&mut **tx)
    .await?;
    let children: Vec<EndedChild> = ended
        .iter()
        .filter(|row| row.counts)
        .filter_map(|row| row.parent_id.map(|parent| EndedChild { tenant_id: row.tenant_id, parent, failed: true }))
        .collect();
    settle::release_parents(tx, &children).await?;
    settle::archive(tx, &ids).await
}
