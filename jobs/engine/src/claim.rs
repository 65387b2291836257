//! Claiming: the compare-and-set that makes an attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Db;
use crate::ids::{AccountId, JobId, TenantId, WorkerId};

/// One attempt of one job: the fence. What it writes lands only while no later attempt exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The job.
    pub job_id: JobId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The number of the attempt, from 1.
    pub number: i32,
    /// Parents above the job.
    pub depth: i16,
}

/// A claimed job: everything needed to run its attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claimed {
    /// The attempt.
    pub attempt: Attempt,
    /// The process that claimed it.
    pub worker_id: WorkerId,
    /// The queue it was claimed from.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// The account on which it acts.
    pub account_id: Option<AccountId>,
    /// Starts a minute that its queue allows it and its like.
    pub max_per_minute: Option<i32>,
    /// Its payload.
    pub args: Value,
    /// Failures so far.
    pub failures: i32,
    /// Attempts whose process died.
    pub crashes: i32,
    /// Deaths of the child process in which it ran alone.
    pub poison: i16,
    /// Children that did not complete.
    pub failed_children: u32,
    /// Whether such a child fails it.
    pub fails_with_children: bool,
    /// How long it has been due.
    pub due_for: Duration,
    /// Somebody asked to cancel it while it could not be.
    pub cancel_requested: bool,
}

impl Claimed {
    /// Its lane: see `jobs.lane`.
    pub(super) fn lane(&self) -> Uuid {
        self.account_id.map_or(self.attempt.tenant_id.0, |id| id.0)
    }
}

/// Claims those of `ids` that this process may run; the others leave the window and come back by themselves.
///
/// # Errors
/// The database refused; what was claimed nevertheless is handed back by the next renewal.
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

/// A claimed row.
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

/// What could not be claimed though it is available leaves the window: its queue is paused, its account parked, its lane rests,
/// the lease is over. One whose kind is unknown here waits a second, for another process to come first.
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

/// Ids that are marked as released: work for a process that Redis brings none.
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
