//! Claiming: the compare-and-set that starts an attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Db;
use crate::ids::{AccountId, JobId, TenantId, WorkerId};

/// One attempt of one job. It is the fence: its writes land only while no later attempt exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The job.
    pub job_id: JobId,
    /// The tenant that owns the job.
    pub tenant_id: TenantId,
    /// The number of the attempt, from 1.
    pub number: i32,
    /// The number of parents above the job.
    pub depth: i16,
}

/// A claimed job, with everything that its attempt needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claimed {
    /// The attempt.
    pub attempt: Attempt,
    /// The process that claimed it.
    pub worker_id: WorkerId,
    /// The queue it was claimed from.
    pub queue: String,
    /// The job's kind.
    pub kind: String,
    /// The account that it acts on.
    pub account_id: Option<AccountId>,
    /// The starts per minute that its queue allows its lane.
    pub max_per_minute: Option<i32>,
    /// Its lane: see `jobs.lane`.
    pub lane: Uuid,
    /// The time that its lane rests after an attempt.
    pub rest: Option<Duration>,
    /// The job's payload.
    pub args: Value,
    /// The number of failed attempts so far.
    pub failures: i32,
    /// The number of attempts whose process died.
    pub crashes: i32,
    /// The number of times that the child process died in which it ran alone.
    pub poison: i16,
    /// The number of children that did not complete.
    pub failed_children: u32,
    /// True if a child that does not complete fails the job.
    pub fails_with_children: bool,
    /// The time since it became due.
    pub due_for: Duration,
    /// True if somebody asked to cancel it while that was not possible.
    pub cancel_requested: bool,
}

/// Claims the jobs of `ids` that this process may run. The other ids leave the window and are
/// released again later.
///
/// If this fails, the claim may have been committed: the next renewal hands such jobs back.
pub async fn claim(
    db: &Db,
    worker_id: WorkerId,
    queue: &str,
    kinds: &[String],
    ids: &[Uuid],
) -> Result<Vec<Claimed>, sqlx::Error> {
    let mut tx = db.system().await?;
    let rows = sqlx::query_as!(
        Row,
        r#"
        with claimable as (
          select id
          from jobs j
          where id = any($1)
            and state is not distinct from 'available'
            and kind = any($2)
            and exists (select from workers where id = $3 and expires_at > clock_timestamp())
            and not exists (select from queues where name = $4 and paused_at is not null)
            and not exists (
              select from parked_accounts parked
              where parked.tenant_id = j.tenant_id and parked.account_id = j.account_id and parked.until > engine_now()
            )
            and not coalesce((
              select rest.until > engine_now()
              from resting_lanes rest
              where rest.queue = j.queue and rest.tenant_id = j.tenant_id and rest.lane = j.lane
            ), false)
          order by id
          for update skip locked
        )
        update jobs
        set state = 'executing', attempt = attempt + 1, worker_id = $3, dispatched_at = null,
          started_at = engine_stamp()
        from claimable
        where jobs.id = claimable.id
        returning jobs.id as "id: JobId", tenant_id as "tenant_id: TenantId", kind, args, attempt, failures, depth,
          account_id as "account_id: AccountId", (select max_per_minute from queues where name = $4) as max_per_minute,
          lane, (select rest_seconds from queues where name = $4) as rest_seconds,
          crashes, poison, failed_children, fails_with_children,
          greatest(0, extract(epoch from engine_now() - due_at))::float8 as "due_for_seconds!",
          cancel_requested_at is not null as "cancel_requested!"
        "#,
        ids,
        kinds,
        worker_id.0,
        queue
    )
    .fetch_all(&mut *tx)
    .await?;
    if rows.len() < ids.len() {
        let claimed: Vec<Uuid> = rows.iter().map(|row| row.id.0).collect();
        give_up_refused(&mut tx, kinds, ids, &claimed).await?;
    }
    tx.commit().await?;
    Ok(rows.into_iter().map(|row| row.claimed_by(worker_id, queue)).collect())
}

/// A row that the claim returns.
struct Row {
    id: JobId,
    tenant_id: TenantId,
    kind: String,
    args: Value,
    attempt: i32,
    failures: i32,
    depth: i16,
    account_id: Option<AccountId>,
    max_per_minute: Option<i32>,
    lane: Uuid,
    rest_seconds: Option<i32>,
    crashes: i32,
    poison: i16,
    failed_children: i32,
    fails_with_children: bool,
    due_for_seconds: f64,
    cancel_requested: bool,
}

impl Row {
    fn claimed_by(self, worker_id: WorkerId, queue: &str) -> Claimed {
        Claimed {
            attempt: Attempt { job_id: self.id, tenant_id: self.tenant_id, number: self.attempt, depth: self.depth },
            worker_id,
            queue: queue.to_owned(),
            kind: self.kind,
            account_id: self.account_id,
            max_per_minute: self.max_per_minute,
            lane: self.lane,
            rest: self.rest_seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs().into())),
            args: self.args,
            failures: self.failures,
            crashes: self.crashes,
            poison: self.poison,
            failed_children: u32::try_from(self.failed_children).unwrap_or(0),
            fails_with_children: self.fails_with_children,
            due_for: Duration::try_from_secs_f64(self.due_for_seconds).unwrap_or_default(),
            cancel_requested: self.cancel_requested,
        }
    }
}

/// Takes available jobs that could not be claimed out of the window: their queue is paused, their
/// account is parked, their lane rests, or the lease has expired. A job whose kind this process
/// does not run waits a second, so that another process can take it.
async fn give_up_refused(
    tx: &mut super::Tx,
    kinds: &[String],
    ids: &[Uuid],
    claimed: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update jobs
        set dispatched_at = null,
          state = case when kind = any($3) then state else 'scheduled' end,
          run_at = case when kind = any($3) then run_at else engine_stamp() + interval '1 second' end
        where id in (
          select id
          from jobs
          where id = any($1) and id <> all($2) and state is not distinct from 'available'
            and (dispatched_at is not null or kind <> all($3))
          order by id
          for update skip locked
        )
        ",
        ids,
        claimed,
        kinds
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Lists jobs that are marked as released. A process that gets no work from Redis claims these.
pub async fn list_marked(db: &Db, queue: &str, limit: usize) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut tx = db.system().await?;
    let ids = sqlx::query_scalar!(
        "
        select id
        from jobs
        where queue = $1
          and state = 'available'
          and dispatched_at is not null
        order by dispatched_at
        limit $2
        ",
        queue,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(ids)
}
